"""What is compiled, and when; what is kept on disk; and that float32 stays float32."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from unittest import mock

import numba
import pytest
from numba.core import event

from kernels.cpu import recurrence
from kernels.cpu.emitting.integers import call, written
from kernels.cpu.emitting.pointwise import sigmoid
from kernels.cpu.emitting.simd import Lanes, host_width
from kernels.cpu.loops.backward import make_backward
from kernels.cpu.loops.forward import make_forward
from kernels.cpu.running import compiled as compiling
from kernels.cpu.running.packing import make_pack_columns, make_pack_rows
from tests.kernels.cpu.setup import ROOT, in_a_process


def nothing_before_it_is_called():
    listener = event.RecordingListener()
    event.register("numba:compile", listener)
    event.register("numba:llvm_lock", listener)
    import numpy as np

    from kernels import cpu
    from kernels.contract import Parameters
    from kernels.cpu.running import compiled as compiling

    cell = cpu.cell("rnn_relu")
    assert compiling.compiled.cache_info().misses == 0, "importing compiles"
    assert not listener.buffer, "importing compiles"
    made = []
    new = compiling._new

    def noted(function):
        made.append(function.__qualname__.partition(".")[0])
        return new(function)

    compiling._new = noted
    params = Parameters(np.ones((4, 3), "f4"), np.ones((4, 4), "f4"), None, None)
    x, state0 = np.ones((2, 1, 3), "f4"), (np.zeros((1, 4), "f4"),)
    cell.infer(params, x, state0)
    assert made.count("make_loop") == 1
    assert "make_loop_back" not in made
    *_, tape = cell.forward(params, x, state0)
    assert made.count("make_loop") == 2  # another, that writes a tape
    assert "make_loop_back" not in made
    assert cell.backward(params, tape, None, (None,), frozenset())[0] is None
    assert "make_loop_back" not in made  # nothing is needed, so nothing runs
    before = len(made)
    cell.infer(params, x[:1], state0)
    cell.forward(params, x[:1], state0)
    assert len(made) == before  # other sizes, the same code
    cell.backward(params, tape, None, (None,), frozenset({"x"}))
    assert made.count("make_loop_back") == 1


def test_only_what_is_called_is_compiled():
    in_a_process(nothing_before_it_is_called)


def make_nothing(what):
    """Return the smallest of jobs."""

    def nothing(thread, address):
        return

    return nothing


@pytest.fixture
def compile_nothing(tmp_path, monkeypatch):
    """A function that compiles `make_nothing` as a new process would, and says whether it came from the disk."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    made = []
    new = compiling._new

    def noted(function):
        made.append(new(function))
        return made[-1]

    monkeypatch.setattr(compiling, "_new", noted)

    def compile_(*arguments):
        compiling.compiled.__wrapped__(make_nothing, *arguments)
        return made[-1].cache_hits == 1

    return compile_


def test_a_change_of_any_of_the_files_is_noticed(compile_nothing, monkeypatch):
    """The function's own file is the same all the time."""
    assert [compile_nothing("a") for _ in range(2)] == [False, True]
    assert [compile_nothing("b") for _ in range(2)] == [False, True]
    monkeypatch.setattr(compiling, "SOURCES", "another microkernel.py")
    assert [compile_nothing("a") for _ in range(2)] == [False, True]


