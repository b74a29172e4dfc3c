"""``rnn-core train TASK``: a network for one task, from files to a report."""

from __future__ import annotations

import argparse

from ..foreign import one_line

help = "train a network for one task on your own files: classify, language, … (minutes)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the task; its options are the task's own."""
    from ..tasks.catalogue import tasks

    width = max(map(len, tasks()))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join([
        "tasks:", *(f"  {name:{width}}  {task.help}" for name, task in tasks().items()), "",
        "`rnn-core train TASK --help` lists the options of one.",
    ])  # fmt: skip
    parser.add_argument("task", metavar="TASK", help="what is to be learned, see below")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="…", help="--data PATH, and others")


def run(args: argparse.Namespace) -> int:
    """Train, and write what was found.

    Raises
    ------
    ValueError
        An option, a file or what is in it is not as required; nothing has been computed.
    OSError
        A file can't be read, or the folder not written to.
    RuntimeError
        The memory is too small.
    """
    from ..tasks.catalogue import task_named
    from ..tasks.options import add_training, check_training, usual
    from .cells import check_cell
    from .training.run import run as train

    task = task_named(args.task)
    parser = argparse.ArgumentParser(prog=f"rnn-core train {task.name}", description=task.help)
    add_training(parser, task)
    wanted = parser.parse_args(args.options)
    wanted.task = task.name
    check_training(wanted)
    task.check(wanted)
    check_cell(wanted, usual(task, wanted, "cell"), usual(task, wanted, "hidden_size"))
    try:
        return train(task, wanted)
    except MemoryError as error:
        way_out = "take a smaller --hidden-size or --batch-size"
        raise RuntimeError(f"there must be memory enough, got {one_line(error)}; {way_out}") from error
