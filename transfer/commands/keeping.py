"""What ``rnn-core transfer`` keeps while it runs, in a folder beside its results to be: its finished runs."""

from __future__ import annotations

from pathlib import Path

from rnn_core.data.files.lines import named
from rnn_core.showing.terminal import Parts

from ..comparing import kept as keeping
from ..comparing.kept import KeptRuns, OtherRuns
from ..comparing.study import Study

CHOICE = "choice"
"""The folder, within that of the runs, of those by which the network to save is chosen."""


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


def opened(out: Path, study: Study, resume: bool, parts: Parts) -> KeptRuns:
    """Return the runs that are kept, those of another time among them, and say what was found.

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
            f"{error.why}; undo the change, or --overwrite without --resume begins afresh"
        ) from error
    if resume and not found:
        parts.plain(f"- nothing was kept in {out}: it begins afresh")
    elif resume:
        parts.plain(f"- {len(kept)} run{'' if len(kept) == 1 else 's'} of the comparison kept from before")
    for note in kept.notes:
        parts.plain(f"- {note}")
    return kept


def remove(out: Path) -> None:
    """Remove what was kept."""
    keeping.remove(kept_folder(out) / CHOICE)
    keeping.remove(kept_folder(out))


def cut_off(out: Path, kept: KeptRuns) -> str:
    """Return what is said when a run is interrupted."""
    runs = f"{len(kept)} run{'' if len(kept) == 1 else 's'} of the comparison"
    return f"interrupted; no results were written, {runs} kept in {named(out)}: the same words with --resume go on"
