"""The stages of a plan: what changes on the way, cut into runs of `fit` that follow one another.

The data go on where the stage before stopped, and so does the schedule, which spans the whole run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rnn_core.data import Repeated
from rnn_core.data.source import Source
from rnn_core.models import Model
from rnn_core.training.updates import Updates

from .freezing import Unfreezing, gradually


class Stage(NamedTuple):
    """What a run of `fit` is given: ``fit(model, stage.train, epochs=stage.epochs, updates=…, schedule=…)``."""

    train: Repeated
    epochs: int
    updates: Updates
    schedule: Callable[[int], float] | None


def stages_of(
    where: str, model: Model, train: Source, updates: Updates, unfreezing: Unfreezing | None, schedule: Any, epochs: int
) -> list[Stage]:
    """Return the stages of a plan whose updates are resolved; `schedule` makes one from the number of steps.

    Raises
    ------
    ValueError
        The stages don't fit into the epochs.
    TypeError
        What makes a schedule returns none.
    """
    names = [updates.trainable] if unfreezing is None else gradually(model, updates.trainable)
    parts = _parts(where, train, unfreezing, len(names), epochs)
    factor = None if schedule is None else schedule(sum(part.length * passes for part, passes in parts))
    if not (factor is None or callable(factor)):
        raise TypeError(f"{where}: plan.schedule must return a function of the step, got {factor!r}")
    return [
        Stage(part, passes, _only(some, updates), _later(factor, part.start))
        for some, (part, passes) in zip(names, parts, strict=True)
    ]


def _parts(
    where: str, train: Source, unfreezing: Unfreezing | None, stages: int, epochs: int
) -> list[tuple[Repeated, int]]:
    """Return each stage's batches, and how many times it goes through them."""
    n = len(train)
    each, passes = 0, 1
    if unfreezing is not None and unfreezing.epochs is not None:
        each, passes = n, unfreezing.epochs
    elif unfreezing is not None and unfreezing.steps is not None:
        each = unfreezing.steps
    start = (stages - 1) * each * passes
    left = epochs * n - start
    if left < 1:
        raise ValueError(
            f"{where}: epochs must leave something for the last of {stages} stages, got epochs={epochs}: {epochs * n} "
            f"steps, of which the stages before take {start} (plan.unfreezing: {unfreezing})"
        )
    last = -(-left // n)
    return [(Repeated(train, each, start=k * each * passes), passes) for k in range(stages - 1)] + [
        (Repeated(train, left // last, start=start), last)
    ]


def _only(names: tuple[str, ...], updates: Updates) -> Updates:
    """Return updates for some of the parameters alone."""
    return Updates(
        names,
        {name: rate for name, rate in updates.rates.items() if name in names},
        {name: anchor for name, anchor in updates.anchors.items() if name in names},
    )


def _later(schedule: Callable[[int], float] | None, start: int) -> Callable[[int], float] | None:
    """Return a schedule as a stage sees it whose first step is number `start` of the run."""
    return schedule if schedule is None or not start else lambda step: schedule(step + start)
