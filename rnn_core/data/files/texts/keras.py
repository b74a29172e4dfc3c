"""Keras's ``imdb.npz``: rows of word numbers and their labels."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....foreign import one_line, shown
from ..labels import Row
from ..lines import named
from .objects import Refused, lists_of_numbers

ROOM, TIMES = 2**24, 8
"""Bytes that a part may unpack to: so many, and so many times those of its file. Lists of words shrink to a third."""

ROWS, BYTES_A_ROW = 100_000, 4
"""Rows that are believed of any file, and bytes of a file that has more."""

MOST_ID = 2**48
"""No number of a word is above this one."""

PARTS = ("train", "test")

HEADER = re.compile(
    rb"\{'descr': '([<>|=]?)([a-zA-Z])(\d*)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}L?, ?)*(?:\d{1,18}L?)?)\),? ?\} *\n"
)
"""What NumPy writes before an array's data, the same since its first release."""


def from_keras(where: str, path: Path, part: str) -> Iterator[Row]:
    """Yield the rows of one half, arrays of int64, with their labels.

    Raises
    ------
    ValueError
        The file is no such archive, is damaged, or asks for more memory than its size can stand for.
    """
    if part not in PARTS:
        raise ValueError(f"{where}: part must be 'train' or 'test', got {part!r}")
    rows = _Member(where, path, f"x_{part}").elements()
    labels = _labels(where, path, _Member(where, path, f"y_{part}"), part)
    if len(rows) != len(labels):
        raise ValueError(f"{where}: {named(path)} must have a label for each text, got {len(labels)} for {len(rows)}")
    for number, (row, label) in enumerate(zip(rows, labels, strict=True), 1):
        ids = np.asarray(row)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"{where}: {named(path)} must have rows of whole numbers in x_{part}, got {ids.dtype} of shape "
                f"{np.shape(rows)}"
            )
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < MOST_ID:
            wrong = int(ids.min() if ids.min() < 0 else ids.max())
            raise ValueError(
                f"{where}: {named(path)}, row {number} of x_{part}, must hold numbers of words, from 0 on, got {wrong}"
            )
        yield ids.astype(np.int64), label, f"text {number}"


def _labels(where: str, path: Path, member: _Member, part: str) -> list[str]:
    """Return the labels as the names of classes."""
    found = member.elements()
    what, way_out = "", "; give each text the number of its class"
    if isinstance(found, list):
        what = "lists"
    elif isinstance(found, np.ndarray) and found.ndim != 1:
        what, way_out = f"an array of shape {found.shape}", "; is it one-hot? y.argmax(axis=1) makes numbers of it"
    elif isinstance(found, np.ndarray) and found.dtype.kind == "f":
        what = next((repr(value) for value in found.tolist() if not value.is_integer()), "")  # nor is inf or NaN
    if what:
        raise ValueError(f"{where}: {named(path)} must have whole numbers as labels in y_{part}, got {what}{way_out}")
    return [str(int(label)) for label in found]


class _Member:
    """An array in an archive."""

    def __init__(self, where: str, path: Path, name: str) -> None:
        self.where, self.path, self.name = where, path, name
        self.size = path.stat().st_size

    def refused(self, got: str, way_out: str = "") -> ValueError:
        """Return the error of what is no array of numbers, nor of lists of them."""
        return ValueError(
            f"{self.where}: {named(self.path)} must hold whole numbers, or lists of them, as {self.name}, got "
            f"{got}{way_out}"
        )

    def elements(self) -> Any:
        """Return the array: a list of arrays or an array of NumPy's or Python's."""
        data = self._unpacked()
        if data[:6] != b"\x93NUMPY" or len(data) < 12:
            raise self.refused(f"no array of NumPy's but {shown(data[:8])}")
        width = 2 if data[6] == 1 else 4
        start = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
        header = HEADER.fullmatch(data[8 + width : min(start, 10_000)])
        if header is None:
            raise self.refused(f"the header {shown(data[8 + width : min(start, 10_000)])}")
        order, kind, item, fortran, sizes = (group.decode("ascii") for group in header.groups())
        shape = tuple(int(size.rstrip("L")) for size in sizes.replace(" ", "").split(",") if size)
        if kind == "O":
            return self._objects(data, start, shape)
        if kind not in "iufb" or item not in ("1", "2", "4", "8"):
            wrong = "texts" if kind in "US" else f"the type {one_line(order + kind + item, 40)}"
            raise self.refused(wrong, "; write numbers, those of classes or of words")
        count = 1
        for size in shape:  # Python's own numbers, which don't overflow
            count *= size
        if count * int(item) != len(data) - start or not shape:
            raise self.refused(f"{len(data) - start:,} bytes for the shape {shown(shape)}")
        if shape[0] > self._most():
            raise self.refused(f"{shape[0]:,} rows in a file of {self.size:,} bytes")
        try:
            flat = np.frombuffer(data, np.dtype(f"{order}{kind}{item}"), count, start)
        except (TypeError, ValueError) as error:
            raise self.refused(f"the type {order}{kind}{item} ({one_line(error)})") from None
        return flat.reshape(shape, order="F" if fortran == "True" else "C")

    def _objects(self, data: bytes, start: int, shape: tuple[int, ...]) -> list[array[int]] | array[int]:
        if len(shape) != 1:
            raise self.refused(f"objects of the shape {shown(shape)}")
        try:
            return lists_of_numbers(data, start, shape[0], self._most())
        except Refused as error:
            raise self.refused(str(error), "; row.tolist() makes such a list") from None

    def _most(self) -> int:
        return max(ROWS, self.size // BYTES_A_ROW)

    def _unpacked(self) -> bytes:
        most = ROOM + TIMES * self.size
        try:
            with open(self.path, "rb") as file, zipfile.ZipFile(file) as archive:
                info = archive.getinfo(f"{self.name}.npy")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                    raise zipfile.BadZipFile("packed in a way that NumPy doesn't")
                claimed = info.file_size
                data = b"" if claimed > most else archive.open(info).read(most + 1)
        except (
            zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, LookupError, NotImplementedError,
            OSError, OverflowError, RuntimeError, ValueError,
        ) as error:  # fmt: skip
            half = self.name[2:]
            raise ValueError(
                f"{self.where}: {named(self.path)} must hold x_{half} and y_{half}, as Keras's imdb.npz does: "
                f"{one_line(error)}"
            ) from error
        if claimed > most or len(data) > most:
            raise self.refused(
                f"{claimed:,} bytes in a file of {self.size:,}", "; np.savez, which doesn't pack, writes what is read"
            )
        return data
