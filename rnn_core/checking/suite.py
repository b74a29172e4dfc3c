"""The standard cases of `rnn-core gradcheck`: every cell and activation, with every option of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..layers import GRU, LSTM, RNN
from ..layers.stack import Recurrent
from .check import gradcheck
from .report import GradientReport

CELLS: dict[str, tuple[type[Recurrent], dict[str, Any]]] = {
    "RNN tanh": (RNN, {"nonlinearity": "tanh"}),
    "RNN ReLU": (RNN, {"nonlinearity": "relu"}),
    "RNN sigmoid": (RNN, {"nonlinearity": "sigmoid"}),
    "LSTM": (LSTM, {}),
    "GRU": (GRU, {}),
}
"""Every cell, with the arguments that make it."""

OPTIONS: dict[str, dict[str, Any]] = {
    "long": {"T": 50},
    "stacked": {"num_layers": 3},
    "bidirectional": {"bidirectional": True},
    "ragged": {"ragged": True},
    "combined": {"ragged": True, "num_layers": 2, "bidirectional": True, "dropout": 0.3},
    "no-bias": {"bias": False, "batch_first": True},
}
"""What each case adds to a single layer with T = 7, B = 3."""

FORMER = {"ragged, stacked, both ways": "combined", "no bias, batch first": "no-bias"}
"""Options as they were called once."""

SEEDS = {"RNN ReLU": 3}
"""A layer's seed, 1 for most. With this one units of a ReLU live and die, and no gradient is zero throughout."""


class Case(NamedTuple):
    """One line of the table: a layer with its input."""

    cell: str
    option: str
    layer: Recurrent
    x: np.ndarray
    state0: Any
    lengths: np.ndarray | None

    def check(self, method: str = "complex-step", tolerance: float | None = None) -> GradientReport:
        """Run `gradcheck` on this case."""
        return gradcheck(
            self.layer, self.x, state0=self.state0, lengths=self.lengths, method=method, tolerance=tolerance
        )


def standard_cases(
    *, backend: str | None = None, dtype: Any = np.float64, steps: int = 50, options: tuple[str, ...] | None = None
) -> Iterator[Case]:
    """Return the standard cases, made one by one: each of `CELLS` with each of `OPTIONS`, or with those named.

    Parameters
    ----------
    backend : str, optional
        Whose backward is checked; the default backend's without it.
    dtype : dtype
        float64, or float32.
    steps : int
        T of the option "long".
    options : tuple of str, optional
        A selection of `OPTIONS`.

    Raises
    ------
    ValueError
        There is no such option.
    """
    chosen = [_known(option) for option in (OPTIONS if options is None else options)]
    return _cases(chosen, backend, dtype, steps)


def _known(option: str) -> str:
    option = FORMER.get(option, option)
    if option not in OPTIONS:
        raise ValueError(f"standard_cases: options must be out of {', '.join(OPTIONS)}, got {option!r}")
    return option


def _cases(options: list[str], backend: str | None, dtype: Any, steps: int) -> Iterator[Case]:
    for cell, (layer_type, arguments) in CELLS.items():
        for option in options:
            yield _case(cell, option, layer_type, arguments, backend, dtype, steps)


def _case(
    cell: str,
    option: str,
    layer_type: type[Recurrent],
    arguments: dict[str, Any],
    backend: str | None,
    dtype: Any,
    steps: int,
) -> Case:
    settings = dict(OPTIONS[option])
    T, B, I, H = (steps if settings.pop("T", None) else 7), 3, 2, 3
    ragged = settings.pop("ragged", False)
    layer = layer_type(I, H, **arguments, **settings, backend=backend, dtype=dtype, seed=SEEDS.get(cell, 1))
    rng = np.random.default_rng(2)
    x = rng.standard_normal((B, T, I) if layer.batch_first else (T, B, I)).astype(dtype)
    shape = (layer.num_layers * layer.directions, B, H)
    states = tuple(rng.standard_normal(shape).astype(dtype) for _ in layer.spec.states)
    lengths = np.array([T, 1, T // 2]) if ragged else None
    return Case(cell, option, layer, x, states if len(states) > 1 else states[0], lengths)
