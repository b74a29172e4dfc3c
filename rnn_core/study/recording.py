"""What a step did, line by line: a visitor that writes down every number, where it came from and who used it next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .statements import Statement


class Slot(NamedTuple):
    """Where in a step a number arises: at a statement or, of what is given or returned, at none."""

    file: str
    line: int
    name: str


@dataclass(eq=False)
class Line:
    """One line of a trace.

    Attributes
    ----------
    key : str
        Its name within the step, of which there is no other: "c", "dc′".
    part : {"given", "forward", "backward"}
        Given is what a step begins with.
    numbers : tuple of str
        Of its equations: ("L6",), or none.
    equation : str
        As the docstring of its file has it: "c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t"; "" where that lists none.
    code : str
        The right-hand side as it stands in the file; of what is given where it came from.
    file, line : str, int
        Where it stands.
    value : ndarray, shape (B, n)
    rounding : float or None
        Of a number that the layer's tape keeps, and is taken from there: how far it is from what the code gives, at
        most; 0 where the tape is that of the equations. None of any other number.
    operands, users : list of str
        The keys of the lines that it was made of, and of those that read it.
    onward : str
        What the next step calls it, forwards, or the step before, backwards; "" of what stays within the step.
    of : str
        What it is the gradient of, "" of no gradient.
    derivative : ndarray, shape of `value`, or None
        The same by the complex step, NaN where that was not asked for.
    error : float or None
        The largest difference between the two, relative to the largest derivative.
    """

    key: str
    part: str
    numbers: tuple[str, ...]
    equation: str
    code: str
    file: str
    line: int
    value: np.ndarray
    rounding: float | None = None
    operands: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    onward: str = ""
    of: str = ""
    derivative: np.ndarray | None = None
    error: float | None = None
    slot: Slot | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the value."""
        return self.value.shape


class Recorder:
    """Writes down one step.

    Parameters
    ----------
    tape : mapping of str to ndarray
        What the tape of the layer keeps, by the name under which a step returns or assigns it.
    said : mapping of str to str
        The equations by number.
    running : ndarray of bool, shape (B, 1)
        The rows that have not ended.
    """

    def __init__(self, tape: Mapping[str, np.ndarray], said: Mapping[str, str], running: np.ndarray) -> None:
        self.tape, self.said, self.running, self.part = tape, said, running, "forward"
        self.lines: list[Line] = []
        self.known: dict[str, str] = {}  # names as the code has them now, and the keys of their lines
        self.forward: dict[str, str] = {}  # the same at the end of the way forward
        self.outputs: dict[str, str] = {}  # what functions have returned, by label, and the keys
        self.renamed: dict[str, str] = {}  # what a function calls its arguments, or a loop its arrays
        self._of: dict[int, str] = {}  # the lines of arrays

    # ── As a visitor ────────────────────────────────────────────────────────────────────────────────────────────────

    def given(self, name: str, array: np.ndarray, origin: str) -> np.ndarray:
        """See what a step begins with."""
        array = np.array(array)  # an array of its own, by which it is known again
        self._add(Line(self._key(name), "given", (), "", origin, "", 0, array, slot=Slot("", 0, name)), name)
        return array

    def met(self, statement: Statement, name: str, array: np.ndarray) -> np.ndarray:
        """See what a statement has assigned."""
        if not array.size:
            return array
        single = statement.numbers and statement.targets == (name,)
        if (key := self._same(array)) or (key := "" if single else self._seen(name, array)):
            self.known[name] = key
            return array
        return self.record(statement, name, array)

    def output(self, statement: Statement, name: str, array: Any, text: str, reads: tuple[str, ...]) -> Any:
        """See what a function returns."""
        if not isinstance(array, np.ndarray):
            return array
        if not (key := self._same(array)):
            array = self.record(statement._replace(text=text, reads=reads), name, array)
            key = self.lines[-1].key
        self.outputs[name] = self.known[name] = key
        return array

    def called(self, names: Mapping[str, str]) -> None:
        """Hear what a name stands for."""
        for name, other in names.items():
            if other in self.known:
                self.known[name] = self.known[other]
            elif name != other:
                self.renamed[name] = other

    # ── What it writes ──────────────────────────────────────────────────────────────────────────────────────────────

    def record(self, statement: Statement, name: str, array: np.ndarray) -> np.ndarray:
        """Write a line; return its array, the tape's own where that keeps it."""
        own = self.tape.get(name) if self.part == "forward" else None
        said = "; ".join(self.said[one] for one in statement.numbers if one in self.said)
        for own_part in statement.own:
            if own_part.name == name:
                statement = statement._replace(text=own_part.text, reads=own_part.reads)
        group, _, part = name.partition(".")
        reads = [name if one == group and part else one for one in statement.reads]
        line = Line(
            self._key(name), self.part, statement.numbers, said, statement.text, statement.file, statement.line,
            array, operands=self.read(reads), slot=Slot(statement.file, statement.line, name),
        )  # fmt: skip
        if own is not None:
            line.value, line.rounding = own, float(np.max(abs(own - array), where=self.running, initial=0.0))
        self._add(line, name)
        return line.value

    def read(self, names: Iterable[str]) -> list[str]:
        """Return the keys of the lines that some names stand for."""
        found: list[str] = []
        for name in names:
            first, dot, rest = name.partition(".")
            whole = f"{self.renamed.get(first, first)}{dot}{rest}"
            for one in (whole, self.renamed.get(first, first)):
                if one in self.known:
                    found.append(self.known[one])
                    break
            else:
                found += [key for known, key in self.known.items() if known.startswith(f"{whole}.")]
        return list(dict.fromkeys(found))


    def turn(self) -> None:
        """Go over to the way back."""
        self.part, self.forward = "backward", dict(self.known)

    def at(self, key: str) -> Line:
        """Return a line by its key."""
        return next(line for line in self.lines if line.key == key)

    def _add(self, line: Line, name: str) -> None:
        self.lines.append(line)
        self.known[name] = line.key
        self._of[id(line.value)] = line.key

    def _key(self, name: str) -> str:
        taken = {line.key for line in self.lines}
        while name in taken:
            name += "′"
        return name

    def _same(self, array: np.ndarray) -> str:
        """Return the key of the line that an array is of, "" if there is none."""
        return self._of.get(id(array), "")

    def _seen(self, name: str, array: np.ndarray) -> str:
        """Return the key of the line that an array is a part of, or is what a tape has kept of; "" if it is new."""
        base, key = array.base, self.forward.get(name, "")
        if isinstance(base, np.ndarray) and key and np.array_equal(self.at(key).value, array, equal_nan=True):
            return key
        while isinstance(base, np.ndarray):
            if key := self._same(base):
                return key
            base = base.base
        return ""


def link(lines: list[Line]) -> None:
    """Tell each line who reads it."""
    by_key = {line.key: line for line in lines}
    for line in lines:
        for key in line.operands:
            if line.key not in by_key[key].users:
                by_key[key].users.append(line.key)


class Nobody:
    """A visitor that lets everything pass."""

    def given(self, name: str, array: np.ndarray, origin: str) -> np.ndarray:
        """Return the array."""
        return array

    def met(self, statement: Statement, name: str, array: np.ndarray) -> np.ndarray:
        """Return the array."""
        return array

    def output(self, statement: Statement, name: str, array: Any, text: str, reads: tuple[str, ...]) -> Any:
        """Return the array."""
        return array

    def called(self, names: Mapping[str, str]) -> None:
        """Let it pass."""
