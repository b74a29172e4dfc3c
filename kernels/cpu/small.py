"""Inference of small shapes by a whole stack: what never changes between calls is found once, and one call remains.

A step of a small layer is a microsecond of work. To ask for memory, to make views of it, to find their addresses and
to ask whether weights are still what they were takes a hundred times as long. So memory for one shape, with the jobs of
all layers and directions that hold its addresses, is kept as a `Desk`: the caller fills in x and the initial states,
has it run, and reads y and the final states. A direction that walks backwards has the same x, whose rows its job counts
from the last to the first; a layer's y is the next one's x.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kernels.contract import Parameters

from .calls import DTYPES, weights_forward
from .emitting.cell import KernelCell
from .emitting.simd import EXACT
from .loops.forward import make_forward
from .loops.job import PLACE
from .running import threads
from .running.compiled import compiled
from .running.errands import Errand, bring, fetch, infer_alone
from .running.memory import Block, take
from .running.rounding import RoundJob, make_round_rows
from .running.rows import running
from .shapes import Parts, Shape, forward_shape, row_of_x, spread

BYTES = 1 << 20
"""Most bytes of x, of what goes from layer to layer, and of y, for which a desk is worth its memory."""


class Packed:
    """The panels of a stack's weights as they were at one time, by cell and by how they are packed."""

    __slots__ = ("blocks", "stamp", "version")

    def __init__(self, stamp: object):
        self.stamp = stamp
        self.version = object()  # by which a job tells that its addresses are these blocks', and holds none of them
        self.blocks: dict[tuple[int, Any], tuple[Block, ...]] = {}


class Prepared:
    """The weights of a stack, and desks to work at: it serves several threads, a desk one at a time."""

    def __init__(self, name: str, cell: KernelCell, stack: Sequence[Sequence[Parameters]], precision: str):
        self.name, self.cell, self.precision = name, cell, precision
        self.layers, self.directions = len(stack), len(stack[0])
        self.params = [params for layer in stack for params in layer]
        self._packed = Packed(None)

    def desk(self, T: int, B: int) -> Desk | None:
        """Return a desk for T steps of B sequences, or None where the ordinary way is as good."""
        I, size = self.params[0].weight_ih.shape[1], self.params[0].weight_ih.itemsize
        between = self.layers * self.directions * self.params[0].weight_hh.shape[1]
        return Desk(self, T, B) if T * B * (I + between) * size <= BYTES else None

    def packed(self, stamp: object) -> Packed:
        """Return what has been packed at this stamp."""
        packed = self._packed
        if stamp is None or packed.stamp is not stamp:
            packed = self._packed = Packed(stamp)
        return packed

    def panels(self, packed: Packed, at: int, shape: Shape) -> tuple[Block, ...]:
        """Return the panels of a cell's weights, and its biases."""
        key = at, shape.how
        if key not in packed.blocks:
            packed.blocks.setdefault(key, weights_forward(self.cell, self.params[at], shape))
        return packed.blocks[key]


class _Cut:
    """The loops of a desk, cut for so many threads."""

    def __init__(self, desk: Desk, count: int):
        self.shapes = [desk.shape_of(at, count) for at in range(len(desk.prepared.params))]
        plans = [shape.plan for shape in self.shapes]
        parts = Parts(
            **{f"meeting{at}": (1 + plan.groups) * threads.BETWEEN for at, plan in enumerate(plans)},
            scratch=max(int(shape.job[PLACE["scratch_size"]]) for shape in self.shapes) * count,  # one after the other
        )
        self._memory = memory = take(parts.size)
        self.version: object = None
        self.jobs, self.calls, self._roundings = [], [], []
        for at, shape in enumerate(self.shapes):
            for rounding in desk.roundings(at, shape):
                self._roundings.append(np.array(rounding, np.int64))
                loop = compiled(make_round_rows, shape.lanes).address
                self.calls.append((loop, self._roundings[-1].ctypes.data, rounding.threads, 0, 0))
            meeting = memory.address + parts[f"meeting{at}"]
            job = desk.job_of(at, shape)
            job[PLACE["meeting"]], job[PLACE["scratch"]] = meeting, memory.address + parts["scratch"]
            loop = compiled(make_forward, desk.prepared.cell, shape.lanes, False).address
            plan = plans[at]
            self.jobs.append(job)
            self.calls.append((loop, job.ctypes.data, plan.groups * plan.members, meeting, plan.groups))
        self._loops = np.array([call[:2] for call in self.calls], np.int64)
        errand = desk.errand._replace(loops=self._loops.ctypes.data, loop_count=len(self._loops))
        self._errand = np.array(errand, np.int64)
        self.errand_at = self._errand.ctypes.data

    def put(self, prepared: Prepared, packed: Packed) -> None:
        """Write the addresses of panels into the jobs."""
        self.version = None  # until all of them are there
        for at, (job, shape) in enumerate(zip(self.jobs, self.shapes, strict=True)):
            w_x, w_h, bias = prepared.panels(packed, at, shape)
            job[PLACE["w_x"]], job[PLACE["w_h"]], job[PLACE["bias"]] = w_x.address, w_h.address, bias.address
        self.version = packed.version


