"""Cells that a user has defined, in the CPU kernels: the formulas' results at any shape, the built-in cells' bits."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import cpu
from kernels.contract import DefinedParameters, Parameters
from kernels.cpu import calls as calling
from kernels.cpu import defined
from kernels.cpu.emitting.simd import PAIRS, ROUNDED
from kernels.cpu.loops.forward import at_once
from kernels.cpu.recurrence import Recurrence
from kernels.cpu.running import packing
from kernels.definition import OPERATIONS
from tests.kernels.cpu import definitions
from tests.kernels.cpu.definitions import ALONE, CELLS, GRU, LSTM, PEEPHOLE, RATIO, RNN, THREE, drawn, expected, run
from tests.kernels.cpu.setup import DOT, ROOT, in_a_process, settings
from tests.kernels.cpu.test_threads import FOUR, observe
from tests.tolerance import Allowed, assert_agree

DTYPES = ("float32", "float64", "bfloat16")
WAYS = (ROUNDED, PAIRS) if DOT else (ROUNDED,)
LENGTHS = (6, 1, 4, 6, 2)
GRID = [
    pytest.param(definition, dtype, id=f"{definition.name}-{dtype}")
    for definition, dtypes in {
        RNN: DTYPES[:1], LSTM: DTYPES, GRU: DTYPES[:1], PEEPHOLE: DTYPES[:1], THREE: DTYPES, RATIO: DTYPES[::2],
        ALONE: DTYPES,
    }.items()
    for dtype in dtypes
]  # fmt: skip
"""Each is compiled for itself, so not every cell is tried in every dtype."""


def check(call):
    """Assert that a call's results are those of the formulas."""
    found, wanted = run(cpu.defined_cell(call.definition, call.precision), call), expected(call)
    assert found.keys() == wanted.keys()
    allowed = Allowed.of("bfloat16" if call.precision == "bfloat16" else call.x.dtype, len(call.x))
    if call.precision == "bfloat16":  # among few numbers, one that is rounded to its other neighbour is felt by all
        allowed = allowed._replace(median=(4 if wanted["h_T"].size > 100 else 40) * allowed.median)
    for name, value in found.items():
        assert value.dtype == call.x.dtype
        assert_agree(name, value, wanted[name], allowed)


def same(found, wanted):
    """Assert that results have the same bits."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("sizes", [(3, 5, 4), (1, 3, 1), (2, 1, 15), (7, 16, 17), (13, 19, 33)], ids=str)
@pytest.mark.parametrize(("definition", "dtype"), GRID)
def test_the_formulas(definition, dtype, sizes):
    B, I, H = sizes
    check(drawn(definition, dtype, 6, B, I, H))
    check(drawn(definition, dtype, 6, 5, I, H, lengths=LENGTHS, bias=False, seed=1))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("definition", [LSTM, THREE, RATIO, ALONE], ids=lambda one: one.name)
def test_both_ways_to_bfloat16(definition, way):
    with settings(rounded=way, SUM=7):
        check(drawn(definition, "bfloat16", 6, 5, 7, 17, lengths=LENGTHS))


@pytest.mark.parametrize("definition", [LSTM, THREE], ids=lambda one: one.name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_upstream_gradients_of_some_states(definition, dtype):
    """What is None stands for zeros; h's is dy, and is not looked at."""
    call = drawn(definition, dtype, 6, 5, 3, 17, lengths=LENGTHS)
    zeros = tuple(np.zeros(call.x.shape[:2] + (17,), call.x.dtype) for _ in definition.states)
    cell = cpu.defined_cell(definition, call.precision)
    for some in range(1, len(definition.states)):
        one = tuple(d if k == some else None for k, d in enumerate(call.dstates))
        check(call._replace(dstates=one))
        filled = tuple(z if d is None else d for z, d in zip(zeros, one, strict=True))
        same(run(cell, call._replace(dstates=one)), run(cell, call._replace(dstates=filled)))
    check(call._replace(dstates=(None,) * len(zeros), dy=None))
    check(call._replace(dstates=None, dstate_T=(None,) * len(zeros)))


@pytest.mark.parametrize("definition", CELLS, ids=lambda one: one.name)
def test_needs(definition):
    """What is left out is None and the rest keeps its bits, each name by itself and all but one."""
    call = drawn(definition, "float32", 6, 5, 7, 17, lengths=LENGTHS)
    cell, names = cpu.defined_cell(definition), definitions.names_of(definition)
    everything = run(cell, call)
    for needs in [frozenset(), *(frozenset({n}) for n in names), *(frozenset(names) - {n} for n in names)]:
        found = run(cell, call, needs)
        assert {name for name in found if name[0] == "d"} == {f"d{n}" for n in needs}
        same(found, {name: everything[name] for name in found})


