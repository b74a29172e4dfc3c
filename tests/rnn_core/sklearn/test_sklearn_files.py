"""What is saved without pickle, carried over, and planned."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from rnn_core import LSTM, SequenceClassifier, load, save
from rnn_core.data import TimeSeries
from rnn_core.sklearn import RNNClassifier, RNNForecaster, RNNRegressor, RNNTagger
from rnn_core.sklearn.files import KEY
from rnn_core.training import Adam, Callback, CSVLog, SlantedTriangular
from rnn_core.weights import read_metadata
from tests.rnn_core.sklearn.test_sklearn_estimators import QUICK, cases
from transfer import Plan, Unfreezing, copy_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, WORDS, SUMS = cases()
STEPS = np.where(X[:, :, 0] > 0, 1, -1)
SERIES = [TimeSeries(np.sin(np.arange(40) / 3 + k), known=np.arange(44) % 4, name=f"s{k}") for k in range(2)]


def fitted():
    """Return one of each, fitted, and what it is asked."""
    scaled = {**QUICK, "scaling": "standard"}
    return [
        (RNNClassifier(**QUICK, class_weight={"up": 2.0}, optimizer=Adam(0.01)).fit(X, WORDS), X),
        (RNNClassifier(**QUICK, dtype=np.float64).fit(X, SUMS > 0), list(X)),
        (RNNRegressor(**QUICK, early_stopping=True, bidirectional=True).fit(X, SUMS), X),
        (RNNRegressor(**QUICK).fit(X[:, :, 0], np.column_stack([SUMS, X[:, 0, 1]])), X[:, :, 0]),
        (RNNTagger(**QUICK, crf=True).fit(X, STEPS), X),
        (RNNForecaster(**scaled, context=8, horizon=3, loss="quantiles", quantiles=[0.2, 0.5]).fit(SERIES), SERIES),
    ]


def test_what_is_loaded_predicts_the_same_bits(tmp_path):
    path = tmp_path / "estimator.safetensors"
    for model, asked in fitted():
        model.save(path)
        found = type(model).load(path, backend="numpy")
        np.testing.assert_array_equal(found.predict(asked), model.predict(asked))
        kept = {**model.get_params(), "dtype": np.dtype(model.dtype).name}
        assert found.get_params() == kept
        for name in ("n_iter_", "loss_curve_", "validation_scores_", "best_loss_", "n_features_in_", "transferred_"):
            assert getattr(found, name) == getattr(model, name), name
        if hasattr(model, "classes_"):
            np.testing.assert_array_equal(found.classes_, model.classes_)
            assert found.classes_.dtype == model.classes_.dtype
        found.set_params(early_stopping=False)
        found.partial_fit(*((SERIES,) if asked is SERIES else (asked, _y_of(model))))
        assert found.n_iter_ == model.n_iter_ + 1


def _y_of(model):
    if isinstance(model, RNNTagger):
        return STEPS
    if isinstance(model, RNNRegressor):
        return SUMS if model.n_outputs_ == 1 else np.column_stack([SUMS, SUMS])
    return WORDS if model.classes_.dtype.kind == "U" else SUMS > 0


def test_the_file_is_the_model_s_own(tmp_path):
    path = tmp_path / "model.safetensors"
    model = RNNClassifier(**QUICK).fit(X, WORDS)
    model.save(path)
    net = load(path, backend="numpy")
    assert net.classes == ("down", "up")
    x = net.scaling.apply(X).astype(np.float32)
    np.testing.assert_array_equal(np.array(net.classes)[net.predict(x)], model.predict(X))


def test_a_data_frame_s_names_are_kept(tmp_path):
    frames = pytest.importorskip("pandas")
    frame = frames.DataFrame(X[:, :, 0], columns=list("abcde"))
    model = RNNClassifier(**QUICK).fit(frame, WORDS)
    model.save(tmp_path / "m.safetensors")
    found = RNNClassifier.load(tmp_path / "m.safetensors", backend="numpy")
    np.testing.assert_array_equal(found.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(frame[list("edcba")])


def test_files_of_others_are_refused_by_name(tmp_path):
    path = str(tmp_path / "m.safetensors")
    model = RNNClassifier(**QUICK).fit(X, WORDS)
    model.save(path)
    with pytest.raises(ValueError, match=r"RNNRegressor.load: path must be a file that RNNRegressor.save.*'RNNClass"):
        RNNRegressor.load(path)
    save(model.model_, path)
    with pytest.raises(ValueError, match="with a SequenceClassifier; rnn_core.load reads a model"):
        RNNClassifier.load(path)
    Path(path).write_bytes(pickle.dumps(model))
    with pytest.raises(ValueError, match="a pickle"):
        RNNClassifier.load(path)
    with pytest.raises(NotFittedError):
        RNNClassifier().save(path)
    with pytest.raises(TypeError, match="RNNClassifier.save: cell_options must be what JSON can hold"):
        model.set_params(cell_options={"leak": {2}}).save(path)


CHANGES = {
    "a newer version": lambda page: page.update(version=2),
    "no parameters": lambda page: page.pop("params"),
    "a parameter that there isn't": lambda page: page["params"].update(colour="red"),
    "a parameter of another type": lambda page: page["params"].update(hidden_size="many"),
    "an optimizer that there isn't": lambda page: page["params"].update(optimizer={"optimizer": "os.system"}),
    "no loss": lambda page: page["fitted"].update(loss_curve=[]),
    "a loss that is no number": lambda page: page["fitted"].update(loss_curve=["low"]),
    "a class too many": lambda page: page["fitted"]["classes"]["labels"].append("left"),
    "a dtype that is none": lambda page: page["fitted"]["classes"].update(dtype="V8"),
    "no classes": lambda page: page["fitted"].pop("classes"),
    "classes out of order": lambda page: page["fitted"]["classes"]["labels"].reverse(),
    "a feature more than the model reads": lambda page: page["fitted"].update(features=3),
    "features that are no number": lambda page: page["fitted"].update(features=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_page_that_says_something_else_is_refused(tmp_path, change):
    path = tmp_path / "m.safetensors"
    model = RNNClassifier(**QUICK).fit(X, WORDS)
    model.save(path)
    page = json.loads(read_metadata(path)[KEY])
    change(page)
    save(model.model_, path, metadata={KEY: json.dumps(page)})
    with pytest.raises(ValueError, match=r"RNNClassifier\.load: '.* does not hold what it says"):  # a long path is cut
        RNNClassifier.load(path)


def test_a_core_is_carried_over_from_whatever_has_one(tmp_path):
    source = RNNRegressor(**QUICK).fit(X, SUMS)
    source.save(tmp_path / "source.safetensors")
    core = {name: array for name, array in source.model_.parameters.items() if name.startswith("rnn.")}
    frozen = Plan(frozen=["rnn.*"])
    for given in (source, source.model_, tmp_path / "source.safetensors", str(tmp_path / "source.safetensors")):
        model = RNNClassifier(**QUICK, transfer_from=given, plan=frozen).fit(X, WORDS)
        assert model.transferred_ == tuple(core)
        for name, array in core.items():
            np.testing.assert_array_equal(model.model_.parameters[name], array)
    assert RNNClassifier(**QUICK, transfer_from=source).fit(X, WORDS).model_.parameters["rnn.weight_hh_l0"].any()


def test_a_head_is_carried_over_where_it_says_the_same():
    source = RNNClassifier(**QUICK).fit(X, WORDS)
    same = RNNClassifier(**QUICK, transfer_from=source).fit(X[:6], WORDS[:6])
    other = RNNClassifier(**QUICK, transfer_from=source).fit(X, np.where(WORDS == "up", "left", "down"))
    assert "head.weight" in same.transferred_
    assert "head.weight" not in other.transferred_
    numbers = RNNRegressor(**QUICK).fit(X, SUMS)
    assert "head.bias" in RNNRegressor(**QUICK, transfer_from=numbers).fit(X, -SUMS).transferred_
    assert "head.bias" not in RNNRegressor(**QUICK, transfer_from=numbers).fit(X, X[:, 0]).transferred_
    tags = RNNTagger(**QUICK, crf=True).fit(X, STEPS)
    assert "crf.transitions" in RNNTagger(**QUICK, crf=True, transfer_from=tags).fit(X, STEPS).transferred_
    months = RNNForecaster(**QUICK, context=8, horizon=3).fit(X[:, :, 0].reshape(5, -1))
    short = RNNForecaster(**QUICK, context=4, horizon=3, transfer_from=months)
    assert "head.weight" in short.fit(X[:, :, 1].reshape(5, -1)).transferred_


def test_a_source_stays_as_it_is_and_stays_fitted_in_a_clone():
    source = RNNClassifier(**QUICK).fit(X, WORDS)
    before = {name: array.copy() for name, array in source.model_.parameters.items()}
    learner = clone(RNNClassifier(**QUICK, transfer_from=source))
    assert learner.transfer_from is source
    learner.fit(X, WORDS)
    for name, array in before.items():
        np.testing.assert_array_equal(source.model_.parameters[name], array)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (lambda: RNNClassifier(**{**QUICK, "cell": "gru"}).fit(X, WORDS), ValueError, "cell='gru', and 'rnn' here"),
        (lambda: RNNClassifier(**{**QUICK, "hidden_size": 4}).fit(X, WORDS), ValueError, "hidden_size=4, and 6 here"),
        (lambda: RNNClassifier(**QUICK).fit(X[:, :, :1], WORDS), ValueError, r"rnn.weight_ih_l0 of shape \(6, 1\)"),
        (lambda: SequenceClassifier(2, 6, vocab_size=9, embedding_size=2, cell="rnn"), ValueError, "embedding.weight"),
        (lambda: RNNClassifier(**QUICK), NotFittedError, "not fitted"),
        (lambda: LSTM(2, 6), TypeError, "transfer_from must be a fitted estimator"),
        (lambda: 3, TypeError, "transfer_from must be a fitted estimator"),
    ],
)
def test_what_can_not_be_carried_over(given, error, words):
    with pytest.raises(error, match=words):
        RNNClassifier(**QUICK, transfer_from=given()).fit(X, WORDS)


def test_parts_of_another_shape_go_by_way_of_a_model():
    source = RNNClassifier(**{**QUICK, "hidden_size": 4}).fit(X, WORDS)
    wide = SequenceClassifier(2, 6, input_size=2, cell="rnn", backend="numpy", seed=0)
    copy_parameters(source.model_, wide, on_mismatch="overlap")
    assert RNNClassifier(**QUICK, transfer_from=wide).fit(X, WORDS).transferred_


def test_anchors_hold_a_core_to_where_it_began_in_every_run():
    source = RNNClassifier(**QUICK).fit(X, WORDS)
    home = source.model_.parameters["rnn.weight_hh_l0"]

    def way(strength):
        plan = Plan(anchors={"rnn.*": strength})
        learner = RNNClassifier(**QUICK, transfer_from=source, plan=plan, warm_start=True)
        learner.fit(X, -STEPS[:, 0]).fit(X, -STEPS[:, 0])
        return abs(learner.model_.parameters["rnn.weight_hh_l0"] - home).max()

    assert way(10.0) < 0.3 * way(0.0)


def test_a_plan_that_spans_a_run_is_followed_to_its_end(tmp_path, recwarn):
    """No convergence ends it, and none is missed; a group more trains in each stage, and a log hears of one run."""
    plan = Plan(unfreezing=Unfreezing(epochs=2), schedule=SlantedTriangular)
    told = {"plan": plan, "callbacks": [CSVLog(tmp_path / "log.csv")]}
    model = RNNClassifier(**QUICK, tol=100.0, n_iter_no_change=1, **told, early_stopping=True).fit(X, WORDS)
    assert model.n_iter_ == len(model.validation_scores_) == 8
    epochs = [row.split(",")[0] for row in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert epochs == [str(epoch) for epoch in range(1, 9)]
    assert not recwarn
    with pytest.raises(ValueError, match="plan must have neither unfreezing nor schedule"):
        model.set_params(early_stopping=False).partial_fit(X, WORDS)
    with pytest.raises(ValueError, match=r"RNNClassifier.fit: epochs must leave something for the last of 2 stages"):
        RNNClassifier(**QUICK, plan=Plan(unfreezing=Unfreezing(epochs=8))).fit(X, WORDS)


def test_a_callback_that_ends_a_run_leaves_nothing_to_warn_of(recwarn):
    class Once(Callback):
        def epoch(self, history):
            return True

    options = QUICK | {"tol": 0.0, "n_iter_no_change": 99, "callbacks": [Once()]}
    assert RNNClassifier(**options).fit(X, WORDS).n_iter_ == 1
    assert not recwarn


def test_a_pickle_goes_on_where_it_stopped():
    model = RNNRegressor(**QUICK).partial_fit(X, SUMS)
    copy = pickle.loads(pickle.dumps(model))  # as joblib hands it to a process
    np.testing.assert_array_equal(copy.partial_fit(X, SUMS).predict(X), model.partial_fit(X, SUMS).predict(X))
