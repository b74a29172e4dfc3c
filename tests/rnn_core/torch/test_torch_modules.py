"""`rnn_core.torch` beside `torch.nn`: every option drawn at random, forward and backward, and the errors."""

from __future__ import annotations

import gc

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import rnn_core.torch as ours
from rnn_core.torch import borrowed
from tests.tolerance import tolerance

from .beside import assert_same, pair, states

KINDS = {"tanh": ("RNN", {}), "relu": ("RNN", {"nonlinearity": "relu"}), "lstm": ("LSTM", {}), "gru": ("GRU", {})}

DTYPES = (torch.float32, torch.float64)

SEVERAL = {"num_layers": 2, "bidirectional": True}


def dtypes_tolerance(dtype, T):
    """Twice that of one side: torch's float32 errs as well."""
    return 2 * tolerance(str(dtype).removeprefix("torch."), T)


@settings(max_examples=20)
@given(st.data())
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # that oneDNN has none
@pytest.mark.parametrize("cell", [*KINDS, "projected"])
def test_every_option_gives_what_torch_gives(cell, dtype, data):
    kind, options = KINDS.get(cell, ("LSTM", {}))
    form = data.draw(st.sampled_from(["padded", "unbatched", "packed", "packed in any order"]))
    T, B, I, H = (data.draw(st.integers(1, most)) for most in (6, 4, 4, 5))
    P = H
    if cell == "projected":
        P, H = H, H + data.draw(st.integers(1, 3))
        options = {"proj_size": P}
    options = options | {
        "num_layers": data.draw(st.integers(1, 3)), "bias": data.draw(st.booleans()),
        "batch_first": data.draw(st.booleans()), "bidirectional": data.draw(st.booleans()),
        "dropout": data.draw(st.sampled_from([0.0, 0.3, 1.0])),
    }  # fmt: skip
    training, with_states = data.draw(st.booleans()), data.draw(st.booleans())
    lengths = sorted(data.draw(st.lists(st.integers(1, T), min_size=B, max_size=B)), reverse=True)
    if form == "packed in any order":
        lengths = data.draw(st.permutations(lengths))
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    modules = pair(kind, I, H, dtype=dtype, **options)
    shape = (T, I) if form == "unbatched" else (B, T, I) if options["batch_first"] else (T, B, I)
    x = torch.randn(shape, dtype=dtype)
    stacked = options["num_layers"] * (1 + options["bidirectional"])
    rows = () if form == "unbatched" else (B,)
    first = [torch.randn(stacked, *rows, size, dtype=dtype) for size in (P, H)]

    def program(module):
        module.train(training)
        x_leaf, *h_leaves = (t.clone().requires_grad_() for t in (x, *first))
        hx = tuple(h_leaves) if kind == "LSTM" else h_leaves[0]
        given = x_leaf
        if form.startswith("packed"):
            given = pack_padded_sequence(x_leaf, torch.tensor(lengths), options["batch_first"], form == "packed")
        if isinstance(module, ours.modules.Served):
            assert module.why_not(given, hx if with_states else None) == ""
        y, final = module(given, hx) if with_states else module(given)
        assert isinstance(y, PackedSequence) == form.startswith("packed")
        y = y.data if isinstance(y, PackedSequence) else y
        weight = torch.linspace(1, 2, y.numel(), dtype=dtype).view(y.shape)
        ((y * weight).sum() + sum((s**2).sum() for s in states(final))).backward()
        results = {"y": y, **{f"final {k}": s for k, s in enumerate(states(final))}, "dx": x_leaf.grad}
        results |= {f"d{k}": leaf.grad for k, leaf in enumerate(h_leaves)}
        return results | {name: p.grad for name, p in module.named_parameters()}

    assert_same(program, modules, dtypes_tolerance(dtype, T))


@pytest.mark.parametrize("cell", KINDS)
def test_a_packed_sequence_of_its_own_goes_on_to_the_next_module(cell):
    kind, options = KINDS[cell]
    modules = pair(kind, 3, 4, dtype=torch.float64, **options, **SEVERAL)
    second = torch.nn.GRU(8, 2, dtype=torch.float64)
    x, lengths = torch.randn(5, 3, 3, dtype=torch.float64), torch.tensor([2, 5, 1])

    def program(module):
        y, _ = second(module(pack_padded_sequence(x, lengths, enforce_sorted=False))[0])
        padded, found = pad_packed_sequence(y)
        assert found.tolist() == lengths.tolist()
        return {"y": padded}

    assert_same(program, modules, 1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_small_calls_see_every_change_of_a_weight(kind):
    """From the third call of a shape on, without gradients, memory and plan are those of the calls before."""
    theirs, mine = pair(kind, 3, 4, dtype=torch.float64, **SEVERAL)
    x, hx = torch.randn(5, 2, 3, dtype=torch.float64), torch.randn(4, 2, 4, dtype=torch.float64)
    hx = (hx, hx.square()) if kind == "LSTM" else hx
    kept = []
    with torch.no_grad():
        for turn in range(6):
            given = (x + turn, hx) if turn % 2 else (x + turn,)
            expected, found = theirs(*given), mine(*given)
            assert torch.allclose(found[0], expected[0], rtol=1e-12)
            for a, b in zip(states(found[1]), states(expected[1]), strict=True):
                assert torch.allclose(a, b, rtol=1e-12)
            kept.append((found[0], expected[0]))  # whose memory no later call may take
            for module in (theirs, mine):
                module.weight_hh_l1_reverse[0, turn % 4] += 0.5
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in kept)
    assert mine.weight_ih_l0.data_ptr() == borrowed._stacks[id(mine.weight_ih_l0)].views[0].ctypes.data
    key = id(mine.weight_ih_l0)
    del mine, module
    gc.collect()
    assert key not in borrowed._stacks


