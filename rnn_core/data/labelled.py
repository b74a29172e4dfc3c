"""`Labelled`: sequences and their classes, drawn from so that no class is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..layers.checks import as_array, check_lengths
from .batches import Examples, check_inputs, lengths_of
from .ragged import Ragged
from .text import Tokenizer


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences of features or of tokens, and the class of each.

    Parameters
    ----------
    inputs : array, shape (N, T, I), or (N, T) of int; or Ragged
        `Ragged` ones stay of their own lengths until a batch is made of them.
    targets : array of int, shape (N,)
        Numbers of classes.
    classes : sequence of str
        Their names. A class may have no example here.
    lengths : array of int, shape (N,), optional
        Valid steps of each row.
    tokens : Tokenizer or sequence, optional
        The vocabulary, for tokens: what the rows of an embedding stand for.

    Raises
    ------
    ValueError
        Shapes do not fit, a class has no name or the name of another, a token is negative, a number within a row's
        length is NaN or infinite, or there is no example.
    TypeError
        Targets or tokens are not integers.
    """

    inputs: np.ndarray | Ragged
    targets: np.ndarray
    classes: tuple[str, ...]
    lengths: np.ndarray | None = None
    tokens: Tokenizer | Sequence[Any] | None = None

    def __post_init__(self) -> None:
        where = "Labelled"
        inputs: Any = self.inputs if isinstance(self.inputs, Ragged) else as_array(where, "inputs", self.inputs)
        targets = as_array(where, "targets", self.targets)
        if inputs.ndim not in (2, 3) or 0 in inputs.shape:
            raise ValueError(
                f"{where}: inputs must have shape (N, T, I), or (N, T) of tokens, with at least one number, "
                f"got {inputs.shape}"
            )
        if inputs.ndim == 2 and inputs.dtype.kind not in "iu":
            raise TypeError(
                f"{where}: inputs of shape (N, T) must be tokens, which are integers, got {inputs.dtype}; a series of "
                "one number a step has shape (N, T, 1)"
            )
        if inputs.ndim == 2 and inputs.min() < 0:
            raise ValueError(f"{where}: inputs must be tokens of at least 0, got {inputs.min()}")
        if targets.dtype.kind not in "iu":
            raise TypeError(f"{where}: targets must be integers, the numbers of classes, got {targets.dtype}")
        if targets.shape != inputs.shape[:1]:
            raise ValueError(
                f"{where}: targets must have shape {inputs.shape[:1]}, one for each row of inputs, got {targets.shape}"
            )
        classes = tuple(map(str, self.classes))
        if targets.min() < 0 or targets.max() >= len(classes):
            raise ValueError(
                f"{where}: targets must be in 0…{len(classes) - 1}, as there are {len(classes)} classes, got "
                f"{targets.min()} to {targets.max()}"
            )
        if len(set(classes)) < len(classes):
            raise ValueError(f"{where}: classes must have different names, got {', '.join(classes)}")
        lengths = lengths_of(inputs) if self.lengths is None else self.lengths
        lengths = check_lengths(where, lengths, *inputs.shape[1::-1])
        if inputs.ndim == 3:
            valid = None if lengths is None else (np.arange(inputs.shape[1]) < lengths[:, None])[:, :, None]
            check_inputs(where, inputs, valid)
        for name, value in (("inputs", inputs), ("targets", targets), ("classes", classes), ("lengths", lengths)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        kind = "tokens" if self.features is None else f"{self.features} features a step"
        return f"Labelled({len(self)} sequences of {kind}, classes {', '.join(self.classes)})"

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.targets)

    @property
    def features(self) -> int | None:
        """The features of a step; None for tokens."""
        return None if self.inputs.ndim == 2 else self.inputs.shape[2]

    @property
    def steps(self) -> np.ndarray:
        """The steps of each example, shape (N,)."""
        return np.full(len(self), self.inputs.shape[1]) if self.lengths is None else self.lengths

    @property
    def counts(self) -> np.ndarray:
        """The examples of each class, shape (classes,)."""
        return np.bincount(self.targets, minlength=len(self.classes))

    def rows(self, rows: Any) -> Self:
        """Return some of the examples."""
        return replace(
            self,
            inputs=self.inputs.take(rows) if isinstance(self.inputs, Ragged) else self.inputs[rows],
            targets=self.targets[rows],
            lengths=None if self.lengths is None else self.lengths[rows],
        )

    def draw(self, size: int, seed: int | Sequence[int]) -> Self:
        """Return so many examples at random, each class with its share of them and at least one.

        Raises
        ------
        ValueError
            There are fewer examples than `size`, or a class could have none.
        """
        chosen, _ = self._parts("draw", size, seed)
        return self.rows(chosen)

    def split(self, size: int, seed: int | Sequence[int]) -> tuple[Self, Self]:
        """Return so many examples as `draw` does, and the rest; errors are those of `draw`, or that a rest is empty."""
        chosen, rest = self._parts("split", size, seed)
        if not len(rest):
            raise ValueError(f"Labelled.split: size must leave a rest, got {size} of {len(self)} examples")
        return self.rows(chosen), self.rows(rest)

    def batches(self, batch_size: int, seed: int = 0) -> Examples:
        """Return the examples as training batches."""
        return Examples(self.inputs, self.targets, lengths=self.lengths, batch_size=batch_size, seed=seed)

    def _parts(self, what: str, size: int, seed: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        where, counts = f"Labelled.{what}", self.counts
        if empty := [name for name, count in zip(self.classes, counts, strict=True) if not count]:
            raise ValueError(f"{where}: every class must have an example, got none of {', '.join(empty)}")
        if not len(counts) <= size <= len(self):
            raise ValueError(
                f"{where}: size must be at least {len(counts)}, one example for each class, and at most {len(self)}, "
                f"which is all there are, got {size}"
            )
        rng = np.random.default_rng(seed)
        order, wanted = rng.permutation(len(self)), _shares(counts, size, rng)
        place = np.empty(len(self), np.int64)  # the how-manieth of its class an example is
        for k, _ in enumerate(counts):
            mine = order[self.targets[order] == k]
            place[mine] = np.arange(len(mine))
        taken = place[order] < wanted[self.targets[order]]
        return order[taken], order[~taken]


def _shares(counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return how many of each class make up `size`: in proportion to their counts, and at least one of each."""
    wanted = np.ones_like(counts)
    exact = counts * size / counts.sum() + 1e-6 * rng.random(len(counts))  # of equal classes any may have one more
    for _ in range(size - len(counts)):
        wanted[np.argmax(np.where(wanted < counts, exact - wanted, -np.inf))] += 1
    return wanted
