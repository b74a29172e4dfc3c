"""The trunk that models share, from what comes in to what a head says of it; forward above backward.

::

    e_t = x_t                       features, or
    e_t = m ⊙ W_e[k_t]              embedding of token k_t, or what another front makes     (E1), (D1)
    y_t = core(e_t, state)          RNN, LSTM or GRU, in one direction or two
    p   = pool(y)                   last, mean or max over the valid steps; or y, as it is  (T1)–(T3)
    z   = W_v (m ⊙ p) + b_v         what a head says                                        (D1), (F1)

A model is a trunk with its heads, its loss and its targets. Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array

from ..layers.base import Layer
from ..layers.checks import check_seed, checked_dtype, positive_int
from ..layers.dropout import Dropout, mask_generator
from ..layers.embedding import Embedding, summed
from ..layers.linear import Linear
from ..layers.passes import Ready
from ..layers.pooling import Pooling
from ..layers.stack import Recurrent
from .base import Model, named, needed, ready_of, seeds
from .cores import kept_options, recurrent_core, word_of_cell
from .fronts.front import Front
from .fronts.making import front_of


class Branch(NamedTuple):
    """What stands on the core and gives an answer."""

    part: str  # what the head is called among the model's layers
    pooling: Any  # a Pooling, or None where every step is answered
    head: Linear


class CoreTape(NamedTuple):
    """What the way back through core and front needs: the tape of each layer, in order."""

    front: Any
    dropout_in: Any  # None for features as they come
    rnn: Any


class Tape(NamedTuple):
    """What `backward` needs: the tape of each layer, in order. Opaque to the caller."""

    owner: Trunk
    branch: Branch
    core: CoreTape
    pooling: Any  # None where every step is answered
    dropout_out: Any
    head: Any


class Trunk(Model):
    """Front → dropout → core → dropout → heads. Subclasses call `_build`, and know what the heads are asked.

    Attributes
    ----------
    front : Front
        What makes of what comes in the features that the core reads.
    embedding : Embedding or None
        Of a front that has one.
    rnn : Recurrent
        The core.
    dropout : Dropout
        On the way into the core from a front with parameters, such as an embedding, and on the way out of it.
    branches : dict of str to Branch
        What stands on the core, by the name of its head's layer.
    tied : bool
        Whether the one head uses the embedding's matrix, whose gradient is then the sum of both uses.
    carries : bool
        Whether a batch may go on from the state in which the one before it stopped.
    """

    front: Front
    embedding: Embedding | None
    rnn: Recurrent
    dropout: Dropout
    branches: dict[str, Branch]
    tied = False
    carries = False

    def _build(
        self,
        name: str,
        heads: Mapping[str, tuple[int, str | None]],
        *,
        hidden_size: int,
        dropout: float = 0.0,
        tied: bool = False,
        dtype: Any = np.float32,
        seed: int | None = None,
        input_size: int | None = None,
        vocab_size: int | None = None,
        embedding_size: int | None = None,
        padding_idx: int | None = None,
        front: Any = None,
        **core: Any,
    ) -> dict[str, Any]:
        """Build every layer, and return what was given, checked and converted, for `config`.

        `heads` has the outputs and the pooling, None for none, of each head by the name of its layer. What comes in is
        for `front_of` to read, and `core` is for `recurrent_core`.
        """
        H = positive_int(name, "hidden_size", hidden_size)
        dtype, seed = checked_dtype(name, dtype), check_seed(name, seed)
        core["cell"] = word_of_cell(core["cell"])
        front_seed, core_seed, *head_seeds = seeds(seed, 2 + len(heads))
        made: dict[str, Any] = {"backend": core.get("backend"), "dtype": dtype}
        self.front = front_of(
            name, hidden_size=H, input_size=input_size, vocab_size=vocab_size, embedding_size=embedding_size,
            padding_idx=padding_idx, front=front, seed=front_seed, **made,
        )  # fmt: skip
        I, self.embedding = self.front.out_features, None
        if isinstance(embedding := self.front.layers.get("embedding"), Embedding):
            self.embedding = embedding
        self.rnn = recurrent_core(
            name, input_size=I, hidden_size=H, dropout=dropout, dtype=dtype, seed=core_seed, **core
        )
        self.tied, width = tied, self.rnn.output_size
        if tied and width != I:
            what = "hidden_size" if width == H else "the core's output size"
            raise ValueError(
                f"{name}: embedding_size must equal {what} = {width} with tied=True, got {I}; make them equal, or "
                "leave tied out"
            )
        core["cell_options"] = kept_options(self.rnn, core.get("cell_options"))
        made["backend"] = self.rnn.backend
        layers: dict[str, Layer] = {**self.front.layers, "rnn": self.rnn}
        self.dropout = Dropout(dropout)
        self.branches = {}
        for (part, (outputs, kind)), head_seed in zip(heads.items(), head_seeds, strict=True):
            pooling = None if kind is None else Pooling(kind, self.rnn.directions == 2, batch_first=True)
            layers[part] = head = Linear(
                self.rnn.directions * width, outputs, seed=head_seed, precision=self.rnn.precision, **made
            )
            if tied:
                head._share("weight", layers["embedding"].parameters["weight"])
            self.branches[part] = Branch(part, pooling, head)
        self._compose(layers)
        return {
            **core, **self._read(), "hidden_size": H, "num_layers": self.rnn.num_layers, "dropout": self.dropout.p,
            "bidirectional": self.rnn.directions == 2, "tied": tied, "backend": self.rnn.backend, "dtype": dtype.name,
            "seed": seed,
        }  # fmt: skip

    def _read(self) -> dict[str, Any]:
        """Return the arguments that say what comes in, as they were checked."""
        told = dict.fromkeys(("input_size", "vocab_size", "embedding_size", "padding_idx", "front"))
        if self.front.config is not None:
            return {**told, "front": self.front.config}
        if self.embedding is None:
            return {**told, "input_size": self.front.out_features}
        its = self.embedding.config
        return {**told, "vocab_size": its["num_embeddings"], "embedding_size": self.front.out_features, **its}

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary: one row a token, or a letter."""
        return tuple(name for name in ("embedding.weight", "letters.weight") if name in self.parameters)

    @property
    def _inputs(self) -> tuple[str, ...]:
        """What may have a gradient and is no parameter, as the core calls it."""
        states = (f"{state}0" for state in self.rnn.spec.states) if self.carries else ()
        return (*(("x",) if self.front.differentiable else ()), *states)

    def _hidden(self, where: str, x: Any, state0: Any, lengths: Any) -> tuple[Array, Any, np.ndarray | None]:
        """Return the core's hidden states, its final state, and lengths; without a tape and without dropout."""
        x, lengths = self.front.checked(where, x, lengths, self.namespace)
        y, state = self.rnn(self.front(x, lengths), state0, lengths)
        return y, state, lengths

    def _infer(self, where: str, branch: Branch, x: Any, state0: Any, lengths: Any) -> tuple[Array, Any]:
        """Return what a head says, and the core's final state; without a tape and without dropout."""
        p, state = self._infer_below(where, branch, x, state0, lengths)
        return branch.head(p), state

    def _infer_below(self, where: str, branch: Branch, x: Any, state0: Any, lengths: Any) -> tuple[Array, Any]:
        """Return what a head reads, and the core's final state; without a tape and without dropout."""
        y, state, lengths = self._hidden(where, x, state0, lengths)
        return y if branch.pooling is None else branch.pooling(y, lengths), state

    def _forward(
        self, where: str, branch: Branch, x: Any, state0: Any, lengths: Any, rng: np.random.Generator | int | None
    ) -> tuple[Array, Any, Tape]:
        """Return what a head says, z, the core's final state, and a tape; dropout is on."""
        p, state, tape = self._forward_below(where, branch, x, state0, lengths, rng)
        z, head = branch.head.forward(p)  # (F1)
        return z, state, tape._replace(head=head)

    def _forward_below(
        self, where: str, branch: Branch, x: Any, state0: Any, lengths: Any, rng: np.random.Generator | int | None
    ) -> tuple[Array, Any, Tape]:
        """Return what a head reads, m ⊙ p, the core's final state, and a tape without the head's; dropout is on."""
        rng = mask_generator(rng, self.dropout.p, where)
        y, state, lengths, core = self._forward_core(where, x, state0, lengths, rng)
        pooling = None
        if branch.pooling is not None:
            y, pooling = branch.pooling.forward(y, lengths)  # (T1)–(T3)
        y, dropout_out = self.dropout.forward(y, rng=rng)  # (D1)
        return y, state, Tape(self, branch, core, pooling, dropout_out, None)

    def _backward(
        self, tape: Tape, dz: Array, dstate: Any, needs: frozenset[str]
    ) -> tuple[Array | None, Any, dict[str, Array]]:
        """Return ∂L/∂x, ∂L/∂state0 and ∂L/∂parameter from ∂L/∂z and ∂L/∂state, as far as needed, None otherwise.

        What isn't needed is not computed: the walk back stops at the lowest layer that something needed depends on.
        """
        branch = tape.branch
        dy, gradients = branch.head.backward(tape.head, dz, self._head_needs(branch, needs))  # (F1′)
        return self._backward_below(tape, dy, named(branch.part, gradients), dstate, needs)

    def _head_needs(self, branch: Branch, needs: frozenset[str]) -> set[str]:
        """Return what of `needs` belongs to a head, and what it has to give for all that is below it."""
        front, core = self._core_needs(needs)
        weight = {"weight"} if front and self.tied else set()
        return needed(needs, branch.part) | weight | ({"x"} if core else set())

    def _backward_below(
        self, tape: Tape, dy: Array | None, grads: dict[str, Array], dstate: Any, needs: frozenset[str],
        ready: Ready | None = None,
    ) -> tuple[Array | None, Any, dict[str, Array]]:  # fmt: skip
        """Return the same from what a head's backward gives: ∂L/∂(m ⊙ p), if anything below needs it, and grads.

        `ready` is given gradients as soon as they are final, but for those of the front.
        """
        branch = tape.branch
        if ready is not None:  # a tied matrix, which is no parameter of the head, has its other use below
            ready({name: gradient for name, gradient in grads.items() if name in self.parameters})
        front, core = self._core_needs(needs)
        if not core:
            return None, self.rnn._state((None,) * len(self.rnn.spec.states)), grads
        dy = self.dropout.backward(tape.dropout_out, dy)  # (D1′)
        if branch.pooling is not None:
            dy = branch.pooling.backward(tape.pooling, dy)  # (T1′)–(T3′)
        dx, dstate0, gradients = self._backward_core(tape.core, dy, dstate, needs, ready)
        grads = grads | gradients
        if front and self.tied:
            grads["embedding.weight"] = summed(grads["embedding.weight"], grads.pop("head.weight"))
        return dx, dstate0, grads

    def _forward_core(
        self, where: str, x: Any, state0: Any, lengths: Any, rng: np.random.Generator | None
    ) -> tuple[Array, Any, np.ndarray | None, CoreTape]:
        """Return the core's hidden states, its final state, lengths, and a tape; dropout is on."""
        x, lengths = self.front.checked(where, x, lengths, self.namespace)
        dropout_in = None
        x, front = self.front.forward(x, lengths, rng)
        if self.front.layers:
            x, dropout_in = self.dropout.forward(x, rng=rng)  # (D1)
        y, state, rnn = self.rnn.forward(x, state0, lengths, rng=rng)
        return y, state, lengths, CoreTape(front, dropout_in, rnn)

    def _backward_core(
        self, tape: CoreTape, dy: Array | None, dstate: Any, needs: frozenset[str], ready: Ready | None = None
    ) -> tuple[Array | None, Any, dict[str, Array]]:
        """Return ∂L/∂x, ∂L/∂state0 and ∂L/∂parameter of core and front from ∂L/∂y and ∂L/∂state, as far as needed."""
        front, core = self._core_needs(needs)
        dx, dstate0, gradients = self.rnn.backward(tape.rnn, dy, dstate, needs=core, ready=ready_of("rnn", ready))
        grads = named("rnn", gradients)
        if "x" in core:
            if self.front.layers:
                dx = self.dropout.backward(tape.dropout_in, dx)  # (D1′)
            dx, gradients = self.front.backward(tape.front, dx, front | needs.intersection({"x"}))
            grads |= gradients
        return dx, dstate0, grads

    def _core_needs(self, needs: frozenset[str]) -> tuple[set[str], set[str]]:
        """Return what of `needs` belongs to the front, and what the core has to give for all that is below it."""
        front = {name for part in self.front.layers for name in needs if name.startswith(f"{part}.")}
        core = needed(needs, "rnn") | needs.intersection(self._inputs)
        return front, core | {"x"} if front else core


def arguments(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a class is built with, out of `values`, in the order of its constructor: its `config`.

    A front that there isn't, options that are as usual, and the precision that there always was, are left out, so that
    a file says no more than versions that knew none had it say.
    """
    given = {name: values[name] for name in inspect.signature(kind).parameters}
    usual = {"front": None, "precision": "float32", "cell_options": None}
    return {name: value for name, value in given.items() if name not in usual or value != usual[name]}
