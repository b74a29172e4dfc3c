"""Every method as an arm of one comparison: what each begins with, what it ends with, and what it can't be used on."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.data import Repeated, Tokenizer
from rnn_core.training import Adam, Cosine
from transfer import (
    ARMS,
    Arm,
    LocalClient,
    Plan,
    Study,
    average,
    compare,
    copy_parameters,
    data_study,
    methods,
    pretraining,
)
from transfer.alignment import coral, subspace_alignment
from transfer.arms import Pretraining, Start
from transfer.catalogue import METHODS, arms_for
from transfer.classification import ClassificationStudy, Text
from transfer.data_study import Budget
from transfer.feature_methods import Aligned, Boosted, Features, Voting, features_of, set_head
from transfer.labelled import Labelled
from transfer.methods import Apart, ChosenStrength, Mapped, Together
from transfer.pretraining import MetaLearned, Weighted
from transfer.runs import pretrained, trained

BUDGET = Budget(source_updates=6, target_updates=6, batch_size=8)
CLASSES = ("a", "b", "c")


def labelled(seed, n=60, classes=CLASSES, steps=5, features=2, shift=0.0, lengths=False):
    """Sequences whose class is which third of the numbers their mean falls into."""
    rng = np.random.default_rng(seed)
    x = (shift + rng.standard_normal((n, steps, features))).astype(np.float32)
    y = np.digitize(x.mean(axis=(1, 2)) - shift, np.linspace(-0.2, 0.2, len(classes) - 1))
    y[: len(classes)] = np.arange(len(classes))  # none is left out
    return Labelled(x, y, classes, rng.integers(2, steps + 1, n) if lengths else None)


def words(seed, n=40, classes=("no", "yes")):
    """Rows of letters, with a vocabulary of their own."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("abcde"), 6)) for _ in range(n)]
    tokens = Tokenizer("char").fit(texts)
    y = np.array([text.count("a") > 1 for text in texts], np.int64)
    y[:2] = 0, 1
    return Labelled(np.stack(tokens.encode_all(texts)), y, classes, tokens=tokens)


def study_of(source=None, target=None, test=None, **options):
    """A study of two domains with the same classes."""
    source = labelled(0) if source is None else source
    target = labelled(1, shift=0.3) if target is None else target
    test = target if test is None else test
    network = {"hidden_size": 6, "cell": "gru"}
    return ClassificationStudy(source, target, test, network, **{"budget": BUDGET, **options})


def start_of(study, arm="fine-tuned", size=12, seed=0):
    """What a method begins with in the arm of that name."""
    (found,) = (a for a in arms_for(study)[0] if a.name == arm)
    source = study.pretrain(seed, False)
    return Start(source, found.begin(study, source, seed), found.plan_for(study.core), size, seed)


def state(model):
    return {name: array.copy() for name, array in model.parameters.items()}


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
    arms = arms_for(study, ["low-rank map", "kernel weights", "SVM"])[0]
    alone, spread = (compare(study, sizes=[12], seeds=2, arms=arms, workers=n) for n in (1, 2))
    assert [run.score for run in alone.runs] == [run.score for run in spread.runs]


