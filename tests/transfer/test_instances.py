"""Importance weights against a known density ratio; weighted training; alignment; TrAdaBoost round by round."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from rnn_core import gradcheck
from rnn_core.checking import Problem
from rnn_core.data import Batch, Examples
from rnn_core.training import SGD, Adam, BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError, fit
from tests.model_cases import (
    LENGTHS,
    B,
    classifier,
    features,
    language_model,
    text,
    tokens_classifier,
    tokens_with_class,
)
from tests.rnn_core.training.test_losses import LOSSES, case
from transfer.instances.alignment import coral, subspace_alignment
from transfer.instances.boosting import SequenceLearner, TrAdaBoost
from transfer.instances.rows import two_domains
from transfer.instances.weights import _kernel, density_ratio, effective_size, kernel_mean_matching


def gaussians(n=300, m=300, F=2, shift=0.8, seed=0):
    """Return a source N(0, I), a target N(μ, I) with |μ| = shift, and the true ratio at the source's points."""
    rng = np.random.default_rng(seed)
    mean = np.full(F, shift / np.sqrt(F))
    source = rng.standard_normal((n, F))
    return source, rng.standard_normal((m, F)) + mean, np.exp(source @ mean - shift**2 / 2)


def agreement(a, b):
    return np.corrcoef(a, b)[0, 1]


# --- weighted losses, and whole steps ---


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("N", [1, 7, 333])
def test_weights_of_one_change_no_bit_of_a_loss(loss, dtype, N):
    z, t = case(loss, np.random.default_rng(0), shape=(N,))
    z = z.astype(dtype)
    (plain, plain_tape), (ones, ones_tape) = loss.forward(z, t), loss.forward(z, t, np.ones(N))
    assert plain.tobytes() == ones.tobytes()
    assert loss.backward(plain_tape).tobytes() == loss.backward(ones_tape).tobytes()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_integer_weights_are_repeated_rows_of_a_loss(loss):
    z, t = case(loss, np.random.default_rng(1), shape=(5, 2))
    w = np.array([3, 0, 1, 2, 7])
    weighted, tape = loss.forward(z, t, w)
    repeated, long_tape = loss.forward(z.repeat(w, axis=0), t.repeat(w, axis=0))
    summed = np.zeros_like(z)
    np.add.at(summed, np.arange(5).repeat(w), loss.backward(long_tape))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)
    np.testing.assert_allclose(loss.backward(tape), summed, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), BinaryCrossEntropy(), SquaredError()], ids=type)
def test_weighted_losses_pass_gradcheck(loss):
    z, t = case(loss, np.random.default_rng(2), shape=(6,))
    w = np.array([0.0, 0.1, 1.0, 2.5, 40.0, 1e-3])
    for method in ("complex-step", "central"):
        report = gradcheck(loss, z, targets=t, weights=w, method=method)
        assert report.passed, str(report)


CASES = {
    "language model": (language_model, text),
    "tied": (lambda **options: language_model(tied=True, **options), text),
    "ragged language model": (language_model, lambda: text(lengths=LENGTHS)),
    "classifier": (classifier, features),
    "one sigmoid": (lambda **options: classifier(1, **options), lambda: features(1)),
    "tokens": (tokens_classifier, lambda: tokens_with_class(lengths=LENGTHS)),
}


