"""`WindowSpec`: what a window is, and what a network reads of each of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from ...foreign import shown
from ...layers.checks import flag
from ...schema import check_arguments
from .scaling import SeriesScaling
from .series import checked_count, checked_series

STRATEGIES = ("multioutput", "recursive")
"""How a forecast of several steps is made."""


class WindowSpec:
    """How far a network looks back and ahead, and what it reads; all that turns series into its numbers and back.

    Parameters
    ----------
    context : int
        Steps that are read before a forecast, C.
    horizon : int
        Steps that are forecast, h.
    strategy : {"multioutput", "recursive"}
        "multioutput": all h at once, from the state after the context. "recursive": one step, which is then read as if
        it had been seen, and so on, as far as one likes.
    scaling : SeriesScaling or mapping
        As it was fitted, or as its `to_dict` has it.
    past, known : int
        Numbers of covariates, P and K.
    identity : sequence of str, optional
        Names of series that the network tells apart: each has an input of its own, 1 for that series and else 0. A
        product with a one-hot vector is an embedding. A series of another name has zeros.

    Raises
    ------
    ValueError
        A number is out of range, there is no such strategy, the scaling is of other covariates, or names repeat.
    TypeError
        A number is no int.

    Notes
    -----
    At step t a network reads, side by side,

    - the value u_t, 0 where it is missing, and 1 where it was seen, else 0;
    - of each past covariate the same two;
    - the known covariates of the steps that it is asked for there: t + 1, or t + 1 to t + h;
    - the identity.
    """

    def __init__(
        self,
        context: int,
        horizon: int,
        strategy: str = "multioutput",
        *,
        scaling: SeriesScaling | Mapping[str, Any],
        past: int = 0,
        known: int = 0,
        identity: Sequence[str] | None = None,
    ) -> None:
        where = "WindowSpec"
        self.context = checked_count(where, "context", context, 1)
        self.horizon = checked_count(where, "horizon", horizon, 1)
        if strategy not in STRATEGIES:
            raise ValueError(
                f"{where}: strategy must be one of {', '.join(map(repr, STRATEGIES))}, got {shown(strategy)}"
            )
        self.strategy = strategy
        self.scaling = scaling if isinstance(scaling, SeriesScaling) else SeriesScaling.from_dict(scaling)
        self.past, self.known = checked_count(where, "past", past, 0), checked_count(where, "known", known, 0)
        if (len(self.scaling.past), len(self.scaling.known)) != (self.past, self.known):
            raise ValueError(
                f"{where}: scaling must have {self.past} past and {self.known} known covariates, got "
                f"{len(self.scaling.past)} and {len(self.scaling.known)}"
            )
        self.identity = None if identity is None else tuple(identity)
        if self.identity is not None and len(set(self.identity)) != len(self.identity):
            raise ValueError(f"{where}: identity must have names of their own, got {shown(self.identity)}")

    @classmethod
    def fit(
        cls,
        series: Any,
        *,
        context: int,
        horizon: int,
        strategy: str = "multioutput",
        scaling: str = "window",
        identity: bool = False,
    ) -> Self:
        """Return the window for some series, whose scaling is fitted on them: hand over the training part.

        Parameters
        ----------
        series : TimeSeries, or sequence of them
        context, horizon, strategy
            As above.
        scaling : {"window", "standard", "mean-abs", "none"}
            As `SeriesScaling` has it.
        identity : bool
            Whether the network tells these series apart.
        """
        found = checked_series("WindowSpec.fit", series)
        names = tuple(one.name for one in found) if flag("WindowSpec.fit", "identity", identity) else None
        past, known = found[0].past.shape[1], found[0].known.shape[1]
        scales = SeriesScaling.fit(found, scaling)
        return cls(context, horizon, strategy, scaling=scales, past=past, known=known, identity=names)

    @property
    def features(self) -> int:
        """I, the numbers that a network reads at each step."""
        ahead = self.horizon if self.strategy == "multioutput" else 1
        return 2 + 2 * self.past + ahead * self.known + len(self.identity or ())

    @property
    def steps(self) -> int:
        """The steps of a window that a network reads in training."""
        return self.context + (0 if self.strategy == "multioutput" else self.horizon - 1)

    @property
    def asked(self) -> int:
        """The steps of a window that a network is asked for in training."""
        return self.horizon if self.strategy == "multioutput" else self.steps

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has."""
        return {
            "context": self.context, "horizon": self.horizon, "strategy": self.strategy,
            "scaling": self.scaling.to_dict(), "past": self.past, "known": self.known,
            "identity": None if self.identity is None else list(self.identity),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote; ValueError for anything else."""
        return cls(**check_arguments("window", cls, found))
