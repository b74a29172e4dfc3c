"""Losses, optimizers, schedules, `Linear` and `Embedding` against torch in float64; and on torch's own arrays.

On torch's tensors, through array_api_compat, the code takes the roads that it takes on the GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.layers.dropout import Dropout
from rnn_core.layers.embedding import Embedding
from rnn_core.layers.linear import Linear
from rnn_core.training import (
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    Cosine,
    Exponential,
    LinearWarmup,
    SoftmaxCrossEntropy,
    SquaredError,
    StepDecay,
    clip_by_global_norm,
)

torch = pytest.importorskip("torch")

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.sampled_from([(1,), (5,), (3, 4), (2, 3, 2)])


def close(ours, theirs, rtol=1e-12, atol=0.0):
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol + rtol * np.abs(theirs).max())


def theirs_weighted(losses, weights):
    if weights is None:
        return losses.mean()
    weights = torch.tensor(weights)
    return (weights * losses).sum() / weights.sum()


def compare(loss, z, t, w, theirs):
    value, tape = loss.forward(z, t, w)
    leaf = torch.tensor(z, requires_grad=True)
    expected = theirs_weighted(theirs(leaf), w)
    expected.backward()
    # torch takes a small loss for the difference of two numbers as large as the logits; ours keeps its digits.
    rounding = np.finfo(float).eps * np.abs(z).max()
    close(value, expected, atol=rounding)
    close(loss.backward(tape), leaf.grad, atol=rounding)


@given(shape=SHAPES, V=st.integers(1, 7), weighted=st.booleans(), seed=SEEDS)
def test_softmax_cross_entropy(shape, V, weighted, seed):
    rng = np.random.default_rng(seed)
    z, t, w = 3 * rng.standard_normal((*shape, V)), rng.integers(0, V, shape), rng.random(shape) + 0.1

    def theirs(leaf):
        flat = torch.nn.functional.cross_entropy(leaf.reshape(-1, V), torch.tensor(t.ravel()), reduction="none")
        return flat.reshape(shape)

    compare(SoftmaxCrossEntropy(), z, t, w if weighted else None, theirs)


@given(shape=SHAPES, weighted=st.booleans(), seed=SEEDS)
def test_binary_cross_entropy(shape, weighted, seed):
    rng = np.random.default_rng(seed)
    z, t, w = 3 * rng.standard_normal(shape), rng.random(shape).round(1), rng.random(shape) + 0.1
    compare(
        BinaryCrossEntropy(), z, t, w if weighted else None,
        lambda leaf: torch.nn.functional.binary_cross_entropy_with_logits(leaf, torch.tensor(t), reduction="none"),
    )  # fmt: skip


@given(shape=SHAPES, weighted=st.booleans(), seed=SEEDS)
def test_squared_error(shape, weighted, seed):
    rng = np.random.default_rng(seed)
    z, t, w = rng.standard_normal(shape), rng.standard_normal(shape), rng.random(shape) + 0.1
    compare(
        SquaredError(), z, t, w if weighted else None,
        lambda leaf: torch.nn.functional.mse_loss(leaf, torch.tensor(t), reduction="none"),
    )  # fmt: skip


OPTIMIZERS = [
    (SGD(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    (SGD(0.05, weight_decay=0.1), lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)),
    (SGD(0.05, momentum=0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    (
        SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    ),
    (Adam(0.05), lambda p: torch.optim.Adam(p, 0.05)),
    (
        Adam(0.05, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.05, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1),
    ),
    (AdamW(0.05), lambda p: torch.optim.AdamW(p, 0.05)),
    (AdamW(0.05, weight_decay=0.3), lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.3)),
]


@pytest.mark.parametrize("ours, make_theirs", OPTIMIZERS, ids=[repr(ours) for ours, _ in OPTIMIZERS])
def test_optimizers_over_fifty_steps(ours, make_theirs):
    """Gradients depend on the parameters, one parameter thaws after 20 steps, and the rates move."""
    rng = np.random.default_rng(0)
    parameters = {name: rng.standard_normal((4, 3)) for name in "ab"}
    theirs = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in parameters.items()}
    optimizer = make_theirs(theirs.values())
    state = ours.init(parameters)
    for step in range(50):
        noise = {name: rng.standard_normal((4, 3)) for name in parameters}
        names = "ab" if step >= 20 else "a"
        rate = 0.05 * Exponential(0.98)(step)
        ours.update(parameters, {n: parameters[n] ** 3 + noise[n] for n in names}, state, dict.fromkeys(names, rate))
        optimizer.param_groups[0]["lr"] = rate
        for name in names:
            theirs[name].grad = theirs[name].detach() ** 3 + torch.tensor(noise[name])
        optimizer.step()
        for name in parameters:
            close(parameters[name], theirs[name])


@pytest.mark.parametrize(
    "ours, make_theirs",
    [
        (StepDecay(7, 0.3), lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.3)),
        (Exponential(0.9), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
        (Cosine(30, floor=0.1), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 30, eta_min=0.1)),
        (LinearWarmup(10), lambda o: torch.optim.lr_scheduler.LinearLR(o, 1 / 10, total_iters=9)),
    ],
    ids=lambda argument: "" if type(argument).__name__ == "function" else repr(argument),
)
def test_schedules(ours, make_theirs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_theirs(optimizer)
    for step in range(30):
        assert ours(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_clipping():
    rng = np.random.default_rng(0)
    gradients = {name: rng.standard_normal((3, 4)) for name in "ab"}
    theirs = [torch.nn.Parameter(torch.zeros(3, 4, dtype=torch.float64)) for _ in gradients]
    for parameter, gradient in zip(theirs, gradients.values(), strict=True):
        parameter.grad = torch.tensor(gradient)
    clipped, norm = clip_by_global_norm(gradients, 0.5)
    close(norm, torch.nn.utils.clip_grad_norm_(theirs, 0.5))
    for ours, parameter in zip(clipped.values(), theirs, strict=True):
        close(ours, parameter.grad, rtol=1e-6)  # torch divides by the norm + 1e-6


@given(shape=SHAPES, bias=st.booleans(), seed=SEEDS)
def test_linear(shape, bias, seed):
    rng = np.random.default_rng(seed)
    layer = Linear(shape[-1], 3, bias, dtype=np.float64, seed=seed)
    theirs = torch.nn.Linear(shape[-1], 3, bias, dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
    x, dy = rng.standard_normal(shape), rng.standard_normal((*shape[:-1], 3))
    leaf = torch.tensor(x, requires_grad=True)
    y, tape = layer.forward(x)
    expected = theirs(leaf)
    expected.backward(torch.tensor(dy))
    dx, grads = layer.backward(tape, dy)
    close(y, expected)
    close(dx, leaf.grad)
    for name, parameter in theirs.named_parameters():
        close(grads[name], parameter.grad)


@given(shape=SHAPES, padding_idx=st.sampled_from([None, 0, 4]), sparse=st.booleans(), seed=SEEDS)
def test_embedding(shape, padding_idx, sparse, seed):
    rng = np.random.default_rng(seed)
    layer = Embedding(5, 3, padding_idx, sparse, dtype=np.float64, seed=seed)
    theirs = torch.nn.Embedding(5, 3, padding_idx, dtype=torch.float64)
    theirs.load_state_dict({"weight": torch.tensor(layer.state_dict()["weight"])})
    tokens, dvectors = rng.integers(0, 5, shape), rng.standard_normal((*shape, 3))
    vectors, tape = layer.forward(tokens)
    expected = theirs(torch.tensor(tokens))
    expected.backward(torch.tensor(dvectors))
    gradient = layer.backward(tape, dvectors)["weight"]
    close(vectors, expected)
    close(gradient.to_dense() if sparse else gradient, theirs.weight.grad)


def test_torch_loads_and_is_loaded():
    theirs, layer = torch.nn.Linear(3, 2), Linear(3, 2)
    layer.load_state_dict(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
    np.testing.assert_array_equal(layer.parameters["weight"], theirs.weight.detach().numpy())


# ── the same on tensors, as on the GPU's arrays ───────────────────────────────────────────────────────────────


def on_tensors(layer):
    """A twin of a layer whose parameters are tensors."""
    twin = type(layer)(**layer.config)
    for name, array in layer.parameters.items():
        twin._share(name, torch.tensor(array))
    return twin


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), BinaryCrossEntropy(), SquaredError()], ids=type)
def test_losses_on_tensors(loss, weighted):
    rng = np.random.default_rng(0)
    softmax = isinstance(loss, SoftmaxCrossEntropy)
    z, t = rng.standard_normal((2, 3, 4)), rng.integers(0, 2, (2, 3) if softmax else (2, 3, 4))
    w = rng.random(2) if weighted else None
    value, tape = loss.forward(torch.tensor(z), torch.tensor(t), None if w is None else torch.tensor(w))
    assert isinstance(value, torch.Tensor)
    ours, ours_tape = loss.forward(z, t, w)
    close(ours, value)
    close(loss.backward(ours_tape), loss.backward(tape))


@pytest.mark.parametrize("optimizer", [ours for ours, _ in OPTIMIZERS], ids=repr)
def test_optimizers_on_tensors(optimizer):
    rng = np.random.default_rng(0)
    p, g = rng.standard_normal((2, 4, 3))
    ours, tensors = {"w": p.copy()}, {"w": torch.tensor(p)}
    state, tensor_state = optimizer.init(ours), optimizer.init(tensors)
    for _ in range(3):
        optimizer.update(ours, {"w": g}, state)
        optimizer.update(tensors, {"w": torch.tensor(g)}, tensor_state)
    close(ours["w"], tensors["w"])


def test_layers_on_tensors():
    rng = np.random.default_rng(0)
    embedding, linear = Embedding(6, 4, 0, dtype=np.float64, seed=0), Linear(4, 3, dtype=np.float64, seed=0)
    tokens, dy = rng.integers(0, 6, (2, 5)), rng.standard_normal((2, 5, 3))

    def gradients(embedding, linear, tokens, dy):
        vectors, embedding_tape = embedding.forward(tokens)
        vectors, dropout_tape = Dropout(0.5).forward(vectors, rng=1)
        _, linear_tape = linear.forward(vectors)
        dvectors, grads = linear.backward(linear_tape, dy)
        return [
            *grads.values(),
            embedding.backward(embedding_tape, Dropout(0.5).backward(dropout_tape, dvectors))["weight"],
        ]

    ours = gradients(embedding, linear, tokens, dy)
    theirs = gradients(on_tensors(embedding), on_tensors(linear), torch.tensor(tokens), torch.tensor(dy))
    for one, other in zip(ours, theirs, strict=True):
        close(one, other)
    clipped, norm = clip_by_global_norm({str(k): g for k, g in enumerate(ours)}, 0.1)
    tensors, tensor_norm = clip_by_global_norm({str(k): g for k, g in enumerate(theirs)}, 0.1)
    assert norm == pytest.approx(tensor_norm, rel=1e-12)
    for name in clipped:
        close(clipped[name], tensors[name])