@pytest.fixture(params=CASES)
def model_and_batch(request):
    return CASES[request.param]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_one_change_no_bit_of_a_step(model_and_batch, dtype):
    build, batch = model_and_batch
    model, batch = build(dtype=dtype, dropout=0.2), batch()
    if batch.inputs.dtype.kind == "f":
        batch = batch._replace(inputs=batch.inputs.astype(dtype))
    plain = model.loss_and_gradients(batch, rng=3)
    for shape in {batch.targets.shape, batch.targets.shape[:1]}:
        ones = model.loss_and_gradients(batch._replace(weights=np.ones(shape)), rng=3)
        assert (ones.loss, ones.count) == (plain.loss, plain.count)
        for name, gradient in plain.gradients.items():
            assert dense(gradient).tobytes() == dense(ones.gradients[name]).tobytes(), name


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(1e-2)], ids=["SGD", "Adam"])
def test_weights_of_one_change_no_bit_of_training(model_and_batch, optimizer):
    build, batch = model_and_batch
    plain, weighted, data = build(dropout=0.2), build(dropout=0.2), batch()
    fit(plain, examples(data, batch_size=2), optimizer=optimizer, epochs=3, progress=False)
    fit(weighted, examples(data._replace(weights=np.ones(B)), batch_size=2), optimizer=optimizer, epochs=3,
        progress=False)  # fmt: skip
    for name, array in plain.parameters.items():
        assert array.tobytes() == weighted.parameters[name].tobytes(), name


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(1e-2)], ids=["SGD", "Adam"])
def test_integer_weights_train_as_repeated_rows(model_and_batch, optimizer):
    build, batch = model_and_batch
    once, often, data = build(), build(), batch()
    w = np.array([3, 0, 2])
    rows = np.arange(B).repeat(w)
    repeated = data._replace(
        inputs=data.inputs[rows],
        targets=data.targets[rows],
        lengths=None if data.lengths is None else data.lengths[rows],
    )
    first, second = (m.loss_and_gradients(b) for m, b in ((once, data._replace(weights=w)), (often, repeated)))
    assert first.count == second.count
    assert first.loss == pytest.approx(second.loss, rel=1e-12)
    for name, gradient in first.gradients.items():
        np.testing.assert_allclose(dense(gradient), dense(second.gradients[name]), rtol=1e-12, atol=1e-15)
    histories = [
        fit(m, examples(b, batch_size=6, shuffle=False), optimizer=optimizer, epochs=3, progress=False)
        for m, b in ((once, data._replace(weights=w)), (often, repeated))
    ]
    np.testing.assert_allclose(*(history.column("loss") for history in histories), rtol=1e-12)
    for name, array in once.parameters.items():
        np.testing.assert_allclose(array, often.parameters[name], rtol=0, atol=1e-12)


def test_in_batches_of_one_weights_do_nothing(model_and_batch):
    """Each batch's loss is a mean of its own, as docs/transfer.md warns."""
    build, batch = model_and_batch
    plain, weighted, data = build(), build(), batch()
    for model, w in ((plain, None), (weighted, np.array([0.25, 8.0, 2.0]))):
        fit(model, examples(data._replace(weights=w), batch_size=1), optimizer=SGD(0.1), epochs=2, progress=False)
    for name, array in plain.parameters.items():
        np.testing.assert_allclose(weighted.parameters[name], array, rtol=0, atol=1e-13)


def test_weighted_steps_pass_gradcheck(model_and_batch):
    build, batch = model_and_batch
    model = build()
    batch = batch()._replace(weights=np.array([0.3, 2.0, 0.7]))

    def twin(dtype):
        other = model.astype(dtype, backend="numpy")
        inputs = batch.inputs.astype(dtype) if batch.inputs.dtype.kind == "f" else batch.inputs
        run = other.loss_and_gradients
        return other.parameters, lambda: {"loss": np.asarray(run(batch._replace(inputs=inputs), needs=()).loss)}

    def gradients(upstreams):
        return {k: upstreams["loss"] * dense(g) for k, g in model.loss_and_gradients(batch).gradients.items()}

    report = gradcheck(Problem("weighted step", model.dtype, twin, gradients))
    assert report.passed, str(report)


def examples(batch: Batch, **options):
    return Examples(batch.inputs, batch.targets, lengths=batch.lengths, weights=batch.weights, **options)


def dense(gradient):
    return gradient.to_dense() if hasattr(gradient, "to_dense") else gradient


# --- importance weights ---


@pytest.mark.parametrize("F", [1, 2, 3])
def test_kernel_mean_matching_finds_the_density_ratio(F):
    source, target, truth = gaussians(F=F)
    weights = kernel_mean_matching(source, target)
    assert agreement(weights, truth) > 0.9
    assert weights.mean() == pytest.approx(1, abs=1e-12)
    assert weights.min() >= 0


