"""Studies that hand their data over: what is drawn, what is trained by, and which methods suit."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.data import Tokenizer
from rnn_core.data.labelled import Labelled
from rnn_core.training import Cosine
from tests.transfer.study_cases import BUDGET, CLASSES, labelled, start_of, study_of, words
from transfer import (
    ARMS,
    Arm,
    Plan,
    Study,
    compare,
)
from transfer.comparing import data_study
from transfer.comparing.arms import Pretraining
from transfer.comparing.classification import ClassificationStudy, Text
from transfer.comparing.data_study import Budget
from transfer.methods.catalogue import METHODS, arms_for
from transfer.methods.learning import Mapped
from transfer.methods.on_features import Aligned

ADAPTED = (
    "one head", "MMD", "deep CORAL", "domain-adversarial", "conditional adversarial", "class confusion",
    "entropy minimisation", "pseudo-labels",
)  # fmt: skip


@pytest.mark.parametrize(
    ("study", "missing", "reason"),
    [
        (
            study_of(target=labelled(1, classes=("d", "e"))),
            {"TrAdaBoost", "CORAL", "subspace", *ADAPTED},
            "source and target have different classes",
        ),
        (
            study_of(target=labelled(1, features=3)),
            {"source and target", "two clients", "kernel weights", "ratio weights", "TrAdaBoost", "CORAL", "subspace",
             *ADAPTED},
            "source and target have no inputs in common",
        ),
        (
            study_of(words(0), words(1)),
            {"source and target", "two clients", "kernel weights", "ratio weights", "TrAdaBoost", "CORAL", "subspace",
             *ADAPTED},
            "source and target have no inputs in common",
        ),
        (
            study_of(SequenceClassifier(2, 6, input_size=2, cell="gru", seed=0)),
            {"source and target", "two clients", "Reptile", "MAML", "kernel weights", "ratio weights", "TrAdaBoost",
             "CORAL", "subspace", "shuffled labels", *ADAPTED},
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
