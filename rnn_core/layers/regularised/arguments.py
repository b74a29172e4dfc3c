"""The arguments by which a layer is regularised within its recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...foreign import shown
from ..checks import probability

Zoneout = float | list[float] | tuple[float, ...]
"""A probability for all states, or one for each."""


class Regularisers(NamedTuple):
    """What regularises a layer within its recurrence; 0 where nothing does."""

    zoneout: tuple[float, ...] = ()  # of each state: the probability that a unit keeps its old value
    recurrent_dropout: float = 0.0  # that W_h does not read a unit of h, in a whole sequence
    candidate_dropout: float = 0.0  # that a unit's candidate is left out of a step
    weight_drop: float = 0.0  # that an element of W_h is 0 for a call

    @property
    def zoned(self) -> tuple[int, ...]:
        """The states that have zoneout, by their place."""
        return tuple(k for k, p in enumerate(self.zoneout) if p)

    @property
    def around(self) -> bool:
        """Whether training wants a definition with something around it, or in it."""
        return bool(self.zoned or self.recurrent_dropout or self.candidate_dropout)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that are not 0, as a file says them."""
        p = list(self.zoneout)
        given = {"zoneout": p[0] if len(set(p)) == 1 else p, **{name: getattr(self, name) for name in NAMES[1:]}}
        return {name: value for name, value in given.items() if value}


NAMES = Regularisers._fields
"""What the arguments are called."""


def regularisers_of(where: str, states: Sequence[str], zoneout: Any, *others: Any) -> Regularisers:
    """Return what a layer was given, in the order of `NAMES`, checked.

    Raises
    ------
    TypeError, ValueError
        A probability is no number, or is not one; or zoneout has not as many as there are states.
    """
    checked = [probability(where, name, value) for name, value in zip(NAMES[1:], others, strict=True)]
    return Regularisers(_zoneout(where, states, zoneout), *checked)


def _zoneout(where: str, states: Sequence[str], given: Any) -> tuple[float, ...]:
    if isinstance(given, tuple | list):
        if len(given) != len(states):
            raise ValueError(
                f"{where}: zoneout must be a number, or one for each state ({', '.join(states)}), got {len(given)} of "
                f"them: {shown(given)}"
            )
        return tuple([_held(where, f"zoneout[{k}]", p) for k, p in enumerate(given)])
    return (_held(where, "zoneout", given),) * len(states)


def _held(where: str, name: str, value: Any) -> float:
    """Return `value` as a float, if 0 ≤ value ≤ 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: {name} must be a number, got {type(value).__name__} {shown(value)}")
    if not 0 <= value <= 1:
        raise ValueError(f"{where}: {name} must be at least 0 and at most 1, got {value}")
    return float(value)
