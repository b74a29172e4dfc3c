"""``python -m benchmarks gpu`` where there is no GPU: what it says then, and every part of it that needs none."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.cases import Case
from benchmarks.gpu import conformance, device, environment, report, run, sanitizer, small, stand_ins, supervise, worker
from benchmarks.gpu.grid import QUICK, SECTIONS, grid
from benchmarks.gpu.report import Findings
from benchmarks.gpu.supervise import Outcome
from benchmarks.gpu.targets import L2_RATE, TARGETS, floor, summary

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path) -> tuple[dict, str]:
    """Return what was written: the JSON and the Markdown."""
    return json.loads((folder / "gpu.json").read_text()), (folder / "gpu.md").read_text()


def row(cell: str = "LSTM", task: str = "inference", ratio: float = 2.5, agrees: bool = True, **sizes) -> dict:
    """Return a made-up row, as `benchmark.measure` makes it."""
    case = Case(cell, task, **{"T": 128, "B": 8, "H": 512, **sizes}, section="headline")
    found = {"name": case.name, "seconds": 1.0, **case._asdict(), "path": "persistent | 128 blocks", "first_call": 2.0}
    found |= {"difference": 1e-6 if agrees else float("nan"), "differs_most": "y", "agrees": agrees}
    times = {"ours": 2e-4, "theirs": 2e-4 * ratio, "theirs_tf32": 3e-4, "ours_host": 1e-4, "theirs_host": 1e-4}
    return found | times | {"ratio": ratio, "low": ratio, "high": ratio, "ratio_tf32": 1.5} if agrees else found


# without a GPU


def test_without_a_gpu_it_says_so_writes_both_files_and_is_content(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(run, "reason", lambda: "no driver")
    assert main(["gpu", "--out", str(tmp_path / "made" / "here")]) == 0
    assert capsys.readouterr().out == "no GPU here: no driver; 0 cases run\n"
    data, text = written(tmp_path / "made" / "here")
    assert (data["cases"], data["reason"]) == (0, "no driver")
    assert "no GPU here: no driver; 0 cases run" in text


def test_without_cupy_that_is_the_reason(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert "CuPy can't be imported" in device.reason()


def test_a_driver_that_fails_is_the_reason(monkeypatch) -> None:
    def fail():
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable\n device")

    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=fail)))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert device.reason() == "cudaErrorNoDevice: no CUDA-capable device"
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert device.reason()
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    assert not device.reason()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    assert main(["gpu", "--out", str(tmp_path / "file")]) == 2
    assert "--out must name a folder" in capsys.readouterr().err


def test_make_gpu_installs_nothing() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    command = [make, "--no-print-directory", "-n", "gpu", "PYTHON=py", "OUT=there", "ARGS=--quick"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == "'py' -m benchmarks gpu --out 'there' --quick\n"


BARE = """
import sys
sys.modules.update(dict.fromkeys(["array_api_compat", "safetensors", "rich", "pytest", "hypothesis"]))
import benchmarks.gpu
import rnn_core.layers, rnn_core.training
from tests.cases import CASES
from tests.conformance import CHECKS
import numpy as np
from rnn_core import backends
for check in CHECKS:
    for case in CASES[:1] + CASES[18:19]:
        check(backends.get("numpy").cell("gru"), case.problem("gru", "float64", np))
from benchmarks.gpu import training
print(training.losses("rnn", "numpy", np)[-1])
from safetensors import safe_open
try:
    safe_open("weights.safetensors")
except RuntimeError as error:
    print(error)
