"""What torch's exporters write is read, and our layers say what torch's modules do, with the bits of their weights."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnn_core import SequenceClassifier
from rnn_core.formats import load_onnx

from .beside import TOLERANCE

EXPORTERS = [
    "TorchScript",
    pytest.param("dynamo", marks=[
        pytest.mark.slow,
        pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="that exporter wants onnxscript"),
    ]),
]  # fmt: skip


def exported(path, module, arguments, names, exporter="TorchScript", dynamic=True):
    """Export a module as programs do, and return the path."""
    module.eval()
    options = {"input_names": names}
    if exporter == "TorchScript" and dynamic:
        options["dynamic_axes"] = {name: {0: "a", 1: "b"} for name in names if name in ("x", "tokens")}
    elif dynamic:
        options["dynamic_shapes"] = [
            {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} if name in ("x", "tokens") else None
            for name in names
        ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own age, and of LSTMs with other batches
        torch.onnx.export(module, arguments, str(path), dynamo=exporter == "dynamo", verbose=False, **options)
    return path


def assert_same(actual, expected):
    assert actual.shape == tuple(expected.shape)
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=0, atol=TOLERANCE)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_modules(kind, tmp_path, data):
    options = {
        "num_layers": data.draw(st.integers(1, 3)), "bias": data.draw(st.booleans()),
        "batch_first": data.draw(st.booleans()), "bidirectional": data.draw(st.booleans()),
    }  # fmt: skip
    if kind == "RNN":
        options["nonlinearity"] = data.draw(st.sampled_from(["tanh", "relu"]))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    module = getattr(nn, kind)(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), **options)
    T, B = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    x = torch.randn((B, T, module.input_size) if module.batch_first else (T, B, module.input_size))
    states = [torch.randn(options["num_layers"] * (1 + options["bidirectional"]), B, module.hidden_size) for _ in "hc"]
    hx = tuple(states) if kind == "LSTM" else states[0]
    given_states = data.draw(st.booleans())
    arguments = (x, hx) if given_states else (x,)
    path = exported(tmp_path / "torch.onnx", module, arguments, ["x", "h0", "c0"][: 1 + 2 * given_states],
                    dynamic=data.draw(st.booleans()))  # fmt: skip
    chain = load_onnx(path, backend="numpy")
    (layer,) = chain.layers.values()
    assert type(layer).__name__ == kind
    for name, parameter in module.named_parameters():
        assert layer.parameters[name].tobytes() == parameter.detach().numpy().tobytes()
    y, h = module(*arguments)
    found, state = chain(x.numpy(), None if not given_states else tuple(s.numpy() for s in states) if kind == "LSTM"
                         else hx.numpy())  # fmt: skip
    assert_same(found, y)
    for actual, expected in zip(*(one if isinstance(one, tuple) else (one,) for one in (state, h)), strict=True):
        assert_same(actual, expected)


class Classifier(nn.Module):
    """Tokens, both directions' final states, classes."""

    def __init__(self, kind="LSTM", layers=1, both=True):
        super().__init__()
        self.embedding = nn.Embedding(7, 3, padding_idx=0)
        self.rnn = getattr(nn, kind)(3, 4, layers, batch_first=True, bidirectional=both, dropout=0.2 * (layers > 1))
        self.head, self.both = nn.Linear(8 if both else 4, 3), both

    def forward(self, tokens):
        h = self.rnn(self.embedding(tokens))[1]
        h = h[0] if isinstance(h, tuple) else h
        return self.head(torch.cat([h[-2], h[-1]], dim=1) if self.both else h[-1])


class Tagger(nn.Module):
    """Features, a stack, log-probabilities at each step."""

    def __init__(self):
        super().__init__()
        self.rnn, self.drop = nn.GRU(3, 4, 2, batch_first=True, bidirectional=True), nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return torch.log_softmax(self.head(self.drop(self.rnn(x)[0])), dim=-1)


