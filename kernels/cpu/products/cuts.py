"""How the work of a head is cut up: one readable function of its sizes."""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from ..emitting.microkernel import max_rows
from ..emitting.simd import Lanes

BLOCK = 1024
"""Bytes of scores that one class has in a block of rows: 256 rows in float32, 128 in float64.

W and dW come from memory once a block, so blocks must not be small. x of a block, twice, is to fit into a core's cache.
"""

MOST = 1 << 26
"""Bytes of the scores of a block, about: where there are very many classes, blocks have fewer rows."""

CHUNK = 120
"""Classes whose scores are made, and turned into gradients, together: they fit into a core's cache.

Tiles of 2, 3, 5, 6 and 8 rows divide it, and it is a single chain of the micro-kernel in dx = dz·W.
"""

EVEN = 4
"""Where there are so many chunks, their number is a multiple of it: two or four threads then have equally much."""

WIDEST = 4
"""Vectors of a panel, at most."""


class Cuts(NamedTuple):
    """Blocks, chunks, threads. What sums are made of depends on no number of threads."""

    rows: int  # of a block
    chunk: int  # classes of a chunk
    chunks: int
    groups: int  # of threads: each has chunks to itself
    members: int  # of a group: each has some rows of a chunk's scores, and some columns of its dW
    column_groups: int  # of threads, for dx: each has columns to itself; the threads of one part the rows


def cut(lanes: Lanes, N: int, K: int, V: int, threads: int) -> Cuts:
    """Return how `threads` threads share N rows of K numbers and V classes."""
    wide = WIDEST * lanes.count
    most = max(wide, min(BLOCK // lanes.size, MOST // (V * lanes.size)) // wide * wide)
    blocks = -(-N // most)
    each = -(-N // blocks)
    rows = lanes.filled(each) if blocks == 1 else -(-each // wide) * wide
    chunks = -(-V // CHUNK)
    if chunks >= EVEN:
        chunks = -(-chunks // EVEN) * EVEN
    tile = max_rows(lanes, WIDEST)
    even = -(-V // chunks)
    chunk = -(-even // tile) * tile
    chunks = -(-V // chunk)
    groups = threads if chunks >= 2 * threads else 1
    panels = -(-lanes.filled(K) // wide)
    return Cuts(rows, chunk, chunks, groups, threads // groups, gcd(panels, threads))
