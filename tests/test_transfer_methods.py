"""Every method as an arm of one comparison: what each begins with, what it ends with, and what it can't be used on."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.data import Tokenizer
from transfer import ARMS, Arm, Plan, Study, compare, copy_parameters
from transfer.alignment import coral, subspace_alignment
from transfer.arms import Start
from transfer.catalogue import METHODS, arms_for
from transfer.classification import ClassificationStudy, Text
from transfer.data_study import Budget
from transfer.feature_methods import Aligned, Boosted, Features, Voting, features_of, set_head
from transfer.labelled import Labelled
from transfer.methods import Apart, ChosenStrength, Mapped, Together
from transfer.pretraining import MetaLearned, Weighted

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

    study = Looking(labelled(0), labelled(1), labelled(2), {"hidden_size": 6}, replace(BUDGET, rate=0.3))
    model = study.build(0)
    study.train(model, Plan(), 12, 0)

    def loss(m):
        e = m.evaluate(study.test.batches(64).batch(0, 0))
        return e.loss / e.count

    end = ClassificationStudy(labelled(0), labelled(1), labelled(2), {"hidden_size": 6}, study.budget)
    last = end.build(0)
    end.train(last, Plan(), 12, 0)
    assert loss(model) <= loss(last)


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
