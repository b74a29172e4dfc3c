"""How a block cuts its product: which thread has which part, and where in shared memory things lie.

A block owns R rows of weights (in the forward those of all gates of its U hidden units, in the backward the columns of
its units) and takes `slots` rows of the batch at a time. In a step it needs all of::

    sums[slot, r] = Σ_k v[slot, k] · w[r, k]        v is h_{t−1} or da_{t+1}, K long, just written by all blocks

Each warp has its own share of k. It brings v chunk by chunk into its own part of shared memory, so that warps meet
only once, when all have their partial sums. Within a warp a lane has a tile of `tile_rows` × `tile_slots` sums in
registers, and if there are fewer tiles than lanes, the lanes share the k of a chunk among them::

    lane = lk + LK·(lr + LR·lb)        r = lr + LR·i        slot = lb + LB·j

All lengths are in numbers, not bytes. Rows in shared memory are a little longer than their contents: a vector of 16
bytes is read by eight lanes at a time, and those eight shall meet in no bank (`banked`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from ..language.device import WARP

BANKS = 32
QUARTER = 8
"""Lanes that read 16 bytes at the same time."""

FACTORS = 4
"""Its rows and slots together, at most, by the length of a vector: what is multiplied is in registers too."""

MOST_SHARING = 8
"""Lanes that share a tile, at most: what they have is to be added up."""

TENSOR_ROWS, TENSOR_SLOTS, TENSOR_LANES_OF_K = 16, 8, 4
"""What the tensor cores multiply at a time, and among how many lanes they want its k spread."""

TENSOR_SUMS = 64
"""Sums that a lane has of them, at most."""

LOADS = 4
"""Vectors that a lane fetches at a time, at most."""


def up(value: int, multiple: int) -> int:
    """Return the smallest multiple that is no less than `value`."""
    return -(-value // multiple) * multiple


def next_with_rest(value: int, modulus: int, rest: int) -> int:
    """Return the smallest number, at least `value`, that leaves `rest`."""
    return value + (rest - value) % modulus


class Tile(NamedTuple):
    """The shape of a block's work. It is known when a kernel is compiled; H, B and T are not."""

    units: int  # hidden units of a block
    rows: int  # rows of weights, R
    slots: int  # rows of the batch
    warps: int
    tile_rows: int
    tile_slots: int
    chunk: int  # k of a warp at a time
    vector: int  # numbers in 16 bytes
    tensor: bool = False  # the warp's lanes multiply together, in the tensor cores: see kernels/cuda/running/tensor.py
    input_rows: int = 0  # of W_x, where they are more than `rows`

    @property
    def threads(self) -> int:
        """Threads of the block."""
        return self.warps * WARP

    @property
    def LR(self) -> int:
        """Lanes side by side along the rows of weights."""
        return self.rows // self.tile_rows

    @property
    def LB(self) -> int:
        """Lanes side by side along the rows of the batch."""
        return self.slots // self.tile_slots

    @property
    def LK(self) -> int:
        """Lanes that share a tile, each with its own k."""
        return TENSOR_LANES_OF_K if self.tensor else WARP // (self.LR * self.LB)

    @property
    def loads(self) -> int:
        """Vectors that a lane fetches of a chunk."""
        return ceil(self.slots * self.chunk / (self.vector * WARP))

    @property
    def partials(self) -> int:
        """Partial sums of each sum."""
        return self.warps if self.tensor else self.warps * self.LK

    @property
    def sums(self) -> int:
        """Sums of the block."""
        return self.rows * self.slots

    @property
    def folds(self) -> int:
        """Threads that add up the same sum's partial sums, so that none is idle."""
        most = max(1, self.threads // self.sums)
        return max(folds for folds in range(1, self.partials + 1) if self.partials % folds == 0 and folds <= most)

    def banked(self, length: int) -> int:
        """Return the distance of rows of this length, so that the lanes of a quarter meet in no bank."""
        vectors = next_with_rest(ceil(length / self.vector), QUARTER, self.LK % QUARTER)
        return vectors * self.vector

    @property
    def staged_row(self) -> int:
        """From row to row in a warp's chunk."""
        return self.banked(self.chunk)

    @property
    def partial_slot(self) -> int:
        """From slot to slot among partial sums."""
        if self.tensor:
            return next_with_rest(self.rows, BANKS // 2, TENSOR_LANES_OF_K)
        return next_with_rest(self.rows, BANKS, self.LR) if self.LB > 1 else self.rows

    @property
    def partial_set(self) -> int:
        """From one set of partial sums to the next."""
        size = self.slots * self.partial_slot
        return next_with_rest(size, BANKS, self.LR * self.LB) if self.LK > 1 and not self.tensor else size

    # Where things begin.

    @property
    def partial_at(self) -> int:
        """Partial sums begin behind the chunks of all warps."""
        return self.warps * self.slots * self.staged_row

    @property
    def sums_at(self) -> int:
        """Then the sums."""
        return self.partial_at + self.partials * self.partial_set

    @property
    def biases_at(self) -> int:
        """Then b_x of the block's rows, in the forward."""
        return self.sums_at + self.sums * self.folds

    @property
    def b_h_at(self) -> int:
        """And b_h."""
        return self.biases_at + max(self.rows, self.input_rows)

    @property
    def weights_at(self) -> int:
        """Then the weights."""
        return up(self.b_h_at + self.rows, self.vector)

    def size(self, K: int) -> int:
        """Return how many numbers shared memory holds."""
        return self.weights_at + self.rows * self.banked(K)


def tiles(
    units: int, rows: int, slots: int, warps: int, vector: int, length: int, most: int = 8, loads: int = LOADS
) -> Iterator[Tile]:
    """Yield the cuts that there are for blocks of this shape and rows of `length`.

    `most` is how many vectors of sums a lane may have in registers, `loads` how many it may fetch at a time.
    """
    if units * slots > warps * WARP:
        return
    for tile_rows in range(1, rows + 1):
        for tile_slots in (1, 2, 4, 8):
            if rows % tile_rows or slots % tile_slots:
                continue
            if tile_rows * tile_slots > most * vector or tile_rows + tile_slots > FACTORS * vector:
                continue
            lanes = (rows // tile_rows) * (slots // tile_slots)
            if lanes & (lanes - 1) or not WARP // MOST_SHARING <= lanes <= WARP:
                continue
            tile = Tile(units, rows, slots, warps, tile_rows, tile_slots, 0, vector)
            yield from _chunked(tile, vector * max(4, tile.LK), length, loads)


def tensor_tiles(
    units: int, rows: int, slots: int, warps: int, length: int, loads: int = LOADS
) -> Iterator[Tile]:
    """Yield the cut for float32 in the tensor cores, where there is one: every warp has all sums."""
    fits = rows % TENSOR_ROWS == 0 and slots % TENSOR_SLOTS == 0 and units * slots <= warps * WARP
    if fits and rows * slots <= TENSOR_SUMS * WARP:
        # A lane has of each product of 16 rows and 8 slots four sums, in two rows and two slots.
        tile = Tile(units, rows, slots, warps, rows // 8, slots // 4, 0, 4, tensor=True)
        yield from _chunked(tile, 16, length, loads)


def _chunked(tile: Tile, least: int, length: int, loads: int) -> Iterator[Tile]:
    """Yield a tile with the longest chunks that leave no warp without one."""
    for chunk in (4 * least, 2 * least, least):
        tile = tile._replace(chunk=chunk)
        if tile.loads <= loads and (ceil(length / chunk) >= tile.warps or chunk == least):
            yield tile
            break