def test_modules_that_share_their_weights_have_a_small_call_each():
    tanh, relu = (ours.RNN(3, 4, nonlinearity=name) for name in ("tanh", "relu"))
    for name, weight in list(tanh.named_parameters()):
        setattr(relu, name, weight)
    x = torch.randn(2, 1, 3)
    with torch.no_grad():
        for _ in range(4):
            for module in (tanh, relu):
                assert torch.allclose(module(x)[0], torch.nn.RNN.forward(module, x)[0], atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_without_gradients_the_result_has_the_same_bits(training):
    module = ours.LSTM(3, 4, dropout=0.4, **SEVERAL).train(training)
    x = torch.randn(5, 2, 3)
    torch.manual_seed(1)
    expected, _ = module(x)
    torch.manual_seed(1)
    with torch.no_grad():
        found, _ = module(x)
    assert expected.requires_grad
    assert not found.requires_grad
    assert torch.equal(found, expected)


WRONG = {
    "axes": lambda m: m(torch.zeros(2)),
    "input size": lambda m: m(torch.zeros(5, 2, 4)),
    "dtype": lambda m: m(torch.zeros(5, 2, 3, dtype=torch.float64)),
    "integers": lambda m: m(torch.zeros(5, 2, 3, dtype=torch.int64)),
    "no steps": lambda m: m(torch.zeros(0, 2, 3)),
    "batched input, unbatched state": lambda m: m(torch.zeros(5, 2, 3), _state(m, 2, 4)),
    "unbatched input, batched state": lambda m: m(torch.zeros(5, 3), _state(m, 2, 2, 4)),
    "size of the state": lambda m: m(torch.zeros(5, 2, 3), _state(m, 2, 2, 5)),
    "rows of the state": lambda m: m(torch.zeros(5, 2, 3), _state(m, 2, 3, 4)),
    "rows of a packed state": lambda m: m(pack_padded_sequence(torch.zeros(5, 2, 3), [5, 2]), _state(m, 2, 3, 4)),
    "no tensor": lambda m: m([[0.0]]),
}


def _state(module, *shape):
    zeros = torch.zeros(shape)
    return (zeros, zeros) if isinstance(module, torch.nn.LSTM) else zeros


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_errors_are_torchs(kind, wrong):
    found = []
    for module in pair(kind, 3, 4, num_layers=2):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            WRONG[wrong](module)
        found.append((type(caught.value), str(caught.value)))
    assert found[0] == found[1]


@pytest.mark.parametrize("options", [{"proj_size": 1}, {"bias": 1}, {"hidden_size": 0}, {"dropout": 2}])
def test_constructors_refuse_what_torchs_do(options):
    found = []
    for module in (torch.nn.GRU, ours.GRU):
        with pytest.raises((ValueError, TypeError)) as caught:
            module(**{"input_size": 3, "hidden_size": 4} | options)
        found.append((type(caught.value), str(caught.value)))
    assert found[0] == found[1]


def test_what_a_module_says_of_itself_is_torchs():
    theirs, mine = pair("LSTM", 3, 4, dropout=0.2, batch_first=True, **SEVERAL)
    assert repr(mine) == repr(theirs)
    assert isinstance(mine, torch.nn.LSTM)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    torch.manual_seed(0)
    theirs.reset_parameters()
    torch.manual_seed(0)
    mine.reset_parameters()
    assert all(torch.equal(p, q) for p, q in zip(theirs.parameters(), mine.parameters(), strict=True))


def _half(module):
    return module.half(), torch.randn(5, 2, 3).half()


LEFT = {
    "dtype": (lambda: _half(ours.GRU(3, 4)), "the weights are torch.float16"),
    "meta": (lambda: (ours.GRU(3, 4, device="meta"), torch.randn(5, 2, 3, device="meta")), "the weights are on meta"),
    "infinity": (lambda: (ours.GRU(3, 4), torch.full((5, 2, 3), torch.inf)), "an argument holds a NaN or an infinity"),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_the_kernels_do_not_serve_is_torchs(case):
    make, why = LEFT[case]
    module, x = make()
    expected, found = getattr(torch.nn, type(module).__name__).forward(module, x)[0], module(x)[0]
    assert module.why_not(x).startswith(why)
    assert found.shape == expected.shape
    assert x.is_meta or torch.allclose(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # in torch itself
def test_transforms_are_torchs():
    theirs, mine = pair("GRU", 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def loss(module):
        return lambda x: module(x)[0].square().sum()

    expected, found = (torch.func.grad(loss(module))(x) for module in (theirs, mine))
    assert torch.equal(found, expected)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        tangents = [torch.autograd.forward_ad.unpack_dual(module(dual)[0]).tangent for module in (theirs, mine)]
    assert torch.equal(tangents[1], tangents[0])
