"""Cells in which there is what a layer's don't have, such as streams; and the arguments of a call of any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import DefinedParameters
from kernels.definition import Definition
from rnn_core import equations
from rnn_core.cell import Number, define, exp, log, maximum, minimum, relu, sigmoid, sqrt, tanh, where_less
from tests.conformance import host
from tests.tolerance import assert_agree, tolerance


class Limit(NamedTuple):
    k: float = 0.4


class HeldKept(NamedTuple):
    a_i: Number
    i: Number
    f: Number
    a_g: Number
    g: Number
    q: Number


def held(a, prev, m, p):
    i, f, g = exp(minimum(a.i, p.k)), sigmoid(a.f + p.w * prev.c), tanh(maximum(a.g, -p.k))
    n, c = f * prev.n + i, f * prev.c + i * g
    s = 1 + n * n
    q = c / sqrt(s) + p.v * log(s)
    return (m.keep * relu(q) + (1 - m.keep) * prev.h, c, n), HeldKept(a.i, i, f, a.g, g, q)


def held_backward(kept, prev, state, dstate, m, p):
    a_i, i, f, a_g, g, q = kept
    n, s = state.n, 1 + state.n * state.n
    dq = where_less(0, q, m.keep * dstate.h, 0)
    dc = dstate.c + dq / sqrt(s)
    dn = dstate.n - dq * state.c * n / (s * sqrt(s)) + dq * p.v * (2 * n / s)
    da_i = where_less(a_i, p.k, (dn + dc * g) * i, 0)
    da_f = (dn * prev.n + dc * prev.c) * (f * (1 - f))
    da_g = where_less(-p.k, a_g, dc * i * (1 - g * g), 0)
    before = (1 - m.keep) * dstate.h, dc * f + da_f * p.w, dn * f
    return before, (da_i, da_f, da_g), (da_f * prev.c, dq * log(s))


Held = define(
    "Held", held, held_backward, gates=("i", "f", "g"), states=("h", "c", "n"), kept=HeldKept, from_h=("g", "f"),
    streams=("keep",), parameters=("w", "v"), options=Limit,
)  # fmt: skip
"""Three states, two vectors, a constant and a stream, more sums from the input than from h, and every operation."""


def apart(a, prev, p):
    h = tanh(a.a + p.u * prev.h)
    return (h, prev.s + 0.1 * h), ()


def apart_backward(kept, prev, state, dstate, p):
    da = (dstate.h + 0.1 * dstate.s) * (1 - state.h * state.h)
    return (da * p.u, dstate.s), (da,), (da * prev.h,)


Apart = define("Apart", apart, apart_backward, gates=("a",), states=("h", "s"), from_h=(), parameters=("u",))
"""Units that see themselves alone, with a running sum: no W_h, so that nobody waits for anybody."""


def masked(a, prev, m):
    u, z = tanh(a.u), sigmoid(a.z)
    return (m.first * u * z + m.second * prev.h,), (u, z)


def masked_backward(kept, prev, state, dstate, m):
    u, z = kept
    d = m.first * dstate.h
    return (m.second * dstate.h,), (d * z * (1 - u * u), d * u * (z * (1 - z)))


Masked = define(
    "MaskedUnit", masked, masked_backward, gates=("u", "z"), states=("h",), kept=("u", "z"), from_x=("u",),
    streams=("first", "second"),
)  # fmt: skip
"""One sum from both, one from h alone, and two streams; no vectors."""


class Call:
    """The arguments of a call, forwards and back, drawn for a cell."""

    def __init__(self, definition: Definition, dtype: str, *, T=4, B=3, I=2, H=5, P=2, lengths=None, bias=True, seed=0):
        rng, d = np.random.default_rng(seed), definition

        def draw(*shape: int) -> np.ndarray:
            return (0.5 * rng.standard_normal(shape)).astype(dtype)

        X, G, P = len(d.from_x) * H, len(d.from_h) * H, P if d.projection else H
        W_x, W_h, b_x, b_h = draw(X, I), draw(G, P), draw(X), draw(G)
        extra = (*(draw(H) for _ in d.vectors), *(np.full(H, 0.4, dtype) for _ in d.constants))
        extra += tuple(draw(P if name == d.projection else H, H) for name in d.matrices)
        b_x, b_h = b_x if bias else None, b_h if bias and G else None
        self.params = DefinedParameters(W_x, W_h if G else None, b_x, b_h, extra)
        self.definition, self.lengths = d, None if lengths is None else np.array(lengths)
        self.x, self.state0 = draw(T, B, I), (draw(B, P), *(draw(B, H) for _ in d.states[1:]))
        self.streams = tuple((rng.random((T, B, H)) < 0.7).astype(dtype) for _ in d.streams)
        self.dy, self.dstate_T = draw(T, B, P), (draw(B, P), *(draw(B, H) for _ in d.states[1:]))
        self.dstates = (None, *(draw(T, B, H) for _ in d.states[1:]))
        self.names = (
            "x", *(f"{s}0" for s in d.states), "weight_ih", "weight_hh", "bias_ih", "bias_hh", *d.vectors,
            *d.matrices,
        )  # fmt: skip

    def run(self, cell: Any) -> dict[str, np.ndarray]:
        """Return all that a backend's cell says, by name."""
        y, state, tape = cell.forward(self.params, self.x, self.state0, self.lengths, self.streams)
        found = {"y": y, **{f"{s}_T": v for s, v in zip(self.definition.states, state, strict=True)}}
        found |= {f"all {s}": v for s, v in zip(self.definition.states, cell.states(tape), strict=True)}
        return found | self.gradients(cell, tape)

    def gradients(self, cell: Any, tape: Any, needs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return the gradients that are needed."""
        wanted = frozenset(self.names if needs is None else needs)
        dx, dstate0, d = cell.backward(self.params, tape, self.dy, self.dstate_T, wanted, self.dstates)
        values = zip(self.names, (dx, *dstate0, *d[:4], *d.extra), strict=True)
        return {f"d{name}": value for name, value in values if value is not None}

    def map(self, change: Callable[[Any], Any]) -> Call:
        """Return the same call with every array changed; lengths stay."""

        def changed(value: Any) -> Any:
            if isinstance(value, tuple):
                parts = [changed(part) for part in value]
                return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
            return change(value) if hasattr(value, "dtype") else value

        other = Call.__new__(Call)
        other.__dict__ = {name: value if name == "lengths" else changed(value) for name, value in vars(self).items()}
        return other

    def expected(self) -> dict[str, np.ndarray]:
        """Return the same by the equations, in float64."""
        return self.map(lambda array: host(array).astype(np.float64)).run(equations.defined_cell(self.definition))


def assert_equations(found: dict[str, Any], call: Call, expected: dict[str, np.ndarray] | None = None) -> None:
    """Assert that all that a backend says of a call is what the equations say, in the call's dtype."""
    expected, dtype = call.expected() if expected is None else expected, host(call.x).dtype
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == dtype, f"{name}: {found[name].dtype} instead of {dtype}"
        assert_agree(name, host(found[name]), value, tolerance(dtype, len(call.x)))
