"""A cell in one file: two functions of one unit's numbers, from which come loops, kernels, a layer and its check.

==============  =====================================================================================================
define.py       `define`: from names and two functions to a layer
operators.py    what the two functions may use, on arrays and on symbols
number.py       symbols: what they are called with once, to be written down as a `Program`
writing.py      one of the two functions: called on numbers in a row, or written down
built_in.py     RNN, LSTM and GRU in the words of a user's cell
wrapping.py     zoneout and recurrent dropout, around whichever cell
derived.py      definitions that were made of others
names.py        gates, states, parameters by name, and what names can't be
matrix.py       symbols that are no numbers: a matrix among the parameters, and the gradient of one
projection.py   a cell whose h is projected: what may stand beside it
mistakes.py     what is wrong with a user's file, in one line that names its line
==============  =====================================================================================================
"""

from typing import TYPE_CHECKING, Any

from ..layers.defined import Cell
from .define import define
from .mistakes import CellError
from .operators import (
    exp,
    log,
    maximum,
    mean,
    minimum,
    outer,
    product,
    product_transposed,
    relu,
    sigmoid,
    sqrt,
    tanh,
    where_less,
)

if TYPE_CHECKING:
    Number = Any  # a symbol at one time, an array at another, and a plain 0 will do
else:
    from .number import Number

__all__ = [
    "Cell",
    "CellError",
    "Number",
    "define",
    "exp",
    "log",
    "maximum",
    "mean",
    "minimum",
    "outer",
    "product",
    "product_transposed",
    "relu",
    "sigmoid",
    "sqrt",
    "tanh",
    "where_less",
]
