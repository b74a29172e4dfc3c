"""`TensorBoard`: the curves of a run as its web page draws them, through whichever writer is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...layers.checks import positive_int
from ..history import History
from .callback import Callback, StepRecord

EPOCH = {
    "loss/training": "loss", "loss/validation": "validation_loss", "accuracy/validation": "validation_accuracy",
    "penalty": "penalty", "rate": "rate", "gradient norm": "gradient_norm",
}  # fmt: skip
"""The curves over epochs, by the attribute of a record. Their abscissa is the number of updates made."""

STEP = {"step/loss": "loss", "step/rate": "rate", "step/gradient norm": "gradient_norm"}
"""The curves over updates."""


class TensorBoard(Callback):
    """Events for TensorBoard: ``tensorboard --logdir FOLDER`` shows them.

    They are written by tensorboardX, or where that is missing by torch's writer. A run that is resumed tells
    TensorBoard to forget what comes after its checkpoint.

    Parameters
    ----------
    folder : path
        For files of events; it is made.
    every : int, optional
        Curves over updates as well, a point for each whose number is a multiple of this; without it, epochs alone.

    Raises
    ------
    ImportError
        There is no writer; the message says what to install.
    """

    def __init__(self, folder: str | Path, *, every: int | None = None) -> None:
        self.every = None if every is None else positive_int("TensorBoard", "every", every)
        self.folder, self._make = Path(folder), _writer()

    def begin(self, model: Any, history: History, step: int) -> None:
        """Open a file of events."""
        # A file's name has the second of its beginning; with its first step, no two parts of a run have the same.
        again = {"purge_step": step + 1, "filename_suffix": f".{step}"} if step else {}
        self._events = self._make(str(self.folder), **again)

    def step(self, record: StepRecord) -> None:
        """Write an update, if it is one of those that are wanted."""
        if self.every and record.step % self.every == 0:
            self._write(STEP, record)

    def epoch(self, history: History) -> None:
        """Write an epoch."""
        self._write(EPOCH, history[-1])
        self._events.flush()

    def end(self, history: History, error: BaseException | None) -> None:
        """Close the file."""
        self._events.close()

    def _write(self, curves: dict[str, str], record: Any) -> None:
        for tag, name in curves.items():
            if (value := getattr(record, name)) is not None:
                self._events.add_scalar(tag, value, record.step)


def _writer() -> Any:
    """Return the class of a writer."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ImportError(
                "TensorBoard: tensorboardX, or torch with tensorboard, must be installed, and neither can be imported; "
                "pip install 'rnn_core[tensorboard]'"
            ) from None
    return SummaryWriter
