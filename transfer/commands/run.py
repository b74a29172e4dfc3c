"""The run of ``rnn-core transfer``: from the user's files to the report."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnn_core.atomic import write_atomically
from rnn_core.inputs.facts import longest, sides_table
from rnn_core.inputs.how import How
from rnn_core.inputs.tables import table_options
from rnn_core.showing.surroundings import MOST_WORKERS, check_folder, processors
from rnn_core.showing.terminal import Parts, new_console
from rnn_core.written import json_bytes

from ..comparing.arms import ARMS, Arm
from ..comparing.comparison import compare
from ..comparing.data_study import Budget
from ..comparing.runs import pretrained
from ..inputs.gathering import Inputs, Wanted, gather
from ..inputs.saved import Saved, load_network, save_network
from ..methods.catalogue import METHODS, Unsuited, arms_for
from ..showing.runs_shown import runs_shown
from . import network
from .outcome import Outcome
from .report import page, pictures

USUAL = (
    "fine-tuned", "frozen core", "gradual unfreezing", "anchored", "low-rank map", "recurrent weights",
    "logistic regression", "source and target", "scratch", "random core", "shuffled labels",
)  # fmt: skip
"""The methods that are compared unless others are named."""


@dataclass(frozen=True)
class Settings:
    """What the run is made of, where the user does not say otherwise."""

    seeds: int = 5
    shares: tuple[float, ...] = (0.1, 1 / 3, 1.0)
    updates: int = 128
    source_updates: int = 600
    hidden_size: int | None = None


QUICK = Settings(seeds=2, shares=(1.0,), updates=8, source_updates=16, hidden_size=8)
"""Small enough for a test; its numbers mean nothing."""


def run(args: argparse.Namespace, words: str) -> int:
    """Do everything, and write it into a folder; the arguments have been checked for themselves.

    Raises
    ------
    ValueError
        A file or what is in it is not as required, or doesn't go with the others; nothing has been computed.
    OSError
        A file can't be read, or the folder not written to.
    """
    from threadpoolctl import threadpool_limits

    settings = QUICK if args.quick else Settings()
    parts = Parts(new_console())
    with threadpool_limits(1):  # the products are small; a second thread would only wait for the first
        with parts.part("reading", "Data"):
            inputs = gather(_wanted(args, settings), _budget(args, settings))
            arms, unsuited = methods(inputs.study, args.methods)
            sizes = _sizes(inputs.study.target.counts, args.sizes, settings)
            save = args.save and named("--save", args.save)
            network.check_choice(save, arms)
            folder = Path(args.out or "runs/transfer")
            check_folder(folder)
            _rehearse(inputs, folder)
            if args.quick:
                inputs.notes.insert(0, "a quick run: the numbers mean nothing")
            parts.plain(sides_table(inputs.sides, _files(args)))
            for note in inputs.notes:
                parts.plain(f"- {note}")
        workers = args.workers or min(processors(), MOST_WORKERS)
        seeds = args.seeds or settings.seeds
        try:
            outcome, chosen = _compute(inputs, arms, unsuited, sizes, seeds, workers, save, parts)
        except MemoryError as error:
            raise MemoryError(f"{error}{longest(inputs.sides)}") from error
        except KeyboardInterrupt:  # `fit` would name its checkpoint, of which there is none here
            raise KeyboardInterrupt("interrupted; nothing was written") from None
        outcome.command, outcome.files, outcome.quick = words, _files(args), args.quick
        with parts.part("report", "Pictures and report"):
            _write(outcome, chosen, inputs, folder)
            parts.plain(f"written to {folder}: report.html, results.json, pictures, model.safetensors")
    _conclude(outcome, folder, parts)
    return 0


def methods(study: Any, asked: Sequence[str] | None) -> tuple[tuple[Arm, ...], tuple[Unsuited, ...]]:
    """Return the arms that were asked for, or the usual ones, and what of them can't be used here.

    Raises
    ------
    ValueError
        There is no such method, or one that was named can't be used.
    """
    if asked is not None and "all" not in asked:
        return arms_for(study, [named("--methods", name) for name in asked])
    arms, unsuited = arms_for(study)
    if asked is not None:
        return arms, unsuited
    return tuple(a for a in arms if a.name in USUAL), tuple(u for u in unsuited if u.name in USUAL)


def named(option: str, name: str) -> str:
    """Return a method's name for one that was typed: capitals, hyphens and commas don't matter.

    Raises
    ------
    ValueError
        There is none.
    """

    def plain(word: str) -> str:
        return "".join(letter for letter in word.lower() if letter.isalnum())

    known = {plain(method): method for method in METHODS}
    if plain(name) not in known:
        near = get_close_matches(plain(name), known, n=1)
        meant = f"did you mean {known[near[0]]!r}? " if near else ""
        raise ValueError(f"{option} must be a method, got {name!r}; {meant}`rnn-core transfer --list` has them all")
    return known[plain(name)]


def _wanted(args: argparse.Namespace, settings: Settings) -> Wanted:
    given = {name: value for name in ("kind", "encoding", "frame", "missing") if (value := getattr(args, name))}
    given["rate"] = args.sample_rate
    return Wanted(
        args.target,
        args.source,
        args.source_model,
        args.test,
        args.vectors,
        args.vectors_encoding or "utf-8",
        How(**given, **table_options(args)),
        How(**given, **table_options(args, source=True), own=("text", "label")),
        args.test_share,
        args.level,
        args.num_words,
        args.keep_case,
        args.max_steps,
        {
            "hidden_size": args.hidden_size or (None if args.source_model else settings.hidden_size),
            "cell": args.cell,
            "num_layers": args.layers,
            "bidirectional": args.bidirectional or None,
            "pooling": args.pooling,
        },
        args.balanced,
    )


def _budget(args: argparse.Namespace, settings: Settings) -> Budget:
    given = {
        "source_updates": args.source_updates or settings.source_updates,
        "target_updates": args.updates or settings.updates,
        "batch_size": args.batch_size,
        "source_rate": args.source_rate,
        "rate": args.rate,
        "core_rate": args.core_rate,
    }
    return Budget(**{name: value for name, value in given.items() if value is not None}, clip_norm=1.0)


def _sizes(counts: Any, asked: Sequence[int] | None, settings: Settings) -> tuple[int, ...]:
    least, most = len(counts), int(counts.sum())
    if asked is None:
        return tuple(sorted({max(least, round(share * most)) for share in settings.shares}))
    for size in asked:
        if not least <= size <= most:
            raise ValueError(
                f"--sizes must be from {least}, an example a class, to {most}, which is all there are to train on, "
                f"got {size}"
            )
    return tuple(sorted(set(asked)))


def _files(args: argparse.Namespace) -> dict[str, str]:
    roles = ("source", "source_model", "target", "test", "vectors")
    return {role.replace("_", " "): path for role in roles if (path := getattr(args, role)) is not None}


def _compute(
    inputs: Inputs,
    arms: tuple[Arm, ...],
    unsuited: tuple[Unsuited, ...],
    sizes: tuple[int, ...],
    seeds: int,
    workers: int,
    save: str | None,
    parts: Parts,
) -> tuple[Outcome, network.Chosen]:
    """Return everything that is found, and the network to save."""
    study, notes = inputs.study, inputs.notes
    with parts.part("network to save", "What carries over, and the network to save"):
        candidates = network.candidates(arms, save)
        sources = pretrained(study, 0, (ARMS[0], *candidates))
        source, fresh = sources["trained"], study.build(0)
        copied = study.copy(source, fresh)
        parts.plain(f"{copied}\n")
        hints, reason = network.hints(study, source, fresh)
        parts.plain("hints before training: " + "; ".join(f"{name}: {value:.3f}" for name, value in hints.items()))
        if reason:
            notes.append(reason)
            parts.plain(reason)
        chosen = network.choose(study, candidates, sources, lambda line: parts.plain(f"  held-out examples, {line} %"))
        if save is not None:
            chosen = chosen._replace(why="--save asks for it")
        notes.append(f"{chosen.method!r} is saved: {chosen.why}")
        saliency, labels, seen = network.look_inside(study, source, fresh, chosen.model, inputs.encoding)
        notes.append(f"saliency is that of {seen}")
        parts.plain(f"saved is {chosen.method!r}: {chosen.why}")
    with parts.part("comparison", "Is it worth it?"):
        with runs_shown(parts.console, "runs") as progress:
            comparison = compare(study, sizes=sizes, seeds=seeds, arms=arms, workers=workers, progress=progress)
        parts.plain(comparison)
        for method in unsuited:
            parts.plain(f"not used here: {method.name}: {method.reason}")
    return Outcome(
        command="",
        kind="text" if inputs.encoding.kind == "ids" else inputs.encoding.kind,
        files={},
        sides=inputs.sides,
        network=dict(study.network),
        budget=study.budget,
        comparison=comparison,
        unsuited=unsuited,
        copied=copied,
        hints=hints,
        saliency=saliency,
        saliency_labels=labels,
        saved=chosen.method,
        saved_scores=chosen.scores,
        notes=notes,
        seconds=parts.seconds,
        workers=min(workers, seeds),
    ), chosen


def _rehearse(inputs: Inputs, folder: Path) -> None:
    """Write a fresh network with all that will stand beside it, read and remove it: what can't be written fails now.

    Raises
    ------
    ValueError, OSError
        It can't be.
    """
    study = inputs.study
    saved = Saved(study.target.classes, inputs.encoding, "", study.metric, {})
    with TemporaryDirectory(prefix=".", dir=folder) as drafts:
        draft = Path(drafts, "model.safetensors")
        save_network(study.build(0), saved, draft)
        load_network(str(draft))
        check_folder(folder, 2 * draft.stat().st_size)


def _write(outcome: Outcome, chosen: network.Chosen, inputs: Inputs, folder: Path) -> None:
    """Write pictures, numbers, report and network: all of them, or if there is no room for one, none."""
    images = pictures(outcome)
    html = page(outcome, images)
    study = inputs.study
    saved = Saved(study.target.classes, inputs.encoding, chosen.method, study.metric, chosen.scores)
    files = {**images, "results.json": json_bytes(outcome.as_dict()), "report.html": html.encode()}
    with TemporaryDirectory(prefix=".", dir=folder) as drafts:
        for name, data in files.items():
            write_atomically(Path(drafts, name), data, where="--out")
        save_network(chosen.model, saved, Path(drafts, "model.safetensors"))
        for draft in Path(drafts).iterdir():
            draft.replace(folder / draft.name)


def _conclude(outcome: Outcome, folder: Path, parts: Parts) -> None:
    parts.plain(outcome.verdict.statement)
    if outcome.doubt:
        parts.plain(outcome.doubt)
    for alarm in outcome.alarms:
        if alarm.arm != outcome.verdict.method:
            line = f"[bold red]{alarm.verdict}[/]: {alarm.arm} with {alarm.size:,} examples"
            parts.console.print(line, soft_wrap=True)
    score = outcome.saved_scores["test"]
    metric = outcome.comparison.metric.removesuffix(" in %")
    parts.plain(f"the saved network ({outcome.saved}) has {score:.1f} % {metric} on the test examples; it is used by")
    parts.plain(f"  {shlex.join(['rnn-core', 'predict', str(folder / 'model.safetensors')])} FILE")
    parts.plain(f"{folder / 'report.html'} tells it all ({sum(parts.seconds.values()):.0f} s)")
