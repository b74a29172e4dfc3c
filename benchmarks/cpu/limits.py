"""What this machine can do at most: fused multiply-adds a second, and bytes a second out of each level of its caches.

Both are measured with code that does nothing else. The first keeps its numbers in registers: twelve accumulators of
the host's widest vector, more than the latency of an FMA times the number of units that do them. The second adds up a
buffer again and again, of the size that a layer's recurrent weights have, each thread its own part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from time import perf_counter, sleep
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from kernels.cpu.emitting.simd import Code, Lanes, Vector, emitted, host_width

from .. import timing

ACCUMULATORS = 12
"""AVX2 has 16 registers: two for the factors, and some to spare."""

LEVELS = (1 << 14, 1 << 18, 1 << 22, 1 << 28)
"""Bytes a thread for the lines of a roofline: what lies in L1, in L2, in L3 and in memory on most machines."""


class Limits:
    """This machine's limits with a number of threads, each measured when it is first asked for.

    Parameters
    ----------
    threads : int
    seconds : float
        Length of one measurement.
    repeats : int
        Measurements; the best counts, because whatever disturbs only takes away.
    """

    def __init__(self, threads: int, seconds: float = 0.02, repeats: int = 10):
        self.threads, self.seconds, self.repeats = threads, seconds, repeats
        self._peaks: dict[str, float] = {}
        self._rates: dict[int, float] = {}

    def peak(self, dtype: str) -> float:
        """Return floating-point operations a second, two for an FMA, over all threads."""
        if dtype not in self._peaks:
            lanes = Lanes(dtype, host_width())
            spin = _fma_loop(lanes)
            room = np.zeros((self.threads, ACCUMULATORS * lanes.count), dtype)
            flops = 2 * ACCUMULATORS * lanes.count
            self._peaks[dtype] = flops * self._turns_a_second(lambda k, turns: spin(room[k].ctypes.data, turns))
        return self._peaks[dtype]

    def rate(self, size: int) -> float:
        """Return bytes a second over all threads, read out of buffers of so many bytes together (a power of two)."""
        lanes = Lanes("float32", host_width())
        block = ACCUMULATORS * lanes.width
        share = 1 << round(np.log2(max(size / self.threads, block)))
        if share not in self._rates:
            stream = _stream_loop(lanes)
            blocks = max(1, share // block)
            buffers = [_aligned_ones(blocks * block) for _ in range(self.threads)]
            sums = np.zeros((self.threads, lanes.count), np.float32)

            def read(k: int, turns: int) -> None:
                stream(buffers[k].ctypes.data, blocks, turns, sums[k].ctypes.data)

            self._rates[share] = blocks * block * self._turns_a_second(read)
        return self._rates[share]

    def _turns_a_second(self, work: Callable[[int, int], None]) -> float:
        """Return how often all threads together do what ``work(thread, turns)`` repeats."""
        turns = 1
        work(0, 0)  # compiles
        sleep(timing.REST)  # torch's threads spin for a while after their work
        while (took := in_parallel(work, turns, self.threads)) < self.seconds / 4:
            turns *= 4
        turns = max(1, round(turns * self.seconds / took))
        return self.threads * turns / min(in_parallel(work, turns, self.threads) for _ in range(self.repeats))

    def again(self) -> None:
        """Measure everything once more and keep the better: the machine may have been disturbed the first time."""
        peaks, rates = self._peaks, self._rates
        self._peaks, self._rates = {}, {}
        self._peaks = {dtype: max(best, self.peak(dtype)) for dtype, best in peaks.items()}
        self._rates = {share: max(best, self.rate(share * self.threads)) for share, best in rates.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured, as plain data."""
        return {
            "threads": self.threads,
            "flops_per_second": dict(self._peaks),
            "bytes_per_second_by_bytes_a_thread": {str(size): self._rates[size] for size in sorted(self._rates)},
        }


def _aligned_ones(size: int) -> np.ndarray:
    """Return so many bytes of numbers that begin where a cache line does: a vector across two lines is read twice.

    Written to, too: pages that nobody has written to are all the same one.
    """
    room = np.ones((size + 64) // 4, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + size // 4]


def in_parallel(work: Callable[[int, int], None], turns: int, threads: int) -> float:
    """Return the seconds from the first thread's start to the last one's end."""
    gate = threading.Barrier(threads)
    spans: list[tuple[float, float]] = []

    def run(k: int) -> None:
        gate.wait()
        start = perf_counter()
        work(k, turns)
        spans.append((start, perf_counter()))

    others = [threading.Thread(target=run, args=(k,)) for k in range(1, threads)]
    for thread in others:
        thread.start()
    run(0)
    for thread in others:
        thread.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)


def _intrinsic(name: str, arguments: int, body: Callable[..., None], lanes: Lanes) -> Any:
    """Return what numba wants of an intrinsic of integers: its signature, and what to emit at each call."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        builder.call(emitted(builder.module, name, arguments, body, lanes), values)
        return context.get_dummy_value()

    return types.void(*[types.int64] * arguments), generate


@cache
def _fma_loop(lanes: Lanes) -> Any:
    """Return ``spin(address, turns)``: FMAs on the vectors at an address, each waiting for itself alone."""

    def body(code: Code, address: ir.Value, turns: ir.Value) -> None:
        start = [code.load(address, k * lanes.width) for k in range(ACCUMULATORS)]
        with code.loop(turns, *(vector.value for vector in start)) as loop:
            # x ← x/2 + 1 goes to 2 and stays there: no overflow, and nothing so small that it takes longer.
            loop.next = [Vector(code, value).fma(0.5, 1.0).value for value in loop.values]
        for k, value in enumerate(loop.values):
            code.store(Vector(code, value), address, k * lanes.width)

    def emitting(typing, address, turns):
        return _intrinsic(f"fma_{lanes.suffix}", 2, body, lanes)

    emit: Any = intrinsic(emitting)

    @njit(nogil=True)
    def spin(address: int, turns: int) -> None:
        emit(address, turns)

    return spin


@cache
def _stream_loop(lanes: Lanes) -> Any:
    """Return ``stream(address, blocks, turns, out)``: add up the vectors of a buffer, `turns` times."""

    def body(code: Code, address: ir.Value, blocks: ir.Value, turns: ir.Value, out: ir.Value) -> None:
        builder, zeros = code.builder, [code.splat(0).value] * ACCUMULATORS
        with code.loop(turns, *zeros) as turn:
            with code.loop(blocks, *turn.values) as block:
                offset = builder.mul(block.index, ir.Constant(block.index.type, ACCUMULATORS * lanes.width))
                place = builder.add(address, offset)
                block.next = [
                    (Vector(code, value) + code.load(place, k * lanes.width)).value
                    for k, value in enumerate(block.values)
                ]
            turn.next = block.values
        total = sum((Vector(code, value) for value in turn.values[1:]), Vector(code, turn.values[0]))
        code.store(total, out)

    def emitting(typing, address, blocks, turns, out):
        return _intrinsic(f"stream_{lanes.suffix}", 4, body, lanes)

    emit: Any = intrinsic(emitting)

    @njit(nogil=True)
    def stream(address: int, blocks: int, turns: int, out: int) -> None:
        emit(address, blocks, turns, out)

    return stream
