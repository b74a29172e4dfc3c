"""A study of sequences to read and to write: all of a `Seq2Seq` is carried over, or its encoder, or a control of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnn_core import Seq2Seq
from rnn_core.data import Pairs, pad_sequences, sequence_lengths
from rnn_core.models import Model
from transfer import Arm, Plan, TransferReport, copy_parameters
from transfer.comparing.data_study import Budget, DataStudy
from transfer.parameters.cross_domain import CONTROLS

RECURRENT = ("rnn.*", "decoder.*")
"""What a control changes: the recurrent layers of the encoder and of the decoder."""


class Rows(NamedTuple):
    """Tokens that are read and tokens that are written, an array each a row."""

    sources: list[np.ndarray]
    targets: list[np.ndarray]

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of them."""
        return Rows([self.sources[k] for k in rows], [self.targets[k] for k in rows])


class Parts(NamedTuple):
    """The parts of a task's pairs."""

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, eq=False)
class PairStudy(DataStudy):
    """A source and a target task in one vocabulary.

    Attributes
    ----------
    budget : Budget
    source : Rows
        To be trained on; it holds nothing of the target's validation and test parts.
    target : Parts
    vocabulary, hidden_size : int
    dropout : float
    """

    budget: Budget
    source: Rows
    target: Parts
    vocabulary: int
    hidden_size: int
    dropout: float

    core = ("*",)

    def arms(self) -> tuple[Arm, ...]:
        """Return the ways to begin: with the source's network, with parts and controls of it, and from scratch."""
        slowly = Plan(rates={"*": self.budget.core_rate})
        return (
            Arm("fine-tuned", "trained", plan=slowly),
            Arm("encoder alone", "trained", carried=("embedding.*", "rnn.*")),
            Arm("scratch"),
            Arm(
                "pairs shuffled", "shuffled", plan=slowly
            ),  # control: does it have to have learned what belongs to what?
            Arm("scrambled core", "scrambled", plan=slowly),  # control: would recurrent weights of the same sizes do?
        )

    def source_data(self, seed: int, shuffled: bool = False) -> Pairs:
        targets = self.source.targets
        if shuffled:
            targets = [targets[k] for k in np.random.default_rng(seed).permutation(len(targets))]
        return Pairs(self.source.sources, targets, batch_size=self.budget.batch_size, seed=seed)

    def target_data(self, size: int, seed: int) -> Pairs:
        order = np.random.default_rng(seed).permutation(len(self.target.train.sources))[:size]
        return Pairs(*self.target.train.take(order), batch_size=self.budget.batch_size, seed=seed)

    def validation(self) -> Pairs:
        return Pairs(*self.target.validation, batch_size=64, shuffle=False)

    def build(self, seed: int) -> Seq2Seq:
        return Seq2Seq(
            self.vocabulary,
            self.hidden_size,
            vocab_size=self.vocabulary,
            shared=True,
            cell="gru",
            dropout=self.dropout,
            seed=seed,
        )

    build_source = build

    def copy(self, source: Model, target: Model) -> TransferReport:
        return copy_parameters(source, target)

    def control(self, kind: str, source: Model, seed: int) -> Model:
        """Return a control whose recurrent layers alone are changed."""
        return CONTROLS[kind](source, RECURRENT, seed=seed)

    def written(self, model: Seq2Seq) -> list[np.ndarray]:
        """Return what a model writes for the test part, the likeliest token at each step."""
        sources = self.target.test.sources
        inputs = pad_sequences(sources, dtype=np.int64, padding="post")
        longest = max(map(len, self.target.train.targets))
        return model.predict(inputs, sequence_lengths(sources), max_length=longest)
