"""The second derivatives of a loss times a direction: the Hessian's, and those of the Gauss-Newton matrix.

::

    H v = Im ∇L(θ + i·ε·v) / ε                                (J2)   H = ∂²L/∂θ∂θᵀ

    u   = J v = Im z(θ + i·ε·v) / ε                           (J3)   J = ∂z/∂θ, of what a model's head says
    w   = Im ∂L/∂z(z + i·ε·u) / ε                             (J4)   w = (∂²L/∂z∂zᵀ) u
    G v = Jᵀ w                                                (J5)   the hand-written backward, from dz = w

The hand-written gradient is a composition of the same analytic functions as the forward, so it runs on complex numbers,
backpropagation through time included: (K1) for each of its elements. The forward of (J3) has z + i·ε·u already, which
is what (J4) asks of the loss. G is what is left of H where the model is taken for linear: H − G is the sum over outputs
k of ∂L/∂z_k ∂²z_k/∂θ∂θᵀ. It has no negative eigenvalue where the loss is convex in z.

References
----------
.. [1] B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994) 147-160.
.. [2] N. N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", Neural Computation
   14 (2002) 1723-1738: G for any loss, section 3.
.. [3] J. Martens, I. Sutskever, "Learning recurrent neural networks with Hessian-free optimization", ICML 2011.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kernels.contract import Array

from ..checking.complex_step import EPSILON
from ..checking.twins import on_host
from ..layers.embedding import dense
from .said import said
from .stepping import asked, check_has, returned, stepped


def hvp(
    model: Any,
    batch: Any,
    vector: Mapping[str, Array],
    needs: Iterable[str] | None = None,
    *,
    state: Any = None,
    rng: np.random.Generator | int | None = None,
) -> dict[str, Array]:
    """Return H v, where H holds the second derivatives of a batch's loss by the parameters: (J2).

    Parameters
    ----------
    model : Model, or anything with `parameters`, `loss_and_gradients` and `astype`
        ``astype(np.complex128, backend="numpy")`` must return a twin that computes on complex numbers, as all models
        here do: whatever `gradcheck` checks with a batch.
    batch : Batch
        As `loss_and_gradients` takes it.
    vector : mapping of str to ndarray
        v: an array for each parameter that moves, of its shape. The others are constants, their part of v is zero.
    needs : set of str, optional
        Which rows of H v are wanted; by default those of the parameters in `vector`.
    state : ndarray or tuple, optional
        Initial state of a model that carries one; a constant.
    rng : Generator or int, optional
        Draws the dropout masks; the same int, the same masks.

    Returns
    -------
    product : dict of str to ndarray
        By name, in the dtype of that name's `vector`, or of the parameter.

    Raises
    ------
    TypeError
        The model has not what is needed, or `vector` is no dict of real numbers.
    ValueError
        A name is unknown, a shape is not the parameter's; or as the model's `loss_and_gradients`.

    Notes
    -----
    It costs one gradient on complex numbers in NumPy, in double precision, also of a float32 model; H is never formed.
    Where the loss has a kink (ReLU, max pooling) it is the product on the side where the parameters are. The row of a
    padding token is a constant: its part of v is taken for zero, and the product's is.
    """
    return hessian_times("hvp", model, batch, vector, needs, state=state, rng=rng)


def hessian_times(
    where: str,
    model: Any,
    batch: Any,
    vector: Mapping[str, Array],
    needs: Iterable[str] | None = None,
    *,
    state: Any = None,
    rng: np.random.Generator | int | None = None,
) -> dict[str, Array]:
    """Return `hvp`; `where` is the function that errors name."""
    check_has(where, "model", model, "parameters", "loss_and_gradients", "astype")
    twin = stepped(where, model, vector, "vector")
    names = asked(where, model, vector, needs)
    given, state = on_host(batch, np.complex128), on_host(state, np.complex128)
    found = twin.loss_and_gradients(given, state=state, needs=names, rng=rng).gradients
    product = {name: dense(found[name]).imag / EPSILON for name in names}  # (J2)
    return returned(product, model, vector)


def gauss_newton_product(
    model: Any,
    batch: Any,
    vector: Mapping[str, Array],
    needs: Iterable[str] | None = None,
    *,
    state: Any = None,
    rng: np.random.Generator | int | None = None,
) -> dict[str, Array]:
    """Return G v, where G = Jᵀ (∂²L/∂z∂zᵀ) J is the (generalised) Gauss-Newton matrix of a batch's loss: (J3)-(J5).

    Parameters
    ----------
    model : Model
        Any of rnn_core's, or one of your own on `SingleHead`; `transfer`'s MultiTask and LinearMap.
    batch, vector, needs, state, rng
        As `hvp`.

    Returns
    -------
    product : dict of str to ndarray
        As `hvp`.

    Raises
    ------
    TypeError
        The model's outputs can't be told apart from its loss; or as `hvp`.
    ValueError
        As `hvp`.

    Notes
    -----
    For softmax and binary cross-entropy and squared error, and for a CRF, whose transitions count as outputs beside z,
    G is positive semi-definite; with cross-entropies it is Fisher's information of what the model says. For the
    likelihood of a Gaussian, which is not convex in its scale, it need not be. It costs one forward and one backward on
    complex numbers in NumPy, in double precision.
    """
    where = "gauss_newton_product"
    if said.dispatch(type(model)) is said.dispatch(object):
        raise TypeError(
            f"{where}: model must be one whose outputs can be told apart from its loss, as SequenceClassifier or "
            f"Seq2Seq, got {type(model).__name__}; hvp takes any model"
        )
    twin = stepped(where, model, vector, "vector")
    names = asked(where, model, vector, needs)
    outputs = said(twin, on_host(batch, np.complex128), on_host(state, np.complex128), names, rng)  # (J3), z + i·ε·u
    w = {name: (dz.imag / EPSILON).astype(np.complex128) for name, dz in outputs.doutputs.items()}  # (J4)
    found = outputs.backward(w)  # (J5); i·ε·v is still on the way, and rounded away beside a real number
    return returned({name: dense(found[name]).real for name in names}, model, vector)
