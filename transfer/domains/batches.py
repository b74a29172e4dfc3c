"""`SideBySide`: batches of a source with labels beside batches of a target without, and how far the training is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array
from rnn_core.data import Batch
from rnn_core.data.batches import checked_place
from rnn_core.data.source import Source
from rnn_core.layers.checks import positive_int

from ..tasks.mixture import Mixture


class Unlabelled(NamedTuple):
    """Some rows of the target. There is no place for what they are.

    Attributes
    ----------
    inputs : ndarray, shape (B, T), of int, or (B, T, I)
    lengths : ndarray of int, shape (B,), or None
    """

    inputs: Array
    lengths: np.ndarray | None = None


class DomainBatch(NamedTuple):
    """What `DomainAdapted` makes one step from.

    Attributes
    ----------
    source : Batch
        With labels.
    target : Unlabelled
    few : Batch or None
        Rows of the target whose labels are known, if there are any.
    progress : float
        How much of the training is over, from 0 to 1.
    carry : bool
        Always False: no state is carried from batch to batch.
    """

    source: Batch
    target: Unlabelled
    few: Batch | None = None
    progress: float = 1.0
    carry: bool = False


class SideBySide:
    """Takes a batch of each domain for every step, through a `Mixture`: a source for `fit`.

    Parameters
    ----------
    source : Source
        Batches of the source, such as `Examples`.
    target : Source
        Batches of the target. Whatever targets and weights they have are left behind here, unread.
    few : Source, optional
        Batches of those rows of the target whose labels may be used.
    updates : int
        Steps of the whole training, by which progress is measured.

    Raises
    ------
    ValueError
        A source has no batch, or `updates` is below 1.
    TypeError
        A source is none, or `updates` is not an int.

    Notes
    -----
    An epoch has as many steps as the longest source; the others begin anew within it.
    """

    def __init__(self, source: Source, target: Source, *, updates: int, few: Source | None = None) -> None:
        sources = {"source": source, "target": target} | ({} if few is None else {"few": few})
        self.mixture = Mixture(sources, sampling="together")
        self.updates = positive_int("SideBySide", "updates", updates)

    def __len__(self) -> int:
        """The number of steps in an epoch."""
        return len(self.mixture)

    def batch(self, epoch: int, index: int) -> Any:
        """Return a `DomainBatch` by its place; errors are those of `Mixture.batch`."""
        epoch, index = checked_place("SideBySide.batch", epoch, index, len(self))
        tasks, step = self.mixture.batch(epoch, index).tasks, epoch * len(self) + index
        target = Unlabelled(tasks["target"].inputs, tasks["target"].lengths)
        return DomainBatch(tasks["source"], target, tasks.get("few"), min(1.0, step / self.updates))
