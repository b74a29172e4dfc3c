"""The CUDA kernels as Python, every thread of every block side by side, against the equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import cuda
from kernels.contract import CELLS
from kernels.cuda.planning.plan import Device, choose
from kernels.cuda.recurrence import Recurrence
from kernels.cuda.running import launch, tensor
from rnn_core import equations
from tests import conformance
from tests.cases import CASES, Case

WAYS = ("persistent", "stepwise")
BY_NAME = {case.name: case for case in CASES}

SHAPES = ("plain", "one-of-everything", "odd-H", "tails-of-tiles", "no-biases", "ragged-odd-H", "ragged-strided")
"""Cases for every cell and dtype: sizes that no tile divides, rows of many lengths, arrays that are not contiguous."""


@pytest.fixture
def blocks(monkeypatch):
    """Return a function that sets how many blocks the simulated device holds at once."""

    def give(count: int, warps: int = 2) -> None:
        monkeypatch.setattr(launch, "SIMULATED_DEVICE", launch.SIMULATED_DEVICE._replace(
            multiprocessors=count, warps=warps
        ))  # fmt: skip

    return give


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_equations(cell, dtype, case, way):
    conformance.check_equations(Recurrence(cell, way), BY_NAME[case].problem(cell, dtype))


@pytest.mark.parametrize("case", ["odd-H", "ragged-odd-H"])
@pytest.mark.parametrize("cell", CELLS)
def test_tensor_cores_round_to_three_digits(cell, case, blocks):
    """Every result is near that of the equations, and not nearer than TF32 can be."""
    blocks(2, 4)
    problem = BY_NAME[case].problem(cell, "float32")
    found = conformance.run(Recurrence(cell, "tensor"), problem)
    expected = conformance.run(equations.cell(cell), problem.map(lambda array: array.astype(np.float64)))
    errors = {name: np.abs(found[name] - value).max() / np.abs(value).max() for name, value in expected.items()}
    assert max(errors.values()) < 5e-3
    assert errors["y"] > 1e-6


def test_tensor_cores_are_asked_for(blocks):
    """float32 proper is the default; a plan takes them where they are allowed and faster."""
    assert not tensor.tf32_allowed()
    blocks(132, 8)
    try:
        cuda.allow_tf32()
        assert "tensor cores" in cuda.describe("lstm", 10, 32, 1024)
    finally:
        cuda.allow_tf32(False)
    assert "tensor cores" not in cuda.describe("lstm", 10, 32, 1024)


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in (*SHAPES, "long")], ids=lambda c: c.name)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_other_case(cell, way, case):
    conformance.check_equations(Recurrence(cell, way), case.problem(cell, "float64"))


@pytest.mark.parametrize("check", conformance.CHECKS[1:], ids=lambda check: check.__name__)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_contract(cell, way, check):
    case = Case("contract", T=3, B=3, I=2, H=5, lengths=(3, 1, 2))
    check(Recurrence(cell, way), case.problem(cell, "float32"))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_blocks_side_by_side(cell, count, blocks):
    """The blocks of a group share the hidden units, and in every step each waits for all the others."""
    blocks(count)
    H = 32 * (count - 1) + 5  # no fewer blocks hold it
    case = Case("blocks", T=3, B=2, I=2, H=H)
    for direction in ("forward", "backward"):
        choice = choose(direction, CELLS[cell].gate_count, 2, H, 8, launch.current_device(), "persistent")
        assert choice.blocks == count
    conformance.check_equations(Recurrence(cell, "persistent"), case.problem(cell, "float64"))


@pytest.mark.parametrize("warps", [1, 4])
def test_warps_share_the_products(warps, blocks):
    blocks(2, warps)
    conformance.check_equations(Recurrence("lstm", "persistent"), BY_NAME["ragged-odd-H"].problem("lstm", "float32"))


def test_groups_of_blocks_take_turns(blocks):
    """More rows than the device takes at once: the blocks go on with the next ones, the weights stay."""
    blocks(1, 1)
    lengths = (3, 1, 2, 3, 3, 1, 2, 2, 1, 3, 3, 2, 1, 1, 3, 2, 3, 1, 2, 3) * 4
    case = Case("turns", T=3, B=80, I=2, H=5, lengths=lengths)
    choice = choose("forward", 4, 80, 5, 4, launch.current_device(), "persistent")
    assert choice.groups * choice.tile.slots < 80
    conformance.check_equations(Recurrence("lstm", "persistent"), case.problem("lstm", "float32"))


@settings(max_examples=15)
@given(
    cell=st.sampled_from(list(CELLS)),
    dtype=st.sampled_from(["float32", "float64"]),
    T=st.integers(1, 4),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40)),
    count=st.integers(1, 4),
    data=st.data(),
)
def test_any_shape(cell, dtype, T, sizes, count, data):
    B, I, H = sizes
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    bias = data.draw(st.booleans())
    device = Device(multiprocessors=max(count, -(-H // 32)), shared_bytes=227 * 1024, warps=2)
    case = Case("any", T=T, B=B, I=I, H=H, lengths=None if lengths is None else tuple(lengths), bias=bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "SIMULATED_DEVICE", device)
        problem = case.problem(cell, dtype)
        found = conformance.run(Recurrence(cell, "persistent"), problem)
    expected = conformance.run(equations.cell(cell), problem.map(lambda array: array.astype(np.float64)))
    # Against sums of numbers around 1, and not against a result in which they may have cancelled.
    allowed = 1e-5 if dtype == "float32" else 1e-13
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=10 * allowed, atol=T * B * allowed, err_msg=name)


def test_the_tape_holds_what_the_equations_hold():
    """h begins with the initial state, and past H there are zeros: the next step multiplies them."""
    problem = BY_NAME["odd-H"].problem("lstm", "float64")
    y, _, tape = Recurrence("lstm", "persistent").forward(problem.params, problem.x, problem.state0)
    H = problem.params.weight_hh.shape[1]
    assert np.array_equal(tape.h[0, :, :H], problem.state0[0])
    assert np.array_equal(tape.h[1:, :, :H], y)
    assert not tape.h[:, :, H:].any()
    assert tape.h.shape[2] > H
