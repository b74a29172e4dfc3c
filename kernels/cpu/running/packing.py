"""Weights as panels: how they are packed, and how a packed panel is kept until its weights change.

Packing reads every weight and writes it once more: for one row and few steps that is a good part of the whole work. So
panels are kept. What they were made from is kept beside them, and compared, byte by byte, at each call: that is exact,
costs one look at the weights, and where an optimizer has changed them it ends at the first difference.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import carray, types
from numba.core.typing import signature

from ..emitting.addresses import make_pointer, word
from ..emitting.copying import make_copy
from ..emitting.integers import written
from ..emitting.reading import make_read_rows, make_read_turned
from ..emitting.simd import Lanes
from . import threads
from .compiled import compiled
from .memory import Block, constant, take
from .threads import exchange

EVER_NEW, LOOK_AGAIN = 2, 16
"""Changes in a row from which on weights count as ever new, and how often it is asked whether they still are."""

ALONE = 1 << 18
"""Bytes of a weight that one thread packs faster than two would."""


class PackJob(NamedTuple):
    """The arguments of `make_pack`: sizes and addresses."""

    threads: int
    W: int  # (G·H, K), or (G·H, columns)
    W_row: int  # bytes
    gates: int  # int64: which gate's rows come first, second, …
    gate_count: int
    H: int
    K: int
    panel: int  # vectors of a panel
    out: int
    zeros: int


PACK_JOB = np.dtype([(name, np.int64) for name in PackJob._fields])
"""A `PackJob` in memory."""

record_at = make_pointer(PACK_JOB)


def make_pack_rows(lanes: Lanes) -> Any:
    """Return the function, uncompiled, that packs W (G·H, K) into panels [K][gate][units], for products x·Wᵀ.

    Where products read pairs, a panel is [K/2][gate][units][2], two neighbours of a row to a word.
    """
    width, count, together = lanes.width, lanes.count, lanes.together
    read_turned = written(make_read_turned(lanes))

    def pack(thread, address):
        job: Any = carray(record_at(address), 1)[0]
        vectors, words = (job.H + count - 1) // count, (job.K + together - 1) // together
        per_gate, items = vectors, vectors * job.gate_count
        for item in range(items * thread // job.threads, items * (thread + 1) // job.threads):
            vector, gate = item // job.gate_count, item % job.gate_count
            p = vector // job.panel
            v = min(job.panel, per_gate - p * job.panel)
            panel = job.out + p * job.panel * job.gate_count * words * width
            read_turned(
                min(count, job.H - vector * count), job.K,
                job.W + (word(job.gates + 8 * gate) * job.H + vector * count) * job.W_row, job.W_row,
                panel + (gate * v + vector - p * job.panel) * width, job.gate_count * v * width,
            )  # fmt: skip

    return pack


def make_pack_columns(lanes: Lanes) -> Any:
    """Return the function, uncompiled, that packs W (G·H, K) into panels [gate][Hp][columns], for products da·W.

    Where products read pairs, a panel is [gate][Hp/2][columns][2], two neighbours of a column to a word.
    """
    width, count, together = lanes.width, lanes.count, lanes.together
    read_rows, copy = written(make_read_rows(lanes)), written(make_copy(lanes))

    def pack(thread, address):
        job: Any = carray(record_at(address), 1)[0]
        vectors = (job.K + count - 1) // count
        panels = (vectors + job.panel - 1) // job.panel
        items = panels * job.gate_count
        words, all_words = (job.H + together - 1) // together, (job.H + count - 1) // count * count // together
        for item in range(items * thread // job.threads, items * (thread + 1) // job.threads):
            p, gate = item // job.gate_count, item % job.gate_count
            v = min(job.panel, vectors - p * job.panel)
            out = job.out + (p * job.panel * job.gate_count + gate * v) * all_words * width
            read_rows(
                job.H, v, job.W + word(job.gates + 8 * gate) * job.H * job.W_row + p * job.panel * width, job.W_row,
                out, min(count, job.K - (p * job.panel + v - 1) * count),
            )  # fmt: skip
            copy(all_words - words, v, out + words * v * width, v * width, job.zeros, 0)

    return pack


memcmp: Any = types.ExternalFunction("memcmp", signature(types.int32, types.intp, types.intp, types.uintp))
"""The C library's: no loop of ours is faster."""


