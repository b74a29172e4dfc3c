"""What the kernels choose by the processor that they run on: one function, with its reasons."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Where Linux tells of a core's caches: a folder each."""

UNKNOWN_NEAR = 1 << 20
"""Bytes of a core's own cache where nobody tells: what most processors of a server have, or more."""


class Host(NamedTuple):
    """A processor, as far as it matters to the kernels."""

    name: str  # LLVM's, such as znver4 or sapphirerapids
    near: int  # bytes of the cache that a core has to itself, behind the first
    estimates: bool  # whether 1/x is better estimated and mended than divided, in float32


@cache
def host() -> Host:
    """Return what this machine is, and what follows.

    *near.* Weights that stay in a core's own cache are read from there step by step. Those that don't come from a
    cache that all cores share: then the threads part the weights, and the products of the inputs are done ahead, many
    rows at a time (plan.py). Where no size can be read, it is taken for 1 MiB.

    *estimates.* With AVX-512 there is an instruction that gives 1/x to 14 bits; it and a Newton step take the time of
    three or four multiplications. A division of 16 numbers takes six on AMD's Zen 4, of which it leaves three to
    others: so there nothing is gained. On Intel's processors it takes 16. On a processor that is neither the estimate
    is the safe choice: it can't take much longer, and its error is a little smaller.
    """
    features = llvm.get_host_cpu_features()
    name = llvm.get_host_cpu_name()
    estimates = bool(features.get("avx512f") and features.get("avx512vl")) and not name.startswith("znver")
    return Host(name, read_near(CACHES), estimates)


def read_near(folder: Path) -> int:
    """Return the bytes of the second-level cache that a folder of Linux tells of, or `UNKNOWN_NEAR`."""
    try:
        for cache_folder in sorted(folder.glob("index*")):
            level, size = ((cache_folder / name).read_text().strip() for name in ("level", "size"))
            if level == "2" and size.endswith("K"):
                return int(size[:-1]) << 10
    except (OSError, ValueError):  # a system without such files, or one that hides them
        pass
    return UNKNOWN_NEAR
