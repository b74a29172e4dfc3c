"""What the layers add to a cell: stack, directions, layout, dropout, `needs`, parameters by name.

Each option is compared with the same thing put together by hand from plainer layers.
"""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.contract import CELLS
from rnn_core import backends, load, save
from rnn_core.layers import GRU, LSTM, RNN

LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
T, B, I, H = 5, 4, 3, 6
LENGTHS = (5, 1, 3, 2)


@pytest.fixture(params=LAYERS)
def kind(request):
    return LAYERS[request.param]


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def pair(state):
    """The states of any layer as a tuple."""
    return state if isinstance(state, tuple) else (state,)


def unpair(states):
    return states if len(states) > 1 else states[0]


def state_of(layer, B=B, seed=1):
    shape = (layer.num_layers * layer.directions, B, layer.hidden_size)
    return unpair(tuple(draw(*shape, seed=seed + k) for k in range(len(layer.spec.states))))


def call(layer, x, dy, state0=None, dstate=None, lengths=None, **options):
    """Forward and backward; everything that comes out, by name."""
    y, state, tape = layer.forward(x, state0, lengths, **options)
    dx, dstate0, grads = layer.backward(tape, dy, dstate)
    return {"y": y, "state": np.stack(pair(state)), "dx": dx, "dstate0": np.stack(pair(dstate0)), **grads}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def single(layer, k, direction=""):
    """The one-directional layer that is layer k of a stack."""
    inputs = layer.input_size if k == 0 else layer.directions * layer.hidden_size
    alone = type(layer)(inputs, layer.hidden_size, bias=layer.config["bias"], dtype=layer.dtype)
    fields = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if layer.config["bias"] else ("weight_ih", "weight_hh")
    alone.load_state_dict({f"{field}_l0": layer.parameters[f"{field}_l{k}{direction}"] for field in fields})
    return alone


# The stack and the directions


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_a_stack_is_one_layer_after_another(kind, bias, lengths):
    layer = kind(I, H, 2, bias, dtype=np.float64, seed=0)
    x, dy, state0, dstate = draw(T, B, I), draw(T, B, H), state_of(layer), state_of(layer, seed=5)
    found = call(layer, x, dy, state0, dstate, lengths)

    def at(state, k):
        return unpair(tuple(s[k : k + 1] for s in pair(state)))

    bottom, top = single(layer, 0), single(layer, 1)
    y0, final0, tape0 = bottom.forward(x, at(state0, 0), lengths)
    y1, final1, tape1 = top.forward(y0, at(state0, 1), lengths)
    dy0, dstate1, grads1 = top.backward(tape1, dy, at(dstate, 1))
    dx, dstate0, grads0 = bottom.backward(tape0, dy0, at(dstate, 0))

    assert_close(found["y"], y1)
    assert_close(found["state"], np.concatenate([np.stack(pair(final0)), np.stack(pair(final1))], axis=1))
    assert_close(found["dx"], dx)
    assert_close(found["dstate0"], np.concatenate([np.stack(pair(dstate0)), np.stack(pair(dstate1))], axis=1))
    for k, grads in enumerate((grads0, grads1)):
        for name, value in grads.items():
            assert_close(found[name.replace("_l0", f"_l{k}")], value)


def reversed_rows(sequence, lengths):
    """Each row backwards from its last valid step; zeros past it."""
    turned = np.zeros_like(sequence)
    for b, L in enumerate(lengths):
        turned[:L, b] = sequence[:L, b][::-1]
    return turned


