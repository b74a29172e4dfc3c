"""`ArrayBlocks`: examples in arrays that lie in files, as blocks of rows that lie side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...foreign import shown
from ...layers.checks import check_finite, check_lengths, positive_int
from ..batches import as_rows
from ..stored import FileArray, RaggedFile
from ..stored.ragged_file import Runs
from .rows import Rows

HERE = "ArrayBlocks"


class ArrayBlocks:
    """Examples in arrays, some rows a block.

    Parameters
    ----------
    inputs : array, shape (N, T), of int, or (N, T, I); or RaggedFile
        Tokens or features: a `FileArray` or memory map, of which one block at a time is read, or an array in memory.
    targets : array, shape (N, …), or RaggedFile, optional
        A `RaggedFile` of one target a step goes with one of inputs. Without targets they are what comes next in each
        row of tokens, for a `LanguageModel`.
    lengths : array of int, shape (N,), optional
        Valid steps of each row of an array.
    weights : array, shape (N, …), optional
        How much each target counts, at least 0.
    rows : int
        Of a block.

    Raises
    ------
    ValueError
        Shapes don't go together; or, when a block is read, a number is NaN, infinite or out of range, or a row is
        empty: the message names its place.
    TypeError
        Something is no array of numbers.
    """

    def __init__(
        self, inputs: Any, targets: Any = None, *, lengths: Any = None, weights: Any = None, rows: int = 1024
    ) -> None:
        self.inputs: Any = inputs if isinstance(inputs, RaggedFile) else as_rows(HERE, "inputs", inputs)
        ragged = isinstance(self.inputs, RaggedFile)
        plain = targets is not None and not isinstance(targets, RaggedFile)
        self.targets = as_rows(HERE, "targets", targets) if plain else targets
        self.lengths = None if lengths is None else as_rows(HERE, "lengths", lengths)
        self.weights = None if weights is None else as_rows(HERE, "weights", weights)
        self.rows = positive_int(HERE, "rows", rows)
        shape = () if isinstance(self.inputs, RaggedFile) else tuple(self.inputs.shape)
        if not ragged and (len(shape) < 2 or 0 in shape):
            raise ValueError(
                f"{HERE}: inputs must have shape (N, T) or (N, T, I) with at least one number, got {shape}; "
                "rows of different lengths are a RaggedFile"
            )
        if ragged and lengths is not None:
            raise ValueError(f"{HERE}: lengths must be left out with a RaggedFile, which knows them")
        if not ragged and isinstance(self.targets, RaggedFile):
            raise ValueError(f"{HERE}: targets must be an array where inputs are one, got a RaggedFile")
        if targets is None and not (ragged and self.inputs.values.ndim == 1 and self.inputs.values.dtype.kind in "iu"):
            raise ValueError(f"{HERE}: targets must be given, but for a RaggedFile of tokens, got none")
        self._N = len(self.inputs)
        for name in ("targets", "lengths", "weights"):
            array = getattr(self, name)
            if array is None:
                continue
            got = len(array) if isinstance(array, RaggedFile) or array.ndim else "a single number"
            if got != self._N:
                raise ValueError(f"{HERE}: {name} must have {self._N} rows, one for each in inputs, got {got}")
        self.sizes = np.diff(np.append(np.arange(0, self._N, self.rows), self._N))

    def read(self, block: int) -> Rows:
        """Return a block; errors are those of the class."""
        start = block * self.rows
        stop = min(start + self.rows, self._N)
        of = f"[{start}:{stop}]"
        inputs, targets = (_read(array, start, stop) for array in (self.inputs, self.targets))
        lengths = None
        if self.lengths is not None:
            T = self.inputs.shape[1]
            lengths = check_lengths(f"{HERE}, rows {start}…{stop - 1}", self.lengths[start:stop], T, stop - start)
            lengths = np.full(stop - start, T) if lengths is None else lengths  # others may be shorter
        if isinstance(inputs, Runs):
            self._check_steps(inputs, targets, start)
        elif lengths is None:
            check_finite(HERE, f"inputs{of}", inputs)
        else:
            running = np.arange(inputs.shape[1]) < lengths[:, None]
            check_finite(HERE, f"inputs{of}", inputs, running.reshape(*running.shape, *(1,) * (inputs.ndim - 2)))
        if targets is not None and not isinstance(targets, Runs):
            check_finite(HERE, f"targets{of}", targets)
        weights = _read(self.weights, start, stop)
        if weights is not None:
            check_finite(HERE, f"weights{of}", weights)
            if (weights < 0).any():
                raise ValueError(f"{HERE}: weights{of} must be at least 0, got {shown(weights.min())}")
        return Rows(inputs, targets, lengths, weights)

    def _check_steps(self, inputs: Runs, targets: Any, start: int) -> None:
        """Raise ValueError where a row has not the steps that its targets want, or a number is not finite."""
        check_finite(HERE, f"values of the rows from {start} on", inputs.values)
        if targets is None and (short := inputs.lengths < 2).any():
            raise ValueError(
                f"{HERE}: inputs must have two tokens or more in each row, of which the first tells the second, got "
                f"one in row {start + int(short.argmax())}; leave such rows out"
            )
        if isinstance(targets, Runs) and (other := targets.lengths != inputs.lengths).any():
            k = int(other.argmax())
            raise ValueError(
                f"{HERE}: targets must have {inputs.lengths[k]} steps in row {start + k}, as inputs, got "
                f"{targets.lengths[k]}"
            )


def _read(array: Any, start: int, stop: int) -> Any:
    """Return some rows in memory; integers as those that all kernels know."""
    if array is None:
        return None
    found = array.read(start, stop) if isinstance(array, RaggedFile) else array[start:stop]
    if isinstance(found, Runs):
        return Runs(_widened(found.values), found.lengths)
    return _widened(found) if isinstance(array, FileArray) else found


def _widened(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) if values.dtype.kind in "iu" else values
