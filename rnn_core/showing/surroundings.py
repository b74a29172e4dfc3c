"""What a command needs to find before it computes anything, and what it ran on."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = {"matplotlib": "matplotlib", "sklearn": "scikit-learn", "scipy": "scipy", "threadpoolctl": "threadpoolctl"}
"""Packages of the extra ``report``, by what is imported."""

MOST_WORKERS = 4
"""Above that, a process takes longer to start than it saves."""


def check_packages() -> None:
    """Raise RuntimeError if a package is missing."""
    for module, package in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise RuntimeError(f'{package} must be installed, got {error}; pip install "rnn_core[report]"') from error


ROOM = 8_000_000
"""Bytes for pictures, report and results."""


def check_folder(folder: Path, more: int = 0) -> None:
    """Make the folder; raise OSError if it can't be written to, or has no room for results and `more` bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OSError(
            f"--out must be a folder that can be written to, got {str(folder)!r}: {error.strerror or error}; "
            "name another"
        ) from error
    if free < ROOM + more:
        raise OSError(
            f"--out must have room for about {(ROOM + more) / 1e6:,.0f} MB, got {free / 1e6:,.1f} MB free in "
            f"{str(folder)!r}; make room, or name another"
        )


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that a number may depend on."""
    found = {"python": platform.python_version()}
    for package in ("rnn_core", "numpy", "array-api-compat", "safetensors", *sorted(PACKAGES.values())):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, str | int]:
    """Return what this runs on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "processors": processors(),
    }


def _processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
