"""The engine that is always there: processes of our own, on this host."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from rnn_core.showing.surroundings import processors

from .tasks import Pack, Task, work


class OwnPool:
    """So many processes, which live from task to task, and end with this whatever ends it."""

    def __init__(self, pack: Pack, workers: int) -> None:
        self.where = pack.where
        self.others = set(multiprocessing.active_children())
        # Spawned, not forked: a forked child would inherit BLAS threads that don't exist in it.
        context = multiprocessing.get_context("spawn")
        threads = max(1, processors() // workers)
        self.pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker, initargs=(pack, threads)
        )

    def hold(self, value: Any) -> Any:
        """Return what a task's `held` has for a value: the value, which is sent with each task."""
        return value

    def results(self, tasks: Sequence[Task]) -> Iterator[bytes]:
        """Yield what `work` returns, as it comes."""
        try:
            with _ctrl_c_held_back():
                futures = [self.pool.submit(_in_worker, place, task) for place, task in enumerate(tasks)]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"{self.where}: workers must be able to start and to stay alive, but one ended at once; call "
                f"{self.where} under `if __name__ == '__main__':`, look for a lack of memory, or use workers=1"
            ) from error

    def close(self, failed: bool) -> None:
        """End the processes: at once, if something has failed."""
        if failed:
            for child in set(multiprocessing.active_children()) - self.others:
                child.terminate()
        self.pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let Ctrl-C wait: half a process started is one that never ends.

    Processes inherit the mask, and so are silent while they are still starting. It covers this thread alone, so a
    signal may reach another one, for which Python would interrupt this one all the same: hence the handler.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came and callable(handler):
        handler(signal.SIGINT, None)


_given: tuple[Pack, int] | None = None
"""In a worker: what all tasks share, and the kernels' threads."""


def _start_worker(pack: Pack, threads: int) -> None:
    global _given
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends the workers
    _given = pack, threads


def _in_worker(place: int, task: Task) -> bytes:
    if _given is None:
        raise RuntimeError("a worker must be started with what its tasks share")
    pack, threads = _given
    return work(pack, place, task, threads, *task.held)
