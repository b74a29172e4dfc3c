r"""`read_tagged`: sentences and their tags, out of whatever file they stand in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ....foreign import shown
from ..json_rows import objects_in
from ..lines import Place, Unread, empty, existing, named
from . import universal
from .columns import Columns, Wanted, cells, check_width, columns_of, names_all
from .objects import key_of, words_of_objects
from .rows import SEPARATORS, Row, rows_of_lines, rows_of_table
from .sentences import Tagged, Word, checked_word, gathered

OBJECTS = (".jsonl", ".ndjson")
MULTIWORD = ("parts", "whole")


def read_tagged(
    path: Place,
    *,
    token: str | None = None,
    tag: str | None = None,
    sentence: str | None = None,
    tagged: bool = True,
    encoding: str = "utf-8",
    separator: str | None = None,
    header: bool | None = None,
    comments: str | None = None,
    multiword: str = "parts",
    keep_missing_labels: bool = False,
    allow_untagged: bool = False,
) -> Tagged:
    r"""Read sentences with a tag for each token.

    Parameters
    ----------
    path : path
        By its ending: ``.conllu``, ten columns parted by tabs; ``.csv``, a table with quotation marks; ``.jsonl``, an
        object a sentence with its list of tokens and its list of tags; any other file, a token a line with columns
        parted by blanks or tabs, as the CoNLL shared tasks have them. A blank line ends a sentence; in files of
        columns so does a line that begins with ``-DOCSTART-``, which is no token.
    token, tag : str, optional
        Columns or, of JSON Lines, keys: their names, where the first line names them, or numbers, "1" the first and
        "-1" the last. By default token, word or form and tag, ner or label and the like, where just one of them is
        there; without a line of names the first and the last; of CoNLL-U, FORM and UPOS.
    sentence : str, optional
        A column of names or numbers of sentences: another one than before begins a sentence, a blank one goes on.
    tagged : bool
        Whether tags are read at all.
    encoding : str
        Of the text.
    separator : {"\t", ",", ";", "|", " "}, optional
        What parts columns; a blank stands for any number of them. By default a comma in a ``.csv``; elsewhere tabs if
        the first row has one, and blanks if not.
    header : bool, optional
        Whether the first line names the columns. By default that of a ``.csv`` does, and elsewhere one that has the
        names of all columns that are read.
    comments : str, optional
        How lines begin that are none, ``#`` in CoNLL-U. By default such a line of other files is left out where it
        has other columns than the rows, and that is said.
    multiword : {"parts", "whole"}
        Of CoNLL-U: whether tokens such as ``1-2`` are the words that they consist of, each with its tag, or one, whose
        tag is theirs joined by ``+``. Empty nodes, ``1.1``, are left out in either case.
    keep_missing_labels : bool
        Take tags such as ``nan``, ``NA`` and ``null``, which pandas writes for none, as they stand.
    allow_untagged : bool
        Let a token have no tag: None, in CoNLL-U also where it is ``_``.

    Returns
    -------
    Tagged

    Warns
    -----
    FileWarning
        Lines were left out, or the whole file is a single long sentence.

    Raises
    ------
    ValueError
        A file is empty, a row has more or fewer columns than the first, a tag is missing or a column is not there (file
        and line are named), or the encoding is another.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> read_tagged("eng.train", tag="-1")  # doctest: +SKIP
    """
    where, place = "read_tagged", existing("read_tagged", path)
    if place.is_dir():
        raise ValueError(f"{where}: path must be a file, got the folder {named(place)}; name one of its files")
    if multiword not in MULTIWORD:
        raise ValueError(f"{where}: multiword must be one of {', '.join(MULTIWORD)}, got {shown(multiword)}")
    if separator is not None and separator not in (" ", *SEPARATORS):
        raise Unread(
            f"{where}: separator must be a blank, {', '.join(SEPARATORS.values())}, got {shown(separator)}",
            "{separator} names it",
        )
    strict = {"keep": keep_missing_labels, "unknown": allow_untagged}
    suffix = place.suffix.lower()
    token, tag, sentence = (None if name is None else str(name) for name in (token, tag, sentence))
    wanted = Wanted(token, tag, sentence, tagged)
    words: Iterator[Word | None]
    if suffix in OBJECTS:
        words = words_of_objects(where, place, encoding, wanted, **strict)
    elif suffix == ".conllu":
        words = _universal(where, place, wanted, encoding, multiword, **strict)
    else:
        if suffix == ".csv" and separator != " ":
            rows = rows_of_table(where, place, separator or ",", encoding)
        else:
            rows = rows_of_lines(where, place, separator, encoding, comments)
        names = suffix == ".csv" if header is None else header
        words = _words(where, place, rows, wanted, names, look=header is None, **strict)
    found = gathered(where, place, words, tagged)
    if not found.tokens:
        raise empty(where, place, "a sentence")
    return found


def has_tags(
    path: Place,
    *,
    token: str | None = None,
    tag: str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    header: bool | None = None,
    comments: str | None = None,
) -> bool:
    """Return whether a file has a column of tags beside that of tokens, by its first row.

    Parameters are those of `read_tagged`.

    Raises
    ------
    ValueError
        As `read_tagged`, of the lines that are looked at.
    FileNotFoundError
        There is no such file.
    """
    where, place = "read_tagged", existing("read_tagged", path)
    suffix, wanted = place.suffix.lower(), Wanted(token, tag, None, True)
    if suffix == ".conllu":
        return True
    if suffix in OBJECTS:
        keys = next(iter(objects_in(where, place, encoding)), (0, {}))[1]
        return key_of(keys, "tag", tag) is not None
    if suffix == ".csv" and separator != " ":
        rows = rows_of_table(where, place, separator or ",", encoding)
    else:
        rows = rows_of_lines(where, place, separator, encoding, comments)
    row = next((row for _, row in rows if row is not None), [])
    names = header or (header is None and (suffix == ".csv" or names_all(row, wanted)))
    try:
        columns_of(where, place, 1, row, wanted, names)
    except Unread:
        return False
    return True


def _words(
    where: str, path: Path, rows: Iterator[Row], wanted: Wanted, header: bool, *, look: bool, keep: bool, unknown: bool
) -> Iterator[Word | None]:
    """Yield the words of rows; `look` says that a first line of names is one, whatever `header` says."""
    columns: Columns | None = None
    for line, row in rows:
        if row is None:
            yield None
            continue
        if columns is None:
            header = header or (look and names_all(row, wanted))
            columns = columns_of(where, path, line, row, wanted, header)
            if header:
                continue
        token, tag, sentence = cells(where, path, line, row, columns)
        token, tag = checked_word(where, path, line, token, tag, keep=keep, unknown=unknown)
        yield Word(line, token, tag, sentence)


def _whole(where: str, path: Path, rows: Iterator[Row], columns: Columns) -> Iterator[Row]:
    """Yield rows that have all of their columns."""
    for line, row in rows:
        if row is not None:
            check_width(where, path, line, row, columns)
        yield line, row


def _universal(
    where: str, path: Path, wanted: Wanted, encoding: str, multiword: str, *, keep: bool, unknown: bool
) -> Iterator[Word | None]:
    """Yield the words of CoNLL-U."""
    wanted = wanted._replace(token=wanted.token or universal.TOKEN, tag=wanted.tag or universal.TAG)
    columns = columns_of(where, path, 0, universal.NAMES, wanted, True)
    rows = _whole(where, path, rows_of_lines(where, path, "\t", encoding, "#"), columns)
    if multiword == "parts":
        rows = universal.words_alone(where, path, rows)
    else:
        rows = universal.tokens_whole(where, path, rows, columns.tag)
    for line, row in rows:
        if row is None:
            yield None
            continue
        token, tag, sentence = cells(where, path, line, row, columns)
        token, tag = checked_word(where, path, line, token, tag, keep=keep, unknown=unknown, missing=universal.MISSING)
        yield Word(line, token, tag, sentence)
