"""`Ahead`: batches that are read before they are asked for, in a thread, while the network computes."""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Condition, Lock, Thread
from typing import Any

from ...layers.checks import positive_int
from ..batches import Batch, checked_place, checked_source
from ..source import Source

Place = tuple[int, int]


class Ahead:
    """Batches of a source, the next ones of which a thread has read when they are asked for.

    They are the source's own, to the bit, whatever the thread's pace. The thread reads as many as it may and ends; the
    next call starts another. So there is nothing to close: after an error, Ctrl-C or the last batch it ends with the
    batch that it reads.

    Parameters
    ----------
    data : Source
        `TextStream` or `BlockExamples` over files, for instance. It is asked for one batch at a time.
    depth : int
        Batches that are read ahead, at most: they take memory.

    Raises
    ------
    ValueError
        `depth` is below 1, or there is no batch.
    TypeError
        `depth` is not an int, or `data` has no batches.

    Notes
    -----
    An error that the thread meets is raised where its batch is asked for, as it would be without it.
    """

    def __init__(self, data: Source, *, depth: int = 4) -> None:
        self.data = checked_source("Ahead", "data", data)
        self.depth = positive_int("Ahead", "depth", depth)
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._reading = Lock()  # held while the source is asked
        self._changed = Condition()  # guards all below
        self._read: OrderedDict[Place, Batch | BaseException] = OrderedDict()
        self._next: Place | None = None  # what the thread reads next
        self._thread: Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "depth": self.depth}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.data)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch by its place; errors are those of the data's own `batch`."""
        place = checked_place("Ahead.batch", epoch, index, len(self))
        if self._process != os.getpid():  # a fork, to which no thread has come along
            self._begin()
        with self._changed:
            comes = place == self._next and self._thread is not None
            if comes:
                self._read.clear()  # what was not asked for, and may leave no room
            if expected := comes or place in self._read:
                self._changed.wait_for(lambda: place in self._read)
                found = self._take(place)
            else:
                self._read.clear()
                self._next = None  # whatever the thread is reading is not wanted any more
        if not expected:
            with self._reading:
                found = self.data.batch(*place)
            with self._changed:
                self._read.clear()
                self._next = self._after(place)
        with self._changed:
            self._go_on()
        if isinstance(found, BaseException):
            raise found
        return found

    def _take(self, place: Place) -> Batch | BaseException:
        """Return what has been read, and forget it and all before it."""
        while True:
            first, found = self._read.popitem(last=False)
            if first == place:
                return found

    def _after(self, place: Place) -> Place:
        epoch, index = place
        return (epoch, index + 1) if index + 1 < len(self) else (epoch + 1, 0)

    def _go_on(self) -> None:
        """See that there is a thread where there is room."""
        if self._thread is None and self._next is not None and len(self._read) < self.depth:
            self._thread = Thread(target=self._run, name="rnn_core.data.Ahead")
            self._thread.start()

    def _run(self) -> None:
        """Read until there is no room, or an error has been met."""
        while True:
            with self._changed:
                place = self._next
                if place is None or len(self._read) >= self.depth:
                    self._thread = None
                    return
            found: Batch | BaseException
            try:
                with self._reading:
                    found = self.data.batch(*place)
            except BaseException as error:  # noqa: BLE001  # the consumer's to raise
                found = error
            with self._changed:
                if self._next == place:  # nobody has asked for another place meanwhile
                    self._read[place] = found
                    self._next = None if isinstance(found, BaseException) else self._after(place)
                    self._changed.notify_all()
