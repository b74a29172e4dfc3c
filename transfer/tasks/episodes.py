"""What meta-learning trains on: tasks, drawn one after another, each with a few batches to adapt to and a query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnn_core.data import Batch
from rnn_core.data.batches import checked_place
from rnn_core.layers.checks import check_seed, positive_int


class Task(NamedTuple):
    """One task.

    Attributes
    ----------
    support : list of Batch
        What to adapt to: a batch for each step. ``[batch] * 5`` takes five steps on the same.
    query : Batch, optional
        What the adapted model is judged by. Reptile trains without.
    """

    support: list[Batch]
    query: Batch | None = None


class Episode(NamedTuple):
    """The tasks of one outer step.

    Attributes
    ----------
    tasks : tuple of Task
    carry : bool
        Always False: no state is carried from step to step.
    """

    tasks: tuple[Task, ...]
    carry: bool = False


class Tasks:
    """Draws tasks: a source of episodes for `fit`.

    Parameters
    ----------
    draw : callable
        From a NumPy generator to a `Task`.
    length : int
        Outer steps in an epoch.
    tasks_per_step : int
        Tasks in an episode.
    seed : int

    Raises
    ------
    ValueError
        `length` or `tasks_per_step` is below 1, or `seed` below 0.
    TypeError
        `draw` can't be called, or a number is not an int.
    """

    def __init__(
        self, draw: Callable[[np.random.Generator], Task], length: int, *, tasks_per_step: int = 1, seed: int = 0
    ) -> None:
        if not callable(draw):
            raise TypeError(f"Tasks: draw must be a function of a generator, got {type(draw).__name__}")
        self.draw = draw
        self.length = positive_int("Tasks", "length", length)
        self.tasks_per_step = positive_int("Tasks", "tasks_per_step", tasks_per_step)
        self.seed = check_seed("Tasks", seed) or 0

    def __len__(self) -> int:
        """The number of outer steps in an epoch."""
        return self.length

    def batch(self, epoch: int, index: int) -> Any:
        """Return an episode, which depends on the seed and these two numbers alone.

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Returns
        -------
        Episode

        Raises
        ------
        ValueError
            A number is out of range.
        TypeError
            `draw` returned something else than a task.
        """
        where = "Tasks.batch"
        epoch, index = checked_place(where, epoch, index, self.length)
        rng = np.random.default_rng([self.seed, epoch, index])
        tasks = tuple(self.draw(rng) for _ in range(self.tasks_per_step))
        for task in tasks:
            if not isinstance(task, Task):
                raise TypeError(f"{where}: draw must return a Task, got {type(task).__name__}")
        return Episode(tasks)
