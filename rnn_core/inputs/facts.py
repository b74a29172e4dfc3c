"""What there is to say about the inputs of a run: facts of each side, and what the reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data import Tokenizer
from ..data.labelled import Labelled
from ..foreign import shown
from ..showing.table import table
from .encoding import Encoding
from .kinds import NUMERIC, share_of_numbers
from .reading import Raw

LONG, MANY_STEPS = 10, 1000
"""So many times as long as half of the examples, and so many steps at least, is worth a word."""

LINE = 140
"""Characters of names in a message."""

ONE_SIDED = 0.75
"""Share of a class in the test from which on the reader is told what always naming it would score."""


def facts(data: Labelled, raw: Raw) -> dict[str, Any]:
    """Return the facts of labelled examples."""
    lengths = np.full(len(data), data.inputs.shape[1]) if data.lengths is None else data.lengths
    facts: dict[str, Any] = {
        "examples": len(data),
        "classes": dict(zip(data.classes, data.counts.tolist(), strict=True)),
        "steps": (int(lengths.min()), int(np.median(lengths)), int(lengths.max())),
    }
    if data.tokens is not None:
        return facts | {"vocabulary": len(data.tokens)}
    return facts | {"features a step": data.features} | ({"samples a second": raw.rate} if raw.rate else {})


def note_reading(notes: list[str], sides: Mapping[str, Any]) -> None:
    """Say what the readers have left out or read in one of two ways, and what looks like something else."""
    said: set[str] = set()
    for option, raw in sides.items():
        if not isinstance(raw, Raw):
            continue
        found = list(raw.notes)
        if raw.kind == "text" and (share := share_of_numbers(raw.rows)) >= NUMERIC:
            found.append(f"{100 * share:.0f} % of the first words are numbers; --kind series reads series")
        notes += [f"{option}: {note}" for note in found if note not in said]
        said |= set(found)


def note_rows(notes: list[str], here: Encoding, *sides: Raw, whose: str = "target") -> None:
    """Say how many of the target's or the source's rows were cut, and how many hold nothing."""
    rows = [row for side in sides for row in side.rows]
    encoded = [here.tokenizer.encode(row) for row in rows] if here.tokenizer is not None else rows
    steps = [len(row) for row in encoded]
    if all(side.whole is not None for side in sides):  # cut while they were read
        steps = [int(count) for side in sides if side.whole is not None for count in side.whole]
    if here.max_steps and (cut := sum(count > here.max_steps for count in steps)):
        notes.append(f"{cut:,} of the {whose}'s {len(rows):,} examples are cut to their first {here.max_steps} steps")
    if blank := sum(not len(row) for row in encoded):
        notes.append(f"{blank:,} of the {whose}'s texts hold no token and are read as one unknown one")


def note_longest(notes: list[str], sides: Mapping[str, Any]) -> None:
    """Say which example asks for the memory, if one is many times as long as most."""
    for option, raw in sides.items():
        if isinstance(raw, Raw) and raw.kind in ("series", "waveforms"):
            steps = np.array([len(row) for row in raw.rows])
            longest, median = int(steps.argmax()), int(np.median(steps))
            if steps[longest] >= LONG * max(median, 1) and steps[longest] >= MANY_STEPS:
                notes.append(
                    f"{option}: {raw.places[longest]} has {steps[longest]:,} steps, half of the examples at most "
                    f"{median:,}: a batch with it takes as much for each of its examples; --max-steps cuts it"
                )


def longest(sides: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what to say of the longest example where the memory is too small; nothing if none is long."""
    steps = {side: found["steps"] for side, found in sides.items() if "steps" in found}
    side = max(steps, key=lambda name: steps[name][2], default="")
    if not side or steps[side][2] < MANY_STEPS:
        return ""
    _, median, most = steps[side]
    return f" (the longest example is of the {side}, {most:,} steps; half of them have at most {median:,})"


def note_test(notes: list[str], source: Any, target: Raw, test: Raw, balanced: bool) -> None:
    """Say what makes the test's scores look better than they are: examples that were learned, or one large class."""
    held = {_whole(row) for row in test.rows}
    for side, data in (("source", source), ("target", target)):
        if isinstance(data, Raw) and data.kind == test.kind:
            learned = {whole for row in data.rows if (whole := _whole(row)) in held}
            if count := sum(_whole(row) in learned for row in test.rows):
                notes.append(
                    f"{count:,} of the {len(test.rows):,} test examples are among those that the {side} is trained on, "
                    "to the letter: their scores say nothing of new ones"
                )
    counts = np.bincount(test.targets)
    share = counts.max() / counts.sum()
    if share >= ONE_SIDED and not balanced:
        notes.append(
            f"{100 * share:.1f} % of the test examples are {shown(test.classes[int(counts.argmax())], 40)}: always "
            "saying so has that accuracy; with --balanced each class counts the same"
        )


def _whole(row: Any) -> Any:
    """Return an example as something that can be looked up."""
    return row if isinstance(row, str) else (row.shape, row.tobytes())


def words_of(tokens: Tokenizer | Sequence[Any]) -> list[Any]:
    """Return a vocabulary in the order of its ids."""
    return list(tokens.tokens if isinstance(tokens, Tokenizer) else tokens)


def share_of(data: Labelled, ids: np.ndarray) -> float:
    """Return how many of all tokens are among these, in per cent."""
    lengths = np.full(len(data), data.inputs.shape[1]) if data.lengths is None else data.lengths
    valid = np.arange(data.inputs.shape[1]) < lengths[:, None]
    return round(100 * float(np.isin(data.inputs[valid], ids).mean()), 1)


def listed(names: Sequence[Any]) -> str:
    """Return names for a sentence: the first twelve of many, or as many as a line has room for."""
    said = [shown(name, 40) for name in names[:12]]
    while len(said) > 1 and sum(map(len, said)) > LINE:
        said.pop()
    return ", ".join(said) + (f" and {len(names) - len(said):,} more" if len(names) > len(said) else "")


def sides_table(sides: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]) -> str:
    """Return the facts of all sides as a table in plain text."""
    rows = []
    for side, found in sides.items():
        path = files.get(side) or files.get("source model" if side == "source" else "target", "")
        apart = ("examples", "classes", "steps")
        more = [f"{name}: {_said(value)}" for name, value in found.items() if name not in apart]
        steps = " / ".join(map(_said, found.get("steps", ())))
        cells = (_said(found.get("examples", "")), _classes(found.get("classes", {})), steps, ", ".join(more))
        rows.append((side, path, *cells))
    headings = ("", "file", "examples", "classes", "steps (least / median / most)", "more")
    return table(headings, rows, right=("examples",))


def _classes(counts: Mapping[str, int]) -> str:
    if len(counts) <= 4:
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())
    least, most = min(counts.values()), max(counts.values())
    return f"{len(counts)}, of {least:,} each" if least == most else f"{len(counts)}, of {least:,} to {most:,}"


def _said(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
