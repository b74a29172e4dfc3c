"""Checks of what a training step does besides its cells, and of products that round; as those of tests/checks.py."""

from __future__ import annotations

import numpy as np

from rnn_core import Embedding, backends
from rnn_core.equations.affine import affine, affine_backward_b, affine_backward_W, affine_backward_x
from rnn_core.equations.rounding import rounded_to_bfloat16
from rnn_core.layers.linear import Linear
from rnn_core.training.losses import SoftmaxCrossEntropy
from rnn_core.training.losses.head import head_loss, head_score
from tests import head_checks
from tests.checks import normal

B, T, K, V = 5, 6, 8, 37
COUNTED = {
    "all": None,
    "weighted": 0.5 + np.arange(B * T).reshape(B, T) % 3,
    "some": np.arange(B * T).reshape(B, T) % 3 * 0.5,  # a third counts nothing
}
SHARE = 0.3


def softmax_head(rule: str, case: str) -> None:
    """A rule of tests/head_checks.py, of the CPU's kernels in float32."""
    [question] = [one.question("float32") for one in head_checks.CASES if one.name == case]
    getattr(head_checks, f"check_{rule}")(backends.get("cpu").softmax_head(), question)


def head_and_loss(counted: str, first: str = "rows") -> None:
    """A head and its loss in one pass are the two layers in turn, times the share, however p lies in memory."""
    linear, p = Linear(K, V, backend="cpu", dtype=np.float64, seed=1), normal(B, T, K)
    targets, weights = np.random.default_rng(2).integers(0, V, (B, T)), COUNTED[counted]
    if first == "time":
        p = np.ascontiguousarray(p.swapaxes(0, 1)).swapaxes(0, 1)
    kernels, needs = backends.get("cpu").softmax_head(), {"x", "weight", "bias"}
    found = head_loss(kernels, linear, p, targets, weights, needs, SHARE)
    assert found is not None
    z, tape = linear.forward(p)
    loss, loss_tape = SoftmaxCrossEntropy().forward(z, targets, weights)
    dp, gradients = linear.backward(tape, SHARE * SoftmaxCrossEntropy().backward(loss_tape))
    np.testing.assert_allclose(found.loss, loss, rtol=1e-12)
    np.testing.assert_allclose(found.dp, dp, rtol=1e-9, atol=1e-13)
    assert found.gradients.keys() == gradients.keys()
    for name, expected in gradients.items():
        np.testing.assert_allclose(found.gradients[name], expected, rtol=1e-9, atol=1e-13)
    score = head_score(kernels, linear, p, targets, weights)
    assert score is not None
    np.testing.assert_allclose(score[0], loss, rtol=1e-12)
    counts = np.ones((B, T), bool) if weights is None else weights > 0
    np.testing.assert_array_equal(score[1][counts], (z.argmax(axis=-1) == targets)[counts])


def sums_by_token(backend: str) -> None:
    """An embedding's gradient is each token's sum, at its row, whatever the order in which tokens come."""
    layer = Embedding(6, 3, padding_idx=0, backend=backend, dtype=np.float64, seed=1)
    tokens, dvectors = np.array([5, 1, 5, 0, 3, 5, 1, 0]), normal(8, 3)
    _, tape = layer.forward(tokens)
    expected = np.zeros((6, 3))
    np.add.at(expected, tokens, dvectors)
    expected[0] = 0
    np.testing.assert_allclose(layer.backward(tape, dvectors)["weight"], expected, rtol=1e-12)
    np.testing.assert_array_equal(layer.backward(tape, dvectors, sparse=True)["weight"].rows, [1, 3, 5])


def products_read_rounded_numbers() -> None:
    """In precision "bfloat16" a product and its gradients are those of rounded factors, added up in float32."""
    x, W, b, da = (normal(*shape, seed=5 + k).astype(np.float32) for k, shape in enumerate(_SHAPES))
    (x_q, W_q, da_q), q = (rounded_to_bfloat16(v).astype(np.float64) for v in (x, W, da)), rounded_to_bfloat16
    rows = da_q.reshape(-1, da.shape[-1])
    found = affine(x, W, b, q), affine_backward_x(da, W, q), affine_backward_W(da, x, q), affine_backward_b(da, q)
    expected = x_q @ W_q.T + b, da_q @ W_q, rows.T @ x_q.reshape(-1, x.shape[-1]), rows.sum(axis=0)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def linear_reads_rounded_numbers() -> None:
    """A `Linear` in precision "bfloat16" does so, too: y, dx, dW, and db sums what the other products read."""
    layer = Linear(33, 40, precision="bfloat16", backend="cpu", seed=1)
    W, b = layer.parameters["weight"], layer.parameters["bias"]
    x, dy = (normal(7, n, seed=n).astype(np.float32) for n in (33, 40))
    x_q, W_q, dy_q = (rounded_to_bfloat16(v).astype(np.float64) for v in (x, W, dy))
    y, tape = layer.forward(x)
    dx, gradients = layer.backward(tape, dy)
    found = {"y": y, "dx": dx, **gradients}
    expected = {"y": x_q @ W_q.T + b, "dx": dy_q @ W_q, "weight": dy_q.T @ x_q, "bias": dy_q.sum(axis=0)}
    for name, one in found.items():
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, expected[name], atol=1e-5 * np.abs(expected[name]).max(), err_msg=name)


_SHAPES = ((2, 4, 7), (5, 7), (5,), (2, 4, 5))
"""Of x, W, b and da."""
