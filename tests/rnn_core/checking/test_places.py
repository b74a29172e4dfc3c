"""Where a wrong element lies, in words: of inputs, states, parameters, and of values whose axes one names oneself."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, RNN, LanguageModel, gradcheck
from rnn_core.checking import Axis, Problem
from rnn_core.checking.places import gate_blocks, parameter_axes, sequence_axes, state_axes, words
from tests import checks

from .wrong_claims import claiming, rows_of, times


@pytest.mark.parametrize(
    "options, place, where",
    [
        ({}, (3, 1, 0), "time step 3, sequence 1, feature 0"),
        ({"batch_first": True}, (1, 3, 0), "sequence 1, time step 3, feature 0"),
    ],
)
def test_the_input_in_words(options, place, where):
    def one_more(dx, dstate0, grads):
        dx[place] += 1

    row = rows_of(gradcheck(claiming(one_more, **options), checks.normal(5, 5, 2)), "x")[0]
    (element,) = row.wrong.elements
    assert (element.where, element.place) == (where, place)
    assert row.wrong.time_step == 3
    assert row.wrong.along == {"time step": (3,), "sequence": (1,), "feature": (0,)}


def test_an_unbatched_input_has_no_sequence():
    row = rows_of(gradcheck(claiming(times("x", slice(1, 3), 2)), checks.normal(5, 2)), "x")[0]
    assert row.wrong.elements[0].where.startswith("time step ")
    assert "sequence" not in row.wrong.elements[0].where
    assert row.wrong.time_step == 2


def test_what_lies_in_the_padding_says_so():
    def leak(dx, dstate0, grads):
        dx[4, 1] = 1e-9

    report = gradcheck(claiming(leak), checks.normal(5, 2, 2), lengths=[5, 3])
    row = rows_of(report, "x")[0]
    assert row.wrong.elements[0].where == "time step 4 (past the sequence's length, 3), sequence 1, feature 0"
    assert row.wrong.elements[0].ratio is None
    assert row.error == np.inf
    assert "claimed 1e-09, reference 0, should be 0" in str(report)


def test_the_initial_state_in_words():
    def one_more(dx, dstate0, grads):
        dstate0[3, 1, 2] += 1

    layer = claiming(one_more, GRU, num_layers=2, bidirectional=True)
    row = rows_of(gradcheck(layer, checks.normal(4, 2, 2)), "h0")[0]
    assert row.wrong.elements[0].where == "layer 1 reverse, sequence 1, unit 2"
    assert row.wrong.along == {"layer": ("layer 1 reverse",), "sequence": (1,), "unit": (2,)}


def test_parameters_of_models_by_their_gates_and_tokens():
    model = LanguageModel(vocab_size=5, hidden_size=3, cell="gru", dtype=np.float64, seed=0)
    axes = parameter_axes(model)
    assert set(axes) == set(model.parameters)
    assert words(axes["rnn.weight_ih_l0"], (4, 1), (9, 3)) == "gate z, unit 1, column 1"
    assert words(axes["rnn.bias_hh_l0"], (8,), (9,)) == "gate n, unit 2"
    assert words(axes["embedding.weight"], (4, 1), (5, 3)) == "token 4, column 1"
    assert words(axes["head.weight"], (4, 1), (5, 3)) == "output 4, column 1"
    assert words(axes["head.bias"], (4,), (5,)) == "output 4"
    one_gate = parameter_axes(RNN(2, 3, seed=0))["weight_ih_l0"]
    assert words(one_gate, (2, 1), (3, 2)) == "unit 2, column 1"
    assert words((), (2, 1), (3, 2)) == ""


def test_a_function_of_ones_own_can_name_its_axes():
    v = checks.normal(4, 3)

    def twin(dtype):
        values = {"v": v.astype(dtype)}
        return values, lambda: {"f": values["v"] ** 2}

    def gradients(upstreams):
        return {"v": 2 * v * upstreams["f"] * (1 + (np.arange(4) == 2))[:, np.newaxis]}

    axes = {"v": (Axis("time step"), Axis("unit", gates=("a", "b", "c")))}
    report = gradcheck(Problem("squares", v.dtype, twin, gradients, axes))
    assert report.rows[0].wrong.elements[0].where.startswith("time step 2, gate ")
    assert report.rows[0].wrong.time_step == 2
    bare = gradcheck(Problem("squares", v.dtype, twin, gradients))
    assert bare.rows[0].wrong.elements[0].where == ""
    assert "[2, " in str(bare)
    assert bare.rows[0].wrong.ratio == pytest.approx(2)


def test_gates_are_blocks_of_their_axis():
    (axes,) = {parameter_axes(GRU(2, 3, seed=0))["weight_ih_l0"]}
    blocks = dict(gate_blocks(axes, (9, 2)))
    array = np.arange(18).reshape(9, 2)
    np.testing.assert_array_equal(array[blocks["z"]], array[3:6])
    assert list(dict(gate_blocks((), (2, 2)))) == [""]
    assert [axis.name for axis in sequence_axes(2, batch_first=True, both_ways=False, lengths=None)] == [
        "time step", "feature",
    ]  # fmt: skip
    assert [axis.name for axis in state_axes(1, 1, 2)] == ["layer", "unit"]
