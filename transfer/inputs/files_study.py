"""The study of a command: `ClassificationStudy`, with word vectors and with a source that knows its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnn_core.data import Tokenizer
from rnn_core.inputs.vectors import KnownWords
from rnn_core.models import Model

from ..comparing.classification import ClassificationStudy


@dataclass(frozen=True, eq=False)
class FilesStudy(ClassificationStudy):
    """From one set of files to another.

    Parameters
    ----------
    vocabulary : Tokenizer or sequence, optional
        Of a source that is a model over tokens.
    words : KnownWords, optional
        What fresh embeddings begin with, on either side.
    """

    vocabulary: Tokenizer | Sequence[Any] | None = None
    words: KnownWords | None = None

    @property
    def source_tokens(self) -> Tokenizer | Sequence[Any] | None:
        """The source's vocabulary, where it is known."""
        return self.vocabulary if isinstance(self.source, Model) else self.source.tokens

    def build_source(self, seed: int) -> Model:
        """Return a fresh model for the source."""
        return self._with_words(super().build_source(seed))

    def build(self, seed: int) -> Model:
        """Return a fresh classifier for the target."""
        return self._with_words(super().build(seed))

    def _with_words(self, model: Model) -> Model:
        if self.words is not None and "embedding.weight" in model.parameters:
            self.words.into(model)
        return model
