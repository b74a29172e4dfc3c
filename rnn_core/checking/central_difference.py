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

import numpy as np

from .problem import Problem, Reference

EPSILON = 1e-4
"""Times ``max(1, |v|)``. In (K3) the truncation, ε⁴, and the rounding, 1e-16/ε, both stay below 1e-11."""

SMOOTH = 1e-5
"""How far D(ε) and D(ε/2) may be apart, as a share of the terms. Where f is smooth it is some ε², 1e-8."""


def reference(problem: Problem, upstreams: Mapping[str, np.ndarray]) -> Reference:
    """Return ∂⟨u, output⟩/∂value for each output with upstream gradient u, and each value, by (K3)."""
    values, run = problem.twin(np.dtype(np.float64))
    found = Reference.empty(upstreams, values)

    def difference(value: np.ndarray, place: tuple[int, ...], step: float) -> dict[str, np.ndarray]:
        exact = value[place]
        value[place] = exact + step
        above = run()
        value[place] = exact - step
        below = run()
        value[place] = exact
        return {output: (above[output] - below[output]) / (2 * step) for output in upstreams}  # (K2)

    for name, value in values.items():
        for place in np.ndindex(value.shape):
            step = EPSILON * max(1.0, abs(float(value[place])))
            coarse, fine = difference(value, place, step), difference(value, place, step / 2)
            for output, u in upstreams.items():
                terms = u * ((4 * fine[output] - coarse[output]) / 3)  # (K3)
                found.add(output, name, place, terms)
                if abs((u * (fine[output] - coarse[output])).sum()) > SMOOTH * abs(terms).sum():
                    found.gradients[output][name][place] = np.nan  # a kink lies within the step: nothing can be said
    return found


def resolution(problem: Problem, upstreams: Mapping[str, np.ndarray], tolerance: float) -> dict[str, float]:
    """Return, for each output, the size below which rounding hides a relative error of `tolerance`.

    Each output is a few roundings away from exact; ten is on the safe side.
    """
    _, run = problem.twin(np.dtype(np.float64))
    outputs = run()
    rounding = 10 * np.finfo(np.float64).eps / EPSILON / tolerance
    return {output: float(rounding * abs(u * outputs[output]).sum()) for output, u in upstreams.items()}
