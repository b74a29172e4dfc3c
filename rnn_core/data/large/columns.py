"""A column of a block as arrays of NumPy: texts, numbers and lists; what has no value is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...foreign import shown
from ..files.lines import named
from ..stored.ragged_file import Runs
from ..text import Tokenizer


class Column:
    """A column of one block of a table.

    Parameters
    ----------
    where, path : str
        What errors name.
    block : int
    role : str
        Which argument names the column.
    name : str
    values : ChunkedArray of pyarrow

    Attributes
    ----------
    said : str
        The place in words.

    Raises
    ------
    ValueError
        A row has no value.
    """

    def __init__(self, where: str, path: str, block: int, role: str, name: str, values: Any) -> None:
        import pyarrow as pa

        self.where, self.said = where, f"column {shown(name, 40)} of {named(path)}, block {block},"
        self.types = pa.types
        array = values.combine_chunks()
        self.array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
        if self.array.null_count:
            k = int(np.flatnonzero(np.asarray(self.array.is_null()))[0])
            raise self.error(k, "have a value", "null", "leave such rows out")
        self.role = role

    @property
    def is_text(self) -> bool:
        """Whether it holds texts, each by itself or from a dictionary."""
        kind = self.array.type
        return self._text(kind) or (self.types.is_dictionary(kind) and self._text(kind.value_type))

    @property
    def is_list(self) -> bool:
        """Whether each row is a list."""
        kind = self.array.type
        return bool(
            self.types.is_list(kind) or self.types.is_large_list(kind) or self.types.is_fixed_size_list(kind)
        )

    def _text(self, kind: Any) -> bool:
        return bool(self.types.is_string(kind) or self.types.is_large_string(kind))

    def error(self, row: int, wanted: str, got: str, way_out: str = "mend the table") -> ValueError:
        """Return the error of one row."""
        return ValueError(f"{self.where}: {self.said} row {row}, must {wanted}, got {got}; {way_out}")

    def wrong_type(self, wanted: str) -> TypeError:
        """Return the error of a column of another type."""
        return TypeError(f"{self.where}: {self.said} must hold {wanted}, got {self.array.type}")

    def texts(self) -> list[str]:
        """Return the texts."""
        if not self.is_text:
            raise self.wrong_type("texts")
        found: list[str] = self.array.to_pylist()
        return found

    def coded(self) -> tuple[list[str], np.ndarray]:
        """Return the different texts, and which of them each row has."""
        array = self.array if self.types.is_dictionary(self.array.type) else self.array.dictionary_encode()
        return array.dictionary.to_pylist(), np.asarray(array.indices).astype(np.int64)

    def array_or_runs(self) -> Any:
        """Return lists as an array (n, T), (n, T, I) or, where they may differ in length, as `Runs`."""
        if self.types.is_fixed_size_list(self.array.type):
            size, count = self.array.type.list_size, len(self.array)
            values = self._rectangle(self.array.flatten())
            return values.reshape(count, size, *values.shape[1:])
        offsets = np.asarray(self.array.offsets).astype(np.int64)
        lengths = np.diff(offsets)
        if (lengths < 1).any():
            raise self.error(int((lengths < 1).argmax()), "have one number at least", "none", "leave such rows out")
        return Runs(self._rectangle(self.array.flatten()), lengths)

    def _rectangle(self, values: Any) -> np.ndarray:
        """Return numbers, or lists of them of one fixed size."""
        if values.null_count:
            raise self.error(0, "have no null in its lists or those behind", "one", "leave such rows out")
        kind = values.type
        if self.types.is_fixed_size_list(kind):
            return self._rectangle(values.flatten()).reshape(-1, kind.list_size)
        if not (self.types.is_integer(kind) or self.types.is_floating(kind)):
            raise self.wrong_type("lists of numbers, or of lists of a fixed size")
        return widened(np.asarray(values))


def widened(values: np.ndarray) -> np.ndarray:
    """Return integers as int64 and half floats as float32, which all kernels know."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    return values.astype(np.float32) if values.dtype == np.float16 else values


def numbers_of(column: Column) -> np.ndarray:
    """Return a column of numbers, (n,)."""
    kind = column.array.type
    if not (column.types.is_integer(kind) or column.types.is_floating(kind) or column.types.is_boolean(kind)):
        raise column.wrong_type("numbers, or lists of them")
    found = np.asarray(column.array)
    return found.astype(np.int64) if found.dtype == bool else widened(found)


def runs_of(column: Column, tokenizer: Tokenizer) -> Runs:
    """Return the tokens of texts; one that comes again is encoded once."""
    if column.types.is_dictionary(column.array.type):
        texts, which = column.coded()
        ids = [tokenizer.encode(text) for text in texts]
        rows = [ids[k] for k in which]
    else:
        rows = [tokenizer.encode(text) for text in column.texts()]
    lengths = np.array([len(row) for row in rows], np.int64)
    if (lengths < 1).any():
        k = int((lengths < 1).argmax())
        raise column.error(k, "have a token that the tokenizer knows", "none", "give it an oov token, or leave it out")
    return Runs(np.concatenate(rows), lengths)


def numbered_classes(column: Column, classes: Mapping[str, int]) -> np.ndarray:
    """Return the number of each row's class."""
    names, which = column.coded()
    numbers = np.array([classes.get(name, -1) for name in names], np.int64)[which]
    if (numbers < 0).any():
        k = int((numbers < 0).argmax())
        raise column.error(k, f"be one of {shown(list(classes))}", shown(names[which[k]]), "name it among classes")
    return numbers
