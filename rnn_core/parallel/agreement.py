"""What ranks agree on; and errors, which all of them raise, or which end the job."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ..foreign import one_line, shown

PATIENCE = 2.0
"""Seconds for which a rank that fails waits for the others to fail as well, before it ends them."""

_KNOWN = (
    ValueError, TypeError, RuntimeError, OSError, FileNotFoundError, FileExistsError, PermissionError,
    NotADirectoryError, IsADirectoryError,
)  # fmt: skip
KINDS = {kind.__name__: kind for kind in _KNOWN}
"""Errors that the other ranks raise as they are; of another kind they raise RuntimeError."""


def described(error: BaseException) -> tuple[str, str]:
    """Return an error as it can be sent: its kind and what it says."""
    return type(error).__name__, str(error) or type(error).__name__


def raised(found: tuple[str, str], where: str) -> Exception:
    """Return the error of another rank, as one of this one; `where` says which rank it was."""
    kind, said = found
    return KINDS.get(kind, RuntimeError)(f"{said}{where}" if kind in KINDS else f"{kind}: {said}{where}")


def check_same(facts: list[Mapping[str, Any]], names: list[str]) -> None:
    """Raise ValueError where a rank's facts are not the first one's.

    Parameters
    ----------
    facts : list of mapping
        Of each rank.
    names : list of str
        What ranks are called.
    """
    first, missing = facts[0], "nothing"
    for rank, others in enumerate(facts):
        wrong = [key for key in {**first, **others} if first.get(key, missing) != others.get(key, missing)]
        if wrong:
            changes = [
                f"{one_line(key, 60)} is {shown(others.get(key, missing))} there and {shown(first.get(key, missing))} "
                f"on {names[0]}"
                for key in wrong[:3]
            ]
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise ValueError(
                f"fit: all ranks must train the same run, but {names[rank]} differs: {'; '.join(changes)}{more}"
            )


def say(line: str) -> None:
    """Write a line to standard error at once, in one piece, so that lines of several ranks don't mix."""
    sys.stdout.flush()
    os.write(2, f"{one_line(line, 1000)}\n".encode(errors="backslashreplace"))


def come_together(comm: Any, patience: float = PATIENCE) -> bool:
    """Return whether all ranks came here within some seconds."""
    request, until = comm.Ibarrier(), time.monotonic() + patience
    while not request.Test():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True
