"""`SGD`: (O1)–(O4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kernels.contract import Array, SGDStep

from ...layers.embedding import RowGradient, dense
from .. import blocks
from .optimizer import Optimizer, scaled, values_and_rows


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: (O1)–(O4).

    Parameters
    ----------
    lr : float
        Learning rate η.
    momentum : float
        μ, at least 0 and below 1.
    nesterov : bool
        Look ahead by one step of momentum, (O3).
    weight_decay : float
        λ.

    Notes
    -----
    Without momentum and weight decay, a `RowGradient` costs as much as it has rows.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_number("momentum", self.momentum, below=1)
        self._check_number("weight_decay", self.weight_decay)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: momentum must be above 0 with nesterov=True, got 0; 0.9 is a usual choice")

    @property
    def slots(self) -> tuple[str, ...]:
        """The momentum u, if there is any."""
        return ("momentum",) if self.momentum else ()

    def _begin(self, p: Array, g: Array | RowGradient, slots: list[Array], scale: float, lr: float) -> SGDStep:
        u, decay, momentum = slots[0] if slots else None, float(self.weight_decay), float(self.momentum)
        return SGDStep(p, *values_and_rows(g), u, scale, decay, momentum, self.nesterov, lr)

    def _moments(self, step: SGDStep) -> tuple[Array, ...]:
        return () if step.u is None else (step.u,)

    def _step(self, step: SGDStep, g: Array | RowGradient) -> None:
        p, u, momentum = step.p, step.u, step.momentum
        if isinstance(g, RowGradient) and not step.decay and u is None:
            p[g.rows, :] -= step.rate * scaled(g.values, step.scale)  # (C2), (O4)
            return
        for p_k, g_k, *u_k in blocks.blocks(p, dense(g), *self._moments(step)):
            way = scaled(g_k, step.scale)  # (C2)
            if step.decay:
                way = way + step.decay * p_k  # (O1)
            if u_k:
                (u,) = u_k
                u *= momentum  # (O2)
                u += way  # (O2)
                way = way + momentum * u if self.nesterov else u  # (O3)
            p_k -= step.rate * way  # (O4)

    def _in_one_pass(self, kernels: Any, steps: list[SGDStep]) -> None:
        kernels.sgd(steps)

    def _end(self, step: SGDStep, slots: list[Array]) -> None:
        if step.u is not None:
            blocks.flush(step.u)
