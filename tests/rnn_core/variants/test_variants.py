"""The variants: gradients by the complex step and by torch, what they are in limits, and every backend alike."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN, gradcheck
from rnn_core.cell import tanh
from rnn_core.variants import SLSTM, LeakyRNN, MinGRU, MinLSTM, PeepholeLSTM, parallel
from rnn_core.variants.scan import Linear, scan, scan_backward

from .forms import CELLS, made, step

T, B, I, H = 6, 3, 2, 4
LENGTHS = [6, 2, 5]
OPTIONS = {
    "plain": {},
    "stacked, both directions": {"num_layers": 2, "bidirectional": True},
    "no bias, batch first": {"bias": False, "batch_first": True},
}


def random(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", CELLS)
def test_gradients_by_the_complex_step(name, options):
    layer = made(name, I, H, dtype="float64", seed=1, backend="numpy", **options)
    x = random(2, 4, I) if layer.batch_first else random(4, 2, I)
    report = gradcheck(layer, x, lengths=[4, 2])
    assert report.passed
    assert report.worst.error < 1e-12


@pytest.mark.parametrize("name", CELLS)
def test_gradients_by_torch(name):
    torch = pytest.importorskip("torch")
    layer = made(name, I, H, dtype="float64", seed=2, backend="numpy")
    x = random(T, B, I)
    y, _, tape = layer.forward(x)
    dy = random(*y.shape, seed=3)
    dx, _, grads = layer.backward(tape, dy)

    weights = {name: torch.tensor(array, requires_grad=True) for name, array in layer.parameters.items()}
    p = {key.removesuffix("_l0"): value for key, value in weights.items()} | layer.options
    inputs = torch.tensor(x, requires_grad=True)
    states = {s: torch.zeros(B, H, dtype=torch.float64) for s in layer.spec.states}
    states["h"] = states["h"][:, : y.shape[-1]]
    outputs = []
    for t in range(T):
        h = states["h"] @ p["weight_hh"].T + p.get("bias_hh", 0) if "weight_hh" in p else None
        states = step(name, torch, inputs[t] @ p["weight_ih"].T + p.get("bias_ih", 0), h, states, p)
        outputs.append(states["h"])
    found = torch.stack(outputs)
    np.testing.assert_allclose(y, found.detach().numpy(), atol=1e-13)
    (found * torch.tensor(dy)).sum().backward()
    np.testing.assert_allclose(dx, inputs.grad.numpy(), atol=1e-12)
    for key, weight in weights.items():
        np.testing.assert_allclose(grads[key], weight.grad.numpy(), atol=1e-12, err_msg=key)


IN_FLOAT32 = ["PeepholeLSTM", "MinLSTM", "SLSTM"]
"""Between dtypes the operators differ, not the cells: so one with vectors, and those that take exponentials."""


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float64") for name in CELLS), *((name, "float32") for name in IN_FLOAT32)]
)
def test_the_kernels_compute_what_the_equations_do(name, dtype):
    x = random(T, B, I, dtype=dtype)
    results = []
    for backend in ("numpy", "cpu"):
        layer = made(name, I, 19, dtype=dtype, seed=4, backend=backend)
        y, state, tape = layer.forward(x, lengths=LENGTHS)
        dx, _, grads = layer.backward(tape, random(*y.shape, dtype=dtype))
        state = state if isinstance(state, tuple) else (state,)
        results.append({"y": y, "dx": dx, **dict(zip(layer.spec.states, state, strict=True)), **grads})
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    for key, expected in results[0].items():
        largest = max(1.0, float(abs(expected).max()))
        np.testing.assert_allclose(results[1][key], expected, atol=tolerance * largest, rtol=0, err_msg=key)


def copied(layer, original):
    """Give a layer the parameters of another that it has, too, and zeros elsewhere."""
    for name, array in layer.parameters.items():
        array[...] = original.parameters.get(name, 0)
    return layer


def test_without_peepholes_it_is_the_lstm():
    lstm = LSTM(I, H, dtype="float64", seed=0, backend="numpy")
    x = random(T, B, I)
    np.testing.assert_array_equal(copied(PeepholeLSTM(I, H, dtype="float64", backend="numpy"), lstm)(x)[0], lstm(x)[0])


def test_without_a_leak_it_is_the_rnn():
    rnn = RNN(I, H, dtype="float64", seed=0, backend="numpy")
    leaky = copied(LeakyRNN(I, H, alpha=1.0, dtype="float64", backend="numpy"), rnn)
    np.testing.assert_allclose(leaky(random(T, B, I))[0], rnn(random(T, B, I))[0], atol=1e-15)


def test_a_gru_that_hears_nothing_of_its_state_is_the_minimal_one_but_for_tanh():
    gru = GRU(I, H, dtype="float64", seed=0, backend="numpy")
    gru.parameters["weight_hh_l0"][...] = gru.parameters["bias_hh_l0"][...] = 0
    least = MinGRU(I, H, dtype="float64", backend="numpy")
    for field in ("weight_ih_l0", "bias_ih_l0"):
        _, z, n = np.split(gru.parameters[field], 3)
        least.parameters[field][...] = np.concatenate((-z, n))  # the GRU's z keeps the old state
    x = random(1, B, I)
    z, n = np.split(x[0] @ least.parameters["weight_ih_l0"].T + least.parameters["bias_ih_l0"], 2, axis=-1)
    np.testing.assert_allclose(least(x)[0][0] / n * tanh(n), gru(x)[0][0], atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_exponential_gates_do_not_overflow(backend, dtype):
    layer = SLSTM(I, H, dtype=dtype, seed=0, backend=backend)
    layer.parameters["bias_ih_l0"][...] = random(4 * H, seed=5, dtype=dtype) * 300
    y, (_, c, n, m), tape = layer.forward(random(T, B, I, dtype=dtype))
    assert (n >= 1).all()
    assert (abs(c) <= n * (1 + 1e-5)).all()
    assert np.isfinite(m).all()
    dx, _, grads = layer.backward(tape, np.ones_like(y))
    assert all(np.isfinite(found).all() for found in (dx, *grads.values()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_two_shut_gates_share_a_state(backend, dtype):
    layer = MinLSTM(I, H, dtype=dtype, seed=0, backend=backend)
    layer.parameters["bias_ih_l0"][: 2 * H] = -400
    y, _, tape = layer.forward(random(T, B, I, dtype=dtype))
    assert np.isfinite(y).all()
    assert all(np.isfinite(found).all() for found in layer.backward(tape, np.ones_like(y))[2].values())


def test_a_scan_is_the_loop():
    rng = np.random.default_rng(0)
    for length in (1, 2, 3, 8, 13):
        linear = Linear(rng.uniform(0, 1, (length, 2, 3)), rng.standard_normal((length, 2, 3)))
        h0, dh = rng.standard_normal((2, 3)), rng.standard_normal((length, 2, 3))
        h, expected, h_t = scan(linear, h0), [], h0
        for A, b in zip(*linear, strict=True):
            h_t = A * h_t + b
            expected.append(h_t)
        np.testing.assert_allclose(h, expected, atol=1e-13)
        found, dh0 = scan_backward(linear, h0, h, dh)
        adjoint = np.zeros((2, 3))
        for t in reversed(range(length)):
            adjoint = adjoint + dh[t]
            np.testing.assert_allclose(found.b[t], adjoint, atol=1e-13)
            np.testing.assert_allclose(found.A[t], adjoint * (h[t - 1] if t else h0), atol=1e-13)
            adjoint = adjoint * linear.A[t]
        np.testing.assert_allclose(dh0, adjoint, atol=1e-13)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("cell", [MinGRU, MinLSTM])
def test_all_steps_at_once_are_the_steps(cell, options):
    layer = cell(I, H, dtype="float64", seed=0, **options)
    x = random(B, 11, I) if layer.batch_first else random(11, B, I)
    state0 = random(layer.num_layers * layer.directions, B, H, seed=7)
    y, state = parallel(layer, x, state0)
    expected, final = layer(x, state0)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_allclose(state, final, atol=1e-12)


def test_what_has_no_scan_says_so():
    with pytest.raises(TypeError, match=r"parallel: layer must be a MinGRU or a MinLSTM.*got LSTM"):
        parallel(LSTM(I, H), random(T, B, I))


def test_the_scan_does_not_round_to_bfloat16():
    layer = MinGRU(I, H, precision="bfloat16", backend="cpu", seed=0)
    says = "^parallel: layer must multiply in its own dtype, .* got precision='bfloat16'; "
    with pytest.raises(ValueError, match=says):
        parallel(layer, random(T, B, I).astype("float32"))
