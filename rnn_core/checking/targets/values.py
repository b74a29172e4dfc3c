"""Values of a problem: copied, converted, drawn, and by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...layers.embedding import Embedding
from ...layers.home import move, to_host


def copies(arrays: Mapping[str, Any], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Return fresh copies, converted."""
    return {name: np.array(array, dtype) for name, array in arrays.items()}


def named(names: list[str], state: Any) -> dict[str, Any]:
    """Take h or (h, c) apart, by name."""
    return dict(zip(names, (state,) if len(names) == 1 else state, strict=True))


def unnamed(names: list[str], values: Mapping[str, Any]) -> Any:
    """Put h or (h, c) together; None where a name is absent."""
    found = tuple(values.get(name) for name in names)
    return found[0] if len(names) == 1 else found


def moved(state: Any, xp: Any) -> Any:
    """Return h or (h, c) as arrays of a namespace; None stays None."""
    if isinstance(state, tuple | list):
        return tuple(moved(s, xp) for s in state)
    return None if state is None else move(state, xp)


def drawn(state: Any, rng: int) -> Any:
    """Return an initial state like this final one, but drawn: one of zeros would hide what the first step does."""
    draws = np.random.default_rng([rng, STATE])
    parts = state if isinstance(state, tuple) else (state,)
    drawn = tuple((0.5 * draws.standard_normal(part.shape)).astype(to_host(part).dtype) for part in parts)
    return drawn if isinstance(state, tuple) else drawn[0]


STATE = 2**31
"""The second word of the initial state's seed: upstream gradients and masks have none."""


def hold_padding(layer: Embedding, twin: Embedding) -> None:
    """Undo a change of the padding row: it is a constant by definition, so its gradient is zero."""
    if layer.padding_idx is not None:
        twin.parameters["weight"][layer.padding_idx] = to_host(layer.parameters["weight"][layer.padding_idx])
