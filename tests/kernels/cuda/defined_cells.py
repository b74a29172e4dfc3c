"""Cells as a user may define them, written for these tests: their programs, and the loop that they stand for in NumPy.

The functions run on NumPy's arrays, and once on symbols that write down what is done with them.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels.contract import DefinedParameters
from kernels.definition import DEFINITIONS, Definition, Operation, Program, Value
from rnn_core.equations import activations

ON_ARRAYS: dict[str, Callable[..., Any]] = {
    "sigmoid": activations.sigmoid, "tanh": np.tanh, "relu": activations.relu, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "maximum": np.maximum, "minimum": np.minimum,
    "where_less": lambda a, b, x, y: np.where(a < b, x, y),
}  # fmt: skip


@dataclass
class Written:
    """What has been done, operation by operation, with so many inputs."""

    inputs: int
    operations: list[Operation] = field(default_factory=list)


@dataclass
class Symbol:
    """A number that writes down what is done with it."""

    written: Written
    number: int

    def __neg__(self) -> Any:
        return apply("negative", self)


def apply(name: str, *operands: Any) -> Any:
    """Do an operation on arrays, or write it down."""
    symbols = [operand for operand in operands if isinstance(operand, Symbol)]
    if not symbols:
        return ON_ARRAYS[name](*operands)
    written = symbols[0].written
    values = tuple(Value(o.number) if isinstance(o, Symbol) else float(o) for o in operands)
    written.operations.append(Operation(name, values, 0))
    return Symbol(written, written.inputs + len(written.operations) - 1)


def method(name: str, *, reflected: bool = False) -> Callable[[Any, Any], Any]:
    """Return what a sign between two numbers does."""
    return lambda a, b: apply(name, b, a) if reflected else apply(name, a, b)


for sign, operation in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("truediv", "divide")):
    setattr(Symbol, f"__{sign}__", method(operation))
    setattr(Symbol, f"__r{sign}__", method(operation, reflected=True))


def function(name: str) -> Callable[..., Any]:
    """Return an operation as a function."""
    return lambda *operands: apply(name, *operands)


sigmoid, tanh, relu, exp, log, sqrt = map(function, ("sigmoid", "tanh", "relu", "exp", "log", "sqrt"))
maximum, minimum, where_less = map(function, ("maximum", "minimum", "where_less"))


def written_down(run: Callable[..., Any], groups: Sequence[Sequence[str]]) -> Program:
    """Return a function of groups of numbers as a program."""
    names = tuple(f"{k}.{name}" for k, group in enumerate(groups) for name in group)
    written = Written(len(names))
    symbols = iter([Symbol(written, k) for k in range(len(names))])
    kinds = [namedtuple("Group", group)(*(next(symbols) for _ in group)) for group in groups]
    outputs = [Value(o.number) if isinstance(o, Symbol) else float(o) for part in run(*kinds) for o in part]
    labels = tuple(map(str, range(len(outputs))))
    return Program(names, tuple(written.operations), tuple(outputs), labels, (0,) * len(outputs))


def define(
    name: str, step: Callable[..., Any], step_backward: Callable[..., Any], *, sums: str, states: str, kept: str,
    from_x: str | None = None, from_h: str | None = None, streams: str = "", vectors: str = "", constants: str = "",
) -> Definition:  # fmt: skip
    """Return the definition of two functions of (a, prev, m, p) and (kept, prev, state, dstate, m, p)."""
    a, s, k, m, v, c = (tuple(text.split()) for text in (sums, states, kept, streams, vectors, constants))
    p = (*v, *c)
    x, h = (a if text is None else tuple(text.split()) for text in (from_x, from_h))
    made = Definition(
        name, a, x, h, s, k, m, v, c, written_down(step, (a, s, m, p)),
        written_down(step_backward, (k, s, s, s, m, p)), (step, step_backward), module=__name__,
    )  # fmt: skip
    DEFINITIONS[name] = made
    return made


def rnn() -> Definition:
    """h = tanh(a); the backward has it from the state."""
    return define(
        "TestRNN", lambda a, prev, m, p: ((tanh(a.a),), ()),
        lambda kept, prev, state, dstate, m, p: ((0.0,), (dstate.h * (1 - state.h * state.h),), ()),
        sums="a", states="h", kept="",
    )  # fmt: skip


def lstm() -> Definition:
    """The LSTM, operation by operation as kernels/cuda/lstm.py has it."""

    def step(a, prev, m, p):
        i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
        c = f * prev.c + i * g
        return (o * tanh(c), c), (i, f, g, o)

    def step_backward(kept, prev, state, dstate, m, p):
        i, f, g, o = kept
        tanh_c = tanh(state.c)
        dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c)
        da_i, da_f = dc * g * (i * (1 - i)), dc * prev.c * (f * (1 - f))
        da_g, da_o = dc * i * (1 - g * g), dstate.h * tanh_c * (o * (1 - o))
        return (0.0, dc * f), (da_i, da_f, da_g, da_o), ()

    return define("TestLSTM", step, step_backward, sums="i f g o", states="h c", kept="i f g o")


def gru() -> Definition:
    """The GRU: of four sums one is the input's alone, and one the state's."""

    def step(a, prev, m, p):
        r, z = sigmoid(a.r), sigmoid(a.z)
        n = tanh(a.n + r * a.m)
        return ((1 - z) * n + z * prev.h,), (n, r, z, a.m)

    def step_backward(kept, prev, state, dstate, m, p):
        n, r, z, m_t = kept
        da_n = dstate.h * (1 - z) * (1 - n * n)
        da_z = dstate.h * (prev.h - n) * (z * (1 - z))
        return (dstate.h * z,), (da_n, da_n * m_t * (r * (1 - r)), da_z, da_n * r), ()

    return define(
        "TestGRU", step, step_backward, sums="n r z m", states="h", kept="n r z m", from_x="r z n", from_h="r z m"
    )


def held() -> Definition:
    """Three states, two vectors, a constant and a stream, more sums from the input than from h; every operation."""

    def step(a, prev, m, p):
        i, f, g = exp(minimum(a.i, p.k)), sigmoid(a.f + p.w * prev.c), tanh(maximum(a.g, -p.k))
        n, c = f * prev.n + i, f * prev.c + i * g
        s = 1 + n * n
        q = c / sqrt(s) + p.v * log(s)
        return (m.keep * relu(q) + (1 - m.keep) * prev.h, c, n), (a.i, i, f, a.g, g, q)

    def step_backward(kept, prev, state, dstate, m, p):
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

    return define(
        "TestHeld", step, step_backward, sums="i f g", states="h c n", kept="a_i i f a_g g q",
        from_h="g f", streams="keep", vectors="w v", constants="k",
    )  # fmt: skip


def apart() -> Definition:
    """Units that see themselves alone, with a running sum: no W_h, so that nobody waits for anybody."""

    def step(a, prev, m, p):
        h = tanh(a.a + p.u * prev.h)
        return (h, prev.s + 0.1 * h), ()

    def step_backward(kept, prev, state, dstate, m, p):
        da = (dstate.h + 0.1 * dstate.s) * (1 - state.h * state.h)
        return (da * p.u, dstate.s), (da,), (da * prev.h,)

    return define("TestApart", step, step_backward, sums="a", states="h s", kept="", from_h="", vectors="u")


def masked() -> Definition:
    """One sum from both, one from h alone, and two streams; no vectors."""

    def step(a, prev, m, p):
        u, z = tanh(a.u), sigmoid(a.z)
        return (m.first * u * z + m.second * prev.h,), (u, z)

    def step_backward(kept, prev, state, dstate, m, p):
        u, z = kept
        d = m.first * dstate.h
        return (m.second * dstate.h,), (d * z * (1 - u * u), d * u * (z * (1 - z))), ()

    return define(
        "TestMasked", step, step_backward, sums="u z", states="h", kept="u z", from_x="u", streams="first second"
    )


class Call:
    """The arguments of a call, forwards and back, drawn for a cell."""

    def __init__(self, definition: Definition, dtype: str, *, T=4, B=3, I=2, H=5, lengths=None, bias=True, seed=0):
        rng, d = np.random.default_rng(seed), definition

        def draw(*shape: int) -> np.ndarray:
            return (0.5 * rng.standard_normal(shape)).astype(dtype)

        X, G = len(d.from_x) * H, len(d.from_h) * H
        W_x, W_h, b_x, b_h = draw(X, I), draw(G, H), draw(X), draw(G)
        extra = (*(draw(H) for _ in d.vectors), *(np.full(H, 0.4, dtype) for _ in d.constants))
        b_x, b_h = b_x if bias else None, b_h if bias and G else None
        self.params = DefinedParameters(W_x, W_h if G else None, b_x, b_h, extra)
        self.definition, self.lengths = d, None if lengths is None else np.array(lengths)
        self.x, self.state0 = draw(T, B, I), tuple(draw(B, H) for _ in d.states)
        self.streams = tuple((rng.random((T, B, H)) < 0.7).astype(dtype) for _ in d.streams)
        self.dy, self.dstate_T = draw(T, B, H), tuple(draw(B, H) for _ in d.states)
        self.dstates = (None, *(draw(T, B, H) for _ in d.states[1:]))
        self.names = (
            "x", *(f"{s}0" for s in d.states), "weight_ih", "weight_hh", "bias_ih", "bias_hh", *d.vectors
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

    def expected(self) -> dict[str, np.ndarray]:
        """Return the same by the formulas of kernels/definition.py, in float64."""
        d, (T, B, _), H = self.definition, self.x.shape, self.state0[0].shape[1]
        W_x, W_h, b_x, b_h, extra = wide(self.params)
        b_x = np.zeros(len(W_x)) if b_x is None else b_x
        W_h, b_h = np.zeros((0, H)) if W_h is None else W_h, np.zeros(len(d.from_h) * H) if b_h is None else b_h
        x, streams, dy, states = map(wide, (self.x, self.streams, self.dy, self.state0))
        lengths = np.full(B, T) if self.lengths is None else self.lengths
        step, step_backward = d.functions
        p = namedtuple("P", (*d.vectors, *d.constants))(*extra)
        sums, states_of, streams_of = (namedtuple("Group", names) for names in (d.sums, d.states, d.streams))
        x, dy = (np.where((np.arange(T)[:, None] < lengths)[..., None], v, 0) for v in (x, dy))
        every, kept, steps = [states_of(*states)], [], []
        for t in range(T):
            prev, m = every[-1], streams_of(*(s[t] for s in streams))
            of_x, of_h = x[t] @ W_x.T + b_x, prev.h @ W_h.T + b_h
            a = {name: np.zeros((B, H)) for name in d.sums}
            for names, value in ((d.from_x, of_x), (d.from_h, of_h)):
                for k, name in enumerate(names):
                    a[name] = a[name] + value[:, k * H : (k + 1) * H]
            new, of_step = step(sums(**a), prev, m, p)
            live = (t < lengths)[:, None]
            every.append(states_of(*(np.where(live, n, o) for n, o in zip(new, prev, strict=True))))
            kept.append(namedtuple("Kept", d.kept)(*of_step))
            steps.append((live, m))
        found = {f"{s}_T": v for s, v in zip(d.states, every[-1], strict=True)}
        found |= {
            f"all {s}": np.stack([np.where(live, e[k], 0) for (live, _), e in zip(steps, every[1:], strict=True)])
            for k, s in enumerate(d.states)
        }
        found["y"] = found["all h"]
        ds, dp = list(wide(self.dstate_T)), [np.zeros(H) for _ in d.vectors]
        outside = wide(self.dstates)
        dx, dW_x, dW_h = np.zeros_like(x), np.zeros_like(W_x), np.zeros_like(W_h)
        db_x, db_h = np.zeros_like(b_x), np.zeros_like(b_h)
        for t in reversed(range(T)):
            live, m = steps[t]
            up = [dy[t], *(o[t] for o in outside[1:])]
            whole = states_of(*(g + u for g, u in zip(ds, up, strict=True)))
            before, da, dv = step_backward(kept[t], every[t], every[t + 1], whole, m, p)
            of = dict(zip(d.sums, (np.where(live, g, 0) for g in da), strict=True))
            da_x, da_h = (np.concatenate([np.zeros((B, 0)), *map(of.get, n)], 1) for n in (d.from_x, d.from_h))
            dx[t] = da_x @ W_x
            dW_x, db_x = dW_x + da_x.T @ x[t], db_x + da_x.sum(0)
            dW_h, db_h = dW_h + da_h.T @ every[t].h, db_h + da_h.sum(0)
            dp = [total + np.where(live, g, 0).sum(0) for total, g in zip(dp, dv, strict=True)]
            ds = [np.where(live, b, old) for b, old in zip(before, ds, strict=True)]
            ds[0] = ds[0] + np.where(live, da_h @ W_h, 0)
        values = dict(zip(self.names, (dx, *ds, dW_x, dW_h, db_x, db_h, *dp), strict=True))
        absent = {name for name, value in zip(self.params._fields[:4], self.params, strict=False) if value is None}
        return found | {f"d{name}": value for name, value in values.items() if name not in absent}


def wide(value: Any) -> Any:
    """Return arrays in float64, in tuples or not."""
    if isinstance(value, tuple):
        return tuple(map(wide, value))
    return None if value is None else value.astype(np.float64)
