"""`fit_plan`: train as a `Plan` says, from its first stage to its last.

A stage is a run of `fit` over a part of the steps, with a folder of checkpoints of its own. The data go on where the
stage before stopped, and so does the schedule, which spans the whole run. The optimizer begins each stage afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from rnn_core.data import Repeated
from rnn_core.data.batches import checked_source
from rnn_core.data.source import Source
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import positive_int
from rnn_core.models import Model
from rnn_core.training import History, Optimizer, Updates, fit
from rnn_core.training.checkpoint import LAST, read_facts

from ..parameters.groups import checked_model
from .freezing import Unfreezing, gradually
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

    Returns
    -------
    histories : list of History
        One for each stage.

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
    # Resolved once, so that θ_s is the same in every stage.
    updates = replace(plan, unfreezing=None, schedule=None).resolve(model, reference)
    stages = [updates.trainable] if plan.unfreezing is None else gradually(model, updates.trainable)
    parts = _parts(train, plan.unfreezing, len(stages), epochs)
    schedule = None if plan.schedule is None else plan.schedule(sum(part.length * passes for part, passes in parts))
    if not (schedule is None or callable(schedule)):
        raise TypeError(f"fit_plan: plan.schedule must return a function of the step, got {schedule!r}")
    folders = [None if checkpoint is None else Path(checkpoint) / f"stage-{k}" for k in range(1, len(stages) + 1)]
    _check_order(folders, [passes for _, passes in parts])
    histories = []
    for k, (names, (part, passes), folder) in enumerate(zip(stages, parts, folders, strict=True)):
        histories.append(
            fit(
                model,
                part,
                optimizer=optimizer,
                epochs=passes,
                validation=validation,
                schedule=_later(schedule, part.start),
                clip_norm=clip_norm,
                updates=_only(names, updates),
                seed=_stage_seed(seed, k),
                monitor=monitor,
                restore_best=restore_best,
                checkpoint=folder,
                checkpoint_every=checkpoint_every,
                resume="auto" if k and resume else resume,
                progress=progress,
            )
        )
    return histories


def _parts(train: Source, unfreezing: Unfreezing | None, stages: int, epochs: int) -> list[tuple[Repeated, int]]:
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
            f"fit_plan: epochs must leave something for the last of {stages} stages, got epochs={epochs}: {epochs * n} "
            f"steps, of which the stages before take {start} (plan.unfreezing: {unfreezing})"
        )
    last = -(-left // n)
    return [(Repeated(train, each, start=k * each * passes), passes) for k in range(stages - 1)] + [
        (Repeated(train, left // last, start=start), last)
    ]


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


def _stage_seed(seed: int, stage: int) -> int:
    """Return the seed of a stage's dropout: without one of its own, each stage would draw the same masks again."""
    return seed if stage == 0 else int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])
