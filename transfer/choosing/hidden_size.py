"""Choosing the hidden size by cross-validation: the smallest that is not clearly worse than the best.

With the scores s_1 … s_K of a size, one for each fold that was kept from training::

    s̄ ± t · e,    e = s / √K                                            (X27)
    chosen = the smallest size with  s̄ ≥ s̄(best) − e(best)              (X28)

s is the standard deviation over K − 1, and t the 0.975 quantile of Student's distribution with K − 1 degrees of
freedom. (X28) is written for scores of which higher is better.

References
----------
.. [1] L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and regression trees", Wadsworth 1984,
   section 3.4.3: the rule of one standard error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from rnn_core.data import Examples
from rnn_core.layers.checks import check_seed, positive_int
from rnn_core.models import Model
from rnn_core.showing.table import table

from ..parameters.groups import checked_model
from ..spreading.spread import Workers, check_workers
from .folds import dealt, part_of, score_of
from .trials import kept_trials, trials_made

METRICS = {"loss": False, "accuracy": True}
"""What a score can be, and whether higher is better."""


@dataclass(frozen=True)
class SizeChoice:
    """The result of `choose_hidden_size`: every score, and which size to take. ``print(choice)`` is a table.

    Attributes
    ----------
    metric : {"loss", "accuracy"}
    scores : dict of int to tuple of float
        For each size, ascending, a score for each fold.
    stratified : bool
        Whether each fold had its share of every class.
    """

    metric: str
    scores: dict[int, tuple[float, ...]]
    stratified: bool

    @property
    def folds(self) -> int:
        """Into how many folds the examples were dealt."""
        return len(next(iter(self.scores.values())))

    def mean(self, size: int) -> float:
        """Return the mean score of a size.

        Raises
        ------
        ValueError
            There is no such size.
        """
        return float(np.mean(self._of("mean", size)))

    def standard_error(self, size: int) -> float:
        """Return the standard error e of that mean, equation (X27); errors are those of `mean`."""
        scores = np.array(self._of("standard_error", size))
        return float(scores.std(ddof=1) / len(scores) ** 0.5)  # (X27)

    def half_width(self, size: int) -> float:
        """Return half the width of the 95 % interval of a size, equation (X27); errors are those of `mean`.

        The folds share most of their training examples, so the interval is a little too narrow.
        """
        from scipy.special import stdtrit

        return float(stdtrit(self.folds - 1, 0.975) * self.standard_error(size))  # (X27)

    @property
    def best(self) -> int:
        """The size with the best mean; of equals the smallest."""
        return max(self.scores, key=lambda size: self._sign * self.mean(size))

    @property
    def chosen(self) -> int:
        """The smallest size whose mean is at most one standard error worse than the best, equation (X28)."""
        best, sign = self.best, self._sign
        lowest = sign * self.mean(best) - self.standard_error(best)
        return next(size for size in self.scores if sign * self.mean(size) >= lowest)  # (X28)

    def as_dict(self) -> dict[str, Any]:
        """Return scores, means, intervals and the choice as plain data, for JSON."""
        rows = [
            {
                "size": size,
                "scores": list(scores),
                "mean": self.mean(size),
                "standard_error": self.standard_error(size),
                "half_width": self.half_width(size),
            }
            for size, scores in self.scores.items()
        ]
        protocol = {"metric": self.metric, "folds": self.folds, "stratified": self.stratified, "level": 0.95}
        return {"protocol": protocol, "sizes": rows, "best": self.best, "chosen": self.chosen}

    def __str__(self) -> str:
        rows = []
        for size in self.scores:
            marks = [mark for mark, place in (("best", self.best), ("chosen", self.chosen)) if size == place]
            cells = f"{self.mean(size):.4f} ± {self.half_width(size):.4f}", f"{self.standard_error(size):.4f}"
            rows.append((str(size), *cells, ", ".join(marks)))
        headings = ("hidden size", self.metric, "standard error", "")
        better = "higher" if METRICS[self.metric] else "lower"
        kind = "stratified folds" if self.stratified else "folds"
        return (
            f"{table(headings, rows, right=headings[:3])}\n"
            f"{self.metric}: mean over {self.folds} {kind}, {better} is better; ±: 95% t-interval\n"
            "chosen: the smallest size within one standard error of the best"
        )

    @property
    def _sign(self) -> int:
        return 1 if METRICS[self.metric] else -1

    def _of(self, method: str, size: int) -> tuple[float, ...]:
        if size not in self.scores:
            raise ValueError(
                f"SizeChoice.{method}: size must be among those tried, got {size!r}; there are "
                f"{', '.join(map(str, self.scores))}"
            )
        return self.scores[size]


def choose_hidden_size(
    build: Callable[[int, int], Model],
    train: Callable[[Model, Examples], Any],
    data: Examples,
    *,
    sizes: Iterable[int],
    folds: int = 5,
    metric: str = "loss",
    seed: int = 0,
    workers: Workers = None,
    progress: Callable[[SizeChoice | None, int, int], None] | None = None,
    keep: str | os.PathLike[str] | None = None,
    resume: bool | str = False,
) -> SizeChoice:
    """Train every size on all folds but one, score it on that one, and choose by the rule of one standard error.

    Parameters
    ----------
    build : callable
        ``build(size, seed)`` returns a fresh model. In a fold all sizes get the same seed, and each fold another.
    train : callable
        ``train(model, examples)`` trains it; the budget is the same for every call.
    data : Examples
        All there is to choose on. What is kept for the final test must not be in it.
    sizes : iterable of int
        The hidden sizes to try.
    folds : int
        At least 2.
    metric : {"loss", "accuracy"}
        What the choice goes by: as `Model.evaluate` has them, weights and lengths included.
    seed : int
        Deals the examples into folds, and is the first fold's seed for `build`.
    workers : int, str or None
        Where sizes are trained, a fold at a time, as for `compare`; the scores are the same bits everywhere. Other
        processes want `build`, `train` and `data` that can be pickled.
    progress : callable, optional
        Called in this process as ``progress(choice, done, total)`` after each fold of each size that is trained, with
        the choice among the sizes whose folds are all there; None as long as there is none.
    keep : path, optional
        A folder in which each score is kept when it is there.
    resume : bool or "auto"
        True goes on from the scores in that folder, to the same choice as one that never stopped; "auto" does so if
        there are some. False refuses a folder that has some. Other sizes may be asked for, nothing else may differ:
        what `build` and `train` are is known by their code, by what they have taken along and by their file.

    Returns
    -------
    choice : SizeChoice
        ``choice.chosen`` is the size; ``print(choice)`` is a table.

    Raises
    ------
    ValueError
        There is no size, one stands twice, there are fewer folds than 2 or fewer examples than folds, a class has
        fewer examples than folds, or there is no such metric; the scores that were kept are of another choice; and
        whatever `train` and `Model.evaluate` raise, as where training diverges, with a note of size and fold.
    TypeError
        An argument is of the wrong type, or can't be pickled for workers.
    RuntimeError
        scipy is missing, or workers can't be had.

    Notes
    -----
    Where targets are classes, one whole number for each example, folds are stratified: in each, the number of
    examples of a class is the same, give or take one.
    """
    where = "choose_hidden_size"
    if not isinstance(data, Examples):
        raise TypeError(f"{where}: data must be Examples, got {type(data).__name__}; wrap inputs and targets in them")
    if not isinstance(sizes, Iterable):
        raise TypeError(f"{where}: sizes must be several ints, got {sizes!r}")
    several = tuple(positive_int(where, "sizes", size) for size in sizes)
    if not several or len(set(several)) < len(several):
        raise ValueError(f"{where}: sizes must be different, and not none, got {several}")
    folds = positive_int(where, "folds", folds)
    if metric not in METRICS:
        raise ValueError(f"{where}: metric must be one of {', '.join(map(repr, METRICS))}, got {metric!r}")
    checked_seed = check_seed(where, seed)
    if checked_seed is None:
        raise TypeError(f"{where}: seed must be an int, got None; two calls would deal different folds")
    try:
        import scipy.special  # noqa: F401  # before hours of training
    except ImportError as error:
        raise RuntimeError(
            f"{where}: scipy must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
        ) from error
    check_workers(where, workers)
    fold_of, stratified = dealt(where, data, folds, checked_seed)
    of = {"build": build, "train": train, "data": data, "folds": folds, "metric": metric, "seed": checked_seed}
    kept = kept_trials(where, keep, of, resume)
    trials: list[tuple[int, int]] = [*product(sorted(several), range(folds))]
    scores = {trial: found[0] for trial in trials if kept is not None and (found := kept.find(trial)) is not None}
    missing = [trial for trial in trials if trial not in scores]
    shared = _Shared(build, train, data, fold_of, metric, checked_seed)
    with trials_made(where, workers, shared, _trial, missing, _named) as made:
        for trial, score in made:
            scores[trial] = score
            if kept is not None:
                kept.add(trial, [score])
            if progress is not None:
                whole = _whole(scores, folds)
                progress(SizeChoice(metric, whole, stratified) if whole else None, len(scores), len(trials))
    return SizeChoice(metric, _whole(scores, folds), stratified)


class _Shared(NamedTuple):
    """What every trial is made with."""

    build: Callable[[int, int], Model]
    train: Callable[[Model, Examples], Any]
    data: Examples
    fold_of: np.ndarray
    metric: str
    seed: int


def _trial(shared: _Shared, size: int, fold: int) -> float:
    """Return the score of a size on a fold that it was not trained on."""
    build, train, data, fold_of, metric, seed = shared
    model = checked_model("choose_hidden_size: build", build(size, seed + fold))
    train(model, part_of(data, np.flatnonzero(fold_of != fold)))
    return score_of(model, part_of(data, np.flatnonzero(fold_of == fold)), metric)


def _named(trial: tuple[int, int]) -> str:
    return f"hidden size {trial[0]}, fold {trial[1]}"


def _whole(scores: Mapping[tuple[int, int], float], folds: int) -> dict[int, tuple[float, ...]]:
    """Return the scores of each size that has one on every fold."""
    return {
        size: tuple(scores[size, fold] for fold in range(folds))
        for size in sorted({size for size, _ in scores})
        if all((size, fold) in scores for fold in range(folds))
    }
