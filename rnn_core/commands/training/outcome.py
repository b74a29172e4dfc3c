"""What a run of ``rnn-core train`` has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...showing.surroundings import machine, versions
from ...tasks.task import Exhibit
from ...training import History
from ...written import plain


@dataclass
class Outcome:
    """Everything that the command has found.

    Attributes
    ----------
    task : str
    command : str
        The words that made it.
    files : dict of str to str
        By role ("data", "validation", "test") the path as the user gave it.
    sides : dict of str to dict
        The facts of each.
    network : dict
        The model's class, under "class", and its arguments.
    parameters : int
        Numbers that train.
    settings : dict
        How it was trained.
    history : History
    scores : dict of str to dict
        By side, each score by name, the one that counts first.
    notes : list of str
        What the reader must know.
    exhibits : list of Exhibit
    judged : str
        The side that the exhibits are of; empty where there is none.
    seconds : dict of str to float
        By part of the run.
    """

    task: str
    command: str
    files: dict[str, str]
    sides: dict[str, dict[str, Any]]
    network: dict[str, Any]
    parameters: int
    settings: dict[str, Any]
    history: History
    scores: dict[str, dict[str, float]]
    notes: list[str]
    exhibits: list[Exhibit]
    judged: str
    seconds: dict[str, float]

    @property
    def main(self) -> tuple[str, float] | None:
        """The score that counts, by its name: on the test, or else on validation data; None where there is neither."""
        if not self.judged:
            return None
        return next(iter(self.scores[self.judged].items()))

    def as_dict(self) -> dict[str, Any]:
        """Return all of it but the exhibits, in types that JSON has."""
        found: Mapping[str, Any] = {
            "task": self.task, "command": self.command, "files": self.files, "data": self.sides,
            "network": self.network, "parameters": self.parameters, "training": self.settings,
            "scores": self.scores, "history": self.history.as_dict(),
            "best epoch": None if self.history.best is None else self.history.best.epoch,
            "notes": self.notes, "seconds": self.seconds, "machine": machine(), "versions": versions(),
        }  # fmt: skip
        return plain(found)
