"""`choose_strength`: how strongly to hold a model to its source, asked of the validation data.

An anchor (U1) of strength α holds what has a source, a decay (X11) of strength β what has none. Neither can be known
beforehand, so that each pair of a grid is tried on the same budget, from the same start::

    α̂, β̂ = argmin over the grid of L_validation(θ(α, β)),    or argmax of the accuracy        (X12)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

from kernels.contract import Array
from rnn_core.data.source import Source
from rnn_core.layers.base import Layer
from rnn_core.layers.home import numbers
from rnn_core.models import Model
from rnn_core.training import Optimizer

from ..parameters.groups import Patterns, checked_model, listed
from ..planning.plan import Plan
from ..planning.planned import fit_plan
from ..spreading.spread import Workers, check_workers
from .strength_choice import MONITORS, StrengthChoice, Trial, best_of
from .trials import KeptTrials, kept_trials, trials_made

HERE = "choose_strength"
"""What errors name."""


def choose_strength(
    model: Model,
    train: Source,
    validation: Source,
    *,
    optimizer: Optimizer,
    epochs: int,
    anchored: Patterns,
    alphas: Iterable[float],
    decayed: Patterns = (),
    betas: Iterable[float] = (0.0,),
    plan: Plan | None = None,
    reference: Layer | Mapping[str, Any] | None = None,
    clip_norm: float | None = None,
    seed: int = 0,
    monitor: str = "validation_loss",
    workers: Workers = None,
    progress: Callable[[StrengthChoice, int, int], None] | None = None,
    keep: str | os.PathLike[str] | None = None,
    resume: bool | str = False,
) -> StrengthChoice:
    """Train with each pair of strengths from the same start, and keep what does best on the validation data.

    Parameters
    ----------
    model : Model
        With the source's parameters copied into it. It is left with those of the best trial's best epoch.
    train, validation : Source
        Target data. The best score is that of the data it was chosen on, and so a little too good: report another,
        on data that had no part in it.
    optimizer : Optimizer
    epochs : int
        The budget of each trial.
    anchored : str or iterable of str
        Patterns of what is held to its source, by α.
    alphas : iterable of float
        At least 0; with 0 among them plain fine-tuning is one of the trials.
    decayed : str or iterable of str
        Patterns of what has no source and is pulled to 0, by β: the new head.
    betas : iterable of float
        At least 0.
    plan : Plan, optional
        What else is to hold in every trial.
    reference : Model or mapping of str to array, optional
        θ_s; the model's present values by default.
    clip_norm, seed
        As for `fit`.
    monitor : {"validation_loss", "validation_accuracy"}
        What is to be best.
    workers : int, str or None
        Where trials are made, as for `compare`; the bits are the same everywhere. Other processes want a model and data
        that can be pickled.
    progress : callable, optional
        Called in this process as ``progress(choice, done, total)`` after each trial that is made, with the choice among
        those that are there.
    keep : path, optional
        A folder in which each trial is kept when it has ended, and the parameters of the best one.
    resume : bool or "auto"
        True goes on from the trials in that folder, to the same bits as a choice that never stopped; "auto" does so if
        there are some. False refuses a folder that has some. Other strengths may be asked for, nothing else may differ.

    Returns
    -------
    choice : StrengthChoice
        ``print(choice)`` is the table, ``choice.best`` its best row, ``choice.plan`` the plan with both strengths.

    Raises
    ------
    ValueError
        A grid is empty or has a strength twice or one below 0; a pattern matches nothing, or is anchored and decayed;
        the plan has anchors of its own; or a trial runs away, and it says which. The model is then as it was. Or the
        trials that were kept are of another choice.
    TypeError
        An argument is of the wrong type, or can't be pickled for workers.
    RuntimeError
        Workers can't be had, or one has died.

    References
    ----------
    X. Li, Y. Grandvalet, F. Davoine, "Explicit inductive bias for transfer learning with convolutional networks",
    ICML 2018, equation 3; section 4 chooses both strengths by cross-validation.
    """
    checked_model(HERE, model)
    check_workers(HERE, workers)
    plan = _checked(validation, Plan() if plan is None else plan, monitor)
    held, pulled = listed(HERE, "anchored", anchored), listed(HERE, "decayed", decayed)
    grid = _pairs(alphas, betas, held, pulled)
    plans = _Plans(plan, held, pulled)
    for pair in grid:
        plans.at(*pair)  # which looks at what they are
    resolved = replace(plans.at(1.0, 0.0), unfreezing=None, schedule=None).resolve(model, reference)
    homes = {name: home for name, (_, home) in resolved.anchors.items()}
    start = model.state_dict()
    options: dict[str, Any] = {
        "optimizer": optimizer, "epochs": epochs, "reference": homes, "validation": validation, "clip_norm": clip_norm,
        "seed": seed, "monitor": monitor, "progress": False,
    }  # fmt: skip
    kept = kept_trials(HERE, keep, {"model": model, "train": train, "plans": plans, **options}, resume)
    found, best = ({}, {}) if kept is None else _found(kept, grid, monitor)

    def choice() -> StrengthChoice:
        return _choice([found[pair] for pair in grid if pair in found], plans, monitor)

    missing = [pair for pair in grid if pair not in found]
    try:
        with trials_made(HERE, workers, _Shared(model, train, start, plans, options), _trial, missing, _named) as made:
            for pair, (trial, state) in made:
                found[pair] = trial
                if choice().best is trial:
                    best = state
                    if kept is not None:
                        kept.keep_arrays(pair, state)
                if kept is not None:
                    kept.add(pair, [trial.score, trial.epoch, trial.distance])
                if progress is not None:
                    progress(choice(), len(found), len(grid))
    except BaseException:
        model.load_state_dict(start)
        raise
    model.load_state_dict(best)
    return choice()


@dataclass(frozen=True)
class _Plans:
    """The plan at any strengths."""

    plan: Plan
    held: tuple[str, ...]
    pulled: tuple[str, ...]

    def at(self, alpha: float, beta: float) -> Plan:
        return replace(
            self.plan, anchors=dict.fromkeys(self.held, alpha), decays=dict.fromkeys(self.pulled, beta)
        )


class _Shared(NamedTuple):
    """What every trial is made with."""

    model: Model
    train: Source
    start: dict[str, Array]
    plans: _Plans
    options: dict[str, Any]


def _trial(shared: _Shared, alpha: float, beta: float) -> tuple[Trial, dict[str, Array]]:
    """Train with a pair of strengths; return what came of it, and the parameters of its best epoch."""
    model, train, start, plans, options = shared
    monitor = options["monitor"]
    model.load_state_dict(start)
    try:
        history = fit_plan(model, train, plans.at(alpha, beta), **options)[-1]
    except ValueError as error:
        raise ValueError(f"{HERE}: at alpha={alpha:g}, beta={beta:g}: {error}") from error
    epoch = best_of(history.records, monitor)
    trial = Trial(alpha, beta, getattr(epoch, monitor), epoch.epoch, _distance(model, options["reference"]))
    return trial, model.state_dict()


def _choice(trials: Sequence[Trial], plans: _Plans, monitor: str) -> StrengthChoice:
    """Return the choice among trials."""
    chosen = best_of(trials, "score", monitor)  # (X12)
    return StrengthChoice(monitor, tuple(trials), plans.at(chosen.alpha, chosen.beta))


def _found(
    kept: KeptTrials, grid: Sequence[tuple[float, float]], monitor: str
) -> tuple[dict[tuple[float, float], Trial], dict[str, Array]]:
    """Return the trials that are kept, and the parameters of the best of them."""
    found: dict[tuple[float, float], Trial] = {}
    for pair in grid:
        if (numbers_kept := kept.find(pair)) is not None:
            score, epoch, distance = numbers_kept
            found[pair] = Trial(*pair, score, int(epoch), distance)
    if not found:
        return {}, {}
    best = best_of([*found.values()], "score", monitor)
    state = kept.arrays((best.alpha, best.beta))
    if not state:  # it wasn't the best of those that it was made with, or its file is damaged
        del found[best.alpha, best.beta]
    return found, state


def _named(pair: tuple[float, float]) -> str:
    return f"alpha={pair[0]:g}, beta={pair[1]:g}"


def _checked(validation: Any, plan: Any, monitor: Any) -> Plan:
    """Return the plan, if the strengths can be chosen beside it."""
    if monitor not in MONITORS:
        # The training loss would always choose the weakest: it contains the penalty.
        raise ValueError(f"{HERE}: monitor must be one of {', '.join(map(repr, MONITORS))}, got {monitor!r}")
    if validation is None:
        raise TypeError(f"{HERE}: validation must be batches, such as Examples, got None; training data can't choose")
    if not isinstance(plan, Plan):
        raise TypeError(f"{HERE}: plan must be a Plan or None, got {type(plan).__name__}")
    if plan.anchors or plan.decays:
        raise ValueError(
            f"{HERE}: plan must leave anchors and decays to anchored and decayed, got {plan!r}; "
            "replace(plan, anchors={}, decays={}) has neither"
        )
    return plan


def _pairs(
    alphas: Iterable[float], betas: Iterable[float], held: Sequence[str], pulled: Sequence[str]
) -> list[tuple[float, float]]:
    """Return every α with every β, if there is something for each to hold."""
    grid = [*product(_grid("alphas", alphas), _grid("betas", betas))]
    if not held:
        raise ValueError(f"{HERE}: anchored must name a parameter at least, got none; 'rnn.*' is the core")
    if not pulled and any(beta for _, beta in grid):
        raise ValueError(
            f"{HERE}: betas must come with what they pull to 0, got decayed=(); 'head' is the usual choice"
        )
    return grid


def _distance(model: Model, homes: Mapping[str, Array]) -> float:
    """Return how far a model is from its source, over the parameters that are held to it."""
    squares = [((model.parameters[name] - home) ** 2).sum() for name, home in homes.items()]
    return float(sum(numbers(squares)) ** 0.5)


def _grid(argument: str, strengths: Iterable[float]) -> tuple[float, ...]:
    """Return different strengths, at least one of them; `Plan` checks what they are."""
    if not isinstance(strengths, Iterable):
        raise TypeError(f"{HERE}: {argument} must be several numbers, got {strengths!r}")
    values = tuple(strengths)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{HERE}: {argument} must be different numbers, and not none, got {values}")
    return values
