"""The trials behind a choice: made here or on workers, and kept, so that a choice that was cut off goes on."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import numpy as np

from rnn_core import save
from rnn_core.weights.file import read_arrays, read_metadata

from ..comparing.identity import digest, file_digest, surroundings
from ..comparing.lines import KeptLines, Words
from ..spreading.spread import Workers, is_spread, spreading
from ..spreading.tasks import Task, one_thread

CHOICE, TRIALS, ARRAYS = "choice.json", "trials.jsonl", "best.safetensors"

Trial = tuple[Any, ...]
"""What tells trials apart: numbers, such as a size and a fold."""


class KeptTrials:
    """The trials of one choice that a folder holds, and those that are added.

    Parameters
    ----------
    where : str
        The function that errors name.
    folder : path
    of : mapping
        What the choice is made on, by name: data, functions, options. Whatever `digest` can tell apart.
    resume : bool or "auto"
        As for `KeptLines`, whose errors and notes are those of this.
    """

    def __init__(
        self, where: str, folder: str | os.PathLike[str], of: Mapping[str, Any], *, resume: bool | str
    ) -> None:
        facts: dict[str, Any] = {}
        for name, value in of.items():
            try:
                facts[name] = value if value is None or isinstance(value, int | float | str) else digest(value)
                if code := file_digest(value):
                    facts[f"the file of {name}"] = code
            except (TypeError, RecursionError) as error:
                raise TypeError(
                    f"{where}: {name} must be made of plain data, arrays, models and functions for trials to be kept, "
                    f"got {error}; leave keep out"
                ) from error
        words = Words(where, "trial", "choice")
        self._kept = KeptLines(
            folder, facts | surroundings(), lambda entry: tuple(entry["trial"]), words, (CHOICE, TRIALS), resume=resume
        )
        self.folder, self.notes = self._kept.folder, self._kept.notes

    def find(self, trial: Trial) -> list[float] | None:
        """Return the numbers that came of a trial, to the bit, if it is there."""
        entry = self._kept.entries.get(tuple(_exact(trial)))
        return None if entry is None else [float.fromhex(number) for number in entry["numbers"]]

    def add(self, trial: Trial, numbers: Sequence[float]) -> None:
        """Keep what came of a trial."""
        self._kept.add({"trial": _exact(trial), "numbers": [float(number).hex() for number in numbers]})

    def keep_arrays(self, trial: Trial, arrays: Mapping[str, Any]) -> None:
        """Keep what a trial has trained, in place of what another had: that of the best one is wanted."""
        save(arrays, self.folder / ARRAYS, metadata={"trial": json.dumps(_exact(trial))})

    def arrays(self, trial: Trial) -> dict[str, np.ndarray]:
        """Return what a trial has trained; nothing, if that of another was kept, or the file is damaged."""
        path = self.folder / ARRAYS
        try:
            if read_metadata(path).get("trial") != json.dumps(_exact(trial)):
                return {}
            return read_arrays(path)
        except (OSError, ValueError):
            return {}


def _exact(trial: Trial) -> list[Any]:
    """Return a trial in types that JSON gives back as they are: a float by its bits."""
    return [value if isinstance(value, int) else float(value).hex() for value in trial]


def kept_trials(
    where: str, keep: str | os.PathLike[str] | None, of: Mapping[str, Any], resume: bool | str
) -> KeptTrials | None:
    """Return the trials that are kept, if any are to be.

    Raises
    ------
    ValueError
        As for `KeptTrials`; or there is nothing to resume from.
    """
    if keep is None:
        if resume is not False:
            raise ValueError(f"{where}: resume must be left out without keep, got {resume!r}")
        return None
    kept = KeptTrials(where, keep, of, resume=resume)
    for note in kept.notes:
        warnings.warn(f"{where}: {note}", RuntimeWarning, stacklevel=3)
    return kept


@contextmanager
def trials_made(
    where: str,
    workers: Workers,
    shared: Any,
    made: Callable[..., Any],
    trials: Sequence[Trial],
    named: Callable[[Trial], str],
) -> Iterator[Iterator[tuple[Trial, Any]]]:
    """Yield trials and what came of each, as they come: made here one after the other, or on workers.

    BLAS has one thread wherever they are made, if threadpoolctl is there to say so: the bits are the same then.

    Parameters
    ----------
    where : str
    workers : int, str or None
    shared : object
        What every trial is made with.
    made : callable
        ``made(shared, *trial)``, a function of a module.
    trials : sequence
    named : callable
        What an error calls a trial.
    """

    def here() -> Iterator[tuple[Trial, Any]]:
        for trial in trials:
            try:
                with one_thread() if find_spec("threadpoolctl") else nullcontext():
                    value = made(shared, *trial)
            except Exception as error:
                error.add_note(f"{where}: in {named(trial)}")
                raise
            yield trial, value

    if not (trials and is_spread(workers)):
        yield here()
        return
    with spreading(where, workers, shared, len(trials), facts=surroundings) as spread:
        tasks = [Task(made, trial, named(trial)) for trial in trials]
        yield ((trials[place], value) for place, value in spread.results(tasks))
