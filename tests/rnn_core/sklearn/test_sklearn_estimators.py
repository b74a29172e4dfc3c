"""What scikit-learn's checks leave open: forms of X, weights, runs that go on, early stopping, pipelines, searches."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_random_state

from rnn_core.sklearn import RNNClassifier, RNNRegressor, RNNTagger
from rnn_core.training import SGD, Callback

QUICK = {"cell": "rnn", "hidden_size": 6, "backend": "numpy", "learning_rate": 0.02, "max_iter": 8, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def cases(N=30, T=5, I=2, seed=0):
    """Return sequences, whether the first feature's sum is above 0, and that sum."""
    X = np.random.default_rng(seed).normal(size=(N, T, I))
    sums = X[:, :, 0].sum(axis=1)
    return X, np.where(sums > 0, "up", "down"), sums


def unequal(X):
    """Return sequences of unequal lengths, cut out of an array."""
    return [row[: 1 + k % row.shape[0]] for k, row in enumerate(X)]


def test_scikit_learn_is_not_imported_before_it_is_wanted():
    code = "import sys, rnn_core; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_channels_first_is_the_same_array_turned():
    X, y, _ = cases()
    last = RNNClassifier(**QUICK).fit(X, y).predict_proba(X)
    first = RNNClassifier(**QUICK, layout="channels_first").fit(X.swapaxes(1, 2), y)
    np.testing.assert_array_equal(first.predict_proba(X.swapaxes(1, 2)), last)
    np.testing.assert_array_equal(first.predict_proba([row.T for row in X]), last)
    assert first.n_features_in_ == 2


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_a_list_of_equal_lengths_says_what_the_array_says(kind):
    X, words, sums = cases()
    y = words if kind is RNNClassifier else sums
    model = kind(**QUICK, dtype="float64").fit(X, y)
    other = kind(**QUICK, dtype="float64").fit(list(X), y)
    np.testing.assert_allclose(other.model_(X), model.model_(X), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(list(X)), model.predict(X))


def test_what_stands_behind_a_short_sequence_is_not_read():
    """Each sequence alone is answered as among longer ones."""
    X, _, sums = cases(T=6)
    rows = unequal(X)
    model = RNNRegressor(**QUICK, dtype="float64").fit(rows, sums)
    np.testing.assert_allclose(model.predict(rows), [model.predict([row])[0] for row in rows], rtol=1e-9)


def test_two_dimensions_are_series_of_one_feature():
    X, y, _ = cases(I=1)
    flat = RNNClassifier(**QUICK).fit(X[:, :, 0], y)
    assert (flat.n_features_in_, flat.model_.config["input_size"]) == (5, 1)
    np.testing.assert_array_equal(flat.predict_proba(X[:, :, 0]), RNNClassifier(**QUICK).fit(X, y).predict_proba(X))
    assert flat.predict([[0.5, 0.2], [0.1]]).shape == (2,)  # a list may have any lengths
    with pytest.raises(ValueError, match="X has 4 features, but RNNClassifier is expecting 5"):
        flat.predict(X[:, :4, 0])


def test_many_cases_are_answered_in_pieces():
    X, y, _ = cases(N=600)
    model = RNNClassifier(**{**QUICK, "max_iter": 1}, dtype="float64").fit(X, y)
    z = model.model_(model.model_.scaling.apply(X))
    np.testing.assert_allclose(model.decision_function(X), z[:, 1] - z[:, 0], rtol=1e-9)


def test_scaling_is_learned_with_the_weights_and_kept_beside_the_model():
    X, _, sums = cases()
    weights = np.arange(30.0)
    model = RNNRegressor(**QUICK, dtype="float64").fit(X * 100 + 7, sums, sample_weight=weights)
    mean = np.average(X * 100 + 7, axis=0, weights=weights).mean(axis=0)
    np.testing.assert_allclose(model.model_.scaling.mean, mean, rtol=1e-9)
    assert np.isclose(model.model_.target_scaling.mean[0], np.average(sums, weights=weights))
    plain = RNNRegressor(**QUICK, standardize=False).fit(X, sums)
    assert plain.model_.scaling is None


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor, RNNTagger])
def test_a_weight_of_0_is_a_case_that_is_left_out(kind):
    X, words, sums = cases()
    y = {RNNClassifier: words, RNNRegressor: sums, RNNTagger: np.where(X[:, :, 0] > 0, "up", "down")}[kind]
    weights = np.ones(30)
    weights[20:] = 0
    whole, part = kind(**QUICK).fit(X, y, sample_weight=weights), kind(**QUICK).fit(X[:20], y[:20])
    np.testing.assert_array_equal(whole.model_(X.astype(np.float32)), part.model_(X.astype(np.float32)))


