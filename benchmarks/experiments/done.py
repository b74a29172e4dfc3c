"""Experiments that are done, in a folder: a run of several that was cut off goes on with the next."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from transfer.comparing.identity import surroundings
from transfer.comparing.lines import KeptLines, Words

from .frame import Claim, Outcome


class Done:
    """The outcomes that a folder holds, and those that are added; runs of the one that is under way stand beside them.

    Parameters
    ----------
    folder : Path
    quick : bool

    Raises
    ------
    ValueError
        What is there was done by other code, on another machine or in another way.
    OSError
        The folder can't be read or written to.
    """

    def __init__(self, folder: Path, quick: bool) -> None:
        facts = {"quick": quick, "the experiments' code": _code(), **surroundings()}
        names = "experiments.json", "experiments.jsonl"
        words = Words("--keep", "experiment", "version and machine")
        self._kept = KeptLines(folder, facts, lambda entry: entry["name"], words, names, resume="auto")
        self.folder = self._kept.folder

    def find(self, name: str) -> tuple[Outcome, float] | None:
        """Return an experiment's outcome and its seconds, if it is there."""
        entry = self._kept.entries.get(name)
        if entry is None:
            return None
        facts: dict[str, Any] = dict(entry["outcome"])
        claims = tuple(Claim(**claim) for claim in facts.pop("claims"))
        return Outcome(**facts, claims=claims), entry["seconds"]

    def add(self, name: str, outcome: Outcome, seconds: float) -> None:
        """Keep an outcome; the runs that it was made of are done with."""
        self._kept.add({"name": name, "outcome": asdict(outcome), "seconds": seconds})
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def remove(self) -> None:
        """Remove all that was kept, and the folder if there is nothing else in it."""
        for name in ("experiments.json", "experiments.jsonl"):
            (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def _code() -> str:
    """Return a digest of the experiments' own files."""
    found = blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()
