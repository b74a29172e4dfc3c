"""Checks, each of which fails with an AssertionError where the code is wrong.

`test_gradients.py` runs them on the code as it is, `test_mutations.py` on code with a bug planted in it. None of them
uses torch. Expectations come from the complex step, from paper, or from another way to ask the code the same thing.
"""

from __future__ import annotations

import numpy as np

from rnn_core import GRU, LSTM, RNN, LanguageModel, SequenceClassifier, gradcheck
from rnn_core.checking import standard_cases
from rnn_core.checking.report import GradientReport
from rnn_core.data import Batch
from rnn_core.layers.pooling import Pooling
from rnn_core.layers.stack import Recurrent
from rnn_core.training import SGD, Adam, BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError, clip_by_global_norm
from tests import by_hand

LAYERS: dict[str, tuple[type[Recurrent], dict[str, str]]] = {
    "RNN tanh": (RNN, {"nonlinearity": "tanh"}),
    "RNN ReLU": (RNN, {"nonlinearity": "relu"}),
    "RNN sigmoid": (RNN, {"nonlinearity": "sigmoid"}),
    "LSTM": (LSTM, {}),
    "GRU": (GRU, {}),
}


def make(cell: str, input_size: int = 2, hidden_size: int = 3, **options: object) -> Recurrent:
    """Return a float64 layer of this kind, on the equations: the other backends answer to tests/conformance.py."""
    layer_type, arguments = LAYERS[cell]
    return layer_type(input_size, hidden_size, backend="numpy", dtype=np.float64, seed=3, **arguments, **options)


def normal(*shape: int, seed: int = 5) -> np.ndarray:
    """Return normal numbers that are the same at every call."""
    return np.random.default_rng(seed).standard_normal(shape)


def accept(report: GradientReport) -> None:
    """Fail with the whole table unless every gradient passed."""
    assert report.passed, f"\n{report}"


def standard_gradients(cell: str, option: str) -> None:
    """A line of `rnn-core gradcheck`: complex step, 1e-12, every element."""
    for case in standard_cases(backend="numpy", options=(option,)):
        if case.cell == cell:
            accept(case.check())


def values_by_hand(cell: str) -> None:
    """The forward equals scalar loops written from the paper: gate order, both biases, every state."""
    layer = make(cell)
    x, states = normal(6, 2), [normal(1, 3, seed=8 + k) for k in range(len(layer.spec.states))]
    weights = layer.state_dict()
    y, final = layer(x, _state(states))
    start = [state[0].tolist() for state in states]
    if cell == "LSTM":
        expected, c = by_hand.lstm(weights, x, *start)
        np.testing.assert_allclose(final[1][0], c, rtol=1e-12)
        final = final[0]
    elif cell == "GRU":
        expected = by_hand.gru(weights, x, *start)
    else:
        expected = by_hand.rnn(weights, x, start[0], layer.config["nonlinearity"])
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(final[0], expected[-1], rtol=1e-12)


def a_second_call_changes_nothing(cell: str) -> None:
    """Calls don't know of one another: same results, untouched inputs, and an earlier tape is still good."""
    for layer in (make(cell), make(cell, num_layers=2, bidirectional=True)):
        x, other = normal(5, 2, 2), normal(5, 2, 2, seed=6)
        kept, weights = x.copy(), layer.state_dict()
        inferred, _ = layer(x)
        y, _, tape = layer.forward(x)
        dx, _, grads = layer.backward(tape, np.ones_like(y))
        layer.forward(other)
        layer(other)
        dx_again, _, grads_again = layer.backward(tape, np.ones_like(y))
        np.testing.assert_array_equal(layer(x)[0], inferred)
        np.testing.assert_array_equal(layer.forward(x)[0], y)
        np.testing.assert_array_equal(dx_again, dx)
        np.testing.assert_array_equal(x, kept)
        for name, grad in grads.items():
            np.testing.assert_array_equal(grads_again[name], grad)
            np.testing.assert_array_equal(layer.parameters[name], weights[name])