@pytest.mark.parametrize("lengths", [(T,) * B, LENGTHS], ids=["full", "ragged"])
def test_the_second_direction_reads_each_row_from_its_end(kind, lengths):
    layer = kind(I, H, bidirectional=True, dtype=np.float64, seed=0)
    x, dy, state0, dstate = draw(T, B, I), draw(T, B, 2 * H), state_of(layer), state_of(layer, seed=5)
    found = call(layer, x, dy, state0, dstate, lengths)
    dxs = []
    for d, direction in enumerate(("", "_reverse")):
        turn = reversed_rows if d else lambda sequence, _: sequence
        own = slice(d * H, (d + 1) * H)
        alone = single(layer, 0, direction)
        y, state, tape = alone.forward(turn(x, lengths), unpair(tuple(s[d : d + 1] for s in pair(state0))), lengths)
        dx, dstate0, grads = alone.backward(
            tape, turn(dy[..., own], lengths), unpair(tuple(s[d : d + 1] for s in pair(dstate)))
        )
        assert_close(found["y"][..., own], turn(y, lengths))
        assert_close(found["state"][:, d], np.stack(pair(state))[:, 0])
        assert_close(found["dstate0"][:, d], np.stack(pair(dstate0))[:, 0])
        for name, value in grads.items():
            assert_close(found[name + direction], value)
        dxs.append(turn(dx, lengths))
    assert_close(found["dx"], dxs[0] + dxs[1])


# How x lies


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_batch_first_swaps_the_axes_of_sequences_alone(kind, lengths):
    layer = kind(I, H, 2, bidirectional=True, dtype=np.float64, seed=0)
    twin = kind(**{**layer.config, "batch_first": True})
    x, dy, state0, dstate = draw(T, B, I), draw(T, B, 2 * H), state_of(layer), state_of(layer, seed=5)
    found = call(twin, x.swapaxes(0, 1), dy.swapaxes(0, 1), state0, dstate, lengths)
    found["y"], found["dx"] = found["y"].swapaxes(0, 1), found["dx"].swapaxes(0, 1)
    assert_same(found, call(layer, x, dy, state0, dstate, lengths))


@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@pytest.mark.parametrize("lengths", [None, 3, [3]], ids=["full", "int", "list"])
def test_unbatched_is_a_batch_of_one_without_its_axis(kind, batch_first, lengths):
    layer = kind(I, H, 2, bidirectional=True, batch_first=batch_first, dtype=np.float64, seed=0)
    batch = 0 if batch_first else 1
    x, dy = draw(T, I), draw(T, 2 * H)
    state0, dstate = state_of(layer, B=1), state_of(layer, B=1, seed=5)
    expected = call(
        layer, np.expand_dims(x, batch), np.expand_dims(dy, batch), state0, dstate,
        None if lengths is None else np.reshape(lengths, -1),
    )  # fmt: skip
    expected = {
        name: value.squeeze({"y": batch, "dx": batch, "state": 2, "dstate0": 2}[name]) if "_l" not in name else value
        for name, value in expected.items()
    }
    state0, dstate = (unpair(tuple(s[:, 0] for s in pair(state))) for state in (state0, dstate))
    assert_same(call(layer, x, dy, state0, dstate, lengths), expected)


def test_full_lengths_are_no_lengths(kind):
    layer, x, dy = kind(I, H, 2, bidirectional=True, seed=0, dtype=np.float64), draw(T, B, I), draw(T, B, 2 * H)
    assert_same(call(layer, x, dy, lengths=[T] * B), call(layer, x, dy))


def test_padding_has_no_influence(kind):
    layer = kind(I, H, 2, bidirectional=True, dtype=np.float64, seed=0)
    x, dy = draw(T, B, I), draw(T, B, 2 * H)
    expected = call(layer, x, dy, lengths=LENGTHS)
    for b, L in enumerate(LENGTHS):
        x[L:, b], dy[L:, b] = np.nan, np.inf
    assert_same(call(layer, x, dy, lengths=LENGTHS), expected)
    assert all(not expected[name][L:, b].any() for name in ("y", "dx") for b, L in enumerate(LENGTHS))


