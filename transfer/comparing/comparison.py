"""`compare`: does the transfer help, does it hurt, and would a control have done as well?"""

from __future__ import annotations

import importlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..parameters.groups import checked_model, listed, select
from ..spreading.spread import Workers, check_workers, is_spread, spreading
from .arms import ARMS, BASELINE, CROSS_DOMAIN_ARMS, Arm, Pretraining
from .data_study import DataStudy
from .identity import surroundings
from .kept import KeptRuns, SourcesIn, source_kept
from .runs import Run, run_here, run_spread
from .study import Study
from .verdicts import Comparison, Difference

__all__ = ["compare", "Comparison", "Difference", "Study", "Arm", "ARMS", "CROSS_DOMAIN_ARMS", "Run"]


def compare(
    study: Study,
    *,
    sizes: Iterable[int],
    seeds: int | Iterable[int],
    arms: Sequence[Arm] = ARMS,
    workers: Workers = None,
    progress: Callable[[Run, int, int], None] | None = None,
    so_far: Callable[[Comparison], None] | None = None,
    keep: str | os.PathLike[str] | KeptRuns | None = None,
    resume: bool | str = False,
    prepare: Callable[[], object] | None = None,
) -> Comparison:
    """Train every arm at every target size with every seed, and judge each arm against training from scratch.

    Parameters
    ----------
    study : Study
        The two tasks and the budget.
    sizes : iterable of int
        Target sizes, in the study's own unit.
    seeds : int or iterable of int
        The seeds, or how many: ``10`` stands for 0 to 9. One pretrained source and one fresh target a seed serve all
        arms, so that differences are paired.
    arms : sequence of Arm
        One is called "scratch". By default fine-tuned, frozen core, scratch, and the controls: random core (frozen),
        and fine-tuned from a source that was trained on shuffled labels.
    workers : int, str or None
        Where runs are made; the scores are the same bits everywhere. A number is of processes on this host, and more
        than one wants the call under ``if __name__ == "__main__":``. A name is that of a joblib backend, which gets all
        it has: "loky", "dask" for the Dask client that there is, "dask:ADDRESS" for a scheduler. None does as
        ``joblib.parallel_config`` says around the call, and without it stays in this process. Everywhere but in this
        process the study must be one that can be pickled.
    progress : callable, optional
        Called in this process as ``progress(run, done, total)`` after each run that is made; those kept are done.
    so_far : callable, optional
        Called in this process as ``so_far(comparison)`` whenever all runs of a seed are there, with the comparison of
        all such seeds: a table of its own, which has fewer seeds than it will have.
    keep : path or KeptRuns, optional
        A folder in which each run is kept when it has ended, and each trained source: whatever ends this call early
        costs the runs that were being made, and no more.
    resume : bool or "auto"
        True goes on from the runs in that folder, to the same bits as a comparison that never stopped; "auto" does so
        if there are some, and begins afresh if not. False refuses a folder that has some. Seeds, sizes and arms may
        have changed in between, the study may not. Not with a `KeptRuns`, which has been told.
    prepare : callable, optional
        What each worker calls before it is handed the study: imports that define a cell of your own, for instance. It
        must be picklable.

    Returns
    -------
    comparison : Comparison
        ``print(comparison)`` is a table; `as_dict` is for JSON.

    Raises
    ------
    ValueError
        There is no size, seed or "scratch" arm, one stands twice, a pattern matches nothing, or an arm does not suit
        the study; or the runs that were kept are another study's, and the message says in what it differs.
    TypeError
        An argument is of the wrong type, or the study can't be pickled.
    RuntimeError
        A package is missing (they come with ``rnn_core[report]``), training has changed a frozen array, a worker
        died, or can't be had, or has other versions installed.

    Notes
    -----
    What a study or an arm raises comes out as it is, with a note of the arm, the size, the seed and the host.

    A verdict is "positive" if the 95 % interval of the paired difference is above 0, "NEGATIVE TRANSFER" if it is
    below (for a control, "negative"), otherwise "inconclusive". Each interval stands for
    itself: nothing is corrected for their number.
    """
    checked_sizes, checked_seeds, arms = _checked(study, sizes, seeds, arms, workers)
    kept = _kept(study, keep, resume)
    found = Found(study, arms, checked_sizes, checked_seeds, kept)

    def collect(run: Run) -> None:
        run = found.add(run)
        if so_far is not None and found.whole(run.seed):
            so_far(found.comparison())
        if progress is not None:
            progress(run, len(found.runs), found.total)

    if found.missing and is_spread(workers):
        with spreading("compare", workers, study, found.total - len(found.runs), prepare, surroundings) as spread:
            run_spread(spread, found.missing, collect, None if kept is None else SourcesIn(kept.sources))
    else:
        run_here(study, found.missing, collect, None if kept is None else partial(source_kept, kept.sources))
    return found.comparison()


