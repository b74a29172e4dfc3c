"""`RNN`, `LSTM` and `GRU`: torch's own classes, with another forward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .borrowed import Options
from .function import run
from .serving import rounded, why_not_call, why_not_module, why_not_now


class Served:
    """What the three share: a forward by our kernels wherever they serve, and torch's own everywhere else."""

    def why_not(self: Any, input: Any, hx: Any = None) -> str:
        """Return why a call with these arguments is left to torch's own forward; "" where the kernels serve it."""
        return why_not_now(self) or why_not_module(self) or why_not_call(self, input, hx)

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        """As torch's own, in arguments, results and errors."""
        self._update_flat_weights()
        if self.why_not(input, hx):
            return super().forward(input, hx)  # type: ignore[misc]
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            y, finals = _run(self, data, _permuted(_pair(hx), order), batch_sizes)
            return PackedSequence(y, batch_sizes, order, back), _as_given(_permuted(finals, back))
        batched = input.dim() == 3
        turned = batched and self.batch_first
        x = input.transpose(0, 1) if turned else input if batched else input.unsqueeze(1)
        y, finals = _run(self, x, _pair(hx) if batched else [state.unsqueeze(1) for state in _pair(hx)], None)
        if not batched:
            return y.squeeze(1), _as_given([final.squeeze(1) for final in finals])
        return y.transpose(0, 1) if turned else y, _as_given(finals)


def _leave_as_it_is(function: Any) -> None:
    """Have `torch.compile` run a function, and what it calls, as it is: what follows is a break in the graph.

    Left to itself it would compile `why_not` alone, which then says for ever that it is being compiled.
    `torch.compiler.disable` does the same, but imports the compiler, for a second or more.
    """
    inner = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    if inner is not None and hasattr(inner, "set_code_exec_strategy"):  # without it torch's own modules do the work
        strategy = inner._FrameExecStrategy(inner._FrameAction.SKIP, inner._FrameAction.SKIP)
        inner.set_code_exec_strategy(function.__code__, strategy)


_leave_as_it_is(Served.forward)


class RNN(Served, torch.nn.RNN):
    """`torch.nn.RNN`, computed by our kernels; arguments, parameters, results and errors are torch's."""


class LSTM(Served, torch.nn.LSTM):
    """`torch.nn.LSTM`, computed by our kernels; arguments, parameters, results and errors are torch's."""


class GRU(Served, torch.nn.GRU):
    """`torch.nn.GRU`, computed by our kernels; arguments, parameters, results and errors are torch's."""


def _run(module: Any, x: Tensor, states: list[Tensor], batch_sizes: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Run time-major or packed input through a module's stack, from its states, or from zeros."""
    directions = 2 if module.bidirectional else 1
    dropout = module.dropout if module.training and module.num_layers > 1 else 0.0
    names = tuple(module._flat_weights_names)
    cell, projected = module.mode.lower(), module.proj_size > 0
    precision, kinds = "float32", None
    if torch.is_autocast_enabled("cpu"):
        kinds = rounded(module, x, states, batch_sizes is not None)
        precision, x, states = "bfloat16", x.float(), [state.float() for state in states]
    options = Options(
        cell, projected, names, module.num_layers, directions, module.bias, dropout, batch_sizes, precision
    )
    if not states:
        B = x.shape[1] if batch_sizes is None else int(batch_sizes[0])
        zeros = x.new_zeros(module.num_layers * directions, B, module.hidden_size)
        h = x.new_zeros(*zeros.shape[:2], module.proj_size) if projected else zeros
        states = [h, zeros][: options.states]
    y, *finals = run(options, x, states, module._flat_weights)
    if kinds is not None:
        y, finals = y.to(kinds[0]), [final.to(kind) for final, kind in zip(finals, kinds, strict=True)]
    return y, finals


def _pair(hx: Any) -> list[Tensor]:
    """Return the states of an `hx`."""
    return [] if hx is None else [hx] if isinstance(hx, Tensor) else list(hx)


def _as_given(states: list[Tensor]) -> Any:
    """Return states as torch's modules do: h alone, or (h, c)."""
    return states[0] if len(states) == 1 else tuple(states)


def _permuted(states: list[Tensor], order: Tensor | None) -> list[Tensor]:
    """Return the states of rows in another order."""
    return states if order is None else [state.index_select(1, order) for state in states]
