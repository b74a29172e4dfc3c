"""A user's cell: its `step_backward` against the complex step of its `step`, output by output, before any loop is run.

What is wrong there is wrong in a line of the user's file. Which line that is, the numbers tell as far as they can: an
output that is right has only right operations behind it, so the mistake is among those that stand behind all that is
wrong and behind nothing that is right.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from kernels.definition import Definition, Program

from ..cell.mistakes import returned_at
from ..equations.across import matrix_gradient
from ..foreign import one_line
from ..layers.defined import Cell
from . import central_difference, complex_step
from .check import TOLERANCE, gradcheck
from .places import Axis
from .problem import Problem, Twin
from .report import GradientReport
from .suite import around
from .targets.defined import constant_states, values_behind

UNITS = 24
"""How many units' numbers are drawn, each apart from the others."""

UNITS_OF_A_ROW = 6
"""The same where units look at each other: so many make a row, of which a projection makes two less."""

LINES = 6
"""Suspected lines that are shown."""


@dataclass(frozen=True)
class WrongOutput:
    """An output of `step_backward` that is wrong.

    Attributes
    ----------
    name : str
        "da.f", "dprev.c" or "dp.p_f".
    line : int
        Of the user's file, where it is made.
    upstream : tuple of str
        The states of whose gradients it is wrong.
    suspects : tuple of int
        The lines on which the mistake may be, as far as the other outputs tell.
    says : tuple of str
        What is known of its numbers, a line each.
    returned : int
        The line of the `return`, where it may have taken another's place.
    instead : tuple of str
        The outputs that its numbers are right for.
    swapped : bool
        Whether one of those has its numbers.
    """

    name: str
    line: int
    upstream: tuple[str, ...]
    suspects: tuple[int, ...]
    says: tuple[str, ...]
    returned: int
    instead: tuple[str, ...] = ()
    swapped: bool = False

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines that may be wrong, the likeliest first."""
        first = (self.returned, self.line) if self.swapped else (self.line,)
        others = [line for line in self.suspects if line not in (*first, self.returned)][:LINES]
        return tuple(dict.fromkeys((*first, *others, self.returned)))


@dataclass(frozen=True)
class StepReport:
    """What was found about one cell; truthy where all is right."""

    name: str
    file: str
    report: GradientReport
    wrong: tuple[WrongOutput, ...]

    @property
    def passed(self) -> bool:
        """Whether every gradient is right."""
        return self.report.passed

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        if self.passed:
            return (
                f"{self.name}: step_backward is that of step: {self.report.size} gradients, largest relative error "
                f"{self.report.worst.error:.1e}"
            )
        if self.report.unjudged and all(row.passed for row in self.report.rows):
            return f"{self.name}: not judged: {', '.join(self.report.unjudged)}\n{self.report}"
        lines = [f"{self.name}: step_backward is not that of step"]
        for one in self.wrong:
            first, *others = one.lines
            lines.append(f"{Path(self.file).name}:{first}: {one.name} is wrong{self._code(first)}")
            lines += [f"  {said}" for said in one.says]
            if others:
                where = f"line{'s' if len(others) > 1 else ''} {', '.join(map(str, others))}"
                lines.append(f"  or what it is made of, or where it is returned, on {where}:")
                lines += [f"    {line}: {self._code(line)[2:]}" for line in others]
        if not self.wrong:
            lines.append(str(self.report))
        return "\n".join(lines)

    def _code(self, line: int) -> str:
        text = linecache.getline(self.file, line).strip()
        return f": {one_line(text, 80)}" if text else ""


def check_step(
    kind: type[Cell], *, method: str = "complex-step", seed: int = 0, options: Mapping[str, float] | None = None
) -> StepReport:
    """Check the `step_backward` of a user's cell by itself, on random numbers in float64.

    Parameters
    ----------
    kind : type
        What `rnn_core.cell.define` returned.
    method : {"complex-step", "central"}
        The reference, as of `gradcheck`.
    seed : int
        Draws the numbers.
    options : mapping, optional
        What the cell's options are; those that are left out, as they are by default.

    Raises
    ------
    ValueError
        As `gradcheck`: the step isn't finite at the numbers that were drawn, or isn't analytic.
    """
    its = _definition(kind)
    problem = _problem(kind, seed, {**kind.defaults, **(options or {})})
    report = gradcheck(problem, method=method, seed=seed)
    by_name = {name: [row for row in report.rows if row.name == name] for row in report.rows for name in [row.name]}
    bad = {name: [row for row in rows if not row.passed] for name, rows in by_name.items()}
    wrong = [f"d{name}" for name, rows in bad.items() if rows]
    right = [f"d{name}" for name, rows in bad.items() if not rows]
    returned = returned_at(getattr(its.functions[1], "function", its.functions[1])).line
    instead = _right_for(problem, method, wrong) if wrong else {}
    found = []
    for name in wrong:
        rows = bad[name[1:]]
        upstream = tuple(row.upstream for row in rows)
        says = []
        for row in rows:
            if row.wrong is not None:
                ratio = [said for said in row.wrong.says if said.startswith("claimed is")]
                says.append(f"∂{row.upstream}/∂{row.name}: {(ratio or [str(row.wrong.elements[0])])[0]}")
        suspects = suspected(its.step_backward, name, wrong, right)
        line = its.step_backward.lines[its.step_backward.output_names.index(_outputs(its.step_backward, name)[0])]
        swapped = any(name in instead.get(other, ()) for other in instead[name])
        if instead[name]:
            where = f"swapped on line {returned}" if swapped else f"line {returned} returns it"
            says.insert(0, f"this is what {' or '.join(instead[name])} should be; {where}")
        found.append(WrongOutput(name, line, upstream, suspects, tuple(says), returned, instead[name], swapped))
    return StepReport(kind.__name__, kind.file, report, tuple(found))


def _right_for(problem: Problem, method: str, wrong: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each wrong output, the other outputs whose reference its numbers are."""
    _, run = problem.twin(np.dtype(np.float64))
    upstreams = {
        state: np.random.default_rng(k).standard_normal(after.shape) for k, (state, after) in enumerate(run().items())
    }
    how = complex_step if method == "complex-step" else central_difference
    references = how.reference(problem, upstreams).gradients
    claims = {state: problem.gradients({state: u}) for state, u in upstreams.items()}

    def same(claim: np.ndarray, reference: np.ndarray) -> bool:
        if claim.shape != reference.shape:
            return False
        known = ~np.isnan(reference)  # the rest is where central differences met a kink
        allowed = 100 * TOLERANCE[method] * np.max(abs(reference), where=known, initial=0.0)
        return bool((abs(claim - reference) <= allowed)[known].all())

    def is_right_for(name: str, other: str) -> bool:
        pairs = [(claims[state][name], references[state][other]) for state in upstreams]
        return any(np.nan_to_num(theirs).any() for _, theirs in pairs) and all(same(*pair) for pair in pairs)

    others = next(iter(references.values()))
    return {
        name: tuple(f"d{other}" for other in others if other != name[1:] and is_right_for(name[1:], other))
        for name in wrong
    }


