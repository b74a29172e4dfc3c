"""From a layer and its input to one cell of the stack: what went through it, what its tape keeps, what its loss is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..equations import ragged
from ..layers.layout import Layout, join, turn
from ..layers.stack import Recurrent
from .cells import Passage


class Passed(NamedTuple):
    """A batch that has gone through a stack, and back to one of its cells."""

    passage: Passage
    dx: np.ndarray  # (T, B, I), of this cell
    gradients: Any  # of its parameters, as the core returns them
    names: dict[str, str]  # of the parameters in the layer, by the core's
    layout: Layout


def pass_through(
    layer: Recurrent, where: str, x: Any, state0: Any, lengths: Any, dy: Any, depth: int, direction: int
) -> Passed:
    """Run a layer forwards, and back to one of its cells, on its own backend.

    Raises
    ------
    ValueError, TypeError
        As `Recurrent.forward` and `Recurrent.backward`, in the name of `where`.
    """
    x, lengths, states, layout = layer._checked_inputs(where, x, state0, lengths)
    (upstream,) = layer._checked_upstream(where, dy, None, layout, lengths)[:1]
    core, D = layer._core, layer.directions
    into, tapes, y = [], [], x
    for k in range(layer.num_layers):
        into.append(y)
        ys, own = [], []
        for d in range(D):
            first = tuple([s[k * D + d] for s in states])
            y_d, _, tape = core.forward(layer._read(k, d), turn(into[k], lengths, d), first, lengths)
            ys.append(turn(y_d, lengths, d))
            own.append((tape, first))
        y = join(ys)
        tapes.append(own)
    dy = np.ones_like(y) if upstream is None else upstream
    nothing = (None,) * len(states)
    for k in reversed(range(depth + 1, layer.num_layers)):
        dxs = []
        for d in range(D):
            dy_d = turn(_part(dy, D, d), lengths, d)
            dx, _, _ = core.backward(layer._read(k, d), tapes[k][d][0], dy_d, nothing, frozenset({"x"}))
            dxs.append(turn(dx, lengths, d))
        dy = dxs[0] if D == 1 else dxs[1] + dxs[0]
    params, (tape, first) = layer._read(depth, direction), tapes[depth][direction]
    dy = ragged.zero_past(lengths, np.ascontiguousarray(turn(_part(dy, D, direction), lengths, direction)))
    named = {f: name for f in layer._fields if (name := layer._name(f, depth, direction)) in layer.parameters}
    dx, _, found = core.backward(params, tape, dy, nothing, frozenset({"x", *named}))
    every, kept = _kept(layer, tape, first)
    into_cell = ragged.zero_past(lengths, np.ascontiguousarray(turn(into[depth], lengths, direction)))
    passage = Passage(params, into_cell, lengths, every, kept, dy)
    return Passed(passage, dx, found, named, layout)


def _part(sequence: np.ndarray, directions: int, direction: int) -> np.ndarray:
    size = sequence.shape[-1] // directions
    return sequence[..., direction * size : (direction + 1) * size]


def _kept(
    layer: Recurrent, tape: Any, state0: Sequence[np.ndarray]
) -> tuple[tuple[np.ndarray, ...], dict[str, np.ndarray]]:
    """Return every state, (T+1, B, ·) each, and what else a tape keeps, by name."""
    definition = getattr(layer, "definition", None)
    if layer.backend == "cpu":
        later = layer._core.states(tape)
        every = tuple(np.concatenate([s0[None], s]) for s0, s in zip(state0, later, strict=True))
        from kernels.cpu.recurrence import CELLS

        names = CELLS[layer.cell].kept if definition is None else definition.kept
        return every, _kept_by_kernels(tape, names)
    if definition is not None:
        return tape.states, dict(zip(definition.kept, tape.kept, strict=True))
    every = (tape.h, tape.c) if hasattr(tape, "c") else (tape.h,)
    if not hasattr(tape, "gates"):
        return every, {}
    blocks = layer.spec.blocks(layer.hidden_size)
    kept = {name: tape.gates[..., block] for name, block in blocks._asdict().items()}
    return every, kept | ({"m": tape.m} if hasattr(tape, "m") else {})


def _kept_by_kernels(tape: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what a tape of the CPU's kernels keeps besides the states, (T, B, H) each, out of its memory.

    It lies vector by vector, and there row by row: [vectors][N][what is kept][lanes].
    """
    from kernels.cpu.loops.job import PLACE

    shape, rows = tape.shape, tape.rows
    lanes, H = shape.lanes.count, int(shape.job[PLACE["H"]])
    memory = tape.memory.view(
        shape.tape["kept"], (shape.Hp // lanes, rows.count, len(names), lanes), shape.lanes.dtype
    )
    by_row = memory.transpose(2, 1, 0, 3).reshape(len(names), rows.count, shape.Hp)[..., :H]
    return {
        name: np.array(rows.unpacked(np.ascontiguousarray(part), *tape.batch))
        for name, part in zip(names, by_row, strict=True)
    }