@pytest.mark.parametrize(
    ("study", "missing", "reason"),
    [
        (
            study_of(target=labelled(1, classes=("d", "e"))),
            {"TrAdaBoost", "CORAL", "subspace"},
            "source and target have different classes",
        ),
        (
            study_of(target=labelled(1, features=3)),
            {"source and target", "two clients", "kernel weights", "ratio weights", "TrAdaBoost", "CORAL", "subspace"},
            "source and target have no inputs in common",
        ),
        (
            study_of(words(0), words(1)),
            {"source and target", "two clients", "kernel weights", "ratio weights", "TrAdaBoost", "CORAL", "subspace"},
            "source and target have no inputs in common",
        ),
        (
            study_of(SequenceClassifier(2, 6, input_size=2, cell="gru", seed=0)),
            {"source and target", "two clients", "Reptile", "MAML", "kernel weights", "ratio weights", "TrAdaBoost",
             "CORAL", "subspace", "shuffled labels"},
            "",
        ),
    ],
    ids=["other classes", "other features", "other words", "a model"],
)  # fmt: skip
def test_what_does_not_suit_is_left_out_and_told(study, missing, reason) -> None:
    arms, unsuited = arms_for(study)
    if study.core == ("rnn.weight_hh_*",):
        *unsuited, twice = sorted(unsuited, key=lambda method: method.name == "recurrent weights")
        assert twice.reason == "it is all that carries over here, so that this is fine-tuning"
        arms = (*arms, Arm(twice.name))
    assert {method.name for method in unsuited} == missing
    assert not reason or {method.reason for method in unsuited} == {reason}
    assert {arm.name for arm in arms} == set(METHODS) - missing
    name = sorted(missing)[0]
    with pytest.raises(ValueError, match=f"arms_for: '{name}' can't be used here: "):
        arms_for(study, [name])


def test_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"arms_for: names must be methods, got 'fine tuned'; did you mean 'fine-tun"):
        arms_for(study_of(), ["fine tuned"])
    assert [arm.name for arm in arms_for(study_of(), ["CORAL"])[0]] == ["CORAL", "scratch"]


def test_arms_that_the_study_cannot_run_are_refused_before_anything_is_trained() -> None:
    class Plain(Study):
        def pretrain(self, seed, shuffled):
            raise AssertionError

        def build(self, seed):
            return SequenceClassifier(2, 4, input_size=2, seed=seed)

        def train(self, model, plan, size, seed):
            raise AssertionError

        def score(self, model):
            raise AssertionError

    arms = (Arm("scratch"), Arm("map", "trained", method=Mapped()))
    with pytest.raises(TypeError, match="compare: study must be a DataStudy for the arm 'map', got Plain"):
        compare(Plain(), sizes=[3], seeds=1, arms=arms)
    other = study_of(target=labelled(1, features=3))
    with pytest.raises(ValueError, match="arms must suit the study, got 'CORAL': source and target have no inputs"):
        compare(other, sizes=[3], seeds=1, arms=(Arm("scratch"), Arm("CORAL", "trained", method=Aligned())))
    with pytest.raises(TypeError, match="Arm: method must be a Method or None, got 'map'"):
        Arm("map", method="map")
    with pytest.raises(TypeError, match="Arm: source must be a word, a Pretraining or None, got 1"):
        Arm("map", 1)


def test_what_carries_over() -> None:
    study = study_of()
    source = study.pretrain(0, False)
    fresh = study.build(0)
    few = Arm("few", "trained", carried="rnn.weight_hh_*")
    for arm, carried in ((Arm("all", "trained"), "rnn."), (few, "rnn.weight_hh_")):
        model = arm.begin(study, source, 0)
        for name, array in model.parameters.items():
            origin = source if name.startswith(carried) else fresh
            np.testing.assert_array_equal(array, origin.parameters[name])


def test_words_go_by_token_and_a_text_is_a_source_too() -> None:
    target = words(1)
    prose = "a bad cab, a dead bee, an added bead. " * 20
    tokens = Tokenizer("char", padding=False).fit(prose)
    study = study_of(Text(tokens.encode(prose), tokens), target)
    source = study.pretrain(0, False)
    assert isinstance(source, LanguageModel)
    model = Arm("all", "trained").begin(study, source, 0)
    for letter in "abcd":
        np.testing.assert_array_equal(
            model.parameters["embedding.weight"][target.tokens.index[letter]],
            source.parameters["embedding.weight"][tokens.index[letter]],
        )
    shuffled = study.pretrain(0, True)
    assert not np.array_equal(shuffled.parameters["rnn.weight_hh_l0"], source.parameters["rnn.weight_hh_l0"])
    assert "Reptile" in {method.name for method in arms_for(study)[1]}


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


