"""Options that the tasks share: what they are called, what is usual, and which task heeds which."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..foreign import one_line, shown
from ..layers.regularised import NAMES
from .task import Add, Task

USUAL: dict[str, Any] = {
    "epochs": 30, "patience": 5, "batch_size": 32, "rate": 0.003, "clip_norm": 1.0, "validation_share": 0.2,
    "checkpoint_every": 500, "seed": 0, "schedule": "constant",
    "cell": "lstm", "hidden_size": 64, "layers": 1, "dropout": 0.0,
}  # fmt: skip
"""What is taken where neither the user nor the task says otherwise."""

POSITIVE = (
    "epochs", "patience", "batch_size", "rate", "clip_norm", "checkpoint_every", "hidden_size", "layers",
    "embedding_size",
)  # fmt: skip
"""Options that must be above 0."""

NETWORK: dict[str, tuple[str, dict[str, Any]]] = {
    "cell": ("cell", {"metavar": "NAME", "help": "rnn, lstm, gru, one of rnn_core.variants or of your own ({cell})"}),
    "hidden_size": ("hidden_size", {"type": int, "metavar": "N", "help": "({hidden_size})"}),
    "layers": ("num_layers", {"type": int, "metavar": "N", "help": "cells stacked on one another ({layers})"}),
    "embedding_size": ("embedding_size", {"type": int, "metavar": "N", "help": "of tokens (as --hidden-size)"}),
    "bidirectional": ("bidirectional", {"action": "store_true", "help": "read each sequence in both directions"}),
    "dropout": ("dropout", {"type": float, "metavar": "P", "help": "probability that a unit is dropped ({dropout})"}),
    "precision": ("precision", {"choices": ("float32", "bfloat16"), "help": "of core's and head's products (float32)"}),
}
"""Options on networks: the constructors' arguments, and how they are typed."""

CELL: dict[str, dict[str, Any]] = {
    "cell_file": {"metavar": "FILE.py", "help": "the file that defines a cell of your own; it is run"},
    "cell_option": {
        "nargs": "+", "action": "extend", "metavar": "NAME=VALUE",
        "help": "what else the cell's layer takes: an option of the cell's own; may be repeated",
    },
    "zoneout": {
        "type": float, "nargs": "+", "metavar": "P",
        "help": "probability that a unit keeps its old state at a step; of all states, or of each (0)",
    },
    "recurrent_dropout": {
        "type": float, "metavar": "P", "help": "that W_h does not read a unit, throughout a sequence (0)",
    },
    "candidate_dropout": {
        "type": float, "metavar": "P", "help": "that what a unit would take up is left out of a step (0)",
    },
    "weight_drop": {"type": float, "metavar": "P", "help": "that an element of W_h is left out of a batch (0)"},
}  # fmt: skip
"""Options on the cell of a network, for every task that has `--cell`."""

GATHERED = ("cell_option", *NAMES)
"""Those of them that `cell_options` puts together."""


def add_training(parser: argparse.ArgumentParser, task: Task[Any, Any, Any]) -> None:
    """Add the options of `rnn-core train` for a task."""
    usual = {**USUAL, **task.usual}
    add = parser.add_argument_group("data").add_argument
    add("--data", metavar="PATH", help=f"what is trained on: {task.files}")
    add("--validation", metavar="PATH", help="what decides when to stop; without it, a part of the data")
    share = usual["validation_share"]
    add("--validation-share", type=float, metavar="SHARE", help=f"how large that part is ({share}); 0 for none")
    add("--test", metavar="PATH", help="what the trained network is judged by; it decides nothing")
    task.reading_options(add)
    task.training_options(add)
    if task.network:
        add = parser.add_argument_group("network").add_argument
        add_network(add, task)
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, metavar="N", help=f"at most ({usual['epochs']})")
    add("--patience", type=int, metavar="N", help=f"stop so many epochs after the best one ({usual['patience']})")
    add("--batch-size", type=int, metavar="N", help=f"({usual['batch_size']})")
    add("--rate", type=float, help=f"learning rate, of Adam ({usual['rate']})")
    add("--schedule", choices=("constant", "cosine"), help=f"of the rate ({usual['schedule']})")
    add("--weight-decay", type=float, metavar="DECAY", help="of AdamW (none)")
    add("--clip-norm", type=float, metavar="NORM", help=f"longer gradients are cut ({usual['clip_norm']})")
    add("--seed", type=int, metavar="N", help=f"draws parameters, orders, dropout and the split ({usual['seed']})")
    add = parser.add_argument_group("the run").add_argument
    add("--out", metavar="DIR", help=f"where to write (runs/{task.name})")
    add("--overwrite", action="store_true", help="over the results that are there")
    add("--resume", action="store_true", help="go on where a run was interrupted, to the same bits")
    add("--log", metavar="FILE", help="the curves as they grow: .csv, .jsonl, or a folder DIR/ for TensorBoard")
    every = usual["checkpoint_every"]
    add("--checkpoint-every", type=int, metavar="N", help=f"updates, and after each epoch ({every})")


