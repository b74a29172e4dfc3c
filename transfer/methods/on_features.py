"""Methods of a comparison that leave the core as it is and learn from what it makes of the examples, or from examples
of both tasks at once.

A linear classifier of pooled features is a head. So the logistic regressions end up in the model's own head, and the
result is a network like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Ragged
from rnn_core.data.labelled import Labelled
from rnn_core.data.ragged import pieces
from rnn_core.layers.checks import positive_int
from rnn_core.models.answers import AT_ONCE
from rnn_core.training import Adam, Cosine

from ..comparing.arms import Method, Start, Trained, one_of
from ..comparing.data_study import BOOSTED, DataStudy
from ..features.estimator import RNNFeatures
from ..instances.alignment import Alignment, coral, subspace_alignment
from ..instances.boosting import MisleadingSource, SequenceLearner, TrAdaBoost
from .learning import classification, no_classes, shared_question


@dataclass(frozen=True)
class Features(Method):
    """A classifier of scikit-learn on the pooled features of the core, which stays as it began; see `RNNFeatures`.

    Parameters
    ----------
    classifier : {"logistic", "svm", "forest"}
    """

    classifier: str = "logistic"

    def __post_init__(self) -> None:
        one_of("Features", "classifier", self.classifier, ("logistic", "svm", "forest"))

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return no_classes(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Compute the features once, and fit the classifier; a logistic regression becomes the model's head."""
        model, examples = start.model, classification(study).examples(start.size, start.seed)
        features = features_of(model, examples)
        if self.classifier == "logistic":
            set_head(model, features, examples.targets)
            return Trained(model)
        return Trained(OnFeatures(model, _classifier(self.classifier, start.seed).fit(features, examples.targets)))