def suspected(program: Program, name: str, wrong: Iterable[str], right: Iterable[str]) -> tuple[int, ...]:
    """Return the lines on which the mistake of an output may have been made.

    Parameters
    ----------
    program : Program
        `step_backward`.
    name : str
        The output.
    wrong, right : iterable of str
        The outputs that are wrong, this one among them, and those that are right.
    """
    cleared = set().union(*(behind(program, other) for other in right))
    shared = reduce(set.intersection, (behind(program, other) for other in wrong)) - cleared
    suspects = shared or behind(program, name) - cleared
    return tuple(sorted({program.operations[k].line for k in suspects} - {0}))


def behind(program: Program, name: str) -> set[int]:
    """Return the operations that an output depends on, by their numbers; of the gradient of a matrix, both factors'."""
    values = set().union(*(values_behind(program, one) for one in _outputs(program, name)))
    return {k - len(program.inputs) for k in values if k >= len(program.inputs)}


def _outputs(program: Program, name: str) -> tuple[str, ...]:
    """Return an output's own name, or of the gradient of a matrix those of its factors."""
    return (name,) if name in program.output_names else (f"{name}.d", f"{name}.v")


def _definition(kind: type[Cell]) -> Definition:
    """Return what of a cell is checked: that with masks, if it has any, as without them they are 1."""
    return kind.dropped or kind.definition


