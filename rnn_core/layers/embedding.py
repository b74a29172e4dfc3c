"""`Embedding`: a row of a matrix for every token, and a gradient for the rows that were seen.

::

    e_n = W[k_n]        (E1)   k_n is the token at position n

Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_namespace

from kernels.contract import Array

from .. import backends
from .base import Layer
from .checks import as_array, as_found, check_needs, check_range, checked_dtype, positive_int
from .first_values import first_values
from .home import move, namespace_of


class RowGradient(NamedTuple):
    """A gradient that is zero outside a few rows.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        The rows that are not zero, ascending, each once.
    values : ndarray, shape (n, D)
        What stands in them.
    shape : tuple of int
        (V, D), the shape of the whole.
    """

    rows: Array
    values: Array
    shape: tuple[int, int]

    def to_dense(self) -> Array:
        """Return the whole as one array, shape (V, D)."""
        xp = array_namespace(self.values)
        dense = xp.zeros(self.shape, dtype=self.values.dtype)
        dense[self.rows, :] = self.values
        return dense


def check_gradient(where: str, name: str, gradient: Any) -> None:
    """Refuse what is neither an array nor a `RowGradient`."""
    if not isinstance(gradient, RowGradient) and not is_array_api_obj(gradient):
        raise TypeError(
            f"{where}: the gradient of {name} must be an array or a RowGradient, got {type(gradient).__name__}; "
            "leave out a parameter that has none"
        )


def dense(gradient: Array | RowGradient) -> Array:
    """Return a gradient as one array."""
    return gradient.to_dense() if isinstance(gradient, RowGradient) else gradient


def summed(gradient: Array | RowGradient, other: Array) -> Array:
    """Return the sum of two gradients, in the place of the second."""
    if isinstance(gradient, RowGradient):
        other[gradient.rows, :] += gradient.values
    else:
        other += gradient
    return other


class Tape(NamedTuple):
    """What `Embedding.backward` needs. Opaque to the caller."""

    tokens: Array


class Embedding(Layer):
    """One vector for each token of a vocabulary.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        V, the size of the vocabulary, and D.
    padding_idx : int, optional
        A token that stands for nothing: its vector begins as zero and has no gradient.
    sparse : bool
        `backward` returns a `RowGradient` of the rows seen, instead of an array that is zero elsewhere.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the arrays live: "cuda" for the GPU, otherwise the host; and whose kernels add up the gradient.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Draws the parameters from N(0, 1), as torch does.

    Notes
    -----
    ``weight`` has shape (V, D), as in ``torch.nn.Embedding``.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        sparse: bool = False,
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self.num_embeddings = positive_int("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = positive_int("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None:
            if isinstance(padding_idx, bool) or not isinstance(padding_idx, int | np.integer):
                raise TypeError(f"Embedding: padding_idx must be an int or None, got {padding_idx!r}")
            if not 0 <= padding_idx < self.num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx must be in 0…{self.num_embeddings - 1}, got {padding_idx}; "
                    f"num_embeddings is {self.num_embeddings}"
                )
        self.padding_idx = padding_idx
        self.sparse = bool(sparse)
        xp, dtype = namespace_of("Embedding", backend), checked_dtype("Embedding", dtype)
        self.config = {
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "padding_idx": None if padding_idx is None else int(padding_idx),
            "sparse": self.sparse,
            "backend": backend,
            "dtype": dtype.name,
            "seed": seed,
        }
        self._initialise(xp, dtype, seed)

    def _initialise(self, xp: Any, dtype: np.dtype, seed: int | None) -> None:
        """Draw the matrix."""

        def draw(shape: tuple[int, ...]) -> np.ndarray:
            weight = np.random.default_rng(seed).standard_normal(shape)
            if self.padding_idx is not None:
                weight[self.padding_idx] = 0
            return weight

        shape = (self.num_embeddings, self.embedding_dim)
        self.parameters = {"weight": first_values(xp, shape, dtype, draw)}

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: tokens have no gradient."""
        return ("weight",)

    def __call__(self, tokens: Array, *, time_major: bool = False) -> Array:
        """Return the vectors; parameters and errors are `forward`'s."""
        return self._look_up("Embedding.__call__", tokens, time_major)[0]

    def forward(self, tokens: Array, *, time_major: bool = False) -> tuple[Array, Tape]:
        """Return the vectors, and a tape for `backward`.

        Parameters
        ----------
        tokens : ndarray of int, shape (...)
            Each at least 0 and below V. To a layer on the GPU they may come from the host: they are checked there, at
            no wait, and then moved. The check of tokens that are on the GPU has the host wait for it.
        time_major : bool
            The vectors of tokens (B, T) keep their shape (B, T, D), but lie in memory step by step, as a recurrent core
            reads them.

        Returns
        -------
        vectors : ndarray, shape (..., D)
        tape : Tape
            It refers to `tokens`: don't change them in between.

        Raises
        ------
        ValueError
            A token is out of range (the first one is named, with its place), or there is none.
        TypeError
            The tokens are not integers.
        """
        vectors, tokens = self._look_up("Embedding.forward", tokens, time_major)
        return vectors, Tape(tokens)

    def _look_up(self, where: str, tokens: Any, time_major: bool) -> tuple[Array, Array]:
        """Return the vectors, and the tokens as an array."""
        xp = self.namespace
        tokens = self._checked(where, tokens, xp)
        in_order = tokens.swapaxes(0, 1) if time_major else tokens
        vectors = xp.take(self.parameters["weight"], xp.reshape(in_order, (-1,)), axis=0)  # (E1)
        vectors = xp.reshape(vectors, (*in_order.shape, self.embedding_dim))
        return vectors.swapaxes(0, 1) if time_major else vectors, tokens

    def _checked(self, where: str, tokens: Any, xp: Any) -> Array:
        """Return tokens where the layer is, if they are integers in range."""
        tokens = as_found(where, "tokens", tokens, xp)
        if 0 in tokens.shape:
            raise ValueError(f"{where}: tokens must be at least one, got shape {tuple(tokens.shape)}")
        if not xp.isdtype(tokens.dtype, "integral"):
            raise TypeError(f"{where}: tokens must be integers, got {tokens.dtype}")
        V = self.num_embeddings
        check_range(
            where, "tokens", tokens, V, f"num_embeddings is {V}, so encode with a vocabulary no larger than that"
        )
        return move(tokens, xp)

    def backward(
        self, tape: Tape, dvectors: Array, needs: Iterable[str] | None = None, *, sparse: bool | None = None
    ) -> dict[str, Array]:
        """Gradients of a loss L from ∂L/∂vectors.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dvectors : ndarray, shape (..., D)
        needs : set of str, optional
            {"weight"} or nothing; everything by default.
        sparse : bool, optional
            As the constructor's, for this call.

        Returns
        -------
        grads : dict
            "weight": ndarray (V, D) or, if sparse, `RowGradient`; empty if not wanted.

        Raises
        ------
        ValueError
            The shape of dvectors is not the vectors', or a name in `needs` doesn't exist.
        TypeError
            The dtype of dvectors is not the layer's.
        """
        weight = self.parameters["weight"]
        xp = array_namespace(weight)
        dvectors = as_array("Embedding.backward", "dvectors", dvectors, xp)
        shape = (*tape.tokens.shape, self.embedding_dim)
        if tuple(dvectors.shape) != shape:
            raise ValueError(
                f"Embedding.backward: dvectors must have shape {shape}, as the vectors, got {tuple(dvectors.shape)}"
            )
        if dvectors.dtype != weight.dtype:
            raise TypeError(f"Embedding.backward: dvectors must be {self.dtype}, as the vectors, got {dvectors.dtype}")
        if not check_needs("Embedding.backward", needs, self.gradient_names):
            return {}
        sparse = self.sparse if sparse is None else sparse
        tokens = tape.tokens
        if is_numpy_namespace(xp) and _lie_step_by_step(dvectors):  # then they can be read where they are
            tokens, dvectors = tokens.swapaxes(0, 1), dvectors.swapaxes(0, 1)
        tokens, dvectors = xp.reshape(tokens, (-1,)), xp.reshape(dvectors, (-1, self.embedding_dim))
        if not is_numpy_namespace(xp):
            return {"weight": self._device_gradient(xp, tokens, dvectors, sparse)}
        if self.num_embeddings <= 1 << 16:
            tokens = tokens.astype(np.uint16)  # numbers of two bytes are sorted without comparisons
        order = np.argsort(tokens, kind="stable")
        if self.padding_idx is not None:
            order = order[tokens[order] != self.padding_idx]
        kernels = backends.update_kernels("Embedding.backward", self.config["backend"])
        rows, values = _sum_by_token(tokens, dvectors, order, kernels)  # (E1′)
        gradient = RowGradient(rows, values, (self.num_embeddings, self.embedding_dim))
        return {"weight": gradient if sparse else gradient.to_dense()}

    def _device_gradient(self, xp: Any, tokens: Array, dvectors: Array, sparse: bool) -> Array | RowGradient:
        """Return the gradient of arrays that are not NumPy's; if sparse, the host waits for the number of its rows."""
        whole = _sum_by_token_in_pairs(xp, tokens, dvectors, self.num_embeddings)  # (E1′)
        if self.padding_idx is not None:
            whole[self.padding_idx, :] = 0
        if not sparse:
            return whole
        rows = xp.unique_values(tokens)
        if self.padding_idx is not None:
            rows = rows[rows != self.padding_idx]
        return RowGradient(rows, whole[rows, :], (self.num_embeddings, self.embedding_dim))