class Desk:
    """Memory for an inference of T steps of B sequences, views of it, and jobs that hold its addresses.

    Attributes
    ----------
    x : ndarray, shape (T, B, I)
        To be filled in.
    states : tuple of ndarray, shape (layers·directions, B, H)
        To be filled in, unless a run begins at zero; afterwards the final states.
    y : ndarray, shape (T, B, directions·H)
        The top layer's output, until the next run.
    """

    def __init__(self, prepared: Prepared, T: int, B: int):
        self.prepared, self.T, self.B = prepared, T, B
        params, D = prepared.params, prepared.directions
        self._H, self._dtype = params[0].weight_hh.shape[1], params[0].weight_ih.dtype
        size, H, states = self._dtype.itemsize, self._H, prepared.cell.spec.states
        self._work = 2.0 * T * B * sum(p.weight_ih.size + p.weight_hh.size for p in params)
        self._rows = running(T, B, None)  # whose addresses the jobs have
        # What layer k reads, and, in the end, y; the rows lie as far from one another as that layer's job wants them.
        self._row = [spread(p.weight_ih.shape[1] * size) for p in params[::D]] + [D * H * size]
        self._shape = self.shape_of(0, 1)
        lanes = self._shape.lanes
        self._read_row = spread(self._shape.Hp * lanes.operand_size)
        read = {} if lanes.operands == EXACT else {
            **{f"x_read{k}": T * B * row_of_x(p.weight_ih.shape[1], lanes) for k, p in enumerate(params[::D])},
            **{f"h_read{at}": 2 * B * self._read_row for at in range(len(params))},
        }  # fmt: skip
        self._parts = parts = Parts(
            **{f"x{k}": T * B * row for k, row in enumerate(self._row)},
            states=len(states) * len(params) * B * H * size,
            **{f"{s}{at}": 2 * B * self._inner_row(s) for at in range(len(params)) for s in states},
            order=8 * B,
            **read,
        )
        self._memory = memory = take(parts.size)
        memory.view(0, (memory.size,), np.uint8)[:] = 0
        I, first, last = params[0].weight_ih.shape[1], self._row[0], self._row[-1]
        self.x = memory.view(parts["x0"], (T, B, I), self._dtype, (B * first, first, size))
        self.y = memory.view(parts[f"x{len(self._row) - 1}"], (T, B, D * H), self._dtype, (B * last, last, size))
        every = memory.view(parts["states"], (len(states), len(params), B, H), self._dtype)
        self.states = tuple(every)
        memory.view(parts["order"], (B,), np.int64)[:] = np.arange(B)[::-1]
        self._pieces = np.array(list(self._moves()), np.int64)
        self.errand = Errand(
            size=size, x=memory.address + parts["x0"], x_numbers=T * B * first // size,
            states=memory.address + parts["states"], state_numbers=every.size,
            pieces=self._pieces.ctypes.data, piece_count=len(self._pieces), loops=0, loop_count=0,
        )  # fmt: skip
        self._cuts: dict[int, _Cut] = {}

    def run(self, fresh: bool, stamp: object) -> bool:
        """Run all steps; return False, with nothing done, where x or a state holds a NaN or an infinity.

        `fresh` begins at states of zero, whatever `states` hold. While `stamp` is the same object, and not None, the
        weights have not changed.
        """
        if self._work < threads.SMALL:
            return self._run(1, fresh, stamp)
        with threads.share(self._work) as count:
            return self._run(count, fresh, stamp)

    def _run(self, count: int, fresh: bool, stamp: object) -> bool:
        cut = self._cuts.get(count) or self._cuts.setdefault(count, _Cut(self, count))
        packed = self.prepared.packed(stamp)  # held until the loops are through
        if cut.version is not packed.version:
            cut.put(self.prepared, packed)
        if count == 1:
            return infer_alone(cut.errand_at, fresh)
        if not bring(cut.errand_at, fresh):
            return False
        for call in cut.calls:
            threads.run(*call)
        fetch(cut.errand_at)
        return True

    def _inner_row(self, state: str) -> int:
        """Return the bytes of a row of a state as the loops have it."""
        row = self._shape.Hp * self._dtype.itemsize
        return spread(row) if state == "h" else row

    def shape_of(self, at: int, count: int) -> Shape:
        """Return what follows from the sizes of a cell of the stack."""
        prepared, I = self.prepared, self.prepared.params[at].weight_ih.shape[1]
        T, B = self.T, self.B
        dtype = DTYPES[self._dtype]
        return forward_shape(prepared.cell, dtype, T, B, T * B, I, self._H, count, False, prepared.precision)

    def roundings(self, at: int, shape: Shape) -> Iterator[RoundJob]:
        """Give what is to be rounded before a cell's loop, if anything: x, once for both directions, and h_0."""
        (k, d), parts, memory = divmod(at, self.prepared.directions), self._parts, self._memory.address
        if shape.lanes.operands == EXACT:
            return
        I, rows = self.prepared.params[at].weight_ih.shape[1], self.T * self.B
        x, h = (memory + parts[name] for name in (f"x{k}", f"h{at}"))
        x_read, h_read = (memory + parts[name] for name in (f"x_read{k}", f"h_read{at}"))
        if d == 0:
            yield RoundJob(1, rows, I, x, self._row[k], x_read, row_of_x(I, shape.lanes))
        yield RoundJob(1, self.B, shape.Hp, h, self._inner_row("h"), h_read, self._read_row)

    def job_of(self, at: int, shape: Shape) -> np.ndarray:
        """Return a cell's job: what it reads, what it writes, and in which direction."""
        (k, d), T, B, memory = divmod(at, self.prepared.directions), self.T, self.B, self._memory.address
        x_row, y_row, parts = int(shape.job[PLACE["x_row"]]), self._row[k + 1], self._parts
        x = memory + parts.get(f"x_read{k}", parts[f"x{k}"])
        y = memory + parts[f"x{k + 1}"] + d * self._H * self._dtype.itemsize
        found = {"offsets": self._rows.offsets_at, "h": memory + parts[f"h{at}"], "y_row": y_row}
        found["c"] = memory + parts.get(f"c{at}", parts[f"h{at}"])
        found["h_read"] = memory + parts.get(f"h_read{at}", parts[f"h{at}"])
        if d == 0:
            found |= {"order": self._rows.order_at, "x": x, "x_row": x_row, "y": y, "y_step": B * y_row}
        else:  # from the last row of the last step to the first of the first: the batch is turned round, too
            found |= {
                "order": memory + parts["order"], "x": x + (T * B - 1) * x_row, "x_row": -x_row,
                "y": y + (T - 1) * B * y_row, "y_step": -B * y_row,
            }  # fmt: skip
        job = shape.job.copy()
        for name, number in found.items():
            job[PLACE[name]] = number
        return job

    def _moves(self) -> Any:
        """Give each piece of the states: where a loop begins with it, where it leaves it, where it is in `states`."""
        lanes, B, size, memory = self._shape.lanes, self.B, self._dtype.itemsize, self._memory.address
        dense = memory + self._parts["states"]
        for s in self.prepared.cell.spec.states:
            for at in range(len(self.prepared.params)):
                inner, row, last = memory + self._parts[f"{s}{at}"], self._inner_row(s), self.T % 2 * B
                for b in range(B):
                    r = B - 1 - b if at % self.prepared.directions else b
                    if s == "h":
                        yield inner + r * row, inner + (last + r) * row, dense, self._H * size
                    else:
                        for first in range(0, self._H, lanes.count):
                            vector = inner + first // lanes.count * 2 * B * lanes.width
                            left = min(lanes.count, self._H - first) * size
                            yield (
                                vector + r * lanes.width, vector + (last + r) * lanes.width,
                                dense + first * size, left,
                            )  # fmt: skip
                    dense += self._H * size
