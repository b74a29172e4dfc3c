"""What is known of labelled examples, which of them can be learned, and how many are told right."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.files.lines import named
from ..data.scaling import Scaling
from ..inputs.encoding import Encoding
from ..inputs.facts import listed
from ..inputs.kinds import are_numbers
from ..inputs.reading import Raw
from ..inputs.vectors import KnownWords


@dataclass(frozen=True)
class Learned:
    """What is known of the examples that were trained on.

    Attributes
    ----------
    encoding : Encoding
    classes : tuple of str
        Empty where numbers are to be met.
    numbers : Scaling, optional
        Of these numbers.
    metric : str
        The score that counts: "accuracy in %", "balanced accuracy in %" or "RMSE".
    words : KnownWords, optional
        What the embedding begins with.
    """

    encoding: Encoding
    classes: tuple[str, ...]
    numbers: Scaling | None
    metric: str
    words: KnownWords | None = field(default=None, compare=False)


def channels_first(inputs: Any, lengths: np.ndarray | None) -> np.ndarray:
    """Return series (N, T, I) as convolutions read them, (N, I, T), if all are equally long."""
    if lengths is not None:
        raise ValueError(
            f"series must be equally long for a ConvClassifier, got some of {lengths.min()} to {lengths.max()} steps"
        )
    return np.ascontiguousarray(inputs.swapaxes(1, 2))


def check_effects(args: argparse.Namespace, found: Raw) -> None:
    """Raise ValueError for an option that nothing here heeds."""
    for name, value, heed in (
        ("--level", args.level, ("text",)),
        ("--keep-case", args.keep_case, ("text",)),
        ("--num-words", args.num_words, ("text", "ids")),
        ("--frame", args.frame, ("waveforms",)),
        ("--sample-rate", args.sample_rate, ("waveforms",)),
        ("--missing", args.missing, ("series",)),
        ("--vectors", args.vectors, ("text",)),
    ):
        if value and found.kind not in heed:
            raise ValueError(f"{name} must be left out with {found.kind}; it is for {' and '.join(heed)}")


def check_labels(found: Raw, path: str, args: argparse.Namespace) -> None:
    """Raise ValueError for labels that can't be learned: one class, or numbers that are no classes."""
    if args.regression:
        if len(found.numbers) and len(found.classes) < 2:
            raise ValueError(f"--data must have two different numbers or more, got one alone in {named(path)}")
        return
    if are_numbers(found.classes):
        raise ValueError(
            f"--data must have classes for labels, got {len(found.classes):,} different numbers in {len(found):,} "
            f"examples of {named(path)}; --regression learns to meet them"
        )
    if len(found.classes) < 2:
        raise ValueError(f"--data must have two classes or more, got {listed(found.classes)} alone in {named(path)}")


def targets_of(how: Learned, examples: Raw) -> np.ndarray:
    """Return what a network is to say: numbers of the classes that it knows, or numbers on its scale."""
    if how.numbers is not None:
        return how.numbers.apply(examples.numbers[:, None])[:, 0].astype(np.float32)
    if foreign := [name for name in examples.classes if name not in how.classes]:
        counts = np.bincount(examples.targets, minlength=len(examples.classes))
        foreign = [name for name in foreign if counts[examples.classes.index(name)]]
        if foreign:
            raise ValueError(
                f"its classes must be those that are trained on, {listed(how.classes)}, got {listed(foreign)} as well"
            )
    number = {name: k for k, name in enumerate(how.classes)}
    return np.array([number.get(name, -1) for name in examples.classes])[examples.targets]


def told(how: Learned, examples: Raw, best: np.ndarray) -> str:
    """Say how many are right, if that is known, and what that makes by the metric of the run."""
    count = counted(len(examples), "example")
    if examples.labels is None:
        return f"{count}; the file has no classes to compare with"
    hint = "; if a line begins with the series itself, --no-label" if examples.kind == "series" else ""
    if not set(examples.classes) & set(how.classes):
        return f"{count}; the file's classes, {listed(examples.classes)}, are none of the network's{hint}"
    labelled = examples.labels >= 0
    labels = examples.labels[labelled]
    right = np.array(how.classes)[best][labelled] == np.array(examples.classes)[labels]
    some = "" if labelled.all() else f" of the {labelled.sum():,} that have a label"
    said = f"{count}; {right.sum():,}{some} told as the file has them, {100 * float(right.mean()):.1f} %"
    if how.metric.startswith("balanced"):
        shares = [right[labels == k].mean() for k in np.unique(labels)]  # a class that is declared may have no example
        said += f"; balanced accuracy, as in the run: {100 * float(np.mean(shares)):.1f} %"
    if foreign := [name for name in examples.classes if name not in how.classes]:
        said += f"; classes that the network does not know are never said: {listed(foreign)}"
    return said


def counted(count: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
