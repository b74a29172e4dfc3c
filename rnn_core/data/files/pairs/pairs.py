"""Pairs of texts: two files, line by line, or a table's or JSON Lines' two columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..json_rows import keys_of, objects_in, text_under
from ..lines import Place, Unread, at, empty, existing, named, numbered, remark
from ..tables import TABLES, Columns, cells_of

Row = tuple[list[str], str]
"""The texts of a row, one for each column that is read, and its place."""


class TextPairs(NamedTuple):
    """Texts, and what is to be made of each.

    Attributes
    ----------
    sources, targets : list of str
        As many of the one as of the other; none is blank.
    places : tuple of str
        Where each pair stands: its line (the last, if it has several).
    """

    sources: list[str]
    targets: list[str]
    places: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """What is read, as `Texts` calls it."""
        return self.sources


def read_pairs(
    path: Place,
    target_path: Place | None = None,
    *,
    source: str = "source",
    target: str = "target",
    encoding: str = "utf-8",
    separator: str | None = None,
    header: bool = True,
) -> TextPairs:
    r"""Read pairs of texts, such as sentences and their translations.

    Parameters
    ----------
    path : path
        A table, ``.csv``, ``.tsv`` or ``.jsonl``, that has both; or a file with a text a line.
    target_path : path, optional
        The file in which line k is what line k of the first is to become, as parallel corpora have it.
    source, target : str
        Columns of a table, or keys. Case and blanks around them don't matter where just one column is meant.
    encoding, separator, header
        As `read_texts` has them.

    Returns
    -------
    TextPairs

    Warns
    -----
    FileWarning
        Lines that are blank in both files were left out.

    Raises
    ------
    ValueError
        A file is empty, two have different counts of lines (both are named), a text or its target is blank, a row is
        broken or a column missing (file and line are named), or the encoding is another.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> read_pairs("messages.en", "messages.de")  # doctest: +SKIP
    """
    where, place = "read_pairs", existing("read_pairs", path)
    columns = Columns({"source": str(source), "target": str(target)}, separator, header)
    if target_path is None:
        rows = rows_of(where, place, columns, encoding)
    else:
        rows = _line_by_line(where, place, existing(where, target_path), encoding)
    found = list(rows)
    if not found:
        raise empty(where, place, "a pair")
    sources, targets = ([texts[k] for texts, _ in found] for k in range(2))
    return TextPairs(sources, targets, tuple(line for _, line in found))


def rows_of(where: str, path: Path, columns: Columns, encoding: str) -> Iterator[Row]:
    """Yield the rows of a table or of JSON Lines, in the columns that are read; no text is blank.

    Raises
    ------
    ValueError
        As `read_pairs`.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in TABLES:
        two = "source" in columns.wanted
        raise ValueError(
            f"{where}: path must be one of {', '.join(TABLES)}{', or two files of lines' * two}, got {named(path)}; "
            f"rename it to what it holds{', or name the other file too' * two}"
        )
    rows = _of_table if suffix in (".csv", ".tsv") else _of_objects
    for line, cells in rows(where, path, columns, encoding):
        for text, option, name in zip(cells, columns.wanted, columns.names, strict=True):
            if not text.strip():
                raise Unread(
                    f"{where}: {at(path, line)} must have a text in column {name!r:.40}, got a blank one",
                    f"leave the row out, or {{{option}}} names another column",
                )
        yield cells, f"line {line}"


def _of_table(where: str, path: Path, columns: Columns, encoding: str) -> Iterator[tuple[int, list[str]]]:
    return cells_of(where, path, columns, encoding)


def _of_objects(where: str, path: Path, columns: Columns, encoding: str) -> Iterator[tuple[int, list[str]]]:
    for line, row in objects_in(where, path, encoding):
        place = at(path, line)
        keys = zip(columns.wanted, keys_of(where, place, row, columns), strict=True)
        yield line, [text_under(where, place, row, str(key), option) for option, key in keys]


def _line_by_line(where: str, path: Path, other: Path, encoding: str) -> Iterator[Row]:
    """Yield the pairs of two files of lines, those that are blank in both left out."""
    for file in (path, other):
        if file.is_dir() or file.suffix.lower() in TABLES:
            raise ValueError(
                f"{where}: two files must have a text a line, got {named(file)}; a table has both its columns in one, "
                "so name it alone"
            )
    sides = [_lines(where, file, encoding) for file in (path, other)]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{where}: {named(path)} and {named(other)} must have as many lines, got {len(sides[0]):,} and "
            f"{len(sides[1]):,}; each line of the one belongs to that of the other"
        )
    blank = 0
    for line, (text, its) in enumerate(zip(*sides, strict=True), 1):
        here = [bool(text.strip()), bool(its.strip())]
        if all(here):
            yield [text, its], f"line {line}"
        elif any(here):
            raise ValueError(
                f"{where}: {at((path, other)[here.index(False)], line)} must have a text, as line {line} of "
                f"{named((path, other)[here.index(True)])} has, got a blank one; leave both out, or neither"
            )
        else:
            blank += 1
    if blank:
        remark(where, f"{blank:,} lines left out that are blank in {named(path)} and in {named(other)}")


def _lines(where: str, path: Path, encoding: str) -> list[str]:
    """Return the lines of a file, without blank ones at its end."""
    lines = [line for _, line in numbered(where, path, encoding)]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
