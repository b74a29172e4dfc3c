"""`fit`: the training loop, which can stop at any step and go on as if it had not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..data.batches import checked_source
from ..data.source import Source
from ..layers.checks import positive_int
from .alone import Parallel, checked_parallel
from .callbacks import Callback, watching
from .callbacks.callback import check_callbacks
from .checkpoint import LAST
from .history import HIGHER_IS_BETTER, History
from .optimizers import Optimizer
from .progress import Reporter
from .protocols import Trainable
from .run import Run
from .updates import Updates, resolve


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`. The message names the last checkpoint, and how to resume.

    The parameters in memory may be those of half a step; the checkpoint's never are.

    Attributes
    ----------
    checkpoint : Path or None
        What to resume from, if anything was kept.
    """

    def __init__(self, message: str, checkpoint: Path | None) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint


def fit(
    model: Trainable,
    train: Source,
    *,
    optimizer: Optimizer,
    epochs: int,
    validation: Source | None = None,
    schedule: Callable[[int], float] | None = None,
    clip_norm: float | None = None,
    updates: Updates | None = None,
    seed: int = 0,
    patience: int | None = None,
    monitor: str | None = None,
    restore_best: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool | str = False,
    progress: bool | Console = True,
    callbacks: Sequence[Callback] = (),
    optimizer_state: dict[str, Any] | None = None,
    parallel: Parallel | None = None,
) -> History:
    """Train a model.

    Parameters
    ----------
    model : Trainable
        For example a `LanguageModel` or a `SequenceClassifier`. Its parameters are changed in place.
    train : Source
        Training batches: `Examples`, or a `TextStream` for truncated backpropagation through time. Where a batch
        has `carry`, the state after the one before is carried on; gradients stop there.
    optimizer : Optimizer
        `SGD`, `Adam` or `AdamW`.
    epochs : int
        How many times to go through `train`, those before a resumption included.
    validation : Source, optional
        Evaluated after every epoch.
    schedule : callable, optional
        From the updates made so far to a factor of all learning rates.
    clip_norm : float, optional
        Gradients are scaled down to this length, all together.
    updates : Updates, optional
        What trains, at what rates, held by what anchors. Without it, all that isn't in ``model.frozen`` trains.
    seed : int
        For the dropout.
    patience : int, optional
        Stop when this many epochs have gone by since the best one.
    monitor : {"validation_loss", "validation_accuracy", "loss"}, optional
        What makes an epoch the best one; by default the validation loss, and without `validation` nothing.
    restore_best : bool
        Leave the model with the parameters of the best epoch instead of the last one's.
    checkpoint : path, optional
        Folder for checkpoints; it is made. ``last.safetensors`` is written before the first step and after every
        epoch, ``best.safetensors`` (for `rnn_core.load`) after every epoch that is the best so far.
    checkpoint_every : int, optional
        Write ``last.safetensors`` also when the number of updates is a multiple of this.
    resume : bool or "auto"
        True goes on from ``last.safetensors``, to the same bits as a run that never stopped; "auto" does so if the
        file is there, and begins afresh if not. False refuses a folder that has one with an update in it: nothing is
        lost by accident.
    progress : bool or Console
        A bar on standard error, or some lines where that is no terminal. A rich console says where else to write.
    callbacks : sequence of Callback
        What is told of every update and epoch, and may end the run: `CSVLog`, `JSONLog`, `TensorBoard`, or your own.
    optimizer_state : dict, optional
        What the optimizer remembers of an earlier run, to go on from: ``optimizer.init(model.parameters)`` makes one,
        and each run that is given it leaves in it what the next goes on from. Without it a run begins afresh.
    parallel : MPI, optional
        Several processes, which all call `fit` alike, share every batch: see `rnn_core.parallel`. One of them writes
        checkpoints, shows progress and calls callbacks; on all the same model comes out.

    Returns
    -------
    History
        A record of every epoch, also of those before a resumption.

    Raises
    ------
    ValueError
        An argument is out of range; nothing trains; `resume` finds another run's checkpoint, and the message says
        what differs; `schedule` returns no finite number of at least 0; or the loss, a gradient or a parameter
        is or became NaN or infinite, and it says in which step. The checkpoint before stands.
    TypeError
        An argument is of the wrong type.
    FileNotFoundError
        ``resume=True`` finds no checkpoint.
    OSError
        A checkpoint can't be written. If the folder is at fault, no step has been made.
    TrainingInterrupted
        Ctrl-C. A `KeyboardInterrupt` whose message names the checkpoint to resume from.

    Notes
    -----
    When resuming, `epochs`, `patience`, `restore_best`, `checkpoint_every`, `progress` and `callbacks` may differ: they
    decide when to stop and what to show, not what a step does.
    """
    epochs = positive_int("fit", "epochs", epochs)
    patience = None if patience is None else positive_int("fit", "patience", patience)
    every = None if checkpoint_every is None else positive_int("fit", "checkpoint_every", checkpoint_every)
    _check_parts(model, train, validation, optimizer, schedule)
    _check_numbers(seed, clip_norm)
    _check_keeping(checkpoint, every, resume)
    if not isinstance(progress, bool | Console):
        raise TypeError(f"fit: progress must be True, False or a rich Console, got {_kind(progress)}")
    callbacks = check_callbacks("fit", callbacks)
    run = Run(
        model,
        train,
        validation,
        optimizer,
        schedule,
        None if clip_norm is None else float(clip_norm),
        resolve("fit", model, updates, optimizer.lr),
        int(seed),
        None if checkpoint is None else Path(checkpoint),
        History(monitor=_monitor(monitor, validation, patience)),
        remembered=optimizer_state,
        parallel=checked_parallel("fit", parallel),
    )
    reporter = Reporter(progress, epochs, len(train))
    with run.parallel.running(run.kept):
        try:
            run.parallel.check({"epochs": epochs, "patience": patience, "checkpoint_every": every})
            run.begin(resume if resume == "auto" else bool(resume))
            told = _told(run, reporter, callbacks)
            with watching(told, model, run.history, run.position.step) as watched:
                while run.position.epoch < epochs and (patience is None or run.history.stale < patience):
                    if run.one_epoch(watched, every):
                        break
                if restore_best:
                    run.put(run.best)
        except KeyboardInterrupt:
            raise _interrupted(run) from None
    return run.history


