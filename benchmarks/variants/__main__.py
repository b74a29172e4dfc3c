"""``python -m benchmarks.variants [--quick] [--compile] [--json [FILE]]``: beside plain cells and torch's loops.

A layer's training step, forward and backward with a loss at every step, T=64, float32, on the CPU's kernels: the
variant, the plain cell in the same shape, and the variant in torch, a loop under ``torch.jit.script`` (loops.py). All
three are in one process, with the same number of threads, timed in blocks with a rest before each (timing.py). First
variant and loop must agree. Then `parallel`, the scan over all steps, beside the layer's own loop, without gradients.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from statistics import geometric_mean
from time import perf_counter
from typing import Any

import numpy as np

from rnn_core import variants

from ..commands import add_json, ended
from ..machine import Others, facts, require, threads
from ..sides import AGREEMENT, disagreement
from ..timing import Pair, in_turn, paired
from .cases import PLAIN, Case, Results, cases, ours, theirs

TARGETS = {"variant ÷ plain": 1.3, "torch ÷ variant": 5.0}
"""At most so much slower than the plain cell, in the geometric mean and in each case; at least so much faster than
torch's loop, in the geometric mean."""

NORMALISED = 1.8
"""The first of these where sums are normalised."""

WARM = 10
"""Calls before torch's loop is timed: torch.jit.script changes its code in the first of them, up to the seventh."""

BOUNDS = {"IndRNN": (AGREEMENT["float32"], 1e-2), "LayerNormLSTM": (2e-3, 2e-3)}
"""How far y and gradients may be apart, relative to the largest element, where that is more than usual.

A sum of a ReLU's that rounding carries across 0 has another derivative, and of half a million some are as near. And
W_h h_{t−1} is normalised while h is still near 0: what rounding has left of it grows to the size of everything else,
in torch's float32 as in ours (B=8, H=64: 2.5e-4 and 2.7e-4 from float64)."""

Row = dict[str, Any]


def compiled(torch: Any) -> Callable[[Any], Any]:
    """Return what torch.compile makes of a loop for one shape; it takes minutes for each."""
    return lambda loop: torch.compile(loop, dynamic=False)


def row(torch: Any, case: Case, how: Callable[[Any], Any], **options: float) -> Row:
    """Time a case's three sides in turn.

    Raises
    ------
    RuntimeError
        The variant's numbers and the loop's differ.
    """
    variant, plain, loop = ours(case), ours(case, plain=True), theirs(torch, case, how)
    began = perf_counter()
    expected = [loop.results() for _ in range(WARM)][-1]
    first = perf_counter() - began
    check(case, variant.results(), expected)
    times = in_turn([side.call for side in (variant, plain, loop)], **options)  # type: ignore[arg-type]
    dearer, faster = paired(times[1], times[0]), paired(times[0], times[2])
    return {
        **case._asdict(), "plain": PLAIN[case.cell], "seconds": faster.ours, "plain_seconds": dearer.ours,
        "torch_seconds": faster.theirs, "torch_first_seconds": first, "blocks": len(times[0]),
        "variant ÷ plain": spread(dearer), "torch ÷ variant": spread(faster),
    }  # fmt: skip


def check(case: Case, found: Results, expected: Results) -> None:
    """Raise if the variant's numbers and the loop's differ by more than rounding."""
    usual = AGREEMENT["float32"]
    of_y, of_gradients = BOUNDS.get(case.cell, (usual, usual))
    for name in found:
        bound = of_y if name == "y" else of_gradients
        if not (apart := disagreement({name: found[name]}, {name: expected[name]})) <= bound:
            raise RuntimeError(f"{case}: variant and loop must agree, but {name} differs by {apart:.1e}")


def scan_row(cell: str, T: int, B: int, H: int, **options: float) -> Row:
    """Time `parallel` beside the layer's call."""
    layer = getattr(variants, cell)(H, H, backend="cpu", dtype="float32", seed=0)
    x = np.random.default_rng(0).standard_normal((T, B, H), np.float32)
    if not (apart := disagreement({"y": variants.parallel(layer, x)[0]}, {"y": layer(x)[0]})) <= AGREEMENT["float32"]:
        raise RuntimeError(f"{cell} T={T} B={B} H={H}: scan and loop must agree, but differ by {apart:.1e}")
    times = in_turn([lambda: layer(x), lambda: variants.parallel(layer, x)], **options)  # type: ignore[arg-type]
    pair = paired(*times)
    return {"cell": cell, "T": T, "B": B, "H": H, "seconds": pair.ours, "scan_seconds": pair.theirs,
            "scan ÷ loop": spread(pair)}  # fmt: skip


