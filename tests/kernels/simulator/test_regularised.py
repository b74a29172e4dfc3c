"""Layers with masks within their recurrence, in the simulator: against the equations."""

from __future__ import annotations

import numpy as np
import pytest

from tests.regularised_checks import REGULARISERS, I, made, random


@pytest.mark.parametrize(
    ("name", "what"), [("LSTM", "all"), ("GRU", "zoneout"), ("IndRNN", "zoneout"), ("GateBeforeMGU", "all")]
)
def test_masks_and_numbers_are_those_of_the_equations(name, what):
    x = random(4, 3, I)
    results = []
    for backend in ("cuda", "numpy"):
        layer = made(name, backend, bidirectional=True, **REGULARISERS[what])
        y, state, tape = layer.forward(x, lengths=[4, 1, 3], rng=0)
        dx, _, gradients = layer.backward(tape, y, state)
        results.append([y, dx, *gradients.values(), layer(x)[0]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
