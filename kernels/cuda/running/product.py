"""The product of a step, by a block: from v, which all blocks have just written, to sums in shared memory.

See kernels/cuda/planning/tile.py for who has what. The weights are in shared memory for the whole sequence; v comes
from the level-2 cache, the next chunk while the last is being multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..language.device import WARP, cuda, device_function, load_vector, store_vector
from ..language.pointwise import zero
from ..language.unrolled import make_vector
from ..planning.tile import Tile
from . import tensor
from .tensor import make_tensor_multiply


def make_product(tile: Tile, real: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `place` and `product`, device functions of a block's threads.

    ``place(source, order, first, B, row_length, thread)`` fills `source` with where in v the vectors begin that this
    lane fetches of the first chunk, row by row of the batch.

    ``product(shared, v, base, source, K, w_row, thread)`` leaves Σ_k v[slot, k]·w[r, k] in shared memory at
    `sums_at` + slot·rows + r. All threads of the block call it; they have met before anyone reads a sum.
    """
    WARPS, CHUNK, FETCHED, SIZE = tile.warps, tile.chunk, tile.loads * tile.vector, tile.tile_rows * tile.tile_slots
    place, fetch, stage = make_staging(tile)
    multiply, write = make_tensor_multiply(tile, real) if tile.tensor else make_multiply(tile, real)
    add_up = make_add_up(tile)

    @device_function
    def product(shared, v, base, source, K, w_row, thread):
        warp, lane = thread // WARP, thread % WARP
        sums = cuda.local.array(SIZE, real)
        fetched = cuda.local.array(FETCHED, real)
        for n in range(SIZE):
            sums[n] = zero
        for n in range(FETCHED):
            fetched[n] = zero
        first = warp * CHUNK
        if first < K:
            fetch(fetched, v, base + first, source, lane)
        while first < K:
            stage(shared, fetched, warp, lane)
            cuda.syncwarp()
            following = first + WARPS * CHUNK
            if following < K:
                fetch(fetched, v, base + following, source, lane)
            multiply(sums, shared, first, w_row, warp, lane)
            cuda.syncwarp()
            first = following
        write(shared, sums, warp, lane)
        cuda.syncthreads()
        add_up(shared, thread)

    return place, product


