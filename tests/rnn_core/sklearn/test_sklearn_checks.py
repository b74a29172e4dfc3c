"""scikit-learn's own checks of an estimator: the judge of what an estimator is. Small networks, on plain NumPy."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from rnn_core.sklearn import RNNClassifier, RNNForecaster, RNNRegressor, RNNTagger

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",  # few epochs are enough to be checked
    "ignore::sklearn.exceptions.SkipTestWarning",
)

SMALL = {
    "hidden_size": 8, "max_iter": 60, "learning_rate": 0.05, "batch_size": 1000, "dtype": "float64",
    "backend": "numpy", "cell": "rnn",
}  # fmt: skip
"""All cases are one batch: only then is a weight of 2 the same as a case twice, to the last digit but rounding."""

A_SERIES = "an array (T,) is one series, and not a sample that lacks an axis"
EXPECTED = {"RNNForecaster": {"check_fit1d": A_SERIES, "check_fit2d_predict1d": A_SERIES}}
"""Of each estimator what it is to fail, and why."""


def expected(estimator):
    """Return what an estimator is to fail."""
    return EXPECTED.get(type(estimator).__name__, {})


@parametrize_with_checks(
    [
        RNNClassifier(**SMALL),
        RNNRegressor(**SMALL),
        RNNTagger(**SMALL).set_params(max_iter=20),
        RNNForecaster(**SMALL, context=1, horizon=1),
    ],
    expected_failed_checks=expected,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
