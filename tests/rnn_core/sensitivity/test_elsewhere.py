"""What is beyond the gradient of models of one's own, and of arrays that live on a device: on a stand-in for CuPy."""

from __future__ import annotations

import numpy as np
import pytest

from examples import vanishing_gradients
from examples.detector import Detector
from rnn_core import (
    LSTM,
    LanguageModel,
    SequenceClassifier,
    backends,
    clipped_gradients,
    example_gradient_norms,
    gauss_newton_product,
    hvp,
    jvp,
    state_jacobian,
    state_jacobian_singular_values,
    variants,
)
from rnn_core.data import Batch
from rnn_core.sensitivity.walk import why_not
from tests.device_arrays import Device, device
from tests.sensitivity_checks import EXACT, LENGTHS, TOKENS, B, H, I, T, V, close, direction, inner, lengths_of, normal


@pytest.fixture
def on_device(monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "device", "tests.device_arrays")
    backends._find.cache_clear()
    yield
    backends._find.cache_clear()


def both(kind, *args, **options):
    return tuple(kind(*args, **{**EXACT, "backend": where, **options}) for where in ("numpy", "device"))


def there(arrays):
    return {name: device.asarray(array) for name, array in arrays.items()}


def back(arrays):
    assert all(isinstance(array, Device) for array in arrays.values())
    return {name: array.get() for name, array in arrays.items()}


@pytest.mark.usefixtures("on_device")
def test_products_with_second_derivatives_stay_where_the_direction_is():
    here, model = both(LanguageModel, V, H, tied=True)
    batch, v = Batch(TOKENS, TOKENS, LENGTHS), direction(here.parameters)
    for product in (hvp, gauss_newton_product):
        expected = product(here, batch, v)
        close(back(product(model, batch, there(v))), expected, 1e-12)
        close(product(model, batch, v), expected, 1e-12)  # a direction from the host


@pytest.mark.usefixtures("on_device")
def test_tangents_stay_where_the_layer_is():
    here, layer = both(LSTM, I, H)
    x, dx = normal(T, B, I), normal(T, B, I, seed=1)
    dy, (dh, dc) = jvp(layer, device.asarray(x), dx=device.asarray(dx))
    expected = jvp(here, x, dx=dx)
    for found, exact in ((dy, expected[0]), (dh, expected[1][0]), (dc, expected[1][1])):
        np.testing.assert_allclose(found.get(), exact, rtol=1e-12)


@pytest.mark.usefixtures("on_device")
def test_examples_are_taken_one_by_one():
    here, model = both(SequenceClassifier, 3, H, vocab_size=V)
    batch = Batch(TOKENS, np.array([0, 2, 1]), LENGTHS, np.array([1.0, 0.0, 3.0]))
    assert why_not(model) == "the arrays are on the GPU"
    np.testing.assert_allclose(example_gradient_norms(model, batch), example_gradient_norms(here, batch), rtol=1e-12)
    found, expected = (clipped_gradients(one, batch, 0.1) for one in (model, here))
    close(back(found.gradients), expected.gradients, 1e-12)


@pytest.mark.usefixtures("on_device")
def test_a_jacobian_comes_to_the_host():
    here, layer = both(LSTM, I, H, num_layers=2)
    x = normal(T, I)
    np.testing.assert_allclose(state_jacobian(layer, device.asarray(x), 2), state_jacobian(here, x, 2), rtol=1e-12)
    along = (state_jacobian_singular_values(one, x).values for one in (layer, here))
    np.testing.assert_allclose(next(along), next(along), rtol=1e-9, atol=1e-15)


def test_a_model_of_ones_own_on_the_trunk():
    model = Detector(H, vocab_size=V, bidirectional=True, **EXACT)
    answers = np.random.default_rng(0).integers(0, 2, (B, T))
    batch = Batch(TOKENS, answers, LENGTHS, np.random.default_rng(1).random((B, T)))
    assert not why_not(model)
    norms = example_gradient_norms(model, batch)
    np.testing.assert_allclose(norms, example_gradient_norms(model, batch, method="one by one"), rtol=1e-12)
    v = direction(model.parameters)
    assert inner(v, gauss_newton_product(model, batch, v)) > 0


