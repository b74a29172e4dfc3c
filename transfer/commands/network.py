"""The network that is saved: which method's it is, what it was chosen by, and a look inside before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data.labelled import Labelled
from rnn_core.inputs.encoding import Encoding
from rnn_core.inputs.facts import words_of
from rnn_core.models import Model
from rnn_core.models.answers import answers

from ..choosing.hints import h_score, leep, logme
from ..comparing.arms import Arm
from ..comparing.data_study import DataStudy
from ..comparing.kept import KeptRuns
from ..comparing.runs import run_one, trained
from ..inputs.files_study import FilesStudy
from ..methods.catalogue import METHODS
from ..methods.on_features import features_of
from ..showing.saliency import Saliency, step_saliency

NO_NETWORK = ("SVM", "random forest", "TrAdaBoost")
"""Methods that do not end in one network."""

MOST_HINTED = 500
"""Examples that hints are worked out from."""

MOST_STEPS = 60
"""Of an example that is looked into, if there is one so short."""


class Chosen(NamedTuple):
    """The network to save.

    Attributes
    ----------
    method : str
    model : Model
    scores : dict of str to float
        On "validation" data, which it was chosen by, if there were any, and on "test" data.
    tried : dict of str to float
        Each method's score on the validation data.
    why : str
        A sentence on the choice.
    """

    method: str
    model: Any
    scores: dict[str, float]
    tried: dict[str, float]
    why: str


def check_choice(wanted: str | None, arms: Sequence[Arm]) -> None:
    """Raise ValueError if there is no network of the method that is to be saved."""
    names = [arm.name for arm in arms]
    if wanted is None:
        return
    if wanted in NO_NETWORK:
        others = [name for name in names if name not in NO_NETWORK]
        raise ValueError(
            f"--save must be a method that ends in one network, got {wanted!r}, which doesn't; "
            + (f"take one of {', '.join(others)}" if others else "add one to --methods")
        )
    if wanted not in names:
        raise ValueError(f"--save must be one of the methods, {', '.join(names)}, got {wanted!r}; add it to --methods")


def candidates(arms: Sequence[Arm], wanted: str | None) -> list[Arm]:
    """Return the methods among which the network to save is chosen: the controls are for knowledge alone."""
    if wanted is not None:
        return [arm for arm in arms if arm.name == wanted]
    return [arm for arm in arms if arm.name not in NO_NETWORK and not METHODS[arm.name].startswith("control")]


class Trial(NamedTuple):
    """What methods are tried on, so that one of them can be chosen.

    Attributes
    ----------
    study : DataStudy
        A part of the target is held out, and scored by.
    size : int
        All that is left to train on.
    said : str
        What was held out, in words.
    """

    study: DataStudy
    size: int
    said: str


def trial(study: FilesStudy) -> Trial | str:
    """Return a study that holds out a fifth of the target's training examples, or a reason why it can't be."""
    target = study.target
    if target.counts.min() < 2:
        return "the first of the methods: where a class has one example, none can be held out to choose by"
    held_out, rest = target.split(max(len(target.classes), len(target) // 5), [0, 6])
    return Trial(
        replace(study, target=rest, test=held_out), len(rest), f"{len(held_out):,} examples that were held out"
    )


def choose(
    study: DataStudy,
    whole: int,
    trial: Trial | str,
    arms: Sequence[Arm],
    sources: Mapping[Any, Model],
    tell: Callable[[str], None],
    keep: Path | None = None,
) -> Chosen:
    """Choose a method by a part of the target's training data, and train it on all of them with seed 0.

    Parameters
    ----------
    study : DataStudy
    whole : int
        The size that is all of the target's training data.
    trial : Trial or str
        What it is chosen by, or a reason why there is nothing to choose by.
    arms : sequence of Arm
        The `candidates`.
    sources : mapping
        The sources that they begin with, from `pretrained` with seed 0.
    tell : callable
        Is told each method that is tried, and its score.
    keep : Path, optional
        Where the scores are kept, and found again by a run that goes on.
    """
    tried: dict[str, float] = {}
    best = arms[0]
    if len(arms) == 1:
        why = "there was no other to choose from"
    elif isinstance(trial, str):
        why = trial
    else:
        kept = None if keep is None else KeptRuns(keep, trial.study, resume="auto")
        for arm in arms:
            run = None if kept is None else kept.find(arm, trial.size, 0)
            if run is None:
                run = run_one(trial.study, arm, trial.size, 0, sources)
                run = run if kept is None else kept.add(run, arm)
            tried[arm.name] = run.score
            tell(f"{arm.name}: {tried[arm.name]:.{1 if study.metric.endswith('in %') else 4}f}")
        sign = 1 if study.higher_is_better else -1
        best = max(arms, key=lambda arm: _finite(sign * tried[arm.name]))  # of equals the first
        why = f"the best, or the first of the best, on {trial.said}"
    model, _ = trained(study, best, whole, 0, sources[best.source] if best.source else None)
    scores = {"validation": tried[best.name]} if best.name in tried else {}
    return Chosen(best.name, model, {**scores, "test": study.score(model)}, tried, why)


def _finite(score: float) -> float:
    """Return a score that can be compared: no number is worse than any."""
    return score if isfinite(score) else -inf


def hints(study: FilesStudy, source: Model, copied: Any) -> tuple[dict[str, float], str]:
    """Return what can be said of the source before any training, and why something is missing.

    Parameters
    ----------
    study : FilesStudy
    source : Model
        Trained on the source.
    copied : SequenceClassifier
        The target's, with what carries over in it.
    """
    data = study.target if len(study.target) <= MOST_HINTED else study.target.draw(MOST_HINTED, [0, 7])
    found: dict[str, float] = {}
    try:
        cores: tuple[tuple[str, Any], ...] = (("source's core", copied), ("fresh core", study.build(0)))
        for name, model in cores:
            features = features_of(model, data)
            found[f"H-score, {name}"] = h_score(features, data.targets)
            found[f"LogME, {name}"] = logme(features, data.targets)
        if isinstance(source, SequenceClassifier) and reads(study, source) and source.num_classes > 1:
            found["LEEP, source's answers"] = leep(answers(source, data.inputs, data.lengths), data.targets)
    except ValueError as error:  # too few examples, or features that say nothing
        return found, f"some hints are missing: {error}"
    return found, ""


def reads(study: FilesStudy, source: Model) -> bool:
    """Whether a source can be given the target's sequences: as many features, or the same tokens."""
    if study.target.features is not None:
        return bool(source.config.get("input_size") == study.target.features)
    if study.source_tokens is None or study.target.tokens is None:
        return False
    return words_of(study.source_tokens) == words_of(study.target.tokens)


