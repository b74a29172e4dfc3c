"""From the files that a user names to a `TasksStudy`: what is read, learned, split and carried over."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rnn_core.commands.cells import load_with_cells
from rnn_core.data import Tokenizer
from rnn_core.data.files.lines import named
from rnn_core.foreign import one_line, shown
from rnn_core.models import Model
from rnn_core.tasks.options import GATHERED, NETWORK, cell_options, flag, network
from rnn_core.tasks.task import Role, Task

from ..comparing.data_study import Budget
from ..parameters.vocabulary import token_map
from .known_tasks import own_options
from .saved import check_trainable
from .sides import TEST_SHARE
from .tasks_study import Side, TasksStudy

AnyTask = Task[Any, Any, Any]

FRESH = ("head.", "crf.", "target_embedding.")
"""How names begin of what is the target's own: what it answers, and what it has said so far."""


@dataclass
class Gathered:
    """What was made of the files.

    Attributes
    ----------
    study : TasksStudy
    sides : dict of str to dict
        Facts of source, target and test.
    notes : list of str
    """

    study: TasksStudy
    sides: dict[str, dict[str, Any]]
    notes: list[str]


def gather_tasks(
    task: AnyTask, args: Namespace, source_task: AnyTask, source_args: Namespace, sizes: tuple[int, ...], seeds: int,
    budget: Budget,
) -> Gathered:  # fmt: skip
    """Read and check everything, and return the study.

    Parameters
    ----------
    task, source_task : Task
    args, source_args : Namespace
        Options of the two; the paths are in the first.
    sizes : tuple of int
        Shares of the target that will be asked for, in per cent.
    seeds : int
    budget : Budget

    Raises
    ------
    ValueError
        A file is broken, sides don't fit, or options exclude one another.
    OSError
        A file is missing or can't be read.
    """
    notes: list[str] = []
    known = None if args.source_model is None else _model(args.source_model, args.cell_file)
    if known is not None:
        _as_known(task, args, known, notes)
    target, test = _target(task, args, notes)
    source = known if known is not None else _source(source_task, source_args, args, notes)
    with said_as("--source"):
        fresh_source = source if isinstance(source, Model) else source.build(0)
    with said_as("--target"):
        fresh = target.build(1)
    tokens = _tokens(source, target)
    core, copied, tokens = _carried(fresh_source, fresh, tokens, notes)
    study = TasksStudy(source, target, test, _metric(target, test, fresh), core, copied, budget, tokens)
    try:
        study.copy(fresh_source, study.build(0))
    except ValueError as error:
        raise ValueError(f"--source must fit the target's network: {one_line(error, 300)}") from error
    for size in sizes:
        for seed in range(seeds):
            with said_as("--target", f"--sizes {size} must leave something to train on: "):
                study.target_data(size, seed)
    return Gathered(study, _sides(study), notes)


@contextmanager
def said_as(option: str, before: str = "") -> Iterator[None]:
    """Let errors name the options that this command has: a task knows those of `rnn-core train`."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
        for theirs, ours in (("--data", option), ("--validation-share", "--test-share"), ("--validation", "--test")):
            said = re.sub(rf"(?<![\w-]){theirs}(?![\w-])", ours, said)
        if option not in said and not before:
            said = f"{option}: {said}"
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(before + said) from error


def _model(path: str, cell_file: str | None) -> Model:
    """Return the model in a file."""
    found = load_with_cells(path, cell_file, called="--source-model", dtype="float32")
    if not isinstance(found, Model):
        raise ValueError(f"--source-model must hold a model, got a layer of the type {type(found).__name__}")
    check_trainable(found, path)
    return found


def _as_known(task: AnyTask, args: Namespace, model: Model, notes: list[str]) -> None:
    """Let the target's network be as the source's: of its cell and its sizes, reading letters where that does."""
    front = model.config.get("front")
    if isinstance(front, Mapping) and front.get("kind") == "letters" and getattr(args, "letters", True) is False:
        args.letters = True
        notes.append("words are read by their letters, as the source model reads them")
        task.check(args)
    for name in task.network:
        theirs = model.config.get(NETWORK[name][0])
        if theirs is None or name == "dropout":
            continue
        given = getattr(args, name, None)
        if given not in (None, False) and given != theirs:
            raise ValueError(f"{flag(name)} must be the source model's, {theirs}, got {given}; leave it out")
        setattr(args, name, theirs)
    options = model.config.get("cell_options") or {}
    if (asked := cell_options(args)) and asked != options:
        raise ValueError(
            f"--cell-option must be the source model's, {shown(options)}, got {shown(asked)}; leave it out"
        )
    for name in GATHERED:
        setattr(args, name, None)
    args.cell_option = [f"{name}={json.dumps(value)}" for name, value in options.items()] or None


def _target(task: AnyTask, args: Namespace, notes: list[str]) -> tuple[Side, Any]:
    """Return what is learned, and what is judged by."""
    with said_as("--target"):
        target = task.read(args.target, args, Role.DATA)
        notes += [f"--target: {note}" for note in target.notes]
        held_out = None
        if args.test is None and not task.has_test(args.target, args):
            share = TEST_SHARE if args.test_share is None else args.test_share
            target, held_out = task.split(target, share, 0)
        elif args.test_share is not None:
            raise ValueError("--test-share must be left out where --target has a half to test on, which is judged by")
        how = task.learn(target, args)
    if held_out is None:
        where = args.test or args.target
        held_out = task.read(where, args, Role.TEST, how)
        notes += [f"--test: {note}" for note in held_out.notes if f"--target: {note}" not in notes]
        try:
            task.batches(how, held_out, 1, 0, training=False)
        except ValueError as error:
            raise ValueError(f"--test must go with --target, got {named(where)}: {one_line(error, 200)}") from error
    return Side(task.name, how, target, own_options(task, args), _options(task, args)), held_out


def _source(task: AnyTask, source_args: Namespace, args: Namespace, notes: list[str]) -> Side:
    """Return what is learned first, by a network as the target's."""
    for name in (*task.network, *GATHERED):
        if getattr(source_args, name, None) in (None, False):
            setattr(source_args, name, getattr(args, name, None))
    with said_as("--source"):
        examples = task.read(args.source, source_args, Role.DATA)
        notes += [f"--source: {note}" for note in examples.notes]
        how, own = task.learn(examples, source_args), own_options(task, source_args)
        return Side(task.name, how, examples, own, _options(task, source_args))


