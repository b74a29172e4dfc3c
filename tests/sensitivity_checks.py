"""Checks of what is beyond the gradient: each states what must hold, and fails by an AssertionError if it does not.

Expectations come from brute force: batches of one, differences of gradients, a backward for each output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rnn_core import (
    GRU,
    LSTM,
    RNN,
    ConvClassifier,
    Forecaster,
    LanguageModel,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
)
from rnn_core.data import Batch, Windows
from rnn_core.layers.embedding import dense
from rnn_core.sensitivity import (
    clipped_gradients,
    example_gradient_norms,
    gauss_newton_product,
    hvp,
    jvp,
    per_example_gradients,
    state_jacobian,
    state_jacobian_singular_values,
)
from tests.forecasting_checks import model_of, some_series
from tests.seq2seq_checks import LENGTHS as READ
from tests.seq2seq_checks import TARGETS as WRITTEN
from tests.seq2seq_checks import seq2seq, source

B, T, I, H, V = 3, 6, 2, 3, 5
LENGTHS = np.array([6, 2, 4])
W = np.array([0.5, 2.0, 1.0])
CELLS = ("rnn", "lstm", "gru")
EXACT: dict[str, Any] = {"dtype": np.float64, "seed": 1, "backend": "numpy"}

# Tokens that come several times in one row, and several times in the batch.
TOKENS = np.array([[1, 2, 1, 1, 0, 2], [3, 3, 0, 0, 0, 0], [4, 1, 4, 2, 2, 2]])


class Case(NamedTuple):
    """A model with a batch, and an initial state where it carries one."""

    model: Any
    batch: Batch
    state: Any = None


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def features(targets: Any, **more: Any) -> Batch:
    return Batch(normal(B, T, I), targets, **more)


def classes(count: int = 3, *shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, count, (B, *shape))


def classifier(cell: str = "lstm", **options: Any) -> Case:
    weights = options.pop("weights", W)
    model = SequenceClassifier(3, H, input_size=I, cell=cell, **{"num_layers": 2, **EXACT, **options})
    return Case(model, features(classes(), lengths=LENGTHS, weights=weights))


def language_model(**options: Any) -> Case:
    model = LanguageModel(V, H, cell=options.pop("cell", "lstm"), **{**EXACT, **options})
    states = [normal(model.rnn.num_layers, B, H, seed=k) for k in range(len(model.rnn.spec.states))]
    weights = np.random.default_rng(3).uniform(0.1, 2, (B, T))
    weights[0, 2] = 0
    batch = Batch(TOKENS, np.roll(TOKENS, -1, axis=1), LENGTHS, weights, carry=True)
    return Case(model, batch, tuple(states) if len(states) > 1 else states[0])


def tagger(crf: bool) -> Case:
    model = SequenceTagger(3, H, vocab_size=V, padding_idx=0, embedding_size=2, crf=crf, cell="gru", **EXACT)
    if model.crf is not None:
        for array in model.crf.parameters.values():
            array += 0.3 * normal(*array.shape)
    weights = W if crf else None
    return Case(model, Batch(TOKENS, classes(3, T), LENGTHS, weights))


def forecaster(loss: str) -> Case:
    series = some_series()
    model: Forecaster = model_of(series, strategy="recursive", loss=loss, hidden_size=3, backend="numpy")
    return Case(model, Windows(series, model.window, batch_size=4, shuffle=False, dtype=np.float64).batch(0, 0))


def regressor() -> Case:
    model = SequenceRegressor(2, H, input_size=I, pooling="mean", bidirectional=True, **EXACT)
    return Case(model, features(normal(B, 2, seed=4), lengths=LENGTHS))


def images() -> Case:
    model = ConvClassifier(3, (1, 6, 6), channels=(2,), hidden_size=4, **EXACT)
    return Case(model, Batch(normal(B, 6, 6), classes(), weights=W))


def translator() -> Case:
    model = seq2seq("gru", vocab_size=6, backend="numpy")
    return Case(model, Batch(source(model), WRITTEN, READ))


CASES: dict[str, Callable[[], Case]] = {
    "rnn": lambda: classifier("rnn"),
    "relu, mean": lambda: classifier("rnn", nonlinearity="relu", pooling="mean", weights=None),
    "lstm": classifier,
    "gru": lambda: classifier("gru"),
    "one sigmoid": lambda: Case(SequenceClassifier(1, H, input_size=I, **EXACT), features(classes(2))),
    "both ways": lambda: classifier("gru", bidirectional=True, pooling="max"),
    "wide": lambda: wide(),
    "language": lambda: language_model(num_layers=2),
    "language, gru": lambda: language_model(cell="gru", embedding_size=4),
    "tied": lambda: language_model(tied=True),
    "tied, dropout": lambda: language_model(tied=True, dropout=0.4, num_layers=2),
    "tagger": lambda: tagger(crf=False),
    "tagger, crf": lambda: tagger(crf=True),
    "regressor": regressor,
    "gaussian": lambda: forecaster("gaussian"),
    "quantiles": lambda: forecaster("quantiles"),
    "images": images,
    "translator": translator,
}
"""Models that each take another way: cells, heads, losses, lengths, weights, tokens met several times."""


def wide() -> Case:
    """Return a model with many numbers and few steps, so that norms come of pairs of steps."""
    model = SequenceClassifier(3, 12, input_size=I, cell="gru", **EXACT)
    return Case(model, features(classes(), weights=W))


def direction(parameters: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """Return random numbers for each parameter."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(array.shape) for name, array in parameters.items()}


