"""The engine for a cluster of Dask.

joblib has a backend for Dask, too. But where a task takes its worker down again and again, and Dask gives it up, that
backend never hears of it and waits for ever (joblib 1.6). So its client is taken, and asked directly.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from .tasks import Pack, Task, work

PATIENCE = 60.0
"""Seconds in which a first worker must come."""


class OverDask:
    """Tasks handed to a client of Dask. A worker's slot, of which Dask counts one a core, takes one at a time.

    Parameters
    ----------
    pack : Pack
    client : distributed.Client
    options : mapping
        For `Client.submit`.
    own : bool
        Whether the client ends with this.

    Raises
    ------
    RuntimeError
        No worker comes.
    """

    def __init__(self, pack: Pack, client: Any, options: Mapping[str, Any], own: bool) -> None:
        self.where = pack.where
        self.client, self.options, self.own = client, options, own
        try:  # a task, because a cluster that grows as it is needed has no worker before there is one
            client.submit(_nothing, pure=False, **options).result(timeout=PATIENCE)
        except TimeoutError as error:
            raise RuntimeError(
                f"{self.where}: Dask must have a worker, but none came within {PATIENCE:.0f} s; start some "
                "(`dask worker ADDRESS`)"
            ) from error
        self.pack = self.hold(pack)

    def hold(self, value: Any) -> Any:
        """Return what a task's `held` has for a value: a future, so that the value is sent to a worker once.

        It is the result of a task, which Dask does again if the value is lost with a worker; what is scattered is not
        brought back.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*large graph", UserWarning)  # it is one value, sent once
            return self.client.submit(_itself, value, pure=False, **self.options)

    def results(self, tasks: Sequence[Task]) -> Iterator[bytes]:
        """Yield what `work` returns, as it comes. Where a worker is lost, Dask does its tasks again elsewhere."""
        from dask.distributed import as_completed

        futures, call = {}, uuid4().hex  # a key that was used before would bring back another task's result
        try:
            for place, task in enumerate(tasks):
                bare = Task(task.function, task.arguments, task.named)
                key = f"{self.where}-{call}-{place}"
                future = self.client.submit(work, self.pack, place, bare, 1, *task.held, key=key, **self.options)
                futures[future] = task
            for future in as_completed(list(futures)):
                try:
                    content = future.result()
                except Exception as error:
                    raise self._said(error, futures[future]) from error
                yield content
                del futures[future]
        finally:
            if futures:
                self.client.cancel(list(futures))

    def _said(self, error: Exception, task: Task) -> RuntimeError:
        """Return what is said of a task that Dask has given up."""
        from dask.distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return RuntimeError(
                f"{self.where}: workers must stay alive, but every one that Dask gave {task.named} has ended; look "
                "for a lack of memory"
            )
        return RuntimeError(
            f"{self.where}: Dask must hand tasks to workers that have rnn_core, got {type(error).__name__}: {error} "
            f"for {task.named}; install rnn_core on every host, and see whether the cluster still stands"
        )

    def close(self, failed: bool) -> None:
        """Leave the cluster to whoever has started it."""
        if self.own:
            self.client.close()


def _nothing() -> None:
    """Be a task."""


def _itself(value: Any) -> Any:
    """Return a value, which is then where tasks are."""
    return value
