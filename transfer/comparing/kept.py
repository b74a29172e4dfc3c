"""Runs that are kept: what each finished one has found, and the sources that they began with, in a folder.

``study.json``
    What the runs are of: `identity`.
``runs.jsonl``
    A line for each run, with its checksum; a line is added when its run has ended, and is on the disk before the next.
``sources/``
    A trained source for each seed and each way to train one.

A comparison that goes on takes what is there and makes the rest. Numbers come back as the bits that they were: a score
is written in hexadecimal, and what JSON can't tell apart, tuples from lists, is made one before a run is used at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnn_core import load, save
from rnn_core.foreign import shown
from rnn_core.models import Model

from .arms import Arm
from .identity import digest, identity
from .lines import KeptLines, Words, count_lines
from .runs import Run
from .study import Study

STUDY, RUNS, SOURCES = "study.json", "runs.jsonl", "sources"

ARM = "the arm is"
"""The fact of a line that tells what its arm means, as a digest."""


class KeptRuns:
    """The runs of one study that a folder holds, and those that are added.

    Parameters
    ----------
    folder : path
        It is made.
    study : Study
        What the runs are of.
    resume : bool or "auto"
        True goes on from the runs in the folder, of which there must be some, or at least a beginning; "auto" goes on
        where there are any. False refuses a folder that has some: nothing is lost by accident.

    Attributes
    ----------
    notes : list of str
        What was wrong with the folder, and is made again.

    Raises
    ------
    ValueError
        There are runs, and they should not go on; there are none, and they should; or they are another study's
        (`OtherRuns`), and the message says in what it differs.
    TypeError
        The study has an attribute that can't be known again.
    OSError
        The folder can't be read or written to.
    """

    def __init__(self, folder: str | os.PathLike[str], study: Study, *, resume: bool | str = False) -> None:
        words = Words("KeptRuns", "run", "study")
        self._kept = KeptLines(folder, identity(study), _key, words, (STUDY, RUNS), resume=resume)
        self.folder, self.notes = self._kept.folder, self._kept.notes

    def __len__(self) -> int:
        """How many runs there are, of whatever arms."""
        return len(self._kept.entries)

    def find(self, arm: Arm, size: int, seed: int) -> Run | None:
        """Return a run, if there is one of this arm: one that means what it meant, and not only has its name."""
        found = self._kept.entries.get((arm.name, size, seed))
        return _run(found) if found is not None and found[ARM] == digest(arm) else None

    def add(self, run: Run, arm: Arm) -> Run:
        """Keep a run, and return it as it will be found again.

        Raises
        ------
        TypeError
            Its record is nothing that JSON can hold.
        OSError
            It can't be written.
        """
        entry = {**run._asdict(), "score": float(run.score).hex(), ARM: digest(arm)}
        try:
            return _run(self._kept.add(entry))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"compare: Study.train must return what JSON can hold for its runs to be kept, got {shown(run.record)} "
                f"(arm {run.arm!r}); numbers, strings, lists and dictionaries are"
            ) from error

    @property
    def sources(self) -> Path:
        """The folder of trained sources, for `source_kept`."""
        return self.folder / SOURCES

    def remove(self) -> None:
        """Remove what was kept, and the folder if there is nothing else in it."""
        remove(self.folder)


def _key(entry: Mapping[str, Any]) -> tuple[str, int, int]:
    return entry["arm"], entry["size"], entry["seed"]


def _run(entry: Mapping[str, Any]) -> Run:
    """Return what a line says."""
    facts = {name: value for name, value in entry.items() if name != ARM}
    return Run(**{**facts, "score": float.fromhex(entry["score"])})


def holds_runs(folder: Path) -> bool:
    """Return whether a folder holds the runs of a comparison, or its beginning."""
    return any((folder / name).exists() for name in (STUDY, RUNS))


def count(folder: Path) -> int:
    """Return how many lines of runs a folder holds."""
    return count_lines(folder / RUNS)


def remove(folder: Path) -> None:
    """Remove the runs that a folder holds, and the folder if there is nothing else in it."""
    for name in (RUNS, STUDY):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / SOURCES, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class SourcesIn:
    """The trained sources that a folder holds, and those that are added.

    A model that `rnn_core.load` would not give back as it is, because its class isn't known to it or keeps more than
    its parameters, is not kept, and so trained whenever it is asked for; so is one whose file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, seed: int, source: Any) -> Model | None:
        """Return the source of a seed, by how it is trained, if there is one."""
        path = self._path(seed, source)
        if path.exists():
            try:
                model: Model = load(path)
                return model
            except (ValueError, OSError, RuntimeError):
                path.unlink(missing_ok=True)
        return None

    def add(self, seed: int, source: Any, model: Model) -> None:
        """Keep a source."""
        path = self._path(seed, source)
        self.folder.mkdir(exist_ok=True)
        try:
            save(model, path)
            if not _same(load(path), model):
                path.unlink()
        except (ValueError, TypeError, RuntimeError):
            path.unlink(missing_ok=True)

    def _path(self, seed: int, source: Any) -> Path:
        return self.folder / f"{seed}-{digest(source)}.safetensors"


def source_kept(folder: Path | None, seed: int, source: Any, pretrain: Callable[[], Model]) -> Model:
    """Return a trained source: the one that is kept, or one that is trained now and kept, as `SourcesIn` does.

    Parameters
    ----------
    folder : Path or None
        Without it nothing is kept.
    seed : int
    source : str or Pretraining
        How it is trained.
    pretrain : callable
        Trains it.
    """
    if folder is None:
        return pretrain()
    kept = SourcesIn(folder)
    model = kept.find(seed, source)
    if model is None:
        model = pretrain()
        kept.add(seed, source, model)
    return model


def _same(found: Model, model: Model) -> bool:
    """Return whether a model that was loaded can stand for the one that was saved."""
    return type(found) is type(model) and vars(found).keys() == vars(model).keys() and found.frozen == model.frozen
