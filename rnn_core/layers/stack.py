"""A stack of cells over sequences, in one direction or two: what `RNN`, `LSTM` and `GRU` share."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from kernels.contract import Array, State

from .base import generator
from .checks import check_needs, flag
from .dropout import dropout_mask
from .layout import Layout, describe
from .passes import Cells, Group, Pass, Ready, Tapes, back_through, through
from .small.stream import Stream


class Tape(NamedTuple):
    """What a layer's backward needs. Opaque to the caller."""

    owner: Recurrent  # the layer whose forward made it
    kept: Pass | Tapes  # those of segments, where states were put back
    lengths: np.ndarray | None
    layout: Layout
    reset_to: str  # what states were put back to: "state0", "zeros", or "given"


class Recurrent(Cells):
    """A stack of `num_layers` cells in one direction or two. Made through `RNN`, `LSTM` or `GRU`."""

    def __call__(
        self, x: Array, state0: Any = None, lengths: Any = None, *, resets: Any = None, reset_to: Any = None,
        all_states: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Run the layer without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first two values.
        """
        small = self._small if lengths is None and resets is None and not all_states else None
        if small is not None and (found := small(x, state0)) is not None:
            return found
        where = f"{type(self).__name__}.__call__"
        if flag(where, "all_states", all_states):
            return self._forward(where, x, state0, lengths, None, resets, reset_to, all_states=True)[:2]
        (y,), state = self._infer(where, x, state0, lengths, every=False, resets=resets, reset_to=reset_to)
        if small is not None:
            small.met(x)
        return y, state

    def undropped(self) -> Self:
        """Return a layer of the same arrays whose `forward` keeps a tape and draws nothing: that is as a call."""
        twin = copy.copy(self)
        twin.dropout, twin._noisy = 0.0, None
        return twin

    def stream(self, batch_size: int | None = None, state0: Any = None) -> Stream:
        """Return a stream: it takes one step, or some, at a time, and keeps the state from call to call.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side; without it there is one, and steps have no axis for it.
        state0 : ndarray or pair of ndarray, optional
            Initial state, as `forward`'s; zeros without it.

        Raises
        ------
        ValueError, TypeError
            The layer is bidirectional: then every step depends on the last. Or an argument is not as required.
        """
        return Stream(self, batch_size, state0)

    def every_layer(self, x: Array, state0: Any = None, lengths: Any = None) -> tuple[list[Array], Any]:
        """Run the layer as by calling it, and return what each layer of the stack says, the lowest first.

        Parameters and errors are `forward`'s; the last of the outputs is its y.
        """
        return self._infer(f"{type(self).__name__}.every_layer", x, state0, lengths, every=True)

    def _infer(
        self, where: str, x: Any, state0: Any, lengths: Any, *, every: bool, resets: Any = None, reset_to: Any = None
    ) -> tuple[list[Array], Any]:
        """Return the output of every layer, or of the top one alone, and the final state; without a tape."""
        x, lengths, states, layout = self._checked_inputs(where, x, state0, lengths)
        segments, put_back, _ = self._segments(where, resets, reset_to, lengths, layout, state0, states)

        def run(group: Group | None, x: Array, states: State) -> tuple[list[Array], State, None]:
            return *self._through_cells(x, states, lengths if group is None else group.lengths, every), None

        if segments is None:
            outputs, finals, _ = run(None, x, states)
        else:
            outputs, finals, _ = through(segments, run, x, states, put_back)
        return [layout.outward(y) for y in outputs], self._outward_state(finals, layout)

    def forward(
        self,
        x: Array,
        state0: Any = None,
        lengths: Any = None,
        *,
        rng: np.random.Generator | int | None = None,
        resets: Any = None,
        reset_to: Any = None,
        all_states: bool = False,
    ) -> tuple[Any, Any, Tape]:
        """Run the layer for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        x : ndarray, shape (T, B, I); (B, T, I) with batch_first; (T, I) unbatched
            Input, of the layer's dtype, and on the GPU if the layer is: what comes in must be where the parameters are,
            and what goes out is there.
        state0 : ndarray or pair of ndarray, optional
            Initial state h, for LSTM (h, c); each (layers·directions, B, H), unbatched (layers·directions, H).
            Zeros without it.
        lengths : array of int, shape (B,), optional
            Valid steps of each sequence. y is zero past them, the final state is that of the last valid step, and
            the backward direction begins there. From the GPU they are copied to the host.
        rng : Generator or int, optional
            Draws the dropout masks and those of the other regularisers; the same int, the same masks. Without it the
            layer's own generator, which goes on from call to call, is used.
        resets : array of bool or of 0 and 1, shape (T, B), laid out as x, optional
            Where it is true, the states of a row are put back before that step, and nothing of what came before reaches
            what comes after, nor a gradient back; a second direction, too, begins anew there.
        reset_to : "zeros", ndarray or pair of ndarray, optional
            What states are put back to: zeros, or a state shaped as `state0`. Without it, `state0` itself.
        all_states : bool
            Return every state of the last layer at every step, where y would be.

        Returns
        -------
        y : ndarray, shape (T, B, directions·H), laid out as x
            Hidden state of the last layer at every step. With `all_states` a tuple instead, (y, c) for LSTM and (y,)
            for a cell of one state, each shaped as y.
        state : ndarray or pair of ndarray
            Final states, shaped as `state0`.
        tape : Tape
            For `backward`. It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            A shape, a length or a value (NaN, infinity) is not as required; the message says where.
        TypeError
            A dtype differs from the layer's, or an array is on the other side than the layer, host or GPU.

        Notes
        -----
        On the GPU nothing is looked through for NaN and infinity, as that would have the host wait for it.
        """
        where = f"{type(self).__name__}.forward"
        rng = self._dropout_rng if rng is None else generator(rng, where)
        return self._forward(where, x, state0, lengths, rng, resets, reset_to, flag(where, "all_states", all_states))

    def _forward(
        self, where: str, x: Any, state0: Any, lengths: Any, rng: np.random.Generator | None, resets: Any,
        reset_to: Any, all_states: bool,
    ) -> tuple[Any, Any, Tape]:  # fmt: skip
        """Run the layer with a tape; without a generator dropout is off."""
        if all_states and not hasattr(self._core, "states"):
            why = f"in {self.precision} backend {self.backend!r} keeps no states"
            raise RuntimeError(f"{where}: all_states must be False here: {why}")
        x, lengths, states, layout = self._checked_inputs(where, x, state0, lengths)
        segments, put_back, reset_to = self._segments(where, resets, reset_to, lengths, layout, state0, states)
        dropout = 0.0 if rng is None else self.dropout
        noise = None if rng is None else self._drawn(rng, layout.T, layout.B)
        kept: Pass | Tapes
        if segments is None:

            def mask_of(_: int, y: Array) -> Array | None:
                return dropout_mask(y, dropout, rng, rows=1) if dropout else None

            ys, finals, kept = self._forward_cells(x, states, lengths, mask_of, all_states, noise)
        else:  # the masks of the whole batch, so that a seed drops the same places with resets and without
            y = self.namespace.empty((layout.T, layout.B, self.directions * self._sizes[0]), dtype=self.dtype)
            masks = [dropout_mask(y, dropout, rng, rows=1) if dropout else None for _ in range(self.num_layers - 1)]

            def run(group: Group, x: Array, states: State) -> tuple[list[Array], State, Pass]:
                def mask_of(k: int, _: Array) -> Array | None:
                    return None if masks[k] is None else group.of(masks[k])

                own = None if noise is None else [[masks.of(group) for masks in layer] for layer in noise]
                return self._forward_cells(x, states, group.lengths, mask_of, all_states, own)

            ys, finals, kept = through(segments, run, x, states, put_back)
        outward = tuple([layout.outward(y) for y in ys])
        tape = Tape(self, kept, lengths, layout, reset_to)
        return outward if all_states else outward[0], self._outward_state(finals, layout), tape

    def backward(
        self,
        tape: Tape,
        dy: Array | None,
        dstate: Any = None,
        needs: Iterable[str] | None = None,
        dstates: tuple[Array | None, ...] | None = None,
        ready: Ready | None = None,
    ) -> tuple[Array | None, Any, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂y and ∂L/∂state.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times, as long as the parameters are the same.
        dy : ndarray or None
            ∂L/∂y, shaped as y; None stands for zeros.
        dstate : ndarray or pair of ndarray, optional
            ∂L/∂state, shaped as the state; None, also inside an LSTM's pair, stands for zeros.
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed, and
            the walk back through the stack stops at the lowest layer that something wanted depends on.
        dstates : tuple of ndarray, optional
            ∂L/∂ all states at every step, as `all_states` returns them, with None in a place for zeros. The first is
            ∂L/∂y: it stands here or in `dy`, and not in both.
        ready : callable, optional
            Is given gradients of parameters by name, not to be changed, as soon as they are final: layer by layer, the
            top one's first. With `resets` it may be given none, as all of them are final together.

        Returns
        -------
        dx : ndarray or None
            ∂L/∂x, laid out as x; None if not wanted.
        dstate0 : ndarray or pair, or None
            ∂L/∂state0; None, for LSTM in either place, if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter. Where `reset_to` was a state, ∂L/∂ that, too: as reset_h, reset_c.

        Raises
        ------
        ValueError, TypeError
            As `forward`; and for a name in `needs` that doesn't exist.
        """
        where = f"{type(self).__name__}.backward"
        if not isinstance(tape, Tape):
            raise TypeError(f"{where}: tape must be the third value of forward, got {describe(tape)}")
        if tape.owner is not self:
            other = type(tape.owner).__name__
            raise ValueError(f"{where}: tape must come from this layer's own forward, got another {other}'s")
        layout, lengths, given = tape.layout, tape.lengths, tape.reset_to == "given"
        back_names = [f"reset_{s}" for s in self.spec.states]
        needs = check_needs(where, needs, (*self.gradient_names, *(back_names if given else ())))
        dfinal = self._checked_states(where, "dstate", dstate, layout)
        dys = self._checked_upstream(where, dy, dstates, layout, lengths)
        firsts = [f"{s}0" for s in self.spec.states]
        state_needs = frozenset(s for s, back in zip(firsts, back_names, strict=True) if needs & {s, back})
        dx, dstates0, dback, grads = self._back(tape, dys, dfinal, needs, state_needs, ready)
        return (
            layout.outward(dx) if "x" in needs else None,
            self._outward_state(
                tuple([ds if s in needs else None for s, ds in zip(firsts, dstates0, strict=True)]), layout
            ),
            {name: grads[name] for name in self.parameters if name in needs}
            | {name: layout.outward_state(ds) for name, ds in zip(back_names, dback, strict=True) if name in needs},
        )

    def _back(
        self, tape: Tape, dys: list[Array | None], dfinal: tuple[Array | None, ...], needs: frozenset[str],
        state_needs: frozenset[str], ready: Ready | None,
    ) -> tuple[Array | None, tuple[Array | None, ...], tuple[Array | None, ...], dict[str, Array]]:  # fmt: skip
        """Return the gradients of x, of the first states, of what states were put back to, and of parameters."""
        if isinstance(tape.kept, Pass):
            dx, first, grads = self._back_cells(tape.kept, dys, dfinal, needs, state_needs, ready)
            given = [ds is not None and tape.reset_to == "given" for ds in first]
            nothing = [self.namespace.zeros_like(ds) if g else None for ds, g in zip(first, given, strict=True)]
            return dx, first, tuple(nothing), grads

        def run(
            kept: Pass, dys: list[Array | None], dfinal: tuple[Array | None, ...]
        ) -> tuple[Array | None, tuple[Array | None, ...], dict[str, Array]]:
            return self._back_cells(kept, dys, dfinal, needs, state_needs)

        again = tape.reset_to != "zeros" and bool(state_needs)
        dx, first, back, grads = back_through(tape.kept, run, dys, dfinal, again=again)
        if tape.reset_to == "state0":  # the same states have two uses
            pairs = zip(first, back, strict=True)
            first = tuple([one if other is None else one + other for one, other in pairs])
        return dx, first, back, grads
