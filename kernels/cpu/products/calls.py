"""Calls of a head's loop: from arrays to addresses, and from what it has written to losses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..emitting.bfloat16 import operands
from ..emitting.simd import EXACT, PAIRS, Lanes, host_width
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import ALIGNMENT, aligned, array, constant, take
from ..shapes import Parts
from .cuts import WIDEST, Cuts, cut
from .head import make_loss, make_score
from .job import HeadJob
from .softmax import lowest

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}


class HeadShape(NamedTuple):
    """All that follows from the sizes of a call."""

    cuts: Cuts
    lanes: Lanes
    padded: int  # rows of all blocks
    work: Parts
    job: HeadJob  # with all sizes; addresses are still to come


def spread_row(row: int) -> int:
    """Return the bytes from class to class: a line more where classes would fall on the same few lines of a cache."""
    return row + ALIGNMENT if row % 1024 == 0 else row


@lru_cache(maxsize=256)
def head_shape(dtype: str, N: int, K: int, V: int, count: int, keep: bool, precision: str = "float32") -> HeadShape:
    """Return what follows for N rows of K numbers and V classes on `count` threads; with `keep` for gradients."""
    lanes = Lanes(dtype, host_width(), operands(precision, host_width()))
    cuts, size = cut(lanes, N, K, V, count), lanes.size
    padded = -(-N // cuts.rows) * cuts.rows
    z_row = spread_row(cuts.rows * size if keep else WIDEST * lanes.width)
    scratch_size = aligned(cuts.chunk * max(WIDEST * lanes.width, 0 if keep else z_row))
    zeros = constant(0, dtype, WIDEST * lanes.count).address
    stats = cuts.chunks * cuts.rows * size
    exact, pairs = lanes.operands == EXACT, lanes.operands == PAIRS
    read_row, dz_row = lanes.filled(K) * lanes.operand_size, spread_row(cuts.rows * lanes.operand_size)
    work = Parts(
        meeting=(1 + cuts.groups) * threads.BETWEEN, scratch=scratch_size * count,
        x_across=cuts.rows * lanes.words(K) * size,
        x_along=lanes.words(cuts.rows) * lanes.filled(K) * size if keep else 0,
        w_read=0 if exact else V * read_row, dz=2 * cuts.groups * cuts.chunk * dz_row if keep and pairs else 0,
        z=V * z_row if keep else 0, top=stats, total=stats, first=0 if keep else stats,
        targets=padded * 8,
        **dict.fromkeys(("scale", "z_target", "row_top", "row_total", "row_first", "at_target"), padded * size),
    )  # fmt: skip
    job = HeadJob(
        N=N, K=K, V=V, rows=cuts.rows, chunk=cuts.chunk, chunks=cuts.chunks, groups=cuts.groups, members=cuts.members,
        column_groups=cuts.column_groups, scratch_size=scratch_size, x_row=K * size, w_row=K * size, z_row=z_row,
        read_row=K * size if exact else read_row, dz_row=dz_row, dx_row=K * size,
        zeros=zeros, bias=zeros,
    )  # fmt: skip
    return HeadShape(cuts, lanes, padded, work, job)


class Found(NamedTuple):
    """What a head's loop has written."""

    top: np.ndarray  # (N,), m_n
    total: np.ndarray  # r_n
    z: np.ndarray  # z_nt
    first: np.ndarray | None  # which class has m_n; None with gradients
    dx: np.ndarray | None
    dW: np.ndarray | None
    db: np.ndarray | None


