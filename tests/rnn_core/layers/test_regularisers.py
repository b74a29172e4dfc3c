"""Zoneout, recurrent dropout, dropout of the candidate, weight drop: gradients, expectations, limits, seeds, errors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from rnn_core import LSTM, gradcheck, jvp, load, quantize, save, state_jacobian
from rnn_core.cell.built_in import built_in
from rnn_core.cell.operators import ON_ARRAYS
from rnn_core.cell.wrapping import wrapped
from rnn_core.variants import IndRNN, MinGRU, ProjectedLSTM, parallel
from tests.regularised_checks import (
    CELLS,
    REGULARISERS,
    built_in_step,
    fitting,
    made,
    random,
    regularised_gradients,
)
from tests.rnn_core.cell.cells import Strange

T, B, I, H = 6, 3, 2, 4
LENGTHS = [6, 2, 5]


PAIRS = [(name, what) for name in CELLS for what in REGULARISERS if fitting(name, what)]


@pytest.mark.parametrize(("name", "what"), PAIRS)
def test_gradients_by_the_complex_step(name, what):
    regularised_gradients(name, what)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh", "rnn_relu", "rnn_sigmoid"])
def test_the_steps_of_the_built_in_cells_with_masks(name):
    built_in_step(name)


def test_gradients_with_resets_and_dropout():
    more = {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "batch_first": True}
    layer = made("LSTM", sizes=(1, 2), **more, **REGULARISERS["all"])
    resets = np.array([[0, 0, 1], [1, 1, 0]])
    report = gradcheck(layer, random(2, 3, 1), lengths=[3, 2], resets=resets, all_states=True)
    assert all(row.passed for row in report.rows), report


@pytest.mark.parametrize("name", ["LSTM", "GRU", "tanh", "relu", "sigmoid"])
def test_the_built_in_cells_as_definitions_have_their_bits(name):
    """A mask of ones, or a p that holds nothing, changes nothing."""
    plain, x, state0 = made(name), random(T, B, I), tuple(random(1, B, H, seed=k) for k in range(2))
    state0 = state0 if name == "LSTM" else state0[0]
    for options in ({"zoneout": 1e-300}, {"recurrent_dropout": 1e-300}, {"candidate_dropout": 1e-300}):
        layer = made(name, **options)
        found, expected = layer.forward(x, state0, LENGTHS, rng=0), plain.forward(x, state0, LENGTHS)
        assert all(map(np.array_equal, every(found[:2]), every(expected[:2])))
        found, expected = layer.backward(found[2], found[0]), plain.backward(expected[2], expected[0])
        for one, other in zip(every(found), every(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


def every(results):
    """Return all arrays in a row."""
    if isinstance(results, dict):
        results = tuple(results.values())
    return [array for one in results for array in every(one)] if isinstance(results, tuple) else [results]


@pytest.mark.parametrize("name", CELLS)
def test_p_0_changes_no_bit_and_p_1_holds_the_state(name):
    plain, x = made(name), random(T, B, I)
    none = made(name, zoneout=[0] * len(plain.spec.states), recurrent_dropout=0, candidate_dropout=0, weight_drop=0)
    assert none.config == plain.config
    assert none._its_cell == plain._its_cell
    assert none._noisy is None
    assert np.array_equal(none.forward(x)[0], plain.forward(x)[0])
    states = tuple(random(1, B, H, seed=k) for k in range(len(plain.spec.states)))
    state0 = states if len(states) > 1 else states[0]
    held = made(name, zoneout=1)
    for y, final in (held.forward(x, state0)[:2], held(x, state0)):
        assert np.array_equal(y, np.broadcast_to(states[0][0], y.shape))
        assert all(map(np.array_equal, every(final), states))


def test_one_p_for_each_state():
    layer, x = made("LSTM", zoneout=(0, 1)), random(T, B, I)
    state0 = random(1, B, H), random(1, B, H, seed=1)
    (y, c), _, _ = layer.forward(x, state0, all_states=True)
    assert np.array_equal(c, np.broadcast_to(state0[1][0], c.shape))
    assert not np.array_equal(y[1], y[0])
    assert layer.config["zoneout"] == [0.0, 1.0]


def test_the_equations_of_zoneout_by_hand():
    """The LSTM's h is made of the c that the cell itself makes, as in the paper."""
    p = 0.3, 0.6
    layer, plain, x = made("LSTM", zoneout=p), made("LSTM"), random(T, B, I)
    h, c = random(1, B, H), random(1, B, H, seed=1)
    y, (h_T, c_T) = layer(x, (h, c))
    for t in range(T):
        _, (fresh_h, fresh_c) = plain(x[t : t + 1], (h, c))
        h, c = p[0] * h + (1 - p[0]) * fresh_h, p[1] * c + (1 - p[1]) * fresh_c
        np.testing.assert_allclose(y[t], h[0], atol=1e-14)
    np.testing.assert_allclose(h_T, h, atol=1e-14)
    np.testing.assert_allclose(c_T, c, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [({"zoneout": 0.3}, 0.02), ({"candidate_dropout": 0.3}, 0.02), ({"recurrent_dropout": 0.3}, 0.02),
     ({"weight_drop": 0.3}, 0.02)],
    ids=str,
)  # fmt: skip
def test_without_training_it_is_the_mean_over_masks(options, tolerance):
    """Of one step the states are linear in zoneout's masks and in those of the candidate, and sums in the others."""
    layer = made("LSTM" if "zoneout" in options or "candidate_dropout" in options else "relu", **options)
    copies, x = 4000, random(1, 1, I)
    state0 = tuple(abs(random(1, 1, H, seed=k)) for k in range(len(layer.spec.states)))
    for name in ("weight_hh_l0", "weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
        if len(state0) == 1:  # where a ReLU is at work whatever is left out, it is linear
            layer.parameters[name] = abs(layer.parameters[name])
            x = abs(x)
    if "weight_drop" in options:
        rng = np.random.default_rng(0)
        c = [layer.forward(x, state0[0], rng=rng)[1] for _ in range(copies)]
    else:
        wide = tuple(np.repeat(s, copies, axis=1) for s in state0)
        final = layer.forward(np.repeat(x, copies, axis=1), wide if len(wide) > 1 else wide[0], rng=0)[1]
        c = final[1][0] if len(wide) > 1 else final[0]
    expected = layer(x, state0 if len(state0) > 1 else state0[0])[1]
    expected = expected[1] if len(state0) > 1 else expected
    assert np.std(c, axis=0).min() > 0.01
    np.testing.assert_allclose(np.mean(c, axis=0).reshape(expected.shape), expected, atol=tolerance)


def test_the_mask_of_recurrent_dropout_is_the_same_at_every_step():
    """W_h is the identity: what a unit tells of its past shows which are left out."""
    layer = made("relu", recurrent_dropout=0.5, bias=False)
    layer.parameters["weight_hh_l0"] = np.eye(H)
    layer.parameters["weight_ih_l0"] = np.zeros((H, I))
    y, h, _ = layer.forward(random(T, 40, I), np.ones((1, 40, H)), rng=0)
    kept = y[0] > 0
    assert 0.3 < kept.mean() < 0.7
    assert np.array_equal(y > 0, np.broadcast_to(kept, y.shape))
    assert np.array_equal(y[-1][kept], np.full(kept.sum(), 2.0**T))
    assert np.array_equal(h[0], y[-1])


def test_one_mask_of_weights_for_a_call():
    layer = made("relu", weight_drop=0.5, bias=False)
    layer.parameters["weight_hh_l0"] = np.eye(H)
    layer.parameters["weight_ih_l0"] = np.zeros((H, I))
    y, _, tape = layer.forward(random(2, 40, I), np.ones((1, 40, H)), rng=1)
    assert set(np.unique(y)) == {0.0, 2.0, 4.0}
    assert (y[0] == y[0, 0]).all()
    gradient = layer.backward(tape, np.ones_like(y))[2]["weight_hh_l0"]
    assert 0 < (gradient == 0).sum() < H * H


SEVERAL = {"num_layers": 2, "bidirectional": True, "dropout": 0.3}


def test_a_seed_draws_the_same_masks_again():
    x = random(T, B, I)
    layer, twin = (made("LSTM", **SEVERAL, **REGULARISERS["all"]) for _ in range(2))
    first = layer.forward(x, rng=5)[0]
    assert np.array_equal(layer.forward(x, rng=np.random.default_rng(5))[0], first)
    assert not np.array_equal(layer.forward(x, rng=6)[0], first)
    own = [layer.forward(x)[0] for _ in range(2)]  # the layer's own generator goes on
    assert not np.array_equal(*own)
    assert np.array_equal(twin.forward(x)[0], own[0])


def test_a_seed_drops_the_same_places_with_resets_and_without():
    """A reset at the first step, and before it at zeros, puts back what is there."""
    layer, x = made("GRU", **SEVERAL, **REGULARISERS["all"]), random(T, B, I)
    resets = np.zeros((T, B), bool)
    resets[0] = True
    plain, cut = layer.forward(x, rng=1)[0], layer.forward(x, rng=1, resets=resets)[0]
    np.testing.assert_allclose(cut, plain, atol=1e-13)
    resets[4:, 0] = True
    cut = layer.forward(x, rng=1, resets=resets)[0]
    np.testing.assert_allclose(cut[:, 1:], plain[:, 1:], atol=1e-13)


def test_a_second_direction_has_its_masks_turned_as_x_is():
    """What is past a length has no part in it: a row alone has the numbers that it has in the batch."""
    layer = made("LSTM", bidirectional=True, zoneout=0.5, candidate_dropout=0.3)
    x = random(T, B, I)
    whole = layer.forward(x, lengths=LENGTHS, rng=1)[0]
    x[2:, 1] = np.nan
    assert np.array_equal(layer.forward(x, lengths=LENGTHS, rng=1)[0], whole)


@pytest.mark.parametrize(
    ("name", "what", "dtype"), [("LSTM", "all", "float32"), ("PeepholeLSTM", "zoneout", "float64")]
)
def test_the_kernels_have_the_masks_and_the_numbers_of_the_equations(name, what, dtype):
    x = random(T, B, I, dtype=dtype)
    resets = np.random.default_rng(1).random((T, B)) < 0.3
    results = []
    for backend in ("numpy", "cpu"):
        layer = made(name, backend, dtype=dtype, bidirectional=True, **REGULARISERS[what])
        found = []
        for more in ({}, {"lengths": LENGTHS, "resets": resets}):
            (y, c), state, tape = layer.forward(x, rng=0, all_states=True, **more)
            back = layer.backward(tape, y, state, dstates=(None, c))
            small = [layer(x, **more) for _ in range(3)]  # the third of a shape goes the short way
            assert all(map(np.array_equal, every(small[0]), every(small[2])))
            found += every((y, c, state, back, small[0]))
        results.append(found)
    tolerance = 3e-5 if dtype == "float32" else 1e-12
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * max(1, abs(other).max()), rtol=0)