class CompareJob(NamedTuple):
    """The arguments of `make_compare`."""

    threads: int
    pair_count: int
    pairs: int  # [pair_count][two addresses, bytes]
    different: int = 0  # 1 in the end if they are not all the same


COMPARE_JOB = np.dtype([(name, np.int64) for name in CompareJob._fields])
"""A `CompareJob` in memory."""

DIFFERENT = 8 * CompareJob._fields.index("different")

compare_job_at = make_pointer(COMPARE_JOB)


def make_compare() -> Any:
    """Return the function, uncompiled, that compares pieces of memory byte by byte."""

    def compare(thread, address):
        job: Any = carray(compare_job_at(address), 1)[0]
        for pair in range(job.pair_count):
            at = job.pairs + 24 * pair
            a, b, size = word(at), word(at + 8), word(at + 16)
            begin, end = size * thread // job.threads, size * (thread + 1) // job.threads
            if memcmp(a + begin, b + begin, end - begin) != 0:
                exchange(address + DIFFERENT, 1)
                return

    return compare


class Panels(NamedTuple):
    """How a weight is packed."""

    rows: bool  # panels of hidden units, for x·Wᵀ; otherwise of columns, for da·W
    gates: tuple[int, ...]  # which gate's rows come first, second, …
    panel: int  # vectors of a panel
    lanes: Lanes


class _Seen:
    """Arrays that have been seen: what was in them, and what was made of it."""

    def __init__(self, arrays: tuple[np.ndarray, ...]):
        self.lock = threading.RLock()  # a signal's handler may come in between
        key = _key(arrays)
        self.alive = [weakref.ref(array, lambda _: _SEEN.pop(key, None)) for array in arrays]
        self._shapes = [array.shape for array in arrays]
        self.changes = 0  # how often, one call after another, the arrays had changed
        self.copies = [take(array.nbytes) for array in arrays]
        self.pairs = np.array(
            [(copy.address, array.ctypes.data, array.nbytes) for copy, array in zip(self.copies, arrays, strict=True)]
        )
        self.bytes = int(self.pairs[:, 2].sum())
        self.made: dict[Any, tuple[Block, ...]] = {}
        self._jobs: dict[int, tuple[np.ndarray, int]] = {}  # and their addresses

    def are(self, arrays: tuple[np.ndarray, ...]) -> bool:
        """Whether these are the arrays, as they were: an id may be another's by now, and a shape can be assigned to."""
        for alive, shape, array in zip(self.alive, self._shapes, arrays, strict=True):
            if alive() is not array or array.shape != shape or not array.flags.c_contiguous:
                return False
        return True

    def unchanged(self, count: int) -> bool:
        """Whether the arrays hold, byte for byte, what they held when blocks were made of them."""
        count = count if self.bytes > ALONE else 1
        if count not in self._jobs:
            made = np.array(CompareJob(count, len(self.pairs), self.pairs.ctypes.data), np.int64)
            self._jobs[count] = made, made.ctypes.data
        job, address = self._jobs[count]
        job[-1] = 0
        threads.run(compiled(make_compare).address, address, count)
        return not job[-1]

    def remember(self, arrays: tuple[np.ndarray, ...]) -> None:
        """Keep what the arrays hold now."""
        for array, copy in zip(arrays, self.copies, strict=True):
            copy.view(0, array.shape, array.dtype)[...] = array


def _key(arrays: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
    return tuple(map(id, arrays))


_SEEN: dict[tuple[Any, ...], _Seen] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SEEN.clear)  # another thread may have been in the midst of a copy