def add_network(add: Add, task: Task[Any, Any, Any]) -> None:
    """Add the options on networks that a task heeds."""
    usual = {**USUAL, **task.usual}
    for name in task.network:
        _, said = NETWORK[name]
        add(flag(name), **{**said, "help": said["help"].format(**usual)})
        for more, how in CELL.items() if name == "cell" else ():
            add(flag(more), **how)


def check_training(args: argparse.Namespace) -> None:
    """Raise ValueError for options that are out of range or exclude one another."""
    if args.data is None:
        raise ValueError("--data must be given: what is to be learned from")
    for name in POSITIVE:
        if (value := getattr(args, name, None)) is not None and not 0 < value < float("inf"):
            raise ValueError(f"{flag(name)} must be above 0, got {value}")
    for name in ("seed", "weight_decay"):
        if (value := getattr(args, name)) is not None and not 0 <= value < float("inf"):
            raise ValueError(f"{flag(name)} must be at least 0, got {value}")
    for name in ("dropout", "validation_share"):
        if (value := getattr(args, name, None)) is not None and not 0 <= value < 1:
            raise ValueError(f"{flag(name)} must be at least 0 and below 1, got {value}")
    if args.validation is not None and args.validation_share is not None:
        raise ValueError("--validation-share must be left out with --validation, which is validated by")
    if args.resume and args.overwrite:
        raise ValueError("--overwrite must be left out with --resume, which goes on with what is there")


def usual(task: Task[Any, Any, Any], args: argparse.Namespace, name: str) -> Any:
    """Return an option, or what the task usually has for it."""
    value = task.given(args, name)
    return USUAL.get(name) if value is None else value


def network(task: Task[Any, Any, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Return the network's options as a model's constructor takes them."""
    found = {NETWORK[name][0]: usual(task, args, name) for name in task.network}
    found["cell_options"] = cell_options(args) or None
    return {name: value for name, value in found.items() if value is not None} | {"seed": usual(task, args, "seed")}


def cell_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the cell's layer is to take, by name.

    Raises
    ------
    ValueError
        One is no NAME=VALUE, or a name comes twice.
    """
    found: dict[str, Any] = {}
    for typed in getattr(args, "cell_option", None) or ():
        name, equals, value = typed.partition("=")
        if not equals or not name:
            raise ValueError(f"--cell-option must be NAME=VALUE, as alpha=0.3, got {shown(typed, 40)}")
        if name in found:
            raise ValueError(f"--cell-option must name an option once, got {shown(name, 40)} twice")
        found[name] = _value(value)
    for name in NAMES:
        if (given := getattr(args, name, None)) is not None:
            if name in found:
                raise ValueError(f"--cell-option must leave out {name} with {flag(name)}, got both")
            found[name] = given[0] if isinstance(given, list) and len(given) == 1 else given
    return found


def _value(typed: str) -> Any:
    """Return a value as JSON has it, or else the word itself; Python's words for a number and a truth will do, too."""
    for read in (json.loads, float):
        try:
            return read(typed.lower() if typed in ("True", "False") else typed)
        except (ValueError, RecursionError):
            pass
    return typed


def flag(name: str) -> str:
    """Return an option as it is typed."""
    return f"--{name.replace('_', '-')}"


def changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each option in which two runs differ; an option that was left out is not in its mapping."""
    return [
        f"{flag(one_line(name, 40))} was {_said(was, name)} and is {_said(now, name)}"
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    ]


def _said(values: Mapping[str, Any], name: str) -> str:
    return "left out" if name not in values else "given" if values[name] is True else shown(values[name], 40)


def words(command: Iterable[str], args: argparse.Namespace, without: Iterable[str] = ()) -> list[str]:
    """Return the words that call a command again with these options."""
    found = list(command)
    for name, value in vars(args).items():
        if name in without or value is None or value is False:
            continue
        found.append(flag(name))
        if value is not True:
            found += map(str, value if isinstance(value, list) else [value])
    return found


class Shared:
    """Options of several tasks in one command, each once; and which task heeds which.

    Parameters
    ----------
    parser : ArgumentParser
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser
        self.actions: dict[str, argparse.Action] = {}
        self.heeded: dict[str, list[str]] = defaultdict(list)

    def of(self, task: str) -> Add:
        """Return the `add_argument` of one task."""

        def add(name: str, **options: Any) -> argparse.Action:
            if name not in self.actions:
                self.actions[name] = self.parser.add_argument(name, **options)
            action = self.actions[name]
            self.heeded[action.dest].append(task)
            return action

        return add

    def check(self, args: argparse.Namespace, task: str) -> None:
        """Raise ValueError for an option that this task doesn't heed."""
        check_heeded(args, self.heeded, task)


def check_heeded(args: argparse.Namespace, heeded: Mapping[str, Iterable[str]], task: str) -> None:
    """Raise ValueError for an option that only other tasks heed."""
    for name, theirs in heeded.items():
        value = getattr(args, name, None)
        if value is not None and value is not False and task not in theirs:
            raise ValueError(
                f"{flag(name)} must be left out with this MODEL, whose task is {task}; it is for {', '.join(theirs)}"
            )