def test_states_default_to_zeros(kind):
    layer, x, dy = kind(I, H, 2, dtype=np.float64, seed=0), draw(T, B, I), draw(T, B, H)
    zeros = unpair(tuple(np.zeros_like(s) for s in pair(state_of(layer))))
    assert_same(call(layer, x, dy), call(layer, x, dy, zeros, zeros))
    y, state, tape = layer.forward(x)
    nothing = layer.backward(tape, None)
    assert not any(value.any() for value in (nothing[0], *pair(nothing[1]), *nothing[2].values()))


# Inference and training


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_inference_is_forward_without_its_tape(kind, lengths):
    layer, x = kind(I, H, 2, bidirectional=True, seed=0), draw(T, B, I).astype(np.float32)
    y, state = layer(x, lengths=lengths)
    y_forward, state_forward, _ = layer.forward(x, lengths=lengths)
    np.testing.assert_array_equal(y, y_forward)
    np.testing.assert_array_equal(pair(state), pair(state_forward))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_dtype_stays(kind, dtype):
    layer = kind(I, H, 2, bidirectional=True, dropout=0.5, dtype=dtype)
    assert layer.dtype == dtype
    results = call(layer, draw(T, B, I).astype(dtype), draw(T, B, 2 * H).astype(dtype), lengths=LENGTHS)
    assert {name: value.dtype for name, value in results.items()} == dict.fromkeys(results, np.dtype(dtype))


def test_tapes_of_two_calls_do_not_meet(kind):
    layer, dy = kind(I, H, 2, bidirectional=True, dropout=0.5, seed=0, dtype=np.float64), draw(T, B, 2 * H)
    x1, x2 = draw(T, B, I, seed=1), draw(T + 2, B, I, seed=2)
    expected = [call(layer, x1, dy, rng=1), call(layer, x2, draw(T + 2, B, 2 * H), rng=2)]
    *_, tape1 = layer.forward(x1, rng=1)
    *_, tape2 = layer.forward(x2, rng=2)
    dx1, _, grads1 = layer.backward(tape1, dy)
    dx2, _, grads2 = layer.backward(tape2, draw(T + 2, B, 2 * H))
    again, _, _ = layer.backward(tape1, dy)
    for found, grads, results in ((dx1, grads1, expected[0]), (dx2, grads2, expected[1]), (again, {}, expected[0])):
        assert_same({"dx": found, **grads}, {name: results[name] for name in ("dx", *grads)})


def test_nothing_that_comes_in_is_changed(kind):
    layer = kind(I, H, 2, bidirectional=True, dropout=0.5, dtype=np.float64, seed=0)
    arguments = [draw(T, B, I), draw(T, B, 2 * H), state_of(layer), state_of(layer, seed=5), np.array(LENGTHS)]
    before, parameters = copy.deepcopy(arguments), layer.state_dict()
    call(layer, *arguments)
    layer(arguments[0], arguments[2], arguments[4])
    for found, expected in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert_same(layer.parameters, parameters)


