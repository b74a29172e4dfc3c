"""A cell that a user has defined, as the backends take it: names, and its two functions written down as programs.

A `Program` is what a function does with numbers, operation by operation, and nothing else: no loops, no branches, no
memory. `rnn_core.cell` gets it by calling the user's function once with symbols in the place of numbers. A backend
carries it out on what its numbers are: vectors under construction, one GPU thread's registers, arrays.

For one layer in one direction, with T, B, I and H as in contract.py::

    a_t      = W_x x_t + b_x  in the sums of `from_x`,  + W_h h_{t−1} + b_h  in those of `from_h`
    s_t, k_t = step(a_t, s_{t−1}, m_t, p)
    ds_{t−1}, da_t, dp_t = step_backward(k_t, s_{t−1}, s_t, ds_t, m_t, p)

s are the states, of which the first is h, the output; k is what the tape keeps of a step; m are the streams; p are the
vectors, the constants, and the matrices. But for the matrices all of them are numbers of one hidden unit of one row.
ds_t is complete when `step_backward` gets it; what h_{t−1} gets through W_h is added to its ds_{t−1} by whoever runs
the loop. dp is summed over time and batch.

Most operations are of one unit alone. Those in `ACROSS` look at all units of a row: what reads their results waits for
the whole row.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

OPERATIONS = {
    "add": 2, "subtract": 2, "multiply": 2, "divide": 2, "negative": 1,
    "sigmoid": 1, "tanh": 1, "relu": 1, "exp": 1, "log": 1, "sqrt": 1,
    "maximum": 2, "minimum": 2,
    "where_less": 4,  # (a, b, x, y): x where a < b, otherwise y
}  # fmt: skip
"""Every operation of one unit's numbers, and how many it takes."""

ACROSS = {
    "mean": 1,  # (v): Σ v_j/n over the n units of a row, the same for all of them
    "product": 2,  # (W, v): Σ_j W_kj v_j
    "product_transposed": 2,  # (W, d): Σ_k W_kj d_k
}
"""Every operation whose result depends on all units of a row."""


class Value(NamedTuple):
    """The result of an input (first) or of an operation (after them), by its number."""

    number: int


class Operation(NamedTuple):
    """One operation."""

    name: str  # of `OPERATIONS` or `ACROSS`
    operands: tuple[Value | float, ...]
    line: int  # of the user's file; 0 where it isn't known


@dataclass(frozen=True)
class Program:
    """What a function does with numbers."""

    inputs: tuple[str, ...]  # their names, as "a.i", "prev.h", "p.w"
    operations: tuple[Operation, ...]
    outputs: tuple[Value | float, ...]
    output_names: tuple[str, ...]
    lines: tuple[int, ...]  # of the user's file, on which each output was made; 0 where it isn't known

    def run(self, inputs: Sequence[Any], apply: Mapping[str, Callable[..., Any]]) -> list[Any]:
        """Return the outputs for some inputs, by functions for each operation; a constant stays a float."""
        values = list(inputs)

        def at(operand: Value | float) -> Any:
            return values[operand.number] if isinstance(operand, Value) else operand

        for name, operands, _ in self.operations:
            values.append(apply[name](*map(at, operands)))
        return [at(output) for output in self.outputs]

    @property
    def used(self) -> frozenset[str]:
        """The inputs that anything depends on."""
        read = {o.number for operation in self.operations for o in operation.operands if isinstance(o, Value)}
        read |= {o.number for o in self.outputs if isinstance(o, Value)}
        return frozenset(name for k, name in enumerate(self.inputs) if k in read)


