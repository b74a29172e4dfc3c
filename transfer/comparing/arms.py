"""Arms: the ways to begin on a target task and to learn it, as `compare` sets them beside one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rnn_core.models import Model

from ..parameters.cross_domain import CONTROLS
from ..parameters.groups import Patterns, listed, select
from ..planning.plan import Plan
from .data_study import DataStudy
from .study import Study

SOURCES = ("trained", "shuffled", *CONTROLS)


def one_of(where: str, argument: str, value: Any, words: tuple[str, ...]) -> None:
    """Raise ValueError if `value` is none of some words."""
    if value not in words:
        raise ValueError(f"{where}: {argument} must be one of {', '.join(map(repr, words))}, got {value!r}")


class Start(NamedTuple):
    """What a method begins with.

    Attributes
    ----------
    source : Model or None
        What was trained on the source task, if the arm has a source.
    model : Model
        The target's, with what carries over in it.
    plan : Plan
        The arm's.
    size, seed : int
        Of the target's data.
    """

    source: Any
    model: Any
    plan: Plan
    size: int
    seed: int

    @property
    def dropout(self) -> int:
        """The seed of the dropout, which is not the source's."""
        return 2 * self.seed + 1


class Trained(NamedTuple):
    """What a method ends with.

    Attributes
    ----------
    model : object with ``predict(inputs, lengths)``, or a language model
    record : plain data, optional
        What is to be kept beside the score.
    """

    model: Any
    record: Any = None


class Pretraining(ABC):
    """A way to train a source. Subclass it, as a frozen dataclass whose fields can be hashed."""

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return ""

    @abstractmethod
    def pretrain(self, study: DataStudy, seed: int) -> Model:
        """Return a trained model of the kind that `DataStudy.build_source` returns."""


class Method(ABC):
    """A way to learn the target that is more than a `Plan`. Subclass it, as a frozen dataclass."""

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return ""

    @abstractmethod
    def train(self, study: DataStudy, start: Start) -> Trained:
        """Learn the target task within the study's budget."""


@dataclass(frozen=True)
class Arm:
    """One way to begin on the target task.

    Parameters
    ----------
    name : str
        What the arm is called in the comparison.
    source : {"trained", "shuffled", "scrambled", "matched", "rotated"} or Pretraining, optional
        Where the core comes from: a model trained on the source task; one trained on it with its labels shuffled; or
        the trained one with its core replaced by a control (see `transfer.parameters.cross_domain`): the same entries
        elsewhere, random matrices of the same singular values, or of the same eigenvalues as well; or one that a
        `Pretraining` has trained. Without it nothing is copied.
    frozen_core : bool
        Whether the core stays as it began, so that only what is above it trains.
    plan : Plan
        Further rules: rates, anchors.
    method : Method, optional
        How the target is learned, if not as `Study.train` does it; wants a `DataStudy`.
    carried : str or iterable of str, optional
        Patterns of what carries over, if it is less than the study's core: the recurrent weights alone, for instance.

    Raises
    ------
    ValueError
        There is no such source, or none of which something could be carried.
    TypeError
        The source or the method is of another type.
    """

    name: str
    source: str | Pretraining | None = None
    frozen_core: bool = False
    plan: Plan = field(default_factory=Plan)
    method: Method | None = None
    carried: Patterns | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, str) and self.source not in SOURCES:
            raise ValueError(f"Arm: source must be {', '.join(map(repr, SOURCES))} or None, got {self.source!r}")
        if not isinstance(self.source, str | Pretraining | None):
            raise TypeError(f"Arm: source must be a word, a Pretraining or None, got {self.source!r}")
        try:
            hash(self.source)  # arms with equal sources share one
        except TypeError as error:
            raise TypeError(
                f"Arm: source must have fields that can be hashed, got {self.source!r}: {error}; take tuples for lists"
            ) from error
        if not isinstance(self.method, Method | None):
            raise TypeError(f"Arm: method must be a Method or None, got {self.method!r}")
        if self.carried is not None and self.source is None:
            raise ValueError(f"Arm: carried must be left out without a source, got {self.carried!r}")

    @property
    def carries(self) -> bool:
        """Whether what the source's labels taught carries over. The other arms are scratch and the controls."""
        return self.source == "trained" or isinstance(self.source, Pretraining)

    def why_not(self, study: DataStudy) -> str:
        """Return why the arm's source or method can't be used on a study, or an empty string if they can."""
        if isinstance(self.source, Pretraining) and (reason := self.source.why_not(study)):
            return reason
        return "" if self.method is None else self.method.why_not(study)

    def plan_for(self, core: Patterns) -> Plan:
        """Return the arm's plan, with the core frozen where the arm freezes it."""
        if not self.frozen_core:
            return self.plan
        return replace(self.plan, frozen=(*self.plan.frozen, *listed("Study", "core", core)))

    def begin(self, study: Study, source: Model | None, seed: int) -> Model:
        """Return the target's model as this arm begins with it: fresh, and into it what carries over from `source`."""
        model = study.build(seed)
        if source is None:
            return model
        if self.carried is None:
            study.copy(source, model)
            return model
        whole = study.build(seed)
        study.copy(source, whole)
        for name in select(model, self.carried):
            model.parameters[name][...] = whole.parameters[name]
        return model


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
