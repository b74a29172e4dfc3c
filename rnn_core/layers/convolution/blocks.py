"""`ConvBlocks`: convolution → ReLU → pooling, several times: what turns an image or a frame into features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array

from ...foreign import shown
from ..base import Layer
from ..checks import positive_int
from .conv import Conv1d, Conv2d, Convolution
from .pointwise import ReLU
from .pools import AvgPool, MaxPool

POOLS: dict[str, Any] = {"max": MaxPool, "mean": AvgPool}
"""What a block may end in, by the word for ``pooling=``."""

LAYERS: dict[int, type[Convolution]] = {1: Conv1d, 2: Conv2d}
"""The convolution that slides over so many axes."""


class BlockTape(NamedTuple):
    """What one block's backward needs. Opaque to the caller."""

    conv: Any
    relu: Any
    pool: Any  # None without pooling


class ConvBlocks:
    """Convolution → ReLU → pooling for each of some numbers of channels; forward above backward.

    Parameters
    ----------
    where : str
        The model, which errors name.
    input_shape : sequence of int
        (C, L) or (C, H, W).
    channels : sequence of int
        Output channels of each block.
    kernel_size, stride, padding, dilation
        Of every convolution, as in `Conv1d` and `Conv2d`.
    pool : int, pair of int or None
        The windows, side by side, that each block is pooled over; None for none.
    pooling : {"max", "mean"}
    backend, dtype, seeds
        How the convolutions are made; a seed for each.

    Attributes
    ----------
    layers : dict of str to Layer
        ``conv.0``, ``conv.1``, …
    shape : tuple of int
        Of what comes out for an input of `input_shape`.

    Raises
    ------
    ValueError, TypeError
        An option is out of range, or a block leaves nothing of its input.
    """

    def __init__(
        self,
        where: str,
        input_shape: Any,
        *,
        channels: Any,
        kernel_size: Any = 3,
        stride: Any = 1,
        padding: Any = "same",
        dilation: Any = 1,
        pool: Any = 2,
        pooling: str = "max",
        seeds: list[int],
        **made: Any,
    ) -> None:
        self.input_shape = checked_shape(where, input_shape)
        self.channels = checked_channels(where, channels)
        if pooling not in POOLS:
            raise ValueError(f"{where}: pooling must be one of {', '.join(map(repr, POOLS))}, got {shown(pooling)}")
        self.relu = ReLU()
        self.pool = None if pool is None else POOLS[pooling](tuple(pool) if isinstance(pool, list) else pool)
        self.layers: dict[str, Layer] = {}
        options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        kind, (before, *sizes) = LAYERS[len(self.input_shape) - 1], self.input_shape
        for k, (out, seed) in enumerate(zip(self.channels, seeds, strict=True)):
            self.layers[f"conv.{k}"] = layer = kind(before, out, **options, seed=seed, **made)
            left = layer.sizes(tuple(sizes))
            left = left if self.pool is None or min(left) < 1 else self.pool.sizes(left)
            if min(left) < 1:
                raise ValueError(
                    f"{where}: input_shape must leave something behind every block, got {self.input_shape} with "
                    f"nothing behind block {k}, which begins with {tuple(sizes)}; take fewer channels, or no pool"
                )
            before, sizes = out, list(left)
        self.shape = (before, *sizes)

    def __call__(self, x: Array) -> Array:
        """Return the last block's output, (B, C, …), without a tape."""
        for layer in self.layers.values():
            x = self.relu(layer(x))  # type: ignore[operator]  # every layer here is a convolution
            x = x if self.pool is None else self.pool(x)
        return x

    def forward(self, x: Array) -> tuple[Array, list[BlockTape]]:
        """Return the last block's output, (B, C, …), and a tape for `backward`."""
        tapes = []
        for layer in self.layers.values():
            x, conv = layer.forward(x)  # type: ignore[attr-defined]  # (CV1)
            x, relu = self.relu.forward(x)  # (CV2)
            pool = None
            if self.pool is not None:
                x, pool = self.pool.forward(x)  # (CP1), (CP2)
            tapes.append(BlockTape(conv, relu, pool))
        return x, tapes

    def backward(self, tapes: list[BlockTape], dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂x and the gradients of parameters, ``conv.0.weight`` and so on, as far as needed.

        The walk back stops at the lowest convolution that something needed depends on.
        """
        grads: dict[str, Array] = {}
        dx: Array | None = None
        for k, part, wanted in walk_back(self.layers, needs):
            tape = tapes[k]
            if self.pool is not None:
                dy = self.pool.backward(tape.pool, dy)  # (CP1′), (CP2′)
            dy = self.relu.backward(tape.relu, dy)  # (CV2′)
            dx, own = self.layers[part].backward(tape.conv, dy, wanted)  # type: ignore[attr-defined]  # (CV1′)
            grads |= {f"{part}.{name}": gradient for name, gradient in own.items()}
            dy = dy if dx is None else dx
        return dx, grads


def walk_back(parts: Iterable[str], needs: set[str]) -> Iterator[tuple[int, str, set[str]]]:
    """Return the place, the name and what is needed of each layer, from the last to the lowest that is needed at all.

    A layer has to give "x" where something below it is needed, and `needs` says "x" where what comes in is.
    """
    named = list(parts)
    own = [{name.removeprefix(f"{part}.") for name in needs if name.startswith(f"{part}.")} for part in named]
    lowest = 0 if "x" in needs else next((k for k, some in enumerate(own) if some), len(own))
    for k in reversed(range(lowest, len(named))):
        yield k, named[k], own[k] | ({"x"} if k > lowest or "x" in needs else set())


def checked_channels(where: str, channels: Any) -> tuple[int, ...]:
    """Return the output channels of several convolutions."""
    return tuple(positive_int(where, "channels", one) for one in _listed(where, "channels", channels))


def checked_shape(where: str, input_shape: Any) -> tuple[int, ...]:
    """Return a shape (C, L) or (C, H, W), if it is one."""
    shape = tuple(positive_int(where, "input_shape", one) for one in _listed(where, "input_shape", input_shape))
    if len(shape) - 1 not in LAYERS:
        raise ValueError(
            f"{where}: input_shape must be (channels, length) or (channels, height, width), got {shape}; an image in "
            "grey has one channel"
        )
    return shape


def _listed(where: str, name: str, value: Any) -> list[Any]:
    if not isinstance(value, tuple | list | np.ndarray) or len(value) == 0:
        raise TypeError(f"{where}: {name} must be a list of ints, got {shown(value)}")
    return list(value)