def prepared(arrays: tuple[np.ndarray, ...], how: tuple[Any, ...], count: int) -> tuple[Block, ...]:
    """Return weights and biases as the kernels read them; the same blocks again while the arrays hold the same.

    Parameters
    ----------
    arrays : tuple of ndarray
        Weights, and after them the biases, one for each weight, or none.
    how : tuple
        A `Panels` for each weight, then a `BiasPanels` if there are biases.
    count : int
        Threads that may be used.
    """
    key = _key(arrays)
    seen = _SEEN.get(key)
    if seen is None or not seen.are(arrays):
        if not all(array.flags.c_contiguous for array in arrays):
            return _make(tuple(map(np.ascontiguousarray, arrays)), how, count)
        seen = _SEEN[key] = _Seen(arrays)
    with seen.lock:
        if seen.made and seen.unchanged(count):
            seen.changes = 0
        else:
            seen.made.clear()
            seen.changes += 1
            if seen.changes > EVER_NEW and seen.changes % LOOK_AGAIN:
                return _make(arrays, how, count)  # they train: what is made of them will be of no use next time
            seen.remember(arrays)
        blocks = seen.made.get(how)
        if blocks is None:
            blocks = seen.made[how] = _make(arrays, how, count)
        return blocks


def _make(arrays: tuple[np.ndarray, ...], how: tuple[Any, ...], count: int) -> tuple[Block, ...]:
    weights = sum(isinstance(one, Panels) for one in how)
    blocks = [pack(W, one, count) for W, one in zip(arrays[:weights], how[:weights], strict=True)]
    if len(arrays) > weights:
        b_x, *b_h = arrays[weights:]
        blocks.append(add_biases(b_x, b_h[0] if b_h else None, how[weights]))
    return tuple(blocks)


@cache
def _gate_order(gates: tuple[int, ...]) -> np.ndarray:
    return np.array(gates, np.int64)


def pack(W: np.ndarray, how: Panels, count: int) -> Block:
    """Return a contiguous weight (G·H, K) packed."""
    lanes, gates = how.lanes, _gate_order(how.gates)
    rows, K = W.shape
    H, Kp = rows // len(gates), lanes.filled(K)
    Hp = lanes.filled(H)
    words = Hp * lanes.words(K) if how.rows else lanes.words(Hp) * Kp
    block = take(len(gates) * words * lanes.size)
    count = count if W.nbytes > ALONE else 1
    job = PackJob(
        threads=count, W=W.ctypes.data, W_row=K * lanes.size, gates=gates.ctypes.data, gate_count=len(gates), H=H, K=K,
        panel=how.panel, out=block.address, zeros=constant(0, lanes.dtype, 4 * lanes.count).address,
    )  # fmt: skip
    arguments, make = np.array(job, np.int64), make_pack_rows if how.rows else make_pack_columns
    threads.run(compiled(make, lanes).address, arguments.ctypes.data, count)
    return block


class BiasPanels(NamedTuple):
    """How the biases are packed: [panel][slot][units], each the sum of the biases that belong to its slot."""

    slots: int
    from_x: tuple[tuple[int, int], ...]  # (slot, gate) of W_x's gates
    from_h: tuple[tuple[int, int], ...]
    panel: int
    lanes: Lanes


def add_biases(b_x: np.ndarray, b_h: np.ndarray | None, how: BiasPanels) -> Block:
    """Return the biases, added up and packed; None where there are no slots of W_h."""
    slots, from_x, from_h, panel, lanes = how
    H = len(b_x) // len(from_x)
    Hp = lanes.filled(H)
    sums = np.zeros((slots, Hp), b_x.dtype)
    for biases, places in ((b_x, from_x), (b_h, from_h)):
        if biases is None:
            continue
        for slot, gate in places:
            sums[slot, :H] += biases[gate * H : (gate + 1) * H]
    block = take(sums.nbytes)
    out, width = block.view(0, (slots * Hp,), b_x.dtype), panel * lanes.count
    for first in range(0, Hp, width):
        columns = sums[:, first : first + width]
        out[slots * first : slots * first + columns.size] = columns.reshape(-1)
    return block
