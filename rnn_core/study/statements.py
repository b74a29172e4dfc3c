"""A function's own statements, out of its source: what each assigns and reads, and the numbers of its equations."""

from __future__ import annotations

import ast
import copy
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, NamedTuple

NUMBER = re.compile(r"\(([A-Z]{1,2}\d+′?)\)")
"""An equation's number, as comments and docstrings carry it."""


class Part(NamedTuple):
    """A part of what is returned or assigned."""

    name: str
    text: str
    reads: tuple[str, ...]


class Statement(NamedTuple):
    """One statement of a function.

    Attributes
    ----------
    code : CodeType
        It alone, compiled; of a `return` what it returns is assigned to `RETURNED`.
    text : str
        What is assigned, as it is written: "f * c_prev + i * g".
    numbers : tuple of str
        Of the equations that the comment behind it names: "L6".
    file : str
    line : int
    targets : tuple of str
        The names that are assigned, or of which a part is.
    reads : tuple of str
        The names that are read, those of parts too: "a.i".
    parts : tuple of tuple of Part
        What each group that is returned, and each field of it, is, where it can be told apart.
    own : tuple of Part
        Likewise of what is assigned, by the names that it gets: those of several at once, and of a group's fields.
    """

    code: CodeType
    text: str
    numbers: tuple[str, ...]
    file: str
    line: int
    targets: tuple[str, ...]
    reads: tuple[str, ...]
    parts: tuple[tuple[Part, ...], ...] = ()
    own: tuple[Part, ...] = ()


class Branch(NamedTuple):
    """An `if` statement: which of the two is gone through, its test says where it is run."""

    test: CodeType
    body: tuple[Statement | Branch, ...]
    other: tuple[Statement | Branch, ...]


RETURNED = "__returned__"
"""The name that a `return` assigns to."""


@lru_cache(maxsize=64)
def statements(function: FunctionType) -> tuple[Statement | Branch, ...]:
    """Return the statements of a function, without its docstring.

    Raises
    ------
    OSError
        Its source can't be read.
    """
    lines, first = inspect.getsourcelines(function)
    source = textwrap.dedent("".join(lines))
    tree = ast.parse(source).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise OSError(f"{function.__name__} must be made by def to be read, got {type(tree).__name__}")
    reader = _Reader(source, function.__code__.co_filename, first - 1)
    return tuple(reader.statements(tree.body[1:] if ast.get_docstring(tree) is not None else tree.body))


def find(function: FunctionType, target: str, reads: str = "") -> Statement:
    """Return the first statement of a function that assigns to a name, and reads another, however deep it stands."""
    return next(
        one for one in _flat(statements(function)) if target in one.targets and (not reads or reads in one.reads)
    )


def equations(module: Any) -> dict[str, str]:
    """Return the equations that a module's docstring lists, by number: {"L6": "c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t"}."""
    found: dict[str, str] = {}
    for line in (getattr(module, "__doc__", None) or "").splitlines():
        numbers = NUMBER.findall(line)
        before = NUMBER.split(line)[0]
        said = [part.strip() for part in re.split(r"\s{2,}", before) if "=" in part]
        if len(numbers) == 1 and said and line.startswith("    "):
            found.setdefault(numbers[0], "  ".join(said))
    return found


def _flat(found: Sequence[Statement | Branch]) -> Iterator[Statement]:
    for one in found:
        if isinstance(one, Branch):
            yield from _flat(one.body)
            yield from _flat(one.other)
        else:
            yield one


