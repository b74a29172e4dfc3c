"""`ClassificationStudy`: from sequences and their classes to others, as a study that every arm can be run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.data import Examples, TextStream, Tokenizer
from rnn_core.data.labelled import Labelled
from rnn_core.data.ragged import pieces
from rnn_core.data.source import Source
from rnn_core.models import Model
from rnn_core.scores import accuracy, balanced_accuracy, confusion

from ..parameters.copying import copy_parameters
from ..parameters.groups import Patterns, listed
from ..parameters.report import TransferReport
from ..tasks.heads import Head
from .data_study import EXAMPLES, SHUFFLED, Budget, Candidate, DataStudy, Joint

STEPS = 32
"""Columns of a text's batches: so far back a language model's gradients reach."""

AT_ONCE = 512
"""Sequences that are judged at a time, if they aren't long: it bounds the memory."""


class Text(NamedTuple):
    """A text without labels, as a source: a language model learns it.

    Attributes
    ----------
    ids : ndarray of int, shape (N,)
    tokens : Tokenizer or sequence
        The vocabulary.
    """

    ids: np.ndarray
    tokens: Tokenizer | Sequence[Any]


@dataclass(frozen=True, eq=False)
class ClassificationStudy(DataStudy):
    """From a labelled source, a text or a trained model to a labelled target.

    Parameters
    ----------
    source : Labelled, Text or Model
    target : Labelled
        To train on; the size of a run is a number of its examples, drawn so that each class has its share.
    test : Labelled
        To be judged by, and for nothing else.
    network : mapping, optional
        Options of `SequenceClassifier`: ``hidden_size``, ``cell``, ``pooling`` and so on, the same on either side.
    budget : Budget
    balanced : bool
        Score by the mean of the classes' accuracies, in which a rare class counts as much as a frequent one.

    Attributes
    ----------
    core : tuple of str
        What carries over. The whole core, with the embedding before it, where both sides read tokens; the core alone
        where both read as many features a step; else the recurrent weights.

    Raises
    ------
    ValueError
        There is one class only, target and test differ in features, classes or vocabulary, or a network has an option
        that is the study's, or one that does not go with the source.
    TypeError
        An argument is of another type, or the features are not of the network's dtype.
    """

    source: Labelled | Text | Model
    target: Labelled
    test: Labelled
    network: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    balanced: bool = False
    core: Patterns = field(init=False)
    metric: str = field(init=False)

    def __post_init__(self) -> None:
        where = "ClassificationStudy"
        for name, side, kinds in (
            ("source", self.source, (Labelled, Text, Model)),
            ("target", self.target, (Labelled,)),
            ("test", self.test, (Labelled,)),
        ):
            if not isinstance(side, kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(f"{where}: {name} must be {expected}, got {type(side).__name__}")
            if isinstance(side, Labelled) and len(side.classes) < 2:
                raise ValueError(f"{where}: {name} must have two classes or more, got {side.classes[0]!r} alone")
        if taken := [name for name in OWN if name in self.network]:
            raise ValueError(f"{where}: network must leave {', '.join(taken)} to the study, got {dict(self.network)}")
        if self.target.features != self.test.features or self.target.classes != self.test.classes:
            raise ValueError(
                f"{where}: test must have the target's features and classes, got {self.test.features} and "
                f"{', '.join(self.test.classes)} for {self.target.features} and {', '.join(self.target.classes)}"
            )
        if _words(self.target.tokens) != _words(self.test.tokens):
            raise ValueError(f"{where}: test must have the target's tokens in the target's order, got others")
        dtype = np.dtype(self.network.get("dtype", np.float32))
        for name, side in (("source", self.source), ("target", self.target), ("test", self.test)):
            if isinstance(side, Labelled) and side.features is not None and side.inputs.dtype != dtype:
                raise TypeError(
                    f"{where}: {name} must have features of the network's dtype, {dtype}, got {side.inputs.dtype}; "
                    f"convert them, or give the network dtype='{side.inputs.dtype}'"
                )
        object.__setattr__(self, "metric", "balanced accuracy in %" if self.balanced else "accuracy in %")
        object.__setattr__(self, "core", self._core())
        self._try(where)

    def _try(self, where: str) -> None:
        """Raise now what would otherwise end a comparison after hours: a source that does not fit the network."""
        target: Any = self.build(0)
        source: Any = self.source if isinstance(self.source, Model) else self.build_source(0)
        try:
            if source.rnn.directions != target.rnn.directions:
                raise ValueError(
                    f"a core of {source.rnn.directions} direction{'s' * (source.rnn.directions > 1)} can't begin one "
                    f"of {target.rnn.directions}; 'bidirectional' must be left out, or the same on either side"
                )
            self.copy(source, target)
        except ValueError as error:
            raise ValueError(f"{where}: source and network must fit: {error}") from error

    def _core(self) -> tuple[str, ...]:
        there, here = self.source_features, self.target.features
        if there is None and here is None:
            return ("embedding.*", "rnn.*")
        return ("rnn.*",) if there == here else ("rnn.weight_hh_*",)

    @property
    def source_features(self) -> int | None:
        """The features of a step of the source; None for tokens."""
        if isinstance(self.source, Labelled):
            return self.source.features
        if isinstance(self.source, Model):
            features: int | None = self.source.config.get("input_size")
            return features
        return None

    @property
    def same_classes(self) -> bool:
        """Whether source and target ask the same question: the classes have the same names, in the same order."""
        return isinstance(self.source, Labelled) and self.source.classes == self.target.classes

    @property
    def same_inputs(self) -> bool:
        """Whether the source's sequences could be the target's: as many features, or the same tokens."""
        if not isinstance(self.source, Labelled) or self.source.features != self.target.features:
            return False
        return self.source.features is not None or _words(self.source.tokens) == _words(self.target.tokens)

    def source_data(self, seed: int, shuffled: bool = False) -> Source:
        """Return the source's training batches."""
        rng = np.random.default_rng([seed, SHUFFLED])
        if isinstance(self.source, Text):
            ids = rng.permutation(self.source.ids) if shuffled else self.source.ids
            return TextStream(ids, batch_size=min(self.budget.batch_size, max(1, len(ids) // STEPS)), steps=STEPS)
        source = self.labelled_source
        return self.batches(replace(source, targets=rng.permutation(source.targets)) if shuffled else source, seed)

    def batches(self, source: Labelled, seed: int, batch_size: int | None = None) -> Source:
        """Return training batches of some of the source's examples; override it to augment them, see `Augmented`."""
        return source.batches(batch_size or self.budget.batch_size, seed)

    @property
    def labelled_source(self) -> Labelled:
        """The source, if it is labelled examples.

        Raises
        ------
        ValueError
            It is not.
        """
        if not isinstance(self.source, Labelled):
            raise ValueError(
                f"ClassificationStudy: source must be labelled examples for this, got {type(self.source).__name__}"
            )
        return self.source

    def target_data(self, size: int, seed: int) -> Examples:
        """Return the target's training batches."""
        return self.examples(size, seed).batches(self.budget.batch_size, seed)

    @property
    def joins(self) -> bool:
        """Whether one core can read source and target: they have their inputs in common."""
        return self.same_inputs

    def joint(self, size: int, seed: int) -> Joint:
        """Return both tasks for one core."""
        pooling = self.network.get("pooling", "last")
        heads = {
            "source": Head(len(self.labelled_source.classes), pooling=pooling),
            "target": Head(len(self.target.classes), pooling=pooling),
        }
        return Joint(heads, {"source": self.source_data(seed), "target": self.target_data(size, seed)})

    def examples(self, size: int, seed: int) -> Labelled:
        """Return `size` examples of the target; the same seed draws the same."""
        return self.target.draw(size, [seed, EXAMPLES])

    def why_not(self, arm: Candidate) -> str:
        """Return why an arm can't be run here: what it asks of the source is not there."""
        if isinstance(self.source, Model) and arm.source == "shuffled":
            return "a trained model has no labels to shuffle"
        if arm.carried is not None and self.core == listed("Arm", "carried", arm.carried):
            return "it is all that carries over here, so that this is fine-tuning"
        return super().why_not(arm)

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return a model trained on the source, or the source itself if it is one."""
        if isinstance(self.source, Model):
            if shuffled:
                raise ValueError("ClassificationStudy: a trained model has no labels to shuffle; leave that arm out")
            return self.source
        return super().pretrain(seed, shuffled)

    def build_source(self, seed: int) -> Model:
        """Return a fresh model for the source: a classifier, or a language model for a text."""
        if isinstance(self.source, Text):
            options = {name: value for name, value in self.network.items() if name not in ("bidirectional", "pooling")}
            return LanguageModel(len(self.source.tokens), options.pop("hidden_size", 64), **options, seed=2 * seed)
        return self._classifier(self.labelled_source, 2 * seed)

    def build(self, seed: int) -> Model:
        """Return a fresh classifier for the target."""
        return self._classifier(self.target, 2 * seed + 1)

    def copy(self, source: Model, target: Model) -> TransferReport:
        """Copy the core into `target`; of an embedding, each token's row to that token."""
        there = self.source_tokens
        if "embedding.*" in self.core and there is not None and self.target.tokens is not None:
            vocabulary = (there, self.target.tokens)
            return copy_parameters(source, target, include=self.core, vocabulary=vocabulary)
        return copy_parameters(source, target, include=self.core)

    @property
    def source_tokens(self) -> Tokenizer | Sequence[Any] | None:
        """The source's vocabulary, where it is known."""
        return None if isinstance(self.source, Model) else self.source.tokens

    def score(self, model: Any) -> float:
        """Return how many of the test's sequences are told right, in per cent."""
        test, parts = self.test, []
        for rows in pieces(test.steps, AT_ONCE):
            parts.append(model.predict(test.inputs[rows], None if test.lengths is None else test.lengths[rows]))
        matrix = confusion(test.targets, np.concatenate([np.asarray(part) for part in parts]), len(test.classes))
        return 100 * (balanced_accuracy(matrix) if self.balanced else accuracy(matrix))

    def _classifier(self, data: Labelled, seed: int) -> SequenceClassifier:
        options = {"hidden_size": 64, **self.network}
        if data.features is None:
            vocab_size = self._ids() if data.tokens is None else len(data.tokens)
            return SequenceClassifier(len(data.classes), vocab_size=vocab_size, **options, seed=seed)
        options.pop("embedding_size", None)
        return SequenceClassifier(len(data.classes), input_size=data.features, **options, seed=seed)

    def _ids(self) -> int:
        """Return how many ids there are on all sides, where nothing says what they stand for."""
        sides = (self.source, self.target, self.test)
        tokens = [side.inputs for side in sides if isinstance(side, Labelled) and side.features is None]
        return 1 + max(int(np.max(rows)) for rows in tokens)


OWN = ("num_classes", "input_size", "vocab_size", "seed")
"""Options of a network that the data decide, and the run."""


def _words(tokens: Tokenizer | Sequence[Any] | None) -> list[Any] | None:
    """Return a vocabulary in the order of its ids."""
    if tokens is None:
        return None
    return list(tokens.tokens if isinstance(tokens, Tokenizer) else tokens)
