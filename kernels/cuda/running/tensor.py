"""The product of a step in the tensor cores: factors rounded to TF32, 10 bits of mantissa, sums in float32.

It is an option (`allow_tf32`), for batches where float32's own units are what a step waits for. A warp multiplies 16
rows of weights with 8 rows of the batch over 8 k at a time, all lanes together (PTX's ``mma.sync.m16n8k8``). Lane
4·g + t has of the factors and of the product::

    a = (w[g, k_t], w[g + 8, k_t], w[g, k_{t+4}], w[g + 8, k_{t+4}])
    b = (v[g, k_t], v[g, k_{t+4}])                                           v[slot, k]
    c = (Σ at [g, 2t], [g, 2t + 1], [g + 8, 2t], [g + 8, 2t + 1])           [row, slot]

Which k is called k_0 … k_7 is free, as long as both factors agree. So a lane takes the vector of four neighbours from
4·t on of every 16 k, the first two of them for one product and the others for the next: one wide load each.

References
----------
.. [1] NVIDIA, "Parallel Thread Execution ISA", version 9.0, section "Matrix fragments for mma.m16n8k8".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..language import device
from ..language.device import device_function, load_vector
from ..planning.tile import TENSOR_LANES_OF_K, TENSOR_ROWS, TENSOR_SLOTS, Tile

STEP = 16
"""k of two products, one vector of each lane."""

_allowed = False


def allow_tf32(allowed: bool = True) -> None:
    """Let float32 recurrences use the tensor cores where a plan finds them faster, or no longer.

    The products around the recurrence are CuPy's and follow its own setting, the environment variable ``CUPY_TF32``.
    """
    global _allowed
    _allowed = bool(allowed)


def tf32_allowed() -> bool:
    """Return whether `allow_tf32` is in force."""
    return _allowed


@device_function
def rounded(number: Any) -> Any:
    """Return a number rounded to TF32."""
    return device.to_tf32(number)


def make_tensor_multiply(tile: Tile, real: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `multiply` and `write`, as `product.make_multiply` does."""
    CHUNK, STAGED_ROW, WEIGHTS_AT = tile.chunk, tile.staged_row, tile.weights_at
    STAGED_WARP, PARTIAL_AT, PARTIAL_SLOT, PARTIAL_SET = (
        tile.slots * tile.staged_row, tile.partial_at, tile.partial_slot, tile.partial_set,
    )  # fmt: skip
    ACROSS, ALONG = tile.rows // TENSOR_ROWS, tile.slots // TENSOR_SLOTS
    HALF, LANES = TENSOR_ROWS // 2, TENSOR_LANES_OF_K
    VECTOR = 4

    @device_function
    def multiply(sums, shared, first, w_row, warp, lane):
        g, t = lane // LANES, lane % LANES
        for k in range(0, CHUNK, STEP):
            for i in range(ACROSS):
                row = WEIGHTS_AT + (i * TENSOR_ROWS + g) * w_row + first + k + t * VECTOR
                upper, lower = load_vector(shared, row), load_vector(shared, row + HALF * w_row)
                for j in range(ALONG):
                    slot = j * TENSOR_SLOTS + g
                    v = load_vector(shared, warp * STAGED_WARP + slot * STAGED_ROW + k + t * VECTOR)
                    at = (i * ALONG + j) * 4
                    c = (sums[at], sums[at + 1], sums[at + 2], sums[at + 3])
                    c = device.mma(c, (upper[0], lower[0], upper[1], lower[1]), (v[0], v[1]))
                    c = device.mma(c, (upper[2], lower[2], upper[3], lower[3]), (v[2], v[3]))
                    sums[at], sums[at + 1], sums[at + 2], sums[at + 3] = c

    @device_function
    def write(shared, sums, warp, lane):
        g, t = lane // LANES, lane % LANES
        partial = PARTIAL_AT + warp * PARTIAL_SET
        for i in range(ACROSS):
            for j in range(ALONG):
                at = (i * ALONG + j) * 4
                place = partial + (j * TENSOR_SLOTS + 2 * t) * PARTIAL_SLOT + i * TENSOR_ROWS + g
                shared[place] = sums[at]
                shared[place + PARTIAL_SLOT] = sums[at + 1]
                shared[place + HALF] = sums[at + 2]
                shared[place + HALF + PARTIAL_SLOT] = sums[at + 3]

    return multiply, write
