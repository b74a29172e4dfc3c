"""`Callback`: what `fit` tells while it trains, and `watching`, which begins and ends several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple

from ..history import History

METHODS = ("begin", "step", "epoch", "end")
"""What `fit` calls; anything that has them will do."""


class StepRecord(NamedTuple):
    """One update in numbers."""

    epoch: int
    """Counted from 1."""
    step: int
    """Updates made up to now, in all epochs together."""
    loss: float
    """Mean over the batch's targets before the update, the penalty of anchors included."""
    mean_loss: float
    """Mean over the targets of the epoch so far."""
    penalty: float
    """Penalty of the anchors; 0 without any."""
    rate: float
    """The optimizer's learning rate times the schedule's factor."""
    gradient_norm: float
    """Length of all gradients together, before clipping."""


class Callback:
    """Something that `fit` tells how it gets on. A subclass defines what it wants to hear of.

    `begin` comes once, when a checkpoint has been put back if there was one; then `step` after every update and
    `epoch` after every epoch; and `end` once, also after an error. What `step` and `epoch` return decides whether the
    run goes on.

    Nothing of a callback is kept in a checkpoint: a run that is resumed goes on to the same bits with any callbacks or
    without, as long as they leave the model as it is.
    """

    def begin(self, model: Any, history: History, step: int) -> None:
        """Hear of the model, of the epochs that an earlier run has made, and of how many updates it has made."""

    def step(self, record: StepRecord) -> bool | None:
        """Hear of an update; to return True ends the run after it. An epoch that it breaks off leaves no record."""

    def epoch(self, history: History) -> bool | None:
        """Hear of the end of an epoch, whose record is ``history[-1]``; to return True ends the run."""

    def end(self, history: History, error: BaseException | None) -> None:
        """Hear that the run is over, and of the error, or of Ctrl-C, that has ended it."""


class Watching:
    """Several callbacks that have begun. All are told, whichever of them wants to end the run."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks

    def step(self, record: StepRecord) -> bool:
        """Tell of an update; return whether one of them ends the run."""
        ends = [callback.step(record) for callback in self.callbacks]
        return any(ends)

    def epoch(self, history: History) -> bool:
        """Tell of an epoch; return whether one of them ends the run."""
        ends = [callback.epoch(history) for callback in self.callbacks]
        return any(ends)


@contextmanager
def watching(callbacks: Sequence[Callback], model: Any, history: History, step: int) -> Iterator[Watching]:
    """Begin callbacks in order, and end those that have begun, the last one first."""
    with ExitStack() as ends:
        for callback in callbacks:
            callback.begin(model, history, step)
            ends.push(partial(_end, callback, history))
        yield Watching(callbacks)


def _end(
    callback: Callback, history: History,
    kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None,
) -> None:  # fmt: skip
    callback.end(history, error)


def check_callbacks(where: str, callbacks: Any) -> tuple[Callback, ...]:
    """Return the callbacks.

    Raises
    ------
    TypeError
        They are no sequence, or one lacks a method.
    """
    if isinstance(callbacks, str | bytes) or not isinstance(callbacks, Sequence):
        raise TypeError(
            f"{where}: callbacks must be a list of callbacks, got {type(callbacks).__name__}; one alone goes in a list"
        )
    for k, callback in enumerate(callbacks):
        missing = [name for name in METHODS if not callable(getattr(callback, name, None))]
        if missing or isinstance(callback, type):
            got = f"the class {callback.__name__}" if isinstance(callback, type) else type(callback).__name__
            raise TypeError(
                f"{where}: callbacks must have {', '.join(METHODS)}, as a subclass of Callback does, got {got} "
                f"at place {k}" + ("; give what it makes, with () behind it" if isinstance(callback, type) else "")
            )
    return tuple(callbacks)
