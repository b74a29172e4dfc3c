"""Saliency: gradients by the complex step, completeness, a planted step that has to be found, padding, pictures."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rnn_core import LanguageModel, SequenceClassifier, backends
from rnn_core.data import Examples
from rnn_core.training import Adam, fit
from tests.device_arrays import device
from transfer.showing.saliency import METHODS, step_saliency
from transfer.showing.saliency_figure import saliency_picture

B, T, I, V = 3, 6, 2, 7
LENGTHS = np.array([6, 2, 4])
EPSILON = 1e-30
COMPLETE = "integrated gradients"


def features(seed=0):
    return np.random.default_rng(seed).standard_normal((B, T, I))


def tokens(seed=0):
    return np.random.default_rng(seed).integers(1, V, (B, T))


def make(kind, **options):
    """Return a float64 model, and what it reads."""
    options = {"dtype": np.float64, "seed": 1, "cell": "gru", "num_layers": 2, **options}
    if kind == "features":
        return SequenceClassifier(3, 4, input_size=I, bidirectional=True, **options), features()
    if kind == "tokens":
        return SequenceClassifier(3, 4, vocab_size=V, embedding_size=I, padding_idx=0, **options), tokens()
    if kind == "sigmoid":
        return SequenceClassifier(1, 4, input_size=I, **options), features()
    return LanguageModel(V, 4, embedding_size=I, **options), tokens()


KINDS = ("features", "tokens", "sigmoid", "language model")


def core_inputs(model, x):
    return x if model.embedding is None else model.embedding(x)


def logits_of(model, e, lengths):
    """Return each row's logits from what the core reads, a row at a time and without padding."""
    found = []
    for row, length in zip(e, lengths, strict=True):
        y, _ = model.rnn(row[None, :length])
        pooled = y[:, -1] if isinstance(model, LanguageModel) else model.pooling(y)
        found.append(model.head(pooled)[0])
    return np.stack(found)


def by_complex_step(model, x, lengths, targets):
    """Return ∂z/∂e, element by element."""
    twin, e = model.astype(np.complex128), core_inputs(model, x).astype(np.complex128)
    de = np.zeros(e.shape)
    for place in np.ndindex(e.shape):
        moved = e.copy()
        moved[place] += 1j * EPSILON
        de[place] = logits_of(twin, moved, lengths)[place[0], targets[place[0]]].imag / EPSILON
    return de


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", ("rnn", "lstm", "gru"))
def test_gradients_by_the_complex_step(kind, cell):
    model, x = make(kind, cell=cell)
    targets = np.zeros(B, int) if kind == "sigmoid" else np.array([0, 2, 1])
    de = by_complex_step(model, x, LENGTHS, targets)
    norm = step_saliency(model, x, LENGTHS, target=targets, method="gradient")
    np.testing.assert_allclose(norm.values, np.linalg.norm(de, axis=-1), rtol=1e-12, atol=1e-16)
    product = step_saliency(model, x, LENGTHS, target=targets, method="gradient×input")
    np.testing.assert_allclose(product.values, (core_inputs(model, x) * de).sum(axis=-1), rtol=1e-12, atol=1e-15)
    expected = logits_of(model, core_inputs(model, x), LENGTHS)[np.arange(B), targets]
    np.testing.assert_allclose(product.logits, expected, rtol=1e-12)


