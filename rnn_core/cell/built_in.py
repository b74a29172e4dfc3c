"""RNN, LSTM and GRU in the words of a user's cell: what a layer regularises in their recurrence.

::

    g_t = tanh(a_g)  →  d_t ⊙ g_t        (RG3)   of whatever a cell's candidate is, wherever it is read

A layer of theirs without regularisers has the kernels that are written out by hand. In the recurrence zoneout, dropout
and the rest stand around a definition, whichever it is; so here the same equations, (R1) to (R3), (L1) to (L9) and (G1)
to (G6), are a definition, which has their bits.

Of the RNN the candidate is the whole new state: what is dropped there is forgotten, as nothing else carries it on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from kernels.definition import Definition

from .derived import derived
from .names import Group, Ones
from .operators import relu, sigmoid, tanh, where_less
from .writing import Written

Number = Any
"""A symbol at one time, an array at another, and a plain 0 will do."""


class LSTMGates(NamedTuple):
    """The sums, and the gates that a tape keeps."""

    i: Number
    f: Number
    g: Number
    o: Number


class LSTMStates(NamedTuple):
    """h, the output, and c."""

    h: Number
    c: Number


class LSTMMasks(NamedTuple):
    """Of the candidate."""

    g: Number


def lstm(a: LSTMGates, prev: LSTMStates, d: LSTMMasks) -> tuple[LSTMStates, LSTMGates]:
    """From the sums (L1) and the previous states to the next states and the gates: (L2)–(L7)."""
    i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
    c = f * prev.c + i * (d.g * g)  # (RG3)
    return LSTMStates(o * tanh(c), c), LSTMGates(i, f, g, o)


def lstm_backward(
    kept: LSTMGates, prev: LSTMStates, state: LSTMStates, dstate: LSTMStates, d: LSTMMasks
) -> tuple[LSTMStates, LSTMGates]:
    """From dh and dc to what dc_{t−1} gets directly, and da."""
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c)
    di = dc * (d.g * g)  # (RG3′)
    df = dc * prev.c
    dg = dc * i * d.g  # (RG3′)
    da = LSTMGates(di * (i * (1 - i)), df * (f * (1 - f)), dg * (1 - g * g), do * (o * (1 - o)))
    return LSTMStates(0, dc * f), da


class GRUGates(NamedTuple):
    """The sums, and what a tape keeps: r and z of both, n of the input, m of the state."""

    r: Number
    z: Number
    n: Number
    m: Number


class Output(NamedTuple):
    """h."""

    h: Number


class GRUMasks(NamedTuple):
    """Of the candidate."""

    n: Number


def gru(a: GRUGates, prev: Output, d: GRUMasks) -> tuple[Output, GRUGates]:
    """From the sums and the previous state to the next state and the gates: (G1)–(G5)."""
    r, z = sigmoid(a.r), sigmoid(a.z)
    n = tanh(a.n + r * a.m)
    h = (1 - z) * (d.n * n) + z * prev.h  # (RG3)
    return Output(h), GRUGates(r, z, n, a.m)


def gru_backward(
    kept: GRUGates, prev: Output, state: Output, dstate: Output, d: GRUMasks
) -> tuple[Output, GRUGates]:
    """From dh to what dh_{t−1} gets directly, and da."""
    r, z, n, m = kept
    dn = dstate.h * (1 - z) * d.n  # (RG3′)
    dz = dstate.h * (prev.h - d.n * n)  # (RG3′)
    da_n = dn * (1 - n * n)
    dr = da_n * m
    return Output(dstate.h * z), GRUGates(dr * (r * (1 - r)), dz * (z * (1 - z)), da_n, da_n * r)


class RNNGates(NamedTuple):
    """The one sum; of a tape, the activation; of the masks, that of the candidate."""

    h: Number


def _rnn(f: Callable[[Any], Any], df: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """Return both functions of an RNN with the nonlinearity f; df(g, dg) is the gradient of what g = f(a) is of."""

    def rnn(a: RNNGates, prev: Output, d: RNNGates) -> tuple[Output, RNNGates]:
        """From the sum (R1) and the previous state to the next: (R2)."""
        g = f(a.h)
        return Output(d.h * g), RNNGates(g)  # (RG3)

    def rnn_backward(
        kept: RNNGates, prev: Output, state: Output, dstate: Output, d: RNNGates
    ) -> tuple[Output, RNNGates]:
        """From dh to da."""
        return Output(0), RNNGates(df(kept.h, dstate.h * d.h))  # (RG3′)

    return rnn, rnn_backward


_CELLS: dict[str, tuple[tuple[Any, Any], tuple[Any, Any, Any, Any], tuple[Any, Any]]] = {
    "lstm": ((lstm, lstm_backward), (LSTMGates, LSTMStates, LSTMGates, LSTMMasks), (None, None)),
    "gru": ((gru, gru_backward), (GRUGates, Output, GRUGates, GRUMasks), (("r", "z", "n"), ("r", "z", "m"))),
    **{
        f"rnn_{name}": (_rnn(f, df), (RNNGates, Output, RNNGates, RNNGates), (None, None))
        for name, f, df in (
            ("tanh", tanh, lambda g, dg: dg * (1 - g * g)),
            ("relu", relu, lambda g, dg: where_less(0, g, dg, 0)),
            ("sigmoid", sigmoid, lambda g, dg: dg * (g * (1 - g))),
        )
    },
}
"""The functions of each; its sums, states, what it keeps and its masks; which sums W_x and W_h add to."""


@cache
def built_in(name: str, dropped: bool = False) -> Definition:
    """Return a cell of `kernels.contract.CELLS` as a definition; `dropped`, with its masks as streams."""
    (step, step_backward), (gates, states, kept, masks), (from_x, from_h) = _CELLS[name]
    a, s = Group("a", "gate", gates), Group("prev", "state", states)
    k, d = Group("kept", "number", kept), Ones("d", "mask", masks)
    forward = Written(step, (a, s, d), (s.called("state"), k))
    backward = Written(
        step_backward, (k, s, s.called("state"), s.called("dstate"), d), (s.called("dprev"), a.called("da"))
    )
    functions: Any = (forward.masked(), backward.masked()) if dropped else (forward, backward)
    its = Definition(
        name, a.names, from_x or a.names, from_h or a.names, s.names, k.names, d.known if dropped else (), (), (),
        functions[0].program(), functions[1].program(), functions, __name__,
    )  # fmt: skip
    return derived(its, built_in, (name, dropped))
