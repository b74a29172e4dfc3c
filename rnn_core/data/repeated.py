"""`Repeated`: a source of batches whose epochs all have a given length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers.checks import positive_int
from .batches import Batch

if TYPE_CHECKING:
    from ..training.protocols import Source


class Repeated:
    """Batches, read again and again, so that an epoch has `length` of them.

    A budget in updates is then the same for ten examples as for ten thousand. Nothing is lost at an epoch's end: the
    next one goes on where it stopped, and each reading has an order of its own.

    Parameters
    ----------
    data : Source
        `Examples`, for instance.
    length : int
        Batches in an epoch.

    Raises
    ------
    ValueError
        `length` is below 1, or there is no batch.
    TypeError
        `length` is not an int, or `data` has no batches.
    """

    def __init__(self, data: Source, length: int) -> None:
        if not hasattr(data, "batch"):
            raise TypeError(f"Repeated: data must be batches, such as Examples, got {type(data).__name__}")
        if not len(data):
            raise ValueError("Repeated: data must have at least one batch, got none")
        self.data = data
        self.length = positive_int("Repeated", "length", length)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self.length

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch by its place; errors are those of the data's own `batch`."""
        if not 0 <= index < self.length:
            raise ValueError(f"Repeated.batch: index must be in 0…{self.length - 1}, got {index}")
        return self.data.batch(*divmod(epoch * self.length + index, len(self.data)))
