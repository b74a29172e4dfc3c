"""float32 against float64: our error and torch's, both from the same equations in float64, on the same numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...cases import Case
from ...sides import layer_of, module_of
from ..setting import Setting


class Errors(NamedTuple):
    """One array's errors: the largest relative to the largest element, and root mean squares relative to each other."""

    our_max: float
    their_max: float
    our_rms: float
    their_rms: float


class AccuracyRow(NamedTuple):
    """A case's errors by array: y, dx and each parameter's gradient."""

    case: Case
    errors: dict[str, Errors]

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        worst = max(self.errors, key=lambda name: self.errors[name].our_rms / self.errors[name].their_rms)
        e = self.errors[worst]
        return f"{self.case.name}: at worst in {worst}, rms {e.our_rms:.1e}, torch's {e.their_rms:.1e}"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {**self.case.as_dict(), "errors": {name: e._asdict() for name, e in self.errors.items()}}


def measure(setting: Setting, case: Case) -> AccuracyRow:
    """Compute a case thrice."""
    layer, x = layer_of(case, setting.backend), case.input()
    dy = np.random.default_rng(1).standard_normal((case.T, case.B, case.H)).astype(case.dtype)
    exact = _ours(layer.astype(np.float64, backend="numpy"), x.astype(np.float64), dy.astype(np.float64))
    mine, peer = _ours(layer, x, dy), _theirs(setting.torch, module_of(setting.torch, case), x, dy)
    return AccuracyRow(case, {name: errors(mine[name], peer[name], true) for name, true in exact.items()})


def errors(mine: np.ndarray, peer: np.ndarray, true: np.ndarray) -> Errors:
    """Return both sides' errors in one array."""
    largest, mean = abs(true).max(), np.sqrt(np.mean(true**2))
    tiny = float(np.finfo(np.float32).tiny)  # an error of nothing stays comparable
    found = [max(float(abs(side - true).max() / largest), tiny) for side in (mine, peer)]
    found += [max(float(np.sqrt(np.mean((side - true) ** 2)) / mean), tiny) for side in (mine, peer)]
    return Errors(*found)


def _ours(layer: Any, x: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
    y, _, tape = layer.forward(x)
    dx, _, gradients = layer.backward(tape, dy, needs={"x", *layer.parameters})
    return {"y": y, "dx": dx, **{f"d{name.removesuffix('_l0')}": array for name, array in gradients.items()}}


def _theirs(torch: Any, module: Any, x: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
    leaf = torch.from_numpy(x).requires_grad_()
    y, _ = module(leaf)
    y.backward(torch.from_numpy(dy))
    gradients = {f"d{name.removesuffix('_l0')}": p.grad.numpy() for name, p in module.named_parameters()}
    return {"y": y.detach().numpy(), "dx": leaf.grad.numpy(), **gradients}
