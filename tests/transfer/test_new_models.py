"""Transfer over every kind of model: groups, copies, freezing, plans, and comparisons in the score's own direction."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from rnn_core import (
    BidirectionalLanguageModel,
    ConvClassifier,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceTagger,
)
from rnn_core.training import Adam, fit
from transfer import (
    ARMS,
    Arm,
    Budget,
    Plan,
    Score,
    SourceTask,
    TargetTask,
    TaskStudy,
    Unfreezing,
    arms_for,
    compare,
    copy_parameters,
    copy_recurrent,
    discriminative_rates,
    fit_plan,
    freeze,
    matched,
    parameter_groups,
    scrambled,
    select,
    unfreeze,
)

from .model_kinds import KINDS, V, share_right, sums, tagged
from .study_cases import state

BUDGET = Budget(source_updates=4, target_updates=6, batch_size=8)


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def study_of(kind, **options):
    return TaskStudy(
        SourceTask(partial(kind.build, "source"), partial(_source, kind.data)),
        TargetTask(partial(kind.build, "target"), partial(_target, kind.data), kind.score),
        **{"core": kind.core, "budget": BUDGET, **options},
    )


def _source(data, seed, shuffled):
    return data("source", seed, shuffled=shuffled)


def _target(data, size, seed):
    return data("target", seed, size=size)


def test_every_parameter_is_in_one_group_and_the_answer_is_on_top(kind):
    model = kind.build("target", 0)
    groups = parameter_groups(model)
    names = [name for group in groups.values() for name in group]
    assert sorted(names) == sorted(model.parameters)
    assert set(select(model, "head*")) <= {name for group in list(groups)[-2:] for name in groups[group]}
    core = select(model, kind.core)
    assert core
    assert not set(core) & set(select(model, "head*"))


def test_a_copy_has_the_sources_bits_and_the_rest_stays(kind):
    source, target = kind.build("source", 1), kind.build("target", 2)
    before = state(target)
    report = copy_parameters(source, target, exclude=kind.exclude or None)
    copied = {row.name for row in report.rows if row.taken}
    assert copied == set(target.parameters) - set(select(target, kind.exclude) if kind.exclude else ())
    for name, array in target.parameters.items():
        np.testing.assert_array_equal(array, source.parameters[name] if name in copied else before[name])


def test_what_is_frozen_keeps_its_bits_and_learns_when_it_thaws(kind):
    model, data = kind.build("target", 0), kind.data("target", 0)
    freeze(model, kind.core)
    before = state(model)
    fit(model, data, optimizer=Adam(1e-2), epochs=2, progress=False)
    frozen = set(select(model, kind.core))
    for name, array in model.parameters.items():
        assert np.array_equal(array, before[name]) == (name in frozen), name
    unfreeze(model, kind.core)
    fit(model, data, optimizer=Adam(1e-2), epochs=2, progress=False)
    assert not any(np.array_equal(model.parameters[name], before[name]) for name in frozen)


def test_a_plan_thaws_group_after_group_at_rates_that_fall(kind):
    model, data = kind.build("target", 0), kind.data("target", 0)
    groups = [names for names in parameter_groups(model).values() if names]
    plan = Plan(rates=discriminative_rates(model, 1e-2), unfreezing=Unfreezing(steps=1))
    before = state(model)
    fit_plan(model, data, plan, optimizer=Adam(1e-2), epochs=len(groups), progress=False)
    assert not any(np.array_equal(array, before[name]) for name, array in model.parameters.items())
    moved = [max(np.abs(model.parameters[name] - before[name]).max() for name in names) for names in groups]
    assert moved[0] < moved[-1]  # later, and at a lower rate


def test_an_anchor_holds(kind):
    found = []
    for alpha in (1e-6, 1e3):
        model, data = kind.build("target", 0), kind.data("target", 0)
        home = state(model)
        plan = Plan(anchors=dict.fromkeys(select(model, kind.core), alpha))
        fit(model, data, optimizer=Adam(1e-3), epochs=3, progress=False, updates=plan.resolve(model))
        found.append(sum(np.abs(model.parameters[name] - home[name]).sum() for name in select(model, kind.core)))
    assert found[1] < found[0]


@pytest.mark.parametrize("change", [scrambled, matched])
def test_controls_keep_sizes_and_lose_what_was_learned(kind, change):
    model = kind.build("source", 0)
    names = set(select(model, kind.core))
    twin = change(model, kind.core, seed=3)
    for name, array in model.parameters.items():
        other = twin.parameters[name]
        assert (other.shape, other.dtype) == (array.shape, array.dtype)
        if name not in names:
            np.testing.assert_array_equal(other, array)
        elif np.ptp(array):
            assert array.size < 9 or not np.array_equal(other, array)
            np.testing.assert_allclose(np.linalg.norm(other), np.linalg.norm(array), rtol=1e-5)


def test_a_comparison_runs_with_every_arm_and_goes_by_the_scores_direction(kind, tmp_path):
    study = study_of(kind)
    rates = discriminative_rates(study.build(0), 1e-2)
    arms = (
        *ARMS, Arm("scrambled core", "scrambled"), Arm("matched core", "matched"),
        Arm("discriminative rates", "trained", plan=Plan(rates=rates)),
    )  # fmt: skip
    found = compare(study, sizes=[16], seeds=2, arms=arms, keep=tmp_path / "kept")
    assert found.metric == kind.score.metric
    sign = 1 if kind.score.higher_is_better else -1
    for difference in found.differences:
        gains = sign * (found.scores(difference.arm, 16) - found.scores("scratch", 16))
        np.testing.assert_array_equal(difference.gains, gains)
    again = compare(study_of(kind), sizes=[16], seeds=2, arms=arms, keep=tmp_path / "kept", resume=True)
    assert again.runs == found.runs


@pytest.mark.parametrize(("higher", "verdict"), [(True, "positive"), (False, "NEGATIVE TRANSFER")])
def test_the_alarm_goes_by_the_direction(higher, verdict):
    """What is copied makes the first bias large, and the score is how large it is."""
    kind = KINDS["regressor"]
    study = study_of(kind)
    scored = Score("size", _size, higher_is_better=higher)
    target = TargetTask(study.target.build, study.target.batches, scored)
    found = compare(
        TaskStudy(SourceTask(_large, study.source.batches), target, core="rnn.*", budget=BUDGET), sizes=[16], seeds=4,
        arms=[Arm("scratch"), Arm("fine-tuned", "trained"), Arm("scrambled", "scrambled")],
    )  # fmt: skip
    assert found.difference("fine-tuned", 16).verdict == verdict
    assert found.difference("scrambled", 16).verdict == ("positive" if higher else "negative")


def _large(seed):
    model = KINDS["regressor"].build("source", seed)
    model.parameters["rnn.bias_ih_l0"][...] += 5 + seed
    return model


def _size(model):
    return float(np.abs(model.parameters["rnn.bias_ih_l0"]).mean())


def test_methods_that_want_classes_say_so_and_the_others_run():
    study = study_of(KINDS["tagger"])
    arms, unsuited = arms_for(study)
    names = {arm.name for arm in arms}
    assert {"fine-tuned", "gradual unfreezing", "anchored", "low-rank map", "scratch", "scrambled core"} <= names
    assert {"SVM", "CORAL", "Reptile", "TrAdaBoost"} <= {method.name for method in unsuited}
    assert all(method.reason for method in unsuited)
    some = [arm for arm in arms if arm.name in ("anchored", "low-rank map", "gradual unfreezing", "scratch")]
    assert len(compare(study, sizes=[16], seeds=2, arms=some).runs) == 8


# From one kind of model to another


def test_a_language_model_into_a_tagger_word_by_word():
    source: Any = LanguageModel(4, 3, cell="gru", seed=0)
    target: Any = SequenceTagger(2, 3, vocab_size=5, cell="gru", bidirectional=False, crf=True, seed=1)
    words = (["a", "b", "c", "d"], ["d", "x", "a", "b", "c"])
    copy_parameters(source, target, include=("embedding.*", "rnn.*"), vocabulary=words)
    theirs, ours = source.parameters["embedding.weight"], target.parameters["embedding.weight"]
    np.testing.assert_array_equal(ours[[0, 2, 3, 4]], theirs[[3, 0, 1, 2]])
    np.testing.assert_allclose(ours[1], theirs.mean(axis=0), rtol=1e-6)
    x = np.array([[0, 1, 2]])
    np.testing.assert_array_equal(source.rnn(source.embedding(x))[0], target.rnn(source.embedding(x))[0])


def test_an_encoder_into_a_classifier_and_back_computes_the_same_states():
    options = {"vocab_size": V, "bidirectional": True, "cell": "lstm", "num_layers": 2}
    writer, classifier = Seq2Seq(V, 4, seed=0, **options), SequenceClassifier(3, 4, seed=1, **options)
    x = np.array([[1, 2, 3, 4], [2, 5, 0, 0]])
    lengths = np.array([4, 2])

    def states(model):
        return model.rnn(model.embedding(x), None, lengths)[0]

    copy_parameters(writer, classifier, include=("embedding.*", "rnn.*"))
    np.testing.assert_array_equal(states(writer), states(classifier))
    other = Seq2Seq(V, 4, seed=5, **options)
    decoder = other.parameters["decoder.weight_hh_l0"].copy()
    copy_parameters(classifier, other, include=("embedding.*", "rnn.*"))
    np.testing.assert_array_equal(states(other), states(writer))
    np.testing.assert_array_equal(other.parameters["decoder.weight_hh_l0"], decoder)


def test_two_language_models_become_the_two_directions_of_a_tagger():
    both = BidirectionalLanguageModel(V, 4, num_layers=1, cell="gru", seed=0)
    tagger = SequenceTagger(3, 4, vocab_size=V, cell="gru", bidirectional=True, seed=1)
    rename = {"forward.*_l0": "rnn.*_l0", "backward.*_l0": "rnn.*_l0_reverse"}
    copy_parameters(both, tagger, include=("embedding.*", "rnn.*"), rename=rename)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        np.testing.assert_array_equal(tagger.parameters[f"rnn.{name}_l0"], both.parameters[f"forward.{name}_l0"])
        np.testing.assert_array_equal(
            tagger.parameters[f"rnn.{name}_l0_reverse"], both.parameters[f"backward.{name}_l0"]
        )


def test_convolutions_under_a_new_head_and_under_a_core():
    source = ConvClassifier(3, (1, 6, 6), channels=(2, 3), seed=0)
    target = ConvClassifier(5, (1, 6, 6), channels=(2, 3), seed=1)
    report = copy_parameters(source, target, exclude="head")
    assert [row.name for row in report.rows if row.taken] == [name for name in target.parameters if name[:4] == "conv"]
    with pytest.raises(ValueError, match=r"head.weight.*on_mismatch"):
        copy_parameters(source, target)


def test_a_texts_recurrence_into_a_forecaster():
    forecaster = KINDS["forecaster"].build("target", 0)
    source = LanguageModel(V, 4, cell="gru", seed=1)
    copy_recurrent(source, forecaster)
    name = "rnn.weight_hh_l0"
    np.testing.assert_array_equal(forecaster.parameters[name], source.parameters[name])


def test_from_a_tagger_of_one_language_to_another_by_a_study():
    words = (list("uvwxyz"), list("zyxwvu"))
    study = study_of(KINDS["tagger, chain"], vocabulary=words)
    source, target = study.build_source(0), study.build(0)
    study.copy(source, target)
    np.testing.assert_array_equal(
        target.parameters["embedding.weight"][::-1], source.parameters["embedding.weight"]
    )


# What a study refuses


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda s: TaskStudy(s.target, s.target), TypeError, "TaskStudy: source must be a SourceTask, got TargetTask"),
        (lambda s: TaskStudy(s.source, s.source), TypeError, "TaskStudy: target must be a TargetTask, got SourceTask"),
        (lambda s: TaskStudy(s.source, s.target, core="encoder.*"), ValueError, "core must be what source and target"),
        (lambda s: TaskStudy(s.source, s.target, core="*"), ValueError, "head.weight"),
        (lambda s: Score(3, len), TypeError, "Score: metric must be a string, got 3"),
        (lambda s: Score("F1", 3), TypeError, "Score: of must be a function of a model, got 3"),
        (lambda s: Score("F1", len, higher_is_better="no"), TypeError, "higher_is_better must be True or False"),
        (lambda s: share_right(sums(0)).of(KINDS["regressor"].build("source", 0)), ValueError, "right or wrong"),
    ],
)
def test_what_is_not_as_required_is_said_before_anything_trains(change, error, text):
    with pytest.raises(error, match=text.replace("*", r"\*").replace("(", r"\(")):
        change(study_of(KINDS["tagger"]))


def test_a_source_without_labels_to_shuffle_leaves_that_control_out():
    study = study_of(KINDS["tagger"])
    source = SourceTask(study.source.build, study.source.batches, shuffles=False)
    lone = TaskStudy(source, study.target, core=study.core, budget=BUDGET)
    with pytest.raises(ValueError, match="'shuffled labels': the source has no labels to shuffle; leave it out"):
        compare(lone, sizes=[16], seeds=2)


def test_validation_chooses_what_a_run_ends_with():
    kind = KINDS["tagger"]
    study = study_of(kind)
    target = TargetTask(study.target.build, study.target.batches, kind.score, validation=tagged(8, 4))
    found = [compare(s, sizes=[16], seeds=1, arms=[Arm("scratch")]).runs[0].score
             for s in (study, TaskStudy(study.source, target, core=study.core, budget=BUDGET))]  # fmt: skip
    assert all(0 <= score <= 100 for score in found)
    assert target.validation is not None
