"""Models whose states are features of a sequence: those with a core, and pairs of language models."""

from __future__ import annotations

from typing import Any

from kernels.contract import Array
from rnn_core import BidirectionalLanguageModel
from rnn_core.foreign import shown
from rnn_core.layers.checks import check_finite

from .caching import WithCore, hidden_states, model_with_core

Source = WithCore | BidirectionalLanguageModel
"""What `RNNFeatures` takes."""


def checked_source(where: str, model: Any, layer: Any) -> Source | None:
    """Return `model`, if it has states to give, of that layer if one is named; None stands for a random core.

    Raises
    ------
    ValueError
        A parameter is NaN or infinite, there is no such layer, or one is named where the top one is all there is.
    TypeError
        The model is another, or reads something else than features or tokens.
    """
    if not isinstance(model, BidirectionalLanguageModel):
        if layer is not None:
            raise ValueError(
                f"{where}: layer must be left out but with a BidirectionalLanguageModel, whose layers are told apart, "
                f"got {shown(layer)}"
            )
        return None if model is None else model_with_core(where, model)
    if model.embedding is None:
        raise TypeError(f"{where}: model must read tokens, got a {type(model).__name__} with a front of its own")
    whole = isinstance(layer, int) and not isinstance(layer, bool)
    if layer is not None and not (whole and 0 <= layer <= model.num_layers):
        raise ValueError(f"{where}: layer must be in 0…{model.num_layers} or None, got {shown(layer)}")
    for name, array in model.parameters.items():
        check_finite(where, name, array)
    return model


def states_of(where: str, model: Source, layer: int | None, inputs: Array, lengths: Any) -> Array:
    """Return states (B, T, F) of features or tokens; of a pair of language models one layer's, or the mean of all."""
    if not isinstance(model, BidirectionalLanguageModel):
        return hidden_states(where, model, inputs, lengths)[0]
    states = model.states(inputs, lengths)
    return model.namespace.mean(states, axis=2) if layer is None else states[:, :, layer]


def sides(model: Source) -> tuple[int, int]:
    """Return how many directions stand side by side in the states, and the units of each."""
    if isinstance(model, BidirectionalLanguageModel):
        return 2, model.halves[0].core.output_size
    return model.rnn.directions, model.rnn.output_size
