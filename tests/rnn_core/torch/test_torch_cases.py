"""torch's own cases of RNN, LSTM and GRU (`torch.testing._internal.common_modules`), run with our classes."""

from __future__ import annotations

import importlib.util
import sys
import types
import unittest
import warnings
from unittest.mock import MagicMock

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import PackedSequence

import rnn_core.torch as ours

OURS = {"RNN": ours.RNN, "LSTM": ours.LSTM, "GRU": ours.GRU}


COMMON = "torch.testing._internal."
UNUSED = ("common_device_type", "common_methods_invocations")
"""What torch's description of its modules takes decorators from, and four fifths of the time that its import takes."""


@pytest.fixture(scope="module")
def described():
    """Return torch's description of its modules: their inputs, and their errors."""
    stands_for = {f"{COMMON}{name}": MagicMock() for name in UNUSED}
    if importlib.util.find_spec("expecttest") is None:  # of which torch's tests take a class that none here uses
        stands_for["expecttest"] = types.SimpleNamespace(TestCase=unittest.TestCase)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, module in stands_for.items():
            if name not in sys.modules:
                patch.setitem(sys.modules, name, module)
        found = importlib.import_module(f"{COMMON}common_modules")
    del sys.modules[f"{COMMON}common_modules"]  # nobody else is to find what it was given here
    return found.module_db


@pytest.fixture(params=OURS)
def info(request, described):
    """Return torch's description of a module."""
    return next(info for info in described if info.module_cls is getattr(torch.nn, request.param))


def inputs(info, dtype, *, requires_grad=False, training=True):
    """Return torch's inputs of a module; packed ones, too, where it has them."""
    options = {} if info.module_cls is torch.nn.LSTM else {"with_packed_sequence": True}
    return info.module_inputs_func(info, "cpu", dtype, requires_grad, training, **options)


def tensors(result):
    """Return the tensors of a result."""
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for part in result if part is not None for t in tensors(part)]


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_forward_and_backward_and_second_derivative(info, dtype, training):
    torch.manual_seed(0)
    served = 0
    for case in inputs(info, dtype, requires_grad=True, training=training):
        made = case.constructor_input
        theirs = info.module_cls(*made.args, **made.kwargs, dtype=dtype).train(training)
        mine = OURS[info.module_cls.__name__](*made.args, **made.kwargs, dtype=dtype).train(training)
        mine.load_state_dict(theirs.state_dict())
        arguments = case.forward_input
        served += mine.why_not(*arguments.args) == ""
        results = []
        for module in (theirs, mine):
            leaves = [t for t in tensors(arguments.args) if t.requires_grad] + list(module.parameters())
            outputs = [t for t in tensors(module(*arguments.args)) if t.requires_grad]
            exact = dtype == torch.float64  # torch's own LSTM has no second derivative in float32
            first = torch.autograd.grad(sum(t.sin().sum() for t in outputs), leaves, create_graph=exact)
            second = torch.autograd.grad(sum(t.sin().sum() for t in first), leaves) if exact else ()
            results.append([*outputs, *first, *second])
        for expected, found in zip(*results, strict=True):  # arguments are as large as 9: gates are nearly saturated
            allowed = (1e-4 if dtype == torch.float32 else 1e-11) * float(expected.detach().abs().max())
            torch.testing.assert_close(found, expected, rtol=0, atol=allowed)
        if case.reference_fn is not None and not isinstance(arguments.args[0], PackedSequence):
            expected = case.reference_fn(mine, *arguments.args, **arguments.kwargs)
            torch.testing.assert_close(mine(*arguments.args, **arguments.kwargs), expected)
    assert served == len(inputs(info, dtype))


def test_errors(info):
    for case in info.module_error_inputs_func(info, "cpu", torch.float32, False, True):
        made = case.module_error_input.constructor_input
        arguments = case.module_error_input.forward_input
        with pytest.raises(case.error_type, match=case.error_regex):
            OURS[info.module_cls.__name__](*made.args, **made.kwargs)(*arguments.args, **arguments.kwargs)
