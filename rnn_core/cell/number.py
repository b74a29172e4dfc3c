"""`Number`: a symbol for one unit's number, which writes down what is done with it, and on which line."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import isfinite
from types import CodeType
from typing import Any, NoReturn

import numpy as np

from kernels.definition import ACROSS, Operation, Value

from ..foreign import shown
from ..layers.layout import describe
from .matrix import MATRIX, OUTER, Matrix, One, Outer
from .mistakes import INSTEAD, OPERATORS, caller, line_within, mistake

UFUNCS = {np.add: "add", np.subtract: "subtract", np.multiply: "multiply", np.divide: "divide"}
"""What NumPy makes of ``np.float64(2) * a``."""


class Writing:
    """A function that is being written down: what its numbers have been through so far.

    Parameters
    ----------
    where : str
        The function's name.
    code : code
        Its own, by which its line is known.
    inputs : int
        How many numbers come in.
    matrices : set of int
        Which of them are matrices.
    """

    def __init__(self, where: str, code: CodeType, inputs: int, matrices: Collection[int] = ()):
        self.where, self.code, self.inputs, self.matrices = where, code, inputs, matrices
        self.operations: list[Operation] = []

    def numbers(self) -> list[Number | Matrix]:
        """Return a symbol for each number that comes in."""
        return [(Matrix if k in self.matrices else Number)(self, Value(k)) for k in range(self.inputs)]

    def add(self, name: str, operands: Iterable[Any]) -> Number:
        """Write down an operation, and return its result."""
        if name in ACROSS:
            found = self._across(name, *operands)
        else:
            found = tuple([self.operand(operand) for operand in operands])
        if name == "divide" and found[1] == 0.0:
            self.refuse("a number can't be divided by 0, of which no step is finite")
        self.operations.append(Operation(name, found, line_within(self.code)))
        return Number(self, Value(self.inputs + len(self.operations) - 1))

    def _across(self, name: str, *operands: Any) -> tuple[Value | float, ...]:
        """Return what an operation across the units reads: a matrix, if it has one, and a number of one unit."""
        *matrix, v = operands
        if matrix and not isinstance(matrix[0], Matrix):
            way_out = f"write {name}(p.W, v)" if isinstance(v, Matrix) else "`matrices` of define names them"
            self.refuse(f"{name} takes one of the matrices in p first, got {_said(matrix[0])}; {way_out}")
        return *(self._known(one)._value for one in matrix), self.unit(name, v)

    def outer(self, d: Any, v: Any) -> Outer:
        """Return the gradient of a matrix, for `dp`."""
        line = line_within(self.code)
        d, v = (Factor(self, self.unit("outer", one), line) for one in (d, v))
        return Outer(d, v, self)

    def unit(self, name: str, value: Any) -> Value:
        """Return what an operation reads that takes a number of one unit, and no constant."""
        found = self.operand(value)
        if not isinstance(found, Value):
            what = "which is its own mean" if name == "mean" else "which differs in no unit"
            self.refuse(f"{name} takes a number of one unit, got the constant {found:g}, {what}")
        return found

    def _known(self, value: Any) -> Any:
        """Return a symbol, if it is one of this function's."""
        if value._writing is not self:
            what = "matrix" if isinstance(value, Matrix) else "number"
            way_out = "take it of this function's own p" if what == "matrix" else "hand it over in `kept`"
            self.refuse(f"a {what} of {value._writing.where} can't be used here: {way_out}")
        return value

    def operand(self, value: Any) -> Value | float:
        """Return what an operation reads."""
        if isinstance(value, One):
            value._refused()
        if isinstance(value, Number):
            return self._known(value)._value
        if isinstance(value, Matrix | Outer):
            self.refuse(MATRIX if isinstance(value, Matrix) else OUTER)
        if (constant := as_constant(value)) is None:
            what = f"{type(value).__name__} of {', '.join(value._fields)}" if hasattr(value, "_fields") else None
            self.refuse(
                f"an operator takes numbers of one unit, got {what or describe(value)}"
                + ("; take one of them by its name" if what else "")
                + ("; what differs from unit to unit is a parameter" if isinstance(value, np.ndarray) else "")
            )
        if not isfinite(constant):
            self.refuse(f"a constant must be finite, got {constant}")
        return constant

    def refuse(self, message: str) -> NoReturn:
        """Raise the error of the line that is being written down."""
        raise mistake(caller(), self.where, message)


