"""A stack of cells over sequences, in one direction or two: what `RNN`, `LSTM` and `GRU` share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import CELLS, Array, CellSpec, Parameters, State, gradient_names

from .. import backends
from .base import Layer, generator
from .checks import (
    as_array,
    check_activations,
    check_array,
    check_lengths,
    check_needs,
    check_seed,
    checked_dtype,
    checked_precision,
    flag,
    of_another_dtype,
    positive_int,
    probability,
)
from .dropout import dropout_mask
from .first_values import drawing, first_values
from .home import namespace_of, to_host, zeros
from .layout import Layout, describe, join, turn
from .live import Watch, or_build
from .resets import Group, Segments, Tapes, back_through, check_resets, segments_of, through
from .small.calls import SmallCalls
from .small.stream import Stream


class Pass(NamedTuple):
    """What is kept of a batch that has gone through the stack."""

    cells: list[list[Any]]  # [layer][direction]: the cell's own tape
    masks: list[Array | None]  # dropout after each layer, None where there is none
    lengths: np.ndarray | None


class Tape(NamedTuple):
    """What a layer's backward needs. Opaque to the caller."""

    owner: Recurrent  # the layer whose forward made it
    kept: Pass | Tapes  # those of segments, where states were put back
    lengths: np.ndarray | None
    layout: Layout
    reset_to: str  # what states were put back to: "state0", "zeros", or "given"


