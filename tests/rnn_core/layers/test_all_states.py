"""Every state at every step: what they are, what their gradients are, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, gradcheck, quantize

KINDS = [RNN, LSTM, GRU]
BACKENDS = ["cpu", "numpy"]
T, B, I, H = 7, 3, 2, 5
LENGTHS = np.array([7, 1, 4])


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def made(kind, **options):
    layer = kind(I, H, 2, **options, seed=0)
    return layer, np.random.default_rng(0).standard_normal((T, B, I)).astype(layer.dtype)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_the_states_of_shorter_calls(kind, backend, lengths):
    layer, x = made(kind, backend=backend, dtype=np.float64)
    y, final, _ = layer.forward(x, lengths=lengths)
    states, same, _ = layer.forward(x, lengths=lengths, all_states=True)
    inferred, final_inferred = layer(x, lengths=lengths, all_states=True)
    assert isinstance(states, tuple)
    assert len(states) == len(layer.spec.states)
    assert states[0].tobytes() == y.tobytes()
    for one, other, third in zip(parts(final), parts(same), parts(final_inferred), strict=True):
        assert one.tobytes() == other.tobytes() == third.tobytes()
    for state, again in zip(states, inferred, strict=True):
        assert state.shape == y.shape
        assert state.tobytes() == again.tobytes()
    for b in range(B):
        end = T if lengths is None else int(lengths[b])
        for t in range(end):
            _, shorter = layer(x[: t + 1, b])
            for state, expected in zip(states, parts(shorter), strict=True):
                np.testing.assert_allclose(state[t, b], expected[-1], rtol=1e-12)
        assert not any(state[end:, b].any() for state in states)


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_directions_stand_side_by_side_as_in_y(backend):
    layer, x = made(LSTM, backend=backend, bidirectional=True)
    (y, c), (_, c_T), _ = layer.forward(x, lengths=LENGTHS, all_states=True)
    assert c.shape == y.shape
    for b, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(c[length - 1, b, :H], c_T[2, b])
        np.testing.assert_array_equal(c[0, b, H:], c_T[3, b])


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(KINDS), backend=st.sampled_from(BACKENDS), num_layers=st.integers(1, 2),
    bidirectional=st.booleans(), batch_first=st.booleans(), ragged=st.booleans(), resets=st.booleans(),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_complex_step_of_every_state(kind, backend, num_layers, bidirectional, batch_first, ragged, resets, seed):
    rng = np.random.default_rng(seed)
    T, B = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    layer = kind(
        2, 3, num_layers, bidirectional=bidirectional, batch_first=batch_first, dtype=np.float64, backend=backend,
        dropout=0.3 * (num_layers - 1), seed=seed,
    )  # fmt: skip
    x, put_back = rng.standard_normal((T, B, 2)), rng.random((T, B)) < 0.3
    if batch_first:
        x, put_back = x.swapaxes(0, 1), put_back.T
    report = gradcheck(
        layer, x, lengths=rng.integers(1, T + 1, B) if ragged else None, resets=put_back if resets else None,
        all_states=True, seed=seed,
    )  # fmt: skip
    assert report.passed, f"\n{report}"
    assert {row.upstream for row in report.rows} >= {"y", *layer.spec.states[1:]}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_gradient_is_that_of_y(backend):
    layer, x = made(LSTM, backend=backend)
    (y, c), _, tape = layer.forward(x, all_states=True)
    results = [
        layer.backward(tape, y, dstates=(None, c)),
        layer.backward(tape, None, dstates=(y, c)),
        layer.backward(tape, y, None, None, [None, c]),
    ]
    without = layer.backward(tape, y, dstates=(None, None))
    assert without[0].tobytes() == layer.backward(tape, y)[0].tobytes()
    for dx, _, grads in results:
        assert dx.tobytes() == results[0][0].tobytes()
        assert dx.tobytes() != without[0].tobytes()
        for name, grad in grads.items():
            assert grad.tobytes() == results[0][2][name].tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_stands_past_a_length_counts_nothing(backend):
    layer, x = made(LSTM, backend=backend)
    (y, c), _, tape = layer.forward(x, lengths=LENGTHS, all_states=True)
    expected = layer.backward(tape, y, dstates=(None, c))[0]
    for b, length in enumerate(LENGTHS):
        c[length:, b] = np.nan
    np.testing.assert_array_equal(layer.backward(tape, y, dstates=(None, c))[0], expected)


WRONG = [
    ((None,), r"dstates must be a tuple \(h, c\), got a tuple of 1"),
    (np.zeros(2), r"dstates must be a tuple \(h, c\), got ndarray of shape \(2,\)"),
    ((np.zeros((T, B, H), np.float32), None), r"dstates\[0\] must be None where dy is given"),
    ((None, np.zeros((T, B, 2), np.float32)), r"dstates\[1\] must have shape \(7, 3, 5\), got \(7, 3, 2\); it is sha"),
    ((None, np.full((T, B, H), np.inf, np.float32)), r"dstates\[1\] must be finite"),
]


@pytest.mark.parametrize("dstates, says", WRONG)
def test_what_does_not_fit_is_refused(dstates, says):
    layer, x = made(LSTM, backend="numpy")
    y, _, tape = layer.forward(x)
    with pytest.raises(ValueError, match=f"^LSTM.backward: {says}"):
        layer.backward(tape, y, dstates=dstates)


def test_weights_in_int8_keep_none():
    layer, x = made(LSTM)
    with pytest.raises(RuntimeError, match="^QuantizedLSTM.__call__: all_states must be False here: in int8 back"):
        quantize(layer)(x, all_states=True)
    with pytest.raises(TypeError, match="^LSTM.__call__: all_states must be True or False, got 'c'"):
        layer(x, all_states="c")
