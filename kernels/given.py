"""What a cell is given: whether each array has the shape and the dtype that loops read it with.

A loop has addresses, and no means to see that an array ends before it does. The layers of rnn_core look at what users
give them; this is for whoever calls a cell of the contract himself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .contract import Array, DefinedParameters, Parameters


class Outline(NamedTuple):
    """How many arrays a cell has of each kind, and what they are called."""

    where: str  # the backend and the cell, for messages
    from_x: int  # blocks of H rows in weight_ih
    from_h: int  # and in weight_hh
    states: tuple[str, ...]
    streams: tuple[str, ...]
    extra: tuple[str, ...]


class Sizes(NamedTuple):
    """The sizes of a call, and its dtype."""

    T: int
    B: int
    S: int  # sequences: B, or the segments of a `Cut`
    I: int
    H: int
    dtype: Any


def check_forward(
    cell: Outline, sizes: Sizes, params: Parameters | DefinedParameters, state0: Sequence[Array],
    streams: Sequence[Array],
) -> None:  # fmt: skip
    """Raise TypeError or ValueError where what a forward is given doesn't fit its x."""
    T, B, S, _, H, dtype = sizes
    _check_parameters(cell, sizes, params)
    _check(cell.where, "state0", cell.states, state0, "B, H", (S, H), dtype)
    if cell.streams or streams:
        _check(cell.where, "streams", cell.streams, streams, "T, B, H", (T, B, H), dtype)


def check_backward(
    cell: Outline, sizes: Sizes, params: Parameters | DefinedParameters, dy: Array | None,
    dstate_T: Sequence[Array | None], dstates: Sequence[Array | None] | None,
) -> None:  # fmt: skip
    """Raise TypeError or ValueError where what a backward is given doesn't fit its tape."""
    T, B, S, _, H, dtype = sizes
    _check_parameters(cell, sizes, params)
    if dy is not None:
        _check_one(cell.where, "dy", dy, "T, B, H", (T, B, H), dtype)
    _check(cell.where, "dstate_T", cell.states, dstate_T, "B, H", (S, H), dtype)
    if dstates is not None:  # the first stands for dy, and nobody reads it
        _check(cell.where, "dstates", cell.states, (None, *dstates[1:]), "T, B, H", (T, B, H), dtype)


def _check_parameters(cell: Outline, sizes: Sizes, params: Parameters | DefinedParameters) -> None:
    where, I, H, dtype = cell.where, sizes.I, sizes.H, sizes.dtype
    W_x, W_h, b_x, b_h = params[:4]
    X, G = cell.from_x * H, cell.from_h * H
    _check_one(where, "weight_ih", W_x, "rows, I", (X, I), dtype)
    if b_x is not None:
        _check_one(where, "bias_ih", b_x, "rows,", (X,), dtype)
    if G:
        if W_h is None:
            raise ValueError(f"{where}: weight_hh must be given, for its {cell.from_h} sums of the state, got None")
        _check_one(where, "weight_hh", W_h, "rows, H", (G, H), dtype)
        if b_h is not None:
            _check_one(where, "bias_hh", b_h, "rows,", (G,), dtype)
    if cell.extra:
        extra = params.extra if isinstance(params, DefinedParameters) else ()
        _check(where, "extra", cell.extra, extra, "H,", (H,), dtype)


def _check(
    where: str, what: str, names: Sequence[str], arrays: Sequence[Array | None], axes: str, shape: tuple[int, ...],
    dtype: Any,
) -> None:  # fmt: skip
    """Check that there is an array for each name, and each of them; the names are for messages."""
    if len(arrays) != len(names):
        listed = f" ({', '.join(names)})" if names else ""
        raise ValueError(f"{where}: there must be {len(names)} {what}{listed}, got {len(arrays)}")
    for k, array in enumerate(arrays):
        if array is not None and (array.shape != shape or array.dtype != dtype):
            _check_one(where, f"{names[k]} of {what}", array, axes, shape, dtype)


def _check_one(where: str, name: str, array: Array, axes: str, shape: tuple[int, ...], dtype: Any) -> None:
    if array.dtype != dtype:
        raise TypeError(f"{where}: {name} must be {dtype}, as x and the weights are, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{where}: {name} must have shape ({axes}) = {shape}, got {tuple(array.shape)}")
