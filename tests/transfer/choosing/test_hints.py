"""Transferability hints: H-score, LEEP and LogME against plain definitions, their bounds and their invariances."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import Adam, fit
from transfer.choosing.hints import h_score, leep, logme


def sample(n=40, d=3, classes=3, spread=1.0, seed=0):
    """Return features that depend on their labels, and the labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = spread * rng.standard_normal((classes, d))
    return centres[labels] + rng.standard_normal((n, d)), labels


def probabilities(n=30, classes=4, seed=1):
    raw = np.random.default_rng(seed).exponential(size=(n, classes))
    return raw / raw.sum(axis=1, keepdims=True)


def rotation(d, seed=2):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


# --- H-score


def h_score_by_loops(features, labels, alpha):
    """Return tr(Σ_α⁻¹ (1 − α) Σ_z), number by number."""
    n, d = features.shape
    mean = [sum(features[i][j] for i in range(n)) / n for j in range(d)]
    total, between = np.zeros((d, d)), np.zeros((d, d))
    for i in range(n):
        same = [k for k in range(n) if labels[k] == labels[i]]
        centre = [sum(features[k][j] for k in same) / len(same) for j in range(d)]
        for a in range(d):
            for b in range(d):
                total[a, b] += (features[i][a] - mean[a]) * (features[i][b] - mean[b]) / n
                between[a, b] += (centre[a] - mean[a]) * (centre[b] - mean[b]) / n
    shrunk = (1 - alpha) * total + alpha * np.trace(total) / d * np.eye(d)
    return np.trace(np.linalg.inv(shrunk) @ ((1 - alpha) * between))


def shrinkage_by_loops(features):
    """Return Ledoit's and Wolf's α: how much the products of single examples scatter, by how far Σ is from round."""
    f = features - features.mean(axis=0)
    n, d = f.shape
    cov = f.T @ f / n
    far = ((cov - np.trace(cov) / d * np.eye(d)) ** 2).sum()
    scatter = sum(((np.outer(row, row) - cov) ** 2).sum() for row in f) / n**2
    return min(scatter, far) / far


@pytest.mark.parametrize("n, d", [(40, 3), (12, 5), (10, 20)])
def test_h_score_is_its_definition(n, d):
    features, labels = sample(n, d)
    alpha = shrinkage_by_loops(features)
    assert 0 < alpha < 1
    assert h_score(features, labels) == pytest.approx(h_score_by_loops(features, labels, alpha), rel=1e-10)


def test_h_score_of_a_large_sample_is_the_one_without_shrinkage():
    features, labels = sample(30_000, spread=2.0)
    f = features - features.mean(axis=0)
    centres = np.stack([f[labels == k].mean(axis=0) for k in range(3)])[labels]
    plain = np.trace(np.linalg.inv(f.T @ f) @ (centres.T @ centres))
    assert h_score(features, labels) == pytest.approx(plain, rel=1e-3)


def test_h_score_lies_between_its_bounds():
    features, labels = sample(200, d=5, spread=1e3)
    assert 0 <= h_score(features, labels) <= 2 + 1e-12
    assert h_score(*sample(3000, d=2, spread=30.0)) > 1.8  # three far clusters in a plane: nearly the bound


def test_h_score_takes_constant_and_many_features():
    features, labels = sample(60, d=4)
    wider = np.hstack([features, np.full((60, 2), 7.0)])
    assert np.isfinite(h_score(wider, labels))
    assert np.isfinite(h_score(sample(10, d=300)[0], np.arange(10) % 2))


# --- LEEP


def leep_by_loops(theta, labels):
    n, Z = theta.shape
    total = 0.0
    for i in range(n):
        likelihood = 0.0
        for z in range(Z):
            joint = sum(theta[k][z] for k in range(n) if labels[k] == labels[i]) / n
            marginal = sum(theta[k][z] for k in range(n)) / n
            likelihood += joint / marginal * theta[i][z]
        total += np.log(likelihood)
    return total / n


def test_leep_is_its_definition():
    theta, labels = probabilities(), np.random.default_rng(0).integers(0, 3, 30)
    assert leep(theta, labels) == pytest.approx(leep_by_loops(theta, labels), rel=1e-12)


