"""The standard cases of `rnn-core gradcheck`: every cell and activation, with every option of a layer.

Beside them stand the layers that are no cells, convolutions, pools, attention and the chain, each in a few forms; and
the cells of rnn_core.variants, which are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..layers import CRF, GRU, LSTM, RNN, Attention, AvgPool, Conv1d, Conv2d, GlobalAvgPool, MaxPool
from ..layers.defined import SHIPPED, Cell, shipped
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
    "resets": {"resets": True, "ragged": True, "num_layers": 2, "bidirectional": True, "dropout": 0.3},
    "combined": {"ragged": True, "num_layers": 2, "bidirectional": True, "dropout": 0.3},
    "no-bias": {"bias": False, "batch_first": True},
}
"""What each case adds to a single layer with T = 7, B = 3."""

FORMER = {"ragged, stacked, both ways": "combined", "no bias, batch first": "no-bias"}
"""Options as they were called once."""

SEEDS = {"RNN ReLU": 3, "SLSTM": 2}
"""A layer's seed, 1 for most. With these units of a ReLU live and die, and no gradient is zero throughout; and no
element of an sLSTM's gradient is so small beside what it is the sum of that rounding is all of it."""

ARGUMENTS = {name: {"eps": 0.1} for name in ("LayerNormLSTM", "LayerNormGRU")}
"""What a variant is made with beside its sizes. Four units may have hardly any variance, by whose root rounding is
divided at each step: a large ε keeps it below the tolerance."""


