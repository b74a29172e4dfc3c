"""What `step` and `step_backward` are made of, besides + − * / and ** 2: on symbols, on arrays, and on anything else
that has a method of the name.

On arrays they are the equations' own (A1)–(A3) or NumPy's. Those that compare look at the real part alone, so that each
is analytic where the real function is, and the complex step can pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.definition import ACROSS

from ..equations import across, activations
from .matrix import Matrix, Outer
from .number import Number, as_constant


def sigmoid(a: Any) -> Any:
    """σ(a) = 1/(1 + e^{−a}); its derivative is s (1 − s), of the result s."""
    return _applied("sigmoid", a)


def tanh(a: Any) -> Any:
    """tanh(a); its derivative is 1 − t², of the result t."""
    return _applied("tanh", a)


def relu(a: Any) -> Any:
    """max(a, 0); its derivative is 1 where the result is positive, otherwise 0: ``where_less(0, r, 1, 0)``."""
    return _applied("relu", a)


def exp(a: Any) -> Any:
    """e^a; its derivative is the result."""
    return _applied("exp", a)


def log(a: Any) -> Any:
    """The natural logarithm of a > 0; its derivative is 1/a."""
    return _applied("log", a)


def sqrt(a: Any) -> Any:
    """The square root of a ≥ 0; its derivative is 1/(2r), of the result r."""
    return _applied("sqrt", a)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two numbers, a where they are equal; a NaN stays one."""
    return _applied("maximum", a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two numbers, a where they are equal; a NaN stays one."""
    return _applied("minimum", a, b)


def where_less(a: Any, b: Any, x: Any, y: Any) -> Any:
    """x where a < b, otherwise y."""
    return _applied("where_less", a, b, x, y)


def mean(v: Any) -> Any:
    """The mean of a number over the units of a row, the same for all of them; the gradient of v is ``mean(dr)``."""
    return _applied("mean", v)


def product(W: Any, v: Any) -> Any:
    """W v, of one of the matrices in p; the gradient of v is ``product_transposed(W, dr)``, of W ``outer(dr, v)``."""
    return _applied("product", W, v)


def product_transposed(W: Any, d: Any) -> Any:
    """Wᵀ d, of one of the matrices in p."""
    return _applied("product_transposed", W, d)


def outer(d: Any, v: Any) -> Any:
    """d vᵀ, the gradient of a matrix: to be returned in `dp`, and nothing else. The loops sum it over all steps."""
    for factor in (d, v):
        if isinstance(factor, Number | Matrix):
            return factor._writing.outer(d, v)
    for factor in (d, v):
        if not isinstance(factor, np.ndarray):
            raise TypeError(f"outer takes two numbers of one unit, got {_kind(factor)}")
    return Outer(d, v)


def _larger(a: Any, b: Any) -> Any:
    return np.where((np.real(a) < np.real(b)) | np.isnan(b), b, a)


def _smaller(a: Any, b: Any) -> Any:
    return np.where((np.real(b) < np.real(a)) | np.isnan(b), b, a)


def _chosen(a: Any, b: Any, x: Any, y: Any) -> Any:
    chosen = np.where(np.real(a) < np.real(b), x, y)
    return chosen.astype(np.result_type(a, b, x, y), copy=False)  # also where x and y are Python's own 1 and 0


ON_ARRAYS: dict[str, Callable[..., Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "negative": np.negative,
    "sigmoid": activations.sigmoid, "tanh": activations.tanh, "relu": activations.relu,
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "maximum": _larger, "minimum": _smaller, "where_less": _chosen,
    "mean": across.mean, "product": across.product, "product_transposed": across.product_transposed,
}  # fmt: skip
"""Every operation of `kernels.definition.OPERATIONS` and `ACROSS` on arrays, for `Program.run`; matrices are (H, H)."""


def _applied(name: str, *operands: Any) -> Any:
    """Do an operation, on whatever its operands are."""
    for operand in operands:
        if isinstance(operand, Number | Matrix):
            return operand._writing.add(name, operands)
    if any(isinstance(operand, np.ndarray) for operand in operands):
        return ON_ARRAYS[name](*operands)
    for operand in operands:
        if callable(method := getattr(operand, name, None)):
            return method(*(other for other in operands if other is not operand))
    if all(map(_known, operands)):
        if name in ACROSS:
            raise TypeError(f"{name} takes a number of one unit, got a constant")
        value = ON_ARRAYS[name](*map(np.asarray, operands))
        return value.item()  # one of Python's, beside which an array keeps its dtype
    wrong = next(operand for operand in operands if not _known(operand))
    raise TypeError(f"{name} takes numbers of one unit, got {_kind(wrong)}")


def _kind(wrong: Any) -> str:
    if isinstance(wrong, Outer):
        return repr(wrong)
    fields = f" of {', '.join(wrong._fields)}" if hasattr(wrong, "_fields") else ""
    return f"{type(wrong).__name__}{fields}; gates are taken by name, as a.f"


def _known(operand: Any) -> bool:
    return isinstance(operand, complex | np.complexfloating) or as_constant(operand) is not None
