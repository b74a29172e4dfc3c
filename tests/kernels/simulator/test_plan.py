"""How work is cut: tiles that cover it once, in banks that differ, and the choice between the two ways."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cuda.language.device import WARP
from kernels.cuda.planning.plan import SLOTS, UNITS, Device, choose
from kernels.cuda.planning.tile import BANKS, QUARTER, Tile, tiles

H100 = Device(multiprocessors=132, shared_bytes=227 * 1024)

TILES = sorted({
    tile
    for units, slots, gates, vector, length in product(UNITS, SLOTS, (1, 3, 4), (2, 4), (40, 512, 4096))
    for tile in tiles(units, units * gates, slots, 8, vector, length)
})  # fmt: skip


def lanes(tile: Tile):
    """Yield (lk, lr, lb) of every lane, as kernels/cuda/running/product.py has them."""
    for lane in range(WARP):
        yield lane % tile.LK, lane // tile.LK % tile.LR, lane // (tile.LK * tile.LR)


def test_there_are_tiles():
    assert len(TILES) > 100


def test_lanes_cover_each_sum_and_each_k_once():
    for tile in TILES:
        covered = [
            (lk, lr + tile.LR * i, lb + tile.LB * j)
            for lk, lr, lb in lanes(tile)
            for i in range(tile.tile_rows)
            for j in range(tile.tile_slots)
        ]
        assert sorted(covered) == sorted(product(range(tile.LK), range(tile.rows), range(tile.slots))), tile
        assert tile.chunk % (tile.LK * tile.vector) == 0, tile
        assert tile.loads * WARP * tile.vector >= tile.slots * tile.chunk, tile


def test_a_quarter_of_a_warp_reads_without_conflicts():
    """Eight lanes read 16 bytes each at a time: different ones lie in different banks."""
    for tile in TILES:
        for row_of, length in (("lr", 512), ("lb", tile.chunk)):
            for first in range(0, WARP, QUARTER):
                places = set()
                for lk, lr, lb in list(lanes(tile))[first : first + QUARTER]:
                    row = lr if row_of == "lr" else lb
                    places.add(row * tile.banked(length) // tile.vector + lk)
                assert len({place % QUARTER for place in places}) == len(places), (tile, row_of)


def test_partial_sums_are_written_without_conflicts():
    for tile in TILES:
        places = [lk * tile.partial_set + lb * tile.partial_slot + lr for lk, lr, lb in lanes(tile)]
        assert len({place % BANKS for place in places}) == WARP, tile


def test_parts_of_shared_memory_do_not_overlap():
    for tile in TILES:
        parts = [
            (0, tile.warps * tile.slots * tile.staged_row),
            (tile.partial_at, tile.partials * tile.partial_set),
            (tile.sums_at, tile.sums * tile.folds),
            (tile.biases_at, 2 * tile.rows),
            (tile.weights_at, tile.rows * tile.banked(512)),
        ]
        for (at, size), (following, _) in pairwise(parts):
            assert at + size <= following, tile
        assert sum(parts[-1]) == tile.size(512)
        assert tile.weights_at % tile.vector == 0


@given(
    gates=st.sampled_from([1, 3, 4]),
    B=st.integers(1, 300),
    H=st.integers(1, 2500),
    itemsize=st.sampled_from([4, 8]),
    direction=st.sampled_from(["forward", "backward"]),
)
def test_what_is_chosen_fits(gates, B, H, itemsize, direction):
    choice = choose(direction, gates, B, H, itemsize, H100)
    if choice.tile is None:
        return
    K = choice.row * (gates if direction == "backward" else 1)
    assert choice.blocks * choice.groups <= H100.multiprocessors
    assert choice.blocks * choice.tile.units >= H
    assert choice.tile.size(K) * itemsize <= H100.shared_bytes
    assert choice.row >= H
    assert choice.row % choice.tile.chunk == 0
    assert choice.tile.units * choice.tile.slots <= choice.tile.threads


def test_small_weights_stay_on_the_chip_and_large_ones_do_not():
    assert choose("forward", 4, 32, 512, 4, H100).way == "persistent"
    assert choose("forward", 4, 1, 1024, 4, H100).way == "persistent"
    assert str(choose("forward", 4, 1, 2048, 4, H100)) == "stepwise"


def test_tensor_cores_are_for_float32_where_they_are_allowed():
    assert choose("forward", 4, 32, 1024, 4, H100, tf32=True).way == "tensor"
    assert choose("forward", 4, 32, 512, 8, H100, tf32=True).way == "persistent"


def test_weights_that_no_chip_holds_are_refused_for_the_persistent_way():
    with pytest.raises(ValueError, match=r"cuda: hidden_size must leave W_h on the chip .* got 4096 with 4 gates"):
        choose("forward", 4, 1, 4096, 4, H100, "persistent")