class _Reader:
    """Makes statements of a syntax tree."""

    def __init__(self, source: str, file: str, before: int) -> None:
        self.source, self.file, self.before = source, file, before
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        self.comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    def statements(self, nodes: Sequence[ast.stmt]) -> Iterator[Statement | Branch]:
        for node in nodes:
            if isinstance(node, ast.If):
                body, other = tuple(self.statements(node.body)), tuple(self.statements(node.orelse))
                yield Branch(self._compiled(ast.Expression(node.test), node, "eval"), body, other)
            elif isinstance(node, ast.For):  # a loop over gates is one thing; one over steps holds others to be found
                yield from self._within(node)
                yield self._statement(node)
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                yield self._statement(node)

    def _within(self, node: ast.For) -> Iterator[Statement | Branch]:
        """Yield what stands in a loop, to be found and never run in its place."""
        never = self._compiled(ast.Expression(ast.Constant(False)), node, "eval")
        yield Branch(never, tuple(self.statements(node.body)), ())

    def _statement(self, node: ast.stmt) -> Statement:
        last = node.end_lineno or node.lineno
        comments = " ".join(self.comments.get(line, "") for line in range(node.lineno, last + 1))
        value, run = getattr(node, "value", None), node
        if isinstance(node, ast.Return):
            run = ast.Assign([ast.Name(RETURNED, ast.Store())], node.value or ast.Constant(None))
        said = value.body if isinstance(value, ast.IfExp) else value  # "… if it is needed else None"
        if isinstance(node, ast.For) and isinstance(node.body[-1], ast.Assign):
            said = node.body[-1].value
        text = self._text(said) if said is not None and not isinstance(node, ast.AugAssign) else self._text(node)
        return Statement(
            self._compiled(ast.Module([run], []), node, "exec"), text, tuple(dict.fromkeys(NUMBER.findall(comments))),
            self.file, node.lineno + self.before, _targets(node),
            _reads(node if value is None or isinstance(node, ast.AugAssign) else value),
            self._parts(node), self._own(node),
        )  # fmt: skip

    def _parts(self, node: ast.stmt) -> tuple[tuple[Part, ...], ...]:
        """Return what is returned or assigned: of each group its fields, by name or place."""
        if not isinstance(node, ast.Return | ast.Assign) or node.value is None:
            return ()
        groups = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        found = []
        for group in groups:
            fields: list[tuple[str, ast.expr]] = []
            if isinstance(group, ast.Call) and not any(isinstance(one, ast.Starred) for one in group.args):
                fields += [(str(k), one) for k, one in enumerate(group.args)]
                fields += [(one.arg or "", one.value) for one in group.keywords]
            if isinstance(group, ast.Tuple) and not any(isinstance(one, ast.Starred) for one in group.elts):
                fields += [(str(k), one) for k, one in enumerate(group.elts)]
            fields = [(name, one.body if isinstance(one, ast.IfExp) else one) for name, one in fields]
            found.append(tuple(Part(name, self._text(one), _reads(one)) for name, one in fields))
        return tuple(found)

    def _own(self, node: ast.stmt) -> tuple[Part, ...]:
        """Return what each name gets of an assignment to several, or to a group with names."""
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            return ()
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            pairs = zip(target.elts, value.elts, strict=True)
            return tuple(Part(one.id, self._text(got), _reads(got)) for one, got in pairs if isinstance(one, ast.Name))
        if isinstance(target, ast.Name):
            return tuple(part._replace(name=f"{target.id}.{part.name}") for part in self._parts(node)[0])
        return ()

    def _text(self, node: ast.AST) -> str:
        whole = ast.get_source_segment(self.source, node) or ast.unparse(node)
        code = "\n".join(re.sub(r"\s+#.*$", "", line) for line in whole.splitlines())
        return re.sub(r"\s+", " ", code).replace("( ", "(").replace(", )", ")").strip()

    def _compiled(self, node: ast.AST, at: ast.stmt, mode: str) -> CodeType:
        node = copy.deepcopy(node)  # lines are counted from the function's first one until here
        for one in ast.walk(node):
            if "lineno" in one._attributes and not hasattr(one, "lineno"):
                ast.copy_location(one, at)
        ast.increment_lineno(node, self.before)
        code: CodeType = compile(node, self.file, mode, dont_inherit=True)  # type: ignore[call-overload]
        return code


def _targets(node: ast.stmt) -> tuple[str, ...]:
    """Return the names that a statement assigns to, without those of a loop's own variables."""
    if isinstance(node, ast.Return):
        return (RETURNED,)
    found: list[str] = []
    own = {name.id for loop in ast.walk(node) if isinstance(loop, ast.For) for name in _names(loop.target)}
    for one in ast.walk(node):
        targets = one.targets if isinstance(one, ast.Assign) else []
        targets = [one.target] if isinstance(one, ast.AnnAssign | ast.AugAssign) else targets
        for target in targets:
            found += [name.id for name in _names(target)]
    return tuple(name for name in dict.fromkeys(found) if name not in own and name != "_")


def _names(target: ast.expr) -> Iterator[ast.Name]:
    """Yield the names that a target is made of: of a part of something, that something's."""
    if isinstance(target, ast.Name):
        yield target
    elif isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _names(one)
    elif isinstance(target, ast.Starred | ast.Subscript | ast.Attribute):
        yield from _names(target.value)


def _reads(node: ast.AST) -> tuple[str, ...]:
    """Return the names that are read, those of parts as "a.i", in the order in which they stand."""
    own = {
        name.id for one in ast.walk(node) if isinstance(one, ast.comprehension) for name in _names(one.target)
    }  # fmt: skip
    found: list[str] = []

    def visit(one: ast.AST) -> None:
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name):
            found.append(f"{one.value.id}.{one.attr}")
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            found.append(one.id)
        else:
            for child in ast.iter_child_nodes(one):
                visit(child)

    visit(node)
    return tuple(name for name in dict.fromkeys(found) if name.partition(".")[0] not in own)
