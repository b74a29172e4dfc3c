"""What programs of torch do with gradients: checks, second derivatives, changes in place, checkpoints, freezing."""

from __future__ import annotations

import gc
import weakref

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import rnn_core.torch as ours
from rnn_core.torch import function

from .beside import assert_same, pair, states, swapped

KINDS = ("RNN", "LSTM", "GRU")

SEVERAL = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}


def as_function(module, lengths=None):
    """Return a module as a function of x, h0 and its parameters."""
    names = [name for name, _ in module.named_parameters()]

    def call(x, h0, *parameters):
        given = x if lengths is None else pack_padded_sequence(x, lengths, enforce_sorted=False)
        hx = (h0, h0.square()) if isinstance(module, torch.nn.LSTM) else h0
        y, final = torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (given, hx))
        return (y if lengths is None else y.data), *states(final)

    return call


@pytest.mark.parametrize("lengths", [None, torch.tensor([1, 3])], ids=["padded", "packed"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_and_gradgradcheck(kind, lengths):
    module = getattr(ours, kind)(1, 2, bidirectional=True, dtype=torch.float64)
    given = [torch.randn(3, 2, 1, dtype=torch.float64), torch.randn(2, 2, 2, dtype=torch.float64)]
    given = [t.requires_grad_() for t in (*given, *(p.detach() for p in module.parameters()))]
    assert torch.autograd.gradcheck(as_function(module, lengths), given)
    assert torch.autograd.gradgradcheck(as_function(module, lengths), given, fast_mode=True)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_gradcheck_and_gradgradcheck_of_a_projection():
    module = ours.LSTM(1, 3, proj_size=2, dtype=torch.float64)
    names = [name for name, _ in module.named_parameters()]

    def call(x, h0, c0, *parameters):
        y, final = torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x, (h0, c0)))
        return y, *final

    given = [torch.randn(size, dtype=torch.float64) for size in ((3, 2, 1), (1, 2, 2), (1, 2, 3))]
    given = [t.requires_grad_() for t in (*given, *(p.detach() for p in module.parameters()))]
    assert module.why_not(given[0], tuple(given[1:3])) == ""
    assert torch.autograd.gradcheck(call, given)
    assert torch.autograd.gradgradcheck(call, given, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_derivative_drops_what_the_first_has_dropped(kind):
    x = torch.randn(4, 2, 3, dtype=torch.float64)

    def program(module):
        leaf = x.clone().requires_grad_()
        y = module(leaf)[0]
        (dx,) = torch.autograd.grad(y.square().sum(), leaf, create_graph=True)
        dx.square().sum().backward()
        return {"dx": dx, "ddx": leaf.grad} | {name: p.grad for name, p in module.named_parameters()}

    assert_same(program, pair(kind, 3, 4, dropout=0.5, **SEVERAL), 1e-11)


def test_a_change_in_place_is_found_out():
    module = ours.GRU(3, 4)
    for changed in ("x", "weight"):
        x = torch.randn(5, 2, 3)
        loss = module(x)[0].sum()
        with torch.no_grad():
            (x if changed == "x" else module.weight_hh_l0).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_the_output_may_be_changed_in_place():
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def program(module):
        y, h = module(x)
        y.mul_(2)
        (y.sum() + h.sum()).backward()
        return {name: p.grad for name, p in module.named_parameters()}

    assert_same(program, pair("GRU", 3, 4, dtype=torch.float64), 1e-12)


def test_a_graph_serves_once_or_as_often_as_it_is_retained():
    module = ours.LSTM(3, 4, dtype=torch.float64)
    loss = module(torch.randn(5, 2, 3, dtype=torch.float64))[0].sum()
    loss.backward(retain_graph=True)
    once = module.weight_ih_l0.grad.clone()
    loss.backward()
    assert torch.equal(module.weight_ih_l0.grad, 2 * once)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_a_tape_is_given_back_by_the_backward():
    module = ours.LSTM(3, 4)
    y = module(torch.randn(5, 2, 3))[0]
    read = weakref.ref(y.grad_fn.kept.tape.cells[0][0].x)
    y.sum().backward(retain_graph=True)
    gc.collect()
    assert read() is not None
    y.sum().backward()
    gc.collect()
    assert read() is None


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints(reentrant):
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    module = ours.GRU(3, 4, dropout=0.5, **SEVERAL)

    def program(call):
        module.zero_grad()
        leaf = x.clone().requires_grad_()
        y = call(leaf)
        y.square().sum().backward()
        return {"y": y, "dx": leaf.grad} | {name: p.grad.clone() for name, p in module.named_parameters()}

    def kept(leaf):
        return module(leaf)[0]

    def computed_again(leaf):
        return checkpoint(kept, leaf, use_reentrant=reentrant)

    assert_same(program, (kept, computed_again), 0.0)


def test_within_a_checkpoint_no_tape_is_kept():
    y = ours.GRU(3, 4)(torch.randn(5, 2, 3))[0]
    assert y.grad_fn.kept is not None
    with torch.autograd.graph.save_on_cpu():
        y = ours.GRU(3, 4)(torch.randn(5, 2, 3))[0]
    assert y.grad_fn.kept is None
    y.sum().backward()


@pytest.mark.parametrize("frozen", ["weight_ih_l*", "l0", "all but x"])
def test_what_is_frozen_gets_no_gradient_and_no_work(frozen, monkeypatch):
    asked = []
    inner = function.Borrowed._back_cells

    def spy(self, kept, dys, dfinal, needs, state_needs):
        asked.append(needs)
        return inner(self, kept, dys, dfinal, needs, state_needs)

    monkeypatch.setattr(function.Borrowed, "_back_cells", spy)
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def program(module):
        for name, parameter in module.named_parameters():
            out = {"weight_ih_l*": name.startswith("weight_ih"), "l0": "_l0" in name, "all but x": True}[frozen]
            parameter.requires_grad_(not out)
        leaf = x.clone().requires_grad_(frozen == "all but x")
        module(leaf)[0].square().sum().backward()
        return {"x": leaf.grad} | {name: p.grad for name, p in module.named_parameters()}

    theirs, mine = pair("LSTM", 3, 4, **SEVERAL)
    assert_same(program, (theirs, mine), 1e-12)
    wanted = {name for name, p in mine.named_parameters() if p.requires_grad}
    wanted |= {"x"} if frozen == "all but x" else set()
    assert asked == [wanted]


def test_a_parameter_with_two_places_gets_both_gradients():
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def program(module):
        module.weight_hh_l0_reverse = module.weight_hh_l0
        leaf = x.clone().requires_grad_()
        (dx,) = torch.autograd.grad(module(leaf)[0].square().sum(), leaf, create_graph=True)
        dx.square().sum().backward()
        second = module.weight_hh_l0.grad.clone()
        module.zero_grad()
        module(leaf)[0].square().sum().backward()
        return {"first": module.weight_hh_l0.grad, "second": second}

    assert_same(program, pair("GRU", 3, 4, bidirectional=True, dtype=torch.float64), 1e-11)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS])
def test_optimizers_walk_the_same_way(optimizer):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GRU(4, 5, batch_first=True)).double()
    x, target = torch.randn(6, 4, 3).double(), torch.randn(6, 4, 5).double()

    def program(model):
        rule, losses = optimizer(model.parameters(), lr=0.05), []

        def closure():
            rule.zero_grad()
            loss = (model(x)[0] - target).square().mean()
            loss.backward()
            return loss

        for _ in range(5):
            losses.append(rule.step(closure).detach())
        return {"losses": torch.stack(losses)}

    assert_same(program, swapped(model), 1e-10)
