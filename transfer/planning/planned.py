"""`fit_plan`: train as a `Plan` says, from its first stage to its last.

A stage is a run of `fit` over a part of the steps, with a folder of checkpoints of its own. The data go on where the
stage before stopped, and so does the schedule, which spans the whole run. The optimizer begins each stage afresh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from rnn_core.data.batches import checked_source
from rnn_core.data.source import Source
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import positive_int
from rnn_core.models import Model
from rnn_core.training import Callback, History, Optimizer, fit
from rnn_core.training.callbacks import Onward
from rnn_core.training.callbacks.callback import check_callbacks
from rnn_core.training.checkpoint import LAST, read_facts

from ..parameters.groups import checked_model
from .plan import Plan


def fit_plan(
    model: Model,
    train: Source,
    plan: Plan,
    *,
    optimizer: Optimizer,
    epochs: int,
    reference: Layer | Mapping[str, Any] | None = None,
    validation: Source | None = None,
    clip_norm: float | None = None,
    seed: int = 0,
    monitor: str | None = None,
    restore_best: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool | str = False,
    progress: bool | Console = True,
    callbacks: Sequence[Callback] = (),
) -> list[History]:
    """Train a model as a plan says, its unfreezing and its schedule included.

    Parameters
    ----------
    model : Model
    train : Source
        Training batches, as for `fit`.
    plan : Plan
    optimizer : Optimizer
    epochs : int
        The whole budget, for all stages together: a plan that unfreezes gradually makes no more steps than one that
        doesn't. With ``Unfreezing(steps=...)`` the last stage's steps are divided into passes of equal length; less
        than a step a pass may be left over, and is not made.
    reference : Model or mapping of str to array, optional
        The values θ_s that anchored parameters are held to in every stage; the model's present values by default.
    validation, clip_norm, monitor, restore_best, checkpoint_every, progress
        As for `fit`, in each stage: every one goes on from the best epoch of the one before, if there is a best one.
    seed : int
        For the dropout.
    checkpoint : path, optional
        Folder for checkpoints: ``stage-1``, ``stage-2`` and so on are made in it, each as `fit` writes it. The last
        one's ``best.safetensors`` is what the whole run has come to.
    resume : bool or "auto"
        As for `fit`: True goes on in the stage where the run stopped, to the same bits as if it never had. A plan with
        anchors wants the model as it was at the beginning, or `reference`.
    callbacks : sequence of Callback
        As for `fit`. They hear of the stages as of one run, in which epochs and updates are counted through; `begin`
        and `end` come once a stage. One that ends the run ends it for all stages.

    Returns
    -------
    histories : list of History
        One for each stage that was begun.

    Raises
    ------
    ValueError
        The stages don't fit into the epochs, or `Plan.resolve` or `fit` refuses an argument.
    TypeError
        An argument is of the wrong type.
    FileExistsError
        The folder has checkpoints and `resume` is False, or those of a stage whose forerunner is not there whole.
    OSError, TrainingInterrupted
        As `fit`.

    Notes
    -----
    A plan without unfreezing and schedule is ``fit(..., updates=plan.resolve(model, reference))``, to the last bit.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.
    """
    checked_model("fit_plan", model)
    if not isinstance(plan, Plan):
        raise TypeError(f"fit_plan: plan must be a Plan, got {type(plan).__name__}")
    checked_source("fit_plan", "train", train)
    if checkpoint == "":
        raise ValueError("fit_plan: checkpoint must name a folder, got ''; '.' is the current one, None keeps nothing")
    epochs = positive_int("fit_plan", "epochs", epochs)
    stages = plan.stages(model, train, epochs, reference, where="fit_plan")
    folders = [None if checkpoint is None else Path(checkpoint) / f"stage-{k}" for k in range(1, len(stages) + 1)]
    _check_order(folders, [stage.epochs for stage in stages])
    callbacks = check_callbacks("fit_plan", callbacks)
    histories: list[History] = []
    for k, (stage, folder) in enumerate(zip(stages, folders, strict=True)):
        # Behind which another has begun, a stage is over, and whoever listens has heard of it.
        told = [] if _begun(folders[k + 1 : k + 2]) else [Onward(callback, histories) for callback in callbacks]
        histories.append(
            fit(
                model,
                stage.train,
                optimizer=optimizer,
                epochs=stage.epochs,
                validation=validation,
                schedule=stage.schedule,
                clip_norm=clip_norm,
                updates=stage.updates,
                seed=_stage_seed(seed, k),
                monitor=monitor,
                restore_best=restore_best,
                checkpoint=folder,
                checkpoint_every=checkpoint_every,
                resume="auto" if k and resume else resume,
                progress=progress,
                callbacks=told,
            )
        )
        if any(callback.over for callback in told):
            break
    return histories


def _begun(folders: list[Path | None]) -> bool:
    """Return whether a stage has a checkpoint."""
    return any(folder is not None and (folder / LAST).exists() for folder in folders)


def _check_order(folders: list[Path | None], passes: list[int]) -> None:
    """Raise if a stage has a checkpoint, but the one before is not there to its end: it began from something else."""
    for k in range(1, len(folders)):
        before, after = folders[k - 1], folders[k]
        if before is None or after is None or not (after / LAST).exists():
            continue
        done = read_facts(before / LAST)["position"]["epoch"] if (before / LAST).exists() else 0
        if done != passes[k - 1]:
            raise FileExistsError(
                f"fit_plan: checkpoint must hold a stage to its end before the next, got {done} of {passes[k - 1]} "
                f"epochs in {str(before)!r}, and {str(after / LAST)!r} besides; undo what has changed, or name another "
                "folder"
            )


def _stage_seed(seed: int, stage: int) -> int:
    """Return the seed of a stage's dropout: without one of its own, each stage would draw the same masks again."""
    return seed if stage == 0 else int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])
