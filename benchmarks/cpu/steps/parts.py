"""Where the time of a step goes: clocks around the calls that it is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

from rnn_core.training import run as running
from rnn_core.training.run import Run

STEPS = 5


class Clock:
    """Seconds by name, of the calls that are watched."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, and is timed."""

        def timed(*args: Any, **options: Any) -> Any:
            begin = perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds[name] += perf_counter() - begin

        return timed


@contextmanager
def watched(run: Run, clock: Clock) -> Iterator[None]:
    """Watch the calls of a run's step."""
    model: Any = run.model
    places = {
        "front": (model.front, "forward"),
        "core forward": (model.rnn, "forward"),
        "core backward": (model.rnn, "backward"),
        "embedding": (model.front, "backward"),
        "loss and gradients": (model, "loss_and_gradients"),
        "norm": (running, "clipping_factor"),
        "optimizer": (type(run.optimizer), "update"),
    }
    with ExitStack() as stack:
        for name, (owner, attribute) in places.items():
            stack.enter_context(patch.object(owner, attribute, clock.watch(name, getattr(owner, attribute))))
        yield


def parts(run: Run, steps: int = STEPS) -> dict[str, float]:
    """Return the seconds of a step by its parts, medians of several steps.

    What the model does beside front and core is *head and loss*; what the step does beside the model, the norm and the
    optimizer is the *rest*.
    """
    found: list[dict[str, float]] = []
    for _ in range(steps):
        clock = Clock()
        with watched(run, clock):
            begin = perf_counter()
            run.step()
            whole = perf_counter() - begin
        seconds = clock.seconds
        inside = sum(seconds[name] for name in ("front", "core forward", "core backward", "embedding"))
        of_model = seconds.pop("loss and gradients")
        seconds["head and loss"] = of_model - inside
        seconds["rest"] = whole - of_model - seconds["norm"] - seconds["optimizer"]
        found.append(dict(seconds))
    return {name: median(part[name] for part in found) for name in PARTS}


PARTS = ("front", "core forward", "head and loss", "core backward", "embedding", "norm", "optimizer", "rest")
"""In the order in which they come."""
