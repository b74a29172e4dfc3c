"""``rnn-core transfer TASK``: any task of `rnn-core train`, from files of one's own to other files."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnn_core import load, save
from rnn_core.commands.training.report import facts_table
from rnn_core.foreign import one_line, shown
from rnn_core.models import Model
from rnn_core.showing.surroundings import check_packages
from rnn_core.tasks.options import add_network, flag, usual
from rnn_core.tasks.task import Add, Exhibit, Task

from ..inputs.gathering_tasks import Gathered, gather_tasks, said_as
from ..inputs.known_tasks import implied_by, known_tasks, task_of_name, without_implied
from ..inputs.tasks_study import WHOLE, TasksStudy
from . import asked
from .asked import Settings
from .network import Trial
from .run import run
from .shared import add_methods, add_run, add_training, again, check_cell_of, check_shared, listing
from .subject import Look

METHODS = (
    "fine-tuned", "frozen core", "gradual unfreezing", "anchored", "low-rank map", "recurrent weights", "scratch",
    "random core", "scrambled core", "matched core",
)  # fmt: skip
"""The methods that are compared unless others are named."""

HELD_OUT = 0.2
"""Of the target's training data, by which the network to save is chosen."""


class TaskTransfer:
    """The subcommand of one task, as `rnn_core.cli.Subparser` wants it.

    Parameters
    ----------
    task : Task
    """

    def __init__(self, task: Task[Any, Any, Any]) -> None:
        self.task, self.help = task, task.help
        self.unsaid: dict[str, Any] = {}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen; what isn't leaves no trace, so that an option before TASK is not written over."""
        parser.argument_default = argparse.SUPPRESS
        task = self.task
        add = self._noted(parser.add_argument_group("data"))
        add("--source", metavar="PATH", help=f"what is learned first: {task.files}")
        add("--source-task", metavar="TASK", help=f"of the source, where it is another: {', '.join(_names())}")
        add("--source-options", metavar="WORDS", help="how the source is read, where it is otherwise: ='--token 2'")
        add("--source-model", metavar="FILE", help="or a model.safetensors, of a command or of rnn_core.save")
        add("--target", metavar="PATH", help="what is to be learned: files as the source's, or of this task")
        add("--test", metavar="PATH", help="what is judged by; without it, a part of the target")
        add("--test-share", type=float, metavar="SHARE", help="how large that part is (0.25)")
        reading = without_implied(task, add)
        task.reading_options(reading)
        task.training_options(reading)
        add_methods(self._noted(parser.add_argument_group("methods")), "shares of the target, in %% (10 33 100)")
        add = self._noted(parser.add_argument_group("network and training"))
        add_network(add, task)
        add_training(add)
        add_run(self._noted(parser.add_argument_group("the run")))

    def run(self, args: argparse.Namespace) -> int:
        """Run the comparison and write what it found; errors are those of `Transfer.run`."""
        wanted = self.wanted(args)
        if wanted.list:
            return listing()
        check_shared(wanted)
        self.task.check(wanted)
        check_cell_of(wanted, usual(self.task, wanted, "cell"), usual(self.task, wanted, "hidden_size"))
        source_task, source_args = self.source(wanted)
        check_packages()

        def gather(args: argparse.Namespace, settings: Settings) -> TasksSubject:
            for one in (args, source_args):
                if settings.hidden_size is not None and args.source_model is None and one.hidden_size is None:
                    one.hidden_size = settings.hidden_size
            sizes = _sizes(args.sizes, settings)
            budget = asked.budget(args, settings)
            seeds = args.seeds or settings.seeds
            return TasksSubject(gather_tasks(self.task, args, source_task, source_args, sizes, seeds, budget))

        try:
            return run(wanted, again(["rnn-core", "transfer", self.task.name], args), gather)
        except MemoryError as error:
            way_out = "take a smaller --hidden-size or --batch-size, or fewer --workers"
            raise RuntimeError(f"there must be memory enough, got {one_line(error)}; {way_out}") from error

    def wanted(self, args: argparse.Namespace) -> argparse.Namespace:
        """Return this task's options; raise ValueError for one that another task has and this has not."""
        given = {name: value for name, value in vars(args).items() if value is not None and value is not False}
        for name in given:
            if name not in (*self.unsaid, "command", "task", "traceback"):
                raise ValueError(f"{flag(name)} must be left out with {self.task.name}, which has none")
        found = {**self.unsaid, **{name: value for name, value in given.items() if name in self.unsaid}}
        return argparse.Namespace(**found, **implied_by(self.task))

    def source(self, args: argparse.Namespace) -> tuple[Task[Any, Any, Any], argparse.Namespace]:
        """Return the source's task, and its options: the target's where they are one task, and what was said of it."""
        task = self.task
        if args.source_task is not None:
            if args.source_task not in _names():
                raise ValueError(f"--source-task must be one of {', '.join(_names())}, got {args.source_task!r}")
            task = task_of_name(args.source_task)
        parser = _OfSource(prog="--source-options", add_help=False, argument_default=argparse.SUPPRESS)
        other = TaskTransfer(task)
        add = without_implied(task, other._noted(parser))
        task.reading_options(add)
        task.training_options(add)
        for name in task.network:
            other.unsaid.setdefault(name, None)
        try:
            given = vars(parser.parse_args(shlex.split(args.source_options or "")))
        except ValueError as error:  # a quotation that doesn't end, or `_OfSource`
            raise ValueError(
                f"--source-options must be options of `rnn-core train {task.name}` on how files are read, got "
                f"{shown(args.source_options, 60)}: {one_line(error, 120)}"
            ) from error
        inherited = {} if task is not self.task else {name: getattr(args, name) for name in other.unsaid}
        inherited = {name: value for name, value in inherited.items() if not name.endswith("targets")}  # other files
        found = {**other.unsaid, **inherited, **given}
        wanted = argparse.Namespace(**found, **implied_by(task))
        with said_as("--source-options"):
            task.check(wanted)
        return task, wanted

    def _noted(self, group: Any) -> Add:
        """Return a group's `add_argument`, which notes what an option is that nobody gives."""

        def add(*names: str, **options: Any) -> Any:
            action = group.add_argument(*names, **options)
            self.unsaid[action.dest] = False if options.get("action") == "store_true" else None
            return action

        return add


