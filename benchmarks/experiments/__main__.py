"""``python -m benchmarks.experiments [NAME …] [--json FILE] [--markdown FILE] [--quick] [--workers N] [--keep DIR]``"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numba

from rnn_core import backends
from rnn_core.atomic import write_atomically
from rnn_core.showing import surroundings
from transfer.spreading.spread import check_workers_option, workers_option

from ..machine import Others
from . import markdown
from .done import Done
from .frame import Experiment, Keeping, Outcome
from .registry import EXPERIMENTS

PROGRAM = "python -m benchmarks.experiments"


def main(argv: list[str] | None = None) -> int:
    """Run experiments and return the exit code: 0 done, 2 wrong arguments or surroundings, 130 interrupted.

    A claim that does not hold is a result like any other: the code is 0. So it is where an experiment is left out
    because a package is missing.
    """
    argv = sys.argv[1:] if argv is None else argv
    width = max(map(len, EXPERIMENTS)) + 2
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Experiments, run again: what should come out is known or published.",
        epilog="\n".join(f"{name:{width}s}{experiment.summary}" for name, experiment in EXPERIMENTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (all of those below)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, protocols and every score here too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here too, as a page has them")
    parser.add_argument("--quick", action="store_true", help="in seconds, to see that all works; numbers mean nothing")
    where = "processes, where runs can have some (1); dask:ADDRESS or a joblib backend's name is somewhere else"
    parser.add_argument("--workers", type=workers_option, default=1, metavar="N", help=where)
    keep = "keep what is done here, and go on from there; removed when all is done"
    parser.add_argument("--keep", type=Path, metavar="DIR", help=keep)
    args = parser.parse_args(argv)
    try:
        run(args, shlex.join([*PROGRAM.split(), *argv]))
    except KeyboardInterrupt:
        kept = f"; the same words go on from {args.keep}" if args.keep else ""
        print(f"benchmarks.experiments: interrupted; nothing was written{kept}", file=sys.stderr)
        return 130
    except (ValueError, RuntimeError, OSError) as error:
        print(f"benchmarks.experiments: error: {error}", file=sys.stderr)
        return 2
    return 0


def run(args: argparse.Namespace, command: str) -> None:
    """Run what is asked for, print the tables, and write the files when all of it is there."""
    chosen = choose(args)
    found: dict[str, Any] = {
        "command": command,
        "quick": args.quick,
        "machine": machine(),
        "experiments": {},
    }
    others = Others()
    done = None if args.keep is None else Done(args.keep, args.quick)
    for experiment in chosen:
        if experiment.missing:
            print(f"{experiment.name}: left out; {experiment.missing}\n", flush=True)
            found["experiments"][experiment.name] = {"summary": experiment.summary, "left out": experiment.missing}
            continue
        print(f"{experiment.name}: {experiment.summary}", flush=True)
        outcome, seconds = finished(experiment, args, done)
        if args.quick:
            outcome = replace(outcome, claims=())
        print(outcome)
        print(f"{seconds:.0f} s{'; a quick run, whose numbers mean nothing' if args.quick else ''}\n", flush=True)
        found["experiments"][experiment.name] = {
            "summary": experiment.summary,
            "seconds": seconds,
            **outcome.as_dict(),
        }
    found["machine"]["others"] = others.share()
    if args.json:
        text = json.dumps(found, allow_nan=False, ensure_ascii=False)  # indented it would be twice as long
        write_atomically(args.json, f"{text}\n".encode(), where="--json")
    if args.markdown:
        write_atomically(args.markdown, markdown.page(found).encode(), where="--markdown")
    if done is not None:
        done.remove()


def finished(experiment: Experiment, args: argparse.Namespace, done: Done | None) -> tuple[Outcome, float]:
    """Return what an experiment finds and how many seconds that took: now, or when it was kept."""
    show = partial(print, f"{experiment.name}:", file=sys.stderr)
    if done is not None and (found := done.find(experiment.name)) is not None:
        show("kept from before")
        return found
    began = perf_counter()
    progress = show if done is None else Keeping(show, done.folder / experiment.name)
    outcome = experiment.run(args.quick, args.workers, progress)
    seconds = round(perf_counter() - began, 1)
    if done is not None:
        done.add(experiment.name, outcome, seconds)
    return outcome, seconds


def choose(args: argparse.Namespace) -> list[Experiment]:
    """Return the experiments that are asked for; refuse now what would otherwise fail after all the work."""
    if unknown := [name for name in args.names if name not in EXPERIMENTS]:
        raise ValueError(f"NAME must be one of {', '.join(EXPERIMENTS)}, got {unknown[0]!r}")
    check_workers_option(args.workers)
    _check_file("--json", args.json)
    _check_file("--markdown", args.markdown)
    return [experiment for name, experiment in EXPERIMENTS.items() if not args.names or name in args.names]


def _check_file(option: str, path: Path | None) -> None:
    """Raise OSError if a file could not be written."""
    if path is None:
        return
    if path.exists() and not path.is_file():
        raise OSError(f"{option} must name a file, got {str(path)!r}, a folder or device")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(
            f"{option} must name a file in a folder that can be written to, got {str(path)!r}: {error.strerror}"
        ) from error


def machine() -> dict[str, Any]:
    """Return what the seconds depend on, and the versions that the scores may."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        **surroundings.machine(),
        "system": platform.system(),  # without its release, which tells of a place and not of a score
        "threads": numba.get_num_threads(),
        "backend": backends.default(),
        "versions": surroundings.versions() | {"numba": numba.__version__},
    }


if __name__ == "__main__":
    sys.exit(main())
