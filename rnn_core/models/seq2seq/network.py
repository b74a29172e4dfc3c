"""`Network`: what `Seq2Seq` computes, from what is read to the logits of what is written; forward above backward.

::

    e_j = m ⊙ W_e[k_j]  or  x_j             what is read: tokens, features, or what another front makes   (E1), (D1)
    y_j, s = core(e)                        the encoder, in one direction or two, and its final state
    s'     = W_s [→s; ←s] + b_s             the decoder's first state; or s, where it fits as it is       (AT7)
    u      = decoder(targets, s', y)        cells and attention, `decoder.py`                             (AT1)–(AT8)
    z_t    = W_v u_t + b_v                  logits of the t-th token that is written                      (F1)

Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array

from ...layers.attention import Attention
from ...layers.embedding import Embedding, dense
from ...layers.linear import Linear
from ...layers.passes import Ready
from ...layers.stack import Recurrent
from ..base import named, needed, seeds
from ..cores import recurrent_core, width_of_core
from ..inputs import valid_steps
from ..trunk import CoreTape, Trunk
from .bridge import Bridge, joined, parted
from .decoder import Decoder


class Tape(NamedTuple):
    """What `Seq2Seq.backward` needs. Opaque to the caller."""

    owner: Network
    core: CoreTape
    bridge: Any  # None where the state is passed on as it is
    memory: Any  # None without attention
    decoder: Any
    head: Any  # None until it has said something
    written: Array | None  # a mask (B, Ty, 1) of what is to be written; None where all is


class Network(Trunk):
    """A trunk without heads, which reads, and a decoder, which writes.

    Attributes
    ----------
    bridge : Bridge or None
        None where the encoder's final state begins the decoder as it is.
    decoder : Decoder
    head : Linear
    shared : bool
        Whether what is read and what is written have one embedding.
    """

    bridge: Bridge | None
    decoder: Decoder
    head: Linear
    shared = False

    def _build_decoder(
        self, name: str, V: int, E: int, size: int, attention: str | None, fed: bool, built: dict[str, Any]
    ) -> None:
        """Build what writes: bridge, embedding, decoder, attention, head. `built` is what `_build` returned."""
        rnn, layers = self.rnn, dict(self.layers)
        made: dict[str, Any] = {"backend": rnn.backend, "dtype": built["dtype"]}
        # The first two draw what reads.
        of_bridge, of_embedding, of_core, of_attention, of_head = seeds(built["seed"], 7)[2:]
        like: dict[str, Any] = {key: built[key] for key in ("cell", "nonlinearity", "cell_options", "precision")}
        like |= {"hidden_size": size, "dropout": self.dropout.p, "num_layers": rnn.num_layers, **made}
        out = width_of_core(name, **like)  # of the decoder, which reads what it has put out where that is fed back
        _check_tied(name, self.tied, E, size, out)
        core = recurrent_core(name, input_size=E + out if fed else E, seed=of_core, **like)
        _check_fed(name, core, fed)
        self.bridge = None
        handed_over = tuple(rnn.directions * n for n in rnn._sizes)
        if handed_over != core._sizes:
            self.bridge = layers["bridge"] = Bridge(
                rnn.spec.states, rnn.num_layers, handed_over, core._sizes, seed=of_bridge, **made
            )
        table, embedding = "embedding.weight", self.embedding
        if embedding is None or not self.shared:
            table = "target_embedding.weight"
            embedding = layers["target_embedding"] = Embedding(V, E, seed=of_embedding, **made)
        looks = None
        if attention is not None:
            looks = Attention(out, rnn.directions * rnn.output_size, score=attention, seed=of_attention, **made)
        self.decoder = Decoder(table, embedding, core, looks, self.dropout, fed)
        self.head = Linear(out, V, seed=of_head, precision=rnn.precision, **made)
        if self.tied:
            self.head._share("weight", embedding.parameters["weight"])
        self._compose({**layers, **self.decoder.layers, "head": self.head})

    @property
    def column_blocks(self) -> dict[str, int]:
        """What writes does not stand on what reads, but for the bridge and the keys."""
        parts = ("bridge", "target_embedding", "attention", "head")
        found = {name: 1 for name in self.parameters if name.partition(".")[0] in parts}
        found |= {f"decoder.{name}": 1 for name in self.decoder.rnn.groups["l0"]}
        both = (name for name in found if name.startswith("bridge.weight") or name == "attention.weight_k")
        return found | dict.fromkeys(both, self.rnn.directions)

    @property
    def attention(self) -> Attention | None:
        """What the decoder looks with; None without."""
        return self.decoder.attention

    def _begin(self, where: str, x: Any, lengths: Any) -> tuple[Any, Any]:
        """Return the decoder's first state and its memory, without a tape and without dropout."""
        y, state, lengths = self._hidden(where, x, None, lengths)
        states = joined(state, self.rnn.directions)
        if self.bridge is not None:
            states, _ = self.bridge.forward(states)  # (AT7)
        memory = None if self.attention is None else self.attention.remember(y, None, lengths)[0]
        return self.rnn._state(states), memory

    def _forward_all(
        self, where: str, x: Any, lengths: Any, before: Array, written: np.ndarray | None, rng: Any
    ) -> tuple[Array, Array | None, Tape]:
        """Return logits, the attention's weights, and a tape; dropout is on. Parameters are `_forward_written`'s."""
        u, weights, tape = self._forward_written(where, x, lengths, before, written, rng)
        z, head = self.head.forward(u)  # (F1)
        return z, weights, tape._replace(head=head)

    def _forward_written(
        self, where: str, x: Any, lengths: Any, before: Array, written: np.ndarray | None, rng: Any
    ) -> tuple[Array, Array | None, Tape]:
        """Return what the head reads, the attention's weights, and a tape without the head's; dropout is on.

        `before` are the tokens before each step, and `written` how many steps there are of each row.
        """
        y, state, lengths, core = self._forward_core(where, x, None, lengths, rng)
        states, bridge = joined(state, self.rnn.directions), None
        if self.bridge is not None:
            states, bridge = self.bridge.forward(states)  # (AT7)
        memory = remembered = mask = None
        if self.attention is not None:
            memory, remembered = self.attention.remember(y, None, lengths)
        u, weights, decoder = self.decoder.forward(before, self.rnn._state(states), memory, written, rng)
        if written is not None:
            mask = valid_steps(self.namespace, written, before.shape[1])[:, :, None]
        return u, weights, Tape(self, core, bridge, remembered, decoder, None, mask)

    def _backward_all(self, tape: Tape, dz: Array, needs: frozenset[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂x and ∂L/∂parameter from ∂L/∂z, as far as needed."""
        if tape.written is not None:
            dz = self.namespace.where(tape.written, dz, 0)
        du, gradients = self.head.backward(tape.head, dz, self._needed_of_head(needs))  # (F1′)
        return self._backward_written(tape, du, named("head", gradients), needs)

    def _needed_of_head(self, needs: frozenset[str]) -> set[str]:
        """Return what of `needs` belongs to the head, and "x" if anything below it is needed."""
        table = self.decoder.table
        head = needed(needs, "head") | ({"weight"} if self.tied and table in needs else set())
        _, core = self._core_needs(needs)
        below = core or needed(needs, "bridge") or "attention.weight_k" in needs or table in needs
        if below or any(needed(needs, part) for part in self.decoder.layers):
            head.add("x")
        return head

    def _backward_written(
        self, tape: Tape, du: Array | None, grads: dict[str, Array], needs: frozenset[str], ready: Ready | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return the same from what the head's backward gives: ∂L/∂u, if anything below needs it, and grads.

        `ready` is given gradients as soon as they are final, but for those of embeddings and of the bridge.
        """
        tell = ready or (lambda _: None)
        tell({name: gradient for name, gradient in grads.items() if name in self.parameters})  # not a tied matrix
        if du is None:
            return None, grads
        table, (_, core) = self.decoder.table, self._core_needs(needs)
        crossing, remembering = needed(needs, "bridge"), "attention.weight_k" in needs
        wrote = self.decoder.backward(
            tape.decoder, du, needs, state0=bool(core or crossing), memory=bool(core or remembering)
        )
        tables = [wrote.grads.pop(table, None), grads.pop("head.weight") if self.tied and table in needs else None]
        grads |= wrote.grads
        tell(wrote.grads)
        dx, dy, dstate = None, None, None
        if self.attention is not None and (core or remembering):
            wanted = needed(needs, "attention") | ({"keys"} if core else set())
            dy, gradients = self.attention.remember_backward(tape.memory, wrote.dkeys, wanted)
            grads |= named("attention", gradients)
            tell(named("attention", gradients))
            dy = None if dy is None else dy + wrote.dvalues  # keys are values, too
        if core or crossing:
            dstate, gradients = self._bridge_backward(tape.bridge, wrote.dstate0, crossing)
            grads |= named("bridge", gradients)
        if core:
            dx, _, gradients = self._backward_core(tape.core, dy, dstate, needs, ready)
            tables.append(gradients.pop(table, None))
            grads |= gradients
        found = [dense(some) for some in tables if some is not None]
        if found:
            grads[table] = sum(found[1:], found[0])  # one matrix for several uses
        return dx, grads

    def _bridge_backward(self, tape: Any, dstate0: Any, needs: set[str]) -> tuple[Any, dict[str, Array]]:
        """Return ∂L/∂state of the encoder's final state from that of the decoder's first one."""
        dstates = dstate0 if isinstance(dstate0, tuple) else (dstate0,)
        grads: dict[str, Array] = {}
        if self.bridge is not None:
            dstates, grads = self.bridge.backward(tape, dstates, needs)  # (AT7′)
        return parted(dstates, self.rnn.directions), grads


def _check_fed(name: str, core: Recurrent, fed: bool) -> None:
    """Raise if a decoder that is called step by step is to have one mask for all steps."""
    given = {part: p for part, p in core.regularisers.config.items() if part in ("recurrent_dropout", "weight_drop")}
    if fed and given:
        part, p = next(iter(given.items()))
        raise ValueError(
            f"{name}: {part} must be 0 with input_feeding=True, where the decoder is called step by step and each call "
            f"would have a mask of its own, got {p}; leave one of the two out"
        )


def _check_tied(name: str, tied: bool, E: int, size: int, out: int) -> None:
    """Raise if the head can't use an embedding's matrix."""
    if tied and out != E:
        what = "decoder_size" if out == size else "the decoder's output size"
        raise ValueError(
            f"{name}: embedding_size must equal {what} = {out} with tied=True, got {E}; make them equal, or leave tied "
            "out"
        )
