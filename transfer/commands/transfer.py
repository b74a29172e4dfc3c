"""``rnn-core transfer``: any method of this package on a user's own data, compared with a fresh start."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from rnn_core.data.files.lines import named
from rnn_core.data.files.series import MISSING
from rnn_core.foreign import one_line
from rnn_core.inputs.tables import add_table_options, check_table_options

from .keeping import check_kept

RESULTS = ("report.html", "results.json", "model.safetensors")
"""Files that tell that a folder holds a run's results."""

POSITIVE = (
    "seeds", "workers", "sizes", "updates", "source_updates", "batch_size", "rate", "core_rate", "source_rate",
    "hidden_size", "layers", "max_steps", "num_words", "frame", "sample_rate",
)  # fmt: skip
"""Options that must be above 0."""


class Transfer:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "carry over what is learned from your own data to other data of yours, and see whether it helps (minutes)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen. Every default is None or False: so what was said can be told from what was not."""
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
        add("--methods", nargs="+", metavar="NAME", help="some of --list, or all; the usual ones without it")
        add("--list", action="store_true", help="list the methods, a line on each, and stop")
        add("--sizes", type=int, nargs="+", metavar="N", help="target examples to train on (a tenth, a third, all)")
        add("--seeds", type=int, metavar="N", help="repetitions, which the intervals come from (5)")
        add("--balanced", action="store_true", help="score by the mean of the classes' accuracies")
        add("--save", metavar="METHOD", help="whose network is saved (the best on held-out examples)")
        add = parser.add_argument_group("network and training").add_argument
        add("--cell", choices=("rnn", "lstm", "gru"), help="(lstm)")
        add("--hidden-size", type=int, metavar="N", help="(64)")
        add("--layers", type=int, metavar="N", help="(1)")
        add("--bidirectional", action="store_true", help="read each sequence in both directions")
        add("--pooling", choices=("last", "mean", "max"), help="from steps to a sequence (mean)")
        add("--updates", type=int, metavar="N", help="on the target, of every method (128)")
        add("--source-updates", type=int, metavar="N", help="on the source (600)")
        add("--batch-size", type=int, metavar="N", help="(32)")
        add("--rate", type=float, help="learning rate of what is fresh (0.01)")
        add("--core-rate", type=float, metavar="RATE", help="of what was carried over (0.003)")
        add("--source-rate", type=float, metavar="RATE", help="on the source (0.01)")
        add = parser.add_argument_group("the run").add_argument
        add("--out", metavar="DIR", help="where to write (runs/transfer)")
        add("--overwrite", action="store_true", help="over the results that are there")
        add("--resume", action="store_true", help="go on from the runs that one which was cut off has finished there")
        add("--workers", type=int, metavar="N", help="processes side by side (as many as processors, at most 4)")
        add("--quick", action="store_true", help="tiny: see in ten seconds that all works; the numbers mean nothing")

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
        from rnn_core.showing.table import table
        from rnn_core.showing.terminal import new_console

        from ..methods.catalogue import METHODS

        if args.list:
            new_console().print(table(("method", "what it does"), METHODS.items()), markup=False, soft_wrap=True)
            return 0
        _check(args)
        check_packages()
        from .run import run

        try:
            return run(args, _words(args))
        except MemoryError as error:
            way_out = "take a smaller --hidden-size, --batch-size or --max-steps, or fewer --workers"
            raise RuntimeError(f"there must be memory enough, got {one_line(error)}; {way_out}") from error


def _check(args: argparse.Namespace) -> None:
    """Raise ValueError for options that are out of range or exclude one another."""
    if args.target is None:
        raise ValueError("--target must be given: the data to carry over to")
    if (args.source is None) == (args.source_model is None):
        got = "neither" if args.source is None else "both"
        raise ValueError(f"one of --source and --source-model must be given, got {got}")
    for name in ("source", "source_model", "target", "test", "vectors"):
        if (path := getattr(args, name)) is not None and not Path(path).exists():
            raise FileNotFoundError(f"{_option(name)} must be an existing file or folder, got {named(path)}")
    for name in POSITIVE:
        value = getattr(args, name)
        for number in value if isinstance(value, list) else [value]:
            if number is not None and not 0 < number < float("inf"):
                raise ValueError(f"{_option(name)} must be above 0, got {number}")
    if args.seeds == 1:
        raise ValueError("--seeds must be at least 2, or there are no intervals, got 1")
    if args.test_share is not None and not 0 < args.test_share < 1:
        raise ValueError(f"--test-share must be between 0 and 1, got {args.test_share}")
    if args.test is not None and args.test_share is not None:
        raise ValueError("--test-share must be left out with --test, which is judged by")
    for name in ("source_text", "source_label", "source_updates", "source_rate"):
        if args.source_model is not None and getattr(args, name) is not None:
            raise ValueError(f"{_option(name)} must be left out with --source-model, which has learned already")
    check_table_options(args, (args.target, args.test), args.source)
    if args.vectors_encoding is not None and args.vectors is None:
        raise ValueError("--vectors-encoding must be left out without --vectors, whose words it is about")
    for name in ("source_model", "vectors"):
        if (path := getattr(args, name)) is not None and Path(path).is_dir():
            raise IsADirectoryError(f"{_option(name)} must be a file, got the folder {named(path)}")
    folder = Path(args.out or "runs/transfer")
    if not args.overwrite and (found := [name for name in RESULTS if (folder / name).exists()]):
        raise ValueError(
            f"--out must be a folder without results, got {named(folder)} with {', '.join(found)}; name another, or "
            "--overwrite"
        )
    check_kept(folder, args.resume, args.overwrite)


def _words(args: argparse.Namespace) -> str:
    """Return the words that call this again, all of it."""
    words = ["rnn-core", "transfer"]
    values: dict[str, Any] = vars(args)
    for name, value in values.items():
        if name in ("command", "traceback", "resume") or value is None or value is False:
            continue
        words.append(_option(name))
        if value is not True:
            words += map(str, value if isinstance(value, list) else [value])
    return shlex.join(words)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


command = Transfer()
"""What the entry point in setup.cfg names."""
