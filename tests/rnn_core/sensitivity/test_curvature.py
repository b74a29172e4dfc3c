"""Products with the Hessian and the Gauss-Newton matrix: against differences, definitions and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import BidirectionalLanguageModel, SequenceClassifier, SequenceRegressor, gauss_newton_product, hvp
from rnn_core.data import Batch
from tests.sensitivity_checks import (
    CASES,
    CELLS,
    EXACT,
    TOKENS,
    B,
    I,
    T,
    classifier,
    close,
    constants,
    direction,
    gauss_newton_by_its_definition,
    hessian_by_differences,
    hessian_is_symmetric,
    inner,
    language_model,
    normal,
    tagger,
)


@pytest.mark.parametrize("kind", CASES)
def test_a_product_is_a_difference_of_gradients(kind):
    hessian_by_differences(kind)


@pytest.mark.parametrize("kind", CASES)
def test_the_hessian_is_symmetric(kind):
    hessian_is_symmetric(kind)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "one sigmoid", "both ways", "regressor"])
def test_gauss_newton_is_its_definition(kind):
    gauss_newton_by_its_definition(kind)


@pytest.mark.parametrize("kind", CASES)
def test_gauss_newton_is_symmetric_and_has_no_eigenvalue_below_zero(kind):
    model, batch, state = CASES[kind]()
    u, v = (direction(model.parameters, seed) for seed in (1, 2))
    gu, gv = (gauss_newton_product(model, batch, w, state=state, rng=5) for w in (u, v))
    assert abs(inner(u, gv) - inner(v, gu)) <= 1e-12 * max(1.0, abs(inner(u, gv)))
    if kind != "gaussian":  # which is not convex in its scale
        assert inner(u, gu) >= 0


@given(
    cell=st.sampled_from(CELLS), layers=st.integers(1, 2), both=st.booleans(), hidden=st.integers(1, 4),
    steps=st.integers(1, 4), rows=st.integers(1, 3), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_shape(cell, layers, both, hidden, steps, rows, seed):
    rng = np.random.default_rng(seed)
    model = SequenceClassifier(
        3,
        hidden,
        input_size=2,
        cell=cell,
        num_layers=layers,
        bidirectional=both,
        **{**EXACT, "seed": seed},
    )
    lengths = rng.integers(1, steps + 1, rows)
    batch = Batch(rng.standard_normal((rows, steps, 2)), rng.integers(0, 3, rows), lengths)
    u, v = (direction(model.parameters, k) for k in (seed, seed + 1))
    for product in (hvp, gauss_newton_product):
        left, right = inner(u, product(model, batch, v)), inner(v, product(model, batch, u))
        assert abs(left - right) <= 1e-10 * max(1.0, abs(left))
    assert inner(u, gauss_newton_product(model, batch, u)) >= 0


def test_of_a_linear_model_with_squared_error_both_are_one():
    # All that the head's own parameters do is linear.
    model = SequenceRegressor(2, 3, input_size=I, **EXACT)
    batch = Batch(normal(B, T, I), normal(B, 2, seed=1))
    v = {name: normal(*model.parameters[name].shape, seed=2) for name in ("head.weight", "head.bias")}
    close(gauss_newton_product(model, batch, v), hvp(model, batch, v), 1e-14)
    whole = direction(model.parameters)
    difference = inner(whole, gauss_newton_product(model, batch, whole)) - inner(whole, hvp(model, batch, whole))
    assert abs(difference) > 1e-3  # and no more is


def test_of_a_chain_both_are_one_in_its_own_parameters():
    model, batch, _ = tagger(crf=True)
    v = {name: array for name, array in direction(model.parameters).items() if name.startswith("crf.")}
    close(gauss_newton_product(model, batch, v), hvp(model, batch, v), 1e-12)


def test_needs_says_which_rows():
    model, batch, _ = classifier()
    v = direction(model.parameters)
    for product in (hvp, gauss_newton_product):
        whole = product(model, batch, v)
        some = product(model, batch, v, {"head.bias", "rnn.weight_hh_l0"})
        assert list(some) == ["rnn.weight_hh_l0", "head.bias"]
        close(some, {name: whole[name] for name in some}, 1e-14)
        part = {"head.weight": v["head.weight"]}
        assert list(product(model, batch, part)) == ["head.weight"]
        zeros = {name: np.zeros_like(array) for name, array in v.items()} | part
        close(product(model, batch, part, set(v)), product(model, batch, zeros), 1e-14)


def test_a_padding_row_is_a_constant():
    model, batch, _ = tagger(crf=False)
    v = direction(model.parameters)
    product = hvp(model, batch, v)
    assert not product["embedding.weight"][0].any()
    close(product, hvp(model, batch, constants(model, direction(model.parameters))), 1e-15)


def test_a_float32_model_has_its_float64_twins_product():
    model, batch, _ = classifier()
    small = model.astype(np.float32)
    same = small.astype(np.float64)
    single = batch._replace(inputs=batch.inputs.astype(np.float32))
    double = single._replace(inputs=single.inputs.astype(np.float64))
    v = direction(model.parameters)
    for product in (hvp, gauss_newton_product):
        close(product(small, single, v), product(same, double, v), 1e-15)
        found = product(small, single, {name: array.astype(np.float32) for name, array in v.items()})
        assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


def test_inputs_and_parameters_are_left_as_they_were():
    model, batch, state = language_model(tied=True)
    before = {name: array.copy() for name, array in model.parameters.items()}
    v = direction(model.parameters)
    for product in (hvp, gauss_newton_product):
        product(model, batch, v, state=state)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "call, error, says",
    [
        (
            lambda m, b: hvp(3, b, {}),
            TypeError,
            "hvp: model must have parameters and loss_and_gradients and astype, got 3",
        ),
        (lambda m, b: hvp(m, b, np.ones(3)), TypeError, "hvp: vector must be a dict of arrays by a parameter's name"),
        (lambda m, b: hvp(m, b, {"head": 1}), ValueError, r"hvp: vector must name some of .*; got head"),
        (
            lambda m, b: hvp(m, b, {"head.bias": np.ones(2)}),
            ValueError,
            r"hvp: vector\['head.bias'\] must have shape \(3,\), got \(2,\)",
        ),
        (lambda m, b: hvp(m, b, {"head.bias": np.full(3, np.nan)}), ValueError, "must be finite"),
        (lambda m, b: hvp(m, b, {"head.bias": np.ones(3) * 1j}), TypeError, "must be real numbers, got complex128"),
        (lambda m, b: hvp(m, b, {"head.bias": np.ones(3)}, {"tail"}), ValueError, "hvp: needs must name some of"),
        (
            lambda m, b: gauss_newton_product(3, b, {}),
            TypeError,
            "gauss_newton_product: model must be one whose outputs can be told apart from its loss, .* got int; hvp",
        ),
    ],
)
def test_errors(call, error, says):
    model, batch, _ = classifier()
    with pytest.raises(error, match=says):
        call(model, batch)


@pytest.mark.parametrize("lengths", [None, np.array([6, 1, 3]), np.array([1, 1, 2])])
def test_a_model_of_two_halves(lengths):
    model = BidirectionalLanguageModel(5, 3, num_layers=2, tied=True, **EXACT)
    batch = Batch(TOKENS, TOKENS, lengths)
    u, v = (direction(model.parameters, seed) for seed in (1, 2))
    for product in (hvp, gauss_newton_product):
        left, right = inner(u, product(model, batch, v)), inner(v, product(model, batch, u))
        assert abs(left - right) < 1e-11
    assert inner(u, gauss_newton_product(model, batch, u)) > 0
    # Of the heads' biases alone the model is linear: both are one.
    some = {"head.bias": u["head.bias"]}
    close(gauss_newton_product(model, batch, some), hvp(model, batch, some), 1e-13)
