"""The product of a step, by a block: from v, which all blocks have just written, to sums in shared memory.

See kernels/cuda/tile.py for who has what. The weights are in shared memory for the whole sequence; v comes from the
level-2 cache, the next chunk while the last is being multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .device import WARP, cuda, device_function, load_vector, store_vector
from .pointwise import zero
from .tile import Tile
from .unrolled import make_vector


def make_product(tile: Tile, real: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `place` and `product`, device functions of a block's threads.

    ``place(source, order, first, B, row_length, thread)`` fills `source` with where in v the vectors begin that this
    lane fetches of the first chunk, row by row of the batch.

    ``product(shared, v, base, source, K, w_row, thread)`` leaves Σ_k v[slot, k]·w[r, k] in shared memory at
    `sums_at` + slot·rows + r. All threads of the block call it; they have met before anyone reads a sum.
    """
    THREADS, WARPS, CHUNK, VECTOR, LOADS = tile.threads, tile.warps, tile.chunk, tile.vector, tile.loads
    LR, LB, LK, TILE_ROWS, TILE_SLOTS = tile.LR, tile.LB, tile.LK, tile.tile_rows, tile.tile_slots
    SLOTS, ROWS, SUMS, PARTIALS, FOLDS = tile.slots, tile.rows, tile.sums, tile.partials, tile.folds
    STAGED_ROW, PARTIAL_SLOT, PARTIAL_SET = tile.staged_row, tile.partial_slot, tile.partial_set
    PARTIAL_AT, SUMS_AT, WEIGHTS_AT = tile.partial_at, tile.sums_at, tile.weights_at
    VECTORS = SLOTS * CHUNK // VECTOR  # of a chunk
    VECTORS_OF_ROW = CHUNK // VECTOR
    STAGED_WARP = SLOTS * STAGED_ROW
    TILE_SIZE, FETCHED = TILE_ROWS * TILE_SLOTS, LOADS * VECTOR
    W_SIZE, V_SIZE = TILE_ROWS * VECTOR, TILE_SLOTS * VECTOR

    vector_of = make_vector(VECTOR)

    @device_function
    def place(source, order, first, B, row_length, thread):
        lane = thread % WARP
        for n in range(LOADS):
            vector = lane + WARP * n
            # Slots past the batch take its last row: their sums are never looked at.
            slot = min(first + min(vector // VECTORS_OF_ROW, SLOTS - 1), B - 1)
            source[n] = order[slot] * row_length + vector % VECTORS_OF_ROW * VECTOR

    @device_function
    def product(shared, v, base, source, K, w_row, thread):
        warp, lane = thread // WARP, thread % WARP
        lk, lr, lb = lane % LK, lane // LK % LR, lane // (LK * LR)
        staged_at = warp * STAGED_WARP
        sums = cuda.local.array(TILE_SIZE, real)
        fetched = cuda.local.array(FETCHED, real)
        w = cuda.local.array(W_SIZE, real)
        u = cuda.local.array(V_SIZE, real)
        for n in range(TILE_SIZE):
            sums[n] = zero
        for n in range(FETCHED):
            fetched[n] = zero

        first = warp * CHUNK
        if first < K:
            for n in range(LOADS):
                if lane + WARP * n < VECTORS:
                    numbers = load_vector(v, base + source[n] + first)
                    for e in range(VECTOR):
                        fetched[n * VECTOR + e] = numbers[e]
        while first < K:
            for n in range(LOADS):
                vector = lane + WARP * n
                if vector < VECTORS:
                    at = staged_at + vector // VECTORS_OF_ROW * STAGED_ROW + vector % VECTORS_OF_ROW * VECTOR
                    store_vector(shared, at, vector_of(fetched, n * VECTOR))
            cuda.syncwarp()
            following = first + WARPS * CHUNK
            if following < K:
                for n in range(LOADS):
                    if lane + WARP * n < VECTORS:
                        numbers = load_vector(v, base + source[n] + following)
                        for e in range(VECTOR):
                            fetched[n * VECTOR + e] = numbers[e]
            for k in range(lk * VECTOR, CHUNK, LK * VECTOR):
                for i in range(TILE_ROWS):
                    numbers = load_vector(shared, WEIGHTS_AT + (lr + LR * i) * w_row + first + k)
                    for e in range(VECTOR):
                        w[i * VECTOR + e] = numbers[e]
                for j in range(TILE_SLOTS):
                    numbers = load_vector(shared, staged_at + (lb + LB * j) * STAGED_ROW + k)
                    for e in range(VECTOR):
                        u[j * VECTOR + e] = numbers[e]
                for i in range(TILE_ROWS):
                    for j in range(TILE_SLOTS):
                        for e in range(VECTOR):
                            sums[i * TILE_SLOTS + j] += w[i * VECTOR + e] * u[j * VECTOR + e]
            cuda.syncwarp()
            first = following

        partial = PARTIAL_AT + (warp * LK + lk) * PARTIAL_SET
        for i in range(TILE_ROWS):
            for j in range(TILE_SLOTS):
                shared[partial + (lb + LB * j) * PARTIAL_SLOT + lr + LR * i] = sums[i * TILE_SLOTS + j]
        cuda.syncthreads()
        for n in range(thread, SUMS * FOLDS, THREADS):
            of = n % SUMS
            at = PARTIAL_AT + of // ROWS * PARTIAL_SLOT + of % ROWS
            total = shared[at + n // SUMS * PARTIAL_SET]
            for p in range(n // SUMS + FOLDS, PARTIALS, FOLDS):
                total += shared[at + p * PARTIAL_SET]
            shared[SUMS_AT + n] = total
        cuda.syncthreads()
        if FOLDS > 1:
            for n in range(thread, SUMS, THREADS):
                total = shared[SUMS_AT + n]
                for fold in range(1, FOLDS):
                    total += shared[SUMS_AT + n + fold * SUMS]
                shared[SUMS_AT + n] = total
            cuda.syncthreads()

    return place, product