def _problem(kind: type[Cell], seed: int, options: Mapping[str, float]) -> Problem:
    """Return the problem of one step: values are all that it depends on, outputs are the states after it."""
    its = _definition(kind)
    drawn = _drawn(kind, options, np.random.default_rng(seed))
    names = [f"a.{name}" for name in its.sums] + [f"prev.{name}" for name in its.states]
    names += [f"p.{name}" for name in (*its.vectors, *its.matrices)]
    shapes = {f"d{name}": drawn[name].shape for name in names}
    shapes |= {f"state.{s}": drawn[f"prev.{s}"].shape for s in its.states}
    units = drawn[f"a.{its.sums[0]}"]

    def after(values: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[Any]]:
        numbers = {**drawn, **values}
        results = its.functions[0]([numbers[name] for name in its.step.inputs])
        states = {s: _whole(result, numbers[f"prev.{s}"]) for s, result in zip(its.states, results, strict=False)}
        return states, results[len(states) :]

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        states, kept = after({})
        numbers = drawn | {f"state.{s}": state for s, state in states.items()}
        numbers |= {f"kept.{k}": _whole(keep, units) for k, keep in zip(its.kept, kept, strict=True)}
        numbers |= {f"dstate.{s}": upstreams.get(s, np.zeros(shapes[f"state.{s}"])) for s in its.states}
        results = its.functions[1]([numbers[name] for name in its.step_backward.inputs])
        claims = dict(zip(its.step_backward.output_names, results, strict=True))
        claims |= {f"dp.{W}": matrix_gradient(claims[f"dp.{W}.d"], claims[f"dp.{W}.v"]) for W in its.matrices}
        return {name: _whole(claims[f"d{name}"], drawn[name]) for name in names if name in checked}

    checked = set(names)
    checked = _that_matter(its, names, gradients)

    def twin(dtype: np.dtype) -> Twin:
        values = {name: drawn[name].astype(dtype) for name in names if name in checked}
        return values, lambda: after(values)[0]

    axes = {name: (Axis("unit"), Axis("column"))[: drawn[name].ndim] for name in names}
    return Problem(f"{kind.__name__}'s step", np.dtype(np.float64), twin, gradients, axes, constant_states(its))


def _that_matter(its: Definition, names: list[str], gradients: Any) -> set[str]:
    """Return what is to be checked: all but what no state depends on, and for which nothing but zeros is claimed."""
    reaching = set().union(*(values_behind(its.step, f"state.{name}") for name in its.states))
    sizes = _sizes(its)
    claims = [gradients({state: np.ones(sizes[f"prev.{state}"])}) for state in its.states]
    return {
        name for name in names if its.step.inputs.index(name) in reaching or any(claim[name].any() for claim in claims)
    }


def _drawn(kind: type[Cell], options: Mapping[str, float], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return numbers for all that comes into a step."""
    found = {}
    for name, shape in _sizes(_definition(kind)).items():
        word, _, own = name.partition(".")
        if word == "p" and own in kind.defaults:
            found[name] = np.full(shape, float(options[own]))
        elif word == "p" and own in kind.initial:
            begin = kind.initial[own]
            found[name] = np.array(begin(rng, shape) if callable(begin) else around(begin, rng, shape), np.float64)
        elif word == "d":
            found[name] = rng.uniform(0.5, 2, shape)
        elif word == "m":
            found[name] = rng.integers(0, 2, shape).astype(np.float64)
        else:
            found[name] = rng.standard_normal(shape)
    return found


def _sizes(its: Definition) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all that comes into a step: one row of units."""
    H = UNITS_OF_A_ROW if its.across else UNITS
    P = H - 2 if its.projection else H
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(its.step.inputs, (H,))
    shapes["prev.h"] = (P,)
    for name in its.matrices:
        shapes[f"p.{name}"] = (P if name == its.projection else H, H)
    return shapes


def _whole(value: Any, like: np.ndarray) -> np.ndarray:
    """Return an array, also of a plain number."""
    return np.array(np.broadcast_to(value, like.shape))
