"""`choose_strength`: how strongly to hold a model to its source, asked of the validation data.

An anchor (U1) of strength α holds what has a source, a decay (X11) of strength β what has none. Neither can be known
beforehand, so that each pair of a grid is tried on the same budget, from the same start::

    α̂, β̂ = argmin over the grid of L_validation(θ(α, β)),    or argmax of the accuracy        (X12)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from kernels.contract import Array
from rnn_core.data.source import Source
from rnn_core.layers.base import Layer
from rnn_core.layers.home import numbers
from rnn_core.models import Model
from rnn_core.showing.table import table
from rnn_core.training import Optimizer
from rnn_core.training.history import HIGHER_IS_BETTER

from ..parameters.groups import Patterns, checked_model, listed
from ..planning.plan import Plan
from ..planning.planned import fit_plan

MONITORS = ("validation_loss", "validation_accuracy")

HERE = "choose_strength"
"""What errors name."""


@dataclass(frozen=True)
class Trial:
    """One pair of strengths and what came of it.

    Attributes
    ----------
    alpha, beta : float
    score : float
        The best epoch's validation loss, penalties not included, or accuracy.
    epoch : int
        Which epoch that was; of a plan with stages, in the last one.
    distance : float
        √Σ (θ − θ_s)² over all anchored parameters at that epoch.
    """

    alpha: float
    beta: float
    score: float
    epoch: int
    distance: float


@dataclass(frozen=True)
class StrengthChoice:
    """What `choose_strength` found: every trial, the best of them, and a table as a string.

    Attributes
    ----------
    monitor : {"validation_loss", "validation_accuracy"}
    trials : tuple of Trial
        In the order of the grid.
    plan : Plan
        The one that was given, with the best strengths.
    """

    monitor: str
    trials: tuple[Trial, ...]
    plan: Plan

    @property
    def best(self) -> Trial:
        """The best trial, of equals the first."""
        trial: Trial = _best(self.trials, "score", self.monitor)
        return trial

    @property
    def caution(self) -> str:
        """Where the best trial stands at the upper end of a grid, so that the real best may lie beyond it."""
        ends = [
            f"the best {name} is the largest of those tried: a larger one may do better still"
            for name, best, tried in (
                ("alpha", self.best.alpha, {trial.alpha for trial in self.trials}),
                ("beta", self.best.beta, {trial.beta for trial in self.trials}),
            )
            if len(tried) > 1 and best == max(tried)
        ]
        return "\n".join(ends)

    def as_dict(self) -> dict[str, Any]:
        """Return monitor, trials and the best one as plain data, for JSON."""
        return {
            "monitor": self.monitor,
            "trials": [asdict(trial) for trial in self.trials],
            "best": asdict(self.best),
            "caution": self.caution,
        }

    def __str__(self) -> str:
        headings = ("alpha", "beta", self.monitor, "epoch", "distance", "")
        rows = [
            (
                f"{trial.alpha:g}",
                f"{trial.beta:g}",
                f"{trial.score:.6g}",
                str(trial.epoch),
                f"{trial.distance:.4g}",
                "best" if trial is self.best else "",
            )
            for trial in self.trials
        ]
        return "\n".join(part for part in (table(headings, rows, right=headings[:-1]), self.caution) if part)


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

    Returns
    -------
    choice : StrengthChoice
        ``print(choice)`` is the table, ``choice.best`` its best row, ``choice.plan`` the plan with both strengths.

    Raises
    ------
    ValueError
        A grid is empty or has a strength twice or one below 0; a pattern matches nothing, or is anchored and decayed;
        the plan has anchors of its own; or a trial runs away, and it says which. The model is then as it was.
    TypeError
        An argument is of the wrong type.

    References
    ----------
    X. Li, Y. Grandvalet, F. Davoine, "Explicit inductive bias for transfer learning with convolutional networks",
    ICML 2018, equation 3; section 4 chooses both strengths by cross-validation.
    """
    checked_model(HERE, model)
    plan = _checked(validation, Plan() if plan is None else plan, monitor)
    held, pulled = listed(HERE, "anchored", anchored), listed(HERE, "decayed", decayed)
    grid = _pairs(alphas, betas, held, pulled)

    def with_strengths(alpha: float, beta: float) -> Plan:
        return replace(plan, anchors=dict.fromkeys(held, alpha), decays=dict.fromkeys(pulled, beta))

    plans = {pair: with_strengths(*pair) for pair in grid}
    resolved = replace(with_strengths(1.0, 0.0), unfreezing=None, schedule=None).resolve(model, reference)
    homes = {name: home for name, (_, home) in resolved.anchors.items()}
    start, best = model.state_dict(), {}
    options: dict[str, Any] = {
        "optimizer": optimizer,
        "epochs": epochs,
        "reference": homes,
        "validation": validation,
        "clip_norm": clip_norm,
        "seed": seed,
        "monitor": monitor,
        "progress": False,
    }
    trials: list[Trial] = []
    try:
        for (alpha, beta), tried in plans.items():
            model.load_state_dict(start)
            try:
                history = fit_plan(model, train, tried, **options)[-1]
            except ValueError as error:
                raise ValueError(f"{HERE}: at alpha={alpha:g}, beta={beta:g}: {error}") from error
            epoch = _best(history.records, monitor)
            trials.append(Trial(alpha, beta, getattr(epoch, monitor), epoch.epoch, _distance(model, homes)))
            if _best(trials, "score", monitor) is trials[-1]:
                best = model.state_dict()
    except BaseException:
        model.load_state_dict(start)
        raise
    model.load_state_dict(best)
    chosen = _best(trials, "score", monitor)  # (X12)
    return StrengthChoice(monitor, tuple(trials), with_strengths(chosen.alpha, chosen.beta))


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


def _best(records: Sequence[Any], number: str, monitor: str | None = None) -> Any:
    """Return the record that is best by one of its numbers, which is a `monitor`; of equals the first."""
    sign = -1 if HIGHER_IS_BETTER[monitor or number] else 1
    return min(records, key=lambda record: sign * getattr(record, number))


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
