"""Files that are whole at any time: a write that is killed, or finds no room, leaves what was there before."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .foreign import one_line

LONGEST = 240
"""Bytes of a name that a draft's name still has room for."""

LEFTOVER = 3600.0
"""Seconds after which the temporary file of a write that was killed may be removed."""


def write_atomically(path: str | os.PathLike[str], data: bytes, *, where: str) -> None:
    """Put `data` into a file such that whoever reads it, at any time, finds the old content or the new, whole.

    Parameters
    ----------
    path : path
        The file; a link is followed, and permissions stay. Its folder must exist.
    data : bytes
    where : str
        The function to name in errors.

    Raises
    ------
    OSError
        The folder is missing, or the file can't be written; what was there before is as it was.
    """
    with written(path, where=where) as file:
        file.write(data)


@contextlib.contextmanager
def written(path: str | os.PathLike[str], *, where: str) -> Iterator[BinaryIO]:
    """Return a file to write into, which takes the place of `path` where the context ends without an error.

    Parameters and errors are `write_atomically`'s. An error from within the context is raised as it is, where it is
    none of writing.
    """
    final = _place(path, where)
    draft = _draft(final)
    try:
        try:
            with open(draft, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if final.exists():
                shutil.copymode(final, draft)
            os.replace(draft, final)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(final.parent)
    except OSError as error:
        if error.errno is None:  # has been said already, of another file
            raise
        raise _refused(path, where, error) from error
    _remove_leftovers(final)


def check_writable(path: str | os.PathLike[str], *, where: str) -> None:
    """Raise what `write_atomically` would raise for a place that can't be written: now, not after hours of work.

    Parameters
    ----------
    path : path
        The file; it is left as it is.
    where : str
        The function to name in errors.

    Raises
    ------
    OSError
        As there.
    """
    final = _place(path, where)
    try:
        with open(draft := _draft(final), "xb"):
            pass
        draft.unlink()
        if not final.exists():  # its own name may be too long, or hold what the disk can't
            with open(final, "xb"):
                pass
            final.unlink()
    except OSError as error:
        raise _refused(path, where, error) from error


def _refused(path: str | os.PathLike[str], where: str, error: OSError) -> OSError:
    return type(error)(f"{where}: {str(path)!r} can't be written: {error.strerror or one_line(error)}")


def _place(path: str | os.PathLike[str], where: str) -> Path:
    """Return the file that a path leads to, if it is one that may be written."""
    final = Path(os.path.realpath(path))
    if not final.parent.is_dir():
        raise FileNotFoundError(f"{where}: the folder of path must exist, got {str(path)!r}; make it first")
    try:
        there = final.exists()
    except OSError as error:  # the name is too long
        raise _refused(path, where, error) from error
    if there:
        if not final.is_file():
            raise IsADirectoryError(f"{where}: path must be a file, got {str(path)!r}, a folder or device")
        if not os.access(final, os.W_OK):  # renaming would not ask
            raise PermissionError(f"{where}: {str(path)!r} is write-protected; unprotect it, or choose another name")
    return final


def _stem(final: Path) -> str:
    """Return what the names of a file's drafts begin with: its name, or a digest of a long one."""
    name = final.name
    long = len(os.fsencode(name)) > LONGEST
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16] if long else name


def _draft(final: Path) -> Path:
    return final.with_name(f".{_stem(final)}.{secrets.token_hex(4)}.part")


def _sync_folder(folder: Path) -> None:
    """Have the new name written down too: after a power cut the file may otherwise be the old one.

    Windows opens no folders, and some network file systems can't do this; the file is whole in any case.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_leftovers(final: Path) -> None:
    """Remove what killed writes of the same file left behind. A young file may be another process's."""
    for draft in final.parent.glob(f".{glob.escape(_stem(final))}.{8 * '[0-9a-f]'}.part"):
        with contextlib.suppress(OSError):
            if time.time() - draft.stat().st_mtime > LEFTOVER:
                draft.unlink()