@dataclass(frozen=True, eq=False)
class Definition:
    """A cell, as a user has defined it.

    The programs' inputs and outputs, in order, each group in the order of its names:

    - step: sums, states before, streams, vectors, constants, matrices → states, kept
    - step_backward: kept, states before, states after, gradients of the states, streams, vectors, constants, matrices
      → gradients of the states before, of the sums, of the vectors, and for each matrix two factors, d and v, of which
      its gradient is Σ d vᵀ

    With a `projection` h has P numbers, and all else has H: h_t is that matrix, (P, H), times a vector, nothing reads
    h_{t−1} but W_h, which is (rows, P), and dh_t is read by `product_transposed` and by d of that matrix alone. All
    other matrices are (H, H).
    """

    name: str
    sums: tuple[str, ...]  # the gates
    from_x: tuple[str, ...]  # those that W_x x_t adds to: a row of weight_ih and bias_ih for each unit, in this order
    from_h: tuple[str, ...]  # those that W_h h_{t−1} adds to; where it is empty there is no weight_hh and no bias_hh
    states: tuple[str, ...]  # the first is "h"
    kept: tuple[str, ...]
    streams: tuple[str, ...]  # numbers that come with each step, (T, B, H), such as masks; they have no gradient
    vectors: tuple[str, ...]  # parameters of one number a unit, (H,)
    constants: tuple[str, ...]  # numbers that a layer is made with, (H,) too, and have no gradient
    step: Program
    step_backward: Program
    functions: tuple[Callable[..., Any], Callable[..., Any]]  # the user's own, of arrays: what the programs say
    module: str = ""  # where it was defined
    matrices: tuple[str, ...] = ()  # parameters that `product` and `product_transposed` read
    projection: str = ""  # the one of them that makes h, where h is of another size than the rest
    recurrent: tuple[str, ...] = ()  # those of them that are a part of W_h to what regularises a layer's recurrence

    @cached_property
    def across(self) -> tuple[str, ...]:
        """The operations across the units of a row that it has, by name; none where its programs are one level."""
        names = {one.name for program in (self.step, self.step_backward) for one in program.operations}
        return tuple(name for name in ACROSS if name in names)

    @cached_property
    def digest(self) -> str:
        """What two definitions share if the names of their numbers and their programs are the same.

        Neither the cell's own name nor lines of its file are in it.
        """
        names: tuple[Any, ...] = (
            self.sums, self.from_x, self.from_h, self.states, self.kept, self.streams, self.vectors, self.constants,
        )  # fmt: skip
        if self.matrices:
            names += self.matrices, self.projection
        programs = [
            [[o.name, o.operands] for o in program.operations] + [program.outputs]
            for program in (self.step, self.step_backward)
        ]
        return hashlib.sha256(repr((names, programs)).encode()).hexdigest()[:16]

    @cached_property
    def step_digest(self) -> str:
        """What two definitions share if they compute states by the same operations, whatever else they keep."""
        outputs = self.step.outputs[: len(self.states)]
        read, count = {o.number for o in outputs if isinstance(o, Value)}, len(self.step.inputs)
        operations: list[Any] = []
        for k, one in reversed(list(enumerate(self.step.operations, count))):
            if k in read:
                read |= {o.number for o in one.operands if isinstance(o, Value)}
                operations.append((k, one.name, one.operands))
        at = {k: count + n for n, (k, *_) in enumerate(reversed(operations))}

        def said(operand: Value | float) -> str:
            if not isinstance(operand, Value):
                return repr(operand)
            return self.step.inputs[operand.number] if operand.number < count else f"#{at[operand.number]}"

        lines = [[name, *map(said, operands)] for _, name, operands in reversed(operations)]
        return hashlib.sha256(repr((lines, [*map(said, outputs)])).encode()).hexdigest()[:16]

    def __reduce__(self) -> tuple[Any, ...]:
        return definition_named, (self.name, self.module, self.digest)

    def __copy__(self) -> Definition:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Definition:
        return self


DEFINITIONS: dict[str, Definition] = {}
"""Every definition of this process, by name."""


def definition_named(name: str, module: str, digest: str = "") -> Definition:
    """Return a definition by name, if need be after importing the module that defines it.

    Raises
    ------
    RuntimeError
        There is none, or it is not that of the digest.
    """
    if name not in DEFINITIONS and module:
        importlib.import_module(module)
    if name not in DEFINITIONS:
        raise RuntimeError(f"cell {name!r} is not defined here; import the file that defines it first")
    check_digest(DEFINITIONS[name], digest)
    return DEFINITIONS[name]


def check_digest(definition: Definition, digest: str) -> None:
    """Raise RuntimeError if a definition is not that of a digest, of which "" is anyone's."""
    if digest and definition.digest != digest:
        raise RuntimeError(
            f"cell {definition.name!r} has been defined again since this was made, and is another now; "
            "make the layer again"
        )
