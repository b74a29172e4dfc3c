"""How a run shows itself: a bar in a terminal, some lines in a log, or nothing."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .callbacks.callback import Callback, StepRecord
from .history import EpochRecord, History

REFRESH = 0.1
"""Seconds between two pictures of the bar. In between, a step costs one look at the clock."""

LINES = 20
"""About as many lines as a log gets, however many epochs there are."""


class Reporter(Callback):
    """Show how a run gets on; the bar is taken down at the end, also after an error.

    Parameters
    ----------
    progress : bool or Console
        False for silence, True for standard error; or where else to write.
    epochs, batches : int
        Epochs in all, and batches in each of them.
    """

    def __init__(self, progress: bool | Console, epochs: int, batches: int) -> None:
        self.epochs, self.batches = epochs, batches
        self.console = Console(stderr=True) if progress is True else progress or None
        self.bar: Progress | None = None
        self.next_picture = 0.0
        self.validation = ""

    def say(self, line: str) -> None:
        """Show a line, where anything is shown."""
        if self.console is not None and line:
            self.console.print(line, highlight=False, soft_wrap=True)

    def begin(self, model: Any, history: History, step: int) -> None:
        """Put up the bar."""
        if self.console is not None and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=max(4, min(40, self.console.width - 76))),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                TextColumn("{task.fields[numbers]}"),
                console=self.console,
                auto_refresh=False,  # no second thread beside the kernels'
            )
            self.task = self.bar.add_task("epoch", total=self.epochs * self.batches, completed=step, numbers="")
            self.bar.start()

    def step(self, record: StepRecord) -> None:
        """Show an update, if it is time for the next picture."""
        if self.bar is not None and perf_counter() >= self.next_picture:
            self.next_picture = perf_counter() + REFRESH
            numbers = f"loss {record.mean_loss:.4f}{self.validation}  rate {record.rate:.1e}"
            self._picture(record.epoch, record.step, numbers)

    def epoch(self, history: History) -> None:
        """Show an epoch."""
        record = history[-1]
        if self.bar is not None:
            self.validation = _validation(record)
            self._picture(record.epoch, record.step, f"loss {record.loss:.4f}{self.validation}  rate {record.rate:.1e}")
        elif self.console is not None:
            every = -(-self.epochs // LINES)
            if record.epoch % every == 0 or record.epoch in (1, self.epochs):
                best = "  best" if history.best is record else ""
                self.console.print(
                    f"epoch {record.epoch}/{self.epochs}  loss {record.loss:.4f}{_validation(record)}  "
                    f"rate {record.rate:.1e}  {record.seconds:.1f} s{best}",
                    highlight=False,
                    soft_wrap=True,
                )

    def end(self, history: History, error: BaseException | None) -> None:
        """Take the bar down."""
        if self.bar is not None:
            self.bar.refresh()
            self.bar.stop()

    def _picture(self, epoch: int, done: int, numbers: str) -> None:
        if self.bar is not None:
            self.bar.update(
                self.task, completed=done, description=f"epoch {epoch}/{self.epochs}", numbers=numbers, refresh=True
            )


def _validation(record: EpochRecord) -> str:
    if record.validation_loss is None:
        return ""
    accuracy = record.validation_accuracy
    return f"  validation {record.validation_loss:.4f}" + ("" if accuracy is None else f" ({accuracy:.1%})")
