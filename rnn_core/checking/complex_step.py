"""The complex step: derivatives to the last digit, element by element, with nothing to tune.

For an analytic f that is real on the real axis, Taylor gives::

    f(v + i·ε) = f(v) + i·ε·f′(v) − ε²·f″(v)/2 − …,    so    f′(v) = Im f(v + i·ε)/ε + O(ε²)        (K1)

Nothing is subtracted, so nothing cancels: ε can be so small that the error term vanishes beside f′(v).

References
----------
.. [1] J. N. Lyness, C. B. Moler, "Numerical differentiation of analytic functions", SIAM J. Numer. Anal. 4 (1967)
   202-210.
.. [2] W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40
   (1998) 110-112.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .problem import Problem, Reference, begin

EPSILON = 1e-30
"""ε² = 1e-60 is far below every f′ that matters, and ε·f′ far above the smallest double, 1e-308."""


def reference(problem: Problem, upstreams: Mapping[str, np.ndarray]) -> Reference:
    """Return ∂⟨u, output⟩/∂value for each output with upstream gradient u, and each value, by (K1)."""
    values, run = begin(problem, np.complex128)
    found = Reference.empty(upstreams, values)
    for name, value in values.items():
        for place in np.ndindex(value.shape):
            exact = value[place]
            value[place] = exact + 1j * EPSILON
            outputs = run()
            value[place] = exact
            for output, u in upstreams.items():
                found.add(output, name, place, u * (outputs[output].imag / EPSILON))  # (K1)
    return found


def resolution(dtype: np.dtype) -> float:
    """Return the size below which a gradient leaves the range of its dtype, or its complex step that of float64.

    1e-31 for float32, 1e-262 for float64. It is about the range of exponents, and no tolerance: what is so small
    that its last digits are denormal numbers has lost them.
    """
    smallest = [np.finfo(d).tiny / np.finfo(d).eps for d in (dtype, np.float64)]
    return float(max(smallest[0], smallest[1] / EPSILON))
