"""Threads: as many as torch is told to use, and where it can be those that torch's own operators run on."""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache
from pathlib import Path

import torch

from kernels.cpu.running import teams, threads


class _Kept(threading.local):
    """The team of the calling thread: OpenMP has one for each."""

    team: teams.OpenMP | None = None


_kept = _Kept()


def as_torch() -> threads.within:
    """Return a context in which our kernels work with the threads of `torch.set_num_threads`, and with no others."""
    count = torch.get_num_threads()
    library = None if count == 1 or teams.forked() else _library()
    if library is None:
        return threads.within(count)
    if _kept.team is None or _kept.team.count != count:
        _kept.team = teams.OpenMP(library, count)
    return threads.within(count, _kept.team)


@cache
def _library() -> teams.Library | None:
    """Return torch's OpenMP; None where it has none, or none that is known here.

    Symbols are looked up where torch's own were: first among all that the process shows to everybody, then in torch.
    """
    if not sys.platform.startswith("linux") or "ATen parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return None
    for place in (None, Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"):
        try:
            found = ctypes.CDLL(place if place is None else str(place))
            wanted = (found.GOMP_parallel, found.omp_get_thread_num, found.omp_get_num_threads)
        except (OSError, AttributeError):
            continue
        return teams.Library(*[ctypes.cast(function, ctypes.c_void_p).value or 0 for function in wanted])
    return None
