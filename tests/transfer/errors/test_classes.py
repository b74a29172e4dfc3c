"""Classes with too few examples."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data import Examples
from rnn_core.training import SGD, fit
from tests.transfer.errors.world import VECTORS, Error, X, Y, check, named, untrained
from transfer import (
    SequenceLearner,
    TrAdaBoost,
    choose_hidden_size,
    coral,
    density_ratio,
    h_score,
    leep,
    logme,
    subspace_alignment,
)

ONE_EACH = (
    "{}: {} must have a class with two examples at least, got 8 classes of one each, whose examples have nothing in "
    "common; collect more of them"
)
RAREST = "choose_hidden_size: folds must be at most the number of examples of each class, got {}, and class {} has 1; …"


def sizes(labels, folds):
    return choose_hidden_size(untrained, untrained, Examples(X, np.array(labels)), sizes=[2, 3], folds=folds)


CLASSES = (
    Error("a class missing from a fold", lambda w: sizes([0, 0, 0, 1, 1, 1, 1, 2], 3), RAREST.format(3, 2)),
    Error("one example a class, in folds", lambda w: sizes(range(8), 2), RAREST.format(2, 0)),
    Error(
        "more folds than examples",
        lambda w: sizes(Y, 9),
        "choose_hidden_size: folds must be between 2 and the number of examples, 8, got 9",
    ),
    Error(
        "one example a class, H-score", lambda w: h_score(VECTORS, np.arange(8)), ONE_EACH.format("h_score", "labels")
    ),
    Error(
        "one example a class, LEEP",
        lambda w: leep(np.full((8, 2), 0.5), np.arange(8)),
        ONE_EACH.format("leep", "labels"),
    ),
    Error("one example a class, LogME", lambda w: logme(VECTORS, np.arange(8)), ONE_EACH.format("logme", "targets")),
    Error(
        "one class, H-score",
        lambda w: h_score(VECTORS, 0 * Y),
        "h_score: labels must be of two classes or more, got 0 alone",
    ),
    Error(
        "one class, boosted",
        lambda w: TrAdaBoost(SequenceLearner(w["lstm"], optimizer=SGD(0.1), epochs=1)).fit(X, 0 * Y, X, 0 * Y),
        "TrAdaBoost.fit: source_y and target_y must hold two classes or more together, got 0 alone",
    ),
    Error(
        "no class at all, boosted",
        lambda w: TrAdaBoost(SequenceLearner(w["lstm"], optimizer=SGD(0.1), epochs=1)).fit(X, Y, X[:0], Y[:0]),
        "TrAdaBoost.fit: target_y must be a class for each of 0 examples, got shape (0,)",
    ),
    Error(
        "a class that the head lacks",
        lambda w: fit(w["lstm"], Examples(X, Y + 1), optimizer=SGD(0.1), epochs=1, progress=False),
        "SoftmaxCrossEntropy.forward: targets must be in 0…1, got 2 at index (…,); the logits have 2 classes; met in …",
    ),
    Error(
        "one example, aligned",
        lambda w: coral(VECTORS[:1], VECTORS),
        "coral: source must have at least 2 rows, got 1; …",
    ),
    Error(
        "one example, in a subspace",
        lambda w: subspace_alignment(VECTORS, VECTORS[:1], 1),
        "subspace_alignment: target must have at least 2 rows, got 1; collect more examples",
    ),
    Error(
        "fewer examples than folds",
        lambda w: density_ratio(VECTORS[:3], VECTORS),
        "density_ratio: source must have at least 10 rows, got 3; collect more examples",
    ),
)


@pytest.mark.parametrize("error", named("classes", CLASSES))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)
