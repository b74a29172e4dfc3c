"""`Study`: a pair of tasks and a budget, for `compare`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rnn_core.models import Model

from ..parameters.copying import copy_parameters
from ..parameters.cross_domain import CONTROLS
from ..parameters.groups import Patterns
from ..parameters.report import TransferReport
from ..planning.plan import Plan


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
    def score(self, model: Any) -> float:
        """Return how well a model, or what an arm's `Method` made, does on target data that no arm has trained on."""
