"""Folds: how examples are dealt into them, and what a model scores on one."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rnn_core.data import Examples, Ragged
from rnn_core.layers.home import to_host
from rnn_core.models import Model


def dealt(where: str, data: Examples, folds: int, seed: int) -> tuple[np.ndarray, bool]:
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


def part_of(data: Examples, rows: np.ndarray) -> Examples:
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


def score_of(model: Model, data: Examples, metric: str) -> float:
    """Return the mean loss or the share of right answers."""
    loss = correct = count = 0.0
    for index in range(len(data)):
        evaluation = model.evaluate(data.batch(0, index))
        loss, correct, count = loss + evaluation.loss, correct + evaluation.correct, count + evaluation.count
    return float((loss if metric == "loss" else correct) / count)
