"""Results that are kept in a folder: what they are of, and a line for each, with its checksum.

A line is added when its result is there, and is on the disk before the next. What JSON can't tell apart, tuples from
lists, is made one before a result is used at all; whoever wants a number's own bits back writes it in hexadecimal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_core.atomic import write_atomically
from rnn_core.foreign import parse_json, shown
from rnn_core.training.checkpoint.fingerprint import differences

SAID = 3
"""Differences that an error lists."""


class OtherRuns(ValueError):
    """The results in a folder are of something else.

    Attributes
    ----------
    why : str
        In what they differ.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class Words(NamedTuple):
    """How errors call what is kept.

    Attributes
    ----------
    where : str
        The function or class.
    one : str
        A result: "run".
    whole : str
        What all results are of: "study".
    """

    where: str
    one: str
    whole: str


class KeptLines:
    """The results that a folder holds, and those that are added.

    Parameters
    ----------
    folder : path
        It is made.
    facts : mapping
        What the results are of, in types that JSON has.
    key : callable
        Says which of the results an entry is: of two that are the same the later counts.
    words : Words
    names : pair of str
        The files of facts and of lines.
    resume : bool or "auto"
        True goes on from the results in the folder, of which there must be some, or at least a beginning; "auto" goes
        on where there are any. False refuses a folder that has some: nothing is lost by accident.

    Attributes
    ----------
    folder : Path
    entries : dict
        Every result by its key.
    notes : list of str
        What was wrong with the folder, and is made again.

    Raises
    ------
    ValueError
        There are results, and they should not go on; there are none, and they should; or they are of something else
        (`OtherRuns`), and the message says in what it differs.
    OSError
        The folder can't be read or written to.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        facts: Mapping[str, Any],
        key: Callable[[Mapping[str, Any]], Hashable],
        words: Words,
        names: tuple[str, str],
        *,
        resume: bool | str,
    ) -> None:
        where, one, _ = words
        if not isinstance(resume, bool) and resume != "auto":
            raise ValueError(f"{where}: resume must be True, False or 'auto', got {resume!r}")
        self.folder, self.notes, self.words = Path(folder), list[str](), words
        self.entries: dict[Hashable, dict[str, Any]] = {}
        self._key, self._facts, self._lines = key, *(self.folder / name for name in names)
        own: dict[str, Any] = json.loads(json.dumps(facts))
        there = self._facts.exists() or self._lines.exists()
        if there and not resume:
            found = _counted(count_lines(self._lines), one)
            raise ValueError(
                f"{where}: folder must hold no {one}s, got {str(folder)!r} with {found}; resume=True goes on "
                "from them, or remove it"
            )
        if resume is True and not there:
            raise ValueError(
                f"{where}: folder must hold {one}s to go on from, got {str(folder)!r} without; resume='auto' begins "
                "afresh"
            )
        if there:
            self._check(own)
            self._read()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._facts, json.dumps(own, indent=1).encode(), where=where)
        lines = b"".join(map(_line, self.entries.values()))
        write_atomically(self._lines, lines, where=where)  # without what was damaged

    def __len__(self) -> int:
        """How many results there are."""
        return len(self.entries)

    def add(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a result, and return it as it will be found again.

        Raises
        ------
        TypeError, ValueError
            It is nothing that JSON can hold.
        OSError
            It can't be written.
        """
        line = _line(entry)
        with open(self._lines, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        found = _parsed(line)
        self.entries[self._key(found)] = found
        return found

    def _check(self, facts: dict[str, Any]) -> None:
        """Raise ValueError if the results in the folder are of something else."""
        where, one, whole = self.words
        try:
            stored = parse_json(where, self._facts.name, self._facts.read_bytes())
            if not isinstance(stored, dict):
                raise ValueError(f"{where}: {self._facts.name} must hold facts, got {shown(stored)}")
        except (ValueError, FileNotFoundError) as error:
            why = f"{self._facts.name} there does not say what its {one}s are of"
            raise OtherRuns(
                f"{where}: {str(self.folder)!r} must say which {whole} its {one}s are of, and doesn't; remove it to "
                "begin afresh",
                why,
            ) from error
        if changes := differences(stored, facts):
            few = "; ".join(changes[:SAID]) + (f" and {len(changes) - SAID} more" if len(changes) > SAID else "")
            raise OtherRuns(
                f"{where}: the {one}s in {str(self.folder)!r} must be this {whole}'s to go on from, but {few}; undo "
                "the change, or remove the folder to begin afresh",
                few,
            )

    def _read(self) -> None:
        """Take the lines that are whole."""
        damaged = 0
        for line in self._lines.read_bytes().splitlines(keepends=True) if self._lines.exists() else ():
            try:
                entry = _parsed(line)
                self.entries[self._key(entry)] = entry
            except (ValueError, KeyError, TypeError):
                damaged += 1
        if damaged:
            one = self.words.one
            found, again = ("line", f"its {one} is") if damaged == 1 else ("lines", f"their {one}s are")
            self.notes.append(f"{damaged} damaged {found} in {self._lines}: {again} made again")


def count_lines(path: Path) -> int:
    """Return how many lines a file has, 0 if it isn't there."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _line(entry: Mapping[str, Any]) -> bytes:
    """Return a result as a line of the file."""
    facts = json.loads(json.dumps(entry, default=_plain))
    return json.dumps({"run": facts, "checksum": _checksum(json.dumps(facts))}).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    """Return a line's result; ValueError, KeyError or TypeError if it isn't whole."""
    if not line.endswith(b"\n"):
        raise ValueError("a line that has no end")
    found = parse_json("kept lines", "a line", line)
    if found["checksum"] != _checksum(json.dumps(found["run"])):
        raise ValueError("another checksum")
    return dict(found["run"])


def _checksum(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    """Return an array or a number of NumPy's as JSON has it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"
