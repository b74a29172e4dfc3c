"""A batch through the cells of a stack, layer by layer and direction by direction, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array, Cut, State

from ..layout import join, turn
from ..regularised import Noise
from .checked import Checked

Ready = Callable[[Mapping[str, Array]], None]
"""Is given gradients by name, as soon as they are final."""


class Pass(NamedTuple):
    """What is kept of a batch that has gone through the stack."""

    cells: list[list[Any]]  # [layer][direction]: the cell's own tape
    masks: list[Array | None]  # dropout after each layer, None where there is none
    lengths: np.ndarray | Cut | None
    core: Any  # the time loops that have made them


class Cells(Checked):
    """A stack with its passes. All arrays are time-major and have been checked."""

    def _through_cells(
        self, x: Array, states: State, lengths: np.ndarray | Cut | None, every: bool
    ) -> tuple[list[Array], State]:
        """Return the output of every layer, or of the top one alone, and the final states, without a tape."""
        outputs, finals = [], []
        for k in range(self.num_layers):
            ys = []
            for d in range(self.directions):
                at = k * self.directions + d
                y, final = self._core.infer(
                    self._read(k, d), turn(x, lengths, d), tuple([s[at] for s in states]), lengths
                )
                ys.append(turn(y, lengths, d))
                finals.append(final)
            x = join(ys)
            if every or k == self.num_layers - 1:
                outputs.append(x)
        return outputs, _stacked(finals)

    def _forward_cells(
        self, x: Array, states: State, lengths: np.ndarray | Cut | None, mask_of: Callable[[int, Array], Array | None],
        all_states: bool, noise: list[list[Noise]] | None = None,
    ) -> tuple[list[Array], State, Pass]:  # fmt: skip
        """Return the top layer's y, or all of its states, the final states, and a tape; masks come by layer and y."""
        core: Any = self._core if noise is None else self._noisy
        finals, tapes, masks = [], [], []
        for k in range(self.num_layers):
            ys, layer_tapes = [], []
            for d in range(self.directions):
                at = k * self.directions + d
                own = [] if noise is None else [noise[k][d].turned(lengths, d)]
                y, final, cell_tape = core.forward(
                    self._read(k, d), turn(x, lengths, d), tuple([s[at] for s in states]), lengths, *own
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
            by_direction = [core.states(tape)[1:] for tape in layer_tapes]
            for parts in zip(*by_direction, strict=True):
                outputs.append(join([turn(part, lengths, d) for d, part in enumerate(parts)]))
        return outputs, _stacked(finals), Pass(tapes, masks, lengths, core)

    def _back_cells(
        self, kept: Pass, dys: list[Array | None], dfinal: tuple[Array | None, ...], needs: frozenset[str],
        state_needs: frozenset[str], ready: Ready | None = None,
    ) -> tuple[Array | None, tuple[Array | None, ...], dict[str, Array]]:  # fmt: skip
        """Walk back through the stack: the gradients of x, of the initial states and of parameters."""
        D, lengths = self.directions, kept.lengths
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
                mine = [None if ds is None else turn(_part(ds, D, d), lengths, d) for ds in (dy, *others)]
                dx_d, dstate0, gradients = kept.core.backward(
                    self._read(k, d),
                    kept.cells[k][d],
                    mine[0],
                    tuple(None if s is None else s[k * D + d] for s in dfinal),
                    wanted,
                    *([(None, *mine[1:])] if others else ()),
                )
                dxs.append(turn(dx_d, lengths, d) if wants_dx else None)
                dstates0.append(dstate0)
                own = {name: self._taken(gradients, field) for field, name in named.items()}
                grads.update(own)
                if ready is not None:
                    ready(own)
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


def _part(sequence: Array, directions: int, direction: int) -> Array:
    """Return a direction's part of what stands side by side on the last axis."""
    size = sequence.shape[-1] // directions
    return sequence[..., direction * size : (direction + 1) * size]


def _stacked(states: list[State]) -> tuple[Array | None, ...]:
    """Return the states of all cells, each with those of all layers and directions along a new first axis."""
    return tuple([None if s[0] is None else _stack(s) for s in zip(*states, strict=True)])


def _stack(arrays: tuple[Array, ...]) -> Array:
    """Return arrays along a new first axis."""
    return arrays[0][None] if len(arrays) == 1 else array_namespace(arrays[0]).stack(arrays)