@pytest.mark.parametrize("kind", [RNNClassifier, RNNTagger])
def test_class_weights_are_weights_by_the_class(kind):
    X, words, _ = cases()
    step = np.where(X[:, :, 0] > 0, "up", "down")
    y = words if kind is RNNClassifier else step
    options = {**QUICK, "learning_rate": 0.05, "max_iter": 30}
    # In a classifier the class's weight is the case's own; a tagger has one for each step.
    for label in ("up", "down"):
        said = kind(**options, class_weight={label: 1e6}).fit(X, y).predict(X)
        assert np.mean(said == label) > 0.95
    if kind is RNNClassifier:
        by_case = kind(**QUICK, batch_size=50).fit(X, y, sample_weight=np.where(y == "up", 3.0, 1.0))
        by_class = kind(**QUICK, batch_size=50, class_weight={"up": 3.0}).fit(X, y)
        assert by_class.loss_curve_[0] == pytest.approx(by_case.loss_curve_[0], rel=0.05)


def test_two_classes_are_decided_by_one_number():
    X, y, _ = cases()
    model = RNNClassifier(**QUICK).fit(X, y)
    z, p = model.decision_function(X), model.predict_proba(X)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-z)), rtol=1e-5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(X) == "up", z > 0)
    three = np.array(["a", "b", "c"])[np.arange(30) % 3]
    model = RNNClassifier(**QUICK).fit(X, three)
    assert model.decision_function(X).shape == (30, 3)
    np.testing.assert_array_equal(model.predict(X), model.classes_[model.decision_function(X).argmax(axis=1)])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", SGD(0.02, momentum=0.5)])
def test_partial_fits_are_the_epochs_of_one_fit(optimizer):
    """Bit by bit, the optimizer's moments included, where nothing is drawn."""
    X, _, sums = cases()
    options = {**QUICK, "optimizer": optimizer, "shuffle": False, "max_iter": 3}
    whole, parts = RNNRegressor(**options).fit(X, sums), RNNRegressor(**options)
    for _ in range(3):
        parts.partial_fit(X, sums)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == whole.n_iter_ == 3


def test_warm_start_goes_on_and_a_fit_without_it_begins_anew():
    X, y, _ = cases()
    model = RNNClassifier(**QUICK, warm_start=True).fit(X, y)
    first = model.model_
    model.fit(X, y)
    assert model.model_ is first
    assert len(model.loss_curve_) == 16
    assert model.loss_curve_[8] < model.loss_curve_[0]
    with pytest.raises(ValueError, match="y must be of the classes"):
        model.fit(X, np.where(y == "up", "left", "down"))
    model.set_params(warm_start=False).fit(X, y)
    assert len(model.loss_curve_) == 8
    assert model.model_ is not first


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor, RNNTagger])
def test_early_stopping_keeps_the_best_epoch(kind):
    X, words, sums = cases(N=40)
    y = {RNNClassifier: words, RNNRegressor: sums, RNNTagger: np.where(X[:, :, 0] > 0, "up", "down")}[kind]
    options = {**QUICK, "max_iter": 60, "learning_rate": 0.3, "n_iter_no_change": 4}
    model = kind(**options, early_stopping=True, validation_fraction=0.25).fit(X, y)
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ == len(model.loss_curve_)
    assert model.best_validation_score_ == max(scores)
    assert model.best_loss_ is None
    assert model.n_iter_ < 60  # at such a rate nothing gets better for long
    assert scores[-5:] != sorted(scores)[-5:] or max(scores) in scores[:-4]
    with pytest.raises(ValueError, match="early_stopping must be False"):
        model.partial_fit(X, y)


