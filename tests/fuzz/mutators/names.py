"""Damage to folders: names as other systems leave them, links, empty files, and files where folders were."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from ..case import Case, Content, fits, split_name

JUNK = (
    "._a.txt", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/a.txt", "__MACOSX/neg/._a.wav",
    ".ipynb_checkpoints/a.txt", "README.txt",
)  # fmt: skip
STRANGE = (
    "\udcff", "a\nb", "x" * 200, " ", "é", "e\u0301", "\u202e", "'", '"', "a\x1b[31mb", "-", "CON", "nan", "1", "01",
    "train", "test", "unsup",
)  # fmt: skip


def rename(rng: Random, case: Case) -> Case:
    """Give a file or a class another name."""
    files: dict[str, Content] = dict(case.files)
    name = rng.choice(list(files))
    folder, last = split_name(name)
    suffix = last[last.rfind(".") :] if "." in last else ""
    match rng.randrange(4):
        case 0:
            new = folder + rng.choice(STRANGE) + suffix
        case 1:
            new = rng.choice(STRANGE) + "/" + last
        case 2:
            new = name.upper()
        case _:
            new = rng.choice(("a/" * 60, "../x/", "b/c/", "")) + last
    if not fits(new) or name == case.path:
        return case
    if folder and rng.random() < 0.3:  # the whole class
        other = (new.rpartition("/")[0] or "x") + "/"
        files = {
            other + split_name(each)[1] if each.startswith(folder) else each: content for each, content in files.items()
        }
    else:
        files[new] = files.pop(name)
    return replace(case, files=files) if all(map(fits, files)) else case


def litter(rng: Random, case: Case) -> Case:
    """Add what systems and people leave lying about, or take the content of a file away."""
    files: dict[str, Content] = dict(case.files)
    name = rng.choice(list(files))
    folder, last = split_name(name)
    match rng.randrange(6):
        case 0 | 1:
            files[folder + rng.choice(JUNK)] = rng.choice((b"", b"\0\5\x16\7", b"text"))
        case 2:
            files[name] = b""
        case 3:
            files[name] = None
        case 4:
            files[folder + "link" + last] = rng.choice((".", "..", "nowhere", last, "link" + last))
        case _:
            del files[name]
    return replace(case, files=files)
