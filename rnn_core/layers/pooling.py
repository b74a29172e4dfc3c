"""`Pooling`: one vector for a sequence, from the hidden states of its valid steps.

::

    p_b = y[ℓ_b − 1, b]  forward direction,   y[0, b]  backward direction        last        (T1)
    p_b = Σ_{t < ℓ_b} y[t, b] / ℓ_b                                              mean        (T2)
    p_b = y[t*, b],  t* = argmax_{t < ℓ_b} y[t, b], unit by unit                 max         (T3)

ℓ_b is the length of row b. Each direction's last step is where its final state is: the backward direction arrives
at step 0. Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from .checks import check_lengths, flag

POOLINGS = ("last", "mean", "max")
"""Every way of pooling."""


class Tape(NamedTuple):
    """What `Pooling.backward` needs. Opaque to the caller."""

    shape: tuple[int, int, int]  # (T, B, F)
    lengths: np.ndarray  # (B,)
    steps: Array | None  # (B, F), the step that each number was taken from; None for the mean


class Pooling:
    """Pooling over time that respects lengths.

    It has no parameters, and works in the dtype of its input. What stands past a row's length has no influence.

    Parameters
    ----------
    kind : {"last", "mean", "max"}
        Equation (T1), (T2) or (T3). Of equal maxima the first is taken, in complex numbers by the real part.
    bidirectional : bool
        The features are those of two directions side by side; only (T1) tells them apart.
    batch_first : bool
        Sequences are (B, T, F) instead of (T, B, F).

    Raises
    ------
    ValueError
        There is no pooling of that kind.
    TypeError
        An option that is True or False is neither.
    """

    def __init__(self, kind: str, bidirectional: bool = False, batch_first: bool = False) -> None:
        if kind not in POOLINGS:
            raise ValueError(f"Pooling: kind must be one of {', '.join(map(repr, POOLINGS))}, got {kind!r}")
        self.kind = kind
        self.bidirectional = flag("Pooling", "bidirectional", bidirectional)
        self.batch_first = flag("Pooling", "batch_first", batch_first)
        self.config: dict[str, Any] = {
            "kind": kind, "bidirectional": self.bidirectional, "batch_first": self.batch_first
        }  # fmt: skip

    def __call__(self, y: Array, lengths: Any = None) -> Array:
        """Return the pooled vectors; parameters and errors are `forward`'s."""
        return self._pool("Pooling.__call__", y, lengths)[0]

    def forward(self, y: Array, lengths: Any = None) -> tuple[Array, Tape]:
        """Return the pooled vectors, and a tape for `backward`.

        Parameters
        ----------
        y : ndarray, shape (T, B, F); (B, T, F) with batch_first
            Hidden states; for two directions F = 2·H.
        lengths : array of int, shape (B,), optional
            Valid steps of each row; without it all are.

        Returns
        -------
        pooled : ndarray, shape (B, F)
        tape : Tape

        Raises
        ------
        ValueError
            y has another number of axes, no number in it or, for two directions, an odd F; or a length is out of range.
        TypeError
            Lengths are not integers.
        """
        return self._pool("Pooling.forward", y, lengths)

    def _pool(self, where: str, y: Array, lengths: Any) -> tuple[Array, Tape]:
        if y.ndim != 3 or 0 in y.shape or (self.bidirectional and y.shape[2] % 2):
            axes = "(B, T, F)" if self.batch_first else "(T, B, F)"
            odd = ", F even" if self.bidirectional else ""
            raise ValueError(f"{where}: y must have shape {axes} with at least one number{odd}, got {tuple(y.shape)}")
        xp = array_namespace(y)
        y = self._turn(y)
        T, B, F = y.shape
        checked = check_lengths(where, lengths, T, B)
        lengths = np.full(B, T) if checked is None else checked
        if self.kind == "mean":
            return _mean(xp, y, lengths), Tape((T, B, F), lengths, None)
        if self.kind == "max" and not xp.isdtype(y.dtype, "complex floating"):
            y = _without_past(xp, y, lengths, -xp.inf)
            pooled = xp.max(y, axis=0)  # (T3)
            return pooled, Tape((T, B, F), lengths, _first_step_of(xp, pooled, y))
        steps = self._last(xp, lengths, F) if self.kind == "last" else _argmax(xp, y, lengths)
        pooled = xp.take_along_axis(y, steps[None], axis=0)[0]  # (T1), (T3)
        return pooled, Tape((T, B, F), lengths, steps)

    def backward(self, tape: Tape, dpooled: Array) -> Array:
        """Return ∂L/∂y from ∂L/∂pooled.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dpooled : ndarray, shape (B, F)

        Returns
        -------
        dy : ndarray, shape of y
            Zero past each row's length.

        Raises
        ------
        ValueError
            The shape of dpooled is not that of the pooled vectors.
        """
        (T, B, F), lengths, steps = tape
        if tuple(dpooled.shape) != (B, F):
            raise ValueError(
                f"Pooling.backward: dpooled must have shape {(B, F)}, as the pooled vectors, got {tuple(dpooled.shape)}"
            )
        xp = array_namespace(dpooled)
        if steps is None:
            each = dpooled / _counts(xp, lengths, dpooled)
            dy = xp.empty((T, B, F), dtype=each.dtype)
            dy[:] = each
            dy = _without_past(xp, dy, lengths, 0)  # (T2′)
        else:
            dy = xp.zeros((T, B, F), dtype=dpooled.dtype)
            dy[steps, xp.arange(B)[:, None], xp.arange(F)] = dpooled  # (T1′), (T3′)
        return self._turn(dy)

    def _last(self, xp: Any, lengths: np.ndarray, F: int) -> Array:
        """Return the step (B, F) at which each direction arrives."""
        steps = np.repeat(lengths[:, None] - 1, F, axis=1)
        if self.bidirectional:
            steps[:, F // 2 :] = 0
        return xp.asarray(steps)

    def _turn(self, sequence: Array) -> Array:
        """Exchange time and batch where the user has them the other way round."""
        return sequence.swapaxes(0, 1) if self.batch_first else sequence


def _mean(xp: Any, y: Array, lengths: np.ndarray) -> Array:
    return xp.sum(_without_past(xp, y, lengths, 0), axis=0) / _counts(xp, lengths, y)  # (T2)


def _argmax(xp: Any, y: Array, lengths: np.ndarray) -> Array:
    """Return the valid step (B, F) of the largest real part."""
    return xp.argmax(_without_past(xp, xp.real(y), lengths, -xp.inf), axis=0)  # (T3)


def _first_step_of(xp: Any, largest: Array, y: Array) -> Array:
    """Return the first step (B, F) that has the largest number: what an argmax would say, in a third of its time."""
    T = y.shape[0]
    numbers = xp.arange(T, dtype=xp.int16 if T < 1 << 15 else xp.int64)[:, None, None]
    return xp.astype(xp.min(xp.where(y < largest, numbers[-1], numbers), axis=0), xp.int64)


def _without_past(xp: Any, y: Array, lengths: np.ndarray, instead: float) -> Array:
    """Return y (T, B, F) with another number past each row's length; y itself where no row ends early."""
    T = y.shape[0]
    if (lengths == T).all():
        return y
    valid = xp.empty(y.shape, dtype=y.dtype)
    valid[:] = y
    t, b = np.nonzero(np.arange(T)[:, None] >= lengths)
    valid[xp.asarray(t), xp.asarray(b)] = instead
    return valid


def _counts(xp: Any, lengths: np.ndarray, like: Array) -> Array:
    """Return the lengths as a column (B, 1) of the dtype of `like`, so that float32 stays float32."""
    return xp.astype(xp.asarray(lengths), like.dtype)[:, None]