def _told(run: Run, reporter: Reporter, callbacks: Sequence[Callback]) -> Sequence[Callback]:
    """Return what this rank tells of the run: the first one all, after it has said how many there are."""
    if not run.parallel.first:
        return ()
    if run.parallel.ranks > 1:
        reporter.say(str(run.parallel))
    return (reporter, *callbacks)


def _interrupted(run: Run) -> TrainingInterrupted:
    """Return what Ctrl-C becomes."""
    kept = run.kept()
    way_out = "call fit again with resume=True" if kept else "checkpoint=FOLDER keeps one for the next time"
    return TrainingInterrupted(
        f"fit: interrupted {run.place()}; {kept or 'there is no checkpoint'}; {way_out}",
        run.folder / LAST if run.folder is not None and kept else None,
    )


def _monitor(monitor: str | None, validation: Source | None, patience: int | None) -> str | None:
    """Return what decides which epoch is the best, or None."""
    if monitor is None and validation is not None:
        return "validation_loss"
    if monitor is None and patience is not None:
        raise ValueError(
            f"fit: patience must have something to go by, got patience={patience} without validation; "
            "give validation batches, or monitor='loss'"
        )
    if monitor is not None and monitor not in HIGHER_IS_BETTER:
        raise ValueError(f"fit: monitor must be one of {', '.join(map(repr, HIGHER_IS_BETTER))}, got {monitor!r}")
    if monitor not in (None, "loss") and validation is None:
        raise ValueError(f"fit: monitor={monitor!r} must come with validation batches, got validation=None")
    return monitor


def _check_parts(model: Any, train: Any, validation: Any, optimizer: Any, schedule: Any) -> None:
    """Raise if one of the parts is of another kind than it has to be."""
    if not hasattr(model, "loss_and_gradients"):
        raise TypeError(
            f"fit: model must have loss_and_gradients, as LanguageModel and SequenceClassifier do, got {_kind(model)}"
        )
    for name, source in (("train", train), ("validation", validation)):
        if source is None and name == "validation":
            continue
        checked_source("fit", name, source)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit: optimizer must be an optimizer, such as SGD or Adam, got {_kind(optimizer)}")
    if schedule is not None and not callable(schedule):
        raise TypeError(f"fit: schedule must be a function of the step, such as Cosine, got {_kind(schedule)}")


def _check_keeping(checkpoint: Any, every: int | None, resume: Any) -> None:
    """Raise if what is to be kept, or gone on from, has no place."""
    if resume not in (True, False, "auto"):
        raise ValueError(f"fit: resume must be True, False or 'auto', got {resume!r}")
    if checkpoint == "":
        raise ValueError("fit: checkpoint must name a folder, got ''; '.' is the current one, None keeps nothing")
    if checkpoint is None and (resume or every):
        name, value = ("resume", resume) if resume else ("checkpoint_every", every)
        raise ValueError(f"fit: {name} must come with a folder, got {name}={value!r} and checkpoint=None")


def _check_numbers(seed: Any, clip_norm: Any) -> None:
    """Raise if the seed is not a natural number, or the length that gradients are clipped to not a positive one."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"fit: seed must be an int, got {_kind(seed)}")
    if seed < 0:
        raise ValueError(f"fit: seed must be at least 0, got {seed}")
    if clip_norm is None:
        return
    if isinstance(clip_norm, bool) or not isinstance(clip_norm, int | float | np.integer | np.floating):
        raise TypeError(f"fit: clip_norm must be a number, got {_kind(clip_norm)}")
    if not clip_norm > 0:
        raise ValueError(f"fit: clip_norm must be above 0, got {clip_norm}; None does not clip")


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {value!r}" if isinstance(value, str | int | float) else type(value).__name__
