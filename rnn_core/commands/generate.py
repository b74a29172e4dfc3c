"""``rnn-core generate``: a language model goes on where a prompt ends."""

from __future__ import annotations

import argparse
import sys

from ..data.files.lines import named
from .using import model_in


class Generate:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "let a language model go on where a prompt ends"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen."""
        from .cells import add_cell_file

        add = parser.add_argument
        add("model", metavar="MODEL", help="a model.safetensors of `rnn-core train language`, or of rnn_core.save")
        add("--prompt", metavar="TEXT", help="what it begins with; - reads standard input")
        add("--length", type=int, metavar="N", help="tokens that are written (200)")
        add("--temperature", type=float, metavar="T", help="below 1 surer, above 1 bolder; 0 takes the likeliest (1)")
        add("--top-k", type=int, metavar="N", help="draw among so many of the likeliest alone (all)")
        add_cell_file(add)
        add("--seed", type=int, metavar="N", help="the same seed, the same text")

    def run(self, args: argparse.Namespace) -> int:
        """Print the prompt and how it goes on.

        Raises
        ------
        ValueError
            An option is out of range, or the model writes nothing.
        OSError
            The model can't be read.
        """
        from ..tasks.catalogue import task_of
        from ..written import printable

        if args.prompt is None:
            raise ValueError("--prompt must be given: what the text begins with")
        for name in ("length", "top_k"):
            if (value := getattr(args, name)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        if args.temperature is not None and not 0 <= args.temperature < float("inf"):
            raise ValueError(f"--temperature must be at least 0, got {args.temperature}")
        if args.seed is not None and args.seed < 0:
            raise ValueError(f"--seed must be at least 0, got {args.seed}")
        model, where = model_in(args.model, args.cell_file), f"MODEL {named(args.model)}"
        prompt = sys.stdin.read().rstrip("\n") if args.prompt == "-" else args.prompt
        task = task_of(model, where)
        print(printable(prompt + task.generate(model, task.known(model, where), prompt, args)))
        return 0


command = Generate()
"""What `rnn_core.cli` finds."""
