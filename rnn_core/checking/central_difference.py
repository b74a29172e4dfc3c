"""Central differences: derivatives of functions that are not analytic, or that can't run on complex numbers.

::

    D(ε) = (f(v + ε) − f(v − ε)) / 2ε = f′(v) + O(ε²)        (K2)
    f′(v) = (4·D(ε/2) − D(ε)) / 3 + O(ε⁴)                    (K3), Richardson's extrapolation

The subtraction cancels digits, so a derivative much smaller than the function can't be resolved; `resolution` says
from where on. The check reports such elements apart: neither passed nor failed.

References
----------
.. [1] L. F. Richardson, "The approximate arithmetical solution by finite differences …", Phil. Trans. R. Soc. A 210
   (1911) 307-357.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .problem import Problem, Reference, begin, outputs_of

EPSILON = 1e-4
"""Times ``max(1, |v|)``. In (K3) the truncation, ε⁴, and the rounding, 1e-16/ε, both stay below 1e-11."""

SMOOTH = 1e-5
"""How far D(ε) and D(ε/2) may be apart, as a share of the terms. Where f is smooth it is some ε², 1e-8."""


class Slope(NamedTuple):
    """What one element's derivative came to."""

    terms: np.ndarray  # u_k ∂output_k/∂v, by (K3)
    smooth: bool  # False: a kink lies within the step, and nothing can be said


class Differences:
    """The forward in float64 beside a point, for one element after another."""

    def __init__(self, problem: Problem, upstreams: Mapping[str, np.ndarray]) -> None:
        self.values, self._run = begin(problem, np.float64)
        self._upstreams = upstreams
        self._here = outputs_of(problem, self._run)
        self.rounding = {output: _rounding(u, self._here[output]) for output, u in upstreams.items()}

    def slope(self, name: str, place: tuple[int, ...]) -> dict[str, Slope]:
        """Return the slope of every output along one element of a value."""
        value = self.values[name]
        step = EPSILON * max(1.0, abs(float(value[place])))
        coarse, fine = self._beside(value, place, step), self._beside(value, place, step / 2)
        found = {}
        for output, u in self._upstreams.items():
            (coarse_slope, coarse_bend), (fine_slope, fine_bend) = coarse[output], fine[output]
            terms = u * ((4 * fine_slope - coarse_slope) / 3)  # (K3)
            # Exactly on a kink D(ε) is the mean of both sides, whatever ε is; but the bend stays as ε shrinks.
            apart = abs((u * (fine_slope - coarse_slope)).sum()), abs((u * (2 * fine_bend - coarse_bend)).sum()) / 4
            found[output] = Slope(terms, max(apart) <= SMOOTH * abs(terms).sum() + self.rounding[output])
        return found

    def _beside(self, value: np.ndarray, place: tuple[int, ...], step: float) -> dict[str, tuple[Any, Any]]:
        """Return D(ε), and how far f bends within ε, of every output."""
        exact = value[place]
        value[place] = exact + step
        above = self._outputs()
        value[place] = exact - step
        below = self._outputs()
        value[place] = exact
        return {
            output: (
                (above[output] - below[output]) / (2 * step),  # (K2)
                (above[output] - 2 * self._here[output] + below[output]) / step,
            )
            for output in self._upstreams
        }

    def _outputs(self) -> dict[str, np.ndarray]:
        return {output: np.array(array) for output, array in self._run().items()}


def reference(problem: Problem, upstreams: Mapping[str, np.ndarray]) -> Reference:
    """Return ∂⟨u, output⟩/∂value for each output with upstream gradient u, and each value, by (K3)."""
    differences = Differences(problem, upstreams)
    found = Reference.empty(upstreams, differences.values)
    for name, value in differences.values.items():
        for place in np.ndindex(value.shape):
            for output, (terms, smooth) in differences.slope(name, place).items():
                found.add(output, name, place, terms)
                if not smooth:
                    found.gradients[output][name][place] = np.nan
    return found


def resolution(problem: Problem, upstreams: Mapping[str, np.ndarray], tolerance: float) -> dict[str, float]:
    """Return, for each output, the size below which rounding hides a relative error of `tolerance`."""
    return {output: size / tolerance for output, size in Differences(problem, upstreams).rounding.items()}


def _rounding(u: np.ndarray, output: np.ndarray) -> float:
    """Return what rounding may make of ⟨u, D(ε)⟩. An output is a few roundings from exact; ten is on the safe side."""
    return float(10 * np.finfo(np.float64).eps / EPSILON * abs(u * output).sum())
