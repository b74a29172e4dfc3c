"""Second derivatives and single examples of what stands upon a model: linear maps of a source, and several tasks."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import (
    SequenceClassifier,
    clipped_gradients,
    example_gradient_norms,
    gauss_newton_product,
    hvp,
    per_example_gradients,
)
from rnn_core.data import Batch
from tests.sensitivity_checks import EXACT, LENGTHS, B, I, T, close, direction, inner, lengths_of, normal
from transfer import Head, LinearMap, LowRank, MultiTask, Scale, TaskBatch

BATCH = Batch(normal(B, T, I), np.array([0, 2, 1]), LENGTHS)


def mapped():
    source = SequenceClassifier(3, 3, input_size=I, **EXACT)
    model = LinearMap(source, {"rnn.weight_*": LowRank(2), "head": Scale()})
    for array in model.parameters.values():
        array += 0.3 * normal(*array.shape)
    return model, BATCH


def several():
    model = MultiTask({"many": Head(3), "one": Head(1, "binary")}, 3, input_size=I, **EXACT)
    return model, TaskBatch({"many": BATCH, "one": Batch(normal(B, T, I), np.array([0, 1, 1]))})


@pytest.mark.parametrize("case", [mapped, several])
def test_a_hessian_is_symmetric_and_a_difference_of_gradients(case):
    model, batch = case()
    u, v = (direction(model.parameters, seed) for seed in (1, 2))
    product = hvp(model, batch, v)
    assert abs(inner(u, product) - inner(v, hvp(model, batch, u))) < 1e-11
    sides, h = [], 1e-6
    for sign in (1, -1):
        for name, array in model.parameters.items():
            array += sign * h * v[name]
        sides.append(model.loss_and_gradients(batch).gradients)
        for name, array in model.parameters.items():
            array -= sign * h * v[name]
    close(product, {name: (sides[0][name] - sides[1][name]) / (2 * h) for name in v}, 1e-7)


@pytest.mark.parametrize("case", [mapped, several])
def test_gauss_newton_is_symmetric_and_has_no_eigenvalue_below_zero(case):
    model, batch = case()
    u, v = (direction(model.parameters, seed) for seed in (1, 2))
    gu, gv = (gauss_newton_product(model, batch, w) for w in (u, v))
    assert abs(inner(u, gv) - inner(v, gu)) < 1e-11
    assert inner(u, gu) > 0
    # What is linear in the outputs has no other curvature than the loss has: the heads, and a factor on one.
    names = [name for name in model.parameters if name.startswith("head")]
    some = {name: u[name] for name in names}
    close(gauss_newton_product(model, batch, some), hvp(model, batch, some), 1e-12)


def test_of_a_map_gauss_newton_is_the_models_between_two_maps():
    model, batch = mapped()
    v, h = direction(model.parameters), 1e-30
    twin = model.astype(np.complex128)
    for name, array in twin.parameters.items():
        array += 1j * h * v[name]
    moved = {name: array.imag / h for name, array in twin.merge().parameters.items()}
    expected = model.pull_back(gauss_newton_product(model.merge(), batch, moved))
    found = gauss_newton_product(model, batch, v)
    close(found, {name: expected[name] for name in found}, 1e-12)


def test_a_maps_examples_are_taken_one_by_one():
    model, batch = mapped()
    steps = list(per_example_gradients(model, batch))
    norms = example_gradient_norms(model, batch)
    np.testing.assert_allclose(norms, lengths_of([step.gradients for step in steps]), rtol=1e-12)
    C = float(np.median(norms))
    pairs = list(zip(np.minimum(1, C / norms), steps, strict=True))
    expected = {name: sum(f * step.gradients[name] for f, step in pairs) for name in model.parameters}
    close(clipped_gradients(model, batch, C).gradients, expected, 1e-12)


@pytest.mark.parametrize(
    "call, says",
    [
        (example_gradient_norms, "batch must be a Batch, whose rows are examples, got .*; of several tasks take one"),
    ],
)
def test_several_tasks_have_no_one_loss_and_no_one_row(call, says):
    with pytest.raises(TypeError, match=says):
        call(*several())
