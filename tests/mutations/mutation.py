"""Bugs to plant: each changes a line of the code in one place, and names the check that has to notice.

A mutation is a change of source text, so that it stays what it says: if the line it changes is no longer there
exactly as often as expected, the suite fails and asks for the mutation to be brought up to date.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Mutation(NamedTuple):
    """One planted bug."""

    bug: str
    target: str  # "package.module:function" or "package.module:Class.method"
    old: str
    new: str
    check: Callable[..., None]
    arguments: tuple[Any, ...]
    times: int = 1  # how often `old` stands in the function

    @property
    def caught_by(self) -> str:
        """The name of the check that has to fail."""
        return f"{self.check.__name__}[{', '.join(map(str, self.arguments))}]".replace("[]", "")

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """Put the bug in place, and take it out again."""
        module_name, path = self.target.split(":")
        module = importlib.import_module(module_name)
        *owners, name = path.split(".")
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, name)
        source = textwrap.dedent(inspect.getsource(original))
        if source.count(self.old) != self.times:
            raise LookupError(
                f"mutation {self.bug!r} is out of date: {self.old!r} stands {source.count(self.old)} times in "
                f"{self.target}, expected {self.times}"
            )
        mutant = f"from __future__ import annotations\n{source.replace(self.old, self.new)}"
        file = f"<{self.bug}>"
        linecache.cache[file] = (len(mutant), None, mutant.splitlines(True), file)  # for readable tracebacks
        scope: dict[str, Any] = {}
        exec(compile(mutant, file, "exec"), vars(module), scope)
        holders = [owner]
        if not owners:  # a function may have been imported by name elsewhere
            holders = [m for m in tuple(sys.modules.values()) if vars(m).get(name) is original]  # getattr may import
        for holder in holders:
            setattr(holder, name, scope[name])
        try:
            yield
        finally:
            for holder in holders:
                setattr(holder, name, original)
            del linecache.cache[file]
