"""A safetensors file that is open: its strings, the shapes of its arrays, and the arrays, proved by checksums."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ..foreign import one_line, parse_json, shown
from .checksums import check_arrays, stored_checksums
from .kinds import LOOKED_AT, kind_of

Path = str | os.PathLike[str]

NAME = "model.safetensors"
"""The file in a folder that is named for a model: as ``rnn-core train`` and Hugging Face's libraries call theirs."""


@dataclass(frozen=True)
class Contents:
    """What is in an open file.

    Attributes
    ----------
    metadata : dict of str to str
        The strings of its header, in order.
    shapes : dict of str to tuple of int
        Of every array, as the header says.
    """

    where: str
    path: str
    file: Any
    sums: dict[str, str] | None
    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array; errors are those of `read_arrays`."""
        arrays = {}
        for name in self.shapes:
            try:
                arrays[name] = array = self.file.get_tensor(name)
                if array.dtype.isbuiltin == 2:  # bfloat16 is one of NumPy's names where ml_dtypes has been imported
                    raise TypeError(f"{array.dtype.name} is another package's")
            except (TypeError, AttributeError, SafetensorError) as error:  # of bfloat16, of float8, of six bits
                raise TypeError(
                    f"{self.where}: {one_line(name, 60)} in {self.path!r} must have a dtype that NumPy has: "
                    f"{one_line(error)}; convert it with the program that wrote it"
                ) from error
            except ValueError as error:
                raise ValueError(
                    f"{self.where}: {one_line(name, 60)} in {self.path!r} must have a shape that NumPy has, got "
                    f"{shown(self.shapes[name])}: {one_line(error)}"
                ) from error
        if self.sums is not None:
            with _damaged(self.where, self.path):
                check_arrays(self.sums, arrays)
        return arrays


@contextlib.contextmanager
def opened(where: str, path: Path, name: str = "path") -> Iterator[Contents]:
    """Open a safetensors file, and tell a missing, a foreign and a broken one apart.

    Parameters
    ----------
    where : str
        The function to name in errors.
    path : path
        The file, or a folder with a `NAME` in it.
    name : str
        What that function calls it.

    Raises
    ------
    ValueError
        It is no safetensors file, cut short or damaged.
    OSError
        It is missing or can't be read.
    """
    try:
        path = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{where}: path must be a path, got {shown(path)}") from None
    path = _in_folder(where, path)
    start, end = _read_ends(where, path)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(safe_open(path, framework="numpy"))
            strings = dict(sorted((file.metadata() or {}).items()))
            names = file.keys()
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        except SafetensorError as error:
            raise ValueError(
                f"{where}: {name} must be a whole safetensors file, got {path!r}, {_why(start, end, error)}"
            ) from error
        _check_keys(where, path)
        with _damaged(where, path):
            sums = stored_checksums(strings)
        yield Contents(where, path, file, sums, strings, shapes)


def read_metadata(path: Path) -> dict[str, str]:
    """Return every string in the header of a safetensors file: those of `save`, and the user's.

    Raises
    ------
    ValueError
        It is no safetensors file, cut short or damaged.
    OSError
        The file is missing or can't be read.
    """
    with opened("read_metadata", path) as contents:
        return contents.metadata


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return every array of a safetensors file, also of one that another program wrote.

    The order is that of the file, which need not be the order in which they were given to `save`.

    Raises
    ------
    ValueError
        It is no safetensors file, cut short or damaged; the message names the array.
    TypeError
        An array has a dtype that NumPy lacks, as bfloat16.
    OSError
        The file is missing or can't be read.
    """
    with opened("read_arrays", path) as contents:
        return contents.arrays()


def _in_folder(where: str, path: str) -> str:
    """Return the file that is meant: of a folder the one that is called `NAME`."""
    if not os.path.isdir(path):
        return path
    found = os.path.join(path, NAME)
    if not os.path.lexists(found):
        raise FileNotFoundError(f"{where}: {path!r} can't be read: it is a folder, and must have {NAME} in it")
    return found


def _read_ends(where: str, path: str) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file."""
    try:
        with open(path, "rb") as file:
            start = file.read(LOOKED_AT)
            file.seek(max(LOOKED_AT, file.seek(0, os.SEEK_END) - LOOKED_AT))
            return start, file.read(LOOKED_AT)
    except (OSError, ValueError) as error:  # the latter of a name with a NUL
        raise type(error)(f"{where}: {path!r} can't be read: {getattr(error, 'strerror', None) or error}") from error


def _why(start: bytes, end: bytes, error: SafetensorError) -> str:
    """Return what a file is that can't be read, in words."""
    # Such a file begins with eight bytes of length and the brace of a JSON object.
    if start[8:9] == b"{" or len(start) < 9:
        return f"which is cut short or damaged ({one_line(error) if start else 'it is empty'})"
    if kind := kind_of(start, end):
        return f"which is {kind.name}; {kind.way_in}"
    return f"which is no safetensors file ({one_line(error)})"


def _check_keys(where: str, path: str) -> None:
    """Raise ValueError if the header names something twice: the library would take the last in silence."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        parse_json(where, f"the header of {path!r}", file.read(length), unique=True)


@contextlib.contextmanager
def _damaged(where: str, path: str) -> Iterator[None]:
    """Say in an error of the checksums which file it is, and what to do."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"{where}: {path!r} is damaged: {error}; take a copy of it, or see what is left with "
            "safetensors.numpy.load_file"
        ) from error
