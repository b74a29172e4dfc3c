"""A rank that dies is noticed by the others of its host: they say so, and end.

MPI itself does not tell: whoever waits for a message of the dead would wait for ever. The launcher ends the job, too,
but without a word of which rank it was. On Linux a descriptor of a process can be waited on; elsewhere nothing is
watched, and the launcher is left to it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping

from .agreement import say

LINGER = 0.5
"""Seconds that whoever has said so stays: a launcher that sees another one end may end the rest unheard."""


class Watch:
    """A thread that waits for the death of other processes, until it is told that they may go.

    Parameters
    ----------
    peers : mapping of int to int
        The rank of each process, by its number.
    said : callable
        From a rank that died to the line that is written before this process ends.
    """

    def __init__(self, peers: Mapping[int, int], said: Callable[[int], str]) -> None:
        self._said, self._over = said, False
        self._descriptors: dict[int, int] = {}
        self._poll = select.poll() if peers and hasattr(os, "pidfd_open") and hasattr(select, "poll") else None
        if self._poll is None:
            return
        for process, rank in peers.items():
            try:
                descriptor = os.pidfd_open(process)
            except OSError:  # it has gone already, or may not be watched
                continue
            self._descriptors[descriptor] = rank
            self._poll.register(descriptor, select.POLLIN)
        self._ends, self._told = os.pipe()
        self._poll.register(self._ends, select.POLLIN)
        self._thread = threading.Thread(target=self._watch, name="rnn_core.parallel", daemon=True)
        self._thread.start()

    def let_go(self) -> None:
        """From now on the others may end."""
        self._over = True

    def close(self) -> None:
        """End the thread."""
        self._over = True
        if self._poll is not None:
            os.write(self._told, b"x")
            self._thread.join()
            for descriptor in (*self._descriptors, self._ends, self._told):
                os.close(descriptor)
            self._poll = None

    def _watch(self) -> None:
        poll = self._poll
        if poll is None:
            return
        for descriptor, _ in poll.poll():
            if descriptor in self._descriptors and not self._over:
                say(self._said(self._descriptors[descriptor]))
                time.sleep(LINGER)
                os._exit(1)
