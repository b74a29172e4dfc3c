"""What `rnn-core gradcheck FILE.py` does: the cells that a file defines, each step by itself, then each layer."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..cell import CellError
from ..foreign import one_line, shown
from ..layers.defined import DEFINED, Cell


def cells_in(file: str) -> list[type[Cell]]:
    """Run a file, as importing it does, and return the cells that it defines.

    Raises
    ------
    ValueError
        It is no file of Python's, fails, or defines no cell; or `CellError`: a cell of it can't be defined.
    OSError
        It can't be read.
    """
    path = Path(file)
    if path.suffix != ".py":
        raise ValueError(f"FILE must be a file of Python's that defines cells, by name ….py, got {shown(file)}")
    if not path.is_file():
        raise FileNotFoundError(f"FILE must be there, got {shown(file)}, which is not")
    path = path.resolve()
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"cells_of_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"FILE must be a file of Python's, got {shown(file)}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where a pickle and `inspect` look for it
    try:
        with _beside(path):
            spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(name, None)
        if isinstance(error, CellError):
            raise
        raise ValueError(_failed(path, error)) from error
    found = [kind for kind in DEFINED.values() if Path(kind.file).resolve() == path]
    if not found:
        raise ValueError(f"{path.name} must define a cell, got none; rnn_core.cell.define does it (docs/cells.md)")
    return found


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let a file import those beside it, as it can when it is run."""
    sys.path.insert(0, str(path.parent))
    try:
        yield
    finally:
        sys.path.remove(str(path.parent))


def _failed(path: Path, error: Exception) -> str:
    """Return what happened to a file, with the line of it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{path.name}{f':{line}' if line else ''}: {type(error).__name__}: {one_line(error)}"
