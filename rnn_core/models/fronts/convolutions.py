"""The fronts of convolutions: over what stands at each step, and along the steps; what makes a CNN → RNN."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...foreign import shown
from ...layers.base import Layer
from ...layers.checks import as_array, check_lengths, positive_int
from ...layers.convolution.blocks import ConvBlocks, checked_channels, walk_back
from ...layers.convolution.conv import Conv1d
from ...layers.convolution.pointwise import ReLU
from ..base import seeds
from ..inputs import as_features, valid_steps
from .front import Front


class Frames(Front):
    """What stands at each step, (B, T, C, L) or (B, T, C, H, W), through convolutions, as one row of features.

    Every frame goes its way alone; those past a row's length go none. A frame of one channel may come without its axis.

    Parameters
    ----------
    shape : sequence of int
        Of a frame: (C, L) or (C, H, W).
    channels, kernel_size, stride, padding, dilation, pool, pooling
        As in `ConvBlocks`.
    made : backend, dtype and seed
        Of its layers, ``conv.0`` and so on.
    """

    differentiable = True

    def __init__(self, shape: Any, channels: Any = (16, 32), *, seed: int | None = None, **options: Any) -> None:
        where = "the front 'frames'"
        made = {name: options.pop(name) for name in ("backend", "dtype") if name in options}
        channels = checked_channels(where, channels)
        self.blocks = ConvBlocks(where, shape, channels=channels, seeds=seeds(seed, len(channels)), **options, **made)
        self.layers = dict(self.blocks.layers)
        self.out_features = prod(self.blocks.shape)
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
        self.config = {
            "kind": "frames", "shape": list(self.blocks.input_shape), "channels": list(channels), **plain
        }  # fmt: skip

    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """See `Front.checked`."""
        x, shape = as_array(where, "x", x, xp), self.blocks.input_shape
        if tuple(x.shape[2:]) not in (shape, shape[1:] if shape[0] == 1 else shape) or 0 in x.shape:
            raise ValueError(
                f"{where}: x must have shape (B, T, {', '.join(map(str, shape))}), B rows of T ≥ 1 frames, got "
                f"{tuple(x.shape)}"
            )
        return x, check_lengths(where, lengths, x.shape[1], x.shape[0])

    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return the features of each frame."""
        frames, valid = self._frames(x, lengths)
        y = self.blocks(frames)
        return _steps(x, array_namespace(y).reshape(y, (y.shape[0], -1)), valid)

    def forward(self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Return the features of each frame, and a tape."""
        frames, valid = self._frames(x, lengths)
        y, tapes = self.blocks.forward(frames)
        flat = array_namespace(y).reshape(y, (y.shape[0], -1))
        return _steps(x, flat, valid), FramesTape(tapes, tuple(y.shape), x, valid)

    def backward(self, tape: Any, dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return the gradients of the frames and of the kernels."""
        xp, x = array_namespace(dy), tape.x
        flat = xp.reshape(dy, (-1, dy.shape[2]))
        if tape.valid is not None:
            flat = flat[tape.valid]
        dframes, grads = self.blocks.backward(tape.blocks, xp.reshape(flat, tape.shape), needs)
        if dframes is None:
            return None, grads
        return xp.reshape(_steps(x, dframes, tape.valid), tuple(x.shape)), grads

    def _frames(self, x: Array, lengths: np.ndarray | None) -> tuple[Array, Array | None]:
        """Return every frame within its row's length, (N, C, …), and which those are of all B·T; None for all."""
        xp = array_namespace(x)
        frames = xp.reshape(x, (-1, *self.blocks.input_shape))
        if lengths is None:
            return frames, None
        valid = xp.asarray(np.flatnonzero(valid_steps(np, lengths, x.shape[1])))  # on the host, where lengths are
        return frames[valid], valid


class FramesTape(NamedTuple):
    """What `Frames.backward` needs. Opaque to the caller."""

    blocks: Any
    shape: tuple[int, ...]  # of the last block's output
    x: Array
    valid: Array | None


class OverTime(Front):
    """Features (B, T, I) through convolutions along the steps, as a spectrogram's: each step sees its neighbours.

    The number of steps stays what it was. What stands past a row's length is zero to every kernel, so that a row alone
    and the same row among longer ones give the same.

    Parameters
    ----------
    input_size : int
        I, the channels of the first convolution.
    channels : sequence of int
        Output channels of each.
    kernel_size, dilation : int
    padding : {"same", "causal"}
        Whether a step sees steps on both sides, or none behind it.
    made : backend, dtype and seed
        Of its layers, ``conv.0`` and so on.
    """

    differentiable = True

    def __init__(
        self,
        input_size: int,
        channels: Any = (64,),
        kernel_size: int = 3,
        dilation: int = 1,
        padding: str = "same",
        *,
        seed: int | None = None,
        **made: Any,
    ) -> None:
        where = "the front 'over time'"
        if padding not in ("same", "causal"):
            raise ValueError(f"{where}: padding must be 'same' or 'causal', got {shown(padding)}")
        self.input_size, self.relu = positive_int(where, "input_size", input_size), ReLU()
        widths = (self.input_size, *checked_channels(where, channels))
        self.convolutions = [
            Conv1d(before, after, kernel_size, 1, padding, dilation, seed=one, **made)
            for before, after, one in zip(widths, widths[1:], seeds(seed, len(widths) - 1), strict=False)
        ]
        self.layers: dict[str, Layer] = {f"conv.{k}": layer for k, layer in enumerate(self.convolutions)}
        self.out_features = widths[-1]
        self.config = {
            "kind": "over time", "input_size": self.input_size, "channels": list(widths[1:]),
            "kernel_size": kernel_size, "dilation": dilation, "padding": padding,
        }  # fmt: skip

    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """See `Front.checked`."""
        return as_features(where, x, lengths, self.input_size, xp)

    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return the last convolution's output at each step."""
        valid, y = _mask(x, lengths), _turned(x)
        for layer in self.convolutions:
            y = self.relu(layer(_held(y, valid)))  # (CV1), (CV2)
        return _turned(y)

    def forward(self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Return the last convolution's output at each step, and a tape."""
        valid, y, tapes = _mask(x, lengths), _turned(x), []
        for layer in self.convolutions:
            y, conv = layer.forward(_held(y, valid))  # (CV1)
            y, relu = self.relu.forward(y)  # (CV2)
            tapes.append((conv, relu))
        return _turned(y), (tapes, valid)

    def backward(self, tape: Any, dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return the gradients of the features and of the kernels."""
        tapes, valid = tape
        grads: dict[str, Array] = {}
        dx, dy = None, _held(_turned(dy), valid)
        for k, part, wanted in walk_back(self.layers, needs):
            conv, relu = tapes[k]
            dx, own = self.convolutions[k].backward(conv, self.relu.backward(relu, dy), wanted)  # (CV1′), (CV2′)
            grads |= {f"{part}.{name}": gradient for name, gradient in own.items()}
            dy = dy if dx is None else _held(dx, valid)
        return None if dx is None else _turned(dy), grads


def _steps(x: Array, rows: Array, valid: Array | None) -> Array:
    """Return what was made of frames, (B, T, …), with zeros past a row's length."""
    xp = array_namespace(rows)
    B, T = x.shape[:2]
    if valid is not None:
        full = xp.zeros((B * T, *rows.shape[1:]), dtype=rows.dtype)
        full[valid] = rows
        rows = full
    return xp.reshape(rows, (B, T, *rows.shape[1:]))


def _turned(x: Array) -> Array:
    """Return (B, T, C) as (B, C, T), and the other way round."""
    return array_namespace(x).moveaxis(x, 1, 2)


def _mask(x: Array, lengths: np.ndarray | None) -> Array | None:
    return None if lengths is None else valid_steps(array_namespace(x), lengths, x.shape[1])[:, None]


def _held(x: Array, valid: Array | None) -> Array:
    """Return x (B, C, T) with zeros past each row's length."""
    return x if valid is None else array_namespace(x).where(valid, x, 0)