class Number:
    """One number of one unit in one sequence.

    `step` and `step_backward` are written in terms of it. When a cell is defined they are called once with symbols of
    this class, which write down what is done with them; on arrays they compute.
    """

    __slots__ = ("_value", "_writing")

    def __init__(self, writing: Writing, value: Value):
        self._writing, self._value = writing, value

    def __add__(self, other: Any) -> Number:
        return self._writing.add("add", (self, other))

    def __radd__(self, other: Any) -> Number:
        return self._writing.add("add", (other, self))

    def __sub__(self, other: Any) -> Number:
        return self._writing.add("subtract", (self, other))

    def __rsub__(self, other: Any) -> Number:
        return self._writing.add("subtract", (other, self))

    def __mul__(self, other: Any) -> Number:
        return self if isinstance(other, One) else self._writing.add("multiply", (self, other))

    def __rmul__(self, other: Any) -> Number:
        return self._writing.add("multiply", (other, self))

    def __truediv__(self, other: Any) -> Number:
        return self._writing.add("divide", (self, other))

    def __rtruediv__(self, other: Any) -> Number:
        return self._writing.add("divide", (other, self))

    def __neg__(self) -> Number:
        return self._writing.add("negative", (self,))

    def __pos__(self) -> Number:
        return self

    def __pow__(self, power: Any) -> Number:
        if isinstance(power, int | float | np.integer | np.floating) and power == 2:
            return self._writing.add("multiply", (self, self))
        others = {0.5: "sqrt(a)", 3: "a * a * a", -1: "1 / a", 1: "a", 4: "(a * a) ** 2"}
        instead = (others.get(power) if isinstance(power, int | float) else None) or "exp(b * log(a))"
        self._writing.refuse(f"of powers there is ** 2 alone, got ** {_said(power)}; write {instead}")

    def __rpow__(self, base: Any) -> NoReturn:
        self._writing.refuse(f"of powers there is a ** 2 alone, got {_said(base)} ** a; write exp(log(b) * a)")

    # ── What there is not ───────────────────────────────────────────────────────────────────────────────────────────

    def __bool__(self) -> NoReturn:
        self._decided("`if`, `and`, `or`, `not` and `while`")

    def __lt__(self, other: Any) -> NoReturn:
        self._decided("comparisons, max and min")

    def __le__(self, other: Any) -> NoReturn:
        self._decided("comparisons")

    def __gt__(self, other: Any) -> NoReturn:
        self._decided("comparisons, max and min")

    def __ge__(self, other: Any) -> NoReturn:
        self._decided("comparisons")

    def __eq__(self, other: object) -> NoReturn:
        self._decided("comparisons and `in`")

    def __ne__(self, other: object) -> NoReturn:
        self._decided("comparisons")

    __hash__ = object.__hash__

    def _decided(self, what: str) -> NoReturn:
        self._writing.refuse(
            f"{what} need a number's value, and the function is written down once, for every value; "
            "where_less(a, b, x, y), maximum and minimum choose number by number"
        )

    def __abs__(self) -> NoReturn:
        self._writing.refuse("abs is no operator of a cell; write maximum(a, -a)")

    def __float__(self) -> NoReturn:
        self._converted("float() and the functions of math")

    def __int__(self) -> NoReturn:
        self._converted("int()")

    def __index__(self) -> NoReturn:
        self._converted("range() and indexes")

    def __complex__(self) -> NoReturn:
        self._converted("complex() and the functions of cmath")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._converted("arrays")

    def __round__(self, *_: Any) -> NoReturn:
        self._converted("round()")

    def __trunc__(self) -> NoReturn:
        self._converted("int() and math.trunc")

    def __floor__(self) -> NoReturn:
        self._converted("math.floor")

    def __ceil__(self) -> NoReturn:
        self._converted("math.ceil")

    def _converted(self, what: str) -> NoReturn:
        self._writing.refuse(f"{what} want a number's value, which is not there yet; there are {OPERATORS}")

    def __getitem__(self, index: Any) -> NoReturn:
        self._single()

    def __iter__(self) -> NoReturn:
        self._single()

    def __len__(self) -> NoReturn:
        self._single()

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse it."""
        self._writing.refuse("a number can't be called; an operator may be missing in front of the brackets")

    def _single(self) -> NoReturn:
        self._writing.refuse(
            "a number is of one unit, and has no parts: no indexes, no length; gates are taken by name, as a.f"
        )

    def _no_operator(self, *_: Any) -> NoReturn:
        self._writing.refuse(f"there is no such operator of a cell; there are {OPERATORS}")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _no_operator
    __matmul__ = __rmatmul__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _no_operator
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __invert__ = _no_operator

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python's own questions, and other libraries'
            raise AttributeError(name)
        self._writing.refuse(f"a number has no attribute {name!r}; there are {OPERATORS}")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Number:
        """Write down what a number of NumPy's does with this one; refuse NumPy's functions."""
        if ufunc in UFUNCS and method == "__call__" and not options:
            return self._writing.add(UFUNCS[ufunc], inputs)
        if ufunc in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
            self._decided("comparisons")
        self._no_function(ufunc.__name__)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        """Refuse NumPy's functions."""
        self._no_function(function.__name__)

    def _no_function(self, name: str) -> NoReturn:
        instead = INSTEAD.get(name)
        if instead is None:
            way_out = f"there are {OPERATORS}"
        else:
            way_out = f"take {instead} of rnn_core.cell" if instead.isidentifier() else f"write {instead}"
        self._writing.refuse(f"np.{name} is no operator of a cell, as the kernels' numbers are not NumPy's; {way_out}")

    def __repr__(self) -> str:
        return f"<a number of {self._writing.where}>"


class Factor(Number):
    """One of both factors of the gradient of a matrix; it knows the line on which that was made."""

    __slots__ = ("line",)

    def __init__(self, writing: Writing, value: Value, line: int):
        super().__init__(writing, value)
        self.line = line


def as_constant(value: Any) -> float | None:
    """Return a real number as a float; None for anything else."""
    if isinstance(value, int | float | np.integer | np.floating | np.bool_):
        return float(value)
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        return float(value)
    return None


def _said(value: Any) -> str:
    if isinstance(value, Matrix | Outer):
        return "a matrix" if isinstance(value, Matrix) else "outer(d, v)"
    return "a number" if isinstance(value, Number) else shown(value, 20)
