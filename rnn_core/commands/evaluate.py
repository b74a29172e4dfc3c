"""``rnn-core evaluate``: how well a saved network does on examples whose answers are known."""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import stdin_as_file
from .using import Using, add_using


class Evaluate:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "score a trained network by examples whose answers are known"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen."""
        parser.add_argument("model", metavar="MODEL", help="a model.safetensors, of a command or of rnn_core.save")
        parser.add_argument("file", metavar="PATH", help="examples with their answers; - reads standard input")
        parser.add_argument("--json", metavar="FILE", help="write every score here too")
        held = "what standard input holds: .csv, .tsv, .jsonl, .ts, .conll"
        parser.add_argument("--stdin-as", metavar="ENDING", help=held)
        self.shared = add_using(parser, predicting=False)

    def run(self, args: argparse.Namespace) -> int:
        """Print the scores.

        Raises
        ------
        ValueError
            The model is none that can be used, or the examples are broken, of another kind or have no answers.
        OSError
            A file can't be read or written.
        """
        from ..atomic import check_writable, write_atomically
        from ..showing.terminal import new_console, say
        from ..tasks.task import Role
        from ..written import json_bytes
        from .training.report import scores_table

        if args.json is not None:
            if Path(args.json).is_dir() or not Path(args.json).parent.is_dir():
                raise ValueError(f"--json must be a file in a folder that exists, got {args.json!r}")
            check_writable(args.json, where="--json")
        name = args.file
        with stdin_as_file(args) as path:
            using = Using(args, self.shared)
            examples = using.read(path, args, Role.EVALUATE)
            answers = using.answer(examples, path, args)
            try:
                scores = using.task.score(using.how, examples, answers)
            except ValueError as error:
                raise ValueError(f"{path} must go with MODEL: {error}") from error
        console = new_console()
        say(console, scores_table({f"{len(examples):,} examples": scores}))
        notes = [*using.task.cautions(using.how, examples, answers), *examples.notes]
        for note in notes:
            say(console, f"note: {note}")
        if args.json is not None:
            found = {"task": using.task.name, "model": args.model, "file": name, "examples": len(examples),
                     "scores": scores, "notes": notes}  # fmt: skip
            write_atomically(args.json, json_bytes(found), where="--json")
        return 0


command = Evaluate()
"""What `rnn_core.cli` finds."""
