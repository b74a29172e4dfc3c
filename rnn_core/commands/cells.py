"""What `rnn-core gradcheck FILE.py` does: the cells that a file defines, each step by itself, then each layer."""

from __future__ import annotations

import importlib
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
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():  # of a package, in which it may import relatively
        parts.insert(0, folder.name)
        folder = folder.parent
    try:
        with _beside(folder):
            if len(parts) > 1:
                importlib.import_module(".".join(parts))
            else:
                _run(path)
    except CellError:
        raise
    except Exception as error:
        raise ValueError(_failed(path, error)) from error
    found = [kind for kind in DEFINED.values() if Path(kind.file).resolve() == path]
    if not found:
        raise ValueError(f"{path.name} must define a cell, got none; rnn_core.cell.define does it (docs/cells.md)")
    return found


def _run(path: Path) -> None:
    """Run a file that is in no package, as a module of its name."""
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"cells_of_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no file of Python's")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where a pickle and `inspect` look for it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let a file import those beside it, as it can when it is run."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _failed(path: Path, error: Exception) -> str:
    """Return what happened to a file, with the line of it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{path.name}{f':{line}' if line else ''}: {type(error).__name__}: {one_line(error)}"