def test_kernel_mean_matching_solves_its_programme():
    """The gradient is one multiplier where a weight is free, above it at 0, and below it at the bound."""
    source, target, _ = gaussians(80, 60)
    w = kernel_mean_matching(source, target, bandwidth=1.5, bound=2.0, ridge=0.1)
    gradient = _kernel(source, source, 1.5) @ w + 0.1 * w - _kernel(source, target, 1.5).sum(1) * 80 / 60
    free = (w > 1e-6) & (w < 2 - 1e-6)
    assert free.any()
    assert (w <= 1e-6).any()
    assert (w >= 2 - 1e-6).any()
    multiplier = gradient[free].mean()
    np.testing.assert_allclose(gradient[free], multiplier, atol=1e-4)
    assert gradient[w <= 1e-6].min() > multiplier - 1e-4
    assert gradient[w >= 2 - 1e-6].max() < multiplier + 1e-4
    assert w.mean() == pytest.approx(1, abs=1e-7)


def test_equal_domains_have_equal_weights():
    """Of the kernel's own solutions the ridge takes the one without spikes."""
    source, _, _ = gaussians(50)
    np.testing.assert_allclose(kernel_mean_matching(source, source), 1, atol=1e-4)


def test_a_strong_ridge_makes_weights_alike():
    source, target, _ = gaussians(60)
    spread = [kernel_mean_matching(source, target, ridge=ridge).std() for ridge in (0.1, 1.0, 1e6)]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < 1e-3


def test_density_ratio_finds_the_density_ratio():
    for n, m in ((300, 300), (400, 100)):  # the prior is corrected for
        source, target, truth = gaussians(n, m)
        weights = density_ratio(source, target)
        assert agreement(weights, truth) > 0.9
        assert weights.mean() == pytest.approx(1, abs=1e-12)
        assert abs(np.log(weights / truth)).mean() < 0.35


def test_another_spread_needs_squares():
    rng = np.random.default_rng(3)
    source, target = rng.standard_normal((400, 1)), rng.standard_normal((400, 1)) * 0.6
    truth = np.exp(source[:, 0] ** 2 * (1 - 1 / 0.36) / 2)
    squares = make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression())
    assert agreement(density_ratio(source, target, classifier=squares), truth) > 0.9
    assert agreement(density_ratio(source, target), truth) < 0.5


def test_ratios_are_clipped_and_folds_drawn_by_the_seed():
    source, target, _ = gaussians(60, 60, shift=3.0)
    weights = density_ratio(source, target, clip=2.0)
    assert (weights == weights.max()).sum() > 1  # several stand at the limit
    np.testing.assert_array_equal(weights, density_ratio(source, target, clip=2.0))
    assert (weights != density_ratio(source, target, clip=2.0, seed=1)).any()


def test_effective_size_by_hand():
    assert effective_size([2, 2, 2]) == 3
    assert effective_size([1, 0, 0]) == 1
    assert effective_size([3e200, 1e200]) == pytest.approx(16 / 10)


def test_weights_go_into_examples():
    source, target, _ = gaussians(40, 40)
    model = classifier(dtype=np.float32)
    data = Examples(
        source[:, None].astype(np.float32), (source[:, 0] > 0).astype(int),
        weights=kernel_mean_matching(source, target), batch_size=40,
    )  # fmt: skip
    history = fit(model, data, optimizer=Adam(1e-2), epochs=5, progress=False)
    assert history[-1].loss < history[0].loss


def test_domains_without_overlap_have_weights_that_say_nothing():
    """As docs/transfer.md warns: nor does the effective size tell."""
    weights = density_ratio(ROWS.repeat(3, axis=0), ROWS + 100)
    np.testing.assert_allclose(weights, 1, atol=0.25)
    assert effective_size(weights) > 0.9 * len(weights)


# --- alignment ---


