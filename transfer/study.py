"""What `compare` compares: the arms, and a study of one pair of tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any

from rnn_core.models import Model

from .copying import copy_parameters
from .cross_domain import CONTROLS
from .groups import Patterns, listed
from .plan import Plan
from .report import TransferReport

SOURCES = ("trained", "shuffled", *CONTROLS)


@dataclass(frozen=True)
class Arm:
    """One way to begin on the target task.

    Parameters
    ----------
    name : str
        What the arm is called in the comparison.
    source : {"trained", "shuffled", "scrambled", "matched", "rotated"}, optional
        Where the core comes from: a model trained on the source task; one trained on it with its labels shuffled; or
        the trained one with its core replaced by a control (see `transfer.cross_domain`): the same entries elsewhere,
        random matrices of the same singular values, or of the same eigenvalues as well. Without it nothing is copied.
    frozen_core : bool
        Whether the core stays as it began, so that only what is above it trains.
    plan : Plan
        Further rules: rates, anchors.

    Raises
    ------
    ValueError
        There is no such source.
    """

    name: str
    source: str | None = None
    frozen_core: bool = False
    plan: Plan = field(default_factory=Plan)

    def __post_init__(self) -> None:
        if self.source not in (None, *SOURCES):
            raise ValueError(f"Arm: source must be {', '.join(map(repr, SOURCES))} or None, got {self.source!r}")

    def plan_for(self, core: Patterns) -> Plan:
        """Return the arm's plan, with the core frozen where the arm freezes it."""
        if not self.frozen_core:
            return self.plan
        return replace(self.plan, frozen=(*self.plan.frozen, *listed("Study", "core", core)))


BASELINE = "scratch"
"""The arm that every other is compared with."""

ARMS = (
    Arm("fine-tuned", "trained"),
    Arm("frozen core", "trained", frozen_core=True),
    Arm(BASELINE),
    Arm("random core", frozen_core=True),  # control: does the core have to have learned anything?
    Arm("shuffled labels", "shuffled"),  # control: does it have to have learned the source task?
)

CROSS_DOMAIN_ARMS = (
    Arm("fine-tuned", "trained"),
    Arm(BASELINE),
    Arm("scrambled core", "scrambled"),  # control: would weights of the same sizes do?
    Arm("matched core", "matched"),  # control: would any matrix of the same spectrum do?
)
"""For a `Study` whose `core` is the recurrent weights alone, ``"rnn.weight_hh_*"``."""


class Study(ABC):
    """A pair of tasks and a budget. Subclass it, and give the subclass to `compare`.

    A method's result may depend on its arguments alone: on the seed, and on nothing that an earlier call has left
    behind. No method is told which arm it serves, so that none can be favoured.

    Attributes
    ----------
    core : str or iterable of str
        Patterns of the parameters that carry over, and that a frozen core freezes.
    metric : str
        What a score is called.
    higher_is_better : bool
        False for a loss.
    """

    core: Patterns = "rnn.*"
    metric: str = "score"
    higher_is_better: bool = True

    @abstractmethod
    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return a model trained on the source task.

        Parameters
        ----------
        seed : int
        shuffled : bool
            Train on the same inputs with the labels shuffled among them: the control. Everything else is the same.
        """

    @abstractmethod
    def build(self, seed: int) -> Model:
        """Return a fresh model for the target task: each arm of a seed begins from the same one."""

    def copy(self, source: Model, target: Model) -> TransferReport:
        """Copy what is to carry over into `target`: by default the core.

        Override it to map a vocabulary or to rename.
        """
        return copy_parameters(source, target, include=self.core)

    def control(self, kind: str, source: Model, seed: int) -> Model:
        """Return a control made from a trained source: by default its core scrambled, matched or rotated.

        Override it where the core's parameters have other names in the source than in the target.
        """
        return CONTROLS[kind](source, self.core, seed=seed)

    @abstractmethod
    def train(self, model: Model, plan: Plan, size: int, seed: int) -> Any:
        """Train a model on the target task, as the plan says; the budget is the same for every plan.

        ``fit_plan(model, data, plan, ...)`` obeys any plan, ``fit(..., updates=plan.resolve(model))`` one without
        unfreezing and schedule.

        Parameters
        ----------
        model : Model
            From `build`, perhaps with a copied core.
        plan : Plan
        size : int
            How much of the target's data to use, in the study's own unit. The same seed chooses the same data.
        seed : int

        Returns
        -------
        record : plain data, optional
            What is to be kept beside the score, a learning curve for instance: numbers, strings, lists and
            dictionaries.
        """

    @abstractmethod
    def score(self, model: Model) -> float:
        """Return how well a model does on target data that no arm has trained on."""
