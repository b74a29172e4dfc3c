"""What ``rnn-core transfer`` keeps while it runs, in a folder beside its results to be: its finished runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnn_core.atomic import write_atomically
from rnn_core.data.files.lines import named
from rnn_core.foreign import parse_json
from rnn_core.showing.terminal import Parts
from rnn_core.tasks.options import changed
from rnn_core.written import json_bytes

from ..comparing import kept as keeping
from ..comparing.kept import KeptRuns
from ..comparing.lines import SAID, OtherRuns
from ..comparing.study import Study

CHOICE = "choice"
"""The folder, within that of the runs, of those by which the network to save is chosen."""

OPTIONS = "options.json"
"""The file there that says what the command was given."""

FREE = (
    "command", "task", "traceback", "list", "methods", "sizes", "seeds", "save", "out", "overwrite", "resume",
    "workers",
)  # fmt: skip
"""Options that change nothing of what a run is: which of them there are, how they run, and where."""


def kept_folder(out: Path) -> Path:
    """Return where the runs are kept."""
    return out / "kept"


def check_kept(out: Path, resume: bool, overwrite: bool) -> None:
    """Raise ValueError if there are runs, and nothing says what to do about them."""
    folder = kept_folder(out)
    if keeping.holds_runs(folder) and not (resume or overwrite):
        runs = keeping.count(folder)
        raise ValueError(
            f"--out must be a folder without a run that was cut off, got {named(out)} with {runs} finished "
            f"{'part' if runs == 1 else 'parts'} of one; --resume goes on from there, --overwrite begins afresh"
        )


def given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that a run is made of, as they were given."""
    found = {name: value for name, value in vars(args).items() if name not in FREE and value not in (None, False)}
    return dict(json.loads(json_bytes(found)))


def opened(out: Path, study: Study, resume: bool, parts: Parts, options: Mapping[str, Any]) -> KeptRuns:
    """Return the runs that are kept, those of another time among them, and say what was found.

    `options` are those of this call, as `given` has them: what differs is said in their words, if it is they.

    Raises
    ------
    ValueError
        They are runs on other data, with other options, or by another version.
    """
    folder = kept_folder(out)
    if not resume:
        remove(out)
    found = keeping.holds_runs(folder)
    try:
        kept = KeptRuns(folder, study, resume="auto")
    except OtherRuns as error:
        raise ValueError(
            f"--resume must go on with the data, options and version that it began with in {named(out)}, but "
            f"{_changes(folder, options) or error.why}; undo the change, or --overwrite without --resume begins afresh"
        ) from error
    write_atomically(folder / OPTIONS, json_bytes(options), where="--out")
    if resume and not found:
        parts.plain(f"- nothing was kept in {out}: it begins afresh")
    elif resume:
        parts.plain(f"- {len(kept)} run{'' if len(kept) == 1 else 's'} of the comparison kept from before")
    for note in kept.notes:
        parts.plain(f"- {note}")
    return kept


def _changes(folder: Path, options: Mapping[str, Any]) -> str:
    """Return which options differ from those that the runs in a folder began with, "" if none does or none is known."""
    try:
        began = parse_json("--resume", OPTIONS, (folder / OPTIONS).read_bytes())
    except (ValueError, OSError):
        return ""
    lines = changed(began, options) if isinstance(began, dict) else []
    return "; ".join(lines[:SAID]) + (f" and {len(lines) - SAID} more" if len(lines) > SAID else "")


def remove(out: Path) -> None:
    """Remove what was kept."""
    (kept_folder(out) / OPTIONS).unlink(missing_ok=True)
    keeping.remove(kept_folder(out) / CHOICE)
    keeping.remove(kept_folder(out))


def cut_off(out: Path, kept: KeptRuns) -> str:
    """Return what is said when a run is interrupted."""
    runs = f"{len(kept)} run{'' if len(kept) == 1 else 's'} of the comparison"
    return f"interrupted; no results were written, {runs} kept in {named(out)}: the same words with --resume go on"