def test_a_stream_is_the_whole():
    layer, x = made("LSTM", "cpu", dtype="float32", zoneout=0.3), random(T, I, dtype=np.float32)
    stream = layer.stream()
    assert np.array_equal(np.array([stream(x_t) for x_t in x]), layer(x)[0])


def test_what_is_written_down_is_what_runs_on_arrays():
    for its in (built_in("lstm", dropped=True), built_in("gru"), Strange.definition):
        for zoned, expected, recurrent in (((0,), True, False), ((0,), False, True), ((), False, True)):
            outer = wrapped(its, zoned, expected, recurrent)
            for program, function in zip((outer.step, outer.step_backward), outer.functions, strict=True):
                inputs = [abs(random(2, 3, seed=k)) + 0.1 for k in range(len(program.inputs))]
                for found, run in zip(program.run(inputs, ON_ARRAYS), function(inputs), strict=True):
                    assert np.array_equal(found, run)


def test_copies_pickles_files_and_other_dtypes(tmp_path):
    x = random(T, B, I)
    for name in ("LSTM", "PeepholeLSTM"):
        layer = made(name, **{**REGULARISERS["all"], "zoneout": [0.1, 0.2]})
        save(layer, tmp_path / "layer.safetensors")
        read = load(tmp_path / "layer.safetensors", backend="numpy")
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), read, layer.astype("float64")):
            assert other.config | {"seed": 3} == layer.config
            for one, two in ((layer(x), other(x)), (layer.forward(x, rng=1)[:2], other.forward(x, rng=1)[:2])):
                assert all(map(np.array_equal, every(one), every(two)))


