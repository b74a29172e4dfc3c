"""A program in levels: what is done unit by unit, between operations that look at a whole row of units.

The mean of a row, or its product with a matrix, is there when every unit of the row has been brought so far. So a
program that has such operations (definition.py: `ACROSS`) is done level by level: all units of a row go through the
operations of a level, then come the operations across them, then the next level. A program without any is one level.
"""

from __future__ import annotations

from typing import NamedTuple

from kernels.definition import ACROSS, Program, Value


class Level(NamedTuple):
    """A part of a program; values go by their numbers, as in `Value`."""

    across: tuple[int, ...]  # values of operations across the units, done before the level begins; none in the first
    within: tuple[int, ...]  # values of operations of one unit alone, in order
    outputs: tuple[int, ...]  # which of the program's outputs are there at its end


def levels(program: Program) -> tuple[Level, ...]:
    """Return the levels of a program, in order: one where nothing looks at other units.

    An operation stands in the first level that has all that it reads, and an output in that of its value. Inputs are
    there from the first level on, and what an operation across the units gives is there for all later levels.
    """
    inputs = len(program.inputs)
    of = [0] * inputs
    for operation in program.operations:
        reads = [of[o.number] for o in operation.operands if isinstance(o, Value)]
        of.append(max(reads, default=0) + (operation.name in ACROSS))
    count = max(of, default=0) + 1

    across: list[list[int]] = [[] for _ in range(count)]
    within: list[list[int]] = [[] for _ in range(count)]
    for number, operation in enumerate(program.operations, start=inputs):
        (across if operation.name in ACROSS else within)[of[number]].append(number)
    outputs = [of[o.number] if isinstance(o, Value) else 0 for o in program.outputs]
    return tuple(
        Level(
            tuple(across[level]),
            tuple(within[level]),
            tuple(k for k, at in enumerate(outputs) if at == level),
        )
        for level in range(count)
    )
