"""Symbols that are no number of one unit: a matrix among the parameters, the gradient of one, and a mask of ones."""

from __future__ import annotations

from typing import Any, NoReturn

from kernels.definition import Value

OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or", "xor", "lshift",
    "rshift",
)  # fmt: skip
"""Python's operators of two operands."""

OTHERS = (
    "neg", "pos", "abs", "invert", "bool", "lt", "le", "gt", "ge", "eq", "ne", "float", "int", "index", "complex",
    "array", "round", "trunc", "floor", "ceil", "getitem", "iter", "len", "call", "array_ufunc", "array_function",
)  # fmt: skip
"""All else that might be asked of a number."""


class Bare:
    """What has a place or two where it may stand, and refuses all else."""

    __slots__ = ()
    __hash__ = object.__hash__

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions, and other libraries'
            raise AttributeError(name)
        return self._refused()


for _name in (*OPERATORS, *(f"r{name}" for name in OPERATORS), *OTHERS):
    setattr(Bare, f"__{_name}__", lambda self, *_, **__: self._refused())


class Matrix(Bare):
    """One of the matrices in `p`, while a function is written down."""

    __slots__ = ("_value", "_writing")

    def __init__(self, writing: Any, value: Value):
        self._writing, self._value = writing, value

    def _refused(self, *_: Any, **__: Any) -> Any:
        self._writing.refuse(MATRIX)

    def __repr__(self) -> str:
        return f"<a matrix of {self._writing.where}>"


class Outer(Bare):
    """The gradient of a matrix, d vᵀ, as its two factors: of symbols, or of arrays."""

    __slots__ = ("_writing", "d", "v")

    def __init__(self, d: Any, v: Any, writing: Any = None):
        self.d, self.v, self._writing = d, v, writing

    def _refused(self, *_: Any, **__: Any) -> Any:
        if self._writing is None:
            raise TypeError(OUTER)
        self._writing.refuse(OUTER)

    def __repr__(self) -> str:
        return "outer(d, v)"


class One:
    """What a cell's masks are where nothing is dropped: a factor that leaves no trace, on arrays and on symbols."""

    __array_ufunc__ = None  # an array leaves the product to it

    def __mul__(self, other: Any) -> Any:
        return other

    __rmul__ = __mul__

    def _refused(self, *_: Any) -> NoReturn:
        raise TypeError("a mask is a factor, of a candidate, and nothing else; write d.g * g")

    __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = _refused

    def __repr__(self) -> str:
        return "1"


MATRIX = "a matrix stands only in product, product_transposed and outer: product(p.W, v), and outer(d, v) in dp"

OUTER = (
    "outer(d, v) is only returned, in dp, as the gradient of a matrix: there is one of it for each, whose d and v are "
    "numbers of one unit; what scales it, scales d"
)