def test_only_what_is_needed_is_computed():
    layer, x = made("LSTM", num_layers=2, **REGULARISERS["all"]), random(T, B, I)
    y, _, tape = layer.forward(x, rng=0)
    every_one = layer.backward(tape, y)
    for name in ("weight_ih_l1", "weight_hh_l0", "h0", "x"):
        dx, dstate0, gradients = layer.backward(tape, y, needs={name})
        assert set(gradients) == {name} - {"h0", "x"}
        found = dx if name == "x" else dstate0[0] if name == "h0" else gradients[name]
        expected = every_one[0] if name == "x" else every_one[1][0] if name == "h0" else every_one[2][name]
        assert np.array_equal(found, expected)
        assert (dx is None) == (name != "x")
        assert (dstate0[0] is None) == (name != "h0")


def test_sensitivities_are_of_the_layer_without_training():
    layer, x = made("LSTM", **REGULARISERS["all"]), random(T, 1, I)
    dx = random(T, 1, I, seed=1)
    dy, _ = jvp(layer, x, dx=dx)
    step = 1e-6
    np.testing.assert_allclose(dy, (layer(x + step * dx)[0] - layer(x - step * dx)[0]) / (2 * step), atol=1e-8)
    jacobian = state_jacobian(layer, x[:, 0], t=2, T=3)
    plain = state_jacobian(made("LSTM"), x[:, 0], t=2, T=3)
    assert jacobian.shape == plain.shape
    assert not np.allclose(jacobian, plain)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"zoneout": 1.5}, "LSTM: zoneout must be at least 0 and at most 1, got 1.5"),
        ({"zoneout": [0.1, -1]}, r"LSTM: zoneout\[1\] must be at least 0 and at most 1, got -1"),
        ({"zoneout": [0.1]}, r"LSTM: zoneout must be a number, or one for each state \(h, c\), got 1 of them"),
        ({"zoneout": "much"}, "LSTM: zoneout must be a number, got str 'much'"),
        ({"recurrent_dropout": 1}, "LSTM: recurrent_dropout must be at least 0 and below 1, got 1"),
        ({"candidate_dropout": -0.1}, "LSTM: candidate_dropout must be at least 0 and below 1"),
        ({"weight_drop": None}, "LSTM: weight_drop must be a number, got NoneType"),
    ],
)
def test_what_is_no_probability_is_refused(options, says):
    with pytest.raises((ValueError, TypeError), match=f"^{says}"):
        LSTM(I, H, **options)


