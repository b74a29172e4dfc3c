"""Arrays of lists of whole numbers, as NumPy writes them: read without building a single foreign object.

NumPy writes an array of Python's lists as a small program for a stack machine, and Python's own reader of such programs
calls whatever they name. Here the program is followed by hand. What it would call is only written down, to be compared
with the one thing that NumPy writes; what it builds are lists of whole numbers; whatever else it asks for is refused.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from typing import Any

RECONSTRUCT = frozenset({("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")})
ARRAY, DTYPE, ENCODE = ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")
NAMES = RECONSTRUCT | {ARRAY, DTYPE, ENCODE}
"""What NumPy's arrays of objects name."""

SPARE = 64
"""Things that stand beside the lists: names, texts, tuples."""

LONGEST = 64
"""Bytes of a text that NumPy writes there, and parts of a tuple, at most."""


BATCH = 500
"""Bytes from which on numbers are put into a list in batches; a thousand at a time, in fact."""

DEEPEST = 4
"""Marks at a time: the array's state, its elements, an element's numbers; and one more for a tuple."""


class Refused(Exception):
    """The program is none that NumPy writes for lists of whole numbers; says what it has instead."""


class _List:
    """A list: its whole numbers, and what else it holds."""

    __slots__ = ("numbers", "others")

    def __init__(self) -> None:
        self.numbers = array("q")
        self.others: list[Any] = []


class _Name(tuple[str, str]):
    """A module and a name in it."""


class _Call(list[Any]):
    """What would be called: a name, its arguments and, at the end, its state."""


def lists_of_numbers(data: bytes, start: int, count: int, most: int) -> list[array[int]] | array[int]:
    """Return the elements of an array of objects.

    Parameters
    ----------
    data : bytes
        Of an ``.npy`` file.
    start : int
        Where its header ends.
    count : int
        Elements, by the header.
    most : int
        Elements that are believed.

    Returns
    -------
    list of array, or array
        Whole numbers of 64 bits: of each element, if these are lists; else the elements.

    Raises
    ------
    Refused
        The data hold anything else.

    Notes
    -----
    Memory stays within a small multiple of the data and of `count`: numbers have 8 bytes and take at least 2 in the
    data; of all else there may be but a few for each list; and a list that is used again counts again.
    """
    if count > most:
        raise Refused(f"{count:,} elements by its header, where its size leaves room for {most:,}")
    try:
        found = _Machine(data, start, count).run()
    except (IndexError, struct.error, UnicodeDecodeError):
        raise Refused("an end too early, or what is no list") from None
    rows = _checked(found, count)
    if rows.numbers and rows.others:
        raise Refused("numbers beside lists")
    if len(rows.numbers) + len(rows.others) != count:
        raise Refused(f"{len(rows.numbers) + len(rows.others):,} elements instead of {count:,}")
    if not rows.others:
        return rows.numbers
    total = 0
    for k, row in enumerate(rows.others):
        if not isinstance(row, _List) or row.others:
            raise Refused(f"what is no list of whole numbers, as element {k + 1:,}")
        total += len(row.numbers)
        if total > len(data):
            raise Refused("one list again and again, for more numbers than it has bytes")
    return [row.numbers for row in rows.others]


def _checked(found: Any, count: int) -> _List:
    """Return the list of the elements, if this is an array of objects just as NumPy writes it."""
    try:
        name, arguments, state = found
        kind, empty, letter = arguments
        version, shape, dtype, fortran, rows = state
        of_dtype, (size, *_), _ = dtype
    except (TypeError, ValueError):
        raise Refused("no array of lists") from None
    letter = "b" if _is(letter, [ENCODE, ("b", "latin1")]) else letter
    right = (
        isinstance(found, _Call) and isinstance(dtype, _Call) and isinstance(rows, _List)
        and name in RECONSTRUCT and kind == ARRAY and empty == (0,) and letter in ("b", b"b")
        and version == 1 and of_dtype == DTYPE and size in ("O8", "O4", "O") and fortran in (False, True)
    )  # fmt: skip
    if not right or shape != (count,):
        raise Refused("another array than its header says")
    return rows


def _is(value: Any, call: list[Any]) -> bool:
    return isinstance(value, _Call) and list(value) == call


