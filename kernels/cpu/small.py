"""Inference of small shapes: what follows from the sizes is found once, and what remains is one call of a loop.

A step of a small layer is a microsecond of work. To ask for memory, to make views of it and to find their addresses
takes ten times as long. So all of that is kept as a `Desk`, and what goes in and comes out is copied: NumPy copies some
kilobytes sooner than it tells an array's address.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import numpy as np

from kernels.contract import Parameters, State

from .calls import DTYPES, numbers_of, state_view, weights_forward
from .emitting.cell import KernelCell
from .loops.forward import make_forward
from .loops.job import PLACE
from .running import threads
from .running.compiled import compiled
from .running.memory import take
from .running.rows import running
from .shapes import Parts, forward_shape

BYTES = 1 << 16
"""Most bytes of x and y of a call that counts as small."""

DESKS = 32
"""Shapes whose desks are kept: some megabytes at most."""

W_X, W_H, BIAS = PLACE["w_x"], PLACE["w_h"], PLACE["bias"]


class _Carried:
    """A state at a desk: where its first numbers go, and where its last are found."""

    def __init__(self, state: np.ndarray, B: int, H: int, last: int):
        self._lanes, self._left = divmod(H, state.shape[2])
        self._whole = state[:B, : self._lanes]
        self._rest = state[:B, self._lanes, : self._left] if self._left else None
        self._last, self._H = state[last : last + B], H

    def set(self, numbers: np.ndarray) -> None:
        """Fill in (B, H); past H it is 0 from the beginning, and stays what no product reads."""
        if self._rest is None:
            self._whole[...] = numbers.reshape(self._whole.shape)
        else:
            H = self._H - self._left
            self._whole[...] = numbers[:, :H].reshape(self._whole.shape)
            self._rest[...] = numbers[:, H:]

    def get(self) -> np.ndarray:
        """Return (B, H) after the last step; fresh."""
        last = numbers_of(self._last.copy(), self._H)
        return last if self._rest is None else last.copy()


class Desk:
    """Memory for an inference of one shape on one thread, views of it, and a job that holds its addresses.

    One call at a time: who uses a desk has taken it out of `desks`.
    """

    def __init__(self, cell: KernelCell, dtype: np.dtype, T: int, B: int, I: int, H: int):
        self.shape = shape = forward_shape(cell, DTYPES[dtype], T, B, T * B, I, H, 1, False)
        self._rows = rows = running(T, B, None)  # whose addresses the job has
        work, lanes, size, x_row = shape.work, shape.lanes, dtype.itemsize, int(shape.job[PLACE["x_row"]])
        parts = Parts(work=work.size, x=T * B * x_row, y=T * B * H * size)
        self._memory = memory = take(parts.size)
        memory.view(0, (memory.size,), np.uint8)[:] = 0
        self._x = memory.view(parts["x"], (T, B, I), dtype, (B * x_row, x_row, size))
        self._y = memory.view(parts["y"], (T, B, H), dtype)
        states = [state_view(memory, work[s], s, 2 * B, shape.Hp, lanes) for s in cell.spec.states]
        self._states = [_Carried(state, B, H, T % 2 * B) for state in states]
        at, sizes = memory.address, shape.job.copy()
        for name, address in {
            "offsets": rows.offsets_at, "order": rows.order_at, "meeting": at + work["meeting"],
            "scratch": at + work["scratch"], "x": at + parts["x"], "y": at + parts["y"],
            "h": at + work["h"], "c": at + work.get("c", work["h"]),
        }.items():  # fmt: skip
            sizes[PLACE[name]] = address
        self._job, self._job_at = sizes, sizes.ctypes.data
        self._loop = compiled(make_forward, cell, lanes, False).address

    def infer(self, cell: KernelCell, params: Parameters, x: np.ndarray, state0: State) -> tuple[np.ndarray, State]:
        """Return y and the final states."""
        panels_x, panels_h, bias = weights_forward(cell, params, self.shape)  # held until the loop is through
        job = self._job
        job[W_X], job[W_H], job[BIAS] = panels_x.address, panels_h.address, bias.address
        self._x[...] = x
        for state, initial in zip(self._states, state0, strict=True):
            state.set(initial)
        threads.run(self._loop, self._job_at, 1)
        return self._y.copy(), tuple([state.get() for state in self._states])


def is_small(params: Parameters, x: np.ndarray) -> bool:
    """Return whether a call of full rows is worth a desk: one thread does it, and little is copied."""
    T, B, I = x.shape
    H = params.weight_hh.shape[1]
    work = 2 * T * B * (params.weight_ih.size + params.weight_hh.size)
    return work < threads.SMALL and T * B * (I + H) * x.itemsize <= BYTES


@lru_cache(maxsize=DESKS)
def desks(name: str, dtype: np.dtype, shape: tuple[int, int, int], H: int) -> deque[Desk]:
    """Return the desks of a shape that nobody uses at the moment."""
    return deque()


def infer_small(
    name: str, cell: KernelCell, params: Parameters, x: np.ndarray, state0: State
) -> tuple[np.ndarray, State]:
    """Run all steps of full rows without a tape, at a desk."""
    H = params.weight_hh.shape[1]
    free = desks(name, x.dtype, x.shape, H)
    try:
        desk = free.pop()  # in one step, whatever other threads and signals do
    except IndexError:
        T, B, I = x.shape
        desk = Desk(cell, x.dtype, T, B, I, H)
    result = desk.infer(cell, params, x, state0)
    free.append(desk)
    return result
