"""`Seq2Seq` beside the same network in torch, with automatic differentiation there, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import Seq2Seq
from rnn_core.data import Batch
from tests.seq2seq_checks import LENGTHS, TARGETS, WEIGHTS, seq2seq, source

torch = pytest.importorskip("torch")

ENDS = (4, 2, 4)


def torch_loss(model: Seq2Seq, x: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """Return the loss and its gradients of a model's twin in torch, row by row and step by step."""
    p = {name: torch.tensor(array, requires_grad=True) for name, array in model.parameters.items()}
    table = p["embedding.weight" if model.shared else "target_embedding.weight"]
    head = table if model.tied else p["head.weight"]
    encoder, decoder = twin(model.rnn, "rnn", p), twin(model.decoder.rnn, "decoder", p)
    total = torch.zeros((), dtype=torch.float64)
    for b, n in enumerate(LENGTHS):
        read = torch.tensor(x[b : b + 1, :n])
        read = p["embedding.weight"][read] if model.embedding is not None else read
        y, state = encoder(read)
        state = crossed(model, p, state)
        feed = torch.zeros((1, 1, model.decoder.rnn.hidden_size), dtype=torch.float64)
        for t in range(ENDS[b]):
            e = table[torch.tensor([[0 if t == 0 else TARGETS[b, t - 1]]])]
            h, state = decoder(torch.cat([e, feed], dim=2) if model.decoder.fed else e, state)
            feed = h if model.attention is None else looked(model, p, h, y)
            log_p = torch.log_softmax(feed[0, 0] @ head.T + p["head.bias"], dim=0)
            total = total - WEIGHTS[b, t] * log_p[TARGETS[b, t]]
    loss = total / sum(WEIGHTS[b, :n].sum() for b, n in enumerate(ENDS))
    loss.backward()
    return loss.item(), {name: tensor.grad.numpy() for name, tensor in p.items()}


def twin(layer, part, p):
    """Return a function that runs torch's cells on the tensors of a recurrent layer."""
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn_tanh": torch.nn.RNN}[layer.cell]
    made = kind(
        layer.input_size, layer.hidden_size, layer.num_layers, batch_first=True, bidirectional=layer.directions == 2
    ).double()
    weights = {name: p[f"{part}.{name}"] for name in layer.parameters}
    return lambda *inputs: torch.func.functional_call(made, weights, inputs)


def crossed(model, p, state):
    """Return the decoder's first state."""
    names, parts = model.rnn.spec.states, state if isinstance(state, tuple) else (state,)
    found = []
    for name, s in zip(names, parts, strict=True):
        layers = s.reshape(model.rnn.num_layers, model.rnn.directions, 1, -1)
        rows = [torch.cat(list(layers[k]), dim=1) for k in range(model.rnn.num_layers)]
        if model.bridge is not None:
            rows = [
                row @ p[f"bridge.weight_{name}_l{k}"].T + p[f"bridge.bias_{name}_l{k}"] for k, row in enumerate(rows)
            ]
        found.append(torch.stack(rows))
    return found[0] if len(found) == 1 else tuple(found)


def looked(model, p, h, y):
    """Return what attention makes of a decoder's step."""
    q, score = h[0, 0], model.attention.score
    if score == "additive":
        hidden = torch.tanh(q @ p["attention.weight_q"].T + p["attention.bias_q"] + y[0] @ p["attention.weight_k"].T)
        scores = hidden @ p["attention.vector"]
    else:
        scores = (y[0] if score == "dot" else y[0] @ p["attention.weight_k"].T) @ q
    c = torch.softmax(scores, dim=0) @ y[0]
    return torch.tanh(torch.cat([c, q]) @ p["attention.weight_c"].T + p["attention.bias_c"])[None, None]


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "attention": "general", "num_layers": 2},
        {"cell": "gru", "attention": "additive", "vocab_size": 6},
        {"cell": "rnn", "attention": "dot", "decoder_size": 6},
        {"cell": "gru", "attention": "dot", "bidirectional": False, "vocab_size": 4, "shared": True, "tied": True},
    ],
)
def test_loss_and_gradients_are_torchs(options, fed):
    model = seq2seq(**options, input_feeding=fed)
    x = source(model)
    loss, gradients = torch_loss(model, x)
    step = model.loss_and_gradients(Batch(x, TARGETS, LENGTHS, WEIGHTS))
    assert step.loss == pytest.approx(loss, rel=1e-10)
    assert step.gradients.keys() == gradients.keys()
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-10, atol=1e-13, err_msg=name)


def test_without_attention_too():
    model = seq2seq("lstm", attention=None)
    x = source(model)
    loss, gradients = torch_loss(model, x)
    step = model.loss_and_gradients(Batch(x, TARGETS, LENGTHS, WEIGHTS))
    assert step.loss == pytest.approx(loss, rel=1e-10)
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-10, atol=1e-13, err_msg=name)
