"""`RNNFeatures` in scikit-learn's hands, and the features of a frozen core, cached: the same numbers as without."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from benchmarks import freezing, timing
from rnn_core import LSTM, LanguageModel, SequenceClassifier
from rnn_core.data import Examples, TextStream
from rnn_core.training import SGD, Adam, fit
from transfer import Plan, freeze
from transfer.features.caching import HeadOf, cached_features
from transfer.features.estimator import RNNFeatures

RNG = np.random.default_rng(0)
LENGTHS = np.array([5, 1, 3, 4, 2, 5, 5])
SERIES = RNG.standard_normal((7, 5, 3))
TOKENS = RNG.integers(0, 6, (7, 5))


def on_features(**options):
    """Return a small classifier of features, in float64."""
    return SequenceClassifier(3, 4, **{"input_size": 3, "seed": 1, "dtype": np.float64, **options})


def on_tokens(**options):
    """Return a small classifier of tokens, in float64."""
    return SequenceClassifier(3, 4, vocab_size=6, **{"seed": 1, "dtype": np.float64, **options})


def rows(x=SERIES):
    """Return the valid steps of each row."""
    return [row[:n] for row, n in zip(x, LENGTHS, strict=True)]


@pytest.mark.parametrize("model", [None, SequenceClassifier(2, 3, input_size=1, bidirectional=True, seed=0)])
def test_scikit_learn_finds_nothing_wrong(model):
    check_estimator(RNNFeatures(model, hidden_size=4, pooling=("last", "mean", "max"), batch_size=7), on_skip=None)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_features_are_the_pooled_states_of_each_sequence_alone(bidirectional):
    model = on_features(bidirectional=bidirectional, num_layers=2)
    found = RNNFeatures(model, pooling=("mean", "last", "max"), batch_size=3).fit_transform(rows())
    for z, row in zip(found, rows(), strict=True):
        y, _ = model.rnn(row[None])
        last = np.concatenate([y[0, -1, :4], y[0, 0, 4:]])  # the second direction arrives at step 0
        np.testing.assert_allclose(z, np.concatenate([y[0].mean(axis=0), last, y[0].max(axis=0)]), rtol=1e-12)


def test_lists_object_arrays_and_lengths_say_the_same():
    features = RNNFeatures(on_features(), pooling=["last", "mean"], batch_size=2)
    expected = features.fit_transform(rows())
    objects = np.empty(7, dtype=object)
    objects[:] = rows()
    padded = np.where((np.arange(5) < LENGTHS[:, None])[..., None], SERIES, np.nan)
    np.testing.assert_array_equal(features.fit_transform(objects), expected)
    np.testing.assert_array_equal(features.fit_transform(padded, lengths=LENGTHS), expected)
    assert features.n_features_in_ == 3
    assert list(features.get_feature_names_out()) == [f"rnnfeatures{k}" for k in range(8)]


def test_numbers_without_an_axis_of_features_are_steps_of_one():
    features, x = RNNFeatures(hidden_size=4, cell="gru"), SERIES[:, :, 0]
    expected = features.fit_transform(x[..., None])
    for same in (x, x.tolist(), list(x)):
        np.testing.assert_array_equal(features.fit_transform(same), expected)
    features.fit([[0.1, 0.2], [0.3]])
    np.testing.assert_array_equal(features.transform(x), expected)  # sequences may then have any length


@pytest.mark.parametrize("model", [on_tokens(pooling="mean"), LanguageModel(6, 4, seed=1, dtype=np.float64)])
def test_tokens_go_through_the_embedding(model):
    features = RNNFeatures(model, pooling="mean").fit(TOKENS)
    y, _ = model.rnn(model.embedding(TOKENS))
    np.testing.assert_allclose(features.transform(TOKENS), y.mean(axis=1), rtol=1e-12)
    y, _ = model.rnn(model.embedding(TOKENS), None, LENGTHS)
    ragged = features.transform([row.tolist() for row in rows(TOKENS)])
    np.testing.assert_allclose(ragged, y.sum(axis=1) / LENGTHS[:, None], rtol=1e-12)
    np.testing.assert_array_equal(features.transform(TOKENS, lengths=LENGTHS), ragged)
    features.transform(TOKENS[:, :2])


def test_a_random_core_is_drawn_from_its_seed_in_the_precision_of_the_data():
    drawn = [RNNFeatures(hidden_size=4, seed=seed).fit_transform(SERIES) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.isclose(drawn[0], drawn[2]).any()
    assert drawn[0].dtype == np.float64
    assert RNNFeatures().fit_transform(SERIES.astype(np.float32)).dtype == np.float32


def test_a_clone_has_a_copy_of_the_model_and_gives_the_same_features():
    model = on_features()
    features = RNNFeatures(model).fit(SERIES)
    assert features.model_ is model
    twin = clone(features)
    assert twin.model is not model
    np.testing.assert_array_equal(twin.fit_transform(SERIES), features.transform(SERIES))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(SERIES), features.transform(SERIES))


@pytest.fixture(scope="module")
def digits():
    """Return 300 handwritten digits below 4, as eight rows of pixels each, and which they are."""
    data = load_digits(n_class=4)
    return data.images[:300] / 16, data.target[:300]


@pytest.mark.parametrize(
    "classifier", [SVC(C=10), RandomForestClassifier(50, random_state=0), LogisticRegression(C=10, max_iter=500)]
)
def test_a_pipeline_reads_digits(digits, classifier):
    x, y = digits
    pipeline = make_pipeline(RNNFeatures(hidden_size=32, pooling=("last", "mean", "max")), classifier)
    assert pipeline.fit(x[:200], y[:200]).score(x[200:], y[200:]) > 0.7  # by chance 0.25


def test_a_grid_search_chooses_pooling_and_core(digits):
    x, y = digits
    cut = [image[: 5 + k % 4] for k, image in enumerate(x)]  # sequences of different lengths are cut into folds, too
    grid = {"rnnfeatures__pooling": ["last", ("mean", "max")], "rnnfeatures__cell": ["rnn", "gru"]}
    for data in (x, cut):
        search = GridSearchCV(make_pipeline(RNNFeatures(hidden_size=16), SVC()), grid, cv=3, error_score="raise")
        search.fit(data, y)
        assert search.best_score_ > 0.7
        assert len(search.predict(data)) == len(y)


def test_a_pipeline_routes_lengths():
    y = np.arange(7) % 2
    with config_context(enable_metadata_routing=True):
        features = RNNFeatures(hidden_size=3).set_fit_request(lengths=True).set_transform_request(lengths=True)
        pipeline = make_pipeline(features, LogisticRegression()).fit(SERIES, y, lengths=LENGTHS)
        routed = pipeline.predict_proba(SERIES, lengths=LENGTHS)
    plain = make_pipeline(RNNFeatures(hidden_size=3), LogisticRegression()).fit(rows(), y)
    np.testing.assert_allclose(routed, plain.predict_proba(rows()), rtol=1e-12)


@pytest.mark.parametrize(
    "options, x, error, message",
    [
        ({"model": LSTM(3, 4)}, SERIES, TypeError, "RNNFeatures: model must be a LanguageModel or .* got LSTM"),
        ({"pooling": "sum"}, SERIES, ValueError, "RNNFeatures: pooling must be one of 'last', .* got 'sum'"),
        ({"pooling": ()}, SERIES, ValueError, "pooling must be .* or a tuple of them"),
        ({"batch_size": 0}, SERIES, ValueError, "RNNFeatures: batch_size must be at least 1, got 0"),
        ({"cell": "cnn"}, SERIES, ValueError, "cell must be one of 'rnn', 'lstm', 'gru', got 'cnn'"),
        ({"model": on_features()}, SERIES[..., :2], ValueError, "fit: X must have 3 features a step, .* got 2"),
        ({"model": on_features()}, SERIES[..., 0], ValueError, "X must have 3 features a step, .* got 1"),
        ({"model": on_tokens()}, SERIES[..., 0], TypeError, "fit: X must be tokens, which are integers, got float64"),
        ({"model": on_tokens()}, rows(SERIES[..., 0]), ValueError, r"shape \(T,\) of integers.* in sequence 0"),
        ({}, [], ValueError, "fit: X must have at least one sequence, got none"),
        ({}, [[0.1], []], ValueError, "with at least one, got .* in sequence 1"),
        ({}, [[0.1, 0.2], [np.nan]], ValueError, r"fit: X\[1\] must be finite, got nan"),
        ({}, ["ab", "c"], TypeError, r"X\[0\] must be an array of numbers"),
        ({}, [SERIES[0], SERIES[1, :2, :2]], ValueError, "of 3 features, as the first has, got 2 in sequence 1"),
        ({}, SERIES[:, :0], ValueError, r"must have shape \(N, T, I\) with at least one number"),
        ({}, SERIES[:, :, None], ValueError, "dim"),
    ],
)
def test_bad_input_is_named(options, x, error, message):
    with pytest.raises(error, match=message):
        RNNFeatures(**options).fit(x)


def test_bad_lengths_are_named():
    with pytest.raises(ValueError, match="fit: lengths must be between 1 and T = 5, got 6 in row 0"):
        RNNFeatures().fit(SERIES, lengths=LENGTHS + 1)
    with pytest.raises(ValueError, match="lengths must be left out with sequences"):
        RNNFeatures().fit(rows(), lengths=LENGTHS)
    with pytest.raises(ValueError, match="fit: X must be finite"):
        RNNFeatures().fit(np.full((2, 3, 1), np.nan), lengths=[3, 2])
    with pytest.raises(NotFittedError):
        RNNFeatures().transform(SERIES)


def test_without_scikit_learn_the_rest_works():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import transfer.features.caching\n"
        "try:\n    import transfer.features.estimator\nexcept RuntimeError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "RNNFeatures: scikit-learn must be installed" in done.stdout
    assert "rnn_core[report]" in done.stdout


CASES = {
    "features": (on_features(), SERIES, (), None),
    "lengths": (on_features(bidirectional=True, pooling="mean", cell="gru"), SERIES, (), LENGTHS),
    "layers": (on_features(num_layers=2, pooling="max", cell="rnn"), SERIES, (), LENGTHS),
    "dropout": (on_features(dropout=0.4), SERIES, (), LENGTHS),
    "one sigmoid": (SequenceClassifier(1, 4, input_size=3, seed=0, dtype=np.float64), SERIES, (), None),
    "tokens": (on_tokens(), TOKENS, (), LENGTHS),
    "language model": (LanguageModel(6, 4, num_layers=2, seed=0, dtype=np.float64), TOKENS, (5,), LENGTHS),
    "tied": (LanguageModel(6, 4, tied=True, seed=0, dtype=np.float64), TOKENS, (5,), LENGTHS),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_training_on_cached_features_is_training_with_the_core_frozen(name, weighted):
    model, x, per_row, lengths = CASES[name]
    rng = np.random.default_rng(3)
    classes = getattr(model, "num_classes", 6)
    y = rng.integers(0, max(2, classes), (7, *per_row))
    data = Examples(
        x, y, lengths=lengths, weights=rng.uniform(0.5, 2, y.shape) if weighted else None, batch_size=3, seed=5
    )
    twins = [copy.deepcopy(model) for _ in range(2)]
    for twin in twins:
        freeze(twin, [name for name in twin.parameters if not name.startswith("head.")])
    before = twins[0].state_dict()
    head, cached = HeadOf(twins[1]), cached_features(twins[1], data)
    how = {"optimizer": Adam(3e-2), "epochs": 4, "clip_norm": 0.3, "seed": 2, "progress": False, "restore_best": False}
    histories = [fit(twins[0], data, validation=data, **how), fit(head, cached, validation=cached, **how)]
    for parameter, array in twins[0].parameters.items():
        np.testing.assert_allclose(twins[1].parameters[parameter], array, rtol=0, atol=1e-12)
        assert (array != before[parameter]).any() == parameter.startswith("head.")
    for whole, short in zip(*histories, strict=True):
        for number in ("loss", "gradient_norm", "validation_loss", "validation_accuracy"):
            assert getattr(short, number) == pytest.approx(getattr(whole, number), abs=1e-12)


def test_a_stream_carries_its_state_into_the_cache():
    text = np.random.default_rng(0).integers(0, 6, 200)
    stream = TextStream(text, batch_size=3, steps=10)
    twins = [LanguageModel(6, 4, seed=0, dtype=np.float64) for _ in range(2)]
    freeze(twins[0], "embedding", "rnn.*")
    fit(twins[0], stream, optimizer=SGD(0.5), epochs=3, progress=False)
    fit(HeadOf(twins[1]), cached_features(twins[1], stream), optimizer=SGD(0.5), epochs=3, progress=False)
    for name, array in twins[0].parameters.items():
        np.testing.assert_allclose(twins[1].parameters[name], array, rtol=0, atol=1e-12)


def test_the_examples_and_the_core_stay_as_they_are_and_a_plan_of_the_model_holds():
    model, data = on_features(), Examples(SERIES, np.arange(7) % 3, lengths=LENGTHS)
    before = model.state_dict()
    cached, head = cached_features(model, data), HeadOf(model)
    assert data.inputs is not cached.inputs
    assert data.lengths is not None
    assert head.parameters["head.bias"] is model.parameters["head.bias"]
    updates = Plan(frozen=("rnn.*", "head.weight"), rates={"head.bias": 0.1}).resolve(model)
    fit(head, cached, optimizer=SGD(1.0), epochs=2, updates=updates, progress=False)
    assert {name for name, array in model.parameters.items() if (array != before[name]).any()} == {"head.bias"}
    freeze(model, "head.bias")
    assert head.frozen == {"head.bias"}
    assert set(head.loss_and_gradients(cached.batch(0, 0)).gradients) == {"head.weight"}


def test_the_three_steps_of_the_benchmark_can_be_timed(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0)
    for step in freezing.steps("gru", T=3, B=2, H=4).values():
        step()
    pairs = freezing.measure("rnn", pairs=2, block=0.0, T=3, B=2, H=4)
    assert all(pair.ours > 0 and pair.low <= pair.ratio <= pair.high for pair in pairs)


def test_what_can_not_be_cached_is_named():
    data, model = Examples(SERIES, np.arange(7) % 3), on_features()
    with pytest.raises(TypeError, match="cached_features: model must be a LanguageModel or .* got LSTM"):
        cached_features(LSTM(3, 4), data)
    with pytest.raises(TypeError, match="cached_features: examples must be Examples or.* got ndarray for a Seq"):
        cached_features(model, SERIES)
    with pytest.raises(TypeError, match="got TextStream for a SequenceClassifier"):
        cached_features(on_tokens(), TextStream(TOKENS.reshape(-1), batch_size=2, steps=5))
    with pytest.raises(ValueError, match="HeadOf: model must have no dropout below .* got dropout=0.2 with 2 layers"):
        HeadOf(on_features(num_layers=2, dropout=0.2))
    with pytest.raises(ValueError, match="cached_features: .* with embedding below .* build one with dropout=0"):
        cached_features(on_tokens(dropout=0.2), data)
    with pytest.raises(ValueError, match=r"must be features, float64 of shape \(B, 4\).* cached_features"):
        fit(HeadOf(model), data, optimizer=SGD(0.1), epochs=1, progress=False)
    with pytest.raises(ValueError, match="needs must name some of head.weight, head.bias; got rnn.x"):
        HeadOf(model).loss_and_gradients(cached_features(model, data).batch(0, 0), needs={"rnn.x"})


def test_what_is_assigned_to_a_head_is_the_models():
    model = on_features()
    head = HeadOf(model)
    head.parameters["head.bias"] = np.arange(3.0)
    np.testing.assert_array_equal(model.head.parameters["bias"], [0, 1, 2])
    with pytest.raises(TypeError, match="HeadOf.parameters: parameters must stay, all 2 of them"):
        del head.parameters["head.bias"]
