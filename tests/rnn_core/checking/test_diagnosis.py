"""What a report says of a wrong gradient: which factor, which gate, which time step, in words and as data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnn_core import LSTM, SequenceClassifier, gradcheck
from rnn_core.checking import GradientReport, standard_cases
from rnn_core.checking.diagnosis import ranges, shared_ratio
from rnn_core.data import Batch
from tests import checks
from tests.mutations import MUTATIONS, Mutation

from .wrong_claims import claiming, rows_of, times

ALL = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"


def planted(bug: str) -> Mutation:
    return next(mutation for mutation in MUTATIONS if mutation.bug == bug)


def report_of(bug: str) -> GradientReport:
    """Return the report of the standard case that catches a bug, with the bug in place."""
    mutation = planted(bug)
    cell, option = mutation.arguments
    with mutation.planted():  # before the layer is made: it takes its functions along
        (case,) = (case for case in standard_cases(backend="numpy", options=(option,)) if case.cell == cell)
        return case.check()


@pytest.mark.parametrize(
    "bug, says",
    [
        ("lstm: the forget gate's derivative is missing", [f"gate f of {ALL}; x, h0", "gate f (i, g, o are right)"]),
        ("lstm: the output gate's gradient takes c for tanh(c)", [f"gate o of {ALL}; x, h0", "right there: c0"]),
        ("lstm: the candidate is derived as a sigmoid", [f"gate g of {ALL}"]),
        ("lstm: tanh(c) is not derived", [f"gates i, f, g of {ALL}", "(o is right)"]),
        ("lstm: time is off by one in c", [f"gate f of {ALL}"]),
        ("lstm: forget and input gates are swapped in the backward",
         [f"gates i, f of {ALL}", "what is claimed for gate i is the reference of gate f: exchanged?"]),
        ("lstm: c_T's gradient replaces what comes through h",
         ["a loss of y at time step 1 alone; at time step 0 nothing is wrong"]),
        ("gru: the reset gate is applied to dh", [f"gate r of {ALL}", "gate r (z, n are right)"]),
        ("gru: the update gate's gradient lacks the candidate", [f"gate z of {ALL}"]),
        ("gru: the gradient of b_hn lacks the reset gate",
         ["gate n of weight_hh_l0, bias_hh_l0; h0", "right there: x, weight_ih_l0, bias_ih_l0"]),
        ("gru: time is off by one in h", [f"gate z of {ALL}"]),
        ("rnn: BPTT is cut after one step",
         ["going back from the end, 5 is the first wrong one, 6 the last right one", "claimed is 0 times"]),
        ("rnn: BPTT is cut after 40 steps",
         ["at time step 0–9 of 50; going back from the end, 9 is the first wrong one, 10 the last right one"]),
        ("lstm: the gradient of c_0 is zero", ["∂y/∂c0: 9 of 9", "0 times the reference throughout: nothing arrives"]),
        ("lstm: the bias has no gradient", ["wrong there: gates i, f, g, o of bias_hh_l0", "nothing arrives"]),
        ("rnn: the gradients of all steps are 0.1 % too large", ["claimed is 1.001 times the reference throughout"]),
        ("affine: the bias is summed over one axis only",
         ["at time step 1 alone; at time step 0 nothing is wrong", "wrong there: bias_ih_l0, bias_hh_l0"]),
        ("layers: the initial states' gradients come in reverse", ["wrong there: h0", "in layer 0, layer 2"]),
        ("squared error: the factor 2 is missing", ["is 0.5 times the reference throughout: a factor 2 is lost"]),
        ("tied: the gradient of one use is forgotten", ["embedding.weight", "token "]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_planted_bug_is_shown_where_it_is(bug, says):
    mutation = planted(bug)
    with mutation.planted(), pytest.raises(AssertionError) as caught:
        mutation.check(*mutation.arguments)
    for words_ in says:
        assert words_ in str(caught.value)


@pytest.mark.parametrize(
    "bug, gates, time_step",
    [
        ("lstm: the forget gate's derivative is missing", ("f",), 0),
        ("lstm: tanh(c) is not derived", ("i", "f", "g"), 0),
        ("lstm: c_T's gradient replaces what comes through h", ("i", "f", "g"), 1),
        ("gru: the reset gate is applied to dh", ("r",), 0),
        ("gru: the gradient of b_hn lacks the reset gate", ("n",), 0),
        ("rnn: time is off by one in dW_h", (), 0),
    ],
)
def test_the_smallest_wrong_case_as_data(bug, gates, time_step):
    first = report_of(bug).first
    assert (first.output, first.time_step, first.gates) == ("y", time_step, gates)
    assert all(wrong.size for wrong in first.gradients.values())


def test_what_is_wrong_with_the_final_state_alone_has_no_first_step():
    report = report_of("rnn: the gradient of h_T is dropped")
    assert report.first is None
    assert {row.upstream for row in report.rows if not row.passed} == {"h_T"}


def test_the_step_from_which_on_x_is_wrong():
    row = next(row for row in report_of("rnn: BPTT is cut after 40 steps").rows if row.name == "x")
    assert row.wrong.time_step == 9
    assert row.wrong.along["time step"] == tuple(range(10))


F = slice(3, 6)
"""The rows of gate f of three units."""


def test_the_elements_of_a_wrong_gate_by_name_with_their_values():
    report = gradcheck(claiming(times("weight_hh_l0", F, 2)), checks.normal(5, 2, 2))
    assert {row.name for row in report.rows if not row.passed} == {"weight_hh_l0"}
    for row in rows_of(report, "weight_hh_l0"):
        wrong = row.wrong
        assert wrong.size == 9
        assert wrong.along == {"gate": ("f",), "unit": (0, 1, 2), "column": (0, 1, 2)}
        assert wrong.ratio == pytest.approx(2)
        assert wrong.time_step is None
        assert len(wrong.elements) == 3
        for element in wrong.elements:
            unit, column = element.place[0] - 3, element.place[1]
            assert element.where == f"gate f, unit {unit}, column {column}"
            assert element.claimed == pytest.approx(2 * element.reference)
            assert element.ratio == pytest.approx(2)
            assert element.error >= 0.5
        assert wrong.elements[0].place == row.place
    assert "a factor 1/2 is lost, or a term counts twice" in str(report)


@pytest.mark.parametrize(
    "factor, says",
    [
        (0.5, "a factor 2 is lost"),
        (-1.0, "the sign is turned"),
        (0.0, "nothing arrives"),
        (3.5, "claimed is 3.5 times the reference"),
        (1 + 1e-6, "1e-06 too large"),
    ],
)
def test_a_lost_factor_shows(factor, says):
    report = gradcheck(claiming(times("weight_hh_l0", slice(9, 12), factor)), checks.normal(5, 2, 2))
    assert says in str(report)
    assert rows_of(report, "weight_hh_l0")[0].wrong.ratio == pytest.approx(factor)


def test_both_directions_are_followed_from_where_they_begin():
    layer = claiming(times("bias_ih_l0_reverse", slice(None), 2), bidirectional=True)
    zeros = (np.zeros((2, 2, 3)), np.zeros((2, 2, 3)))
    first = gradcheck(layer, checks.normal(5, 2, 2), state0=zeros).first
    assert (first.time_step, set(first.gradients)) == (4, {"bias_ih_l0_reverse"})  # f has none beside a zero c
    assert "gates i, g, o of bias_ih_l0_reverse" in first.says[1]


def test_gates_of_a_model_with_its_batch():
    class Wrong(SequenceClassifier):
        def loss_and_gradients(self, batch, **options):
            step = super().loss_and_gradients(batch, **options)
            if "rnn.bias_ih_l0" in step.gradients:
                step.gradients["rnn.bias_ih_l0"][3:6] *= -1
            return step

    model = Wrong(2, 3, input_size=2, cell="lstm", dtype=np.float64, seed=0)
    report = gradcheck(model, Batch(checks.normal(2, 4, 2), np.array([0, 1])))
    (row,) = (row for row in report.rows if not row.passed)
    assert row.name == "rnn.bias_ih_l0"
    assert row.wrong.along["gate"] == ("f",)
    assert row.wrong.ratio == pytest.approx(-1)


def test_the_ratio_at_the_step_where_the_error_was_made():
    def growing(dx, dstate0, grads):
        for t in range(4):
            dx[t] *= 2.0 ** (4 - t)

    report = gradcheck(claiming(growing), checks.normal(6, 2, 2))
    wrong = rows_of(report, "x")[0].wrong
    assert (wrong.time_step, wrong.ratio) == (3, None)
    assert wrong.step_ratio == pytest.approx(2)
    assert "at time step 3 claimed is 2 times the reference throughout" in str(report)


def test_a_failing_row_takes_a_few_lines():
    report = report_of("lstm: the forget gate's derivative is missing")
    table = str(report).index("first wrong")
    failed = sum(not row.passed for row in report.rows)
    lines = str(report)[table:].splitlines()
    assert len(lines) <= 4 * failed + 6
    assert max(map(len, lines)) <= 140
    assert "wrong" not in str(gradcheck(LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(4, 2, 2)))


def test_all_of_it_is_plain_data():
    report = report_of("gru: the reset gate is applied to dh")
    data = json.loads(json.dumps(report.as_dict()))
    assert data["first"]["gates"] == ["r"]
    assert data["first"]["gradients"]["bias_ih_l0"]["along"]["gate"] == ["r"]
    row = next(row for row in data["rows"] if row["name"] == "x" and row["upstream"] == "y")
    assert row["wrong"]["time_step"] == 6
    assert set(row["wrong"]["elements"][0]) == {"place", "where", "claimed", "reference", "ratio", "error"}
    assert data["unjudged"] == []


def test_central_differences_say_as_much():
    report = gradcheck(claiming(times("weight_hh_l0", F, 2)), checks.normal(3, 2, 2), method="central")
    assert rows_of(report, "weight_hh_l0")[0].wrong.along["gate"] == ("f",)
    assert report.first.gates == ("f",)


def test_a_long_sequence_is_searched_at_some_of_its_steps():
    zeros = (np.zeros((1, 1, 3)), np.zeros((1, 1, 3)))
    first = gradcheck(claiming(times("weight_hh_l0", F, 2)), 0.1 * checks.normal(70, 1, 2), state0=zeros).first
    assert first.gates == ("f",)
    assert first.time_step == 1  # with a zero state W_hh has no gradient before


def test_numbers_drawn_together_and_ratios_shared():
    assert ranges((0, 1, 2, 5, 7, 8)) == "0–2, 5, 7–8"
    assert ranges(()) == ""
    assert shared_ratio(np.array([2.0, 4.0]), np.array([1.0, 2.0])) == 2
    assert shared_ratio(np.array([2.0, 5.0]), np.array([1.0, 2.0])) is None
    assert shared_ratio(np.array([1.0, 1.0]), np.array([1.0, 0.0])) is None
    assert shared_ratio(np.array([np.nan]), np.array([1.0])) is None
    assert shared_ratio(np.array([1 + 1e-6, 1 - 1e-6]), np.ones(2)) is None
    assert shared_ratio(np.array([]), np.array([])) is None
