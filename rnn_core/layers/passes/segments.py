"""A batch cut where its states are put back, and what belongs to each segment.

::

    ŝ_{t−1} = s^ρ where ρ_t = 1, otherwise s_{t−1}, for each state s        (V3)

ρ are the resets, s^ρ is the state that is put there, and step t goes on from ŝ_{t−1}. What comes before a reset has no
influence on what comes after, so between two of them a row of the batch is a sequence of its own. All these segments
go through the stack side by side, as rows of unequal length: a reset costs no step and no kernel of its own, and short
segments are more rows at a time. Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array, Cut, State

from ..checks import as_array, first
from ..home import to_host, zeros
from ..layout import Layout

PADDING = 4
"""How often the valid steps of a group of segments go into its padded arrays, at most."""

Pair = tuple[Array, Array]
"""Two indexes that belong together."""


class Group(NamedTuple):
    """Segments that go through the stack as one batch of S rows and L steps at most. Indexes live where x does."""

    t: Array | None  # (L, S): which of the batch's steps each step is; past a segment's end any. None: it is the batch
    b: Array  # (S,): which row
    begin: Array  # (S,): what it begins at: at b the first state of row b, at B + b what that row is put back to
    lengths: np.ndarray | Cut | None  # (S,), on the host
    valid: Pair  # (n,) each: step and segment of all valid steps
    place: Pair  # (n,) each: where those are in the batch
    first: Pair  # segments that begin at the first states of rows, and these rows
    last: Pair  # segments that end rows, and these rows
    again: tuple[np.ndarray, np.ndarray]  # segments that begin with a reset, and their rows, on the host

    def of(self, sequence: Array) -> Array:
        """Return (T, B, ·) of the batch as (L, S, ·) of the segments."""
        return sequence if self.t is None else sequence[self.t, self.b]

    def again_in_turn(self, xp: Any) -> Iterator[Pair]:
        """Give the first segments of all rows that begin with a reset, and these rows; then the second; and so on."""
        segments, rows = self.again
        turn = _turns(rows)
        for k in range(turn.max(initial=-1) + 1):
            yield xp.asarray(segments[turn == k]), xp.asarray(rows[turn == k])


class Segments(NamedTuple):
    """All segments of a call."""

    xp: Any
    T: int
    B: int
    ragged: bool  # some places of the batch are past their row's length
    groups: tuple[Group, ...]

    def together(self, parts: Iterable[Array]) -> Array:
        """Return (T, B, ·) of the batch from (L, S, ·) of each group; zero past a row's length."""
        parts = list(parts)
        if self.groups[0].t is None:
            return parts[0]
        shape, dtype = (self.T, self.B, parts[0].shape[-1]), parts[0].dtype
        whole = zeros(self.xp, shape, dtype) if self.ragged else self.xp.empty(shape, dtype=dtype)
        for group, part in zip(self.groups, parts, strict=True):
            whole[group.place] = part[group.valid]
        return whole

    def begin(self, group: Group, state0: State, put_back: State) -> State:
        """Return the states (·, S, H) at which the segments of a group begin."""
        pairs = zip(state0, put_back, strict=True)
        return tuple([self.xp.concat(pair, axis=1)[:, group.begin] for pair in pairs])  # (V3)

    def first_backward(self, parts: Iterable[Array]) -> Array:
        """Return the gradient (·, B, H) of a first state, from (·, S, H) of each group: zero where it is put back."""
        parts = list(parts)
        ds0 = self._of_rows(parts[0])
        for group, ds in zip(self.groups, parts, strict=True):
            segments, rows = group.first
            ds0[:, rows] = ds[:, segments]  # (V3′)
        return ds0

    def again_backward(self, parts: Iterable[Array]) -> Array:
        """Return the gradient (·, B, H) of what a state is put back to: the sum over a row's resets, in their order."""
        parts = list(parts)
        ds_back = self._of_rows(parts[0])
        for group, ds in zip(self.groups, parts, strict=True):
            for segments, rows in group.again_in_turn(self.xp):
                ds_back[:, rows] = ds_back[:, rows] + ds[:, segments]  # (V3′)
        return ds_back

    def end(self, parts: Iterable[Array]) -> Array:
        """Return a final state (·, B, H) of the batch: that of each row's last segment."""
        parts = list(parts)
        final = self._of_rows(parts[0])
        for group, state in zip(self.groups, parts, strict=True):
            segments, rows = group.last
            final[:, rows] = state[:, segments]
        return final

    def end_backward(self, group: Group, ds: Array | None) -> Array | None:
        """Return ∂L/∂ a final state of a group's segments: zero where the row goes on, put back.  (V3′)"""
        if ds is None:
            return None
        segments, rows = group.last
        part = zeros(self.xp, (ds.shape[0], group.b.shape[0], ds.shape[2]), ds.dtype)
        part[:, segments] = ds[:, rows]
        return part

    def _of_rows(self, state: Array) -> Array:
        return zeros(self.xp, (state.shape[0], self.B, state.shape[2]), state.dtype)


