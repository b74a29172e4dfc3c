"""A process that works off one part of the run, and says line by line where it is: ``python -m benchmarks.gpu.worker``.

It writes JSON, one object a line: first the names of all items, then a line before and after each of them. Whoever
started it (supervise.py) knows from that which one it was in when it fell silent or died.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import traceback
from time import perf_counter
from typing import Any, TextIO

from .device import open_device


def main() -> int:
    """Work off the items of a part; 0 at their end or that of the time, 3 where the device has failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part")
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--shard", type=int, nargs=2, default=(0, 1), metavar=("K", "OF"))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--rehearse", action="store_true")
    args = parser.parse_args()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no part of the report
    try:
        return work(args, out)
    except Exception:  # noqa: BLE001  # told, with all that is known of it, to the process that waits for it
        say(out, fatal=traceback.format_exc(limit=-4))
        return 2


def say(out: TextIO, **line: Any) -> None:
    """Write a line."""
    print(json.dumps(line), file=out, flush=True)


def work(args: argparse.Namespace, out: TextIO) -> int:
    """Work off the items."""
    start = perf_counter()
    device = open_device(args.rehearse)
    shard, shards = args.shard
    items = importlib.import_module(f".{args.part}", __package__).items(device, args.quick, args.only)[shard::shards]
    say(out, items=[name for name, _ in items])
    for k, (_, run) in enumerate(items[args.skip :], args.skip):
        if perf_counter() - start > args.seconds:
            break
        say(out, begin=k)
        begin = perf_counter()
        try:
            result = run()
            device.synchronize()
        except AssertionError as error:
            say(out, end=k, error=str(error) or "AssertionError")
        except Exception as error:  # noqa: BLE001  # one item's failure is a result; the others go on
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(last.filename)}:{last.lineno}"
            say(out, end=k, error=f"{type(error).__name__}: {error} ({where})"[:2000])
        else:
            say(out, end=k, result=result, seconds=perf_counter() - begin)
            continue
        try:
            device.synchronize()
        except RuntimeError as error:  # after a kernel's fault nothing works any more in this process
            say(out, fatal=f"the device failed: {error}")
            return 3
    say(out, finished=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
