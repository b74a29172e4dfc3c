"""Gradients of single examples: their norms and their clipped sum are those of a loop over batches of one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import (
    LanguageModel,
    SequenceClassifier,
    clipped_gradients,
    example_gradient_norms,
    per_example_gradients,
)
from rnn_core.data import Batch
from rnn_core.sensitivity import norms
from rnn_core.sensitivity.walk import why_not
from tests.sensitivity_checks import (
    CASES,
    CELLS,
    EXACT,
    LENGTHS,
    B,
    H,
    I,
    T,
    alone,
    an_example_is_as_long_as_it_may_be,
    classes,
    classifier,
    clipped_sum_is_the_loops,
    close,
    features,
    images,
    language_model,
    normal,
    norms_are_those_of_batches_of_one,
    norms_of_each_parameter,
)

SURE = [kind for kind in CASES if "dropout" not in kind]
"""Kinds in which an example alone has the same masks as in its batch: none."""

ALONE = {"images", "translator"}
"""Kinds that are taken one by one."""


@pytest.mark.parametrize("kind", SURE)
def test_each_kind_goes_the_way_that_it_can(kind):
    model, batch, state = CASES[kind]()
    assert bool(why_not(model)) == (kind in ALONE)
    if kind in ALONE:
        with pytest.raises(ValueError, match="method must be 'one by one', as .*, got 'together'; or leave it out"):
            example_gradient_norms(model, batch, state=state, method="together")


@pytest.mark.parametrize("method", [None, "one by one"])
@pytest.mark.parametrize("kind", SURE)
def test_norms(kind, method):
    norms_are_those_of_batches_of_one(kind, method)


@pytest.mark.parametrize("kind", SURE)
def test_norms_of_each_parameter(kind):
    norms_of_each_parameter(kind)


@pytest.mark.parametrize("method", [None, "one by one"])
@pytest.mark.parametrize("kind", SURE)
def test_the_clipped_sum(kind, method):
    clipped_sum_is_the_loops(kind, method)


@given(
    cell=st.sampled_from(CELLS), layers=st.integers(1, 2), both=st.booleans(), hidden=st.integers(1, 5),
    steps=st.integers(1, 9), rows=st.integers(1, 4), seed=st.integers(0, 99), pooling=st.sampled_from(["last", "max"]),
    words=st.booleans(), bias=st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_any_shape(cell, layers, both, hidden, steps, rows, seed, pooling, words, bias):
    rng = np.random.default_rng(seed)
    reads = {"vocab_size": 3, "embedding_size": 2, "padding_idx": 1} if words else {"input_size": 2}
    model = SequenceClassifier(
        3,
        hidden,
        cell=cell,
        num_layers=layers,
        bidirectional=both,
        pooling=pooling,
        **{**EXACT, "seed": seed},
        **reads,
    )
    x = rng.integers(0, 3, (rows, steps)) if words else rng.standard_normal((rows, steps, 2))
    batch = Batch(x, rng.integers(0, 3, rows), rng.integers(1, steps + 1, rows), rng.uniform(0.1, 3, rows))
    needs = set(model.parameters) if bias else {name for name in model.parameters if "bias" not in name}
    found = example_gradient_norms(model, batch, needs=needs, method="together")
    expected = example_gradient_norms(model, batch, needs=needs, method="one by one")
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@given(steps=st.integers(1, 12), outputs=st.integers(1, 9), inputs=st.integers(1, 9), seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_norm_is_the_same_in_both_ways(steps, outputs, inputs, seed):
    rng = np.random.default_rng(seed)
    delta, u = rng.standard_normal((steps, outputs)), rng.standard_normal((steps, inputs))
    np.testing.assert_allclose(
        norms.of_products(delta[:, None], [u[:, None]], "numpy"), [((delta.T @ u) ** 2).sum()], rtol=1e-11
    )


def test_the_cheaper_way_is_taken():
    """Pairs of steps make an array (T, T), which of one step is smaller than any gradient; of many the gradient is."""
    sizes = []
    for steps, outputs, inputs in ((2, 400, 300), (300, 4, 3)):
        delta, u = normal(steps, outputs), normal(steps, inputs)
        tracemalloc.start()
        norms.of_products(delta[:, None], [u[:, None]], "numpy")
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sizes[0] < 8 * 400 * 300 / 2
    assert sizes[1] < 8 * 300 * 300 / 2


@pytest.mark.parametrize("kind", ["tied, dropout", "tied"])
def test_with_dropout_the_sum_is_bounded_by_what_was_measured(kind):
    an_example_is_as_long_as_it_may_be(kind)


def test_the_same_seed_draws_the_same_masks():
    model, batch, state = CASES["tied, dropout"]()
    first, again = (clipped_gradients(model, batch, 1e-3, state=state, rng=4) for _ in range(2))
    close(again.gradients, first.gradients, 0)
    np.testing.assert_array_equal(first.norms, example_gradient_norms(model, batch, state=state, rng=_seed(4)))
    assert abs(first.norms - example_gradient_norms(model, batch, state=state, rng=4)).max() > 1e-6


def _seed(rng):
    return int(np.random.default_rng(rng).integers(2**63))


@pytest.mark.parametrize("method", [None, "one by one"])
def test_an_example_that_counts_nothing_has_no_gradient(method):
    model, batch, state = language_model(tied=True)
    weights = batch.weights.copy()
    weights[1] = 0
    found = clipped_gradients(model, batch._replace(weights=weights), 0.1, state=state, method=method)
    assert found.norms[1] == 0
    assert (found.norms[[0, 2]] > 0.1).all()
    nothing = clipped_gradients(model, batch._replace(weights=0 * weights), 0.1, state=state, method=method)
    assert not nothing.norms.any()
    assert not any(g.any() for g in nothing.gradients.values())
    assert set(nothing.gradients) == set(model.parameters)
    assert nothing.loss == 0


def test_weights_within_an_example_count_and_their_size_does_not():
    model, batch, state = language_model()
    found = example_gradient_norms(model, batch, state=state)
    larger = example_gradient_norms(model, batch._replace(weights=7 * batch.weights), state=state)
    np.testing.assert_allclose(larger, found, rtol=1e-12)
    flat = example_gradient_norms(model, batch._replace(weights=None), state=state)
    assert abs(flat - found).max() > 1e-3


@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_in_the_padding_reaches_nothing(cell):
    model, batch, _ = classifier(cell)
    x = batch.inputs.copy()
    for b, n in enumerate(LENGTHS):
        x[b, n:] = np.nan
    expected = example_gradient_norms(model, batch)
    np.testing.assert_array_equal(example_gradient_norms(model, batch._replace(inputs=x)), expected)


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_on_a_backends_own_kernels(cell, backend, dtype):
    model = SequenceClassifier(3, 8, input_size=4, cell=cell, num_layers=2, backend=backend, dtype=dtype, seed=0)
    batch = Batch(normal(5, 12, 4).astype(dtype), np.arange(5) % 3, np.array([12, 3, 7, 1, 12]))
    found = example_gradient_norms(model, batch, method="together")
    expected = example_gradient_norms(model, batch, method="one by one")
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-11 if dtype == np.float64 else 1e-4)
    clipped = clipped_gradients(model, batch, float(np.median(found)))
    assert {g.dtype for g in clipped.gradients.values()} == {np.dtype(dtype)}


def test_the_iterator_yields_batches_of_one():
    case = model, batch, state = language_model(num_layers=2)
    steps = list(per_example_gradients(model, batch, state=state))
    for step, expected in zip(steps, alone(case), strict=True):
        close(step.gradients, expected, 0)
    # Each counts in the batch's mean as much as its targets do.
    whole = model.loss_and_gradients(batch, state=state)
    share = np.array([step.count for step in steps]) / whole.count
    np.testing.assert_allclose(sum(s * step.loss for s, step in zip(share, steps, strict=True)), whole.loss, rtol=1e-12)
    total = {
        name: sum(s * step.gradients[name] for s, step in zip(share, steps, strict=True)) for name in model.parameters
    }
    close(total, whole.gradients, 1e-12)


def test_what_is_frozen_counts_nothing():
    model, batch, _ = classifier()
    model.frozen = frozenset(model.parameters) - {"head.bias"}
    np.testing.assert_allclose(
        example_gradient_norms(model, batch), example_gradient_norms(model, batch, needs={"head.bias"}), rtol=1e-13
    )
    assert list(clipped_gradients(model, batch, 1.0).gradients) == ["head.bias"]


def test_without_a_bound_it_is_a_sum():
    case = model, batch, _ = classifier()
    gradients = alone(case)
    expected = {name: sum(its[name] for its in gradients) for name in model.parameters}
    for method in ("together", "one by one"):
        close(clipped_gradients(model, batch, np.inf, method=method).gradients, expected, 1e-12)


def test_the_model_and_the_batch_are_left_as_they_were():
    model, batch, state = language_model(tied=True)
    rnn, core = model.rnn, model.rnn._core
    before = {name: array.copy() for name, array in model.parameters.items()}
    weights = batch.weights.copy()
    clipped_gradients(model, batch, 0.1, state=state)
    assert model.rnn is rnn
    assert rnn._core is core
    np.testing.assert_array_equal(batch.weights, weights)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, before[name])


def peak(call):
    """Return the most memory that a call takes, in bytes."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("method", ["together", "one by one"])
