"""What is measured on: the GPU, through CuPy for our side and torch for the other, both on one stream.

`Host` has the same functions over NumPy and torch's CPU. It rehearses a run where there is no GPU; what it measures
means nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from time import perf_counter
from typing import Any

POISON = 1 << 28
"""Bytes of the memory pool that are made NaN, so that what is never written shows."""


def reason() -> str:
    """Return "" where there is a GPU, otherwise why there is none."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy can't be imported ({' '.join(str(error).split())[:200]})"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # CuPy's own errors are RuntimeErrors
        return " ".join(str(error).split())
    return "" if count else "CuPy finds no device"


class Cuda:
    """The GPU."""

    backend = "cuda"
    place = "cuda"  # torch's name of it

    def __init__(self) -> None:
        self.xp = importlib.import_module("cupy")

    @cached_property
    def torch(self) -> Any:
        """torch, if it can use the GPU."""
        torch = importlib.import_module("torch")
        if not torch.cuda.is_available():
            raise RuntimeError(f"torch must be built for CUDA and see the GPU, got torch {torch.__version__}")
        return torch

    def synchronize(self) -> None:
        """Wait until all is done; an error of a kernel comes up here at the latest."""
        self.xp.cuda.runtime.deviceSynchronize()

    def poison(self) -> None:
        """Leave NaN (as an integer: −1) in the memory that the next arrays get."""
        pool = self.xp.get_default_memory_pool()
        pool.free_all_blocks()
        room = self.xp.empty(POISON, dtype=self.xp.uint8)
        room.fill(0xFF)

    def check_stream(self) -> None:
        """Raise RuntimeError unless CuPy and torch work on one stream: otherwise one's events don't see the other."""
        mine, peer = self.xp.cuda.get_current_stream().ptr, self.torch.cuda.current_stream().cuda_stream
        if mine != peer:
            raise RuntimeError(
                f"CuPy and torch must use one stream, got {mine} and {peer}; unset CUPY_CUDA_PER_THREAD_DEFAULT_STREAM"
            )

    def times(self, calls: Sequence[Callable[[], object]]) -> tuple[list[float], list[float]]:
        """Return for each of some calls, made one right after another, the seconds between two events, and the host's.

        The device's time is that between the events before and after a call. The host's ends when the call returns.
        """
        events = [self.torch.cuda.Event(enable_timing=True) for _ in range(len(calls) + 1)]
        host = []
        self.synchronize()
        events[0].record()
        for call, event in zip(calls, events[1:], strict=True):
            start = perf_counter()
            call()
            host.append(perf_counter() - start)
            event.record()
        self.synchronize()
        return [a.elapsed_time(b) / 1e3 for a, b in pairwise(events)], host


class Host:
    """The host in the GPU's place, for a rehearsal."""

    backend = "cpu"
    place = "cpu"

    def __init__(self) -> None:
        self.xp = importlib.import_module("numpy")

    @cached_property
    def torch(self) -> Any:
        """torch."""
        return importlib.import_module("torch")

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def poison(self) -> None:
        """Nothing to poison: NumPy takes its memory where it likes."""

    def check_stream(self) -> None:
        """There are no streams."""

    def times(self, calls: Sequence[Callable[[], object]]) -> tuple[list[float], list[float]]:
        """Return the seconds of each call, twice."""
        seconds = []
        for call in calls:
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
        return seconds, seconds


Device = Cuda | Host


def open_device(rehearse: bool) -> Device:
    """Return the GPU, or the host for a rehearsal."""
    return Host() if rehearse else Cuda()
