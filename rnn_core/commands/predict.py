"""``rnn-core predict``: what a saved network says of new examples."""

from __future__ import annotations

import argparse

from .output import Out, add_output, stdin_as_file
from .using import Using, add_using


class Predict:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "say what a trained network says of new examples, from a file or from standard input"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen."""
        parser.add_argument("model", metavar="MODEL", help="a model.safetensors, of a command or of rnn_core.save")
        parser.add_argument("file", metavar="PATH", help="examples, with answers or without; - reads standard input")
        add_output(parser)
        self.shared = add_using(parser, predicting=True)

    def run(self, args: argparse.Namespace) -> int:
        """Print or write the predictions and, where the answers are there, how many are right.

        Raises
        ------
        ValueError
            The model is none that can be used, or the examples are broken or of another kind.
        OSError
            A file can't be read or written.
        """
        out = Out(args, [args.model, args.file])
        with stdin_as_file(args) as path:
            args.file = path
            using = Using(args, self.shared)
            examples = using.read(path, args)
            answers = using.answer(examples, path, args)
            out.write(list(using.task.rows(using.how, examples, answers, args)))
            for remark in using.task.remarks(using.how, examples, answers, args):
                out.say(remark)
            for note in examples.notes:
                out.say(f"note: {note}")
        return 0


command = Predict()
"""What `rnn_core.cli` finds."""