class Head:
    """Softmax cross-entropy of an affine map, as the contract has it, in a precision."""

    def __init__(self, precision: str = "float32") -> None:
        self.precision = precision

    def losses(
        self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Losses, and hits; a chunk's scores are kept as long as it takes to look at them."""
        with threads.share(2.0 * x.shape[0] * weight.size) as count:
            found = run_head(x, weight, bias, targets, None, frozenset(), count, self.precision)
        first: Any = found.first
        right = (found.z > found.top) | ((found.z == found.top) & (first > targets))
        return losses_of(found, DTYPES[x.dtype], len(weight)), right

    def gradients(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None,
        targets: np.ndarray,
        dlosses: np.ndarray,
        needs: frozenset[str],
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Losses and gradients; the scores of a block of rows are kept until its gradients are there."""
        with threads.share(6.0 * x.shape[0] * weight.size) as count:
            found = run_head(x, weight, bias, targets, dlosses, needs, count, self.precision)
        return losses_of(found, DTYPES[x.dtype], len(weight)), found.dx, found.dW, found.db


def run_head(
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray | None,
    targets: np.ndarray,
    dlosses: np.ndarray | None,
    needs: frozenset[str],
    count: int,
    precision: str = "float32",
) -> Found:
    """Run the loop on at most `count` threads; without `dlosses` it keeps nothing for gradients."""
    x, W = np.ascontiguousarray(x), np.ascontiguousarray(W)
    b = None if b is None else np.ascontiguousarray(b)
    (N, K), V, dtype, keep = x.shape, len(W), x.dtype, dlosses is not None
    if not x.dtype == W.dtype or dtype not in DTYPES:
        raise TypeError(f"cpu.softmax_head: x and weight must both be float32 or float64, got {dtype} and {W.dtype}")
    if precision != "float32" and dtype != np.float32:
        raise TypeError(f"cpu.softmax_head: x and weight must be float32 in {precision}, got {dtype}")
    if 0 in (N, K, V):
        raise ValueError(f"cpu.softmax_head: x and weight must not be empty, got shapes {x.shape} and {W.shape}")
    shape = head_shape(DTYPES[dtype], N, K, V, count, keep, precision)
    work, memory = shape.work, take(shape.work.size)

    def rows(name: str, kind: Any = dtype) -> np.ndarray:
        return memory.view(work[name], (shape.padded,), kind)

    rows("targets", np.int64)[:N], rows("targets", np.int64)[N:] = targets, -1
    rows("z_target")[N:] = 0
    rows("scale")[:N], rows("scale")[N:] = (0 if dlosses is None else dlosses), 0
    dx = array(x.shape, dtype) if "x" in needs else None
    dW = array(W.shape, dtype) if "weight" in needs else None
    db = array((V,), dtype) if "bias" in needs and b is not None else None
    addresses = {name: memory.address + at for name, at in work.items() if keep or name != "z"}
    for name, one in (("x", x), ("w", W), ("bias", b), ("dw", dW), ("db", db), ("dx", dx)):
        if one is not None:
            addresses[name] = one.ctypes.data
    if shape.lanes.operands == EXACT:
        addresses["w_read"] = addresses["w"]
    job = np.array(shape.job._replace(**addresses, bias_step=0 if b is None else dtype.itemsize), np.int64)
    function, cuts = compiled(make_loss if keep else make_score, shape.lanes), shape.cuts
    threads.run(function.address, job.ctypes.data, cuts.groups * cuts.members, addresses["meeting"], cuts.groups)
    top, total, z = (rows(name)[:N].astype(np.float64) for name in ("row_top", "row_total", "z_target"))
    return Found(top, total, z, None if keep else rows("row_first")[:N].astype(np.int64), dx, dW, db)


def losses_of(found: Found, dtype: str, V: int) -> np.ndarray:
    """Return ℓ_n in float64 of m_n, r_n and z_nt; NaN where a score was not finite, or too large to tell.  (S1)"""
    (top, total, z), limit = found[:3], -lowest(Lanes(dtype, host_width()))
    sound = np.isfinite(total) & (np.abs(z) < limit) & ((top > -limit) & (top < limit) | (V == 1))
    top, total, z = (np.where(sound, numbers, 0) for numbers in (top, total, z))
    largest = np.maximum(top, z)
    others, own = total * np.exp(top - largest), np.exp(z - largest)
    losses = np.where(z >= top, np.log1p(others), np.log(others + own) + (largest - z))
    return np.where(sound, losses, np.nan)
