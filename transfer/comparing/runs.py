"""The runs behind a comparison: one after the other, or the seeds side by side in processes of their own.

Both ways give the same bits: a run depends on its seed alone, BLAS has one thread in either, and what the kernels
compute doesn't depend on how many they have.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from queue import Empty
from typing import Any, NamedTuple

import numba

from rnn_core.models import Model

from ..parameters.cross_domain import CONTROLS
from ..parameters.groups import checked_model, select
from ..parameters.report import checksums
from .arms import Arm, Start, Trained
from .study import Study


class Run(NamedTuple):
    """One arm, one target size, one seed, and what came out."""

    arm: str
    size: int
    seed: int
    score: float
    record: Any  # what `Study.train` returned


Missing = Sequence[tuple[int, Arm]]
"""The runs of a seed that are to be made: sizes and arms, in order."""

Sources = Callable[[int, Any, Callable[[], Model]], Model]
"""Called with a seed, what an arm calls its source, and what trains it: returns it, trained now or kept from before."""


def run_seed(study: Study, seed: int, missing: Missing, sources_of: Sources | None = None) -> Iterator[Run]:
    """Pretrain what the arms need, then yield a run for each size and arm."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        sources = pretrained(study, seed, [arm for _, arm in missing], sources_of)
    for size, arm in missing:
        with threadpool_limits(1):  # again for each run: one may have loaded a library
            run = run_one(study, arm, size, seed, sources)
        yield run


def run_one(study: Study, arm: Arm, size: int, seed: int, sources: Mapping[Any, Model]) -> Run:
    """Train an arm at a size with a seed, and score it; `sources` are `pretrained`."""
    fitted, record = trained(study, arm, size, seed, sources[arm.source] if arm.source else None)
    score = study.score(fitted)
    try:
        return Run(arm.name, size, seed, float(score), record)
    except (TypeError, ValueError) as error:
        raise TypeError(f"compare: Study.score must return a number, got {score!r}") from error


def pretrained(
    study: Study, seed: int, arms: Sequence[Arm], sources_of: Sources | None = None
) -> dict[Any, Model]:
    """Return the trained sources that arms begin with, by what each calls its source."""
    wanted = dict.fromkeys(arm.source for arm in arms if arm.source)
    named = [source for source in wanted if isinstance(source, str)]

    def made(source: Any, pretrain: Callable[[], Model]) -> Model:
        return pretrain() if sources_of is None else sources_of(seed, source, pretrain)

    own = {
        shuffled: made("shuffled" if shuffled else "trained", partial(study.pretrain, seed, shuffled))
        for shuffled in dict.fromkeys(source == "shuffled" for source in named)
    }
    sources: dict[Any, Model] = {
        source: study.control(source, own[False], seed) if source in CONTROLS else own[source == "shuffled"]
        for source in named
    }
    return sources | {
        # `compare` has asked whether the study is one that it can be used on.
        source: made(source, partial(source.pretrain, study, seed))  # type: ignore[arg-type]
        for source in wanted
        if not isinstance(source, str)
    }


def trained(study: Study, arm: Arm, size: int, seed: int, source: Model | None) -> Trained:
    """Return what an arm ends with, after a look at whether what it froze has stayed."""
    model = checked_model("Study.build", arm.begin(study, source, seed))
    plan = arm.plan_for(study.core)
    before = checksums(model, select(model, (*model.frozen, *plan.frozen)))
    fitted: Any = model
    if arm.method is None:
        record = study.train(model, plan, size, seed)
    else:
        fitted, record = arm.method.train(study, Start(source, model, plan, size, seed))  # type: ignore[arg-type]
    if changed := [name for name, bits in checksums(model, before).items() if bits != before[name]]:
        raise RuntimeError(
            f"compare: frozen parameters must keep their bits, got others in {', '.join(changed)} "
            f"(arm {arm.name!r}, size {size}, seed {seed}); Study.train, or the arm's method, must obey the arm's plan"
        )
    return Trained(fitted, record)


def run_here(
    study: Study, missing: Mapping[int, Missing], collect: Callable[[Run], None], sources_of: Sources | None = None
) -> None:
    """Make the runs of each seed in this process, and hand each to `collect`."""
    for seed, its in missing.items():
        for run in run_seed(study, seed, its, sources_of):
            collect(run)


def run_in_processes(
    study: Study,
    missing: Mapping[int, Missing],
    collect: Callable[[Run], None],
    sources_of: Sources | None,
    workers: int,
    prepare: Callable[[], object] | None = None,
) -> None:
    """Run a seed in each of `workers` processes at a time, and hand each run to `collect` when it is there.

    Whatever ends this call early, Ctrl-C included, ends the processes too.
    """
    arms = [arm for its in missing.values() for _, arm in its]
    try:
        pickle.dumps((study, arms, prepare))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"compare: study and arms must be picklable for workers={workers}, got {error}; define classes and "
            "functions in a module, keep models out of the study's attributes, or use workers=1"
        ) from error
    # Spawned, not forked: a forked child would inherit BLAS threads that don't exist in it.
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(results, prepare))
    try:
        with _ctrl_c_held_back():
            futures = [pool.submit(_seed_in_worker, study, seed, its, sources_of) for seed, its in missing.items()]
        left = len(arms)
        while left:
            for future in futures:
                if future.done():
                    future.result()  # raises what the worker raised
            try:
                pickled = results.get(timeout=0.2)
            except Empty:
                continue
            collect(pickle.loads(pickled))
            left -= 1
    except BaseException as error:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise RuntimeError(
                "compare: workers must be able to import the study and to stay alive, but one ended at once; call "
                "compare under `if __name__ == '__main__':`, look for a lack of memory, or use workers=1"
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


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


_results: Any = None
"""In a worker: where its runs go."""


def _start_worker(results: Any, prepare: Callable[[], object] | None) -> None:
    global _results
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends the workers
    _results = results
    if prepare is not None:
        prepare()


def _seed_in_worker(study: Study, seed: int, missing: Missing, sources_of: Sources | None) -> None:
    numba.set_num_threads(1)  # the other cores are the other seeds'; the kernels' results are the same on any number
    for run in run_seed(study, seed, missing, sources_of):
        try:  # here, where a failure reaches the caller
            _results.put(pickle.dumps(run))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"compare: Study.train must return plain data or None, got what can't leave its process ({error})"
            ) from error