class Recurrent(Layer):
    """A stack of `num_layers` cells in one direction or two. Made through `RNN`, `LSTM` or `GRU`."""

    cell: str
    """The cell's name in `kernels.contract.CELLS`."""

    _small: SmallCalls | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
    ) -> None:
        name = type(self).__name__
        self.input_size = positive_int(name, "input_size", input_size)
        self.hidden_size = positive_int(name, "hidden_size", hidden_size)
        self.num_layers = positive_int(name, "num_layers", num_layers)
        self.dropout = probability(name, "dropout", dropout)
        bias = flag(name, "bias", bias)
        bidirectional = flag(name, "bidirectional", bidirectional)
        self.directions = 2 if bidirectional else 1
        self.batch_first = flag(name, "batch_first", batch_first)
        seed = check_seed(name, seed)
        self.spec = self._spec()
        dtype = checked_dtype(name, dtype)
        self.backend = backend or ("numpy" if dtype.kind == "c" else backends.default(self._made_by))
        try:
            self._core = self._core_of(backends.get(self.backend), checked_precision(precision, dtype))
        except (ValueError, RuntimeError) as error:
            raise type(error)(f"{name}: {error}") from None
        if dtype.kind == "c" and self.backend != "numpy":
            raise ValueError(f"{name}: complex128 runs on backend='numpy' alone, got backend={self.backend!r}")
        self.config = {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": bias,
            "batch_first": self.batch_first,
            "dropout": self.dropout,
            "bidirectional": bidirectional,
            "backend": self.backend,
            "dtype": dtype.name,
            "seed": seed,
        }
        if precision != "float32":  # a file says no more than versions that knew none had it say
            self.config["precision"] = precision
        self._initialise(bias, dtype, seed)
        if self.dropout and self.num_layers == 1 and drawing():
            warnings.warn(
                f"{name}: dropout must be 0 with num_layers=1, as it acts between layers alone, got {self.dropout:g}, "
                "which drops nothing; leave it out, stack layers, or put rnn_core.layers.Dropout before or behind",
                stacklevel=2 + (type(self).__init__ is not Recurrent.__init__),
            )

    def _initialise(self, bias: bool, dtype: np.dtype, seed: int | None) -> None:
        """Draw every parameter from U(−1/√H, 1/√H), as torch does, in the order of the names; take them home."""
        xp = namespace_of(type(self).__name__, self.backend)
        rng = np.random.default_rng(seed)
        self._dropout_rng = rng.spawn(1)[0]
        named: dict[str, Array] = {}
        self._cell_parameters: list[list[Any]] = []
        for k in range(self.num_layers):
            shapes = self._shapes(self.input_size if k == 0 else self.directions * self.hidden_size, bias)
            self._cell_parameters.append([])
            for d in range(self.directions):
                arrays = {f: first_values(xp, shape, dtype, self._draw(f, rng)) for f, shape in shapes.items()}
                self._cell_parameters[k].append(self._gathered(arrays))
                named |= {self._name(field, k, d): array for field, array in arrays.items()}
        self.parameters = named
        if hasattr(backends.get(self.backend), "prepare") and self._made_by == "cell":
            watch, precision = Watch(list(named.values())), self.config.get("precision", "float32")
            made_of = self.backend, self.cell, self._cell_parameters, dtype, self.batch_first, watch, precision
            self._small = SmallCalls(*made_of)

    # ── What a cell's parameters are: of one that a user has defined, `defined` says it ──────────────────────────────

    _made_by = "cell"
    """The function of a backend that makes the core."""

    def _spec(self) -> CellSpec:
        return CELLS[self.cell]

    def _core_of(self, backend: Any, precision: str) -> Any:
        """Return the cell's time loops."""
        return backend.cell(self.cell, precision)

    @property
    def _fields(self) -> tuple[str, ...]:
        """The parameters of one layer in one direction, in the order in which they are drawn."""
        return Parameters._fields

    def _shapes(self, input_size: int, bias: bool) -> dict[str, tuple[int, ...]]:
        """Return their shapes; those that are not there are left out."""
        GH, H = self.spec.gate_count * self.hidden_size, self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (GH, input_size), "weight_hh": (GH, H)}
        return shapes | ({"bias_ih": (GH,), "bias_hh": (GH,)} if bias else {})

    def _draw(self, field: str, rng: np.random.Generator) -> Callable[[tuple[int, ...]], Any]:
        """Return what draws a parameter of a shape."""
        return partial(rng.uniform, -(self.hidden_size**-0.5), self.hidden_size**-0.5)

    def _gathered(self, arrays: dict[str, Array]) -> Any:
        """Return the parameters of one layer in one direction, as the core reads them."""
        return Parameters(*(arrays.get(field) for field in Parameters._fields))

    def _taken(self, gradients: Any, field: str) -> Array:
        """Return the gradient of a parameter, from what the core has returned."""
        return getattr(gradients, field)

    # ── By name ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def precision(self) -> str:
        """In what the core multiplies: "float32" stands for the layer's own dtype; `astype` makes another."""
        return str(self.config.get("precision", "float32"))

    @staticmethod
    def _name(field: str, layer: int, direction: int) -> str:
        """Return torch's name of a parameter: weight_ih_l0, weight_hh_l1_reverse, …"""
        return f"{field}_l{layer}{'_reverse' if direction else ''}"

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Parameter names by layer of the stack: l0, l1, …"""
        return {
            f"l{k}": tuple(
                name
                for d in range(self.directions)
                for field in self._fields
                if (name := self._name(field, k, d)) in self.parameters
            )
            for k in range(self.num_layers)
        }

    @property
    def gates(self) -> dict[str, tuple[str, ...]]:
        """The gates into whose blocks of H rows the first axis of each parameter falls, in order; () for none."""
        gates: tuple[str, ...] = self.spec.gates._fields  # type: ignore[attr-defined]
        return dict.fromkeys(self.parameters, gates)

    @property
    def gate_blocks(self) -> dict[str, int]:
        """Into how many gate blocks the first axis of each parameter falls."""
        return {name: max(1, len(gates)) for name, gates in self.gates.items()}

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x, the initial states and every parameter."""
        return (*gradient_names(self.spec)[: 1 + len(self.spec.states)], *self.parameters)

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

    def _through_cells(
        self, x: Array, states: State, lengths: np.ndarray | None, every: bool
    ) -> tuple[list[Array], State]:
        """Return the output of every layer, or of the top one alone, and the final states, without a tape."""
        outputs, finals = [], []
        for k in range(self.num_layers):
            ys = []
            for d in range(self.directions):
                at = k * self.directions + d
                y, final = self._core.infer(
                    self._cell_parameters[k][d], turn(x, lengths, d), tuple([s[at] for s in states]), lengths
                )
                ys.append(turn(y, lengths, d))
                finals.append(final)
            x = join(ys)
            if every or k == self.num_layers - 1:
                outputs.append(x)
        return outputs, _stacked(finals)

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
            Draws the dropout masks; the same int, the same masks. Without it the layer's own generator, which
            goes on from call to call, is used.
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
        kept: Pass | Tapes
        if segments is None:

            def mask_of(_: int, y: Array) -> Array | None:
                return dropout_mask(y, dropout, rng) if dropout else None

            ys, finals, kept = self._forward_cells(x, states, lengths, mask_of, all_states)
        else:  # the masks of the whole batch, so that a seed drops the same places with resets and without
            y = self.namespace.empty((layout.T, layout.B, self.directions * self.hidden_size), dtype=self.dtype)
            masks = [dropout_mask(y, dropout, rng) if dropout else None for _ in range(self.num_layers - 1)]

            def run(group: Group, x: Array, states: State) -> tuple[list[Array], State, Pass]:
                def mask_of(k: int, _: Array) -> Array | None:
                    return None if masks[k] is None else group.of(masks[k])

                return self._forward_cells(x, states, group.lengths, mask_of, all_states)

            ys, finals, kept = through(segments, run, x, states, put_back)
        outward = tuple([layout.outward(y) for y in ys])
        tape = Tape(self, kept, lengths, layout, reset_to)
        return outward if all_states else outward[0], self._outward_state(finals, layout), tape

    def _forward_cells(
        self, x: Array, states: State, lengths: np.ndarray | None, mask_of: Callable[[int, Array], Array | None],
        all_states: bool,
    ) -> tuple[list[Array], State, Pass]:  # fmt: skip
        """Return the top layer's y, or all of its states, the final states, and a tape; masks come by layer and y."""
        finals, tapes, masks = [], [], []
        for k in range(self.num_layers):
            ys, layer_tapes = [], []
            for d in range(self.directions):
                at = k * self.directions + d
                y, final, cell_tape = self._core.forward(
                    self._cell_parameters[k][d], turn(x, lengths, d), tuple([s[at] for s in states]), lengths
                )
                ys.append(turn(y, lengths, d))
                finals.append(final)
                layer_tapes.append(cell_tape)
            x = join(ys)
            mask = mask_of(k, x) if k < self.num_layers - 1 else None
            x = x if mask is None else x * mask
            tapes.append(layer_tapes)
            masks.append(mask)
        outputs = [x]
        if all_states and len(self.spec.states) > 1:
            by_direction = [self._core.states(tape)[1:] for tape in layer_tapes]
            for parts in zip(*by_direction, strict=True):
                outputs.append(join([turn(part, lengths, d) for d, part in enumerate(parts)]))
        return outputs, _stacked(finals), Pass(tapes, masks, lengths)

    def backward(
        self,
        tape: Tape,
        dy: Array | None,
        dstate: Any = None,
        needs: Iterable[str] | None = None,
        dstates: tuple[Array | None, ...] | None = None,
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
        dx, dstates0, dback, grads = self._back(tape, dys, dfinal, needs, state_needs)
        return (
            layout.outward(dx) if "x" in needs else None,
            self._outward_state(
                tuple([ds if s in needs else None for s, ds in zip(firsts, dstates0, strict=True)]), layout
            ),
            {name: grads[name] for name in self.parameters if name in needs}
            | {name: layout.outward_state(ds) for name, ds in zip(back_names, dback, strict=True) if name in needs},
        )

    def _checked_upstream(
        self, where: str, dy: Any, dstates: Any, layout: Layout, lengths: np.ndarray | None
    ) -> list[Array | None]:
        """Return ∂L/∂ y, and those of the other states at every step where there are any."""
        names, upstream = self.spec.states, {"dy": dy}
        if dstates is not None:
            if not isinstance(dstates, tuple | list) or len(dstates) != len(names):
                wanted = f"({', '.join(names)}{',' if len(names) == 1 else ''})"
                raise ValueError(f"{where}: dstates must be a tuple {wanted}, got {describe(dstates)}")
            if dy is not None and dstates[0] is not None:
                raise ValueError(f"{where}: dstates[0] must be None where dy is given: both are ∂L/∂y; leave one out")
            if dstates[0] is not None:
                upstream = {"dstates[0]": dstates[0]}
            upstream |= {f"dstates[{k}]": ds for k, ds in enumerate(dstates) if k}
        shape, valid = layout.sequence_shape(self.directions * self.hidden_size), layout.running(lengths)
        found: list[Array | None] = []
        for name, d in upstream.items():
            if d is not None:
                d = check_array(where, name, d, shape, self.dtype, valid, "it is shaped as y", self.namespace)
                d = layout.inward(d)
            found.append(d)
        return found

    def _back(
        self, tape: Tape, dys: list[Array | None], dfinal: tuple[Array | None, ...], needs: frozenset[str],
        state_needs: frozenset[str],
    ) -> tuple[Array | None, tuple[Array | None, ...], tuple[Array | None, ...], dict[str, Array]]:  # fmt: skip
        """Return the gradients of x, of the first states, of what states were put back to, and of parameters."""
        if isinstance(tape.kept, Pass):
            dx, first, grads = self._back_cells(tape.kept, dys, dfinal, needs, state_needs)
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

    def _back_cells(
        self, kept: Pass, dys: list[Array | None], dfinal: tuple[Array | None, ...], needs: frozenset[str],
        state_needs: frozenset[str],
    ) -> tuple[Array | None, tuple[Array | None, ...], dict[str, Array]]:  # fmt: skip
        """Walk back through the stack: the gradients of x, of the initial states and of parameters."""
        D, H, lengths = self.directions, self.hidden_size, kept.lengths
        lowest = self._lowest_needed(needs, state_needs)
        grads: dict[str, Array] = {}
        dstates0: list[State] = []  # from the top layer down
        dx: Array = None
        dy, *others = dys  # of the top layer
        for k in reversed(range(lowest, self.num_layers)):
            wants_dx = k > lowest or "x" in needs
            dxs: list[Array] = []
            for d in reversed(range(D)):
                named = {f: name for f in self._fields if (name := self._name(f, k, d)) in needs}
                wanted = state_needs.union(named, ("x",) if wants_dx else ())
                if not wanted:
                    continue
                mine = slice(d * H, (d + 1) * H)
                more = [None if ds is None else turn(ds[..., mine], lengths, d) for ds in others]
                dx_d, dstate0, gradients = self._core.backward(
                    self._cell_parameters[k][d],
                    kept.cells[k][d],
                    None if dy is None else turn(dy[..., mine], lengths, d),
                    tuple(None if s is None else s[k * D + d] for s in dfinal),
                    wanted,
                    *([(None, *more)] if others else ()),
                )
                dxs.append(turn(dx_d, lengths, d) if wants_dx else None)
                dstates0.append(dstate0)
                grads.update({name: self._taken(gradients, field) for field, name in named.items()})
            dx = None if not wants_dx else dxs[0] if D == 1 else dxs[0] + dxs[1]
            if k > lowest:
                mask = kept.masks[k - 1]
                dy, others = dx if mask is None else dx * mask, []
        return dx, _stacked(dstates0[::-1]) if state_needs else (None,) * len(dfinal), grads

    def _lowest_needed(self, needs: frozenset[str], state_needs: frozenset[str]) -> int:
        """Return the lowest layer that has to be walked back to; num_layers if none."""
        if state_needs or "x" in needs:
            return 0
        layers = (k for k, names in enumerate(self.groups.values()) if needs.intersection(names))
        return next(layers, self.num_layers)

    def _checked_inputs(
        self, where: str, x: Any, state0: Any, lengths: Any
    ) -> tuple[Array, np.ndarray | None, State, Layout]:
        """Return x time-major and batched, lengths, the initial states, and how the user laid x out."""
        xp, I, dtype = self.namespace, self.input_size, self.dtype
        given, x = x, as_array(where, "x", x, xp)
        if x.dtype != dtype:
            got = of_another_dtype("x", given, x, dtype, of="x.")
            raise TypeError(
                f"{where}: x must be {dtype}, as the weights are, {got}{or_build(type(self).__name__, x.dtype)}"
            )
        if x.ndim not in (2, 3) or x.shape[-1] != I:
            batched = f"(B, T, {I})" if self.batch_first else f"(T, B, {I})"
            raise ValueError(
                f"{where}: x must have shape {batched} or, unbatched, (T, {I}), got {x.shape}; input_size is {I}"
            )
        if 0 in x.shape:
            raise ValueError(f"{where}: x must have at least one sequence and one time step, got shape {x.shape}")
        layout = Layout.of(x.shape, self.batch_first)
        if lengths is not None and not layout.batched:
            lengths = np.reshape(to_host(lengths), -1)
        lengths = check_lengths(where, lengths, layout.T, layout.B)
        check_activations(where, "x", x, layout.running(lengths))
        states = self._checked_states(where, "state0", state0, layout)
        if [s for s in states if s is None]:
            none = zeros(xp, (self.num_layers * self.directions, layout.B, self.hidden_size), dtype)
            states = tuple([none if s is None else s for s in states])
        return layout.inward(x), lengths, states, layout

    def _checked_states(self, where: str, name: str, state: Any, layout: Layout) -> tuple[Array | None, ...]:
        """Return each state as a (layers·directions, B, H) array, or None where there is none."""
        names = self.spec.states
        if state is None:
            return (None,) * len(names)
        if len(names) == 1:
            return (self._checked_state(where, name, state, layout),)
        if not isinstance(state, tuple | list) or len(state) != len(names):
            kind = "pair" if len(names) == 2 else "tuple"
            raise ValueError(f"{where}: {name} must be a {kind} ({', '.join(names)}), got {describe(state)}")
        return tuple(self._checked_state(where, f"{name}[{k}]", s, layout) for k, s in enumerate(state))

    def _checked_state(self, where: str, name: str, state: Any, layout: Layout) -> Array | None:
        if state is None:
            return None
        stacked = self.num_layers * self.directions
        shape, axes = layout.state_shape(stacked, self.hidden_size), "layers·directions, B, H"
        why = f"its axes are {axes if layout.batched else axes.replace('B, ', '')}"
        state = check_array(where, name, state, shape, self.dtype, why=why, xp=self.namespace)
        return state.reshape(stacked, layout.B, self.hidden_size)

    def _segments(
        self, where: str, resets: Any, reset_to: Any, lengths: np.ndarray | None, layout: Layout, state0: Any,
        states: State,
    ) -> tuple[Segments | None, State, str]:  # fmt: skip
        """Return the segments of a call, None where no state is put back; what it is put back to, and how that came."""
        if resets is None:
            return None, states, "state0"
        alone = getattr(backends.get(self.backend), "ALONE", False)
        segments = segments_of(check_resets(where, resets, layout), lengths, self.namespace, alone=alone)
        if reset_to is None and state0 is not None:
            return segments, states, "state0"
        none = zeros(self.namespace, tuple(states[0].shape), self.dtype)
        if reset_to is None or (isinstance(reset_to, str) and reset_to == "zeros"):
            return segments, (none,) * len(states), "zeros"
        if isinstance(reset_to, str):
            raise ValueError(f"{where}: reset_to must be 'zeros' or a state, got {reset_to!r}")
        given = self._checked_states(where, "reset_to", reset_to, layout)
        return segments, tuple([none if s is None else s for s in given]), "given"

    def _outward_state(self, states: tuple[Array | None, ...], layout: Layout) -> Any:
        """Return the states of all layers and directions as the user's h or (h, c)."""
        return self._state(tuple([None if s is None else layout.outward_state(s) for s in states]))

    @staticmethod
    def _state(states: tuple[Array | None, ...]) -> Any:
        return states[0] if len(states) == 1 else states


def _stacked(states: list[State]) -> tuple[Array | None, ...]:
    """Return the states of all cells, each with those of all layers and directions along a new first axis."""
    return tuple([None if s[0] is None else _stack(s) for s in zip(*states, strict=True)])


def _stack(arrays: tuple[Array, ...]) -> Array:
    """Return arrays along a new first axis."""
    return arrays[0][None] if len(arrays) == 1 else array_namespace(arrays[0]).stack(arrays)
