"""How far what was said is from what should have been: edit distance and rate, exact matches, BLEU and chrF."""

from __future__ import annotations

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ..foreign import shown

Tokens = Sequence[Hashable] | np.ndarray
"""A string, whose characters are tokens, or a list of words, phonemes or numbers."""


def edit_distance(one: Tokens, other: Tokens) -> int:
    """Return how many tokens have to be put in, taken out or exchanged to make one sequence of the other.

    Parameters
    ----------
    one, other : sequence of hashable
        Strings, lists, tuples, or arrays of integers of shape (n,). Padding is a token like any other: cut it off
        first.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        Something is no sequence.

    Notes
    -----
    Levenshtein's distance D[n, m], by its recurrence D[i, j] = min(D[i−1, j] + 1, D[i, j−1] + 1, D[i−1, j−1] + (a_i ≠
    b_j)). Neighbours in a column differ by −1, 0 or 1, so a column is two bit vectors, where it rises and where it
    falls, and a step to the next is a few operations on whole numbers, which in Python may have any number of bits.

    References
    ----------
    V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet Physics
    Doklady 10 (1966) 707-710. G. Myers, "A fast bit-vector algorithm for approximate string matching based on dynamic
    programming", Journal of the ACM 46 (1999) 395-415; in the form of H. Hyyrö, "A bit-vector algorithm for computing
    Levenshtein and Damerau edit distances", Nordic Journal of Computing 10 (2003) 29-39, figure 4.

    Examples
    --------
    >>> edit_distance("kitten", "sitting"), edit_distance(["a", "b"], ["b"])
    (3, 1)
    """
    one, other = _sequence("edit_distance", "one", one), _sequence("edit_distance", "other", other)
    if len(one) == 0:
        return len(other)
    where: defaultdict[Hashable, int] = defaultdict(int)  # the bits of a token: where it stands in `one`
    for k, token in enumerate(one):
        where[token] |= 1 << k
    everywhere, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    distance, rises, falls = len(one), everywhere, 0  # down the first column, D[i, 0] = i
    for token in other:
        same = where.get(token, 0)
        diagonal = (((same & rises) + rises) ^ rises) | same | falls  # where D[i, j] = D[i−1, j−1]
        right, left = falls | ~(diagonal | rises) & everywhere, diagonal & rises  # where a row rises, and falls
        distance += bool(right & last) - bool(left & last)
        right, left = right << 1 | 1, left << 1  # along the first row, D[0, j] = j
        rises, falls = (left | ~(diagonal | right)) & everywhere, right & diagonal & everywhere
    return distance


def edit_rate(said: Iterable[Tokens], wanted: Iterable[Any], *, several: bool = False) -> float:
    """Return the edits that what was said is away from what was wanted, for each token that was wanted.

    Of strings that is the character error rate, of lists of words the word error rate, of lists of phonemes the phoneme
    error rate. It is above 1 where much too much is said.

    Parameters
    ----------
    said : iterable of sequences of hashable
    wanted : iterable of sequences of hashable
        As many, at least one of them not empty.
    several : bool
        Each of `wanted` is a list of right answers, of which the nearest counts, and of the nearest the longest.

    Returns
    -------
    float
        Σ distances / Σ lengths of what was wanted.

    Raises
    ------
    ValueError
        The numbers differ, or nothing was wanted.
    TypeError
        Something is no sequence.

    Examples
    --------
    >>> edit_rate(["kitten"], ["sitting"])
    0.42857142857142855
    """
    edits = tokens = 0
    for one, right in _both("edit_rate", said, wanted):
        answers = list(right) if several else [right]
        if not answers:
            raise ValueError("edit_rate: wanted must have a right answer for each, got none")
        distance, length = min((edit_distance(one, answer), -len(answer)) for answer in answers)
        edits, tokens = edits + distance, tokens - length
    if not tokens:
        raise ValueError("edit_rate: wanted must hold at least one token, got none")
    return edits / tokens


