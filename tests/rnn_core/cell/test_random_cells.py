"""Cells composed at random, whose `step_backward` is derived by the chain rule, operation by operation."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rnn_core import gradcheck
from rnn_core.cell import define, exp, log, maximum, minimum, relu, sigmoid, sqrt, tanh, where_less
from rnn_core.cell.operators import ON_ARRAYS
from rnn_core.checking.cells import check_step

# Each operation with its value and, from the operands x, the value r and its gradient d, the operands' gradients.
RULES = {
    "add": (lambda x, y: x + y, lambda x, y, r, d: (d, d)),
    "subtract": (lambda x, y: x - y, lambda x, y, r, d: (d, -d)),
    "multiply": (lambda x, y: x * y, lambda x, y, r, d: (d * y, d * x)),
    "divide": (lambda x, y: x / (1.5 + y**2), lambda x, y, r, d: (d / (1.5 + y**2), -2 * d * r * y / (1.5 + y**2))),
    "sigmoid": (sigmoid, lambda x, r, d: (d * r * (1 - r),)),
    "tanh": (tanh, lambda x, r, d: (d * (1 - r * r),)),
    "relu": (relu, lambda x, r, d: (where_less(0, x, d, 0),)),
    "exp": (lambda x: exp(tanh(x)), lambda x, r, d: (d * r * (1 - tanh(x) ** 2),)),
    "log": (lambda x: log(1 + x * x), lambda x, r, d: (2 * d * x / (1 + x * x),)),
    "sqrt": (lambda x: sqrt(2 + x * x), lambda x, r, d: (d * x / r,)),
    "maximum": (maximum, lambda x, y, r, d: (where_less(x, y, 0, d), where_less(x, y, d, 0))),
    "minimum": (minimum, lambda x, y, r, d: (where_less(y, x, 0, d), where_less(y, x, d, 0))),
    "where_less": (
        lambda x, y, u, v: where_less(x, y, 2 * u, v),
        lambda x, y, u, v, r, d: (0, 0, where_less(x, y, 2 * d, 0), where_less(x, y, 0, d)),
    ),
}
ARITY = {"where_less": 4} | dict.fromkeys(("add", "subtract", "multiply", "divide", "maximum", "minimum"), 2)


@st.composite
def compositions(draw):
    """Draw gates, states, vectors, where sums come from, and operations on them."""
    gates = [f"g{k}" for k in range(draw(st.integers(1, 3)))]
    states = ["h", "c", "n"][: draw(st.integers(1, 3))]
    vectors = ["v", "w"][: draw(st.integers(0, 2))]
    inputs = len(gates) + len(states) + len(vectors)
    operations = []
    for k in range(draw(st.integers(1, 7))):
        name = draw(st.sampled_from(sorted(RULES)))
        count = ARITY.get(name, 1)
        operands = draw(st.lists(st.integers(0, inputs + k - 1), min_size=count, max_size=count))
        operations.append((name, tuple(operands)))
    count = inputs + len(operations)
    outputs = [count - 1, *(draw(st.integers(0, count - 1)) for _ in states[1:])]
    origin = [draw(st.sampled_from(["x", "h", "xh"])) for _ in gates]
    origin[0] = "x" if "x" not in "".join(origin) else origin[0]
    return gates, states, vectors, operations, outputs, origin


def defined(composition, name="Composed"):
    """Return the cell of a composition. What a state is made of is squashed, v/√(1 + v²), so that nothing runs away."""
    gates, states, vectors, operations, outputs, origin = composition
    States, Gates = namedtuple("States", states), namedtuple("Gates", gates)
    Vectors = namedtuple("Vectors", vectors)  # type: ignore[misc]
    first = len(gates) + len(states) + len(vectors)
    kept = [f"k{k}" for k in range(first + len(operations))]

    def run(a, prev, p):
        values = [*a, *prev, *p]
        for operation, operands in operations:
            values.append(RULES[operation][0](*(values[k] for k in operands)))
        return States(*(values[k] / sqrt(1 + values[k] ** 2) for k in outputs)), tuple(values)

    def back(values, prev, state, dstate, p):
        gradients = [0.0] * len(values)
        for k, ds in zip(outputs, dstate, strict=True):
            size = 1 + values[k] ** 2
            gradients[k] = gradients[k] + ds / (size * sqrt(size))
        for k, (operation, operands) in reversed(list(enumerate(operations, first))):
            parts = RULES[operation][1](*(values[j] for j in operands), values[k], gradients[k])
            for j, part in zip(operands, parts, strict=True):
                gradients[j] = gradients[j] + part
        last = first - len(vectors)
        return States(*gradients[len(gates) : last]), Gates(*gradients[: len(gates)]), Vectors(*gradients[last:first])

    def step(a, prev, p):
        return run(a, prev, p)

    def step_backward(kept, prev, state, dstate, p):
        return back(kept, prev, state, dstate, p)

    def step_without(a, prev):
        return run(a, prev, ())

    def step_backward_without(kept, prev, state, dstate):
        return back(kept, prev, state, dstate, ())[:2]

    both = (step, step_backward) if vectors else (step_without, step_backward_without)
    return define(
        name, *both, gates=Gates, states=States, kept=tuple(kept), parameters=Vectors if vectors else None,
        from_x=tuple(g for g, o in zip(gates, origin, strict=True) if "x" in o),
        from_h=tuple(g for g, o in zip(gates, origin, strict=True) if "h" in o),
    )  # fmt: skip


TOLERANCE = 1e-8
"""1 − tanh² and σ(1 − σ) lose digits where they are nearly saturated, and here anything may be."""


@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate),
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(compositions())
def test_a_cell_composed_at_random(composition):
    kind = defined(composition)
    its = kind.definition
    rng = np.random.default_rng(0)
    for program, function in zip((its.step, its.step_backward), its.functions, strict=True):
        inputs = [rng.standard_normal((2, 3)) for _ in program.inputs]
        for found, expected in zip(program.run(inputs, ON_ARRAYS), function(inputs), strict=True):
            np.testing.assert_array_equal(found, expected)
    step = check_step(kind)
    assert all(row.error <= TOLERANCE for row in step.report.rows), step
    layer = kind(1, 2, bidirectional=True, backend="numpy", dtype="float64", seed=1)
    report = gradcheck(layer, rng.standard_normal((3, 2, 1)), lengths=np.array([3, 2]), tolerance=TOLERANCE)
    assert all(row.passed for row in report.rows), report
