"""Gradients of all shares, added up over the ranks.

::

    g = Σ_s n_s g_s / Σ_s n_s        (MP1)   n_s targets in share s, g_s the gradient of the mean over them

Dense gradients travel in buckets, each an ``Iallreduce``; what is zero outside a few rows travels as rows.

`Rounded` adds floating-point numbers, one share a rank. `Exact` adds integers: each term is cut to two limbs of a
fixed point that the largest of all terms decides, ``x ≈ hi·2⁻ˢ + lo·2⁻ˢ⁻ᴸ``, and integers have the same sum in any
order and in any parts. Terms are of shares that no number of ranks changes, so neither does it change a bit of the
result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..layers.embedding import RowGradient, dense

LIMB = 52
"""Bits of the second limb, L: with those of the first a term keeps 100 bits and more below the largest."""

ROOM = 61
"""Bits that a sum in an int64 may take, a sign apart."""

Gradients = Mapping[str, Any]
Term = tuple[float, Gradients]
"""How many targets a share has, and its gradients."""


class Rounded:
    """Sums of floating-point numbers: on a fixed number of ranks the same bits wherever MPI adds in one order."""

    def __init__(self, comm: Any, bucket: int) -> None:
        self.comm, self.bucket = comm, bucket

    def __call__(
        self, terms: Sequence[Term], names: Sequence[str], by_rows: frozenset[str], homes: Gradients, total: float
    ) -> dict[str, Any]:
        """Return (MP1).

        Parameters
        ----------
        terms : sequence of (float, mapping)
            This rank's shares.
        names : sequence of str
            What has a gradient, in the same order on all ranks.
        by_rows : frozenset of str
            Those that have rows on every rank with a share.
        homes : mapping of str to ndarray
            Parameters, for shapes and dtypes.
        total : float
            Targets of all ranks.
        """
        whole = [name for name in names if name not in by_rows]
        found = self._dense(terms, whole, homes, total)
        for name in names:
            if name in by_rows:
                found[name] = self._rows(terms, name, homes[name], total)
        return {name: found[name] for name in names}

    def _dense(self, terms: Sequence[Term], names: list[str], homes: Gradients, total: float) -> dict[str, Any]:
        sums, requests, found = [], [], {}
        for part in buckets(names, homes, self.bucket):
            flat = np.zeros(sum(homes[name].size for name in part), homes[part[0]].dtype)
            for name, place in places(part, homes):
                for count, gradients in terms:
                    flat[place] += (dense(gradients[name]) * flat.dtype.type(count)).reshape(-1)
            requests.append(self.comm.Iallreduce(_in_place(), flat))
            sums.append((part, flat))
        for (part, flat), request in zip(sums, requests, strict=True):
            request.Wait()
            flat /= flat.dtype.type(total)  # (MP1)
            for name, place in places(part, homes):
                found[name] = flat[place].reshape(homes[name].shape)
        return found

    def _rows(self, terms: Sequence[Term], name: str, home: np.ndarray, total: float) -> RowGradient:
        rows = [gradients[name].rows for _, gradients in terms]
        values = [gradients[name].values * home.dtype.type(count) for count, gradients in terms]
        every, sums = gathered_rows(self.comm, rows, values, home.shape[1], home.dtype)
        return RowGradient(every, sums / home.dtype.type(total), tuple(home.shape))  # (MP1)


class Exact(Rounded):
    """Sums of integers: the same bits for any number of ranks."""

    def _dense(self, terms: Sequence[Term], names: list[str], homes: Gradients, total: float) -> dict[str, Any]:
        found = {}
        largest = self._largest([[_top(n, dense(g[name])) for name in names] for n, g in terms], len(names))
        scales = dict(zip(names, largest, strict=True))
        for part in buckets(names, homes, self.bucket):
            limbs = np.zeros((2, sum(homes[name].size for name in part)), np.int64)
            for name, place in places(part, homes):
                for count, gradients in terms:
                    limbs[:, place] += fixed(dense(gradients[name]).reshape(-1), count, scales[name])
            self.comm.Allreduce(_in_place(), limbs)
            for name, place in places(part, homes):
                g = floating(limbs[:, place], scales[name], total)  # (MP1)
                found[name] = g.astype(homes[name].dtype).reshape(homes[name].shape)
        return found

    def _rows(self, terms: Sequence[Term], name: str, home: np.ndarray, total: float) -> RowGradient:
        (scale,) = self._largest([[_top(count, gradients[name].values)] for count, gradients in terms], 1)
        rows = [gradients[name].rows for _, gradients in terms]
        values = [
            np.moveaxis(fixed(gradients[name].values, count, scale), 0, 1).reshape(len(gradients[name].rows), -1)
            for count, gradients in terms
        ]
        every, limbs = gathered_rows(self.comm, rows, values, 2 * home.shape[1], np.dtype(np.int64))
        sums = floating(np.moveaxis(limbs.reshape(len(every), 2, -1), 1, 0), scale, total)  # (MP1)
        return RowGradient(every, sums.astype(home.dtype), tuple(home.shape))

    def _largest(self, tops: list[list[float]], count: int) -> list[int]:
        """Return for each array s, by the largest of all terms."""
        largest = np.array(tops).max(axis=0) if tops else np.zeros(count)
        self.comm.Allreduce(_in_place(), largest, op=_maximum())
        return [ROOM - SHARES_BITS - int(np.frexp(top)[1]) for top in largest]


SHARES_BITS = 10
"""Bits left for the sum of up to 1024 shares."""


def fixed(values: np.ndarray, count: float, scale: int) -> np.ndarray:
    """Return ``count·values`` as two limbs, (2, ...); the product is rounded once, in float64."""
    x = values.astype(np.float64) * count
    high = np.rint(np.ldexp(x, scale))
    low = np.rint(np.ldexp(x - np.ldexp(high, -scale), scale + LIMB))
    return np.stack([high, low]).astype(np.int64)


def floating(limbs: np.ndarray, scale: int, total: float) -> np.ndarray:
    """Return the numbers that two limbs stand for, divided by the number of targets, in float64.

    The first limb has more bits than a float64. Cut in two, neither part is rounded before they are added.
    """
    high, low = limbs
    upper = high >> 32 << 32
    sums = np.ldexp(upper.astype(np.float64), -scale)
    rest = np.ldexp((high - upper).astype(np.float64), -scale) + np.ldexp(low.astype(np.float64), -scale - LIMB)
    return (sums + rest) / total


def buckets(names: Sequence[str], homes: Gradients, most: int) -> list[list[str]]:
    """Return names in the order given, as many together as `most` bytes hold, of one dtype each."""
    found: list[list[str]] = []
    size = 0
    for name in names:
        array = homes[name]
        if not found or size + array.nbytes > most or homes[found[-1][0]].dtype != array.dtype:
            found.append([])
            size = 0
        found[-1].append(name)
        size += array.nbytes
    return found


def places(names: Sequence[str], homes: Gradients) -> list[tuple[str, slice]]:
    """Return where in a bucket each array lies."""
    found, start = [], 0
    for name in names:
        found.append((name, slice(start, start + homes[name].size)))
        start += homes[name].size
    return found


def gathered_rows(
    comm: Any, rows: list[np.ndarray], values: list[np.ndarray], width: int, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that occur on any rank, ascending, and the sum of each: added up in the order of the ranks."""
    mine = np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int64)
    numbers = np.concatenate([np.zeros((0, width), dtype), *values]).astype(dtype, copy=False)
    counts = np.array(comm.allgather(len(mine)))
    every = np.empty(counts.sum(), np.int64)
    comm.Allgatherv(mine, (every, counts))
    all_values = np.empty((counts.sum(), width), dtype)
    comm.Allgatherv(np.ascontiguousarray(numbers), (all_values, counts * width))
    order = np.argsort(every, kind="stable")
    ordered = every[order]
    if not len(ordered):
        return ordered, all_values
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[first], np.add.reduceat(all_values[order], first, axis=0)


def _top(count: float, values: np.ndarray) -> float:
    """Return the largest magnitude of a term."""
    return float(np.abs(values).max(initial=0.0)) * count


def _in_place() -> Any:
    from mpi4py import MPI

    return MPI.IN_PLACE


def _maximum() -> Any:
    from mpi4py import MPI

    return MPI.MAX


def finite_names(gradients: Gradients, is_finite: Callable[[np.ndarray], bool]) -> str | None:
    """Return the first gradient that is not finite, or None."""
    for name, g in gradients.items():
        values = g.values if isinstance(g, RowGradient) else g
        if not is_finite(values):
            return name
    return None


def is_finite(values: np.ndarray) -> bool:
    """Return whether all numbers are: a sum tells it in one pass, unless finite numbers overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())