def correlated(n, F, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((n, F)) @ rng.standard_normal((F, F)) + rng.standard_normal(F)


@pytest.mark.parametrize("m", [100, 4])  # with fewer rows than features the target's covariance is singular
def test_coral_makes_covariances_equal(m):
    source, target = correlated(80, 6, 0), correlated(m, 6, 1, scale=3)
    aligned = coral(source, target)
    np.testing.assert_allclose(np.cov(aligned.source(source).T), np.cov(target.T), rtol=0, atol=1e-10)
    np.testing.assert_allclose(aligned.source(source).mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(aligned.target(target).mean(0), 0, atol=1e-10)


def test_coral_of_equal_domains_is_the_identity():
    source = correlated(50, 4, 2)
    for ridge in (0.0, 0.1):
        aligned = coral(source, source, ridge)
        np.testing.assert_allclose(aligned.source_map, np.eye(4), atol=1e-12)


def test_a_ridge_is_a_share_of_the_mean_variance():
    """On standardised features a ridge of 1 is the paper's C + I."""
    source, target = (StandardScaler().fit_transform(correlated(60, 3, seed)) for seed in (0, 1))

    def power(x, exponent):
        C = np.cov(x.T)
        values, vectors = np.linalg.eigh(C + np.eye(3) * C.trace() / 3)
        return vectors * values**exponent @ vectors.T

    expected = power(source, -0.5) @ power(target, 0.5)
    np.testing.assert_allclose(coral(source, target, 1).source_map, expected, rtol=1e-10)


def test_subspace_alignment_of_equal_domains_is_the_identity_on_the_subspace():
    source = correlated(50, 6, 3)
    aligned = subspace_alignment(source, source, 3)
    P = aligned.target_map
    np.testing.assert_allclose(P.T @ P, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(aligned.source_map, P, atol=1e-12)
    np.testing.assert_allclose(aligned.source(source), aligned.target(source), atol=1e-11)


def test_subspace_alignment_is_the_product_of_bases():
    """However the signs of the source's directions fall."""
    source, target = correlated(50, 5, 4), correlated(40, 5, 5)
    aligned = subspace_alignment(source, target, 2)
    P_s, P_t = (np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :2] for x in (source, target))
    signs = np.sign((P_t * aligned.target_map).sum(0))
    np.testing.assert_allclose(aligned.target_map, P_t * signs, atol=1e-10)
    np.testing.assert_allclose(aligned.source_map, P_s @ P_s.T @ P_t * signs, atol=1e-10)


# --- TrAdaBoost ---


class Says:
    """A learner that says, round after round, what it was given; `seen` is shared by its copies."""

    def __init__(self, script):
        self.script, self.seen = script, []

    def __deepcopy__(self, memo):
        copy = Says(self.script)
        copy.seen = self.seen
        return copy

    def fit(self, X, y, sample_weight):
        self.answers = dict(zip(X[:, 0], self.script[len(self.seen)], strict=True))
        self.seen.append(sample_weight)

    def predict(self, X):
        return np.array([self.answers[k] for k in X[:, 0]])


X = np.arange(7.0)[:, None]  # four of the source, three of the target
Y = np.array([0, 1, 0, 1, 0, 1, 1])


def boosted(*rounds):
    learner = Says(rounds)
    return TrAdaBoost(learner, len(rounds)).fit(X[:4], Y[:4], X[4:], Y[4:]), learner


def test_the_first_rounds_are_those_by_hand():
    first, second = [0, 0, 0, 1, 0, 1, 0], [0, 1, 1, 1, 1, 1, 1]  # wrong: 1 and 6; then 2 and 4
    boost, learner = boosted(first, second)
    beta = 1 / (1 + np.sqrt(2 * np.log(4) / 2))
    np.testing.assert_array_equal(learner.seen[0], np.ones(7))
    w = np.array([1, beta, 1, 1, 1, 1, 2])  # ε = 1/3, β_1 = 1/2
    np.testing.assert_allclose(learner.seen[1], w / w.mean(), rtol=1e-14)
    np.testing.assert_allclose(boost.errors, [1 / 3, 1 / 4], rtol=1e-14)  # 1 of (1, 1, 2)
    w = np.array([1, beta, beta, 1, 3, 1, 2])
    np.testing.assert_allclose(boost.weights[2], w / w.sum(), rtol=1e-14)
    np.testing.assert_allclose([sum(w) for w in boost.weights], 1, rtol=1e-14)


def test_the_vote_is_that_of_the_second_half():
    wrong_once = [[0, 1, 0, 1, *target] for target in ([1, 1, 1], [0, 0, 1], [0, 1, 0])]
    boost, _ = boosted(*wrong_once)  # ⌈3/2⌉: rounds 2 and 3
    b1, b2, b3 = (e / (1 - e) for e in boost.errors)
    for k, (h2, h3) in enumerate(zip(wrong_once[1], wrong_once[2], strict=True)):
        by_the_paper = b2**-h2 * b3**-h3 >= b2**-0.5 * b3**-0.5
        assert boost.predict(X[k : k + 1])[0] == by_the_paper


def test_an_equal_vote_is_a_yes():
    boost, _ = boosted(Y, Y)
    boost.learners[0].answers[0.0], boost.learners[1].answers[0.0] = 1.0, 0.0
    assert boost.errors[0] == boost.errors[1]
    assert boost.predict(X[:1])[0] == 1


def test_a_round_worse_than_chance_ends_it():
    boost, _ = boosted(Y, 1 - Y, Y)
    assert len(boost.learners) == len(boost.errors) == 1
    np.testing.assert_array_equal(boost.predict(X), Y)
    with pytest.raises(ValueError, match=r"TrAdaBoost.fit: learner must be right on more than half .* error of 1 in"):
        boosted(1 - Y)


def test_it_boosts_scikit_learn_with_more_than_two_classes():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 3], [3, 0], [-3, -3]])
    y = rng.integers(0, 3, 90)
    x = centres[y] + rng.standard_normal((90, 2))
    said = np.where(np.arange(90) < 25, (y + 1) % 3, y)  # the first 25 of the source are mislabelled
    boost = TrAdaBoost(LogisticRegression(), 10).fit(x[:60], said[:60], x[60:], y[60:])
    assert (boost.predict(x) == y).mean() > 0.9
    assert boost.weights[-1][:25].mean() < boost.weights[-1][25:60].mean() / 5


