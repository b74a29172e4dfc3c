"""A stream says step by step, bit for bit, what the layer says of the whole sequence."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN

KINDS = [RNN, LSTM, GRU]
OPTIONS = [{}, {"num_layers": 3, "bias": False}, {"dtype": np.float64}, {"num_layers": 2, "dropout": 0.5}]
OPTIONS += [{"num_layers": 2, "precision": "bfloat16"}]


def made(kind, **options):
    layer = kind(3, 5, **options, seed=0)
    return layer, np.random.default_rng(0).normal(size=(6, 2, 3)).astype(layer.dtype)


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def assert_same(found, expected):
    for one, other in zip(parts(found), parts(expected), strict=True):
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_the_sequences(kind, options):
    layer, x = made(kind, **options)
    y, state = layer(x)
    stream = layer.stream(batch_size=2)
    for _ in range(2):
        for t in range(6):
            assert_same(stream(x[t]), y[t])
        assert_same(stream.state, state)
        stream.reset()
    single = layer.stream()
    y, state = layer(x[:, 0])
    for t in range(6):
        assert_same(single(x[t, 0]), y[t])
    assert_same(single.state, state)


def test_another_backend_has_streams_too():
    layer, x = made(LSTM, backend="numpy", num_layers=2)
    y, state = layer(x)
    stream, single = layer.stream(2), layer.stream()
    for t in range(6):
        np.testing.assert_allclose(stream(x[t]), y[t], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(single(x[t, 1]), y[t, 1], rtol=1e-5, atol=1e-6)
    for one, other in zip(stream.state, state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_may_come_together(kind, batch_first):
    layer, x = made(kind, batch_first=batch_first)
    x = x.swapaxes(0, 1) if batch_first else x
    y, state = layer(x)
    y = y.swapaxes(0, 1) if batch_first else y
    stream = layer.stream(batch_size=2)
    steps = x.swapaxes(0, 1) if batch_first else x
    assert_same(stream(steps[0]), y[0])
    some = stream(steps[1:4].swapaxes(0, 1) if batch_first else steps[1:4])
    assert_same(some.swapaxes(0, 1) if batch_first else some, y[1:4])
    assert_same(stream(steps[4]), y[4])
    last = stream(steps[5:].swapaxes(0, 1) if batch_first else steps[5:])
    assert_same(last[:, 0] if batch_first else last[0], y[5])
    assert_same(stream.state, state)
    single = layer.stream()
    assert_same(single(steps[:, 1]), layer(steps[:, 1])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_given_and_taken(kind):
    layer, x = made(kind, num_layers=2)
    y, state = layer(x)
    _, half = layer(x[:3])
    stream = layer.stream(2, half)
    kept = stream.state
    for t in range(3, 6):
        assert_same(stream(x[t]), y[t])
    assert_same(stream.state, state)
    assert_same(kept, half)  # a copy
    stream.state = half
    assert_same(stream(x[3]), y[3])
    stream.reset(half)
    assert_same(stream(x[3]), y[3])
    stream.state = None
    assert_same(stream(x[0]), y[0])


def test_results_are_the_callers():
    layer, x = made(LSTM)
    stream, y = layer.stream(2), layer(x)[0]
    first = stream(x[0])
    first[...] = np.nan
    for part in stream.state:
        part[...] = np.nan
    assert_same(stream(x[1]), y[1])


def test_streams_of_one_layer_know_nothing_of_each_other():
    layer, x = made(GRU)
    streams, ys = [layer.stream() for _ in range(2)], [layer(x[:, b])[0] for b in range(2)]
    for t in range(6):
        for stream, y, b in zip(streams, ys, range(2), strict=True):
            assert_same(stream(x[t, b]), y[t])


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_weights_written_in_between_are_seen_by_the_next_step(backend):
    layer, x = made(LSTM, backend=backend)
    stream = layer.stream(2)
    stream(x[0])
    state = stream.state
    layer.parameters["weight_hh_l0"] *= 2
    assert_same(stream(x[1]), layer(x[1:2], state)[0][0])


def test_a_copy_goes_on_by_itself():
    layer, x = made(LSTM)
    y, stream = layer(x)[0], layer.stream(2)
    stream(x[0])
    for twin in (copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        assert_same(twin(x[1]), y[1])
        assert_same(twin(x[2]), y[2])
    assert_same(stream(x[1]), y[1])


WRONG = {
    "dtype": (lambda x: x.astype(np.float64), TypeError, "x must be float32, got float64"),
    "NaN": (lambda x: x * np.nan, ValueError, r"x must be finite, got nan at index \(0, 0\)"),
    "features": (lambda x: x[:, :2], ValueError, r"x must have shape \(2, 3\), got \(2, 2\); one step"),
    "batch": (lambda x: x[:1], ValueError, r"x must have shape \(2, 3\), got \(1, 3\); one step"),
    "steps": (lambda x: x[None, :, :2], ValueError, r"one step of shape \(2, 3\), or several of \(T, 2, 3\)"),
    "no step": (lambda x: x[None][:0], ValueError, "at least one"),
    "lists": (lambda x: x.tolist(), TypeError,
              r"x must be float32, got a list of 2, which NumPy reads as float64; pass np.asarray\(x, np.float32\)$"),
    "lists of steps": (lambda x: x[None].tolist(), TypeError,
                       r"x must be float32, as the weights are, got a list of 1, .*; pass np.asarray\(x, np.float"),
    "axes": (lambda x: x[0], ValueError, r"x must be one step of shape \(2, 3\), or several of \(T, 2, 3\), got n"),
    "text": (lambda x: "one", TypeError, "x must be an array of numbers"),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused_and_the_state_stays(wrong, backend):
    layer, x = made(LSTM, backend=backend)
    spoil, error, says = WRONG[wrong]
    stream, y = layer.stream(2), layer(x)[0]
    assert_same(stream(x[0]), y[0])
    with pytest.raises(error, match=f"^LSTM.*{says}"):
        stream(spoil(x[1]))
    assert_same(stream(x[1]), y[1])


@pytest.mark.parametrize("arguments, error, says", [
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be an int"),
    ({"state0": np.zeros((1, 5), np.float32)}, ValueError, r"state0 must be a pair \(h, c\)"),
    ({"state0": (np.zeros((2, 5), np.float32),) * 2}, ValueError, r"state0\[0\] must have shape \(1, 5\)"),
    ({"state0": (np.full((1, 5), np.inf, np.float32),) * 2}, ValueError, r"state0\[0\] must be finite"),
])  # fmt: skip
def test_so_is_what_a_stream_cannot_begin_with(arguments, error, says):
    with pytest.raises(error, match=f"^LSTM.stream: {says}"):
        LSTM(3, 5).stream(**arguments)


STATES = {
    "no pair": (np.zeros((1, 2, 5), np.float32), ValueError, r"{} must be a pair \(h, c\), got ndarray"),
    "a list": ([np.zeros((1, 2, 5), np.float32), [[[0.0] * 5] * 2]], TypeError,
               r"{}\[1\] must be float32, got a list of 1, which NumPy reads as float64; pass np.asarray\({}\[1\], np"),
    "another shape": ((np.zeros((1, 5), np.float32),) * 2, ValueError, r"{}\[0\] must have shape \(1, 2, 5\)"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", STATES)
def test_a_state_that_does_not_fit_is_named_as_it_was_given(wrong):
    layer, x = made(LSTM)
    state, error, says = STATES[wrong]
    stream = layer.stream(2)
    stream(x[0])
    before = stream.state
    with pytest.raises(error, match=f"^LSTM.stream: {says.replace('{}', 'state')}"):
        stream.state = state
    with pytest.raises(error, match=f"^LSTM.stream.reset: {says.replace('{}', 'state0')}"):
        stream.reset(state)
    assert_same(stream.state, before)


def test_a_bidirectional_layer_has_none():
    with pytest.raises(ValueError, match="^GRU.stream: the layer must be of one direction, .* whole sequences"):
        GRU(3, 5, bidirectional=True).stream()


def test_a_state_that_has_run_off_is_an_error_and_reset_the_way_out():
    layer = RNN(1, 1, nonlinearity="relu", bias=False)
    layer.parameters["weight_ih_l0"][...] = layer.parameters["weight_hh_l0"][...] = 1e30
    stream, x = layer.stream(), np.ones(1, np.float32)
    stream(x)
    stream(x)  # beyond what float32 holds
    with pytest.raises(ValueError, match="^RNN.*state.* must be finite"):
        stream(x)
    stream.reset()
    assert np.isfinite(stream(x)).all()


def test_a_layer_too_large_for_a_desk_has_streams_all_the_same():
    layer, x = RNN(300_000, 1, seed=0), np.random.default_rng(0).normal(size=(2, 300_000)).astype(np.float32)
    y, stream = layer(x)[0], layer.stream()
    for t in range(2):
        assert_same(stream(x[t]), y[t])