@pytest.mark.parametrize("cell", [name for name in variants.__all__ if isinstance(getattr(variants, name), type)])
def test_a_defined_cell(cell):
    """Its vectors and all of its states are in all of it, and examples are taken one by one."""
    projected = {"proj_size": H - 1} if cell == "ProjectedLSTM" else {}
    layer = getattr(variants, cell)(I, H, 2, **projected, **EXACT)
    sizes = [H] * len(layer.spec.states)
    sizes[0] = layer.proj_size or H
    count = len(sizes)

    def together(parts):
        return parts if count > 1 else parts[0]

    for array in layer.parameters.values():
        array += 0.3 * normal(*array.shape)
    x, dx, v = normal(T, B, I), normal(T, B, I, seed=1), direction(layer.parameters)
    dy, _ = jvp(layer, x, dx=dx, dparameters=v)
    y, _, tape = layer.forward(x)
    u = normal(*y.shape, seed=2)
    gx, _, grads = layer.backward(tape, u)
    np.testing.assert_allclose((u * dy).sum(), (gx * dx).sum() + inner(grads, v), rtol=1e-11)

    J = state_jacobian(layer, x[:, 0], 2)
    d = tuple(normal(2, size, seed=k) for k, size in enumerate(sizes))
    _, middle = layer(x[:2, 0])
    _, dstate = jvp(layer, x[2:, 0], dstate0=together(d), state0=middle)
    flat = [np.concatenate([part.ravel() for part in parts]) for parts in (d, dstate if count > 1 else (dstate,))]
    np.testing.assert_allclose(J @ flat[0], flat[1], rtol=1e-9, atol=1e-14)
    values = state_jacobian_singular_values(layer, x[:, 0]).values
    np.testing.assert_allclose(values[T - 3], np.linalg.svd(J, compute_uv=False), atol=1e-14)

    model = SequenceClassifier(3, H, input_size=I, cell=cell, cell_options=projected, **EXACT)
    batch = Batch(normal(B, T, I), np.array([0, 1, 2]), LENGTHS)
    assert why_not(model) == f"{cell!r} is a cell of its own"
    u, v = (direction(model.parameters, seed) for seed in (1, 2))
    assert abs(inner(u, hvp(model, batch, v)) - inner(v, hvp(model, batch, u))) < 1e-11
    assert inner(v, gauss_newton_product(model, batch, v)) > 0
    rows = (model.loss_and_gradients(Batch(*(part[b : b + 1] for part in batch[:3]))) for b in range(B))
    np.testing.assert_allclose(example_gradient_norms(model, batch), lengths_of([row.gradients for row in rows]))


class Doubled(SequenceClassifier):
    """Goes back another way."""

    def _backward_below(self, tape, dy, grads, dstate, needs, ready=None):
        return super()._backward_below(tape, 2 * dy, grads, dstate, needs, ready)


def test_a_model_that_goes_another_way_is_asked_itself():
    model = Doubled(3, H, input_size=I, **EXACT)
    batch = Batch(normal(B, T, I), np.array([0, 1, 2]))
    assert why_not(model) == "Doubled has _backward_below of its own"
    plain = SequenceClassifier(3, H, input_size=I, **EXACT)
    needs = {"rnn.weight_hh_l0"}
    twice = example_gradient_norms(model, batch, needs=needs)
    np.testing.assert_allclose(twice, 2 * example_gradient_norms(plain, batch, needs=needs), rtol=1e-12)


def test_the_example_runs(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["--steps", "5", "--hidden-size", "4", "--picture", str(tmp_path / "sigma.png")]
    monkeypatch.setattr("sys.argv", ["vanishing_gradients.py", *arguments])
    vanishing_gradients.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-3:] == ["1", "2", "5"]
    assert len(lines) == 6
    assert (tmp_path / "sigma.png").read_bytes()[:4] == b"\x89PNG"