def test_it_boosts_sequence_classifiers():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 4, 2)).astype(np.float32)
    y = (x[:, -1, 0] > 0).astype(int)
    model = classifier(2, num_layers=1, dtype=np.float32)
    before = {name: array.tobytes() for name, array in model.parameters.items()}
    learner = SequenceLearner(model, optimizer=Adam(0.05), epochs=40)
    boost = TrAdaBoost(learner, 3).fit(x[:25], y[:25], x[25:], y[25:])
    assert (boost.predict(x) == y).mean() > 0.9
    rows = [row[: 1 + k % 4] for k, row in enumerate(x)]
    boost = TrAdaBoost(learner, 2).fit(rows[:25], y[:25], rows[25:], y[25:])
    assert boost.predict(rows).shape == (40,)
    assert {name: array.tobytes() for name, array in model.parameters.items()} == before


def test_a_sequence_learner_trains_as_fit_does():
    batch = features(lengths=LENGTHS)
    w = np.array([1.0, 3.0, 0.5])
    model, by_hand = classifier(dropout=0.2), classifier(dropout=0.2)
    fit(by_hand, examples(batch._replace(weights=w), batch_size=B), optimizer=Adam(), epochs=2, progress=False)
    rows = [x[:length] for x, length in zip(batch.inputs, LENGTHS, strict=True)]
    learner = SequenceLearner(model, optimizer=Adam(), epochs=2).fit(rows, batch.targets, sample_weight=w)
    for name, array in by_hand.parameters.items():
        np.testing.assert_array_equal(array, learner.trained.parameters[name])
    tokens = SequenceLearner(tokens_classifier(), optimizer=Adam(), epochs=1)
    assert tokens.fit([[1, 2], [3]], np.array([0, 1])).predict([[1], [2, 3, 4]]).shape == (2,)


# --- mistakes ---

ROWS = np.random.default_rng(9).standard_normal((12, 2))
HOLE = np.where(np.arange(24).reshape(12, 2) == 7, np.nan, ROWS)
FLAT = np.ones((12, 2))
LINE = np.stack([ROWS[:, 0]] * 2, axis=1)


