"""A source of batches: what training asks of data, and no more. Anything with these two names will do.

It has a length, the batches of an epoch, and `batch(epoch, index)`, which depends on its two numbers alone. Both count
from 0. Asked twice, it gives the same: so a run that is resumed draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

from typing import Protocol

from .batches import Batch


class Source(Protocol):
    """Batches that can be asked for in any order."""

    def __len__(self) -> int: ...

    def batch(self, epoch: int, index: int) -> Batch:
        """Return one batch."""
