"""Losses between domains: gradients by the complex step, values by hand, identities, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import domain_checks as checks
from tests.domain_checks import LOSSES, Seen, seen
from transfer.domains.calibration import COLDEST, HOTTEST, calibrate
from transfer.domains.losses.adversarial import DomainAdversarial
from transfer.domains.losses.conditional import ConditionalAdversarial
from transfer.domains.losses.confusion import ClassConfusion
from transfer.domains.losses.correlation import DeepCORAL
from transfer.domains.losses.discrepancy import MMD
from transfer.domains.losses.entropy import EntropyMinimisation
from transfer.domains.losses.pseudo_labels import PseudoLabels
from transfer.domains.losses.reversal import reversal_strength


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_a_loss(name):
    checks.loss_gradients(name)


@settings(max_examples=30)
@given(
    name=st.sampled_from(list(LOSSES)),
    n=st.integers(1, 5),
    m=st.integers(1, 5),
    features=st.integers(1, 3),
    classes=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_gradients_whatever_the_shapes(name, n, m, features, classes, seed):
    loss = LOSSES[name]
    rows = max(n, loss.fewest), max(m, loss.fewest)
    at = seen(*rows, features, classes, seed)
    at.target_logits[:, 0] -= 30  # a class that no row of the target is
    checks.gradients_are_exact(loss, at)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32_and_agrees(name):
    loss, at = LOSSES[name], seen()
    layers = loss.layers(3, 3, backend="numpy", dtype=np.float64, seed=1)
    small = {key: layer.astype(np.float32) for key, layer in layers.items()}
    exact, tape = loss.forward(at, layers, 0.3)
    found, other = loss.forward(Seen(*(array.astype(np.float32) for array in at)), small, 0.3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=1e-4)
    there, here = loss.backward(tape), loss.backward(other)
    for key in loss.reads:
        assert getattr(here, key).dtype == np.float32
        np.testing.assert_allclose(getattr(here, key), getattr(there, key), atol=1e-5)
    assert all(gradient.dtype == np.float32 for gradient in here.parameters.values())


@pytest.mark.parametrize("unbiased", [False, True])
def test_discrepancy_by_hand(unbiased):
    checks.discrepancy_by_hand(unbiased)


@pytest.mark.parametrize("drawn", [False, True])
def test_conditional_by_hand(drawn):
    checks.conditional_by_hand(drawn)


@pytest.mark.parametrize(
    "check",
    [
        checks.a_domain_is_no_distance_from_itself, checks.correlation_by_hand, checks.critic_by_hand,
        checks.what_is_below_a_reversal_is_pushed_up, checks.reversal_rises, checks.drawn_products_keep_lengths,
        checks.confusion_by_hand, checks.entropy_by_hand, checks.pseudo_labels_by_hand,
        checks.calibration_is_a_minimum, checks.calibration_error_by_hand,
    ],
    ids=lambda check: check.__name__,
)  # fmt: skip
def test_by_hand(check):
    check()


def test_the_unbiased_discrepancy_is_0_on_average_where_the_domains_are_one():
    rng = np.random.default_rng(0)
    draws = [checks.value(MMD(bandwidth=1.0, unbiased=True), Seen(*rng.standard_normal((2, 6, 2)))) for _ in range(400)]
    biased = [checks.value(MMD(bandwidth=1.0), Seen(*rng.standard_normal((2, 6, 2)))) for _ in range(40)]
    assert abs(np.mean(draws)) < 3 * np.std(draws) / 20
    assert min(draws) < 0 < min(biased)


def test_the_order_of_rows_and_the_place_of_both_domains_say_nothing():
    at = seen(5, 4)
    for loss in (MMD(), MMD(unbiased=True), DeepCORAL()):
        expected = checks.value(loss, at)
        moved = Seen(at.source[::-1] + 100, at.target[[2, 0, 3, 1]] + 100)
        np.testing.assert_allclose(checks.value(loss, moved), expected, rtol=1e-10)
        np.testing.assert_allclose(checks.value(loss, Seen(at.target, at.source)), expected, rtol=1e-12)


def test_features_that_are_all_the_same_pull_at_nothing():
    same = np.ones((3, 2))
    for loss in (MMD(), MMD(unbiased=True), DeepCORAL()):
        found, tape = loss.forward(Seen(same, same))
        assert found == 0
        assert not loss.backward(tape).source.any()


def test_duplicates_leave_a_bandwidth():
    """Where most rows are one, the median distance is 0, and the mean takes its place."""
    rows = np.zeros((6, 2))
    rows[0] = 1
    found, tape = MMD().forward(Seen(rows[:3], rows[3:]))
    assert 0 < found < 1
    assert np.isfinite(MMD().backward(tape).source).all()


def test_large_logits_neither_overflow_nor_lose_their_gradient():
    z = np.array([[800.0, 0.0, -800.0], [0.0, 1.0, -1000.0]], np.float32)
    for loss in (EntropyMinimisation(), ClassConfusion(), PseudoLabels()):
        found, tape = loss.forward(Seen(target_logits=z))
        assert np.isfinite(found)
        assert np.isfinite(loss.backward(tape).target_logits).all()
    z = np.array([[1000.0, 0.0, -1000.0]], np.float32)  # two classes have no row at all
    found, tape = ClassConfusion().forward(Seen(target_logits=z))
    assert found == 0
    assert np.isfinite(ClassConfusion().backward(tape).target_logits).all()


def test_nobody_is_sure():
    loss, at = PseudoLabels(threshold=1.0), seen()
    found, tape = loss.forward(at)
    assert found == 0
    assert not loss.backward(tape).target_logits.any()


def test_a_temperature_at_its_bounds():
    z = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert calibrate(z, np.array([0, 1])).temperature == pytest.approx(COLDEST)  # all right: the surer the better
    assert calibrate(z, np.array([1, 0])).temperature == pytest.approx(HOTTEST)  # all wrong


def test_what_losses_refuse():
    at = seen()
    cases = [
        (lambda: MMD().forward(Seen(at.source)), ValueError, r"MMD\.forward: target must be given, got None"),
        (lambda: MMD().forward(Seen(at.source[0], at.target)), ValueError, "source must have shape \\(rows, numbers"),
        (lambda: MMD().forward(Seen(at.source, at.target[:, :2])), ValueError, "target must have 3 numbers in a row"),
        (lambda: MMD().forward(Seen(at.source, at.target.astype("f4"))), TypeError, "target must be float64"),
        (lambda: MMD().forward(Seen(at.source, at.target * np.nan)), ValueError, "target must be finite"),
        (lambda: MMD().forward(Seen(np.ones((2, 2), int), at.target)), TypeError, "source must be floating point"),
        (lambda: MMD(unbiased=True).forward(Seen(at.source[:1], at.target)), ValueError, "at least 2 rows"),
        (lambda: DeepCORAL().forward(Seen(at.source, at.target[:1])), ValueError, "target must have at least 2 rows"),
        (lambda: DomainAdversarial().forward(at), ValueError, "layers must be the critic's"),
        (lambda: ConditionalAdversarial().forward(at._replace(source_logits=at.target_logits)), ValueError, "4 rows"),
        (lambda: MMD(()), ValueError, "factors must be one or more"),
        (lambda: MMD((0.0,)), ValueError, "factors must be above 0"),
        (lambda: MMD(bandwidth=-1.0), ValueError, "bandwidth must be above 0"),
        (lambda: DomainAdversarial(hidden=0), ValueError, "hidden must be at least 1"),
        (lambda: DomainAdversarial(steepness=0.0), ValueError, "steepness must be above 0"),
        (lambda: ConditionalAdversarial(dimensions=0), ValueError, "dimensions must be at least 1"),
        (lambda: ClassConfusion(0.0), ValueError, "temperature must be above 0"),
        (lambda: PseudoLabels(threshold=1.5), ValueError, "threshold must be at most 1"),
        (lambda: reversal_strength(1.5), ValueError, "progress must be from 0 to 1"),
        (lambda: calibrate(np.ones((2, 3)), np.array([0, 3])), ValueError, "calibrate: targets"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
