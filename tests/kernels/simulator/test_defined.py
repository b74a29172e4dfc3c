"""Cells that a user has defined, in the simulator: against the built-in kernels, and against their equations."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kernels import cuda
from kernels.contract import CELLS, DefinedParameters, Parameters
from kernels.cuda import assembly
from kernels.cuda.defined import kernel_cell
from kernels.cuda.planning.plan import MANY, choose
from kernels.cuda.recurrence import Recurrence
from kernels.definition import DEFINITIONS
from rnn_core import LanguageModel, variants
from rnn_core.cell import define
from rnn_core.data.batches import Batch
from tests.kernels.cuda import defined_cells
from tests.kernels.cuda.defined_cells import Apart, Call, Held, Masked, assert_equations
from tests.rnn_core.cell.cells import OwnGRU, OwnLSTM, OwnRNN, Peephole

WAYS = ("persistent", "stepwise")
LENGTHS = (4, 1, 3)
BUILT_IN = {"lstm": OwnLSTM.definition, "gru": OwnGRU.definition, "rnn_tanh": OwnRNN.definition}
OTHERS = {"held": Held.definition, "apart": Apart.definition, "masked": Masked.definition}

VARIANTS = {d.name: d for d in DEFINITIONS.values() if d.module.startswith(variants.__name__)}


def recurrence(definition, way=""):
    return Recurrence(definition.name, way, definition)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_the_cells_of_the_contract_have_the_bits_of_the_built_in_ones(name, way, dtype):
    """The same operations in the same order: nothing is lost by writing them down."""
    definition = BUILT_IN[name]
    call = Call(definition, dtype, lengths=LENGTHS)
    assert len(definition.from_x) == CELLS[name].gate_count
    built_in, ours = Recurrence(name, way), recurrence(definition, way)
    params = Parameters(*call.params[:4])
    y, state, tape = built_in.forward(params, call.x, call.state0, call.lengths)
    found = ours.forward(call.params, call.x, call.state0, call.lengths)
    pairs = zip((y, *state, *built_in.states(tape)), (found[0], *found[1], *ours.states(found[2])), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    needs = frozenset(call.names)
    dx, dstate0, gradients = built_in.backward(params, tape, call.dy, call.dstate_T, needs, call.dstates)
    assert isinstance(gradients, Parameters)
    other_dx, other_dstate0, others = ours.backward(call.params, found[2], call.dy, call.dstate_T, needs, call.dstates)
    assert isinstance(others, DefinedParameters)
    pairs = zip((dx, *dstate0, *gradients), (other_dx, *other_dstate0, *others[:4]), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_any_cell_is_its_equations(name, way, lengths, dtype):
    call = Call(OTHERS[name], dtype, lengths=lengths)
    assert_equations(call.run(recurrence(call.definition, way)), call)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VARIANTS)
def test_the_variants_are_their_equations(name, dtype):
    call = Call(VARIANTS[name], dtype, T=3, B=2, H=4, lengths=(3, 2))
    assert_equations(call.run(cuda.defined_cell(call.definition)), call)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_without_biases(name, way):
    call = Call(OTHERS[name], "float64", bias=False)
    assert_equations(call.run(recurrence(call.definition, way)), call)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_needs_leave_out_what_nobody_wants(name, way):
    call = Call(OTHERS[name], "float32", T=3, B=2, H=3)
    cell = recurrence(call.definition, way)
    *_, tape = cell.forward(call.params, call.x, call.state0, call.lengths, call.streams)
    everything = call.gradients(cell, tape)
    for needs in ((), *((name,) for name in call.names), call.names[1:], call.names[:-1]):
        found = call.gradients(cell, tape, needs)
        assert found.keys() == {f"d{name}" for name in needs} & everything.keys()
        assert all(np.array_equal(value, everything[name]) for name, value in found.items())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_given_stands_for_zeros(name, way):
    call = Call(OTHERS[name], "float64", T=3, lengths=(3, 1, 2))
    cell = recurrence(call.definition, way)
    *_, tape = cell.forward(call.params, call.x, call.state0, call.lengths, call.streams)
    call.dy, call.dstate_T, call.dstates = None, (None,) * len(call.state0), None
    assert not any(value.any() for value in call.gradients(cell, tape).values())
    call.dy, call.dstates = np.zeros((3, 3, 5)), (None, *(np.zeros((3, 3, 5)) for _ in call.state0[1:]))
    assert not any(value.any() for value in call.gradients(cell, tape).values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_what_stands_past_a_rows_end_has_no_influence(name, way):
    """Streams and upstream gradients included, be they NaN."""
    call = Call(OTHERS[name], "float64", lengths=LENGTHS)
    expected = call.expected()
    past = (np.arange(4)[:, None] >= call.lengths)
    for array in (call.x, call.dy, *call.streams, *call.dstates[1:]):
        array[past] = np.nan
    assert_equations(call.run(recurrence(call.definition, way)), call, expected)


@pytest.mark.parametrize("name", OTHERS)
def test_infer_is_forward_without_a_tape(name):
    call = Call(OTHERS[name], "float32", lengths=LENGTHS)
    cell = cuda.defined_cell(call.definition)
    arguments = call.params, call.x, call.state0, call.lengths, call.streams
    y, state, _ = cell.forward(*arguments)
    y_inferred, state_inferred = cell.infer(*arguments)
    assert np.array_equal(y, y_inferred)
    assert all(np.array_equal(*pair) for pair in zip(state, state_inferred, strict=True))


def test_inputs_stay_and_results_are_fresh():
    call = Call(OTHERS["apart"], "float64")
    before = pickle.dumps((call.params, call.x, call.state0, call.dy, call.dstate_T, call.dstates))
    cell = cuda.defined_cell(call.definition)
    y, state, tape = cell.forward(call.params, call.x, call.state0)
    expected = call.gradients(cell, tape)
    for array in (y, *state, *cell.states(tape), *call.gradients(cell, tape).values()):
        array[...] = np.nan
    found = call.gradients(cell, tape)
    assert all(np.array_equal(found[name], value) for name, value in expected.items())
    assert pickle.dumps((call.params, call.x, call.state0, call.dy, call.dstate_T, call.dstates)) == before


def test_a_cell_without_a_product_has_one_way():
    assert cuda.describe(OTHERS["apart"], 4, 3, 5) == "elementwise; elementwise"
    assert cuda.describe(OTHERS["held"], 4, 3, 5).count("persistent") == 2


def test_a_cell_can_be_pickled():
    """It goes by its name: functions don't."""
    cell = cuda.defined_cell(OTHERS["held"])
    assert pickle.loads(pickle.dumps(cell)) == cell


