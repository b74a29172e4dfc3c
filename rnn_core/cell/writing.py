"""One of a cell's two functions: called on numbers in a row, as a `Program` is, or written down as one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from math import isfinite
from types import FunctionType
from typing import Any, NamedTuple, NoReturn

from kernels.definition import Operation, Program, Value

from ..foreign import one_line, shown
from ..layers.layout import describe
from .matrix import Matrix, Outer
from .mistakes import CellError, Place, failed_at, mistake, returned_at
from .names import Group, Ones
from .number import Factor, Number, Writing, as_constant


class Written(NamedTuple):
    """A function of a user's with the groups that it takes and returns.

    Called with all numbers in a row, each group's in order, it returns all its results in a row.
    """

    function: FunctionType
    takes: tuple[Group, ...]
    returns: tuple[Group, ...]

    def __call__(self, numbers: Sequence[Any]) -> list[Any]:
        """Call the function, on whatever the numbers are."""
        return self._flat(self.function(*self._grouped(numbers)))

    def program(self) -> Program:
        """Call the function once with symbols, and return what it does with them.

        Raises
        ------
        CellError
            It does what can't be written down, or doesn't return what it must.
        """
        inputs = tuple(self._names(self.takes))
        matrices = {inputs.index(f"{each.word}.{name}") for each in self.takes for name in each.matrices}
        writing = Writing(self.function.__name__, self.function.__code__, len(inputs), matrices)
        arguments = self._grouped(writing.numbers())
        try:
            results = self.function(*arguments)
        except CellError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it came up in a line of the user's
            self._explain(error, arguments)
        outputs: list[Value | float] = []
        names, flat = tuple(self._names(self.returns)), self._flat(results)
        for name, result in zip(names, flat, strict=True):
            outputs.append(self._output(writing, name, result))
        lines = [result.line if isinstance(result, Factor) else 0 for result in flat]
        return _pruned(writing, inputs, names, outputs, lines, self._end)

    def masked(self) -> Written:
        """Return the same where masks are numbers, which come where the function takes them."""
        return self._replace(takes=tuple([Group(*each) if isinstance(each, Ones) else each for each in self.takes]))

    def check_signature(self) -> None:
        """Raise an error if the function does not take its groups."""
        wanted = ", ".join(each.word for each in self.takes)
        try:
            inspect.signature(self.function).bind(*self.takes)
        except TypeError:
            place = Place(self.function.__code__.co_filename, self.function.__code__.co_firstlineno)
            got = str(inspect.signature(self.function).replace(return_annotation=inspect.Signature.empty))
            bare = re.sub(r":[^,()\[\]]*(\[[^\]]*\])?", "", got)
            raise mistake(place, self.function.__name__, f"it must take ({wanted}), got {bare}", quoted=False) from None

    def check_read(self, group: Group, *programs: Program) -> None:
        """Raise an error if what the function takes has a number that no result of programs depends on."""
        for name in group.names:
            if not any(f"{group.word}.{name}" in program.used for program in programs):
                place = Place(self.function.__code__.co_filename, self.function.__code__.co_firstlineno)
                message = f"{group.what} {name!r} is read by nothing that it returns; take it out"
                raise mistake(place, self.function.__name__, message, quoted=False)

    @property
    def _end(self) -> Place:
        return returned_at(self.function)

    def _names(self, groups: Sequence[Group]) -> Iterator[str]:
        """Return the names of what stands in a row; the gradient of a matrix is two there, its factors."""
        for each in groups:
            for name in each.row:
                factors = groups is self.returns and name in each.matrices
                yield from (f"{each.word}.{name}{end}" for end in ((".d", ".v") if factors else ("",)))

    def _grouped(self, numbers: Sequence[Any]) -> list[Any]:
        """Return the function's arguments."""
        rest = iter(numbers)
        return [each.made([next(rest) for _ in each.row]) for each in self.takes]

    def _flat(self, results: Any) -> list[Any]:
        """Return the results in a row, if they are as they must be."""
        returns = self.returns
        if len([each for each in returns if each.names]) == 1 and returns[0].names:  # nothing is kept
            alone = isinstance(results, tuple | list) and not (results and isinstance(results[0], tuple | list))
            results = (results, ()) if alone else results
        if not isinstance(results, tuple | list) or len(results) != len(returns):
            wanted = ", ".join(each.word for each in returns)
            got = f"{len(results)} of them" if isinstance(results, tuple | list) else _described(results)
            raise self._wrong(f"it must return ({wanted}), got {got}")
        flat: list[Any] = []
        for each, result in zip(returns, results, strict=True):
            self._check(each, result)
            if not each.matrices:
                flat += result
                continue
            by_name = dict(zip(each.names, result, strict=True))
            flat += [by_name[name] for name in each.row if name not in each.matrices]
            for name in each.matrices:
                flat += self._factors(f"{each.word}.{name}", by_name[name])
        return flat

    def _factors(self, name: str, result: Any) -> list[Any]:
        """Return d and v of the gradient of a matrix."""
        if not isinstance(result, Outer):
            message = "must be outer(d, v), of what the result of the product gets, and its v"
            raise self._wrong(f"{name} {message}, got {_described(result)}")
        return [result.d, result.v]

    def _check(self, each: Group, result: Any) -> None:
        """Raise an error if one of the groups that were returned isn't what it must be."""
        names = each.names
        if not isinstance(result, tuple | list):
            raise self._wrong(f"{each.word} must be {_class(each)} of {', '.join(names)}, got {_described(result)}")
        if (fields := getattr(type(result), "_fields", names)) != names:
            raise self._wrong(
                f"{each.word} must be {_class(each)} of {', '.join(names)}, got {type(result).__name__} of "
                f"{', '.join(fields)}"
            )
        if len(result) != len(names):
            few = len(result) < len(names)
            missing = f"; {', '.join(names[len(result) :])} {'is' if len(names) - len(result) == 1 else 'are'} missing"
            count = f"{len(names)} number{'s' * (len(names) != 1)}, {', '.join(names) or 'none'}"
            raise self._wrong(f"{each.word} must hold {count}, got {len(result)}{missing if few else ''}")

    def _output(self, writing: Writing, name: str, result: Any) -> Value | float:
        """Return what an output is."""
        if isinstance(result, Number) and result._writing is writing:
            return result._value
        if isinstance(result, Number):
            raise self._wrong(f"{name} is a number of {result._writing.where}, which can't be used here")
        if (constant := as_constant(result)) is None:
            raise self._wrong(f"{name} must be a number, got {_described(result)}")
        if not isfinite(constant):
            raise self._wrong(f"{name} must be finite, got {constant}")
        return constant

    def _wrong(self, message: str) -> CellError:
        return mistake(self._end, self.function.__name__, message)

    def _explain(self, error: Exception, arguments: Sequence[Any]) -> NoReturn:
        """Raise what came up within the function as an error of its line."""
        text = f"{type(error).__name__}: {one_line(error)}"
        owner = getattr(error, "obj", None)
        for each, argument in zip(self.takes, arguments, strict=True):
            if owner is argument and isinstance(error, AttributeError):
                there = f"it has {', '.join(each.known)}" if each.known else "it has none"
                text = f"{each.word} has no {each.what} {error.name!r}; {there}"
        makes = {each.make.__name__: each for each in (*self.returns, *self.takes)}
        if isinstance(error, TypeError) and (made := re.match(r"(\w+)\.__new__\(\) (.*)", str(error))):
            its, rest = makes.get(made[1]), one_line(made[2])
            if its is not None:
                missing = re.findall(r"'(\w+)'", rest) if rest.startswith("missing") else []
                said = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing" if missing else rest
                text = f"{made[1]} must be given {', '.join(its.names)}; {said}"
        raise mistake(failed_at(error, self.function.__code__), self.function.__name__, text) from error