"""


def test_what_is_missing_has_a_stand_in() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", BARE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loss, refusal = done.stdout.splitlines()
    assert float(loss) < 3.9
    assert "the package 'safetensors', which is not installed" in refusal


def test_the_stand_in_has_every_name_that_is_imported_of_array_api_compat() -> None:
    there = {function.__name__ for function in stand_ins.ARRAY_API}
    for package in ("rnn_core", "kernels", "tests/conformance.py", "tests/cases.py"):
        for path in [ROOT / package] if package.endswith(".py") else sorted((ROOT / package).rglob("*.py")):
            for line in path.read_text(encoding="utf-8").splitlines():
                _, found, names = line.strip().partition("from array_api_compat import ")
                assert not found or set(names.split(", ")) <= there, f"{path}: {line}"


def test_namespaces_are_those_of_numpy_and_cupy() -> None:
    assert stand_ins.array_namespace(np.ones(2), 3, None, np.float64(1)) is np
    assert stand_ins.is_array_api_obj(np.ones(2))
    assert not stand_ins.is_array_api_obj([1.0])
    assert stand_ins.is_numpy_namespace(np)
    with pytest.raises(TypeError, match="must all be NumPy's or all CuPy's, got none"):
        stand_ins.array_namespace(3)


# the grid and the targets


def test_the_grid_begins_with_what_is_told_first_and_has_every_corner() -> None:
    entries = grid()
    assert [entry["section"] for entry in entries] == sorted(
        (entry["section"] for entry in entries), key=list(SECTIONS).index
    )
    assert len({Case(**entry).name for entry in entries}) == len(entries)
    headline = [entry for entry in entries if entry["section"] == "headline"]
    assert {(entry["H"], entry["B"]) for entry in headline} == {(H, B) for H in (256, 512, 1024) for B in (1, 8, 32)}
    assert len(headline) == 3 * 2 * 9
    dense = {(entry["H"], entry["B"]) for entry in entries if entry["dtype"] == "float32" and not entry["ragged"]}
    assert {(H, B) for H in (64, 128, 2048) for B in (1, 32, 64, 128, 256)} <= dense


def test_a_quick_grid_has_one_shape_a_section_and_sections_can_be_chosen() -> None:
    assert len(grid(quick=True)) == 6 * len(QUICK)
    assert {entry["section"] for entry in grid(only=["conformance", "ragged"])} == {"ragged"}
    assert grid(only=["benchmark"]) == grid()
    assert run.chosen("benchmark", ["wide"])
    assert run.chosen("environment", ["wide"])
    assert run.chosen("compilation", ["wide"])
    assert not run.chosen("conformance", ["wide"])


def test_targets_speak_of_the_issues_rows() -> None:
    wanted = {target.name: sum(map(target.selects, grid())) for target in TARGETS}
    assert wanted.pop("the whole grid") == len(grid())
    assert set(wanted.values()) == {9}


def test_the_summary_is_computed_from_the_rows() -> None:
    rows = [row(ratio=2.0), row(ratio=8.0, B=1), row("GRU", ratio=1.9), row("RNN", "training", ratio=0.5, B=64)]
    lines = {line["what"]: line for line in summary(rows)}
    lstm = lines["LSTM inference"]
    assert (lstm["cases"], lstm["planned"], lstm["worst"]) == (2, 9, 2.0)
    assert lstm["mean"] == pytest.approx(4.0)
    assert lstm["worst_case"] == rows[0]["name"]
    assert lstm["verdict"] == "reached so far"
    assert lines["GRU inference"]["verdict"] == "behind"
    assert lines["RNN training step"]["verdict"] == "not run"  # B = 64 is another matter
    assert (lines["the whole grid"]["worst"], lines["the whole grid"]["verdict"]) == (0.5, "behind")


def test_a_target_is_reached_when_all_its_cases_are_there_and_right() -> None:
    entries = [entry for entry in grid() if TARGETS[0].selects(entry)]
    rows = [row(ratio=2.0, T=entry["T"], B=entry["B"], H=entry["H"]) for entry in entries]
    assert summary(rows)[0]["verdict"] == "reached"
    assert summary([*rows[1:], row(agrees=False, B=rows[0]["B"], H=rows[0]["H"])])[0]["verdict"] == "behind"


def test_the_floor_is_the_larger_of_arithmetic_and_reading() -> None:
    facts = {"float32_flops_per_second": 50e12, "multiprocessors": 100}
    reading = 100 * 8 * 512 * 4 / L2_RATE
    arithmetic = 2 * 8 * 4 * 512**2 / 50e12
    assert floor(row(), facts) == pytest.approx(max(reading, arithmetic))
    assert floor(row(task="training"), facts) == pytest.approx(max(5 * reading, 3 * arithmetic))
    slow = {**facts, "float32_flops_per_second": 1e9}
    assert floor(row(), slow) == pytest.approx(2 * 8 * 4 * 512**2 / 1e9)
    assert floor(row(), {}) is None


# the report


def findings() -> Findings:
    rows = [row(), row("GRU", agrees=False)]
    return Findings(
        parts={
            "environment": Outcome(["facts"], [{"name": "facts", "seconds": 0.1, "device": "A GPU", "date": "today",
                                                "numpy": "2.4", "float32_flops_per_second": 5e13}]),
            "conformance": Outcome(["a", "b", "c"], [{"name": "a", "seconds": 1.0}], [{"name": "b", "message": "off"}]),
            "training": Outcome(["lstm"], [{"name": "lstm", "seconds": 1.0, "first": 4.0, "last": 3.0,
                                            "difference": 1e-6}]),
            "benchmark": Outcome([rows[0]["name"], rows[1]["name"], "one more"], rows),
        },
        sanitizer={"memcheck": {"verdict": "clean", "said": ""}},
    )  # fmt: skip


def test_the_report_has_the_device_on_top_and_everything_else_below(tmp_path) -> None:
    found = findings()
    report.write(tmp_path, found)
    data, text = written(tmp_path)
    assert data["device"] == "A GPU"
    assert data["cases"] == 2 + 1 + 2
    assert data["rows"][0]["floor"] > 0
    assert data["rows"][1]["difference"] == "nan"
    assert data["parts"]["conformance"]["not_run"] == ["c"]
    assert text.index("device A GPU; date today; numpy 2.4") < text.index("torch (cuDNN, TF32 off) ÷ ours")
    for words in (
        "| conformance | 3 | 1 | 1 | 1 |", "- b: off", "| memcheck | clean |", "Not run: one more.", "**2.50**",
        "differs in y by nan", "persistent / 128 blocks", "| lstm | 4.0000 | 3.0000 |",
    ):  # fmt: skip
        assert words in text
    assert found.failed


def test_nothing_failed_where_all_agree() -> None:
    found = findings()
    found.parts["conformance"].failures.clear()
    del found.parts["benchmark"].results[1]
    assert not found.failed
    found.sanitizer["racecheck"] = {"verdict": "found errors", "said": ""}
    assert found.failed


@pytest.mark.parametrize(
    ("code", "said", "verdict"),
    [
        (0, "ERROR SUMMARY: 0 errors", "clean"),
        (sanitizer.FOUND, "RACECHECK SUMMARY: 3 hazards displayed", "found errors"),
        (1, "ERROR SUMMARY: 0 errors", "the script failed (exit code 1)"),
        (1, "device not supported", "not available (exit code 1)"),
    ],
)
def test_what_the_sanitizer_says(code, said, verdict) -> None:
    assert sanitizer.verdict(code, said) == verdict
    assert bool(sanitizer.bad({"memcheck": {"verdict": verdict}})) == (verdict[:1] in "ft")


def test_the_sanitizer_is_not_everywhere(monkeypatch) -> None:
    monkeypatch.setattr(sanitizer, "find", lambda: None)
    assert {told["verdict"] for told in sanitizer.run(1).values()} == {"not available"}


def test_a_tool_that_takes_too_long_is_ended_with_its_children(monkeypatch, tmp_path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho begun\nsleep 600 & wait\n")
    tool.chmod(0o755)
    monkeypatch.setattr(sanitizer, "find", lambda: str(tool))
    told = sanitizer.run(1.0)
    assert [one["verdict"] for one in told.values()] == ["not done after 1 s"] * 3
    assert told["memcheck"]["said"] == "begun\n"


# processes that are watched

SCRIPT = """
import json, os, sys, time
skip = int(sys.argv[sys.argv.index("--skip") + 1])
say = lambda **line: print(json.dumps(line), flush=True)
say(items=list("abcd"))
for k in range(skip, 4):
    say(begin=k)
    if k == 1: os._exit(7)
    if k == 2: time.sleep(600)
    say(end=k, **({"error": "wrong"} if k == 3 else {"result": {"x": 1}, "seconds": 0.5}))
