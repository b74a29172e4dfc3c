"""Gradients of all shares, added up over the ranks.

::

    g = Σ_s n_s g_s / Σ_s n_s        (MP1)   n_s targets in share s, g_s the gradient of the mean over them

Dense gradients travel in buckets, each an ``Iallreduce`` (sending.py); what is zero outside a few rows travels as rows.

`Rounded` adds floating-point numbers, one share a rank. `Exact` adds integers: each term is cut to two limbs of a
fixed point that the largest of all terms decides, ``x ≈ hi·2⁻ˢ + lo·2⁻ˢ⁻ᴸ``, and integers have the same sum in any
order and in any parts. Terms are of shares that no number of ranks changes, so neither does it change a bit of the
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite
from typing import Any, NamedTuple

import numpy as np

from ..layers.embedding import RowGradient, dense
from .sending import Gradients, Plan, Sending, buckets, places

LIMB = 52
"""Bits of the second limb, L: with those of the first a term keeps 100 bits and more below the largest."""

ROOM = 61
"""Bits that a sum in an int64 may take, a sign apart."""

Term = tuple[float, Gradients]
"""How many targets a share has, and its gradients."""


class Told(NamedTuple):
    """What a rank tells of its shares of a step."""

    losses: list[tuple[float, float]]  # the sum over its targets, and how many there are, of each share
    kinds: dict[str, bool]  # what has a gradient, and whether that is rows
    heard: list[str]  # in which order gradients have been said to be final, where the step was sent by no plan


class Agreed(NamedTuple):
    """What all ranks then know."""

    loss: float  # the mean over all targets
    total: float  # how many there are
    names: list[str]  # what has a gradient, in the model's order
    by_rows: frozenset[str]  # those that have rows on every rank with a share
    heard: list[str]  # of the first rank that has heard anything


class Rounded:
    """Sums of floating-point numbers: on a fixed number of ranks the same bits wherever MPI adds in one order.

    Buckets leave while a share is computed; which parameters go into one does not depend on when they do.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        On which nobody else sends.
    bucket : int
        Bytes of a bucket.
    """

    early = True
    """Whether anything can be sent before all shares of a step have been computed."""

    def __init__(self, comm: Any, bucket: int) -> None:
        self.comm, self.bucket = comm, bucket
        self._plan = Plan()
        self._sending: Sending | None = None

    def forget(self) -> None:
        """Send the next step's gradients by no plan: another run begins."""
        self._plan = Plan()

    def begin(self, homes: Gradients) -> Sending:
        """Return what sends gradients of a step, as soon as they are final, as far as a plan tells which there are.

        `homes` are the parameters, for shapes and dtypes.
        """
        if self._sending is not None:  # of a step that has been interrupted
            self._sending.settle()
        self._sending = Sending(self.comm, homes, self._plan, self.bucket)
        return self._sending

    def __call__(self, terms: Sequence[Term], agreed: Agreed, homes: Gradients, sending: Sending) -> dict[str, Any]:
        """Return (MP1).

        Parameters
        ----------
        terms : sequence of (float, mapping)
            This rank's shares.
        agreed : Agreed
        homes : mapping of str to ndarray
            Parameters, for shapes and dtypes.
        sending : Sending
            What `begin` has returned before this step.
        """
        whole = [name for name in agreed.names if name not in agreed.by_rows]
        found = self._dense(terms, whole, homes, agreed, sending)
        for name in agreed.names:
            if name in agreed.by_rows:
                found[name] = self._rows(terms, name, homes[name], agreed.total)
        return {name: found[name] for name in agreed.names}

    def _dense(
        self, terms: Sequence[Term], names: list[str], homes: Gradients, agreed: Agreed, sending: Sending
    ) -> dict[str, Any]:
        sending.rest({}, 0.0)
        if sending.names != names:  # sent by no plan, or by one that has turned out to be wrong
            sending.wait()
            self._plan = Plan(names, agreed.heard) if agreed.heard else Plan()
            sending = Sending(self.comm, homes, Plan(names), self.bucket)
            for count, gradients in terms:
                sending.rest(gradients, count)
            sending.rest({}, 0.0)
        return sending.sums(agreed.total)

    def _rows(self, terms: Sequence[Term], name: str, home: np.ndarray, total: float) -> RowGradient:
        rows = [gradients[name].rows for _, gradients in terms]
        values = [gradients[name].values * home.dtype.type(count) for count, gradients in terms]
        every, sums = gathered_rows(self.comm, rows, values, home.shape[1], home.dtype)
        return RowGradient(every, sums / home.dtype.type(total), tuple(home.shape))  # (MP1)


class Exact(Rounded):
    """Sums of integers: the same bits for any number of ranks."""

    early = False  # the grid is known when all terms are

    def _dense(
        self, terms: Sequence[Term], names: list[str], homes: Gradients, agreed: Agreed, sending: Sending
    ) -> dict[str, Any]:
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
                g = floating(limbs[:, place], scales[name], agreed.total)  # (MP1)
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


def told(losses: list[tuple[float, float]], terms: Sequence[Term], sending: Sending) -> Told:
    """Return what a rank tells of its shares, as the model said it of each."""
    kinds = {name: hasattr(g, "rows") for _, gradients in terms for name, g in gradients.items()}
    return Told(losses, kinds, [] if sending.names else sending.heard)


def agree(ranks: Sequence[Told], parameters: Gradients) -> Agreed:
    """Return what all know by what each has told.

    Raises
    ------
    ValueError
        Nothing counts.
    """
    losses = [one for rank in ranks for one in rank.losses]
    total = fsum(count for _, count in losses)
    if total == 0:
        raise ValueError("fit: weights must not all be zero; leave this batch out")
    names = [name for name in parameters if any(name in rank.kinds for rank in ranks)]
    by_rows = frozenset(name for name in names if all(rank.kinds.get(name, True) for rank in ranks))
    heard = next((rank.heard for rank in ranks if rank.heard), [])
    return Agreed(fsum(loss for loss, _ in losses) / total, total, names, by_rows, heard)


def check_step(found: Any) -> None:
    """Raise ValueError where the loss of a share, or a gradient, is not finite."""
    if not isfinite(loss := float(found.loss)):
        raise ValueError(f"fit: the loss must be finite, got {loss}")
    for name, g in found.gradients.items():
        if not is_finite(g.values if isinstance(g, RowGradient) else g):
            raise ValueError(f"fit: gradients must be finite, got NaN or infinity in that of {name}")


def is_finite(values: np.ndarray) -> bool:
    """Return whether all numbers are: a sum tells it in one pass, unless finite numbers overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())
