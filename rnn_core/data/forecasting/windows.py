"""`Windows`: the batches of a training loop, windows of one or many series."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...foreign import shown
from ...layers.checks import as_array, check_seed, checked_dtype, flag, positive_int
from ..batches import Batch, EpochOrder, checked_place
from .encoding import Encoding
from .window import WindowSpec


class Windows:
    """Every window of some series: what is read, what is asked for, and 0 as its weight where that is missing.

    Nothing is read across the end of a series, nor is anything there made up: a window lies within its series.

    Parameters
    ----------
    series : TimeSeries, or sequence of them
        To train on, their training part: `TimeSeries.until` cuts it off.
    spec : WindowSpec
    last : int, optional
        Only windows whose horizon lies within the last steps of each series, and of these only targets there: to
        validate on what comes behind the training part. What is read before may reach back into it.
    stride : int
        Steps from one window to the next, counted from the series' end: the last window is always among them.
    batch_size : int
        The last batch of an epoch has what is left.
    shuffle : bool
        Draw a new order each epoch, from the seed and the epoch's number.
    seed : int
    weights : array, shape (number of series,), optional
        How much each target of a series counts, at least 0; 1 without it.
    dtype : dtype
        The model's.

    Attributes
    ----------
    encoding : Encoding
    rows, origins : ndarray of int, shape (N,)
        Of each window the number of its series, and the first step that is asked for.
    left_out : int
        Windows in whose context, or in whose horizon, nothing was seen.

    Raises
    ------
    ValueError
        A series is shorter than context and horizon together, `last` is shorter than the horizon, no window is left, or
        a number is out of range.
    TypeError
        A number is no int, or something is no series.
    """

    def __init__(
        self,
        series: Any,
        spec: WindowSpec,
        *,
        last: int | None = None,
        stride: int = 1,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        dtype: Any = np.float32,
        weights: Any = None,
    ) -> None:
        where = "Windows"
        if not isinstance(spec, WindowSpec):
            raise TypeError(f"{where}: spec must be a WindowSpec, got {shown(spec)}; WindowSpec.fit makes one")
        self.spec = spec
        self.last = None if last is None else positive_int(where, "last", last)
        self.stride = positive_int(where, "stride", stride)
        self.batch_size = positive_int(where, "batch_size", batch_size)
        self.shuffle, self.seed = flag(where, "shuffle", shuffle), check_seed(where, seed) or 0
        self.dtype = checked_dtype(where, dtype)
        self.encoding = Encoding(where, series, spec)
        self.weights = None if weights is None else _weights(where, weights, len(self.encoding.series))
        if self.last is not None and self.last < spec.horizon:
            raise ValueError(f"{where}: last must be at least the horizon of {spec.horizon} steps, got {last}")
        found = [self._origins(where, k) for k in range(len(self.encoding.series))]
        self.rows = np.repeat(np.arange(len(found)), [len(origins) for origins in found])
        self.origins = np.concatenate(found)
        if not len(self.origins):
            raise ValueError(
                f"{where}: series must have a window in whose context and horizon a value was seen, got none in "
                f"{len(found)} series; of {self.left_out} windows values are missing"
            )
        self._order = EpochOrder(len(self.origins), self.shuffle, self.seed)

    left_out = 0

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.origins) // self.batch_size)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch: inputs (B, S, I), targets and weights (B, A), for A steps that are asked for.

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Raises
        ------
        ValueError
            A number is out of range.
        TypeError
            A number is not an integer.
        """
        epoch, index = checked_place("Windows.batch", epoch, index, len(self))
        some = self._order.of(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        rows, origins = self.rows[some], self.origins[some]
        found = self.encoding.take(rows, origins, ahead=True)
        counted = found.observed
        if self.last is not None:
            horizon, asked = self.spec.horizon, self.spec.asked
            steps = origins[:, None] + np.arange(horizon - asked, horizon)
            counted = counted & (steps >= self.encoding.lengths[rows][:, None] - self.last)
        if self.weights is not None:
            counted = counted * self.weights[rows, None]
        return Batch(found.x.astype(self.dtype), found.targets.astype(self.dtype), None, counted.astype(self.dtype))

    def _origins(self, where: str, k: int) -> np.ndarray:
        """Return the origins of a series' windows, rising."""
        C, h, one = self.spec.context, self.spec.horizon, self.encoding.series[k]
        T = len(one)
        if C + h > T:
            raise ValueError(
                f"{where}: series must have at least context + horizon = {C} + {h} = {C + h} steps, got {T} of "
                f"{shown(one.name, 40)}; take a shorter context or horizon, or leave it out"
            )
        first = C if self.last is None else max(C, T - self.last)
        origins = np.arange(T - h, first - 1, -self.stride)[::-1]
        seen = np.concatenate([[0], np.cumsum(~np.isnan(one.values))])
        whole = (seen[origins] > seen[origins - C]) & (seen[origins + h] > seen[origins])
        self.left_out += int((~whole).sum())
        return origins[whole]


def _weights(where: str, weights: Any, N: int) -> np.ndarray:
    """Return how much each of N series counts, in float64."""
    found = np.asarray(as_array(where, "weights", weights), np.float64)
    if found.shape != (N,):
        raise ValueError(f"{where}: weights must have shape ({N},), one for each series, got {found.shape}")
    if not (np.isfinite(found) & (found >= 0)).all():
        k = int(np.argmin(np.isfinite(found) & (found >= 0)))
        raise ValueError(f"{where}: weights must be finite and at least 0, got {found[k]} of series {k}")
    return found