def test_validation_scores_of_numbers_are_those_of_score():
    """R², on what was held out: of an epoch that is the only one, by the estimator itself."""
    X, _, sums = cases()
    model = RNNRegressor(**{**QUICK, "max_iter": 1}, early_stopping=True, validation_fraction=0.5)
    seen = []

    class Held(Callback):
        def begin(self, net, history, step):
            seen.append(net)

    model.set_params(callbacks=[Held()]).fit(X, sums)
    random = check_random_state(0)
    random.randint(2**31 - 1)  # the model's seed comes first
    _, held = train_test_split(np.arange(30), test_size=0.5, random_state=random)
    assert model.validation_scores_[0] == pytest.approx(model.score(X[held], sums[held]), abs=1e-5)
    assert seen == [model.model_]


def test_a_run_that_is_cut_short_warns_and_one_that_has_converged_does_not(recwarn):
    X, y, _ = cases()
    with pytest.warns(ConvergenceWarning, match=r"max_iter=8 epochs are over.*a larger max_iter"):
        RNNClassifier(**QUICK).fit(X, y)
    recwarn.clear()
    model = RNNClassifier(**{**QUICK, "max_iter": 40}, tol=10.0, n_iter_no_change=2).fit(X, y)
    assert model.n_iter_ == 4  # the first epoch is the best, then three that are no better by 10
    assert not recwarn


def test_several_outputs():
    X, _, sums = cases()
    y = np.column_stack([sums, -10 * sums + 100])
    model = RNNRegressor(**{**QUICK, "max_iter": 80}, early_stopping=True).fit(X, y)
    assert model.predict(X).shape == (30, 2)
    assert model.score(X, y) > 0.8
    with pytest.raises(ValueError, match="y must have 2 outputs"):
        model.set_params(early_stopping=False).partial_fit(X, sums)


@pytest.mark.parametrize("crf", [False, True])
def test_a_tagger_answers_in_the_form_in_which_it_is_asked(crf):
    X, _, _ = cases(T=6)
    rows = unequal(X)
    tags = [np.where(row[:, 0] > 0, "up", "down").tolist() for row in rows]
    options = {**QUICK, "learning_rate": 0.05, "max_iter": 40}
    model = RNNTagger(**options, crf=crf).fit(rows, tags)
    assert model.score(rows, tags) > 0.9
    assert [len(said) for said in model.predict(rows)] == [len(row) for row in rows]
    assert model.predict(X).shape == (30, 6)
    p = model.predict_proba(rows)
    assert p[3].shape == (4, 2)
    np.testing.assert_allclose(p[3].sum(axis=1), 1, rtol=1e-5)
    right = sum(np.sum(a == np.array(b)) for a, b in zip(model.predict(rows), tags, strict=True))
    assert model.score(rows, tags) == pytest.approx(right / sum(map(len, rows)))


def test_a_tagger_with_something_held_out_and_unequal_lengths():
    """The longest may be held out, or not: targets have the columns of what is trained on."""
    X, _, _ = cases(T=9, N=12)
    rows = [*X[:11, :3], X[11]]
    tags = [(row[:, 0] > 0).astype(int) for row in rows]
    for seed in range(4):
        options = {**QUICK, "random_state": seed, "max_iter": 2, "class_weight": {1: 2.0}}
        model = RNNTagger(**options, early_stopping=True, validation_fraction=0.3)
        assert len(model.fit(rows, tags, sample_weight=np.arange(12) + 1).validation_scores_) == 2


def test_one_tag_stands_for_a_whole_sequence():
    X, words, _ = cases()
    model = RNNTagger(**QUICK).fit(X, words)
    other = RNNTagger(**QUICK).fit(X, [[word] * 5 for word in words])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