def test_what_a_cell_does_not_have_is_refused():
    says = "^MinGRU: weight_drop must be 0 for the cell 'MinGRU', which has no W_h, got 0.1; leave it out"
    with pytest.raises(ValueError, match=says):
        MinGRU(I, H, weight_drop=0.1)
    with pytest.raises(ValueError, match="^IndRNN: recurrent_dropout must be 0 .* has no W_h, got 0.1"):
        IndRNN(I, H, recurrent_dropout=0.1)
    says = "^Strange: candidate_dropout must be 0 for the cell 'Strange', which doesn't say .*, got 0.1; name its masks"
    with pytest.raises(ValueError, match=says):
        Strange(I, H, candidate_dropout=0.1)


def test_what_a_projection_makes_is_refused():
    says = r"^ProjectedLSTM: zoneout of h must be 0 for the cell 'ProjectedLSTM', .* got 0\.1; zoneout=\[0, …\] holds"
    with pytest.raises(ValueError, match=says):
        ProjectedLSTM(I, H, proj_size=2, backend="numpy", zoneout=0.1)
    with pytest.raises(ValueError, match=r"recurrent_dropout must be 0 .* makes h, got 0\.2; leave it out$"):
        ProjectedLSTM(I, H, proj_size=2, backend="numpy", recurrent_dropout=0.2)


def test_what_cannot_be_with_zoneout_says_so():
    with pytest.raises(ValueError, match=r"^quantize: target must be without zoneout, .* got zoneout=0\.1; "):
        quantize(LSTM(I, H, zoneout=0.1, seed=0))
    with pytest.raises(ValueError, match=r"^parallel: layer must be without zoneout, .* got zoneout=0\.1; "):
        parallel(MinGRU(I, H, zoneout=0.1, seed=0), random(T, B, I, dtype=np.float32))
    layer = LSTM(I, H, recurrent_dropout=0.1, seed=0)
    x = random(T, B, I, dtype=np.float32)
    assert np.array_equal(quantize(layer)(x)[0], quantize(LSTM(I, H, seed=0))(x)[0])
