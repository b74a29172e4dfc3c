"""A text and its label: the columns of a table, or keys of an object, that hold them, and labels that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ....foreign import shown
from ..labels import Row, is_missing
from ..lines import Unread, at
from ..tables import Columns, cells_of


@dataclass(frozen=True)
class Labelled(Columns):
    """The columns of a text and its label.

    Attributes
    ----------
    keep_missing_labels : bool
        Take labels such as ``NA`` as they stand.
    allow_unlabelled : bool
        Let a row have no label.
    """

    keep_missing_labels: bool = False
    allow_unlabelled: bool = False

    @property
    def text(self) -> str:
        """The column of texts."""
        return self.wanted["text"]

    @property
    def label(self) -> str | None:
        """The column of labels; None where none is read."""
        return self.wanted.get("label")

    def label_in(self, where: str, place: str, name: str) -> str | None:
        """Return a label as the name of a class; None if it is missing and may be.

        Raises
        ------
        Unread
            It is missing.
        """
        name = name.strip()
        if not is_missing(name, self.keep_missing_labels):
            return name
        if self.allow_unlabelled:
            return None
        said = f"{where}: {place} must have a label in column {shown(self.label)}, got "
        if not name:
            raise Unread(f"{said}none", "{label} names another column; or leave the row out")
        raise Unread(
            f"{said}{shown(name)}, as pandas writes a missing one",
            "leave the row out or, if it is a class, say so: {keep_missing_labels}",
        )


def columns_of(text: str, label: str | None, *how: str | bool | None) -> Labelled:
    """Return the columns of these names, read so: separator, header, and what `Labelled` has beside them."""
    return Labelled({"text": text} if label is None else {"text": text, "label": label}, *how)  # type: ignore[arg-type]


def from_table(where: str, path: Path, columns: Labelled, encoding: str) -> Iterator[Row]:
    """Yield the rows of a table.

    Raises
    ------
    Unread
        The columns are not there, or a label is missing.
    ValueError
        A row is broken, or in another encoding.
    """
    for last, cells in cells_of(where, path, columns, encoding):
        name = columns.label_in(where, at(path, last), cells[1]) if len(cells) > 1 else None
        yield cells[0], name, f"line {last}"
