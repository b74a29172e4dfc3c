"""Variants whose step looks at all units of a row: against torch's own where it has them, and in limits."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, LSTM, load, save
from rnn_core.variants import (
    SLSTM,
    GateBeforeMGU,
    LayerNormGRU,
    LayerNormLSTM,
    ProjectedLSTM,
    ResetBeforeGRU,
)

from .forms import made

T, B, I, H, P = 6, 3, 2, 5, 3
LENGTHS = [6, 2, 5]
EXACT = {"dtype": "float64", "backend": "numpy"}


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def packed(torch, module, x, dy, state0):
    """Return what torch makes of a batch of unequal lengths: y, h, c, and all gradients of Σ y ⊙ dy + Σ h + Σ c²."""
    inputs, *states = (torch.tensor(array, requires_grad=True) for array in (x, *state0))
    sequences = torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, enforce_sorted=False)
    y, (h, c) = module(sequences, tuple(states))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=T)
    ((y * torch.tensor(dy)).sum() + h.sum() + (c**2).sum()).backward()
    found = {"y": y, "h": h, "c": c}
    gradients = {"dx": inputs.grad, "dh0": states[0].grad, "dc0": states[1].grad}
    gradients |= {name: parameter.grad for name, parameter in module.named_parameters()}
    return {name: array.detach().numpy() for name, array in (found | gradients).items()}


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no bias"])
@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_the_projection_is_that_of_torch(backend, bias):
    """To 1e-10: stacked, both ways, of unequal lengths, from given states, with every gradient."""
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(I, H, 2, bias=bias, bidirectional=True, proj_size=P).double()
    layer = ProjectedLSTM(I, H, 2, bias, bidirectional=True, proj_size=P, dtype="float64", backend=backend)
    layer.load_state_dict(module.state_dict())
    assert {*layer.parameters} == {*module.state_dict()}
    x, dy, state0 = random(T, B, I), random(T, B, 2 * P, seed=1), (random(4, B, P, seed=2), random(4, B, H, seed=3))
    expected = packed(torch, module, x, dy, state0)
    y, (h, c), tape = layer.forward(x, state0, lengths=LENGTHS)
    dx, (dh0, dc0), gradients = layer.backward(tape, dy, (np.ones_like(h), 2 * c))
    found = {"y": y, "h": h, "c": c, "dx": dx, "dh0": dh0, "dc0": dc0, **gradients}
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-10, rtol=0, err_msg=name)


def test_a_projection_that_picks_units_is_an_lstm_that_does_not_hear_of_the_others():
    lstm, layer = LSTM(I, H, seed=0, **EXACT), ProjectedLSTM(I, H, proj_size=P, **EXACT)
    weight = lstm.parameters["weight_hh_l0"]
    weight[:, P:] = 0
    layer.load_state_dict({**lstm.parameters, "weight_hh_l0": weight[:, :P], "weight_hr_l0": np.eye(P, H)})
    np.testing.assert_allclose(layer(random(T, B, I))[0], lstm(random(T, B, I))[0][..., :P], atol=1e-15)


def test_a_projection_is_saved_and_loaded(tmp_path):
    layer, x = ProjectedLSTM(I, H, 2, proj_size=P, seed=0, **EXACT), random(T, B, I)
    save(layer, tmp_path / "layer.safetensors")
    same = load(tmp_path / "layer.safetensors", backend="numpy")
    assert isinstance(same, ProjectedLSTM)
    np.testing.assert_array_equal(same(x)[0], layer(x)[0])


def test_with_an_open_reset_it_is_the_gru():
    """Where r is 1 it doesn't matter whether it comes before the product or after."""
    gru = GRU(I, H, seed=0, **EXACT)
    for name in ("bias_ih_l0", "bias_hh_l0"):
        gru.parameters[name][:H] = 400
    gru.parameters["bias_hh_l0"][2 * H :] = 0
    layer = ResetBeforeGRU(I, H, **EXACT)
    weight, bias = gru.parameters["weight_hh_l0"], gru.parameters["bias_hh_l0"]
    layer.load_state_dict(
        {
            **gru.parameters, "weight_hh_l0": weight[: 2 * H], "bias_hh_l0": bias[: 2 * H],
            "weight_hn_l0": weight[2 * H :],
        }
    )  # fmt: skip
    np.testing.assert_allclose(layer(random(T, B, I))[0], gru(random(T, B, I))[0], atol=1e-15)


