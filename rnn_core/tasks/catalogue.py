"""Every task by its name, and which of them a saved model is for."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

from ..foreign import shown
from ..models import Model
from .classify import Classify
from .forecast import Forecasting
from .language import Language
from .tag import Tag
from .task import Task
from .writing.reply import Reply
from .writing.translate import Translate


@cache
def tasks() -> dict[str, Task[Any, Any, Any]]:
    """Return every task by its name."""
    found: tuple[Task[Any, Any, Any], ...] = (Classify(), Language(), Tag(), Translate(), Reply(), Forecasting())
    return {task.name: task for task in found}


def task_named(name: str) -> Task[Any, Any, Any]:
    """Return a task by its name.

    Raises
    ------
    ValueError
        There is none; the message says which was meant, perhaps, and which there are.
    """
    known = tasks()
    if name not in known:
        near = get_close_matches(name.lower(), known, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"TASK must be one of {', '.join(known)}, got {shown(name, 40)}; {meant}`rnn-core train --help` tells more"
        )
    return known[name]


def task_of(model: Model, where: str) -> Task[Any, Any, Any]:
    """Return the task that a model is for: the one its file names, or the first for models of its class.

    Raises
    ------
    ValueError
        There is none.
    """
    known = tasks()
    if model.task is not None:
        if model.task in known:
            return known[model.task]
        raise ValueError(f"{where} must be a model of a known task, {', '.join(known)}, got {shown(model.task, 40)}")
    kinds = {kind.__name__ for kind in type(model).__mro__}
    for task in known.values():
        if kinds & set(task.models):
            return task
    every = ", ".join(sorted({name for task in known.values() for name in task.models}))
    raise ValueError(f"{where} must be a model that a command can use, {every}, got a {type(model).__name__}")
