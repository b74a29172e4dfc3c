"""A communicator whose messages take the time that they would on a slow network; all else it leaves to MPI.

One link a rank, taken by one message after the other. A sum of all ranks moves 2 (n − 1) / n of its bytes over each,
in 2 (n − 1) messages, as a ring does; it begins when the last rank has asked for it. MPI itself still has to move the
bytes: a message has arrived when that is done as well.
"""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

import numpy as np


class Message(NamedTuple):
    """A message that has gone over the link; seconds of the host's one clock."""

    bytes: int
    asked: float  # on this rank
    start: float
    end: float


class Link:
    """What the communicators of a rank share.

    Parameters
    ----------
    rate : float
        Bytes a second.
    latency : float
        Seconds of a message.
    """

    def __init__(self, rate: float, latency: float) -> None:
        self.rate, self.latency, self.free, self.waited = rate, latency, 0.0, 0.0
        self.messages: list[Message] = []
        self.lock = threading.RLock()  # whoever computes and whoever asks after messages are two

    def carry(self, size: int, moved: float, messages: int, asked: float, start: float) -> float:
        """Put a message on the link, and return when it arrives."""
        begins = max(start, self.free)
        self.free = begins + messages * self.latency + moved / self.rate
        self.messages.append(Message(size, asked, begins, self.free))
        return self.free

    def wait(self, until: float) -> None:
        """Sleep until a message has arrived."""
        if (seconds := until - time.monotonic()) > 0:
            time.sleep(seconds)


class Request:
    """A sum that is under way. `stamp` is when the last rank has asked for it."""

    def __init__(self, comm: SlowNetwork, real: Any, size: int) -> None:
        self.comm, self.real, self.size, self.asked = comm, real, size, time.monotonic()
        self.stamp = np.array([self.asked])
        self.stamped = comm.latest(self.stamp)
        self.arrives: float | None = None

    def Test(self) -> bool:
        """Return whether it has arrived."""
        real, stamped = self.real.Test(), self.stamped.Test()
        if not (real and stamped):
            return False
        with self.comm.link.lock:
            self.comm.put_on_link(self)
            return self.arrives is not None and time.monotonic() >= self.arrives

    def Wait(self) -> None:
        """Wait for it."""
        began = time.monotonic()
        self.real.Wait()
        for request in [*self.comm.queue]:  # in the order of asking
            request.stamped.Wait()
        with self.comm.link.lock:
            self.comm.put_on_link(self)
        self.comm.link.wait(self.arrives or 0.0)
        self.comm.link.waited += time.monotonic() - began


class SlowNetwork:
    """Ranks of a communicator, as `rnn_core.parallel.MPI` takes them."""

    def __init__(self, comm: Any, link: Link) -> None:
        self.comm, self.link, self.ranks = comm, link, comm.Get_size()
        self.stamps = comm.Dup()
        self.queue: list[Request] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comm, name)

    def Dup(self) -> SlowNetwork:
        """Return the same ranks, whose messages meet no others, on the same link."""
        return SlowNetwork(self.comm.Dup(), self.link)

    def latest(self, stamp: np.ndarray) -> Any:
        """Ask for the latest of all ranks' times."""
        from mpi4py import MPI

        return self.stamps.Iallreduce(MPI.IN_PLACE, stamp, op=MPI.MAX)

    def put_on_link(self, request: Request) -> None:
        """Put on the link what has been asked for up to a request, as far as all ranks are known to have asked."""
        while self.queue and request.arrives is None and self.queue[0].stamped.Test():
            first, n = self.queue.pop(0), self.ranks
            moved = 2 * (n - 1) / n * first.size
            first.arrives = self.link.carry(first.size, moved, 2 * (n - 1), first.asked, float(first.stamp[0]))

    def Iallreduce(self, sent: Any, received: np.ndarray, **options: Any) -> Request:
        """See mpi4py."""
        request = Request(self, self.comm.Iallreduce(sent, received, **options), received.nbytes)
        self.queue.append(request)
        return request

    def Allgatherv(self, sent: np.ndarray, received: Any) -> None:
        """See mpi4py."""
        asked, whole = time.monotonic(), received[0].nbytes
        self.comm.Allgatherv(sent, received)
        with self.link.lock:
            arrives = self.link.carry(whole, whole - sent.nbytes, self.ranks - 1, asked, time.monotonic())
        self.link.wait(arrives)
        self.link.waited += time.monotonic() - asked