def inner(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    return sum(float((a[name] * b[name]).sum()) for name in a)


def constants(model: Any, v: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a direction without the padding's row, which does not move."""
    padding = getattr(getattr(model, "embedding", None), "padding_idx", None)
    if padding is not None:
        v["embedding.weight"][padding] = 0
    return v


def close(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float) -> None:
    """Fail where two sets of arrays differ by more than a share of the largest number."""
    assert set(found) == set(expected)
    largest = max(abs(np.asarray(array)).max() for array in expected.values())
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * largest, err_msg=name)


# ── Second derivatives ───────────────────────────────────────────────────────────────────────────────────────────────


def hessian_by_differences(kind: str) -> None:
    """H v is the difference of two gradients, as exactly as differences are."""
    model, batch, state = CASES[kind]()
    v, sides, h = constants(model, direction(model.parameters)), [], 1e-6
    product = hvp(model, batch, v, state=state, rng=5)
    for sign in (1, -1):
        for name, array in model.parameters.items():
            array += sign * h * v[name]
        sides.append(model.loss_and_gradients(batch, state=state, rng=5).gradients)
        for name, array in model.parameters.items():
            array -= sign * h * v[name]
    close(product, {name: (sides[0][name] - sides[1][name]) / (2 * h) for name in v}, 1e-7)
    assert max(abs(array).max() for array in product.values()) > (0 if kind == "quantiles" else 1e-3)


def hessian_is_symmetric(kind: str) -> None:
    """⟨u, H v⟩ = ⟨v, H u⟩."""
    model, batch, state = CASES[kind]()
    u, v = (direction(model.parameters, seed) for seed in (1, 2))
    left = inner(u, hvp(model, batch, v, state=state, rng=5))
    right = inner(v, hvp(model, batch, u, state=state, rng=5))
    assert abs(left - right) <= 1e-10 * max(1.0, abs(left))


def gauss_newton_by_its_definition(kind: str) -> None:
    """G = Jᵀ D J with J from a backward for each number that the head says, and D by hand; no eigenvalue is below 0."""
    model, batch, _ = CASES[kind]()
    logits, tape = model.forward(batch.inputs, batch.lengths)
    rows = []
    for place in np.ndindex(logits.shape):
        one = np.zeros(logits.shape)
        one[place] = 1
        rows.append(np.concatenate([g.ravel() for g in model.backward(tape, one, model.parameters)[1].values()]))
    J = np.array(rows)
    D = np.zeros((len(J), len(J)))
    if kind == "regressor":
        D = 2 / len(J) * np.eye(len(J))
    elif kind == "one sigmoid":
        p = 1 / (1 + np.exp(-logits))
        D = np.diag(p * (1 - p) / len(J))
    else:
        w = np.ones(B) / B if batch.weights is None else batch.weights / batch.weights.sum()
        for b, z in enumerate(logits):
            p = np.exp(z) / np.exp(z).sum()
            D[3 * b : 3 * b + 3, 3 * b : 3 * b + 3] = w[b] * (np.diag(p) - np.outer(p, p))
    v = direction(model.parameters)
    expected = J.T @ D @ J @ np.concatenate([array.ravel() for array in v.values()])
    found = gauss_newton_product(model, batch, v)
    ends = np.cumsum([array.size for array in v.values()])[:-1]
    parts = dict(zip(v, np.split(expected, ends), strict=True))
    close(found, {name: part.reshape(v[name].shape) for name, part in parts.items()}, 1e-12)
    for seed in range(5):
        v = direction(model.parameters, seed)
        assert inner(v, gauss_newton_product(model, batch, v)) > 0


# ── Examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def alone(case: Case) -> list[dict[str, np.ndarray]]:
    """Return each example's gradients, from a batch of one."""
    model, batch, state = case
    found = []
    for b in range(len(batch.inputs)):
        row = Batch(*(None if part is None else part[b : b + 1] for part in batch[:4]))
        its = tuple(s[:, b : b + 1] for s in state) if isinstance(state, tuple) else state
        its = its[:, b : b + 1] if isinstance(its, np.ndarray) else its
        found.append(model.loss_and_gradients(row, state=its, needs=set(model.parameters)).gradients)
    return [{name: dense(g) for name, g in gradients.items()} for gradients in found]


def lengths_of(gradients: list[dict[str, np.ndarray]]) -> np.ndarray:
    return np.array([np.sqrt(sum((g**2).sum() for g in its.values())) for its in gradients])


def norms_are_those_of_batches_of_one(kind: str, method: str | None = None) -> None:
    """‖g_b‖ is the norm of the gradient that example b has alone."""
    model, batch, state = case = CASES[kind]()
    expected = lengths_of(alone(case))
    found = example_gradient_norms(model, batch, state=state, method=method)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def norms_of_each_parameter(kind: str) -> None:
    """So it is for each parameter by itself, where nothing hides behind a larger one."""
    model, batch, state = case = CASES[kind]()
    gradients = alone(case)
    for name in model.parameters:
        expected = lengths_of([{name: its[name]} for its in gradients])
        found = example_gradient_norms(model, batch, state=state, needs={name})
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15, err_msg=name)


