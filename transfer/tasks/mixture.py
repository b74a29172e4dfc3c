"""`Mixture`: the batches of several tasks, in turn or together.

::

    p_k = n_k^(1/τ) / Σ_j n_j^(1/τ)        (X43)   the share of task k, of n_k batches, in the steps of an epoch

The temperature τ = 1 is in proportion to the data; with τ → ∞ all tasks have the same share.

References
----------
N. Arivazhagan and others, "Massively multilingual neural machine translation in the wild: findings and challenges",
arXiv:1907.05019v1, section 3: the temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

import numpy as np

from rnn_core.data import Batch
from rnn_core.data.batches import checked_place, checked_source
from rnn_core.data.source import Source
from rnn_core.layers.checks import check_seed, positive_int

TEMPERATURES = {"proportional": 1.0, "uniform": inf}


class TaskBatch(NamedTuple):
    """What `MultiTask` and `SharedMap` make one step from.

    Attributes
    ----------
    tasks : dict of str to Batch
        A batch for each task that has its turn.
    carry : bool
        Always False: no state is carried from batch to batch.
    """

    tasks: dict[str, Batch]
    carry: bool = False


class Mixture:
    """Takes batches from the sources of several tasks, so many from each in an epoch: a source for `fit`.

    The numbers are kept, not drawn: in every epoch a task has its share of the steps, (X43), rounded, and at least one;
    only the order is shuffled. A source goes on in the next epoch where it stopped, so that all its batches have their
    turn equally often.

    Parameters
    ----------
    sources : mapping of str to Source
        Batches by the name of their task, such as `Examples`.
    sampling : {"proportional", "uniform", "together"} or float
        "proportional" is τ = 1, "uniform" τ = ∞, and a number is τ itself. "together" has every task in every step.
    length : int, optional
        Steps in an epoch. By default as many as all sources have batches; together, as the longest has.
    seed : int
        Draws the order of each epoch.

    Raises
    ------
    ValueError
        There is no source, or one without a batch; `sampling` is none of these; `length` has not a step for each task.
    TypeError
        A source has no batches, or `length` or `seed` is not an int.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        sampling: str | float = "proportional",
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(sources, Mapping) or not sources:
            raise ValueError(f"Mixture: sources must be batches by the name of their task, got {sources!r}")
        for name, source in sources.items():
            checked_source("Mixture", f"sources[{name!r}]", source)
        self.sources = dict(sources)
        self.together = sampling == "together"
        sizes = [len(source) for source in self.sources.values()]
        if length is None:
            length = max(sizes) if self.together else sum(sizes)
        self.length = positive_int("Mixture", "length", length)
        self.seed = check_seed("Mixture", seed) or 0
        steps = [self.length] * len(sizes) if self.together else _shares(sizes, _temperature(sampling), self.length)
        self.steps = dict(zip(self.sources, steps, strict=True))
        self._latest: tuple[int, list[tuple[str, int]]] | None = None

    def __len__(self) -> int:
        """The number of steps in an epoch."""
        return self.length

    def batch(self, epoch: int, index: int) -> Any:
        """Return what a step is made from.

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Returns
        -------
        TaskBatch

        Raises
        ------
        ValueError
            A number is out of range.
        """
        epoch, index = checked_place("Mixture.batch", epoch, index, self.length)
        turns = [(name, index) for name in self.sources] if self.together else [self._order(epoch)[index]]
        tasks = {}
        for name, turn in turns:
            source = self.sources[name]
            tasks[name] = source.batch(*divmod(epoch * self.steps[name] + turn, len(source)))
        return TaskBatch(tasks)

    def _order(self, epoch: int) -> list[tuple[str, int]]:
        """Return whose turn each step of an epoch is, and how many that task has had before. The latest is kept."""
        if self._latest is None or self._latest[0] != epoch:
            names = [name for name, steps in self.steps.items() for _ in range(steps)]
            had = dict.fromkeys(self.steps, 0)
            order = []
            for place in np.random.default_rng([self.seed, epoch]).permutation(self.length):
                name = names[place]
                order.append((name, had[name]))
                had[name] += 1
            self._latest = (epoch, order)
        return self._latest[1]


def _temperature(sampling: str | float) -> float:
    """Return τ."""
    temperature = TEMPERATURES.get(sampling) if isinstance(sampling, str) else sampling
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not temperature > 0:
        raise ValueError(
            "Mixture: sampling must be 'proportional', 'uniform', 'together' or a temperature above 0, "
            f"got {sampling!r}"
        )
    return float(temperature)


def _shares(sizes: list[int], temperature: float, length: int) -> list[int]:
    """Return how many of `length` steps each task has: its share, rounded so that nothing is left over."""
    if length < len(sizes):
        raise ValueError(f"Mixture: length must be at least {len(sizes)}, a step for each task, got {length}")
    # Measured from the largest, no power overflows.
    powers = (np.array(sizes) / max(sizes)) ** (1 / temperature)
    exact = powers / powers.sum() * length  # (X43)
    steps = np.maximum(np.floor(exact), 1).astype(int)
    while (rest := length - steps.sum()) != 0:
        if rest > 0:
            steps[np.argmax(exact - steps)] += 1
        else:  # a task that was owed less than one step has taken it from the others
            steps[np.argmax(np.where(steps > 1, steps - exact, -inf))] -= 1
    return [int(count) for count in steps]
