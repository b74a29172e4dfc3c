"""The folder of a run's checkpoints: made, and looked into before the first step."""

from __future__ import annotations

from pathlib import Path

from .contents import BEST, LAST, Checkpoint, read_facts


def found(last: Path, resume: bool | str) -> Checkpoint | None:
    """Make the folder, and return the checkpoint to go on from; None where the run begins afresh.

    Parameters
    ----------
    last : Path
        The file that a run is resumed from, whether or not it is there.
    resume : bool or "auto"
        As `fit`'s.

    Raises
    ------
    FileNotFoundError
        ``resume=True`` finds no checkpoint.
    FileExistsError
        There is one with an update in it, and it isn't wanted.
    OSError
        The folder can't be made.
    ValueError
        The checkpoint is no checkpoint.
    """
    if resume is True and not last.exists():
        raise FileNotFoundError(
            f"fit: with resume=True there must be a checkpoint, got no file {str(last)!r}; "
            "resume='auto' begins afresh then"
        )
    folder = last.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"fit: checkpoint must be a folder, got {str(folder)!r}, which can't be made: {error.strerror}"
        ) from error
    if resume and last.exists():
        return Checkpoint.read(last)
    if last.exists() and read_facts(last)["position"]["step"]:  # before the first update there is nothing to lose
        raise FileExistsError(
            f"fit: checkpoint must be a folder without an earlier run, got {str(folder)!r}, which holds "
            f"{at_in_words(last)}; resume=True goes on with it; to begin afresh, name another folder or remove {LAST}"
        )
    (folder / BEST).unlink(missing_ok=True)  # an earlier run's, whose last.safetensors was removed
    return None


def at_in_words(path: Path) -> str:
    """Return how far a checkpoint has come, in words."""
    position = read_facts(path)["position"]
    return f"the state after step {position['step']}, with {position['epoch']} epochs done"
