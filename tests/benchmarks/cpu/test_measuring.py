"""The parts of the benchmark that need no torch: how times are taken, what a case needs, limits, summary, memory."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import machine, timing
from benchmarks.cases import SECTIONS, Case, cases, odd_shapes
from benchmarks.cpu import limits
from benchmarks.cpu.layers import memory
from benchmarks.cpu.layers.accuracy import AccuracyRow, Errors, errors
from benchmarks.cpu.layers.grid import Row
from benchmarks.cpu.layers.work import Work, products, work
from benchmarks.cpu.targets import summary
from benchmarks.machine import Others
from benchmarks.timing import Pair


class Known(limits.Limits):
    """Limits that need no measuring: 100 operations and 10 bytes a second."""

    def peak(self, dtype):
        return 100.0

    def rate(self, size):
        return 10.0


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0)


def test_both_sides_are_called_equally_and_the_ratio_is_theirs_to_ours() -> None:
    clock = {"ours": 0, "theirs": 0}

    def side(name: str) -> None:
        clock[name] += 1

    pair = timing.alternate(lambda: side("ours"), lambda: side("theirs"), pairs=4, block=0.0)
    assert clock["ours"] == clock["theirs"] > 4
    assert pair.low <= pair.ratio <= pair.high


def test_a_spent_budget_ends_after_the_fewest_pairs() -> None:
    calls: list[int] = []
    timing.alternate(lambda: calls.append(0), lambda: None, pairs=50, block=0.0, budget=-1.0)
    few = len(calls)
    calls.clear()
    timing.alternate(lambda: calls.append(0), lambda: None, pairs=timing.FEWEST, block=0.0)
    assert len(calls) == few


def test_several_sides_take_turns_and_none_always_follows_the_same() -> None:
    order: list[str] = []
    sides = [lambda name=name: order.append(name) for name in "abc"]
    times = timing.in_turn(sides, pairs=2, block=0.0)
    assert [len(found) for found in times] == [2, 2, 2]
    assert "".join(order[::2]) == "abc" + "abccba"  # a block has two calls; the first of each counts how many fill it


def test_times_are_paired_block_by_block() -> None:
    assert timing.paired([1.0, 10.0, 100.0], [2.0, 30.0, 400.0]) == Pair(10.0, 30.0, 3.0, 2.5, 3.5)


def test_the_grid_has_every_size_that_it_should() -> None:
    shapes = SECTIONS["float32"].shapes
    assert {1, 2, 4, 8, 16, 32, 64, 128} <= {B for _, B, _ in shapes}
    assert {16, 32, 64, 100, 128, 256, 512, 1024} <= {H for *_, H in shapes}
    assert min(T for T, *_ in shapes) == 16
    assert max(T for T, *_ in shapes) == 512
    assert any(B % 2 and B > 1 and H % 16 for _, B, H in shapes)


def test_odd_shapes_are_the_same_every_time_and_not_square() -> None:
    found = odd_shapes(12)
    assert found == odd_shapes(12)
    assert all(I != H for _, _, I, H in found)
    assert {(16, 64, 650, 650), (20, 40, 300, 384)} <= set(SECTIONS["odd"].shapes)
    assert all(B >= 24 for _, B, *_ in SECTIONS["one-thread"].shapes)


def test_ragged_lengths_are_sixty_percent() -> None:
    for case in cases(quick=False, sections=["ragged"]):
        lengths = case.lengths()
        assert lengths.min() >= 1
        assert lengths.max() == case.T
    long = Case("RNN", "training", 100, 1000, 1, ragged=True).lengths()
    assert 0.58 < long.mean() / 100 < 0.62


def test_needed_operations_are_those_of_the_products() -> None:
    case = Case("LSTM", "inference", 5, 3, 7)
    rows, weights = 5 * 3, 4 * 7 * 7
    assert sum(p.flops for p in products(case)) == 2 * rows * 2 * weights
    training = case._replace(task="training")  # and da·W_h, dW_x, dW_h
    assert sum(p.flops for p in products(training)) == 2 * rows * 5 * weights
    ragged = case._replace(ragged=True)
    assert sum(p.flops for p in products(ragged)) == 2 * ragged.lengths().sum() * 2 * weights


@pytest.mark.parametrize(("B", "bound"), [(1, "stream"), (50, "FMA")])
def test_the_share_is_the_least_time_over_the_time(B, bound) -> None:
    case = Case("RNN", "inference", 10, B, 6)
    weights = 36
    input_seconds = max(2 * 10 * B * weights / 100, 4 * weights / 10)
    recurrent_seconds = max(2 * 10 * B * weights / 100, 10 * 4 * weights / 10)
    found = work(case, 500.0, Known(1))
    assert found.share == pytest.approx((input_seconds + recurrent_seconds) / 500)
    assert found.bound == bound
    assert found.intensity == found.flops / (4 * weights * 11)


def test_limits_are_measured_and_only_grow() -> None:
    found = limits.Limits(2, seconds=1e-4, repeats=2)
    peak, rate = found.peak("float32"), found.rate(1 << 15)
    assert peak > 0
    assert rate > 0
    assert found.rate(1 << 15) is rate  # the same measurement
    found.again()
    assert found.peak("float32") >= peak
    assert found.rate(1 << 15) >= rate
    assert list(found.as_dict()["bytes_per_second_by_bytes_a_thread"]) == [str(1 << 14)]


def test_the_stream_reads_every_number_every_turn() -> None:
    lanes = limits.Lanes("float32", limits.host_width())
    buffer = np.arange(3 * limits.ACCUMULATORS * lanes.count, dtype=np.float32)
    out = np.zeros(lanes.count, np.float32)
    limits._stream_loop(lanes)(buffer.ctypes.data, 3, 2, out.ctypes.data)
    np.testing.assert_allclose(out, 2 * buffer.reshape(-1, lanes.count).sum(0), rtol=1e-5)


def test_the_multiply_adds_are_carried_from_turn_to_turn() -> None:
    lanes = limits.Lanes("float64", limits.host_width())
    room = np.zeros(limits.ACCUMULATORS * lanes.count)
    limits._fma_loop(lanes)(room.ctypes.data, 3)
    np.testing.assert_array_equal(room, 1.75)  # 0 → 1 → 1.5 → 1.75


def row(cell: str, ratio: float, others: float = 0.0, T: int = 10) -> dict:
    pair = Pair(1.0, ratio, ratio, ratio, ratio)
    return Row(Case(cell, "inference", T, 8, 64), 0.0, True, pair, Work(1, 1, 0.5, "FMA"), others).as_dict()


def test_the_summary_has_means_worst_cases_and_targets() -> None:
    differs = Row(Case("RNN", "inference", 9, 9, 9), 1, False).as_dict()
    rows = [row("LSTM", 1.0), row("LSTM", 4.0, T=20), row("GRU", 3.0), differs]
    lines = {line["what"]: line for line in summary({"float32": rows})}
    assert set(lines) == {"LSTM float32, inference", "GRU and RNN, inference"}
    line = lines["LSTM float32, inference"]
    assert line["mean"] == pytest.approx(2.0)
    assert (line["cases"], line["worst"], line["mean_target"], line["worst_target"]) == (2, 1.0, 1.6, 1.05)
    assert line["worst_case"] == rows[0]["name"]
    assert not line["reached"]


def test_disturbed_rows_stay_out_of_the_summary() -> None:
    lines = summary({"float32": [row("LSTM", 2.0), row("LSTM", 900.0, others=0.5, T=20)]})
    assert (lines[0]["cases"], lines[0]["mean"]) == (1, pytest.approx(2.0))
    assert summary({"float32": [row("LSTM", 900.0, others=0.5)]}) == []


def test_the_summary_compares_errors() -> None:
    case = Case("GRU", "accuracy", 5, 2, 3, section="accuracy")
    found = {"y": Errors(1e-7, 2e-7, 1e-7, 2e-7), "dx": Errors(2e-7, 1e-7, 2e-7, 1e-7)}
    (line,) = summary({"accuracy": [AccuracyRow(case, found).as_dict()]})
    assert line["worst"] == pytest.approx(0.5)
    assert line["worst_case"] == f"{case.name}: dx"


def test_errors_are_relative_and_never_nothing() -> None:
    true = np.array([3.0, 4.0])
    found = errors(true + np.array([0.0, 0.4]), true, true)
    assert found.our_max == pytest.approx(0.1)
    assert found.our_rms == pytest.approx(0.4 / 5)
    assert 0 < found.their_rms < 1e-30


def test_memory_counts_what_a_tape_holds_once_and_not_what_the_caller_holds() -> None:
    x, kept = np.ones(10), np.ones(30)
    tape = (x[2:], {"a": [kept[:5], kept]}, 7, np.ones(3))
    assert memory.reachable(tape, without=(x,)) == 8 * 33


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_tape_of_the_equations_is_as_large_as_its_formula(cell) -> None:
    from rnn_core import layers

    case = Case(cell, "memory", 12, 4, 16)
    layer = getattr(layers, cell)(16, 16, backend="numpy", seed=0)
    x = case.input()
    y, _, tape = layer.forward(x)
    assert memory.reachable(tape, without=(layer, x, y)) >= 4 * case.T * case.B * case.H


def test_others_are_a_share_or_unknown() -> None:
    others = Others()
    deadline = timing.perf_counter() + 0.05
    while timing.perf_counter() < deadline:
        pass
    share = others.share()
    assert share is None or 0 <= share <= 1


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\nmodel\t: 3", "amd-25-17"),
        ("vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\n", "intel-6-207"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd40\n", "aarch64-0x41-0xd40"),
    ],
)
def test_a_processor_is_known_by_its_numbers(told, name, monkeypatch):
    monkeypatch.setattr(machine.Path, "read_text", lambda *_, **__: told)
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert machine.processor() == name
