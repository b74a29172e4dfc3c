"""Whether a forward is analytic, as the complex step needs it, and, where it is not, which operation stands in the way.

An operation that is not analytic (`abs`, a conjugate, a cast to float) gives the right value and the wrong derivative.
The reference is wrong then, not the backward. So the reference is compared with a central difference, coarsely, along
one random direction through all values at once, which costs two runs of the forward.
"""

from __future__ import annotations

import linecache
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..foreign import one_line
from .central_difference import Differences
from .complex_step import EPSILON
from .problem import Problem, Reference

STEP = 1e-6
"""Of the direction. What truncation and rounding leave is some 1e-9 of the function."""

COARSE = 1e-4
"""How far both derivatives may be apart, as a share of the terms. Where one is wrong it is mostly some tenths."""

ELEMENTS = 200
"""How many elements of a value are looked at one by one."""

Places = tuple[tuple[int, ...], ...]

CENTRAL = "or take method='central'"


def mistaken(problem: Problem, upstreams: Mapping[str, np.ndarray], reference: Reference) -> bool:
    """Return whether the complex step's reference contradicts a central difference along a random direction."""
    values, _ = problem.twin(np.dtype(np.float64))
    rng = np.random.default_rng(0)
    ways = {name: rng.choice([-1.0, 1.0], value.shape) for name, value in values.items()}
    return any(_contradicted(problem, upstreams, reference, ways).values())


def _contradicted(
    problem: Problem, upstreams: Mapping[str, np.ndarray], reference: Reference, ways: Mapping[str, np.ndarray]
) -> dict[str, bool]:
    """Return, for each output, whether its derivative along a direction is not the reference's."""
    values, run = problem.twin(np.dtype(np.float64))
    exact = {name: values[name].copy() for name in ways}
    sides = []
    for step in (STEP, -STEP):
        for name, way in ways.items():
            values[name][...] = exact[name] + step * way
        sides.append({output: np.array(array) for output, array in run().items()})
    found = {}
    for output, u in upstreams.items():
        above, below = (side[output] for side in sides)
        measured = (u * (above - below)).sum() / (2 * STEP)
        parts = [reference.gradients[output][name] * way for name, way in ways.items()]
        expected, size = sum(part.sum() for part in parts), sum(abs(part).sum() for part in parts)
        noise = 100 * np.finfo(np.float64).eps / STEP * abs(u * above).sum()
        found[output] = not abs(measured - expected) <= COARSE * max(size, abs(measured)) + noise  # nor if NaN
    return found


def explain(
    problem: Problem, upstreams: Mapping[str, np.ndarray], reference: Reference, places: Mapping[str, Places]
) -> str | None:
    """Return what is not analytic, in an error's words; None if the complex step is right after all.

    Parameters
    ----------
    places : dict of str to tuple of index
        By the name of a value, elements that are suspected.
    """
    differences = Differences(problem, upstreams)
    for name, value in differences.values.items():
        way = {name: np.random.default_rng(0).choice([-1.0, 1.0], value.shape)}
        every = any(_contradicted(problem, upstreams, reference, way).values())
        for place in (*places.get(name, ()), *(_spread(value) if every else ())):
            for output, (terms, smooth) in differences.slope(name, place).items():
                right, theirs = float(terms.sum()), float(reference.gradients[output][name][place])
                noise = differences.rounding[output] / COARSE
                if smooth and not abs(right - theirs) <= COARSE * max(abs(right), abs(theirs)) + noise:
                    return _words(problem, name, place, output, theirs, right)
    return None


def refused(problem: Problem, error: Exception) -> str:
    """Return, in an error's words, that the forward does not run on complex numbers."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(PACKAGES)]
    where = _line(frames[-1].filename, frames[-1].lineno) if frames else ""
    return (
        f"gradcheck: {problem.name}'s forward must run on complex numbers for method='complex-step', got "
        f"{type(error).__name__}{where}: {one_line(error, 80)}; write it without, {CENTRAL}"
    )


def _spread(value: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Yield the index of every element or, of a large array, of some spread over it."""
    if value.size:
        for flat in np.unique(np.linspace(0, value.size - 1, min(value.size, ELEMENTS)).astype(int)):
            yield tuple(int(k) for k in np.unravel_index(flat, value.shape))


def _words(problem: Problem, name: str, place: tuple[int, ...], output: str, theirs: float, right: float) -> str:
    culprit = _culprit(problem, name, place, output)
    at = f"[{', '.join(map(str, place))}]" if place else ""
    return (
        f"gradcheck: {problem.name}'s forward must be analytic for method='complex-step', got {culprit} between "
        f"{name!r} and {output!r}: ∂{output}/∂{name}{at} is {right:.4g} by central differences, {theirs:.4g} by the "
        f"complex step; write it without (x * x, not abs(x) ** 2), {CENTRAL}"
    )


