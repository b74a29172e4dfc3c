"""Resets: a batch of concatenated episodes gives, bit for bit, what the episodes give alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, gradcheck, quantize
from rnn_core.layers.passes.segments import PADDING, segments_of
from tests.rnn_core.cell.cells import Peephole, Strange

KINDS = [RNN, LSTM, GRU]
BACKENDS = ["cpu", "numpy"]
OPTIONS = {
    "plain": {},
    "stacked": {"num_layers": 2, "bias": False},
    "both ways": {"num_layers": 2, "bidirectional": True},
    "float64": {"dtype": np.float64},
    "bfloat16": {"num_layers": 2, "precision": "bfloat16"},
}
T, B, I, H = 13, 4, 3, 5


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def whole(states):
    return states[0] if len(states) == 1 else tuple(states)


def drawn(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def made(kind, **options):
    return kind(I, H, **options, seed=0)


class Call:
    """A call of a layer with everything random, and the episodes that it consists of."""

    def __init__(self, layer, rng, lengths=None, share=0.3):
        self.layer = layer
        stacked, self.names = layer.num_layers * layer.directions, layer.spec.states
        self.x, self.dy = (drawn(rng, layer.dtype, T, B, n) for n in (I, layer.directions * H))
        self.state0, self.put_back, self.dstate = (
            tuple(drawn(rng, layer.dtype, stacked, B, H) for _ in self.names) for _ in range(3)
        )
        self.resets, self.lengths = rng.random((T, B)) < share, lengths

    def episodes(self):
        """Give the row, the steps, and whether it begins with a reset, of every episode."""
        for b in range(B):
            end = T if self.lengths is None else int(self.lengths[b])
            cuts = [0, *(t for t in range(1, end) if self.resets[t, b]), end]
            for t0, t1 in pairwise(cuts):
                yield b, slice(t0, t1), bool(self.resets[t0, b]), t1 == end

    def run(self, reset_to):
        layer = self.layer
        y, state, tape = layer.forward(self.x, whole(self.state0), self.lengths, resets=self.resets, reset_to=reset_to)
        return y, state, layer.backward(tape, self.dy, whole(self.dstate))


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("reset_to", ["state0", "zeros", "given"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_episodes_together_are_the_episodes_alone(kind, backend, options, reset_to, ragged):
    assert_alone(made(kind, backend=backend, **OPTIONS[options]), reset_to, ragged, rough=options == "bfloat16")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [Peephole, Strange])
def test_so_with_cells_of_ones_own(kind, backend):
    for reset_to in ("state0", "zeros", "given"):
        assert_alone(made(kind, num_layers=2, bidirectional=True, backend=backend), reset_to, ragged=True)


def assert_alone(layer, reset_to, ragged, rough=False):
    """A batch of concatenated episodes is what they are alone, and back; `rough` sums are of rounded numbers."""
    call = Call(layer, np.random.default_rng(1), np.array([T, 1, 9, 4]) if ragged else None)
    back_to = {"state0": None, "zeros": "zeros", "given": whole(call.put_back)}[reset_to]
    y, state, (dx, dstate0, grads) = call.run(back_to)
    y_inferred, state_inferred = layer(call.x, whole(call.state0), call.lengths, resets=call.resets, reset_to=back_to)
    assert_same(y_inferred, y)
    first, back = (tuple(np.zeros_like(s) for s in call.state0) for _ in range(2))
    total = dict.fromkeys(layer.parameters, 0)
    for b, steps, put_back, last in call.episodes():
        begin = call.state0 if not put_back or reset_to == "state0" else call.put_back
        begin = None if put_back and reset_to == "zeros" else whole([s[:, b] for s in begin])
        x = np.ascontiguousarray(call.x[steps, b])
        y_alone, state_alone, tape = layer.forward(x, begin)
        dstate = whole([s[:, b] for s in call.dstate]) if last else None
        dx_alone, dbegin, grads_alone = layer.backward(tape, np.ascontiguousarray(call.dy[steps, b]), dstate)
        assert_same(y[steps, b], y_alone)
        assert_same(dx[steps, b], dx_alone)
        for into, ds in zip(back if put_back and reset_to != "state0" else first, parts(dbegin), strict=True):
            into[:, b] += ds
        if last:
            for inferred, found, expected in zip(parts(state_inferred), parts(state), parts(state_alone), strict=True):
                assert_same(found[:, b], expected)
                assert_same(inferred[:, b], expected)
        total = {name: total[name] + grad for name, grad in grads_alone.items()}
    for found, expected in zip(parts(dstate0), first, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if reset_to == "given":
        for name, expected in zip(call.names, back, strict=True):
            np.testing.assert_allclose(grads.pop(f"reset_{name}"), expected, rtol=1e-5, atol=1e-6)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, total[name], rtol=1e-2 if rough else 1e-4, atol=1e-2 if rough else 1e-5)
    if ragged:
        for b, length in enumerate(call.lengths):
            assert not y[length:, b].any()
            assert not dx[length:, b].any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_whose_strides_mean_nothing(kind):
    """Of an axis of length 1 NumPy keeps whatever stride the array had before its axes were swapped."""
    rng, resets = np.random.default_rng(0), np.array([[False, False, True, False, True, False]])
    x, dy = rng.standard_normal((1, 6, 2)), rng.standard_normal((1, 6, 3))
    found = []
    for backend in ("numpy", "cpu"):
        layer = kind(2, 3, batch_first=True, dtype=np.float64, backend=backend, seed=0)
        _, _, tape = layer.forward(x, resets=resets)
        dx, _, gradients = layer.backward(tape, dy)
        found.append({"x": dx, **gradients})
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, rtol=0, atol=1e-13, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(KINDS), num_layers=st.integers(1, 2), bidirectional=st.booleans(), batch_first=st.booleans(),
    ragged=st.booleans(), to=st.sampled_from(["state0", "zeros", "given"]), backend=st.sampled_from(BACKENDS),
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]), seed=st.integers(0, 2**16),
)  # fmt: skip
def test_complex_step_with_any_resets(kind, num_layers, bidirectional, batch_first, ragged, to, backend, share, seed):
    rng = np.random.default_rng(seed)
    T, B = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    layer = kind(
        1, 2, num_layers, bidirectional=bidirectional, batch_first=batch_first, dropout=0.3 * (num_layers - 1),
        dtype=np.float64, backend=backend, seed=seed,
    )  # fmt: skip
    x, resets = rng.standard_normal((T, B, 1)), rng.random((T, B)) < share
    if batch_first:
        x, resets = x.swapaxes(0, 1), resets.T
    state = whole([rng.standard_normal((num_layers * layer.directions, B, 2)) for _ in layer.spec.states])
    reset_to = {"state0": None, "zeros": "zeros", "given": state}[to]
    report = gradcheck(
        layer, x, lengths=rng.integers(1, T + 1, B) if ragged else None, resets=resets, reset_to=reset_to, seed=seed
    )
    # Where every step is put back to zero there are gradients that are zero, and so found.
    assert all(row.passed or (row.size == 0 and row.wrong is None) for row in report.rows), f"\n{report}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_reset_nothing_changes(kind, backend):
    layer = made(kind, num_layers=2, dropout=0.4, backend=backend)
    call = Call(layer, np.random.default_rng(2), share=0)
    results = []
    for options in ({}, {"resets": call.resets}, {"resets": call.resets, "reset_to": whole(call.put_back)}):
        y, state, tape = layer.forward(call.x, whole(call.state0), rng=3, **options)
        dx, dstate0, grads = layer.backward(tape, call.dy, whole(call.dstate))
        for name in call.names:
            if "reset_to" in options:
                assert not grads.pop(f"reset_{name}").any()
        results.append([y, *parts(state), dx, *parts(dstate0), *grads.values()])
    for found in results[1:]:
        for one, other in zip(found, results[0], strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_seed_drops_the_same_places_with_resets_and_without(backend):
    layer = made(RNN, num_layers=2, dropout=0.5, backend=backend, dtype=np.float64)
    for k in range(2):
        layer.parameters[f"weight_hh_l{k}"][...] = 0  # a state has no influence, so that a reset has none
    call = Call(layer, np.random.default_rng(2))
    found, expected = (layer.forward(call.x, rng=3, resets=resets)[0] for resets in (call.resets, None))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_comes_before_a_reset_reaches_nothing_behind_it():
    layer = made(LSTM, num_layers=2, bidirectional=True, dtype=np.float64)
    call = Call(layer, np.random.default_rng(4), share=0)
    call.resets[6] = True
    x = call.x.copy()
    x[:6] = 100
    state0 = tuple(100 * s for s in call.state0)
    y, state, tape = layer.forward(call.x, call.state0, resets=call.resets, reset_to="zeros")
    other, final = layer(x, state0, resets=call.resets, reset_to="zeros")
    assert_same(y[6:], other[6:])
    forwards = [0, 2]
    assert_same(state[0][forwards], final[0][forwards])
    dy = call.dy.copy()
    dy[:6] = 0
    dx, dstate0, _ = layer.backward(tape, dy, None)
    assert not dx[:6].any()
    assert dx[6:].any()
    assert not any(ds.any() for ds in dstate0)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_may_begin_anew_at_the_first_step_alone(backend, ragged):
    layer = made(LSTM, num_layers=2, backend=backend)
    call = Call(layer, np.random.default_rng(9), np.array([T, 1, 9, 4]) if ragged else None, share=0)
    call.resets[0, [0, 2]] = True
    begin = tuple(np.where(call.resets[0][:, None], 0, s) for s in call.state0)
    y, state, (dx, dstate0, _) = call.run("zeros")
    expected, final, tape = layer.forward(call.x, begin, call.lengths)
    dx_expected, dbegin, _ = layer.backward(tape, call.dy, call.dstate)
    for found, other in ((y, expected), (dx, dx_expected), *zip(state, final, strict=True)):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)
    for found, other in zip(dstate0, dbegin, strict=True):
        assert not found[:, [0, 2]].any()
        np.testing.assert_allclose(found[:, [1, 3]], other[:, [1, 3]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_resets_lie_as_x_does(kind):
    rng = np.random.default_rng(5)
    call = Call(made(kind), rng)
    expected, state = call.layer(call.x, resets=call.resets)
    batch_first = made(kind, batch_first=True)
    y, other = batch_first(call.x.swapaxes(0, 1), resets=call.resets.T.astype(int))
    assert_same(np.ascontiguousarray(y.swapaxes(0, 1)), expected)
    assert_same(parts(other)[0], parts(state)[0])
    for b in range(B):
        y, other = call.layer(call.x[:, b], resets=call.resets[:, b].tolist())
        assert_same(y, np.ascontiguousarray(expected[:, b]))
        assert_same(parts(other)[0], np.ascontiguousarray(parts(state)[0][:, b]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_needs_are_honoured(backend):
    layer = made(LSTM, num_layers=2, backend=backend)
    call = Call(layer, np.random.default_rng(6))
    *_, tape = layer.forward(call.x, call.state0, resets=call.resets, reset_to=call.put_back)
    dx, dstate0, grads = layer.backward(tape, call.dy, call.dstate)
    for needs in ((), ("x",), ("c0",), ("reset_h",), ("weight_hh_l1", "reset_c"), ("h0", "bias_ih_l0")):
        dx_, dstate0_, grads_ = layer.backward(tape, call.dy, call.dstate, needs)
        assert (dx_ is None) == ("x" not in needs)
        for name, one, other in zip(("h0", "c0"), dstate0_, dstate0, strict=True):
            assert (one is None) == (name not in needs)
            if one is not None:
                assert_same(one, other)
        assert set(grads_) == set(needs) - {"x", "h0", "c0"}
        for name, grad in grads_.items():
            assert_same(grad, grads[name])
    assert dx is not None


def test_none_stands_for_zeros():
    layer = made(LSTM)
    call = Call(layer, np.random.default_rng(7))
    zeros = np.zeros_like(call.put_back[0])
    y, _ = layer(call.x, call.state0, resets=call.resets, reset_to=(None, None))
    assert_same(y, layer(call.x, call.state0, resets=call.resets, reset_to="zeros")[0])
    y, _ = layer(call.x, call.state0, resets=call.resets, reset_to=(call.put_back[0], None))
    assert_same(y, layer(call.x, call.state0, resets=call.resets, reset_to=(call.put_back[0], zeros))[0])
    y, _ = layer(call.x, resets=call.resets)
    assert_same(y, layer(call.x, resets=call.resets, reset_to="zeros")[0])


def test_weights_in_int8_know_resets_too():
    layer = quantize(made(GRU, num_layers=2))
    call = Call(layer, np.random.default_rng(8))
    y, _ = layer(call.x, call.state0[0], resets=call.resets)
    for b, steps, _, _ in call.episodes():
        assert_same(y[steps, b], layer(np.ascontiguousarray(call.x[steps, b]), call.state0[0][:, b])[0])


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=6), share=st.sampled_from([0, 0.01, 0.1, 0.7, 1]),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_every_step_is_in_one_segment_and_padding_is_bounded(lengths, share, seed):
    T, B = max(lengths), len(lengths)
    resets = np.random.default_rng(seed).random((T, B)) < share
    resets[:, 0] = True  # a row of segments of one step, beside the longest
    segments = segments_of(resets, np.array(lengths), np)
    seen = np.zeros((T, B), int)
    padded = 0
    for group in segments.groups:
        if group.t is None:  # the batch as it is
            seen += np.arange(T)[:, None] < np.array(lengths)
            continue
        np.add.at(seen, group.place, 1)
        padded += group.t.size
        steps = np.full(len(group.b), len(group.t)) if group.lengths is None else group.lengths
        assert steps.max() == len(group.t)
        for s, (b, n) in enumerate(zip(group.b, steps, strict=True)):
            assert (np.diff(group.t[:n, s]) == 1).all()
            assert not resets[group.t[1:n, s], b].any()
    np.testing.assert_array_equal(seen, np.arange(T)[:, None] < np.array(lengths))
    assert padded <= PADDING * sum(lengths)


WRONG = [
    ({"resets": np.zeros((T, B))}, TypeError, r"resets must be booleans or integers, got float64; of numbers"),
    ({"resets": np.zeros((B, T), bool)}, ValueError, r"resets must have shape \(13, 4\), .*, got \(4, 13\)"),
    ({"resets": np.full((T, B), 2)}, ValueError, r"resets must be 0 or 1, got 2 at index \(0, 0\)"),
    ({"resets": np.ones((T, B), bool), "reset_to": "zero"}, ValueError, "reset_to must be 'zeros' or .*, got 'zero'"),
    ({"resets": np.ones((T, B), bool), "reset_to": np.zeros(3)}, ValueError, r"reset_to must be a pair \(h, c\)"),
    ({"resets": np.ones((T, B), bool), "reset_to": (np.zeros((1, B, 2), np.float32),) * 2}, ValueError,
     r"reset_to\[0\] must have shape \(1, 4, 5\), got \(1, 4, 2\)"),
    ({"reset_to": "zero"}, ValueError, "reset_to must be 'zeros' or a state, got 'zero'"),
    ({"reset_to": np.zeros(3)}, ValueError, r"reset_to must be a pair \(h, c\)"),
    ({"reset_to": "zeros"}, ValueError, "reset_to must be left out without resets, .*, got 'zeros'; pass resets, too"),
    ({"reset_to": (None, None)}, ValueError, "reset_to must be left out without resets, .*, got a state"),
    ({"resets": np.zeros((T, B), bool), "state0": (None, None), "reset_to": "zero"}, ValueError, "reset_to must be"),
]  # fmt: skip


@pytest.mark.parametrize("arguments, error, says", WRONG)
def test_what_does_not_fit_is_refused(arguments, error, says):
    layer, x = made(LSTM), np.zeros((T, B, I), np.float32)
    with pytest.raises(error, match=f"^LSTM.forward: {says}"):
        layer.forward(x, **arguments)
    with pytest.raises(error, match=f"^LSTM.__call__: {says}"):
        layer(x, **arguments)


def test_a_name_of_what_was_not_given_is_no_need():
    layer, x = made(LSTM), np.zeros((T, B, I), np.float32)
    *_, tape = layer.forward(x, resets=np.ones((T, B), bool))
    with pytest.raises(ValueError, match=r"^LSTM.backward: needs must name some of .*; got reset_h"):
        layer.backward(tape, None, None, {"reset_h"})
