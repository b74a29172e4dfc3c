"""A user's cell as a layer: the built-in ones written the public way, and what every layer must do."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from kernels.definition import ACROSS, OPERATIONS, Definition
from rnn_core import GRU, LSTM, RNN, equations, gradcheck, quantize
from rnn_core.cell import Cell, define
from rnn_core.cell.operators import ON_ARRAYS
from rnn_core.checking.cells import check_step
from rnn_core.checking.suite import OPTIONS, cell_cases
from tests import conformance
from tests.cases import CASES
from tests.rnn_core.cell.cells import ALL, Independent, OwnGRU, OwnLSTM, OwnReLU, OwnRNN, Peephole, Strange
from tests.tolerance import tolerance

BUILT_IN = {"LSTM": (OwnLSTM, LSTM, {}), "GRU": (OwnGRU, GRU, {}), "RNN": (OwnRNN, RNN, {}),
            "ReLU": (OwnReLU, RNN, {"nonlinearity": "relu"})}  # fmt: skip
HARD = {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "seed": 3}


def normal(*shape: int, seed: int = 5, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def everything(layer, x, lengths=None):
    """Return all that a layer's forward and backward say, by name."""
    y, state, tape = layer.forward(x, lengths=lengths, rng=1)
    dstate = tuple(normal(*s.shape, seed=k, dtype=s.dtype) for k, s in enumerate(_tuple(state)))
    dx, dstate0, grads = layer.backward(tape, normal(*y.shape, dtype=y.dtype), dstate if len(dstate) > 1 else dstate[0])
    states = {f"s{k}": s for k, s in enumerate((*_tuple(state), *_tuple(dstate0)))}
    return {"y": y, "dx": dx, **states, **grads}


def _tuple(state):
    return state if isinstance(state, tuple) else (state,)


# ── What is written down ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_the_programs_do_what_the_functions_do(name, dtype):
    its = ALL[name].definition
    rng = np.random.default_rng(0)
    for program, function in zip((its.step, its.step_backward), its.functions, strict=True):
        inputs = [(0.1 + rng.random((3, 4))).astype(dtype) for _ in program.inputs]
        for found, expected in zip(program.run(inputs, ON_ARRAYS), function(inputs), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert not isinstance(expected, np.ndarray) or expected.dtype == dtype


def test_a_definition():
    its = Strange.definition
    assert its.sums == ("u", "v", "w")
    assert its.from_x == ("w", "u")
    assert its.from_h == ("u", "v")
    assert its.states == ("h", "c", "n")
    assert its.vectors == ("gain", "decay")
    assert its.step.inputs == ("a.u", "a.v", "a.w", "prev.h", "prev.c", "prev.n", "p.gain", "p.decay")
    assert its.step_backward.output_names[:4] == ("dprev.h", "dprev.c", "dprev.n", "da.u")
    assert its.module == "tests.rnn_core.cell.cells"
    assert "prev.h" not in its.step.used
    assert Independent.definition.constants == ("leak",)
    assert {one.name for kind in ALL.values() for one in kind.definition.step.operations} <= set(OPERATIONS)
    assert set(ON_ARRAYS) == {*OPERATIONS, *ACROSS}


def test_what_nothing_depends_on_is_left_out():
    operations = Peephole.definition.step_backward.operations
    text = Path(Peephole.file).read_text(encoding="utf-8").splitlines()
    assert len(operations) == 32
    assert all(operation.line for operation in operations)
    program = Peephole.definition.step_backward
    outputs = dict(zip(program.output_names, program.lines, strict=True))
    assert text[outputs["da.f"] - 1].strip().startswith("da_f = ")
    assert text[outputs["dprev.c"] - 1].strip().startswith("dc_prev = ")
    assert text[outputs["dprev.h"] - 1].strip().startswith("return ")  # a plain 0


def test_digests_tell_programs_apart():
    digests = {kind.definition.digest for kind in ALL.values()}
    assert len(digests) == len(ALL)


# ── As a layer ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("options", [{}, HARD, {"bias": False, "batch_first": True}], ids=["plain", "hard", "no-bias"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", BUILT_IN)
def test_the_built_in_cells_written_the_public_way(cell, dtype, options):
    own, theirs, more = BUILT_IN[cell]
    layers = [kind(3, 4, backend="numpy", dtype=dtype, **options, **arguments) for kind, arguments in
              ((own, {}), (theirs, more))]  # fmt: skip
    layers[0].load_state_dict(layers[1].state_dict())
    x, lengths = normal(6, 3, 3, dtype=dtype), np.array([6, 2, 4])
    if options.get("batch_first"):
        x = np.ascontiguousarray(x.swapaxes(0, 1))
    found, expected = (everything(layer, x, lengths) for layer in layers)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ALL)
