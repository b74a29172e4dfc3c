"""`Head`: what one task asks of a core that several share, and by which loss it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.layers.checks import positive_int
from rnn_core.layers.home import move
from rnn_core.layers.pooling import Pooling
from rnn_core.training import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError

LOSSES: dict[str, Any] = {
    "softmax": SoftmaxCrossEntropy(),
    "binary": BinaryCrossEntropy(),
    "squared": SquaredError(),
}
"""What makes a head train, as a user writes it in ``Head(loss=...)``."""


@dataclass(frozen=True)
class Head:
    """What one task asks of the core.

    Parameters
    ----------
    outputs : int
        Classes for "softmax", otherwise numbers. A single number has no axis of its own.
    loss : {"softmax", "binary", "squared"}
    pooling : {"last", "mean", "max"}, optional
        How a sequence becomes one vector. None asks at every step: targets are (B, T, …) then, and those past a row's
        length count nothing.
    weight : float
        w_k in (X42), above 0.

    Raises
    ------
    ValueError
        A number is out of range, or an option has no such value.
    TypeError
        A number is none.
    """

    outputs: int
    loss: str = "softmax"
    pooling: str | None = "last"
    weight: float = 1.0

    def __post_init__(self) -> None:
        positive_int("Head", "outputs", self.outputs)
        if self.loss not in LOSSES:
            raise ValueError(f"Head: loss must be one of {', '.join(map(repr, LOSSES))}, got {self.loss!r}")
        if self.loss == "softmax" and self.outputs == 1:
            raise ValueError("Head: outputs must be at least 2 with loss='softmax', got 1; loss='binary' is yes or no")
        if self.pooling is not None:
            Pooling(self.pooling)
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float | np.integer | np.floating):
            raise TypeError(f"Head: weight must be a number, got {self.weight!r}")
        if not (isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"Head: weight must be above 0 and finite, got {self.weight}; leave the task out instead")
        object.__setattr__(self, "outputs", int(self.outputs))
        object.__setattr__(self, "weight", float(self.weight))  # a NumPy float would turn float32 into float64

    def squeezed(self, outputs: Array) -> Array:
        """Return outputs without their last axis, where that is a single number."""
        return outputs[..., 0] if self.outputs == 1 else outputs

    def rows(self, targets: Array) -> tuple[int, ...]:
        """Return the shape of what counts as one target each."""
        shape = tuple(targets.shape)
        return shape[:-1] if self.loss != "softmax" and self.outputs > 1 else shape

    def right(self, outputs: Array, targets: Array) -> Array:
        """Return which targets were predicted right: of several yes or no all must be, of numbers none is."""
        xp = array_namespace(outputs)
        if self.loss == "softmax":
            return xp.argmax(outputs, axis=-1) == move(targets, xp)
        if self.loss == "squared":
            return xp.zeros(self.rows(targets), dtype=xp.bool)
        hits = (outputs > 0) == move(targets > 0.5, xp)
        return xp.all(hits, axis=-1) if self.outputs > 1 else hits


def checked_heads(heads: Any) -> dict[str, Head]:
    """Return heads by name; one may stand as a dict of its own arguments, as in a model's `config`."""
    if not isinstance(heads, Mapping) or not heads:
        raise ValueError(f"MultiTask: heads must be at least one Head by the name of its task, got {heads!r}")
    found = {}
    for task, head in heads.items():
        if not isinstance(task, str) or not task.isidentifier():
            raise ValueError(f"MultiTask: heads must have names of letters, digits and _, got {task!r}")
        if not isinstance(head, Head | Mapping):
            raise TypeError(f"MultiTask: heads[{task!r}] must be a Head, got {type(head).__name__}")
        found[task] = head if isinstance(head, Head) else Head(**head)
    return found
