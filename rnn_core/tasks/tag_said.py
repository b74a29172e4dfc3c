"""What is known of tagged sentences, what is said of them, and how the two are held against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..data import Tokenizer
from ..data.files.labels import classes_of
from ..inputs.facts import listed
from ..inputs.words import Sentences
from ..scores import SpanScores, confusion, span_scores

STEPS = 200
"""Words of a sentence that are trained on together, unless told otherwise."""


@dataclass(frozen=True)
class Learned:
    """What is known of the sentences that were trained on.

    Attributes
    ----------
    tokenizer : Tokenizer
    tags : tuple of str
    scheme : str, optional
        How tags mark entities; None where they mark none.
    ruled : bool
        Whether all sentences keep to the scheme's rules.
    """

    tokenizer: Tokenizer
    tags: tuple[str, ...]
    scheme: str | None
    ruled: bool
    steps: int = STEPS


@dataclass(frozen=True)
class Said:
    """What a model says: of each sentence its tags (T,), and the probability of every tag at each word (T, K)."""

    best: list[np.ndarray]
    probabilities: list[np.ndarray]


def matrix_of(how: Learned, examples: Sentences, answers: Said) -> np.ndarray:
    """Return the confusion of the tags that are known."""
    number = numbers_of(how, examples)
    pairs = np.array([(number[tag], number[said]) for tag, said in pairs_of(how, examples, answers)])
    return confusion(pairs[:, 0], pairs[:, 1], len(how.tags))


def numbers_of(how: Learned, examples: Sentences) -> dict[str, int]:
    """Return the number of each tag, if all tags of the examples have one.

    Raises
    ------
    ValueError
        One was not trained on.
    """
    number = {tag: k for k, tag in enumerate(how.tags)}
    if foreign := classes_of({tag for row in examples.known for tag in row if tag is not None} - set(number)):
        raise ValueError(
            f"its tags must be those that are trained on, {listed(how.tags)}, got others, {listed(foreign)}"
        )
    return number


def pairs_of(how: Learned, examples: Sentences, answers: Said) -> Iterator[tuple[str, str]]:
    """Yield each tag that is known, and what was said."""
    for tags, best in zip(examples.known, answers.best, strict=True):
        yield from ((tag, how.tags[k]) for tag, k in zip(tags, best, strict=True) if tag is not None)


def spans_of(how: Learned, examples: Sentences, answers: Said) -> SpanScores:
    """Return the scores of entities; where a tag is unknown there is none."""
    wanted = [["O" if tag is None else tag for tag in row] for row in examples.known]
    said = [
        ["O" if tag is None else how.tags[k] for tag, k in zip(row, best, strict=True)]
        for row, best in zip(examples.known, answers.best, strict=True)
    ]
    return span_scores(wanted, said, how.scheme or "BIO")


def stretches(rows: Sequence[Sequence[str | None]]) -> Iterator[list[str]]:
    """Yield the rows whose tags are all known."""
    for row in rows:
        known = [tag for tag in row if tag is not None]
        if len(known) == len(row):
            yield known