class _Machine:
    """Follows a program: a stack, marks on it, and a memory of what has been on it."""

    def __init__(self, data: bytes, start: int, count: int) -> None:
        self.data, self.at = data, start
        self.stack: list[Any] = []  # runs of numbers stand there as one array each
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}
        self.budget = 2 * (count + SPARE)  # each thing is built once, and remembered at most once
        self.steps = 6 * (count + SPARE) + len(data) // BATCH  # a list takes four, and two for each batch of numbers
        self.operations: dict[int, Callable[[], None]] = {
            ord("]"): lambda: self.push(_List()),
            ord("("): self.mark,
            ord("e"): lambda: self.extend(self.since_mark()),
            ord("a"): lambda: self.extend(self.pop(1)),
            0x94: lambda: self.remember(len(self.memory)),
            ord("q"): lambda: self.remember(self.byte()),
            ord("r"): lambda: self.remember(self.size(4)),
            ord("h"): lambda: self.recall(self.byte()),
            ord("j"): lambda: self.recall(self.size(4)),
            0x95: lambda: self.skip(8),
            0x80: lambda: self.skip(1),
            ord("N"): lambda: self.push(None),
            0x88: lambda: self.push(True),
            0x89: lambda: self.push(False),
            0x8C: lambda: self.push(self.text(self.byte())),
            ord("X"): lambda: self.push(self.text(self.size(4))),
            ord("U"): lambda: self.push(self.text(self.byte())),
            ord("C"): lambda: self.push(self.text(self.byte()).encode()),
            0x85: lambda: self.tuple(self.pop(1)),
            0x86: lambda: self.tuple(self.pop(2)),
            0x87: lambda: self.tuple(self.pop(3)),
            ord("t"): lambda: self.tuple(self.since_mark()),
            ord("c"): lambda: self.name(self.line(), self.line()),
            0x93: lambda: self.name(*self.pop(2)),
            ord("R"): lambda: self.call(*self.pop(2)),
            ord("b"): lambda: self.state(*self.pop(2)),
        }

    def run(self) -> Any:
        """Return what the program leaves on the stack."""
        data, operations = self.data, self.operations
        for _ in range(self.steps):
            self.numbers()
            code = data[self.at]
            self.at += 1
            if code == ord("."):
                (found,) = self.pop(1)
                return found
            if code not in operations:
                raise Refused(f"operation {bytes([code])!r}, which no list of whole numbers needs")
            operations[code]()
        raise Refused("more steps than lists of whole numbers need")

    def numbers(self) -> None:
        """Push the whole numbers that come next: nearly all of the data, so this is the loop that has to be fast."""
        data, at = self.data, self.at
        run = array("q")
        push = run.append
        while True:
            code = data[at]
            if code == 0x4B:  # K: a byte
                push(data[at + 1])
                at += 2
            elif code == 0x4D:  # M: two bytes
                push(data[at + 1] | data[at + 2] << 8)
                at += 3
            elif code == 0x4A:  # J: four bytes and a sign
                push(struct.unpack_from("<i", data, at + 1)[0])
                at += 5
            elif code == 0x8A:  # as many bytes as the first says
                size = data[at + 1]
                if size > 8:
                    raise Refused("a number of more than 64 bits")
                if at + 2 + size > len(data):
                    raise IndexError
                push(int.from_bytes(data[at + 2 : at + 2 + size], "little", signed=True))
                at += 2 + size
            else:
                break
        self.at = at
        if run:
            self.stack.append(run)

    def spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise Refused("more lists than elements")

    def push(self, value: Any) -> None:
        self.spend()
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """Return the uppermost things, the last one last."""
        found: list[Any] = []
        while len(found) < count:
            top = self.stack[-1]
            if isinstance(top, array) and len(top) > 1:
                found.append(top.pop())
                continue
            found.append(top[0] if isinstance(top, array) else top)
            self.stack.pop()
        return found[::-1]

    def mark(self) -> None:
        if len(self.marks) >= DEEPEST:
            raise Refused("lists in lists")
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        """Return all that stands above the last mark; runs of numbers as arrays."""
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def extend(self, values: list[Any]) -> None:
        """Put things at the end of the list below them."""
        target = self.stack[-1]
        if not isinstance(target, _List):
            raise Refused("what is put into no list")
        for value in values:
            if isinstance(value, array):
                target.numbers.extend(value)
            elif type(value) is int:
                target.numbers.append(value)
            else:
                target.others.append(value)

    def tuple(self, values: list[Any]) -> None:
        flat = [one for value in values for one in (value[:LONGEST] if isinstance(value, array) else [value])]
        if len(flat) > LONGEST:
            raise Refused("a long tuple")
        self.push(tuple(flat))

    def remember(self, place: int) -> None:
        self.spend()
        self.memory[place] = self.stack[-1] if not isinstance(self.stack[-1], array) else None

    def recall(self, place: int) -> None:
        self.push(self.memory.get(place))

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("what has no name")
        if (module, name) not in NAMES:
            raise Refused(f"{module}.{name}, which no list of numbers needs")
        self.push(_Name((module, name)))

    def call(self, name: Any, arguments: Any) -> None:
        if not isinstance(name, _Name):
            raise Refused("a call of what is no name")
        self.push(_Call((name, arguments)))

    def state(self, call: Any, state: Any) -> None:
        if not isinstance(call, _Call):
            raise Refused("a state of what is no array")
        self.push(_Call((*call, state)))

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def size(self, width: int) -> int:
        self.skip(width)
        return int.from_bytes(self.data[self.at - width : self.at], "little")

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise IndexError

    def text(self, size: int) -> str:
        if size > LONGEST:
            raise Refused("a long text")
        self.skip(size)
        return self.data[self.at - size : self.at].decode("ascii")

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + LONGEST)
        if end < 0:
            raise Refused("a long name")
        found = self.text(end - self.at)
        self.at += 1
        return found