def test_every_file_is_in_the_fingerprint(tmp_path, monkeypatch):
    folder = tmp_path / "cpu"
    shutil.copytree(ROOT / "kernels" / "cpu", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shared = ("contract.py", "definition.py")
    for name in shared:
        shutil.copy(ROOT / "kernels" / name, tmp_path)
    monkeypatch.setattr(compiling, "__file__", str(folder / "running" / "compiled.py"))
    seen = {compiling._fingerprint()}
    files = [*(tmp_path / name for name in shared), *sorted(folder.rglob("*.py"))]
    assert {"recurrence.py", "microkernel.py", "threads.py"} <= {path.name for path in files}  # rooms and all
    for path in files:
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        seen.add(compiling._fingerprint())
    assert len(seen) == 1 + len(files)


READ_ONLY = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from kernels import cpu
    from kernels.contract import Parameters
    params = Parameters(np.full((2, 1), 0.5), np.full((2, 2), 0.25), None, None)
    y, _ = cpu.cell("rnn_relu").infer(params, np.ones((2, 1, 1)), (np.zeros((1, 2)),))
assert y.tolist() == [[[0.5, 0.5]], [[0.75, 0.75]]], y
for warning in caught:
    print(warning.category.__name__, warning.message)
"""


def test_where_nothing_can_be_kept(tmp_path):
    """A file stands wherever numba would make a folder: root, too, can make none below it."""
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (tmp_path / "kernels", *(path.parent for path in (tmp_path / "kernels").rglob("__init__.py"))):
        (folder / "__pycache__").write_text("")
    nowhere = str(tmp_path / "kernels" / "__pycache__" / "below")
    folders = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), nowhere)
    ended = subprocess.run(
        [sys.executable, "-c", READ_ONLY], cwd=tmp_path, text=True, capture_output=True, timeout=300, check=False,
        env={**os.environ, **folders, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("RuntimeWarning")
    assert "NUMBA_CACHE_DIR" in lines[0]


def code_of(function):
    """Return what LLVM makes of a function, with all that it calls; one that comes from the disk has no text."""
    made = compiling._new(function)
    with mock.patch.object(compiling, "link", wraps=compiling.link) as link:
        made.compile()
    shared = dict.fromkeys(call.args[0] for call in link.call_args_list)
    return "\n".join([made.inspect_llvm(), *map(shared_code, shared)])


@cache
def shared_code(shared):
    """Return what LLVM makes of functions that many loops call."""
    made = compiling._new(shared.make(*shared.arguments))
    made.compile()
    return made.inspect_llvm()


def make_loop(name, kind, dtype):
    cell, lanes = recurrence.CELLS[name], Lanes(dtype, host_width())
    return make_backward(cell, lanes) if kind == "backward" else make_forward(cell, lanes, kind == "forward")


@pytest.mark.parametrize(("name", "kind"), [("lstm", "forward"), ("gru", "backward")])
def test_float32_never_passes_through_float64(name, kind):
    """These two hold every tile, both nonlinearities and both kinds of a step."""
    text = code_of(make_loop(name, kind, "float32"))
    assert re.search(r"<\d+ x float>", text)
    assert re.search(r'^define .*"tile\.', text, re.MULTILINE)
    assert not re.findall(r".*\bdouble\b.*", text)[:3]


@pytest.mark.parametrize("make", [make_pack_rows, make_pack_columns])
def test_packing_keeps_the_dtype(make):
    for dtype, own, other in (("float32", "float", "double"), ("float64", "double", "float")):
        text = code_of(make(Lanes(dtype, host_width())))
        assert re.search(rf"<\d+ x {own}>", text)
        assert not re.search(rf"\b{other}\b", text)


def test_numbers_are_rounded_to_the_dtype():
    """A Python number that meets a vector of float32 becomes one."""
    lanes = Lanes("float32", host_width())

    def emit(code, at):
        code.store(sigmoid(code.load(at) * 0.1 + 1 / 3), at)

    @written
    def one(at: int) -> None:
        call("one", emit, lanes, at)

    def job(thread, address):
        one(address)

    assert not re.search(r"\bdouble\b", code_of(job))


def test_every_key_has_files_of_its_own(compile_nothing, tmp_path):
    """Else two processes that compile at the same time may give two pieces of code the same name."""
    compile_nothing("a")
    compile_nothing("b")
    compile_nothing("a")
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) == 4, names  # an index and the code of each
    assert len({name.removesuffix(".nbi").removesuffix(".1.nbc") for name in names}) == 2, names


COMPILE_ONE = """
import sys
from tests.cases import CASES
from tests.conformance import assert_close, outputs
from kernels import cpu
from rnn_core import equations
case = next(case for case in CASES if case.name == "tails-of-tiles")
for name in sys.argv[1:]:
    problem = case.problem(name, "float64")
    found, expected = (
        outputs(problem, *made.infer(problem.params, problem.x, problem.state0, problem.lengths))
        for made in (cpu.cell(name), equations.cell(name))
    )
    assert_close(found, expected, problem)
"""
"""Inference alone: a loop that compiles in a second. test_defined.py does the same with loops back."""


def test_code_of_two_processes_stays_apart_in_a_third(tmp_path):
    """numba tells functions of one source line apart by a number that begins anew in each process."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for names in (["rnn_tanh"], ["rnn_sigmoid"], ["rnn_sigmoid", "rnn_tanh"]):
        ended = subprocess.run(
            [sys.executable, "-c", COMPILE_ONE, *names], cwd=ROOT, env=environment, text=True, capture_output=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr


def kept(folder):
    """Return the files that hold machine code, and their indexes, by what their names end in."""
    return {path.suffix: path for path in folder.rglob("*") if path.is_file()}


CUTS = (0, 1, 20, 30, 60, 200, -1)
"""Bytes that are left of a file; negative: all but so many."""


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("left", CUTS)
def test_a_file_that_was_cut_short_is_made_anew(compile_nothing, tmp_path, suffix, left):
    """As a full disk or a killed machine leaves it."""
    assert [compile_nothing("a") for _ in range(2)] == [False, True]
    path = kept(tmp_path)[suffix]
    path.write_bytes(path.read_bytes()[:left])
    with pytest.warns(RuntimeWarning, match=f"compiled anew, because .*{re.escape(path.name)} can't be used") as found:
        assert not compile_nothing("a")
    assert len(found) == 1
    assert compile_nothing("a")  # it has been written over, and nobody is warned any more


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_file_with_another_byte_in_it_is_made_anew(compile_nothing, tmp_path, suffix):
    """Machine code is never run unless it is what was compiled, and no byte is unpickled before that is known."""
    compile_nothing("a")
    path = kept(tmp_path)[suffix]
    whole = path.read_bytes()
    for place in (0, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.warns(RuntimeWarning, match="can't be used: it is damaged"):
            assert not compile_nothing("a")
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.warns(RuntimeWarning, match="can't be used: it is damaged"):
        assert not compile_nothing("a")
    assert compile_nothing("a")


def test_a_helper_is_made_anew_too(tmp_path, monkeypatch):
    """What Python calls by itself is kept the same way, and is as old as the oldest of the kernels' files."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def twice(number):
        return 2 * number

    def hits():
        made = compiling.helper(twice)
        assert made(3) == 6
        return sum(made.stats.cache_hits.values())

    assert [hits() for _ in range(2)] == [0, 1]
    path = kept(tmp_path)[".nbc"]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(RuntimeWarning, match="can't be used: it is damaged"):
        assert hits() == 0
    assert hits() == 1
    monkeypatch.setattr(compiling, "SOURCES", "another simd.py")
    assert [hits() for _ in range(2)] == [0, 1]
