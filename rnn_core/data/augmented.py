"""`Augmented`: batches whose inputs are changed a little, differently in every reading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels.contract import Array

from ..foreign import shown
from ..layers.checks import check_seed
from .batches import Batch, as_data, checked_source
from .source import Source


class Augmented:
    """Batches whose inputs a function has changed; all else stays as it is.

    Parameters
    ----------
    data : Source
        `Examples`, for instance.
    change : callable
        From inputs and a NumPy generator to other inputs, fresh arrays of the same shape. What it draws depends on the
        seed and the batch's place alone, so that training can be resumed anywhere.
    seed : int

    Raises
    ------
    TypeError
        `data` has no batches, or `change` can't be called.
    ValueError
        `seed` is below 0, or there is no batch.
    """

    def __init__(self, data: Source, change: Callable[[Array, np.random.Generator], Array], *, seed: int = 0) -> None:
        if not callable(change):
            raise TypeError(f"Augmented: change must be a function of inputs and a generator, got {shown(change)}")
        self.data, self.change = checked_source("Augmented", "data", data), change
        self.seed = check_seed("Augmented", seed) or 0

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.data)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch by its place; errors are those of the data's own `batch`."""
        batch = self.data.batch(epoch, index)
        rng = np.random.default_rng([self.seed, epoch * len(self) + index])
        inputs = as_data("Augmented", "what change returns", self.change(batch.inputs, rng))
        if inputs.shape != batch.inputs.shape:
            raise ValueError(
                f"Augmented: change must return inputs of the shape that it was given, {tuple(batch.inputs.shape)}, "
                f"got {tuple(inputs.shape)}"
            )
        return batch._replace(inputs=inputs)
