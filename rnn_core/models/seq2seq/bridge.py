"""`Bridge`: from the state in which the encoder stops to the one in which the decoder begins.

::

    s'_k = W_sk [→s_k; ←s_k] + b_sk        (AT7)   for each layer k, and each of its states s: h, and an LSTM's c

→s and ←s are the final states of both directions; of one direction there is but one. Primes mark the backward.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...layers.base import Layer
from ...layers.first_values import first_values
from ...layers.home import namespace_of


class Bridge(Layer):
    """An affine map for each layer and each state of a core.

    Parameters
    ----------
    states : tuple of str
        The names of a core's states, as its spec has them.
    num_layers : int
    in_features, out_features : sequence of int
        Of each of a layer's states in the encoder, both directions side by side, and in the decoder.
    backend, dtype, seed
        As a `Linear`'s.

    Notes
    -----
    Parameters: for each state and layer ``weight_h_l0`` (O, I) and ``bias_h_l0`` (O,), drawn as a `Linear`'s.
    """

    def __init__(
        self,
        states: Iterable[str],
        num_layers: int,
        in_features: Sequence[int],
        out_features: Sequence[int],
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self.states, self.num_layers = tuple(states), num_layers
        xp, dtype = namespace_of("Bridge", backend), np.dtype(dtype)
        self.config = {
            "states": list(self.states), "num_layers": num_layers, "in_features": list(in_features),
            "out_features": list(out_features), "backend": backend, "dtype": dtype.name, "seed": seed,
        }  # fmt: skip
        rng = np.random.default_rng(seed)
        self.parameters = {
            f"{kind}_{state}_l{k}": first_values(xp, shape, dtype, partial(rng.uniform, -(I**-0.5), I**-0.5))
            for state, I, O in zip(self.states, in_features, out_features, strict=True)
            for k in range(num_layers)
            for kind, shape in (("weight", (O, I)), ("bias", (O,)))
        }

    def forward(self, joined: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Return the states (layers, B, O), and a tape, from states (layers, B, I), one of each name."""
        xp, own = self.namespace, self.parameters
        crossed = tuple(
            xp.stack([
                s[k] @ own[f"weight_{state}_l{k}"].T + own[f"bias_{state}_l{k}"]  # (AT7)
                for k in range(self.num_layers)
            ])
            for state, s in zip(self.states, joined, strict=True)
        )  # fmt: skip
        return crossed, joined

    def backward(
        self, tape: tuple[Array, ...], dstates: tuple[Array, ...], needs: Iterable[str]
    ) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Return ∂L/∂joined, and ∂L/∂parameter as far as needed."""
        xp, own, needs, grads, djoined = self.namespace, self.parameters, frozenset(needs), {}, []
        for state, s, ds in zip(self.states, tape, dstates, strict=True):
            for k in range(self.num_layers):
                if (weight := f"weight_{state}_l{k}") in needs:
                    grads[weight] = ds[k].T @ s[k]  # (AT7′)
                if (bias := f"bias_{state}_l{k}") in needs:
                    grads[bias] = xp.sum(ds[k], axis=0)  # (AT7′)
            djoined.append(
                xp.stack([ds[k] @ own[f"weight_{state}_l{k}"] for k in range(self.num_layers)])  # (AT7′)
            )
        return tuple(djoined), grads


def joined(state: Any, directions: int) -> tuple[Array, ...]:
    """Return each state (layers, B, directions·H), both directions side by side, of a core's final h or (h, c)."""
    return tuple(
        array_namespace(s).concat([s[d::directions] for d in range(directions)], axis=-1) if directions > 1 else s
        for s in (state if isinstance(state, tuple) else (state,))
    )


def parted(states: tuple[Array, ...], directions: int) -> Any:
    """Return h or (h, c), each (layers·directions, B, H), of states with both directions side by side."""
    found = []
    for s in states:
        xp, (L, B, width) = array_namespace(s), s.shape
        H = width // directions
        ways = xp.stack([s[..., d * H : (d + 1) * H] for d in range(directions)], axis=1)
        found.append(xp.reshape(ways, (L * directions, B, H)))
    return found[0] if len(found) == 1 else tuple(found)
