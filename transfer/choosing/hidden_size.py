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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rnn_core.data import Examples, Ragged
from rnn_core.layers.checks import check_seed, positive_int
from rnn_core.layers.home import to_host
from rnn_core.models import Model
from rnn_core.showing.table import table

from ..parameters.groups import checked_model

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

    Returns
    -------
    choice : SizeChoice
        ``choice.chosen`` is the size; ``print(choice)`` is a table.

    Raises
    ------
    ValueError
        There is no size, one stands twice, there are fewer folds than 2 or fewer examples than folds, a class has
        fewer examples than folds, or there is no such metric; and whatever `train` and `Model.evaluate` raise, as
        where training diverges.
    TypeError
        An argument is of the wrong type.
    RuntimeError
        scipy is missing.

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
    fold_of, stratified = _dealt(where, data, folds, checked_seed)
    scores: dict[int, tuple[float, ...]] = {}
    for size in sorted(several):
        found = []
        for fold in range(folds):
            model = checked_model(f"{where}: build", build(size, checked_seed + fold))
            train(model, _part(data, np.flatnonzero(fold_of != fold)))
            found.append(_score(model, _part(data, np.flatnonzero(fold_of == fold)), metric))
        scores[size] = tuple(found)
    return SizeChoice(metric, scores, stratified)


def _dealt(where: str, data: Examples, folds: int, seed: int) -> tuple[np.ndarray, bool]:
    """Return the fold of each example, and whether each fold has its share of every class."""
    targets = np.asarray(to_host(data.targets))
    N = len(targets)
    if not 2 <= folds <= N:
        raise ValueError(f"{where}: folds must be between 2 and the number of examples, {N}, got {folds}")
    order = np.random.default_rng(seed).permutation(N)
    stratified = targets.ndim == 1 and targets.dtype.kind in "biu"
    if stratified:
        classes, counts = np.unique(targets, return_counts=True)
        if counts.min() < folds:
            rarest = int(np.argmin(counts))
            raise ValueError(
                f"{where}: folds must be at most the number of examples of each class, got {folds}, and class "
                f"{classes[rarest]} has {counts[rarest]}; take fewer folds, or leave the class out"
            )
        order = order[np.argsort(targets[order], kind="stable")]
    fold_of = np.empty(N, int)
    fold_of[order] = np.arange(N) % folds  # dealt like cards, class after class
    return fold_of, stratified


def _part(data: Examples, rows: np.ndarray) -> Examples:
    """Return some of the examples."""

    def some(array: Any) -> Any:
        if array is None:
            return None
        if isinstance(array, Ragged):
            return array.take(rows)
        xp = array_namespace(array)
        return xp.take(array, xp.asarray(rows), axis=0)

    return Examples(
        some(data.inputs), some(data.targets), lengths=some(data.lengths), weights=some(data.weights),
        batch_size=data.batch_size, shuffle=data.shuffle, seed=data.seed,
    )  # fmt: skip


def _score(model: Model, data: Examples, metric: str) -> float:
    """Return the mean loss or the share of right answers."""
    loss = correct = count = 0.0
    for index in range(len(data)):
        evaluation = model.evaluate(data.batch(0, index))
        loss, correct, count = loss + evaluation.loss, correct + evaluation.correct, count + evaluation.count
    return float((loss if metric == "loss" else correct) / count)
