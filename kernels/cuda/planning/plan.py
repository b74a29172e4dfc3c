"""Which way a call takes, and how its work is cut: one estimate, from T, B, H, the dtype and the device.

Two ways lead through a sequence of a cell whose units meet between steps alone:

- *persistent* (kernels/cuda/running/persistent.py): one launch, W_h on the chip, one barrier a step;
- *stepwise* (kernels/cuda/running/stepwise.py): in every step one product by cuBLAS and one kernel for the equations.
  It is there for weights that no chip holds, and for batches so large that a product of the whole batch keeps every
  multiprocessor busy, and barriers are small change.

A cell with means and products within a step has no choice: it is *staged* (kernels/cuda/running/staged.py), some
launches a step with products by cuBLAS between them (kernels/cuda/planning/stages.py).

The estimate adds up what a step must wait for. Its constants are of an H100's order and come from data sheets and
published measurements, not from this code's own: see docs/cuda.md. A wrong one costs time, never a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import ceil
from typing import NamedTuple

from ..language.device import WARP
from .tile import LOADS, TENSOR_ROWS, TENSOR_SLOTS, Tile, tensor_tiles, tiles, up


class Device(NamedTuple):
    """What a plan asks of a device."""

    multiprocessors: int
    shared_bytes: int  # of one block, at most
    architecture: tuple[int, int] = (9, 0)
    warps: int = 8  # of a block

    @property
    def tile(self) -> int:
        """Vectors of sums that a lane may have: fewer before Hopper, for which the assembler needs more registers."""
        return 8 if self.architecture >= (9, 0) else 6


CYCLES = 1.7e3
"""Clock cycles in a microsecond."""

MULTIPLICATIONS = {4: 128, 8: 64}
"""Multiply-adds of a multiprocessor in a cycle, by the bytes of a number."""

TENSOR_MULTIPLICATIONS = 512
"""The same in the tensor cores, of TF32."""

LOAD_CYCLES = 4
"""Cycles in which shared memory serves a warp's load of 16 bytes a lane."""

L2_BYTES = 4.0e6
"""Bytes from the level-2 cache in a microsecond, for all multiprocessors together."""

MEMORY_BYTES = 2.5e6
"""Bytes from the device's memory in a microsecond."""

L2_SIZE = 40e6
"""Bytes of weights that stay in the level-2 cache from step to step."""

BARRIER = 1.2
"""Microseconds from the last block's arrival to the first load behind the barrier."""

STEP = 1.0
"""Microseconds of a persistent step's latencies that nothing hides: first chunk, sums, equations."""

LAUNCHES = 20.0
"""Microseconds in which Python has launched a stepwise step's two kernels."""

GEMM_SHARE = 0.6
"""Share of the peak that cuBLAS reaches in a step's product."""

MANY = 16
"""Numbers of a cell that a thread may have beside its product, before registers are short: an LSTM has 12."""

UNITS = (4, 8, 16, 32)
SLOTS = (1, 2, 4, 8, 16, 32)


class Choice(NamedTuple):
    """A way and its cut."""

    tile: Tile | None  # None: stepwise
    blocks: int  # that share the hidden units
    groups: int  # of blocks, side by side along the batch
    row: int  # a row of what the blocks exchange: H, or for the backward H of each gate, filled up
    microseconds: float  # a step, as estimated
    product: bool = True  # whether there is a W_h to multiply with
    launches: int = 0  # of a step, where it is staged
    products: int = 0  # of a step, likewise

    @property
    def way(self) -> str:
        """persistent, tensor (persistent, in the tensor cores), stepwise; elementwise or staged by the cell."""
        if self.launches:
            return "staged"
        if self.tile is None:
            return "stepwise" if self.product else "elementwise"
        return "tensor" if self.tile.tensor else "persistent"

    @property
    def cut(self) -> Tile:
        """The tile of a persistent way."""
        if self.tile is None:
            raise ValueError(f"a choice that is {self.way} has no tile")
        return self.tile

    def __str__(self) -> str:
        if self.launches:
            return f"staged, {self.launches} launches and {self.products} products a step"
        if self.tile is None:
            return self.way
        t = self.tile
        tensor = ", tensor cores" if t.tensor else ""
        return f"persistent {self.blocks}×{self.groups} blocks, {t.units} units × {t.slots} rows{tensor}"


