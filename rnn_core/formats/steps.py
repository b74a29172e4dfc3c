"""The steps that are found in another program's file, and the layers of ours that become of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers.embedding import Embedding
from ..layers.first_values import undrawn
from ..layers.linear import Linear
from ..layers.pooling import Pooling
from ..layers.recurrent import RNN
from ..layers.stack import Recurrent
from .chain import FUNCTIONS, Chain, Stage
from .passing import LAST_STEP, Marker


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

    kind: type[Recurrent]
    directions: tuple[Mapping[str, np.ndarray], ...]  # of each its parameters, by our names: weight_ih, weight_hh, …
    nonlinearity: str = ""  # of a vanilla RNN

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.directions[0]["weight_hh"].shape[1])

    @property
    def width(self) -> int:
        """How many numbers go out at a step."""
        return len(self.directions) * self.hidden_size

    def like(self, other: Cells) -> bool:
        """Return whether both may be layers of one stack."""
        return (
            (self.kind, self.nonlinearity, len(self.directions), self.hidden_size, "bias_ih" in self.directions[0])
            == (other.kind, other.nonlinearity, len(other.directions), other.hidden_size,
                "bias_ih" in other.directions[0])
        )  # fmt: skip


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

    Parameters
    ----------
    steps : sequence
        Of the classes above, and `Marker`.
    backend : str or None
    **layout
        `Chain`'s own: batch_first, turned, flat.

    Raises
    ------
    ValueError
        Sizes that should be the same are not, dtypes differ, or what is half of something stands alone.
    """
    weights = [one.directions[0]["weight_ih"] if isinstance(one, Cells) else getattr(one, "weight", None)
               for one in steps]  # fmt: skip
    dtypes = {array.dtype.name for array in weights if array is not None}
    if not dtypes <= {"float32"} and not dtypes <= {"float64"}:
        raise ValueError(f"all weights must be float32, or all float64, got {' and '.join(sorted(dtypes))}")
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
        elif isinstance(first, Marker):
            stages.append(Stage(first.name, first))
        elif first.kind == LAST_STEP:
            stages.append(Stage(LAST_STEP, LAST_STEP))
        elif first.kind == "sum":
            raise ValueError("a sum over time must be divided by the number of steps, and isn't")
        else:
            both = any(isinstance(one.does, Recurrent) and one.does.directions == 2 for one in stages[-1:])
            stages.append(Stage(f"{first.kind} over time", Pooling(first.kind, both, batch_first=True)))
    return Chain(stages, **layout)


def _stacks(steps: Sequence[Any]) -> list[list[Any]]:
    """Return the steps with layers that follow upon one another, and are alike, in one group."""
    groups: list[list[Any]] = []
    for step in steps:
        before = groups[-1][-1] if groups else None
        if isinstance(before, Cells) and isinstance(step, Cells) and before.like(step) and (
            step.directions[0]["weight_ih"].shape[1] == before.width
        ):  # fmt: skip
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _recurrent(cells: Sequence[Cells], backend: str | None) -> Recurrent:
    """Return a stack."""
    first = cells[0]
    options: dict[str, Any] = {"nonlinearity": first.nonlinearity} if first.kind is RNN else {}
    weight = first.directions[0]["weight_ih"]
    with undrawn():
        layer = first.kind(
            weight.shape[1], first.hidden_size, len(cells), "bias_ih" in first.directions[0], True, 0.0,
            len(first.directions) == 2, backend=backend, dtype=weight.dtype, **options,
        )  # fmt: skip
    layer.load_state_dict({
        layer._name(field, k, d): array
        for k, one in enumerate(cells)
        for d, fields in enumerate(one.directions)
        for field, array in fields.items()
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
