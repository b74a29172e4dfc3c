"""The command: ``python -m tests.fuzz --inputs 100000 --seed 0``; it ends with 1 where something was found."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from rnn_core.showing.surroundings import machine

from . import report, runner
from .case import Case
from .limits import MEMORY, SECONDS
from .readers import READERS, generate, summary
from .seeds import large
from .shrink import shrunk


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    add = parser.add_argument
    add("--inputs", type=int, default=1000, metavar="N", help="inputs over all readers (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="other numbers draw other inputs (default: %(default)s)")
    known = ", ".join(READERS)
    add("--reader", action="append", metavar="NAME", help=f"one reader, or the first letters of several: {known}")
    add("--workers", type=int, default=1, metavar="N", help="processes side by side (default: %(default)s)")
    add("--report", type=Path, metavar="FILE", help="write figures and findings here, as JSON")
    add("--save", type=Path, metavar="DIR", help="keep the first input of each kind of finding here, made small")
    add("--replay", type=Path, metavar="FILE", help="run one input that --save has kept")
    add(
        "--large",
        type=int,
        metavar="BYTES",
        help="instead, files of this length with much of one thing: the time of each",
    )
    options = parser.parse_args(argv)
    if options.replay is not None:
        return _replay(options.replay)
    if options.large is not None:
        return _large(options.large)
    names = tuple(name for name in READERS if not options.reader or any(map(name.startswith, options.reader)))
    if not names:
        parser.error(f"--reader must be one of {known}, got {', '.join(options.reader)}")
    settings = runner.Settings(options.inputs, options.seed, names, options.workers)
    began = time.perf_counter()
    figures, findings = runner.run(settings)
    seconds = time.perf_counter() - began
    print(report.table(figures))
    print(f"\nseed {options.seed}, {seconds:.0f} s, {options.workers} workers on {machine()['processor']}")
    if findings:
        print("\n" + report.grouped(findings))
    if options.report is not None:
        options.report.write_text(report.as_json(settings, figures, findings, seconds), encoding="utf-8")
    if options.save is not None:
        _save(options.save, findings)
    return 1 if findings else 0


def _outcome(worker: runner.Worker, reader: str, case: Case, seconds: float = SECONDS) -> dict[str, Any]:
    task = {"reader": reader, "case": case.dumps(), "seconds": seconds, "memory": MEMORY, "start": 0, "stop": 1}
    return next(runner.answers(worker, task))


def _save(folder: Path, findings: list[runner.Finding]) -> None:
    """Keep an input of each kind, as small as it can be made."""
    folder.mkdir(parents=True, exist_ok=True)
    worker = runner.Worker()
    seen: set[Any] = set()
    for finding in findings:
        if finding.kind in seen:
            continue
        seen.add(finding.kind)

        def still(case: Case, wanted: runner.Finding = finding) -> bool:
            got = runner.Finding(wanted.reader, wanted.seed, wanted.index, _outcome(worker, wanted.reader, case))
            return got.kind == wanted.kind

        case = generate(finding.reader, finding.seed, finding.index)
        small = case if finding.outcome["finding"] in ("slow", "memory") else shrunk(case, still)
        name = "".join(letter if letter.isalnum() else "-" for letter in f"{finding.reader} {finding.index}")
        facts = {"reader": finding.reader, "seed": finding.seed, "index": finding.index}
        (folder / f"{name}.json").write_text(small.dumps(**facts, outcome=finding.outcome), encoding="utf-8")
        print(f"{folder / name}.json: {summary(small)}")
    worker.close()


def _large(size: int) -> int:
    """Run files that are made to be slow, within a second for each 50 kB."""
    worker = runner.Worker()
    found = 0
    for name, case in large.slow(size):
        outcome = _outcome(worker, name, case, max(SECONDS, size / 50_000))
        found += bool(outcome["finding"])
        start = next(content for content in case.files.values() if isinstance(content, bytes))
        said = outcome["finding"] or outcome["answer"]
        print(
            f"{outcome['seconds']:7.2f} s {outcome['memory'] / 2**20:6.0f} MiB  {name}: {said} {start!r:.60}",
            flush=True,
        )
    worker.close()
    return 1 if found else 0


def _replay(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    worker = runner.Worker()
    case = Case.loads(text)
    outcome = _outcome(worker, json.loads(text)["reader"], case)
    worker.close()
    print(summary(case))
    print(json.dumps(outcome, indent=1))
    return 1 if outcome["finding"] else 0


if __name__ == "__main__":
    sys.exit(main())
