"""Derivatives beyond the gradient of a loss, exact to rounding, and none of them as large as all parameters squared.

==============  =====================================================================================================
stepping.py     a copy on complex numbers whose parameters have taken the step i·ε·v
tangents.py     `jvp`: how outputs move when inputs, states or parameters move
said.py         what a model says, apart from its loss, and the way back from there
curvature.py    `hvp` and `gauss_newton_product`: the loss's second derivatives times a direction
rows.py         some examples of a batch, and how much each counts
examples.py     `per_example_gradients`, `example_gradient_norms`, `clipped_gradients`
walk.py         the norms of all examples' gradients by one walk back
recording.py    a cell that keeps, on the walk back, what its weights' gradients are made of
norms.py        the norms, from what gradients are made of
jacobians.py    `state_jacobian`, `state_jacobian_singular_values`: what a state has left of an earlier one
==============  =====================================================================================================
"""

from .curvature import gauss_newton_product, hvp
from .examples import ClippedGradients, clipped_gradients, example_gradient_norms, per_example_gradients
from .jacobians import SingularValues, state_jacobian, state_jacobian_singular_values
from .tangents import jvp

__all__ = [
    "ClippedGradients",
    "SingularValues",
    "clipped_gradients",
    "example_gradient_norms",
    "gauss_newton_product",
    "hvp",
    "jvp",
    "per_example_gradients",
    "state_jacobian",
    "state_jacobian_singular_values",
]
