"""`Forecast`, and how several steps are made: at once, fed back, or as paths that are drawn.

::

    û_{t+k} = point(z_{t+k}),  and step t + k reads it as if it had been seen      (FC7)
    ŷ = μ + ν û                                                                   (FC8)

"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from ...data.forecasting import Encoding
from ...foreign import shown


class Forecast(NamedTuple):
    """What a model says of the steps behind the end of N series, in the series' own units.

    Attributes
    ----------
    names : tuple of str
    mean : ndarray, shape (N, h)
        One number a step: a mean or, of a model of quantiles, the middle one.
    levels : tuple of float
        Q levels, rising; none where the model tells none.
    quantiles : ndarray, shape (N, h, Q)
    """

    names: tuple[str, ...]
    mean: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray

    def interval(self, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds (N, h) between which a value is to lie with this probability.

        Raises ValueError where the two quantiles that it takes are not among `levels`.
        """
        found = []
        for level in ((1 - coverage) / 2, (1 + coverage) / 2):
            places = [k for k, known in enumerate(self.levels) if abs(known - level) < 1e-9]
            if not places:
                raise ValueError(
                    f"Forecast.interval: coverage must be that between two of the quantiles "
                    f"{', '.join(map(str, self.levels)) or '(none)'}, got {shown(coverage)}; forecast(quantiles=…) "
                    "asks for others"
                )
            found.append(self.quantiles[..., places[0]])
        return found[0], found[1]


Said = Callable[[np.ndarray, Any], tuple[np.ndarray, Any]]
"""From what is read (B, S, I), and a state, to the outputs (B, K) at its end, and the state there."""


def fed_back(
    says: Said, encoding: Encoding, rows: np.ndarray, origins: np.ndarray, horizon: int, choose: Callable[..., Any],
    *, copies: int = 1,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Go on from the end of windows, a step at a time: what `choose` makes of a step's outputs is read next.

    Returns
    -------
    z : ndarray, shape (B·copies, h, K)
        The outputs of each step.
    u : ndarray, shape (B·copies, h)
        What was chosen, in the network's units. The copies of a window stand side by side.
    """
    z, state = says(encoding.take(rows, origins, ahead=False).x, None)
    rows, origins, z = (np.repeat(array, copies, axis=0) for array in (rows, origins, z))
    state = _copied(state, copies)
    outputs, chosen = [z], [choose(z)]
    for k in range(horizon - 1):
        z, state = says(encoding.fed_back(rows, origins + k, chosen[-1]), state)  # (FC7)
        outputs.append(z)
        chosen.append(choose(z))
    return np.stack(outputs, axis=1), np.stack(chosen, axis=1)


def in_units(u: np.ndarray, location: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return what was said of windows (B, …), in the units of their series."""
    shape = (-1,) + (1,) * (u.ndim - 1)
    return location.reshape(shape) + scale.reshape(shape) * u  # (FC8)


def empirical(samples: np.ndarray, levels: Sequence[float], axis: int) -> np.ndarray:
    """Return quantiles of samples, NaN left out, as the last axis."""
    return np.moveaxis(np.nanquantile(samples, levels, axis=axis), 0, -1)


def _copied(state: Any, copies: int) -> Any:
    """Return a state (layers, B, H), or a pair of them, with each row so many times."""
    if isinstance(state, tuple):
        return tuple(_copied(part, copies) for part in state)
    if copies == 1 or state is None:
        return state
    xp, (layers, B, H) = array_namespace(state), tuple(state.shape)
    return xp.reshape(xp.broadcast_to(state[:, :, None], (layers, B, copies, H)), (layers, B * copies, H))
