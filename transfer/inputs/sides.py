"""The sides of a study as they are read: source, target and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data.files.lines import named
from rnn_core.data.labelled import Labelled
from rnn_core.inputs.encoding import Encoding
from rnn_core.inputs.facts import listed
from rnn_core.inputs.how import How
from rnn_core.inputs.kinds import are_numbers, kind_of
from rnn_core.inputs.reading import Raw, has_test, read, running_text
from rnn_core.models import Model

from .saved import check_trainable, load_network

TEST_SHARE = 0.25
"""Of the target, where there is no test of its own, unless told otherwise."""


@dataclass(frozen=True)
class Wanted:
    """What the user has asked for, as far as it concerns the inputs; None where it is left to us."""

    target: str
    source: str | None = None
    source_model: str | None = None
    test: str | None = None
    vectors: str | None = None
    vectors_encoding: str = "utf-8"
    how: How = field(default_factory=How)
    source_how: How = field(default_factory=How)
    test_share: float | None = None
    level: str | None = None
    num_words: int | None = None
    keep_case: bool = False
    max_steps: int | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    balanced: bool = False
    cell_file: str | None = None

    def __post_init__(self) -> None:
        for name in ("how", "source_how"):  # long examples are cut while they are read, so that they are never held
            object.__setattr__(self, name, replace(getattr(self, name), max_steps=self.max_steps))


def target_and_test(wanted: Wanted) -> tuple[Raw, Raw]:
    """Return what is learned and what is judged by: a file of its own, the other half, or a part of the target."""
    target = read(wanted.target, wanted.how)
    _check_classes("--target", target, wanted.target)
    if len(target.classes) < 2:
        raise ValueError(
            f"--target must have two classes or more, got {listed(target.classes)} alone in {named(wanted.target)}"
        )
    if none := _without_example(target):
        raise ValueError(
            f"--target must have an example of each class that it declares, got none of {listed(none)} in "
            f"{named(wanted.target)}"
        )
    if wanted.test is None and not has_test(wanted.target, wanted.how):
        share = TEST_SHARE if wanted.test_share is None else wanted.test_share
        return _split(target, share, named(wanted.target))
    if wanted.test_share is not None:
        raise ValueError("--test-share must be left out where --target has a half to test on, which is judged by")
    test = read(wanted.test or wanted.target, wanted.how, "test")
    where = named(wanted.test or wanted.target)
    if test.kind != target.kind:
        raise ValueError(
            f"--test must be of the target's kind, {target.kind}, got {test.kind} in {where}; --kind names it"
        )
    if foreign := sorted(set(test.classes) - set(target.classes)):
        raise ValueError(
            f"--test must have the target's classes, {listed(target.classes)}, got {listed(foreign)} as well in {where}"
        )
    without = _without_example(test)
    if missing := [name for name in target.classes if name not in test.classes or name in without]:
        raise ValueError(
            f"--test must have an example of each class, got none of {listed(missing)} in {where}; leave --test "
            "out to split the target"
        )
    return target, test.among(target.classes)


def _without_example(data: Raw) -> list[str]:
    """Return the classes that a file declares and has no example of."""
    counts = np.bincount(data.targets, minlength=len(data.classes))
    return [name for name, count in zip(data.classes, counts, strict=True) if not count]


def _split(data: Raw, share: float, where: str) -> tuple[Raw, Raw]:
    """Return training and test examples, each class with its share of either."""
    counts = np.bincount(data.targets, minlength=len(data.classes))
    if counts.min() < 2:
        raise ValueError(
            f"--target must have two examples of each class to be split into training and test, got 1 of "
            f"{listed([data.classes[int(counts.argmin())]])} in {where}; add some, or name a --test"
        )
    rows = Labelled(np.arange(len(data.rows))[:, None], data.targets, data.classes)
    part, rest = rows.split(max(len(counts), min(round(share * len(rows)), len(rows) - len(counts))), 0)
    if not rest.counts.all():
        raise ValueError(
            f"--test-share must leave an example of each class to train on, got {share}, which leaves none of "
            f"{listed([data.classes[int(rest.counts.argmin())]])} in {where}"
        )
    return data.take(np.sort(rest.inputs[:, 0])), data.take(np.sort(part.inputs[:, 0]))


def _check_classes(option: str, data: Raw, path: str) -> None:
    """Raise ValueError for labels that are numbers to be met, and no classes."""
    if are_numbers(data.classes):
        raise ValueError(
            f"{option} must have classes for labels, got {len(data.classes):,} different numbers in "
            f"{len(data):,} examples of {named(path)}; `rnn-core transfer regression` learns to meet them"
        )


def source_of(wanted: Wanted) -> tuple[Model | str | Raw, Encoding | None]:
    """Return the source: a model and, if known, how it reads; or a text; or examples."""
    if wanted.source_model is not None:
        model, saved = load_network(wanted.source_model, wanted.cell_file)
        check_trainable(model, wanted.source_model)
        if not isinstance(model, SequenceClassifier):
            raise ValueError(
                f"--source-model must be a SequenceClassifier, got a {type(model).__name__} in "
                f"{named(wanted.source_model)}; train one with --source"
            )
        if saved is None and model.embedding is not None:
            raise ValueError(
                f"--source-model must say what its {model.config['vocab_size']:,} tokens stand for, got "
                f"{named(wanted.source_model)}, which `rnn-core transfer` has not written: its vocabulary is not known"
            )
        return model, None if saved is None else saved.encoding
    if wanted.source is None:
        raise ValueError("--source or --source-model must be given: what is learned there is carried over")
    lone_text = Path(wanted.source).suffix.lower() == ".txt" and not Path(wanted.source).is_dir()
    if lone_text and kind_of(wanted.source, wanted.source_how) != "series":
        return running_text(wanted.source, wanted.source_how), None
    raw = read(wanted.source, wanted.source_how)
    _check_classes("--source", raw, wanted.source)
    if len(raw.classes) < 2:
        raise ValueError(
            f"--source must have two classes or more, got {listed(raw.classes)} alone in {named(wanted.source)}"
        )
    return raw, None
