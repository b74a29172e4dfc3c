"""`spreading`: where tasks run, as `workers=` says, and what comes of them."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from .over_dask import OverDask
from .over_joblib import OverJoblib
from .own_pool import OwnPool
from .tasks import Facts, Pack, Task, WorkerTraceback, packed

Workers = int | str | None
"""What `workers=` can be: a number of our own processes, a backend's name, or None, what joblib is configured for."""

DASK = "dask"
"""The backend's name; "dask:ADDRESS" is that of the scheduler at an address."""


class Engine(Protocol):
    """What hands tasks to workers."""

    def hold(self, value: Any) -> Any:
        """Return what stands in a task's `held` for a value."""

    def results(self, tasks: Sequence[Task]) -> Iterator[bytes]:
        """Yield what `work` returns, as it comes."""

    def close(self, failed: bool) -> None:
        """End what was begun."""


class Spread:
    """An engine, and what it has come by.

    Parameters
    ----------
    where : str
        The function that errors name.
    engine : Engine
    """

    def __init__(self, where: str, engine: Engine) -> None:
        self.where = where
        self.engine = engine
        self.processors: set[str] = set()

    def hold(self, value: Any) -> Any:
        """Return what stands in a task's `held` for a value that several tasks are handed: an array travels best."""
        return self.engine.hold(value)

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the place of each task among all, and its value, as they come.

        Raises
        ------
        Exception
            The first error that a task meets, of the same type, with a note of which task and which host.
        RuntimeError
            A worker has ended, or can't do what is asked.
        """
        left = len(tasks)
        results = self.engine.results(tasks) if tasks else iter(())
        try:
            for content in results:
                outcome = pickle.loads(content)
                if outcome.error is not None:
                    outcome.error.add_note(f"{self.where}: in {tasks[outcome.place].named}, on {outcome.host}")
                    raise outcome.error from WorkerTraceback(outcome.trace)
                self.processors |= {outcome.processor} - {""}
                left -= 1
                yield outcome.place, outcome.value
        finally:
            if hasattr(results, "close"):
                results.close()
        if left:
            raise RuntimeError(f"{self.where}: workers must do every task, but {left} of {len(tasks)} never came back")


def check_workers(where: str, workers: Any) -> None:
    """Raise ValueError if `workers` is nothing that `spreading` knows of."""
    fine = workers is None or (isinstance(workers, int) and not isinstance(workers, bool) and workers >= 1)
    if not fine and not (isinstance(workers, str) and workers):
        raise ValueError(
            f"{where}: workers must be an int of at least 1, a joblib backend's name, 'dask:ADDRESS' or None, got "
            f"{workers!r}"
        )


WORKERS_HELP = (
    "processes side by side (as many as processors, at most 4); or where else: dask:ADDRESS is a scheduler of Dask, "
    "and a joblib backend's name does as well"
)
"""What ``--workers`` is, where a command has it."""


def workers_option(text: str) -> int | str:
    """Return what ``--workers`` was given, for argparse: a number or a name."""
    return int(text) if text.lstrip("+-").isdigit() else text


def check_workers_option(workers: int | str | None) -> None:
    """Raise ValueError or RuntimeError if ``--workers`` can't be had: now, and not after all that comes before it."""
    if isinstance(workers, int) and workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    if not isinstance(workers, str):
        return
    name, _, address = workers.partition(":")
    if name == DASK:
        client = _client("--workers", address)
        if address:
            client.close()
    else:
        _check_backend("--workers", workers)


def is_spread(workers: Workers) -> bool:
    """Return whether tasks are to leave this process."""
    if workers is None:
        joblib = sys.modules.get("joblib")  # whoever has configured it has imported it
        if joblib is None:
            return False
        backend, count = joblib.parallel.get_active_backend()
        if _client_of(backend) is not None:
            return not _in_dask_worker()
        return int(backend.effective_n_jobs(1 if count is None else count)) > 1
    return workers != 1


