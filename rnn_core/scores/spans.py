"""Entities, or other spans, that tags mark: precision, recall and F1, each kind for itself and all together.

::

    P = c / f,   R = c / e                     c right of f found, e expected; 0 where there are none      (SP1)
    F = 2 P R / (P + R) = 2 c / (f + e)                                                                    (SP2)
    micro: c, f and e summed over all kinds                                                                (SP3)
    macro: the mean of P, of R and of F over the kinds                                                     (SP4)

A span is right if its kind and both of its ends are. Spans are read from tags as the script ``conlleval`` of the CoNLL
shared tasks does, also where tags break their scheme's rules: a span goes on where I or E follows a tag of the same
kind that leaves it open, and whatever else is not O begins one. So I behind O begins a span, and so does a change of
kind.

References
----------
E. F. Tjong Kim Sang, F. De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent named entity
recognition", CoNLL 2003, arXiv:cs/0306050v1, section 2.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..foreign import shown
from ..layers.crf.schemes import NOTHING, SCHEMES, split_tag

Span = tuple[int, int, str]
"""The first step, the one behind the last, and the kind."""


class SpanScore(NamedTuple):
    """How well spans were found.

    Attributes
    ----------
    precision, recall, f1 : float
        (SP1), (SP2); 0 where nothing was found, or was to be.
    right, found, expected : int
        How many spans.
    """

    precision: float
    recall: float
    f1: float
    right: int
    found: int
    expected: int

    @classmethod
    def of(cls, right: int, found: int, expected: int) -> SpanScore:
        """Return the scores of counts."""
        P, R = right / found if found else 0.0, right / expected if expected else 0.0  # (SP1)
        F = 2 * right / (found + expected) if found + expected else 0.0  # (SP2)
        return cls(P, R, F, right, found, expected)


@dataclass(frozen=True)
class SpanScores:
    """Scores by kind.

    Attributes
    ----------
    kinds : dict of str to SpanScore
        In the order of their names; of every kind that was expected or found.
    micro : SpanScore
        Of all spans together: (SP3). Its `f1` is what the shared tasks report.
    macro : SpanScore
        The mean over the kinds, (SP4); its counts are those of `micro`.
    """

    kinds: dict[str, SpanScore]
    micro: SpanScore
    macro: SpanScore

    def as_dict(self) -> dict[str, Any]:
        """Return numbers by name, as JSON can hold them."""
        return {
            "micro": self.micro._asdict(),
            "macro": self.macro._asdict(),
            "kinds": {kind: score._asdict() for kind, score in self.kinds.items()},
        }


def spans_of(tags: Sequence[str], scheme: str = "BIO") -> list[Span]:
    """Return the spans that a sequence of tags marks, in their order.

    Parameters
    ----------
    tags : sequence of str
    scheme : {"BIO", "IOB1", "IOBES", "plain"}
        The first three are read by one rule. With "plain" a tag is the kind itself, and neighbours of one kind are one
        span; ``O`` is none.

    Raises
    ------
    ValueError
        There is no such scheme, or a tag is none of it.

    Examples
    --------
    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC"])
    [(0, 2, 'PER'), (3, 4, 'LOC')]
    """
    where = "spans_of"
    if scheme not in (*SCHEMES, "plain"):
        raise ValueError(f"{where}: scheme must be one of {', '.join(SCHEMES)}, plain, got {shown(scheme)}")
    found: list[Span] = []
    before, first = NOTHING, 0
    for t, tag in enumerate([*tags, "O"]):
        if scheme == "plain":
            letter, kind = ("O", "") if tag == "O" else ("I", tag)
        else:
            letter, kind = split_tag(where, tag)
        goes_on = letter in "IE" and before[0] in "BI" and kind == before[1]
        if before[0] != "O" and not goes_on:
            found.append((first, t, before[1]))
        if not goes_on:
            first = t
        before = letter, kind
    return found


def span_scores(expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]], scheme: str = "BIO") -> SpanScores:
    """Compare the spans of tags with those of the right ones.

    Parameters
    ----------
    expected, found : sequence of sequences of str
        The right tags, and those of a model, row by row and step by step.
    scheme : {"BIO", "IOB1", "IOBES", "plain"}
        As `spans_of`.

    Raises
    ------
    ValueError
        There are not as many rows, or tags in a row; or as `spans_of`.
    """
    where = "span_scores"
    if len(expected) != len(found):
        raise ValueError(f"{where}: found must have {len(expected)} rows, as expected has, got {len(found)}")
    counts: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
    for row, (right, said) in enumerate(zip(expected, found, strict=True)):
        if len(right) != len(said):
            raise ValueError(f"{where}: found must have {len(right)} tags in row {row}, got {len(said)}")
        there, claimed = set(spans_of(right, scheme)), set(spans_of(said, scheme))
        for count, spans in zip(counts, (there & claimed, claimed, there), strict=True):
            count.update(kind for _, _, kind in spans)
    names = sorted({kind for count in counts for kind in count})
    kinds = {kind: SpanScore.of(*(count[kind] for count in counts)) for kind in names}
    micro = SpanScore.of(*(sum(count.values()) for count in counts))  # (SP3)
    P, R, F = (sum(score[k] for score in kinds.values()) / max(1, len(kinds)) for k in range(3))  # (SP4)
    return SpanScores(kinds, micro, SpanScore(P, R, F, *micro[3:]))
