"""`FileArray`: an array in a file, of which what is asked for is read, and nothing stays in memory."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ...foreign import named, one_line, shown
from ...layers.checks import positive_int
from .unchanged import Seen

HERE = "FileArray"

OPEN = ("_descriptor", "_close", "_lock")
"""What a copy in another process has of its own."""

AT_ONCE = 1 << 24
"""Bytes of a piece, where all of an array is gone through."""


class FileArray:
    """An array in a file. What is taken of it, by a slice or by numbers of its first axis, is read into a new array.

    A memory map does the same for a program that never asks how much memory it has: pages that were read count as
    resident until the system wants them back. Here they are the system's alone, and a file that was cut short, or that
    somebody writes to, is an error instead of a signal that ends the process.

    Parameters
    ----------
    path : path
        A ``.npy`` file, as ``numpy.save`` writes it; with `dtype` a file of numbers and nothing else.
    dtype : dtype, optional
        Of such a file.
    shape : tuple of int, optional
        Of such a file; by default (N,), all there is.
    offset : int
        Bytes of such a file that come before.

    Attributes
    ----------
    path : str
    shape : tuple of int
    dtype : dtype
    ndim, size : int

    Raises
    ------
    ValueError
        The file is no ``.npy``, holds something else than numbers in C order, or is shorter than its header says.
    TypeError
        `dtype` is none of numbers.
    OSError
        It can't be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/tokens.npy", np.arange(10, dtype=np.uint16))
    ...     tokens = FileArray(f"{folder}/tokens.npy")
    ...     print(tokens, tokens[3:6], tokens[[7, 0]])
    FileArray(uint16, (10,)) [3 4 5] [7 0]
    """

    def __init__(
        self, path: str | os.PathLike[str], *, dtype: Any = None, shape: tuple[int, ...] | None = None, offset: int = 0
    ) -> None:
        self.path = os.path.abspath(path)
        self._open()
        try:
            if dtype is None:
                if shape is not None or offset:
                    raise ValueError(f"{HERE}: shape and offset must come with dtype; a .npy file says its own")
                self.dtype, self.shape, self._offset = _header(self.path)
            else:
                self.dtype, self._offset = _numbers(dtype), positive_int(HERE, "offset + 1", offset + 1) - 1
                left = max(self._seen.size - self._offset, 0)
                self.shape = (left // self.dtype.itemsize,) if shape is None else tuple(map(int, shape))
            self.ndim, self.size = len(self.shape), int(np.prod(self.shape, dtype=np.int64))
            if not self.ndim or self.size < 1:
                raise ValueError(f"{HERE}: {named(self.path)} must hold at least one number in rows, got {self.shape}")
            if (needed := self._offset + self.size * self.dtype.itemsize) > self._seen.size:
                raise ValueError(
                    f"{HERE}: {named(self.path)} must have {needed:,} bytes for {self.dtype} of shape {self.shape}, "
                    f"got {self._seen.size:,}; it was cut short, so write it again"
                )
        except BaseException:
            self._close()
            raise
        self._row = self.size // self.shape[0]  # numbers of a row

    def _open(self) -> None:
        self._lock = Lock()
        self._descriptor, self._seen = _opened(self.path)
        self._close = weakref.finalize(self, os.close, self._descriptor)  # with the last that refers to the array

    def __repr__(self) -> str:
        return f"FileArray({self.dtype}, {self.shape})"

    def __len__(self) -> int:
        """The rows, of the first axis."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return some rows: those of a slice, or of integers in any order."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self._read(start, max(stop, start))[::step] if step > 0 else self[np.arange(len(self))[rows]]
        if isinstance(rows, int | np.integer):
            return self[np.array([rows])][0]
        rows = np.asarray(rows)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise TypeError(f"{HERE}: rows must be a slice or integers of shape (n,), got {shown(rows)}")
        rows = rows.astype(np.int64)
        rows[rows < 0] += len(self)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"{HERE}: rows must be in 0…{len(self) - 1}, got {shown(rows)}")
        return self._take(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all of it, in memory."""
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in OPEN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        before = self._seen
        self._open()
        if self._seen != before:
            self._close()
            raise ValueError(
                f"{HERE}: {named(self.path)} must be the file that it was in the process before, got another"
            )

    def pieces(self, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all of it, one piece of some rows behind the other, each with the number of its first row."""
        rows = max(1, AT_ONCE // (self._row * self.dtype.itemsize)) if rows is None else rows
        for start in range(0, len(self), rows):
            yield start, self[start : start + rows]

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """Return rows in any order; those that lie side by side are read at once."""
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        lying = rows[order]
        cuts = np.flatnonzero(np.diff(lying) > 1) + 1
        for places in np.split(np.arange(len(rows)), cuts):
            if len(places):
                first, last = lying[places[0]], lying[places[-1]]
                found[order[places]] = self._read(first, last + 1)[lying[places] - first]
        return found

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` up to `stop`."""
        found = np.empty((stop - start, *self.shape[1:]), self.dtype)
        into = found.reshape(-1).view(np.uint8).data
        at = self._offset + int(start) * self._row * self.dtype.itemsize
        try:
            self._seen.check(HERE, self.path, os.fstat(self._descriptor))
            done = 0
            while done < len(into):
                some = self._read_into(into[done:], at + done)
                if not some:
                    raise ValueError(f"{HERE}: {named(self.path)} must hold row {stop - 1}, got its end before")
                done += some
        except OSError as error:
            why = error.strerror or one_line(error)
            raise type(error)(f"{HERE}: {named(self.path)} can't be read: {why}") from error
        return found

    def _read_into(self, into: memoryview, at: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [into], at)
        with self._lock:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            found = os.read(self._descriptor, len(into))
        into[: len(found)] = found
        return len(found)


def file_array_of(array: np.ndarray) -> FileArray | np.ndarray:
    """Return a memory map as the file that it maps, if what it shows lies there just so; else the array as it is.

    That is a map, or a part of one, without gaps, and without changes that its file doesn't have.
    """
    whole = getattr(array, "_mmap", None)
    mode, name = getattr(array, "mode", None), getattr(array, "filename", None)
    if not isinstance(whole, mmap.mmap) or mode not in ("r", "r+", "w+") or not isinstance(name, str | Path):
        return array
    if not (array.flags.c_contiguous and array.ndim and array.size and array.dtype.kind in "biufc"):
        return array
    offset: int = array.offset  # type: ignore[attr-defined]  # of the whole map, in parts of it too
    first = np.frombuffer(whole, np.uint8).__array_interface__["data"][0]
    at = offset - offset % mmap.ALLOCATIONGRANULARITY + array.__array_interface__["data"][0] - first
    return FileArray(name, dtype=array.dtype, shape=array.shape, offset=at)


def _opened(path: str) -> tuple[int, Seen]:
    """Return the descriptor of a file, and what it is now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise type(error)(f"{HERE}: {named(path)} can't be read: {error.strerror or one_line(error)}") from error
    return descriptor, Seen.of(os.fstat(descriptor))


def _numbers(dtype: Any) -> np.dtype:
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        found = np.dtype(object)
    if found.kind not in "biufc":
        raise TypeError(f"{HERE}: dtype must be one of numbers, got {shown(dtype)}")
    return found


def _header(path: str) -> tuple[np.dtype, tuple[int, ...], int]:
    """Return what a ``.npy`` file says of itself: dtype, shape, and where its numbers begin."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            start = file.tell()
    except (ValueError, OSError, EOFError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"{HERE}: {named(path)} must be a .npy file, got another or a damaged one ({one_line(error, 80)}); "
            "dtype= reads a file of numbers alone"
        ) from error
    if dtype.kind not in "biufc" or (fortran and len(shape) > 1):
        order = " in Fortran's order" if fortran else ""
        raise ValueError(
            f"{HERE}: {named(path)} must hold numbers in C order, got {dtype}{order}; "
            "numpy.save(path, numpy.ascontiguousarray(array)) writes it so"
        )
    return dtype, shape, start
