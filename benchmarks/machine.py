"""The machine and the versions that a table speaks of, and equal threads for both sides."""

from __future__ import annotations

import importlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
import numpy as np

import rnn_core


def require(package: str) -> Any:
    """Import a package, or say in one line where it comes from."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RuntimeError(f"{package} must be installed, got {error}; it comes with pip install '.[bench]'") from error


@contextmanager
def threads(torch: Any, count: int) -> Iterator[None]:
    """Give torch, numba and NumPy's BLAS the same number of threads."""
    limits = require("threadpoolctl").threadpool_limits
    before, numba_before = torch.get_num_threads(), numba.get_num_threads()
    try:
        numba.set_num_threads(count)
    except ValueError as error:
        raise ValueError(f"--threads must be a number that numba can give, got {count}: {error}") from None
    torch.set_num_threads(count)
    try:
        with limits(count):
            yield
    finally:
        torch.set_num_threads(before)
        numba.set_num_threads(numba_before)


def facts(torch: Any, backend: str, count: int) -> dict[str, Any]:
    """Return what the times depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_name(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": count,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # of others, before ours begins
        "backend": backend,
        "python": platform.python_version(),
        "rnn_core": rnn_core.__version__,
        "numpy": np.__version__,
        "numba": numba.__version__,
        "torch": torch.__version__,
        "onnxruntime": version_of("onnxruntime"),
    }


def version_of(package: str) -> str | None:
    """Return the version of a package that need not be installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class Others:
    """What other processes take of the cores, from here on; only Linux tells."""

    def __init__(self) -> None:
        self._begin = self._seconds()

    def share(self) -> float | None:
        """Return others' part of all the cores' time since the beginning."""
        end = self._seconds()
        if self._begin is None or end is None or end[0] == self._begin[0]:
            return None
        total, theirs = (b - a for a, b in zip(self._begin, end, strict=True))
        return max(0.0, theirs / total)

    @staticmethod
    def _seconds() -> tuple[float, float] | None:
        """Return the seconds of all cores, and those in which they worked for others."""
        try:
            words = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()
        except OSError:
            return None
        ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words[1:9]]  # user … steal; guests are in user
        mine = os.times()
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4] - mine.user - mine.system  # without idle and iowait


def cpu_name() -> str:
    """Return the processor's own name for itself, where the system tells."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


MAKERS = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}


def processor() -> str:
    """Return what tells one processor from another: its maker, family and model, as in "amd-25-17".

    A cloud's machines often keep the model's name to themselves, and the numbers never.
    """
    told = _cpuinfo()
    if "vendor_id" in told:
        words = [MAKERS.get(told["vendor_id"], told["vendor_id"]), told.get("cpu family"), told.get("model")]
    else:  # ARM names who made the core, and which it is
        words = [platform.machine(), told.get("CPU implementer"), told.get("CPU part")]
    return "-".join(re.sub("[^a-z0-9]+", "", word.lower()) for word in words if word)


def _cpuinfo() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
