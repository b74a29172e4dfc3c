"""A user's own cells on the command line: the file that defines them, which is run, and the models that they are in.

Nothing but the user's own words on the command line has a file run: what a model's file says of its cell is shown, and
never imported.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..cell import CellError
from ..data.files.lines import named
from ..foreign import one_line, shown
from ..layers.defined import DEFINED, SHIPPED, Cell, cells_by_name, cells_of
from ..layers.first_values import undrawn
from ..layers.regularised import NAMES
from ..models.cores import CORES, kind_of_core, recurrent_core, taken_by
from ..tasks.options import cell_options, flag
from ..tasks.task import Add
from ..weights import load
from ..weights.cells import UndefinedCell


def add_cell_file(add: Add) -> None:
    """Add the file that defines the cell of a model."""
    add("--cell-file", metavar="FILE.py", help="the file that defines MODEL's cell, if that is your own; it is run")


def load_with_cells(path: str, file: str | None, *, called: str = "MODEL", **how: Any) -> Any:
    """Return what `load` does, after running the file that defines its cells, if one is named.

    Raises
    ------
    ValueError, OSError, RuntimeError
        As `load` and `cells_in`; or there is no need of the file.
    """
    own = [] if file is None else cells_in(file, "--cell-file")
    try:
        found = load(path, **how)
    except UndefinedCell as error:
        which = f"the cell {shown(error.cell, 60)} of {called} {named(path)}"
        if file is not None:
            others = ", ".join(kind.__name__ for kind in own)
            raise ValueError(f"--cell-file must define {which}, got {named(file)} with {others}") from error
        was = f", which was {error.file}" if error.file else ""
        raise ValueError(f"--cell-file FILE.py must name the file that defines {which}{was}; it is run") from error
    if own and not {*own} & {*cells_of(found)}:
        theirs = ", ".join(kind.__name__ for kind in cells_of(found)) or "none but built-in ones"
        raise ValueError(f"--cell-file must define a cell of {called} {named(path)}, which has {theirs}; leave it out")
    return found


def check_cell(args: argparse.Namespace, usual: str, hidden_size: int) -> None:
    """Look whether the cell that is asked for is there and takes its options, after running the user's file, if any.

    Where that defines one cell, and none is named, it is that one: `args.cell` says so then.

    Parameters
    ----------
    args : Namespace
        Its `cell`, `cell_file` and `cell_option`.
    usual : str
        The cell where none is named.
    hidden_size : int

    Raises
    ------
    ValueError, TypeError
        The cell is unknown, or it takes no such option or value.
    ValueError, OSError
        As `cells_in`.
    """
    if args.cell_file is not None:
        own = [kind.__name__ for kind in cells_in(args.cell_file, "--cell-file")]
        args.cell = own[0] if args.cell is None and len(own) == 1 else args.cell
        if args.cell not in own:
            got = "none" if args.cell is None else shown(args.cell, 40)
            raise ValueError(
                f"--cell must be one that --cell-file {named(args.cell_file)} defines, {', '.join(own)}, got {got}"
            )
    cell = args.cell or usual
    if cell not in (*CORES, *cells_by_name()):
        raise ValueError(
            f"--cell must be one of {', '.join((*CORES, *SHIPPED))}, got {shown(cell, 40)}; --cell-file FILE.py names "
            "the file of one of your own"
        )
    options, takes = cell_options(args), taken_by(kind_of_core("--cell", cell))
    for name in options:
        if name not in takes:
            raise ValueError(f"--cell-option must be one that {cell} takes, {', '.join(takes)}, got {shown(name)}")
    typed = [name for name in NAMES if getattr(args, name, None) is not None]  # options of the command's own
    others = {name: value for name, value in options.items() if name not in typed}
    for where, more in (("--cell-option", {}), *((flag(name), {name: options[name]}) for name in typed)):
        with undrawn():
            recurrent_core(
                where, cell=cell, nonlinearity="tanh", input_size=1, hidden_size=hidden_size, dropout=0.0,
                num_layers=1, cell_options=others | more,
            )  # fmt: skip


def cells_in(file: str, called: str = "FILE") -> list[type[Cell]]:
    """Run a file, as importing it does, and return the cells that it defines; `called` is what errors call it.

    Raises
    ------
    ValueError
        It is no file of Python's, fails, or defines no cell; or `CellError`: a cell of it can't be defined.
    OSError
        It can't be read.
    """
    path = Path(file)
    if path.suffix != ".py":
        raise ValueError(f"{called} must be a file of Python's that defines cells, by name ….py, got {shown(file)}")
    if not path.is_file():
        raise FileNotFoundError(f"{called} must be there, got {shown(file)}, which is not")
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
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(path, error)) from error
    found = [kind for kind in DEFINED.values() if Path(kind.file).resolve() == path]
    if not found:
        raise ValueError(f"{path.name} must define a cell, got none; rnn_core.cell.define does it (docs/cells.md)")
    return found


def _run(path: Path) -> None:
    """Run a file that is in no package, as a module of its name."""
    name, there = path.stem, getattr(sys.modules.get(path.stem), "__file__", None)
    if not name.isidentifier() or (name in sys.modules and there != str(path)):
        name = f"cells_of_{hashlib.sha256(bytes(path)).hexdigest()[:16]}"  # as a saved file tells it
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


def _failed(path: Path, error: BaseException) -> str:
    """Return what happened to a file, with the line of it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    its_own = error if isinstance(error, SyntaxError) and error.filename == str(path) else None  # no imported file's
    line = its_own.lineno if its_own else lines[-1] if lines else None
    place = f"{path.name}{f':{line}' if line else ''}"
    if isinstance(error, SystemExit):
        return (
            f"{place}: a file of cells must not exit, got SystemExit({shown(error.code, 60)}); put what is for running "
            "it as a program under if __name__ == '__main__'"
        )
    said = its_own.msg if its_own else error  # str() names file and line again
    return f"{place}: {type(error).__name__}: {one_line(said)}"
