"""Callbacks that hear of several runs of `fit`, one after another, as of one run: the stages of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..history import History
from .callback import Callback, StepRecord


class Onward(Callback):
    """A callback of a run that goes on from others: epochs and updates are counted through.

    Parameters
    ----------
    callback : Callback
        Who is told.
    before : sequence of History
        The runs before this one.

    Attributes
    ----------
    over : bool
        Whether it has ended the run, and with it all that would come behind.
    """

    def __init__(self, callback: Callback, before: Sequence[History]) -> None:
        self.callback, self.over = callback, False
        self._before = joined(before)
        last = self._before.records[-1:]
        self._epochs, self._steps = (last[0].epoch, last[0].step) if last else (0, 0)

    def begin(self, model: Any, history: History, step: int) -> None:
        """Tell of all epochs and updates up to here."""
        self.callback.begin(model, self._whole(history), self._steps + step)

    def step(self, record: StepRecord) -> bool:
        """Tell of an update, by its number among all."""
        record = record._replace(epoch=self._epochs + record.epoch, step=self._steps + record.step)
        self.over |= bool(self.callback.step(record))
        return self.over

    def epoch(self, history: History) -> bool:
        """Tell of an epoch, by its number among all."""
        self.over |= bool(self.callback.epoch(self._whole(history)))
        return self.over

    def end(self, history: History, error: BaseException | None) -> None:
        """Tell that this run is over."""
        self.callback.end(self._whole(history), error)

    def _whole(self, history: History) -> History:
        return joined((self._before, history))


def joined(histories: Sequence[History]) -> History:
    """Return the records of runs that followed one another, numbered as those of one."""
    records: list[Any] = []
    for history in histories:
        epochs, steps = (records[-1].epoch, records[-1].step) if records else (0, 0)
        records += [replace(one, epoch=epochs + one.epoch, step=steps + one.step) for one in history]
    return History(records, histories[-1].monitor if histories else None)
