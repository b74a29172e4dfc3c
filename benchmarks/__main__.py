"""``python -m benchmarks cpu [--json FILE] [--quick] …``, ``python -m benchmarks gpu [--out FOLDER] [--quick] …``"""

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

    from .cases import SECTIONS
    from .cpu import run as cpu

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with torch.")
    parsers = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    arguments = parsers.add_parser("cpu", help="the recurrent layers on the CPU")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write machine, limits and every row here too")
    arguments.add_argument("--markdown", type=Path, metavar="FILE", help="the tables, as docs/performance.md has them")
    arguments.add_argument("--picture", type=Path, metavar="FILE.png", help="ratios by shape, and a roofline")
    arguments.add_argument("--quick", action="store_true", help="few cases and short times; ratios are rough")
    arguments.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="for either side (2)")
    arguments.add_argument("--backend", help="ours; the default backend without it")
    arguments.add_argument(
        "--section", metavar="NAME", action="append", help=f"one part, and can be repeated: {', '.join(SECTIONS)}"
    )
    arguments.add_argument("--only", metavar="TEXT", help="cases whose name contains this, such as GRU or training")
    parsers.add_parser("gpu", help="backend='cuda' on a GPU: checks, and times beside torch's")
    args = parser.parse_args(argv)
    try:
        return cpu.run(args)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"benchmarks {args.benchmark}: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
