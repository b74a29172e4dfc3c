"""How files are read: what the options say, and how their errors and remarks reach the user."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..data.files import FileWarning
from ..data.files.lines import Unread

KINDS = ("text", "series", "waveforms")
"""What can be told apart by hand, where a name is ambiguous. Beside them there are "ids": texts as Keras keeps them."""

FRAME = 64
"""Samples of a waveform that make a step, unless told otherwise."""

FLAGS = {
    "header": "--no-header", "labelled": "rnn-core predict --no-label", "rate": "--sample-rate",
    "stamps": "--no-stamps", "numbers": "rnn-core train classify --regression",
}  # fmt: skip
"""Options of the readers that the commands turn round, or call by another name."""

TO_PREDICT = {"labelled": "--no-label", "rate": "--resample"}
"""And those that `rnn-core predict` has in their place."""


@dataclass(frozen=True)
class How:
    """How files are read.

    Attributes
    ----------
    kind : {"text", "series", "waveforms"}, optional
        What they hold, where their names don't tell.
    text, label : str
        Columns of a table.
    encoding : str
    frame : int, optional
        Samples that make a step of a waveform.
    separator : str, optional
        What parts a table's cells.
    header : bool
        Whether a table's first line names its columns.
    keep_missing_labels : bool
        Take labels such as ``NA`` for classes.
    labelled : bool
        Whether the examples may have labels.
    missing : {"refuse", "drop", "interpolate", "mask"}, optional
        What becomes of series in which numbers are missing.
    rate : int, optional
        Samples a second, to which waveforms are brought.
    max_steps : int, optional
        Of longer series and waveforms the beginning is read.
    predicting : bool
        Whether it is `rnn-core predict` that reads.
    numbers : bool
        Whether labels are numbers to be met.
    own : tuple of str
        Options that this side has of its own: "text" for ``--source-text``.
    """

    kind: str | None = None
    text: str = "text"
    label: str = "label"
    encoding: str = "utf-8"
    frame: int | None = None
    separator: str | None = None
    header: bool = True
    keep_missing_labels: bool = False
    labelled: bool = True
    missing: str | None = None
    rate: int | None = None
    max_steps: int | None = None
    predicting: bool = False
    numbers: bool = False
    own: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Samples that make a step of a waveform."""
        return self.frame or FRAME

    def flag(self, option: str) -> str:
        """Return what an option of the readers, as ``text`` or ``missing='drop'``, is called on the command line."""
        name, _, value = option.partition("=")
        if self.predicting and name in TO_PREDICT:
            return TO_PREDICT[name]
        prefix = "source-" if name in self.own else ""
        flag = FLAGS.get(name, f"--{prefix}{name.replace('_', '-')}")
        return flag if value in ("", "True", "False") else f"{flag} {value.strip(chr(39))}"


@contextmanager
def heard(how: How) -> Iterator[list[str]]:
    """Collect the readers' remarks as notes, and let their errors name the options as they are typed.

    Raises
    ------
    ValueError
        In the place of `Unread`.
    """
    notes: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FileWarning)
            yield notes
    except Unread as error:
        raise ValueError(error.spelled(how.flag)) from error
    for warning in caught:
        if issubclass(warning.category, FileWarning):
            notes.append(str(warning.message).partition(": ")[2])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
