"""A program in stages and phases: where a step has to wait for whole rows of units.

Two things wait for a whole row, and they cost unlike much. A product with a matrix is the array library's, so it ends a
launch, and what it gives lies in memory. A mean asks no more than that the threads of a row, which are one block, meet.
So a program is cut twice: into *stages*, a launch each, with products between them; and a stage into *phases*, with
means between them.

What reads nothing but the program's inputs is done where it is first wanted: inputs lie in memory, and any phase can
read them. What else is read in a later phase than its own is stored, in a *slot*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from kernels.definition import ACROSS, Operation, Program, Value

PRODUCTS = ("product", "product_transposed")

Place = tuple[int, int]
"""A stage, and a phase of it."""

FIRST: Place = (0, 0)


class Phase(NamedTuple):
    """What is done with a unit up to the next means of its row, or to the stage's end.

    The inputs of its program are those of the whole one without matrices, then the slots, then what products have
    given, then the means of its stage so far. Its outputs are those that follow here, in this order.
    """

    program: Program  # of one unit's numbers alone
    outputs: tuple[int, ...]  # of the whole program
    stored: tuple[int, ...]  # slots
    factors: tuple[int, ...]  # of products
    summed: int  # numbers of which the row's means are taken then
    means: int  # that the stage has taken before


class Product(NamedTuple):
    """A product with a matrix."""

    matrix: int
    transposed: bool
    factor: int | None  # which of the factors; None for what stands apart
    result: int | None  # which of the results; None for what stands apart


class Stage(NamedTuple):
    """Products, and then a launch."""

    products: tuple[Product, ...]
    phases: tuple[Phase, ...]  # where there is none, nothing is launched

    @property
    def summed(self) -> int:
        """The most numbers of which means are taken at once; where it is 0, units of a row need not meet."""
        return max((phase.summed for phase in self.phases), default=0)


class Stages(NamedTuple):
    """A program, cut."""

    stages: tuple[Stage, ...]
    slots: int
    factors: int
    results: int

    @property
    def launches(self) -> int:
        """How many launches there are."""
        return sum(bool(stage.phases) for stage in self.stages)

    @property
    def products(self) -> int:
        """How many products there are."""
        return sum(len(stage.products) for stage in self.stages)


@lru_cache(maxsize=256)
def cut(program: Program, matrices: int, wanted: tuple[int, ...], apart: int | None = None) -> Stages:
    """Cut a program.

    Parameters
    ----------
    program : Program
    matrices : int
        How many of its inputs, the last ones, are matrices.
    wanted : tuple of int
        Which of its outputs are made; what nothing but the others needs is left out.
    apart : int, optional
        A value that is of another size than the rest: h_t or dh_t of a cell with a projection. Nothing but a product
        makes or reads it, and no phase has it.
    """
    return _Cut(program, matrices, wanted, apart).stages()


class _Cut:
    """The values of a program, by their numbers: where each is made, read and written."""

    def __init__(self, program: Program, matrices: int, wanted: Sequence[int], apart: int | None):
        self.program, self.apart = program, apart
        self.base = len(program.inputs) - matrices
        self.live = _live(program, [*(program.outputs[k] for k in wanted), *([] if apart is None else [Value(apart)])])
        self.at = self._earliest()
        self.last = max((at for number, at in self.at.items() if number != apart), default=FIRST)
        self.reads: dict[int, list[Place]] = {}
        for number, operation in reversed(self.live.items()):
            if self.at[number] == FIRST and operation.name not in ACROSS:
                self.at[number] = min(self.reads.get(number, ()), default=self.last)
            for read in _values(operation):
                self.reads.setdefault(read, []).append(self._reading(number))
        self.outputs = {k: self._place(program.outputs[k], self.last) for k in wanted}
        products = {number: one.operands[1] for number, one in self.live.items() if one.name in PRODUCTS}
        factors = dict.fromkeys(factor for factor in products.values() if factor != _value(apart))
        self.factors = {factor: k for k, factor in enumerate(factors)}
        self.results = {number: k for k, number in enumerate(number for number in products if number != apart)}
        self.slots = {number: k for k, number in enumerate(filter(self._is_stored, self.live))}

    def stages(self) -> Stages:
        """Return all that is done, in order."""
        last, _ = max(self.at.values(), default=FIRST)
        stages = (Stage(tuple(self._products(k)), tuple(self._phases(k))) for k in range(last + 1))
        return Stages(tuple(stages), len(self.slots), len(self.factors), len(self.results))

    def _earliest(self) -> dict[int, Place]:
        """Return where each value can be made first; what is across the units is there when its phase begins."""
        at: dict[int, Place] = {}
        for number, operation in self.live.items():
            stage, phase = max((at.get(read, FIRST) for read in _values(operation)), default=FIRST)
            at[number] = (stage + 1, 0) if operation.name in PRODUCTS else (stage, phase + (operation.name == "mean"))
        return at

    def _place(self, operand: Value | float, otherwise: Place) -> Place:
        """Return where a value is made; an input and a constant are made nowhere."""
        return self.at.get(operand.number, otherwise) if isinstance(operand, Value) else otherwise

    def _reading(self, number: int) -> Place:
        """Return where an operation reads what it reads."""
        operation, (stage, phase) = self.live[number], self.at[number]
        if operation.name in PRODUCTS:
            return self._place(operation.operands[1], FIRST)
        return stage, phase - (operation.name == "mean")

    def _is_stored(self, number: int) -> bool:
        """Whether a value takes a slot; a mean is at hand until its stage ends, and what a product gives for ever."""
        name, at, reads = self.live[number].name, self.at[number], self.reads.get(number, ())
        if name == "mean":
            return any(stage > at[0] for stage, _ in reads)
        return name not in PRODUCTS and any(place > at for place in reads)

    def _products(self, stage: int) -> Iterator[Product]:
        for number, operation in self.live.items():
            if operation.name in PRODUCTS and self.at[number][0] == stage:
                matrix, factor = operation.operands
                which = matrix.number - self.base if isinstance(matrix, Value) else 0
                transposed = operation.name == "product_transposed"
                yield Product(which, transposed, self.factors.get(factor), self.results.get(number))

    def _phases(self, stage: int) -> Iterator[Phase]:
        means = {number: at for number, at in self.at.items() if self.live[number].name == "mean" and at[0] == stage}
        written = {
            *self.outputs.values(),
            *(self.at[number] for number in self.slots),
            *(self._place(factor, FIRST) for factor in self.factors),
            *(self._reading(number) for number in means),
        }
        for here in sorted(place for place in written if place[0] == stage):
            outputs = tuple(k for k, place in self.outputs.items() if place == here)
            stored = [number for number in self.slots if self.at[number] == here]
            factors = [factor for factor in self.factors if self._place(factor, FIRST) == here]
            summed = [number for number in means if self._reading(number) == here]
            known = [number for at, number in sorted((at, number) for number, at in means.items()) if at <= here]
            results: list[Value | float] = [*(self.program.outputs[k] for k in outputs), *map(Value, stored), *factors]
            results += [self.live[number].operands[0] for number in summed]
            yield Phase(
                self._program(here, known, results), outputs, tuple(self.slots[number] for number in stored),
                tuple(self.factors[factor] for factor in factors), len(summed), len(known),
            )  # fmt: skip

    def _program(self, here: Place, means: Sequence[int], outputs: Sequence[Value | float]) -> Program:
        """Return what is done in a phase, of which `means` are at hand."""
        after_slots = self.base + len(self.slots)
        after_results = after_slots + len(self.results)
        place = {number: self.base + k for number, k in self.slots.items()}
        place |= {number: after_slots + k for number, k in self.results.items()}
        place |= {number: after_results + k for k, number in enumerate(means)}
        inputs = [*self.program.inputs[: self.base], *(f"slot.{k}" for k in range(len(self.slots)))]
        inputs += [*(f"result.{k}" for k in range(len(self.results))), *(f"mean.{k}" for k in range(len(means)))]

        def at(operand: Value | float) -> Value | float:
            return Value(place.get(operand.number, operand.number)) if isinstance(operand, Value) else operand

        operations: list[Operation] = []
        for number, operation in self.live.items():
            if self.at[number] == here and operation.name not in ACROSS:
                operations.append(operation._replace(operands=tuple(map(at, operation.operands))))
                place[number] = len(inputs) + len(operations) - 1
        made = tuple(map(at, outputs))
        return Program(tuple(inputs), tuple(operations), made, ("",) * len(made), (0,) * len(made))


def _live(program: Program, outputs: Sequence[Value | float]) -> dict[int, Operation]:
    """Return the operations that some outputs need, by the numbers of their values."""
    wanted = {output.number for output in outputs if isinstance(output, Value)}
    numbered = list(enumerate(program.operations, start=len(program.inputs)))
    for number, operation in reversed(numbered):
        if number in wanted:
            wanted.update(_values(operation))
    return {number: operation for number, operation in numbered if number in wanted}


def _values(operation: Operation) -> Iterator[int]:
    """Yield the values that an operation reads; a matrix is none."""
    for operand in operation.operands[operation.name in PRODUCTS :]:
        if isinstance(operand, Value):
            yield operand.number


def _value(number: int | None) -> Value | None:
    return None if number is None else Value(number)
