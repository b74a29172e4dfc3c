"""Weights in int8 as the tile reads them. They are packed once, when they are first used, and then stay."""

from __future__ import annotations

import numpy as np

from ..emitting.simd import Lanes
from ..running.memory import Block, take
from .rows import OFFSET
from .tile import HEAD, TURN


def turns(K: int) -> int:
    """Return the turns that K numbers take."""
    return -(-K // TURN)


def panel_row(lanes: Lanes, K: int) -> int:
    """Return the bytes that a vector of units has in a panel."""
    return (HEAD + turns(K)) * lanes.width


def pack(weight: np.ndarray, scale: np.ndarray, gates: tuple[int, ...], panel: int, lanes: Lanes) -> Block:
    """Return a weight (G·H, K) in panels of `panel` vectors of units, with the gates of the same units side by side.

    Parameters
    ----------
    weight : ndarray of int8, shape (G·H, K)
    scale : ndarray of float32, shape (G·H,)
    gates : tuple of int
        Which gate's rows come first, second, …
    panel : int
        Vectors of a panel; the last may have fewer.
    lanes : Lanes
    """
    G, (rows, K) = len(gates), weight.shape
    H = rows // G
    Hp, n, along = lanes.filled(H), lanes.count, turns(K)
    numbers, scales = np.zeros((G, Hp, along * TURN), np.int8), np.zeros((G, Hp), np.float32)
    for slot, gate in enumerate(gates):
        numbers[slot, :H, :K] = weight[gate * H : (gate + 1) * H]
        scales[slot, :H] = scale[gate * H : (gate + 1) * H]
    first_sums = -OFFSET * numbers.sum(-1, dtype=np.int32)
    block, at = take(G * Hp // n * panel_row(lanes, K)), 0
    for first in range(0, Hp, panel * n):
        units = slice(first, min(Hp, first + panel * n))
        v = (units.stop - units.start) // n
        out = block.view(at, (HEAD + along, G * v * lanes.width), np.int8)
        out[0] = np.ascontiguousarray(first_sums[:, units]).view(np.int8).reshape(-1)
        out[1] = np.ascontiguousarray(scales[:, units]).view(np.int8).reshape(-1)
        four = numbers[:, units].reshape(G, v, n, along, TURN).transpose(3, 0, 1, 2, 4)
        out[HEAD:] = four.reshape(along, -1)
        at += out.size
    return block
