"""A schedule carried out in Python as the kernels carry it out, so that who reads what is not there is found out.

Numbers are those of a field, the integers modulo `ORDER`: each operation is some function there, and sums and products
are exact. So the results of a schedule are those of its program, whatever the order of sums, or something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.cpu.levels.schedule import Schedule, Walk
from kernels.definition import ACROSS, OPERATIONS, Program, Value

ORDER = 8191
"""A prime: all but 0 have an inverse."""

EMPTY = -1
"""What stands where nothing has been put yet."""

INVERSE = np.zeros(ORDER, np.int64)  # 0 stands for that of 0
INVERSE[1] = 1
for _n in range(2, ORDER):
    INVERSE[_n] = -(ORDER // _n) * INVERSE[ORDER % _n] % ORDER


def mean(v: np.ndarray) -> np.ndarray:
    """The mean of each row, (B, 1)."""
    return v.sum(axis=1, keepdims=True) % ORDER * INVERSE[v.shape[1] % ORDER] % ORDER


def product(W: np.ndarray, v: np.ndarray) -> np.ndarray:
    """W v of each row v."""
    return v @ W.T % ORDER


def _some(k: int) -> Callable[..., np.ndarray]:
    """Return a function of the field that is no other's."""
    return lambda *a: (sum((n + 2) * one * one + (k + 3) * one for n, one in enumerate(a)) + k) % ORDER


ONE_BY_ONE: dict[str, Callable[..., np.ndarray]] = {
    **{name: _some(k) for k, name in enumerate(OPERATIONS)},
    "add": lambda a, b: (a + b) % ORDER,
    "subtract": lambda a, b: (a - b) % ORDER,
    "multiply": lambda a, b: a * b % ORDER,
    "divide": lambda a, b: a * INVERSE[b] % ORDER,
}
"""Each operation of one unit."""


