"""Whose turn it is, such that no interrupt can leave it nobody's.

A lock that Python takes and gives back has a gap on either side: Ctrl-C may come between the lines, and then it stays
taken for good. A turn is an object instead. It has what it stands for as long as somebody refers to it, and where an
exception goes by, the reference goes too.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from weakref import ref


class Turn:
    """Taken for as long as it lives."""

    __slots__ = ("__weakref__",)


class Turns:
    """Turns, of which one is had at a time: the first in the queue that is still alive."""

    def __init__(self) -> None:
        self._queue: deque[ref[Turn]] = deque()  # each operation on it is one step, whatever other threads do

    def take(self) -> Turn | None:
        """Return a turn, to be referred to until it is over; None, at once, where another has it."""
        turn = Turn()
        mine = ref(turn)
        self._queue.append(mine)
        for one in tuple(self._queue):
            if one is mine:
                return turn
            alive = one() is not None
            with suppress(ValueError):  # somebody else has just done it
                self._queue.remove(mine if alive else one)
            if alive:
                break
        return None

    def taken(self) -> bool:
        """Return whether somebody has a turn at the moment."""
        return any(one() is not None for one in tuple(self._queue))
