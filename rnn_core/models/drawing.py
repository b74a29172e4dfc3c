"""The next token: drawn from what a head says, or the likeliest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..foreign import shown


def next_tokens(logits: Array, temperature: float, rng: np.random.Generator) -> Array:
    """Return a token (B,) for each row of logits (B, V), from softmax(logits / temperature); 0 takes the likeliest."""
    xp = array_namespace(logits)
    if temperature:
        # The argmax of scores with Gumbel noise is a draw from their softmax.
        logits = (logits - xp.max(logits, axis=-1, keepdims=True)) / temperature
        logits = logits + xp.asarray(rng.gumbel(size=tuple(logits.shape)))
    return xp.argmax(logits, axis=-1)


def checked_temperature(where: str, temperature: Any) -> float:
    """Return a temperature, if it is one."""
    if isinstance(temperature, bool) or not isinstance(temperature, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: temperature must be a number, got {shown(temperature)}")
    if not 0 <= temperature < np.inf:
        raise ValueError(f"{where}: temperature must be at least 0 and finite, got {temperature}")
    return float(temperature)


def likeliest(logits: Array, top_k: int | None, never: np.ndarray) -> Array:
    """Return logits (B, V) with −∞ for the tokens that are never drawn, and for all but the `top_k` likeliest."""
    xp = array_namespace(logits)
    if never.any():
        logits = xp.where(xp.asarray(never), -xp.inf, logits)
    if top_k is None:
        return logits
    V = logits.shape[-1]
    least = xp.sort(logits, axis=-1)[:, V - top_k : V - top_k + 1]
    return xp.where(logits < least, -xp.inf, logits)


def ruled_out(where: str, never: Iterable[int], V: int) -> np.ndarray:
    """Return which of the tokens 0…V − 1 are never drawn, (V,), if one is left."""
    tokens = [int(token) for token in never]
    if not all(0 <= token < V for token in tokens) or len(set(tokens)) == V:
        raise ValueError(f"{where}: never must name some of the tokens 0…{V - 1}, and leave one, got {shown(tokens)}")
    return np.isin(np.arange(V), tokens)