def test_one_gate_for_both_is_the_minimal_unit():
    """r = f and z = 1 − f, which is σ of the same sum with its sign turned."""
    unit = GateBeforeMGU(I, H, seed=0, **EXACT)
    given = {}
    for name, array in unit.parameters.items():
        f, n = array[:H], array[H:]
        given[name] = array if name == "weight_hn_l0" else np.concatenate((f, -f, n))
    gru = ResetBeforeGRU(I, H, **EXACT)
    gru.load_state_dict(given)
    np.testing.assert_allclose(gru(random(T, B, I))[0], unit(random(T, B, I))[0], atol=1e-15)


@pytest.mark.parametrize("cell", [LayerNormLSTM, LayerNormGRU])
def test_neither_scale_nor_mean_of_a_sum_is_heard(cell):
    """But for ε. So gradients of the weights are orthogonal to them, block by block, and add up to 0 over the units."""
    layer = made(cell.__name__, I, H, eps=1e-14, seed=0, **EXACT)
    x = random(T, B, I)
    y, _, tape = layer.forward(x)
    _, _, gradients = layer.backward(tape, random(*y.shape, seed=1))
    for name in ("weight_ih_l0", "weight_hh_l0"):
        blocks = (array.reshape(-1, H, array.shape[1]) for array in (layer.parameters[name], gradients[name]))
        for weight, gradient in zip(*blocks, strict=True):
            assert abs((weight * gradient).sum()) < 1e-9
            np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-12)
            weight *= 3
            weight += random(weight.shape[1], seed=2)
    np.testing.assert_allclose(layer(x)[0], y, atol=1e-9)


@pytest.mark.parametrize("cell", [LayerNormLSTM, LayerNormGRU])
def test_gains_begin_with_one_and_shifts_with_zero(cell):
    layer = cell(I, H, 2, seed=0)
    of_units = {name: array for name, array in layer.parameters.items() if not name.startswith("weight")}
    assert len(of_units) == 2 * {LayerNormLSTM: 14, LayerNormGRU: 10}[cell]
    assert all((array == name.startswith("gain")).all() for name, array in of_units.items())
    assert not any(name.startswith("bias") for name in layer.parameters)


def test_a_row_of_equal_units_is_its_shift():
    """Without ε it would be 0/0."""
    layer = LayerNormLSTM(I, 1, seed=0, **EXACT)
    y, _, tape = layer.forward(random(T, B, I))
    assert not y.any()
    assert all(np.isfinite(array).all() for array in layer.backward(tape, np.ones_like(y))[2].values())


def test_heads_do_not_hear_of_each_other():
    """They are one head with zeros outside of the blocks, whose gradients there are dropped."""
    heads, whole = SLSTM(I, 6, num_heads=3, seed=0, **EXACT), SLSTM(I, 6, **EXACT)
    blocks = heads.parameters["weight_hh_l0"].reshape(4, 3, 2, 2)  # gates, heads, units, units heard
    weight = np.zeros((4, 3, 2, 3, 2))
    for k in range(3):
        weight[:, k, :, k] = blocks[:, k]
    whole.load_state_dict({**heads.parameters, "weight_hh_l0": weight.reshape(24, 6)})
    x, results = random(T, B, I), []
    for layer in (heads, whole):
        y, state, tape = layer.forward(x)
        dx, _, gradients = layer.backward(tape, random(*y.shape, seed=1))
        dW = gradients.pop("weight_hh_l0")
        if layer is whole:
            dW = np.stack([dW.reshape(4, 3, 2, 3, 2)[:, k, :, k] for k in range(3)], axis=1)
        results.append({"y": y, "dx": dx, "dW_h": dW.reshape(24, 2), "c": state[1], **gradients})
    for name, array in results[1].items():
        np.testing.assert_allclose(results[0][name], array, atol=1e-14, err_msg=name)
