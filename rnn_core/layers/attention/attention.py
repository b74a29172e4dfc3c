"""`Attention`: what a query finds in a sequence, and what the two say together.

::

    p_j  = k_j  or  W_k k_j                         (AT1)   the keys as the score reads them: dot, or the others
    q'_t = q_t  or  W_q q_t + b_q                   (AT1)   the queries: dot and general, or additive
    s_tj = q'_tᵀ p_j  or  vᵀ tanh(q'_t + p_j)       (AT2), (AT3)
    α_tj = exp(s_tj) / Σ_{i ≤ ℓ} exp(s_ti)          (AT4)   0 past the length ℓ
    c_t  = Σ_j α_tj v_j                             (AT5)   the context
    y_t  = tanh(W_c [c_t; q_t] + b_c)               (AT6)

v without an index is the score's vector, v_j a value. Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..base import Layer
from ..checks import check_array, check_lengths, check_needs, check_seed, checked_dtype, positive_int
from ..first_values import first_values
from ..home import namespace_of
from . import scores

SCORES = ("dot", "general", "additive")
"""The scores there are, by the word that a user writes."""


class Memory(NamedTuple):
    """What is looked at, made once for all queries.

    Attributes
    ----------
    keys : ndarray, shape (B, Tx, A)
        p, as the score reads them.
    values : ndarray, shape (B, Tx, Hv)
    valid : ndarray of bool, shape (B, 1, Tx), or None
        Leaves the padding out; None where there is none.
    """

    keys: Array
    values: Array
    valid: Array | None


class MemoryTape(NamedTuple):
    """What `Attention.remember_backward` needs. Opaque to the caller."""

    keys: Array  # k, zero past the lengths


class AttendTape(NamedTuple):
    """What `Attention.attend_backward` needs. Opaque to the caller."""

    memory: Memory
    queries: Array
    read: Array  # q', as the score reads them
    alpha: Array
    joined: Array  # [c; q]
    y: Array


class Tape(NamedTuple):
    """What `Attention.backward` needs. Opaque to the caller."""

    memory: MemoryTape
    attend: AttendTape
    own_values: bool  # whether the values are others than the keys


class Attention(Layer):
    """Attention of queries to a sequence of keys and values, and its combination with the queries.

    Parameters
    ----------
    query_size, key_size : int
        Hq and Hk: features of a query and of a key.
    value_size : int, optional
        Hv: features of a value; Hk by default.
    score : {"dot", "general", "additive"}
        How a query and a key are compared: their product, for which Hq must be Hk; their product through a matrix
        [1]_; or a small network [2]_.
    attention_size : int, optional
        A, the additive score's hidden units; Hq by default.
    output_size : int, optional
        O, features of what comes out; Hq by default.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the arrays live: "cuda" for the GPU, otherwise the host.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Draws the parameters, each from U(−1/√I, 1/√I) for the I numbers that one of its outputs is made of.

    Raises
    ------
    ValueError
        A size is below 1, the score is none of these, or sizes don't suit it.
    TypeError
        A size is not an int, or the dtype is none of the above.

    Notes
    -----
    Parameters: ``weight_k`` (Hq, Hk) for "general"; ``weight_q`` (A, Hq), ``bias_q`` (A,), ``weight_k`` (A, Hk) and
    ``vector`` (A,) for "additive"; and for each ``weight_c`` (O, Hv + Hq), which has the context's columns first, and
    ``bias_c`` (O,). [1]_ has (AT6) without a bias.

    A tape has B·Ty·(Tx + Hv + 2·Hq + O) numbers, and for "additive" B·Ty·A more. There are B·Ty·Tx·A hidden units in
    the additive score: they are never kept, but computed for a few queries at a time, some 4 MB of them in float32, and
    once more in the backward.

    References
    ----------
    .. [1] M.-T. Luong, H. Pham, C. D. Manning, "Effective approaches to attention-based neural machine translation",
       EMNLP 2015, arXiv:1508.04025v5, equations 5 to 8.
    .. [2] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align and translate",
       ICLR 2015, arXiv:1409.0473v7, section 3.1 and appendix A.1.2.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        value_size: int | None = None,
        *,
        score: str = "dot",
        attention_size: int | None = None,
        output_size: int | None = None,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        name = "Attention"
        self.query_size = Hq = positive_int(name, "query_size", query_size)
        self.key_size = Hk = positive_int(name, "key_size", key_size)
        self.value_size = Hv = Hk if value_size is None else positive_int(name, "value_size", value_size)
        self.output_size = O = Hq if output_size is None else positive_int(name, "output_size", output_size)
        self.score = _checked_score(score, attention_size, Hq, Hk)
        A = Hq if attention_size is None else positive_int(name, "attention_size", attention_size)
        xp, dtype = namespace_of(name, backend), checked_dtype(name, dtype)
        self.config = {
            "query_size": Hq, "key_size": Hk, "value_size": Hv, "score": score,
            "attention_size": A if score == "additive" else None, "output_size": O, "backend": backend,
            "dtype": dtype.name, "seed": check_seed(name, seed),
        }  # fmt: skip
        shapes: dict[str, tuple[tuple[int, ...], int]] = {}  # with the numbers that an output is made of
        if score == "general":
            shapes["weight_k"] = (Hq, Hk), Hk
        if score == "additive":
            shapes |= {"weight_q": ((A, Hq), Hq), "bias_q": ((A,), Hq), "weight_k": ((A, Hk), Hk), "vector": ((A,), A)}
        shapes |= {"weight_c": ((O, Hv + Hq), Hv + Hq), "bias_c": ((O,), Hv + Hq)}
        rng = np.random.default_rng(seed)
        self.parameters = {
            own: first_values(xp, shape, dtype, partial(rng.uniform, -(count**-0.5), count**-0.5))
            for own, (shape, count) in shapes.items()
        }

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: queries, keys, values and every parameter."""
        return ("queries", "keys", "values", *self.parameters)

    def __call__(
        self, queries: Array, keys: Array, values: Array | None = None, lengths: Any = None
    ) -> tuple[Array, Array]:
        """Return y and the weights; parameters and errors are `forward`'s."""
        queries, keys, values, lengths = self._checked("Attention.__call__", queries, keys, values, lengths)
        return self.attend(self.remember(keys, values, lengths)[0], queries)[:2]

    def forward(
        self, queries: Array, keys: Array, values: Array | None = None, lengths: Any = None
    ) -> tuple[Array, Array, Tape]:
        """Return what each query finds, the weights, and a tape for `backward`.

        Parameters
        ----------
        queries : ndarray, shape (B, Ty, Hq)
            Of the layer's dtype, as all of them.
        keys : ndarray, shape (B, Tx, Hk)
        values : ndarray, shape (B, Tx, Hv), optional
            The keys by default.
        lengths : array of int, shape (B,), optional
            Valid steps of each row of keys and values; past them anything may stand, NaN included.

        Returns
        -------
        y : ndarray, shape (B, Ty, O)
        weights : ndarray, shape (B, Ty, Tx)
            α: exactly 0 past a row's length; the rest adds up to 1.
        tape : Tape
            It refers to the queries and keys: don't change them in between.

        Raises
        ------
        ValueError
            A shape, a length or a value (NaN, infinity) is not as required; the message says where.
        TypeError
            A dtype is not the layer's, or an array is on the other side, host or GPU.
        """
        queries, keys, values, lengths = self._checked("Attention.forward", queries, keys, values, lengths)
        memory, tape = self.remember(keys, values, lengths)
        y, alpha, attend = self.attend(memory, queries)
        return y, alpha, Tape(tape, attend, values is not None)

    def backward(
        self, tape: Tape, dy: Array, dweights: Array | None = None, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, Array | None, Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂y and ∂L/∂weights.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dy : ndarray, shape (B, Ty, O)
        dweights : ndarray, shape (B, Ty, Tx), optional
            None stands for zeros.
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed.

        Returns
        -------
        dqueries, dkeys, dvalues : ndarray or None
            None if not wanted. Where the values are the keys, dkeys has both uses, and dvalues is None.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value is not as required, or a name in `needs` doesn't exist.
        """
        where = "Attention.backward"
        needs, xp = check_needs(where, needs, self.gradient_names), self.namespace
        attend = tape.attend
        dy = check_array(where, "dy", dy, tuple(attend.y.shape), self.dtype, why="it is shaped as y", xp=xp)
        if dweights is not None:
            shape = tuple(attend.alpha.shape)
            dweights = check_array(where, "dweights", dweights, shape, self.dtype, why="as the weights", xp=xp)
        wanted = set(needs)
        if "weight_k" in needs:
            wanted.add("keys")
        if not tape.own_values and "keys" in needs:
            wanted.add("values")
        dq, dp, dv, grads = self.attend_backward(attend, dy, dweights, wanted)
        dk, gradients = self.remember_backward(tape.memory, dp, needs)
        if dk is not None and not tape.own_values:
            dk, dv = dk + dv, None  # keys are values, too
        found = grads | gradients
        dv = dv if "values" in needs else None
        return dq, dk, dv, {name: found[name] for name in self.parameters if name in found}

    def remember(self, keys: Array, values: Array | None, lengths: np.ndarray | None) -> tuple[Memory, MemoryTape]:
        """Return keys and values as every query will look at them, and a tape; nothing is checked."""
        xp, valid = self.namespace, None
        if lengths is not None:
            running = xp.asarray(np.arange(keys.shape[1]) < lengths[:, None])
            valid, running = running[:, None, :], running[:, :, None]
            keys = xp.where(running, keys, 0)
            values = None if values is None else xp.where(running, values, 0)
        p = keys if self.score == "dot" else _affine(keys, self.parameters["weight_k"])  # (AT1)
        return Memory(p, keys if values is None else values, valid), MemoryTape(keys)

    def remember_backward(
        self, tape: MemoryTape, dp: Array | None, needs: Iterable[str]
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂keys, but for their use as values, and ∂L/∂weight_k, as far as needed, from ∂L/∂p."""
        if self.score == "dot":
            return (dp if "keys" in needs else None), {}
        dk = _through(dp, self.parameters["weight_k"]) if "keys" in needs else None  # (AT1′)
        return dk, {"weight_k": _outer(dp, tape.keys)} if "weight_k" in needs else {}  # (AT1′)

    def attend(self, memory: Memory, queries: Array) -> tuple[Array, Array, AttendTape]:
        """Return y, the weights, and a tape, of queries that look at what is remembered; nothing is checked."""
        xp, weights = self.namespace, self.parameters
        if self.score == "additive":
            q = _affine(queries, weights["weight_q"]) + weights["bias_q"]  # (AT1)
            s = scores.additive(q, memory.keys, weights["vector"])  # (AT3)
        else:
            q = queries
            s = scores.product(q, memory.keys)  # (AT2)
        alpha = scores.weights_of(s, memory.valid)  # (AT4)
        c = alpha @ memory.values  # (AT5)
        joined = xp.concat([c, queries], axis=-1)
        y = xp.tanh(_affine(joined, weights["weight_c"]) + weights["bias_c"])  # (AT6)
        return y, alpha, AttendTape(memory, queries, q, alpha, joined, y)

    def attend_backward(
        self, tape: AttendTape, dy: Array, dalpha: Array | None, needs: Iterable[str]
    ) -> tuple[Array | None, Array | None, Array | None, dict[str, Array]]:
        """Return ∂L/∂queries, ∂L/∂p, ∂L/∂values and ∂L/∂parameter, but for weight_k, as far as needed; "keys" is p."""
        needs, weights, grads = frozenset(needs), self.parameters, {}
        xp, memory = self.namespace, tape.memory
        da = dy * (1 - tape.y * tape.y)  # (AT6′)
        if "weight_c" in needs:
            grads["weight_c"] = _outer(da, tape.joined)  # (AT6′)
        if "bias_c" in needs:
            grads["bias_c"] = xp.sum(da, axis=(0, 1))  # (AT6′)
        below = needs - {"weight_c", "bias_c"}
        if not below:
            return None, None, None, grads
        djoined = _through(da, weights["weight_c"])  # (AT6′)
        dc, dq = djoined[..., : self.value_size], djoined[..., self.value_size :]
        dv = tape.alpha.swapaxes(1, 2) @ dc if "values" in needs else None  # (AT5′)
        if below == {"values"}:
            return None, None, dv, grads
        dalpha_c = dc @ memory.values.swapaxes(1, 2)  # (AT5′)
        ds = scores.weights_backward(tape.alpha, dalpha_c if dalpha is None else dalpha_c + dalpha)  # (AT4′)
        if self.score != "additive":
            dread, dp = scores.product_backward(tape.read, memory.keys, ds, needs)  # (AT2′)
        else:
            dread, dp, dvector = scores.additive_backward(tape.read, memory.keys, weights["vector"], ds)  # (AT3′)
            if "vector" in needs:
                grads["vector"] = dvector
            if "weight_q" in needs:
                grads["weight_q"] = _outer(dread, tape.queries)  # (AT1′)
            if "bias_q" in needs:
                grads["bias_q"] = xp.sum(dread, axis=(0, 1))  # (AT1′)
            dread = _through(dread, weights["weight_q"])  # (AT1′)
        return (dq + dread if "queries" in needs else None), (dp if "keys" in needs else None), dv, grads

    def _checked(
        self, where: str, queries: Any, keys: Any, values: Any, lengths: Any
    ) -> tuple[Array, Array, Array | None, np.ndarray | None]:
        """Return what comes in as arrays where the layer lives, and lengths."""
        xp = self.namespace
        k_shape = tuple(np.shape(keys) if not hasattr(keys, "shape") else keys.shape)
        q_shape = tuple(np.shape(queries) if not hasattr(queries, "shape") else queries.shape)
        for name, shape, size in (("queries", q_shape, self.query_size), ("keys", k_shape, self.key_size)):
            if len(shape) != 3 or shape[2] != size or 0 in shape:
                raise ValueError(
                    f"{where}: {name} must have shape (B, T, {size}), B rows of T ≥ 1 steps, got {shape}; "
                    f"{'query_size' if name == 'queries' else 'key_size'} is {size}"
                )
        if q_shape[0] != k_shape[0]:
            raise ValueError(f"{where}: keys must have {q_shape[0]} rows, as the queries, got {k_shape[0]}")
        B, Tx = k_shape[:2]
        lengths = check_lengths(where, lengths, Tx, B)
        valid = None if lengths is None else (np.arange(Tx) < lengths[:, None])[:, :, None]
        queries = check_array(where, "queries", queries, q_shape, self.dtype, xp=xp)
        keys = check_array(where, "keys", keys, k_shape, self.dtype, valid, xp=xp)
        if values is not None:
            why = "value_size features for each key"
            values = check_array(where, "values", values, (B, Tx, self.value_size), self.dtype, valid, why, xp=xp)
        elif self.value_size != self.key_size:
            raise ValueError(
                f"{where}: values must be given where their size, {self.value_size}, is not the keys', {self.key_size}"
            )
        return queries, keys, values, lengths


def _checked_score(score: Any, attention_size: Any, Hq: int, Hk: int) -> str:
    """Return the score, if it is one, and the sizes suit it."""
    if score not in SCORES:
        raise ValueError(f"Attention: score must be one of {', '.join(map(repr, SCORES))}, got {score!r}")
    if score == "dot" and Hq != Hk:
        raise ValueError(
            f"Attention: with score='dot' key_size must be query_size, got {Hk} and {Hq}; 'general' has a matrix "
            "between the two"
        )
    if score != "additive" and attention_size is not None:
        raise ValueError(
            f"Attention: attention_size must be left out with score={score!r}, got {attention_size!r}; it is the "
            "additive score's"
        )
    return str(score)


def _affine(x: Array, weight: Array) -> Array:
    """Return W x for each of the vectors (B, T, ·), as one product."""
    xp = array_namespace(x)
    return xp.reshape(xp.reshape(x, (-1, x.shape[-1])) @ weight.T, (*x.shape[:-1], weight.shape[0]))


def _through(dy: Array, weight: Array) -> Array:
    """Return Wᵀ dy: what (B, T, ·) gets back through W."""
    xp = array_namespace(dy)
    return xp.reshape(xp.reshape(dy, (-1, dy.shape[-1])) @ weight, (*dy.shape[:-1], weight.shape[1]))


def _outer(dy: Array, x: Array) -> Array:
    """Return Σ dy xᵀ: the gradient of W."""
    xp = array_namespace(dy)
    return xp.reshape(dy, (-1, dy.shape[-1])).T @ xp.reshape(x, (-1, x.shape[-1]))
