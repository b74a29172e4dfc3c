"""A stack as one operation of torch's: forward, and below it backward, by backpropagation through time written by hand.

Tensors are read where they are. What backward reads of them is saved through torch, so that a change in between is
found out; the tape is in memory of the kernels' own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import _VF, Tensor

from ..layers.passes import Pass
from .borrowed import Borrowed, Options, borrowed, view
from .packed import Packing
from .sharing import as_torch


class Kept(NamedTuple):
    """What backward needs besides tensors."""

    stack: Borrowed
    tape: Pass


def run(options: Options, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return y and the final states, each (layers·directions, B, H).

    Parameters
    ----------
    options : Options
        With the parameters' names in the order of `weights`.
    x : Tensor, shape (T, B, I), or packed (N, I)
        Input.
    states, weights : sequence of Tensor
        The initial states, (layers·directions, B, H) each, and torch's flat weights.
    """
    given = (x, *states, *weights)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        found: tuple[Tensor, ...] = StackFunction.apply(options, *given)
        return found
    stack, packing = borrowed(options, weights), _packing(options)
    x_read, initial = _padded(packing, x), tuple(map(view, states))
    if options.dropout:  # without a gradient, but in training
        return _outward(packing, *_forward(stack, options, packing, x_read, initial)[:2])
    with as_torch():
        y, finals = stack.infer(x_read, initial, _lengths(packing))
    return _outward(packing, y, finals)


class StackFunction(torch.autograd.Function):
    """The whole stack, in both directions."""

    @staticmethod
    def forward(ctx: Any, options: Options, *given: Tensor) -> tuple[Tensor, ...]:
        """Return y and the final states of x, the initial states and the weights, in this order."""
        x, states, weights = _parts(options, given)
        ctx.options, ctx.kept, ctx.generator = options, None, None
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        if options.dropout:
            ctx.generator = torch.get_rng_state()
        stack, packing = borrowed(options, weights), _packing(options)
        y, finals, tape = _forward(stack, options, packing, _padded(packing, x), tuple(map(view, states)))
        if torch._C._autograd._top_saved_tensors_default_hooks(False) is None:
            ctx.kept = Kept(stack, tape)  # otherwise somebody wants nothing kept, as checkpoints do
        return _outward(packing, y, finals)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, the initial states and the weights, as far as they are needed."""
        given: tuple[Tensor, ...] = ctx.saved_tensors  # raises, where one has been changed since
        options, wanted = ctx.options, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *_differentiable(options, given, upstream, wanted, ctx.generator)
        kept = ctx.kept or _kept_again(options, given, ctx.generator)
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.kept = None
        return None, *_backward(options, kept, upstream, wanted)


def _forward(
    stack: Borrowed, options: Options, packing: Packing | None, x: np.ndarray, states: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, tuple[Any, ...], Pass]:
    """Return y, the final states and the tape; dropout is drawn as torch's own modules draw it."""

    def mask_of(_: int, y: np.ndarray) -> np.ndarray | None:
        if not options.dropout:
            return None
        shape = y.shape if packing is None else (int(packing.there.sum()), y.shape[-1])
        ones = torch.ones(shape, dtype=torch.float32 if y.dtype == np.float32 else torch.float64)
        mask = view(torch.nn.functional.dropout(ones, options.dropout))
        return mask if packing is None else packing.padded(mask)

    with as_torch():
        (y,), finals, tape = stack._forward_cells(x, states, _lengths(packing), mask_of, all_states=False)
    return y, finals, tape


def _backward(
    options: Options, kept: Kept, upstream: Sequence[Tensor | None], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Walk back through the stack once."""
    stack, packing = kept.stack, _packing(options)
    names = ("x", *(f"{state}0" for state in stack.spec.states), *options.names)
    needs = frozenset(name for name, wants in zip(names, wanted, strict=True) if wants)
    if all(d is None for d in upstream):
        return (None,) * len(wanted)
    first, *last = upstream
    dy = None if first is None else _padded(packing, first)
    dfinal = tuple([None if d is None else view(d) for d in last])
    state_needs = needs.intersection(names[1 : 1 + len(last)])
    with as_torch():
        dx, dstates0, grads = stack._back_cells(kept.tape, [dy], dfinal, needs, state_needs)
    found = dict(zip(names, (dx, *dstates0), strict=False)) | grads
    if packing is not None and dx is not None:
        found["x"] = packing.packed(dx)
    return tuple([torch.from_numpy(found[name]) if name in needs else None for name in names])


def _kept_again(options: Options, given: Sequence[Tensor], generator: Tensor | None) -> Kept:
    """Return what forward would have kept."""
    x, states, weights = _parts(options, given)
    stack, packing = borrowed(options, weights), _packing(options)
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:
            torch.set_rng_state(generator)
        tape = _forward(stack, options, packing, _padded(packing, x), tuple(map(view, states)))[2]
    return Kept(stack, tape)


def _differentiable(
    options: Options, given: Sequence[Tensor], upstream: Sequence[Tensor | None], wanted: Sequence[bool],
    generator: Tensor | None,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """Return the gradients as functions that can be differentiated again: by torch's own operations, run once more."""
    given = [tensor.view_as(tensor) for tensor in given]  # one that has two places has two gradients
    x, states, weights = _parts(options, given)
    batch = () if options.batch_sizes is None else (options.batch_sizes,)
    order = (False,) if options.batch_sizes is None else ()
    hx = list(states) if len(states) > 1 else states[0]
    sizes = (options.bias, options.num_layers, options.dropout, generator is not None, options.directions == 2)
    with (
        torch.random.fork_rng(devices=[], enabled=generator is not None),
        torch.autocast("cpu", enabled=False),
        _without_onednn(),
    ):
        if generator is not None:
            torch.set_rng_state(generator)
        outputs = getattr(_VF, options.cell)(x, *batch, hx, list(weights), *sizes, *order)
    pairs = [(output, d) for output, d in zip(outputs, upstream, strict=True) if d is not None]
    asked = [tensor for tensor, wants in zip(given, wanted, strict=True) if wants]
    found = iter(
        torch.autograd.grad([y for y, _ in pairs], asked, [d for _, d in pairs], create_graph=True, allow_unused=True)
    )
    return tuple([next(found) if wants else None for wants in wanted])


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Have torch take its own operations, not oneDNN's, whose LSTM has no second derivative."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)  # torch.backends.mkldnn.flags warns of graphics cards that are not there
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _parts(
    options: Options, given: Sequence[Tensor]
) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
    """Return x, the states and the weights."""
    return given[0], given[1 : 1 + options.states], given[1 + options.states :]


def _packing(options: Options) -> Packing | None:
    return None if options.batch_sizes is None else Packing.of(view(options.batch_sizes))


def _padded(packing: Packing | None, tensor: Tensor) -> np.ndarray:
    return view(tensor) if packing is None else packing.padded(view(tensor))


def _lengths(packing: Packing | None) -> np.ndarray | None:
    return None if packing is None else packing.lengths


def _outward(packing: Packing | None, y: np.ndarray, finals: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
    """Return y and states as tensors of the same memory."""
    y = y if packing is None else packing.packed(y)
    return tuple([torch.from_numpy(array) for array in (y, *finals)])