def look_inside(
    study: FilesStudy, source: Model, copied: Any, after: SequenceClassifier, encoding: Encoding
) -> tuple[dict[str, Saliency], list[str], str]:
    """Return a test example's saliency before and after transfer, its steps' labels, and what there is to see.

    Before transfer it is the source that is asked, for its own likeliest class, if it can read the example; else the
    network with what carries over in it, untrained.
    """
    example = _example(study.test, after)
    inputs, lengths, target = example.inputs, example.lengths, int(example.targets[0])
    first: Any = copied
    who = "the untrained network that what carries over was copied into"
    if isinstance(source, SequenceClassifier) and reads(study, source):
        first, who = source, "the source's network, about its own likeliest class"
    asked = None if first is source else target
    options: dict[str, Any] = {"tolerance": 1e-3}
    found = {
        "before transfer": step_saliency(first, inputs, lengths, target=asked, **options),
        "after transfer": step_saliency(after, inputs, lengths, target=target, **options),
    }
    steps = inputs.shape[1] if lengths is None else int(lengths[0])
    name = study.target.classes[target]
    return found, _labels(encoding, inputs[0, :steps]), f"a test example of {name!r}; before transfer: {who}"


def _example(test: Labelled, model: SequenceClassifier) -> Labelled:
    """Return a short test example that the network tells right, or else the first."""
    some = test.rows(slice(0, 512))
    right = answers(model, some.inputs, some.lengths).argmax(axis=1) == some.targets
    rows = np.flatnonzero(right & (some.steps <= MOST_STEPS))
    row = int(rows[np.argmax(some.steps[rows])]) if len(rows) else int(np.argmax(right))
    one = some.rows(slice(row, row + 1))
    return replace(one, inputs=np.asarray(one.inputs)[:, : one.steps[0]], lengths=None)


def _labels(encoding: Encoding, steps: np.ndarray) -> list[str]:
    """Return what stood at each step: a token, a number, or where that says nothing, the step's own number."""
    if encoding.tokens is not None:
        words = words_of(encoding.tokens)
        return [words[token] for token in steps]
    if steps.shape[1] == 1 and encoding.kind == "series":
        values = steps[:, 0] * encoding.scale[0] + encoding.mean[0]
        return [f"{value:.4g}" for value in values]
    return [str(step) for step in range(len(steps))]
