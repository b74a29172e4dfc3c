"""What `kernels.contract` asks of a cell, as one function a rule.

Every ``check_*`` takes a backend's `Cell` and a `Problem` (tests/cases.py), and raises AssertionError where the rule
is broken. None of them knows a backend: arrays may live anywhere, and what they hold is compared on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array, Cell, Parameters, gradient_names
from rnn_core import equations
from tests.cases import Problem
from tests.tolerance import Allowed, assert_agree

Results = dict[str, Array]
"""What a call returned, by name: y, h_T, c_T, dx, dh0, dc0, dweight_ih, …; what is None is left out."""


def host(array: Array) -> np.ndarray:
    """Return an array of any namespace as NumPy's."""
    return array.get() if hasattr(array, "get") else array


def outputs(problem: Problem, y: Array, state: tuple[Array, ...]) -> Results:
    """Name what `infer` and `forward` return."""
    return {"y": y, **{f"{name}_T": s for name, s in zip(problem.spec.states, state, strict=True)}}


def gradients(cell: Cell, problem: Problem, tape: Any, needs: Iterable[str] | None = None) -> Results:
    """Run `backward` for what is needed, everything by default, and name what it returns."""
    names = gradient_names(problem.spec)
    needs = frozenset(names if needs is None else needs)
    dx, dstate0, dparams = cell.backward(problem.params, tape, problem.dy, problem.dstate_T, needs)
    assert isinstance(dparams, Parameters)
    values = dict(zip(names, (dx, *dstate0, *dparams), strict=True))
    return {f"d{name}": value for name, value in values.items() if value is not None}


def run(cell: Cell, problem: Problem) -> Results:
    """Run `forward` and `backward`, and name all that they return."""
    y, state, tape = cell.forward(problem.params, problem.x, problem.state0, problem.lengths)
    return outputs(problem, y, state) | gradients(cell, problem, tape)


def snapshot(results: Results) -> dict[str, np.ndarray]:
    """Return copies on the host."""
    return {name: host(value).copy() for name, value in results.items()}


def assert_same_bits(actual: Results, expected: Results) -> None:
    """Assert that two results are the same to the last bit, the sign of a zero included."""
    assert actual.keys() == expected.keys(), f"{list(actual)} instead of {list(expected)}"
    for name in expected:
        same = host(actual[name]).tobytes() == host(expected[name]).tobytes()
        assert same, f"{name}: not the same bits"


def assert_close(actual: Results, expected: Results, problem: Problem) -> None:
    """Assert that two results agree up to rounding."""
    assert actual.keys() == expected.keys(), f"{list(actual)} instead of {list(expected)}"
    for name in expected:
        assert_agree(name, host(actual[name]), host(expected[name]), allowed(problem))


def allowed(problem: Problem) -> Allowed:
    """Return how far results of a problem may lie apart."""
    dtype = host(problem.x).dtype if problem.precision == "float32" else problem.precision
    return Allowed.of(dtype, problem.T)


def total(parts: list[Results], name: str) -> np.ndarray:
    """Return the sum of one result over parts of a call."""
    return np.sum([host(part[name]) for part in parts], axis=0)


def check_equations(cell: Cell, problem: Problem) -> None:
    """Rules 8 and 10: every result is that of the equations in float64; rounded as they round where they do."""
    exact = problem.map(host if problem.precision == "bfloat16" else lambda array: host(array).astype(np.float64))
    assert_close(run(cell, problem), run(equations.cell(problem.cell, problem.precision), exact), problem)


def check_infer(cell: Cell, problem: Problem) -> None:
    """`infer` returns what `forward` returns."""
    arguments = problem.params, problem.x, problem.state0, problem.lengths
    inferred = outputs(problem, *cell.infer(*arguments))
    assert_close(inferred, outputs(problem, *cell.forward(*arguments)[:2]), problem)


def check_dtype_and_shape(cell: Cell, problem: Problem) -> None:
    """Rule 3: results have the dtype of what came in, and the shape of what they are the gradient of."""
    T, B, _ = problem.x.shape
    names = dict(zip(gradient_names(problem.spec), (problem.x, *problem.state0, *problem.params), strict=True))
    shapes = {f"d{name}": array.shape for name, array in names.items() if array is not None}
    H = problem.params.weight_hh.shape[1]
    shapes |= {"y": (T, B, H), **{f"{name}_T": (B, H) for name in problem.spec.states}}
    inferred = cell.infer(problem.params, problem.x, problem.state0, problem.lengths)
    for results in (run(cell, problem), outputs(problem, *inferred)):
        for name, value in results.items():
            assert value.dtype == problem.x.dtype, f"{name}: {value.dtype} instead of {problem.x.dtype}"
            assert value.shape == shapes[name], f"{name}: shape {value.shape} instead of {shapes[name]}"