def test_gradients(name, option):
    [case] = cell_cases(ALL[name], backend="numpy", steps=12, options=(option,))
    report = case.check()
    assert all(row.passed for row in report.rows), report
    # What a cell's own step doesn't read can't be judged; of these cells that is nothing but what is dead.
    assert not report.unjudged or name in ("OwnReLU", "Independent"), report
    assert report.worst.error <= 1e-12


@pytest.mark.parametrize("name", ALL)
def test_steps(name):
    report = check_step(ALL[name])
    assert report, report
    assert "is that of step" in str(report)


def test_float32_and_bfloat16():
    for name, kind in ALL.items():
        exact = everything(kind(3, 4, backend="numpy", dtype="float64", seed=0), normal(6, 3, 3))
        layer = kind(3, 4, backend="numpy", seed=0)
        found = everything(layer, normal(6, 3, 3, dtype="float32"))
        for key, value in found.items():
            assert value.dtype == np.float32, (name, key)
            scale = np.abs(exact[key]).max()
            assert np.abs(value - exact[key]).max() <= 100 * tolerance("float32", 6) * scale, (name, key)
        rounded = everything(layer.astype("float32", precision="bfloat16"), normal(6, 3, 3, dtype="float32"))
        assert 0 < np.abs(rounded["y"] - exact["y"]).max() < 0.05


def test_bfloat16_rounds_as_the_built_in_cell_does():
    own, theirs = (kind(3, 4, backend="numpy", precision="bfloat16", seed=0) for kind in (OwnLSTM, LSTM))
    x = normal(6, 3, 3, dtype="float32")
    found, expected = everything(own, x), everything(theirs, x)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("name", ALL)
def test_rows_alone_equal_rows_together_and_nothing_comes_out_of_the_padding(name):
    layer = ALL[name](3, 4, num_layers=2, bidirectional=True, backend="numpy", dtype="float64", seed=0)
    x, lengths = normal(6, 3, 3), np.array([6, 1, 4])
    for row, length in enumerate(lengths):
        x[length:, row] = 0
    y, state = layer(x, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, final = layer(x[:length, row])
        np.testing.assert_allclose(y[:length, row], alone, rtol=1e-13, atol=1e-14)
        assert not y[length:, row].any()
        for both, one in zip(_tuple(state), _tuple(final), strict=True):
            np.testing.assert_allclose(both[:, row], one, rtol=1e-13, atol=1e-14)


def test_needs_and_frozen_layers():
    layer = Strange(3, 4, num_layers=2, backend="numpy", dtype="float64", seed=0)
    x = normal(6, 2, 3)
    y, _, tape = layer.forward(x)
    whole = layer.backward(tape, np.ones_like(y))
    dx, dstate0, grads = layer.backward(tape, np.ones_like(y), needs={"gain_l1", "weight_hh_l1"})
    assert dx is None
    assert dstate0 == (None, None, None)
    assert set(grads) == {"gain_l1", "weight_hh_l1"}
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, whole[2][name])
    _, dstate0, grads = layer.backward(tape, np.ones_like(y), needs={"n0"})
    assert not grads
    np.testing.assert_array_equal(dstate0[2], whole[1][2])


def test_names_groups_and_blocks():
    layer = Strange(3, 4, num_layers=2, bidirectional=True, backend="numpy", seed=0)
    assert layer.groups["l0"][:6] == (
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "gain_l0", "decay_l0",
    )  # fmt: skip
    assert layer.groups["l1"][-1] == "decay_l1_reverse"
    assert sum(layer.groups.values(), ()) == tuple(layer.parameters)
    assert layer.gate_blocks["weight_ih_l0"] == 2
    assert layer.gate_blocks["gain_l1_reverse"] == 1
    assert layer.parameters["weight_ih_l1"].shape == (8, 8)
    assert layer.parameters["decay_l0"].shape == (4,)
    assert layer.gradient_names[:4] == ("x", "h0", "c0", "n0")
    plain = Independent(3, 4, bias=False, backend="numpy", seed=0)
    assert list(plain.parameters) == ["weight_ih_l0", "u_l0"]


