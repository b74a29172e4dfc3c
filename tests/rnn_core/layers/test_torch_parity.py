"""The layers beside torch's: every option drawn at random, forward and backward, and weights handed to and fro.

float64 has to agree to 1e-10, relative to the largest element of the same time step. float32 is compared at the
scale of what went in, numbers of order one: either side's rounding may be the larger one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN
from rnn_core.layers.stack import Recurrent
from tests.tolerance import assert_agree, tolerance

torch = pytest.importorskip("torch")

CELLS: dict[str, tuple[type[Recurrent], dict[str, str]]] = {
    "RNN-tanh": (RNN, {"nonlinearity": "tanh"}),
    "RNN-relu": (RNN, {"nonlinearity": "relu"}),
    "LSTM": (LSTM, {}),
    "GRU": (GRU, {}),
}
"""The cells that torch has too; it has no vanilla network with a sigmoid."""


class Drawn(NamedTuple):
    """The options of one comparison."""

    T: int
    B: int
    I: int
    H: int
    num_layers: int
    bidirectional: bool
    batch_first: bool
    bias: bool
    batched: bool
    lengths: list[int] | None
    states: bool
    upstream: frozenset[str]
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that both constructors take."""
        return {name: getattr(self, name) for name in ("num_layers", "bidirectional", "batch_first", "bias")}


@st.composite
def drawn(draw):
    """Options that torch takes: it packs no unbatched sequence."""
    T, B = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    batched = draw(st.booleans())
    ragged = batched and draw(st.booleans())
    return Drawn(
        T=T,
        B=B if batched else 1,
        I=draw(st.integers(1, 5)),
        H=draw(st.integers(1, 6)),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        bias=draw(st.booleans()),
        batched=batched,
        lengths=draw(st.lists(st.integers(1, T), min_size=B, max_size=B)) if ragged else None,
        states=draw(st.booleans()),
        upstream=draw(st.frozensets(st.sampled_from(["y", "h", "c"]), min_size=1)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def pair(state):
    return state if isinstance(state, tuple) else (state,)


def unpair(states):
    return states if len(states) > 1 else states[0]


def run_ours(layer, d, x, states, dy, dstates):
    """Forward and backward; everything that comes out, by name."""
    y, state, tape = layer.forward(x, unpair(states) if d.states else None, d.lengths)
    dx, dstate0, grads = layer.backward(tape, dy, unpair(dstates))
    results = {"y": y, "dx": dx, **{f"d{name}": value for name, value in grads.items()}}
    for name, final, initial in zip(layer.spec.states, pair(state), pair(dstate0), strict=True):
        results |= {f"{name}_T": final, f"d{name}0": initial}
    return results


def run_torch(module, names, d, x, states, dy, dstates):
    """The same by torch, packed where there are lengths."""
    x = torch.from_numpy(x).requires_grad_()
    states = tuple(torch.from_numpy(s).requires_grad_() for s in states)
    given_x = x
    if d.lengths is not None:
        given_x = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(d.lengths), batch_first=d.batch_first, enforce_sorted=False
        )
    y, state = module(given_x, unpair(states))
    if d.lengths is not None:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=d.batch_first, total_length=d.T)
    loss = torch.zeros((), dtype=y.dtype)
    for value, upstream in zip((y, *pair(state)), (dy, *dstates), strict=True):
        if upstream is not None:
            loss = loss + (value * torch.from_numpy(upstream)).sum()
    parameters = dict(module.named_parameters())
    inputs = {"dx": x, **{f"d{name}0": s for name, s in zip(names, states, strict=True)}}
    inputs |= {f"d{name}": value for name, value in parameters.items()}
    gradients = torch.autograd.grad(loss, list(inputs.values()), materialize_grads=True)
    results = {"y": y, **{f"{name}_T": s for name, s in zip(names, pair(state), strict=True)}}
    results |= dict(zip(inputs, gradients, strict=True))
    return {name: value.detach().numpy() for name, value in results.items()}


def both(cell, d, dtype):
    """Return everything that we and torch make of the same numbers; the weights are torch's."""
    kind, options = CELLS[cell]
    layer = kind(d.I, d.H, **d.options, **options, dtype=dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(d.seed)
        module = getattr(torch.nn, kind.__name__)(d.I, d.H, **d.options, **options, dtype=getattr(torch, dtype))
    layer.load_state_dict(module.state_dict())

    rng, directions = np.random.default_rng(d.seed), 2 if d.bidirectional else 1
    stacked = d.num_layers * directions

    def sequence(features):
        order = (d.B, d.T) if d.batch_first else (d.T, d.B)
        return rng.uniform(-2, 2, (*order, features) if d.batched else (d.T, features)).astype(dtype)

    def state():
        return rng.uniform(-1, 1, (stacked, d.B, d.H) if d.batched else (stacked, d.H)).astype(dtype)

    names = layer.spec.states
    upstream = d.upstream.intersection(("y", *names)) or {"y"}
    x, dy = sequence(d.I), sequence(directions * d.H) if "y" in upstream else None
    states = tuple(state() if d.states else np.zeros_like(state()) for _ in names)
    dstates = tuple(state() if name in upstream else None for name in names)
    ours = run_ours(layer, d, x, states, dy, dstates)
    theirs = run_torch(module, names, d, x, states, dy, dstates)
    assert ours.keys() == theirs.keys()
    assert {value.dtype for value in ours.values()} == {np.dtype(dtype)}
    return ours, theirs


@pytest.mark.parametrize("cell", CELLS)
@given(d=drawn())
def test_float64_agrees_to_1e_10(cell, d):
    ours, theirs = both(cell, d, "float64")
    for name, value in theirs.items():
        assert_agree(name, ours[name], value, 1e-10)


@pytest.mark.parametrize("cell", CELLS)
@settings(derandomize=True)  # a pre-activation within rounding of 0 may fall on either side of ReLU's kink
@given(d=drawn())
def test_float32_agrees_up_to_rounding_and_stays_float32(cell, d):
    ours, theirs = both(cell, d, "float32")
    allowed = tolerance("float32", d.num_layers * d.T)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=allowed, atol=allowed, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_go_both_ways(cell, dtype):
    kind, options = CELLS[cell]
    layer = kind(3, 5, 2, bidirectional=True, dtype=dtype, seed=1, **options)
    module = getattr(torch.nn, kind.__name__)(3, 5, 2, bidirectional=True, dtype=getattr(torch, dtype), **options)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})
    assert list(module.state_dict()) == list(layer.state_dict())
    twin = kind(3, 5, 2, bidirectional=True, dtype=dtype, seed=2, **options)
    twin.load_state_dict(module.state_dict())
    for name, value in layer.parameters.items():
        np.testing.assert_array_equal(twin.parameters[name], value)
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).astype(dtype)
    with torch.no_grad():
        np.testing.assert_allclose(layer(x)[0], module(torch.from_numpy(x))[0].numpy(), atol=tolerance(dtype, 12))
