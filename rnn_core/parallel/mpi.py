"""`MPI`: ranks that train one model together, over mpi4py."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from inspect import signature
from math import fsum
from typing import Any, TypeVar

import numpy as np

from kernels.cpu.running.threads import within

from ..data.batches import Batch
from ..foreign import shown
from ..layers.checks import positive_int
from ..models.base import Evaluation, Step
from ..training.alone import Alone
from ..training.protocols import Trainable
from .agreement import check_same, come_together, described, raised, say
from .launching import threads_of, world
from .shares import Share, bounds, counted, cut, cut_state, generator_of, join_states, rows_of, rows_of_state
from .sums import Exact, Rounded, agree, check_step, told
from .watching import Watch

T = TypeVar("T")

REDUCTIONS = ("sum", "exact")
MOST_SHARES = 1024

class MPI:
    """Ranks that train one model together. Every process makes one, and calls `fit` with it and alike in all else.

    A batch is cut by rows. Each rank computes its share; gradients, weighted by the number of targets, are added up;
    and every rank takes the same step.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Which ranks; all by default.
    reduction : {"sum", "exact"}
        "sum" adds floating-point numbers: the same bits every time on one number of ranks, and to rounding those of
        one process. "exact" gives the same bits on any number of ranks, one included: each batch is cut into `shares`
        whatever the ranks, and their gradients are added up as integers.
    shares : int
        With "exact" alone: into how many shares a batch is cut, at most 1024. The bits depend on it, and no more than
        so many ranks have work.
    threads : int, optional
        Of a rank's kernels; by default the cores of its host divided by the ranks there, and not more than it may use.
    bucket : int
        Bytes of gradients that are sent together, once all of them are final.

    Attributes
    ----------
    rank, ranks : int
        This one, counted from 0, and how many there are.
    first : bool
        Whether this is rank 0, which writes, shows and calls callbacks.

    Raises
    ------
    RuntimeError
        mpi4py, or the MPI that it needs, is not installed.
    ValueError, TypeError
        An option is out of range, or of another type.
    """

    def __init__(
        self,
        comm: Any = None,
        *,
        reduction: str = "sum",
        shares: int = 8,
        threads: int | None = None,
        bucket: int = 1 << 20,
    ) -> None:
        if not isinstance(reduction, str) or reduction not in REDUCTIONS:
            raise ValueError(f"MPI: reduction must be 'sum' or 'exact', got {shown(reduction)}")
        self.shares = positive_int("MPI", "shares", shares)
        if self.shares > MOST_SHARES:
            raise ValueError(f"MPI: shares must be at most {MOST_SHARES}, got {shares}")
        bucket = positive_int("MPI", "bucket", bucket)
        threads = None if threads is None else positive_int("MPI", "threads", threads)
        every = world() if comm is None else comm
        # Messages of ours meet no others; those of a failure, and sums that are under way, none of ours.
        self.comm, self._failures = every.Dup(), every.Dup()
        self.rank, self.ranks, self.first = every.Get_rank(), every.Get_size(), every.Get_rank() == 0
        self.reduction = reduction
        self._kept: Callable[[], str] | None = None
        self._sums = (Exact if reduction == "exact" else Rounded)(every.Dup(), bucket)
        self._host = socket.gethostname()
        places = self.comm.allgather((self._host, os.getpid()))
        self._names = [f"rank {rank} ({host})" for rank, (host, _) in enumerate(places)]
        self._peers = {pid: rank for rank, (host, pid) in enumerate(places) if host == self._host and rank != self.rank}
        self.hosts = len({host for host, _ in places})
        self.threads = threads or threads_of(1 + len(self._peers))

    def __str__(self) -> str:
        how = f"{self.shares} shares of each batch, added exactly" if self.reduction == "exact" else "a share each"
        ranks, hosts = _many(self.ranks, "rank"), _many(self.hosts, "host")
        return f"{ranks} on {hosts}, {_many(self.threads, 'thread')} a rank; {how}"

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's bits depend on beside itself: the shares of exact sums."""
        return {"reduction": f"exact, in {self.shares} shares"} if self.reduction == "exact" else {}

    @contextmanager
    def running(self, kept: Callable[[], str] = str) -> Iterator[None]:
        """Return a context in which ranks end together: by an error that all raise, or by one that ends the job.

        Parameters
        ----------
        kept : callable
            Tells in words what there is to resume from.
        """
        self._sums.forget()
        if self._kept is not None:  # inside another one, which sees to errors, and now knows what there is
            before, self._kept = self._kept, kept
            yield
            self._kept = before
            return

        def death(rank: int) -> str:
            return f"fit: {self._names[rank]} has died, so {self._names[self.rank]} ends; {self._resumable()}"

        self._kept = kept
        watch = Watch(self._peers, death)
        try:
            with within(self.threads):
                yield
            self.comm.Barrier()
        except BaseException as error:
            if self.ranks > 1 and not come_together(self._failures):
                said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                say(f"fit: {self._names[self.rank]} failed, which ends all: {said}; {self._resumable()}")
                self.comm.Abort(130 if isinstance(error, KeyboardInterrupt) else 1)
            watch.let_go()
            come_together(self._failures)
            raise
        else:
            watch.let_go()
            self.comm.Barrier()
        finally:
            watch.close()
            self._kept = None

    def check(self, facts: Mapping[str, Any]) -> None:
        """Raise ValueError on all ranks, naming one, where facts, or what computes, are not the same."""
        mine = {"rnn_core": version("rnn_core"), "numpy": np.__version__, "MPI": repr(self.facts), **facts}
        check_same(self.comm.allgather(mine), self._names)

    def each(self, do: Callable[[], T]) -> T:
        """Do something on every rank, and return what it was here; where one fails, all raise."""
        value, failed = _tried(do)
        self._together(failed)
        return value  # type: ignore[return-value]  # there is one, or an error has been raised

    def by_first(self, do: Callable[[], T]) -> T:
        """Do something on rank 0, and return on all what it was; where it fails, all raise."""
        value, failed = _tried(do) if self.first else (None, None)
        found, error = self.comm.bcast((value, None if failed is None else described(failed)))
        if failed is not None:
            raise failed
        if error is not None:
            raise raised(error, "")
        mine: Any = value if self.first else found
        return mine

    def step(
        self, model: Trainable, batch: Batch, carried: Any, needs: frozenset[str], seeds: list[int],
        options: Mapping[str, Any],
    ) -> Step:  # fmt: skip
        """Return loss, gradients and count of a batch, and the states after this rank's shares of it."""
        if self.ranks == 1 and self.reduction == "sum":
            return Alone().step(model, batch, carried, needs, seeds, options)  # type: ignore[return-value]
        asked = self._sums.early and "ready" in signature(model.loss_and_gradients).parameters
        with self._sums.begin(model.parameters) as sending:

            def compute(share: Share) -> Any:
                ready = {"ready": sending.ready} if asked and share.counts else {}
                rng = generator_of(seeds, share.rows, share.of)
                found = model.loss_and_gradients(
                    share.batch, state=share.state, needs=needs, rng=rng, **options, **ready
                )
                check_step(found)
                if self._sums.early and share.counts:
                    sending.rest(found.gradients, float(found.count))
                return found

            found, states = self._shares(batch, carried, compute)
            terms = [(float(one.count), one.gradients) for one in found]
            losses = [(float(one.loss) * float(one.count), float(one.count)) for one in found]
            agreed = agree(self.comm.allgather(told(losses, terms, sending)), model.parameters)
            gradients = self._sums(terms, agreed, model.parameters, sending)
        return Step(agreed.loss, gradients, states, agreed.total)

    def evaluate(self, model: Trainable, batch: Batch, carried: Any) -> Evaluation:
        """Return the sums over a batch, and the states after this rank's shares of it."""
        if self.ranks == 1 and self.reduction == "sum":
            return Alone().evaluate(model, batch, carried)  # type: ignore[return-value]
        found, states = self._shares(batch, carried, lambda share: model.evaluate(share.batch, state=share.state))
        told = [
            (float(one.loss), float(one.count), None if one.correct is None else float(one.correct)) for one in found
        ]
        every = [one for rank in self.comm.allgather(told) for one in rank]
        tells = all(correct is not None for _, _, correct in every)
        right = fsum(correct or 0.0 for _, _, correct in every) if tells else None
        return Evaluation(fsum(one[0] for one in every), fsum(one[1] for one in every), right, states)

    def whole(self, carried: Any) -> Any:
        """Return a state from its parts, on rank 0; None on others."""
        if self.ranks == 1 and self.reduction == "sum":
            return carried
        parts = self.comm.gather(carried)
        return join_states([part for parts_of_rank in parts for part in parts_of_rank or ()]) if parts else None

    def own(self, state: Any) -> Any:
        """Return the states of this rank's shares."""
        if state is None or (self.ranks == 1 and self.reduction == "sum"):
            return state
        return [cut_state(state, rows) for rows in self._mine(rows_of_state(state))]

    def _mine(self, rows: int) -> list[slice]:
        """Return the rows of this rank's shares, out of so many."""
        if self.reduction == "sum":
            return [bounds(rows, self.ranks)[self.rank]]
        return bounds(rows, self.shares)[bounds(self.shares, self.ranks)[self.rank]]

    def _shares(self, batch: Batch, carried: Any, do: Callable[[Share], Any]) -> tuple[list[Any], list[Any]]:
        """Return what is found for each of this rank's shares that counts, and the states after all of them.

        Where a share fails on one rank, all ranks raise.
        """

        def all_shares() -> tuple[list[Any], list[Any]]:
            count = rows_of(batch)
            found: list[Any] = []
            states: list[Any] = []
            for k, rows in enumerate(self._mine(count)):
                if rows.start == rows.stop:
                    states.append(None)
                    continue
                part, counts = counted(cut(batch, rows))
                one = do(Share(rows, count, part, None if carried is None else carried[k], counts))
                states.append(one.state)
                found += [one] if counts else []
            return found, states

        return self.each(all_shares)

    def _resumable(self) -> str:
        """Return what there is to resume from, whatever state that is in."""
        try:
            return (self._kept() if self._kept else "") or "no checkpoint was kept"
        except Exception:  # noqa: BLE001  # beside the error that has just ended the run
            return "the checkpoint can't be read"

    def _together(self, failed: Exception | None) -> None:
        """Raise on all ranks where one has failed."""
        told = self.comm.allgather(None if failed is None else described(failed))
        if failed is not None and self.ranks == 1:
            raise failed
        for rank, error in enumerate(told):
            if error is not None:
                raise raised(error, f"; on {self._names[rank]} of {self.ranks}") from failed


def _tried(do: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Return what is found, or the error that was raised."""
    try:
        return do(), None
    except Exception as error:  # noqa: BLE001  # of whatever kind: the others wait to hear of it
        return None, error


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
