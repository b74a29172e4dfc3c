"""What the options of ``rnn-core transfer`` ask for: methods, inputs, the budget, sizes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rnn_core.inputs.how import How
from rnn_core.inputs.tables import table_options
from rnn_core.tasks.options import cell_options

from ..comparing.arms import Arm
from ..comparing.data_study import Budget
from ..inputs.gathering import Wanted
from ..methods.catalogue import METHODS, Unsuited, arms_for

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


def methods(
    study: Any, asked: Sequence[str] | None, usual: Sequence[str] = USUAL
) -> tuple[tuple[Arm, ...], tuple[Unsuited, ...]]:
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
    return tuple(a for a in arms if a.name in usual), tuple(u for u in unsuited if u.name in usual)


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


def wanted(args: argparse.Namespace, settings: Settings) -> Wanted:
    """Return what is asked for of the inputs."""
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
            "cell_options": cell_options(args) or None,
            "num_layers": args.layers,
            "bidirectional": args.bidirectional or None,
            "pooling": args.pooling,
        },
        args.balanced,
        args.cell_file,
    )


def budget(args: argparse.Namespace, settings: Settings) -> Budget:
    """Return the budget of every network."""
    given = {
        "source_updates": args.source_updates or settings.source_updates,
        "target_updates": args.updates or settings.updates,
        "batch_size": args.batch_size,
        "source_rate": args.source_rate,
        "rate": args.rate,
        "core_rate": args.core_rate,
    }
    return Budget(**{name: value for name, value in given.items() if value is not None}, clip_norm=1.0)


def sizes(counts: Any, asked: Sequence[int] | None, settings: Settings) -> tuple[int, ...]:
    """Return numbers of examples to train on, out of so many of each class.

    Raises
    ------
    ValueError
        There are not so many, or a class would have none.
    """
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


def files(args: argparse.Namespace) -> dict[str, str]:
    """Return the paths that were given, by role."""
    roles = ("source", "source_model", "target", "test", "vectors")
    return {role.replace("_", " "): path for role in roles if (path := getattr(args, role, None)) is not None}
