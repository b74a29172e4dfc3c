"""The tasks that ``rnn-core transfer TASK`` knows beside that of telling classes, which has more methods."""

from __future__ import annotations

from argparse import Namespace
from functools import cache
from typing import Any, ClassVar

from rnn_core.tasks.catalogue import tasks
from rnn_core.tasks.classify import Classify
from rnn_core.tasks.task import Add, Task

CLASSES = "classify"
"""The task that is meant where none is named."""


class Regression(Classify):
    """Texts, series and sounds, and a number for each."""

    name = "regression"
    help = "texts, series and sounds: a number for each, as `rnn-core train classify --regression`"
    implied: ClassVar[tuple[str, ...]] = ("--regression",)
    left_out: ClassVar[tuple[str, ...]] = ("--balanced",)


@cache
def known_tasks() -> dict[str, Task[Any, Any, Any]]:
    """Return every task by its name."""
    found = {name: task for name, task in tasks().items() if name != CLASSES}
    return found | {Regression.name: Regression()}


def task_of_name(name: str) -> Task[Any, Any, Any]:
    """Return a task by its name; a plain KeyError for a name that no command could give."""
    return tasks()[CLASSES] if name == CLASSES else known_tasks()[name]


def without_implied(task: Task[Any, Any, Any], add: Add) -> Add:
    """Return an `add_argument` that leaves out what a task's name says already, or excludes."""
    left_out = (*getattr(task, "implied", ()), *getattr(task, "left_out", ()))

    def chosen(name: str, **options: Any) -> Any:
        return None if name in left_out else add(name, **options)

    return chosen


def own_options(task: Task[Any, Any, Any], args: Namespace) -> Namespace:
    """Return a task's own options of all that a command was told: what makes its examples and its network."""
    names = set(task.network)

    def noted(name: str, **options: Any) -> None:
        names.add(name.removeprefix("--").replace("-", "_"))

    task.reading_options(noted)
    task.training_options(noted)
    return Namespace(**{name: getattr(args, name, None) for name in sorted(names)})


def implied_by(task: Task[Any, Any, Any]) -> dict[str, bool]:
    """Return the options that a task's name says, and those that it excludes."""
    said = dict.fromkeys(getattr(task, "implied", ()), True)
    said |= dict.fromkeys(getattr(task, "left_out", ()), False)
    return {name.removeprefix("--").replace("-", "_"): value for name, value in said.items()}
