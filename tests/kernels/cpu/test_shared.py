"""What several loops call: compiled once, and there again when a loop that calls it comes from the disk."""

from __future__ import annotations

import ctypes

import numba
import pytest

from kernels.cpu.emitting.integers import Shared, call, shared_function, written
from kernels.cpu.emitting.microkernel import ALONG_K, make_tiles
from kernels.cpu.emitting.simd import INT, Code, Lanes, emitted, host_width
from kernels.cpu.loops.forward import make_forward
from kernels.cpu.recurrence import CELLS
from kernels.cpu.running import compiled as compiling

LANES = Lanes("float64", 16)
ADDED = (40, 41)


def make_sums():
    """Return a function that tells where two are, each of which adds a number of its own to that at an address."""

    def add(number, code, address):
        place = code.pointer(address)
        code.builder.store(code.builder.add(code.builder.load(place, typ=INT), INT(number)), place)

    def tell(address: int) -> None:
        code = Code(address.builder, LANES)
        for k, number in enumerate(ADDED):
            one = emitted(code.builder.module, SUMS.names[k], 1, lambda *given, n=number: add(n, *given), LANES)
            code.builder.store(code.builder.ptrtoint(one, INT), code.pointer(address.value, 8 * k))

    told = written(tell)

    def sums(thread, address):
        told(address)

    return sums


SUMS = Shared(make_sums, (), ("a test's first sum", "a test's second sum"))


def make_caller(k):
    """Return a loop that calls one of them."""

    def through(code, address):
        code.builder.call(shared_function(code.builder.module, SUMS, k, 1), [address])

    def go(address: int) -> None:
        call("through", through, LANES, address)

    gone = written(go)

    def caller(thread, address):
        gone(address)

    return caller


@pytest.fixture
def new_process(tmp_path, monkeypatch):
    """A function that compiles a caller and calls it as a new process would; what was compiled, and not on the disk."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiling, "compiled", compiling.compiled.__wrapped__)
    made, new = [], compiling._new

    def noted(function):
        made.append(new(function))
        return made[-1]

    monkeypatch.setattr(compiling, "_new", noted)

    def compiled(*which):
        made.clear()
        monkeypatch.setattr(compiling, "_linked", {})
        for k in which:
            number = ctypes.c_int64(1)
            compiling.compiled(make_caller, k).ctypes(0, ctypes.addressof(number))
            assert number.value == 1 + ADDED[k]
        assert SUMS in compiling._linked
        return sorted(one.__name__.partition("_")[0] for one in made if not one.cache_hits)

    return compiled


def test_two_loops_share_what_both_call(new_process):
    assert new_process(0, 1) == ["caller", "caller", "sums"]


def test_a_loop_from_the_disk_finds_what_it_calls(new_process):
    assert new_process(0) == ["caller", "sums"]
    assert new_process(0) == []


def test_what_is_gone_from_the_disk_is_made_anew(new_process, tmp_path):
    new_process(1)
    gone = [path for path in tmp_path.rglob("*.nbc") if ".sums" in path.name or path.name.startswith("sums")]
    assert gone
    for path in gone:
        path.unlink()
    assert new_process(1) == ["sums"]


def test_no_tile_is_in_a_loop():
    """Every loop would be compiled with its own, which is most of the work."""
    lanes = Lanes("float32", host_width())
    loop = compiling._new(make_forward(CELLS["rnn_tanh"], lanes, False))
    loop.compile()
    tiles = [line for line in loop.inspect_llvm().splitlines() if '"tile.' in line]
    assert any(line.startswith("declare") for line in tiles)
    assert not any(line.startswith("define") for line in tiles)
    assert any(shared.make is make_tiles and ALONG_K in shared.arguments for shared in compiling._linked)