def test_beginnings():
    layer = Independent(3, 200, backend="numpy", seed=0)
    assert (layer.parameters["bias_ih_l0"] == 0.5).all()
    assert np.abs(layer.parameters["u_l0"]).max() > 0.9
    assert np.abs(layer.parameters["weight_ih_l0"]).max() <= 200**-0.5
    assert (Strange(3, 4, backend="numpy", seed=0).parameters["gain_l0"] == 1).all()
    again = Independent(3, 200, backend="numpy", seed=0)
    for name, array in layer.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)


def test_options():
    half, quarter = (Independent(3, 4, backend="numpy", dtype="float64", seed=0, **o) for o in ({"leak": 0.5}, {}))
    assert half.options == {"leak": 0.5}
    assert quarter.options == {"leak": 0.25}
    assert half.config["leak"] == 0.5
    x = normal(5, 2, 3)
    assert np.abs(half(x)[0] - quarter(x)[0]).max() > 1e-3
    np.testing.assert_array_equal(half.astype("float64")(x)[0], half(x)[0])
    with pytest.raises(TypeError, match="an option must be one of the cell's, got 'leek'; its options are leak"):
        Independent(3, 4, leek=1.0)
    with pytest.raises(TypeError, match="Peephole: an option .* the cell has no options"):
        Peephole(3, 4, leak=1.0)
    with pytest.raises(TypeError, match="Independent: leak must be a number, got str 'x'"):
        Independent(3, 4, leak="x")
    with pytest.raises(ValueError, match="Independent: leak must be finite, got inf"):
        Independent(3, 4, leak=float("inf"))


def test_states_of_three():
    layer = Strange(3, 4, backend="numpy", seed=0)
    x = normal(5, 2, 3, dtype="float32")
    y, state = layer(x)
    assert len(state) == 3
    again, _ = layer(x, state)
    assert np.abs(again - y).max() > 1e-3
    with pytest.raises(ValueError, match=r"Strange.__call__: state0 must be a tuple \(h, c, n\), got a tuple of 2"):
        layer(x, state[:2])


def test_streams_of_steps():
    layer = Strange(3, 4, backend="numpy", dtype="float64", seed=0)
    x = normal(5, 2, 3)
    stream = layer.stream(batch_size=2)
    np.testing.assert_allclose(np.stack([stream(x_t) for x_t in x]), layer(x)[0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", ALL)
def test_copies_and_pickles(name):
    layer = ALL[name](3, 4, num_layers=2, backend="numpy", seed=0)
    x = normal(5, 2, 3, dtype="float32")
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), copy.copy(layer)):
        assert type(other) is ALL[name]
        np.testing.assert_array_equal(other(x)[0], layer(x)[0])
    assert pickle.loads(pickle.dumps(ALL[name])) is ALL[name]
    assert pickle.loads(pickle.dumps(layer.definition)) is layer.definition
    assert copy.deepcopy(layer.definition) is layer.definition
    assert pickle.loads(pickle.dumps(Cell)) is Cell


def doubled(a, prev):
    return (2 * a.a,), ()


def tripled(a, prev):
    return (3 * a.a,), ()


def doubled_backward(kept, prev, state, dstate):
    return (0,), (2 * dstate.h,)


def tripled_backward(kept, prev, state, dstate):
    return (0,), (3 * dstate.h,)


def test_a_copy_of_a_layer_stays_of_the_cell_that_it_was_made_of():
    def define_it(*both):
        return define("TwiceMade", *both, gates=("a",), states=("h",))

    old, x = define_it(doubled, doubled_backward)(3, 4, backend="numpy", seed=0), normal(5, 2, 3, dtype="float32")
    expected, stored = old(x)[0], [pickle.dumps(one) for one in (old, type(old), old.definition, old.its_spec)]
    define_it(tripled, tripled_backward)
    for other in (copy.deepcopy(old), copy.copy(old)):
        assert other.definition is old.definition
        np.testing.assert_array_equal(other(x)[0], expected)
    for thing in (old.definition, old.its_spec):
        assert copy.deepcopy(thing) is copy.copy(thing) is thing
    for one in stored:
        with pytest.raises(RuntimeError, match="cell 'TwiceMade' has been defined again since this was made"):
            pickle.loads(one)
    again = define_it(doubled, doubled_backward)  # the same, and so it may
    assert type(pickle.loads(stored[0])) is again
    np.testing.assert_array_equal(pickle.loads(stored[0])(x)[0], expected)