def clipped_sum_is_the_loops(kind: str, method: str | None = None) -> None:
    """The sum is that of a loop over examples, each clipped by itself, with some that are and some that are not."""
    model, batch, state = case = CASES[kind]()
    gradients = alone(case)
    norms = lengths_of(gradients)
    C = float(np.median(norms))
    factors = np.minimum(1, C / norms)
    assert factors.min() < 1
    expected = {name: sum(f * its[name] for f, its in zip(factors, gradients, strict=True)) for name in gradients[0]}
    found = clipped_gradients(model, batch, C, state=state, method=method)
    close(found.gradients, expected, 1e-12)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-12)
    assert found.count == len(norms)
    losses = [step.loss for step in per_example_gradients(model, batch, state=state)]
    np.testing.assert_allclose(found.loss, np.mean(losses), rtol=1e-12)


# ── States ───────────────────────────────────────────────────────────────────────────────────────────────────────────

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def jacobian_by_differences(cell: str, num_layers: int = 1) -> None:
    """∂s_T/∂s_t is what differences of states say, for the whole state; and its singular values are those."""
    layer = LAYERS[cell](I, H, num_layers, dtype=np.float64, backend="numpy", seed=2)
    x, h, t = normal(5, I), 1e-6, 2
    names = layer.spec.states
    start = [0.3 * normal(num_layers, H, seed=k) for k in range(len(names))]

    def state_of(parts: list[np.ndarray]) -> Any:
        return tuple(parts) if len(parts) > 1 else parts[0]

    def flat(state: Any) -> np.ndarray:
        return np.concatenate([part.ravel() for part in (state if isinstance(state, tuple) else (state,))])

    middle = flat(layer(x[:t], state_of(start))[1])
    columns = []
    for k in range(middle.size):
        sides = []
        for sign in (1, -1):
            moved = middle.copy()
            moved[k] += sign * h
            parts = [part.reshape(num_layers, H) for part in np.split(moved, len(names))]
            sides.append(flat(layer(x[t:], state_of(parts))[1]))
        columns.append((sides[0] - sides[1]) / (2 * h))
    expected = np.array(columns).T
    found = state_jacobian(layer, x, t, state0=state_of(start))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    along = state_jacobian_singular_values(layer, x, state0=state_of(start))
    assert along.values.shape == (5, middle.size)
    for lag in along.lags:
        exact = np.linalg.svd(state_jacobian(layer, x, 5 - lag, state0=state_of(start)), compute_uv=False)
        np.testing.assert_allclose(along.values[lag - 1], exact, rtol=0, atol=1e-14 * exact[0])


