"""How ONNX lays out the weights of its recurrent operators, and we ours; `packed` goes there, `unpacked` comes back.

=========  =======================================================================================
``W``      (directions, blocks·H, I), our weight_ih; a block of H rows for each gate
``R``      (directions, blocks·H, H), our weight_hh
``B``      (directions, 2·blocks·H), our bias_ih and, behind it, our bias_hh
``P``      (directions, 3·H), what the LSTM's gates see of c: i, o, f
=========  =======================================================================================

ONNX's LSTM has its blocks in the order i, o, f, c and the GRU in z, r, h, where c and h are the candidates. Nothing is
computed on either way but the sign of one gate, so that weights come back bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..layers.defined import SHIPPED, Cell, shipped
from ..layers.first_values import undrawn
from ..layers.home import to_host
from ..layers.recurrent import GRU, LSTM, RNN
from ..layers.stack import Recurrent

BUILT_IN: dict[str, type[Recurrent]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


class Form(NamedTuple):
    """What one of our layers is in ONNX."""

    op: str
    blocks: tuple[str, ...]  # the gate of ours in each block; "-" before it: with the other sign; "": nothing reads it
    peepholes: tuple[str, ...] = ()  # our parameters in the three parts of P
    apart: Mapping[str, str] = {}  # our matrix that is a gate's block of R, where weight_hh hasn't it
    attributes: Mapping[str, int] = {}


FORMS = {
    "RNN": Form("RNN", ("h",)),
    "LSTM": Form("LSTM", ("i", "o", "f", "g")),
    "GRU": Form("GRU", ("z", "r", "n"), attributes={"linear_before_reset": 1}),
    "PeepholeLSTM": Form("LSTM", ("i", "o", "f", "g"), ("p_i", "p_o", "p_f")),
    # There f = 1 − i, and here i = 1 − f: so i is our f with the other sign, as σ(−a) = 1 − σ(a).
    "CoupledLSTM": Form("LSTM", ("-f", "o", "", "g"), attributes={"input_forget": 1}),
    "ResetBeforeGRU": Form("GRU", ("z", "r", "n"), apart={"n": "weight_hn"}, attributes={"linear_before_reset": 0}),
}
"""By the name of the layer's class."""


class Packed(NamedTuple):
    """The inputs of a node, one layer of a stack in all its directions; None for what it goes without."""

    W: np.ndarray
    R: np.ndarray
    B: np.ndarray | None
    P: np.ndarray | None


def form_of(layer: Recurrent) -> Form | None:
    """Return what a layer is in ONNX; None where ONNX has no such operator."""
    name = type(layer).__name__
    if isinstance(layer, Cell):
        return FORMS.get(name) if SHIPPED.get(name) == layer.definition.module else None
    return FORMS[name] if type(layer) is BUILT_IN.get(name) else None


def class_of(name: str) -> type[Recurrent]:
    """Return a class of `FORMS`."""
    return BUILT_IN[name] if name in BUILT_IN else shipped(name)


def gates_of(kind: type[Recurrent]) -> tuple[str, ...]:
    """Return the gates of a class in our order."""
    with undrawn():
        return tuple(kind(1, 1, backend="numpy").spec.gates._fields)  # type: ignore[attr-defined]


def packed(layer: Recurrent, form: Form, k: int) -> Packed:
    """Return the weights of one layer of a stack, as a node has them."""
    each = [_packed(_fields(layer, k, d), layer, form) for d in range(layer.directions)]
    return Packed(*(None if values[0] is None else np.stack(values) for values in zip(*each, strict=True)))  # type: ignore[arg-type]


def unpacked(name: str, gates: tuple[str, ...], given: Packed, direction: int) -> dict[str, np.ndarray]:
    """Return the parameters of one layer in one direction, by our names, from a node's inputs.

    Parameters
    ----------
    name : str
        The class, of `FORMS`.
    gates : tuple of str
        Its gates, in our order.
    given : Packed
    direction : int

    Notes
    -----
    A ResetBeforeGRU has one bias for its candidate, where ONNX has two: they are added up, unless the second is 0.
    """
    form, (W, R, B, P) = FORMS[name], given
    own = tuple(gate for gate in gates if gate not in form.apart)
    found = {"weight_ih": _ours(W[direction], form, gates), "weight_hh": _ours(R[direction], form, own)}
    found |= {ours: _block(R[direction], form, gate) for gate, ours in form.apart.items()}
    if B is not None:
        first, second = np.split(B[direction], 2)
        found |= {"bias_ih": _ours(first, form, gates), "bias_hh": _ours(second, form, own)}
        for gate in form.apart:
            if (rest := _block(second, form, gate)).any():
                n = gates.index(gate)
                found["bias_ih"].reshape(len(gates), -1)[n] += rest
    if form.peepholes and P is not None:
        found |= dict(zip(form.peepholes, np.split(P[direction], 3), strict=True))
    return {field: np.ascontiguousarray(array) for field, array in found.items()}


def _fields(layer: Recurrent, k: int, d: int) -> dict[str, np.ndarray]:
    """Return the parameters of one layer in one direction, on the host."""
    named = {field: layer._name(field, k, d) for field in layer._fields}
    return {field: np.asarray(to_host(layer.parameters[n])) for field, n in named.items() if n in layer.parameters}


def _packed(fields: dict[str, np.ndarray], layer: Recurrent, form: Form) -> tuple[np.ndarray | None, ...]:
    """Return W, R, B and P of one direction."""
    gates = tuple(layer.spec.gates._fields)  # type: ignore[attr-defined]
    own = tuple(gate for gate in gates if gate not in form.apart)
    R = dict(zip(own, np.split(fields["weight_hh"], len(own)), strict=True))
    R |= {gate: fields[name] for gate, name in form.apart.items()}
    W = dict(zip(gates, np.split(fields["weight_ih"], len(gates)), strict=True))
    B = None
    if "bias_ih" in fields:
        first = dict(zip(gates, np.split(fields["bias_ih"], len(gates)), strict=True))
        second = dict(zip(own, np.split(fields["bias_hh"], len(own)), strict=True))
        B = np.concatenate([_theirs(first, form), _theirs(second, form)])
    P = np.concatenate([fields[name] for name in form.peepholes]) if form.peepholes else None
    return _theirs(W, form), _theirs(R, form), B, P


def _theirs(blocks: dict[str, np.ndarray], form: Form) -> np.ndarray:
    """Return gates' blocks in ONNX's order; zeros for one that nothing reads, or that isn't there."""
    like = np.zeros_like(next(iter(blocks.values())))
    return np.concatenate([
        -blocks[gate[1:]] if gate.startswith("-") else blocks.get(gate, like) for gate in form.blocks
    ])  # fmt: skip


def _ours(stacked: np.ndarray, form: Form, gates: tuple[str, ...]) -> np.ndarray:
    """Return ONNX's blocks in the order of our gates."""
    return np.concatenate([_block(stacked, form, gate) for gate in gates])


def _block(stacked: np.ndarray, form: Form, gate: str) -> np.ndarray:
    """Return a gate's block out of ONNX's."""
    blocks: Any = np.split(stacked, len(form.blocks))
    return -blocks[form.blocks.index(f"-{gate}")] if f"-{gate}" in form.blocks else blocks[form.blocks.index(gate)]
