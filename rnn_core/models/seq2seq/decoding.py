"""Writing what is likeliest, by beam search over the decoder's steps, or what is drawn.

::

    s(y) = Σ_t log p(y_t | y_{<t}, x)                 (DE1)
    score(y) = s(y) / ((5 + |y|) / 6)^α               (DE2)   |y| counts the end

References
----------
.. [1] Y. Wu et al., "Google's neural machine translation system", arXiv:1609.08144v2 (2016), equation 14.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...foreign import shown
from ...layers.base import generator
from ...layers.checks import check_lengths, positive_int
from ...layers.home import move, to_host
from ..drawing import checked_temperature, next_tokens
from .beams import Beams, Found


class Hypothesis(NamedTuple):
    """A sequence that may be written.

    Attributes
    ----------
    tokens : ndarray of int, shape (n,)
        Without the end.
    score : float
        (DE2): what hypotheses are ranked by.
    log_probability : float
        (DE1), in nats.
    weights : ndarray, shape (n + 1, Tx), or None
        What each step looked at, of what was read up to its length; the last row is the end's, and is missing where
        there is none. None without attention.
    ended : bool
        Whether it ended, or was cut off at `max_length`.
    """

    tokens: np.ndarray
    score: float
    log_probability: float
    weights: np.ndarray | None
    ended: bool


def decode(
    model: Any, x: Any, lengths: Any, *, beam: int, max_length: int | None, length_penalty: float, n_best: int
) -> list[list[Hypothesis]]:
    """Return the best hypotheses of each row; see `Seq2Seq.decode`."""
    where = "Seq2Seq.decode"
    K, n_best = positive_int(where, "beam", beam), positive_int(where, "n_best", n_best)
    if n_best > K:
        raise ValueError(f"{where}: n_best must be at most beam = {K}, got {n_best}; widen the beam")
    alpha = _checked_penalty(where, length_penalty)
    state, memory, ends, most = _begun(where, model, x, lengths, max_length)
    found = search(model, state, memory, most, K, alpha, n_best)
    return [[_hypothesis(one, end) for one in row] for row, end in zip(found, ends, strict=True)]


def sample(
    model: Any, x: Any, lengths: Any, *, temperature: float, max_length: int | None, rng: Any
) -> list[Hypothesis]:
    """Return a hypothesis of each row, drawn token by token; see `Seq2Seq.sample`."""
    where = "Seq2Seq.sample"
    temperature, rng = checked_temperature(where, temperature), generator(rng, where)
    state, memory, ends, most = _begun(where, model, x, lengths, max_length)
    xp, decoder, B = model.namespace, model.decoder, len(ends)
    feed = xp.zeros((B, 1, decoder.rnn.output_size), dtype=model.dtype)
    tokens, going = xp.zeros((B,), dtype=xp.int64), np.ones(B, bool)
    ended, steps = np.zeros(B, bool), np.zeros(B, int)
    written: list[np.ndarray] = []
    looked: list[np.ndarray] = []
    log_p = np.zeros(B)
    while going.any():
        feed, state, weights = decoder.step(tokens, state, feed, memory)
        logits = model.head(feed[:, 0])
        tokens = next_tokens(logits, temperature, rng)
        chosen = xp.take_along_axis(log_softmax(logits), tokens[:, None], axis=1)[:, 0]
        log_p += np.where(going, to_host(chosen), 0)  # (DE1)
        written.append(np.where(going, to_host(tokens), 0))
        if weights is not None:
            looked.append(to_host(weights)[:, 0])
        ended |= going & (written[-1] == 0)
        steps += going
        going &= ~ended & (steps < most)
    rows = np.stack(written, axis=1)
    attention = np.stack(looked, axis=1) if looked else None
    return [
        _hypothesis(
            Found(rows[b, :n], log_p[b], log_p[b], None if attention is None else attention[b, :n], ended[b]), end
        )
        for b, (n, end) in enumerate(zip(steps, ends, strict=True))
    ]


def _begun(where: str, model: Any, x: Any, lengths: Any, max_length: Any) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return the decoder's first state, its memory, and of each row how much is read and the most steps to write."""
    state, memory = model._begin(where, x, lengths)
    B, Tx = x.shape[:2] if hasattr(x, "shape") else np.shape(x)[:2]
    lengths = check_lengths(where, lengths, Tx, B)
    ends = np.full(B, Tx) if lengths is None else lengths
    most = 2 * ends + 10 if max_length is None else np.full(B, positive_int(where, "max_length", max_length))
    return state, memory, ends, most


