"""A process that runs inputs: tasks come in as lines of JSON, and an outcome goes out for each input.

Whatever takes it down, a segmentation fault or a signal, takes down one input with it: the next one in order.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from . import judge
from .case import Case
from .readers import READERS, generate


def main() -> None:
    """Answer tasks until there are none."""
    faulthandler.enable()
    # What a reader prints must not look like an answer.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    scratch = Path(tempfile.mkdtemp(prefix="fz", dir=base))
    try:
        for line in sys.stdin:
            _answer(json.loads(line), scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _answer(task: dict[str, Any], scratch: Path, out: TextIO) -> None:
    """Run the inputs of a task: ``{"reader", "seed", "start", "stop"}`` or ``{"reader", "case"}``."""
    name = task["reader"]
    _warm(name, scratch)
    cases = (
        [Case.loads(task["case"])]
        if "case" in task
        else (generate(name, task["seed"], index) for index in range(task["start"], task["stop"]))
    )
    for case in cases:
        outcome = judge.run(name, case, scratch / "in", task["seconds"], task["memory"])
        shutil.rmtree(scratch / "in", ignore_errors=True)
        print(json.dumps({**outcome.as_dict(), "size": case.size}), file=out, flush=True)


_warmed: set[str] = set()


def _warm(name: str, scratch: Path) -> None:
    """Read each valid file once: what is imported or compiled at first use is no input's fault."""
    if name in _warmed:
        return
    _warmed.add(name)
    for case in READERS[name].seeds():
        judge.run(name, case, scratch / "in", 60.0, 8 << 30)
        shutil.rmtree(scratch / "in", ignore_errors=True)


if __name__ == "__main__":
    main()