def test_leep_is_at_most_0_and_0_for_a_source_that_knows():
    labels = np.arange(12) % 3
    assert leep(np.eye(3)[labels], labels) == 0
    assert leep(np.eye(5, dtype=np.float32)[[4, 1, 2]][labels], labels) == 0  # a class that never comes is no trouble
    assert leep(1.0005 * np.eye(3)[labels], labels) == 0  # rounded probabilities
    for seed in range(5):
        assert leep(probabilities(seed=seed).astype(np.float32), np.arange(30) % 2) <= 0


def test_leep_of_a_source_that_says_nothing_is_the_labels_entropy():
    labels = np.array([0, 0, 0, 1])
    assert leep(np.full((4, 3), 1 / 3), labels) == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25), rel=1e-12)


# --- LogME


def evidence(features, y, alpha, beta):
    """Return 1/n log N(y; 0, I/β + F Fᵀ/α), from the n×n covariance."""
    n = len(y)
    cov = np.eye(n) / beta + features @ features.T / alpha
    return -0.5 * (n * np.log(2 * np.pi) + np.linalg.slogdet(cov)[1] + y @ np.linalg.solve(cov, y)) / n


def evidence_by_brute_force(features, y):
    """Return the largest evidence, over a grid of both precisions and then downhill from its best place."""
    grid = np.linspace(-8, 8, 33)
    best = max(((a, b) for a in grid for b in grid), key=lambda at: evidence(features, y, *np.exp(at)))
    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}
    found = minimize(lambda at: -evidence(features, y, *np.exp(at)), best, method="Nelder-Mead", options=options)
    return -found.fun


@pytest.mark.parametrize("n, d", [(9, 2), (7, 6)])
def test_logme_of_a_regression_is_the_largest_evidence(n, d):
    rng = np.random.default_rng(3)
    features = rng.standard_normal((n, d))
    y = np.stack([features[:, 0] + 0.5 * rng.standard_normal(n), 3 * features[:, 1] - rng.standard_normal(n)], axis=1)
    expected = [evidence_by_brute_force(features, column) for column in y.T]
    assert logme(features, y) == pytest.approx(np.mean(expected), abs=1e-9)
    assert logme(features, y[:, 0]) == pytest.approx(expected[0], abs=1e-9)


def test_logme_of_classes_is_the_mean_over_their_columns():
    features, labels = sample(10, d=2)
    expected = [evidence_by_brute_force(features, (labels == k) * 1.0) for k in range(3)]
    assert logme(features, labels) == pytest.approx(np.mean(expected), abs=1e-9)
    assert logme(features, labels * 7 - 5) == pytest.approx(np.mean(expected), abs=1e-9)
    assert logme(features, labels == 0) == pytest.approx(np.mean([logme(features, (labels == 0) * 1.0),
                                                                  logme(features, (labels != 0) * 1.0)]))  # fmt: skip


def test_logme_of_useless_features_is_the_evidence_of_noise():
    """Features at right angles to y want α = ∞: what is left is y as noise alone."""
    features, y = np.array([[1.0], [1.0], [1.0], [1.0]]), np.array([1.0, -1.0, 2.0, -2.0])
    assert logme(features, y) == pytest.approx(-0.5 * (np.log(2 * np.pi * 2.5) + 1), abs=1e-9)


def test_logme_is_infinite_where_a_head_gives_the_targets_exactly():
    features, _ = sample(20, d=3)
    assert logme(features, features @ [1.0, -2.0, 0.5]) == np.inf
    assert np.isfinite(logme(sample(4, d=9)[0], np.array([1.0, 2.0, -1.0, 0.3])))  # more features than examples


@pytest.mark.parametrize("scale", (1e-200, 1e-3, 1e150))
def test_hints_don_t_depend_on_the_features_scale(scale):
    features, labels = sample()
    assert logme(scale * features, labels) == pytest.approx(logme(features, labels), abs=1e-9)
    assert h_score(scale * features, labels) == pytest.approx(h_score(features, labels), rel=1e-9)


def test_hints_don_t_depend_on_rotation():
    features, labels = sample(30, d=6)
    turned = features @ rotation(6)
    assert logme(turned, labels) == pytest.approx(logme(features, labels), abs=1e-10)
    assert h_score(turned, labels) == pytest.approx(h_score(features, labels), rel=1e-10)


# --- all three


def both(features, labels):
    """Return the three hints, with probabilities that come from the features."""
    e = np.exp(features - features.max(axis=1, keepdims=True))
    return h_score(features, labels), leep(e / e.sum(axis=1, keepdims=True), labels), logme(features, labels)


