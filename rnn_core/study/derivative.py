"""The complex step beside each gradient of a step: every quantity moved by i·ε by itself, on to the loss.

With L = Σ dy·y, of all steps from t on, ∂L/∂v = Im L(v + i·ε)/ε for each number v of step t: (K1) of
rnn_core/checking/complex_step.py. What comes before step t does not depend on it. The rows of a batch don't hear of
each other, so one walk over copies of them serves all numbers at once: in each copy one is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..checking.complex_step import EPSILON
from .cells import Passage, Walked
from .recording import Line, Nobody, Recorder, Slot
from .statements import Statement

MOST = 64
"""Numbers of one quantity that are moved; of more, so many are drawn."""

CANCELLED = 1e-13
"""What is smaller beside the terms that it is a sum of is their rounding."""

MOST_OF_PARAMETERS, STEPS = 16, 2000
"""Numbers of one parameter that are moved, each in a walk of its own, and the steps of all these walks together."""

ROOM = 2**21
"""Complex numbers that a walk has at a time, at most."""


class Moved(NamedTuple):
    """A gradient, and the quantity that it is of."""

    line: Line
    slot: Slot  # of the quantity; of the k-th state as later steps hear of it, ("after", k, "")
    first: int  # its first column, where it is a block
    rows: np.ndarray  # the places of the gradient that are looked at
    columns: np.ndarray


class Mover(Nobody):
    """A visitor that adds i·ε to one number in each row."""

    def __init__(self, places: Mapping[Slot, tuple[np.ndarray, np.ndarray]], N: int) -> None:
        self.places, self.N = places, N

    def given(self, name: str, array: np.ndarray, origin: str) -> np.ndarray:
        """Move what a step begins with; a parameter is then another in each row."""
        return self._moved(Slot("", 0, name), array)

    def met(self, statement: Statement, name: str, array: np.ndarray) -> np.ndarray:
        """Move what a statement has assigned."""
        return self._moved(Slot(statement.file, statement.line, name), array)

    def output(self, statement: Statement, name: str, array: Any, text: str, reads: tuple[str, ...]) -> Any:
        """Move what a function returns."""
        return self.met(statement, name, array) if isinstance(array, np.ndarray) else array

    def _moved(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        if slot not in self.places:
            return array
        array = np.array(np.broadcast_to(array, (self.N, array.shape[-1])))
        array[self.places[slot]] += 1j * EPSILON
        return array


def add_derivatives(cell: Walked, past: Passage, t: int, found: Recorder, seed: int = 0) -> None:
    """Put the derivative by the complex step beside each gradient of a step."""
    T, B, _ = past.x.shape
    running = np.ones(B, bool) if past.lengths is None else t < past.lengths
    moved = _to_be_moved(cell, found, running, np.random.default_rng(seed))
    if not moved:
        return
    rows = np.concatenate([one.rows for one in moved])
    widest = max(past.x.shape[-1], *(line.value.shape[-1] for line in found.lines))
    each = max(1, ROOM // ((T - t) * widest))
    values = np.empty(len(rows))
    starts = np.cumsum([0, *(len(one.rows) for one in moved)])
    for begin in range(0, len(rows), each):
        part = slice(begin, min(begin + each, len(rows)))
        places: dict[Slot, tuple[np.ndarray, np.ndarray]] = {}
        for one, start in zip(moved, starts, strict=False):
            mine = np.arange(start, start + len(one.rows))
            here = (mine >= part.start) & (mine < part.stop)
            if here.any():
                old = places.get(one.slot, (np.empty(0, int), np.empty(0, int)))
                new = mine[here] - begin, one.columns[here] + one.first
                places[one.slot] = (np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]]))
        values[part] = _derivatives(cell, past, t, rows[part], places)
    for one, start in zip(moved, starts, strict=False):
        reference = values[start : start + len(one.rows)]
        claimed = one.line.value[one.rows, one.columns]
        one.line.derivative = np.full(one.line.value.shape, np.nan)
        one.line.derivative[one.rows, one.columns] = reference
        made_of = max((_size(found.at(key), running) for key in one.line.operands), default=0.0)
        one.line.error = _error(claimed, reference, made_of)


def _size(line: Line, running: np.ndarray) -> float:
    """Return the largest number of a gradient; 0 of any other line."""
    return float(np.max(abs(line.value[running]), initial=0.0)) if line.of or line.part == "backward" else 0.0


def _error(claimed: np.ndarray, reference: np.ndarray, made_of: float) -> float:
    """Return the largest difference relative to the largest derivative.

    Where terms cancel and leave nothing but rounding, it is relative to the largest of the terms.
    """
    difference, largest = np.max(abs(claimed - reference)), np.max(abs(reference))
    size = made_of if largest <= CANCELLED * made_of else largest
    return float(difference / size) if size else float(difference)


def _derivatives(
    cell: Walked, past: Passage, t: int, rows: np.ndarray, places: Mapping[Slot, tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return ∂L/∂v of one number in each row."""
    params = widened(past.params)
    x, prev = past.x[t:, rows].astype(complex), [s[t][rows].astype(complex) for s in past.states]
    after, y, _ = cell.forward(Mover(places, len(rows)), params, x[0], prev)
    dy = past.dy[t:, rows].astype(np.float64)
    L = (dy[0] * y).sum(axis=-1)
    for k, state in enumerate(after):  # what later steps hear of the state, and y_t does not
        if (slot := Slot("after", k, "")) in places:
            state = np.array(state)
            state[places[slot]] += 1j * EPSILON
            after[k] = state
    if len(x) > 1:
        left = None if past.lengths is None else past.lengths[rows] - 1 - t
        later, _ = cell.loops().infer(params, x[1:], tuple(after), left)
        L = L + (dy[1:] * later).sum(axis=(0, 2))
    derivatives: np.ndarray = L.imag / EPSILON
    return derivatives


