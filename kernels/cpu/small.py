"""Inference of small shapes by a whole stack: what never changes between calls is found once, and one call remains.

A step of a small layer is a microsecond of work. To ask for memory, to make views of it, to find their addresses and
to ask whether weights are still what they were takes a hundred times as long. So memory for one shape, with the jobs of
all layers and directions that hold its addresses, is kept as a `Desk`: the caller fills in x and the initial states,
has it run, and reads y and the final states. A direction that walks backwards has the same x, whose rows its job counts
from the last to the first; a layer's y is the next one's x.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .emitting.simd import EXACT
from .levels.schedule import LevelledCell
from .running import threads
from .running.compiled import compiled
from .running.errands import Errand, bring, fetch, infer_alone
from .running.memory import Block, take
from .running.rounding import RoundJob, make_round_rows
from .running.rows import running
from .shapes import Parts, row_of_x, spread
from .stacks import Loop, Stack

BYTES = 1 << 20
"""Most bytes of x, of what goes from layer to layer, and of y, for which a desk is worth its memory."""


WEIGHTS = ("w_x", "w_h", "bias", "numbers")
"""What a job calls a cell's weights as the loops read them; not every cell has numbers."""


class Packed:
    """The panels of a stack's weights as they were at one time, by cell and by how they are packed."""

    __slots__ = ("blocks", "stamp", "version")

    def __init__(self, stamp: object):
        self.stamp = stamp
        self.version = object()  # by which a job tells that its addresses are these blocks', and holds none of them
        self.blocks: dict[tuple[int, Any], tuple[Block, ...]] = {}


class Prepared:
    """The weights of a stack, and desks to work at: it serves several threads, a desk one at a time."""

    def __init__(self, stack: Stack, directions: int):
        self.stack, self.directions = stack, directions
        self._packed = Packed(None)

    def desk(self, T: int, B: int) -> Desk | None:
        """Return a desk for T steps of B sequences, or None where the ordinary way is as good, or the only one."""
        stack = self.stack
        if stack.cell.streams or isinstance(stack.cell, LevelledCell):
            return None
        row = stack.inputs[0] + len(stack.inputs) * stack.H
        return Desk(self, T, B) if T * B * row * stack.dtype.itemsize <= BYTES else None

    def packed(self, stamp: object) -> Packed:
        """Return what has been packed at this stamp."""
        packed = self._packed
        if stamp is None or packed.stamp is not stamp:
            packed = self._packed = Packed(stamp)
        return packed

    def panels(self, packed: Packed, at: int, loop: Loop) -> tuple[Block, ...]:
        """Return the panels of a cell's weights, and its biases."""
        key = at, loop.how
        if key not in packed.blocks:
            packed.blocks.setdefault(key, loop.weights())
        return packed.blocks[key]


