"""`TasksStudy`: from one user's files to another's, whatever `rnn-core train` can learn of either."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from rnn_core.data.source import Source
from rnn_core.models import Model
from rnn_core.tasks.task import Task

from ..comparing.data_study import Budget, Candidate, DataStudy
from ..parameters.copying import copy_parameters
from ..parameters.cross_domain import CONTROLS
from ..parameters.report import TransferReport
from ..parameters.vocabulary import Vocabulary
from .known_tasks import task_of_name

WHOLE = 100
"""The size that is all of the target's training data, in per cent."""


@dataclass(frozen=True, eq=False)
class Side:
    """A task as a user's files tell it.

    Parameters
    ----------
    task : str
        Its name among `known_tasks`.
    how : Any
        What the task has learned of the examples: words, tags, scales.
    examples : Any
        To train on.
    args : Namespace
        Its options.
    network : mapping
        The model's options, but for the seed.
    """

    task: str
    how: Any
    examples: Any
    args: Namespace
    network: Mapping[str, Any]

    @property
    def kind(self) -> Task[Any, Any, Any]:
        """The task itself."""
        return task_of_name(self.task)

    def build(self, seed: int) -> Model:
        """Return a fresh model."""
        return self.kind.build(self.how, {**self.network, "seed": seed}, self.args)

    def batches(self, examples: Any, batch_size: int, seed: int) -> Source:
        """Return examples as batches to train on."""
        return self.kind.batches(self.how, examples, batch_size, seed, training=True)


@dataclass(frozen=True, eq=False)
class TasksStudy(DataStudy):
    """From files of one task to files of the same or another.

    Parameters
    ----------
    source : Side or Model
        What is learned first, or a model that has learned already.
    target : Side
    test : Any
        The target's examples to be judged by.
    metric : str
        The score of the target's task that counts.
    core : tuple of str
        Names of what carries over and can be frozen.
    copied : tuple of str
        Names of all that begins as the source's: the core, and what more has a row for each token.
    budget : Budget
    vocabulary : pair, optional
        The source's tokens and the target's, where rows of tokens carry over.

    Notes
    -----
    Sizes are shares of the target's training data in per cent. What `Task.split` leaves for training is what is trained
    on: a random part, or of what has an order in time its beginning.
    """

    source: Side | Model
    target: Side
    test: Any
    metric: str = ""
    core: tuple[str, ...] = ("rnn.*",)
    copied: tuple[str, ...] = ("rnn.*",)
    budget: Budget = field(default_factory=Budget)
    vocabulary: tuple[Vocabulary, Vocabulary] | None = None
    higher_is_better: bool = field(init=False)

    def __post_init__(self) -> None:
        better = self.target.kind.higher_is_better(self.target.how)
        object.__setattr__(self, "higher_is_better", better)

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return a model trained on the source's files, or the one that was."""
        return self.source if isinstance(self.source, Model) else super().pretrain(seed, shuffled)

    def build_source(self, seed: int) -> Model:
        """Return a fresh model for the source."""
        return self._source.build(2 * seed)

    def build(self, seed: int) -> Model:
        """Return a fresh model for the target."""
        return self.target.build(2 * seed + 1)

    def source_data(self, seed: int, shuffled: bool = False) -> Source:
        """Return the source's training batches."""
        source = self._source
        return source.batches(source.examples, self.budget.batch_size, seed)

    def part(self, size: int, seed: int) -> Any:
        """Return so much of the target's training examples, in per cent."""
        examples = self.target.examples
        return examples if size >= WHOLE else self.target.kind.split(examples, 1 - size / WHOLE, seed)[0]

    def target_data(self, size: int, seed: int) -> Source:
        """Return the target's training batches."""
        return self.target.batches(self.part(size, seed), self.budget.batch_size, seed)

    def why_not(self, arm: Candidate) -> str:
        """Return why an arm can't be run here, or an empty string if it can."""
        if arm.source == "shuffled":
            return "the source's answers can't be shuffled among its inputs"
        return super().why_not(arm)

    def copy(self, source: Model, target: Model) -> TransferReport:
        """Copy what carries over into `target`; of tokens, each one's row to that token."""
        return copy_parameters(source, target, include=self.copied, vocabulary=self.vocabulary)

    def control(self, kind: str, source: Model, seed: int) -> Model:
        """Return a control made from a trained source."""
        return CONTROLS[kind](source, self.core, seed=seed)

    def score(self, model: Any) -> float:
        """Return how well a model does on the test examples; not a number where the task has nothing to say."""
        target = self.target
        answers = target.kind.answer(model, target.how, self.test, target.args)
        return float(target.kind.score(target.how, self.test, answers).get(self.metric, nan))

    @property
    def _source(self) -> Side:
        if isinstance(self.source, Model):
            raise ValueError("TasksStudy: source must be files for this, got a model that has learned already")
        return self.source
