"""The order of examples that lie in blocks: blocks are shuffled, and then the examples of some blocks together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GROUP = 2
"""Sets the numbers of a group's order apart from those of a step's dropout, [seed, epoch, index, 1]."""


class Part(NamedTuple):
    """Some examples of a group, which stand side by side in the order of an epoch.

    Attributes
    ----------
    group : int
    rows : array of int
        Their numbers in the group, whose blocks lie one behind the other.
    """

    group: int
    rows: np.ndarray


class EpochGroups:
    """The order of one epoch, which depends on the seed and the epoch's number alone.

    Blocks are permuted, and `together` of them at a time make a group; the examples of a group are permuted. So no
    more than a group has to be in memory.

    Parameters
    ----------
    sizes : array of int, shape (K,)
    together : int
    shuffle : bool
        Without it all stays in its order.
    seed, epoch : int
    """

    def __init__(self, sizes: np.ndarray, together: int, shuffle: bool, seed: int, epoch: int) -> None:
        K = len(sizes)
        order = np.random.default_rng([seed, epoch]).permutation(K) if shuffle else np.arange(K)
        self.blocks = np.split(order, np.arange(together, K, together))
        self.starts = np.cumsum([0, *(int(sizes[blocks].sum()) for blocks in self.blocks)])
        self._place = (shuffle, seed, epoch)
        self._latest: tuple[int, np.ndarray] | None = None

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return the examples from `start` up to `stop`, of one group or of several."""
        found = []
        for group in range(int(np.searchsorted(self.starts, start, "right")) - 1, len(self.blocks)):
            first, last = int(self.starts[group]), int(self.starts[group + 1])
            if first >= stop:
                break
            found.append(Part(group, self._rows(group)[max(start - first, 0) : min(stop, last) - first]))
        return found

    def _rows(self, group: int) -> np.ndarray:
        latest = self._latest
        if latest is None or latest[0] != group:
            count = int(self.starts[group + 1] - self.starts[group])
            shuffle, seed, epoch = self._place
            rng = np.random.default_rng([seed, epoch, group, GROUP])
            rows = rng.permutation(count) if shuffle else np.arange(count)
            self._latest = latest = (group, rows)
        return latest[1]
