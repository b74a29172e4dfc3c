"""How parameters follow their gradients: SGD with momentum, Adam, AdamW. Numbers agree with ``torch.optim``'s.

::

    g ← g + λ θ                                    (O1)   weight decay; not in AdamW
    u ← μ u + g                                    (O2)   momentum; u = g without it
    u ← g + μ u                                    (O3)   in this step only, with Nesterov's
    θ ← θ − η u                                    (O4)   SGD

    θ ← θ − η λ θ                                  (O5)   weight decay of AdamW
    m ← β₁ m + (1 − β₁) g                          (O6)
    v ← β₂ v + (1 − β₂) g²                         (O7)
    θ ← θ − η m̂ / (√v̂ + ε)                         (O8)   m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)

θ is a parameter, g its gradient, η its learning rate, t counts the parameter's own steps. Where g stays 0, as for the
row of a token that is seldom seen, u, m and v decay; what falls below the smallest normal number becomes 0.

References
----------
.. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
   learning", ICML 2013. There the rate stands inside u; here, as in torch, outside.
.. [2] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980v9, algorithm 1.
.. [3] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv:1711.05101v3, algorithm 2, with the
   decay multiplied by the learning rate, as in torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..layers.embedding import RowGradient
from .blocks import blocks, flush

FLUSHED = 8
"""In every so many of a parameter's steps Adam looks for moments that have become subnormal."""


@dataclass(frozen=True)
class Optimizer(ABC):
    """What the optimizers share. One holds only numbers; what it remembers of a run is in the `state`.

    Attributes
    ----------
    lr : float
        Learning rate of the parameters that are given none of their own.
    """

    lr: float

    def __post_init__(self) -> None:
        self._check_number("lr", self.lr)

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of the arrays that are kept for each parameter."""

    def init(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return the state before the first step.

        Parameters
        ----------
        parameters : mapping of str to ndarray

        Returns
        -------
        state : dict of str to ndarray
            ``"name/slot"`` for each parameter and slot: arrays shaped as the parameter, and for Adam a step count of
            shape (). This is all that has to be stored to go on later.
        """
        return {
            f"{name}/{slot}": np.zeros((), np.int64) if slot == "step" else array_namespace(p).zeros_like(p)
            for name, p in parameters.items()
            for slot in self.slots
        }

    def update(
        self,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array | RowGradient],
        state: dict[str, Array],
        rates: Mapping[str, float] | None = None,
    ) -> None:
        """Take one step: change parameters and state in place.

        The result depends on the arguments alone, bit by bit.

        Parameters
        ----------
        parameters : mapping of str to ndarray
        gradients : mapping of str to ndarray or RowGradient
            A parameter without a gradient stays as it is, and so does its state.
        state : dict of str to ndarray
            From `init`.
        rates : mapping of str to float, optional
            Learning rates by parameter, instead of `lr`.

        Raises
        ------
        ValueError
            A gradient has no parameter, no state or another shape. Nothing has changed then.
        """
        where = f"{type(self).__name__}.update"
        for name, g in gradients.items():
            if name not in parameters:
                raise ValueError(
                    f"{where}: gradients must be of parameters, got {name!r}; there are {_list(parameters)}"
                )
            if tuple(g.shape) != tuple(parameters[name].shape):
                raise ValueError(
                    f"{where}: the gradient of {name} must have shape {tuple(parameters[name].shape)}, "
                    f"got {tuple(g.shape)}"
                )
            if missing := [slot for slot in self.slots if f"{name}/{slot}" not in state]:
                raise ValueError(
                    f"{where}: state must hold {name}/{missing[0]}, got {_list(state)}; "
                    "make it with init, from the same parameters and by the same optimizer"
                )
        for name, g in gradients.items():
            # A Python float: a NumPy one would turn a float32 step into float64.
            rate = float(self.lr if rates is None else rates.get(name, self.lr))
            self._step(parameters[name], g, [state[f"{name}/{slot}"] for slot in self.slots], rate)

    @abstractmethod
    def _step(self, p: Array, g: Array | RowGradient, slots: list[Array], lr: float) -> None:
        """Take one parameter and its slots a step further, in place."""

    def _check_number(self, name: str, value: Any, below: float = float("inf")) -> None:
        where = type(self).__name__
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"{where}: {name} must be a number, got {value!r}")
        if not (isfinite(value) and 0 <= value < below):
            bound = "finite" if below == float("inf") else f"below {below:g}"
            raise ValueError(f"{where}: {name} must be at least 0 and {bound}, got {value}")


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

    def _step(self, p: Array, g: Array | RowGradient, slots: list[Array], lr: float) -> None:
        decay, momentum = float(self.weight_decay), float(self.momentum)
        if isinstance(g, RowGradient):
            if not decay and not momentum:
                p[g.rows, :] -= lr * g.values  # (O4)
                return
            g = g.to_dense()
        for p_k, g_k, *u_k in blocks(p, g, *slots):
            step = g_k + decay * p_k if decay else g_k  # (O1)
            if momentum:
                (u,) = u_k
                u *= momentum  # (O2)
                u += step  # (O2)
                step = step + momentum * u if self.nesterov else u  # (O3)
            p_k -= lr * step  # (O4)
        for u in slots:
            flush(u)


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

    def _step(self, p: Array, g: Array | RowGradient, slots: list[Array], lr: float) -> None:
        m, v, count = slots
        count += 1
        t = int(count)
        beta1, beta2 = map(float, self.betas)
        # (O8) with both corrections taken out of the array: the same number, and one division less.
        correction = sqrt(1 - beta2**t)
        eps = float(self.eps) * correction
        rate = lr * correction / (1 - beta1**t)
        xp = array_namespace(p)
        for p_k, g_k, m_k, v_k in blocks(p, g.to_dense() if isinstance(g, RowGradient) else g, m, v):
            step = self._decay(p_k, g_k, lr)  # (O1), (O5)
            m_k *= beta1  # (O6)
            m_k += (1 - beta1) * step  # (O6)
            square = step * step
            square *= 1 - beta2
            v_k *= beta2  # (O7)
            v_k += square  # (O7)
            root = xp.sqrt(v_k, out=square)
            root += eps
            step = m_k / root
            step *= rate
            p_k -= step  # (O8)
        if t % FLUSHED == 0:
            flush(m)
            # Not where it would show: √v̂ must be nothing beside ε.
            if sqrt(np.finfo(v.dtype).tiny) < eps * np.finfo(v.dtype).eps / 4:
                flush(v)

    def _decay(self, p: Array, g: Array, lr: float) -> Array:
        """Return the gradient with weight decay."""
        return g + float(self.weight_decay) * p if self.weight_decay else g  # (O1)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay does not pass through the moments: (O5)–(O8).

    Parameters
    ----------
    lr : float
        Learning rate η.
    betas : pair of float
        β₁ and β₂, each at least 0 and below 1.
    eps : float
        ε.
    weight_decay : float
        λ; each step takes the share ηλ off a parameter.
    """

    weight_decay: float = 1e-2

    def _decay(self, p: Array, g: Array, lr: float) -> Array:
        """Decay the parameter itself; the gradient stays as it is."""
        if self.weight_decay:
            p *= 1 - lr * float(self.weight_decay)  # (O5)
        return g


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