def test_no_gradients_of_all_examples_are_ever_made(method):
    rows, words = 64, 2000
    model = SequenceClassifier(2, 24, vocab_size=words, backend="numpy", seed=0)
    batch = Batch(np.random.default_rng(0).integers(0, words, (rows, 10)), np.arange(rows) % 2)
    gradients = 4 * rows * sum(array.size for array in model.parameters.values())
    clipped_gradients(model, batch, 1.0, method=method)  # whatever is compiled is no part of it
    assert peak(lambda: clipped_gradients(model, batch, 1.0, method=method)) < gradients / 4


def test_for_the_norms_no_logits_of_all_examples_are_ever_made():
    rows, words = 64, 4000
    model = LanguageModel(words, 24, tied=True, backend="numpy", seed=0)
    x = np.random.default_rng(0).integers(0, words, (rows, 10))
    logits = 4 * rows * 10 * words
    assert peak(lambda: example_gradient_norms(model, Batch(x, x), method="together")) < logits / 2


@pytest.mark.parametrize(
    "call, error, says",
    [
        (
            lambda m, b: example_gradient_norms(None, b),
            TypeError,
            "example_gradient_norms: model must have parameters and loss_and_gradients, got None",
        ),
        (lambda m, b: example_gradient_norms(m, {"a": b}), TypeError, "batch must be a Batch, whose rows are examples"),
        (lambda m, b: example_gradient_norms(m, b, needs={"tail"}), ValueError, "needs must name some of"),
        (
            lambda m, b: example_gradient_norms(m, b, method="twice"),
            ValueError,
            "example_gradient_norms: method must be 'together' or 'one by one', got 'twice'",
        ),
        (
            lambda m, b: example_gradient_norms(m, b._replace(weights=np.ones(2))),
            ValueError,
            r"weights must have 3 rows, one for each example, got shape \(2,\)",
        ),
        (lambda m, b: clipped_gradients(m, b, 0), ValueError, "clipped_gradients: max_norm must be above 0, got 0"),
        (lambda m, b: clipped_gradients(m, b, "1"), TypeError, "clipped_gradients: max_norm must be a number, got '1'"),
        (
            lambda m, b: per_example_gradients(m, b, needs={"tail"}),
            ValueError,
            "per_example_gradients: needs must name",
        ),
        (
            lambda m, b: example_gradient_norms(images().model, images().batch, method="together"),
            ValueError,
            "as ConvClassifier is no model of one head on the trunk, got 'together'",
        ),
    ],
)
def test_errors(call, error, says):
    model, batch, _ = classifier()
    with pytest.raises(error, match=says):
        call(model, batch)


def test_products_in_bfloat16_are_taken_one_by_one():
    model = SequenceClassifier(3, H, input_size=I, precision="bfloat16", backend="numpy", seed=0)
    assert why_not(model) == "products are in bfloat16"
    batch = features(classes())._replace(inputs=normal(B, T, I).astype(np.float32))
    assert (example_gradient_norms(model, batch) > 0).all()
