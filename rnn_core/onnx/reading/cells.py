"""ONNX's recurrent operators, RNN, LSTM and GRU, as layers of ours: their inputs and attributes, and what can't be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..order import Packed
from .stages import Cells
from .taking import as_layers_read
from .values import Atom, Axis, CantRead, Flow, Known, Sizes, States, Zeros, size_of

BLOCKS = {"RNN": 1, "GRU": 3, "LSTM": 4}
"""Gates of each operator."""

FUNCTIONS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
"""What each computes with, if nothing is said."""

DIRECTIONS = ("forward", "reverse", "bidirectional")


def read_cells(op: str, node: str, given: Sequence[Any], attributes: Mapping[str, Any]) -> list[Flow]:
    """Return what a node of op RNN, GRU or LSTM makes of what flows into it: y, and each final state.

    Parameters
    ----------
    op, node : str
        The operator, and what errors call the node.
    given : list
        X, W, R, B, sequence_lens, initial_h and, of an LSTM, initial_c and P; None for what is left out.
    attributes : mapping

    Raises
    ------
    CantRead
        It is no layer of ours; the reason names the attribute or the input.
    """
    x, W, R, B, lengths, *others = [*given, *[None] * (8 - len(given))][:8]
    states, P = (others[:2], others[2]) if op == "LSTM" else (others[:1], None)
    direction = attributes.get("direction", "forward")
    if direction not in DIRECTIONS:
        raise CantRead(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    D = 2 if direction == "bidirectional" else 1
    packed = _weights(op, D, attributes.get("hidden_size"), W, R, B, P)
    kind = _kind(op, attributes, P is not None)
    x, nonlinearity = _input(x, packed), _functions(op, D, attributes)
    inputs = {_state(one) for one in states} | {_lengths(lengths, x.axes[0][0])}
    step = Cells(node, kind, packed, nonlinearity, direction == "reverse", frozenset(inputs - {""}))
    return _through(x, step, len(states))


def _kind(op: str, attributes: Mapping[str, Any], peepholes: bool) -> str:
    """Return the class of ours, of `FORMS`."""
    for name in ("clip", "activation_alpha", "activation_beta"):
        if attributes.get(name):
            raise CantRead(f"{name} must be left out, which none of our cells has, got {attributes[name]}")
    if attributes.get("layout", 0):
        raise CantRead(f"layout must be 0, time before batch, got {attributes['layout']}")
    coupled = bool(attributes.get("input_forget", 0))
    if coupled and peepholes:
        raise CantRead("input_forget must be 0 with peepholes (P): we have cells of either, and none of both")
    if op == "LSTM":
        return "PeepholeLSTM" if peepholes else "CoupledLSTM" if coupled else "LSTM"
    if op == "GRU":
        return "GRU" if attributes.get("linear_before_reset", 0) else "ResetBeforeGRU"
    return "RNN"


def _functions(op: str, D: int, attributes: Mapping[str, Any]) -> str:
    """Return the nonlinearity of a vanilla RNN, and "" of the others, if they are those that our cells have."""
    usual = FUNCTIONS[op] * D
    found = tuple(attributes.get("activations") or usual)
    alike = tuple(name.lower() for name in found)
    if op == "RNN" and len(alike) == D and len({*alike}) == 1 and alike[0] in ("tanh", "relu", "sigmoid"):
        return alike[0]
    if alike != tuple(name.lower() for name in usual):
        must = "Tanh, Relu or Sigmoid, alike in both directions" if op == "RNN" else ", ".join(usual)
        raise CantRead(f"activations must be {must}, as our cells have them, got {', '.join(found)}")
    return ""


def _weights(op: str, D: int, hidden_size: Any, *given: Any) -> Packed:
    """Return W, R, B and P, checked; None for what is left out."""
    names = Packed._fields
    arrays: list[Any] = []
    for name, value in zip(names, given, strict=True):
        if value is None and name in ("B", "P"):
            arrays.append(None)
            continue
        if not isinstance(value, Known) or value.array.dtype not in (np.float32, np.float64):
            got = value.array.dtype if isinstance(value, Known) else "what is computed or comes in"
            raise CantRead(f"{name} must be float32 or float64 numbers that the file holds, got {got}")
        arrays.append(value.array)
    W, R, B, P = arrays
    G, H = BLOCKS[op], R.shape[-1] if hidden_size is None else int(hidden_size)
    I = W.shape[-1] if W.ndim == 3 else 0
    shapes = {"W": (D, G * H, I), "R": (D, G * H, H), "B": (D, 2 * G * H), "P": (D, 3 * H)}
    for name, array in zip(names, arrays, strict=True):
        if array is not None and (array.shape != shapes[name] or array.dtype != W.dtype or 0 in array.shape):
            raise CantRead(
                f"{name} must have shape {shapes[name]} and the dtype of W, {W.dtype}, got {array.shape} of "
                f"{array.dtype}; hidden_size is {H}"
            )
    return Packed(W, R, B, P)


def _state(value: Any) -> str:
    """Return the input that an initial state comes from, "" for zeros."""
    if value is None or isinstance(value, Zeros) or (isinstance(value, Known) and not value.array.any()):
        return ""
    if isinstance(value, Flow) and not value.steps:
        return value.source
    got = "numbers" if isinstance(value, Known) else "something else"
    if isinstance(value, States | Flow):
        got = "the states of another layer"
    raise CantRead(f"initial states must be zeros or an input, got {got}; call our layers with state0")


def _input(x: Any, packed: Packed) -> Flow:
    """Return what flows into a layer, (T, B, I), with its axes known by what they are."""
    if not isinstance(x, Flow):
        raise CantRead("X must be what flows from the input")
    x = as_layers_read(x)
    if len(x.axes) != 3 or x.axes[2] != x.features or [len(axis) for axis in x.axes[:2]] != [1, 1]:
        raise CantRead("X must have the axes time, batch and features, in this order, each by itself")
    size, I = size_of(x.features), packed.W.shape[2]
    if size is not None and size != I:
        raise CantRead(f"X must have {I} features, as W has, got {size}")
    (time,), (batch,) = x.axes[:2]
    if x.time is not None and (x.time, x.batch) != (time, batch):
        raise CantRead("X must have the axes of time and batch that the layer before it has")
    return replace(x, time=time, batch=batch)


def _lengths(lengths: Any, time: Atom) -> str:
    """Return the input that lengths come from, "" for all steps."""
    if isinstance(lengths, Flow) and not lengths.steps:
        return lengths.source
    whole = lengths is None or (isinstance(lengths, Sizes) and {*lengths.entries} == {time})
    steps = isinstance(lengths, Known) and time.size is not None and bool((lengths.array == time.size).all())
    if not whole and not steps:
        raise CantRead("sequence_lens must be an input, or all steps; call our layers with lengths")
    return ""


def _through(x: Flow, step: Cells, states: int) -> list[Flow]:
    """Return the outputs of a layer."""
    D, H = Atom(2) if step.directions == 2 else None, (Atom(step.packed.R.shape[2]),)
    first: Axis = (D,) if D is not None else ()
    T, B = x.axes[:2]
    y = x.after(step, (T, first, B, H), features=H, directions=D)
    finals = [replace(y, axes=(first, B, H), at=name) for name in ("h", "c")[:states]]
    return [y, *finals]
