"""Cells as a user defines them, written down as programs, and the time loop of their formulas in NumPy."""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import DefinedParameters, State
from kernels.definition import DEFINITIONS, Definition, Operation, Program, Value
from rnn_core.equations import activations
from rnn_core.equations.rounding import rounded_to_bfloat16

NUMPY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "negative": operator.neg, "sigmoid": activations.sigmoid, "tanh": np.tanh, "relu": activations.relu,
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "maximum": np.maximum, "minimum": np.minimum,
    "where_less": lambda a, b, x, y: np.where(a < b, x, y),
}  # fmt: skip
"""What each operation is on arrays."""

ROWS: dict[str, Callable[..., Any]] = {
    "mean": lambda v: np.broadcast_to(v.mean(axis=-1, keepdims=True), v.shape),
}
"""Those across the units of a row, but products, which read their factors as a precision says."""


class Symbol:
    """A number of a program that is being written down."""

    def __init__(self, trace: Trace, number: int):
        self.trace, self.value = trace, Value(number)

    def __add__(self, other: Any) -> Symbol:
        return self.trace.note("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.trace.note("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self.trace.note("subtract", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self.trace.note("subtract", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self.trace.note("multiply", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self.trace.note("multiply", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self.trace.note("divide", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.trace.note("divide", other, self)

    def __neg__(self) -> Symbol:
        return self.trace.note("negative", self)


class Trace:
    """A program that is being written down."""

    def __init__(self, inputs: Sequence[str]):
        self.inputs = tuple(inputs)
        self.operations: list[Operation] = []
        self.symbols = [Symbol(self, k) for k in range(len(self.inputs))]

    def note(self, name: str, *operands: Any) -> Symbol:
        values = tuple(o.value if isinstance(o, Symbol) else float(o) for o in operands)
        self.operations.append(Operation(name, values, 0))
        return Symbol(self, len(self.inputs) + len(self.operations) - 1)

    def program(self, outputs: Sequence[Any]) -> Program:
        found = tuple(o.value if isinstance(o, Symbol) else float(o) for o in outputs)
        names = tuple(f"o{k}" for k in range(len(found)))
        return Program(self.inputs, tuple(self.operations), found, names, (0,) * len(found))


def apply(name: str, *operands: Any) -> Any:
    """Note an operation, wherever its first symbol belongs."""
    return next(o for o in operands if isinstance(o, Symbol)).trace.note(name, *operands)


def _function(name: str) -> Callable[..., Any]:
    return lambda *operands: apply(name, *operands)


mean, product, product_transposed = map(_function, ("mean", "product", "product_transposed"))


sigmoid, tanh, relu, exp, log, sqrt = map(_function, ("sigmoid", "tanh", "relu", "exp", "log", "sqrt"))
maximum, minimum, where_less = map(_function, ("maximum", "minimum", "where_less"))


def defined(
    name: str, step: Callable[..., Any], step_backward: Callable[..., Any], *, sums: str, states: str, kept: str = "",
    from_x: str | None = None, from_h: str | None = None, streams: str = "", vectors: str = "", constants: str = "",
    matrices: str = "", projection: str = "",
) -> Definition:  # fmt: skip
    """Return a definition; names are words in a string.

    ``step(a, prev, m, p)`` returns states and kept; ``step_backward(kept, prev, state, dstate, m, p)`` the gradients.
    """
    groups = {
        "a": sums.split(), "prev": states.split(), "kept": kept.split(), "state": states.split(),
        "dstate": states.split(), "m": streams.split(),
        "p": [*vectors.split(), *constants.split(), *matrices.split()],
    }  # fmt: skip

    def traced(function: Callable[..., Any], *names: str) -> Program:
        trace = Trace([f"{group}.{one}" for group in names for one in groups[group]])
        left = iter(trace.symbols)
        parts = (namedtuple(group, groups[group])(*(next(left) for _ in groups[group])) for group in names)
        return trace.program([one for part in function(*parts) for one in part])

    made = Definition(
        name, tuple(groups["a"]), tuple((sums if from_x is None else from_x).split()),
        tuple((sums if from_h is None else from_h).split()), tuple(groups["state"]), tuple(groups["kept"]),
        tuple(groups["m"]), tuple(vectors.split()), tuple(constants.split()),
        traced(step, "a", "prev", "m", "p"), traced(step_backward, "kept", "prev", "state", "dstate", "m", "p"),
        (step, step_backward), __name__, tuple(matrices.split()), projection,
    )  # fmt: skip
    DEFINITIONS[name] = made
    return made


def _rnn(a, prev, m, p):
    return (tanh(a.h),), ()


def _rnn_backward(kept, prev, state, dstate, m, p):
    return (0,), (dstate.h * (1 - state.h * state.h),)


def _lstm(a, prev, m, p):
    i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
    c = f * prev.c + i * g
    return (o * tanh(c), c), (i, f, g, o)


def _lstm_backward(kept, prev, state, dstate, m, p):
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c)
    di, df, dg = dc * g, dc * prev.c, dc * i
    da = di * (i * (1 - i)), df * (f * (1 - f)), dg * (1 - g * g), do * (o * (1 - o))
    return (0, dc * f), da


def _gru(a, prev, m, p):
    r, z = sigmoid(a.r), sigmoid(a.z)
    n = tanh(a.n + r * a.m)
    return ((1 - z) * n + z * prev.h,), (r, z, n, a.m)


def _gru_backward(kept, prev, state, dstate, m, p):
    r, z, n, half = kept
    dn, dz = dstate.h * (1 - z), dstate.h * (prev.h - n)
    da_n = dn * (1 - n * n)
    dr = da_n * half
    return (dstate.h * z,), (dr * (r * (1 - r)), dz * (z * (1 - z)), da_n, da_n * r)


def _peephole(a, prev, m, p):
    i, f, g = sigmoid(a.i + p.w_i * prev.c), sigmoid(a.f + p.w_f * prev.c), tanh(a.g)
    c = f * prev.c + i * g
    o = sigmoid(a.o + p.w_o * c)
    return (o * tanh(c), c), (i, f, g, o)


def _peephole_backward(kept, prev, state, dstate, m, p):
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    da_o = dstate.h * tanh_c * (o * (1 - o))
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c) + da_o * p.w_o
    da_i, da_f, da_g = dc * g * (i * (1 - i)), dc * prev.c * (f * (1 - f)), dc * i * (1 - g * g)
    dc_prev = dc * f + da_i * p.w_i + da_f * p.w_f
    return (0, dc_prev), (da_i, da_f, da_g, da_o), (da_i * prev.c, da_f * prev.c, da_o * state.c)


def _three(a, prev, m, p):
    """Six sums: u of x alone, r of h alone; three states; a step in which every operation occurs."""
    i, f, r = sigmoid(a.i + p.w * prev.c), exp(minimum(a.f, 0)), sigmoid(a.r)
    g = tanh(a.g + r * a.u) + relu(a.e)
    c = f * prev.c + i * g
    n = maximum(f * prev.n + i, 1)
    h = m.m * (p.q * c / n) + p.k * log(n) - sqrt(n) / 8
    return (h, c, n), (i, f, g, r, a.u, a.e)


def _three_backward(kept, prev, state, dstate, m, p):
    i, f, g, r, u, e = kept
    n, over = state.n, dstate.h * m.m / state.n
    dc = dstate.c + over * p.q
    dn = dstate.n + dstate.h * (p.k / n - 1 / (sqrt(n) * 16)) - over * p.q * state.c / n
    dn = where_less(1, n, dn, 0)
    da_i = (dc * g + dn) * (i * (1 - i))
    da_f = (dc * prev.c + dn * prev.n) * where_less(f, 1, f, 0)
    tanh_g, dg = g - relu(e), dc * i
    da_g = dg * (1 - tanh_g * tanh_g)
    da = da_i, da_f, da_g, da_g * u * (r * (1 - r)), da_g * r, dg * where_less(0, e, 1, 0)
    lost = -(dn * f)
    return (0, dc * f + da_i * p.w, 0 - lost), da, (da_i * prev.c, over * state.c)


def _ratio(a, prev, m, p):
    """Where a unit is none, its vector is 0, and the state no number."""
    return (tanh(a.h / p.w),), (a.h,)


def _ratio_backward(kept, prev, state, dstate, m, p):
    d = dstate.h * (1 - state.h * state.h) / p.w
    return (0,), (d,), (-d * kept.h / p.w,)


def _alone(a, prev, m, p):
    return (tanh(a.h + p.w * prev.h),), ()


def _alone_backward(kept, prev, state, dstate, m, p):
    da = dstate.h * (1 - state.h * state.h)
    return (da * p.w,), (da,), (da * prev.h,)


RNN = defined("defined rnn", _rnn, _rnn_backward, sums="h", states="h")
LSTM = defined("defined lstm", _lstm, _lstm_backward, sums="i f g o", states="h c", kept="i f g o")
GRU = defined(
    "defined gru", _gru, _gru_backward, sums="r z n m", states="h", kept="r z n m", from_x="r z n", from_h="r z m"
)  # fmt: skip
PEEPHOLE = defined(
    "peephole", _peephole, _peephole_backward, sums="i f g o", states="h c", kept="i f g o", vectors="w_i w_f w_o"
)  # fmt: skip
THREE = defined(
    "three", _three, _three_backward, sums="i f g r u e", states="h c n", kept="i f g r u e", from_x="u g i e f",
    from_h="g r f i", streams="m", vectors="w q", constants="k",
)  # fmt: skip
RATIO = defined("ratio", _ratio, _ratio_backward, sums="h", states="h", kept="h", vectors="w")
ALONE = defined("alone", _alone, _alone_backward, sums="h", states="h", from_h="", vectors="w")
CELLS = (RNN, LSTM, GRU, PEEPHOLE, THREE, RATIO, ALONE)


class Call(NamedTuple):
    """The arguments of a defined cell, forwards and back."""

    definition: Definition
    params: DefinedParameters
    x: np.ndarray
    state0: State
    lengths: np.ndarray | None
    streams: tuple[np.ndarray, ...]
    dy: np.ndarray | None
    dstate_T: tuple[np.ndarray | None, ...]
    dstates: tuple[np.ndarray | None, ...] | None
    precision: str = "float32"


def names_of(definition: Definition) -> tuple[str, ...]:
    """Return what `needs` may hold."""
    W = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if definition.from_h else ("weight_ih", "bias_ih")
    return ("x", *(f"{s}0" for s in definition.states), *W, *definition.vectors, *definition.matrices)


def drawn(
    definition: Definition, dtype: str, T: int = 6, B: int = 3, I: int = 5, H: int = 4, *,
    lengths: tuple[int, ...] | None = None, bias: bool = True, upstream: bool = True, dy: bool = True, seed: int = 0,
    P: int | None = None,
) -> Call:  # fmt: skip
    """Return a call's arrays, drawn in float64; in "bfloat16" they are float32, and it is the precision.

    A projection makes h of P numbers, of three fifths of H without a word.
    """
    P = H if not definition.projection else -(-3 * H // 5) if P is None else P
    rng = np.random.default_rng(seed)
    kind = "float32" if dtype == "bfloat16" else dtype

    def draw(size: float, *shape: int, middle: float = 0.0) -> np.ndarray:
        return rng.uniform(middle - size, middle + size, shape).astype(kind)

    rows_x, rows_h, bound = len(definition.from_x) * H, len(definition.from_h) * H, H**-0.5
    params = DefinedParameters(
        draw(min(bound, I**-0.5), rows_x, I), draw(bound, rows_h, P) if rows_h else None,
        draw(bound, rows_x) if bias else None, draw(bound, rows_h) if rows_h and bias else None,
        (
            *(draw(0.5, H, middle=1.5) for _ in (*definition.vectors, *definition.constants)),
            *(draw(bound, P if name == definition.projection else H, H) for name in definition.matrices),
        ),
    )  # fmt: skip
    further = definition.states[1:]
    return Call(
        definition, params, draw(2, T, B, I), tuple(draw(1, B, P if s == "h" else H) for s in definition.states),
        None if lengths is None else np.array(lengths), tuple(draw(1, T, B, H) for _ in definition.streams),
        draw(1, T, B, P) if dy else None, tuple(draw(1, B, P if s == "h" else H) for s in definition.states),
        (None, *(draw(1, T, B, H) for _ in further)) if upstream and further else None,
        "bfloat16" if dtype == "bfloat16" else "float32",
    )  # fmt: skip


def run(cell: Any, call: Call, needs: frozenset[str] | None = None) -> dict[str, np.ndarray]:
    """Run a cell forwards and back, and name all that it returns."""
    definition = call.definition
    arguments = call.params, call.x, call.state0, call.lengths, call.streams
    y, state, tape = cell.forward(*arguments)
    inferred, inferred_state = cell.infer(*arguments)
    assert inferred.tobytes() == y.tobytes()
    assert [s.tobytes() for s in inferred_state] == [s.tobytes() for s in state]
    needs = frozenset(names_of(definition)) if needs is None else needs
    dx, dstate0, dparams = cell.backward(call.params, tape, call.dy, call.dstate_T, needs, call.dstates)
    assert isinstance(dparams, DefinedParameters)
    found = {"y": y}
    found |= {f"{name}_T": s for name, s in zip(definition.states, state, strict=True)}
    found |= {f"{name}_t": s for name, s in zip(definition.states, cell.states(tape), strict=True)}
    learned = definition.vectors + definition.matrices
    names = ("x", *(f"{s}0" for s in definition.states), *DefinedParameters._fields[:4], *learned)
    found |= {f"d{n}": d for n, d in zip(names, (dx, *dstate0, *dparams[:4], *dparams.extra), strict=True)}
    return {name: value for name, value in found.items() if value is not None}


def expected(call: Call) -> dict[str, np.ndarray]:
    """Return the same by the formulas of kernels/definition.py, in float64; rounded where "bfloat16" rounds."""
    definition, bfloat16 = call.definition, call.precision == "bfloat16"

    def read(array: np.ndarray) -> np.ndarray:
        return rounded_to_bfloat16(array.astype(np.float32)).astype(np.float64) if bfloat16 else array

    params, x, state0, lengths, streams, dy, dstate_T, dstates = (
        exact(one) for one in call[1:9]
    )  # fmt: skip
    T, B, _ = x.shape
    P, H = state0[0].shape[1], len(params.weight_ih) // len(definition.from_x)
    sums, S, numbers = definition.sums, len(definition.states), NUMPY | ROWS
    matrices = [read(W) for W in params.extra if W.ndim == 2]
    extra = [*(one for one in params.extra if one.ndim == 1), *matrices]
    numbers |= {"product": lambda W, v: read(v) @ W.T, "product_transposed": lambda W, d: read(d) @ W}
    steps = np.full(B, T) if lengths is None else lengths
    W_x, W_h, x = read(params.weight_ih), None if params.weight_hh is None else read(params.weight_hh), read(x)

    def blocks(W: np.ndarray) -> list[np.ndarray]:
        return [W[k * H : (k + 1) * H] for k in range(len(W) // H)]

    def product(v: np.ndarray, W: np.ndarray, b: np.ndarray | None, rows: tuple[str, ...]) -> dict[str, np.ndarray]:
        a = v @ W.T + (0 if b is None else b)
        return dict(zip(rows, np.split(a, len(rows), axis=-1), strict=True))

    states, kept, y = [state0], [], np.zeros((T, B, P))
    every = [np.zeros((T, *state.shape)) for state in state0]
    for t in range(T):
        prev, live = states[-1], (t < steps)[:, None]
        a = {name: np.zeros((B, H)) for name in sums}
        for name, part in product(np.where(live, x[t], 0), W_x, params.bias_ih, definition.from_x).items():
            a[name] = a[name] + part
        if definition.from_h:
            for name, part in product(read(prev[0]), W_h, params.bias_hh, definition.from_h).items():
                a[name] = a[name] + part
        m = [np.where(live, stream[t], 0) for stream in streams]
        out = full(definition.step.run([*a.values(), *prev, *m, *extra], numbers), (B, H), (B, P))
        states.append(tuple(np.where(live, new, old) for new, old in zip(out[:S], prev, strict=True)))
        kept.append(out[S:])
        y[t] = np.where(live, out[0], 0)
        for k in range(S):
            every[k][t] = np.where(live, out[k], 0)
    found = {"y": y} | {f"{n}_T": s for n, s in zip(definition.states, states[-1], strict=True)}
    found |= {f"{n}_t": s for n, s in zip(definition.states, every, strict=True)}

    ds, dx = [np.zeros(s.shape) if d is None else d for d, s in zip(dstate_T, state0, strict=True)], np.zeros(x.shape)
    dW_x, dW_h, db = np.zeros(W_x.shape), None if W_h is None else np.zeros(W_h.shape), dict.fromkeys(sums, 0)
    dp, dmatrices = [np.zeros(H) for _ in definition.vectors], [np.zeros(W.shape) for W in matrices]
    for t in reversed(range(T)):
        prev, live = states[t], (t < steps)[:, None]
        upstream = [dy if dy is None else dy[t]]
        upstream += [None if d is None else d[t] for d in (dstates or (None,) * S)[1:]]
        d = [g + (0 if u is None else np.where(live, u, 0)) for g, u in zip(ds, upstream, strict=True)]
        m = [np.where(live, stream[t], 0) for stream in streams]
        inputs = [*kept[t], *prev, *states[t + 1], *d, *m, *extra]
        out = full(definition.step_backward.run(inputs, numbers), (B, H), (B, P))
        da = {n: read(np.where(live, o, 0)) for n, o in zip(sums, out[S : S + len(sums)], strict=True)}
        da_x = np.concatenate([da[n] for n in definition.from_x], axis=1)
        dx[t], dW_x = da_x @ W_x, dW_x + da_x.T @ np.where(live, x[t], 0)
        from_h = np.zeros((B, P))
        if definition.from_h:
            da_h = np.concatenate([da[n] for n in definition.from_h], axis=1)
            from_h, dW_h = da_h @ W_h, dW_h + da_h.T @ read(prev[0])
        db = {n: db[n] + da[n].sum(0) for n in sums}
        of_vectors, factors = out[S + len(sums) :][: len(dp)], out[S + len(sums) + len(dp) :]
        dp = [total + np.where(live, o, 0).sum(0) for total, o in zip(dp, of_vectors, strict=True)]
        for total, o, v in zip(dmatrices, factors[::2], factors[1::2], strict=True):
            total += read(np.where(live, o, 0)).T @ read(v)
        before = [out[0] + from_h, *out[1:S]]
        ds = [np.where(live, new, old) for new, old in zip(before, ds, strict=True)]
    found |= {"dx": dx, "dweight_ih": dW_x} | {f"d{n}0": d for n, d in zip(definition.states, ds, strict=True)}
    found |= {f"d{n}": d for n, d in zip(definition.vectors, dp, strict=True)}
    found |= {f"d{n}": d for n, d in zip(definition.matrices, dmatrices, strict=True)}
    if params.bias_ih is not None:
        found["dbias_ih"] = np.concatenate([db[n] for n in definition.from_x])
    if definition.from_h:
        found["dweight_hh"] = dW_h
        if params.bias_hh is not None:
            found["dbias_hh"] = np.concatenate([db[n] for n in definition.from_h])
    return found


def exact(value: Any) -> Any:
    """Return arrays in float64, and tuples of them."""
    if isinstance(value, tuple):
        parts = [exact(one) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def full(outputs: Sequence[Any], shape: tuple[int, ...], first: tuple[int, ...]) -> list[np.ndarray]:
    """Return outputs as arrays: some are plain numbers, and the first may be of another shape."""
    arrays = [np.asarray(one, np.float64) for one in outputs]
    return [np.broadcast_to(one, first) if k == 0 else one if one.ndim else np.broadcast_to(one, shape)
            for k, one in enumerate(arrays)]
