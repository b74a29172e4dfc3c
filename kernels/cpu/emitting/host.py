"""What the kernels choose by the processor that they run on: one function, with its reasons."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Where Linux tells of a core's caches: a folder each."""

UNKNOWN_NEAR = 1 << 20
"""Bytes of weights that count as near where nobody tells: what most processors of a server have room for, or more."""


class Host(NamedTuple):
    """A processor, as far as it matters to the kernels."""

    name: str  # LLVM's, such as znver4 or sapphirerapids
    near: int  # bytes of weights that stay in the cache that a core has to itself, behind the first
    estimates: bool  # whether 1/x is better estimated and mended than divided, in float32
    asks: bool  # whether tiles ask for weights before they need them, whatever their rows


@cache
def host() -> Host:
    """Return what this machine is, and what follows.

    *near.* Weights that stay in a core's own cache are read from there step by step. Those that don't come from a
    cache that all cores share: then the threads part the weights, and the products of the inputs are done ahead, many
    rows at a time (plan.py). Up to 1 MiB the whole second level counts: so it was measured. Of a larger one half does,
    for states, inputs and results pass through it too, and weights of 2 MiB in a cache of 2 MiB would leave them no
    room. Where no size can be read, it is 1 MiB.

    *estimates.* With AVX-512 there is an instruction that gives 1/x to 14 bits; it and a Newton step take the time of
    three or four multiplications. A division of 16 numbers takes six on AMD's Zen 4, of which it leaves three to
    others: so there nothing is gained. On Intel's processors it takes 16. On a processor that is neither the estimate
    is the safe choice: it can't take much longer, and its error is a little smaller.

    *asks.* Where the third level is slow, a panel's first tile of rows waits for it: on Cascade Lake it hands a core 19
    GB/s, where a tile at its full pace reads 47. So each tile asks for a part of the next panel while it works on this
    one, and for this one's next turns. On AMD's Zen 4 the third level is faster, and asking took a tenth longer.
    """
    name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    others = bool(features.get("avx512f") and features.get("avx512vl")) and not name.startswith("znver")
    size = read_second_level(CACHES)
    near = min(size, max(UNKNOWN_NEAR, size // 2)) if size else UNKNOWN_NEAR
    return Host(name, near, estimates=others, asks=others)


def read_second_level(folder: Path) -> int | None:
    """Return the bytes of the second-level cache that a folder of Linux tells of, or None."""
    try:
        for cache_folder in sorted(folder.glob("index*")):
            level, size = ((cache_folder / name).read_text().strip() for name in ("level", "size"))
            if level == "2" and size.endswith("K"):
                return int(size[:-1]) << 10
    except (OSError, ValueError):  # a system without such files, or one that hides them
        pass
    return None
