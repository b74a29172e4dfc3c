"""``--log``: where the curves of a run are written while it goes on, by what its name ends in."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ...data.files.lines import named
from ...training import Callback, CSVLog, JSONLog, TensorBoard

FILES = {".csv": CSVLog, ".jsonl": JSONLog}
"""What writes a file, by its ending."""


def log_of(args: argparse.Namespace) -> list[Callback]:
    """Return what writes the log that the options name; none where they name none.

    Raises
    ------
    ValueError
        Its name tells no format; or it is a file that another run has written.
    RuntimeError
        It is for TensorBoard, and nothing here writes that.
    """
    if args.log is None:
        return []
    path = Path(args.log)
    if args.log.endswith(("/", os.sep)) or path.is_dir():
        try:
            return [TensorBoard(path)]
        except ImportError as error:
            raise RuntimeError(f"--log {named(path)} can't be written: {error}; or name a .csv or .jsonl") from None
    if path.suffix.lower() not in FILES:
        raise ValueError(
            f"--log must end in {' or '.join(FILES)}, or in / for a folder of TensorBoard's, got {named(path)}"
        )
    again = bool(args.overwrite or args.resume)
    if not again and path.exists() and path.stat().st_size:
        raise ValueError(f"--log must be a new file, got {named(path)}, which is there; name another, or --overwrite")
    return [FILES[path.suffix.lower()](path, overwrite=again)]
