"""What is trained on, and what is held out: drawn once, by the seed alone."""

from __future__ import annotations

import numpy as np

SPLIT = 9
"""Sets the numbers of a split apart from those of an epoch's order, [seed, epoch]."""


def split_rows(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those to validate by, each in order, at least one of each.

    Raises
    ------
    ValueError
        There is but one row.
    """
    if count < 2:
        raise ValueError(f"--data must have two examples or more to be split, got {count}; name a --validation")
    held_out = min(max(1, round(share * count)), count - 1)
    order = np.random.default_rng([seed, SPLIT]).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def split_classes(targets: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same, each class with its share of either. A class of one example stays where it is learned.

    Parameters
    ----------
    targets : array of int, shape (N,)

    Raises
    ------
    ValueError
        No class has two examples.
    """
    order = np.random.default_rng([seed, SPLIT]).permutation(len(targets))
    held_out: list[np.ndarray] = []
    counts = np.bincount(targets)
    if counts.max() < 2:
        raise ValueError(
            "--data must have two examples of a class at least to be split, got one of each; name a --validation"
        )
    for k, n in enumerate(counts):
        held_out.append(order[targets[order] == k][: min(round(share * n), n - 1) if n else 0])
    if not any(map(len, held_out)):  # all classes are small: one of the largest
        held_out.append(order[targets[order] == counts.argmax()][:1])
    chosen = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(targets)), chosen), chosen


def share_of_steps(steps: int, share: float, horizon: int, least: int) -> int:
    """Return how many steps at the end of series are held out: a share, a horizon at least, and `least` are left.

    Raises
    ------
    ValueError
        Not so many are left.
    """
    last = max(horizon, min(round(share * steps), steps - least))
    if steps - last < least:
        raise ValueError(
            f"--data must have series of {least + horizon} steps or more, {horizon} of them held out, got {steps}; "
            "name a --validation, or take a shorter --context or --horizon"
        )
    return last