def test_astype_to_complex_is_the_equations_in_complex_numbers():
    layer = Peephole(3, 4, seed=0, dtype="float64")
    twin = layer.astype("complex128")
    assert twin.backend == "numpy"
    x = normal(5, 2, 3)
    np.testing.assert_allclose(twin(x.astype(complex))[0].real, layer(x)[0], rtol=1e-12, atol=1e-13)


def test_what_is_refused():
    with pytest.raises(TypeError, match="quantize: target must be an RNN, .* got a Peephole"):
        quantize(Peephole(3, 4, backend="numpy"))
    with pytest.raises(TypeError, match="Cell: it must be made through a class"):
        Cell(3, 4)
    with pytest.raises(ValueError, match="Peephole: input_size must be at least 1, got 0"):
        Peephole(0, 4)
    with pytest.raises(ValueError, match="Peephole: backend must be one of"):
        Peephole(3, 4, backend="quick")


def test_a_signature_for_people_and_files():
    import inspect

    assert "leak: 'float' = 0.25" in str(inspect.signature(Independent))
    assert "options" not in str(inspect.signature(Peephole))


# ── The loops by themselves ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_loops_keep_the_contract(case):
    """Rules 3, 4, 6, 7 and 9, of the loops as a backend has them."""
    problem = case.problem("lstm", "float64")
    own, theirs = equations.defined_cell(OwnLSTM.definition), equations.cell("lstm")
    from kernels.contract import DefinedParameters

    params = DefinedParameters(*problem.params)
    y, state, tape = own.forward(params, problem.x, problem.state0, problem.lengths)
    expected = conformance.run(theirs, problem)
    np.testing.assert_array_equal(y, expected["y"])
    needs = frozenset(("x", "h0", "c0", "weight_hh"))
    dx, dstate0, grads = own.backward(params, tape, problem.dy, problem.dstate_T, needs)
    np.testing.assert_array_equal(dx, expected["dx"])
    np.testing.assert_array_equal(dstate0[1], expected["dc0"])
    np.testing.assert_array_equal(grads.weight_hh, expected["dweight_hh"])
    assert grads.weight_ih is None
    inferred, final = own.infer(params, problem.x, problem.state0, problem.lengths)
    np.testing.assert_allclose(inferred, y, rtol=1e-13, atol=1e-300)
    for one, other in zip(final, state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-300)


def test_every_state_and_its_upstream_gradient():
    """dstates of one step is dstate_T of the sequence that ends there."""
    from kernels.contract import DefinedParameters

    loops, H = equations.defined_cell(Strange.definition), 4
    rng = np.random.default_rng(0)
    params = DefinedParameters(
        rng.standard_normal((2 * H, 3)), rng.standard_normal((2 * H, H)), None, None, tuple(rng.standard_normal((2, H)))
    )
    x, state0, lengths = normal(6, 2, 3), tuple(normal(3, 2, H)), np.array([6, 4])
    _, final, tape = loops.forward(params, x, state0, lengths)
    every = loops.states(tape)
    assert [s.shape for s in every] == [(6, 2, H)] * 3
    assert not every[1][4:, 1].any()
    for s, last in zip(every, final, strict=True):
        np.testing.assert_array_equal(s[[5, 3], [0, 1]], last)
    names = frozenset(("x", "h0", "c0", "n0", "weight_ih", "weight_hh", "gain", "decay"))
    for t in (2, 3):
        dstates = [None, *(np.zeros((6, 2, H)) for _ in range(2))]
        for k in (1, 2):
            dstates[k][t] = normal(2, H, seed=k)
        dx, dstate0, grads = loops.backward(params, tape, None, (None,) * 3, names, tuple(dstates))
        _, _, short = loops.forward(params, x[: t + 1], state0)
        upstream = (None, dstates[1][t], dstates[2][t])
        dx_short, dstate0_short, grads_short = loops.backward(params, short, None, upstream, names)
        np.testing.assert_allclose(dx[: t + 1], dx_short, rtol=1e-12)
        for one, other in zip((*dstate0, *grads.extra), (*dstate0_short, *grads_short.extra), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_definition_is_what_pickles_by_name():
    assert isinstance(Peephole.definition, Definition)
    report = gradcheck(Peephole(2, 3, num_layers=2, bidirectional=True, backend="numpy", dtype="float64", seed=1),
                       normal(7, 3, 2), lengths=np.array([7, 1, 3]))  # fmt: skip
    assert report.passed, report
    assert report.worst.error <= 1e-12
    assert any("gate f" in row.silent for row in report.rows) is False
