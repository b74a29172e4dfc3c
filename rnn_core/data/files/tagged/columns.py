"""Which columns are read: by name, where a line names them, or by number, from 1 on or, below 0, from the back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ....foreign import shown
from ..lines import Unread, at
from ..tables import place_of

ALIKE = {
    "token": ("token", "tokens", "word", "words", "form"),
    "tag": ("tag", "tags", "ner_tags", "label", "labels", "ner", "pos_tags", "pos", "upos"),
}
"""Names under which people keep tokens and tags, where none is given."""

NUMBERS = {"token": 1, "tag": -1}
"""Which column is read where no line names them and no number is given: the first and the last."""


class Wanted(NamedTuple):
    """What is to be read; None for what is not given.

    Attributes
    ----------
    token, tag, sentence : str, optional
        Names or numbers of columns.
    tagged : bool
        Whether tags are read at all.
    """

    token: str | None
    tag: str | None
    sentence: str | None
    tagged: bool

    @property
    def options(self) -> dict[str, str | None]:
        """What is given for each column that is read, by the option that gives it."""
        tag = {"tag": self.tag} if self.tagged else {}
        sentence = {} if self.sentence is None else {"sentence": self.sentence}
        return {"token": self.token, **tag, **sentence}

    @property
    def by_number(self) -> bool:
        """Whether all that is given are numbers."""
        return all(given is None or _number(given) is not None for given in self.options.values())


class Columns(NamedTuple):
    """Where columns stand, and how many there are.

    Attributes
    ----------
    token : int
    tag, sentence : int, optional
    width : int
        Cells of a row.
    first : int
        The line that says so; 0 where the format does.
    """

    token: int
    tag: int | None
    sentence: int | None
    width: int
    first: int


def names_all(row: Sequence[str], wanted: Wanted) -> bool:
    """Return whether a row has the names of all columns that are read, so that it is a line of names."""
    if wanted.by_number and any(given is not None for given in wanted.options.values()):
        return False
    return all(_named(row, option, given) is not None for option, given in wanted.options.items())


def columns_of(where: str, path: Path, line: int, row: Sequence[str], wanted: Wanted, header: bool) -> Columns:
    """Return where the columns stand, from the first row.

    Raises
    ------
    Unread
        One is not there.
    """
    places: dict[str, int | None] = dict.fromkeys(("token", "tag", "sentence"))
    for option, given in wanted.options.items():
        place = _named(row, option, given) if header else None
        if place is None and not (header and given is None):
            place = _numbered(row, option, given)
        if place is None:
            raise _missing(where, path, line, row, option, given, header)
        places[option] = place
    if places["tag"] == places["token"]:
        raise Unread(
            f"{where}: {at(path, line)} must have a column of tokens and another of tags, got "
            f"{len(row)} column{'s' * (len(row) != 1)}: {shown(' '.join(row), 60)}",
            "{separator} says what parts them, {token} and {tag} which they are",
        )
    return Columns(places["token"] or 0, places["tag"], places["sentence"], len(row), line)


def cells(where: str, path: Path, line: int, row: Sequence[str], columns: Columns) -> tuple[str, str | None, str]:
    """Return token, tag and sentence of a row.

    Raises
    ------
    Unread
        As `check_width`.
    """
    check_width(where, path, line, row, columns)
    tag = None if columns.tag is None else row[columns.tag]
    return row[columns.token], tag, "" if columns.sentence is None else row[columns.sentence].strip()


def check_width(where: str, path: Path, line: int, row: Sequence[str], columns: Columns) -> None:
    """Raise if a row has more or fewer columns than the first.

    Raises
    ------
    Unread
        It has.
    """
    end = len(row)
    while end > columns.width and not row[end - 1].strip():
        end -= 1  # separators too many
    if end != columns.width:
        fewer = "a tag or another column is missing" if end < columns.width else "a token may hold what parts columns"
        like = f"as line {columns.first}" if columns.first else "as the format has it"
        raise Unread(
            f"{where}: {at(path, line)} must have {columns.width} columns, {like}, got {end}: "
            f"{shown(' '.join(row), 60)}",
            f"{fewer}; {{separator}} says what parts them, {{comments}} how lines begin that are none",
        )


def _number(given: str) -> int | None:
    """Return a column's number, from 1 on or below 0; None for what is a name."""
    digits = given.removeprefix("-")
    return int(given) if digits.isascii() and digits.isdecimal() and len(digits) < 6 and int(digits) else None


def _numbered(row: Sequence[str], option: str, given: str | None) -> int | None:
    number = NUMBERS.get(option) if given is None else _number(given)
    if number is None or not 1 <= abs(number) <= len(row):
        return None
    return number - 1 if number > 0 else len(row) + number


def _named(row: Sequence[str], option: str, given: str | None) -> int | None:
    if given is not None:
        return place_of(given, row)
    found = [place for name in ALIKE.get(option, ()) if (place := place_of(name, row)) is not None]
    return found[0] if len(found) == 1 else None


def _missing(
    where: str, path: Path, line: int, row: Sequence[str], option: str, given: str | None, header: bool
) -> Unread:
    got = shown(", ".join(row), 100)
    if header:
        what = f"the column {shown(given, 40)}" if given else f"one column of {option}s, such as {ALIKE[option][0]!r}"
        return Unread(
            f"{where}: {at(path, line)} must name {what} once, got {got}",
            f"{{{option}}} names it, {{separator}} says what parts columns, {{header}} that there are no names",
        )
    wanted = NUMBERS[option] if given is None else given
    if _number(str(wanted)) is None:
        return Unread(
            f"{where}: {at(path, line)} must name the column {shown(wanted, 40)}, got {got}",
            f"without a line of names {{{option}}} is a number, from 1 on, or from the back with -1",
        )
    return Unread(
        f"{where}: {at(path, line)} must have a column {wanted}, for {option}s, got {len(row)}: {got}",
        f"{{{option}}} says which it is, {{separator}} what parts them",
    )