def test_permuted_labels_lower_every_hint():
    features, labels = sample(120, d=3, spread=2.0)
    hints = both(features, labels)
    for seed in range(5):
        permuted = both(features, np.random.default_rng(seed).permutation(labels))
        assert all(less < more for less, more in zip(permuted, hints, strict=True))


def test_the_order_of_examples_and_the_names_of_classes_change_nothing():
    features, labels = sample()
    order = np.random.default_rng(1).permutation(len(labels))
    np.testing.assert_allclose(both(features[order], 10 - 3 * labels[order]), both(features, labels), rtol=1e-9)


def test_a_trained_source_gets_better_hints_than_a_fresh_one():
    """The source learned the sign of the first step, the target asks whether it is above a half."""
    x = np.random.default_rng(0).standard_normal((400, 5, 1)).astype(np.float32)
    source = SequenceClassifier(2, 10, input_size=1, cell="gru", seed=0)
    fresh = SequenceClassifier(2, 10, input_size=1, cell="gru", seed=1)
    fit(source, Examples(x, (x[:, 0, 0] > 0).astype(int), seed=0), optimizer=Adam(1e-2), epochs=12, progress=False)
    x, few = x[:100], (x[:100, 0, 0] > 0.5).astype(int)
    hints = []
    for model in (fresh, source):
        pooled = model.pooling(model.rnn(x)[0])
        hints.append((h_score(pooled, few), leep(model.predict_proba(x), few), logme(pooled, few)))
    assert all(less < more for less, more in zip(*hints, strict=True))


# --- errors

FEATURES, LABELS = sample(6, d=2)


@pytest.mark.parametrize("hint", (h_score, leep, logme))
@pytest.mark.parametrize(
    "change, error, message",
    [
        ((lambda f, y: (f[:, 0], y)), ValueError, r"must have shape \(examples, columns\).*got \(6,\)"),
        ((lambda f, y: (f[:0], y[:0])), ValueError, r"must have shape \(examples, columns\)"),
        ((lambda f, y: (np.where(f == f[2, 1], np.nan, f), y)), ValueError, r"must be finite, got nan at .*\(2, 1\)"),
        ((lambda f, y: (f + 0j, y)), TypeError, "must be real numbers, got complex128"),
        ((lambda f, y: (f, y[:5])), ValueError, r"must have shape \(6,\)"),
        ((lambda f, y: (f, y * 0 + 4)), ValueError, "must be of two classes or more, got 4 alone"),
        ((lambda f, y: (f, np.array(list("abcabc")))), TypeError, "must be an array of numbers"),
    ],
)
def test_what_every_hint_refuses(hint, change, error, message):
    given = np.full((6, 2), 0.5) + 0.1 * np.eye(2)[LABELS % 2] - 0.05 + 1e-5 * np.arange(6)[:, None] * [1, -1]
    with pytest.raises(error, match=f"{hint.__name__}: .*{message}"):
        hint(*change(given, LABELS))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: h_score(FEATURES, LABELS * 1.0), TypeError, "h_score: labels must be integers, got float64"),
        (lambda: h_score(np.full((6, 2), 0.1), LABELS), ValueError, "h_score: features must vary .*got 6 equal rows"),
        (lambda: leep(FEATURES, LABELS), ValueError, "leep: probabilities must .*logits want a softmax"),
        (lambda: leep(abs(FEATURES) + 1, LABELS), ValueError, "leep: probabilities must sum to 1 in .* in row 0"),
        (lambda: leep(np.full(6, 0.5), LABELS), ValueError, r"leep: .*np.stack\(\[1 - p, p\], axis=1\)"),
        (lambda: logme(FEATURES * 0, LABELS), ValueError, "logme: features must not all be zero"),
        (lambda: logme(FEATURES, np.zeros(6)), ValueError, "logme: targets must not be zero .* in column 0"),
        (lambda: logme(FEATURES, np.ones((5, 2))), ValueError, r"logme: targets must have shape \(6,\) or \(6, col"),
        (lambda: logme(FEATURES, np.full(6, np.inf)), ValueError, "logme: targets must be finite"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("hint, package, name", [(h_score, "sklearn.covariance", "scikit-learn"),
                                                  (logme, "scipy.optimize", "scipy")])  # fmt: skip
def test_a_missing_package_is_named(hint, package, name, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RuntimeError, match=rf"{hint.__name__}: {name} must be installed.*rnn_core\[report\]"):
        hint(FEATURES, LABELS)