def parameter_derivatives(
    cell: Walked, past: Passage, field: str, at: int | None, gradient: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Return ∂L/∂ a parameter, over all steps, at some places and NaN elsewhere, and how far the gradient is from it.

    Parameters
    ----------
    field : str
        Which of the core's parameters it is.
    at : int or None
        Its place among them, if it is one of a user's own.
    """
    exact = widened(past.params)
    array = getattr(exact, field) if at is None else exact.extra[at]
    x, dy = past.x.astype(complex), past.dy.astype(np.float64)
    state0 = tuple(s[0].astype(complex) for s in past.states)
    derivative = np.full(array.shape, np.nan)
    places = min(array.size, MOST_OF_PARAMETERS, max(1, STEPS // len(x)))
    for k in np.sort(np.random.default_rng(seed).choice(array.size, places, replace=False)):
        place = np.unravel_index(k, array.shape)
        whole, array[place] = array[place], array[place] + 1j * EPSILON
        y, _ = cell.loops().infer(exact, x, state0, past.lengths)
        array[place] = whole
        derivative[place] = (dy * y).sum().imag / EPSILON
    looked = np.isfinite(derivative)
    return derivative, _error(gradient[looked], derivative[looked], 0.0)


def widened(value: Any) -> Any:
    """Return parameters on complex numbers."""
    if isinstance(value, tuple):
        parts = [widened(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value if value is None else value.astype(complex)


def _to_be_moved(cell: Walked, found: Recorder, running: np.ndarray, rng: np.random.Generator) -> list[Moved]:
    """Return the gradients of a step of which it is known what they are of, each with its places."""
    alive = np.flatnonzero(running)
    labels: dict[str, list[str]] = {}
    for label, key in found.known.items():  # a gradient that is added to is whole only where its name is last assigned
        labels.setdefault(key, []).append(label)
    moved = []
    for line in found.lines:
        if (of := _of(cell, found, line, labels.get(line.key, []))) is None:
            continue
        line.of, slot, first = of
        rows, columns = (each.ravel() for each in np.meshgrid(alive, np.arange(line.shape[-1]), indexing="ij"))
        if len(rows) > MOST:
            chosen = np.sort(rng.choice(len(rows), MOST, replace=False))
            rows, columns = rows[chosen], columns[chosen]
        moved.append(Moved(line, slot, first, rows, columns))
    return moved


def _of(cell: Walked, found: Recorder, line: Line, labels: list[str]) -> tuple[str, Slot, int] | None:
    """Return what a line is the gradient of: its name, where it arises, and its first column there."""
    incoming = [f"d{s}" for s in cell.states]
    if line.part == "given" and line.key in incoming:
        k = incoming.index(line.key)
        return f"{cell.states[k]}, through later steps", Slot("after", k, ""), 0
    if line.part == "forward" or (line.part == "given" and line.key != "dy"):
        return None
    for name in (label[1:] for label in labels if label.startswith("d")):
        whole, first = cell.blocks.get(name, ("", 0))
        for known, column in ((name, 0), (whole, first * line.shape[-1])):
            if known in found.forward:
                of = found.at(found.forward[known])
                fits = column or known != name or of.shape == line.shape or of.shape == line.shape[-1:]
                if fits and of.slot is not None:
                    return name, of.slot, column
    return None