def exact_match(said: Iterable[Tokens], wanted: Iterable[Any], *, several: bool = False) -> float:
    """Return the share of what was said that is what was wanted, to the token.

    Of whole words that is 1 − the word error rate of a dictionary of pronunciations. Parameters and errors are
    `edit_rate`'s.
    """
    right = [
        any(_same(one, answer) for answer in (answers if several else [answers]))
        for one, answers in _both("exact_match", said, wanted)
    ]
    if not right:
        raise ValueError("exact_match: said must hold at least one sequence, got none")
    return sum(right) / len(right)


def words_of(texts: Iterable[str]) -> list[list[str]]:
    """Return the words of each text, what stands between blanks: with them `edit_rate` is the word error rate."""
    return [text.split() for text in texts]


def bleu(said: Iterable[str], wanted: Iterable[str]) -> float:
    """Return BLEU, 0 to 100, as sacrebleu counts it by default: its tokens of version 13a, exponential smoothing.

    Parameters
    ----------
    said, wanted : iterable of str
        As many of the one as of the other, at least one.

    Raises
    ------
    RuntimeError
        sacrebleu is not installed.
    ValueError
        The numbers differ, or there is nothing.
    TypeError
        Something is no string.

    References
    ----------
    K. Papineni, S. Roukos, T. Ward, W.-J. Zhu, "BLEU: a method for automatic evaluation of machine translation", ACL
    2002, 311-318. M. Post, "A call for clarity in reporting BLEU scores", arXiv:1804.08771v2.
    """
    return _sacrebleu("bleu", "corpus_bleu", said, wanted)


def chrf(said: Iterable[str], wanted: Iterable[str]) -> float:
    """Return chrF2, 0 to 100, as sacrebleu counts it by default: character 6-grams, recall counted twice.

    Parameters and errors are `bleu`'s. Short messages have few 4-grams of words but many of characters, so this is the
    score of the two to look at there.

    References
    ----------
    M. Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015, 392-395.
    """
    return _sacrebleu("chrf", "corpus_chrf", said, wanted)


def has_sacrebleu() -> bool:
    """Return whether BLEU and chrF can be counted."""
    return importlib.util.find_spec("sacrebleu") is not None


def _sacrebleu(where: str, name: str, said: Iterable[str], wanted: Iterable[str]) -> float:
    pairs = list(_both(where, said, wanted))
    if not pairs:
        raise ValueError(f"{where}: said must hold at least one text, got none")
    for name_, texts in (("said", (one for one, _ in pairs)), ("wanted", (other for _, other in pairs))):
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"{where}: {name_} must hold strings, got {shown(text)}")
    try:
        count: Callable[..., Any] = getattr(importlib.import_module("sacrebleu"), name)
    except ImportError as error:
        raise RuntimeError(
            f"{where}: the package 'sacrebleu' is not installed; pip install 'rnn_core[scores]'"
        ) from error
    return float(count([one for one, _ in pairs], [[other for _, other in pairs]]).score)


def _both(where: str, said: Iterable[Any], wanted: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """Return what was said beside what was wanted."""
    for name, several in (("said", said), ("wanted", wanted)):
        if isinstance(several, str):
            raise TypeError(f"{where}: {name} must be several sequences, got a string; one is [text]")
    said, wanted = list(said), list(wanted)
    if len(said) != len(wanted):
        raise ValueError(f"{where}: said and wanted must be as many, got {len(said)} and {len(wanted)}")
    return zip(said, wanted, strict=True)


def _sequence(where: str, name: str, value: Any) -> Any:
    """Return a sequence whose tokens can be compared and looked up."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return value.tolist()
    if not isinstance(value, Sequence):
        raise TypeError(f"{where}: {name} must be a string, a list or an array of shape (n,), got {shown(value)}")
    return value


def _same(one: Any, other: Any) -> bool:
    """Return whether two sequences are the same, whatever kind of sequence they are."""
    one, other = _sequence("exact_match", "said", one), _sequence("exact_match", "wanted", other)
    return len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True))