@pytest.mark.parametrize("backend", [name for name in backends.available() if name != "cuda"])
def test_threads_share_a_layer(kind, backend):
    layer = kind(I, H, 2, bidirectional=True, dropout=0.25, dtype=np.float64, seed=0, backend=backend)

    def work(seed):
        return call(layer, draw(T, B, I, seed=seed), draw(T, B, 2 * H, seed=seed), rng=seed)

    expected = [work(seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as threads:
        for found, alone in zip(threads.map(work, range(16)), expected, strict=True):
            assert_same(found, alone)


# Dropout


def see_through(p, width=400):
    """A stack whose second layer hands on what it reads, so that y shows what dropout left of the first."""
    layer = RNN(I, width, 2, dropout=p, nonlinearity="relu", dtype=np.float64, seed=0)
    for name, value in layer.parameters.items():
        value[...] = 1 if name.startswith("bias") and name.endswith("l0") else 0
    np.fill_diagonal(layer.parameters["weight_ih_l1"], 1)
    return layer


def test_dropout_leaves_a_unit_out_or_scales_it():
    layer, x = see_through(0.2), np.zeros((T, B, I))
    whole, _ = layer(x)
    y, state, _ = layer.forward(x, rng=0)
    assert set(np.unique(y / whole)) == {0, 1 / (1 - 0.2)}
    dropped = np.mean(y == 0)
    assert abs(dropped - 0.2) < 5 * np.sqrt(0.2 * 0.8 / y.size), "five standard deviations"
    np.testing.assert_array_equal(state[0], whole[-1], err_msg="a layer's own state is not dropped")


def test_the_same_seed_gives_the_same_masks_and_no_seed_fresh_ones():
    layer, x = see_through(0.5), np.zeros((T, B, I))
    y = layer.forward(x, rng=7)[0]
    np.testing.assert_array_equal(layer.forward(x, rng=7)[0], y)
    np.testing.assert_array_equal(layer.forward(x, rng=np.random.default_rng(7))[0], y)
    assert (layer.forward(x, rng=8)[0] != y).any()
    first, second = layer.forward(x)[0], layer.forward(x)[0]
    assert (first != second).any()
    np.testing.assert_array_equal(see_through(0.5).forward(x)[0], first, err_msg="the layer's seed draws them")


def test_a_generator_goes_on_from_call_to_call():
    layer, x, rng = see_through(0.5), np.zeros((T, B, I)), np.random.default_rng(7)
    assert (layer.forward(x, rng=rng)[0] != layer.forward(x, rng=rng)[0]).any()


def test_dropout_is_between_layers_alone():
    x = draw(T, B, I).astype(np.float32)
    with pytest.warns(UserWarning, match="LSTM: dropout must be 0 with num_layers=1"):
        layer = LSTM(I, H, dropout=0.9, seed=0)
    np.testing.assert_array_equal(layer.forward(x)[0], layer(x)[0])


def test_backward_goes_through_the_same_masks(kind):
    layer = kind(I, H, 3, bidirectional=True, dropout=0.4, dtype=np.float64, seed=0)
    x, dy, v = draw(T, B, I), draw(T, B, 2 * H), draw(T, B, I, seed=9)
    *_, tape = layer.forward(x, lengths=LENGTHS, rng=3)
    dx, _, _ = layer.backward(tape, dy)
    step = 1e-30
    y, *_ = layer.astype(np.complex128).forward(x + 1j * step * v, lengths=LENGTHS, rng=3)
    assert_close(np.vdot(dx, v), np.vdot(dy, y.imag) / step)


# needs


class CountingCell:
    """A cell that counts its backward calls and notes what they were asked for."""

    def __init__(self, cell):
        self.infer, self.forward = cell.infer, cell.forward
        self.cell, self.asked = cell, []

    def backward(self, params, tape, dy, dstate_T, needs):
        self.asked.append(needs)
        return self.cell.backward(params, tape, dy, dstate_T, needs)


@pytest.fixture
def counting(monkeypatch, kind):
    """A three-layer stack on a counting cell."""
    name = "rnn_tanh" if kind is RNN else kind.cell
    cell = CountingCell(backends.get("numpy").cell(name))
    monkeypatch.setattr(backends, "get", lambda backend: SimpleNamespace(cell=lambda *_: cell))
    return kind(I, H, 3, bidirectional=True, dtype=np.float64, seed=0, backend="numpy"), cell


@pytest.mark.parametrize(
    ("needs", "calls"),
    [
        ((), 0),
        (("weight_hh_l2",), 1),  # its own direction, and nothing below
        (("bias_ih_l2", "bias_ih_l2_reverse"), 2),
        (("weight_ih_l1",), 3),  # both directions of layer 2 lead to it, then its own
        (("weight_ih_l0_reverse",), 5),
        (("x",), 6),
        (("h0",), 6),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, tuple) else None,
)
def test_backward_stops_at_the_lowest_layer_needed(counting, needs, calls):
    layer, cell = counting
    *_, tape = layer.forward(draw(T, B, I))
    layer.backward(tape, draw(T, B, 2 * H), needs=needs)
    assert len(cell.asked) == calls


def test_a_cell_is_asked_for_what_is_needed_and_no_more(counting):
    layer, cell = counting
    *_, tape = layer.forward(draw(T, B, I))
    layer.backward(tape, draw(T, B, 2 * H), needs={"weight_hh_l1"})
    assert cell.asked == [{"x"}, {"x"}, {"weight_hh"}]


def test_what_is_left_out_is_none_and_the_rest_keeps_its_bits(kind):
    layer = kind(I, H, 2, bidirectional=True, dtype=np.float64, seed=0)
    *_, tape = layer.forward(draw(T, B, I), state_of(layer), LENGTHS)
    dy = draw(T, B, 2 * H)
    dx, dstate0, grads = layer.backward(tape, dy)
    everything = {"x": dx, **dict(zip((f"{s}0" for s in layer.spec.states), pair(dstate0), strict=True)), **grads}
    assert tuple(everything) == layer.gradient_names
    for name in layer.gradient_names:
        for needs in ({name}, set(layer.gradient_names) - {name}):
            dx, dstate0, grads = layer.backward(tape, dy, needs=needs)
            assert len(pair(dstate0)) == len(layer.spec.states)
            found = {"x": dx, **dict(zip((f"{s}0" for s in layer.spec.states), pair(dstate0), strict=True)), **grads}
            assert_same(
                {key: value for key, value in found.items() if value is not None},
                {key: everything[key] for key in everything if key in needs},
            )


# Parameters


def test_a_state_dict_goes_round(kind):
    one, two = (kind(I, H, 2, bidirectional=True, seed=seed) for seed in (1, 2))
    live = dict(two.parameters)
    two.load_state_dict(one.state_dict())
    assert_same(two.state_dict(), one.state_dict())
    assert all(two.parameters[name] is array for name, array in live.items()), "parameters keep their identity"
    x = draw(T, B, I).astype(np.float32)
    np.testing.assert_array_equal(two(x)[0], one(x)[0])


def test_a_state_dict_is_a_copy(kind):
    layer = kind(I, H, seed=0)
    taken = layer.state_dict()
    taken["weight_ih_l0"][...] = 7
    assert not (layer.parameters["weight_ih_l0"] == 7).any()
    layer.load_state_dict(taken)
    taken["weight_ih_l0"][...] = 8
    assert (layer.parameters["weight_ih_l0"] == 7).all()


def test_writing_into_a_parameter_takes_effect(kind):
    layer, x = kind(I, H, seed=0), draw(T, B, I).astype(np.float32)
    before, _ = layer(x)
    layer.parameters["weight_hh_l0"] *= 2
    assert (layer(x)[0] != before).any()


def test_float32_parameters_go_into_a_float64_layer(kind):
    narrow, wide = kind(I, H, seed=0), kind(I, H, dtype=np.float64)
    wide.load_state_dict(narrow.state_dict())
    assert_same(wide.state_dict(), narrow.state_dict())
    assert wide.parameters["weight_ih_l0"].dtype == np.float64


def test_config_rebuilds_a_layer_and_astype_converts_it(kind):
    layer = kind(I, H, 2, False, True, 0.25, True, seed=3)
    assert_same(type(layer)(**layer.config).parameters, layer.parameters)
    twin = layer.astype(np.float64)
    assert twin.config == {**layer.config, "dtype": "float64"}
    assert_same(twin.parameters, layer.parameters)
    assert {p.dtype for p in twin.parameters.values()} == {np.dtype(np.float64)}
    assert not any(np.shares_memory(twin.parameters[name], layer.parameters[name]) for name in layer.parameters)
    assert layer.astype(np.float64, backend="numpy").backend == "numpy"


def test_parameters_are_drawn_from_the_seed_within_their_bound(kind):
    one, two, other = kind(I, 100, seed=1), kind(I, 100, seed=1), kind(I, 100, seed=2)
    assert_same(one.parameters, two.parameters)
    for name, value in one.parameters.items():
        assert (value != other.parameters[name]).any()
        assert 0.09 < np.abs(value).max() <= np.float32(0.1), "the bound is 1/√100"


def test_names_groups_and_gate_blocks(kind):
    layer = kind(I, H, 2, bidirectional=True)
    fields = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    names = {f"l{k}": tuple(f"{field}_l{k}{d}" for d in ("", "_reverse") for field in fields) for k in range(2)}
    assert layer.groups == names
    assert tuple(layer.parameters) == names["l0"] + names["l1"]
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind.__name__]
    assert layer.gate_blocks == dict.fromkeys(layer.parameters, gates)
    assert layer.parameters["weight_ih_l1"].shape == (gates * H, 2 * H)
    assert tuple(kind(I, H, bias=False).parameters) == ("weight_ih_l0", "weight_hh_l0")


def test_every_cell_has_a_layer_and_the_default_backend_is_the_best_on_the_host():
    made = [RNN(I, H, nonlinearity=f) for f in ("tanh", "relu", "sigmoid")] + [LSTM(I, H), GRU(I, H)]
    assert [layer.cell for layer in made] == list(CELLS)
    assert {layer.backend for layer in made} == {backends.default()}
    assert backends.default() == ("cpu" if "cpu" in backends.available() else "numpy")


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_a_layer_can_be_copied_and_pickled(layer_type):
    layer, x = layer_type(2, 3, seed=0), np.ones((4, 1, 2), np.float32)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(x)[0], layer(x)[0])
        other.parameters["bias_hh_l0"][...] += 1
        assert not np.array_equal(other(x)[0], layer(x)[0])


