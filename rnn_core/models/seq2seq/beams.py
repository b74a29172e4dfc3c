"""`Beams`: the sequences that a search follows, and those that have ended. Numbers on the host; no network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    """A sequence that was found.

    Attributes
    ----------
    tokens : ndarray of int, shape (n,)
        With the end, if it ended.
    score : float
        What it is ranked by: its log-probability over the penalty of its length.
    log_probability : float
    weights : ndarray, shape (n, Tx), or None
        What each step looked at.
    ended : bool
    """

    tokens: np.ndarray
    score: float
    log_probability: float
    weights: np.ndarray | None
    ended: bool


class Beams:
    """At most K sequences of each of B rows; one that ends keeps its place, so that K is what is followed and found.

    A row is done when all its places have ended, or when none that is left could still be among its `n_best`: what is
    added to a log-probability is negative, and no penalty is larger than that of the longest.

    Parameters
    ----------
    B, K, n_best : int
    penalties : ndarray, shape (T + 1,)
        What the log-probability of a sequence of so many steps is divided by, ascending; T is the most steps.
    most : ndarray of int, shape (B,), optional
        The most steps of each row, T at most; T by default.

    Attributes
    ----------
    scores : ndarray, shape (B, K)
        Log-probabilities of the sequences that go on; −∞ for a place that is empty.
    tokens : list of ndarray, each (B, K)
        The tokens of each step.
    """

    def __init__(self, B: int, K: int, n_best: int, penalties: np.ndarray, most: np.ndarray | None = None) -> None:
        self.n_best, self.penalties = n_best, penalties
        self._most = np.full(B, len(penalties) - 1) if most is None else most
        self._cut: dict[int, tuple[int, np.ndarray]] = {}  # rows that came to their most steps, and their scores then
        self.scores = np.full((B, K), -np.inf)
        self.scores[:, 0] = 0  # all begin alike, so one begins
        self.tokens: list[np.ndarray] = []
        self._parents: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._ended: list[list[tuple[float, float, int, int]]] = [[] for _ in range(B)]  # score, log p, step, place

    @property
    def done(self) -> bool:
        """Whether no row goes on."""
        return not np.isfinite(self.scores).any()

    def advance(
        self, parents: np.ndarray, tokens: np.ndarray, totals: np.ndarray, weights: np.ndarray | None
    ) -> np.ndarray:
        """Take the next step.

        Parameters
        ----------
        parents, tokens : ndarray of int, shape (B, n)
            The best ways to go on, the best first: from which place, and by which token.
        totals : ndarray, shape (B, n)
            Their log-probabilities; −∞ where there is no such way.
        weights : ndarray, shape (B, K, Tx), or None
            What was looked at from each place.

        Returns
        -------
        ndarray of int, shape (B, K)
            From which place each place goes on.
        """
        B, K = self.scores.shape
        free = K - np.array([len(ended) for ended in self._ended])
        n = parents.shape[1]
        taken = np.isfinite(totals) & (np.arange(n) < free[:, None])
        goes_on = taken & (tokens != 0)
        self.scores = _widened(np.where(goes_on, totals, -np.inf), K, -np.inf)
        self.tokens.append(_widened(np.where(taken, tokens, 0), K, 0))
        self._parents.append(_widened(np.where(taken, parents, 0), K, 0))
        if weights is not None:
            self._weights.append(np.take_along_axis(weights, self._parents[-1][:, :, None], axis=1))
        steps = len(self.tokens)
        for b, place in np.argwhere(taken & (tokens == 0)).tolist():
            log_p = float(totals[b, place])
            self._ended[b].append((log_p / self.penalties[steps], log_p, steps, place))
        for b, ended in enumerate(self._ended):
            if len(ended) >= self.n_best:
                worst = sorted(ended, reverse=True)[self.n_best - 1][0]
                if self.scores[b].max() / self.penalties[self._most[b]] <= worst:
                    self.scores[b] = -np.inf
        for b in np.flatnonzero(self._most == steps).tolist():
            self._cut[b] = steps, self.scores[b].copy()
            self.scores[b] = -np.inf
        return self._parents[-1]

    def found(self) -> list[list[Found]]:
        """Return the best of each row, the best first; those that ended come before those that did not."""
        result = []
        for b, ended in enumerate(self._ended):
            steps, scores = self._cut.get(b, (len(self.tokens), self.scores[b]))
            best = [self._trace(b, *one, ended=True) for one in sorted(ended, key=lambda one: -one[0])]
            left = [k for k in np.argsort(-scores, kind="stable") if np.isfinite(scores[k])]
            for k in left[: max(0, self.n_best - len(best))]:
                log_p = float(scores[k])
                best.append(self._trace(b, float(log_p / self.penalties[steps]), log_p, steps, k, ended=False))
            result.append(best[: self.n_best])
        return result

    def _trace(self, b: int, score: float, log_p: float, steps: int, place: int, *, ended: bool) -> Found:
        """Return a sequence, walked back from its last step."""
        tokens, weights = [], []
        for t in reversed(range(steps)):
            tokens.append(int(self.tokens[t][b, place]))
            if self._weights:
                weights.append(self._weights[t][b, place])
            place = self._parents[t][b, place]
        looked = np.stack(weights[::-1]) if weights else None
        return Found(np.array(tokens[::-1], np.int64), float(score), log_p, looked, ended)


def _widened(array: np.ndarray, K: int, fill: float) -> np.ndarray:
    """Return an array (B, n) with its last axis filled up to K."""
    return np.pad(array, ((0, 0), (0, K - array.shape[1])), constant_values=fill)