class _OfSource(argparse.ArgumentParser):
    """A parser that raises what it has to say, and leaves it to the command to say it in a line."""

    def error(self, message: str) -> Any:
        """Raise ValueError."""
        raise ValueError(message)


class TasksSubject:
    """A task's examples, whatever the task; see `Subject`.

    Parameters
    ----------
    gathered : Gathered
    """

    per_cent = True
    usual = METHODS
    whole = WHOLE

    def __init__(self, gathered: Gathered) -> None:
        self.study: TasksStudy = gathered.study
        self.sides, self.notes, self.kind = gathered.sides, gathered.notes, self.study.target.task

    @property
    def network(self) -> Mapping[str, Any]:
        """See `Subject`."""
        return self.study.target.network

    def table(self, files: Mapping[str, str]) -> str:
        """See `Subject.table`."""
        return facts_table(self.sides)

    def sizes(self, asked_for: Sequence[int] | None, settings: Settings) -> tuple[int, ...]:
        """See `Subject.sizes`."""
        return _sizes(asked_for, settings)

    def trial(self) -> Trial | str:
        """See `Subject.trial`."""
        study, target = self.study, self.study.target
        try:
            rest, held_out = target.kind.split(target.examples, HELD_OUT, 1)
            trial = replace(study, target=replace(target, examples=rest), test=held_out)
            trial.target_data(WHOLE, 0)
        except ValueError as error:
            return f"the first of the methods: nothing can be held out to choose by ({one_line(error, 120)})"
        return Trial(trial, WHOLE, f"{HELD_OUT:.0%} of the target's training data, which were held out")

    def hints(self, source: Model, copied: Model) -> tuple[dict[str, float], str]:
        """See `Subject.hints`: they are about classes of sequences."""
        return {}, ""

    def look(self, source: Model, copied: Model, after: Model) -> Look:
        """See `Subject.look`."""
        return Look({}, [], "")

    def exhibits(self, model: Model) -> list[Exhibit]:
        """See `Subject.exhibits`."""
        study, target = self.study, self.study.target
        answers = target.kind.answer(model, target.how, study.test, target.args)
        return target.kind.exhibits(model, target.how, study.test, answers)

    def save(self, model: Model, method: str, scores: dict[str, float], path: Path) -> None:
        """See `Subject.save`."""
        target = self.study.target
        record = {"method": method, "metric": self.study.metric, "scores": scores}
        task = "classify" if target.task == "regression" else target.task
        save(model, path, task=task, record=record, **target.kind.kept(target.how))

    def try_reading(self, path: Path) -> None:
        """See `Subject.try_reading`."""
        self.study.target.kind.known(load(path), "the network")


def _names() -> list[str]:
    return [*known_tasks(), "classify"]


def _sizes(asked_for: Sequence[int] | None, settings: Settings) -> tuple[int, ...]:
    """Return shares of the target's data, in per cent."""
    if asked_for is None:
        return tuple(sorted({round(WHOLE * share) for share in settings.shares}))
    for size in asked_for:
        if not 1 <= size <= WHOLE:
            raise ValueError(f"--sizes must be from 1 to {WHOLE}, per cent of the target's training data, got {size}")
    return tuple(sorted(set(asked_for)))
