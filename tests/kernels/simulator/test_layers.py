"""Layers and models with ``backend="cuda"``, and what they say of arrays that don't fit."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import cuda
from kernels.cuda.recurrence import Recurrence
from rnn_core import GRU, LSTM, RNN, LanguageModel, backends
from rnn_core.data.batches import Batch
from tests.cases import CASES


def test_the_backend_is_there_in_the_simulator():
    assert "cuda" in backends.available()
    assert backends.default() == "cpu"
    assert backends.namespace("cuda") is np


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_stacked_bidirectional_ragged(kind):
    options = {"num_layers": 2, "bidirectional": True, "dtype": np.float64, "seed": 1}
    ours, plain = kind(3, 5, backend="cuda", **options), kind(3, 5, backend="numpy", **options)
    rng = np.random.default_rng(0)
    x, dy, lengths = rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 3, 10)), [4, 1, 3]
    found: list[np.ndarray] = []
    expected: list[np.ndarray] = []
    for layer, results in ((ours, found), (plain, expected)):
        y, _, tape = layer.forward(x, lengths=lengths)
        dx, _, gradients = layer.backward(tape, dy)
        results += [y, dx, *gradients.values(), layer(x, lengths=lengths)[0]]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_every_state_at_every_step_and_resets(kind):
    """c, too, with gradients of its own, across places where the states are put back."""
    rng = np.random.default_rng(0)
    x, lengths = rng.standard_normal((4, 3, 3)), [4, 1, 3]
    resets = np.zeros((4, 3), bool)
    resets[2, 0] = resets[1, 2] = True
    results: list[list[np.ndarray]] = []
    for backend in ("cuda", "numpy"):
        layer = kind(3, 5, bidirectional=True, backend=backend, dtype="float64", seed=1)
        every, state, tape = layer.forward(x, lengths=lengths, resets=resets, all_states=True)
        dstates = tuple(np.random.default_rng(k).standard_normal(s.shape) for k, s in enumerate(every))
        dx, _, gradients = layer.backward(tape, None, dstates=dstates)
        results.append([*every, *(state if isinstance(state, tuple) else (state,)), dx, *gradients.values()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_a_language_model_has_the_gradients_of_the_equations():
    rng = np.random.default_rng(0)
    batch = Batch(inputs=rng.integers(0, 7, (3, 4)), targets=rng.integers(0, 7, (3, 4)))
    steps = [
        LanguageModel(7, 6, backend=backend, dtype=np.float64, seed=2).loss_and_gradients(batch)
        for backend in ("cuda", "numpy")
    ]
    assert steps[0].loss == pytest.approx(steps[1].loss, rel=1e-12)
    for name, gradient in steps[1].gradients.items():
        np.testing.assert_allclose(steps[0].gradients[name], gradient, rtol=1e-9, atol=1e-12)


def test_a_cell_is_named_and_another_refused():
    with pytest.raises(ValueError, match=r"cuda\.cell: name must be one of rnn_tanh, .*, got 'perceptron'"):
        cuda.cell("perceptron")


def test_dtypes_that_differ_are_refused():
    problem = CASES[0].problem("lstm", "float32")
    with pytest.raises(TypeError, match=r"cuda\.lstm: x, weights and states must all be float32 or all float64"):
        Recurrence("lstm").infer(problem.params, problem.x.astype(np.float64), problem.state0)


def test_shapes_that_do_not_fit_are_refused():
    """A kernel would read past their ends."""
    problem, cell = CASES[0].problem("lstm", "float32"), Recurrence("lstm")
    with pytest.raises(ValueError, match=r"cuda\.lstm: bias_hh must have shape \(rows,\) = "):
        cell.infer(problem.params._replace(bias_hh=problem.params.bias_hh[1:]), problem.x, problem.state0)
    wide = problem.params.bias_hh.astype(np.float64)
    with pytest.raises(TypeError, match=r"cuda\.lstm: x, weights and states must all be float32 or all float64"):
        cell.infer(problem.params._replace(bias_hh=wide), problem.x, problem.state0)
    y, state_T, tape = cell.forward(problem.params, problem.x, problem.state0)
    for dy, dstate_T, named in (
        (y[:1], state_T, r"dy must have shape \(T, B, H\)"),
        (y, (state_T[0], state_T[1][:1]), r"c of dstate_T must have shape \(B, H\)"),
    ):
        with pytest.raises(ValueError, match=rf"cuda\.lstm: {named} = "):
            cell.backward(problem.params, tape, dy, dstate_T, frozenset({"x"}))


def test_host_arrays_are_refused():
    problem = CASES[0].problem("lstm", "float32")
    with pytest.raises(TypeError, match=r"cuda\.lstm: arrays must be on the GPU, got builtins\.list; move them once"):
        Recurrence("lstm").infer(problem.params, [[1.0]], problem.state0)


def test_missing_memory_says_what_to_do(monkeypatch):
    problem = CASES[0].problem("lstm", "float32")

    def full(*_, **__):
        raise MemoryError("out of memory allocating 1 byte")

    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(MemoryError, match=r"cuda\.lstm: the device must have room for T = 6 steps of 3 sequences"):
        Recurrence("lstm").infer(problem.params, problem.x, problem.state0)


def test_the_ways_are_described():
    assert cuda.describe("lstm", 10, 2, 5).count("persistent") == 2
