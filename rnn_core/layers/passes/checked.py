"""What comes into a stack, checked and as the cells want it; and what goes out, as the user lays it out."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array, State

from ... import backends
from ...foreign import shown
from ..checks import as_array, check_activations, check_array, check_lengths, of_another_dtype
from ..home import to_host, zeros
from ..layout import Layout, describe
from ..live import or_build
from .parts import Stack
from .segments import Segments, check_resets, segments_of


class Checked(Stack):
    """A stack with the checks of its arguments."""

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
            states = self._or_zeros(states, layout)
        return layout.inward(x), lengths, states, layout

    def _checked_states(self, where: str, name: str, state: Any, layout: Layout) -> tuple[Array | None, ...]:
        """Return each state as a (layers·directions, B, H) array, or None where there is none."""
        names = self.spec.states
        if state is None:
            return (None,) * len(names)
        if len(names) == 1:
            return (self._checked_state(where, name, state, layout, 0),)
        if not isinstance(state, tuple | list) or len(state) != len(names):
            kind = "pair" if len(names) == 2 else "tuple"
            raise ValueError(f"{where}: {name} must be a {kind} ({', '.join(names)}), got {describe(state)}")
        return tuple(self._checked_state(where, f"{name}[{k}]", s, layout, k) for k, s in enumerate(state))

    def _checked_state(self, where: str, name: str, state: Any, layout: Layout, k: int) -> Array | None:
        if state is None:
            return None
        stacked, size = self.num_layers * self.directions, self._sizes[k]
        axes = f"layers·directions, B, {'H' if size == self.hidden_size else 'proj_size'}"
        why = f"its axes are {axes if layout.batched else axes.replace('B, ', '')}"
        shape = layout.state_shape(stacked, size)
        state = check_array(where, name, state, shape, self.dtype, why=why, xp=self.namespace)
        return state.reshape(stacked, layout.B, size)

    def _or_zeros(self, states: tuple[Array | None, ...], layout: Layout) -> State:
        """Return states, with zeros where there are none."""
        shapes = [(self.num_layers * self.directions, layout.B, size) for size in self._sizes]
        none = {shape: zeros(self.namespace, shape, self.dtype) for shape in set(shapes)}
        return tuple([none[shape] if s is None else s for s, shape in zip(states, shapes, strict=True)])

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
        valid = layout.running(lengths)
        found: list[Array | None] = []
        for (name, d), size in zip(upstream.items(), self._sizes, strict=False):
            if d is not None:
                shape = layout.sequence_shape(self.directions * size)
                as_what = "it is shaped as y" if size == self._sizes[0] else "it is shaped as the state at every step"
                d = check_array(where, name, d, shape, self.dtype, valid, as_what, self.namespace)
                d = layout.inward(d)
            found.append(d)
        return found

    def _segments(
        self, where: str, resets: Any, reset_to: Any, lengths: np.ndarray | None, layout: Layout, state0: Any,
        states: State,
    ) -> tuple[Segments | None, State, str]:  # fmt: skip
        """Return the segments of a call, None where no state is put back; what it is put back to, and how that came."""
        back = None
        if isinstance(reset_to, str) and reset_to != "zeros":
            raise ValueError(f"{where}: reset_to must be 'zeros' or a state, got {shown(reset_to)}")
        if reset_to is not None and not isinstance(reset_to, str):
            back = self._checked_states(where, "reset_to", reset_to, layout)
        if resets is None and reset_to is not None:
            raise ValueError(
                f"{where}: reset_to must be left out without resets, which say where states are put back, got "
                f"{shown(reset_to) if back is None else 'a state'}; pass resets, too"
            )
        if resets is None:
            return None, states, "state0"
        alone = getattr(backends.get(self.backend), "ALONE", False)
        how = {"alone": alone, "cuts": getattr(self._core, "cuts", False)}
        segments = segments_of(check_resets(where, resets, layout), lengths, self.namespace, **how)
        if reset_to is None and state0 is not None:
            return segments, states, "state0"
        if back is None:
            return segments, self._or_zeros((None,) * len(states), layout), "zeros"
        return segments, self._or_zeros(back, layout), "given"

    def _outward_state(self, states: tuple[Array | None, ...], layout: Layout) -> Any:
        """Return the states of all layers and directions as the user's h or (h, c)."""
        return self._state(tuple([None if s is None else layout.outward_state(s) for s in states]))

    @staticmethod
    def _state(states: tuple[Array | None, ...]) -> Any:
        return states[0] if len(states) == 1 else states
