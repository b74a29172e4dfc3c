"""A user's cell on the CPU kernels: what it is on NumPy, to rounding, and the short way through small calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rnn_core import LSTM, backends
from tests.rnn_core.cell.cells import ALL, Independent, OwnLSTM, Peephole, Strange
from tests.rnn_core.cell.test_cells import everything, normal
from tests.rnn_core.cell.test_random_cells import compositions, defined
from tests.rnn_core.layers.test_small_calls import bits, known, ordinary, states_of

pytestmark = pytest.mark.skipif("cpu" not in backends.available(), reason="the CPU kernels can't be used here")
LENGTHS = np.array([6, 2, 4])


def short(layer, x, state0=None):
    """Return what a layer says by the short way alone."""
    return layer._small(x, state0)


def close(layer, other, x, lengths=None):
    """Assert that two layers say the same, up to float64's rounding."""
    found, expected = (everything(one, x, lengths) for one in (layer, other))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("name", ALL)
def test_a_layer(name):
    for options in ({"num_layers": 2, "bidirectional": True}, {"bias": False}):
        layer, other = (
            ALL[name](3, 17, backend=backend, dtype="float64", seed=0, **options) for backend in ("cpu", "numpy")
        )
        close(layer, other, normal(6, 3, 3), LENGTHS)
        close(layer, other, normal(6, 3, 3))


@settings(max_examples=3, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(compositions())
def test_a_cell_composed_at_random(composition):
    """Few of them: each is compiled."""
    layer, other = (defined(composition)(3, 5, backend=one, dtype="float64", seed=0) for one in ("cpu", "numpy"))
    close(layer, other, normal(6, 3, 3), LENGTHS)


def test_the_built_in_cell_to_the_bit():
    own, theirs = OwnLSTM(3, 17, backend="cpu", seed=0), LSTM(3, 17, backend="cpu", seed=0)
    x = normal(6, 3, 3, dtype="float32")
    found, expected = everything(own, x, LENGTHS), everything(theirs, x, LENGTHS)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


OPTIONS = [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "precision": "bfloat16"}]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "deep", "bfloat16"])
@pytest.mark.parametrize("kind", [Peephole, Independent, Strange])
def test_small_calls_have_the_bits_of_the_ordinary_ones(kind, options):
    layer = kind(3, 17, backend="cpu", seed=0, **options)
    for shape, B in (((7, 5, 3), 5), ((4, 3), None)):
        x = normal(*shape, dtype="float32")
        known(layer, x)
        for state0 in (None, states_of(layer, B)):
            assert bits(short(layer, x, state0)) == bits(ordinary(layer, x, state0))


def test_a_vector_that_is_written_into_is_noticed():
    layer = Peephole(3, 17, backend="cpu", seed=0)
    x = normal(7, 5, 3, dtype="float32")
    before = bits(known(layer, x)(x))
    held = layer.parameters["p_o_l0"]
    for change in (0.5, -0.25):  # of an array that is held, and of one that is not
        held[3] += change
        assert bits(short(layer, x)) == bits(ordinary(layer, x)) != before
    del held
    layer.parameters["p_i_l0"][2] += 1
    assert bits(short(layer, x)) == bits(ordinary(layer, x)) != before


def test_a_stream_equals_the_whole():
    layer = Strange(3, 17, num_layers=2, backend="cpu", seed=0)
    x = normal(7, 3, dtype="float32")
    stream = layer.stream()
    y = np.stack([stream(x_t) for x_t in x])
    np.testing.assert_array_equal(y, layer(x)[0])
