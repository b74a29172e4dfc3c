"""A cell in another: zoneout and a mask on what W_h reads, around a definition that knows nothing of them.

::

    s_t = z_t ⊙ s_{t−1} + (1 − z_t) ⊙ s̃_t                 (RG1)   s̃_t, what the cell itself makes of the step
    a_t = W_x x_t + b_x + W_h (d ⊙ h_{t−1}) + b_h         (RG2)

z_t and d are streams while a layer trains. Without training z_t is its expectation, the probability p, and d is 1.

A matrix W_n of the definition's `recurrent` is a part of W_h to (RG2): W_n (d ⊙ v) stands in the place of W_n v, with
the same d. A unit that a gate lets through, v = r ⊙ h_{t−1}, is heard by neither of them.

W_h reads the first state of a definition. So with (RG2) that is r_t = d ⊙ h_t, and h_t itself comes behind it, as
"whole_h": it is what the cell's own step reads of the step before, and what whoever runs the loop takes for y.

Both functions are of numbers in a row, as the programs are; they run on arrays, and once on symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from kernels.definition import ACROSS, OPERATIONS, Definition, Program, Value

from ..equations.across import Read, dropped
from .derived import derived
from .number import Number, Writing

Row = list[Any]
"""Numbers in a row."""


class _Around(NamedTuple):
    """What stands around a cell."""

    inner: Definition
    zoned: tuple[int, ...]  # the states of which units may keep their old value
    expected: bool  # z_t is a constant of the layer's and no stream
    recurrent: bool  # W_h reads d ⊙ h_{t−1}

    @property
    def fresh(self) -> tuple[int, ...]:
        """The zoned states of which the cell's own backward reads s̃_t: it is kept beside what the cell keeps."""
        used = self.inner.step_backward.used
        return tuple(k for k in self.zoned if f"state.{self.inner.states[k]}" in used)

    @property
    def masked(self) -> tuple[int, ...]:
        """The matrices that read d ⊙ v, by their place."""
        return tuple(map(self.inner.matrices.index, self.inner.recurrent))

    def read(self, numbers: Sequence[Any], *counts: int) -> Iterator[Row]:
        """Yield groups of numbers; then what comes with each step or with the layer, as `_Given` has it."""
        its, rest = self.inner, iter(numbers)
        of = {"m": len(its.streams), "z": len(self.zoned), "d": int(self.recurrent)}
        of |= {"p": len(its.vectors) + len(its.constants), "W": len(its.matrices)}
        for count in counts:
            yield list(islice(rest, count))
        order = "mdpzW" if self.expected else "mzdpW"
        found = {word: list(islice(rest, of[word])) for word in order}
        for d in found["d"]:
            for k in self.masked:
                found["W"][k] = dropped(found["W"][k], d)  # (RG2)
        yield [*found["m"], *found["p"], *found["W"]]
        yield found["z"]
        yield found["d"]

    def step(self, own: Callable[[Row], Row], numbers: Sequence[Any]) -> Row:
        """A step, from all that it reads to the states and what is kept; `own` is the cell's."""
        its, first = self.inner, int(self.recurrent)
        a, prev, given, z, d = self.read(numbers, len(its.sums), first + len(its.states))
        prev = prev[first:]
        found = own([*a, *prev, *given])
        state, kept = found[: len(prev)], found[len(prev) :]
        fresh = [state[k] for k in self.fresh]
        for z_k, k in zip(z, self.zoned, strict=True):
            state[k] = z_k * prev[k] + (1 - z_k) * state[k]  # (RG1)
        read_by_W_h = [d_h * state[0] for d_h in d]  # (RG2)
        return [*read_by_W_h, *state, *kept, *fresh]

    def step_backward(self, own: Callable[[Row], Row], numbers: Sequence[Any]) -> Row:
        """The same step backwards."""
        its, first = self.inner, int(self.recurrent)
        states = first + len(its.states)
        kept, fresh, prev, state, dstate, given, z, d = self.read(
            numbers, len(its.kept), len(self.fresh), states, states, states
        )
        prev, state, dread, ds = prev[first:], state[first:], dstate[:first], dstate[first:]
        for d_h, dr in zip(d, dread, strict=True):
            ds[0] = ds[0] + d_h * dr  # (RG2′)
        for k, s in zip(self.fresh, fresh, strict=True):
            state[k] = s
        dfresh = list(ds)
        for z_k, k in zip(z, self.zoned, strict=True):
            dfresh[k] = (1 - z_k) * ds[k]  # (RG1′)
        found = own([*kept, *prev, *state, *dfresh, *given])
        dprev, others = found[: len(prev)], found[len(prev) :]
        for z_k, k in zip(z, self.zoned, strict=True):
            dprev[k] = _sum(dprev[k], z_k * ds[k])  # (RG1′)
        for d_v in d:
            for k in self.masked:
                v = len(its.sums) + len(its.vectors) + 2 * k + 1  # where the second factor of dW_n is
                others[v] = d_v * others[v]  # (RG2′)
        return [*(0 for _ in d), *dprev, *others]  # what r_{t−1} gets comes through W_h alone


