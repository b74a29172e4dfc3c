"""The recurrent core of a model: which layers it may be, and what keywords of theirs a model hands on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from kernels.definition import Definition

from ..foreign import shown
from ..layers import GRU, LSTM, RNN
from ..layers.checks import probability
from ..layers.defined import DEFINED, SHIPPED, Cell, cells_by_name, shipped
from ..layers.first_values import undrawn
from ..layers.stack import Recurrent

CORES: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
"""The recurrent layers that a model can be built on, by the word a user writes in ``cell=``; besides those that a user
has defined (`rnn_core.cell`)."""

OF_THE_MODEL = (
    "input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional", "nonlinearity", "backend",
    "dtype", "precision", "seed",
)  # fmt: skip
"""Keywords of a recurrent layer that a model decides by arguments of its own; all others are for ``cell_options=``."""


def word_of_cell(cell: Any) -> Any:
    """Return the word for a cell, of which a class of a user's own (`rnn_core.cell.define`) may be given."""
    defined = isinstance(cell, type) and issubclass(cell, Cell) and DEFINED.get(cell.__name__) is cell
    return cell.__name__ if defined else cell


def kind_of_core(where: str, cell: Any) -> type[Recurrent]:
    """Return the class of a model's recurrent layer.

    Raises
    ------
    ValueError
        There is no such cell.
    """
    cores, cell = {**CORES, **cells_by_name()}, word_of_cell(cell)
    if isinstance(cell, str) and cell in cores:
        return cores[cell] or shipped(cell)
    own = ", ".join(name for name in DEFINED if name not in SHIPPED)
    if isinstance(cell, Cell | Definition):
        name = cell.name if isinstance(cell, Definition) else type(cell).__name__
        what = "definition" if isinstance(cell, Definition) else "layer"
        raise ValueError(f"{where}: cell must be a cell, got a {what} of it; take the class, {name}, or its name")
    raise ValueError(
        f"{where}: cell must be one of {', '.join(map(repr, CORES))}, got {shown(cell)}; or of rnn_core.variants: "
        f"{', '.join(SHIPPED)}{f'; or of those defined here: {own}' if own else ''}"
    )


def recurrent_core(
    where: str, *, cell: Any, nonlinearity: str, input_size: int, dropout: float, num_layers: int,
    cell_options: Mapping[str, Any] | None = None, **options: Any,
) -> Recurrent:  # fmt: skip
    """Return the recurrent layer of a model, over sequences whose rows come first."""
    kind = kind_of_core(where, cell)
    own = _checked_options(where, kind, cell_options)
    if kind is RNN:
        options["nonlinearity"] = nonlinearity
    elif nonlinearity != "tanh":
        raise ValueError(
            f"{where}: nonlinearity must be left out with cell={word_of_cell(cell)!r}, whose gates have their own, "
            f"got {nonlinearity!r}; or take cell='rnn'"
        )
    # A single layer has no layers between which to drop: the model's dropout acts around it.
    between = 0.0 if num_layers == 1 else dropout
    probability(kind.__name__, "dropout", dropout)
    try:
        return kind(input_size, batch_first=True, num_layers=num_layers, dropout=between, **options, **own)
    except (TypeError, ValueError, RuntimeError) as error:
        if kind in CORES.values() and not own:
            raise
        raise type(error)(f"{where}: {error}") from None


def width_of_core(where: str, *, hidden_size: int, cell_options: Mapping[str, Any] | None, **core: Any) -> int:
    """Return the `output_size` that a recurrent layer will have, for what must be known before it is made.

    Parameters are those of `recurrent_core`, without `input_size` and `seed`.
    """
    if not cell_options:
        return hidden_size
    with undrawn():
        one = recurrent_core(where, input_size=1, hidden_size=hidden_size, cell_options=cell_options, **core)
    return one.output_size


def kept_options(core: Recurrent, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the options that a core was made with, as it has checked them; None where all are as they usually are."""
    return {name: core.config[name] for name in given or () if name in core.config} or None


def taken_by(kind: type[Recurrent]) -> list[str]:
    """Return what a recurrent layer takes by ``cell_options=``."""
    return [name for name in inspect.signature(kind).parameters if name not in OF_THE_MODEL]


def _checked_options(where: str, kind: type[Recurrent], given: Any) -> dict[str, Any]:
    """Return what a model hands on to its recurrent layer, if the layer takes it and the model does not decide it."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{where}: cell_options must be a mapping of what the recurrent layer takes by keyword, got {shown(given)}"
        )
    takes = taken_by(kind)
    for name in given:
        if name in OF_THE_MODEL:
            raise ValueError(
                f"{where}: cell_options must leave out {name}, which is the model's to decide, got "
                f"{shown(given[name])}; where the model takes {name}, give it there"
            )
        if name not in takes:
            raise TypeError(
                f"{where}: cell_options must be what {kind.__name__} takes, {', '.join(takes)}, got {shown(name)}"
            )
    return dict(given)
