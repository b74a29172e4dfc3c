"""`export_onnx`: a layer or model as an ONNX file, of what it computes when it is called."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import onnx

from ... import __version__
from ...atomic import check_writable, write_atomically
from ...foreign import one_line
from ...layers.base import Layer
from ...layers.checks import check_finite, flag
from ...layers.embedding import Embedding
from ...layers.home import to_host
from ...layers.layout import describe
from ...layers.linear import Linear
from ...layers.quantized import is_quantized
from ...layers.stack import Recurrent
from ...models import LanguageModel, SequenceClassifier, SequenceRegressor, SequenceTagger
from ...models.base import Model
from ...models.fronts.plain import Features, Tokens
from ..order import FORMS, form_of
from .building import MOST_BYTES, Graph
from .layers import write_embedding, write_lengths, write_linear, write_recurrent, write_states
from .models import write_model

MODELS = (LanguageModel, SequenceClassifier, SequenceRegressor, SequenceTagger)


def export_onnx(target: Layer, path: str | os.PathLike[str], *, lengths: bool = True, states: bool = True) -> None:
    """Write a layer or model as an ONNX file: what it computes when it is called, without dropout.

    Parameters
    ----------
    target : RNN, LSTM, GRU, PeepholeLSTM, CoupledLSTM, ResetBeforeGRU, Embedding, Linear, or a model
        In float32 or float64, on the host or the GPU. Of the models LanguageModel, SequenceClassifier,
        SequenceRegressor, and SequenceTagger without a CRF, on features or tokens.
    path : path
        The file, by custom ``….onnx``. Its folder must exist; what stood there is replaced whole or not at all.
    lengths : bool
        Recurrent layers and models take ``lengths``, as their call does. Whoever runs the file may leave it out.
    states : bool
        Recurrent layers and language models take their initial states ``h0`` and ``c0``, likewise.

    Raises
    ------
    TypeError
        The target is nothing that ONNX's operators can say, or is complex.
    ValueError
        An option is such (zoneout, a CRF, a front, products in bfloat16), a parameter is NaN or infinite, or the
        weights have 2 GiB or more. The message names it, and the way out.
    OSError
        The folder is missing, or the file can't be written.

    Notes
    -----
    Batch and time have any size. Inputs and outputs have the names and shapes of the call:

    ==================  =========================================================  =====================================
    of                  inputs                                                     outputs
    ==================  =========================================================  =====================================
    recurrent layers    ``x`` (T, B, I), or (B, T, I) with batch_first;            ``y``, ``h`` and, of an LSTM, ``c``
                        ``lengths`` (B,) of int64; ``h0``, ``c0``
    Embedding           ``tokens`` (B, T) of int64                                 ``y`` (B, T, D)
    Linear              ``x`` (B, T, I)                                            ``y`` (B, T, O)
    models              ``tokens`` (B, T) of int64, or ``x`` (B, T, I);            ``logits``; ``h`` and ``c`` of a
                        ``lengths``; ``h0`` and ``c0`` of a language model         language model
    ==================  =========================================================  =====================================

    The file is of opset 17 and IR version 8, and has passed ONNX's own checker with its shapes inferred.

    Examples
    --------
    >>> export_onnx(LSTM(3, 5, num_layers=2), "lstm.onnx")  # doctest: +SKIP
    """
    where = "export_onnx"
    lengths, states = flag(where, "lengths", lengths), flag(where, "states", states)
    _check(where, target)
    check_writable(path, where=where)
    graph = Graph(target.dtype)
    if isinstance(target, Recurrent):
        _write_layer(graph, target, lengths, states)
    elif isinstance(target, Embedding):
        tokens = graph.input("tokens", ["batch", "time"], np.int64)
        graph.output("y", write_embedding(graph, "", target, tokens), ["batch", "time", target.embedding_dim])
    elif isinstance(target, Linear):
        x = graph.input("x", ["batch", "time", target.in_features])
        graph.output("y", write_linear(graph, "", target, x), ["batch", "time", target.out_features])
    else:
        write_model(graph, target, lengths, states)  # type: ignore[arg-type]
    size = sum(array.nbytes for array in graph.weights.values())
    if size > MOST_BYTES:
        raise ValueError(
            f"{where}: target must have less than 2 GiB of weights, as a file of ONNX's holds no more, got {size:,} "
            f"bytes; export its layers one by one"
        )
    said = {"class": type(target).__name__, "config": json.dumps(target.config)}
    model = graph.model(type(target).__name__, __version__, {f"rnn_core.{key}": value for key, value in said.items()})
    onnx.checker.check_model(model, full_check=True)
    write_atomically(path, model.SerializeToString(), where=where)


def _write_layer(graph: Graph, layer: Recurrent, lengths: bool, states: bool) -> None:
    """Add a recurrent layer by itself, with its inputs and outputs as its call has them."""
    axes: list[int | str] = ["batch", "time"] if layer.batch_first else ["time", "batch"]
    x = graph.input("x", [*axes, layer.input_size])
    turned = graph.add("Transpose", x, perm=[1, 0, 2]) if layer.batch_first else x
    found = write_lengths(graph, turned, 0, masked=False).numbers if lengths else ""
    initial = write_states(graph, layer, turned) if states else []
    y, finals, _ = write_recurrent(graph, "", layer, turned, found, initial)
    y = graph.add("Transpose", y, perm=[1, 0, 2]) if layer.batch_first else y
    graph.output("y", y, [*axes, layer.directions * layer.output_size])
    rows = layer.num_layers * layer.directions
    for name, size, final in zip(layer.spec.states, layer._sizes, finals, strict=True):
        graph.output(name, final, [rows, "batch", size])


def _check(where: str, target: Any) -> None:
    """Raise TypeError or ValueError where ONNX's operators can't say what a layer or model computes."""
    if not isinstance(target, Layer):
        raise TypeError(f"{where}: target must be a layer or model of rnn_core, got {describe(target)}")
    name = type(target).__name__
    if is_quantized(target):
        raise TypeError(f"{where}: target must have its weights in floats, got int8; export what quantize was given")
    if target.dtype.kind == "c":
        raise TypeError(
            f"{where}: target must be float32 or float64, got {target.dtype}; take target.astype('float64')"
        )
    if isinstance(target, Model):
        _check_model(where, target)
    elif not isinstance(target, Recurrent) and type(target) not in (Embedding, Linear):
        raise TypeError(
            f"{where}: target must be a recurrent layer, Embedding, Linear, or a model ({_names(MODELS)}), got {name}"
        )
    for part, layer in (target.layers if isinstance(target, Model) else {"": target}).items():
        if isinstance(layer, Recurrent):
            _check_recurrent(where, part, layer)
    if getattr(target, "precision", target.config.get("precision", "float32")) != "float32":
        raise ValueError(
            f"{where}: target must multiply in its own dtype, got precision='bfloat16', which ONNX Runtime's recurrent "
            f"operators lack; take target.astype('float32', precision='float32')"
        )
    for key, array in target.parameters.items():
        check_finite(where, key, to_host(array))


def _check_model(where: str, model: Model) -> None:
    """Raise TypeError or ValueError for a model that is more than ONNX's operators say."""
    name = type(model).__name__
    if type(model) not in MODELS:
        kind = type(model).__mro__[1].__name__ if isinstance(model, MODELS) else ""
        raise TypeError(
            f"{where}: target must be one of {_names(MODELS)}, or a layer, got {name}; "
            + (f"build a {kind} of its config and load_state_dict" if kind else
               "export its recurrent layer, embedding and head by themselves: model.layers has them")
        )  # fmt: skip
    if isinstance(model, SequenceTagger) and model.crf is not None:
        raise ValueError(
            f"{where}: target must have no CRF, whose search for the best tags ONNX has no operator for, got a {name} "
            "with crf=True; build it with crf=False, load all parameters but crf.* into it, and decode the scores here "
            "with model.crf.decode"
        )
    front = model.front  # type: ignore[attr-defined]  # those of MODELS have one
    if not isinstance(front, Features | Tokens):
        kind = (front.config or {}).get("kind", type(front).__name__)
        raise ValueError(
            f"{where}: target must read features or tokens, got the front {kind!r}; export model.rnn and model.head by "
            "themselves, and compute model.front here"
        )


def _check_recurrent(where: str, part: str, layer: Recurrent) -> None:
    """Raise TypeError or ValueError for a recurrent layer that no operator of ONNX's computes."""
    name, place = type(layer).__name__, f" as its {part!r}" if part else ""
    if form_of(layer) is None:
        raise TypeError(
            f"{where}: target must be of cells that ONNX has operators for, {_names(FORMS)}, got {name}{place}; "
            "there is no way to say another cell but step by step"
        )
    if layer.regularisers.zoned:
        raise ValueError(
            f"{where}: target must have no zoneout, which mixes old states with new ones also without training, got "
            f"{one_line(layer.regularisers.zoneout)} in {name}{place}; ONNX has no operator for it"
        )


def _names(kinds: Any) -> str:
    """Return names in a row, or those of classes."""
    return ", ".join(kind if isinstance(kind, str) else kind.__name__ for kind in kinds)
