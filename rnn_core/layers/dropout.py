"""`Dropout`: units left out at random while training, scaled so that nothing changes on average.

::

    y = m ⊙ x        (D1)   m is 0 with probability p, otherwise 1/(1 − p)

Primes mark the backward; dX is ∂L/∂X.

References
----------
.. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple way to prevent
   neural networks from overfitting", JMLR 15 (2014) 1929-1958. There the weights are scaled by 1 − p after
   training; scaling by 1/(1 − p) during it leaves inference alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from .base import generator
from .checks import probability


class Tape(NamedTuple):
    """What `Dropout.backward` needs. Opaque to the caller."""

    mask: Array | None  # None where nothing is dropped


class RowsOf(np.random.Generator):
    """A generator for some rows of a batch, that gives them the very numbers that they would have in the whole.

    All are drawn, and those of other rows left out: parts of a batch, each computed on its own, have the masks of the
    batch. What is drawn for no row in particular, a mask of weights for instance, is the same in every part.

    Parameters
    ----------
    bits : BitGenerator
    rows : slice
        Which rows the part has.
    count : int
        Rows of the whole batch.
    """

    def __init__(self, bits: np.random.BitGenerator, rows: slice, count: int) -> None:
        super().__init__(bits)
        self.rows, self.count = rows, count

    def of_rows(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        """Return numbers in [0, 1) of a shape whose `axis` is the part's rows."""
        own = self.rows.stop - self.rows.start
        if shape[axis] != own:
            raise ValueError(f"RowsOf: axis {axis} must be the part's {own} rows, got the shape {shape}")
        whole = self.random((*shape[:axis], self.count, *shape[axis + 1 :]), dtype=np.float32)
        return whole[(slice(None),) * axis + (self.rows,)]


def uniform(rng: np.random.Generator, shape: tuple[int, ...], rows: int | None) -> np.ndarray:
    """Return float32 numbers in [0, 1); `rows` is the axis of the batch's rows, None where there is none."""
    if rows is not None and isinstance(rng, RowsOf):
        return rng.of_rows(shape, rows)
    return rng.random(shape, dtype=np.float32)


def dropout_mask(x: Array, p: float, rng: np.random.Generator | int | None = None, *, rows: int = 0) -> Array:
    """Return a mask for x: 1/(1 − p) where a unit stays, 0 with probability p.

    Parameters
    ----------
    x : ndarray
        Gives the shape, the (real) dtype and the namespace.
    p : float
        Probability, at least 0 and below 1, that a unit is dropped.
    rng : Generator or int, optional
        Draws the mask, on the host, so that one seed gives one mask on every backend and in every dtype; for an x on
        the GPU it is then moved there.
    rows : int
        The axis of the batch's rows.
    """
    return drawn_mask(generator(rng), tuple(x.shape), p, x.dtype, array_namespace(x), rows)


def drawn_mask(
    rng: np.random.Generator, shape: tuple[int, ...], p: float, dtype: Any, xp: Any, rows: int | None
) -> Array:
    """Return a mask of a shape, for arrays of a dtype and a namespace; `rows` as `uniform`'s."""
    kept = uniform(rng, shape, rows) >= p
    real = xp.float32 if dtype == xp.float32 else xp.float64
    return xp.astype(xp.asarray(kept), real) * (1 / (1 - p))


def mask_generator(rng: np.random.Generator | int | None, p: float, where: str) -> np.random.Generator | None:
    """Return what all masks of a model's pass are drawn by, or None if no unit is dropped and none was given.

    A fresh generator asks the system for entropy, which takes longer than a small layer.
    """
    return None if rng is None and p == 0 else generator(rng, where)


class Dropout:
    """Inverted dropout.

    It has no parameters, and works in the dtype of its input.

    Parameters
    ----------
    p : float
        Probability, at least 0 and below 1, that a unit is dropped.

    Raises
    ------
    ValueError
        p is outside that range.
    TypeError
        p is not a number.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability("Dropout", "p", p)
        self.config: dict[str, Any] = {"p": self.p}

    def __call__(self, x: Array) -> Array:
        """Return x itself: outside training nothing is dropped."""
        return x

    def forward(self, x: Array, *, rng: np.random.Generator | int | None = None) -> tuple[Array, Tape]:
        """Return y, and a tape for `backward`.

        Parameters
        ----------
        x : ndarray, any shape
        rng : Generator or int, optional
            Draws the mask; the same int, the same mask. Without it every call differs.

        Returns
        -------
        y : ndarray, shape of x
            With p = 0, x itself.
        tape : Tape
        """
        if self.p == 0:
            return x, Tape(None)
        mask = dropout_mask(x, self.p, rng)
        return mask * x, Tape(mask)  # (D1)

    def backward(self, tape: Tape, dy: Array) -> Array:
        """Return ∂L/∂x from ∂L/∂y; both have the shape of x.

        Raises
        ------
        ValueError
            The shape of dy is not x's.
        """
        if tape.mask is None:
            return dy
        if dy.shape != tape.mask.shape:
            raise ValueError(
                f"Dropout.backward: dy must have shape {tuple(tape.mask.shape)}, as y, got {tuple(dy.shape)}"
            )
        return tape.mask * dy  # (D1′)