def _pruned(
    writing: Writing, inputs: tuple[str, ...], names: tuple[str, ...], outputs: list[Value | float],
    lines_of_outer: list[int], end: Place,
) -> Program:  # fmt: skip
    """Return the program without operations that no output depends on; the gradient of a matrix is made by `outer`."""
    count = len(inputs)
    wanted = {value.number for value in outputs if isinstance(value, Value)}
    for k in reversed(range(len(writing.operations))):
        if count + k in wanted:
            wanted |= {operand.number for operand in writing.operations[k].operands if isinstance(operand, Value)}
    kept = [k for k in range(len(writing.operations)) if count + k in wanted]
    at = {**{k: k for k in range(count)}, **{count + old: count + new for new, old in enumerate(kept)}}

    def moved(value: Value | float) -> Value | float:
        return Value(at[value.number]) if isinstance(value, Value) else value

    operations = tuple(
        Operation(one.name, tuple(map(moved, one.operands)), one.line) for one in (writing.operations[k] for k in kept)
    )
    lines = [*(end.line for _ in inputs), *(one.line for one in writing.operations)]
    own = [lines[value.number] if isinstance(value, Value) else end.line for value in outputs]
    made = [by_outer or line for by_outer, line in zip(lines_of_outer, own, strict=True)]
    return Program(inputs, operations, tuple(map(moved, outputs)), names, tuple(made))


def _class(each: Group) -> str:
    """Return a group's class with its article."""
    name = each.make.__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _described(value: Any) -> str:
    if isinstance(value, Number):
        return "one number"
    if isinstance(value, Matrix | Outer):
        return "a matrix" if isinstance(value, Matrix) else "outer(d, v), which is a matrix's gradient alone"
    if hasattr(value, "_fields"):
        return f"a {type(value).__name__}"
    return "nothing" if value is None else describe(value) if hasattr(value, "shape") else shown(value, 40)
