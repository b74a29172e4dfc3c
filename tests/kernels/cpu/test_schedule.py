"""The order in which a program's levels are done, carried out in Python on programs that are drawn at random."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.cpu.levels.cutting import levels
from kernels.cpu.levels.schedule import Product, Schedule, levelled, make_schedule
from kernels.definition import ACROSS, OPERATIONS, Definition, Operation, Program, Value
from rnn_core.cell.wrapping import wrapped
from rnn_core.layers.defined import shipped

from .interpreted import ORDER, Interpreter, product, results
from .levelled import BEFORE, MIXED, NORM, PROJECTED

B, H = 3, 4


class Drawn(NamedTuple):
    """A program, and what a schedule of it is made for."""

    program: Program
    fleeting: frozenset[int]
    constants: frozenset[int]
    matrices: int
    before: Product | None  # what makes an input of the row of another matrix
    wanted: int | None


@st.composite
def programs(draw: Any) -> Drawn:
    """Draw inputs, operations on them, and which values are outputs."""
    fleeting, plain, constants, matrices = (draw(st.integers(low, 2)) for low in (1, 1, 0, 0))
    projects = draw(st.booleans())
    numbers, square = fleeting + plain + constants, matrices
    matrices += projects
    values = [Value(k) for k in range(numbers)]
    operations: list[Operation] = []

    def value() -> Value:
        """Draw one of the values, the latest more often than others."""
        return values[-1 - min(draw(st.integers(0, len(values) - 1)), draw(st.integers(0, len(values) - 1)))]

    def number() -> Value | float:
        return value() if draw(st.integers(0, 9)) else float(draw(st.integers(1, 9)))

    for _ in range(draw(st.integers(1, 14))):
        if draw(st.booleans()):
            name = draw(st.sampled_from(sorted(ACROSS) if square else ["mean"]))
            matrix = (Value(numbers + draw(st.integers(0, square - 1))),) if name != "mean" else ()
            operands: tuple[Value | float, ...] = (*matrix, value())
        else:
            name = draw(st.sampled_from(sorted(OPERATIONS)))
            first, *others = (number() for _ in range(OPERATIONS[name]))
            operands = (first if isinstance(first, Value) else value(), *others)
        values.append(Value(numbers + matrices + len(operations)))
        operations.append(Operation(name, operands, 0))
    outputs = (value(), *(number() for _ in range(draw(st.integers(0, 3)))))
    names = tuple(f"out.{k}" for k in range(len(outputs)))
    inputs = tuple(f"in.{k}" for k in range(numbers + matrices))
    program = Program(inputs, tuple(operations), outputs, names, (0,) * len(outputs))
    made_before = Product(fleeting, square, True, 0) if projects else None  # the first of the plain ones
    wanted = 0 if draw(st.booleans()) else None
    last = frozenset(range(fleeting + plain, numbers))
    return Drawn(program, frozenset(range(fleeting)), last, matrices, made_before, wanted)


def check(schedule: Schedule, its: Drawn, turned: bool) -> list[np.ndarray]:
    """Carry a schedule out, and hold its outputs against the program's, which are returned."""
    rng, program = np.random.default_rng(0), its.program
    numbers = len(program.inputs) - its.matrices
    inputs = [rng.integers(1, ORDER, (1, 1) if k in its.constants else (B, H)) for k in range(numbers)]
    matrices = [rng.integers(0, ORDER, (H, H)) for _ in range(its.matrices)]
    operand = rng.integers(0, ORDER, (B, H)) if its.before else None
    there = list(inputs)
    if its.before and operand is not None:
        there[its.before.value] = product(matrices[its.before.matrix].T, operand)
        inputs[its.before.value] = np.full((B, H), -1)  # it is the product's alone
    expected = results(program, [*there, *matrices])
    interpreter = Interpreter(schedule, inputs, matrices, its.fleeting, operand, turned)
    for k, (found, right) in enumerate(zip(interpreter.run(), expected, strict=True)):
        assert np.array_equal(found, right), f"output {k} is wrong"
    if its.wanted is not None and isinstance(one := program.outputs[its.wanted], Value):
        left = interpreter.operands[schedule.operands[one.number]]
        assert np.array_equal(left, expected[its.wanted]), "what a product reads afterwards is wrong"
    return expected


