"""`accelerate` and `restore`: what they swap, what they leave and why, and what models still do afterwards."""

from __future__ import annotations

import copy
import io
import multiprocessing
import warnings
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

import rnn_core.torch as ours

from .beside import swapped


class Tagger(torch.nn.Module):
    """A model of several modules."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 3)
        self.lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.others = torch.nn.ModuleList([torch.nn.GRU(8, 5, batch_first=True), torch.nn.RNN(5, 4, batch_first=True)])
        self.head = torch.nn.Linear(4, 3)

    def forward(self, tokens):
        x = self.lstm(self.embedding(tokens))[0]
        for module in self.others:
            x = module(x)[0]
        return self.head(x)


class Mine(torch.nn.LSTM):
    """A subclass of a user's own."""


TOKENS = torch.arange(10).view(2, 5)


def test_every_module_is_swapped_in_place_and_put_back():
    model = Tagger()
    modules, parameters, said = dict(model.named_modules()), dict(model.named_parameters()), repr(model)
    expected = model(TOKENS)
    report = ours.accelerate(model)
    assert report == ({"lstm": "LSTM", "others.0": "GRU", "others.1": "RNN"}, {})
    assert str(report).splitlines()[0] == "lstm: LSTM, swapped"
    assert all(found is modules[name] for name, found in model.named_modules())
    assert all(found is parameters[name] for name, found in model.named_parameters())
    assert repr(model) == said
    assert type(model.lstm) is ours.LSTM
    assert torch.allclose(model(TOKENS), expected, atol=1e-6)
    assert ours.accelerate(model).left == dict.fromkeys(report.swapped, "it is ours already")
    assert ours.restore(model) == list(report.swapped)
    assert type(model.lstm) is torch.nn.LSTM
    assert torch.equal(model(TOKENS), expected)
    assert ours.restore(model) == []


def hooked():
    """Return a module with a hook."""
    module = torch.nn.GRU(3, 4)
    module.register_forward_hook(lambda *_: None)
    return module


def normed():
    """Return a module whose weight is made anew before every call."""
    return torch.nn.utils.parametrizations.weight_norm(torch.nn.GRU(3, 4), "weight_hh_l0")


def spectral():
    """Return a module with the older spectral norm, which is made of hooks."""
    return torch.nn.utils.spectral_norm(torch.nn.LSTM(3, 4), "weight_hh_l0")


def patched():
    """Return a module whose forward somebody has replaced."""
    module = torch.nn.GRU(3, 4)
    module.forward = lambda *_: None
    return module


def scripted():
    """Return a module that is TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(torch.nn.GRU(3, 4))


LEFT = {
    hooked: "it has forward hooks",
    normed: "it has parametrizations",
    spectral: "it has forward pre hooks",
    patched: "its forward has been replaced",
    scripted: "it is TorchScript, which is compiled already",
    lambda: Mine(3, 4): "Mine is a class of its own, and may compute something else",
    lambda: torch.nn.LSTM(3, 4).half(): "the weights are torch.float16; the kernels take float32 or float64",
    lambda: torch.nn.LSTM(3, 4, device="meta"): "the weights are on meta; the kernels are the CPU's",
    lambda: torch.nn.LSTMCell(3, 4): "LSTMCell takes one step at a time; LSTM takes a sequence",
}


@pytest.mark.parametrize("make", LEFT, ids=[why.replace(" ", "-") for why in LEFT.values()])
def test_what_is_left_is_named_with_the_reason(make):
    module = make()
    kind = type(module)
    report = ours.accelerate(torch.nn.Sequential(torch.nn.Linear(2, 2), module))
    assert report.swapped == {}
    assert list(report.left) == ["1"]
    assert report.left["1"].startswith(LEFT[make])
    assert type(module) is kind


def test_a_model_may_be_such_a_module_itself_and_must_be_a_module():
    model = torch.nn.LSTM(3, 4)
    assert str(ours.accelerate(model)) == "(model): LSTM, swapped"
    assert str(ours.accelerate(torch.nn.Linear(2, 2))) == "no recurrent modules"
    for function in (ours.accelerate, ours.restore):
        with pytest.raises(TypeError, match=f"{function.__name__}: model must be a torch.nn.Module, got list"):
            function([model])


def test_copies_and_files():
    theirs, mine = swapped(Tagger())
    expected = mine(TOKENS)
    other = copy.deepcopy(mine)
    assert type(other.lstm) is ours.LSTM
    assert torch.equal(other(TOKENS), expected)
    with torch.no_grad():
        other.lstm.weight_hh_l0.zero_()
    assert torch.equal(mine(TOKENS), expected)
    file = io.BytesIO()
    torch.save(mine, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(TOKENS), expected)
    file = io.BytesIO()
    torch.save(mine.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file))
    theirs.load_state_dict(other.state_dict())
    assert torch.equal(other(TOKENS), expected)


def test_weights_that_move_or_are_replaced_are_found():
    module, x = ours.GRU(3, 4), torch.randn(5, 2, 3)
    for change in (
        lambda: module.share_memory(),
        lambda: module.weight_hh_l0.data.mul_(2),
        lambda: setattr(module.weight_hh_l0, "data", torch.randn(12, 4)),
        lambda: setattr(module, "weight_hh_l0", torch.nn.Parameter(torch.randn(4, 12).T)),
        lambda: module.double().float(),
    ):
        change()
        assert module.why_not(x) == ""
        assert torch.allclose(module(x)[0], torch.nn.GRU.forward(module, x)[0], atol=1e-6)


def test_functional_call_takes_other_weights():
    theirs, mine = (module.double() for module in swapped(torch.nn.LSTM(3, 4)))
    x, other = torch.randn(5, 2, 3).double(), {k: 2 * v.detach() for k, v in mine.state_dict().items()}
    expected = torch.func.functional_call(theirs, other, x)[0]
    assert torch.allclose(torch.func.functional_call(mine, other, x)[0], expected, rtol=1e-12)
    assert torch.allclose(mine(x)[0], theirs(x)[0], rtol=1e-12)


class Through(torch.utils.data.Dataset):
    """Examples that a module has gone over in a worker."""

    def __init__(self, module):
        self.module = module

    def __len__(self):
        return 4

    def __getitem__(self, k):
        with torch.no_grad():
            return self.module(torch.full((3, 3), float(k)))[0]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_that_are_forked():
    data = Through(ours.GRU(3, 4))
    expected = torch.stack([data[k] for k in range(4)])
    loader = torch.utils.data.DataLoader(data, batch_size=2, num_workers=1, multiprocessing_context="fork")
    assert torch.equal(torch.cat(list(loader)), expected)


def test_a_trace_is_torchs():
    module, x = ours.GRU(3, 4), torch.randn(5, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing itself
        traced = torch.jit.trace(module, x)
    assert torch.equal(traced(x)[0], torch.nn.GRU.forward(module, x)[0])