def check_resets(where: str, resets: Any, layout: Layout) -> np.ndarray | None:
    """Return resets (T, B) on the host, or None where there are none."""
    if resets is None:
        return None
    resets, shape = as_array(where, "resets", to_host(resets)), layout.sequence_shape(1)[:-1]
    if resets.dtype.kind not in "biu":
        raise TypeError(
            f"{where}: resets must be booleans or integers, got {resets.dtype}; of numbers take resets != 0"
        )
    if resets.shape != shape:
        raise ValueError(
            f"{where}: resets must have shape {shape}, one for each step as x is laid out, got {resets.shape}"
        )
    if resets.dtype.kind != "b" and ((resets != 0) & (resets != 1)).any():
        place = first((resets != 0) & (resets != 1))
        raise ValueError(f"{where}: resets must be 0 or 1, got {resets[place]} at index {place}")
    return layout.inward(resets[..., np.newaxis])[..., 0] != 0


def segments_of(
    resets: np.ndarray | None, lengths: np.ndarray | None, xp: Any, *, alone: bool = False, cuts: bool = False
) -> Segments | None:
    """Return the segments of a batch, or None where no state is put back.

    Parameters
    ----------
    resets : ndarray of bool, shape (T, B), or None
        True where the states of a row are put back before a step. Past a row's length they mean nothing.
    lengths : ndarray of int64, shape (B,), or None
    xp : module
        Where the indexes go.
    alone : bool
        Each segment is a group of its own: for a backend whose bits depend on how many rows there are.
    cuts : bool
        The cells take a `Cut`: the batch can stay as it is, with nothing gathered.
    """
    if resets is None:
        return None
    T, B = resets.shape
    ends = np.full(B, T) if lengths is None else lengths
    put_back = resets & (np.arange(T)[:, np.newaxis] < ends)
    if not put_back.any():
        return None
    begins = put_back.copy()
    begins[0] = True
    b, t = np.nonzero(begins.T)  # row by row, and in a row by time
    last = np.append(b[1:] != b[:-1], True)
    steps = np.where(last, ends[b], np.append(t[1:], 0)) - t
    table = _Table(b, t, steps, put_back[t, b], last)
    if cuts or not (alone or begins[1:].any()):  # the latter where an agent takes one step: there is nothing to cut
        own = Cut(b, t, steps) if begins[1:].any() else lengths
        return Segments(xp, T, B, lengths is not None, (_whole(table, own, B, xp),))
    groups = tuple(_group(table, chosen, B, xp) for chosen in _chosen(steps, alone))
    return Segments(xp, T, B, lengths is not None, groups)


class _Table(NamedTuple):
    """Every segment by number."""

    b: np.ndarray  # its row
    t: np.ndarray  # its first step
    steps: np.ndarray  # how many it has
    put_back: np.ndarray  # it begins with a reset
    last: np.ndarray  # its row ends with it


def _chosen(steps: np.ndarray, alone: bool) -> Iterator[np.ndarray]:
    """Give the numbers of the segments of each group: those of about a length, so that padding stays bounded."""
    if alone:
        yield from np.arange(len(steps))[:, np.newaxis]
        return
    order = np.argsort(-steps, kind="stable")
    while len(order):
        sizes = steps[order]
        fits = sizes[0] * np.arange(1, len(order) + 1) <= PADDING * np.cumsum(sizes)
        end = int(np.flatnonzero(fits)[-1]) + 1
        yield np.sort(order[:end])
        order = order[end:]


def _whole(table: _Table, lengths: np.ndarray | Cut | None, B: int, xp: Any) -> Group:
    """Return all segments as they lie in the batch."""
    nothing = xp.asarray(np.zeros(0, np.int64))
    return Group(None, xp.asarray(table.b), lengths=lengths, place=(nothing, nothing), valid=(nothing, nothing),
                 **_ends(table, B, xp))  # fmt: skip


def _group(table: _Table, chosen: np.ndarray, B: int, xp: Any) -> Group:
    """Return some segments, to be gathered."""
    table = _Table(*(column[chosen] for column in table))
    within = np.arange(table.steps.max())[:, np.newaxis]  # a segment
    valid = np.nonzero(within < table.steps)
    at = table.t + np.minimum(within, table.steps - 1)
    even = (table.steps == table.steps[0]).all()
    return Group(
        t=xp.asarray(at), b=xp.asarray(table.b), lengths=None if even else table.steps,
        valid=_pair(xp, *valid), place=_pair(xp, at[valid], table.b[valid[1]]), **_ends(table, B, xp),
    )  # fmt: skip


def _ends(table: _Table, B: int, xp: Any) -> dict[str, Any]:
    """Return where some segments begin, and which of them end rows."""
    b, segments, put_back = table.b, np.arange(len(table.b)), table.put_back
    return {
        "begin": xp.asarray(b + B * put_back),
        "first": _pair(xp, segments[~put_back], b[~put_back]),
        "last": _pair(xp, segments[table.last], b[table.last]),
        "again": (segments[put_back], b[put_back]),
    }


def _pair(xp: Any, one: np.ndarray, other: np.ndarray) -> Pair:
    return xp.asarray(one), xp.asarray(other)


def _turns(rows: np.ndarray) -> np.ndarray:
    """Return for each of some rows, in order, how often it has come before."""
    new = np.append(True, rows[1:] != rows[:-1])[: len(rows)]
    places = np.arange(len(rows))
    return places - np.maximum.accumulate(np.where(new, places, 0))
