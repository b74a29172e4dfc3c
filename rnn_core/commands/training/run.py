"""The run of ``rnn-core train``: read, learn the encoding, train, score, write."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ... import load, save
from ...data.source import Source
from ...layers.base import Layer
from ...models import Model
from ...parallel import MPI, launched
from ...showing.surroundings import check_folder
from ...showing.terminal import Parts, new_console
from ...tasks.options import network, usual, words
from ...tasks.shown import curves_exhibit
from ...tasks.task import Role, Task, must_go_with
from ...training import Adam, AdamW, Callback, Cosine, History, TrainingInterrupted, fit
from ...training.alone import Alone, Parallel
from ...training.checkpoint.fingerprint import checksum
from .folder import Folder, run_facts
from .log import log_of
from .outcome import Outcome
from .report import facts_table, pages, scores_table

AnyTask = Task[Any, Any, Any]

FILES = ("data", "validation", "test", "vectors")
"""Options that name what is read."""


@dataclass
class Sides:
    """What was read and made of it.

    Attributes
    ----------
    examples : dict of str to Examples
        By side: "data", and "validation" and "test" where there are.
    how : Any
        What the task has learned of the data.
    batches : dict of str to Source
    notes : list of str
    """

    examples: dict[str, Any]
    how: Any
    batches: dict[str, Source]
    notes: list[str]


def run(task: AnyTask, args: argparse.Namespace) -> int:
    """Do everything, and write it into a folder; the arguments have been checked for themselves.

    Raises
    ------
    ValueError
        A file or what is in it is not as required, or doesn't go with the others; nothing has been computed.
    OSError
        A file can't be read, or the folder not written to.
    """
    together = _together()
    try:
        with together.running(str):
            _run(task, args, together)
    except (Exception, KeyboardInterrupt):
        if together.first:
            raise
        sys.exit(2)  # all ranks have raised it, and one says so
    return 0


def _run(task: AnyTask, args: argparse.Namespace, together: Parallel) -> None:
    """Do the same, as one of several ranks: all read and train, the first writes."""
    folder = Folder(Path(args.out or f"runs/{task.name}"))
    together.by_first(lambda: folder.check(args))
    log = together.each(lambda: log_of(args))
    parts = Parts(new_console() if together.first else Console(quiet=True))
    with parts.part("reading", "Data"):
        sides = together.each(lambda: gather(task, args))
        model = together.each(lambda: task.build(sides.how, network(task, args), args))
        facts = {side: task.facts(sides.how, examples) for side, examples in sides.examples.items()}
        parts.plain(facts_table(facts))
        for note in sides.notes:
            parts.plain(f"- {note}")
        digests = {side: _digest(source) for side, source in sides.batches.items()}
        together.check(digests)
        together.by_first(lambda: _begin(task, args, sides, model, digests, folder))
    with parts.part("training", "Training"):
        history = _train(task, args, model, sides, folder, parts, log, together)
    together.by_first(lambda: _finish(task, args, model, sides, facts, history, folder, parts))


def _together() -> Parallel:
    """Return the ranks that mpiexec has started, or one process."""
    if not launched():
        return Alone()
    ranks: Parallel = MPI()
    return ranks


def _begin(
    task: AnyTask, args: argparse.Namespace, sides: Sides, model: Model, digests: dict[str, str], folder: Folder
) -> None:
    """See that all can be written in the end, and write down which run this is."""
    check_folder(folder.place)
    _rehearse(task, sides.how, model, folder.place)
    folder.begin(args, run_facts(args, digests, model))


def _finish(
    task: AnyTask, args: argparse.Namespace, model: Model, sides: Sides, facts: dict[str, dict[str, Any]],
    history: History, folder: Folder, parts: Parts,
) -> None:  # fmt: skip
    """Score, and write everything."""
    with parts.part("scores", "Scores"):
        outcome = _outcome(task, args, model, sides, facts, history, parts)
        parts.plain(scores_table(outcome.scores) if outcome.scores else "there is nothing to score by")
    with parts.part("report", "Report"):
        record = {"metric": outcome.main[0] if outcome.main else "", "scores": outcome.scores}
        folder.write(
            pages(outcome), lambda path: save(model, path, task=task.name, record=record, **task.kept(sides.how))
        )
    _conclude(outcome, folder, parts)


def gather(task: AnyTask, args: argparse.Namespace) -> Sides:
    """Read and check everything.

    Raises
    ------
    ValueError, OSError
        As `Task.read`; or validation and test don't go with the data.
    """
    examples: dict[str, Any] = {"data": task.read(args.data, args, Role.DATA)}
    seed, share, notes = usual(task, args, "seed"), usual(task, args, "validation_share"), []
    notes += [f"--data: {note}" for note in examples["data"].notes]
    if args.validation is None and args.validation_share != 0:
        examples["data"], examples["validation"] = task.split(examples["data"], share, seed)
    elif args.validation is None:
        notes.append("nothing was held out: the last epoch is kept, whether or not it is the best")
    how = task.learn(examples["data"], args)
    notes += task.notes(how)
    paths = {"validation": args.validation, "test": args.test}
    if args.test is None and task.has_test(args.data, args):
        paths["test"] = args.data
        notes.append("--test is the half of --data that is for testing")
    for role, name in ((Role.VALIDATION, "validation"), (Role.TEST, "test")):
        if (path := paths[name]) is not None:
            examples[name] = task.read(path, args, role, how)
            notes += [f"{role.value}: {note}" for note in examples[name].notes if f"--data: {note}" not in notes]
    batches = {}
    for name, some in examples.items():
        try:
            batches[name] = task.batches(how, some, usual(task, args, "batch_size"), seed, training=name == "data")
        except ValueError as error:
            if paths.get(name) is None:
                raise
            raise must_go_with(Role(f"--{name}"), str(paths[name]), error) from error
    return Sides(examples, how, batches, notes)


def _train(
    task: AnyTask, args: argparse.Namespace, model: Model, sides: Sides, folder: Folder, parts: Parts,
    log: list[Callback], together: Parallel,
) -> History:  # fmt: skip
    """Train until it gets no better, or the epochs are over."""
    epochs, rate, decay = usual(task, args, "epochs"), usual(task, args, "rate"), args.weight_decay
    steps = epochs * len(sides.batches["data"])
    cosine = usual(task, args, "schedule") == "cosine"
    validation = sides.batches.get("validation")
    try:
        history = fit(
            model,
            sides.batches["data"],
            optimizer=AdamW(rate, weight_decay=decay) if decay else Adam(rate),
            epochs=epochs,
            validation=validation,
            schedule=Cosine(steps) if cosine else None,
            clip_norm=usual(task, args, "clip_norm"),
            seed=usual(task, args, "seed"),
            patience=None if validation is None else usual(task, args, "patience"),
            monitor=None if validation is None else task.monitor,
            checkpoint=folder.checkpoint,
            checkpoint_every=usual(task, args, "checkpoint_every"),
            resume=bool(args.resume),
            progress=parts.console,
            callbacks=log,
            parallel=together,
        )
    except TrainingInterrupted as interrupt:
        place = str(interrupt).removeprefix("fit: ").partition(";")[0]
        again = shlex.join(words(["rnn-core", "train", task.name], args, ("task", "resume", "overwrite")))
        raise KeyboardInterrupt(f"{place}; `{again} --resume` goes on") from None
    best = history.best
    if best is not None:
        stopped = "" if len(history) == epochs else f", {history.stale} epochs without a better one"
        parts.plain(f"epoch {best.epoch} of {len(history)} is kept, the best{stopped}")
    return history


def _outcome(
    task: AnyTask, args: argparse.Namespace, model: Model, sides: Sides, facts: dict[str, dict[str, Any]],
    history: History, parts: Parts,
) -> Outcome:  # fmt: skip
    """Return what there is to say of the network that was trained."""
    scores: dict[str, dict[str, float]] = {}
    exhibits, judged = [curves_exhibit(history)], ""
    for side in ("validation", "test"):
        if side in sides.examples:
            examples = sides.examples[side]
            answers = task.answer(model, sides.how, examples, args)
            scores[side] = task.score(sides.how, examples, answers)
            shown = task.exhibits(model, sides.how, examples, answers)
            exhibits, judged = [exhibits[0], *shown], side  # of the test, where there is one
    config = {name: value for name, value in model.config.items() if value is not None and name != "seed"}
    settings = {
        name: value
        for name in ("epochs", "patience", "batch_size", "rate", "schedule", "weight_decay", "clip_norm", "seed")
        if (value := usual(task, args, name)) is not None
    }
    return Outcome(
        task=task.name,
        command=shlex.join(words(["rnn-core", "train", task.name], args, ("task",))),
        files={name: path for name in FILES if (path := getattr(args, name, None)) is not None},
        sides=facts,
        network={"class": type(model).__name__, **config},
        parameters=sum(array.size for array in model.parameters.values()),
        settings=settings,
        history=history,
        scores=scores,
        notes=sides.notes,
        exhibits=exhibits,
        judged=judged,
        seconds=parts.seconds,
    )


def _rehearse(task: AnyTask, how: Any, model: Model, folder: Path) -> None:
    """Write the fresh network with all that will stand beside it, and read it: what can't be written fails now."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix=".", dir=folder) as drafts:
        draft = Path(drafts, "model.safetensors")
        save(model, draft, task=task.name, **task.kept(how))
        found = load(draft)
        if isinstance(found, Layer):
            task.known(found, "the network")  # type: ignore[arg-type]  # a Model, as it was saved
        check_folder(folder, 6 * draft.stat().st_size)


def _digest(source: Source) -> str:
    """Return a digest of the first epoch's batches: what is trained on and validated by, to the bit."""
    return checksum(part for k in range(len(source)) for part in source.batch(0, k))


def _conclude(outcome: Outcome, folder: Folder, parts: Parts) -> None:
    main = outcome.main
    if main is not None:
        parts.plain(f"{main[0]}: {main[1]:.4g}, on the {outcome.judged} data")
    model = str(folder.place / "model.safetensors")
    use = ["rnn-core", "generate", model, "--prompt", "…"] if outcome.task == "language" else [
        "rnn-core", "predict", model, "FILE"
    ]  # fmt: skip
    parts.plain(f"the network is used by\n  {shlex.join(use)}")
    parts.plain(f"{folder.place / 'report.html'} tells it all ({sum(parts.seconds.values()):.0f} s)")
