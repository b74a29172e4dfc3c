"""`Encoding`: many series, of any lengths, and what a network reads of any of their windows.

::

    u_t = (y_t − μ) / ν                                                          (FC1)
    x_t = [m_t u_t, m_t, m'_t p_t, m'_t, k_{t+1} … k_{t+a}, id]                  (FC2)

m_t is 1 where y_t was seen and 0 where it is missing, and so is m' of the past covariates p; past the context these
count as missing. k are those known in advance: of the next step, or of all that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...foreign import shown
from .scaling import Pair, pairs_of
from .series import TimeSeries, checked_series
from .window import WindowSpec


class Encoded(NamedTuple):
    """Some windows, as a network reads them, in float64.

    Attributes
    ----------
    x : ndarray, shape (B, S, I)
    targets : ndarray, shape (B, A)
        What is asked for, scaled, 0 where it is missing.
    observed : ndarray of bool, shape (B, A)
        Where it is not.
    location, scale : ndarray, shape (B,)
        μ and ν of each window.
    """

    x: np.ndarray
    targets: np.ndarray
    observed: np.ndarray
    location: np.ndarray
    scale: np.ndarray


class Encoding:
    """Series laid end to end, so that windows of all of them can be taken at once.

    Parameters
    ----------
    where : str
        The public call, which errors name.
    series : TimeSeries, or sequence of them
    spec : WindowSpec

    Raises
    ------
    ValueError
        The series have other covariates than `spec` says, or one has no scale.
    """

    def __init__(self, where: str, series: Any, spec: WindowSpec) -> None:
        self.series, self.spec = checked_series(where, series), spec
        for what, columns in (("past", spec.past), ("known", spec.known)):
            if (found := getattr(self.series[0], what).shape[1]) != columns:
                raise ValueError(
                    f"{where}: series must have {columns} {what} covariates, as the window has, got {found}; "
                    f"TimeSeries(values, {what}=…) adds them"
                )
        self.lengths = np.array([len(one) for one in self.series])
        self.reach = np.array([len(one.known) for one in self.series])
        self._begin, self._known_begin = np.cumsum(self.lengths) - self.lengths, np.cumsum(self.reach) - self.reach
        self._values = np.concatenate([one.values for one in self.series])
        past = _scaled(self.series, "past", spec.scaling.past)
        seen = ~np.isnan(past)
        self._past = np.concatenate([np.where(seen, past, 0.0), seen], axis=1)
        self._known = _scaled(self.series, "known", spec.scaling.known)
        self._identity = np.zeros((len(self.series), len(spec.identity or ())))
        for k, one in enumerate(self.series):
            if spec.identity is not None and one.name in spec.identity:
                self._identity[k, spec.identity.index(one.name)] = 1
        if spec.scaling.kind != "window":
            pairs = np.array([spec.scaling.of(where, one.name) for one in self.series])
            self._location, self._scale = pairs[:, 0], pairs[:, 1]

    def take(self, rows: np.ndarray, origins: np.ndarray, *, ahead: bool) -> Encoded:
        """Return windows: of each its series' number, and the first step that is asked for, its origin.

        With `ahead` they are read and asked as in training. Without, the context is read, and nothing is asked.
        """
        spec, C = self.spec, self.spec.context
        steps = origins[:, None] + np.arange(-C, spec.horizon if ahead else 0)
        places = self._begin[rows][:, None] + steps
        y = self._values[places]
        seen = ~np.isnan(y)
        location, scale = self._scales(rows, y[:, :C])
        u = np.where(seen, (y - location[:, None]) / scale[:, None], 0.0)  # (FC1)
        S = spec.steps if ahead else C
        past = self._past[places[:, :S]]
        past[:, C:] = 0  # of which a forecast will know as little
        x = self._features(rows, u[:, :S], seen[:, :S], past, steps[:, :S])
        first = C if spec.strategy == "multioutput" else 1
        return Encoded(x, u[:, first:], seen[:, first:], location, scale)

    def fed_back(self, rows: np.ndarray, steps: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return what is read, (B, 1, I), at steps (B,) whose values u (B,) a network has said itself."""
        past = np.zeros((len(rows), 1, 2 * self.spec.past))
        return self._features(rows, u[:, None], np.ones((len(rows), 1), bool), past, steps[:, None])

    def ends(self, where: str, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the windows that end where each series does, to forecast what comes next: rows and origins (N,).

        Raises
        ------
        ValueError
            A series is shorter than the context, nothing was seen in it, or what is known in advance doesn't reach the
            last step that is asked for.
        """
        C, spec = self.spec.context, self.spec
        reach = max(horizon, spec.horizon) if spec.strategy == "multioutput" else horizon
        for one in self.series:
            name = shown(one.name, 40)
            if len(one) < C:
                raise ValueError(f"{where}: series must have at least context = {C} steps, got {len(one)} of {name}")
            if np.isnan(one.values[-C:]).all():
                raise ValueError(
                    f"{where}: {name} must have a value in its last {C} steps, got none; a forecast has to begin from "
                    "something"
                )
            if spec.known and len(one.known) < len(one) + reach:
                raise ValueError(
                    f"{where}: known covariates must reach {reach} steps beyond the values, got "
                    f"{len(one.known) - len(one)} of {name}; give them over the horizon"
                )
        return np.arange(len(self.series)), self.lengths

    def _scales(self, rows: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return μ and ν of windows, whose contexts (B, C) are all that may be looked at."""
        if self.spec.scaling.kind == "window":
            return pairs_of(context, "standard")
        return self._location[rows], self._scale[rows]

    def _features(
        self, rows: np.ndarray, u: np.ndarray, seen: np.ndarray, past: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Return what is read at some steps (B, S) of series: (FC2)."""
        asked = self.spec.horizon if self.spec.strategy == "multioutput" else 1
        parts = [u[..., None], seen[..., None], past]
        if self.spec.known:
            ahead = self._known_begin[rows][:, None, None] + steps[..., None] + np.arange(1, asked + 1)
            parts.append(self._known[ahead].reshape(*steps.shape, -1))
        identity = self._identity[rows][:, None]
        parts.append(np.broadcast_to(identity, (*steps.shape, identity.shape[-1])))
        return np.concatenate(parts, axis=-1)  # (FC2)


def _scaled(series: Sequence[TimeSeries], what: str, pairs: Sequence[Pair]) -> np.ndarray:
    """Return a kind of covariates of all series, (steps, columns), each column scaled."""
    columns = np.concatenate([getattr(one, what) for one in series])
    location, scale = np.array(pairs).reshape(-1, 2).T
    return (columns - location) / scale  # (FC1)
