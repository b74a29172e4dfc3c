"""Convolutions and pools beside torch's, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data import Batch
from rnn_core.layers import AvgPool, Conv1d, Conv2d, MaxPool
from tests import convolution_checks as checks
from tests.convolution_checks import LAYERS

torch = pytest.importorskip("torch")
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("name", [name for name in LAYERS if "causal" not in name])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_torch_agrees(name):
    kind, options = LAYERS[name]
    twin = {Conv1d: torch.nn.Conv1d, Conv2d: torch.nn.Conv2d, MaxPool: torch.nn.MaxPool2d, AvgPool: torch.nn.AvgPool2d}
    ours, theirs = checks.layer(name), twin[kind](**options).double()
    for parameter, value in theirs.named_parameters():
        value.data = torch.tensor(ours.parameters[parameter])
    x = checks.drawn(name)
    there = torch.tensor(x, requires_grad=True)
    y, tape = ours.forward(x)
    expected = theirs(there)
    np.testing.assert_allclose(y, expected.detach().numpy(), **CLOSE)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    found = ours.backward(tape, dy)
    dx, grads = found if isinstance(found, tuple) else (found, {})
    np.testing.assert_allclose(dx, there.grad.numpy(), **CLOSE)
    for parameter, value in theirs.named_parameters():
        np.testing.assert_allclose(grads[parameter], value.grad.numpy(), **CLOSE)


def same_gradients(model, x, targets, lengths, net, answer):
    """Compare logits, the loss and every gradient of a model with torch's; parameters are in the same order."""
    own, theirs = list(model.parameters), list(net.parameters())
    for parameter, name in zip(theirs, own, strict=True):
        parameter.data = torch.tensor(model.parameters[name])
    there = torch.tensor(x, requires_grad=True)
    z = answer(there)
    logits, tape = model.forward(x) if lengths is None else model.forward(x, lengths)
    np.testing.assert_allclose(logits, z.detach().numpy(), **CLOSE)
    loss = torch.nn.functional.cross_entropy(z, torch.tensor(targets))
    loss.backward()
    step = model.loss_and_gradients(Batch(x, targets, lengths))
    assert step.loss == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in zip(own, theirs, strict=True):
        np.testing.assert_allclose(step.gradients[name], parameter.grad.numpy(), **CLOSE)
    dz = torch.softmax(z, 1) - torch.nn.functional.one_hot(torch.tensor(targets), z.shape[1])
    dx, _ = model.backward(tape, dz.detach().numpy() / len(x), needs={"x"})
    np.testing.assert_allclose(dx, there.grad.numpy(), **CLOSE)


def test_a_classifier_is_torchs():
    model = checks.classifier(hidden_size=4)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3),
    ).double()  # fmt: skip
    same_gradients(model, checks.images(model), np.array([0, 2, 1]), None, net, net)


@pytest.mark.parametrize("name", ["frames", "over time"])
def test_convolutions_before_a_core_are_torchs(name):
    """Rows of full length; torch's parameters stand in the order of our groups."""
    if name == "frames":
        below = [torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten()]
    else:
        below = [torch.nn.Conv1d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv1d(4, 2, 3, padding=1)]
        below.append(torch.nn.ReLU())
    model = checks.fronted(name)
    net = torch.nn.ModuleDict({
        "conv": torch.nn.Sequential(*below),
        "rnn": torch.nn.LSTM(model.front.out_features, 4, batch_first=True),
        "head": torch.nn.Linear(4, 3),
    }).double()  # fmt: skip

    def answer(x):
        if name == "frames":
            y = net["conv"](x.flatten(0, 1)).unflatten(0, x.shape[:2])
        else:
            y = net["conv"](x.transpose(1, 2)).transpose(1, 2)
        return net["head"](net["rnn"](y)[0][:, -1])

    same_gradients(model, checks.steps(name), np.array([0, 2, 1]), None, net, answer)


def test_first_values_have_torchs_bounds():
    for ours, theirs in (
        (Conv1d(3, 400, 5, seed=0), torch.nn.Conv1d(3, 400, 5)),
        (Conv2d(2, 500, 3, seed=0), torch.nn.Conv2d(2, 500, 3)),
    ):
        for name, value in theirs.named_parameters():
            found = abs(ours.parameters[name]).max()
            assert ours.parameters[name].shape == tuple(value.shape)
            np.testing.assert_allclose(found, float(value.detach().abs().max()), rtol=0.02)
