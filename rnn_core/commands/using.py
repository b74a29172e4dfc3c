"""What the commands share that use a network: the file it is in, the task it is for, and what the task reads."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..data.files.lines import named

if TYPE_CHECKING:
    from ..models import Model
    from ..tasks.options import Shared
    from ..tasks.task import Role, Task


def add_using(parser: argparse.ArgumentParser, *, predicting: bool) -> Shared:
    """Add what can be said of the files of every task, each option once; return who heeds which."""
    from ..tasks.catalogue import tasks
    from ..tasks.options import Shared
    from .cells import add_cell_file

    add_cell_file(parser.add_argument)
    shared = Shared(parser)
    for task in tasks().values():
        add = shared.of(task.name)
        task.reading_options(add)
        if predicting:
            task.predicting_options(add)
    return shared


def model_in(path: str, cell_file: str | None = None) -> Model:
    """Return the model that a file holds, in float32; `cell_file` is run first, which defines its cell.

    Raises
    ------
    ValueError
        It holds none, or its cell is not defined.
    OSError
        It can't be read.
    """
    from ..models import Model
    from .cells import load_with_cells

    found = load_with_cells(path, cell_file, dtype="float32")
    if not isinstance(found, Model):
        raise ValueError(f"{named(path)} must hold a model, got a layer of the type {type(found).__name__}")
    return found


class Using:
    """A network, its task, and what is known of the examples that it was trained on.

    Parameters
    ----------
    args : Namespace
        Its `model` is the network's file.
    shared : Shared
        Which task heeds which option.

    Raises
    ------
    ValueError
        There is no network in the file, none that can be used, or an option is of no use with it.
    OSError
        The file can't be read.
    """

    task: Task[Any, Any, Any]
    how: Any

    def __init__(self, args: argparse.Namespace, shared: Shared) -> None:
        from ..tasks.catalogue import task_of

        where = f"MODEL {named(args.model)}"
        self.model = model_in(args.model, args.cell_file)
        self.task = task_of(self.model, where)
        shared.check(args, self.task.name)
        self.task.check(args)
        self.how = self.task.known(self.model, where)

    def read(self, path: str, args: argparse.Namespace, role: Role | None = None) -> Any:
        """Return the examples in a file."""
        from ..tasks.task import Role

        return self.task.read(path, args, role or Role.PREDICT, self.how)

    def answer(self, examples: Any, path: str, args: argparse.Namespace) -> Any:
        """Return what the network says of them.

        Raises
        ------
        ValueError
            They are of another kind than those that it was trained on.
        """
        from ..foreign import one_line

        try:
            return self.task.answer(self.model, self.how, examples, args)
        except ValueError as error:
            raise ValueError(f"{named(path)} must go with {named(args.model)}: {one_line(error, 200)}") from error
