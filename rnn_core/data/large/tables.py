"""Tables in files, Parquet's and Arrow's, read a block at a time by pyarrow, which is imported where it is needed."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ...foreign import one_line, shown
from ..files.lines import Place, named
from ..stored.unchanged import Seen

ARROW = (".arrow", ".feather")
"""Names' ends of files in Arrow's own format."""


class TableFile:
    """A file of a table, which was looked at once: how many rows each block has, and which columns.

    Parameters
    ----------
    where : str
        The class to name in errors.
    path : str

    Attributes
    ----------
    sizes : list of int
        Rows of each block: of a row group, or of a record batch.
    names : list of str
    """

    def __init__(self, where: str, path: str) -> None:
        self.where, self.path = where, os.path.abspath(path)
        self.arrow = path.lower().endswith(ARROW)
        with self._told():
            self.seen = Seen.of(os.stat(self.path))
            if self.arrow:
                import pyarrow as pa

                with pa.memory_map(self.path) as whole, pa.ipc.open_file(whole) as file:
                    self.sizes = [file.get_batch(k).num_rows for k in range(file.num_record_batches)]
                    self.names = list(file.schema.names)
            else:
                import pyarrow.parquet as pq

                with pq.ParquetFile(self.path) as file:
                    facts = file.metadata
                    self.sizes = [facts.row_group(k).num_rows for k in range(facts.num_row_groups)]
                    self.names = list(file.schema_arrow.names)

    def check_columns(self, wanted: Iterable[str]) -> None:
        """Raise ValueError for a column that isn't there, or is there twice."""
        for name in wanted:
            if (count := self.names.count(name)) != 1:
                got = f"{count} of them" if count else f"columns {shown(self.names)}"
                raise ValueError(f"{self.where}: {named(self.path)} must have one column {shown(name)}, got {got}")

    def read(self, block: int, names: list[str]) -> Any:
        """Return some columns of a block, as a table of pyarrow."""
        with self._told():
            self.seen.check(self.where, self.path, os.stat(self.path))
            if self.arrow:
                import pyarrow as pa

                with pa.OSFile(self.path) as whole, pa.ipc.open_file(whole) as file:
                    return pa.Table.from_batches([file.get_batch(block)]).select(list(dict.fromkeys(names)))
            import pyarrow.parquet as pq

            with pq.ParquetFile(self.path) as file:
                # Threads of pyarrow's would take cores from the network's.
                return file.read_row_group(block, columns=list(dict.fromkeys(names)), use_threads=False)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Have errors of pyarrow's name the file."""
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.where}: paths must be existing files or patterns, got {named(self.path)}"
            ) from None
        except OSError as error:
            if error.errno is not None:
                raise type(error)(
                    f"{self.where}: {named(self.path)} can't be read: {error.strerror or one_line(error)}"
                ) from error
            raise self._damaged(error) from error  # pyarrow's own, of what a file holds
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "pyarrow":
                raise
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ValueError:
        kind = "Arrow" if self.arrow else "Parquet"
        return ValueError(
            f"{self.where}: {named(self.path)} must be a whole {kind} file, got another or a damaged one "
            f"({one_line(error, 80)}); fetch or write it again"
        )


def table_files(where: str, paths: Place | Iterable[Place]) -> list[TableFile]:
    """Return the files that paths and patterns stand for.

    Raises
    ------
    RuntimeError
        pyarrow is not installed.
    ValueError, OSError
        As `TableFile`, or a pattern fits no file.
    """
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise RuntimeError(
            f"{where}: pyarrow must be installed, got none; pip install 'rnn_core[parquet]' ({one_line(error)})"
        ) from error
    wanted = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[TableFile] = []
    for one in wanted:
        path = os.fspath(one)
        names = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) and not os.path.exists(path) else [path]
        if not names:
            raise ValueError(f"{where}: the pattern {shown(path)} must fit at least one file, got none")
        found += [TableFile(where, name) for name in names]
    if not found:
        raise ValueError(f"{where}: paths must name at least one file, got none")
    return found
