"""What may surround a call: autocast, the compiler, several processes."""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import warnings
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence

import rnn_core.torch as ours
from rnn_core.torch import function, modules
from tests.kernels.cpu.setup import in_a_process

from .beside import pair, states

CELLS = {"RNN": {}, "LSTM": {}, "GRU": {}, "projected": {"proj_size": 2}}

FLOATS = (torch.float32, torch.bfloat16)


@pytest.fixture
def served(monkeypatch):
    """Return a list with the options of every call that the kernels have served."""
    calls, run = [], modules.run

    def spy(options, *given):
        calls.append(options)
        return run(options, *given)

    monkeypatch.setattr(modules, "run", spy)
    return calls


def trained(module, x, hx, *, packed, autocast):
    """Return y, the final states, and the gradients of a module's parameters."""
    module.zero_grad()
    given = pack_padded_sequence(x, torch.tensor([3, 5]), enforce_sorted=False) if packed else x
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y, final = module(given, hx)
    y = y if isinstance(y, torch.Tensor) else y.data
    (y.float().sin().sum() + sum(state.float().square().sum() for state in states(final))).backward()
    return [y, *states(final), *(p.grad for p in module.parameters())]


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
@pytest.mark.parametrize("cell", CELLS)
def test_autocast_has_bfloat16_products_and_the_dtypes_of_torchs(cell, packed, served):
    torch.manual_seed(1)
    theirs, mine = pair("LSTM" if cell == "projected" else cell, 3, 4, bidirectional=True, **CELLS[cell])
    shapes = [(2, 2, theirs.proj_size or 4), (2, 2, 4)][: 1 + (theirs.mode == "LSTM")]
    for dtype, state in itertools.product(FLOATS, (None, *FLOATS)):
        x = torch.randn(5, 2, 3).to(dtype).requires_grad_()
        hx = None if state is None else tuple([torch.randn(shape).to(state) for shape in shapes])
        exact = None if hx is None else tuple([h.float() for h in hx])
        if len(shapes) == 1 and hx and exact:
            hx, exact = hx[0], exact[0]
        expected = trained(theirs, x, hx, packed=packed, autocast=True)
        found = trained(mine, x, hx, packed=packed, autocast=True)
        assert x.grad.dtype == dtype
        assert [t.dtype for t in found] == [t.dtype for t in expected]
        for a, b in zip(found, trained(mine, x.float(), exact, packed=packed, autocast=False), strict=True):
            torch.testing.assert_close(a.float(), b, rtol=0, atol=0.02 * float(b.detach().abs().max()) + 0.01)
    assert [options.precision for options in served] == ["bfloat16", "float32"] * 6


def test_autocast_without_gradients_and_with_a_second_derivative():
    torch.manual_seed(0)
    module, x = ours.GRU(3, 4), torch.randn(5, 2, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = module(x)[0]
        with torch.no_grad():
            for _ in range(4):  # the short way from the third on, and in no other precision
                found = module(x)[0]
                assert torch.equal(found, expected)
                with torch.autocast("cpu", enabled=False):
                    assert not torch.equal(module(x)[0], expected)
        (dx,) = torch.autograd.grad(expected.square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(dx.square().sum(), x)
    (dx,) = torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)
    (exact,) = torch.autograd.grad(dx.square().sum(), x)
    assert second.dtype == torch.float32
    torch.testing.assert_close(second, exact, rtol=0, atol=0.05 * float(exact.abs().max()))


def test_autocast_that_is_not_bfloat16_beside_float32_is_torchs():
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.float16):
        assert ours.GRU(3, 4).why_not(x).startswith("autocast is on")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours.GRU(3, 4).double().why_not(x.double()).startswith("autocast is on")
        assert ours.GRU(3, 4).why_not(x.double()).startswith("an argument is not torch.float32")
        x = torch.full_like(x, torch.nan, dtype=torch.bfloat16)
        assert ours.GRU(3, 4).why_not(x).startswith("an argument holds")


class Model(torch.nn.Module):
    """A model with something to compile on both sides of a recurrent module."""

    def __init__(self):
        super().__init__()
        self.before, self.behind = torch.nn.Linear(3, 4), torch.nn.Linear(10, 2)
        self.rnn = torch.nn.GRU(4, 5, num_layers=2, bidirectional=True)

    def read(self, x):
        return torch.relu(self.before(x))

    def forward(self, x):
        return self.behind(self.rnn(self.read(x))[0]).sin()


def compiled():
    """Compile a model with torch's modules and with ours: the same graphs, the same numbers, and the kernels' work."""
    warnings.simplefilter("ignore", DeprecationWarning)  # in torch itself
    calls, run = [], modules.run

    def spy(*given):
        calls.append(1)
        return run(*given)

    modules.run = spy
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    theirs = Model()
    mine = copy.deepcopy(theirs)
    ours.accelerate(mine)
    made = []
    for model in (theirs, mine):
        graphs.clear()
        torch._dynamo.reset()
        call, read = torch.compile(model, backend=count), torch.compile(model.read, backend=count)
        results = []
        for T in (5, 5, 7):
            x = torch.linspace(-1, 1, T * 6).view(T, 2, 3)
            with torch.no_grad():
                results.append(call(x))
            model.zero_grad()
            y = call(x)
            y.square().sum().backward()
            results += [y, read(x), *(p.grad for p in model.parameters())]
        made.append((len(graphs), results))
    assert made[0][0] == made[1][0] > 0
    assert len(calls) == 6
    for a, b in zip(made[0][1], made[1][1], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)


def test_inside_torch_compile_the_kernels_serve_behind_a_break_in_the_graph():
    in_a_process(compiled)


def trains_on_its_part(module, x, results):
    """Train on a part of a batch, in a process of its own, on weights that all share."""
    loss = module(x)[0].square().sum()
    loss.backward()
    results.put([p.grad.tolist() for p in module.parameters()])


def several_processes():
    """Have two processes take a gradient each of shared weights: the sum is the whole batch's."""
    torch.set_num_threads(1)
    module, x = ours.GRU(3, 4, dtype=torch.float64), torch.randn(5, 4, 3, dtype=torch.float64)
    module.share_memory()
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    parts = [context.Process(target=trains_on_its_part, args=(module, part, results)) for part in (x[:, :2], x[:, 2:])]
    for process in parts:
        process.start()
    found = [results.get() for _ in parts]
    for process in parts:
        process.join()
    module(x)[0].square().sum().backward()
    for parameter, *halves in zip(module.parameters(), *found, strict=True):
        total = sum(torch.tensor(half, dtype=torch.float64) for half in halves)
        torch.testing.assert_close(total, parameter.grad, rtol=1e-11, atol=1e-12)


def test_several_processes_train_on_shared_weights():
    in_a_process(several_processes)


def says_nothing_at_its_end():
    """Leave a module, its views and a graph alive until the interpreter ends."""
    module = ours.LSTM(3, 4)
    function.kept = module, module(torch.randn(5, 2, 3))


def test_the_end_of_a_program_is_silent():
    assert in_a_process(says_nothing_at_its_end) == ""
