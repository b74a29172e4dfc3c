"""How the learning rate moves over a run: functions from the step to a factor of every rate.

`step` counts the updates made so far, so that the first update is made with ``schedule(0)``. A schedule has no
memory: what it says depends on the step alone, so a resumed run goes on where it was.

Two of them rise first and fall then. With s the share of the steps that are made, p that at the peak, and ρ, a and b
the ratio, the start and the floor::

    f = (1 + (ρ − 1) h) / ρ,  h = s/p up to the peak, (1 − s)/(1 − p) behind it      (X9)   slanted triangular
    f = a + (1 − a) (1 − cos(π s/p))/2 up to the peak,
        b + (1 − b) (1 + cos(π (s − p)/(1 − p)))/2 behind it                          (X10)   one cycle
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, isfinite, nan, pi
from typing import Any

import numpy as np

from ..layers.checks import positive_int


@dataclass(frozen=True)
class Schedule(ABC):
    """What the schedules share: checks, and ``schedule(step)``."""

    def __call__(self, step: int) -> float:
        """Return the factor for the update after `step` others.

        Raises
        ------
        ValueError
            `step` is below 0.
        TypeError
            `step` is not an integer.
        """
        where = f"{type(self).__name__}.__call__"
        if isinstance(step, bool) or not isinstance(step, int | np.integer):
            raise TypeError(f"{where}: step must be an int, got {step!r}")
        if step < 0:
            raise ValueError(f"{where}: step must be at least 0, got {step}")
        return float(self._factor(int(step)))

    @abstractmethod
    def _factor(self, step: int) -> float:
        """Return the factor, of a step that has been checked."""

    def _check_steps(self, **steps: Any) -> None:
        for name, value in steps.items():
            positive_int(type(self).__name__, name, value)

    def _check_factors(self, **factors: Any) -> None:
        where = type(self).__name__
        for name, value in factors.items():
            if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
                raise TypeError(f"{where}: {name} must be a number, got {value!r}")
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{where}: {name} must be finite and at least 0, got {value}")


@dataclass(frozen=True)
class Constant(Schedule):
    """Always the same `factor`."""

    factor: float = 1.0

    def __post_init__(self) -> None:
        self._check_factors(factor=self.factor)

    def _factor(self, step: int) -> float:
        return self.factor


@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """Up to 1 in equal parts: 1/steps at the first update, 1 from update number `steps` on."""

    steps: int

    def __post_init__(self) -> None:
        self._check_steps(steps=self.steps)

    def _factor(self, step: int) -> float:
        return min(1.0, (step + 1) / self.steps)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to `floor`, reached after `steps` updates and kept from there on."""

    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        self._check_steps(steps=self.steps)
        self._check_factors(floor=self.floor)

    def _factor(self, step: int) -> float:
        share = min(1.0, step / self.steps)
        return self.floor + (1 - self.floor) * (1 + cos(pi * share)) / 2


@dataclass(frozen=True)
class WarmupCosine(Schedule):
    """`LinearWarmup` for the first `warmup` updates, then `Cosine` down to `floor` at `steps` updates in all."""

    warmup: int
    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        self._check_steps(warmup=self.warmup, steps=self.steps)
        self._check_factors(floor=self.floor)
        if self.steps <= self.warmup:
            raise ValueError(f"WarmupCosine: steps must be above warmup = {self.warmup}, got {self.steps}")

    def _factor(self, step: int) -> float:
        if step < self.warmup:
            return LinearWarmup(self.warmup)(step)
        return Cosine(self.steps - self.warmup, self.floor)(step - self.warmup)


@dataclass(frozen=True)
class SlantedTriangular(Schedule):
    """Up fast and down slowly, both in straight lines: the schedule of ULMFiT's fine-tuning.

    The factor starts at 1/`ratio`, is 1 after the share `peak` of the `steps`, and is back at 1/`ratio` at the end.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, equation 3; there
    cut_frac and ratio are 0.1 and 32.
    """

    steps: int
    peak: float = 0.1
    ratio: float = 32.0

    def __post_init__(self) -> None:
        self._check_steps(steps=self.steps)
        self._check_factors(peak=self.peak, ratio=self.ratio)
        if not 0 < self.peak < 1:
            raise ValueError(f"SlantedTriangular: peak must be between 0 and 1, got {self.peak}")
        if self.ratio < 1:
            raise ValueError(f"SlantedTriangular: ratio must be at least 1, got {self.ratio}")

    def _factor(self, step: int) -> float:
        share = min(1.0, step / self.steps)
        height = share / self.peak if share < self.peak else (1 - share) / (1 - self.peak)
        return (1 + height * (self.ratio - 1)) / self.ratio  # (X9)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up along half a cosine, and down along another to almost nothing.

    The factor starts at `start`, is 1 after the share `peak` of the `steps`, and ends at `floor`. The momentum stays
    as it is.

    References
    ----------
    L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    arXiv:1708.07120v3, section 4. The lines there are straight; cosines, and these numbers, became the usual choice.
    """

    steps: int
    peak: float = 0.3
    start: float = 0.04
    floor: float = 4e-6

    def __post_init__(self) -> None:
        self._check_steps(steps=self.steps)
        self._check_factors(peak=self.peak, start=self.start, floor=self.floor)
        if not 0 < self.peak < 1:
            raise ValueError(f"OneCycle: peak must be between 0 and 1, got {self.peak}")

    def _factor(self, step: int) -> float:
        share = min(1.0, step / self.steps)
        if share < self.peak:
            return self.start + (1 - self.start) * (1 - cos(pi * share / self.peak)) / 2  # (X10)
        way = (share - self.peak) / (1 - self.peak)
        return self.floor + (1 - self.floor) * (1 + cos(pi * way)) / 2  # (X10)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Multiplied by `factor` after every `every` updates."""

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._check_steps(every=self.every)
        self._check_factors(factor=self.factor)

    def _factor(self, step: int) -> float:
        return self.factor ** (step // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiplied by `factor` after every update."""

    factor: float

    def __post_init__(self) -> None:
        self._check_factors(factor=self.factor)

    def _factor(self, step: int) -> float:
        return self.factor**step


def factor_at(schedule: Callable[[int], float], step: int) -> float:
    """Return what a schedule says for the update after `step` others, as `fit` uses it.

    Raises
    ------
    ValueError
        It is no finite number of at least 0.
    """
    value: Any = schedule(step)
    try:
        factor = nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        factor = nan
    if not (isfinite(factor) and factor >= 0):
        raise ValueError(
            f"fit: schedule must return a finite number of at least 0 at every step, got {value!r} at step {step}"
        )
    return factor
