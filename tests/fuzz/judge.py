"""What counts as an answer: a sane result, or an error that a person can use."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnn_core.foreign import shown

from .case import Case
from .limits import TooSlow, limited
from .readers import READERS

LONGEST = 400
"""Characters of a message, which stay below it."""

ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Outcome:
    """What became of an input.

    Attributes
    ----------
    answer : str
        "accepted", or the error's type.
    finding : str
        What is wrong with it; "" where nothing is.
    message : str
        The error's, or the complaint about a result.
    place : str
        Where in our code an error was raised; so that equal findings can be counted.
    """

    answer: str
    finding: str = ""
    message: str = ""
    place: str = ""
    seconds: float = 0.0
    memory: int = 0
    warned: int = 0
    longest: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has."""
        return asdict(self)


def run(name: str, case: Case, folder: Path, seconds: float, memory: int) -> Outcome:
    """Write an input into a folder that isn't there yet, hand it to a reader, and judge the answer."""
    reader = READERS[name]
    path = case.write(folder)
    complaint, error = None, None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            with limited(seconds, memory) as spent:
                complaint = reader.check(reader.read(path, case.options))
        except (Exception, TooSlow) as caught:  # noqa: BLE001  # what kind it is, is the question
            error = caught
    if error is None:
        outcome = Outcome("accepted", "insane result" if complaint else "", complaint or "")
    else:
        outcome = _of_error(error, case, folder, reader.names_file)
    outcome.seconds, outcome.memory, outcome.warned = spent.seconds, spent.memory, len(heard)
    messages = [str(warning.message) for warning in heard]
    outcome.longest = max(map(len, [*messages, outcome.message if error is not None else ""]))
    for warning, message in zip(heard, messages, strict=True):
        if outcome.finding:
            break
        flaw = _flaw(message)
        if not issubclass(warning.category, UserWarning):
            flaw = f"a warning of the kind {warning.category.__name__}"
        if flaw:
            outcome.finding, outcome.message = f"warning: {flaw}", message
            outcome.place = f"{warning.filename.removeprefix(ROOT + '/')}:{warning.lineno}"
    if spent.seconds > seconds and not outcome.finding:
        outcome.finding = "slow"
    if spent.memory > memory and not outcome.finding:
        outcome.finding = "memory"
    return outcome


def _of_error(error: BaseException, case: Case, folder: Path, names_file: bool) -> Outcome:
    outcome = Outcome(type(error).__name__, message=str(error), place=_place(error))
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    if isinstance(error, TooSlow):
        outcome.finding = "slow"
    elif any(isinstance(link, MemoryError) for link in chain):
        outcome.finding = "memory"
    elif not isinstance(error, ValueError | TypeError | OSError):
        outcome.finding = "another kind of error"
    else:
        outcome.finding = _flaw(outcome.message)
        if not outcome.finding and names_file and not _is_named(outcome.message, case, folder):
            outcome.finding = "the file isn't named"
    return outcome


def _flaw(message: str) -> str:
    """Return what is wrong with a message, or ""."""
    if not message.strip():
        return "an empty message"
    if len(message.splitlines()) > 1:
        return "a message of several lines"
    if len(message) >= LONGEST:
        return "a long message"
    if not message.isprintable():
        return "a message with characters that can't be shown"
    return ""


def _is_named(message: str, case: Case, folder: Path) -> bool:
    """Return whether a message has the name of a file, or its end, or that of the folder."""
    names = [folder.parent.name, *(name.rpartition("/")[2] for name in case.files)]
    return any(name in message or shown(name[-40:])[1:-1] in message for name in names if name)


def _place(error: BaseException) -> str:
    """Return the last line of ours that an error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(ROOT)]
    ours = [frame for frame in frames if "/tests/fuzz/" not in frame.filename] or frames
    return f"{ours[-1].filename.removeprefix(ROOT + '/')}:{ours[-1].lineno}" if ours else ""
