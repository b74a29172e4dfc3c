"""A backward whose loss is at the last step alone, as that of ``pooling="last"`` is.

Its gradient fades on the way back, into subnormal numbers in float32. Beside it the same layer's backward with a loss
at every step, where nothing fades; and torch's, as it is and with its own setting for such numbers. torch keeps its
graph, so that both sides are timed without their forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...cases import CELLS, Case
from ...sides import AGREEMENT, disagreement, layer_of, module_of
from ...timing import Pair, paired
from ..setting import Setting

T, B, H = 256, 32, 128
QUICK = (20, 8, 12)
"""Few steps, in which nothing fades."""

Backward = Callable[[], dict[str, np.ndarray]]


class Row(NamedTuple):
    """A case's backward, with a loss at the last step as `ours` of each pair."""

    case: Case
    difference: float
    agrees: bool
    every: Pair | None = None  # a loss at every step, over one at the last
    torch: Pair | None = None
    flushing: Pair | None = None  # torch, with subnormal numbers taken for 0
    others: float | None = None  # what other processes took of the cores meanwhile

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        if self.every is None or self.torch is None or self.flushing is None:
            return f"{self.case.name}: DIFFERS by {self.difference:.1e}, not timed"
        return (
            f"{self.case.name}: last step {1e3 * self.every.ours:.3g} ms, every step ÷ last {self.every.ratio:.2f}, "
            f"torch ÷ ours {self.torch.ratio:.2f}, torch flushing ÷ ours {self.flushing.ratio:.2f}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        pairs = {name: getattr(self, name) for name in ("every", "torch", "flushing")}
        told = {name: pair._asdict() for name, pair in pairs.items() if pair}
        facts = {"difference": self.difference, "agrees": self.agrees, "others": self.others}
        return {**self.case.as_dict(), **facts, **told}


def cases(quick: bool) -> list[Case]:
    """Return a case for each cell."""
    return [Case(cell, "backward", *(QUICK if quick else (T, B, H)), section="last-step") for cell in CELLS]


def upstream(case: Case, every: bool) -> np.ndarray:
    """Return ∂L/∂y: 1 at every step, or at the last alone."""
    dy = np.ones((case.T, case.B, case.H), np.dtype(case.dtype))
    if not every:
        dy[:-1] = 0
    return dy


def ours(case: Case, backend: str, every: bool) -> Backward:
    """Return our backward; the forward has been done."""
    layer, dy = layer_of(case, backend), upstream(case, every)
    _, _, tape = layer.forward(case.input())

    def backward() -> dict[str, np.ndarray]:
        dx, _, gradients = layer.backward(tape, dy)
        return {"x": dx, **gradients}

    return backward


def theirs(torch: Any, case: Case, flush: bool) -> Backward:
    """Return torch's backward from the last step; with `flush`, subnormal numbers are 0 in the calling thread."""
    module, x = module_of(torch, case), torch.from_numpy(case.input()).requires_grad_()
    dy, y = torch.from_numpy(upstream(case, every=False)), module(x)[0]
    wanted = {"x": x, **dict(module.named_parameters())}

    def backward() -> dict[str, np.ndarray]:
        torch.set_flush_denormal(flush)
        try:
            found = torch.autograd.grad(y, list(wanted.values()), dy, retain_graph=True)
        finally:
            torch.set_flush_denormal(False)
        return {name: array.numpy() for name, array in zip(wanted, found, strict=True)}

    return backward


def measure(setting: Setting, case: Case) -> Row:
    """Compare the gradients, then time all in turn."""
    torch = setting.torch
    last, every = (ours(case, setting.backend, every) for every in (False, True))
    plain, flushed = (theirs(torch, case, flush) for flush in (False, True))
    difference = disagreement(last(), plain())
    if not difference <= AGREEMENT[case.dtype]:
        return Row(case, difference, agrees=False)
    (first, *rest), others = setting.in_turn((last, every, plain, flushed))
    beside_every, beside_plain, beside_flushed = (paired(first, times) for times in rest)
    return Row(case, difference, True, beside_every, beside_plain, beside_flushed, others)