@settings(max_examples=300)
@given(programs(), st.booleans())
def test_a_schedule_does_what_its_program_says(its, turned):
    numbers = len(its.program.inputs) - its.matrices
    schedule = make_schedule(its.program, numbers, its.fleeting, its.constants, its.before, its.wanted)
    check(schedule, its, turned)
    across = [one for one in its.program.operations if one.name in ACROSS and one.name != "mean"]
    assert len(schedule.products) == len(across) + (its.before is not None)
    rows = [segment.whole_rows for segment in schedule.segments]
    assert not any(one and other for one, other in pairwise(rows)), "two segments might be one"
    assert len(rows) <= 2 * len(levels(its.program))


def of_definition(its: Definition) -> list[tuple[Schedule, Drawn]]:
    """Return both schedules of a definition, with what they are made for."""
    made, states, matrices = levelled(its), len(its.states), len(its.matrices)
    found = []
    for word, program in (("forward", its.step), ("backward", its.step_backward)):
        schedule: Schedule = made[word]
        last = len(program.inputs) - matrices
        first = program.inputs.index("dstate.h") if word == "backward" else 0
        fleeting = frozenset(range(first, first + (states if word == "backward" else len(its.sums))))
        before = schedule.segments[0].products[0] if its.projection and word == "backward" else None
        fleeting -= {before.value} if before else set()
        constants = frozenset(range(last - len(its.constants), last))
        wanted = 0 if its.projection and word == "forward" else None
        found.append((schedule, Drawn(schedule.program, fleeting, constants, matrices, before, wanted)))
    return found


ACROSS_CELLS = ("LayerNormLSTM", "LayerNormGRU", "ProjectedLSTM", "ResetBeforeGRU", "GateBeforeMGU")


@pytest.mark.parametrize("definition", [NORM, BEFORE, PROJECTED, MIXED], ids=lambda one: one.name)
def test_the_schedules_of_cells(definition):
    for turned in (False, True):
        for schedule, its in of_definition(definition):
            check(schedule, its, turned)


@pytest.mark.parametrize("name", ACROSS_CELLS)
def test_the_schedules_of_variants(name):
    kind = shipped(name)
    regularised = [] if name == "ProjectedLSTM" else [wrapped(kind.dropped or kind.definition, (0,), False, True)]
    for definition in (kind.definition, *regularised):
        assert definition.across
        for schedule, its in of_definition(definition):
            check(schedule, its, False)


@pytest.mark.parametrize("definition", [PROJECTED, MIXED], ids=lambda one: one.name)
def test_a_projection_is_taken_out_of_a_step(definition):
    """h of what is left is what the projection reads, and ∂L/∂h what comes back through it."""
    rng, matrices = np.random.default_rng(1), len(definition.matrices)
    W = definition.matrices.index(definition.projection)
    made, its = levelled(definition), definition
    d = len(its.states) + len(its.sums) + len(its.vectors) + 2 * W  # the first factor of its gradient: ∂L/∂h itself
    for program, own, at_h in ((its.step, made["forward"], 0), (its.step_backward, made["backward"], d)):
        inputs = [rng.integers(0, ORDER, (B, H)) for _ in program.inputs[:-matrices]]
        inputs += [rng.integers(0, ORDER, (H, H)) for _ in range(matrices)]
        there = list(inputs)
        backward = program is its.step_backward
        if backward:
            at = program.inputs.index("dstate.h")
            there[at] = product(inputs[W - matrices].T, inputs[at])
        found, expected = results(own.program, there), results(program, inputs)
        for k, (one, other) in enumerate(zip(found, expected, strict=True)):
            if k != at_h:
                assert np.array_equal(one, other), k
            elif not backward:
                assert np.array_equal(product(inputs[W - matrices], one), other)
