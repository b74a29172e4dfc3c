"""Whole models beside the same composition in torch, float64: logits, loss and every gradient to 1e-10; and pooling on
torch's own arrays, which take the roads that the GPU's will take.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core.data.batches import Batch
from rnn_core.layers.pooling import POOLINGS, Pooling
from rnn_core.models import LanguageModel, SequenceClassifier
from tests.tolerance import assert_agree

torch = pytest.importorskip("torch")

ALLOWED = 1e-10
CELLS = st.sampled_from([("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh")])
SIZES = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def rows(draw):
    """T, B and lengths; None where there are none."""
    T, B = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    return T, B, draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))


def torch_core(model, x, lengths, state0=None):
    """Run torch's core with our weights; return y (B, T, ·), the final state, and its parameters by our names."""
    rnn = model.rnn
    options = {"nonlinearity": model.config["nonlinearity"]} if model.config["cell"] == "rnn" else {}
    module = getattr(torch.nn, type(rnn).__name__)(
        rnn.input_size, rnn.hidden_size, rnn.num_layers, batch_first=True, bidirectional=rnn.directions == 2,
        dtype=torch.float64, **options,
    )  # fmt: skip
    module.load_state_dict({name: torch.tensor(value) for name, value in rnn.parameters.items()})
    T = x.shape[1]
    if lengths is not None:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    y, state = module(x, state0)
    if lengths is not None:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=T)
    return y, state, {f"rnn.{name}": value for name, value in module.named_parameters()}


def leaves(model, *names):
    """Return our parameters of these names as torch's."""
    return {name: torch.tensor(model.parameters[name], requires_grad=True) for name in names}


def assert_same(step, loss, parameters):
    """Assert that loss and gradients of a step are torch's."""
    assert step.loss == pytest.approx(loss.item(), rel=ALLOWED)
    gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    assert set(step.gradients) == set(parameters)
    for name, gradient in zip(parameters, gradients, strict=True):
        assert_agree(name, step.gradients[name], gradient.numpy(), ALLOWED)


@given(
    cell=CELLS,
    rows=rows(),
    sizes=st.tuples(SIZES, SIZES, st.integers(2, 6)),
    layers=st.integers(1, 2),
    tied=st.booleans(),
    weighted=st.booleans(),
    stated=st.booleans(),
    seed=SEEDS,
)
@settings(max_examples=60)
def test_language_model(cell, rows, sizes, layers, tied, weighted, stated, seed):
    (T, B, lengths), (H, E, V), rng = rows, sizes, np.random.default_rng(seed)
    model = LanguageModel(
        V, H, embedding_size=H if tied else E, num_layers=layers, cell=cell[0], nonlinearity=cell[1], tied=tied,
        dtype=np.float64, seed=seed,
    )  # fmt: skip
    tokens, targets = rng.integers(0, V, (2, B, T))
    weights = rng.uniform(0.1, 2, (B, T)) if weighted else None
    states = tuple(rng.standard_normal((layers, B, H)) for _ in model.rnn.spec.states)
    state0 = (states if len(states) > 1 else states[0]) if stated else None
    step = model.loss_and_gradients(Batch(tokens, targets, lengths, weights), state=state0)

    own = leaves(model, "embedding.weight", *([] if tied else ["head.weight"]), "head.bias")
    head = own["embedding.weight" if tied else "head.weight"]
    e = torch.nn.functional.embedding(torch.tensor(tokens), own["embedding.weight"])
    theirs0 = None if not stated else tuple(map(torch.tensor, states)) if len(states) > 1 else torch.tensor(states[0])
    y, state, core = torch_core(model, e, lengths, theirs0)
    logits = y @ head.T + own["head.bias"]
    goal = torch.tensor(targets).reshape(-1)
    losses = torch.nn.functional.cross_entropy(logits.reshape(-1, V), goal, reduction="none")
    w = np.ones((B, T)) if weights is None else weights.copy()
    if lengths is not None:
        w[np.arange(T) >= np.array(lengths)[:, None]] = 0
    w = torch.tensor(w).reshape(-1)
    assert_same(step, (w * losses).sum() / w.sum(), core | own)
    assert step.count == pytest.approx(w.sum().item())
    for ours, theirs in zip(*((s if isinstance(s, tuple) else (s,)) for s in (step.state, state)), strict=True):
        assert_agree("state", ours, theirs.detach().numpy(), ALLOWED)
    assert_agree("logits", model(tokens, state0, lengths)[0], logits.detach().numpy(), ALLOWED)