class _Cut:
    """The loops of a desk, cut for so many threads."""

    def __init__(self, desk: Desk, count: int):
        stack = desk.prepared.stack
        self.loops = loops = [stack.loop(at, desk.T, desk.B, count) for at in range(len(stack.inputs))]
        self.alone = all(loop.groups * loop.members == 1 for loop in loops)
        works_in: dict[str, int] = {}  # one after the other
        for loop in loops:
            works_in |= {name: max(size, works_in.get(name, 0)) for name, size in loop.works_in.items()}
        meetings = {f"meeting{at}": (1 + loop.groups) * threads.BETWEEN for at, loop in enumerate(loops)}
        parts = Parts(**meetings, **works_in)
        self._memory = memory = take(parts.size)
        self.version: object = None
        self.jobs, self.calls, self._roundings, code = [], [], [], stack.compiled()
        for at, loop in enumerate(loops):
            for rounding in desk.roundings(at):
                self._roundings.append(np.array(rounding, np.int64))
                rounds = compiled(make_round_rows, stack.lanes).address
                self.calls.append((rounds, self._roundings[-1].ctypes.data, rounding.threads, 0, 0))
            meeting, job = memory.address + parts[f"meeting{at}"], loop.job.copy()
            own = {name: memory.address + parts[name] for name in loop.works_in}
            for name, number in (desk.places_of(at) | own | {"meeting": meeting}).items():
                job[loop.place[name]] = number
            self.jobs.append(job)
            self.calls.append((code, job.ctypes.data, loop.groups * loop.members, meeting, loop.groups))
        self._loops = np.array([call[:2] for call in self.calls], np.int64)
        errand = desk.errand._replace(loops=self._loops.ctypes.data, loop_count=len(self._loops))
        self._errand = np.array(errand, np.int64)
        self.errand_at = self._errand.ctypes.data

    def put(self, prepared: Prepared, packed: Packed) -> None:
        """Write the addresses of panels into the jobs."""
        self.version = None  # until all of them are there
        for at, (job, loop) in enumerate(zip(self.jobs, self.loops, strict=True)):
            for name, block in zip(WEIGHTS, prepared.panels(packed, at, loop), strict=False):
                job[loop.place[name]] = block.address
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
        stack, D = prepared.stack, prepared.directions
        self._H, self._dtype, self._lanes, states = stack.H, stack.dtype, stack.lanes, stack.cell.states
        size, H, cells = self._dtype.itemsize, self._H, len(stack.inputs)
        self._effort = stack.effort(T, B)
        self._rows = running(T, B, None)  # whose addresses the jobs have
        # What layer k reads, and, in the end, y; the rows lie as far from one another as that layer's job wants them.
        self._row = [spread(I * size) for I in stack.inputs[::D]] + [D * H * size]
        lanes = self._lanes
        self._read_row = spread(lanes.filled(H) * lanes.operand_size)
        read = {} if lanes.operands == EXACT else {
            **{f"x_read{k}": T * B * row_of_x(I, lanes) for k, I in enumerate(stack.inputs[::D])},
            **{f"h_read{at}": 2 * B * self._read_row for at in range(cells)},
        }  # fmt: skip
        self._parts = parts = Parts(
            **{f"x{k}": T * B * row for k, row in enumerate(self._row)},
            states=len(states) * cells * B * H * size,
            **{f"h{at}": 2 * B * self._inner_row(0) for at in range(cells)},
            **{f"c{at}": 2 * B * self._inner_row(1) * (len(states) - 1) for at in range(cells)},
            order=8 * B,
            **read,
        )
        self._memory = memory = take(parts.size)
        memory.view(0, (memory.size,), np.uint8)[:] = 0
        I, first, last = stack.inputs[0], self._row[0], self._row[-1]
        self.x = memory.view(parts["x0"], (T, B, I), self._dtype, (B * first, first, size))
        self.y = memory.view(parts[f"x{len(self._row) - 1}"], (T, B, D * H), self._dtype, (B * last, last, size))
        every = memory.view(parts["states"], (len(states), cells, B, H), self._dtype)
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
        if threads.is_least(self._effort):
            return self._run(1, fresh, stamp)
        with threads.share(self._effort) as count:
            return self._run(count, fresh, stamp)

    def _run(self, count: int, fresh: bool, stamp: object) -> bool:
        cut = self._cuts.get(count) or self._cuts.setdefault(count, _Cut(self, count))
        packed = self.prepared.packed(stamp)  # held until the loops are through
        if cut.version is not packed.version:
            cut.put(self.prepared, packed)
        if cut.alone:
            return infer_alone(cut.errand_at, fresh)
        if not bring(cut.errand_at, fresh):
            return False
        for call in cut.calls:
            threads.run(*call)
        fetch(cut.errand_at)
        return True

    def _inner_row(self, k: int) -> int:
        """Return the bytes of a row of state k as the loops have it."""
        row = self._lanes.filled(self._H) * self._dtype.itemsize
        return row if k else spread(row)

    def roundings(self, at: int) -> Iterator[RoundJob]:
        """Give what is to be rounded before a cell's loop, if anything: x, once for both directions, and h_0."""
        (k, d), parts, memory = divmod(at, self.prepared.directions), self._parts, self._memory.address
        if self._lanes.operands == EXACT:
            return
        I, rows = self.prepared.stack.inputs[at], self.T * self.B
        x, h = (memory + parts[name] for name in (f"x{k}", f"h{at}"))
        x_read, h_read = (memory + parts[name] for name in (f"x_read{k}", f"h_read{at}"))
        if d == 0:
            yield RoundJob(1, rows, I, x, self._row[k], x_read, row_of_x(I, self._lanes))
        yield RoundJob(1, self.B, self._lanes.filled(self._H), h, self._inner_row(0), h_read, self._read_row)

    def places_of(self, at: int) -> dict[str, int]:
        """Return what a cell's job reads, what it writes, and in which direction, by the job's own names."""
        (k, d), T, B, memory = divmod(at, self.prepared.directions), self.T, self.B, self._memory.address
        x_row, y_row = row_of_x(self.prepared.stack.inputs[at], self._lanes), self._row[k + 1]
        parts = self._parts
        x = memory + parts.get(f"x_read{k}", parts[f"x{k}"])
        y = memory + parts[f"x{k + 1}"] + d * self._H * self._dtype.itemsize
        found = {"offsets": self._rows.offsets_at, "h": memory + parts[f"h{at}"], "y_row": y_row}
        found["c"] = memory + parts[f"c{at}"]
        found["h_read"] = memory + parts.get(f"h_read{at}", parts[f"h{at}"])
        if d == 0:
            found |= {"order": self._rows.order_at, "x": x, "x_row": x_row, "y": y, "y_step": B * y_row}
        else:  # from the last row of the last step to the first of the first: the batch is turned round, too
            found |= {
                "order": memory + parts["order"], "x": x + (T * B - 1) * x_row, "x_row": -x_row,
                "y": y + (T - 1) * B * y_row, "y_step": -B * y_row,
            }  # fmt: skip
        return found

    def _moves(self) -> Any:
        """Give each piece of the states: where a loop begins with it, where it leaves it, where it is in `states`."""
        lanes, B, size, memory = self._lanes, self.B, self._dtype.itemsize, self._memory.address
        dense = memory + self._parts["states"]
        stack = self.prepared.stack
        for k in range(len(stack.cell.states)):
            for at in range(len(stack.inputs)):
                row, last = self._inner_row(k), self.T % 2 * B
                inner = memory + (self._parts[f"c{at}"] + (k - 1) * 2 * B * row if k else self._parts[f"h{at}"])
                for b in range(B):
                    r = B - 1 - b if at % self.prepared.directions else b
                    if k == 0:
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
