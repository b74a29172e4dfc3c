"""The shapes that a linear map T of one parameter can have: how it begins, what it adds, and its gradients.

::

    θ_t = θ_s + T(θ_s)

    T(θ) = a θ                    (X14)   `Scale`: one number a tensor
    T    = U V                    (X15)   `LowRank`: for matrices
    T(W) = A W + W B + A W B      (X16)   `TwoSided`: W_t = (I + A) W (I + B), gate by gate
    T(E) = E Mᵀ                   (X17)   `Square`: w_t = w_s + M w_s for each row w of an embedding

At the beginning every T is 0. Primes mark the backward: from dθ = ∂L/∂θ_t to the gradients of a, U, V, A, B and M.

References
----------
.. [1] E. J. Hu et al., "LoRA: low-rank adaptation of large language models", arXiv:2106.09685v2, equation 3: U V, where
   the first factor begins as 0 and the second at random.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.layers.checks import positive_int


class Map(ABC):
    """The kind of map that a parameter is given. It holds no arrays: these are the `LinearMap`'s."""

    @abstractmethod
    def begin(self, name: str, shape: tuple[int, ...], gates: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the map's parameters by letter, float64, such that T = 0.

        Parameters
        ----------
        name : str
            The parameter's, for messages.
        shape : tuple of int
            Its shape.
        gates : int
            Into how many gate blocks its rows fall.
        rng : Generator

        Raises
        ------
        ValueError
            This kind of map does not fit the shape.
        """

    @abstractmethod
    def change(self, source: Array, t: Mapping[str, Array]) -> Array:
        """Return T(θ_s), shape of `source`, from θ_s and the map's parameters."""

    @abstractmethod
    def gradients(self, source: Array, t: Mapping[str, Array], d: Array) -> dict[str, Array]:
        """Return the gradient of each of the map's parameters from d = ∂L/∂θ_t."""

    def _matrix(self, name: str, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(
                f"LinearMap: {type(self).__name__} must be given a matrix, got {name} of shape {shape}; "
                "Scale() takes any shape"
            )


@dataclass(frozen=True)
class Scale(Map):
    """One number a tensor: θ_t = (1 + a) θ_s. The only kind for biases."""

    def begin(self, name: str, shape: tuple[int, ...], gates: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a = 0."""
        return {"a": np.zeros(1)}

    def change(self, source: Array, t: Mapping[str, Array]) -> Array:
        """Return a θ."""
        return t["a"] * source  # (X14)

    def gradients(self, source: Array, t: Mapping[str, Array], d: Array) -> dict[str, Array]:
        """Return da."""
        xp = array_namespace(d)
        return {"a": xp.reshape(xp.sum(d * source), (1,))}  # (X14′)


@dataclass(frozen=True)
class LowRank(Map):
    """A matrix of low rank, added: W_t = W_s + U V.

    Parameters
    ----------
    rank : int
        Columns of U and rows of V; at most the smaller side of the matrix.

    Notes
    -----
    U begins as 0 and V at random, so that T = 0 and yet U has a gradient. What is added does not depend on θ_s.
    """

    rank: int

    def __post_init__(self) -> None:
        positive_int("LowRank", "rank", self.rank)

    def begin(self, name: str, shape: tuple[int, ...], gates: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return U = 0 and a random V whose rows are about 1 long."""
        self._matrix(name, shape)
        m, n = shape
        if self.rank > min(m, n):
            raise ValueError(
                f"LinearMap: LowRank's rank must be at most {min(m, n)} for {name} of shape {shape}, got {self.rank}"
            )
        return {"U": np.zeros((m, self.rank)), "V": rng.standard_normal((self.rank, n)) / n**0.5}

    def change(self, source: Array, t: Mapping[str, Array]) -> Array:
        """Return U V."""
        return t["U"] @ t["V"]  # (X15)

    def gradients(self, source: Array, t: Mapping[str, Array], d: Array) -> dict[str, Array]:
        """Return dU and dV."""
        return {"U": d @ t["V"].T, "V": t["U"].T @ d}  # (X15′)


@dataclass(frozen=True)
class TwoSided(Map):
    """A change of basis on either side: W_t = (I + A) W_s (I + B).

    Notes
    -----
    A acts on the units and is shared by the gates, B acts on the columns: H² + K² numbers for a matrix of G·H rows and
    K columns. That is less than the matrix itself for a square LSTM or GRU block (G = 4, 3), and more for a vanilla
    RNN's. A and B are known up to a factor: c (I + A) and (I + B)/c give the same W_t.
    """

    def begin(self, name: str, shape: tuple[int, ...], gates: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return A = 0 and B = 0."""
        self._matrix(name, shape)
        H, K = shape[0] // gates, shape[1]
        return {"A": np.zeros((H, H)), "B": np.zeros((K, K))}

    def change(self, source: Array, t: Mapping[str, Array]) -> Array:
        """Return A W + W B + A W B."""
        A, B, W = t["A"], t["B"], _by_gate(source, t)
        WB = W @ B
        return array_namespace(W).reshape(A @ (W + WB) + WB, source.shape)  # (X16)

    def gradients(self, source: Array, t: Mapping[str, Array], d: Array) -> dict[str, Array]:
        """Return dA and dB: sums over the gates."""
        A, B, W, d = t["A"], t["B"], _by_gate(source, t), _by_gate(d, t)
        right, left = W + W @ B, W + A @ W
        xp = array_namespace(W)
        return {
            "A": xp.sum(d @ right.swapaxes(1, 2), axis=0),  # (X16′)
            "B": xp.sum(left.swapaxes(1, 2) @ d, axis=0),  # (X16′)
        }


@dataclass(frozen=True)
class Square(Map):
    """A d × d matrix for an embedding: every word's vector goes through the same map, w_t = w_s + M w_s.

    A row that is zero, as that of the padding, stays zero; and words that the target's data never shows move with the
    others.
    """

    def begin(self, name: str, shape: tuple[int, ...], gates: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return M = 0."""
        self._matrix(name, shape)
        return {"M": np.zeros((shape[1], shape[1]))}

    def change(self, source: Array, t: Mapping[str, Array]) -> Array:
        """Return E Mᵀ."""
        return source @ t["M"].T  # (X17)

    def gradients(self, source: Array, t: Mapping[str, Array], d: Array) -> dict[str, Array]:
        """Return dM."""
        return {"M": d.T @ source}  # (X17′)


def _by_gate(matrix: Array, t: Mapping[str, Any]) -> Array:
    """Return a matrix of G·H rows as (G, H, K)."""
    H, K = t["A"].shape[0], t["B"].shape[0]
    return array_namespace(matrix).reshape(matrix, (-1, H, K))