def built_in(name, call):
    """Return the same results by the cell that is built in."""
    cell, params = Recurrence(name, call.precision), Parameters(*call.params[:4])
    y, state, tape = cell.forward(params, call.x, call.state0, call.lengths)
    states = call.definition.states
    needs = frozenset({"x", *(f"{s}0" for s in states), *Parameters._fields})
    dx, dstate0, dparams = cell.backward(params, tape, call.dy, call.dstate_T, needs, call.dstates)
    found = {"y": y} | {f"{s}_T": value for s, value in zip(states, state, strict=True)}
    found |= {f"{s}_t": value for s, value in zip(states, cell.states(tape), strict=True)}
    names = ("x", *(f"{s}0" for s in states), *Parameters._fields)
    return found | {f"d{n}": d for n, d in zip(names, (dx, *dstate0, *dparams), strict=True)}


@pytest.mark.parametrize(
    ("name", "definition", "dtype"),
    [("rnn_tanh", RNN, "float32"), ("gru", GRU, "float32"), *(("lstm", LSTM, dtype) for dtype in DTYPES)],
)
def test_the_bits_of_what_is_built_in(name, definition, dtype):
    """The same operations in the same order, and so the same results: the states' own gradients among them."""
    for call in (drawn(definition, dtype, 5, 9, 19, 37), drawn(definition, dtype, 6, 5, 3, 16, lengths=LENGTHS)):
        same(run(cpu.defined_cell(definition, call.precision), call), built_in(name, call))


def same_bits_on_threads(*cells):
    """Each result of these cells, with their dtypes, on one to four threads, which part the units, or the rows."""
    pool = observe()
    for definition, dtype in cells:
        for call, of_plan in (
            (drawn(definition, dtype, 5, 19, 7, 40), {"SUM": 40, "MEETING": 0}),
            (drawn(definition, dtype, 6, 3, 7, 210, lengths=(2, 6, 1)), {"SUM": 6, "MEETING": 0}),
            (drawn(definition, dtype, 6, 5, 7, 210, lengths=LENGTHS), {"NEAR": 1, "AHEAD": 10, "MEETING": 0}),
        ):
            cell = cpu.defined_cell(definition, call.precision)
            with settings(**of_plan):
                numba.set_num_threads(1)
                wanted = run(cell, call)
                for count in (2, 3, 4):
                    pool.counts.clear()
                    numba.set_num_threads(count)
                    same(run(cell, call), wanted)
                    assert count in pool.counts


def all_threads():
    """In a process of its own."""
    same_bits_on_threads(*((THREE, dtype) for dtype in DTYPES), (ALONE, DTYPES[0]))


def test_the_number_of_threads_changes_no_bit():
    in_a_process(all_threads, limit=900, **FOUR)


AROUND = (1, 2, 3, 15, 16, 17, 31, 33, 65)


