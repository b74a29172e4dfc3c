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
    extra: tuple[str, ...]  # vectors, constants, and matrices
    matrices: tuple[str, ...] = ()  # the last of them
    projection: str = ""  # the one of these that makes h: its rows are h's numbers, P


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
    P = _check_parameters(cell, sizes, params)
    _check_states(cell, "state0", state0, (S,), P, sizes)
    if cell.streams or streams:
        _check(cell.where, "streams", cell.streams, streams, "T, B, H", (T, B, H), dtype)


def check_backward(
    cell: Outline, sizes: Sizes, params: Parameters | DefinedParameters, dy: Array | None,
    dstate_T: Sequence[Array | None], dstates: Sequence[Array | None] | None,
) -> None:  # fmt: skip
    """Raise TypeError or ValueError where what a backward is given doesn't fit its tape."""
    T, B, S, _, _, dtype = sizes
    P = _check_parameters(cell, sizes, params)
    if dy is not None:
        _check_one(cell.where, "dy", dy, f"T, B, {'P' if cell.projection else 'H'}", (T, B, P), dtype)
    _check_states(cell, "dstate_T", dstate_T, (S,), P, sizes)
    if dstates is not None:  # the first stands for dy, and nobody reads it
        _check_states(cell, "dstates", (None, *dstates[1:]), (T, B), P, sizes)


def _check_parameters(cell: Outline, sizes: Sizes, params: Parameters | DefinedParameters) -> int:
    """Check all parameters, and return how many numbers h has."""
    where, I, H, dtype = cell.where, sizes.I, sizes.H, sizes.dtype
    W_x, W_h, b_x, b_h = params[:4]
    X, G, P = cell.from_x * H, cell.from_h * H, _check_extra(cell, sizes, params)
    _check_one(where, "weight_ih", W_x, "rows, I", (X, I), dtype)
    if b_x is not None:
        _check_one(where, "bias_ih", b_x, "rows,", (X,), dtype)
    if G:
        if W_h is None:
            raise ValueError(f"{where}: weight_hh must be given, for its {cell.from_h} sums of the state, got None")
        _check_one(where, "weight_hh", W_h, f"rows, {'P' if cell.projection else 'H'}", (G, P), dtype)
        if b_h is not None:
            _check_one(where, "bias_hh", b_h, "rows,", (G,), dtype)
        if (b_x is None) != (b_h is None):
            one, other = ("bias_hh", "bias_ih") if b_x is None else ("bias_ih", "bias_hh")
            raise ValueError(f"{where}: {other} must be given, as {one} is, got None; give zeros, or leave both out")
    return P


def _check_extra(cell: Outline, sizes: Sizes, params: Parameters | DefinedParameters) -> int:
    """Check vectors, constants and matrices, and return how many numbers h has: P of a projection, otherwise H."""
    where, P, H, dtype = cell.where, sizes.H, sizes.H, sizes.dtype
    if not cell.extra:
        return P
    extra = params.extra if isinstance(params, DefinedParameters) else ()
    vectors = len(cell.extra) - len(cell.matrices)
    _check(where, "extra", cell.extra, extra, "H,", (H,), dtype, vectors)
    for name, matrix in zip(cell.matrices, extra[vectors:], strict=True):
        if matrix is None:
            raise ValueError(f"{where}: {name} of extra must be given, got None; it is a matrix")
        if name == cell.projection and matrix.ndim == 2:
            P = matrix.shape[0]
        shape, axes = ((P, H), "P, H") if name == cell.projection else ((H, H), "H, H")
        _check_one(where, f"{name} of extra", matrix, axes, shape, dtype)
    return P


def _check_states(
    cell: Outline, what: str, arrays: Sequence[Array | None], begin: tuple[int, ...], P: int, sizes: Sizes
) -> None:
    """Check an array for each state: the first has P numbers in a row, the others H."""
    axes = "B, H" if len(begin) == 1 else "T, B, H"
    if not cell.projection:
        _check(cell.where, what, cell.states, arrays, axes, (*begin, sizes.H), sizes.dtype)
        return
    _check(cell.where, what, cell.states, arrays, axes, (*begin, sizes.H), sizes.dtype, 0)
    for k, (name, array) in enumerate(zip(cell.states, arrays, strict=True)):
        if array is not None:
            its, size = (axes.replace("H", "P"), P) if k == 0 else (axes, sizes.H)
            _check_one(cell.where, f"{name} of {what}", array, its, (*begin, size), sizes.dtype)


def _check(
    where: str, what: str, names: Sequence[str], arrays: Sequence[Array | None], axes: str, shape: tuple[int, ...],
    dtype: Any, first: int | None = None,
) -> None:  # fmt: skip
    """Check that there is an array for each name, and each of them, or the first so many; names are for messages."""
    if len(arrays) != len(names):
        listed = f" ({', '.join(names)})" if names else ""
        raise ValueError(f"{where}: there must be {len(names)} {what}{listed}, got {len(arrays)}")
    for k, array in enumerate(arrays[:first]):
        if array is not None and (array.shape != shape or array.dtype != dtype):
            _check_one(where, f"{names[k]} of {what}", array, axes, shape, dtype)


def _check_one(where: str, name: str, array: Array, axes: str, shape: tuple[int, ...], dtype: Any) -> None:
    if array.dtype != dtype:
        raise TypeError(f"{where}: {name} must be {dtype}, as x and the weights are, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{where}: {name} must have shape ({axes}) = {shape}, got {tuple(array.shape)}")
