"""What an input may take: seconds of the processor, and memory above what the process has already."""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECONDS, MEMORY = 2.0, 1 << 30

_STATM, _STATUS, _CLEAR = Path("/proc/self/statm"), Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PAGE = resource.getpagesize()


class TooSlow(BaseException):
    """The seconds are over. No `except Exception` of a reader takes it for an error of the file."""


@dataclass
class Spent:
    """What an input took."""

    seconds: float = 0.0
    memory: int = 0  # bytes at the peak, above what was in use before


@contextlib.contextmanager
def limited(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[Spent]:
    """Run a block within limits.

    More memory ends in a MemoryError, or in what a reader makes of it, and more seconds in `TooSlow`, as soon as Python
    runs again.
    """
    spent = Spent()

    def over(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, over)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if _STATM.exists():
        resource.setrlimit(resource.RLIMIT_AS, (int(_STATM.read_text().split()[0]) * _PAGE + memory, hard))
    base, began = _begin_peak(), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield spent
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        spent.seconds = time.process_time() - began
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)
        spent.memory = max(0, _peak() - base)


def _begin_peak() -> int:
    """Forget the peak of resident memory, where the system can, and return what is in use now."""
    if not _STATUS.exists():
        return _peak()
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
    return int(_STATM.read_text().split()[1]) * _PAGE


def _peak() -> int:
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _, _, rest = _STATUS.read_text().partition("VmHWM:")
    return int(rest.split(maxsplit=1)[0]) * 1024
