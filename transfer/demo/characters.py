"""A language model over characters: from the language reference to docstrings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import log, log2
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from rnn_core import LanguageModel, load
from rnn_core.data import TextStream, Tokenizer
from rnn_core.models import Model
from rnn_core.training import Adam, Cosine, History, fit

from .. import Arm, Plan, Study, TransferReport, copy_parameters
from .corpus import Corpus
from .settings import CharactersSettings

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that the vocabulary lacks."""


def tokenizer_of(text: str) -> Tokenizer:
    """Return a tokenizer for the characters of a text, and one more for all others."""
    return Tokenizer("char", lower=False, oov=UNKNOWN, padding=False).fit(text)


def unigram_bits(text: str, trained_on: str) -> float:
    """Return the bits a character of a model that knows nothing but how frequent each character is.

    A character counts once more than it was seen, so that none is impossible.
    """
    counts = Counter(trained_on)
    total = len(trained_on) + len(set(trained_on)) + 1
    return -sum(log2((counts[character] + 1) / total) for character in text) / len(text)


def held_out(tokens: np.ndarray, settings: CharactersSettings) -> TextStream:
    """Return the batches of a text that a model is judged by."""
    return TextStream(tokens, batch_size=settings.batch_size, steps=4 * settings.steps)


def new_model(tokens: Tokenizer, settings: CharactersSettings, seed: int) -> LanguageModel:
    """Return a fresh language model for a vocabulary."""
    return LanguageModel(
        len(tokens),
        settings.hidden_size,
        embedding_size=settings.embedding_size,
        cell="lstm",
        seed=seed,
    )


def train_source(
    corpus: Corpus, tokens: Tokenizer, settings: CharactersSettings, folder: Path, resume: bool, console: Console
) -> tuple[LanguageModel, History]:
    """Train the source model, with checkpoints in `folder`; errors are those of `rnn_core.training.fit`."""
    model = new_model(tokens, settings, seed=0)
    stream = TextStream(tokens.encode(corpus.source), batch_size=settings.batch_size, steps=settings.steps)
    history = fit(
        model,
        stream,
        optimizer=Adam(settings.source_rate),
        schedule=Cosine(settings.source_epochs * len(stream)),
        epochs=settings.source_epochs,
        validation=held_out(tokens.encode(corpus.source_validation), settings),
        clip_norm=settings.clip_norm,
        checkpoint=folder,
        checkpoint_every=500,
        resume="auto" if resume else False,
        progress=console,
    )
    return model, history


def arms(settings: CharactersSettings) -> tuple[Arm, ...]:
    """Return what is compared. What was copied moves at a rate of its own."""
    return (Arm("fine-tuned", "trained", plan=Plan(rates={"*": settings.tuned_rate})), Arm("scratch"))


@dataclass(frozen=True)
class CharactersStudy(Study):
    """Source: the language reference, one model for all seeds. Target: docstrings; its size is in characters.

    A seed draws the training text, the parameters of a fresh model, and nothing else. Every arm reads its text
    equally often, and keeps the epoch with the best validation score.
    """

    settings: CharactersSettings
    corpus: Corpus
    source_tokens: Tokenizer
    target_tokens: Tokenizer
    source_file: Path
    core: tuple[str, ...] = ("embedding.*", "rnn.*", "head.*")
    metric: str = "bits a character"
    higher_is_better: bool = False

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return the source model, which was trained beforehand."""
        model: Model = load(self.source_file)
        return model

    def build(self, seed: int) -> LanguageModel:
        """Return a fresh model for the characters of the docstrings."""
        return new_model(self.target_tokens, self.settings, seed=seed + 1)

    def copy(self, source: Model, target: Model) -> TransferReport:
        """Copy everything; what belongs to a character goes to that character."""
        return copy_parameters(source, target, vocabulary=(self.source_tokens, self.target_tokens))

    def train(self, model: Model, plan: Plan, size: int, seed: int) -> Any:
        """Train on `size` characters; return the bits a character on the validation text, epoch by epoch."""
        s = self.settings
        epochs = s.target_epochs[s.sizes.index(size)]
        text = self.target_tokens.encode(self.corpus.training_text(size, seed))
        stream = TextStream(text, batch_size=s.batch_size, steps=s.steps)
        history = fit(
            model,
            stream,
            optimizer=Adam(s.scratch_rate),
            schedule=Cosine(epochs * len(stream)),
            epochs=epochs,
            validation=held_out(self.target_tokens.encode(self.corpus.validation), s),
            clip_norm=s.clip_norm,
            updates=plan.resolve(model),
            progress=False,
        )
        best = history.best
        return {
            "updates": history.column("step"),
            "bits": [round(value, 4) for value in history.column("validation_bits")],
            "best epoch": best.epoch if best else None,
        }

    def score(self, model: Model) -> float:
        """Return the bits a character on the test text."""
        return self.bits_of(model, self.corpus.test)

    def bits_of(self, model: Model, text: str) -> float:
        """Return the bits a character that a model needs for a text."""
        total, count, state = 0.0, 0.0, None
        stream = held_out(self.target_tokens.encode(text), self.settings)
        for index in range(len(stream)):
            batch = stream.batch(0, index)
            loss, n, _, state = model.evaluate(batch, state=state if batch.carry else None)
            total += loss
            count += n
        return total / count / log(2)


def equivalent_size(sizes: tuple[int, ...], scratch: np.ndarray, reached: float) -> float | None:
    """Return how many characters a fresh model needs for the bits that another has reached.

    Between two sizes the bits are taken to fall in a straight line with the logarithm of the size. None stands for
    more than the largest size.

    Parameters
    ----------
    sizes : tuple of int
        In ascending order.
    scratch : ndarray, shape (sizes,)
        Bits a character of the fresh model at each size.
    reached : float
    """
    if reached < scratch.min():
        return None
    # From the largest size down the bits rise, as np.interp wants it.
    order = np.argsort(scratch)
    return float(np.exp(np.interp(reached, scratch[order], np.log(np.array(sizes))[order])))
