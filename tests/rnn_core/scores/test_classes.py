"""Scores of classes and of numbers, beside scikit-learn's, and where there is none of a class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from rnn_core.scores import accuracy, balanced_accuracy, confusion, f1, macro_f1, missed, precisions, recalls


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn_counts(seed) -> None:
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 6))
    targets, said = rng.integers(0, K, (2, 40))
    matrix = confusion(targets, said, K)
    labels = list(range(K))
    assert matrix.tolist() == metrics.confusion_matrix(targets, said, labels=labels).tolist()
    assert accuracy(matrix) == metrics.accuracy_score(targets, said)
    assert balanced_accuracy(matrix) == pytest.approx(metrics.balanced_accuracy_score(targets, said), rel=1e-12)
    assert macro_f1(matrix) == pytest.approx(metrics.f1_score(targets, said, average="macro"), rel=1e-12)
    for ours, theirs in ((recalls, metrics.recall_score), (precisions, metrics.precision_score)):
        assert ours(matrix) == pytest.approx(theirs(targets, said, average=None, labels=labels), rel=1e-12)


def test_a_class_that_is_not_there_counts_nowhere() -> None:
    matrix = confusion(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 4)
    assert np.isnan(recalls(matrix)[2:]).all()
    assert np.isnan(precisions(matrix)[2:]).all()
    assert np.isnan(f1(matrix)[2:]).all()
    assert balanced_accuracy(matrix) == 0.75
    assert macro_f1(matrix) == pytest.approx((2 / 3 + 4 / 5) / 2)
    said = confusion(np.array([0, 0]), np.array([0, 2]), 3)  # class 2 is said, and isn't there
    assert f1(said)[2] == 0
    assert balanced_accuracy(said) == 0.5


@pytest.mark.parametrize(
    ("targets", "said", "kind", "message"),
    [
        ([0, 1], [0], ValueError, "answers must have shape"),
        ([], [], (TypeError, ValueError), "targets must"),
        ([0, 2], [0, 1], ValueError, r"targets must be in 0…1, as there are 2 classes, got 0 to 2"),
        ([0, 1], [0, -1], ValueError, r"answers must be in 0…1, as there are 2 classes, got -1 to 0"),
        ([0.0, 1.0], [0, 1], TypeError, "targets must be integers"),
    ],
)
def test_what_is_no_class_is_refused(targets, said, kind, message) -> None:
    with pytest.raises(kind, match=message):
        confusion(np.array(targets), np.array(said), 2)


def test_numbers_as_scikit_learn_counts() -> None:
    targets, said = np.random.default_rng(0).normal(size=(2, 30))
    found = missed(targets, said)
    assert found["MAE"] == pytest.approx(metrics.mean_absolute_error(targets, said), rel=1e-12)
    assert found["RMSE"] == pytest.approx(metrics.mean_squared_error(targets, said) ** 0.5, rel=1e-12)
    assert found["R²"] == pytest.approx(metrics.r2_score(targets, said), rel=1e-12)
    assert missed(targets, targets)["R²"] == 1
    assert np.isnan(missed(np.ones(3), np.ones(3))["R²"])
    with pytest.raises(ValueError, match="outputs must have the shape of targets"):
        missed(np.ones(3), np.ones(2))
