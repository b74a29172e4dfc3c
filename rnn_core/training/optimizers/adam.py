"""`Adam` and `AdamW`: (O1), (O5)–(O8)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import AdamStep, Array

from ...layers.embedding import RowGradient, dense
from .. import blocks
from .optimizer import Optimizer, scaled, values_and_rows

FLUSHED = 8
"""In every so many of a parameter's steps Adam looks for moments that have become subnormal."""


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments: (O1), (O6)–(O8).

    Parameters
    ----------
    lr : float
        Learning rate η.
    betas : pair of float
        β₁ and β₂, each at least 0 and below 1.
    eps : float
        ε.
    weight_decay : float
        λ, added to the gradient.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        where = type(self).__name__
        if len(self.betas) != 2:
            raise ValueError(f"{where}: betas must be a pair, got {self.betas!r}")
        for k, beta in enumerate(self.betas):
            self._check_number(f"betas[{k}]", beta, below=1)
        self._check_number("eps", self.eps)
        self._check_number("weight_decay", self.weight_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """Both moments, and the parameter's own step count: one that thaws late begins at 1, as in torch."""
        return ("m", "v", "step")

    def _begin(self, p: Array, g: Array | RowGradient, slots: list[Array], scale: float, lr: float) -> AdamStep:
        m, v, count = slots
        t = int(count) + 1
        beta1, beta2 = map(float, self.betas)
        # (O8) with both corrections taken out of the array: the same number, and one division less.
        correction = sqrt(1 - beta2**t)
        decay, keep = self._decay(lr)
        eps, rate = float(self.eps) * correction, lr * correction / (1 - beta1**t)
        return AdamStep(p, *values_and_rows(g), m, v, scale, decay, keep, beta1, beta2, eps, rate, t)

    def _moments(self, step: AdamStep) -> tuple[Array, ...]:
        return step.m, step.v

    def _step(self, step: AdamStep, g: Array | RowGradient) -> None:
        xp = array_namespace(step.p)
        for p_k, g_k, m_k, v_k in blocks.blocks(step.p, dense(g), step.m, step.v):
            way = scaled(g_k, step.scale)  # (C2)
            if step.decay:
                way = way + step.decay * p_k  # (O1)
            m_k *= step.beta1  # (O6)
            m_k += (1 - step.beta1) * way  # (O6)
            square = way * way
            square *= 1 - step.beta2
            v_k *= step.beta2  # (O7)
            v_k += square  # (O7)
            root = xp.sqrt(v_k, out=square)
            root += step.eps
            way = m_k / root
            way *= step.rate
            if step.keep != 1:
                p_k *= step.keep  # (O5), not before the gradient has been read: it may be p itself
            p_k -= way  # (O8)

    def _in_one_pass(self, kernels: Any, steps: list[AdamStep]) -> None:
        kernels.adam(steps)

    def _end(self, step: AdamStep, slots: list[Array]) -> None:
        slots[-1][()] = step.t  # only now: had the step failed, it would not have counted
        if step.t % FLUSHED == 0:
            blocks.flush(step.m)
            # Not where it would show: √v̂ must be nothing beside ε.
            numbers = np.finfo(step.v.dtype)
            if sqrt(numbers.tiny) < step.eps * numbers.eps / 4:
                blocks.flush(step.v)

    def _decay(self, lr: float) -> tuple[float, float]:
        """Return what of θ is added to the gradient, λ of (O1), and what is left of θ itself, 1 − ηλ of (O5)."""
        return float(self.weight_decay), 1.0


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay does not pass through the moments: (O5)–(O8).

    Parameters
    ----------
    lr, betas, eps
        As `Adam`'s.
    weight_decay : float
        λ; each step takes the share ηλ off a parameter.
    """

    weight_decay: float = 1e-2

    def _decay(self, lr: float) -> tuple[float, float]:
        return 0.0, 1 - lr * float(self.weight_decay)
