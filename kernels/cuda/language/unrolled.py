"""Functions with one expression for each number of a tuple, written out by name: loops over tuples do not unroll.

The text of a function that is made here has no name but ours: what a user has called his numbers does not enter it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kernels.definition import Program, Value

from .device import device_function
from .pointwise import FUNCTIONS

Named = Callable[..., Any]
"""A NamedTuple."""

Kind = Named | int
"""What several numbers are together: a NamedTuple, or a plain tuple of so many; 0 for nothing."""

SIGNS = {"add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "negative": "-{}"}
"""The operations of a program that Python has a sign for; the others are called by name."""


def count(kind: Kind) -> int:
    """Return how many numbers there are."""
    return kind if isinstance(kind, int) else len(kind._fields)  # type: ignore[attr-defined]


def make_read(kind: Kind) -> Any:
    """Return a function read(p, at, stride): the numbers from `at` on, each `stride` past the last, as a tuple."""
    items = _tuple(f"p[at + {k} * stride]" for k in range(count(kind)))
    return _function("read(p, at, stride)", f"return {items if isinstance(kind, int) else f'kind{items}'}", kind=kind)


def make_write(kind: Kind) -> Any:
    """Return a function write(p, at, stride, values), the reverse of read."""
    items = "; ".join(f"p[at + {k} * stride] = values[{k}]" for k in range(count(kind)))
    return _function("write(p, at, stride, values)", items or "pass")


def make_gather(places: Sequence[int]) -> Any:
    """Return a function gather(p, at, stride): the numbers in some of the places that `make_read` goes through."""
    return _function("gather(p, at, stride)", f"return {_tuple(f'p[at + {k} * stride]' for k in places)}")


def make_scatter(places: Mapping[int, int]) -> Any:
    """Return a function scatter(p, at, stride, values): some of a tuple's numbers, each to a place."""
    items = "; ".join(f"p[at + {place} * stride] = values[{k}]" for k, place in places.items())
    return _function("scatter(p, at, stride, values)", items or "pass")


def make_vector(length: int, change: Callable[[Any], Any] | None = None) -> Any:
    """Return a function vector(p, at): a tuple of the `length` numbers from `at` on, each changed by a function."""
    items = ", ".join(f"change(p[at + {k}])" if change else f"p[at + {k}]" for k in range(length))
    return _function("vector(p, at)", f"return ({items})", change=change)


def make_join(kind: Named, change: Callable[[Any], Any] | None = None) -> Any:
    """Return a function join(first, others): a NamedTuple of a number and a tuple, each changed by a function."""
    items = ["first", *(f"others[{k}]" for k in range(count(kind) - 1))]
    changed = [f"change({item})" if change else item for item in items]
    return _function("join(first, others)", f"return kind({', '.join(changed)})", kind=kind, change=change)


def make_others(kind: Named) -> Any:
    """Return a function others(values): a tuple of all but the first."""
    return _function("others(values)", f"return {_tuple(f'values[{k}]' for k in range(1, count(kind)))}")


def make_sum(length: int) -> Any:
    """Return a function add(a, b): the sums of two tuples' numbers, one by one."""
    return _function("add(a, b)", f"return {_tuple(f'a[{k}] + b[{k}]' for k in range(length))}")


def make_scaled(length: int) -> Any:
    """Return a function scaled(a, n): a tuple's numbers, each times n."""
    return _function("scaled(a, n)", f"return {_tuple(f'a[{k}] * n' for k in range(length))}")


def make_sums(sums: Sequence[str], from_x: Sequence[str], from_h: Sequence[str]) -> Any:
    """Return a function sums(x, b_x, h, b_h): of each sum, by name, what W_x x_t and W_h h_{t−1} give to it."""
    texts = []
    for name in sums:
        terms = [f"{v}[{names.index(name)}]" for names, pair in ((from_x, ("x", "b_x")), (from_h, ("h", "b_h")))
                 if name in names for v in pair]  # fmt: skip
        texts.append(" + ".join(terms))
    return _function("sums(x, b_x, h, b_h)", f"return {_tuple(texts)}")


def make_halves(sums: Sequence[str], from_x: Sequence[str], from_h: Sequence[str]) -> Any:
    """Return a function halves(da): two tuples, of what W_x x_t and W_h h_{t−1} get."""
    x, h = (_tuple(f"da[{sums.index(name)}]" for name in names) for names in (from_x, from_h))
    return _function("halves(da)", f"return {x}, {h}")


def make_program(program: Program, arguments: dict[str, int], results: Sequence[int], real: Any) -> Any:
    """Return a program as a function of tuples that returns tuples.

    Parameters
    ----------
    program : Program
    arguments : dict of str to int
        The tuples' names, and how many of the program's inputs each has.
    results : sequence of int
        How many of its outputs each tuple has.
    real : type
        NumPy's float32 or float64. Constants are of it: a plain number would turn float32 into float64.
    """
    names = dict(FUNCTIONS)
    places = [f"{argument}[{k}]" for argument, length in arguments.items() for k in range(length)]

    def text(operand: Value | float) -> str:
        if isinstance(operand, Value):
            return places[operand.number]
        names[name := f"k{len(names)}"] = real(operand)
        return name

    lines = []
    for name, operands, _ in program.operations:
        taken = [text(operand) for operand in operands]
        sign = SIGNS.get(name, f"{name}({', '.join('{}' for _ in taken)})")
        lines.append(f"v{len(places)} = {sign.format(*taken)}")
        places.append(f"v{len(places)}")
    outputs = iter(map(text, program.outputs))
    tuples = [_tuple(next(outputs) for _ in range(length)) for length in results]
    lines.append(f"return {', '.join(tuples)}")
    return _function(f"program({', '.join(arguments)})", "\n    ".join(lines), **names)


def _tuple(items: Iterable[str]) -> str:
    return f"({''.join(f'{item}, ' for item in items)})"


def _function(head: str, body: str, **names: Any) -> Any:
    exec(f"def {head}:\n    {body}\n", names)
    return device_function(names[head.partition("(")[0]])
