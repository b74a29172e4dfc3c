"""One module by itself: a training step with a loss of every output, torch's own and ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from rnn_core.torch import accelerate


class Case(NamedTuple):
    """A module of one layer with as many inputs as units, and its batch."""

    cell: str
    dtype: str
    packed: bool
    T: int
    B: int
    H: int
    proj_size: int = 0

    def __str__(self) -> str:
        size = f" P={self.proj_size}" if self.proj_size else ""
        return f"{self.cell} {self.dtype} {'packed ' if self.packed else ''}T={self.T} B={self.B} H={self.H}{size}"


def cases(quick: bool) -> Iterator[Case]:
    """Yield the grid; packed batches have about 60 % of the steps."""
    shapes = ((5, 3, 8),) if quick else ((35, 20, 128), (64, 8, 64), (64, 32, 256))
    kinds = itertools.product(("RNN", "LSTM", "GRU"), ("float32", "float64"), (False, True), shapes)
    for cell, dtype, packed, shape in kinds:
        yield Case(cell, dtype, packed, *shape)
    for (T, B, H), packed in itertools.product(shapes, (False, True)):
        yield Case("LSTM", "float32", packed, T, B, H, H // 2)


class Step:
    """A step of one side: forward and backward, no optimizer."""

    def __init__(self, case: Case, change: Callable[[Any], object] | None = None) -> None:
        torch.manual_seed(0)
        dtype = getattr(torch, case.dtype)
        projected = {"proj_size": case.proj_size} if case.proj_size else {}
        self.module = getattr(torch.nn, case.cell)(case.H, case.H, dtype=dtype, **projected)
        x = torch.randn(case.T, case.B, case.H, dtype=dtype)
        lengths = torch.randint(max(1, case.T // 5), case.T + 1, (case.B,))
        lengths[0] = case.T
        self.x: Any = pack_padded_sequence(x, lengths, enforce_sorted=False) if case.packed else x
        self.packed = case.packed
        rows = (len(self.x.data),) if case.packed else (case.T, case.B)
        self.dy = torch.ones(*rows, case.proj_size or case.H, dtype=dtype)
        if change is not None:
            change(self.module)
        arrays = [parameter.detach().numpy().reshape(-1) for parameter in self.module.parameters()]
        self.firsts = [(array, array[0], np.nextafter(array[0], 1)) for array in arrays]
        self.turn = itertools.cycle((2, 1))

    def __call__(self) -> torch.Tensor:
        """Return y, and leave the gradients where torch puts them."""
        self.module.zero_grad(set_to_none=True)
        which = next(self.turn)
        for first in self.firsts:  # an optimizer changes weights, and our kernels must then pack them anew
            first[0][0] = first[which]
        y = self.module(self.x)[0]
        y = y.data if self.packed else y
        y.backward(self.dy)
        return y

    def results(self) -> dict[str, Any]:
        """Return y and all gradients."""
        y = self()
        return {"y": y.detach().numpy(), **{name: p.grad.numpy() for name, p in self.module.named_parameters()}}


def sides(case: Case) -> tuple[Step, Step]:
    """Return our step and torch's.

    Raises
    ------
    RuntimeError
        Ours would be torch's.
    """
    mine, theirs = Step(case, accelerate), Step(case)
    if why := mine.module.why_not(mine.x):
        raise RuntimeError(f"{case}: it must be served, but is not: {why}")
    return mine, theirs
