"""Convolutions and pools beside torch's, in float64."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_classifier_is_torchs():
    model = checks.classifier(hidden_size=4)
    sizes = model.blocks.shape
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(int(np.prod(sizes)), 4), torch.nn.ReLU(), torch.nn.Linear(4, 3),
    ).double()  # fmt: skip
    own = [torch.tensor(value) for value in model.parameters.values()]
    for parameter, value in zip(net.parameters(), own, strict=True):
        parameter.data = value
    x = checks.images(model)
    np.testing.assert_allclose(model(x), net(torch.tensor(x)).detach().numpy(), **CLOSE)


def test_first_values_have_torchs_bounds():
    for ours, theirs in (
        (Conv1d(3, 400, 5, seed=0), torch.nn.Conv1d(3, 400, 5)),
        (Conv2d(2, 500, 3, seed=0), torch.nn.Conv2d(2, 500, 3)),
    ):
        for name, value in theirs.named_parameters():
            found = abs(ours.parameters[name]).max()
            assert ours.parameters[name].shape == tuple(value.shape)
            np.testing.assert_allclose(found, float(value.detach().abs().max()), rtol=0.02)
