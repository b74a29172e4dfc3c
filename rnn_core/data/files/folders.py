"""Files in folders: of some kinds, a class for each subfolder, and without what systems put there for themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...foreign import shown
from .labels import is_missing
from .lines import Unread, named, remark

JUNK = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin")
"""What systems put into folders and archives for themselves, beside names that begin with a full stop."""

HALVES = ("train", "test")
"""Subfolders that are no classes but halves of the examples, each with the classes in it."""


def is_junk(name: str) -> bool:
    """Return whether a file or folder is a system's own: ``._a.txt``, ``.DS_Store``, ``Thumbs.db``, ``__MACOSX``."""
    return name.startswith(".") or name.lower() in JUNK or name == "Icon\r"


def files_in(where: str, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of some kinds in a folder and below it, by name; remark how many were left out.

    Raises
    ------
    ValueError
        There is none.
    OSError
        A folder can't be read.
    """
    files, junk = _walk(where, folder, suffixes)
    _tell(where, folder, junk)
    if not files:
        raise ValueError(f"{where}: {named(folder)} must hold files {', '.join(suffixes)}, got none")
    return files


def class_folders(
    where: str, folder: Path, suffixes: tuple[str, ...], part: str = "train"
) -> list[tuple[str, list[Path]]]:
    """Return the classes of a folder, its subfolders by name, each with its files of some kinds.

    Remarks how many files were left out, and that of a folder with the subfolders ``train`` and ``test``, each with
    the classes in it, one was read: `part`.

    Raises
    ------
    ValueError
        There is no subfolder with such a file; or the name of one is no text.
    OSError
        A folder can't be read.
    """
    if has_halves(folder, suffixes):
        remark(where, f"{named(folder)} has its classes in train and in test: {part} is read")
        folder = folder / part
    found: list[tuple[str, list[Path]]] = []
    unread: list[str] = []
    left_out = [child.name for child in folder.iterdir() if is_junk(child.name)]
    for child in _subfolders(folder):
        files, junk = _walk(where, child, suffixes)
        left_out += junk
        if files:
            found.append((_class_name(where, child), files))
        elif any(not is_junk(name) for _, _, names in os.walk(child) for name in names):
            unread.append(child.name)
    _tell(where, folder, left_out)
    _check_splits(where, folder, [name for name, _ in found], suffixes)
    if found and unread:
        some = ", ".join(shown(name, 40) for name in sorted(unread)[:3]) + "…" * (len(unread) > 3)
        kinds = ", ".join(suffixes)
        remark(where, f"{len(unread):,} subfolders of {named(folder)} left out, without files {kinds}: {some}")
    if not found:
        raise ValueError(
            f"{where}: {named(folder)} must have a subfolder for each class, with files {', '.join(suffixes)} in it, "
            "got none"
        )
    return found


def check_class_names(where: str, folder: Path, names: Iterable[str], keep_missing_labels: bool) -> None:
    """Raise `Unread` for a subfolder whose name is no class: a blank, or what pandas writes where there is no label."""
    for name in names:
        if not name.strip():
            raise ValueError(f"{where}: {named(folder)} must have subfolders named as classes, got {name!r}; rename it")
        if is_missing(name, keep_missing_labels):
            raise Unread(
                f"{where}: {named(folder)} must have subfolders named as classes, got {name!r}, as pandas writes a "
                "missing label",
                "rename it or, if it is a class, say so: {keep_missing_labels}",
            )


def has_halves(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Return whether a folder's subfolders with such files are ``train`` and ``test``, with subfolders of their own."""
    if not all((folder / half).is_dir() for half in HALVES):
        return False
    if any(_holds(child, suffixes) for child in _subfolders(folder) if child.name not in HALVES):
        return False
    return all(any(_holds(child, suffixes) for child in _subfolders(folder / half)) for half in HALVES)


SPLITS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev"))
"""What people call the parts of a data set."""


def _check_splits(where: str, folder: Path, names: list[str], suffixes: tuple[str, ...]) -> None:
    """Raise if what would be classes are the parts of a data set, with the classes within."""
    if names and all(name.casefold() in SPLITS and has_classes(folder / name, suffixes) for name in names):
        raise ValueError(
            f"{where}: {named(folder)} must have a subfolder for each class, got {', '.join(names)}, parts of a data "
            "set with the classes in them; name one part, and the one to test on apart"
        )


def has_classes(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Return whether a folder has a subfolder with such files."""
    return any(_holds(child, suffixes) for child in _subfolders(folder))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_junk(entry.name))


def _holds(folder: Path, suffixes: tuple[str, ...]) -> bool:
    return any(
        Path(name).suffix.lower() in suffixes and not is_junk(name)
        for _, _, names in os.walk(folder)
        for name in names
    )  # fmt: skip


def _walk(where: str, folder: Path, suffixes: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    """Return the files of some kinds below a folder, and the names of what was left out."""
    files: list[Path] = []
    junk: list[str] = []

    def refuse(error: OSError) -> None:
        place = named(error.filename or folder)
        raise type(error)(f"{where}: {place} can't be read: {error.strerror or error}") from error

    for root, folders, names in os.walk(folder, onerror=refuse):
        junk += [name for name in (*folders, *names) if is_junk(name)]
        folders[:] = [name for name in folders if not is_junk(name)]
        files += [Path(root, name) for name in names if not is_junk(name)]
    return sorted(file for file in files if file.suffix.lower() in suffixes and file.is_file()), junk


def _tell(where: str, folder: Path, junk: list[str]) -> None:
    if junk:
        some = ", ".join(sorted(set(map(named, junk)))[:3])
        count = "one name" if len(junk) == 1 else f"{len(junk):,} names"
        remark(where, f"{count} of a system's own left out of {named(folder)}: {some}{'…' * (len(set(junk)) > 3)}")


def _class_name(where: str, folder: Path) -> str:
    """Return a folder's name, if it can be written where results are."""
    try:
        folder.name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"{where}: the folder {named(folder)} must have a name in UTF-8, as it is that of a class; rename it"
        ) from None
    return folder.name
