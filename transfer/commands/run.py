"""The run of ``rnn-core transfer``: from the user's files to the report."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rnn_core.atomic import write_atomically
from rnn_core.commands.cells import cells_in
from rnn_core.inputs.facts import longest
from rnn_core.showing.surroundings import MOST_WORKERS, check_folder, processors
from rnn_core.showing.terminal import Parts, new_console
from rnn_core.written import json_bytes

from ..comparing.arms import ARMS, Arm
from ..comparing.comparison import compare
from ..comparing.kept import KeptRuns, source_kept
from ..comparing.runs import pretrained
from ..methods.catalogue import Unsuited
from ..showing.runs_shown import runs_shown
from . import asked, keeping, network
from .outcome import Outcome
from .report import page, pictures
from .subject import Subject


class Job(NamedTuple):
    """What is to be run on the subject."""

    arms: tuple[Arm, ...]
    unsuited: tuple[Unsuited, ...]
    sizes: tuple[int, ...]
    seeds: int
    workers: int | str
    save: str | None  # the method whose network is to be saved, if one is asked for
    kept: KeptRuns
    prepare: Callable[[], object] | None  # what each process calls first: it runs the file of a user's own cell


def run(args: argparse.Namespace, words: str, gather: Callable[[argparse.Namespace, asked.Settings], Subject]) -> int:
    """Do everything, and write it into a folder; the arguments have been checked for themselves.

    Parameters
    ----------
    args : Namespace
    words : str
        What calls this again.
    gather : callable
        Reads and checks everything.

    Raises
    ------
    ValueError
        A file or what is in it is not as required, or doesn't go with the others; nothing has been computed.
    OSError
        A file can't be read, or the folder not written to.
    """
    from threadpoolctl import threadpool_limits

    settings, given = asked.QUICK if args.quick else asked.Settings(), keeping.given(args)
    parts = Parts(new_console())
    with threadpool_limits(1):  # the products are small; a second thread would only wait for the first
        with parts.part("reading", "Data"):
            subject = gather(args, settings)
            arms, unsuited = asked.methods(subject.study, args.methods, subject.usual)
            sizes = subject.sizes(args.sizes, settings)
            save = args.save and asked.named("--save", args.save)
            network.check_choice(save, arms)
            folder = Path(args.out or "runs/transfer")
            check_folder(folder)
            _rehearse(subject, folder)
            if args.quick:
                subject.notes.insert(0, "a quick run: the numbers mean nothing")
            parts.plain(subject.table(asked.files(args)))
            for note in subject.notes:
                parts.plain(f"- {note}")
            kept = keeping.opened(folder, subject.study, args.resume, parts, given)
        workers = args.workers or min(processors(), MOST_WORKERS)
        prepare = None if args.cell_file is None else partial(cells_in, args.cell_file, "--cell-file")
        job = Job(arms, unsuited, sizes, args.seeds or settings.seeds, workers, save, kept, prepare)
        try:
            outcome, chosen = _compute(subject, job, parts)
        except MemoryError as error:
            raise MemoryError(f"{error}{longest(subject.sides)}") from error
        except KeyboardInterrupt:  # `fit` would name its checkpoint, of which there is none here
            raise KeyboardInterrupt(keeping.cut_off(folder, kept)) from None
        outcome.command, outcome.files, outcome.quick = words, asked.files(args), args.quick
        with parts.part("report", "Pictures and report"):
            _write(outcome, chosen, subject, folder)
            keeping.remove(folder)
            parts.plain(f"written to {folder}: report.html, results.json, pictures, model.safetensors")
    _conclude(outcome, folder, parts)
    return 0


def _compute(subject: Subject, job: Job, parts: Parts) -> tuple[Outcome, network.Chosen]:
    """Return everything that is found, and the network to save."""
    study, notes = subject.study, subject.notes
    with parts.part("network to save", "What carries over, and the network to save"):
        candidates = network.candidates(job.arms, job.save)
        sources = pretrained(study, 0, (ARMS[0], *candidates), partial(source_kept, job.kept.sources))
        source, fresh = sources["trained"], study.build(0)
        copied = study.copy(source, fresh)
        parts.plain(f"{copied}\n")
        hints, reason = subject.hints(source, fresh)
        if hints:
            parts.plain("hints before training: " + "; ".join(f"{name}: {value:.3f}" for name, value in hints.items()))
        if reason:
            notes.append(reason)
            parts.plain(reason)
        chosen = network.choose(
            study, subject.whole, subject.trial(), candidates, sources,
            lambda line: parts.plain(f"  held-out examples, {line}{' %' * study.metric.endswith('in %')}"),
            keep=job.kept.folder / keeping.CHOICE,
        )  # fmt: skip
        if job.save is not None:
            chosen = chosen._replace(why="--save asks for it")
        notes.append(f"{chosen.method!r} is saved: {chosen.why}")
        look = subject.look(source, fresh, chosen.model)
        if look.said:
            notes.append(f"saliency is that of {look.said}")
        parts.plain(f"saved is {chosen.method!r}: {chosen.why}")
    with parts.part("comparison", "Is it worth it?"):
        with runs_shown(parts.console, "runs") as shown:
            comparison = compare(
                study, sizes=job.sizes, seeds=job.seeds, arms=job.arms, workers=job.workers, **shown._asdict(),
                keep=job.kept, prepare=job.prepare,
            )  # fmt: skip
        parts.plain(comparison)
        for method in job.unsuited:
            parts.plain(f"not used here: {method.name}: {method.reason}")
    return Outcome(
        command="",
        kind=subject.kind,
        files={},
        sides=subject.sides,
        network=dict(subject.network),
        budget=study.budget,
        comparison=comparison,
        unsuited=job.unsuited,
        copied=copied,
        hints=hints,
        saliency=look.saliency,
        saliency_labels=look.labels,
        saved=chosen.method,
        saved_scores=chosen.scores,
        notes=notes,
        seconds=parts.seconds,
        workers=job.workers,
        per_cent=subject.per_cent,
        exhibits=subject.exhibits(chosen.model),
    ), chosen


def _rehearse(subject: Subject, folder: Path) -> None:
    """Write a fresh network with all that will stand beside it, read and remove it: what can't be written fails now.

    Raises
    ------
    ValueError, OSError
        It can't be.
    """
    with TemporaryDirectory(prefix=".", dir=folder) as drafts:
        draft = Path(drafts, "model.safetensors")
        subject.save(subject.study.build(0), "", {}, draft)
        subject.try_reading(draft)
        check_folder(folder, 2 * draft.stat().st_size)


def _write(outcome: Outcome, chosen: network.Chosen, subject: Subject, folder: Path) -> None:
    """Write pictures, numbers, report and network: all of them, or if there is no room for one, none."""
    images = pictures(outcome)
    html = page(outcome, images)
    files = {**images, "results.json": json_bytes(outcome.as_dict()), "report.html": html.encode()}
    with TemporaryDirectory(prefix=".", dir=folder) as drafts:
        for name, data in files.items():
            write_atomically(Path(drafts, name), data, where="--out")
        subject.save(chosen.model, chosen.method, chosen.scores, Path(drafts, "model.safetensors"))
        for draft in Path(drafts).iterdir():
            draft.replace(folder / draft.name)


def _conclude(outcome: Outcome, folder: Path, parts: Parts) -> None:
    parts.plain(outcome.verdict.statement)
    if outcome.doubt:
        parts.plain(outcome.doubt)
    for alarm in outcome.alarms:
        if alarm.arm != outcome.verdict.method:
            line = f"[bold red]{alarm.verdict}[/]: {alarm.arm} with {outcome.amount(alarm.size)}"
            parts.console.print(line, soft_wrap=True)
    score = outcome.scored(outcome.saved_scores["test"])
    metric = outcome.comparison.metric.removesuffix(" in %")
    use, what = ("generate", "--prompt TEXT") if outcome.kind == "language" else ("predict", "FILE")
    parts.plain(f"the saved network ({outcome.saved}) has {score} {metric} on the test examples; it is used by")
    parts.plain(f"  {shlex.join(['rnn-core', use, str(folder / 'model.safetensors')])} {what}")
    parts.plain(f"{folder / 'report.html'} tells it all ({sum(parts.seconds.values()):.0f} s)")
