"""`quantize`: from a layer or model to one for inference, with weights in int8."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..base import Layer
from ..checks import check_finite
from ..embedding import Embedding
from ..first_values import drawing, undrawn
from ..linear import Linear
from ..recurrent import GRU, LSTM, RNN
from ..stack import Recurrent
from .linear import QuantizedLinear
from .recurrent import QuantizedGRU, QuantizedLSTM, QuantizedRNN
from .rows import SCALE, Quantized, backend_in_int8, check_row, is_quantized
from .table import QuantizedEmbedding

KINDS: dict[type[Layer], type[Quantized]] = {
    RNN: QuantizedRNN,
    LSTM: QuantizedLSTM,
    GRU: QuantizedGRU,
    Linear: QuantizedLinear,
    Embedding: QuantizedEmbedding,
}
"""What becomes of each layer; any other stays as it is."""


def quantize(target: Any) -> Any:
    """Return a layer or model with weights in int8, for inference.

    Each row of a weight becomes integers from −127 to 127 and a scale, once; what the weights are multiplied by is
    quantised as it comes, row by row and step by step, and gates and states stay float32.

    Parameters
    ----------
    target : RNN, LSTM, GRU, Linear, Embedding, or a model
        In float32. It stays as it is. Of a model all such layers are quantised, and the others copied.

    Returns
    -------
    quantized : as target
        It is called as `target` is, a model evaluates and generates, and `save` and `load` know it. `parameters` has
        the integers under a weight's own name, and their scales under that name with ``_scale`` behind, read-only. What
        is assigned to a name is copied in, until the first call; into those of an `Embedding` that shares none, ever.

    Raises
    ------
    TypeError
        `target` is no such layer or model, is quantised already, or is not float32.
    ValueError
        A parameter is NaN or infinite, a weight's row is longer than 133,144, or a layer has zoneout.
    RuntimeError
        Its backend doesn't compute in int8, as "cuda".

    Notes
    -----
    Training it raises RuntimeError: train `target`, and quantize it again.
    """
    from ...equations.quantized import quantized  # whoever trains has no use for the equations

    if is_quantized(target):
        raise TypeError(f"quantize: target must be in float32, got one that is quantized already: {target!r}")
    if not isinstance(target, Layer) or not (type(target) in KINDS or hasattr(target, "layers")):
        raise TypeError(
            "quantize: target must be an RNN, LSTM, GRU, Linear, Embedding or a model of them, got "
            f"a {type(target).__name__}"
        )
    _check(target)
    twin = quantized_shell(target)
    values: dict[str, np.ndarray] = {}
    for name, array in target.parameters.items():
        if f"{name}{SCALE}" in twin.parameters:
            values[name], values[f"{name}{SCALE}"] = quantized(array)
        else:
            values[name] = array
    twin.load_state_dict(values)
    return twin


def _check(target: Any) -> None:
    """Refuse, in the words of whoever calls `quantize`, what one of its layers would refuse in its own."""
    for layer in [target] if type(target) in KINDS else target.layers.values():
        if isinstance(layer, Recurrent) and layer.regularisers.zoned:
            raise ValueError(
                "quantize: target must be without zoneout, whose inference mixes old states with new ones and has no "
                f"kernels in int8, got zoneout={layer.regularisers.config['zoneout']}; quantize a layer without it"
            )
        if type(layer) in KINDS:
            backend_in_int8("quantize", layer.dtype, layer.config["backend"], "target's ")
            for array in layer.parameters.values():
                check_row("quantize", array.shape[1] if array.ndim == 2 else 0)
    for name, array in target.parameters.items():
        check_finite("quantize", name, array)


def quantized_shell(target: Any) -> Any:
    """Return what `quantize` does, before the weights are filled in."""
    if type(target) in KINDS:
        return _room(target)
    memo: dict[int, Any] = {id(target.parameters): {}}  # none of its arrays is copied
    seen: dict[int, tuple[Any, Any]] = {}
    layers = {part: _layer(layer, memo, seen) for part, layer in target.layers.items()}
    if not any(isinstance(layer, Quantized) for layer in layers.values()):
        name = type(target).__name__
        raise TypeError(f"quantize: target must have layers that can be quantized, got a {name} that has none")
    twin = copy.deepcopy(target, memo)
    twin.config.pop("precision", None)
    twin._compose(layers)
    return twin


def _layer(layer: Layer, memo: dict[int, Any], seen: dict[int, tuple[Any, Any]]) -> Layer:
    """Return a layer of a model, quantised if its kind can be.

    Wherever the model refers to the layer, `memo` will put this one. Where two layers share an array, these two share
    what becomes of it, which is kept in `seen`.
    """
    if type(layer) not in KINDS:
        return copy.deepcopy(layer, memo)
    twin = _room(layer)
    memo[id(layer)] = twin
    for name, array in layer.parameters.items():
        own = twin.parameters[name], twin.parameters.get(f"{name}{SCALE}")
        rows, scale = seen.setdefault(id(array), own)
        if rows is not own[0]:
            twin._share(name, rows)
            twin._share(f"{name}{SCALE}", scale)
    return twin


def _room(layer: Layer) -> Quantized:
    """Return the quantised counterpart of a layer, whose values are written next; a draft's is a draft."""
    config = {name: value for name, value in layer.config.items() if name != "precision"}  # integers are multiplied
    with undrawn() if drawing() else nullcontext():
        return KINDS[type(layer)](**config)