@given(
    definition=st.sampled_from((LSTM, THREE, ALONE)), T=st.integers(1, 7), B=st.sampled_from((1, 2, 3, 7, 13)),
    I=st.sampled_from(AROUND), H=st.sampled_from(AROUND), bias=st.booleans(), upstream=st.booleans(),
    ragged=st.booleans(), part=st.sampled_from((512, 7)), near=st.sampled_from((1 << 24, 1)), seed=st.integers(0, 9),
)  # fmt: skip
def test_the_formulas_at_any_shape(definition, T, B, I, H, bias, upstream, ragged, part, near, seed):
    lengths = tuple(1 + (b * 5 + seed) % T for b in range(B)) if ragged else None
    call = drawn(definition, "float64", T, B, I, H, lengths=lengths, bias=bias, upstream=upstream, seed=seed)
    with settings(SUM=part, NEAR=near):
        found = run(cpu.defined_cell(definition), call)
    wanted = expected(call)
    assert found.keys() == wanted.keys()
    for name, value in found.items():  # a single number may be a difference of two, and all rounding
        assert value.shape == wanted[name].shape
        np.testing.assert_allclose(value, wanted[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(("definition", "dtype"), GRID)
def test_what_memory_held_before_has_no_influence(definition, dtype, monkeypatch):
    """Not even where it is NaN, as every byte of 255 makes it; nor what stands in the padding."""
    taken = calling.take

    def spoiled(size):
        block = taken(size)
        block.view(0, (block.size,), np.uint8)[:] = 255
        return block

    call = drawn(definition, dtype, 6, 5, 19, 37, lengths=LENGTHS)
    wanted = run(cpu.defined_cell(definition, call.precision), call)
    past = np.arange(6)[:, None] >= np.array(LENGTHS)
    for array in (call.x, *call.streams, call.dy, *(d for d in call.dstates or () if d is not None)):
        array[past] = np.nan
    monkeypatch.setattr(calling, "take", spoiled)
    monkeypatch.setattr(packing, "take", spoiled)
    fresh = call._replace(params=DefinedParameters(*(copy.deepcopy(list(call.params)))))
    same(run(cpu.defined_cell(definition, call.precision), fresh), wanted)


@pytest.mark.parametrize("definition", [PEEPHOLE, THREE], ids=lambda one: one.name)
def test_a_row_has_the_same_bits_in_any_batch(definition):
    call = drawn(definition, "float32", 6, 33, 19, 37, upstream=True)
    cell = cpu.defined_cell(definition)
    whole = run(cell, call)
    for rows in (slice(0, 1), slice(16, 17), slice(5, 12), slice(1, 33)):
        part = run(cell, call._replace(
            x=call.x[:, rows], state0=tuple(s[rows] for s in call.state0),
            streams=tuple(m[:, rows] for m in call.streams), dy=call.dy[:, rows],
            dstate_T=tuple(d[rows] for d in call.dstate_T),
            dstates=tuple(None if d is None else d[:, rows] for d in call.dstates),
        ))  # fmt: skip
        for name, value in whole.items():
            if value.shape[-1] == 37 and value.ndim == 3:
                assert part[name].tobytes() == value[:, rows].tobytes(), name


def test_a_tape_serves_twice_and_results_are_fresh():
    call = drawn(THREE, "float32", 6, 5, 7, 17, lengths=LENGTHS)
    cell, needs = cpu.defined_cell(THREE), frozenset(definitions.names_of(THREE))
    *_, tape = cell.forward(call.params, call.x, call.state0, call.lengths, call.streams)
    first = cell.backward(call.params, tape, call.dy, call.dstate_T, needs, call.dstates)
    kept = copy.deepcopy(first)
    for array in (first[0], *first[1], *first[2][:4], *first[2].extra, *cell.states(tape)):
        array[...] = np.nan
    again = cell.backward(call.params, tape, call.dy, call.dstate_T, needs, call.dstates)
    for a, b in zip((again[0], *again[1], *again[2].extra), (kept[0], *kept[1], *kept[2].extra), strict=True):
        assert a.tobytes() == b.tobytes()


def test_every_operation_has_a_vector_form():
    assert defined.OPERATIONS.keys() == OPERATIONS.keys()


def test_slots_are_neighbours():
    """Those of the input alone, those of both, those of the state alone; each with its own block of rows."""
    cell = defined.kernel_cell(THREE)
    assert cell.slot_names == ("u", "e", "i", "f", "g", "r")
    assert cell.blocks_x == (0, 3, 2, 4, 1)
    assert cell.blocks_h == (3, 2, 0, 1)
    assert cell.first_from_h == 2
    assert [at_once(n) for n in (0, 1, 4, 5, 9)] == [
        (), ((0, 1),), ((0, 4),), ((0, 2), (2, 3)), ((0, 3), (3, 3), (6, 3)),
    ]  # fmt: skip


def test_streams_are_counted():
    call = drawn(THREE, "float32")
    with pytest.raises(ValueError, match=r"cpu.three: there must be 1 streams \(m\), got 0"):
        cpu.defined_cell(THREE).infer(call.params, call.x, call.state0)
    with pytest.raises(TypeError, match="x and weights must all be float32 or all float64"):
        cpu.defined_cell(THREE).infer(call.params, call.x.astype("f8"), call.state0, None, call.streams)


def test_a_cell_can_be_pickled():
    cell = cpu.defined_cell(PEEPHOLE, "bfloat16")
    assert pickle.loads(pickle.dumps(cell)) == cell


def test_the_same_words_are_the_same_cell():
    """Under whatever name; and one other number makes another."""
    again = definitions.defined(
        "another name", definitions._alone, definitions._alone_backward, sums="h", states="h", from_h="", vectors="w"
    )  # fmt: skip
    assert defined.kernel_cell(again) is defined.kernel_cell(ALONE)
    other = definitions.defined(
        "yet another", lambda a, prev, m, p: ((definitions.tanh(a.h + 2 * p.w * prev.h),), ()),
        definitions._alone_backward, sums="h", states="h", from_h="", vectors="w",
    )  # fmt: skip
    assert defined.kernel_cell(other).name != defined.kernel_cell(ALONE).name


COMPILE = """
import sys
from kernels import cpu
from kernels.cpu.running import compiled
from tests.kernels.cpu import definitions
made, new = [], compiled._new
def noted(function):
    made.append(new(function))
    return made[-1]
compiled._new = noted
for name in sys.argv[1:]:
    definition = getattr(definitions, name)
    call = definitions.drawn(definition, "float64", H=3)
    wanted = definitions.expected(call)
    for key, value in definitions.run(cpu.defined_cell(definition), call).items():
        assert abs(value - wanted[key]).max() < 1e-12, (name, key)
print(sum(one.cache_hits == 0 for one in made))
"""


def test_machine_code_of_two_cells_stays_apart_and_is_kept(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    new = []
    for names in (["ALONE"], ["RATIO"], ["RATIO", "ALONE"]):
        ended = subprocess.run(
            [sys.executable, "-c", COMPILE, *names], cwd=ROOT, env=environment, text=True, capture_output=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        new.append(int(ended.stdout))
    assert new[0] >= 3
    assert new[1] >= 3
    assert new[2] == 0


def test_units_that_are_none_stay_zero():
    """Division by a vector's padding is no number; it reaches neither a product nor a gradient."""
    for dtype in ("float32", "bfloat16"):
        for H in (1, 5, 17):
            call = drawn(RATIO, dtype, 4, 3, 3, H)
            found = run(cpu.defined_cell(RATIO, call.precision), call)
            assert all(np.isfinite(value).all() for value in found.values())