def test_load_state_dict_may_be_given_the_layers_own_arrays():
    layer = LSTM(3, 3, num_layers=2, seed=0)
    before = layer.state_dict()
    layer.load_state_dict({name: layer.parameters[_other_layer(name)] for name in layer.parameters})
    for name in before:
        np.testing.assert_array_equal(layer.parameters[name], before[_other_layer(name)])


def _other_layer(name):
    return name.replace("l0", "l1") if "l0" in name else name.replace("l1", "l0")


def test_the_complex_twin_runs_on_the_equations():
    layer = LSTM(2, 3, seed=0)
    layer.config["backend"] = "cpu"  # as if the default were another
    assert layer.astype(np.complex128).backend == "numpy"


def test_relu_does_not_hide_a_nan():
    layer = RNN(2, 3, nonlinearity="relu", seed=0)
    layer.parameters["weight_hh_l0"][...] = np.nan
    assert np.isnan(layer(np.ones((3, 1, 2), np.float32))[0]).any()


def test_dropout_in_a_single_layer_warns_once_a_construction(kind):
    with pytest.warns(UserWarning, match="dropout must be 0") as found:
        layer = kind(I, H, dropout=0.5, seed=0)
    (warning,) = found
    assert str(warning.message).startswith(f"{kind.__name__}: dropout must be 0 with num_layers=1, as it acts between")
    assert "got 0.5" in str(warning.message)
    assert warning.filename == __file__
    # Warnings are errors here: a twin of it, and a stack, are silent.
    layer.astype(np.float64)
    copy.deepcopy(layer)
    kind(I, H, 2, dropout=0.5)


def test_the_single_layer_that_warned_is_loaded_in_silence(kind, tmp_path):
    with pytest.warns(UserWarning, match="dropout must be 0"):
        layer = kind(I, H, dropout=0.5, seed=0)
    save(layer, tmp_path / "layer")
    assert load(tmp_path / "layer").dropout == 0.5