# ── What mutations ask ───────────────────────────────────────────────────────────────────────────────────────────────


def an_example_is_as_long_as_it_may_be(kind: str) -> None:
    """Both walks draw the same masks: the clipped gradient of one example has the length that was asked for."""
    model, batch, state = CASES[kind]()
    for b in range(B):
        weights = np.zeros((B, T))
        weights[b] = batch.weights[b]
        only = batch._replace(weights=weights)
        found = clipped_gradients(model, only, 1e-3, state=state, rng=4)
        np.testing.assert_allclose(lengths_of([found.gradients])[0], 1e-3, rtol=1e-10)
        assert (found.norms > 0).sum() == 1


def tangents_meet_the_backward(cell: str) -> None:
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩, with everything that goes in moving, and everything that comes out looked at."""
    layer = LAYERS[cell](I, H, 2, dtype=np.float64, backend="numpy", seed=2)
    x, dx = normal(T, B, I), normal(T, B, I, seed=1)
    count = len(layer.spec.states)
    state0, dstate0 = (tuple(normal(2, B, H, seed=k + seed) for k in range(count)) for seed in (2, 5))
    v = direction(layer.parameters, 3)

    def state_of(parts: tuple[np.ndarray, ...]) -> Any:
        return parts if count > 1 else parts[0]

    def parts_of(state: Any) -> tuple[np.ndarray, ...]:
        return state if isinstance(state, tuple) else (state,)

    options = {"state0": state_of(state0), "dstate0": state_of(dstate0), "lengths": LENGTHS}
    dy, dstate = jvp(layer, x, dx=dx, dparameters=v, **options)
    y, state, tape = layer.forward(x, state_of(state0), LENGTHS)
    u, us = normal(*y.shape, seed=8), tuple(normal(*part.shape, seed=9) for part in parts_of(state))
    gx, gstate0, grads = layer.backward(tape, u, state_of(us))
    forwards = (u * dy).sum() + sum((a * b).sum() for a, b in zip(us, parts_of(dstate), strict=True))
    backwards = (gx * dx).sum() + inner(grads, v)
    backwards += sum((a * b).sum() for a, b in zip(parts_of(gstate0), dstate0, strict=True))
    np.testing.assert_allclose(forwards, backwards, rtol=1e-11)
