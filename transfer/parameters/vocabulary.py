"""Rows of words: from the source's to the target's by token, never by index."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array
from rnn_core.data import Tokenizer
from rnn_core.data.text import PADDING
from rnn_core.layers.base import Layer

Vocabulary = Tokenizer | Sequence[Hashable]
"""A tokenizer, or the tokens in the order of their ids."""


class TokenMap(NamedTuple):
    """Where each row of the target's vocabulary comes from."""

    origin: np.ndarray  # (V_t,): the source's row; MEAN for a new token, STAYS for padding
    words: np.ndarray  # the source's rows that are tokens, padding left out: the mean is over these
    source_size: int

    @property
    def written(self) -> np.ndarray:
        """The target's rows that get a value."""
        return np.flatnonzero(self.origin != STAYS)

    @property
    def mapped(self) -> int:
        """How many tokens both sides have."""
        return int((self.origin >= 0).sum())

    @property
    def note(self) -> str:
        """How many rows come from where, in a few words."""
        new, stays = int((self.origin == MEAN).sum()), int((self.origin == STAYS).sum())
        parts = [f"{self.mapped} of {len(self.origin)} tokens"]
        parts += [f"{new} new: mean row"] if new else []
        parts += [f"{stays} padding"] if stays else []
        return ", ".join(parts)

    def rows(self, value: Array) -> Array:
        """Return the rows for the target's written ones, out of the source's parameter."""
        origin = self.origin[self.written]
        rows = value[np.maximum(origin, 0)]  # (X2)
        if (origin == MEAN).any():
            rows[origin == MEAN] = value[self.words].mean(axis=0)  # (X2)
        return rows


MEAN, STAYS = -1, -2


def token_map(where: str, vocabulary: Any, source: Any, target: Layer) -> TokenMap:
    """Return the map from one vocabulary to another.

    Parameters
    ----------
    where : str
        The caller, for messages.
    vocabulary : pair
        The source's tokens and the target's.
    source : Model, layer or mapping
        Asked, as the target is, for a padding row of its own.
    target : Model or layer

    Raises
    ------
    ValueError
        The target has no vocabulary, a token stands twice, or the two have no token in common.
    TypeError
        This is not a pair of vocabularies.
    """
    if not isinstance(vocabulary, tuple | list) or len(vocabulary) != 2:
        raise TypeError(f"{where}: vocabulary must be a pair (source_tokens, target_tokens), got {vocabulary!r}")
    if not getattr(target, "vocabulary_parameters", ()):
        raise ValueError(
            f"{where}: vocabulary must be left out, got one for a {type(target).__name__} that has no rows of words"
        )
    old = _tokens(where, "vocabulary[0]", vocabulary[0])
    new = _tokens(where, "vocabulary[1]", vocabulary[1])
    index = {token: row for row, token in enumerate(old)}
    own_padding = padding_row(target)
    origin = np.array(
        [
            STAYS if row == own_padding else index.get(token, STAYS if token == PADDING else MEAN)
            for row, token in enumerate(new)
        ]
    )
    if not (origin >= 0).any():
        raise ValueError(
            f"{where}: vocabulary must have a token in common, got {old[:3]}… for the source and {new[:3]}… for the "
            "target"
        )
    source_padding = padding_row(source)
    words = [row for row, token in enumerate(old) if token != PADDING and row != source_padding]
    return TokenMap(origin, np.array(words), len(old))


def _tokens(where: str, argument: str, vocabulary: Any) -> list[Hashable]:
    """Return the tokens in the order of their ids, if each stands there once."""
    if isinstance(vocabulary, Tokenizer):
        return list(vocabulary.tokens)
    if isinstance(vocabulary, Mapping) or not isinstance(vocabulary, Sequence | np.ndarray):
        raise TypeError(
            f"{where}: {argument} must be a Tokenizer or the tokens in the order of their ids, "
            f"got {type(vocabulary).__name__}"
        )
    tokens = list(vocabulary)
    seen: set[Hashable] = set()
    for row, token in enumerate(tokens):
        if token in seen:
            raise ValueError(f"{where}: {argument} must have each token once, got {token!r} again at id {row}")
        seen.add(token)
    return tokens


def padding_row(model: Any) -> int | None:
    """Return the row that a model keeps at zero, if it has one."""
    embedding = getattr(model, "layers", {}).get("embedding")
    row: int | None = getattr(embedding, "padding_idx", None)
    return row
