"""The masks of a call: of each layer and direction, drawn before the first step of the first.

All of them are of the whole batch, laid out as x is: a second direction has them turned as x is turned, and segments
between resets have their own places of them. So a seed drops the same places with resets and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array, Cut

from ..dropout import drawn_mask, uniform
from ..layout import turn
from .arguments import Regularisers


class Noise(NamedTuple):
    """The masks of one layer in one direction."""

    weight: Array | None  # (rows, H), of W_h
    matrices: tuple[Array, ...]  # (H, H) each, of the cell's recurrent matrices
    recurrent: Array | None  # (B, H), of what W_h reads
    streams: tuple[Array, ...]  # (T, B, H) each: of candidates, then of states that may keep their old value

    def of(self, group: Any) -> Noise:
        """Return the masks of segments, of which a row's have the row's."""
        recurrent = self.recurrent if self.recurrent is None or group.t is None else self.recurrent[group.b]
        return Noise(self.weight, self.matrices, recurrent, tuple([group.of(stream) for stream in self.streams]))

    def turned(self, lengths: np.ndarray | Cut | None, direction: int) -> Noise:
        """Return the masks of a direction that reads x turned round."""
        return self._replace(streams=tuple([turn(stream, lengths, direction) for stream in self.streams]))


def draw(
    rng: np.random.Generator, given: Regularisers, candidates: int, weights: Sequence[Array | None],
    sizes: tuple[int, int, int], dtype: np.dtype, xp: Any,
) -> Noise:  # fmt: skip
    """Return the masks of one layer in one direction, drawn on the host.

    Parameters
    ----------
    candidates : int
        How many masks the cell has.
    weights : sequence of ndarray
        W_h, or None, and the cell's recurrent matrices, whose shapes their masks have. The matrices' come behind all
        others, which are the same for a cell with such matrices and without.
    sizes : tuple of int
        T, B and H.
    """

    def mask(shape: tuple[int, ...], p: float, rows: int | None = None) -> Array:
        return drawn_mask(rng, shape, p, dtype, xp, rows)

    def held(p: float) -> Array:
        """1 with probability p, where a unit keeps its old value."""
        real = xp.float32 if dtype == xp.float32 else xp.float64
        return xp.astype(xp.asarray(uniform(rng, sizes, 1) < p), real)

    W_h, *matrices = weights
    weight = mask(tuple(W_h.shape), given.weight_drop) if given.weight_drop and W_h is not None else None
    recurrent = mask(sizes[1:], given.recurrent_dropout, 0) if given.recurrent_dropout else None
    dropped = [mask(sizes, given.candidate_dropout, 1) for _ in range(candidates if given.candidate_dropout else 0)]
    streams = (*dropped, *(held(p) for p in given.zoneout if p))
    others = tuple([mask(tuple(W.shape), given.weight_drop) for W in matrices if W is not None and given.weight_drop])
    return Noise(weight, others, recurrent, streams)
