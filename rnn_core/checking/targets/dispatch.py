"""`problem_of`: what is given to `gradcheck`, as the problem of its gradients."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

from ..problem import Problem


class Point(NamedTuple):
    """Where a target is checked, as it was given to `gradcheck`; what a target has no use for is None."""

    x: Any
    state0: Any = None
    lengths: Any = None
    targets: Any = None
    weights: Any = None
    rng: int = 0
    resets: Any = None
    reset_to: Any = None
    all_states: bool = False


@singledispatch
def problem_of(target: Any, point: Point) -> Problem:
    """Return the problem of a layer, model or loss at a point. The files beside this one register what they know."""
    raise TypeError(
        "gradcheck: target must be a recurrent layer, Linear, Embedding, a convolution or pool, Attention, CRF, a "
        f"model, a loss or a Problem, got {type(target).__name__}; wrap your own function in "
        "rnn_core.checking.Problem, and check a model of another kind with a batch"
    )


@problem_of.register(Problem)
def _problem(target: Problem, point: Point) -> Problem:
    return target
