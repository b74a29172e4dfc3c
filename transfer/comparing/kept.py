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

import json
import os
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core import load, save
from rnn_core.atomic import write_atomically
from rnn_core.foreign import parse_json, shown
from rnn_core.models import Model
from rnn_core.training.checkpoint.fingerprint import differences

from .arms import Arm
from .identity import digest, identity
from .runs import Run
from .study import Study

STUDY, RUNS, SOURCES = "study.json", "runs.jsonl", "sources"
SAID = 3
"""Differences that an error lists."""


class OtherRuns(ValueError):
    """The runs in a folder are another study's.

    Attributes
    ----------
    why : str
        In what they differ.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


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
        if not isinstance(resume, bool) and resume != "auto":
            raise ValueError(f"KeptRuns: resume must be True, False or 'auto', got {resume!r}")
        self.folder, self.notes = Path(folder), list[str]()
        self._runs: dict[tuple[str, int, int], tuple[str, Run]] = {}
        facts = json.loads(json.dumps(identity(study)))
        there = holds_runs(self.folder)
        if there and not resume:
            raise ValueError(
                f"KeptRuns: folder must hold no runs, got {str(folder)!r} with {_counted(count(self.folder))}; "
                "resume=True goes on from them, or remove it"
            )
        if resume is True and not there:
            raise ValueError(
                f"KeptRuns: folder must hold runs to go on from, got {str(folder)!r} without; resume='auto' begins "
                "afresh"
            )
        if there:
            self._check(facts)
            self._read()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / STUDY, json.dumps(facts, indent=1).encode(), where="KeptRuns")
        lines = (_line(run, arm_is) for arm_is, run in self._runs.values())
        write_atomically(self.folder / RUNS, b"".join(lines), where="KeptRuns")  # without what was damaged

    def __len__(self) -> int:
        """How many runs there are, of whatever arms."""
        return len(self._runs)

    def find(self, arm: Arm, size: int, seed: int) -> Run | None:
        """Return a run, if there is one of this arm: one that means what it meant, and not only has its name."""
        arm_is, run = self._runs.get((arm.name, size, seed), ("", None))
        return run if arm_is == digest(arm) else None

    def add(self, run: Run, arm: Arm) -> Run:
        """Keep a run, and return it as it will be found again.

        Raises
        ------
        TypeError
            Its record is nothing that JSON can hold.
        OSError
            It can't be written.
        """
        arm_is = digest(arm)
        line = _line(run, arm_is)
        with open(self.folder / RUNS, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        arm_is, found = _parsed(line)
        self._runs[run.arm, run.size, run.seed] = arm_is, found
        return found

    @property
    def sources(self) -> Path:
        """The folder of trained sources, for `source_kept`."""
        return self.folder / SOURCES

    def remove(self) -> None:
        """Remove what was kept, and the folder if there is nothing else in it."""
        remove(self.folder)

    def _check(self, facts: dict[str, Any]) -> None:
        """Raise ValueError if the runs in the folder are another study's."""
        try:
            stored = parse_json("KeptRuns", STUDY, (self.folder / STUDY).read_bytes())
            if not isinstance(stored, dict):
                raise ValueError(f"KeptRuns: {STUDY} must hold facts, got {shown(stored)}")
        except (ValueError, FileNotFoundError) as error:
            why = f"{STUDY} there does not say what its runs are of"
            raise OtherRuns(
                f"KeptRuns: {str(self.folder)!r} must say which study its runs are of, and doesn't; remove it to begin "
                "afresh",
                why,
            ) from error
        if changes := differences(stored, facts):
            few = "; ".join(changes[:SAID]) + (f" and {len(changes) - SAID} more" if len(changes) > SAID else "")
            raise OtherRuns(
                f"KeptRuns: the runs in {str(self.folder)!r} must be this study's to go on from, but {few}; undo the "
                "change, or remove the folder to begin afresh",
                few,
            )

    def _read(self) -> None:
        """Take the lines that are whole; of two that are the same run's the later."""
        path = self.folder / RUNS
        damaged = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            try:
                arm_is, run = _parsed(line)
            except (ValueError, KeyError, TypeError):
                damaged += 1
                continue
            self._runs[run.arm, run.size, run.seed] = arm_is, run
        if damaged:
            found, again = ("line", "its run is") if damaged == 1 else ("lines", "their runs are")
            self.notes.append(f"{damaged} damaged {found} in {path}: {again} made again")


def holds_runs(folder: Path) -> bool:
    """Return whether a folder holds the runs of a comparison, or its beginning."""
    return any((folder / name).exists() for name in (STUDY, RUNS))


def count(folder: Path) -> int:
    """Return how many lines of runs a folder holds."""
    path = folder / RUNS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def remove(folder: Path) -> None:
    """Remove the runs that a folder holds, and the folder if there is nothing else in it."""
    for name in (RUNS, STUDY):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / SOURCES, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def source_kept(folder: Path | None, seed: int, source: Any, pretrain: Callable[[], Model]) -> Model:
    """Return a trained source: the one that is kept, or one that is trained now and kept.

    A model that `rnn_core.load` would not give back as it is, because its class isn't known to it or keeps more than
    its parameters, is trained whenever it is asked for; so is one whose file is damaged.

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
    path = folder / f"{seed}-{digest(source)}.safetensors"
    if path.exists():
        try:
            model: Model = load(path)
            return model
        except (ValueError, OSError, RuntimeError):
            path.unlink(missing_ok=True)
    model = pretrain()
    folder.mkdir(exist_ok=True)
    try:
        save(model, path)
        if not _same(load(path), model):
            path.unlink()
    except (ValueError, TypeError, RuntimeError):
        path.unlink(missing_ok=True)
    return model


def _same(found: Model, model: Model) -> bool:
    """Return whether a model that was loaded can stand for the one that was saved."""
    return type(found) is type(model) and vars(found).keys() == vars(model).keys() and found.frozen == model.frozen


def _line(run: Run, arm_is: str) -> bytes:
    """Return a run as a line of the file."""
    try:
        record = json.loads(json.dumps(run.record, default=_plain))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"compare: Study.train must return what JSON can hold for its runs to be kept, got {shown(run.record)} "
            f"(arm {run.arm!r}); numbers, strings, lists and dictionaries are"
        ) from error
    facts = {**run._asdict(), "record": record, "score": float(run.score).hex(), "the arm is": arm_is}
    text = json.dumps(facts)
    return json.dumps({"run": facts, "checksum": _checksum(text)}).encode() + b"\n"


def _parsed(line: bytes) -> tuple[str, Run]:
    """Return a line's arm, as a digest, and its run; ValueError, KeyError or TypeError if it isn't whole."""
    if not line.endswith(b"\n"):
        raise ValueError("a line that has no end")
    found = parse_json("KeptRuns", RUNS, line)
    facts = found["run"]
    if found["checksum"] != _checksum(json.dumps(facts)):
        raise ValueError("another checksum")
    arm_is: str = facts.pop("the arm is")
    return arm_is, Run(**{**facts, "score": float.fromhex(facts["score"])})


def _checksum(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    """Return an array or a number of NumPy's as JSON has it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def _counted(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"
