"""A stream says step by step, bit for bit, what the layer says of the whole sequence."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, quantize
from tests.rnn_core.cell.cells import Peephole, Strange

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


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS), options=st.sampled_from(OPTIONS), backend=st.sampled_from(["cpu", "numpy"]),
    batch_size=st.sampled_from([None, 1, 2, 5]), batch_first=st.booleans(), I=st.integers(1, 9), H=st.integers(1, 20),
    pieces=st.lists(st.integers(0, 9), min_size=1, max_size=6), given_out=st.booleans(), from_zero=st.booleans(),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_pieces_are_the_sequence(
    kind, options, backend, batch_size, batch_first, I, H, pieces, given_out, from_zero, seed
):
    """In whatever pieces it comes; 0 is a step without an axis of time."""
    rng = np.random.default_rng(seed)
    layer = kind(I, H, **options, backend=backend, batch_first=batch_first, seed=seed)
    T = sum(max(1, n) for n in pieces)
    time, shape = (1, (batch_size, T)) if batch_first and batch_size else (0, (T, batch_size) if batch_size else (T,))
    x = rng.standard_normal((*shape, I)).astype(layer.dtype)
    rows = (batch_size,) if batch_size else ()
    states = tuple(rng.standard_normal((layer.num_layers, *rows, H)).astype(layer.dtype) for _ in layer.spec.states)
    state0 = None if from_zero else states if len(states) > 1 else states[0]
    y, state = layer(x, state0)
    stream, t = layer.stream(batch_size, state0), 0
    for n in pieces:
        piece = np.take(x, t if n == 0 else range(t, t + n), axis=time)
        expected = np.take(y, t if n == 0 else range(t, t + n), axis=time)
        out = np.full_like(expected, np.nan) if given_out else None
        found = stream(piece, out=out)
        assert found is out or not given_out
        assert_same(found, expected)
        t += max(1, n)
    assert_same(stream.state, state)


@pytest.fixture
def one_thread():
    """Where another program takes a core, a call is cut for other threads, and finds memory for that."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "precision": "bfloat16"}])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_nothing_is_allocated_where_there_is_somewhere_to_go(options, batch_size, one_thread):
    layer = LSTM(3, 1000, **options, seed=0)
    shape = (13, 3) if batch_size is None else (13, batch_size, 3)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = np.empty((*shape[:-1], 1000), np.float32)
    stream = layer.stream(batch_size)
    expected = layer(x)[0]

    def run():
        stream.reset()
        stream(x[0], out=y[0])
        stream(x[1:], out=y[1:])

    run()
    tracemalloc.start()
    try:
        stream(x[0], out=y[0])
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            stream(x[0], out=y[0])
            stream(x, out=y)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 16_000 < y.nbytes  # views and numbers of Python's, and no array: of 16 rows a step alone has more
    run()
    assert_same(y, expected)


def test_a_long_piece_is_taken_at_desks_that_there_are():
    layer = GRU(2, 3, seed=0)
    x = np.random.default_rng(0).standard_normal((40_000, 2)).astype(np.float32)  # more than a desk has room for
    stream = layer.stream()
    assert_same(stream(x), layer(x)[0])
    assert_same(stream.state, layer(x)[1])


def test_a_piece_with_something_odd_in_the_midst_changes_nothing():
    layer, x = made(LSTM, num_layers=2)
    x = np.concatenate([x] * 3)
    y, stream = layer(x)[0], layer.stream(2)
    assert_same(stream(x[:2]), y[:2])
    before, spoilt = stream.state, x[2:].copy()
    spoilt[9, 1, 0] = np.nan  # in the second of 8 and 8 steps
    with pytest.raises(ValueError, match=r"x must be finite, got nan at index \(9, 1, 0\)"):
        stream(spoilt)
    assert_same(stream.state, before)
    assert_same(stream(x[2:]), y[2:])


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_some_rows_begin_anew_and_the_others_go_on(backend):
    layer, x = made(LSTM, backend=backend, num_layers=2)
    resets = np.zeros((6, 2), bool)
    resets[[2, 4, 4], [0, 0, 1]] = True
    _, state0 = layer(x)
    y = [layer(x, state0, resets=resets, reset_to=to)[0] for to in ("zeros", None)]
    for expected, back in zip(y, (None, state0), strict=True):
        stream = layer.stream(2, state0)
        for t in range(6):
            if resets[t].any():
                stream.reset(back, rows=resets[t])
            np.testing.assert_allclose(stream(x[t]), expected[t], rtol=1e-5, atol=1e-6)
    for rows in (np.zeros(2), [True], True):
        with pytest.raises(ValueError, match=r"^LSTM.stream.reset: rows must be booleans, or 0 and 1, of shape \(B,\)"):
            stream.reset(rows=rows)


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_so_do_streams_of_weights_in_int8(backend):
    layer = quantize(made(LSTM, num_layers=2)[0].astype(np.float32, backend=backend))
    x = made(LSTM)[1]
    stream, y = layer.stream(2), layer(x)[0]
    assert_same(np.concatenate([stream(x[:1]), stream(x[1:4]), stream(x[4:])]), y)


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("out, error, says", [
    (np.empty((2, 4), np.float32), ValueError, r"out must be float32 of shape \(2, 5\), got float32 of \(2, 4\)"),
    (np.empty((2, 5)), ValueError, r"out must be float32 of shape \(2, 5\), got float64"),
    ([1], TypeError, "out must be an array as x is, got a list of 1"),
])  # fmt: skip
def test_what_y_cannot_go_to_is_refused_before_a_step(out, error, says, backend):
    layer, x = made(LSTM, backend=backend)
    stream, y = layer.stream(2), layer(x)[0]
    with pytest.raises(error, match=f"^LSTM.stream: {says}"):
        stream(x[0], out=out)
    assert_same(stream(x[0]), y[0])


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("kind", [Peephole, Strange])
def test_so_do_streams_of_cells_of_ones_own(kind, backend):
    layer, x = made(kind, backend=backend, num_layers=2)
    stream, (y, state) = layer.stream(2), layer(x)
    assert_same(np.concatenate([stream(x[0])[None], stream(x[1:4]), stream(x[4:])]), y)
    assert_same(stream.state, state)


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


def test_rows_may_be_integers_as_resets_may():
    stream = LSTM(2, 4, seed=0, backend="numpy").stream(batch_size=3)
    stream(np.ones((3, 2), np.float32))
    before = stream.state
    stream.reset(rows=[0, 1, 1])
    for state, was in zip(stream.state, before, strict=True):
        assert was.all()
        np.testing.assert_array_equal(state, was * np.array([[1], [0], [0]]))
    with pytest.raises(ValueError, match=r"^LSTM.stream.reset: rows must be 0 or 1 for each .*, and no indexes, got 2"):
        stream.reset(rows=[0, 1, 2])