def test_a_search_over_processes_in_a_pipeline():
    X, y, _ = cases(N=24)
    pipeline = make_pipeline(FunctionTransformer(np.tanh), RNNClassifier(**{**QUICK, "max_iter": 2}))
    grid = {"rnnclassifier__hidden_size": [2, 4]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    alone = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_a_search_over_lists_of_unequal_sequences():
    X, _, _ = cases(N=12)
    rows, tags = unequal(X), [(row[:, 0] > 0).astype(int).tolist() for row in unequal(X)]
    search = GridSearchCV(RNNTagger(**{**QUICK, "max_iter": 1}), {"crf": [False, True]}, cv=2, error_score="raise")
    assert search.fit(rows, tags).best_score_ > 0


def test_a_clone_is_not_fitted():
    X, y, _ = cases()
    model = RNNClassifier(**QUICK).fit(X, y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cell": "elman"}, ValueError, "RNNClassifier.fit: SequenceClassifier: cell must be one of 'rnn'"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be"),
        ({"layout": "time_first"}, ValueError, "layout must be one of 'channels_last', 'channels_first'"),
        ({"optimizer": "lbfgs"}, ValueError, "optimizer must be one of 'adam', 'adamw', 'sgd'"),
        ({"optimizer": 3}, TypeError, "optimizer must be one of"),
        ({"learning_rate": -1.0}, ValueError, "lr must be at least 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"tol": "small"}, TypeError, "tol must be a number"),
        ({"early_stopping": True, "validation_fraction": 1.0}, ValueError, "validation_fraction must be at least"),
        ({"early_stopping": "yes"}, TypeError, "early_stopping must be"),
        ({"class_weight": "even"}, ValueError, "class_weight must be 'balanced', a dict or None"),
        ({"class_weight": {"up": -1.0}}, ValueError, "class_weight must have finite weights"),
        ({"dtype": "int32"}, TypeError, "dtype"),
        ({"dtype": "complex128"}, TypeError, "dtype must be float32 or float64"),
        ({"plan": {"frozen": ["rnn"]}}, TypeError, "plan must be a transfer.Plan"),
        ({"callbacks": [Callback]}, TypeError, "callbacks must have begin"),
        ({"backend": "tpu"}, ValueError, "backend"),
    ],
)
def test_options_that_are_refused(options, error, words):
    X, y, _ = cases(N=6)
    with pytest.raises(error, match=words) as found:
        RNNClassifier(**{**QUICK, **options}).fit(X, y)
    assert str(found.value).startswith("RNNClassifier.fit: ")


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (np.zeros((4, 0, 2)), "abab", "X must have shape|0 sample"),
        ([], "", "at least one sequence"),
        ([np.zeros(3), np.zeros((0, 1))], "ab", "in sequence 1"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], "ab", "sequences of 2 features.*got 1 in sequence 1"),
        ([np.zeros(3), np.array([1.0, np.nan])], "ab", r"X\[1\] must be finite"),
        (np.full((2, 3, 1), np.inf), "ab", "infinity"),
        (np.zeros((3, 2, 1)), "ab", "y must have 3 answers"),
        (np.zeros((2, 2, 1)), "aa", "at least two classes, got one class"),
    ],
)
def test_data_that_are_refused(X, y, words):
    with pytest.raises(ValueError, match=words):
        RNNClassifier(**QUICK).fit(X, np.array(list(y)))


def test_weights_and_tags_that_are_refused():
    X, y, _ = cases(N=6)
    with pytest.raises(ValueError, match=r"sample_weight must be at least 0, got -1.0 at index 1"):
        RNNClassifier(**QUICK).fit(X, y, sample_weight=[1, -1, 1, 1, 1, 1])
    with pytest.raises(ValueError, match="sample_weight must not all be zero"):
        RNNClassifier(**QUICK).fit(X, y, sample_weight=np.zeros(6))
    with pytest.raises(ValueError, match=r"y\[2\] must have a tag for each of the 5 steps"):
        RNNTagger(**QUICK).fit(X, [[0] * 5, [1] * 5, [1] * 4, *[[0] * 5] * 3])
    with pytest.raises(ValueError, match="class_weight must be None with crf=True"):
        RNNTagger(**QUICK, crf=True, class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        RNNClassifier(**QUICK).partial_fit(X, y)
    with pytest.raises(ValueError, match="class_weight must be a mapping or None"):
        RNNClassifier(**QUICK, class_weight="balanced").partial_fit(X, y, ["up", "down"])
    model = RNNClassifier(**QUICK).partial_fit(X, y, ["up", "down", "still"])
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(X, y, ["up", "down"])
    with pytest.raises(ValueError, match="X has 3 features, but RNNClassifier is expecting 2"):
        model.predict(np.zeros((2, 5, 3)))