# ── Which operation it is ────────────────────────────────────────────────────────────────────────────────────────────

LOSING = {
    np.absolute, np.conjugate, np.sign, np.linalg.norm, np.vdot, np.angle, np.real, np.imag, np.real_if_close,
    np.maximum, np.minimum, np.fmax, np.fmin, np.max, np.min, np.sort, np.clip, np.median,
}  # fmt: skip
"""NumPy's functions that are not analytic; those that compare are where neither side is ahead."""


BRANCHING = {np.maximum, np.minimum, np.fmax, np.fmin, np.max, np.min, np.sort, np.clip, np.median, np.real, np.imag}
"""Those of them that are mostly harmless: they compare, or are there for a comparison."""

PACKAGES = (str(Path(np.__file__).parent), str(Path(__file__).parent))
"""Whose frames say nothing about the user's code."""


class Watched(np.ndarray):
    """A complex array that notes, in `seen`, each operation on it in which a derivative may get lost."""

    seen: list[tuple[bool, str]]

    def __array_finalize__(self, made_from: Any) -> None:
        self.seen = getattr(made_from, "seen", [])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute, and note it."""
        self._note(ufunc, f"np.{ufunc.__name__}", inputs)
        return self._wrapped(getattr(ufunc, method)(*_plain(inputs), **_plain(options)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Compute, and note it."""
        if function not in LOSING:
            return super().__array_function__(function, types, args, kwargs)
        self._note(function, f"{'np.linalg' if function is np.linalg.norm else 'np'}.{function.__name__}", args)
        return self._wrapped(function(*_plain(args), **_plain(kwargs)))

    def __getitem__(self, index: Any) -> Any:
        """Return a part that is watched too, a single number included."""
        return self._wrapped(np.asarray(self)[index])

    @property  # type: ignore[misc]  # nobody writes to it here
    def real(self) -> Any:
        """Return the real part, and note it."""
        self._note(np.real, ".real", (self,))
        return np.asarray(self).real

    def __float__(self) -> float:
        """Return the real part, and note it."""
        self._note(np.conjugate, "float()", (self,))
        return float(np.asarray(self).real)

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """Cast, and note it if the imaginary part goes."""
        if np.dtype(dtype).kind != "c":
            self._note(np.conjugate, f"astype({np.dtype(dtype)})", (self,))
        return self._wrapped(np.asarray(self).astype(dtype, *args, **options))

    def _note(self, function: Any, name: str, inputs: Any) -> None:
        plain = (np.asarray(part) for part in _plain(inputs))
        if function in LOSING and any(part.dtype.kind == "c" and part.imag.any() for part in plain):
            self.seen.append((function in BRANCHING, f"{name}{_caller()}"))

    def _wrapped(self, result: Any) -> Any:
        if not np.iscomplexobj(result):
            return result
        wrapped = np.asarray(result).view(Watched)
        wrapped.seen = self.seen
        return wrapped


def _plain(value: Any) -> Any:
    """Return the same without anyone watching."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_plain(part) for part in value)
    return value.view(np.ndarray) if isinstance(value, Watched) else value


def _culprit(problem: Problem, name: str, place: tuple[int, ...], output: str) -> str:
    """Run the forward once more, watching; return the operation that loses the derivative, as well as it is known."""
    values, run = problem.twin(np.dtype(np.complex128))
    values[name][place] += 1j * EPSILON
    seen: list[tuple[bool, str]] = []
    for each, value in values.items():  # seen where the forward takes its values out of this dict
        watched = value.view(Watched)
        watched.seen = seen
        values[each] = watched
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", np.exceptions.ComplexWarning)
        try:
            real = np.isrealobj(run()[output])
        except (TypeError, ValueError, AttributeError):  # what takes plain arrays only
            real = False
    seen += [(False, f"a cast to real numbers{_line(w.filename, w.lineno)}") for w in warned]
    if seen:
        return min(seen, key=lambda note: note[0])[1]
    return "an operation that drops the imaginary part" if real else "an operation that is not"


def _caller() -> str:
    """Return the line that called NumPy."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGES):
        frame = frame.f_back
    return "" if frame is None else _line(frame.f_code.co_filename, frame.f_lineno)


def _line(file: str, number: int | None) -> str:
    """Return a line of code as a message names it."""
    code = linecache.getline(file, number or 0).strip()
    return f" ({Path(file).name}, line {number}{f': {one_line(code, 60)}' if code else ''})"
