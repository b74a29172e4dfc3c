"""Cells that look at the whole row of units: what is written down, their loops, and their layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import kernels.cpu
from kernels.contract import DefinedParameters
from kernels.given import Outline, Sizes, check_backward, check_forward
from rnn_core import LanguageModel, SequenceClassifier, equations, load, save
from rnn_core.cell import define
from rnn_core.cell.operators import ON_ARRAYS
from rnn_core.checking.cells import check_step
from rnn_core.checking.suite import OPTIONS, cell_cases
from tests.cell_checks import products_in_a_step_round
from tests.rnn_core.cell.cells import OwnLSTM, lstm, lstm_backward
from tests.rnn_core.cell.rows import ALL, Before, Blended, Heads, Projected

T, B, I, H, P = 6, 3, 2, 4, 2
LENGTHS = np.array([6, 1, 4])
SIZES = {"Projected": {"proj_size": P}, "Heads": {"num_heads": 2}, "Blended": {"proj_size": P, "num_heads": 2}}
"""What a layer of each is made with besides input_size and hidden_size."""


def normal(*shape: int, seed: int = 5, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def made(name: str, **options):
    options = {"backend": "numpy", "dtype": "float64", "seed": 0, **SIZES.get(name, {}), **options}
    return ALL[name](I, H, **options)


def states_of(state):
    return state if isinstance(state, tuple) else (state,)


# ── What is written down ─────────────────────────────────────────────────────────────────────────────────────────────


def numbers_of(program, definition, dtype):
    """Return numbers for the inputs of a program, of a batch of B rows."""
    its, found = definition, []
    for k, name in enumerate(program.inputs):
        word, _, own = name.partition(".")
        if own in its.matrices:
            shape = (P if own == its.projection else H, H)
        else:
            shape = (B, P) if its.projection and own == "h" and word != "kept" else (B, H)
        found.append((0.1 + np.random.default_rng(k).random(shape)).astype(dtype))
    return found


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_the_programs_do_what_the_functions_do(name, dtype):
    its = ALL[name].definition
    for program, function in zip((its.step, its.step_backward), its.functions, strict=True):
        inputs = numbers_of(program, its, dtype)
        for found, expected in zip(program.run(inputs, ON_ARRAYS), function(inputs), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert not isinstance(expected, np.ndarray) or expected.dtype == dtype


def test_inputs_and_outputs_come_in_the_order_of_the_contract():
    its = Blended.definition
    assert its.matrices == ("V", "W")
    assert its.projection == "W"
    assert its.across == ("mean", "product", "product_transposed")
    assert its.step.inputs == ("a.u", "prev.h", "prev.c", "p.gain", "p.slope", "p.V", "p.W")
    assert its.step_backward.output_names == (
        "dprev.h", "dprev.c", "da.u", "dp.gain", "dp.V.d", "dp.V.v", "dp.W.d", "dp.W.v",
    )  # fmt: skip
    assert Heads.definition.across == ()
    assert Heads.definition.digest == OwnLSTM.definition.digest


def test_p_holds_parameters_then_matrices_then_options():
    step, step_backward = Blended.definition.functions
    assert step.takes[-1].names == ("gain", "V", "W", "slope")
    assert step_backward.returns[-1].names == ("gain", "V", "W")


# ── Gradients ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
def test_steps(name):
    report = check_step(ALL[name])
    assert report, report
    assert report.report.worst.error <= 1e-12
    assert {f"p.{W}" for W in ALL[name].definition.matrices} <= {row.name for row in report.report.rows}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ALL)
def test_gradients(name, option):
    [case] = cell_cases(ALL[name], backend="numpy", steps=5, options=(option,))
    report = case.check()
    assert all(row.passed for row in report.rows), report
    assert not report.unjudged, report
    assert report.worst.error <= 1e-12


def test_what_is_not_needed_is_not_there():
    layer = made("Blended", num_layers=2)
    y, _, tape = layer.forward(normal(T, B, I))
    whole = layer.backward(tape, np.ones_like(y))
    dx, dstate0, grads = layer.backward(tape, np.ones_like(y), needs={"V_l0", "W_l1", "weight_hh_l0"})
    assert dx is None
    assert dstate0 == (None, None)
    assert set(grads) == {"V_l0", "W_l1", "weight_hh_l0"}
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, whole[2][name])


# ── The loops ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mean_is_of_its_own_row():
    layer, x = made("Normed"), normal(T, B, I)
    weights, gain, shift = (layer.parameters[f"{name}_l0"] for name in ("weight_ih", "gain", "shift"))
    assert list(layer.parameters) == ["weight_ih_l0", "weight_hh_l0", "gain_l0", "shift_l0"]
    h = np.zeros(H)
    for t in range(T):
        a = weights @ x[t, 1] + layer.parameters["weight_hh_l0"] @ h
        h = np.tanh(gain * (a - a.mean()) / np.sqrt(a.var() + 0.01) + shift) + h / 2
    np.testing.assert_allclose(layer(x)[1][0, 1], h, rtol=1e-13)


def test_products_round_what_they_read():
    products_in_a_step_round()


def test_blocks_are_the_whole_matrix():
    heads, whole = made("Heads", num_layers=2, bidirectional=True), OwnLSTM(
        I, H, num_layers=2, bidirectional=True, backend="numpy", dtype="float64", seed=0
    )  # fmt: skip
    kept = {}
    for name, array in heads.parameters.items():
        if name.startswith("weight_hh"):
            assert array.shape == (4 * H, H // 2)
            W = np.zeros((4, H, H))
            for g in range(4):
                for k in range(H):
                    n = k // 2
                    W[g, k, 2 * n : 2 * n + 2] = array[g * H + k]
            kept[name] = W.reshape(4 * H, H) != 0
            array = W.reshape(4 * H, H)
        whole.parameters[name] = array
    x = normal(T, B, I)
    both = []
    for layer in (heads, whole):
        y, state, tape = layer.forward(x, lengths=LENGTHS)
        dx, dstate0, grads = layer.backward(tape, y, state)
        both.append((y, *state, dx, *dstate0, grads))
    for one, other in zip(both[0][:-1], both[1][:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    for name, gradient in both[0][-1].items():
        expected = both[1][-1][name]
        if name in kept:
            expected = expected[kept[name]].reshape(gradient.shape)
        np.testing.assert_array_equal(gradient, expected, err_msg=name)


def test_one_head_is_the_whole_matrix():
    one, plain = made("Heads", num_heads=1), OwnLSTM(I, H, backend="numpy", dtype="float64", seed=0)
    np.testing.assert_array_equal(one(normal(T, B, I))[0], plain(normal(T, B, I))[0])
    heads = made("Heads")
    before = heads(normal(T, B, I))[0]
    heads.parameters["weight_hh_l0"] *= 2  # the next call sees it
    assert np.abs(heads(normal(T, B, I))[0] - before).max() > 1e-3


# ── As a layer ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["Projected", "Blended"])
def test_the_sizes_of_a_projection(name):
    layer = made(name, num_layers=2, bidirectional=True)
    assert layer.proj_size == P
    gates = len(layer.definition.sums)
    assert layer.parameters["weight_ih_l0"].shape == (gates * H, I)
    assert layer.parameters["weight_ih_l1"].shape == (gates * H, 2 * P)
    assert layer.parameters["weight_hh_l1"].shape == (gates * H, P // layer.num_heads)
    assert layer.parameters[f"{layer.definition.projection}_l1_reverse"].shape == (P, H)
    y, (h, c), tape = layer.forward(normal(T, B, I), lengths=LENGTHS, all_states=True)
    assert [part.shape for part in y] == [(T, B, 2 * P), (T, B, 2 * H)]
    assert (h.shape, c.shape) == ((4, B, P), (4, B, H))
    assert not y[0][1:, 1].any()
    dx, (dh0, dc0), grads = layer.backward(tape, None, None, dstates=y)
    assert (dx.shape, dh0.shape, dc0.shape) == ((T, B, I), h.shape, c.shape)
    assert {name: array.shape for name, array in grads.items()} == {
        name: array.shape for name, array in layer.parameters.items()
    }
    alone, _ = layer(normal(T, B, I)[:4, 2])
    np.testing.assert_allclose(alone, y[0][:4, 2], rtol=1e-13)


@pytest.mark.parametrize("name", ALL)
def test_states_are_put_back_and_steps_stream(name):
    layer, x = made(name, num_layers=2), normal(T, B, I)
    resets = np.zeros((T, B), bool)
    resets[3, 1] = True
    y, state = layer(x, resets=resets)
    first, _ = layer(x[:3, 1])
    rest, last = layer(x[3:, 1])
    np.testing.assert_array_equal(y[:, 1], np.concatenate([first, rest]))
    for one, other in zip(states_of(state), states_of(last), strict=True):
        np.testing.assert_array_equal(one[:, 1], other)
    whole, final = layer(x)
    stream = layer.stream(batch_size=B)
    for piece in (slice(0, 1), slice(1, 4), slice(4, T)):
        out = np.empty_like(whole[piece])
        assert stream(x[piece], out=out) is out
        np.testing.assert_array_equal(out, whole[piece])
    for one, other in zip(states_of(stream.state), states_of(final), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ALL)
def test_files_copies_and_dtypes(name, tmp_path):
    layer, x = made(name, num_layers=2, bidirectional=True, dtype="float32"), normal(T, B, I, dtype="float32")
    y = layer(x, lengths=LENGTHS)[0]
    assert y.dtype == np.float32
    save(layer, tmp_path / "layer.safetensors")
    stored = load(tmp_path / "layer.safetensors", backend="numpy")
    assert {**stored.config, "seed": 0} == layer.config
    twin = made(name, num_layers=2, bidirectional=True, dtype="float32", seed=1)
    twin.load_state_dict(layer.state_dict())
    for other in (stored, twin, copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(x, lengths=LENGTHS)[0], y)
    np.testing.assert_allclose(layer.astype("float64")(x.astype("d"), lengths=LENGTHS)[0], y, atol=1e-5)
    rounded = layer.astype("float32", precision="bfloat16")(x, lengths=LENGTHS)[0]
    assert 0 < np.abs(rounded - y).max() < 0.1


def test_a_file_of_a_cell_that_is_another_by_now(tmp_path):
    names = {"gates": Heads.definition.sums, "states": ("h", "c"), "kept": ("i", "f", "g", "o")}

    def again(**options):
        return define("ToBeAnother", lstm, lstm_backward, **names, **options)

    save(again()(I, H, backend="numpy"), tmp_path / "plain.safetensors")
    save(again(heads=True)(I, H, num_heads=2, backend="numpy"), tmp_path / "heads.safetensors")
    again(bias=False)
    for name, was in (("plain", "none"), ("heads", "heads")):
        with pytest.raises(ValueError, match=f"'ToBeAnother' whose traits were {was}, and are no bias as it is"):
            load(tmp_path / f"{name}.safetensors")


def test_sizes_that_there_are_not():
    for options, error, message in (
        ({"proj_size": None}, TypeError, "Projected: proj_size must be given, how many numbers weight_hr makes"),
        ({"proj_size": 0}, ValueError, "Projected: proj_size must be at least 1, got 0"),
        ({"proj_size": H}, ValueError, "Projected: proj_size must be below hidden_size = 4, got 4"),
        ({"proj_size": 1.5}, TypeError, "Projected: proj_size must be an int"),
        ({"num_heads": 2}, TypeError, "Projected: an option must be one of the cell's, got 'num_heads'"),
    ):
        with pytest.raises(error, match=message):
            made("Projected", **options)
    with pytest.raises(ValueError, match="Heads: num_heads must divide hidden_size = 4, got 3"):
        made("Heads", num_heads=3)
    with pytest.raises(ValueError, match="Blended: num_heads must divide proj_size = 3, got 2"):
        made("Blended", proj_size=3)
    layer = made("Projected")
    with pytest.raises(ValueError, match=r"state0\[0\] must have shape \(1, 3, 2\), got .*directions, B, proj_size"):
        layer(normal(T, B, I), (np.zeros((1, B, H)), np.zeros((1, B, H))))
    with pytest.raises(ValueError, match=r"dstates\[1\] must have shape \(6, 3, 4\).*as the state at every step"):
        layer.backward(layer.forward(normal(T, B, I))[2], None, dstates=(None, np.zeros((T, B, P))))


def test_a_signature_for_people():
    import inspect

    assert "proj_size: 'int', num_heads: 'int' = 1, slope: 'float' = 0.25" in str(inspect.signature(Blended))
    assert "num_heads" not in str(inspect.signature(Projected))
    assert made("Normed", bias=True).config["bias"] is False


def test_models():
    model = SequenceClassifier(3, H, input_size=I, cell=Before, backend="numpy", seed=0)
    assert type(model.rnn) is Before
    with pytest.raises(TypeError, match="^LanguageModel: Projected: proj_size must be given"):
        LanguageModel(vocab_size=5, hidden_size=3, cell=Projected)


# ── Where it runs ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backend_without_it_says_so(monkeypatch):
    monkeypatch.delattr(kernels.cpu, "ACROSS", raising=False)
    assert Before(I, H).backend == "numpy"
    assert Heads(I, H, num_heads=2).backend == "cpu"
    with pytest.raises(RuntimeError, match=r"Before: backend must be one that runs cells that look at a whole .*cpu"):
        Before(I, H, backend="cpu")


def test_what_a_projected_cell_is_given():
    cell = Outline("cpu.Projected", 4, 4, ("h", "c"), (), ("weight_hr",), ("weight_hr",), "weight_hr")
    sizes = Sizes(T, B, B, I, H, np.dtype("f8"))
    good = DefinedParameters(normal(4 * H, I), normal(4 * H, P), None, None, (normal(P, H),))
    states = normal(B, P), normal(B, H)
    check_forward(cell, sizes, good, states, ())
    check_backward(cell, sizes, good, normal(T, B, P), states, (None, normal(T, B, H)))
    for params, message in (
        (good._replace(weight_hh=normal(4 * H, H)), r"weight_hh must have shape \(rows, P\) = \(16, 2\), got \(16, 4"),
        (good._replace(extra=(normal(P, H + 1),)), r"weight_hr of extra must have shape \(P, H\) = \(2, 4\)"),
        (good._replace(extra=(None,)), "weight_hr of extra must be given"),
        (good._replace(extra=()), r"there must be 1 extra \(weight_hr\), got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            check_forward(cell, sizes, params, states, ())
    with pytest.raises(ValueError, match=r"h of state0 must have shape \(B, P\) = \(3, 2\), got \(3, 4\)"):
        check_forward(cell, sizes, good, (states[1], states[1]), ())
    with pytest.raises(ValueError, match=r"c of state0 must have shape \(B, H\) = \(3, 4\), got \(3, 2\)"):
        check_forward(cell, sizes, good, (states[0], states[0]), ())
    with pytest.raises(ValueError, match=r"dy must have shape \(T, B, P\) = \(6, 3, 2\)"):
        check_backward(cell, sizes, good, normal(T, B, H), states, None)
    with pytest.raises(ValueError, match=r"c of dstates must have shape \(T, B, H\)"):
        check_backward(cell, sizes, good, None, states, (None, normal(T, B, P)))
    mixed = Outline("cpu.Blended", 1, 1, ("h", "c"), (), ("gain", "V"), ("V",))
    params = DefinedParameters(normal(H, I), normal(H, H), None, None, (normal(H), normal(H, H)))
    check_forward(mixed, sizes, params, (states[1], states[1]), ())
    with pytest.raises(ValueError, match=r"V of extra must have shape \(H, H\) = \(4, 4\), got \(4,\)"):
        check_forward(mixed, sizes, params._replace(extra=(normal(H), normal(H))), (states[1], states[1]), ())


def test_loops_infer_as_they_train():
    for name, kind in ALL.items():
        its = kind.definition
        P_ = P if its.projection else H
        loops = equations.defined_cell(its)
        X, G = len(its.from_x) * H, len(its.from_h) * H
        constants = [np.full(H, 0.25) for _ in its.constants]
        matrices = [normal(P_ if W == its.projection else H, H) for W in its.matrices]
        extra = (*normal(len(its.vectors), H), *constants, *matrices)
        params = DefinedParameters(normal(X, I), normal(G, P_), None, None, extra)
        state0 = (normal(B, P_), *(normal(B, H) for _ in its.states[1:]))
        y, final, tape = loops.forward(params, normal(T, B, I), state0, LENGTHS)
        found, last = loops.infer(params, normal(T, B, I), state0, LENGTHS)
        np.testing.assert_array_equal(y, found, err_msg=name)
        for one, other, every in zip(final, last, loops.states(tape), strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(every[LENGTHS - 1, np.arange(B)], one)