class Found:
    """The runs that are there already, those that are missing, and the comparison of the seeds that are whole."""

    def __init__(
        self, study: Study, arms: tuple[Arm, ...], sizes: tuple[int, ...], seeds: tuple[int, ...], kept: KeptRuns | None
    ) -> None:
        self.study, self.arms, self.sizes, self.seeds, self.kept = study, arms, sizes, seeds, kept
        self.by_name = {arm.name: arm for arm in arms}
        self.total = len(seeds) * len(sizes) * len(arms)
        self.runs: list[Run] = []
        self.missing: dict[int, list[tuple[int, Arm]]] = {}
        for seed, size, arm in product(seeds, sizes, arms):
            run = None if kept is None else kept.find(arm, size, seed)
            if run is None:
                self.missing.setdefault(seed, []).append((size, arm))
            else:
                self.runs.append(run)
        self.counts = Counter(run.seed for run in self.runs)

    def add(self, run: Run) -> Run:
        """Add a run, and keep it; return it as it will be found again."""
        if self.kept is not None:
            run = self.kept.add(run, self.by_name[run.arm])
        self.runs.append(run)
        self.counts[run.seed] += 1
        return run

    def whole(self, seed: int) -> bool:
        """Return whether all runs of a seed are there."""
        return self.counts[seed] == len(self.sizes) * len(self.arms)

    def comparison(self) -> Comparison:
        """Return the comparison of the seeds that are whole."""
        seeds = tuple(filter(self.whole, self.seeds))
        order = {name: place for place, name in enumerate(self.by_name)}
        return Comparison(
            self.study.metric,
            self.study.higher_is_better,
            listed("compare", "study.core", self.study.core),
            self.arms,
            self.sizes,
            seeds,
            tuple(
                sorted(
                    (run for run in self.runs if run.seed in seeds),
                    key=lambda run: (seeds.index(run.seed), self.sizes.index(run.size), order[run.arm]),
                )
            ),
        )


def _checked(
    study: Any, sizes: Any, seeds: Any, arms: Any, workers: Any
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Arm, ...]]:
    """Return sizes, seeds and arms; raise before anything is trained if they, or the study, are not as required."""
    if not isinstance(study, Study):
        raise TypeError(f"compare: study must be a Study, got {type(study).__name__}; subclass transfer.Study")
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        seeds = range(seeds)
    checked_seeds = _whole("seeds", seeds)
    checked_sizes = _whole("sizes", sizes)
    if not isinstance(arms, Iterable):
        raise TypeError(f"compare: arms must be several Arms, got {arms!r}")
    arms = tuple(arms)
    for arm in arms:
        if not isinstance(arm, Arm):
            raise TypeError(f"compare: arms must be Arms, got {arm!r}; transfer.ARMS are the usual ones")
    names = [arm.name for arm in arms]
    if BASELINE not in names or len(set(names)) < len(names):
        raise ValueError(f"compare: arms must have different names, {BASELINE!r} among them, got {', '.join(names)}")
    check_workers("compare", workers)
    for arm in arms:
        _check_suited(study, arm)
    for package in ("scipy", "threadpoolctl"):
        _require(package)
    _try(study, checked_seeds[0], checked_sizes, arms)
    return checked_sizes, checked_seeds, arms


def _kept(study: Study, keep: Any, resume: bool | str) -> KeptRuns | None:
    """Return the runs that are kept, if any are to be."""
    if keep is None or isinstance(keep, KeptRuns):
        if resume is not False:
            given = "keep" if keep is None else "a folder as keep"
            raise ValueError(f"compare: resume must be left out without {given}, got {resume!r}")
        return keep
    kept = KeptRuns(keep, study, resume=resume)
    for note in kept.notes:
        warnings.warn(f"compare: {note}", RuntimeWarning, stacklevel=3)
    return kept


def _whole(argument: str, values: Any) -> tuple[int, ...]:
    """Return different whole numbers of at least 0, at least one of them."""
    if not isinstance(values, Iterable):
        raise TypeError(f"compare: {argument} must be ints, got {values!r}")
    numbers = tuple(values)
    for value in numbers:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"compare: {argument} must be ints, got {value!r}")
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ValueError(f"compare: {argument} must be different numbers of at least 0, and not none, got {numbers}")
    return tuple(map(int, numbers))


def _check_suited(study: Study, arm: Arm) -> None:
    """Raise before anything is trained if an arm wants data that the study doesn't hand over."""
    if isinstance(study, DataStudy):
        if reason := study.why_not(arm):
            raise ValueError(f"compare: arms must suit the study, got {arm.name!r}: {reason}; leave it out")
    elif arm.method is not None or isinstance(arm.source, Pretraining):
        raise TypeError(
            f"compare: study must be a DataStudy for the arm {arm.name!r}, got {type(study).__name__}, which does not "
            "hand over its data"
        )


def _require(package: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise RuntimeError(
            f"compare: {package} must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
        ) from error


def _try(study: Study, seed: int, sizes: Sequence[int], arms: Sequence[Arm]) -> None:
    """Raise before anything is trained if a pattern does not fit the target, or there are no data of a size."""
    target = checked_model("Study.build", study.build(seed))
    select(target, study.core)
    for arm in arms:
        arm.plan_for(study.core).describe(target)  # what changes during training can't be resolved
        if arm.carried is not None:
            select(target, arm.carried)
    if isinstance(study, DataStudy):
        for size in sizes:
            study.target_data(size, seed)