def spread(pair: Pair) -> dict[str, float]:
    """Return a ratio with its quartiles."""
    return {"ratio": pair.ratio, "low": pair.low, "high": pair.high}


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of a table in Markdown: training steps."""
    yield "| training step, T=64 | variant, ms | plain, ms | torch's loop, ms | variant ÷ plain | torch ÷ variant |"
    yield "|---|---:|---:|---:|---:|---:|"
    for found in rows:
        times = (f"{1e3 * found[key]:.3f}" for key in ("seconds", "plain_seconds", "torch_seconds"))
        ratios = (_ratio(found[key]) for key in TARGETS)
        yield f"| {found['cell']} B={found['B']} H={found['H']} | {' | '.join((*times, *ratios))} |"


def by_cell(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the summary: geometric means, and the worst case."""
    yield "| geometric mean (worst) | variant ÷ plain | torch ÷ variant |"
    yield "|---|---:|---:|"
    for cell in (*PLAIN, "all"):
        of_it = [found for found in rows if cell in (found["cell"], "all")]
        if not of_it:
            continue
        dearer, faster = ([found[key]["ratio"] for found in of_it] for key in TARGETS)
        beside = f" beside {PLAIN[cell]}" if cell in PLAIN else ""
        yield (
            f"| {cell}{beside} | {geometric_mean(dearer):.2f} ({max(dearer):.2f}) | "
            f"{geometric_mean(faster):.1f} ({min(faster):.1f}) |"
        )
    most = f"≤ {TARGETS['variant ÷ plain']}, with layer normalisation ≤ {NORMALISED}"
    yield f"| wanted | {most} | ≥ {TARGETS['torch ÷ variant']:.0f} |"


def scans(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of a table in Markdown: the scan."""
    yield "| inference | loop, ms | parallel, ms | parallel ÷ loop |"
    yield "|---|---:|---:|---:|"
    for found in rows:
        name = f"{found['cell']} T={found['T']} B={found['B']} H={found['H']}"
        times = f"{1e3 * found['seconds']:.3f} | {1e3 * found['scan_seconds']:.3f}"
        yield f"| {name} | {times} | {_ratio(found['scan ÷ loop'])} |"


def _ratio(found: dict[str, float]) -> str:
    return f"{found['ratio']:.2f} ({found['low']:.2f}–{found['high']:.2f})"


def measure(args: argparse.Namespace, torch: Any) -> dict[str, Any]:
    """Time everything, print it as it comes, and return it as plain data."""
    options: dict[str, float] = (
        {"pairs": 2, "block": 0.002, "rest": 0.0} if args.quick else {"pairs": 9, "block": 0.08, "budget": 2.0}
    )
    rows: list[Row] = []
    scanned: list[Row] = []
    others, machine = Others(), facts(torch, "cpu", args.threads)
    print(f"{machine['cpu']} ({machine['processor']}), {args.threads} threads, load {machine['load']} before, torch "
          f"{torch.__version__}, {'torch.compile' if args.compile else 'torch.jit.script'}\n")  # fmt: skip
    how = compiled(torch) if args.compile else torch.jit.script
    with threads(torch, args.threads):
        for line in table([]):
            print(line)
        for case in cases(args.quick):
            if args.only not in str(case):
                continue
            rows.append(row(torch, case, how, **options))
            print(list(table(rows))[-1], flush=True)
        for cell in () if args.compile else ("MinGRU", "MinLSTM"):
            for T, B in ((64, 1),) if args.quick else ((64, 1), (64, 32), (1024, 1), (1024, 32)):
                scanned.append(scan_row(cell, T, B, 64, **options))
    for lines in (by_cell(rows), scans(scanned)):
        print("", *lines, sep="\n")
    share = others.share()
    print("" if share is None else f"\nother programs had {share:.1%} of the cores")
    return {"machine": machine, "torch": "compile" if args.compile else "jit.script", "others": share,
            "targets": TARGETS, "rows": rows, "scans": scanned}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Print tables of medians; return 0, 1 if results disagree, or 2 where torch is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small shape, short times; ratios are rough")
    parser.add_argument("--compile", action="store_true", help="torch.compile for torch's loops: minutes a case more")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this: 'SLSTM B=8 H=64'")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="for either side (2)")
    add_json(parser, "variants")
    args = parser.parse_args(argv)
    return ended("benchmarks.variants", lambda: measure(args, require("torch")), args.json)


if __name__ == "__main__":
    sys.exit(main())
