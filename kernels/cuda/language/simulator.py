"""A GPU made of Python threads: every thread of every block at once, so that a barrier among blocks means something.

numba's own simulator runs one block after another. That is silently wrong where blocks wait for one another, as they
do here in every time step. What a kernel can say is what kernels/cuda/language/device.py lists; arrays are NumPy's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

WARP, VECTOR = 32, 16  # as in kernels/cuda/language/device.py, which imports this file

_here = threading.local()


class _Block:
    """What the threads of a block share."""

    def __init__(self, threads: int, shared_bytes: int):
        self.together = threading.Barrier(threads)
        self.mail: dict[int, Any] = {}  # by thread, for what the lanes of a warp do together
        self.warps = [threading.Barrier(min(WARP, threads - first)) for first in range(0, threads, WARP)]
        self.shared = np.zeros(-(-shared_bytes // 8), np.float64)
        self.shared.view(np.uint8)[:] = 0xFF  # NaN, as a float: what nobody wrote shows


class _Grid:
    """What the blocks of a launch share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.error: BaseException | None = None


class _Cuda:
    """What kernels know as `cuda`."""

    threadIdx = property(lambda self: _here.thread)
    blockIdx = property(lambda self: _here.block_index)
    gridDim = property(lambda self: _here.grid_size)

    def __init__(self) -> None:
        self.local = SimpleNamespace(array=lambda shape, dtype: np.full(shape, np.nan, dtype))

    @staticmethod
    def syncthreads() -> None:
        _here.block.together.wait()

    @staticmethod
    def syncwarp() -> None:
        _here.block.warps[_here.thread.x // WARP].wait()


cuda = _Cuda()


def device_function(function: F) -> F:
    """Return a function that kernels call: here, itself."""
    return function


def shared_memory(real: Any) -> Any:
    """Return the block's shared memory as numbers."""
    return _here.block.shared.view(real)


exp, log, sqrt, tanh = np.exp, np.log, np.sqrt, np.tanh


def normal(number: Any) -> Any:
    """Return a number, and 0 where it is smaller than the smallest normal one."""
    return type(number)(0) if number < np.finfo(type(number)).tiny else number


def load_vector(source: Any, at: int) -> tuple[Any, ...]:
    """Return the numbers of a vector."""
    _check_aligned(source, at)
    return tuple(source[at : at + VECTOR // source.itemsize])


def store_vector(target: Any, at: int, numbers: tuple[Any, ...]) -> None:
    """Write the numbers of a vector."""
    _check_aligned(target, at)
    target[at : at + len(numbers)] = numbers


def _check_aligned(array: Any, at: int) -> None:
    length = VECTOR // array.itemsize
    if at % length or not 0 <= at <= len(array) - length:
        raise IndexError(f"a vector must begin at a multiple of {length} within {len(array)} numbers, got {at}")


def arrive(counters: Any, at: int) -> None:
    """Add 1 to a counter."""
    with _here.grid.changed:
        counters[at] += 1
        _here.grid.changed.notify_all()


def wait(counters: Any, at: int, target: int) -> None:
    """Wait until a counter has reached a target."""
    grid = _here.grid
    with grid.changed:
        grid.changed.wait_for(lambda: counters[at] >= target or grid.error)
    if grid.error:
        raise threading.BrokenBarrierError


def to_tf32(number: Any) -> Any:
    """Return a float32 rounded to the nearest with 10 bits of mantissa."""
    bits = np.asarray(number, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def mma(c: Any, a: Any, b: Any) -> tuple[Any, ...]:
    """Return c + a·b, of the factors that all lanes of the warp hold: 16 rows, 8 slots, 8 k."""
    thread, mail = _here.thread.x, _here.block.mail
    lane, first = thread % WARP, thread - thread % WARP
    mail[thread] = to_tf32(np.array(a)), to_tf32(np.array(b))
    cuda.syncwarp()

    def total(row: int, slot: int) -> Any:
        return sum(
            np.float64(mail[first + row % 8 * 4 + k % 4][0][row // 8 + k // 4 * 2])
            * mail[first + slot * 4 + k % 4][1][k // 4]
            for k in range(8)
        )

    g, t = lane // 4, lane % 4
    places = ((g, 2 * t), (g, 2 * t + 1), (g + 8, 2 * t), (g + 8, 2 * t + 1))
    result = tuple(np.float32(old + total(*place)) for old, place in zip(c, places, strict=True))
    cuda.syncwarp()
    return result


def launch(kernel: Callable[..., Any], grid: tuple[int, int], threads: int, shared_bytes: int, arguments: Any) -> None:
    """Run a kernel to its end.

    Raises
    ------
    Exception
        What any thread raised first; the others are stopped at their next barrier.
    """
    flat = tuple(a.reshape(-1) if isinstance(a, np.ndarray) else a for a in arguments)
    whole = _Grid()
    blocks = {(x, y): _Block(threads, shared_bytes) for x in range(grid[0]) for y in range(grid[1])}

    def run(place: tuple[int, int], thread: int) -> None:
        _here.grid, _here.block = whole, blocks[place]
        _here.thread = SimpleNamespace(x=thread)
        _here.block_index = SimpleNamespace(x=place[0], y=place[1])
        _here.grid_size = SimpleNamespace(x=grid[0], y=grid[1])
        try:
            with np.errstate(all="ignore"):
                kernel(*flat)
        except threading.BrokenBarrierError:
            pass  # another thread has failed
        except BaseException as error:  # noqa: BLE001  # it is raised again, by the caller's thread
            with whole.changed:
                whole.error = whole.error or error
                whole.changed.notify_all()
            for block in blocks.values():
                for barrier in (block.together, *block.warps):
                    barrier.abort()

    workers = [threading.Thread(target=run, args=(p, t), daemon=True) for p in blocks for t in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if whole.error:
        raise whole.error