def rows_alone_equal_rows_together(cell: str) -> None:
    """A ragged batch gives each row what the row gives alone, forwards and backwards, whatever the padding holds."""
    layer, lengths = make(cell, num_layers=2, bidirectional=True), np.array([5, 2, 4])
    x, dy = normal(5, 3, 2), normal(5, 3, 6, seed=7)
    dstate = [normal(4, 3, 3, seed=8 + k) for k in range(len(layer.spec.states))]
    x[2:, 1], x[4:, 2], dy[2:, 1], dy[4:, 2] = np.nan, np.nan, np.nan, np.nan
    y, final, tape = layer.forward(x, lengths=lengths)
    dx, dstate0, grads = layer.backward(tape, dy, _state(dstate))
    total = {name: np.zeros_like(grad) for name, grad in grads.items()}
    for b, length in enumerate(lengths):
        y_b, final_b, tape_b = layer.forward(np.ascontiguousarray(x[:length, b]))
        np.testing.assert_allclose(y[:length, b], y_b, rtol=1e-12)
        np.testing.assert_array_equal(y[length:, b], 0)
        dx_b, dstate0_b, grads_b = layer.backward(tape_b, dy[:length, b], _state([d[:, b] for d in dstate]))
        np.testing.assert_allclose(dx[:length, b], dx_b, rtol=1e-9, atol=1e-14)
        np.testing.assert_array_equal(dx[length:, b], 0)
        states, states_b = _states(final) + _states(dstate0), _states(final_b) + _states(dstate0_b)
        for together, alone in zip(states, states_b, strict=True):
            np.testing.assert_allclose(together[:, b], alone, rtol=1e-9, atol=1e-14)
        for name in total:
            total[name] += grads_b[name]
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, total[name], rtol=1e-9, atol=1e-13)


def resets_cut_rows(cell: str) -> None:
    """Each episode of a batch is what it is alone, and gradients go no further than to where states are put back."""
    layer_type, arguments = LAYERS[cell]
    layer = layer_type(2, 3, num_layers=2, dtype=np.float64, seed=3, **arguments)
    x, resets = normal(6, 3, 2), np.zeros((6, 3), bool)
    resets[[2, 5, 0, 3], [0, 0, 1, 2]] = True
    state0, put_back = ([normal(2, 3, 3, seed=seed + k) for k in range(len(layer.spec.states))] for seed in (8, 10))
    y, final = layer(x, _state(state0), resets=resets, reset_to=_state(put_back))
    for b, begin, end in ((0, 0, 2), (0, 2, 5), (0, 5, 6), (1, 0, 6), (2, 0, 3), (2, 3, 6)):
        start = [s[:, b] for s in (put_back if resets[begin, b] else state0)]
        y_alone, final_alone = layer(x[begin:end, b], _state(start))
        np.testing.assert_array_equal(y[begin:end, b], y_alone)
        if end == 6:
            for found, alone in zip(_states(final), _states(final_alone), strict=True):
                np.testing.assert_array_equal(found[:, b], alone)
    for reset_to in (None, _state(put_back)):
        accept(gradcheck(layer, x, state0=_state(state0), resets=resets, reset_to=reset_to))


def every_state(cell: str) -> None:
    """The states of every step have gradients: ragged rows that are put back, two layers, both directions."""
    layer, lengths = make(cell, num_layers=2, bidirectional=True), np.array([6, 2, 4])
    resets = np.zeros((6, 3), bool)
    resets[[2, 5, 3], [0, 0, 2]] = True
    for put_back in (None, resets):
        accept(gradcheck(layer, normal(6, 3, 2), lengths=lengths, resets=put_back, all_states=True))


def a_stream_is_the_sequence(cell: str) -> None:
    """In whatever pieces a sequence comes, a stream says what the layer says, and ends where it ends."""
    layer_type, arguments = LAYERS[cell]
    layer = layer_type(2, 3, num_layers=2, dtype=np.float64, seed=3, **arguments)
    x = normal(13, 2, 2)
    y, final = layer(x)
    for pieces in ((13,), (1, 5, 7), (4, 4, 4, 1)):
        ends = np.cumsum(pieces)
        stream = layer.stream(2)
        found = [stream(x[end - n : end]) for n, end in zip(pieces, ends, strict=True)]
        np.testing.assert_array_equal(np.concatenate(found), y)
        for state, expected in zip(_states(stream.state), _states(final), strict=True):
            np.testing.assert_array_equal(state, expected)


def _state(states: list[np.ndarray]) -> object:
    """Put h or (h, c) together."""
    return states[0] if len(states) == 1 else tuple(states)


