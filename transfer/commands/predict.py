"""``rnn-core predict``: what a network that ``rnn-core transfer`` has saved says about new examples."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnn_core.commands.tables import add_table_options, check_table_options, table_options
from rnn_core.data.files.lines import named
from rnn_core.data.files.series import MISSING
from rnn_core.foreign import one_line
from rnn_core.inputs.facts import listed
from rnn_core.written import json_bytes, printable

if TYPE_CHECKING:
    from rnn_core import SequenceClassifier
    from rnn_core.data import Ragged
    from rnn_core.inputs.encoding import Encoding
    from rnn_core.inputs.how import How
    from rnn_core.inputs.reading import Raw

    from ..inputs.saved import Saved

FORMATS = (".csv", ".jsonl")
"""What can be written."""

SHOWN = 40
"""Rows that are printed; a file gets all."""


class Prediction(NamedTuple):
    """What the network says of each example.

    Attributes
    ----------
    places : tuple of str
        Where each example stands.
    labels : tuple of str
        The classes.
    probabilities : ndarray, shape (N,)
        Of these classes.
    """

    places: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: np.ndarray


class Predict:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "say the classes of new examples, with a network that `rnn-core transfer` has saved"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen."""
        add = parser.add_argument
        add("model", metavar="MODEL", help="a model.safetensors of `rnn-core transfer`")
        add("file", metavar="PATH", help="examples, with classes or without; a .txt has one a line")
        add("--out", metavar="FILE", help=f"write all of them here: {' or '.join(FORMATS)}")
        add_table_options(add)
        add("--encoding", default="utf-8", help="of text files (utf-8)")
        add("--no-label", action="store_true", help="the examples have no classes: a line is a series, say")
        add("--missing", choices=MISSING, help="what becomes of series in which numbers are missing (as in the run)")
        add("--resample", action="store_true", help="bring waveforms to the rate of those that were trained on")

    def run(self, args: argparse.Namespace) -> int:
        """Print or write the predictions and, where the classes are there, how many are right.

        Raises
        ------
        ValueError
            The model is not one that was saved so, or the examples are broken or of another kind.
        OSError
            A file can't be read or written.
        """
        from rnn_core import SequenceClassifier
        from rnn_core.atomic import check_writable, write_atomically
        from rnn_core.inputs.reading import read_to_predict
        from rnn_core.showing.terminal import new_console, say

        from ..inputs.saved import load_network

        out = None if args.out is None else Path(args.out)
        if out is not None and (out.suffix.lower() not in FORMATS or not out.parent.is_dir()):
            raise ValueError(f"--out must be a file {' or '.join(FORMATS)} in a folder that exists, got {str(out)!r}")
        check_table_options(args, (args.file,))
        if out is not None:
            check_writable(out, where="--out")
            if out.exists() and any(out.samefile(path) for path in (args.model, args.file) if Path(path).exists()):
                raise ValueError(f"--out must be another file than MODEL and PATH, got {str(out)!r}")
        model, saved = load_network(args.model)
        if saved is None or not isinstance(model, SequenceClassifier):
            raise ValueError(
                f"MODEL must be a network that `rnn-core transfer` has saved, got {named(args.model)}, which doesn't "
                "say what its classes are and how it reads"
            )
        encoding = saved.encoding
        how = _how(args, encoding)
        raw = read_to_predict(args.file, how, labelled=args.label is not None)
        try:
            inputs, lengths = encoding.encode(raw)
        except ValueError as error:
            raise ValueError(f"{named(args.file)} must go with {named(args.model)}: {one_line(error, 200)}") from error
        found = predict(model, saved.classes, raw, inputs, lengths)
        console = new_console()
        if out is None:
            say(console, _table(found))
        else:
            write_atomically(out, _as_file(found, out.suffix.lower()), where="--out")
            say(console, f"written to {out}: {_counted(len(found.labels), 'row')}")
        say(console, _accuracy(found, raw, saved))
        for note in raw.notes:
            say(console, f"note: {note}")
        return 0