@dataclass(frozen=True)
class Aligned(Method):
    """A logistic regression on the source's features, moved to where the target's lie, and on the target's own.

    See `coral` and `subspace_alignment`. The core stays as it began. The target's training inputs are all looked at,
    whatever the size, but the labels of so many alone.

    Parameters
    ----------
    kind : {"coral", "subspace"}
    """

    kind: str = "coral"

    def __post_init__(self) -> None:
        one_of("Aligned", "kind", self.kind, ("coral", "subspace"))

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return shared_question(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Align with all of the target's training inputs, whose labels are not looked at, and fit the head."""
        study, model = classification(study), start.model
        source, examples = study.labelled_source, study.examples(start.size, start.seed)
        there, here, few = (features_of(model, data) for data in (source, study.target, examples))
        if not (there.std(axis=0).any() and here.std(axis=0).any()):  # a core that says nothing has no directions
            set_head(model, few, examples.targets)
            return Trained(model, {"refused": "the core makes the same features of everything"})
        moved, record = self._alignment(there, here)
        rows = np.concatenate([moved.source(there), moved.target(few)])
        labels = np.concatenate([source.targets, examples.targets])
        set_head(model, rows, labels, moved)
        return Trained(model, record)

    def _alignment(self, there: np.ndarray, here: np.ndarray) -> tuple[Alignment, dict[str, Any]]:
        if self.kind == "coral":
            return coral(there, here, ridge=1e-2), {}
        # As many directions as hold 99 % of the variance on the poorer side.
        dimensions = min(_directions(there), _directions(here))
        return subspace_alignment(there, here, dimensions), {"dimensions": dimensions}


@dataclass(frozen=True)
class Boosted(Method):
    """Networks that vote, trained on both tasks' examples, of which some count more; see `TrAdaBoost`.

    Parameters
    ----------
    rounds : int
        Each of so many networks has the whole budget.
    most : int
        Examples of the source that take part, as a batch has all examples there are.
    """

    rounds: int = 4
    most: int = 300

    def __post_init__(self) -> None:
        positive_int("Boosted", "rounds", self.rounds)
        positive_int("Boosted", "most", self.most)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return shared_question(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Boost, beginning each round with the arm's model."""
        study, b = classification(study), study.budget
        source, examples = study.labelled_source, study.examples(start.size, start.seed)
        if len(source) > self.most:
            source = source.rows(np.random.default_rng([start.seed, BOOSTED]).permutation(len(source))[: self.most])
        learner = SequenceLearner(
            start.model,
            optimizer=Adam(b.rate),
            epochs=b.target_updates,
            updates=replace(start.plan, schedule=None).resolve(start.model),
            schedule=start.plan.schedule or Cosine,
            clip_norm=b.clip_norm,
            seed=start.dropout,
        )
        rows = sequences(examples)
        try:
            boost = TrAdaBoost(learner, self.rounds).fit(sequences(source), source.targets, rows, examples.targets)
        except MisleadingSource as error:  # what is left is the target alone
            study.train(start.model, start.plan, start.size, start.seed)
            return Trained(start.model, {"refused": str(error)})
        return Trained(Voting(boost), {"errors": boost.errors})


class OnFeatures:
    """A core with a classifier of scikit-learn above it."""

    def __init__(self, model: SequenceClassifier, classifier: Any) -> None:
        self.model, self.classifier = model, classifier

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Return the class of each sequence."""
        return np.asarray(self.classifier.predict(pooled(self.model, inputs, lengths)))


class Voting:
    """What `TrAdaBoost` has made, for padded sequences."""

    def __init__(self, boost: TrAdaBoost) -> None:
        self.boost = boost

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Return the class of each sequence."""
        return self.boost.predict(_rows(inputs, lengths))


def pooled(model: SequenceClassifier, inputs: Any, lengths: np.ndarray | None) -> np.ndarray:
    """Return the pooled features of sequences, (N, F), as the model's head gets them."""
    if isinstance(inputs, Ragged):  # a piece at a time: one long sequence is not to be the measure of all
        parts = [pooled(model, list(inputs.take(rows)), None) for rows in pieces(inputs.lengths, AT_ONCE)]
        return np.concatenate(parts)
    return RNNFeatures(model, pooling=model.config["pooling"]).fit_transform(inputs, lengths=lengths)


def features_of(model: SequenceClassifier, data: Labelled) -> np.ndarray:
    """Return `pooled` features of examples, in float64."""
    return pooled(model, data.inputs, data.lengths).astype(np.float64)


def sequences(data: Labelled) -> list[np.ndarray]:
    """Return sequences as a list, so that those of a source and a target may differ in length."""
    return _rows(data.inputs, data.lengths)


def set_head(model: SequenceClassifier, rows: np.ndarray, labels: np.ndarray, moved: Alignment | None = None) -> None:
    """Fit a logistic regression on standardised features, and write it into a model's head.

    Parameters
    ----------
    model : SequenceClassifier
    rows : array, shape (n, F)
    labels : array of int, shape (n,)
    moved : Alignment, optional
        Rows are what its target map makes of the model's features; then the head makes it, too.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 1e-6 * scale.max(initial=0), scale, 1.0)  # a unit that is always the same says nothing
    found = LogisticRegression(max_iter=2000).fit((rows - mean) / scale, labels)
    weight, bias = found.coef_, found.intercept_
    if len(weight) == 1:  # of two classes scikit-learn keeps the difference
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scale
    bias = bias - weight @ mean
    if moved is not None:
        weight = weight @ moved.target_map.T
        bias = bias - weight @ moved.target_mean
    head, classes = model.parameters["head.weight"], found.classes_
    head[...] = 0
    head[classes] = weight
    model.parameters["head.bias"][...] = NEVER
    model.parameters["head.bias"][classes] = bias


NEVER = -1e4
"""The logit of a class that no example has."""


def _classifier(kind: str, seed: int) -> Any:
    """Return a classifier of scikit-learn by name."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if kind == "svm":
        return make_pipeline(StandardScaler(), SVC())
    return RandomForestClassifier(200, random_state=seed, n_jobs=1)


def _rows(inputs: np.ndarray | Ragged, lengths: np.ndarray | None) -> list[np.ndarray]:
    return list(inputs) if lengths is None else [row[:n] for row, n in zip(inputs, lengths, strict=True)]


def _directions(rows: np.ndarray) -> int:
    """Return how many directions hold 99 % of the variance."""
    variance = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    return int(np.searchsorted(np.cumsum(variance) / variance.sum(), 0.99)) + 1
