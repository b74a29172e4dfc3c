"""Where the windows of a convolution or a pooling lie, axis by axis."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ...foreign import shown
from ..checks import positive_int

AXES = {1: "(B, C, L)", 2: "(B, C, H, W)"}
"""The shapes of inputs, by how many axes a window slides over."""


class Axis(NamedTuple):
    """How windows lie on one axis: window p reads the places ``stride·p + dilation·k``, k = 0 … kernel − 1."""

    kernel: int
    stride: int
    before: int  # padding
    after: int
    dilation: int

    @property
    def reach(self) -> int:
        """From a window's first place to just behind its last one."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, size: int) -> int:
        """Return how many windows fit on an axis of this size, with its padding."""
        return (size + self.before + self.after - self.reach) // self.stride + 1

    def places(self, k: int, windows: int) -> slice:
        """Return where, on the padded axis, element k of each window lies."""
        first = self.dilation * k
        return slice(first, first + self.stride * (windows - 1) + 1, self.stride)


class Geometry(NamedTuple):
    """How windows lie on all the axes over which they slide."""

    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """How many places a window has."""
        return int(np.prod([axis.kernel for axis in self.axes]))

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """The padding of each axis, before and after."""
        return tuple((axis.before, axis.after) for axis in self.axes)

    def counts(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return how many windows there are along each axis of this size."""
        return tuple(axis.count(size) for axis, size in zip(self.axes, sizes, strict=True))

    def offsets(self) -> Iterator[tuple[int, ...]]:
        """Return the places within a window, in the order in which a kernel's elements lie."""
        return product(*(range(axis.kernel) for axis in self.axes))

    def places(self, offset: tuple[int, ...], counts: tuple[int, ...]) -> tuple[Any, ...]:
        """Return the index, into a padded array (B, C, …), of one place of every window."""
        return (..., *(axis.places(k, n) for axis, k, n in zip(self.axes, offset, counts, strict=True)))


def geometry(
    where: str, rank: int, *, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Geometry:
    """Return how windows lie, if the options make sense.

    Parameters
    ----------
    where : str
        The layer, for errors.
    rank : int
        Over how many axes a window slides.
    kernel_size, stride, dilation : int or tuple of int
        One number for all axes, or one for each; at least 1.
    padding : int, tuple of int, "same", "causal" or "valid"
        Zeros on both sides. "same" gives as many windows as places, with stride 1, and puts the odd zero behind, as
        torch does; so does "causal", which puts all of them before, so that a window ends at its place; "valid" is
        none.

    Raises
    ------
    ValueError, TypeError
        An option is out of range, or of another kind.
    """
    kernels = _each(where, "kernel_size", kernel_size, rank)
    strides = _each(where, "stride", stride, rank)
    dilations = _each(where, "dilation", dilation, rank)
    if isinstance(padding, str) and padding in ("same", "causal"):
        if set(strides) != {1}:
            raise ValueError(
                f"{where}: stride must be 1 with padding={padding!r}, got {shown(stride)}; give the padding in numbers"
            )
        total = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
        sides = [(n // 2, n - n // 2) if padding == "same" else (n, 0) for n in total]
    elif isinstance(padding, str):
        if padding != "valid":
            raise ValueError(f"{where}: padding must be 'same', 'causal', 'valid' or numbers, got {shown(padding)}")
        sides = [(0, 0)] * rank
    else:
        sides = [(n, n) for n in _each(where, "padding", padding, rank, least=0)]
    rows = zip(kernels, strides, sides, dilations, strict=True)
    return Geometry(tuple(Axis(k, s, *side, d) for k, s, side, d in rows))


def check_input(where: str, x: Any, rank: int, geometry: Geometry, channels: int | None = None) -> tuple[int, ...]:
    """Return how many windows there are along each axis, if x has the right shape and at least one fits.

    Raises
    ------
    ValueError
        Else.
    """
    shape = tuple(x.shape)
    if len(shape) != rank + 2 or 0 in shape or (channels is not None and shape[1] != channels):
        wanted = AXES[rank] if channels is None else AXES[rank].replace("C", str(channels))
        also = "" if channels is None else f"; in_channels is {channels}"
        hint = "; give a single channel its axis with x[:, None]" if len(shape) == rank + 1 else ""
        raise ValueError(f"{where}: x must have shape {wanted}, got {shape}{also}{hint}")
    counts = geometry.counts(shape[2:])
    if min(counts) < 1:
        needed = tuple(axis.reach - axis.before - axis.after for axis in geometry.axes)
        raise ValueError(f"{where}: x must be at least {needed} behind its channels, for one window, got {shape[2:]}")
    return counts


def _each(where: str, name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """Return one number for each axis."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"{where}: {name} must be a number, or {rank} of them, got {shown(value)}")
    if least == 1:
        return tuple(positive_int(where, name, one) for one in values)
    for one in values:
        if isinstance(one, bool) or not isinstance(one, int | np.integer):
            raise TypeError(f"{where}: {name} must be of ints, got {shown(value)}")
        if one < least:
            raise ValueError(f"{where}: {name} must be at least {least}, got {one}")
    return tuple(int(one) for one in values)