def search(
    model: Any, state: Any, memory: Any, most: np.ndarray, K: int, alpha: float, n_best: int
) -> list[list[Found]]:
    """Follow K sequences of each row for at most so many steps, and return the best."""
    xp, decoder, B = model.namespace, model.decoder, len(most)
    rows = np.repeat(np.arange(B), K)
    state = _rows_of(state, rows, xp)
    feed = xp.zeros((B * K, 1, decoder.rnn.output_size), dtype=model.dtype)
    tokens = xp.zeros((B * K,), dtype=xp.int64)  # before the first stands the same as behind the last
    beams = Beams(B, K, n_best, np.array([length_penalty_of(t, alpha) for t in range(most.max() + 1)]), most)
    while not beams.done:
        feed, state, weights = decoder.step(tokens, state, feed, memory)
        log_p = log_softmax(model.head(feed[:, 0]))
        V = log_p.shape[-1]
        # A beam's probability so far and that of each next token: sums of logarithms, (DE1).
        totals = xp.asarray(beams.scores)[:, :, None] + xp.reshape(log_p, (B, K, V))  # (DE1)
        best, totals = _largest(xp.reshape(totals, (B, K * V)), K)
        looked = None if weights is None else np.reshape(to_host(weights), (B, K, -1))
        parents = beams.advance(best // V, best % V, totals, looked)
        rows = (np.arange(B)[:, None] * K + parents).reshape(-1)
        state, feed = _rows_of(state, rows, xp), xp.take(feed, xp.asarray(rows), axis=0)
        tokens = xp.asarray(beams.tokens[-1].reshape(-1))
    return beams.found()


def length_penalty_of(steps: int, alpha: float) -> float:
    """Return what a sequence's log-probability is divided by, for its length with the end."""
    return float(((5 + steps) / 6) ** alpha)  # (DE2)


def log_softmax(z: Array) -> Array:
    """Return log-probabilities over the last axis, without overflow."""
    xp = array_namespace(z)
    z = z - xp.max(z, axis=-1, keepdims=True)
    return z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))


def _largest(values: Array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places and the values (B, count) of each row's largest, on the host; of equals the first."""
    xp = array_namespace(values)
    rows, places, found = xp.arange(values.shape[0]), [], []
    for _ in range(min(count, values.shape[1])):
        place = xp.argmax(values, axis=1)
        places.append(place)
        found.append(values[rows, place])
        values[rows, place] = -xp.inf
    return to_host(xp.stack(places, axis=1)), to_host(xp.stack(found, axis=1))


def _rows_of(state: Any, rows: np.ndarray, xp: Any) -> Any:
    """Return some rows of h or (h, c)."""
    if isinstance(state, tuple):
        return tuple(_rows_of(s, rows, xp) for s in state)
    return xp.take(state, move(rows, xp), axis=1)


def _hypothesis(found: Found, read: int) -> Hypothesis:
    """Return what was found without its end, and without the weights of what is padding."""
    weights = None if found.weights is None else found.weights[:, :read]
    tokens = found.tokens[:-1] if found.ended else found.tokens
    return Hypothesis(tokens, float(found.score), float(found.log_probability), weights, bool(found.ended))


def _checked_penalty(where: str, value: Any) -> float:
    """Return the exponent of the length penalty, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: length_penalty must be a number, got {shown(value)}")
    if not 0 <= value < np.inf:
        raise ValueError(f"{where}: length_penalty must be at least 0 and finite, got {value}")
    return float(value)