@contextmanager
def spreading(
    where: str,
    workers: Workers,
    shared: Any,
    most: int,
    prepare: Callable[[], object] | None = None,
    facts: Facts | None = None,
) -> Iterator[Spread]:
    """Yield what runs tasks on workers; `is_spread` has said that there are some to be.

    Parameters
    ----------
    where : str
        The function that errors name.
    workers : int, str or None
        As `Workers` has it; `check_workers` has seen it.
    shared : object
        What all tasks are handed.
    most : int
        So many tasks there are at most at a time.
    prepare : callable, optional
        What a worker calls before it unpickles anything.
    facts : callable, optional
        Says what must be the same on workers of other hosts.

    Raises
    ------
    TypeError
        Something can't be pickled.
    RuntimeError
        A package is missing, or there is no such backend or cluster.
    """
    engine: Engine
    if isinstance(workers, int):
        engine = OwnPool(packed(where, shared, prepare), min(workers, most))
    else:
        engine = _elsewhere(where, workers, lambda facts: packed(where, shared, prepare, facts, by_value=True), facts)
    spread, failed = Spread(where, engine), True
    try:
        yield spread
        failed = False
    finally:
        engine.close(failed)
    if len(spread.processors) > 1:
        warnings.warn(
            f"{where}: workers should have processors of one kind, got {', '.join(sorted(spread.processors))}; the "
            "same task may have other bits on each",
            RuntimeWarning,
            stacklevel=4,
        )


def _elsewhere(
    where: str, workers: str | None, pack: Callable[[Facts | None], Pack], facts: Facts | None
) -> Engine:
    """Return the engine for a backend of joblib's, or for Dask."""
    name, _, address = (workers or "").partition(":")
    if name == DASK:
        client = _client(where, address)
        try:
            return OverDask(pack(facts), client, {}, own=bool(address))
        except BaseException:
            if address:
                client.close()
            raise
    if workers is not None:
        _check_backend(where, workers)
    else:
        from joblib.parallel import get_active_backend

        backend, _ = get_active_backend()
        if (client := _client_of(backend)) is not None:
            return OverDask(pack(facts), client, backend.submit_kwargs, own=False)
    return OverJoblib(pack(facts if _may_be_elsewhere(workers) else None), workers)


def _check_backend(where: str, name: str) -> None:
    """Raise RuntimeError if joblib has no backend of a name."""
    try:
        import joblib
    except ImportError as error:
        raise RuntimeError(
            f"{where}: joblib must be installed for workers={name!r}, got {error}; it comes with pip install "
            "'rnn_core[report]'"
        ) from error
    try:
        joblib.parallel_config(name).unregister()
    except (ValueError, ImportError) as error:
        raise RuntimeError(
            f"{where}: workers must name a backend that joblib has, got {name!r} ({error}); 'loky' is always there"
        ) from error


def _may_be_elsewhere(workers: str | None) -> bool:
    """Return whether a backend is none of joblib's own, which run on this host."""
    import joblib

    backend = joblib.parallel.get_active_backend()[0]
    module = type(backend).__module__ if workers is None else joblib.parallel.BACKENDS[workers].__module__
    return module != "joblib._parallel_backends"


def _client(where: str, address: str) -> Any:
    """Return a client of Dask: one for an address, or the one that there is."""
    try:
        from dask.distributed import Client, get_client
    except ImportError as error:
        raise RuntimeError(
            f"{where}: dask and distributed must be installed, got {error}; pip install 'rnn_core[dask]'"
        ) from error
    if not address:
        try:
            return get_client()
        except ValueError as error:
            raise RuntimeError(
                f"{where}: workers='dask' must find a dask.distributed.Client, got none; make one, or name the "
                "scheduler: 'dask:tcp://host:8786'"
            ) from error
    try:
        return Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"{where}: workers must name a scheduler of Dask that answers, got {address!r} ({error}); `dask scheduler` "
            "prints its address"
        ) from error


def _client_of(backend: Any) -> Any:
    """Return the client of joblib's backend for Dask; None for every other backend."""
    return backend.client if type(backend).__name__ == "DaskDistributedBackend" else None


def _in_dask_worker() -> bool:
    """Return whether this is a task of Dask already, which would wait in its slot for others that may need it."""
    from dask.distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True