@pytest.mark.parametrize("pooling", ("mean", "max"))
def test_gradients_through_every_pooling(pooling):
    model, x = make("features", pooling=pooling)
    de = by_complex_step(model, x, LENGTHS, np.ones(B, int))
    norm = step_saliency(model, x, LENGTHS, target=1, method="gradient")
    np.testing.assert_allclose(norm.values, np.linalg.norm(de, axis=-1), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients_are_complete(kind):
    model, x = make(kind)
    found = step_saliency(model, x, LENGTHS)
    before = logits_of(model, np.zeros((B, T, I)), LENGTHS)[np.arange(B), found.targets]
    np.testing.assert_allclose(found.values.sum(axis=1), found.logits - before, rtol=0, atol=1e-6)
    assert found.gap < 1e-6


@pytest.mark.parametrize("cell, pooling", [("lstm", "last"), ("gru", "max"), ("rnn", "mean")])
def test_a_network_that_is_steep_on_the_way_is_complete_too(cell, pooling):
    model, x = make("features", cell=cell, pooling=pooling)
    for array in model.parameters.values():
        array *= 6
    rough = step_saliency(model, x, LENGTHS, tolerance=1e9)
    assert rough.gap > 1e-5  # one piece is not enough
    found = step_saliency(model, x, LENGTHS)
    assert found.gap < 1e-6
    assert abs(found.values - step_saliency(model, x, LENGTHS, tolerance=1e-9).values).max() < 1e-6


def test_halving_ends(monkeypatch):
    monkeypatch.setattr("transfer.showing.saliency.MOST_PIECES", 3)
    model, x = make("features")
    for array in model.parameters.values():
        array *= 6
    assert step_saliency(model, x, tolerance=1e-300).gap > 1e-9


def test_one_node_is_exact_where_the_network_is_linear(monkeypatch):
    """With ReLUs that are all open, z is linear in x, and the attribution is gradient times input."""
    monkeypatch.setattr("transfer.showing.saliency.NODES", 1)
    monkeypatch.setattr("transfer.showing.saliency.MOST_PIECES", 1)
    model = SequenceClassifier(
        2, 3, input_size=I, cell="rnn", nonlinearity="relu", dtype=np.float64, backend="numpy", seed=0
    )
    for name, array in model.parameters.items():
        if "bias_ih" in name:
            array += 50
        if "weight_hh" in name:
            array *= 0.1
    x = features()
    found = step_saliency(model, x, target=1)
    assert found.gap < 1e-12
    product = step_saliency(model, x, target=1, method="gradient×input")
    np.testing.assert_allclose(found.values, product.values, rtol=1e-12)


def test_integrated_gradients_follow_the_definition():
    """A plain Riemann sum of complex-step gradients comes to the same, from a baseline that is not zero."""
    model, x = make("features", num_layers=1)
    start, targets, pieces = np.array([0.5, -1.0]), np.array([2, 2, 2]), 200
    total = np.zeros(x.shape)
    for k in range(pieces):
        at = start + (k + 0.5) / pieces * (x - start)
        total += saliency_gradient(model, at, targets) / pieces
    found = step_saliency(model, x, target=2, baseline=start)
    np.testing.assert_allclose(found.values, ((x - start) * total).sum(axis=-1), atol=1e-5)
    assert found.gap < 1e-10


def saliency_gradient(model, x, targets):
    """Return ∂z/∂x by the model's own backward, which test_model_gradients.py has checked."""
    logits, tape = model.forward(x)
    return model.backward(tape, np.eye(logits.shape[1])[targets], needs={"x"})[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_none_whatever_it_holds(kind, method):
    model, x = make(kind)
    found = step_saliency(model, x, LENGTHS, method=method)
    other = x.copy()
    for row, length in enumerate(LENGTHS):
        other[row, length:] = np.nan if x.dtype.kind == "f" else 9999
        assert (found.values[row, length:] == 0).all()
        assert (found.values[row, :length] != 0).all()
    again = step_saliency(model, other, LENGTHS, method=method)
    np.testing.assert_array_equal(again.values, found.values)
    alone = step_saliency(model, x[1:2, :2], method=method)
    np.testing.assert_allclose(alone.values[0], found.values[1, :2], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_a_baseline_in_the_padding_counts_nothing(method):
    model, x = make("features")
    found = step_saliency(model, x, LENGTHS, method=method, baseline=np.ones(I))
    assert (found.values[1, 2:] == 0).all()
    assert found.change is None or found.gap < 1e-6


def test_a_token_equal_to_the_baseline_has_none():
    model, x = make("tokens")
    x[0, 3] = 0  # the vector of padding_idx is zero
    assert step_saliency(model, x).values[0, 3] == 0


@pytest.fixture(scope="module")
def planted():
    """A network that has learned to look at the one step that is marked, and what it reads."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 8, 2))
    places = rng.integers(0, 8, 300)
    x[..., 1] = 0
    x[np.arange(300), places, 1] = 2
    y = (x[np.arange(300), places, 0] > 0).astype(int)
    model = SequenceClassifier(2, 12, input_size=2, cell="gru", pooling="mean", dtype=np.float64, seed=0)
    fit(model, Examples(x, y, seed=0), optimizer=Adam(2e-2), epochs=20, progress=False)
    return model, x, y, places


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_step_is_found(planted, method):
    model, x, y, places = planted
    assert model.evaluate(Examples(x, y, batch_size=300).batch(0, 0)).correct > 290
    found = step_saliency(model, x[:100], method=method)
    hits = (abs(found.values).argmax(axis=1) == places[:100]).mean()
    assert hits > 0.6  # chance is an eighth; the gradient alone misses steps that have made the network sure
    fresh = SequenceClassifier(2, 12, input_size=2, cell="gru", pooling="mean", dtype=np.float64, seed=0)
    assert (abs(step_saliency(fresh, x[:100], method=method).values).argmax(axis=1) == places[:100]).mean() < hits


def test_the_default_is_the_likeliest():
    model, x = make("features")
    np.testing.assert_array_equal(step_saliency(model, x, LENGTHS).targets, model.predict(x, LENGTHS))
    model, x = make("language model")
    logits, _ = model(x, lengths=LENGTHS)
    np.testing.assert_array_equal(
        step_saliency(model, x, LENGTHS).targets, logits[np.arange(B), LENGTHS - 1].argmax(axis=1)
    )


def test_dropout_is_off_and_the_model_stays_as_it_was():
    for kind in ("features", "language model"):
        plain, x = make(kind)
        model, _ = make(kind, dropout=0.5)
        kept = model.state_dict()
        np.testing.assert_array_equal(step_saliency(model, x).values, step_saliency(plain, x).values)
        assert all((kept[name] == array).all() for name, array in model.parameters.items())
        assert model.dropout.p == 0.5


def test_float32_stays_float32():
    model, x = make("tokens", dtype=np.float32)
    found = step_saliency(model, x, LENGTHS)
    assert found.values.dtype == found.logits.dtype == found.change.dtype == np.float32
    assert found.gap < 1e-5


@pytest.fixture
def another_device(monkeypatch):
    """A stand-in for CuPy, as a backend called "device"."""
    monkeypatch.setitem(backends.BACKENDS, "device", "tests.device_arrays")
    backends._find.cache_clear()
    yield
    backends._find.cache_clear()


@pytest.mark.usefixtures("another_device")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_on_another_device_gives_the_same_on_the_host(kind, method):
    model, x = make(kind, backend="numpy")
    there, _ = make(kind, backend="device")
    found = step_saliency(there, device.asarray(x), LENGTHS, method=method)
    assert isinstance(found.values, np.ndarray)
    np.testing.assert_allclose(found.values, step_saliency(model, x, LENGTHS, method=method).values, rtol=1e-12)


def test_only_integrated_gradients_promise_a_sum():
    model, x = make("features")
    with pytest.raises(ValueError, match="Saliency.gap: method must be 'integrated gradients', got 'gradient'"):
        _ = step_saliency(model, x, method="gradient").gap


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"method": "lime"}, ValueError, "step_saliency: method must be one of 'gradient', .*got 'lime'"),
        ({"tolerance": 0}, ValueError, "step_saliency: tolerance must be above 0, got 0"),
        ({"tolerance": "small"}, TypeError, "step_saliency: tolerance must be a number, got 'small'"),
        ({"target": 3}, ValueError, r"step_saliency: target must be in 0…2, got 3 .*; the model has 3 logits"),
        ({"target": [0, 1]}, ValueError, r"step_saliency: target must be one int or have shape \(3,\).*got \(2,\)"),
        ({"target": 0.0}, TypeError, "step_saliency: target must be an int or integers, got float64"),
        ({"lengths": [6, 0, 2]}, ValueError, "step_saliency: lengths must be between 1 and T = 6, got 0 in row 1"),
        ({"baseline": np.zeros(5)}, ValueError, r"step_saliency: baseline must have a shape .*\(3, 6, 2\), got \(5,\)"),
        ({"baseline": [0, np.inf]}, ValueError, "step_saliency: baseline must be finite"),
        ({"x": features()[0]}, ValueError, r"step_saliency: x must have shape \(B, T, 2\).*got \(6, 2\)"),
        ({"x": features().astype(np.float32)}, TypeError, "x must be float64"),
    ],
)
def test_what_is_refused(options, error, message):
    model, x = make("features")
    with pytest.raises(error, match=message):
        step_saliency(model, **{"x": x, **options})


def test_models_and_tokens_that_are_refused():
    with pytest.raises(TypeError, match="step_saliency: model must be a SequenceClassifier or .*, got GRU"):
        step_saliency(make("features")[0].rnn, features())
    model, x = make("tokens")
    with pytest.raises(ValueError, match="tokens must be in 0…6"):
        step_saliency(model, x + V)
    with pytest.raises(TypeError, match="step_saliency: tokens must be integers"):
        step_saliency(model, x * 1.0)


def test_a_picture_before_and_after():
    model, x = make("tokens")
    panels = {"before transfer": step_saliency(model, x, LENGTHS), "after transfer": step_saliency(model, x, LENGTHS)}
    picture = saliency_picture(panels, labels=["$a", "\n", "ö", "", "<pad>", "word"], title="$ is no formula")
    assert picture.startswith(b"\x89PNG")
    assert picture != saliency_picture(panels, row=1)
    long = step_saliency(make("features")[0], np.zeros((1, 400, I)), method="gradient")
    assert saliency_picture({"one": long}).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"panels": {}}, ValueError, "saliency_picture: panels must be at least one, got none"),
        ({"panels": [1]}, TypeError, "saliency_picture: panels must be a dict of Saliency by title, got list"),
        ({"row": 3}, ValueError, "saliency_picture: row must be in 0…2, got 3"),
        ({"row": 0.5}, TypeError, "saliency_picture: row must be an int, got 0.5"),
        ({"labels": "abc"}, ValueError, "saliency_picture: labels must be at least 6, one for each time step, got 3"),
    ],
)
def test_pictures_that_are_refused(arguments, error, message):
    model, x = make("tokens")
    with pytest.raises(error, match=message):
        saliency_picture(**{"panels": {"one": step_saliency(model, x)}, **arguments})


def test_panels_must_belong_together():
    model, x = make("tokens")
    one = step_saliency(model, x)
    with pytest.raises(ValueError, match="of one sequence and method, got methods integrated gradients, gradient"):
        saliency_picture({"a": one, "b": step_saliency(model, x, method="gradient")})
    with pytest.raises(ValueError, match="of one sequence and method, got lengths 6, 2"):
        saliency_picture({"a": one, "b": step_saliency(model, x, LENGTHS)}, row=1)


def test_a_missing_matplotlib_is_named(monkeypatch):
    model, x = make("tokens")
    found = step_saliency(model, x)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RuntimeError, match=r"saliency_picture: matplotlib must be installed.*rnn_core\[report\]"):
        saliency_picture({"one": found})
