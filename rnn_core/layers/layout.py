"""How a user's arrays lie and how the core wants them: time-major and batched, each direction walking forwards."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array, Cut

from ..foreign import shown


class Layout(NamedTuple):
    """The layout of one call: (T, B, ·), (B, T, ·) with batch_first, or (T, ·) unbatched."""

    T: int
    B: int
    batched: bool
    batch_first: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], batch_first: bool) -> Layout:
        """Return the layout of a sequence of this shape."""
        if len(shape) == 2:
            return cls(shape[0], 1, False, batch_first)
        B, T = shape[:2] if batch_first else (shape[1], shape[0])
        return cls(T, B, True, batch_first)

    def sequence_shape(self, features: int) -> tuple[int, ...]:
        """Return the shape of a user's sequence with this many features."""
        if not self.batched:
            return (self.T, features)
        return (self.B, self.T, features) if self.batch_first else (self.T, self.B, features)

    def state_shape(self, stacked: int, hidden_size: int) -> tuple[int, ...]:
        """Return the shape of a user's state: layers times directions first."""
        return (stacked, self.B, hidden_size) if self.batched else (stacked, hidden_size)

    def inward(self, sequence: Array) -> Array:
        """Return a user's sequence as a (T, B, ·) view."""
        if not self.batched:
            return sequence[:, np.newaxis]
        return sequence.swapaxes(0, 1) if self.batch_first else sequence

    def outward(self, sequence: Array) -> Array:
        """Return a (T, B, ·) sequence as the user lays it out."""
        if not self.batched:
            return sequence[:, 0]
        return sequence.swapaxes(0, 1) if self.batch_first else sequence

    def outward_state(self, state: Array) -> Array:
        """Return a state (layers·directions, B, H) as the user lays it out."""
        return state if self.batched else state[:, 0]

    def running(self, lengths: np.ndarray | None) -> np.ndarray | None:
        """Return a mask over a user's sequence that leaves the padding out."""
        if lengths is None:
            return None
        return self.outward((np.arange(self.T)[:, np.newaxis] < lengths)[..., np.newaxis])


def turn(sequence: Array, lengths: np.ndarray | Cut | None, direction: int) -> Array:
    """Reverse time within each row's length, or each segment, for direction 1 (its own inverse); leave direction 0."""
    if direction == 0:
        return sequence
    if lengths is None:
        return sequence[::-1]
    xp = array_namespace(sequence)
    t = np.arange(len(sequence))[:, np.newaxis]
    if isinstance(lengths, Cut):
        index = _turned(lengths, *sequence.shape[:2])
    else:
        index = np.where(t < lengths, lengths - 1 - t, t)
    index = xp.asarray(index)
    return sequence[index, xp.arange(sequence.shape[1])]  # whole rows at a time


def _turned(cut: Cut, T: int, B: int) -> np.ndarray:
    """Return for each place of (T, B) the step that stands there when each segment is turned round."""
    index = np.repeat(np.arange(T)[:, np.newaxis], B, axis=1)
    row, begin, steps = (np.repeat(numbers, cut.steps) for numbers in cut)
    within = np.arange(len(steps)) - np.repeat(np.cumsum(cut.steps) - cut.steps, cut.steps)
    index[begin + within, row] = begin + steps - 1 - within
    return index


def join(directions: list[Array]) -> Array:
    """Put the outputs of the directions side by side on the last axis."""
    return directions[0] if len(directions) == 1 else array_namespace(directions[0]).concat(directions, axis=-1)


def describe(value: Any) -> str:
    """Say what `value` is, in an error's few words."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} of shape {value.shape}" if hasattr(value, "shape") else shown(value)
