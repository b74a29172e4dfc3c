"""The steps that are found in a graph, and the layers of ours that become of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...formats.chain import FUNCTIONS, LAST_STEP, Chain, Stage
from ...layers.embedding import Embedding
from ...layers.first_values import undrawn
from ...layers.linear import Linear
from ...layers.pooling import Pooling
from ...layers.recurrent import RNN
from ...layers.stack import Recurrent
from ..order import Packed, class_of, unpacked
from .values import CantRead


@dataclass(frozen=True, eq=False)
class Looked:
    """Vectors of tokens."""

    weight: np.ndarray  # (V, D)


@dataclass(frozen=True, eq=False)
class Affine:
    """A map of the last axis."""

    weight: np.ndarray  # (O, I)
    bias: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Cells:
    """One layer of a stack, in one direction or two."""

    node: str  # as errors call it
    kind: str  # of order.FORMS
    packed: Packed
    nonlinearity: str  # of a vanilla RNN, or ""
    reverse: bool = False  # the one direction goes backwards: the other half of a pair
    others: frozenset[str] = frozenset()  # the inputs that its states and lengths come from

    @property
    def directions(self) -> int:
        """1 or 2."""
        return len(self.packed.W)

    def like(self, other: Cells) -> bool:
        """Return whether both may be layers of one stack, or directions of one layer."""
        return (
            (self.kind, self.nonlinearity, self.directions) == (other.kind, other.nonlinearity, other.directions)
            and self.packed.R.shape == other.packed.R.shape
            and (self.packed.B is None) == (other.packed.B is None)
        )


@dataclass(frozen=True, eq=False)
class Pooled:
    """One vector of a sequence: "last", "mean", "max"; "sum" until it is divided; `LAST_STEP`."""

    kind: str


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the last axis."""

    name: str


def chain_of(steps: Sequence[Any], backend: str | None, **layout: Any) -> Chain:
    """Return the chain of some steps, made whole before any of it is handed out.

    Raises
    ------
    CantRead
        Sizes that should be the same are not, or what is half of something stands alone.
    """
    weights = [step.packed.W if isinstance(step, Cells) else getattr(step, "weight", None) for step in steps]
    dtypes = {array.dtype.name for array in weights if array is not None}
    if not dtypes <= {"float32"} and not dtypes <= {"float64"}:
        raise CantRead(f"all weights must be float32, or all float64, got {' and '.join(sorted(dtypes))}")
    stages: list[Stage] = []
    for group in _stacks(steps):
        first = group[0]
        if isinstance(first, Cells):
            _append(stages, "rnn", _recurrent(group, backend))
        elif isinstance(first, Looked):
            _append(stages, "embedding", _made(Embedding, first.weight.shape, {"weight": first.weight}, backend))
        elif isinstance(first, Affine):
            _append(stages, "linear", _affine(first, backend))
        elif isinstance(first, Function):
            stages.append(Stage(first.name, FUNCTIONS[first.name]))
        elif first.kind == LAST_STEP:
            stages.append(Stage(LAST_STEP, LAST_STEP))
        elif first.kind == "sum":
            raise CantRead("a sum over time must be divided by the number of steps, and isn't")
        else:
            both = any(isinstance(one.does, Recurrent) and one.does.directions == 2 for one in stages[-1:])
            stages.append(Stage(f"{first.kind} over time", Pooling(first.kind, both, batch_first=True)))
    return Chain(stages, **layout)


def _stacks(steps: Sequence[Any]) -> list[list[Any]]:
    """Return the steps with layers that follow upon one another, and are alike, in one group."""
    groups: list[list[Any]] = []
    for step in steps:
        before = groups[-1][-1] if groups else None
        width = before.directions * before.packed.R.shape[2] if isinstance(before, Cells) else 0
        if isinstance(before, Cells) and isinstance(step, Cells) and before.like(step) and (
            step.packed.W.shape[2] == width
        ):  # fmt: skip
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _recurrent(cells: Sequence[Cells], backend: str | None) -> Recurrent:
    """Return a stack."""
    first = cells[0]
    if alone := [one for one in cells if one.reverse]:
        raise CantRead(f"{alone[0].node} must have a forward layer beside it, to be joined with, as it goes backwards")
    kind, D = class_of(first.kind), first.directions
    options: dict[str, Any] = {"nonlinearity": first.nonlinearity} if kind is RNN else {}
    with undrawn():
        layer = kind(
            first.packed.W.shape[2], first.packed.R.shape[2], len(cells), first.packed.B is not None, True, 0.0, D == 2,
            backend=backend, dtype=first.packed.W.dtype, **options,
        )  # fmt: skip
    gates = layer.spec.gates._fields  # type: ignore[attr-defined]
    layer.load_state_dict({
        layer._name(field, k, d): array
        for k, one in enumerate(cells)
        for d in range(D)
        for field, array in unpacked(one.kind, gates, one.packed, d).items()
    })  # fmt: skip
    return layer


def _affine(step: Affine, backend: str | None) -> Linear:
    values = {"weight": step.weight} | ({} if step.bias is None else {"bias": step.bias})
    return _made(Linear, step.weight.shape[::-1], values, backend, bias=step.bias is not None)


def _made(
    kind: Callable[..., Any], sizes: Sequence[int], values: dict[str, np.ndarray], backend: str | None, **options: Any
) -> Any:
    """Return a layer of these values."""
    with undrawn():
        layer = kind(*sizes, backend=backend, dtype=values["weight"].dtype, **options)
    layer.load_state_dict(values)
    return layer


def _append(stages: list[Stage], name: str, layer: Any) -> None:
    """Add a layer under a name of its own: rnn, rnn_2, …"""
    taken = sum(1 for one in stages if one.name.partition("_")[0] == name)
    stages.append(Stage(f"{name}_{taken + 1}" if taken else name, layer))