def test_a_study_with_validation_data_keeps_the_best_of_its_looks() -> None:
    class Looking(ClassificationStudy):
        looks = 3

        def validation(self):
            return self.test.batches(64)

    wrong = replace(labelled(2), targets=(labelled(2).targets + 1) % 3)  # the longer one trains, the worse it is
    study = Looking(labelled(0), labelled(1), wrong, {"hidden_size": 6}, replace(BUDGET, target_updates=30))
    model = study.build(0)
    study.train(model, Plan(), 12, 0)

    def loss(m):
        e = m.evaluate(study.test.batches(64).batch(0, 0))
        return e.loss / e.count

    end = ClassificationStudy(labelled(0), labelled(1), wrong, {"hidden_size": 6}, study.budget)
    last = end.build(0)
    end.train(last, Plan(), 12, 0)
    assert loss(model) < loss(last)


@pytest.fixture
def trainings(monkeypatch):
    """What `fit` and `fit_plan` are asked for by a study."""
    found = []

    def spy(kind):
        real = getattr(data_study, kind)

        def run(model, data, *plan, **options):
            found.append({"how": kind, "data": data, "plan": plan[0] if plan else None, **options})
            return real(model, data, *plan, **options)

        monkeypatch.setattr(data_study, kind, run)

    spy("fit")
    spy("fit_plan")
    return found


def test_the_budget_is_what_is_trained_by(trainings) -> None:
    budget = Budget(
        source_updates=7, target_updates=11, source_rate=0.02, rate=0.03, core_rate=0.004, clip_norm=0.5, batch_size=8
    )

    class Looking(ClassificationStudy):
        looks = 3

        def validation(self):
            return self.target.batches(64)

    study = Looking(labelled(0), labelled(1), labelled(2), {"hidden_size": 6}, budget)
    start = start_of(study)
    study.train(start.model, start.plan, 12, 0)
    Mapped("two-sided").train(study, start_of(study))
    source, target, _, mapped = trainings
    assert [t["how"] for t in trainings] == ["fit", "fit_plan", "fit", "fit"]
    assert [len(t["data"]) * t["epochs"] for t in trainings] == [7, 9, 7, 9]  # 11 in three looks of three
    assert [t["optimizer"].lr for t in (source, target, mapped)] == [0.02, 0.03, 0.03]
    assert all(t["clip_norm"] == 0.5 for t in trainings)
    assert [t["validation"] is None for t in trainings] == [True, False, True, False]
    assert source["schedule"](7) == 0
    assert mapped["schedule"](9) == 0
    assert target["plan"].schedule is Cosine
    core = [name for name in start.model.parameters if name.startswith("rnn.")]
    assert dict(target["plan"].rates) == dict.fromkeys(core, 0.004)
    slow = set(mapped["updates"].rates)
    assert slow == {f"rnn.weight_{side}_l0.{letter}" for side in ("ih", "hh") for letter in "AB"}
    assert set(mapped["updates"].rates.values()) == {0.004}
    assert source["seed"] != target["seed"]  # so that source and target have other dropout masks


def test_the_arms_are_what_their_lines_say() -> None:
    study = study_of(budget=replace(BUDGET, target_updates=12))
    arms = {arm.name: arm for arm in arms_for(study)[0]}
    assert {name for name, arm in arms.items() if arm.frozen_core} == {"frozen core", "random core"}
    assert {name for name, arm in arms.items() if arm.source is None} == {"scratch", "random core", "random features"}
    words = {"shuffled labels": "shuffled", "scrambled core": "scrambled", "matched core": "matched"}
    for name, arm in arms.items():
        if isinstance(arm.source, str):
            assert arm.source == words.get(name, "trained")
    assert {name for name, arm in arms.items() if METHODS[name].startswith("control")} == {
        "random core", "random features", *words,
    }  # fmt: skip
    assert set(arms["anchored"].plan.anchors.values()) == {0.01}
    assert dict(arms["anchored"].plan.decays) == {"head": 0.001}
    assert arms["gradual unfreezing"].plan.unfreezing.steps == 3
    falling = arms["discriminative rates"].plan.rates
    assert falling["head"] == BUDGET.rate > falling["rnn.l0"]
    assert not arms["one rate"].plan.rates
    assert set(arms["fine-tuned"].plan.rates.values()) == {BUDGET.core_rate}


