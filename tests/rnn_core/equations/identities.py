"""What the tests of identities share: cells drawn at random, in float64, and a way to run and differentiate them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import CELLS, Parameters, State, gradient_names
from rnn_core.equations import cell

T, B, I, H = 7, 3, 4, 5
SURE = 800.0
"""A pre-activation at which σ is exactly 1, and exactly 0 with the other sign."""


def draw(name: str, *, seed: int = 0, scale: float = 0.7) -> tuple[Any, np.ndarray, State]:
    """Return parameters, an input and an initial state."""
    rng = np.random.default_rng(seed)
    GH = CELLS[name].gate_count * H
    params = Parameters(*(scale * rng.standard_normal(shape) for shape in ((GH, I), (GH, H), (GH,), (GH,))))
    state = tuple(rng.standard_normal((B, H)) for _ in CELLS[name].states)
    return params, rng.standard_normal((T, B, I)), state


def block(name: str) -> Any:
    """Return the slice of each gate's rows, by name."""
    return CELLS[name].blocks(H)


def with_bias(params: Parameters, rows: slice, value: float) -> Any:
    """Return the parameters with these rows switched to a constant: no weights, and this bias."""
    arrays: list[Any] = [np.array(array) for array in params]
    for array in arrays:
        array[rows] = 0
    arrays[2][rows] = value
    return Parameters(*arrays)


def run(name: str, params: Parameters, x: np.ndarray, state: State, **options: Any) -> tuple[np.ndarray, State]:
    """Return y and the final state."""
    return cell(name).infer(params, x, state, **options)


def differentiate(
    name: str,
    params: Parameters,
    x: np.ndarray,
    state: State,
    dy: np.ndarray | None,
    dstate: tuple[np.ndarray | None, ...] | None = None,
    lengths: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return every gradient by name."""
    names = gradient_names(CELLS[name])
    _, _, tape = cell(name).forward(params, x, state, lengths)
    dstate = dstate or (None,) * len(state)
    dx, dstate0, gradients = cell(name).backward(params, tape, dy, dstate, frozenset(names))
    return dict(zip(names, (dx, *dstate0, *gradients), strict=True))


def close(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    """Assert agreement, relative to the largest element."""
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
