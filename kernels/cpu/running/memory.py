"""Memory for tapes, panels and scratch, used again and again.

A fresh array of some megabytes costs more than it seems: the system hands out its pages one by one, zeroed, when they
are first touched, and takes them back when the array dies. A training step needs the same sizes every time, so what is
given back is kept here, up to `KEPT` bytes, and handed out again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from functools import cache
from math import prod
from typing import Any

import numpy as np

ALIGNMENT = 64
"""Bytes of a cache line: no vector lies across two."""

LARGE = 1 << 17
"""Bytes of an array from which on its memory is worth keeping; NumPy itself is quick with small ones."""

KEPT = 1 << 29
"""Most bytes that are held for later."""


def aligned(size: int) -> int:
    """Return a size in bytes, rounded up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Block:
    """A piece of memory that goes back when the last reference to it is gone. Views of it must not outlive it."""

    __slots__ = ("_home", "_room", "address", "size")

    def __init__(self, room: np.ndarray, home: deque[np.ndarray]):
        self._room, self._home, self.size = room, home, room.size
        self.address = room.ctypes.data

    def view(
        self, offset: int, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None = None
    ) -> np.ndarray:
        """Return part of the memory as an array."""
        return np.ndarray(shape, dtype, self._room, offset, strides)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # of one whose constructor was interrupted
            self._home.append(self._room)  # wherever a reference ends, even inside `take`: hence no lock


class _Lent:
    """A block in the form of an array, for `numpy.asarray`: the block lives as long as any view of that array."""

    __slots__ = ("__array_interface__", "_block")

    def __init__(self, block: Block, shape: tuple[int, ...], dtype: np.dtype):
        self._block = block
        self.__array_interface__ = {
            "version": 3, "shape": shape, "typestr": dtype.str, "data": (block.address, False),
        }  # fmt: skip


class _Store:
    """What has been given back, by size."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal's handler may come in between
        self.given: deque[np.ndarray] = deque()
        self._rooms: dict[int, list[np.ndarray]] = {}
        self._bytes = 0

    def take(self, size: int) -> np.ndarray:
        """Return at least so many bytes, beginning at a cache line."""
        step = max(ALIGNMENT, 1 << max(0, size.bit_length() - 4))  # at most an eighth too much, and few sizes
        size = -(-size // step) * step
        with self.lock:
            while self.given:
                room = self.given.popleft()
                self._rooms.setdefault(room.size, []).append(room)
                self._bytes += room.size
            while self._bytes > KEPT:
                other, rooms = next((other, rooms) for other, rooms in self._rooms.items() if rooms)
                rooms.pop()
                self._bytes -= other
            if self._rooms.get(size):
                self._bytes -= size
                return self._rooms[size].pop()
        room = np.empty(size + ALIGNMENT, np.uint8)
        start = -room.ctypes.data % ALIGNMENT
        return room[start : start + size]


_STORE = _Store()


def _unlock() -> None:
    _STORE.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)  # another thread may have held it


def take(size: int) -> Block:
    """Return a block of at least `size` bytes; what is in it is left over from others."""
    return Block(_STORE.take(size), _STORE.given)


def array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array for the caller to keep, unfilled; when nobody refers to it any more, its memory comes back."""
    size = prod(shape) * dtype.itemsize
    return np.empty(shape, dtype) if size < LARGE else np.asarray(_Lent(take(size), shape, dtype))


def constant(number: int, dtype: str, count: int) -> Block:
    """Return memory that holds the same number `count` times, or more often; it stays for good."""
    return _constant(number, dtype, 1 << (count - 1).bit_length())


@cache  # and not one that forgets: addresses of these blocks are kept in many places
def _constant(number: int, dtype: str, count: int) -> Block:
    block = take(count * np.dtype(dtype).itemsize)
    block.view(0, (count,), dtype)[:] = number
    return block