def _sum(one: Any, other: Any) -> Any:
    """Return a sum, of which the first may be a plain 0."""
    return other if isinstance(one, int | float) and one == 0 else one + other


class _OnNumbers(NamedTuple):
    """One of both functions, of numbers in a row."""

    around: _Around
    which: int

    def __call__(self, numbers: Sequence[Any]) -> Row:
        """Call it on arrays."""
        outer = (self.around.step, self.around.step_backward)[self.which]
        return outer(self.around.inner.functions[self.which], numbers)

    def program(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Program:
        """Write it down."""
        outer = (self.around.step, self.around.step_backward)[self.which]
        own = (self.around.inner.step, self.around.inner.step_backward)[self.which]
        matrices = range(len(inputs) - len(self.around.inner.matrices), len(inputs))
        writing = Writing("step", outer.__code__, len(inputs), matrices)
        apply = {name: _writes(writing, name) for name in (*OPERATIONS, *ACROSS)}
        found = outer(lambda row: own.run(row, apply), writing.numbers())
        results: tuple[Value | float, ...] = tuple(
            [one._value if isinstance(one, Number) else float(one) for one in found]
        )
        return Program(inputs, tuple(writing.operations), results, outputs, (0,) * len(results))


def _writes(writing: Writing, name: str) -> Callable[..., Any]:
    def write(*operands: Any) -> Any:
        if not isinstance(operands[0], Read):
            return writing.add(name, operands)
        (W, _, d), v = operands
        return writing.add(name, (W, d * v)) if name == "product" else d * writing.add(name, (W, v))  # (RG2), (RG2′)

    return write


def wrapped(inner: Definition, zoned: tuple[int, ...], expected: bool, recurrent: bool) -> Definition:
    """Return a cell with what regularises it around it.

    Parameters
    ----------
    inner : Definition
        The cell, with its masks as streams where its candidates are dropped.
    zoned : tuple of int
        The states, by their place, that (RG1) is for.
    expected : bool
        Whether z_t is a constant for each of them, behind the cell's own, for inference; or a stream.
    recurrent : bool
        Whether W_h reads d ⊙ h_{t−1}, and the cell's recurrent matrices d ⊙ v, d being a stream behind all others; the
        state h is then behind what W_h reads.
    """
    around = _Around(inner, zoned, expected, recurrent)
    z = tuple(f"zoneout_{inner.states[k]}" for k in zoned)
    d = ("recurrent_dropout",) if recurrent else ()
    whole = "whole_h"
    while whole in inner.states:
        whole += "_"
    states = ("h", whole, *inner.states[1:]) if recurrent else inner.states
    kept = inner.kept + tuple(f"fresh_{inner.states[k]}" for k in around.fresh)
    streams = inner.streams + (() if expected else z) + d
    constants = inner.constants + (z if expected else ())
    own = inner.step.inputs
    last = len(own) - len(inner.matrices)
    first = len(inner.sums) + len(inner.states) + len(inner.streams)
    given = (
        *own[first - len(inner.streams) : first], *(f"m.{name}" for name in streams[len(inner.streams) :]),
        *own[first:last], *(f"p.{name}" for name in constants[len(inner.constants) :]), *own[last:],
    )  # fmt: skip
    step, step_backward = _OnNumbers(around, 0), _OnNumbers(around, 1)

    def called(word: str, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{word}.{name}" for name in names)

    before, after, gradients = (called(word, states) for word in ("prev", "state", "dstate"))
    return derived(
        inner, wrapped, (inner, zoned, expected, recurrent),
        states=states, kept=kept, streams=streams, constants=constants, functions=(step, step_backward),
        step=step.program((*own[: len(inner.sums)], *before, *given), after + called("kept", kept)),
        step_backward=step_backward.program(
            (*called("kept", kept), *before, *after, *gradients, *given),
            called("dprev", states) + inner.step_backward.output_names[len(inner.states) :],
        ),
    )  # fmt: skip
