"""Dense gradients on their way: in buckets, each of which leaves as soon as all of it is there.

A backward is done at the top first. What the top has found travels while the layers below are computed::

    computed    │ head │ layer 1 │ layer 0 │ embedding │
    on its way         │ head    │ layer 1 │ layer 0   │ rows │

Which parameters have a gradient that is no rows, all ranks know when a step is over. So a step sends by the `Plan` of
the one before it; where that turns out to be wrong, what was sent counts nothing, and everything is sent again. MPI
pairs collective calls by their order: every rank sends all buckets of a plan in the plan's order, whatever happens to
its backward.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from ..layers.embedding import dense
from .agreement import PATIENCE

PAUSE = 1e-3
"""Seconds between two questions whether messages have arrived."""

Gradients = Mapping[str, Any]


class Plan(NamedTuple):
    """By what a step sends before it is over. All ranks have the same one."""

    names: Sequence[str] = ()  # whose gradients travel in buckets, in the model's order
    heard: Sequence[str] = ()  # in which order a rank has heard that they are final


class Sending:
    """Buckets of one step, added up over the ranks. A context: leaving it, every bucket has been sent.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        That nothing else is sent on before all buckets are.
    homes : mapping of str to ndarray
        Parameters, for shapes and dtypes.
    plan : Plan
        Without names nothing is sent.
    most : int
        Bytes of a bucket.

    Attributes
    ----------
    names : list of str
        Of the plan.
    heard : list of str
        What has been said to be final, in this order.
    """

    def __init__(self, comm: Any, homes: Gradients, plan: Plan, most: int) -> None:
        self._comm, self._homes, self.names = comm, homes, list(plan.names)
        self._buckets = buckets(self.names, homes, most)
        self._place = {
            name: (k, place) for k, bucket in enumerate(self._buckets) for name, place in places(bucket, homes)
        }
        self._missing = [set(bucket) for bucket in self._buckets]
        self._next = order_of(self._buckets, plan.heard)
        self._flats: dict[int, np.ndarray] = {}
        self._requests: dict[int, Any] = {}
        self._asking = Asking()
        self.heard: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.rest({}, 0.0)
        if isinstance(error, Exception):  # which all ranks have raised: all have come here
            self.settle()

    def ready(self, gradients: Gradients, count: float) -> None:
        """Take gradients that are final, of the mean over `count` targets, and send what is complete."""
        self.heard += gradients
        self._put(gradients, count)
        self._send(lambda bucket: not self._missing[bucket])
        self._asking.in_between()

    def rest(self, gradients: Gradients, count: float) -> None:
        """Take what is left, and send all buckets; of what there is not, zeros."""
        self._put(gradients, count)
        self._send(lambda _: True)
        self._asking.end()

    def sums(self, total: float) -> dict[str, np.ndarray]:
        """Return (MP1) of every name, when all buckets have arrived."""
        self.wait()
        found = {}
        for k, bucket in enumerate(self._buckets):
            flat = self._flats.pop(k)
            flat /= flat.dtype.type(total)  # (MP1)
            for name, place in places(bucket, self._homes):
                found[name] = flat[place].reshape(self._homes[name].shape)
        return found

    def wait(self) -> None:
        """Wait until all buckets have arrived."""
        for k in range(len(self._buckets)):
            self._requests[k].Wait()

    def settle(self) -> None:
        """Wait so, but for some seconds at most, in which a rank that has failed may not have sent them."""
        until = time.monotonic() + PATIENCE
        while not all(request.Test() for request in self._requests.values()) and time.monotonic() < until:
            time.sleep(PAUSE)

    def _put(self, gradients: Gradients, count: float) -> None:
        """Take the gradients that are still missing into their buckets."""
        for name, gradient in gradients.items():
            if name not in self._place or name not in self._missing[self._place[name][0]]:
                continue
            bucket, place = self._place[name]
            flat = self._flat(bucket)
            flat[place] += (dense(gradient) * flat.dtype.type(count)).reshape(-1)
            self._missing[bucket].discard(name)

    def _send(self, may_leave: Any) -> None:
        """Send buckets in their order, up to the first that may not leave yet."""
        while self._next and may_leave(self._next[0]):
            bucket = self._next.pop(0)
            self._requests[bucket] = self._comm.Iallreduce(_in_place(), self._flat(bucket))
            self._asking.add(self._requests[bucket])

    def _flat(self, bucket: int) -> np.ndarray:
        if bucket not in self._flats:
            names = self._buckets[bucket]
            size = sum(self._homes[name].size for name in names)
            self._flats[bucket] = np.zeros(size, self._homes[names[0]].dtype)
        return self._flats[bucket]


class Asking:
    """Asks whether messages have arrived while something is computed: Open MPI moves them on within calls alone.

    A thread does it, where MPI may be called by several; otherwise whoever computes, in between.
    """

    def __init__(self) -> None:
        self._requests: list[Any] = []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, request: Any) -> None:
        """Ask after a message, too."""
        with self._lock:
            self._requests.append(request)
        if self._thread is None and not self._over.is_set() and _by_several_threads():
            self._thread = threading.Thread(target=self._ask, name="rnn_core.parallel.sending", daemon=True)
            self._thread.start()

    def in_between(self) -> None:
        """Ask, where there is no thread for it."""
        if self._thread is None:
            self._ask_once()

    def end(self) -> None:
        """Ask no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _ask(self) -> None:
        while not self._over.wait(PAUSE):
            self._ask_once()

    def _ask_once(self) -> None:
        with self._lock:
            self._requests = [request for request in self._requests if not request.Test()]


def buckets(names: Sequence[str], homes: Gradients, most: int) -> list[list[str]]:
    """Return names in the order given, as many together as `most` bytes hold, of one dtype each."""
    found: list[list[str]] = []
    size = 0
    for name in names:
        array = homes[name]
        if not found or size + array.nbytes > most or homes[found[-1][0]].dtype != array.dtype:
            found.append([])
            size = 0
        found[-1].append(name)
        size += array.nbytes
    return found


def places(names: Sequence[str], homes: Gradients) -> list[tuple[str, slice]]:
    """Return where in a bucket each array lies."""
    found, start = [], 0
    for name in names:
        found.append((name, slice(start, start + homes[name].size)))
        start += homes[name].size
    return found


def order_of(parts: Sequence[Sequence[str]], heard: Sequence[str]) -> list[int]:
    """Return the numbers of buckets in the order in which they are complete; of what isn't heard of, the last first."""
    when = {name: k for k, name in enumerate(heard)}
    return sorted(range(len(parts)), key=lambda k: (max(when.get(name, len(heard)) for name in parts[k]), -k))


def _in_place() -> Any:
    from mpi4py import MPI

    return MPI.IN_PLACE


def _by_several_threads() -> bool:
    from mpi4py import MPI

    allowed: bool = MPI.Query_thread() == MPI.THREAD_MULTIPLE
    return allowed
