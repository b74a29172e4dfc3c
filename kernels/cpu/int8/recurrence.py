"""A cell's inference in int8, as the contract has it: `prepare`, and `infer`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import QuantizedParameters, State

from ..calls import last_states, set_state, state_views
from ..emitting.cell import KernelCell
from ..emitting.simd import Lanes, host_width
from ..plan import effort
from ..recurrence import CELLS
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import Block, array, constant, take
from ..running.packing import BiasPanels, add_biases
from ..running.rows import Rows, running
from .dots import ways
from .loop import PLACE, make_forward
from .panels import pack
from .plan import FASTER, forward_shape, panel_of


class Prepared(NamedTuple):
    """Weights as the loop reads them."""

    lanes: Lanes
    way: str  # in which bytes are multiplied
    I: int
    H: int
    weights: int
    w_x: Block
    w_h: Block
    bias: Block


class QuantizedRecurrence(NamedTuple):
    """A cell of the contract, in int8. It knows its name and nothing else, so it can be copied and pickled."""

    name: str

    def prepare(self, params: QuantizedParameters, way: str | None = None) -> Prepared:
        """Return the weights in panels; `way` is one of `dots.ways`, the best one without it."""
        lanes, cell = Lanes("float32", host_width()), CELLS[self.name]
        (_, I), H = params.weight_ih.shape, params.weight_hh.shape[1]
        panel, slots = panel_of(cell, lanes, H), len(cell.slot_names)
        if params.bias_ih is None or params.bias_hh is None:
            bias = constant(0, lanes.dtype, slots * lanes.filled(H))
        else:
            bias = add_biases(
                params.bias_ih,
                params.bias_hh,
                BiasPanels(slots, cell.places_x, cell.places_h, panel, lanes),
            )
        return Prepared(
            lanes, way or ways(lanes)[0], I, H, params.weight_ih.size + params.weight_hh.size,
            pack(params.weight_ih, params.weight_ih_scale, cell.blocks_x, panel, lanes),
            pack(params.weight_hh, params.weight_hh_scale, cell.blocks_h, panel, lanes),
            bias,
        )  # fmt: skip

    def infer(
        self, prepared: Prepared, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State]:
        """Return y (T, B, H) and the state at each row's last valid step."""
        rows = running(x.shape[0], x.shape[1], lengths)
        with threads.share(effort(len(x), rows.count, prepared.weights, 1) / FASTER) as count:
            return _run(CELLS[self.name], prepared, x, state0, rows, count)


def _run(
    cell: KernelCell, prepared: Prepared, x: np.ndarray, state0: State, rows: Rows, count: int
) -> tuple[np.ndarray, State]:
    (T, B, I), H, lanes = x.shape, prepared.H, prepared.lanes
    shape = forward_shape(cell, lanes, T, B, rows.count, I, H, count)
    work, memory = shape.work, take(shape.work.size)
    x = rows.packed(x)
    y = array((T, B, H), x.dtype)
    if rows.ragged:
        y[:] = 0  # (V2)
    states = state_views(cell, memory, work, 2 * B, shape.Hp, lanes)
    for state, initial in zip(states, state0, strict=True):
        set_state(state[:B], rows.sorted(initial))
    at, job = memory.address, shape.job.copy()
    addresses: dict[str, Any] = {
        "offsets": rows.offsets_at, "order": rows.order_at, "x": x.ctypes.data, "y": y.ctypes.data,
        "w_x": prepared.w_x.address, "w_h": prepared.w_h.address, "bias": prepared.bias.address,
        **{name: at + work[name] for name in ("meeting", "scratch", "x_bytes", "x_scales", "h", "c")},
    }  # fmt: skip
    for name, address in addresses.items():
        job[PLACE[name]] = address
    loop = compiled(make_forward, cell, lanes, prepared.way)
    threads.run(loop.address, job.ctypes.data, shape.groups * shape.members, addresses["meeting"], shape.groups)
    return y, tuple([last_states(state, rows, T, H, False) for state in states])
