"""Each method of a comparison: what it begins with, what it trains, and what it ends with."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnn_core import SequenceClassifier
from rnn_core.data import Repeated
from rnn_core.training import Adam
from tests.transfer.study_cases import BUDGET, CLASSES, labelled, start_of, state, study_of
from transfer import (
    Arm,
    LocalClient,
    Plan,
    average,
    compare,
    copy_parameters,
)
from transfer.comparing.classification import ClassificationStudy
from transfer.comparing.runs import pretrained, trained
from transfer.instances.alignment import coral, subspace_alignment
from transfer.methods import learning, pretraining
from transfer.methods.catalogue import METHODS, arms_for
from transfer.methods.learning import Apart, ChosenStrength, Mapped, Together
from transfer.methods.on_features import Aligned, Boosted, Features, Voting, features_of, set_head
from transfer.methods.pretraining import MetaLearned, Weighted


@pytest.mark.slow
def test_every_method_has_an_arm_that_runs() -> None:
    study = study_of()
    arms, unsuited = arms_for(study)
    assert [arm.name for arm in arms] == list(METHODS)
    assert not unsuited
    comparison = compare(study, sizes=[3, 12], seeds=2, arms=arms)
    assert all(np.isfinite(run.score) and 0 <= run.score <= 100 for run in comparison.runs)
    found = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    told = {arm["name"]: arm for arm in found["protocol"]["arms"]}
    assert told["low-rank map"]["method"] == "Mapped(kind='low rank', rank=4)"
    assert told["recurrent weights"]["carried"] == ["rnn.weight_hh_*"]
    assert told["Reptile"]["source"].startswith("MetaLearned(kind='reptile'")


def test_workers_change_no_bit() -> None:
    study = study_of()
    arms = arms_for(study, ["low-rank map", "kernel weights", "SVM", "domain-adversarial", "pseudo-labels"])[0]
    alone, spread = (compare(study, sizes=[12], seeds=2, arms=arms, workers=n) for n in (1, 2))
    assert [run.score for run in alone.runs] == [run.score for run in spread.runs]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_logistic_regression_is_a_head(classes) -> None:
    data = labelled(0, n=80, classes=CLASSES[:classes], lengths=True)
    model = SequenceClassifier(classes, 6, input_size=2, cell="gru", dtype=np.float64, seed=0)
    data = replace(data, inputs=data.inputs.astype(np.float64))
    rows = features_of(model, data)
    set_head(model, rows, data.targets)
    direct = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows, data.targets)
    np.testing.assert_allclose(model.predict_proba(data.inputs, data.lengths), direct.predict_proba(rows), atol=1e-9)


@pytest.mark.parametrize("align", [lambda s, t: coral(s, t, ridge=1e-2), lambda s, t: subspace_alignment(s, t, 3)])
def test_a_head_makes_the_alignment_too(align) -> None:
    model = SequenceClassifier(3, 6, input_size=2, cell="gru", dtype=np.float64, seed=0)
    there, here = (replace(d, inputs=d.inputs.astype(np.float64)) for d in (labelled(0), labelled(1, shift=0.5)))
    moved = align(features_of(model, there), features_of(model, here))
    rows = moved.source(features_of(model, there))
    set_head(model, rows, there.targets, moved)
    direct = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows, there.targets)
    expected = direct.predict_proba(moved.target(features_of(model, here)))
    np.testing.assert_allclose(model.predict_proba(here.inputs), expected, atol=1e-9)


def test_a_class_without_examples_is_never_predicted() -> None:
    model = SequenceClassifier(3, 6, input_size=2, seed=0)
    data = labelled(0, classes=CLASSES[:2])
    set_head(model, features_of(model, data), 2 * data.targets)  # classes 0 and 2
    assert set(model.predict(labelled(1).inputs)) <= {0, 2}


@pytest.mark.parametrize("method", [Features(), Features("svm"), Features("forest"), Aligned(), Aligned("subspace")])
def test_a_core_that_makes_features_stays(method) -> None:
    study = study_of()
    start = start_of(study)
    before = state(start.model)
    trained = method.train(study, start)
    for name, array in start.model.parameters.items():
        assert name.startswith("head.") or np.array_equal(array, before[name])
    predicted = trained.model.predict(study.test.inputs, None)
    assert predicted.shape == (len(study.test),)
    assert set(predicted) <= {0, 1, 2}


def test_a_map_trains_no_more_than_its_numbers() -> None:
    study = study_of()
    scale = Mapped("scale").train(study, start_of(study)).record["numbers trained"]
    low = Mapped("low rank", 1).train(study, start_of(study)).record["numbers trained"]
    head = 3 * 6 + 3
    assert scale == 4 + head
    assert low == (18 + 2) + (18 + 6) + 2 + head


def test_source_and_target_share_the_core_and_nothing_else() -> None:
    study = study_of()
    start = start_of(study)
    before, source = state(start.model), state(start.source)
    model = Together().train(study, start).model
    assert model is start.model
    assert not any(np.array_equal(array, before[name]) for name, array in model.parameters.items())
    for name, array in start.source.parameters.items():
        np.testing.assert_array_equal(array, source[name])  # one source serves all arms of a seed


def test_two_clients_leave_the_source_as_it_was() -> None:
    study = study_of()
    start = start_of(study)
    source = state(start.source)
    model = Apart(rounds=2).train(study, start).model
    assert model is start.model
    for name, array in start.source.parameters.items():
        np.testing.assert_array_equal(array, source[name])


def test_a_strength_is_chosen_where_there_is_something_to_choose_by() -> None:
    study = study_of()
    enough = ChosenStrength((0.0, 0.1)).train(study, start_of(study, size=30)).record
    assert enough["alpha"] in (0.0, 0.1)
    assert ChosenStrength((0.0, 0.5, 1.0)).train(study, start_of(study, size=3)).record == {"alpha": 0.5}
    free, plain = start_of(study, size=3), start_of(study, size=3)
    ChosenStrength((0.0,), beta=0.0).train(study, free)
    study.train(plain.model, plain.plan, 3, 0)
    for name, array in free.model.parameters.items():
        np.testing.assert_array_equal(array, plain.model.parameters[name])  # strength 0 is plain fine-tuning


def test_boosting_votes_or_says_that_the_source_misleads() -> None:
    study = study_of(budget=replace(BUDGET, target_updates=60))
    good = Boosted(rounds=2).train(study, start_of(study, size=30))
    assert isinstance(good.model, Voting)
    assert all(error < 0.5 for error in good.record["errors"])
    wrong = study_of(replace(study.source, targets=(study.source.targets + 1) % 3), budget=study.budget)
    bad = Boosted(rounds=1).train(wrong, start_of(wrong, size=3))
    assert "refused" in bad.record
    assert isinstance(bad.model, SequenceClassifier)


@pytest.mark.parametrize("way", [Weighted(), Weighted("classifier"), MetaLearned(), MetaLearned("maml")])
def test_another_way_to_pretrain(way) -> None:
    study = study_of()
    first, again, fresh = way.pretrain(study, 0), way.pretrain(study, 0), study.build_source(0)
    for name, array in first.parameters.items():
        np.testing.assert_array_equal(array, again.parameters[name])
    assert not np.array_equal(first.parameters["rnn.weight_hh_l0"], fresh.parameters["rnn.weight_hh_l0"])
    copy_parameters(first, study.build(0), include=study.core)


@pytest.mark.slow
def test_no_arm_looks_at_the_test() -> None:
    here, there = (study_of(test=labelled(seed, shift=seed)) for seed in (5, 6))
    probe = labelled(7)
    for arm in arms_for(here)[0]:
        answers = []
        for study in (here, there):
            source = pretrained(study, 0, [arm]).get(arm.source)
            answers.append(trained(study, arm, 12, 0, source).model.predict(probe.inputs, None))
        assert np.array_equal(*answers), arm.name


def test_two_clients_are_those_of_the_page() -> None:
    study = study_of(budget=replace(BUDGET, target_updates=9))
    start, by_hand = start_of(study), start_of(study)
    Apart(rounds=2).train(study, start)
    there = study.build_source(0)
    there.load_state_dict(by_hand.source.state_dict())
    slow = Plan(rates=dict.fromkeys([n for n in there.parameters if n.startswith("rnn.")], BUDGET.core_rate))
    away, home = (
        LocalClient(model, Repeated(data, 3), optimizer=Adam(BUDGET.rate), core=study.core, plan=slow)
        for model, data in ((there, study.source_data(0)), (by_hand.model, study.target_data(12, 0)))
    )
    core = home.get()
    for _ in range(2):
        updates = [away.fit(core), home.fit(core)]
        core = average([u.arrays for u in updates], [u.count for u in updates])
    home.fit(core)
    for name, array in start.model.parameters.items():
        np.testing.assert_array_equal(array, by_hand.model.parameters[name])


def test_methods_obey_the_plan_of_their_arm() -> None:
    study = study_of()
    for method in (Together(), Boosted(rounds=1), Apart(rounds=1)):
        start = start_of(study)._replace(plan=Plan(frozen="rnn.weight_hh_*", decays={"head": 0.1}))
        before = start.model.parameters["rnn.weight_hh_l0"].copy()
        fitted = method.train(study, start).model
        models = [learner.trained for learner in fitted.boost.learners] if isinstance(fitted, Voting) else [fitted]
        for model in models if not isinstance(method, Apart) else ():  # an average comes from the other client as well
            np.testing.assert_array_equal(model.parameters["rnn.weight_hh_l0"], before)


def test_a_strength_is_chosen_by_examples_that_had_no_part_in_it(monkeypatch) -> None:
    study, seen = study_of(), []
    real = learning.choose_strength

    def spy(model, train, validation, **options):
        seen.append((train.data.inputs, validation.inputs))
        return real(model, train, validation, **options)

    monkeypatch.setattr(learning, "choose_strength", spy)
    start = start_of(study, size=30)
    home = state(start.model)
    ChosenStrength((1e4,), beta=0.0).train(study, start._replace(plan=Plan()))
    ((rows, held_out),) = seen
    assert len(rows) + len(held_out) == 30
    assert not {row.tobytes() for row in rows} & {row.tobytes() for row in held_out}
    free, plain = start_of(study, size=30), start_of(study, size=30)
    ChosenStrength((0.0,), beta=0.0).train(study, free)
    study.train(plain.model, plain.plan, 30, 0)
    for name, array in free.model.parameters.items():  # after the choice it begins anew, on all examples
        np.testing.assert_array_equal(array, plain.model.parameters[name])
    moved = {name: abs(start.model.parameters[name] - home[name]).max() for name in home}
    loose = {name: abs(plain.model.parameters[name] - home[name]).max() for name in home}
    assert moved["rnn.weight_hh_l0"] != loose["rnn.weight_hh_l0"]


def test_weights_decide_what_is_read(monkeypatch) -> None:
    study, read = study_of(), []
    chosen = np.zeros(60)
    chosen[[7, 11]] = 30
    monkeypatch.setattr(pretraining, "kernel_mean_matching", lambda there, here: chosen)
    real = ClassificationStudy.batches

    def spy(self, source, *options):
        read.append(source.inputs)
        return real(self, source, *options)

    monkeypatch.setattr(ClassificationStudy, "batches", spy)
    Weighted().pretrain(study, 0)
    assert {row.tobytes() for row in read[-1]} == {study.source.inputs[k].tobytes() for k in (7, 11)}


def test_labels_of_the_target_count_where_features_are_aligned() -> None:
    heads = []
    for turned in (False, True):
        study = study_of()
        if turned:
            study = study_of(target=replace(study.target, targets=(study.target.targets + 1) % 3), test=study.test)
        start = start_of(study, size=30)
        heads.append(Aligned().train(study, start).model.parameters["head.weight"].copy())
    assert not np.allclose(*heads)


def test_tasks_deal_the_classes_anew() -> None:
    study = study_of()
    draw = pretraining._dealing(study, steps=2, shots=3)
    names: dict[bytes, set[int]] = {}
    for seed in range(12):
        task = draw(np.random.default_rng(seed))
        assert len(task.support) == 2
        for batch in (*task.support, task.query):
            assert np.bincount(batch.targets).tolist() == [3, 3, 3]
            for row, target in zip(batch.inputs, batch.targets, strict=True):
                names.setdefault(row.tobytes(), set()).add(int(target))
    assert max(map(len, names.values())) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Features("svc"), "Features: classifier must be one of 'logistic', 'svm', 'forest', got 'svc'"),
        (lambda: Aligned("CORAL"), "Aligned: kind must be one of 'coral', 'subspace', got 'CORAL'"),
        (lambda: Weighted("kmm"), "Weighted: kind must be one of 'kernel', 'classifier', got 'kmm'"),
        (lambda: MetaLearned("Reptile"), "MetaLearned: kind must be one of 'reptile', 'maml', got 'Reptile'"),
        (lambda: Mapped("lowrank"), "Mapped: kind must be one of 'scale', 'low rank', 'two-sided', got 'lowrank'"),
        (lambda: Mapped(rank=0), "Mapped: rank must be at least 1, got 0"),
        (lambda: Apart(-1), "Apart: rounds must be at least 1, got -1"),
        (lambda: Boosted(0), "Boosted: rounds must be at least 1, got 0"),
        (lambda: MetaLearned(steps=0), "MetaLearned: steps must be at least 1, got 0"),
        (lambda: ChosenStrength(()), "ChosenStrength: alphas must be at least one strength, got none"),
        (lambda: Arm("few", carried="rnn.*"), "Arm: carried must be left out without a source"),
    ],
)
def test_a_method_that_is_none(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()