@lru_cache(maxsize=1024)
def choose(
    direction: str, gates: int, B: int, H: int, itemsize: int, device: Device, way: str = "", tf32: bool = False,
    inputs: int = 0, numbers: int = 0,
) -> Choice:  # fmt: skip
    """Return the way with the smaller estimate.

    Parameters
    ----------
    direction : {"forward", "backward"}
    gates, B, H : int
    itemsize : int
        Bytes of a number.
    device : Device
    way : {"", "persistent", "tensor", "stepwise"}
        Takes the choice away, for tests and benchmarks.
    tf32 : bool
        Float32 may be multiplied in the tensor cores.
    inputs : int
        How many gates have something of W_x x_t, where those are more than `gates`, which have something of W_h
        h_{t−1}. With no gates nothing is multiplied, and there is nothing to choose.
    numbers : int
        How many numbers of the cell a thread has in registers while its block multiplies.

    Raises
    ------
    ValueError
        A persistent way is asked for, and the weights don't fit.
    """
    if not gates:
        return Choice(None, 0, 0, H, 0.0, product=False)
    tf32 = tf32 or way == "tensor"
    choices = [
        *_persistent(direction, gates, B, H, itemsize, device, tf32, inputs, numbers > MANY),
        _stepwise(gates, B, H, itemsize, device),
    ]
    if way:
        choices = [choice for choice in choices if choice.way == way]
    if not choices:
        raise ValueError(
            f"cuda: hidden_size must leave W_h on the chip for the {way} way, got {H} with {gates} gates of "
            f"{itemsize} bytes; {device.multiprocessors} multiprocessors with {device.shared_bytes} bytes each "
            "don't hold it"
        )
    return min(choices, key=lambda choice: choice.microseconds)


def choose_staged(H: int, launches: int, products: int, way: str = "") -> Choice:
    """Return the one way of a cell whose units look at one another within a step; products are all, that of W_h too.

    Raises
    ------
    ValueError
        Another way is asked for.
    """
    if way not in ("", "staged"):
        raise ValueError(
            f"cuda: way must be 'staged' for a cell that looks at whole rows of units within a step, got {way!r}; "
            "leave it out"
        )
    return Choice(None, 0, 0, H, LAUNCHES / 2 * (launches + products), launches=launches, products=products)


def _persistent(
    direction: str, gates: int, B: int, H: int, itemsize: int, device: Device, tf32: bool, inputs: int, crowded: bool
) -> Iterator[Choice]:
    loads = LOADS
    if crowded and device.architecture < (9, 0):  # registers are what the assembler runs out of there
        if itemsize == 8:
            return
        loads = LOADS // 2
    for units, slots in product(UNITS, SLOTS):
        blocks = ceil(H / units)
        if blocks > device.multiprocessors:
            continue
        rows, parts = (gates * units, 1) if direction == "forward" else (units, gates)
        all_groups = ceil(B / slots)
        groups = min(all_groups, device.multiprocessors // blocks)
        rounds = ceil(all_groups / groups)
        cuts: list[Tile] = []
        if slots == 1 or slots < 2 * B:
            cuts += tiles(units, rows, slots, device.warps, 16 // itemsize, parts * H, device.tile, loads)
        if tf32 and itemsize == 4 and (slots == TENSOR_SLOTS or slots < 2 * B):
            cuts += tensor_tiles(units, rows, slots, device.warps, parts * H, loads)
        if direction == "forward" and inputs > gates:
            cuts = [tile._replace(input_rows=inputs * units) for tile in cuts]
        for tile in cuts:
            row = up(H, tile.chunk)
            K = parts * row  # of what blocks exchange for a row of the batch
            if tile.size(K) * itemsize <= device.shared_bytes:
                yield Choice(tile, blocks, groups, row, rounds * _step(tile, K, blocks * groups, itemsize))


def _step(tile: Tile, K: int, blocks: int, itemsize: int) -> float:
    """Return the microseconds of a persistent step."""
    products = tile.rows * tile.slots * K
    arithmetic = products / (TENSOR_MULTIPLICATIONS if tile.tensor else MULTIPLICATIONS[itemsize])
    vectors_read = products / tile.vector * (1 / tile.tile_rows + 1 / tile.tile_slots)
    if tile.tensor:  # each warp reads the weights once, and v once for every 16 rows of weights
        vectors_read = products / tile.vector * (1 / tile.slots + 1 / TENSOR_ROWS)
    loads = vectors_read / WARP * LOAD_CYCLES
    adding_up = 2 * tile.partials * tile.sums / WARP
    exchange = blocks * tile.slots * K * itemsize / L2_BYTES
    return max((max(arithmetic, loads) + adding_up) / CYCLES, exchange) + BARRIER + STEP


def _stepwise(gates: int, B: int, H: int, itemsize: int, device: Device) -> Choice:
    products = B * gates * H * H
    rate = device.multiprocessors * MULTIPLICATIONS[itemsize] * CYCLES * GEMM_SHARE
    weights = gates * H * H * itemsize
    reading = weights / (L2_BYTES if weights < L2_SIZE else MEMORY_BYTES)
    return Choice(None, 0, 0, H, max(products / rate, reading, LAUNCHES))
