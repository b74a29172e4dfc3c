"""Logs in files that spreadsheets and scripts read: `CSVLog`, a row an epoch, and `JSONLog`, an object a line."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ...atomic import check_writable, write_atomically
from ...layers.checks import positive_int
from ..history import EpochRecord, History
from .callback import Callback, StepRecord

COLUMNS = (*(field.name for field in fields(EpochRecord)), "validation_bits")
"""What is written of an epoch."""


class CSVLog(Callback):
    """A table of the epochs, in a file that is whole at any time.

    Parameters
    ----------
    path : path
        The file. A run that is resumed goes on with its own; of epochs that it makes again there is one row.
    overwrite : bool
        Whether a run from the beginning may replace a file that is there.

    Raises
    ------
    FileExistsError
        From `fit`: the run is a new one, and there is a file.
    OSError
        From `fit`, before the first step: the file can't be written.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path, self.overwrite = Path(path), overwrite

    def begin(self, model: Any, history: History, step: int) -> None:
        """Find out whether the file can be written."""
        _check_place("CSVLog", self.path, step, overwrite=self.overwrite)
        self._write(history)

    def epoch(self, history: History) -> None:
        """Write the table with its new row."""
        self._write(history)

    def _write(self, history: History) -> None:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows([_cell(getattr(record, name)) for name in COLUMNS] for record in history)
        write_atomically(self.path, text.getvalue().encode(), where="CSVLog")


class JSONLog(Callback):
    """An object of JSON a line: of epochs, and where it is wanted of updates.

    An object has "kind", "epoch" or "step", and then the numbers of an `EpochRecord` or of a `StepRecord`. A run that
    is resumed takes out what comes after its checkpoint, and goes on from there.

    Parameters
    ----------
    path : path
        The file.
    every : int, optional
        A line for each update whose number is a multiple of this; without it, epochs alone.
    overwrite : bool
        Whether a run from the beginning may replace a file that is there.

    Raises
    ------
    FileExistsError
        From `fit`: the run is a new one, and there is a file.
    OSError
        From `fit`, before the first step: the file can't be written.
    """

    def __init__(self, path: str | Path, *, every: int | None = None, overwrite: bool = False) -> None:
        self.every = None if every is None else positive_int("JSONLog", "every", every)
        self.path, self.overwrite = Path(path), overwrite

    def begin(self, model: Any, history: History, step: int) -> None:
        """Keep the lines of an earlier part of this run, and open the file."""
        _check_place("JSONLog", self.path, step, overwrite=self.overwrite)
        kept = [line for line in self._lines() if _is_before(line, step)] if step else []
        write_atomically(self.path, b"".join(kept), where="JSONLog")
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  # `end` closes it
        if not kept:  # the earlier part of the run was written elsewhere, or nowhere
            for record in history:
                self._epoch(record)

    def step(self, record: StepRecord) -> None:
        """Write an update, if it is one of those that are wanted."""
        if self.every and record.step % self.every == 0:
            self._line("step", record._asdict())

    def epoch(self, history: History) -> None:
        """Write an epoch."""
        self._epoch(history[-1])

    def end(self, history: History, error: BaseException | None) -> None:
        """Close the file."""
        self._file.close()

    def _epoch(self, record: EpochRecord) -> None:
        self._line("epoch", asdict(record) | {"validation_bits": record.validation_bits})

    def _line(self, kind: str, numbers: dict[str, Any]) -> None:
        self._file.write(json.dumps({"kind": kind, **numbers}) + "\n")
        self._file.flush()  # whoever follows the file sees whole lines

    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []


def _is_before(line: bytes, step: int) -> bool:
    """Return whether a line is of an update up to `step`, or of an epoch that ends by then; half a line is of none."""
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n") and isinstance(found, dict) and isinstance(n := found.get("step"), int) and n <= step


def _check_place(where: str, path: Path, step: int, *, overwrite: bool) -> None:
    """Raise if a file can't be written, or is another run's."""
    check_writable(path, where=where)
    if not step and not overwrite and path.exists() and path.stat().st_size:
        raise FileExistsError(
            f"{where}: path must be a new file for a new run, got {str(path)!r}, which is there; "
            "name another, or give overwrite=True"
        )


def _cell(value: Any) -> Any:
    return "" if value is None else value