@pytest.mark.parametrize(
    "method", [kernel_mean_matching, density_ratio, coral, lambda s, t: subspace_alignment(s, t, 1)]
)
@pytest.mark.parametrize(
    "source, target, error, message",
    [
        (ROWS[None], ROWS, ValueError, r"source must have shape \(n, F\), .* got \(1, 12, 2\); pool sequences"),
        (ROWS, ROWS[:, :1], ValueError, "target must have 2 features a row, as the source, got 1"),
        (ROWS, HOLE, ValueError, r"target must be finite, got nan at index \(3, 1\)"),
        (ROWS, ROWS[:0], ValueError, r"target must have shape \(n, F\)"),
        (ROWS * 1j, ROWS, TypeError, "source must be real, got complex128"),
        ([["a", "b"]], ROWS, TypeError, "source must be an array of numbers"),
    ],
)
def test_features_that_do_not_fit_are_named(method, source, target, error, message):
    with pytest.raises(error, match=message):
        method(source, target)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: kernel_mean_matching(ROWS, ROWS, bound=1), ValueError, "bound must be above 1 and finite, got 1"),
        (lambda: kernel_mean_matching(ROWS, ROWS, ridge=-1), ValueError, "ridge must be at least 0 and finite, got -1"),
        (lambda: kernel_mean_matching(ROWS, ROWS, ridge="1"), TypeError, "ridge must be a number, got '1'"),
        (lambda: kernel_mean_matching(ROWS, ROWS, bandwidth=0), ValueError, "bandwidth must be above 0"),
        (lambda: kernel_mean_matching(FLAT, FLAT), ValueError, "differ from row to row, .* give a bandwidth"),
        (lambda: density_ratio(ROWS, ROWS, clip=0.5), ValueError, "clip must be at least 1"),
        (lambda: density_ratio(ROWS, ROWS, folds=1), ValueError, "folds must be at least 2, got 1"),
        (lambda: density_ratio(ROWS, ROWS[:9]), ValueError, "target must have at least 10 rows, got 9"),
        (lambda: effective_size([]), ValueError, r"not all 0, got shape \(0,\)"),
        (lambda: effective_size([1, -1]), ValueError, "with a minimum of -1"),
        (lambda: effective_size([1, np.inf]), ValueError, "weights must be finite"),
        (lambda: coral(LINE, ROWS), ValueError, "vary in all 2 directions, got 1 from 12 rows; give a ridge"),
        (lambda: coral(FLAT, ROWS, 0.1), ValueError, "vary in all 2 directions, got 0"),
        (lambda: coral(ROWS, ROWS).source(ROWS[:, :1]), ValueError, "x must have 2 features a row, got 1"),
        (lambda: subspace_alignment(ROWS, LINE, 2), ValueError, "dimensions must be at most 1, .* the target varies"),
        (lambda: subspace_alignment(ROWS, ROWS, 1.0), TypeError, "dimensions must be an int"),
        (lambda: TrAdaBoost(object()), TypeError, "learner must have fit and predict, got object without fit and"),
        (lambda: TrAdaBoost(LogisticRegression(), 0), ValueError, "rounds must be at least 1"),
        (lambda: TrAdaBoost(LogisticRegression()).predict(X), RuntimeError, "it must have been fitted"),
        (lambda: boost_pair(X, Y[:3]), ValueError, r"a class for each of 7 examples, got shape \(3,\)"),
        (lambda: boost_pair(X, Y * 1.0), TypeError, "source_y must be integers, .* got float64"),
        (lambda: boost_pair(X[:0], Y[:0]), ValueError, "source_y must be a class for each of 0 examples"),
        (lambda: boost_pair(np.ones((7, 2)), Y), ValueError, r"target_x must have rows of shape \(2,\)"),
        (lambda: boost_pair(X * np.nan, Y), ValueError, "source_x must be finite"),
        (lambda: SequenceLearner(language_model(), optimizer=Adam(), epochs=1), TypeError, "got LanguageModel"),
        (lambda: SequenceLearner(classifier(), optimizer=Adam(), epochs=0), ValueError, "epochs must be at least 1"),
        (lambda: SequenceLearner(classifier(), optimizer=Adam(), epochs=1).predict(X), RuntimeError, "call fit first"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def boost_pair(x, y):
    return TrAdaBoost(LogisticRegression(), 2).fit(x, y, X, Y)


@pytest.mark.parametrize(
    "method, modules, package",
    [
        (kernel_mean_matching, ("scipy.optimize", "scipy.spatial.distance"), "SciPy"),
        (density_ratio, ("sklearn.calibration",), "scikit-learn"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, method, modules, package):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{method.__name__}: {package} must be installed; pip install"):
        method(ROWS, ROWS)


def test_features_become_float64():
    source, target = two_domains("test", ROWS.astype(np.float32), [[1, 2]])
    assert source.dtype == target.dtype == np.float64