def test_seeds_and_labels_are_drawn_apart() -> None:
    study = study_of()
    same = "rnn.weight_hh_l0"
    assert not np.array_equal(study.build(0).parameters[same], study.build_source(0).parameters[same])
    assert not np.array_equal(study.examples(12, 0).inputs, study.examples(12, 1).inputs)
    plain, shuffled = (study.source_data(0, kind) for kind in (False, True))
    np.testing.assert_array_equal(plain.inputs, shuffled.inputs)
    assert not np.array_equal(plain.targets, shuffled.targets)
    assert sorted(plain.targets) == sorted(shuffled.targets)
    ties = {tuple(replace(study.target, targets=np.arange(60) % 3).draw(4, seed).counts) for seed in range(20)}
    assert len(ties) == 3  # which of three equal classes has one more is a matter of the seed


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
    real = methods.choose_strength

    def spy(model, train, validation, **options):
        seen.append((train.data.inputs, validation.inputs))
        return real(model, train, validation, **options)

    monkeypatch.setattr(methods, "choose_strength", spy)
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


def test_a_source_whose_fields_cannot_be_compared() -> None:
    @dataclass(frozen=True)
    class Listed(Pretraining):
        rates: list[float]

        def pretrain(self, study, seed):
            raise AssertionError

    with pytest.raises(TypeError, match="Arm: source must have fields that can be hashed, got .*Listed"):
        Arm("listed", Listed([0.1]))


def test_budgets_and_sides_that_are_too_small_are_told() -> None:
    short = study_of(budget=replace(BUDGET, target_updates=1))
    reasons = {method.name: method.reason for method in arms_for(short)[1]}
    assert reasons["gradual unfreezing"] == "there are 1 updates for 2 stages"
    small = study_of(target=labelled(1, n=8))
    reasons = {method.name: method.reason for method in arms_for(small)[1]}
    assert reasons["ratio weights"] == "8 examples are too few to tell the sides apart"
    with pytest.raises(ValueError, match="Labelled.draw: size must be at least 3"):
        compare(study_of(), sizes=[12, 1000], seeds=1, arms=(Arm("scratch"),))


def test_every_row_of_the_test_counts() -> None:
    data = labelled(0, n=1100)

    class Half:
        def predict(self, inputs, lengths=None):
            return np.where(np.arange(len(inputs)) % 2, 0, 1)

    data = replace(data, targets=np.concatenate([np.arange(3), np.zeros(1097, int)]))
    said = np.concatenate([Half().predict(data.inputs[k : k + 512]) for k in (0, 512, 1024)])
    assert study_of(data, data).score(Half()) == 100 * np.mean(said == data.targets)


