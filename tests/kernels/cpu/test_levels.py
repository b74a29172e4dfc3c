"""Cells whose step looks at a whole row of units, in the CPU kernels: the formulas' results, and equal bits."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from kernels import cpu
from kernels.contract import DefinedParameters
from kernels.cpu import calls as calling
from kernels.cpu.levels.schedule import levelled
from kernels.cpu.running import packing
from tests.kernels.cpu import definitions
from tests.kernels.cpu.definitions import drawn, run
from tests.kernels.cpu.levelled import BEFORE, MIXED, NORM, PROJECTED
from tests.kernels.cpu.setup import in_a_process, settings
from tests.kernels.cpu.test_defined import LENGTHS, check, same, same_bits_on_threads
from tests.kernels.cpu.test_threads import FOUR

GRID = [
    pytest.param(definition, dtype, id=f"{definition.name}-{dtype}")
    for definition, dtypes in {
        NORM: ("float32",), BEFORE: ("float64",), PROJECTED: ("float32",), MIXED: ("float32", "bfloat16"),
    }.items()
    for dtype in dtypes
]  # fmt: skip
"""Each is compiled for itself, so not every cell is tried in every dtype."""


@pytest.mark.parametrize("sizes", [(1, 3, 1), (3, 2, 5), (2, 5, 17), (7, 16, 33), (13, 19, 100)], ids=str)
@pytest.mark.parametrize(("definition", "dtype"), GRID)
def test_the_formulas(definition, dtype, sizes):
    B, I, H = sizes
    check(drawn(definition, dtype, 1, B, I, H))
    with settings(SUM=7):
        check(drawn(definition, dtype, 6, 5, I, H, lengths=LENGTHS, bias=False, seed=1))
    check(drawn(definition, dtype, 6, 5, I, H, upstream=False, dy=False, seed=2))


def test_constants_that_are_the_same_for_all_units():
    """What is made of them and of means is worked out once a row."""
    for H in (1, 17, 40):
        call = drawn(NORM, "float32", 6, 5, 3, H, lengths=LENGTHS)
        call.params.extra[1][:] = 0.1
        check(call)


def test_input_products_ahead():
    for definition in (NORM, MIXED):
        with settings(NEAR=1, AHEAD=10):
            check(drawn(definition, "float32", 6, 5, 7, 40, lengths=LENGTHS))


@pytest.mark.parametrize("P", [1, 16, 33])
def test_sizes_of_h(P):
    """From one number to as many as the rest has."""
    for definition in (PROJECTED, MIXED):
        check(drawn(definition, "float32", 5, 4, 3, 33, P=P))


@pytest.mark.parametrize("definition", [NORM, MIXED], ids=lambda one: one.name)
def test_needs(definition):
    """What is left out is None and the rest keeps its bits, each name by itself and all but one."""
    call = drawn(definition, "float32", 6, 5, 7, 17, lengths=LENGTHS)
    cell, names = cpu.defined_cell(definition), definitions.names_of(definition)
    everything = run(cell, call)
    for needs in [frozenset(), *(frozenset({n}) for n in names), *(frozenset(names) - {n} for n in names)]:
        found = run(cell, call, needs)
        assert {name for name in found if name[0] == "d"} == {f"d{n}" for n in needs}
        same(found, {name: everything[name] for name in found})


def all_threads():
    """In a process of its own."""
    same_bits_on_threads((NORM, "float32"), (MIXED, "float32"), (MIXED, "bfloat16"))


def test_the_number_of_threads_changes_no_bit():
    in_a_process(all_threads, limit=900, **FOUR)


@pytest.mark.parametrize("definition", [NORM, MIXED], ids=lambda one: one.name)
def test_what_memory_held_before_has_no_influence(definition, monkeypatch):
    """Not even where it is NaN, as every byte of 255 makes it; nor what stands in the padding."""
    taken = calling.take

    def spoiled(size):
        block = taken(size)
        block.view(0, (block.size,), np.uint8)[:] = 255
        return block

    call = drawn(definition, "float32", 6, 5, 19, 37, lengths=LENGTHS)
    wanted = run(cpu.defined_cell(definition), call)
    past = np.arange(6)[:, None] >= np.array(LENGTHS)
    for array in (call.x, *call.streams, call.dy, *(d for d in call.dstates or () if d is not None)):
        array[past] = np.nan
    monkeypatch.setattr(calling, "take", spoiled)
    monkeypatch.setattr(packing, "take", spoiled)
    fresh = call._replace(params=DefinedParameters(*(copy.deepcopy(list(call.params)))))
    same(run(cpu.defined_cell(definition), fresh), wanted)


@pytest.mark.parametrize(("definition", "dtype"), [(NORM, "float32"), (BEFORE, "float64")])
def test_a_row_has_the_same_bits_in_any_batch(definition, dtype):
    call = drawn(definition, dtype, 6, 33, 19, 37, upstream=False)
    cell = cpu.defined_cell(definition)
    whole = run(cell, call)
    for rows in (slice(0, 1), slice(16, 17), slice(5, 12), slice(1, 33)):
        part = run(cell, call._replace(
            x=call.x[:, rows], state0=tuple(s[rows] for s in call.state0), dy=call.dy[:, rows],
            dstate_T=tuple(d[rows] for d in call.dstate_T),
        ))  # fmt: skip
        for name, value in whole.items():
            if value.shape[-1] == 37 and value.ndim == 3:
                assert part[name].tobytes() == value[:, rows].tobytes(), name


def test_a_projection_makes_h_no_larger_than_the_rest():
    call = drawn(PROJECTED, "float32", H=3, P=4)
    with pytest.raises(RuntimeError, match="must make h of at most 3 numbers, .*, got 4; take backend='numpy'"):
        cpu.defined_cell(PROJECTED).infer(call.params, call.x, call.state0)


def test_any_number_of_means_is_one_segment_of_rows():
    """And a product of a product, or one that stands beside a mean, has a segment to itself."""

    def kinds(schedule):
        return "".join("r" if segment.whole_rows else "t" for segment in schedule.segments)

    found = {one.name: levelled(one) for one in (NORM, BEFORE, PROJECTED, MIXED)}
    assert {name: (kinds(its["forward"]), kinds(its["backward"])) for name, its in found.items()} == {
        "normalised": ("tr", "tr"), "reset before": ("tt", "tt"), "projected": ("t", "t"),
        "mixed": ("trtrtrtr", "trtrtt"),
    }  # fmt: skip
    assert [len(segment.walks) for segment in found["normalised"]["forward"].segments] == [1, 5]