def _lie_step_by_step(vectors: np.ndarray) -> bool:
    """Return whether vectors (B, T, D) lie in memory as (T, B, D)."""
    return vectors.ndim == 3 and not vectors.flags.c_contiguous and vectors.swapaxes(0, 1).flags.c_contiguous


def _sum_by_token(tokens: Array, vectors: Array, order: Array, kernels: Any) -> tuple[Array, Array]:
    """Return the tokens that occur, ascending, and the sum of each one's vectors: dW[k] = Σ_{n: k_n = k} de_n.

    `order` has the positions that count, sorted by token; equal tokens are added up in this order.
    """
    ordered = tokens[order]
    first = np.flatnonzero(np.concatenate((ordered[:1] == ordered[:1], ordered[1:] != ordered[:-1])))
    rows = ordered[first].astype(np.int64)
    if not rows.size:
        return rows, vectors[:0, :]
    if kernels is not None and kernels.takes(vectors):
        return rows, kernels.sums_of_rows(vectors, order, first, np.append(first[1:], order.size))
    # Two to ten times faster than np.add.at, and than a product with a one-hot matrix.
    return rows, np.add.reduceat(vectors[order], first, axis=0)


def _sum_by_token_in_pairs(xp: Any, tokens: Array, vectors: Array, count: int) -> Array:
    """Return the sum of each token's vectors, (count, D), zero for a token that does not occur.

    CuPy has no `reduceat`, and its `add.at` adds in whatever order the threads arrive: a run that is resumed would
    not end in the same bits. So equal tokens are put side by side, and sums of ever longer runs of them are made of
    two shorter ones, log₂(N) times. Nothing here makes the host wait.
    """
    order = xp.argsort(tokens)  # stable, as the array API has it
    ordered, sums = tokens[order], vectors[order, :]
    N, length = ordered.shape[0], 1
    while length < N:  # sums[n] is that of up to `length` vectors from n on, of the same token
        same = ordered[length:] == ordered[:-length]
        head = sums[:-length, :]
        head += xp.where(same[:, None], sums[length:, :], 0)
        length *= 2
    every = xp.arange(count)
    start = xp.minimum(xp.searchsorted(ordered, every), N - 1)
    return xp.where((ordered[start] == every)[:, None], sums[start, :], 0)
