"""Addresses and counts, as values that Python's operators work on while a loop is being compiled.

What simd.py does for vectors, for the integers that lead to them. `written` takes a function of integers, NamedTuples
of integers and records of integers, and makes of it one that numba's loops call::

    def below(view: View, rows: int) -> View:
        return View(view.at + rows * view.row, view.row)

Wherever a loop calls it, it is run once, at compile time, and writes down a multiplication and an addition. So its
lines are ordinary Python, with helpers, methods and names for arguments; there is no call in the machine code, and
nothing to compile besides the loop itself. What decides and repeats at run time is the loop's, and numba's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from llvmlite import ir
from numba import types

from .simd import BYTE, INT, Lanes, declared, emitted, intrinsic


class Int:
    """An integer under construction. What is divided is not negative."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def _with(self, instruction: Callable[..., ir.Value], *values: Any) -> Int:
        return Int(self.builder, instruction(*map(_value, values)))

    def __add__(self, other: Any) -> Int:
        return self._with(self.builder.add, self, other)

    def __sub__(self, other: Any) -> Int:
        return self._with(self.builder.sub, self, other)

    def __mul__(self, other: Any) -> Int:
        return self._with(self.builder.mul, self, other)

    def __floordiv__(self, other: Any) -> Int:
        return self._with(self.builder.sdiv, self, other)

    def __mod__(self, other: Any) -> Int:
        return self._with(self.builder.srem, self, other)

    def __gt__(self, other: Any) -> Int:
        return self._with(lambda a, b: self.builder.icmp_signed(">", a, b), self, other)

    def __lt__(self, other: Any) -> Int:
        return self._with(lambda a, b: self.builder.icmp_signed("<", a, b), self, other)

    __radd__ = __add__
    __rmul__ = __mul__


def _value(number: Any) -> ir.Value:
    return number.value if isinstance(number, Int) else ir.Constant(INT, number)


def where(condition: Any, then: Any, otherwise: Any) -> Any:
    """Return one of two integers, both of which have been worked out."""
    if not isinstance(condition, Int):
        return then if condition else otherwise
    builder = condition.builder
    return Int(builder, builder.select(condition.value, _value(then), _value(otherwise)))


def least(a: Any, b: Any) -> Any:
    """Return the smaller of two integers."""
    return where(a > b, b, a)


def greatest(a: Any, b: Any) -> Any:
    """Return the larger of two integers."""
    return where(a > b, a, b)


def pick(numbers: tuple[int, ...], index: Any) -> Any:
    """Return one of some numbers that are known at compile time."""
    result: Any = numbers[0]
    for k, number in enumerate(numbers[1:]):
        if number != k + 1 or numbers[0] != 0:
            break
    else:
        return index  # they are 0, 1, 2, …
    for k, number in enumerate(numbers[1:]):
        result = where(index > k, number, result)
    return result


def word_at(address: Any) -> Any:
    """Return the 8-byte integer at an address."""
    builder = address.builder
    pointer = builder.inttoptr(address.value, ir.PointerType())
    return Int(builder, builder.load(pointer, typ=INT, align=8))


def call(name: str, body: Callable[..., None], lanes: Lanes, *arguments: Any) -> None:
    """Call the function of integers that ``body(code, *arguments)`` writes on first use; see `simd.emitted`."""
    builder = next(one.builder for one in arguments if isinstance(one, Int))
    builder.call(emitted(builder.module, name, len(arguments), body, lanes), list(map(_value, arguments)))


class Shared(NamedTuple):
    """Functions that many loops call: compiled once, in machine code of their own, and known by name."""

    make: Callable[..., Any]  # of a module, by whose name a file speaks of it
    arguments: tuple[Any, ...]  # ``make(*arguments)`` is a function that tells where they are
    names: tuple[str, ...]  # in its order


_linkers: list[Callable[[Shared], None]] = []
"""Of the loops that are being compiled; one may wait for another, which is behind it."""


@contextmanager
def linked_by(link: Callable[[Shared], None]) -> Iterator[None]:
    """Let ``link(shared)`` see to it that functions can be called, as soon as code inside wants one of them."""
    _linkers.append(link)
    try:
        yield
    finally:
        _linkers.pop()


def shared_function(module: ir.Module, shared: Shared, k: int, arguments: int) -> ir.Function:
    """Return one of the functions, for the module to call."""
    _linkers[-1](shared)
    return declared(module, shared.names[k], ir.FunctionType(ir.VoidType(), [INT] * arguments))


class _Record:
    """A record in memory that stays as it is while the loop runs: a field is read once, and kept."""

    def __init__(self, builder: ir.IRBuilder, kind: types.Record, pointer: ir.Value):
        self._builder, self._kind, self._pointer = builder, kind, pointer

    def __getattr__(self, field: str) -> Int:
        base = self._builder.bitcast(self._pointer, ir.PointerType())
        place = self._builder.gep(base, [ir.Constant(INT, self._kind.offset(field))], source_etype=BYTE)
        value = self._builder.load(place, typ=INT, align=8)
        value.set_metadata("invariant.load", self._builder.module.add_metadata([]))
        return Int(self._builder, value)


@cache
def _type_of(kind: Any) -> Any:
    """Return numba's type of nothing, of an integer, or of a NamedTuple of integers."""
    if kind is type(None):
        return types.void
    return types.int64 if kind is int else types.NamedUniTuple(types.int64, len(kind._fields), kind)


def _argument(builder: ir.IRBuilder, kind: Any, value: ir.Value) -> Any:
    """Return what a function is run with in the place of a value."""
    if isinstance(kind, types.Record):
        return _Record(builder, kind, value)
    if isinstance(kind, types.NamedUniTuple):
        return kind.instance_class(*(Int(builder, builder.extract_value(value, k)) for k in range(len(kind))))
    return Int(builder, value)


def _returned(context: Any, builder: ir.IRBuilder, kind: Any, result: Any) -> Any:
    """Return what numba gets for the result of a function."""
    if kind is types.void:
        return context.get_dummy_value()
    if kind is types.int64:
        return _value(result)
    whole = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for k, number in enumerate(result):
        whole = builder.insert_value(whole, _value(number), k)
    return whole


def written(function: Callable[..., Any]) -> Any:
    """Return a function that numba's loops call by writing down its instructions.

    Its annotations are int, NamedTuples of integers, None for no result, and anything else for a record.
    """
    parameters = list(inspect.signature(function).parameters.values())
    hints = get_type_hints(function)
    result = _type_of(hints["return"])

    def typed(typing: Any, *arguments: Any) -> Any:
        kinds = [
            given if isinstance(given, types.Record) else _type_of(hints[parameter.name])
            for parameter, given in zip(parameters, arguments, strict=True)
        ]

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            made = function(*(_argument(builder, kind, value) for kind, value in zip(kinds, values, strict=True)))
            return _returned(context, builder, result, made)

        return result(*kinds), generate

    first = inspect.Parameter("typing", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typed.__signature__ = inspect.Signature([first, *parameters])  # type: ignore[attr-defined]
    typed.__name__ = function.__name__
    return intrinsic(typed)