def _how(args: argparse.Namespace, encoding: Encoding) -> How:
    """Return how the file is read: as the network's own data were, unless told otherwise.

    Raises
    ------
    ValueError
        An option is of no use with this network, or with another.
    """
    from rnn_core.inputs.how import How

    for name, value, heed in (("--missing", args.missing, "series"), ("--resample", args.resample, "waveforms")):
        if value and encoding.kind != heed:
            raise ValueError(f"{name} must be left out with a network that reads {encoding.kind}; it is for {heed}")
    if args.no_label and args.label is not None:
        raise ValueError("--label must be left out with --no-label, by which there is none")
    return How(
        "text" if encoding.kind == "ids" else encoding.kind,
        encoding=args.encoding,
        frame=encoding.frame,
        labelled=not args.no_label,
        missing=args.missing or encoding.missing,
        rate=encoding.rate if args.resample else None,
        max_steps=encoding.max_steps,
        predicting=True,
        **table_options(args),
    )


def predict(
    model: SequenceClassifier,
    classes: tuple[str, ...],
    raw: Raw,
    inputs: np.ndarray | Ragged,
    lengths: np.ndarray | None,
) -> Prediction:
    """Return the likeliest class of each example, and its probability."""
    from ..features.answers import answers

    probabilities = answers(model, inputs, lengths)
    best = probabilities.argmax(axis=1)
    return Prediction(raw.places, tuple(classes[k] for k in best), probabilities.max(axis=1))


def _accuracy(found: Prediction, raw: Raw, saved: Saved) -> str:
    """Say how many are right, if that is known, and what that makes by the metric of the run."""
    count = _counted(len(found.labels), "example")
    if raw.labels is None:
        return f"{count}; the file has no classes to compare with"
    hint = "; if a line begins with the series itself, --no-label" if raw.kind == "series" else ""
    if not set(raw.classes) & set(saved.classes):
        return f"{count}; the file's classes, {listed(raw.classes)}, are none of the network's{hint}"
    labelled = raw.labels >= 0
    labels = raw.labels[labelled]
    right = np.array(found.labels)[labelled] == np.array(raw.classes)[labels]
    some = "" if labelled.all() else f" of the {labelled.sum():,} that have a label"
    said = f"{count}; {right.sum():,}{some} told as the file has them, {100 * float(right.mean()):.1f} %"
    if saved.metric.startswith("balanced"):
        shares = [right[labels == k].mean() for k in np.unique(labels)]  # a class that is declared may have no example
        said += f"; balanced accuracy, as in the run: {100 * float(np.mean(shares)):.1f} %"
    if foreign := [name for name in raw.classes if name not in saved.classes]:
        said += f"; classes that the network does not know are never said: {listed(foreign)}"
    return said


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _table(found: Prediction) -> str:
    from rnn_core.showing.table import table

    rows = [
        (place, label, f"{probability:.3f}")
        for place, label, probability in zip(found.places[:SHOWN], found.labels, found.probabilities, strict=False)
    ]
    text = table(("example", "class", "probability"), rows, right=("probability",))
    more = len(found.labels) - SHOWN
    return text if more <= 0 else f"{text}\nand {more:,} more; --out writes them all"


def _as_file(found: Prediction, suffix: str) -> bytes:
    rows: list[dict[str, Any]] = [
        {"example": place, "class": label, "probability": round(float(probability), 6)}
        for place, label, probability in zip(*found, strict=True)
    ]
    if suffix == ".jsonl":
        return b"".join(json_bytes(row, indent=None) for row in rows)
    for row in rows:
        row.update((name, printable(value)) for name, value in row.items() if isinstance(value, str))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ("example", "class", "probability"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


command = Predict()
"""What the entry point in setup.cfg names."""