def torch_pool(kind, y, state, lengths, directions):
    """Pool (B, T, F) with torch; "last" is read off the final states."""
    B, T, _ = y.shape
    if kind == "last":
        h = state[0] if isinstance(state, tuple) else state
        return torch.cat(list(h[-directions:]), dim=-1)
    running = torch.arange(T) < torch.tensor([T] * B if lengths is None else lengths)[:, None]
    if kind == "mean":
        return (y * running[..., None]).sum(1) / running.sum(1, keepdim=True)
    return y.masked_fill(~running[..., None], -torch.inf).max(dim=1).values


@given(
    cell=CELLS,
    rows=rows(),
    sizes=st.tuples(SIZES, SIZES, st.integers(1, 4)),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    pooling=st.sampled_from(POOLINGS),
    tokens=st.booleans(),
    padding=st.none() | st.just(0),
    weighted=st.booleans(),
    seed=SEEDS,
)
@settings(max_examples=80)
def test_classifier(cell, rows, sizes, layers, bidirectional, pooling, tokens, padding, weighted, seed):
    (T, B, lengths), (H, I, C), V, rng = rows, sizes, 5, np.random.default_rng(seed)
    inputs = {"vocab_size": V, "embedding_size": I, "padding_idx": padding} if tokens else {"input_size": I}
    model = SequenceClassifier(
        C, H, **inputs, num_layers=layers, cell=cell[0], nonlinearity=cell[1], bidirectional=bidirectional,
        pooling=pooling, dtype=np.float64, seed=seed,
    )  # fmt: skip
    x = rng.integers(0, V, (B, T)) if tokens else rng.standard_normal((B, T, I))
    targets = rng.integers(0, max(C, 2), B)
    weights = rng.uniform(0.1, 2, B) if weighted else None
    step = model.loss_and_gradients(Batch(x, targets, lengths, weights))

    own = leaves(model, *(["embedding.weight"] if tokens else []), "head.weight", "head.bias")
    e = torch.tensor(x)
    if tokens:
        e = torch.nn.functional.embedding(e, own["embedding.weight"], padding_idx=padding)
    y, state, core = torch_core(model, e, lengths)
    logits = torch_pool(pooling, y, state, lengths, 1 + bidirectional) @ own["head.weight"].T + own["head.bias"]
    if C == 1:
        logits = logits[:, 0]
        goal = torch.tensor(targets, dtype=torch.float64)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    else:
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="none")
    w = torch.tensor(np.ones(B) if weights is None else weights)
    assert_same(step, (w * losses).sum() / w.sum(), core | own)
    assert_agree("logits", model(x, lengths), logits.detach().numpy(), ALLOWED)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_takes_the_arrays_of_another_namespace(kind, batch_first):
    rng = np.random.default_rng(0)
    pooling, shape = Pooling(kind, bidirectional=True, batch_first=batch_first), (3, 5, 4) if batch_first else (5, 3, 4)
    y, dpooled = rng.standard_normal(shape), rng.standard_normal((3, 4))
    ours, tape = pooling.forward(y, [5, 2, 1])
    theirs, their_tape = pooling.forward(torch.tensor(y), [5, 2, 1])
    np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-15)
    dy = pooling.backward(their_tape, torch.tensor(dpooled))
    np.testing.assert_allclose(dy.numpy(), pooling.backward(tape, dpooled), rtol=1e-15)
