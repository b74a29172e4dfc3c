"""What is wrong with the file of a cell, in one line that names the line: ``peephole.py:31: step: …``."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..foreign import one_line

HERE = str(Path(__file__).parent / "_").removesuffix("_")
"""Whose frames say nothing about the user's file."""

OPERATORS = (
    "+, −, *, /, ** 2 and sigmoid, tanh, relu, exp, log, sqrt, maximum, minimum, where_less, mean, product of "
    "rnn_core.cell"
)
"""All that a number takes."""

INSTEAD = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "maximum": "maximum", "fmax": "maximum",
    "minimum": "minimum", "fmin": "minimum", "square": "a * a", "float_power": "a * a", "power": "a * a",
    "absolute": "maximum(a, -a)", "abs": "maximum(a, -a)", "fabs": "maximum(a, -a)", "where": "where_less(a, b, x, y)",
    "clip": "minimum(maximum(a, low), high)", "reciprocal": "1 / a", "less": "where_less(a, b, x, y)",
    "greater": "where_less(a, b, x, y)", "log1p": "log(1 + a)", "expm1": "exp(a) - 1",
    "logaddexp": "log(exp(a) + exp(b))", "mean": "mean", "dot": "product(p.W, v)", "matmul": "product(p.W, v)",
    "outer": "outer",
}  # fmt: skip
"""What to take in place of a function of NumPy's."""


class CellError(ValueError):
    """A mistake in the file of a cell; its message begins with the file and the line."""


class Place(NamedTuple):
    """A line of a user's file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"

    @property
    def code(self) -> str:
        """What stands there, as a message quotes it; empty where that can't be read."""
        text = linecache.getline(self.file, self.line).strip()
        return f" ({one_line(text, 70)})" if text else ""


def mistake(place: Place, where: str, message: str, *, quoted: bool = True) -> CellError:
    """Return the error of a line, with what stands there behind it."""
    return CellError(f"{place}: {where}: {message}{place.code if quoted else ''}")


def frames() -> Iterator[FrameType]:
    """Yield the frames that called, from within, without those of this folder."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(HERE):
            yield frame
        frame = frame.f_back


def caller() -> Place:
    """Return the line that called this folder's functions."""
    frame = next(frames())
    return Place(frame.f_code.co_filename, frame.f_lineno)


def line_within(code: CodeType) -> int:
    """Return the line at which a function that is running stands; 0 if it is not running."""
    return next((frame.f_lineno for frame in frames() if frame.f_code is code), 0)


def failed_at(error: BaseException, code: CodeType) -> Place:
    """Return the innermost line of the user's at which an exception was raised."""
    place = Place(code.co_filename, code.co_firstlineno)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == code.co_filename:
            place = Place(code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return place


def returned_at(function: Any) -> Place:
    """Return the line of a function's last `return`, or its first line where its source can't be read."""
    first = function.__code__.co_firstlineno
    returns = [node.lineno for node in _own(_parsed(function)) if isinstance(node, ast.Return)]
    return Place(function.__code__.co_filename, first + max(returns) - 1 if returns else first)


def named_twice(kind: type) -> tuple[str, Place] | None:
    """Return a name that the body of a class annotates twice, and the line of the second; None if there is none.

    Python keeps one of the two and says nothing, so it is looked for in the source.
    """
    seen: set[str] = set()
    tree = _parsed(kind)
    body = tree.body[0].body if isinstance(tree, ast.Module) and isinstance(tree.body[0], ast.ClassDef) else []
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.target.id in seen:
                first = inspect.getsourcelines(kind)[1]
                return node.target.id, Place(inspect.getsourcefile(kind) or "", first + node.lineno - 1)
            seen.add(node.target.id)
    return None


def _parsed(thing: Any) -> ast.AST:
    """Return the syntax tree of a function or a class; an empty one where its source can't be read."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError, IndexError):  # typed into an interpreter, or made without a file
        return ast.Module([ast.Pass()], [])


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function, without the functions that stand in it."""
    first = next(iter(ast.iter_child_nodes(node)), None) if isinstance(node, ast.Module) else node
    todo = list(ast.iter_child_nodes(first)) if first is not None else []
    while todo:
        one = todo.pop()
        yield one
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo.extend(ast.iter_child_nodes(one))