def check_inputs_unchanged(cell: Cell, problem: Problem) -> None:
    """Rule 4: no argument is written to."""

    def contents() -> list[bytes]:
        arrays: list[Array] = []
        problem.map(lambda array: arrays.append(array) or array)  # type: ignore[func-returns-value]
        return [host(array).tobytes() for array in (*arrays, problem.steps())]

    before = contents()
    cell.infer(problem.params, problem.x, problem.state0, problem.lengths)
    run(cell, problem)
    assert contents() == before


def check_results_are_fresh(cell: Cell, problem: Problem) -> None:
    """Rule 3: whoever writes into a result spoils neither an argument, nor the tape, nor a later result."""

    def spoil(results: Results) -> None:
        for value in results.values():
            value[...] = np.nan

    arguments = problem.params, problem.x, problem.state0, problem.lengths
    expected = snapshot(run(cell, problem))
    y, state, tape = cell.forward(*arguments)
    spoil(outputs(problem, *cell.infer(*arguments)))
    spoil(outputs(problem, y, state))
    spoil(gradients(cell, problem, tape))
    found = gradients(cell, problem, tape)
    assert_same_bits(found, {name: value for name, value in expected.items() if name in found})
    assert_same_bits(run(cell, problem), expected)


def check_padding(cell: Cell, problem: Problem) -> None:
    """Rule 5: what stands past a row's length has no influence, be it NaN; y and dx are zero there."""
    expected = snapshot(run(cell, problem))
    xp = array_namespace(problem.x)
    steps, T = problem.steps(), problem.T
    for padding in (np.nan, np.inf, 1e30):

        def padded(sequence: Array | None, padding: float = padding) -> Array | None:
            """Two steps more than there were, and `padding` in all that is not valid."""
            if sequence is None:
                return None
            longer = xp.full((T + 2, *sequence.shape[1:]), padding, dtype=sequence.dtype)
            for b, L in enumerate(steps):
                longer[:L, b] = sequence[:L, b]
            return longer

        found = run(cell, problem._replace(x=padded(problem.x), dy=padded(problem.dy), lengths=steps))
        for name in ("y", "dx"):
            for b, L in enumerate(steps):
                assert not host(found[name][L:, b]).any(), f"{name}: not zero past the end of row {b}"
            found[name] = found[name][:T]
        assert_close(found, expected, problem)


def check_rows(cell: Cell, problem: Problem) -> None:
    """Rules 5 and 8: a row of a batch is what it is alone, and parameters' gradients are summed over the rows."""
    whole = run(cell, problem)
    alone = []
    for b, L in enumerate(problem.steps()):
        row = problem._replace(
            x=problem.x[:L, b : b + 1],
            state0=tuple(s[b : b + 1] for s in problem.state0),
            lengths=None,
            dy=None if problem.dy is None else problem.dy[:L, b : b + 1],
            dstate_T=tuple(None if s is None else s[b : b + 1] for s in problem.dstate_T),
        )
        alone.append(run(cell, row))
        of_row = {
            name: value[:L, b : b + 1] if value.ndim == 3 else value[b : b + 1]
            for name, value in whole.items()
            if not is_parameter(name)
        }
        assert_close(of_row, {name: alone[-1][name] for name in of_row}, problem)
    for name in filter(is_parameter, whole):
        assert_agree(name, host(whole[name]), total(alone, name), allowed(problem))


