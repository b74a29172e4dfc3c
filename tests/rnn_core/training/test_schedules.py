"""Schedules: corners by hand, and that they forget nothing because they remember nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.training import Constant, Cosine, Exponential, LinearWarmup, SlantedTriangular, StepDecay, WarmupCosine

SCHEDULES = [
    Constant(),
    LinearWarmup(10),
    Cosine(20, floor=0.1),
    WarmupCosine(5, 20),
    SlantedTriangular(30),
    StepDecay(7, 0.5),
    Exponential(0.9),
]


@pytest.mark.parametrize(
    "schedule, factors",
    [
        (Constant(), {0: 1, 10**6: 1}),
        (Constant(0.5), {3: 0.5}),
        (LinearWarmup(4), {0: 0.25, 1: 0.5, 3: 1, 4: 1, 99: 1}),
        (Cosine(4), {0: 1, 1: (1 + math.sqrt(0.5)) / 2, 2: 0.5, 4: 0, 99: 0}),
        (Cosine(4, floor=0.5), {0: 1, 2: 0.75, 4: 0.5, 99: 0.5}),
        (WarmupCosine(2, 6), {0: 0.5, 1: 1, 2: 1, 4: 0.5, 6: 0, 99: 0}),
        (StepDecay(3, 0.5), {0: 1, 2: 1, 3: 0.5, 5: 0.5, 6: 0.25}),
        (Exponential(0.5), {0: 1, 1: 0.5, 3: 0.125}),
        (SlantedTriangular(10, peak=0.2, ratio=5), {0: 0.2, 1: 0.6, 2: 1, 6: 0.6, 10: 0.2, 99: 0.2}),
    ],
)
def test_factors_by_hand(schedule, factors):
    for step, factor in factors.items():
        assert schedule(step) == pytest.approx(factor, abs=1e-15)


@given(schedule=st.sampled_from(SCHEDULES), step=st.integers(0, 200))
def test_a_factor_is_a_share_and_depends_on_the_step_alone(schedule, step):
    assert 0 <= schedule(step) <= 1
    assert isinstance(schedule(step), float)
    assert schedule(np.int64(step)) == schedule(step)


def test_schedules_are_equal_if_their_numbers_are():
    assert Cosine(10) == Cosine(10, 0.0)
    assert Cosine(10) != Cosine(11)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: LinearWarmup(0), ValueError, "LinearWarmup: steps must be at least 1, got 0"),
        (lambda: Cosine(1.5), TypeError, "Cosine: steps must be an int"),
        (lambda: Cosine(5, floor=-1), ValueError, "Cosine: floor must be finite and at least 0, got -1"),
        (lambda: WarmupCosine(5, 5), ValueError, "WarmupCosine: steps must be above warmup = 5, got 5"),
        (lambda: Constant(np.nan), ValueError, "Constant: factor must be finite and at least 0, got nan"),
        (lambda: Exponential("half"), TypeError, "factor must be a number, got 'half'"),
        (lambda: SlantedTriangular(9, peak=1), ValueError, "SlantedTriangular: peak must be between 0 and 1, got 1"),
        (lambda: SlantedTriangular(9, ratio=0.5), ValueError, "SlantedTriangular: ratio must be at least 1, got 0.5"),
        (lambda: Cosine(5)(-1), ValueError, "Cosine.__call__: step must be at least 0, got -1"),
        (lambda: Cosine(5)(0.5), TypeError, "__call__: step must be an int, got 0.5"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
