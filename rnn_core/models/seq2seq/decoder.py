"""`Decoder`: what writes a sequence, one token after another; forward above backward.

::

    e_t = m ⊙ W_e[y_{t−1}]                 the token before, from the beginning on      (E1), (D1)
    x_t = e_t  or  [e_t; h̃_{t−1}]          with input feeding; h̃_0 = 0                  (AT8)
    h_t = core(x_t, state)                 RNN, LSTM or GRU
    h̃_t = attention(h_t, memory)           or h_t, without one                          (AT1)–(AT6)
    u_t = m ⊙ h̃_t                          what the head reads                          (D1)

Without input feeding no step of the core depends on attention: it runs over all steps at once, and so does attention
after it. With it, each step waits for the one before, and the way back walks through the steps in reverse. Primes mark
the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array

from ...layers.attention import Attention
from ...layers.base import Layer
from ...layers.dropout import Dropout
from ...layers.embedding import Embedding
from ...layers.stack import Recurrent
from ..base import named, needed


class Tape(NamedTuple):
    """What `Decoder.backward` needs. Opaque to the caller."""

    embedding: Any
    dropout_in: Any
    rnn: Any  # with input feeding a list, a tape for each step
    attention: Any  # likewise; None without attention
    dropout_out: Any


class Written(NamedTuple):
    """What a decoder's backward gives, each None where it is not wanted.

    Attributes
    ----------
    dstate0 : ndarray or pair
        ∂L/∂state0.
    dkeys, dvalues : ndarray
        ∂L/∂p and ∂L/∂v of the memory; None also without attention.
    grads : dict of str to ndarray
    """

    dstate0: Any
    dkeys: Array | None
    dvalues: Array | None
    grads: dict[str, Array]


class Decoder:
    """Embedding, cells and attention of what is written. A part of `Seq2Seq`, which checks what comes in.

    Attributes
    ----------
    table : str
        What the model calls the embedding's matrix: it may be the source's.
    layers : dict of str to Layer
        Those that the model has not from elsewhere, by the model's names.
    """

    def __init__(
        self, table: str, embedding: Embedding, rnn: Recurrent, attention: Attention | None, dropout: Dropout, fed: bool
    ) -> None:
        self.table, self.embedding, self.rnn, self.attention = table, embedding, rnn, attention
        self.dropout, self.fed = dropout, fed
        self.layers: dict[str, Layer] = {"decoder": rnn}
        if attention is not None:
            self.layers["attention"] = attention

    def __call__(
        self, tokens: Array, state0: Any, memory: Any, lengths: np.ndarray | None
    ) -> tuple[Array, Array | None]:
        """Return h̃ and the attention's weights, without a tape and without dropout."""
        e = self.embedding(tokens)
        if not self.fed:
            h, _ = self.rnn(e, state0, lengths)
            return (h, None) if self.attention is None else self.attention.attend(memory, h)[:2]
        xp, state, feed, steps = self.rnn.namespace, state0, self.nothing(e), []
        for t in range(tokens.shape[1]):
            feed, state, weights = self._fed_step(e[:, t : t + 1], feed, state, memory)
            steps.append((feed, weights))
        h, weights = (xp.concat(list(column), axis=1) for column in zip(*steps, strict=True))
        return h, weights

    def step(self, tokens: Array, state: Any, feed: Array, memory: Any) -> tuple[Array, Any, Array | None]:
        """Return h̃ (N, 1, H), the state, and the weights (N, 1, Tx) or None, after one more token (N,) of each row.

        The memory may have fewer rows, each of which then is that of several, side by side: N / B to each.
        """
        e = self.embedding(tokens[:, None])
        if self.fed:
            return self._fed_step(e, feed, state, memory)
        h, state = self.rnn(e, state)
        return (h, state, None) if self.attention is None else self._looked(h, state, memory)

    def nothing(self, e: Array) -> Array:
        """Return h̃_0."""
        xp = self.rnn.namespace
        return xp.zeros((e.shape[0], 1, self.rnn.output_size), dtype=e.dtype)

    def _fed_step(self, e: Array, feed: Array, state: Any, memory: Any) -> tuple[Array, Any, Array]:
        x = self.rnn.namespace.concat([e, feed], axis=-1)  # (AT8)
        return self._looked(*self.rnn(x, state), memory)

    def _looked(self, h: Array, state: Any, memory: Any) -> tuple[Array, Any, Array]:
        """Return h̃, the state, and the weights; rows that share a memory look at it as queries of one row."""
        xp, (N, _, H), B = self.rnn.namespace, h.shape, memory.values.shape[0]
        h, weights, _ = self.attention.attend(memory, xp.reshape(h, (B, -1, H)))  # type: ignore[union-attr]
        return xp.reshape(h, (N, 1, H)), state, xp.reshape(weights, (N, 1, -1))

    def forward(
        self, tokens: Array, state0: Any, memory: Any, lengths: np.ndarray | None, rng: Any
    ) -> tuple[Array, Array | None, Tape]:
        """Return u (B, Ty, H), the attention's weights (B, Ty, Tx), and a tape; dropout is on.

        Parameters
        ----------
        tokens : ndarray of int, shape (B, Ty)
            Those before each step; 0 in the padding.
        state0 : ndarray or pair
        memory : Memory or None
            None without attention.
        lengths : array of int, shape (B,), or None
            Steps to write of each row.
        rng : Generator or None
        """
        e, embedding = self.embedding.forward(tokens)  # (E1)
        e, dropout_in = self.dropout.forward(e, rng=rng)  # (D1)
        run = self._forward_fed if self.fed else self._forward_whole
        h, weights, rnn, attention = run(e, state0, memory, lengths, rng)
        u, dropout_out = self.dropout.forward(h, rng=rng)  # (D1)
        return u, weights, Tape(embedding, dropout_in, rnn, attention, dropout_out)

    def backward(self, tape: Tape, du: Array, needs: frozenset[str], *, state0: bool, memory: bool) -> Written:
        """Return the gradients from ∂L/∂u; of what isn't needed, nothing.

        Parameters
        ----------
        tape : Tape
        du : ndarray, shape (B, Ty, H)
            Zero past each row's length.
        needs : set of str
            Names of the model.
        state0, memory : bool
            Whether their gradients are wanted; `attention.weight_k` is behind the memory.
        """
        memory = memory and self.attention is not None
        du = self.dropout.backward(tape.dropout_out, du)  # (D1′)
        run = self._backward_fed if self.fed else self._backward_whole
        de, dstate0, dkeys, dvalues, grads = run(tape, du, needs, state0, memory)
        if self.table in needs:
            de = self.dropout.backward(tape.dropout_in, de)  # (D1′)
            grads[self.table] = self.embedding.backward(tape.embedding, de)["weight"]  # (E1′)
        return Written(dstate0 if state0 else None, dkeys, dvalues, grads)

    def _forward_whole(self, e: Array, state0: Any, memory: Any, lengths: Any, rng: Any) -> tuple[Any, ...]:
        h, _, rnn = self.rnn.forward(e, state0, lengths, rng=rng)
        if self.attention is None:
            return h, None, rnn, None
        h, weights, attention = self.attention.attend(memory, h)
        return h, weights, rnn, attention

    def _backward_whole(
        self, tape: Tape, dh: Array, needs: frozenset[str], state0: bool, memory: bool
    ) -> tuple[Any, ...]:
        grads: dict[str, Array] = {}
        core = needed(needs, "decoder") | self._states(state0) | ({"x"} if self.table in needs else set())
        dkeys = dvalues = None
        if self.attention is not None:
            wanted = needed(needs, "attention") - {"weight_k"}
            wanted |= ({"queries"} if core else set()) | ({"keys", "values"} if memory else set())
            dh, dkeys, dvalues, gradients = self.attention.attend_backward(tape.attention, dh, None, wanted)
            grads |= named("attention", gradients)
        if not core:
            return None, None, dkeys, dvalues, grads
        de, dstate0, gradients = self.rnn.backward(tape.rnn, dh, needs=core)
        return de, dstate0, dkeys, dvalues, grads | named("decoder", gradients)

    def _forward_fed(self, e: Array, state0: Any, memory: Any, lengths: Any, rng: Any) -> tuple[Any, ...]:
        xp, state, feed = self.rnn.namespace, state0, self.nothing(e)
        hs, weights, rnns, attentions = [], [], [], []
        for t in range(e.shape[1]):
            x = xp.concat([e[:, t : t + 1], feed], axis=-1)  # (AT8)
            h, state, rnn = self.rnn.forward(x, state, rng=rng)
            feed, alpha, attention = self.attention.attend(memory, h)  # type: ignore[union-attr]
            hs.append(feed)
            weights.append(alpha)
            rnns.append(rnn)
            attentions.append(attention)
        return xp.concat(hs, axis=1), xp.concat(weights, axis=1), rnns, attentions

    def _backward_fed(
        self, tape: Tape, dh: Array, needs: frozenset[str], state0: bool, memory: bool
    ) -> tuple[Any, ...]:
        xp, E = self.rnn.namespace, self.embedding.embedding_dim
        core = needed(needs, "decoder") | self._states(True) | {"x"}
        wanted = needed(needs, "attention") - {"weight_k"} | {"queries"} | ({"keys", "values"} if memory else set())
        sums: dict[str, Any] = {}
        dx: Any
        dfeed, dstate, de = self.nothing(dh), None, []
        for t in reversed(range(dh.shape[1])):
            dfed = dh[:, t : t + 1] + dfeed  # (AT8′): the head's, and that of the step behind
            dq, dkeys, dvalues, own = self.attention.attend_backward(  # type: ignore[union-attr]
                tape.attention[t], dfed, None, wanted
            )
            dx, dstate, gradients = self.rnn.backward(tape.rnn[t], dq, dstate, needs=core)
            de.append(dx[..., :E])  # (AT8′)
            dfeed = dx[..., E:]  # (AT8′)
            _add(sums, named("attention", own) | named("decoder", gradients))
            if memory:
                _add(sums, {"keys": dkeys, "values": dvalues})
        dkeys, dvalues = sums.pop("keys", None), sums.pop("values", None)
        return xp.concat(de[::-1], axis=1), dstate, dkeys, dvalues, sums

    def _states(self, wanted: bool) -> set[str]:
        """Return the names of the initial states, if they are wanted."""
        return {f"{state}0" for state in self.rnn.spec.states} if wanted else set()


def _add(sums: dict[str, Array], some: dict[str, Array]) -> None:
    """Add arrays, which no one else holds, to their sums by name."""
    for name, array in some.items():
        if name in sums:
            sums[name] += array
        else:
            sums[name] = array
