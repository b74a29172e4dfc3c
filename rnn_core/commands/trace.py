"""``rnn-core trace``: a step of a cell, every number of it, in the terminal or as a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..layers.stack import Recurrent
    from ..study import Trace

HIDDEN, INPUT, STEPS, BATCH = 3, 2, 5, 1
"""Sizes where none are named: small enough that every number is shown."""

NETWORKS = ("cell", "cell_option", "hidden", "input", "layers", "bidirectional")
"""Options that --load decides."""


class TraceCommand:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "show every number of a step, forwards and backwards: each line with its equation, whence, whither, checked"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen."""
        from ..tasks.options import CELL

        add = parser.add_argument_group("the network").add_argument
        add("--cell", metavar="NAME", help="rnn, lstm, gru, one of rnn_core.variants or of your own (lstm)")
        add("--cell-file", metavar="FILE.py", help="the file that defines a cell of your own; it is run")
        add("--cell-option", **CELL["cell_option"])
        add("--hidden", type=int, metavar="H", help=f"({HIDDEN})")
        add("--input", type=int, metavar="I", help=f"({INPUT})")
        add("--layers", type=int, metavar="N", help="cells stacked on one another (1)")
        add("--bidirectional", action="store_true", help="read in both directions")
        add("--load", metavar="FILE", help="a layer or model that was saved, in place of all these")
        add = parser.add_argument_group("what it reads").add_argument
        add("--text", metavar="TEXT", help="of a model that reads tokens: what its tokenizer makes of this")
        add("--steps", type=int, metavar="T", help=f"of random numbers, where there is no text ({STEPS})")
        add("--batch", type=int, metavar="B", help=f"sequences of them ({BATCH})")
        add("--seed", type=int, metavar="N", default=0, help="draws parameters and numbers (0)")
        add = parser.add_argument_group("what is shown").add_argument
        add("--t", type=int, nargs="+", metavar="t", help="the step, or some, from 0 (the one in the middle)")
        add("--depth", type=int, metavar="N", default=0, help="which layer of the stack, from 0 (0)")
        add("--reverse", action="store_true", help="the second direction, whose steps count from the end")
        add("--watch", metavar="NAME,…", help="follow lines through all steps: c,f")
        add("--html", metavar="FILE", help="write a page instead, which needs no network")
        add("--dtype", choices=("float64", "float32"), default="float64", help="(float64)")
        add("--backend", choices=("numpy", "cpu"), default="numpy", help="whose tape it is (numpy)")

    def run(self, args: argparse.Namespace) -> int:
        """Print the trace, or write it.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            An option is out of range, or a layer, step or line is not there.
        OSError
            A file can't be read or written.
        """
        from ..showing.terminal import new_console
        from ..study import trace
        from ..study.result import show

        _check(args)
        layer, x = _loaded(args) if args.load is not None else _made(args)
        _check_place(args, layer, x)
        watch = [name.strip() for name in (args.watch or "").split(",") if name.strip()]
        found = trace(layer, x, t=args.t, depth=args.depth, reverse=args.reverse, watch=watch)
        if args.html is not None:
            _write(found, args.html)
        else:
            show(found, new_console())
        return 0


def _check(args: argparse.Namespace) -> None:
    """Raise an error for options that are out of range or exclude one another."""
    for name in ("hidden", "input", "layers", "steps", "batch"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}")
    if args.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {args.seed}")
    if args.load is not None:
        for name in NETWORKS:
            if getattr(args, name):
                raise ValueError(f"--{name.replace('_', '-')} must be left out with --load, whose file says it")
    if args.text is not None and args.load is None:
        raise ValueError("--text must go with --load FILE, a model whose tokenizer reads it")
    for name in ("steps", "batch"):
        if args.text is not None and getattr(args, name) is not None:
            raise ValueError(f"--{name} must be left out with --text, which is what is read")
    if args.html is not None:
        from ..atomic import check_writable

        path = Path(args.html)
        if path.suffix.lower() not in (".html", ".htm") or not path.parent.is_dir():
            raise ValueError(f"--html must be a file .html in a folder that exists, got {args.html!r}")
        check_writable(path, where="--html")


def _check_place(args: argparse.Namespace, layer: Recurrent, x: Any) -> None:
    """Raise an error for a step, a layer or a direction that is not there."""
    T = x.shape[1] if layer.batch_first else x.shape[0]
    if wrong := [t for t in args.t or () if not 0 <= t < T]:
        raise ValueError(f"--t must be from 0 to {T - 1}, as there are {T} steps, got {wrong[0]}")
    if not 0 <= args.depth < layer.num_layers:
        raise ValueError(f"--depth must be from 0 to {layer.num_layers - 1}, as the layers are, got {args.depth}")
    if args.reverse and layer.directions == 1:
        raise ValueError("--reverse must be left out, as the network reads in one direction; --bidirectional has two")


def _made(args: argparse.Namespace) -> tuple[Recurrent, Any]:
    """Return a layer with drawn parameters, and what it reads."""
    from ..models.cores import CORES, kind_of_core
    from ..tasks.options import cell_options
    from .cells import check_cell

    if args.cell is not None and args.cell.lower() in CORES:
        args.cell = args.cell.lower()
    hidden = args.hidden or HIDDEN
    check_cell(args, "lstm", hidden)
    kind = kind_of_core("--cell", args.cell or "lstm")
    layer = kind(
        args.input or INPUT, hidden, num_layers=args.layers or 1, bidirectional=args.bidirectional,
        backend=args.backend, dtype=args.dtype, seed=args.seed, **cell_options(args),
    )  # fmt: skip
    return layer, _drawn(layer, args)


def _loaded(args: argparse.Namespace) -> tuple[Recurrent, Any]:
    """Return a file's layer, or its model's, and what it reads."""
    from ..data.files.lines import named
    from ..layers.stack import Recurrent
    from ..models.fronts.plain import Tokens
    from .cells import load_with_cells

    found = load_with_cells(args.load, args.cell_file, called="--load", dtype=args.dtype, backend=args.backend)
    layer = getattr(found, "rnn", found)
    if not isinstance(layer, Recurrent):
        raise ValueError(f"--load {named(args.load)} must hold a recurrent layer, got {type(found).__name__}")
    tokens = isinstance(getattr(found, "front", None), Tokens)
    tokenizer = getattr(found, "tokenizer", None) if tokens else None
    if args.text is None:
        if tokens:
            raise ValueError(f"--text must be given with --load {named(args.load)}, which reads tokens: what it reads")
        return layer, _drawn(layer, args)
    if tokenizer is None:
        raise ValueError(f"--text must go with a model that has a tokenizer, got {named(args.load)}; leave it out")
    ids = tokenizer.encode(args.text)
    if not len(ids):
        raise ValueError("--text must hold a token at least, got none")
    return layer, found.front(*found.front.checked("--text", ids[None], None, found.namespace))


def _drawn(layer: Recurrent, args: argparse.Namespace) -> Any:
    """Return random numbers, as the layer reads them."""
    import numpy as np

    shape = (args.steps or STEPS, args.batch or BATCH)
    shape = shape[::-1] if layer.batch_first else shape
    return np.random.default_rng(args.seed).standard_normal((*shape, layer.input_size)).astype(layer.dtype)


def _write(found: Trace, path: str) -> None:
    """Write a page, and say so."""
    from ..showing.terminal import new_console, say
    from ..study import write_page

    write_page(found, path)
    say(new_console(), f"written to {path}")


command = TraceCommand()
"""What `rnn_core.cli` finds."""
