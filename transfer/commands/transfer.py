"""``rnn-core transfer``: any method of this package on a user's own data, compared with a fresh start."""

from __future__ import annotations

import argparse
from typing import Any

from rnn_core.data.files.series import MISSING
from rnn_core.foreign import one_line
from rnn_core.inputs.tables import add_table_options, check_table_options
from rnn_core.tasks.options import CELL, NETWORK, flag

from .shared import add_methods, add_run, add_training, again, check_cell_of, check_shared, listing


class Transfer:
    """The subcommand, as `rnn_core.cli` wants it. Without a task it tells classes."""

    help = "carry over what is learned from your own data to other data of yours, and see whether it helps (minutes)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen, and the other tasks with their own options."""
        from rnn_core.cli import Subparser

        from ..inputs.known_tasks import CLASSES, known_tasks
        from .tasks import TaskTransfer

        self.add_options(parser)
        said = "what is to be learned, if not classes; `rnn-core transfer TASK --help` lists its options"
        parsers = parser.add_subparsers(
            dest="task", metavar="TASK", title="tasks", description=said, parser_class=Subparser
        )
        self.tasks: dict[str, Any] = {name: TaskTransfer(task) for name, task in known_tasks().items()}
        parsers.add_parser(CLASSES, help="as without a task", description=self.help).command = _Named(self)
        for name, command in self.tasks.items():
            parsers.add_parser(name, help=command.help, description=command.help).command = command

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options. Every default is None or False: so what was said can be told from what was not."""
        add = parser.add_argument_group("data").add_argument
        kinds = ".csv .tsv .jsonl .npz .ts .arff, or a folder with one of .txt or .wav .flac .ogg files for each class"
        add("--source", metavar="PATH", help=f"what is learned first: {kinds}; or a text without classes, .txt")
        add("--source-model", metavar="FILE", help="or a model.safetensors that this command has saved")
        add("--target", metavar="PATH", help=f"what is to be learned: {kinds}")
        add("--test", metavar="PATH", help="what is judged by; without it, a part of the target")
        add("--test-share", type=float, metavar="SHARE", help="how large that part is (0.25)")
        add("--kind", choices=("text", "series", "waveforms"), help="how to read what is ambiguous")
        add_table_options(add)
        add("--source-text", metavar="COLUMN", help="of the source, where it has another name")
        add("--source-label", metavar="COLUMN", help="of the source, where it has another name")
        add("--encoding", help="of all text files (utf-8)")
        add("--level", choices=("char", "word"), help="what a token of a text is (word)")
        add("--num-words", type=int, metavar="N", help="tokens that are kept, the most frequent (10000 words)")
        add("--keep-case", action="store_true", help="tell capital letters from small ones")
        add("--max-steps", type=int, metavar="N", help="longer examples are cut to their beginning (texts: 200)")
        add("--vectors", metavar="FILE", help="word2vec's or GloVe's vectors, for the embeddings to begin with")
        add("--vectors-encoding", metavar="NAME", help="of the words there (utf-8, whatever --encoding is)")
        add("--frame", type=int, metavar="N", help="samples of a waveform that make a step (64)")
        add("--sample-rate", type=int, metavar="N", help="samples a second that waveforms are brought to (their own)")
        add("--missing", choices=MISSING, help="what becomes of series in which numbers are missing (refuse)")
        add = parser.add_argument_group("methods").add_argument
        add_methods(add, "target examples to train on (a tenth, a third, all)")
        add("--balanced", action="store_true", help="score by the mean of the classes' accuracies")
        add = parser.add_argument_group("network and training").add_argument
        add("--cell", **{**NETWORK["cell"][1], "help": NETWORK["cell"][1]["help"].format(cell="lstm")})
        for name, said in CELL.items():
            add(flag(name), **said)
        add("--hidden-size", type=int, metavar="N", help="(64)")
        add("--layers", type=int, metavar="N", help="(1)")
        add("--bidirectional", action="store_true", help="read each sequence in both directions")
        add("--pooling", choices=("last", "mean", "max"), help="from steps to a sequence (mean)")
        add_training(add)
        add_run(parser.add_argument_group("the run").add_argument)

    def run(self, args: argparse.Namespace) -> int:
        """Run the comparison and write what it found.

        Raises
        ------
        ValueError
            An option, a file or what is in it is not as required; nothing has been computed.
        OSError
            A file can't be read, or the folder not written to.
        RuntimeError
            A package of the extra ``report`` is missing, or the memory is too small.
        """
        # Imported here, so that `rnn-core --help` doesn't wait for it.
        from rnn_core.showing.surroundings import check_packages

        from ..inputs.known_tasks import CLASSES

        task = getattr(args, "task", None)
        if task is not None and task != CLASSES:
            return int(self.tasks[task].run(args))
        if args.list:
            return listing()
        _check(args)
        check_packages()
        from ..inputs.gathering import gather
        from . import asked
        from .run import run
        from .subject import Classes

        def gathered(args: argparse.Namespace, settings: asked.Settings) -> Classes:
            return Classes(gather(asked.wanted(args, settings), asked.budget(args, settings)))

        try:
            return run(args, again(["rnn-core", "transfer"], args), gathered)
        except MemoryError as error:
            way_out = "take a smaller --hidden-size, --batch-size or --max-steps, or fewer --workers"
            raise RuntimeError(f"there must be memory enough, got {one_line(error)}; {way_out}") from error


class _Named:
    """`rnn-core transfer classify`, which has the options of the command without a task."""

    def __init__(self, command: Transfer) -> None:
        self.command, self.help = command, command.help

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add them; what isn't given leaves no trace, so that an option before the task is not written over."""
        parser.argument_default = argparse.SUPPRESS
        self.command.add_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Run it."""
        return self.command.run(args)


def _check(args: argparse.Namespace) -> None:
    """Raise ValueError for options that are out of range or exclude one another."""
    check_shared(args)
    check_cell_of(args, "lstm", args.hidden_size or 64)
    check_table_options(args, (args.target, args.test), args.source)
    if args.vectors_encoding is not None and args.vectors is None:
        raise ValueError("--vectors-encoding must be left out without --vectors, whose words it is about")


command = Transfer()
"""What the entry point in setup.cfg names."""