say(finished=True)
"""


def test_a_crash_and_a_hang_cost_the_item_that_they_are_in(monkeypatch) -> None:
    monkeypatch.setattr(supervise, "WORKER", (sys.executable, "-c", SCRIPT))
    monkeypatch.setattr(supervise, "PATIENCE", 3.0)
    told: list[int] = []
    outcome = supervise.run_part("part", [], 60.0, lambda outcome: told.append(len(outcome.failures)))
    assert outcome.planned == list("abcd")
    assert outcome.results == [{"name": "a", "seconds": 0.5, "x": 1}]
    assert [failure["name"] for failure in outcome.failures] == ["b", "c", "d"]
    assert "code 7" in outcome.failures[0]["message"]
    assert "nothing was heard" in outcome.failures[1]["message"]
    assert outcome.failures[2]["message"] == "wrong"
    assert outcome.not_run == []
    assert told[-1] == 3


def test_a_part_that_cannot_begin_is_a_failure_and_no_case(monkeypatch) -> None:
    fatal = "import json; print(json.dumps({'fatal': 'no kernels'}))"
    monkeypatch.setattr(supervise, "WORKER", (sys.executable, "-c", fatal))
    outcome = supervise.run_part("conformance", [], 60.0, lambda outcome: None, shards=2)
    assert outcome.failures == [{"name": "conformance", "message": "no kernels"}] * 2
    assert Findings(parts={"conformance": outcome}).cases == 0


def lines_of(monkeypatch, items, skip=0, seconds=60.0, code=0) -> list[dict]:
    """Return what the worker says about some items."""
    part = ModuleType("benchmarks.gpu.made_up")
    part.items = lambda device, quick, only: items
    monkeypatch.setitem(sys.modules, "benchmarks.gpu.made_up", part)
    out = io.StringIO()
    args = argparse.Namespace(part="made_up", skip=skip, shard=(0, 1), seconds=seconds, quick=True, only=[])
    assert worker.work(argparse.Namespace(**vars(args), rehearse=True), out) == code
    return [json.loads(line) for line in out.getvalue().splitlines()]


def raising(error: Exception):
    def item():
        raise error

    return item


def test_the_worker_says_where_it_is(monkeypatch) -> None:
    items = [("a", lambda: {"x": 2}), ("b", raising(AssertionError("off"))), ("c", raising(KeyError("k")))]
    names, *lines, last = lines_of(monkeypatch, items)
    assert names == {"items": ["a", "b", "c"]}
    assert last == {"finished": True}
    assert [line.get("begin") for line in lines[::2]] == [0, 1, 2]
    assert lines[1]["result"] == {"x": 2}
    assert lines[3]["error"] == "off"
    assert lines[5]["error"].startswith("KeyError: 'k' (test_gpu_benchmarks.py:")
    assert [line.get("end") for line in lines_of(monkeypatch, items, skip=2)] == [None, None, 2, None]
    assert lines_of(monkeypatch, items, seconds=-1.0)[1:] == [{"finished": True}]


def test_the_worker_ends_when_the_device_is_lost(monkeypatch) -> None:
    def lost(self):
        raise RuntimeError("illegal address")

    monkeypatch.setattr(device.Host, "synchronize", lost)
    *_, last = lines_of(monkeypatch, [("a", dict), ("b", dict)], code=3)
    assert "illegal address" in last["fatal"]


def test_a_rehearsal_goes_all_the_way(tmp_path) -> None:
    command = [sys.executable, "-m", "benchmarks", "gpu", "--rehearse", "--quick", "--only", "training"]
    done = subprocess.run([*command, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    data, text = written(tmp_path)
    assert (data["cases"], data["complete"], data["rehearsal"]) == (3, True, True)
    assert text.startswith("# A rehearsal")


def test_no_time_is_no_failure_and_said(tmp_path, capsys) -> None:
    assert main(["gpu", "--rehearse", "--minutes", "0", "--only", "training", "--out", str(tmp_path)]) == 0
    data, text = written(tmp_path)
    assert (data["cases"], data["complete"], data["skipped"]) == (0, False, ["environment", "training"])
    assert "Not run, for lack of time: environment, training." in text


# the parts, on the host in the GPU's place


def test_checks_are_every_check_of_every_cell_and_case() -> None:
    from kernels.contract import CELLS
    from tests.cases import CASES
    from tests.conformance import CHECKS

    items = conformance.items(device.Host(), False, [])
    extra = len(conformance.LARGE) + 2 * len(small.CASES)
    defined = 3  # cells of a user's own
    assert len(items) == 2 * (len(CELLS) * (len(CHECKS) * len(CASES) + extra) + defined)
    shard = items[: -2 * defined][1 :: run.PARTS["conformance"].shards]  # one built-in cell and one dtype
    assert {tuple(name.split("/")[:2]) for name, _ in shard} == {(list(CELLS)[1], "float32")}
    assert max(case.H for case in conformance.LARGE) == 1024
    name, check = items[0]
    assert name == "rnn_tanh/float32/small/equations"
    assert check() == {}


@pytest.mark.parametrize(
    ("cell", "task", "dtype", "ragged"),
    [
        ("LSTM", "inference", "float32", False),
        ("GRU", "training", "float64", True),
        ("RNN", "training", "float32", False),
    ],
)
def test_a_case_is_compared_and_timed(monkeypatch, cell, task, dtype, ragged) -> None:
    pytest.importorskip("torch")
    from benchmarks.gpu import benchmark

    monkeypatch.setattr(benchmark, "BLOCK", 0.0)
    case = Case(cell, task, 5, 3, 8, dtype, ragged, "headline")
    found = benchmark.measure(device.Host(), case, quick=True)
    assert found["agrees"], found
    assert (found["ratio_tf32"] is None) == (dtype == "float64")
    assert {"ours", "theirs", "ours_host", "first_call", "path"} <= set(found)
    report.markdown(Findings(parts={"benchmark": Outcome(["x"], [{"name": "x", "seconds": 1.0, **found}])}))


def test_a_case_that_differs_is_not_timed(monkeypatch) -> None:
    pytest.importorskip("torch")
    from benchmarks.gpu import benchmark

    monkeypatch.setattr(benchmark, "disagreement", lambda a, b: float("nan") if "y" in a else 0.0)
    found = benchmark.measure(device.Host(), Case("RNN", "training", 3, 2, 4), quick=True)
    assert (found["agrees"], found["differs_most"]) == (False, "y")
    assert "ratio" not in found


def test_the_ceilings_are_measured() -> None:
    pytest.importorskip("torch")
    found: dict = {}
    for name, item in environment.items(device.Host(), False, []):
        if name != "facts":
            found |= item()
    assert found["copy_bytes_per_second"] > 0
    assert found["float64_flops_per_second"] > 0
    assert found["round_trip_seconds"] >= 0


class Event:
    """A made-up CUDA event: a clock that goes on by one each time it is read."""

    now = 0.0

    def __init__(self, enable_timing):
        self.at = 0.0

    def record(self):
        Event.now += 1.0
        self.at = Event.now

    def elapsed_time(self, other):
        return other.at - self.at


def test_the_gpu_is_timed_by_events_on_one_stream() -> None:
    stream = SimpleNamespace(cuda_stream=0, ptr=0)
    cuda = object.__new__(device.Cuda)
    cuda.torch = SimpleNamespace(cuda=SimpleNamespace(Event=Event, current_stream=lambda: stream))
    runtime = SimpleNamespace(deviceSynchronize=lambda: None)
    cuda.xp = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime, get_current_stream=lambda: stream))
    on_device, on_host = cuda.times([lambda: None] * 3)
    assert on_device == [1e-3] * 3
    assert len(on_host) == 3
    cuda.check_stream()
    stream.ptr = 2
    with pytest.raises(RuntimeError, match="must use one stream, got 2 and 0"):
        cuda.check_stream()