LAYERS: dict[str, dict[str, tuple[Callable[..., Any], dict[str, Any]]]] = {
    "Conv1d": {
        "strided": (Conv1d, {"kernel_size": 3, "stride": 2, "padding": 1}),
        "causal": (Conv1d, {"kernel_size": 3, "padding": "causal", "dilation": 2}),
    },
    "Conv2d": {
        "strided": (Conv2d, {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
        "same": (Conv2d, {"kernel_size": 3, "padding": "same", "dilation": (1, 2)}),
    },
    "MaxPool": {"overlapping": (MaxPool, {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)})},
    "AvgPool": {
        "padded": (AvgPool, {"kernel_size": 3, "stride": 2, "padding": 1}),
        "of what is there": (AvgPool, {"kernel_size": (3, 2), "padding": 1, "count_include_pad": False}),
        "over all": (GlobalAvgPool, {}),
    },
    "Attention": {score: (Attention, {"score": score}) for score in ("dot", "general", "additive")},
    "CRF": {"ragged": (CRF, {}), "some tags unknown": (CRF, {})},
}
"""Layers that are no cells, in the forms that they are checked in."""


class Case(NamedTuple):
    """One line of the table: a layer with its input."""

    cell: str
    option: str
    layer: Any
    x: Any
    state0: Any = None
    lengths: np.ndarray | None = None
    targets: np.ndarray | None = None
    weights: np.ndarray | None = None
    resets: np.ndarray | None = None

    def check(self, method: str = "complex-step", tolerance: float | None = None) -> GradientReport:
        """Run `gradcheck` on this case."""
        return gradcheck(
            self.layer, self.x, state0=self.state0, lengths=self.lengths, targets=self.targets, weights=self.weights,
            resets=self.resets, all_states=self.resets is not None, method=method, tolerance=tolerance,
        )  # fmt: skip


def standard_cases(
    *,
    backend: str | None = None,
    dtype: Any = np.float64,
    steps: int = 50,
    options: tuple[str, ...] | None = None,
    cells: Iterable[str] | None = None,
    cell_options: Mapping[str, Any] | None = None,
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
    cells : iterable of str, optional
        A selection of `CELLS`.
    cell_options : mapping, optional
        What the layers are made with besides, by keyword.

    Raises
    ------
    ValueError
        There is no such option.
    """
    chosen = [_known(option) for option in (OPTIONS if options is None else options)]
    return _cases(chosen, backend, dtype, steps, [*(CELLS if cells is None else cells)], dict(cell_options or {}))


def _known(option: str) -> str:
    option = FORMER.get(option, option)
    if option not in OPTIONS:
        raise ValueError(f"standard_cases: options must be out of {', '.join(OPTIONS)}, got {option!r}")
    return option


def _cases(
    options: list[str], backend: str | None, dtype: Any, steps: int, cells: list[str], cell_options: dict[str, Any]
) -> Iterator[Case]:
    for cell in cells:
        layer_type, arguments = CELLS[cell]
        for option in options:
            yield _case(cell, option, layer_type, arguments | cell_options, backend, dtype, steps)


def cell_cases(
    kind: type[Recurrent],
    *,
    backend: str | None = None,
    dtype: Any = np.float64,
    steps: int = 50,
    options: tuple[str, ...] | None = None,
    cell_options: Mapping[str, Any] | None = None,
) -> Iterator[Case]:
    """Return the standard cases of a cell that a user has defined, made one by one; arguments as `standard_cases`."""
    for option in [_known(option) for option in (OPTIONS if options is None else options)]:
        yield _case(kind.__name__, option, kind, dict(cell_options or {}), backend, dtype, steps)


def variant_cases(
    names: Iterable[str] = tuple(SHIPPED),
    *,
    backend: str | None = None,
    dtype: Any = np.float64,
    steps: int = 50,
    options: tuple[str, ...] | None = None,
    cell_options: Mapping[str, Any] | None = None,
) -> Iterator[Case]:
    """Return the standard cases of rnn_core.variants, or of those named; other arguments as `standard_cases`."""
    for name in names:
        yield from cell_cases(
            shipped(name), backend=backend, dtype=dtype, steps=steps, options=options, cell_options=cell_options
        )


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
    T, B, I = (steps if settings.pop("T", None) else 7), 3, 2
    ragged, put_back = settings.pop("ragged", False), settings.pop("resets", False)
    H, arguments = sizes_of(layer_type, arguments)
    layer = layer_type(I, H, **arguments, **settings, backend=backend, dtype=dtype, seed=SEEDS.get(cell, 1))
    rng = np.random.default_rng(2)
    if isinstance(layer, Cell):
        _move(layer, np.random.default_rng(3))
    x = rng.standard_normal((B, T, I) if layer.batch_first else (T, B, I)).astype(dtype)
    count = layer.num_layers * layer.directions
    states = tuple(rng.standard_normal((count, B, size)).astype(dtype) for size in layer._sizes)
    lengths = np.array([T, 1, T // 2]) if ragged else None
    resets = rng.random(x.shape[:2]) < 0.3 if put_back else None
    return Case(cell, option, layer, x, states if len(states) > 1 else states[0], lengths, resets=resets)


def around(begin: float, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers near one with which parameters begin: were all of them 1 or 0, a factor or a term would hide."""
    return begin + rng.uniform(-0.3, 0.3, shape) * (abs(begin) or 1)


def _move(layer: Cell, rng: np.random.Generator) -> None:
    """Give other numbers to parameters that begin with a constant: as factors of 1 they would be missed by nothing."""
    for name, array in layer.parameters.items():
        begin = layer.initial.get(name.removesuffix("_reverse").rpartition("_l")[0])
        if begin is not None and not callable(begin):
            array[...] = layer.namespace.asarray(around(begin, rng, array.shape).astype(array.dtype))


def sizes_of(kind: type[Recurrent], arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return hidden_size, and the arguments with the other sizes that a cell is to be given."""
    if not issubclass(kind, Cell):
        return 3, arguments
    sizes = ({"proj_size": 2} if kind.definition.projection else {}) | ({"num_heads": 2} if kind.heads else {})
    return 4 if kind.heads or kind.definition.across else 3, sizes | ARGUMENTS.get(kind.__name__, {}) | arguments


def layer_cases(*, backend: str | None = None, dtype: Any = np.float64) -> Iterator[Case]:
    """Return a case of each form of each of `LAYERS`, made one by one.

    Parameters
    ----------
    backend : str, optional
        Where a layer's arrays live, and whose loops it runs in. Pools have none of their own: theirs are NumPy's here.
    dtype : dtype
        float64, or float32.
    """
    for name, forms in LAYERS.items():
        for form, (layer_type, arguments) in forms.items():
            yield _layer_case(name, form, layer_type, arguments, {"backend": backend, "dtype": dtype, "seed": 1})


def _layer_case(
    name: str, form: str, layer_type: Callable[..., Any], arguments: dict[str, Any], shared: dict[str, Any]
) -> Case:
    rng, dtype, B, T = np.random.default_rng(2), shared["dtype"], 3, 5
    lengths = np.array([T, 1, T - 2])

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    if name == "Attention":
        key_size = 3 if form == "dot" else 4
        layer = layer_type(3, key_size, 2, **arguments, output_size=2, **shared)
        return Case(name, form, layer, (drawn(B, 4, 3), drawn(B, T, key_size), drawn(B, T, 2)), lengths=lengths)
    if name == "CRF":
        layer = layer_type(3, **arguments, **shared)
        for array in layer.parameters.values():
            array[...] = layer.namespace.asarray(drawn(*array.shape))  # of zeros the chain is a softmax at each step
        weights = None if form == "ragged" else (rng.random((B, T)) < 0.6).astype(dtype)
        return Case(name, form, layer, drawn(B, T, 3), None, lengths, rng.integers(0, 3, (B, T)), weights)
    if name in ("Conv1d", "Conv2d"):
        sizes = (9,) if name == "Conv1d" else (6, 7)
        return Case(name, form, layer_type(2, 3, **arguments, **shared), drawn(2, 2, *sizes))
    return Case(name, form, layer_type(**arguments), drawn(2, 2, 6, 7))