def results(program: Program, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return a program's outputs, of inputs (B, H) and matrices (H, H)."""
    shape = inputs[0].shape

    def rows(v: Any) -> np.ndarray:
        return np.broadcast_to(v, shape)

    def exact(operation: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        return lambda *a: operation(*(np.int64(one % ORDER) if isinstance(one, float) else one for one in a))

    across = {
        "mean": lambda v: mean(rows(v)),
        "product": lambda W, v: product(W, rows(v)),
        "product_transposed": lambda W, d: product(W.T, rows(d)),
    }
    assert across.keys() == ACROSS.keys()
    apply = {**{name: exact(one) for name, one in ONE_BY_ONE.items()}, **across}
    return [rows(np.int64(one % ORDER) if isinstance(one, float) else one) for one in program.run(inputs, apply)]


class Share(NamedTuple):
    """What of the batch a thread has in a segment."""

    rows: slice
    units: slice


class Interpreter:
    """One row of threads that goes through a schedule's segments, one thread after the other in each.

    Parameters
    ----------
    schedule : Schedule
    inputs : sequence of ndarray
        The program's, without its matrices: (B, H), or (1, 1) for a constant.
    matrices : sequence of ndarray
        (H, H) each.
    fleeting : frozenset of int
        Inputs that the first walk alone can read.
    operand : ndarray, optional
        What lies as the first of the rows that products read before the first segment.
    turned : bool
        Whether the last thread comes first.
    """

    def __init__(
        self, schedule: Schedule, inputs: Sequence[np.ndarray], matrices: Sequence[np.ndarray],
        fleeting: frozenset[int], operand: np.ndarray | None = None, turned: bool = False,
    ) -> None:  # fmt: skip
        self.schedule, self.inputs, self.matrices, self.fleeting = schedule, inputs, matrices, fleeting
        self.turned, (self.B, self.H) = turned, inputs[0].shape
        places = len(schedule.operands) + (operand is not None)
        self.means = np.full((len(schedule.means), self.B, 1), EMPTY)
        self.values = np.full((len(schedule.places), self.B, self.H), EMPTY)
        self.operands = np.full((places, self.B, self.H), EMPTY)
        self.outputs = np.full((len(schedule.program.outputs), self.B, self.H), EMPTY)
        if operand is not None:
            self.operands[0] = operand

    def run(self) -> np.ndarray:
        """Go through all segments, and return the outputs."""
        for number, segment in enumerate(self.schedule.segments):
            for share in self._shares(segment.whole_rows):
                for one in segment.products:
                    W = self.matrices[one.matrix].T if one.transposed else self.matrices[one.matrix]
                    found = product(W[share.units], read(self.operands[one.operand][share.rows]))
                    self.values[self.schedule.places[one.value]][share.rows, share.units] = found
                row = _Row(self, share)
                for position, walk in enumerate(segment.walks):
                    assert segment.whole_rows or not walk.means, "a mean is of a whole row"
                    row.prepare(walk)
                    _Vectors(row, fresh=number == position == 0).go(walk)
        return read(self.outputs)

    def operation(self, number: int) -> tuple[str, tuple[Value | float, ...]]:
        """Return what makes a value."""
        name, operands, _ = self.schedule.program.operations[number - len(self.schedule.program.inputs)]
        return name, operands

    def _shares(self, whole_rows: bool) -> Iterator[Share]:
        count = self.B if whole_rows else self.H
        cuts = [slice(0, count // 2), slice(count // 2, count)]
        for one in reversed(cuts) if self.turned else cuts:
            if one.start < one.stop:
                yield Share(one, slice(None)) if whole_rows else Share(slice(None), one)


class _Row:
    """What is the same for all units of rows, in one segment."""

    def __init__(self, its: Interpreter, share: Share) -> None:
        self.its, self.share = its, share
        self.found: dict[int, np.ndarray] = {}
        self.wide: dict[int, np.ndarray] = {}
        self.reciprocals: dict[int, np.ndarray] = {}

    def prepare(self, walk: Walk) -> None:
        for number in walk.alike:
            self.wide[number] = self.value(number)
        for number in walk.divisors:
            self.reciprocals[number] = INVERSE[self.value(number)]

    def value(self, number: int) -> np.ndarray:
        if number not in self.found:
            self.found[number] = self._made(number)
        return self.found[number]

    def end(self, mean_of: int, operand: np.ndarray) -> None:
        self.found[mean_of] = mean(operand)
        if mean_of in self.its.schedule.means:
            self.its.means[self.its.schedule.means[mean_of]][self.share.rows] = self.found[mean_of]

    def _made(self, number: int) -> np.ndarray:
        its = self.its
        assert number in its.schedule.alike, f"value {number} differs from unit to unit"
        if number < len(its.inputs):
            return its.inputs[number]
        name, operands = its.operation(number)
        if name == "mean":
            assert number in its.schedule.means, f"mean {number} is another segment's, and has no place"
            return read(its.means[its.schedule.means[number]][self.share.rows])
        return ONE_BY_ONE[name](*(self.value(o.number) if isinstance(o, Value) else _constant(o) for o in operands))


class _Vectors:
    """A walk over a thread's units."""

    def __init__(self, row: _Row, fresh: bool) -> None:
        self.row, self.its, self.share, self.fresh = row, row.its, row.share, fresh
        self.found: dict[int, np.ndarray] = {}

    def at(self, operand: Value | float) -> np.ndarray:
        if not isinstance(operand, Value):
            return _constant(operand)
        number = operand.number
        if number in self.its.schedule.alike:
            assert number in self.row.wide, f"value {number} is read and has not been worked out for the row"
            return self.row.wide[number]
        if number not in self.found:
            self.found[number] = self._loaded(number)
        return self.found[number]

    def go(self, walk: Walk) -> None:
        its, share, schedule = self.its, self.share, self.its.schedule
        for number in walk.within:
            name, operands = its.operation(number)
            over = operands[1].number if name == "divide" and isinstance(operands[1], Value) else EMPTY
            if over in self.row.reciprocals:
                self.found[number] = ONE_BY_ONE["multiply"](self.at(operands[0]), self.row.reciprocals[over])
            else:
                self.found[number] = ONE_BY_ONE[name](*map(self.at, operands))
        for number in walk.stored:
            its.values[schedule.places[number]][share.rows, share.units] = self.at(Value(number))
        for number in walk.operands:
            its.operands[schedule.operands[number]][share.rows, share.units] = self.at(Value(number))
        for k in walk.outputs:
            into = its.outputs[k][share.rows, share.units]
            assert (into == EMPTY).all(), f"output {k} is put away twice"
            into[...] = self.at(schedule.program.outputs[k])
        for number in walk.means:
            (operand,) = its.operation(number)[1]
            rows = its.outputs[0][share.rows].shape
            self.row.end(number, np.broadcast_to(self.at(operand), rows))

    def _loaded(self, number: int) -> np.ndarray:
        its, share = self.its, self.share
        if number in its.schedule.places and not (self.fresh and number in its.fleeting):
            return read(its.values[its.schedule.places[number]][share.rows, share.units])
        assert number < len(its.inputs), f"value {number} is read where it is not, and has no place"
        assert self.fresh or number not in its.fleeting, f"input {number} is read once it has gone"
        return its.inputs[number][share.rows, share.units]


def read(array: np.ndarray) -> np.ndarray:
    """Return a copy of what is there, if all of it is."""
    assert (array != EMPTY).all(), "something is read that has not been put there yet"
    return array.copy()


def _constant(value: float) -> np.ndarray:
    return np.array([[int(value) % ORDER]])
