"""What proves nothing is not judged, and what was never judged doesn't pass: zeros, kinks, and where they are right."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN, LanguageModel, SequenceClassifier, gradcheck
from rnn_core.checking import Axis, Problem, standard_cases
from rnn_core.checking.report import compare
from rnn_core.checking.suite import CELLS
from rnn_core.data import Batch
from rnn_core.training import SoftmaxCrossEntropy
from tests import checks

from .wrong_claims import claiming


def forgotten(dx, dstate0, grads):
    """Claim what a backward claims that nobody wrote."""
    for claim in (dx, *(dstate0 if isinstance(dstate0, tuple) else (dstate0,)), *grads.values()):
        claim[...] = 0


def right(dx, dstate0, grads):
    """Claim what is right."""


def dead(claims, units=slice(None)):
    """Return a ReLU layer of which some units are always off, with what it claims."""
    layer = claiming(claims, RNN, nonlinearity="relu")
    layer.parameters["bias_ih_l0"][units] = -100
    return layer


@pytest.mark.parametrize("claims", [right, forgotten], ids=["right", "forgotten"])
def test_dead_units_judge_nothing_and_so_nothing_passes(claims):
    report = gradcheck(dead(claims), checks.normal(5, 2, 2))
    assert not report.passed
    assert report.size == 0
    assert all(row.passed and not row.size for row in report.rows)
    assert sum(row.zeros for row in report.rows) == 2 * (20 + 6 + 6 + 9 + 3 + 3)
    assert "every gradient of y" in report.unjudged
    assert "weight_hh_l0" in report.unjudged
    text = str(report)
    assert "not judged, 20 zeros" in text
    assert "not judged, and so not passed: every gradient of y, " in text
    assert "a backward that returns zeros would pass there as well" in text


def test_a_dead_unit_beside_living_ones_is_judged_with_them():
    def leak(dx, dstate0, grads):
        grads["weight_ih_l0"][0, 1] = 1e-200

    report = gradcheck(dead(right, units=0), checks.normal(5, 2, 2))
    assert report.passed
    assert report.size == 2 * (20 + 6 + 6 + 9 + 3 + 3)
    assert not gradcheck(dead(forgotten, units=0), checks.normal(5, 2, 2)).passed
    report = gradcheck(dead(leak, units=0), checks.normal(5, 2, 2))
    assert {row.name for row in report.rows if not row.passed} == {"weight_ih_l0"}


@pytest.mark.parametrize("layer_type", [LSTM, GRU, RNN])
def test_one_step_from_a_zero_state_proves_nothing_of_the_recurrent_weights(layer_type):
    layer, x = layer_type(2, 3, dtype=np.float64, seed=0), checks.normal(1, 2, 2)
    zeros = tuple(np.zeros((1, 2, 3)) for _ in layer.spec.states)
    report = gradcheck(layer, x, state0=zeros if len(zeros) > 1 else zeros[0])
    assert not report.passed
    assert all(row.passed for row in report.rows)
    assert "weight_hh_l0" in report.unjudged


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layer_type", [LSTM, GRU, RNN])
def test_one_step_is_judged_whole_from_a_state_that_is_drawn(layer_type, dtype):
    layer = layer_type(2, 3, num_layers=2, bidirectional=True, dtype=dtype, seed=0)
    checks.accept(gradcheck(layer, checks.normal(1, 2, 2).astype(dtype)))
    checks.accept(gradcheck(layer, checks.normal(1, 2).astype(dtype)))  # unbatched
    model = LanguageModel(5, 3, cell=layer_type.__name__.lower(), dtype=dtype, seed=0)
    checks.accept(gradcheck(model, np.array([[1], [4]])))


def test_a_gate_without_a_gradient_is_not_judged_though_others_are():
    """From a zero cell state f has no gradient in the first step: a forgotten da_f would go unseen."""
    h0, c0 = checks.normal(1, 2, 3), np.zeros((1, 2, 3))
    report = gradcheck(LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(1, 2, 2), state0=(h0, c0))
    assert report.unjudged == tuple(f"gate f of {name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    row = next(row for row in report.rows if row.name == "weight_hh_l0")
    assert (row.size, row.zeros, row.silent) == (27, 9, ("f",))
    assert not report.passed


def test_a_dead_core_below_a_living_head():
    """The head's gradients are there, and hid it that the core's prove nothing."""
    model = SequenceClassifier(2, 3, input_size=2, cell="rnn", nonlinearity="relu", dtype=np.float64, seed=0)
    model.parameters["rnn.bias_ih_l0"][...] = -100
    report = gradcheck(model, Batch(checks.normal(2, 4, 2), np.array([0, 1])))
    assert [row.name for row in report.rows if row.size] == ["head.bias"]
    assert not report.passed
    assert "rnn.weight_ih_l0" in report.unjudged
    assert "head.bias" not in report.unjudged


def test_one_output_is_enough():
    """c_T has no gradient with respect to h0 here, y has."""
    a, b = checks.normal(3), checks.normal(3, seed=1)

    def twin(dtype):
        values = {"a": a.astype(dtype), "b": b.astype(dtype)}
        return values, lambda: {"f": np.sin(values["a"]) * values["b"], "g": values["b"] ** 2}

    def gradients(upstreams):
        f, g = (upstreams.get(name, np.zeros(3)) for name in "fg")
        return {"a": f * np.cos(a) * b, "b": f * np.sin(a) + 2 * g * b}

    report = gradcheck(Problem("two", a.dtype, twin, gradients))
    assert report.passed
    assert [(row.upstream, row.name, row.zeros) for row in report.rows if row.zeros] == [("g", "a", 3)]
    assert "not judged, 3 zeros" in str(report)
    assert "so not passed" not in str(report)


def test_padding_must_be_zero_and_is_judged():
    layer, x = LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(5, 2, 2)
    report = gradcheck(layer, x, lengths=[5, 2])
    assert report.passed
    assert all(row.size == 20 for row in report.rows if row.name == "x")


@pytest.mark.parametrize("claimed", [1e-30, 1e-40])
def test_padding_must_be_zero_in_float32_too_however_small_it_is(claimed):
    def leak(dx, dstate0, grads):
        dx[4, 1, 0] = claimed

    x = checks.normal(5, 2, 2).astype(np.float32)
    assert gradcheck(LSTM(2, 3, seed=0), x, lengths=[5, 2]).passed
    report = gradcheck(claiming(leak, dtype=np.float32), x, lengths=[5, 2])
    assert [row.place for row in report.rows if not row.passed] == 3 * [(4, 1, 0)]


def test_terms_that_cancel_prove_no_more_than_zeros():
    """A number added to all logits changes no softmax: its gradient is 0 but for rounding, and anyone's zero passes."""
    z, shift = checks.normal(2, 3), np.zeros(1)
    loss = SoftmaxCrossEntropy()

    def twin(dtype):
        values = {"shift": shift.astype(dtype)}
        return values, lambda: {"loss": np.asarray(loss.forward(z + values["shift"], np.array([0, 2]))[0])}

    report = gradcheck(Problem("shifted", z.dtype, twin, lambda u: {"shift": np.zeros(1)}))
    assert not report.passed
    assert report.unjudged == ("every gradient of loss", "shift")


