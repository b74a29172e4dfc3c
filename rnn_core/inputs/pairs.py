"""From texts to what a `Seq2Seq` reads, and from what it writes to texts: the same way in training and in use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..data import Pairs, Tokenizer, pad_sequences, sequence_lengths
from ..data.files import TextPairs
from ..foreign import one_line
from ..models import Seq2Seq
from ..schema import check_arguments
from .encoding import OOV

MOST_TOKENS = 200
"""Of what is written, where nobody has said how long that may be."""

AT_ONCE = 64
"""Texts that are read and written side by side."""

KEEPS = ("start", "end")


class Said(NamedTuple):
    """What a model writes for a text.

    Attributes
    ----------
    text : str
    score : float
        What it was ranked by, (DE2).
    log_probability : float
        (DE1), in nats.
    ended : bool
        Whether it came to an end, or was cut off.
    tokens : tuple of str
        Of what was written.
    read : tuple of str
        Of what was read.
    weights : ndarray, shape (len(tokens), len(read)), or None
        How much each token written looked at each one read; None without attention.
    """

    text: str
    score: float
    log_probability: float
    ended: bool
    tokens: tuple[str, ...]
    read: tuple[str, ...]
    weights: np.ndarray | None


@dataclass(frozen=True)
class PairEncoding:
    """How texts become tokens, on both sides.

    Attributes
    ----------
    tokenizer, target_tokenizer : Tokenizer
        Of what is read and of what is written: the same one, where both are one language. Both keep 0 free.
    max_steps : int, optional
        Tokens that are read of a text at most.
    keep : {"start", "end"}
        Which of them, where a text has more: of a dialogue what was said last.
    longest : int
        Tokens that are written at most, and learned of a text.
    context : int, optional
        Turns that are read at most, of a dialogue; None of what is no dialogue.
    """

    tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    max_steps: int | None = None
    keep: str = "start"
    longest: int = MOST_TOKENS
    context: int | None = None

    def sources(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Return the tokens of texts to be read; one without any that is known is the unknown token."""
        rows = _encoded(self.tokenizer, texts)
        if self.max_steps is None:
            return rows
        return [row[-self.max_steps :] if self.keep == "end" else row[: self.max_steps] for row in rows]

    def targets(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Return the tokens of texts to be written."""
        return [row[: self.longest] for row in _encoded(self.target_tokenizer, texts)]

    def batches(self, pairs: TextPairs, batch_size: int, *, shuffle: bool = True, seed: int = 0) -> Pairs:
        """Return pairs of texts as batches."""
        sources, targets = self.sources(pairs.sources), self.targets(pairs.targets)
        return Pairs(sources, targets, batch_size=batch_size, shuffle=shuffle, seed=seed)

    def write(self, model: Seq2Seq, texts: Sequence[str], *, beam: int = 1, length_penalty: float = 0.6) -> list[Said]:
        """Return what a model writes for each text.

        Parameters
        ----------
        model : Seq2Seq
        texts : sequence of str
        beam, length_penalty
            As `Seq2Seq.decode`'s. 1 takes the likeliest token at each step.

        Raises
        ------
        ValueError, TypeError
            As `Seq2Seq.decode`.
        """
        rows = self.sources(texts)
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))  # of similar length, so that little is padding
        found: dict[int, Said] = {}
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            inputs = pad_sequences([rows[k] for k in some], dtype=np.int64, padding="post")
            lengths = sequence_lengths([rows[k] for k in some])
            best = model.decode(inputs, lengths, beam=beam, max_length=self.longest + 1, length_penalty=length_penalty)
            found |= {k: self._said(rows[k], hypotheses[0]) for k, hypotheses in zip(some, best, strict=True)}
        return [found[k] for k in range(len(rows))]

    def _said(self, row: np.ndarray, best: Any) -> Said:
        """Return a hypothesis as text, without its end."""
        read, written = self.tokenizer.tokens, self.target_tokenizer.tokens
        weights = None if best.weights is None else best.weights[: len(best.tokens)]
        return Said(
            self.target_tokenizer.decode(best.tokens),
            float(best.score),
            float(best.log_probability),
            bool(best.ended),
            tuple(written[k] for k in best.tokens),
            tuple(read[k] for k in row),
            weights,
        )


def pairs_encoding(
    pairs: TextPairs,
    *,
    level: str,
    lower: bool,
    num_words: int | None = None,
    shared: bool = False,
    max_steps: int | None = None,
    keep: str = "start",
    context: int | None = None,
) -> PairEncoding:
    """Return the encoding of pairs, whose vocabularies and whose longest target are those of these.

    Parameters
    ----------
    pairs : TextPairs
        Of the training part, and of no other.
    level, lower, num_words
        As a `Tokenizer`'s.
    shared : bool
        One vocabulary for both sides, as both are one language.
    max_steps, keep, context
        As `PairEncoding` has them.
    """

    def learned(texts: list[str]) -> Tokenizer:
        return Tokenizer(level, num_words=num_words, lower=lower, oov=OOV).fit(texts)

    if shared:
        tokenizer = target_tokenizer = learned([*pairs.sources, *pairs.targets])
    else:
        tokenizer, target_tokenizer = learned(pairs.sources), learned(pairs.targets)
    longest = max(len(row) for row in _encoded(target_tokenizer, pairs.targets))
    if max_steps is not None:
        longest = min(longest, max_steps)
    return PairEncoding(tokenizer, target_tokenizer, max_steps, keep, longest, context)


def _reading(
    max_steps: int | None = None, keep: str = "start", longest: int = MOST_TOKENS, context: int | None = None
) -> None:
    """What ``reading`` may hold of pairs."""


def kept_pairs(encoding: PairEncoding) -> dict[str, Any]:
    """Return what `save` is given, to keep an encoding."""
    reading = {name: getattr(encoding, name) for name in ("max_steps", "keep", "longest", "context")}
    return {
        "tokenizer": encoding.tokenizer,
        "target_tokenizer": encoding.target_tokenizer,
        "reading": {name: value for name, value in reading.items() if value is not None},
    }


def pair_encoding_of(model: Seq2Seq, where: str) -> PairEncoding:
    """Return how a model reads and writes texts.

    Parameters
    ----------
    model : Seq2Seq
    where : str
        What to call its file in errors.

    Raises
    ------
    ValueError
        Nobody has said what its tokens stand for, or what was said doesn't fit.
    """
    tokenizer: Tokenizer | None = model.tokenizer
    target = model.target_tokenizer or (tokenizer if model.shared else None)
    try:
        for name, found in (("tokenizer", tokenizer), ("target_tokenizer", target)):
            if found is None:
                raise ValueError(f"what its tokens stand for is not known; save(model, path, {name}=…) keeps that")
            if not found.padding:
                raise ValueError(f"its {name} keeps no token free for the end; Tokenizer(padding=True) does")
        reading = check_arguments("its reading", _reading, model.reading or {})
        for name in ("max_steps", "longest", "context"):
            value = reading.get(name)
            if value is not None and value < 1:
                raise ValueError(f"its {name} must be at least 1, got {value}")
        if reading.get("keep", "start") not in KEEPS:
            raise ValueError(f"its keep must be one of {', '.join(KEEPS)}, got {reading['keep']!r}")
    except ValueError as error:
        raise ValueError(f"{where} must say how its model reads and writes, got other: {one_line(error)}") from error
    if tokenizer is None or target is None:  # as above; for the types
        raise ValueError(f"{where} must say how its model reads and writes")
    return PairEncoding(tokenizer, target, **reading)


def _encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> list[np.ndarray]:
    """Return the tokens of each text; one that holds none has the unknown one or, without such, the first."""
    unknown = tokenizer.index[tokenizer.oov] if tokenizer.oov is not None else 1
    rows = tokenizer.encode_all(texts)
    return [row if len(row) else np.array([unknown]) for row in rows]