class Last(nn.Module):
    """The last step, a hidden layer, one number."""

    def __init__(self, both=False):
        super().__init__()
        self.rnn = nn.RNN(3, 4, batch_first=True, bidirectional=both)
        self.hidden, self.head = nn.Linear(8 if both else 4, 6), nn.Linear(6, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(torch.relu(self.hidden(self.rnn(x)[0][:, -1]))))


class Mean(nn.Module):
    """One layer upon another of its kind and another cell, and the mean over time; time comes first."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.LSTM(3, 4), nn.GRU(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.second(self.first(x)[0])[0]).mean(dim=0))


PROGRAMS = {
    "a classifier": (Classifier, "tokens"),
    "one direction": (lambda: Classifier("GRU", 1, both=False), "tokens"),
    "a deep classifier": (lambda: Classifier("LSTM", 2), "tokens"),
    "a deep one of one direction": (lambda: Classifier("RNN", 3, both=False), "tokens"),
    "a tagger": (Tagger, "x"),
    "the last step": (Last, "x"),
    "the last step of both directions": (lambda: Last(both=True), "x"),
    "a mean": (Mean, "x"),
}


WHOLE = ("a classifier", "one direction", "a deep classifier", "a tagger")
"""Those whose recurrent layers torch's newer exporter writes as nodes, of any number of steps."""


@pytest.mark.parametrize("dynamic", [True, False], ids=["any size", "one size"])
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("what", PROGRAMS)
def test_programs(what, exporter, dynamic, tmp_path):
    if exporter == "dynamo" and what not in WHOLE:
        pytest.skip("that exporter writes this one step by step, or its steps have one size")
    make, name = PROGRAMS[what]
    torch.manual_seed(0)
    module = make()
    x = torch.randint(0, 7, (2, 5)) if name == "tokens" else torch.randn(2, 5, 3)
    chain = load_onnx(exported(tmp_path / "torch.onnx", module, (x,), [name], exporter, dynamic), backend="numpy")
    for one in (x, x[:, :3], x[:1]) if dynamic else (x,):
        assert_same(chain(one.numpy())[0], module(one))
    weights = {parameter.detach().numpy().tobytes() for parameter in module.parameters()}
    assert {array.tobytes() for array in chain.parameters.values()} == weights


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True, bidirectional=True)

    def forward(self, x, lengths):
        y, _ = self.rnn(pack_padded_sequence(x, lengths, batch_first=True))
        return pad_packed_sequence(y, batch_first=True)[0]


def test_packed_sequences_are_lengths(tmp_path):
    torch.manual_seed(0)
    module, x, lengths = Packed(), torch.randn(3, 5, 3), torch.tensor([5, 3, 1])
    chain = load_onnx(exported(tmp_path / "torch.onnx", module, (x, lengths), ["x", "lengths"]), backend="numpy")
    assert_same(chain(x.numpy(), lengths=lengths.numpy())[0], module(x, lengths))


def test_a_program_of_torch_becomes_a_model_of_ours(tmp_path):
    torch.manual_seed(0)
    module, tokens = Classifier(layers=2), torch.randint(0, 7, (2, 5))
    chain = load_onnx(exported(tmp_path / "torch.onnx", module, (tokens,), ["tokens"]), backend="numpy")
    model = chain.as_model(SequenceClassifier, dropout=0.2)
    assert_same(model(tokens.numpy()), module(tokens))


def test_what_is_no_chain_is_refused_by_node(tmp_path):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 3, batch_first=True)

        def forward(self, x):
            return x + self.rnn(x)[0]

    path = exported(tmp_path / "torch.onnx", Residual(), (torch.randn(2, 5, 3),), ["x"])
    with pytest.raises(ValueError, match=r"node '/?Add.*' \(Add\) of .* a sum must be that of a matrix product"):
        load_onnx(path)


def test_a_file_of_torchscript_is_no_onnx_file(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 3)), str(tmp_path / "script.pt"))
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "state.pt")
    for name in ("script.pt", "state.pt"):
        with pytest.raises(ValueError, match="must be a whole ONNX file, got .*, which is a"):
            load_onnx(tmp_path / name)
