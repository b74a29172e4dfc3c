"""`TaskStudy`: from any task to any other, told as how each is built, what it eats, and how the target's is scored.

`ClassificationStudy` knows what sequences and classes are, and so every method can be tried on it. Here nothing is
known: a tagger, a translator, a forecaster, a network of convolutions or a model of one's own is a function that builds
it and a function that makes its batches. What is asked of the data themselves (features, weights of examples, boosting)
is then not possible, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp
from typing import Any

from rnn_core.data.source import Source
from rnn_core.models import Model

from ..parameters.copying import copy_parameters
from ..parameters.cross_domain import CONTROLS
from ..parameters.groups import Patterns, listed, select
from ..parameters.report import TransferReport
from ..parameters.vocabulary import Vocabulary
from .data_study import Budget, Candidate, DataStudy


@dataclass(frozen=True)
class Score:
    """How well a model does on data that no arm has trained on.

    Parameters
    ----------
    metric : str
        What it is called: "F1 of entities in %", "chrF", "MASE". Where it ends in "in %", it lies from 0 to 100.
    of : callable
        From a model to a number.
    higher_is_better : bool
        False for an error, a loss or a perplexity. Verdicts and alarms go by it.
    """

    metric: str
    of: Callable[[Any], float]
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str):
            raise TypeError(f"Score: metric must be a string, got {self.metric!r}")
        if not callable(self.of):
            raise TypeError(f"Score: of must be a function of a model, got {self.of!r}")
        if not isinstance(self.higher_is_better, bool):
            raise TypeError(f"Score: higher_is_better must be True or False, got {self.higher_is_better!r}")


@dataclass(frozen=True)
class _Evaluated:
    """What a model's own `evaluate` says of some batches."""

    data: Source
    what: str

    def __call__(self, model: Any) -> float:
        loss = count = right = 0.0
        state = None
        for k in range(len(self.data)):
            batch = self.data.batch(0, k)
            found = model.evaluate(batch, state=state if batch.carry else None)
            if self.what == "accuracy" and found.correct is None:
                raise ValueError(f"share_right: {type(model).__name__} must have answers that are right or wrong")
            loss, count, right = loss + found.loss, count + found.count, right + (found.correct or 0)
            state = found.state
        if self.what == "accuracy":
            return 100 * right / count
        return exp(loss / count) if self.what == "perplexity" else loss / count


def mean_loss(data: Source, metric: str = "loss") -> Score:
    """Return the score that is a model's own mean loss on some batches: lower is better."""
    return Score(metric, _Evaluated(data, "loss"), higher_is_better=False)


def perplexity(data: Source) -> Score:
    """Return the score that is e to the power of the mean loss: lower is better."""
    return Score("perplexity", _Evaluated(data, "perplexity"), higher_is_better=False)


def share_right(data: Source) -> Score:
    """Return the score that is the share of targets that a model's `evaluate` counts as right, in per cent."""
    return Score("accuracy in %", _Evaluated(data, "accuracy"))


@dataclass(frozen=True)
class SourceTask:
    """A task to begin with.

    Parameters
    ----------
    build : callable
        ``build(seed)`` returns a fresh model.
    batches : callable
        ``batches(seed, shuffled)`` returns what it trains on; `shuffled` asks for the same inputs with the answers
        shuffled among them.
    shuffles : bool
        False where there is no sense in that: the arm "shuffled labels" is then refused.
    """

    build: Callable[[int], Model]
    batches: Callable[[int, bool], Source]
    shuffles: bool = True


@dataclass(frozen=True)
class TargetTask:
    """A task to come to.

    Parameters
    ----------
    build : callable
        ``build(seed)`` returns a fresh model.
    batches : callable
        ``batches(size, seed)`` returns what it trains on, made of so much of its data.
    score : Score
    validation : Source, optional
        By which a run chooses the parameters that it ends with, out of some looks; without it they are its last ones.
    """

    build: Callable[[int], Model]
    batches: Callable[[int, int], Source]
    score: Score
    validation: Source | None = None


@dataclass(frozen=True, eq=False)
class TaskStudy(DataStudy):
    """From one task to another, of whatever models.

    Parameters
    ----------
    source : SourceTask
    target : TargetTask
    core : str or iterable of str
        Patterns of the target's parameters that carry over, and that a frozen core freezes. Where source and target
        differ in what they read, the recurrent weights alone may fit: ``"rnn.weight_hh_*"``.
    budget : Budget
    rename : mapping, optional
        As for `copy_parameters`, where the source has other names: ``{"blocks.*": "front.*"}``.
    vocabulary : pair, optional
        As for `copy_parameters`: the source's tokens and the target's, where an embedding is part of the core.
    source_core : str or iterable of str, optional
        What the controls change of the source, where its names aren't the target's.

    Raises
    ------
    ValueError
        The core does not fit the target, or can't be copied from the source's model.
    TypeError
        An argument is of another type.
    """

    source: SourceTask
    target: TargetTask
    core: Patterns = "rnn.*"
    budget: Budget = field(default_factory=Budget)
    rename: Mapping[str, str] | None = None
    vocabulary: tuple[Vocabulary, Vocabulary] | None = None
    source_core: Patterns | None = None
    metric: str = field(init=False)
    higher_is_better: bool = field(init=False)

    def __post_init__(self) -> None:
        for name, side, kind in (("source", self.source, SourceTask), ("target", self.target, TargetTask)):
            if not isinstance(side, kind):
                raise TypeError(f"TaskStudy: {name} must be a {kind.__name__}, got {type(side).__name__}")
        object.__setattr__(self, "core", listed("TaskStudy", "core", self.core))
        object.__setattr__(self, "metric", self.target.score.metric)
        object.__setattr__(self, "higher_is_better", self.target.score.higher_is_better)
        try:
            source, target = self.build_source(0), self.build(0)
            self.copy(source, target)
            select(source, self.core if self.source_core is None else self.source_core)
        except ValueError as error:
            raise ValueError(f"TaskStudy: core must be what source and target share: {error}") from error

    def build_source(self, seed: int) -> Model:
        """Return a fresh model for the source task."""
        return self.source.build(2 * seed)

    def build(self, seed: int) -> Model:
        """Return a fresh model for the target task."""
        return self.target.build(2 * seed + 1)

    def source_data(self, seed: int, shuffled: bool = False) -> Source:
        """Return the source's training batches."""
        return self.source.batches(seed, shuffled)

    def target_data(self, size: int, seed: int) -> Source:
        """Return the target's training batches."""
        return self.target.batches(size, seed)

    def validation(self) -> Source | None:
        """Return what a run chooses its parameters by."""
        return self.target.validation

    def why_not(self, arm: Candidate) -> str:
        """Return why an arm can't be run here, or an empty string if it can."""
        if arm.source == "shuffled" and not self.source.shuffles:
            return "the source has no labels to shuffle"
        return super().why_not(arm)

    def copy(self, source: Model, target: Model) -> TransferReport:
        """Copy the core into `target`."""
        return copy_parameters(source, target, include=self.core, rename=self.rename, vocabulary=self.vocabulary)

    def control(self, kind: str, source: Model, seed: int) -> Model:
        """Return a control made from a trained source."""
        return CONTROLS[kind](source, self.core if self.source_core is None else self.source_core, seed=seed)

    def score(self, model: Any) -> float:
        """Return how well a model does."""
        return float(self.target.score.of(model))