def test_two_cells_that_do_the_same_share_their_kernels():
    """Whatever they are called: what is compiled goes by what they do, and by the precision of their constants."""
    parts = {"gates": ("a",), "states": ("h", "s"), "from_h": (), "parameters": ("u",)}
    twin = define("ApartToo", defined_cells.apart, defined_cells.apart_backward, **parts).definition
    one, other = (kernel_cell(definition, "float32") for definition in (OTHERS["apart"], twin))
    assert one is other
    assert kernel_cell(twin, "float64") is not one


def test_layers_of_a_defined_cell():
    options = {"num_layers": 2, "bidirectional": True, "dtype": "float64", "seed": 1}
    ours, plain = (Peephole(3, 5, backend=backend, **options) for backend in ("cuda", "numpy"))
    rng = np.random.default_rng(0)
    x, dy, lengths = rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 3, 10)), [4, 1, 3]
    results = []
    for layer in (ours, plain):
        y, _, tape = layer.forward(x, lengths=lengths)
        dx, _, gradients = layer.backward(tape, dy)
        results.append([y, dx, *gradients.values(), layer(x, lengths=lengths)[0]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_a_model_names_a_defined_cell():
    batch = Batch(inputs=np.array([[1, 2, 3]]), targets=np.array([[2, 3, 1]]))
    losses = [
        LanguageModel(5, 4, cell="Peephole", backend=name, dtype="float64", seed=0).loss_and_gradients(batch).loss
        for name in ("cuda", "numpy")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_files_and_modules_name_the_cells_to_assemble(tmp_path):
    path = tmp_path / "one_more_cell.py"
    path.write_text(f"""
from rnn_core.cell import define
from {defined_cells.__name__} import apart, apart_backward
define("OneMore", apart, apart_backward, gates=("a",), states=("h", "s"), from_h=(), parameters=("u",))
""")
    (found,) = assembly.definitions([str(path)])
    assert found.name == "OneMore"
    assert {d.name for d in assembly.definitions([defined_cells.__name__])} >= {"Held", "Apart", "MaskedUnit"}
    kernels = [case.kernel for case in assembly.cases({("sm_90", "float32"): ((64,), (4,))}, [found])]
    assert kernels == ["all", "all+tape", "all_backward", "all_backward+states"]
    with pytest.raises(ValueError, match=r"assembly: there must be a cell .* in json"):
        assembly.definitions(["json"])
    with pytest.raises(ValueError, match=r"assembly: a file must not be called as a module .*, got json\.py"):
        assembly.definitions(["json.py"])


def test_registers_are_short_before_hopper():
    """A cell with many numbers fetches less at a time there; one like the LSTM as ever."""
    old, new = assembly.DEVICES["sm_80"], assembly.DEVICES["sm_90"]
    numbers = kernel_cell(OTHERS["held"], "float32").numbers("backward")
    assert kernel_cell(OTHERS["masked"], "float32").numbers("backward") <= MANY < numbers
    assert choose("backward", 2, 8, 256, 4, old, numbers=numbers).cut.loads <= 2
    assert choose("backward", 2, 8, 256, 4, new, numbers=numbers) == choose("backward", 2, 8, 256, 4, new)
    assert choose("backward", 2, 8, 256, 8, old, numbers=numbers).way == "stepwise"


def test_bfloat16_is_refused():
    with pytest.raises(ValueError, match="precision must be 'float32' with backend='cuda', got 'bfloat16'"):
        cuda.defined_cell(OTHERS["held"], "bfloat16")