def _states(state: np.ndarray | tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Take h or (h, c) apart."""
    return state if isinstance(state, tuple) else (state,)


def dropout_masks_hold(cell: str) -> None:
    """Masks are drawn from the seed, scaled by 1/(1−p), different at every unit, and the backward uses the same."""
    layer = make(cell, num_layers=2, dropout=0.4, hidden_size=40)
    x = normal(6, 5, 2)
    first, same, other = (layer.forward(x, rng=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    mask = layer.forward(x, rng=1)[2].kept.masks[0]
    assert set(np.unique(mask)) == {0.0, 1 / 0.6}
    assert abs(mask.mean() - 1) < 0.1
    small = make(cell, num_layers=2, dropout=0.4)
    accept(gradcheck(small, x, seed=1))


def classifier_gradients(pooling: str) -> None:
    """Embedding, ragged rows, both directions, pooling and head, by the complex step."""
    model = SequenceClassifier(
        3, 3, vocab_size=7, embedding_size=2, padding_idx=0, bidirectional=True, pooling=pooling, dtype=np.float64,
        seed=1,
    )  # fmt: skip
    tokens = np.array([[1, 2, 3, 4, 2], [5, 6, 1, 0, 0], [3, 0, 0, 0, 0]])
    report = gradcheck(model, tokens, lengths=[5, 3, 1])
    accept(report)


def classifier_pools_valid_steps(pooling: str) -> None:
    """A padded row gets the logits that it gets alone."""
    model = SequenceClassifier(3, 3, input_size=2, bidirectional=True, pooling=pooling, dtype=np.float64, seed=1)
    x, lengths = normal(3, 5, 2), [5, 2, 1]
    logits = model(x, lengths)
    for b, length in enumerate(lengths):
        np.testing.assert_allclose(logits[b], model(x[b : b + 1, :length])[0], rtol=1e-12)


def equal_maxima_go_to_the_first() -> None:
    """Of equal maxima the first takes the gradient, whatever stands past a row's length; a NaN is not lost."""
    y = np.zeros((4, 2, 3), np.float32)
    y[1:3, :, 1], y[0, :, 2], y[3, 1] = 2, np.nan, 9
    pooled, tape = Pooling("max").forward(y, [4, 3])
    np.testing.assert_array_equal(pooled, [[0, 2, np.nan]] * 2)
    steps = Pooling("max").backward(tape, np.ones((2, 3), np.float32)).argmax(axis=0)
    np.testing.assert_array_equal(steps[:, :2], [[0, 1]] * 2)


def padding_row_has_no_gradient() -> None:
    """The embedding's padding row doesn't learn, rows not seen have zeros, rows seen twice have the sum."""
    model = SequenceClassifier(2, 3, vocab_size=6, padding_idx=0, pooling="mean", dtype=np.float64, seed=1)
    tokens = np.array([[1, 2, 1, 0], [2, 2, 0, 0]])
    logits, tape = model.forward(tokens)
    _, grads = model.backward(tape, np.ones_like(logits))
    grad = grads["embedding.weight"]
    assert not grad[0].any()
    assert not grad[3:].any()
    assert grad[1].any()
    assert grad[2].any()


def language_model_gradients(tied: bool) -> None:
    """Tokens to logits and the carried state, by the complex step; tied weights sum both uses."""
    model = LanguageModel(5, 3, num_layers=2, tied=tied, dtype=np.float64, seed=1)
    accept(gradcheck(model, np.array([[1, 2, 3, 1], [0, 4, 4, 2]]), state0=(normal(2, 2, 3), normal(2, 2, 3, seed=6))))


def model_gradients_with_dropout() -> None:
    """Embedding, core, pooling and head with dropout between them, by the complex step."""
    model = SequenceClassifier(3, 4, vocab_size=7, pooling="mean", dropout=0.4, dtype=np.float64, seed=1)
    accept(gradcheck(model, np.array([[1, 2, 3, 4, 2], [5, 6, 1, 0, 0]]), seed=1))


def padding_counts_nothing() -> None:
    """The loss of padded rows is the mean over the rows alone, with weights for each target or without."""
    model = LanguageModel(5, 3, dtype=np.float64, seed=1)
    tokens, targets, lengths = np.array([[1, 2, 3], [0, 4, 4]]), np.array([[2, 3, 0], [4, 1, 1]]), np.array([3, 1])
    for weights in (None, np.array([[0.5, 1, 2], [3, 7, 7]])):
        given = np.ones((2, 3)) if weights is None else weights
        alone = [
            model.loss_and_gradients(Batch(tokens[b : b + 1, :n], targets[b : b + 1, :n], None, given[b : b + 1, :n]))
            for b, n in enumerate(lengths)
        ]
        step = model.loss_and_gradients(Batch(tokens, targets, lengths, weights))
        expected = sum(row.loss * row.count for row in alone) / sum(row.count for row in alone)
        np.testing.assert_allclose(step.loss, expected, rtol=1e-12)
        assert step.count == sum(row.count for row in alone)


def loss_gradients(name: str) -> None:
    """Weighted losses, by the complex step."""
    rng = np.random.default_rng(1)
    logits, weights = 3 * normal(4, 5), rng.uniform(0.2, 2, (4, 5))
    if name == "softmax":
        accept(gradcheck(SoftmaxCrossEntropy(), logits, targets=rng.integers(0, 5, 4), weights=weights[:, 0]))
    elif name == "binary":
        accept(gradcheck(BinaryCrossEntropy(), logits, targets=rng.integers(0, 2, (4, 5)), weights=weights))
    else:
        accept(gradcheck(SquaredError(), logits, targets=normal(4, 5, seed=2), weights=weights))


def loss_values() -> None:
    """Losses equal their definitions, and stay finite at logits of ±1e4."""
    logits = np.array([[0.3, -1.2, 2.0], [1.0, 0.0, -1.0]])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    value, _ = SoftmaxCrossEntropy().forward(logits, np.array([2, 0]))
    np.testing.assert_allclose(value, -(np.log(p[0, 2]) + np.log(p[1, 0])) / 2, rtol=1e-12)
    s = 1 / (1 + np.exp(-logits))
    targets = np.array([[1, 0, 1], [0, 0, 1]])
    value, _ = BinaryCrossEntropy().forward(logits, targets)
    np.testing.assert_allclose(value, -(targets * np.log(s) + (1 - targets) * np.log(1 - s)).mean(), rtol=1e-12)
    huge = np.array([[1e4, -1e4]])
    assert SoftmaxCrossEntropy().forward(huge, np.array([1]))[0] == 2e4
    assert BinaryCrossEntropy().forward(huge, np.array([[0, 1]]))[0] == 1e4


def optimizers_by_hand() -> None:
    """Two steps of momentum and of Adam on one number, computed on paper."""
    momentum, adam = np.array([1.0]), np.array([1.0])
    sgd, adaptive = SGD(0.1, momentum=0.9), Adam(0.1)
    sgd_state, adam_state = sgd.init({"w": momentum}), adaptive.init({"w": adam})
    for gradient in (0.5, -0.25):
        sgd.update({"w": momentum}, {"w": np.array([gradient])}, sgd_state, {"w": 0.1}, backend="numpy")
        adaptive.update({"w": adam}, {"w": np.array([gradient])}, adam_state, {"w": 0.1}, backend="numpy")
    # SGD: v = 0.5, then 0.9·0.5 − 0.25 = 0.2.  Adam: m̂ = 0.5, v̂ = 0.25; then m = 0.9·0.05 − 0.025 = 0.02 …
    np.testing.assert_allclose(momentum, 1 - 0.1 * 0.5 - 0.1 * 0.2, rtol=1e-12)
    m_hat, v_hat = 0.02 / (1 - 0.9**2), (0.999 * 0.00025 + 0.001 * 0.0625) / (1 - 0.999**2)
    np.testing.assert_allclose(adam, 1 - 0.1 * 0.5 / (0.5 + 1e-8) - 0.1 * m_hat / (np.sqrt(v_hat) + 1e-8), rtol=1e-12)


def clipping_keeps_the_direction() -> None:
    """All gradients together are scaled by one factor, to the norm asked for."""
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([0.0, 4.0])}
    clipped, norm = clip_by_global_norm(gradients, 1.0)
    assert norm == 5
    np.testing.assert_allclose(clipped["a"], [0.6, 0])
    np.testing.assert_allclose(clipped["b"], [0, 0.8])


def frozen_parameters_get_no_gradient() -> None:
    """A frozen core has no gradients, and what trains above it has the same ones as before."""
    model = SequenceClassifier(2, 3, input_size=2, dtype=np.float64, seed=1)
    batch = Batch(normal(4, 5, 2), np.array([0, 1, 1, 0]))
    full = model.loss_and_gradients(batch).gradients
    model.frozen = frozenset(name for name in model.parameters if name.startswith("rnn."))
    step = model.loss_and_gradients(batch)
    assert set(step.gradients) == {"head.weight", "head.bias"}
    for name, gradient in step.gradients.items():
        np.testing.assert_array_equal(gradient, full[name])
