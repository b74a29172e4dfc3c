"""The folder that a run writes: what may be there before, what must be there to resume, and what is written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...atomic import write_atomically
from ...data.files.lines import named
from ...foreign import one_line, parse_json, shown
from ...layers.base import Layer
from ...layers.defined import cells_of
from ...tasks.options import changed
from ...training.checkpoint import BEST, LAST
from ...weights.cells import described
from ...written import json_bytes

RESULTS = ("report.html", "results.json", "model.safetensors")
"""Files that tell that a folder holds a run's results."""

CHECKPOINT = "checkpoint"
"""The folder in it of what a run can be resumed from."""

RUN = "run.json"
"""The file there that tells which run it is."""

VERSION = 1

FREE = ("epochs", "patience", "checkpoint_every", "out", "overwrite", "resume", "log", "task")
"""Options that may differ where a run is resumed: they decide when it stops, not what a step does."""


class Folder:
    """Where a run writes.

    Parameters
    ----------
    place : Path
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.checkpoint = place / CHECKPOINT

    def check(self, args: argparse.Namespace) -> None:
        """Raise ValueError, before anything is read, where the options don't go with what is there."""
        here = named(self.place)
        if self.place.exists() and not self.place.is_dir():
            raise ValueError(f"--out must be a folder, got the file {here}")
        unfinished = (self.checkpoint / LAST).exists()
        if args.resume:
            if not unfinished:
                raise ValueError(
                    f"--resume must find a run that was interrupted, got none in {here}; leave it out to begin one"
                )
            return
        if args.overwrite:
            return
        if found := [name for name in RESULTS if (self.place / name).exists()]:
            more = "; --resume trains on" if unfinished else ""
            raise ValueError(
                f"--out must be a folder without results, got {here} with {', '.join(found)}; name another, or "
                f"--overwrite{more}"
            )
        if unfinished:
            raise ValueError(
                f"--out must be a folder without an unfinished run, got one in {here}; --resume goes on with it, "
                "--overwrite begins afresh"
            )

    def begin(self, args: argparse.Namespace, run: Mapping[str, Any]) -> None:
        """Write down which run this is, or see that it is the one that is resumed.

        Raises
        ------
        ValueError
            It is another; the message says what differs.
        """
        if args.resume:
            self._check_same(run)
            return
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        for name in (LAST, BEST, RUN):
            (self.checkpoint / name).unlink(missing_ok=True)
        write_atomically(self.checkpoint / RUN, json_bytes({"version": VERSION, **run}), where="--out")

    def write(self, files: Mapping[str, bytes], save: Any) -> None:
        """Write results and network: all of them, or if there is no room for one, none.

        Parameters
        ----------
        files : mapping of str to bytes
        save : callable
            Writes the network to a path.
        """
        with TemporaryDirectory(prefix=".", dir=self.place) as drafts:
            for name, data in files.items():
                write_atomically(Path(drafts, name), data, where="--out")
            save(Path(drafts, "model.safetensors"))
            for draft in Path(drafts).iterdir():
                draft.replace(self.place / draft.name)

    def _check_same(self, run: Mapping[str, Any]) -> None:
        path = self.checkpoint / RUN
        try:
            stored = parse_json("--resume", named(path), path.read_bytes(), unique=True)
        except OSError as error:
            raise ValueError(
                f"--resume must find {RUN} beside the checkpoint, got {named(path)}: {error.strerror}; begin afresh "
                "with --overwrite"
            ) from error
        now = json.loads(json_bytes({"version": VERSION, **run}))
        if not isinstance(stored, dict):
            raise ValueError(f"--resume must find a run in {named(path)}, got {shown(stored)}")
        changes = _changes(stored, now)
        if changes:
            more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise ValueError(
                f"--resume must be given what the run in {named(self.place)} was, but {'; '.join(changes[:3])}{more}; "
                "undo the change, or begin afresh with --overwrite"
            )


def run_facts(args: argparse.Namespace, digests: Mapping[str, str], model: Layer) -> dict[str, Any]:
    """Return what must be the same for a resumed run to be the same run: options, and what was read.

    Parameters
    ----------
    args : Namespace
    digests : mapping of str to str
        Of the batches, by role.
    model : Model
        Of which the cells that are not built in are facts, too: the file that defines one may change.
    """
    options = {name: value for name, value in vars(args).items() if name not in FREE and value not in (None, False)}
    facts = {"task": args.task, "options": options, "examples": dict(digests)}
    made = described(model)
    cells = {
        kind.__name__: {"definition": kind.definition.digest, "options": made[kind.__name__]["options"]}
        for kind in cells_of(model)
    }
    return facts | ({"cells": cells} if cells else {})


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing in which two runs differ."""
    found = []
    for part in sorted({*was, *now}):
        old, new = was.get(part), now.get(part)
        if old == new:
            continue
        if part == "examples":
            found.append("the examples are others, or read in another way")
        elif part == "cells":
            found.append("the cell is another than it was, or has other defaults")
        elif part == "options" and isinstance(old, dict) and isinstance(new, dict):
            found = [*changed(old, new)[::-1], *found]
        else:
            found.append(f"{one_line(part, 40)} was {shown(old, 40)} and is {shown(new, 40)}")
    return found
