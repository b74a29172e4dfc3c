"""`Repeated`: a source of batches whose epochs all have a given length."""

from __future__ import annotations

from ..layers.checks import positive_int
from .batches import Batch, checked_place, checked_source, count
from .source import Source


class Repeated:
    """Batches, read again and again, so that an epoch has `length` of them.

    A budget in updates is then the same for ten examples as for ten thousand. Nothing is lost at an epoch's end: the
    next one goes on where it stopped, and each reading has an order of its own. With `start` a later part of a run goes
    on where the part before stopped.

    Parameters
    ----------
    data : Source
        `Examples`, for instance.
    length : int
        Batches in an epoch.
    start : int
        How many batches, counted from the data's first epoch on, come before the first.

    Raises
    ------
    ValueError
        `length` is below 1, `start` below 0, or there is no batch.
    TypeError
        A number is not an int, or `data` has no batches.
    """

    def __init__(self, data: Source, length: int, *, start: int = 0) -> None:
        self.data = checked_source("Repeated", "data", data)
        self.length = positive_int("Repeated", "length", length)
        self.start = count("Repeated", "start", start)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self.length

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch by its place; errors are those of the data's own `batch`."""
        epoch, index = checked_place("Repeated.batch", epoch, index, self.length)
        return self.data.batch(*divmod(self.start + epoch * self.length + index, len(self.data)))