def check_split(cell: Cell, problem: Problem) -> None:
    """A sequence in two calls, the state handed on and its gradient handed back, is the sequence in one."""
    whole, steps = run(cell, problem), problem.steps()
    for t in {1, problem.T // 2, problem.T - 1} - {0, problem.T}:
        goes_on = np.flatnonzero(steps > t)  # the others have ended by then
        if not goes_on.size:
            continue
        head = problem._replace(
            x=problem.x[:t],
            lengths=np.minimum(steps, t),
            dy=None if problem.dy is None else problem.dy[:t],
        )
        y, state, tape = cell.forward(head.params, head.x, head.state0, head.lengths)
        tail = problem._replace(
            x=problem.x[t:][:, goes_on],
            state0=tuple(s[goes_on] for s in state),
            lengths=steps[goes_on] - t,
            dy=None if problem.dy is None else problem.dy[t:][:, goes_on],
            dstate_T=tuple(None if s is None else s[goes_on] for s in problem.dstate_T),
        )
        second = run(cell, tail)
        dstate = []
        for name, final, upstream in zip(problem.spec.states, state, problem.dstate_T, strict=True):
            final[goes_on] = second[f"{name}_T"]
            handed_back = array_namespace(y).zeros_like(final) if upstream is None else upstream.copy()
            handed_back[goes_on] = second[f"d{name}0"]
            dstate.append(handed_back)
        first = gradients(cell, head._replace(dstate_T=tuple(dstate)), tape)
        for name, head_part, tail_part in (("y", y, second["y"]), ("dx", first["dx"], second["dx"])):
            joined = array_namespace(y).zeros_like(whole[name])
            joined[:t] = head_part
            joined[t:][:, goes_on] = tail_part
            first[name] = joined
        for name in filter(is_parameter, second):
            first[name] = first[name] + second[name]
        assert_close(first | outputs(problem, first["y"], state), whole, problem)


def check_none_upstream(cell: Cell, problem: Problem) -> None:
    """Rule 6: an upstream gradient that is None stands for zeros; each on its own, and all of them."""
    xp = array_namespace(problem.x)
    y, state, tape = cell.forward(problem.params, problem.x, problem.state0, problem.lengths)
    upstream = (problem.dy, *problem.dstate_T)
    zeros = tuple(map(xp.zeros_like, (y, *state)))
    full = tuple(z if u is None else u for u, z in zip(upstream, zeros, strict=True))
    for absent in (*((k,) for k in range(len(full))), tuple(range(len(full)))):
        nothing = tuple(None if k in absent else u for k, u in enumerate(full))
        zero = tuple(zeros[k] if k in absent else u for k, u in enumerate(full))
        found = gradients(cell, problem._replace(dy=nothing[0], dstate_T=nothing[1:]), tape)
        assert_close(found, gradients(cell, problem._replace(dy=zero[0], dstate_T=zero[1:]), tape), problem)


def check_needs(cell: Cell, problem: Problem) -> None:
    """Rule 7: what `needs` leaves out is None, and the rest keeps its bits."""
    names = gradient_names(problem.spec)
    *_, tape = cell.forward(problem.params, problem.x, problem.state0, problem.lengths)
    everything = gradients(cell, problem, tape)
    wanted = [(), *((name,) for name in names), *(tuple(n for n in names if n != name) for name in names)]
    for needs in wanted:
        expected = {f"d{name}": everything[f"d{name}"] for name in needs if f"d{name}" in everything}
        assert_same_bits(gradients(cell, problem, tape, needs), expected)


def check_every_state(cell: Cell, problem: Problem) -> None:
    """Rule 11: every state at every step, and gradients from above, are those of the equations in float64.

    What upstream gradients hold past a row's length has no influence.
    """
    xp, dtype, names = array_namespace(problem.x), problem.x.dtype, problem.spec.states
    rng, shape = np.random.default_rng(0), (*problem.x.shape[:2], problem.params.weight_hh.shape[1])
    drawn = [rng.uniform(-1, 1, shape).astype(dtype.name) for _ in names[1:]]
    padded = [d.copy() for d in drawn]
    for d in padded:
        for b, L in enumerate(problem.steps()):
            d[L:, b] = np.nan

    def every(its: Cell, own: Problem, upstream: list[Array]) -> Results:
        y, _, tape = its.forward(own.params, own.x, own.state0, own.lengths)
        states, wanted = its.states(tape), gradient_names(own.spec)
        assert_same_bits({"y": states[0]}, {"y": y})
        found = its.backward(own.params, tape, own.dy, own.dstate_T, frozenset(wanted), (None, *upstream))
        values = dict(zip(wanted, (found[0], *found[1], *found[2]), strict=True))
        return {
            **{f"{name}_t": state for name, state in zip(names, states, strict=True)},
            **{f"d{name}": value for name, value in values.items() if value is not None},
        }

    exact = problem.map(host if problem.precision == "bfloat16" else lambda array: host(array).astype(np.float64))
    expected = every(equations.cell(problem.cell, problem.precision), exact, [d.astype(exact.x.dtype) for d in drawn])
    assert_close(every(cell, problem, [xp.asarray(d) for d in padded]), expected, problem)


def check_tape(cell: Cell, problem: Problem) -> None:
    """Rule 9: a tape serves any number of times, whatever was run in between, and the second call is the first."""
    expected = snapshot(run(cell, problem))
    other = problem._replace(x=-problem.x, state0=tuple(-s for s in problem.state0))
    y, state, tape = cell.forward(problem.params, problem.x, problem.state0, problem.lengths)
    *_, other_tape = cell.forward(other.params, other.x, other.state0, other.lengths)
    for _ in range(2):
        assert_same_bits(outputs(problem, y, state) | gradients(cell, problem, tape), expected)
        gradients(cell, other, other_tape)


def is_parameter(name: str) -> bool:
    """Whether a result is a parameter's gradient."""
    return name.removeprefix("d") in Parameters._fields


CHECKS: tuple[Callable[[Cell, Problem], None], ...] = (
    check_equations,
    check_infer,
    check_dtype_and_shape,
    check_inputs_unchanged,
    check_results_are_fresh,
    check_padding,
    check_rows,
    check_split,
    check_none_upstream,
    check_needs,
    check_every_state,
    check_tape,
)
"""Every check of a cell."""