def make_staging(tile: Tile) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Return `place`, and `fetch` and `stage`: a chunk of v from memory to registers, and on to shared memory."""
    CHUNK, VECTOR, LOADS, SLOTS, STAGED_ROW = tile.chunk, tile.vector, tile.loads, tile.slots, tile.staged_row
    VECTORS = SLOTS * CHUNK // VECTOR  # of a chunk
    VECTORS_OF_ROW = CHUNK // VECTOR
    STAGED_WARP = SLOTS * STAGED_ROW
    vector_of = make_vector(VECTOR, tensor.rounded if tile.tensor else None)

    @device_function
    def place(source, order, first, B, row_length, thread):
        lane = thread % WARP
        for n in range(LOADS):
            vector = lane + WARP * n
            # Slots past the batch take its last row: their sums are never looked at.
            slot = min(first + min(vector // VECTORS_OF_ROW, SLOTS - 1), B - 1)
            source[n] = order[slot] * row_length + vector % VECTORS_OF_ROW * VECTOR

    @device_function
    def fetch(fetched, v, base, source, lane):
        for n in range(LOADS):
            if lane + WARP * n < VECTORS:
                numbers = load_vector(v, base + source[n])
                for e in range(VECTOR):
                    fetched[n * VECTOR + e] = numbers[e]

    @device_function
    def stage(shared, fetched, warp, lane):
        for n in range(LOADS):
            vector = lane + WARP * n
            if vector < VECTORS:
                at = vector // VECTORS_OF_ROW * STAGED_ROW + vector % VECTORS_OF_ROW * VECTOR
                store_vector(shared, warp * STAGED_WARP + at, vector_of(fetched, n * VECTOR))

    return place, fetch, stage


def make_multiply(tile: Tile, real: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `multiply`, a chunk of a lane's products, and `write`, its sums to shared memory."""
    VECTOR, TILE_ROWS, TILE_SLOTS, LR, LB, LK = (
        tile.vector, tile.tile_rows, tile.tile_slots, tile.LR, tile.LB, tile.LK,
    )  # fmt: skip
    TURNS = tile.chunk // (LK * VECTOR)
    STAGED_ROW, STAGED_WARP, WEIGHTS_AT = tile.staged_row, tile.slots * tile.staged_row, tile.weights_at
    PARTIAL_AT, PARTIAL_SLOT, PARTIAL_SET = tile.partial_at, tile.partial_slot, tile.partial_set
    W_SIZE, V_SIZE = TILE_ROWS * VECTOR, TILE_SLOTS * VECTOR

    @device_function
    def multiply(sums, shared, first, w_row, warp, lane):
        lk, lr, lb = lane % LK, lane // LK % LR, lane // (LK * LR)
        w = cuda.local.array(W_SIZE, real)
        u = cuda.local.array(V_SIZE, real)
        for q in range(TURNS):
            k = (q * LK + lk) * VECTOR
            for i in range(TILE_ROWS):
                numbers = load_vector(shared, WEIGHTS_AT + (lr + LR * i) * w_row + first + k)
                for e in range(VECTOR):
                    w[i * VECTOR + e] = numbers[e]
            for j in range(TILE_SLOTS):
                numbers = load_vector(shared, warp * STAGED_WARP + (lb + LB * j) * STAGED_ROW + k)
                for e in range(VECTOR):
                    u[j * VECTOR + e] = numbers[e]
            for i in range(TILE_ROWS):
                for j in range(TILE_SLOTS):
                    for e in range(VECTOR):
                        sums[i * TILE_SLOTS + j] += w[i * VECTOR + e] * u[j * VECTOR + e]

    @device_function
    def write(shared, sums, warp, lane):
        lk, lr, lb = lane % LK, lane // LK % LR, lane // (LK * LR)
        at = PARTIAL_AT + (warp * LK + lk) * PARTIAL_SET
        for i in range(TILE_ROWS):
            for j in range(TILE_SLOTS):
                shared[at + (lb + LB * j) * PARTIAL_SLOT + lr + LR * i] = sums[i * TILE_SLOTS + j]

    return multiply, write


def make_add_up(tile: Tile) -> Callable[..., Any]:
    """Return `add_up`: the partial sums of all warps to the sums; the threads have met before, and meet behind it."""
    SUMS, FOLDS, ROWS, THREADS = tile.sums, tile.folds, tile.rows, tile.threads
    PARTIAL_AT, PARTIAL_SLOT, PARTIAL_SET, SUMS_AT = (
        tile.partial_at, tile.partial_slot, tile.partial_set, tile.sums_at,
    )  # fmt: skip
    PASSES, ADDED = -(-SUMS * FOLDS // THREADS), tile.partials // FOLDS
    WHOLE = PASSES * THREADS == SUMS * FOLDS
    SMALL = (1 << (PASSES * THREADS - 1).bit_length()) - 1  # a mask that tells the compiler: not negative

    @device_function
    def add_up(shared, thread):
        for s in range(PASSES):
            n = (thread + THREADS * s) & SMALL
            of, fold = n % SUMS, n // SUMS
            if WHOLE or fold < FOLDS:
                at = PARTIAL_AT + of // ROWS * PARTIAL_SLOT + of % ROWS + fold * PARTIAL_SET
                total = shared[at]
                for p in range(1, ADDED):
                    total += shared[at + p * FOLDS * PARTIAL_SET]
                shared[SUMS_AT + n] = total
        cuda.syncthreads()
        if FOLDS > 1:
            if thread < SUMS:
                total = shared[SUMS_AT + thread]
                for fold in range(1, FOLDS):
                    total += shared[SUMS_AT + thread + fold * SUMS]
                shared[SUMS_AT + thread] = total
            cuda.syncthreads()

    return add_up
