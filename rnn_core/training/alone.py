"""`Alone`: training in one process. What `fit` asks of it, `rnn_core.parallel.MPI` answers for several.

Where several processes train one model together, each is a rank, has the whole model, and computes a share of every
batch. Ranks come to each of these calls in the same order:

1. `running`: what happens inside ends on all ranks together, or not at all.
2. `check`: what must be the same everywhere is.
3. `step`, `evaluate`: loss, gradients and counts of the whole batch; the state is this rank's own part.
4. `each`, `by_first`: what all ranks do, of which one may fail; and what the first one does for all.
5. `whole`, `own`: the state that is carried from batch to batch, from its parts and cut into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

import numpy as np

from ..data.batches import Batch
from .protocols import Evaluation, Step, Trainable

T = TypeVar("T")


class Parallel(Protocol):
    """What `fit` asks of the processes that train together."""

    ranks: int
    """How many there are."""
    first: bool
    """Whether this is the one that writes, shows and calls callbacks."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a run that is resumed must have again, because its bits depend on it."""

    def running(self, kept: Callable[[], str]) -> AbstractContextManager[Any]:
        """Return a context for the whole run; `kept` tells in words what there is to resume from."""

    def check(self, facts: Mapping[str, Any]) -> None:
        """Raise ValueError, naming a rank, where facts are not the same on all."""

    def step(
        self, model: Trainable, batch: Batch, carried: Any, needs: frozenset[str], seeds: list[int],
        options: Mapping[str, Any],
    ) -> Step:  # fmt: skip
        """Return loss, gradients and count of a batch, and this rank's part of the state after it."""

    def evaluate(self, model: Trainable, batch: Batch, carried: Any) -> Evaluation:
        """Return the sums over a batch, and this rank's part of the state after it."""

    def each(self, do: Callable[[], T]) -> T:
        """Do something on every rank, and return what it was here; where one fails, all raise."""

    def by_first(self, do: Callable[[], T]) -> T:
        """Do something on the first rank, and return on all what it was; where it fails, all raise."""

    def whole(self, carried: Any) -> Any:
        """Return a state from its parts, on the first rank; None on others."""

    def own(self, state: Any) -> Any:
        """Return this rank's part of a state."""


class Alone:
    """One process, which has all of every batch and nobody to agree with."""

    ranks, first = 1, True

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing beside the run itself."""
        return {}

    def running(self, kept: Callable[[], str]) -> AbstractContextManager[Any]:
        """See `Parallel`, as for all that follow."""
        return nullcontext()

    def check(self, facts: Mapping[str, Any]) -> None:
        """Agree."""

    def step(
        self, model: Trainable, batch: Batch, carried: Any, needs: frozenset[str], seeds: list[int],
        options: Mapping[str, Any],
    ) -> Step:  # fmt: skip
        """Compute all of it."""
        return model.loss_and_gradients(batch, state=carried, needs=needs, rng=np.random.default_rng(seeds), **options)

    def evaluate(self, model: Trainable, batch: Batch, carried: Any) -> Evaluation:
        """Evaluate all of it."""
        return model.evaluate(batch, state=carried)

    def each(self, do: Callable[[], T]) -> T:
        """Do it."""
        return do()

    def by_first(self, do: Callable[[], T]) -> T:
        """Do it."""
        return do()

    def whole(self, carried: Any) -> Any:
        """Return all of it."""
        return carried

    def own(self, state: Any) -> Any:
        """Return all of it."""
        return state


METHODS = ("running", "check", "step", "evaluate", "each", "by_first", "whole", "own")


def checked_parallel(where: str, parallel: Any) -> Parallel:
    """Return who trains together: by default one process.

    Raises
    ------
    TypeError
        It is something else, or the class in the place of what it makes.
    """
    if parallel is None:
        return Alone()
    if isinstance(parallel, type) or not all(callable(getattr(parallel, name, None)) for name in METHODS):
        got = f"the class {parallel.__name__}; call it" if isinstance(parallel, type) else type(parallel).__name__
        raise TypeError(f"{where}: parallel must be None or what rnn_core.parallel.MPI() makes, got {got}")
    found: Parallel = parallel
    return found