def test_zeros_are_counted_by_gate():
    axes = (Axis("unit", gates=("a", "b")), Axis("column"))
    reference = np.array([[1.0, 2.0], [0.0, 0.0]])
    row = compare("y", "w", reference, reference, abs(reference), 1e-12, 0.0, axes)
    assert (row.size, row.zeros, row.silent, row.passed) == (2, 2, ("b",), True)
    wrong = compare("y", "w", reference + 1e-300 * (reference == 0), reference, abs(reference), 1e-12, 0.0, axes)
    assert (wrong.size, wrong.silent, wrong.passed) == (4, (), False)
    assert wrong.wrong.along["gate"] == ("b",)


@pytest.mark.parametrize("steps", [7, 20, 50])
@pytest.mark.parametrize("cell", CELLS)
def test_the_standard_cases_judge_everything(cell, steps):
    """No gradient, and no gate of one, is zero throughout. By the equations' backward, which is tested elsewhere."""
    for case in standard_cases(backend="numpy", steps=steps):
        if case.cell != cell:
            continue
        layer = case.layer
        y, final, tape = layer.forward(case.x, case.state0, case.lengths, rng=0)
        upstreams = [(np.ones_like(y) * checks.normal(*y.shape), None)]
        finals = final if isinstance(final, tuple) else (final,)
        for k in range(len(finals)):
            one = [None] * len(finals)
            one[k] = checks.normal(*finals[k].shape)
            upstreams.append((None, tuple(one) if len(one) > 1 else one[0]))
        for dy, dstate in upstreams:
            dx, dstate0, grads = layer.backward(tape, dy, dstate)
            states = dstate0 if isinstance(dstate0, tuple) else (dstate0,)
            for gradient in (dx, *states):
                assert np.any(gradient), case.option
            for name, gradient in grads.items():
                for block in np.split(gradient, layer.gate_blocks[name]):
                    assert block.any(), (case.option, name)


def test_the_standard_relu_lives_and_dies():
    (case,) = (c for c in standard_cases(backend="numpy", options=("long",)) if c.cell == "RNN ReLU")
    y, _ = case.layer(case.x, case.state0)
    off = (y == 0).mean()
    assert 0.05 < off < 0.95


# ── Kinks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def relu(v):
    """Return the problem of a ReLU at v, with the derivative 0 at 0, as everywhere."""
    v = np.asarray(v)

    def twin(dtype):
        values = {"v": v.astype(dtype)}
        return values, lambda: {"f": np.where(values["v"].real > 0, values["v"], 0)}

    return Problem("ReLU", v.dtype, twin, lambda u: {"v": u["f"] * (v > 0)})


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-9, 3e-5, -3e-5, 5e-5])
def test_central_differences_judge_nothing_at_a_kink(distance):
    report = gradcheck(relu([1.0, distance, -2.0]), method="central")
    assert report.passed, str(report)
    assert (report.rows[0].size, report.rows[0].unresolved) == (2, 1)


def test_a_kink_everywhere_is_nothing_judged():
    report = gradcheck(relu(np.zeros(3)), method="central")
    assert not report.passed
    assert report.unjudged == ("every gradient of f", "v")
    assert "not judged" in str(report)


def test_a_layer_exactly_on_its_kink():
    layer = RNN(2, 3, nonlinearity="relu", dtype=np.float64, seed=0, bias=False)
    x = checks.normal(4, 1, 2)
    x[0] = 0  # the first pre-activation is 0 exactly
    report = gradcheck(layer, x, state0=np.zeros((1, 1, 3)), method="central")
    assert all(row.passed for row in report.rows), str(report)
    assert sum(row.unresolved for row in report.rows) > 0


def test_a_large_claim_for_a_vanished_gradient_fails_by_central_differences_too():
    """What is noise is no kink: a claim beyond the resolution is judged."""
    v = np.array([1.0, 1e-3])

    def twin(dtype):
        values = {"v": v.astype(dtype)}
        return values, lambda: {"f": values["v"][:1] * 1.0 + 1e-18 * np.sin(values["v"][1:])}

    report = gradcheck(Problem("f", v.dtype, twin, lambda u: {"v": u["f"] * np.array([1.0, 1e-2])}), method="central")
    assert not report.passed
    assert report.rows[0].place == (1,)
