"""compute-sanitizer over small.py, where it is installed: stray memory accesses, races, wrong barriers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from typing import Any

from .supervise import ROOT

TOOLS = ("memcheck", "racecheck", "synccheck")
LIMIT = 60.0
"""Seconds for each tool; they run side by side."""

FOUND = 99
"""The exit code that it is told to have where it finds something."""

SAID = 4000
"""Characters of what a tool says that are kept, from the end."""


def find() -> str | None:
    """Return compute-sanitizer's path, None where it is not installed."""
    return shutil.which("compute-sanitizer") or next(iter(sorted(glob("/usr/local/cuda*/bin/compute-sanitizer"))), None)


def run(limit: float) -> dict[str, dict[str, str]]:
    """Return each tool's verdict and the end of what it said, each given `limit` seconds."""
    program = find()
    if program is None:
        return {tool: {"verdict": "not available", "said": ""} for tool in TOOLS}
    with ThreadPoolExecutor(len(TOOLS)) as pool:
        return dict(zip(TOOLS, pool.map(lambda tool: _run(program, tool, limit), TOOLS), strict=True))


def _run(program: str, tool: str, limit: float) -> dict[str, str]:
    command = [program, "--tool", tool, "--error-exitcode", str(FOUND), sys.executable, "-m", "benchmarks.gpu.small"]
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True,  # with a group of its own: the script is a child of the tool
        )  # fmt: skip
    except OSError as error:
        return {"verdict": "not available", "said": str(error)}
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return {"verdict": f"not done after {limit:.0f} s", "said": said[-SAID:]}
    return {"verdict": verdict(process.returncode, said), "said": said[-SAID:]}


def verdict(code: int, said: str) -> str:
    """Return what a tool found, in a word or two.

    A device or container that it can't work in shows as an error of the tool itself, without a summary.
    """
    if "SUMMARY" not in said or "not supported" in said:
        return f"not available (exit code {code})"
    return {0: "clean", FOUND: "found errors"}.get(code, f"the script failed (exit code {code})")


def bad(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the tools that found something."""
    return [tool for tool, told in found.items() if told["verdict"].startswith(("found", "the script"))]
