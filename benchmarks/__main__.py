"""``python -m benchmarks cpu [--json [FILE]] [--quick] …``, ``… gpu [--out FOLDER] [--quick] …`` and ``… report``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Run a benchmark and return the exit code: 0 done, 1 results disagree, 2 wrong surroundings, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["gpu"]:  # has options of its own, and says that there is no GPU where there is no NumPy either
        from .gpu import run

        return run.main(argv[1:])

    from .cpu import run as cpu
    from .cpu.reporting import page

    args = _parser().parse_args(argv)
    try:
        if args.benchmark == "report":
            page.report()
            return 0
        return cpu.run(args)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"benchmarks {args.benchmark}: error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    from .cpu.reporting.page import results_file
    from .cpu.sections import SECTIONS
    from .machine import processor

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with torch.")
    parsers = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    cpu = parsers.add_parser("cpu", help="the recurrent layers on the CPU, and whole training steps")
    results = results_file(processor())
    cpu.add_argument(
        "--json", type=Path, metavar="FILE", nargs="?", const=results,
        help=f"write machine, limits and every row here too; without FILE into benchmarks/results/{results.name}",
    )  # fmt: skip
    cpu.add_argument("--markdown", type=Path, metavar="FILE", help="the tables, as docs/performance.md has them")
    cpu.add_argument("--picture", type=Path, metavar="FILE.png", help="ratios by shape, and a roofline")
    cpu.add_argument("--quick", action="store_true", help="few cases and short times; ratios are rough")
    cpu.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="for either side (2)")
    cpu.add_argument("--backend", help="ours; the default backend without it")
    cpu.add_argument(
        "--section", metavar="NAME", action="append", help=f"one part, and can be repeated: {', '.join(SECTIONS)}"
    )
    cpu.add_argument("--only", metavar="TEXT", help="cases whose name contains this, such as GRU or training")
    parsers.add_parser("gpu", help="backend='cuda' on a GPU: checks, and times beside torch's")
    parsers.add_parser("report", help="docs/performance.md's tables, from the results of every processor")
    return parser


if __name__ == "__main__":
    sys.exit(main())
