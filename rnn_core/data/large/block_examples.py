"""`BlockExamples`: minibatches of examples that don't fit into memory, shuffled as far as some blocks reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers.checks import flag, positive_int
from ..batches import Batch, checked_place, count
from .order import EpochGroups
from .rows import Blocks, Rows, joined


class BlockExamples:
    """Minibatches of examples that don't depend on one another, and lie in blocks: `Examples` for what is too large.

    Each epoch has an order of its own: blocks are shuffled, `together` of them at a time are read, and their examples
    are shuffled among each other. A batch depends on the seed and its place alone, whatever was asked for before; so a
    run is resumed in the middle to the same bits.

    Parameters
    ----------
    blocks : ArrayBlocks, ParquetBlocks or Blocks
        What the examples are, and where they lie.
    batch_size : int
        The last batch of an epoch has what is left.
    shuffle : bool
        Without it the order is that of the examples.
    seed : int
    together : int
        Blocks that are in memory at a time; while one group of them ends and the next begins, twice as many. The more
        there are, the better they are mixed.

    Raises
    ------
    ValueError
        A number is out of range, or there is no example.
    TypeError
        A number is not an int, or `blocks` has no blocks.

    Examples
    --------
    >>> blocks = ArrayBlocks(np.arange(12).reshape(6, 2), np.arange(6), rows=2)
    >>> BlockExamples(blocks, batch_size=4, together=2, seed=1).batch(0, 0).targets
    array([1, 4, 5, 0])
    """

    def __init__(
        self, blocks: Blocks, *, batch_size: int = 32, shuffle: bool = True, seed: int = 0, together: int = 8
    ) -> None:
        where = "BlockExamples"
        if not hasattr(blocks, "sizes") or not callable(getattr(blocks, "read", None)):
            raise TypeError(
                f"{where}: blocks must be ArrayBlocks, ParquetBlocks or alike, got {type(blocks).__name__}; "
                "ArrayBlocks(inputs, targets) makes them of arrays"
            )
        self.blocks = blocks
        self.batch_size = positive_int(where, "batch_size", batch_size)
        self.shuffle = flag(where, "shuffle", shuffle)
        self.seed = count(where, "seed", seed)
        self.together = positive_int(where, "together", together)
        self._sizes = np.asarray(blocks.sizes, np.int64)
        if not len(self._sizes) or self._sizes.min() < 1:
            raise ValueError(f"{where}: blocks must have at least one example each, got {self._sizes[:8].tolist()}")
        self._forget()

    def _forget(self) -> None:
        self._order: tuple[int, EpochGroups] | None = None
        self._held: dict[tuple[int, int], Rows] = {}  # never changed: another takes its place

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_order", "_held")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return int(self._sizes.sum())

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.rows // self.batch_size)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch.

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Raises
        ------
        ValueError
            A number is out of range; or what is read is not as required, and the message names its place.
        TypeError
            A number is not an integer.
        OSError
            A file can't be read.
        """
        epoch, index = checked_place("BlockExamples.batch", epoch, index, len(self))
        groups = self._groups(epoch)
        start = index * self.batch_size
        parts = groups.parts(start, min(start + self.batch_size, self.rows))
        held: dict[tuple[int, int], Rows] = {}
        for part in parts:
            key = (epoch, part.group)
            found = self._held.get(key)
            if found is None:
                self._held = held  # what isn't needed any more goes before more comes
                found = joined([self.blocks.read(int(block)) for block in groups.blocks[part.group]])
            held = {**held, key: found}
        self._held = held
        return joined([held[epoch, part.group].take(part.rows) for part in parts]).batch()

    def _groups(self, epoch: int) -> EpochGroups:
        latest = self._order
        if latest is None or latest[0] != epoch:
            groups = EpochGroups(self._sizes, self.together, self.shuffle, self.seed, epoch)
            self._order = latest = (epoch, groups)
        return latest[1]
