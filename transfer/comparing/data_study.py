"""`DataStudy`: a study told as data and a budget, on which any method can be tried.

A plain `Study` trains as it likes. To be compared with methods that need the data themselves (both tasks at once, maps,
features), it has to hand them over, and with them the budget that all are to keep to.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, NamedTuple, Protocol

from rnn_core.data import Repeated
from rnn_core.data.source import Source
from rnn_core.layers.checks import positive_int
from rnn_core.models import Model
from rnn_core.training import Adam, Cosine, Updates, fit
from rnn_core.training.protocols import Trainable

from ..parameters.groups import Patterns, checked_model, select
from ..planning.plan import Plan
from ..planning.planned import fit_plan
from ..tasks.heads import Head
from .study import Study


@dataclass(frozen=True)
class Budget:
    """How much training there is for every network that is scored: Adam, whose rates fall along half a cosine.

    Parameters
    ----------
    source_updates, target_updates : int
    batch_size : int
    source_rate : float
        Learning rate on the source task.
    rate : float
        On the target task, of what is fresh.
    core_rate : float
        On the target task, of what was copied.
    clip_norm : float, optional
        As for `fit`.

    Raises
    ------
    ValueError
        A number is out of range.
    TypeError
        A number is none.
    """

    source_updates: int = 600
    target_updates: int = 128
    batch_size: int = 32
    source_rate: float = 1e-2
    rate: float = 1e-2
    core_rate: float = 3e-3
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("source_updates", "target_updates", "batch_size"):
            positive_int("Budget", name, getattr(self, name))
        for name in ("source_rate", "rate", "core_rate", "clip_norm"):
            value = getattr(self, name)
            if value is None and name == "clip_norm":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"Budget: {name} must be a number, got {value!r}")
            if not (isfinite(value) and value > 0):
                raise ValueError(f"Budget: {name} must be above 0 and finite, got {value}")


SHUFFLED, EXAMPLES, HELD_OUT, BOOSTED, DRAWN, SOME = range(2**31, 2**31 + 6)
"""Second words of seeds, a word for each purpose. Epochs and places, which are second words too, don't come so far."""


class Joint(NamedTuple):
    """Two tasks for one core.

    Attributes
    ----------
    heads, data : dict
        A `Head` and its batches for "source" and for "target".
    """

    heads: dict[str, Head]
    data: dict[str, Source]


class Candidate(Protocol):
    """What a study looks at before an `Arm` is run on it."""

    @property
    def source(self) -> Any:
        """Where the core comes from."""

    @property
    def carried(self) -> Patterns | None:
        """What carries over, if it is less than the study's core."""

    @property
    def plan(self) -> Plan:
        """How the target is learned."""

    def why_not(self, study: DataStudy) -> str:
        """Return what the arm's own source and method have against a study."""


class DataStudy(Study):
    """A study that hands its data over. Subclass it; `ClassificationStudy` is for sequences and their classes.

    Attributes
    ----------
    budget : Budget
    looks : int
        How often a run looks at the `validation` data.
    copied : str or iterable of str, optional
        Patterns of what begins as the source's, and so trains at the budget's `core_rate`: the core, if `copy` takes no
        more.
    """

    budget: Budget
    looks: int = 10
    copied: Patterns | None = None

    @abstractmethod
    def source_data(self, seed: int, shuffled: bool = False) -> Source:
        """Return the source's training batches, by request with the labels shuffled among the inputs."""

    @abstractmethod
    def target_data(self, size: int, seed: int) -> Source:
        """Return the target's training batches, made of so much of its data."""

    def slowly(self, model: Model) -> dict[str, float]:
        """Return a rate for each parameter that begins as the source's."""
        return dict.fromkeys(select(model, self.core if self.copied is None else self.copied), self.budget.core_rate)

    @property
    def joins(self) -> bool:
        """Whether one core can read source and target, so that there is a `joint`; by default not."""
        return False

    def joint(self, size: int, seed: int) -> Joint:
        """Return both tasks for one core, to be trained at once.

        Raises
        ------
        ValueError
            No core can read both.
        """
        raise ValueError(f"{type(self).__name__}.joint: source and target must have inputs in common, got none")

    def validation(self) -> Source | None:
        """Return data of the target by which a run chooses the parameters it ends with; None keeps its last ones."""
        return None

    @abstractmethod
    def build_source(self, seed: int) -> Model:
        """Return a fresh model for the source task."""

    def why_not(self, arm: Candidate) -> str:
        """Return why an arm can't be run here, or an empty string if it can."""
        if arm.plan.unfreezing is not None and arm.plan.unfreezing.steps is not None:
            stages = sum(bool(names) for names in self.build(0).groups.values())
            if (stages - 1) * arm.plan.unfreezing.steps >= self.budget.target_updates:
                return f"there are {self.budget.target_updates} updates for {stages} stages"
        return arm.why_not(self)

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return a model trained on the source task, as `Study.pretrain` wants it."""
        model = self.build_source(seed)
        b = self.budget
        data = self.source_data(seed, shuffled)
        self.learn(model, data, updates=b.source_updates, rate=b.source_rate, seed=2 * seed)
        return model

    def train(self, model: Model, plan: Plan, size: int, seed: int) -> Any:
        """Train a model on the target task within the budget, as the plan says."""
        data = self.target_data(size, seed)
        self.learn(model, data, plan, validation=self.validation(), seed=2 * seed + 1)  # as `Start.dropout`

    def learn(
        self,
        model: Trainable,
        data: Source,
        plan: Plan | Updates | None = None,
        *,
        validation: Source | None = None,
        updates: int | None = None,
        rate: float | None = None,
        seed: int = 0,
    ) -> None:
        """Make a number of updates, as the budget has them.

        Parameters
        ----------
        model : Model or, without a plan, whatever `fit` takes
        data : Source
        plan : Plan or Updates, optional
            A plan's own schedule takes the place of the cosine.
        validation : Source, optional
            The parameters that are best on it are kept, out of so many `looks`.
        updates : int, optional
            The budget's for the target by default.
        rate : float, optional
            The budget's for what is fresh by default.
        seed : int
            For the dropout.
        """
        steps = self.budget.target_updates if updates is None else updates
        passes = 1 if validation is None else min(self.looks, steps)
        batches = Repeated(data, steps // passes)  # what is left over by the looks is not made
        steps = passes * len(batches)
        options: dict[str, Any] = {
            "optimizer": Adam(self.budget.rate if rate is None else rate),
            "epochs": passes,
            "validation": validation,
            "clip_norm": self.budget.clip_norm,
            "seed": seed,
            "progress": False,
        }
        if isinstance(plan, Plan):
            plan = plan if plan.schedule else replace(plan, schedule=Cosine)
            fit_plan(checked_model("DataStudy.learn", model), batches, plan, **options)
        else:
            fit(model, batches, schedule=Cosine(steps), updates=plan, **options)
