"""The product of a step, on whole numbers, of which every way of adding up makes the same sum."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cuda.language.device import cuda, shared_memory
from kernels.cuda.language.simulator import launch, to_tf32
from kernels.cuda.planning.tile import tensor_tiles, tiles
from kernels.cuda.running.product import make_product

CUTS = [
    tile
    for rows, slots, dtype in ((4, 1, 4), (16, 4, 4), (24, 2, 4), (16, 4, 8), (12, 1, 8))
    for tile in sorted(tiles(rows, rows, slots, 2, 16 // dtype, 40))[::2]
] + [*tensor_tiles(4, 16, 16, 2, 40), *tensor_tiles(16, 32, 8, 4, 40)]


@pytest.mark.parametrize("length", [40, 150])
@pytest.mark.parametrize("tile", CUTS, ids=lambda tile: "-".join(map(str, tile)))
def test_product(tile, length):
    real = np.float32 if tile.vector == 4 else np.float64
    K, B = -(-length // tile.chunk) * tile.chunk, tile.slots + 3
    rng = np.random.default_rng(0)
    w, v = (rng.integers(-8, 9, (rows, K)).astype(real) for rows in (tile.rows, B))
    order = rng.permutation(B).astype(np.int32)
    found = np.full((tile.slots, tile.rows), np.nan, real)
    place, product = make_product(tile, real)

    def kernel(w, v, order, found):
        shared, thread = shared_memory(real), cuda.threadIdx.x
        source = cuda.local.array(tile.loads, np.int64)
        if thread == 0:
            for r in range(tile.rows):
                at = tile.weights_at + r * tile.banked(K)
                shared[at : at + K] = w[r * K : (r + 1) * K]
        cuda.syncthreads()
        place(source, order, 2, B, K, thread)  # the slots begin at the third row
        product(shared, v, 0, source, K, tile.banked(K), thread)
        for n in range(thread, tile.sums, tile.threads):
            found[n] = shared[tile.sums_at + n]

    launch(kernel, (1, 1), tile.threads, tile.size(K) * (16 // tile.vector), (w, v, order, found))
    assert np.array_equal(found, v[order[2 : 2 + tile.slots]] @ w.T)


def test_rounding_to_tf32():
    """Ten bits of mantissa stay; halves go away from zero."""
    numbers = np.array([1, 1 + 2**-10, 1 + 2**-11, 1 + 2**-12, -(1 + 2**-11), 0, 3.4e38], np.float32)
    expected = np.array([1, 1 + 2**-10, 1 + 2**-10, 1, -(1 + 2**-10), 0, to_tf32(np.float32(3.4e38))], np.float32)
    assert np.array_equal(to_tf32(numbers), expected)