def test_a_balanced_score_counts_classes_alike() -> None:
    data = labelled(0, classes=("a", "b"), n=12)
    data = replace(data, targets=np.array([0] * 9 + [1] * 3))

    class Always:
        def predict(self, inputs, lengths=None):
            return np.zeros(len(inputs), np.int64)

    assert study_of(data, data).score(Always()) == 75
    assert study_of(data, data, balanced=True).score(Always()) == 50


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=5), data=st.data())
def test_every_class_has_its_share_of_what_is_drawn(counts, data) -> None:
    n = sum(counts)
    size = data.draw(st.integers(len(counts), n))
    names = tuple(map(str, range(len(counts))))
    whole = Labelled(np.arange(n)[:, None], np.repeat(np.arange(len(counts)), counts), names)
    drawn = whole.draw(size, 0)
    assert len(drawn) == size
    assert len(np.unique(drawn.inputs)) == size
    assert drawn.counts.min() >= 1
    exact = np.array(counts) * size / n
    assert (drawn.counts <= np.maximum(np.ceil(exact), 1)).all()
    np.testing.assert_array_equal(drawn.inputs, whole.draw(size, 0).inputs)
    if size < n:
        part, rest = whole.split(size, 0)
        np.testing.assert_array_equal(part.inputs, drawn.inputs)
        assert sorted([*part.inputs[:, 0], *rest.inputs[:, 0]]) == list(range(n))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: labelled(0).draw(2, 0), ValueError, "Labelled.draw: size must be at least 3, one example for each"),
        (lambda: labelled(0).draw(61, 0), ValueError, "and at most 60, which is all there are, got 61"),
        (lambda: labelled(0).split(60, 0), ValueError, "Labelled.split: size must leave a rest"),
        (
            lambda: replace(labelled(0), classes=(*CLASSES, "d")).draw(9, 0),
            ValueError,
            "every class must have an example, got none of d",
        ),
        (lambda: replace(labelled(0), targets=np.zeros(3, int)), ValueError, r"targets must have shape \(60,\)"),
        (lambda: replace(labelled(0), targets=np.zeros(60)), TypeError, "targets must be integers"),
        (lambda: replace(labelled(0), classes=("a",)), ValueError, r"targets must be in 0…0, as there are 1 classes"),
        (lambda: replace(labelled(0), inputs=np.zeros(60)), ValueError, r"inputs must have shape \(N, T, I\)"),
        (lambda: Budget(rate=0), ValueError, "Budget: rate must be above 0 and finite, got 0"),
        (lambda: Budget(rate="1"), TypeError, "Budget: rate must be a number, got '1'"),
        (lambda: Budget(target_updates=0), ValueError, "Budget: target_updates must be at least 1, got 0"),
        (lambda: replace(labelled(0), classes=("a", "a", "b")), ValueError, "classes must have different names"),
        (lambda: replace(labelled(0), inputs=np.zeros((60, 4))), TypeError, r"has shape \(N, T, 1\)"),
        (lambda: replace(labelled(0), inputs=np.full((60, 4), -1)), ValueError, "tokens of at least 0, got -1"),
        (lambda: replace(labelled(0), inputs=np.full((60, 4, 1), np.nan)), ValueError, "inputs must be finite"),
        (lambda: study_of(1), TypeError, "source must be Labelled or Text or Model, got int"),
        (lambda: study_of(target=labelled(1, classes=("a",))), ValueError, "target must have two classes or more"),
        (lambda: study_of(words(0), words(1), words(2)), ValueError, "test must have the target's tokens"),
        (
            lambda: study_of(target=replace(labelled(1), inputs=labelled(1).inputs.astype(float))),
            TypeError,
            "target must have features of the network's dtype, float32, got float64",
        ),
        (
            lambda: study_of(LanguageModel(9, 6, cell="lstm", seed=0), words(1)),
            ValueError,
            "ClassificationStudy: source and network must fit: ",
        ),
        (
            lambda: ClassificationStudy(labelled(0), labelled(1), labelled(1), {"seed": 1}),
            ValueError,
            "network must leave seed to the study",
        ),
        (lambda: study_of(test=labelled(1, features=3)), ValueError, "test must have the target's features and cl"),
        (lambda: arms_for(ARMS), TypeError, "arms_for: study must be a DataStudy, got tuple"),
    ],
)  # fmt: skip
def test_bad_data(make, kind, message) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_a_study_can_be_sent_to_a_process() -> None:
    study = pickle.loads(pickle.dumps(study_of(words(0), words(1))))
    assert study.core == ("embedding.*", "rnn.*")