def _options(task: AnyTask, args: Namespace) -> dict[str, Any]:
    """Return a network's options but for the seed."""
    found = network(task, args)
    return {name: value for name, value in found.items() if name != "seed"}


def _tokens(source: Side | Model, target: Side) -> tuple[Any, Any] | None:
    """Return both sides' tokens, where both have some."""
    theirs = source.tokenizer if isinstance(source, Model) else source.kind.kept(source.how).get("tokenizer")
    ours = target.kind.kept(target.how).get("tokenizer")
    return None if theirs is None or ours is None else (theirs, ours)


def _carried(
    source: Model, target: Model, tokens: tuple[Any, Any] | None, notes: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Any, Any] | None]:
    """Return the names of the core and of all that carries over, and the tokens, if rows of tokens are among it."""
    theirs, rows = source.parameters, _rows(source, target, tokens, notes)
    alike = {
        name
        for name, array in target.parameters.items()
        if name in theirs
        and (name in rows or (name not in target.vocabulary_parameters and theirs[name].shape == array.shape))
    }
    core = tuple(name for name in target.parameters if name in alike and not name.startswith(FRESH))
    if not any(name.startswith(("rnn.", "decoder.")) for name in core):
        cells = (str(model.config.get("cell")) for model in (source, target))
        sizes = (str(model.config.get("hidden_size")) for model in (source, target))
        raise ValueError(
            "--source must have a recurrent core that fits the target's, got cells {} and {} of {} and {} units".format(
                *cells, *sizes
            )
        )
    could = ("rnn.", "embedding.", "decoder.")
    named_above = {*target.vocabulary_parameters} & {*theirs}  # `_rows` says why
    left = [name for name in target.parameters if name.startswith(could) and name not in {*core, *named_above}]
    if left:
        notes.append(f"not in the source, or of another shape, so that it begins afresh: {_listed(left)}")
    copied = tuple(name for name in target.parameters if name in core or name in rows)
    return core, copied, tokens if rows else None


def _rows(source: Model, target: Model, tokens: tuple[Any, Any] | None, notes: list[str]) -> set[str]:
    """Return what has a row for each token on either side, where there are tokens that both sides know."""
    names = {
        name
        for name in {*target.vocabulary_parameters} & {*source.vocabulary_parameters}
        if source.parameters[name].shape[1:] == target.parameters[name].shape[1:]
    }
    if not names:
        return set()
    if tokens is None:
        notes.append("what the source's tokens stand for is not known, so that their rows begin afresh")
        return set()
    levels = [one.level if isinstance(one, Tokenizer) else "word" for one in tokens]
    if levels[0] != levels[1]:
        notes.append(f"the source reads by the {levels[0]}, the target by the {levels[1]}: rows of tokens begin afresh")
        return set()
    try:
        found = token_map("--source", tokens, source, target)
    except ValueError as error:
        notes.append(f"rows of tokens begin afresh: {one_line(error, 200)}")
        return set()
    notes.append(f"rows of tokens: {found.note}")
    return names


def _metric(target: Side, test: Any, fresh: Model) -> str:
    """Return the name of the score that counts, by what a network says that has learned nothing."""
    answers = target.kind.answer(fresh, target.how, test, target.args)
    found = target.kind.score(target.how, test, answers)
    if not found:
        raise ValueError("--test must have something to be judged by, got nothing that can be scored")
    return next(iter(found))


def _sides(study: TasksStudy) -> dict[str, dict[str, Any]]:
    """Return the facts of source, target and test."""
    target, source = study.target, study.source
    found: dict[str, dict[str, Any]] = {}
    if isinstance(source, Model):
        found["source"] = {"model": type(source).__name__, "task": source.task or "–"}
    else:
        found["source"] = {"task": source.task, **source.kind.facts(source.how, source.examples)}
    for name, examples in (("target", target.examples), ("test", study.test)):
        found[name] = {"task": target.task, **target.kind.facts(target.how, examples)}
    return found


def _listed(names: list[str]) -> str:
    few = ", ".join(names[:4])
    return few + (f" and {len(names) - 4} more" if len(names) > 4 else "")

