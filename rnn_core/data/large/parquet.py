"""`ParquetBlocks`: examples in Parquet or Arrow files, a row group or record batch a block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...foreign import shown
from ...layers.checks import check_finite
from ..files.lines import Place, named
from ..stored.ragged_file import Runs
from ..text import Tokenizer
from .columns import Column, numbered_classes, numbers_of, runs_of
from .rows import Rows
from .tables import TableFile, table_files

HERE = "ParquetBlocks"


class ParquetBlocks:
    """Examples in the rows of tables, Parquet or Arrow's own format, which pyarrow reads.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, or patterns such as ``"data/*.parquet"``, whose files are taken in the order of their names. A name that
        ends in ``.arrow`` or ``.feather`` is Arrow's format. All have the same columns.
    inputs : str
        A column of texts, of lists of tokens or features, or of lists of one fixed size.
    targets : str, optional
        A column of numbers, of texts (classes), or of lists with a number a step. Without it targets are what comes
        next in each row of tokens, for a `LanguageModel`.
    weights : str, optional
        A column of numbers: how much each row counts.
    tokenizer : Tokenizer, optional
        Of a column of texts: each is encoded when its block is read.
    classes : sequence of str, optional
        Of targets that are texts: ``classes[k]`` is class k.

    Attributes
    ----------
    sizes : ndarray of int, shape (K,)
        Rows of each block.
    paths : tuple of str

    Raises
    ------
    ValueError
        A pattern fits no file, a file is damaged or has no such column, or a column is of another type; or, when a
        block is read: a file has changed, a row has no value (null), no token, or a class that is none of `classes`.
        File, block and row are named.
    RuntimeError
        pyarrow is not installed.
    OSError
        A file can't be read.
    """

    def __init__(
        self,
        paths: Place | Iterable[Place],
        *,
        inputs: str,
        targets: str | None = None,
        weights: str | None = None,
        tokenizer: Tokenizer | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        if tokenizer is not None and not isinstance(tokenizer, Tokenizer):
            raise TypeError(f"{HERE}: tokenizer must be a Tokenizer, got {type(tokenizer).__name__}")
        self.columns = {"inputs": inputs, "targets": targets, "weights": weights}
        self.tokenizer = tokenizer
        self.classes = None if classes is None else {name: k for k, name in enumerate(classes)}
        if self.classes is not None and len(self.classes) < len(classes or ()):
            raise ValueError(f"{HERE}: classes must differ, got {shown(list(classes or ()))}")
        if targets is None and weights is not None:
            raise ValueError(f"{HERE}: weights must come with targets, got weights={shown(weights)}")
        self._files = table_files(HERE, paths)
        self._wanted = [name for name in self.columns.values() if name is not None]
        for file in self._files:
            file.check_columns(self._wanted)
        self.paths = tuple(file.path for file in self._files)
        self._blocks = [(file, k) for file in self._files for k, size in enumerate(file.sizes) if size]
        self.sizes = np.array([file.sizes[k] for file, k in self._blocks], np.int64)
        if not self._blocks:
            raise ValueError(f"{HERE}: {named(self.paths[0])} must have at least one row, got none")

    def texts(self) -> Iterable[str]:
        """Yield the inputs, if they are texts, in their order: for ``Tokenizer.fit``."""
        for file, block in self._blocks:
            column = self._column(file, block, "inputs", file.read(block, [self.columns["inputs"] or ""]))
            yield from column.texts()

    def read(self, block: int) -> Rows:
        """Return a block; errors are those of the class."""
        file, number = self._blocks[block]
        table = file.read(number, self._wanted)
        inputs = self._inputs(self._column(file, number, "inputs", table))
        targets = None
        if self.columns["targets"] is not None:
            targets = self._targets(self._column(file, number, "targets", table), inputs)
        elif not isinstance(inputs, Runs) or inputs.values.dtype.kind != "i" or inputs.values.ndim > 1:
            raise ValueError(f"{HERE}: targets must be named, but for rows of tokens, got None")
        elif (short := inputs.lengths < 2).any():
            column = self._column(file, number, "inputs", table)
            raise column.error(int(short.argmax()), "have two tokens, of which the first tells the second", "one")
        weights = None
        if self.columns["weights"] is not None:
            column = self._column(file, number, "weights", table)
            weights = numbers_of(column).astype(np.float64)
            if not (good := np.isfinite(weights) & (weights >= 0)).all():
                k = int((~good).argmax())
                raise column.error(k, "be finite and at least 0", str(weights[k]))
        return Rows(inputs, targets, None, weights)

    def _column(self, file: TableFile, block: int, role: str, table: Any) -> Column:
        return Column(HERE, file.path, block, role, self.columns[role] or "", table.column(self.columns[role]))

    def _inputs(self, column: Column) -> Any:
        if column.is_text:
            if self.tokenizer is None:
                raise column.wrong_type("numbers, or come with tokenizer=")
            found = runs_of(column, self.tokenizer)
        elif not column.is_list:
            raise column.wrong_type("texts or lists of numbers")
        else:
            found = column.array_or_runs()
        check_finite(HERE, column.said, found.values if isinstance(found, Runs) else found)
        return found

    def _targets(self, column: Column, inputs: Any) -> Any:
        if column.is_text:
            if self.classes is None:
                raise column.wrong_type("numbers, or come with classes=")
            return numbered_classes(column, self.classes)
        found = column.array_or_runs() if column.is_list else numbers_of(column)
        if isinstance(found, Runs):
            if not isinstance(inputs, Runs) or (other := found.lengths != inputs.lengths).any():
                k = int(other.argmax()) if isinstance(inputs, Runs) else 0
                wanted = inputs.lengths[k] if isinstance(inputs, Runs) else inputs.shape[1]
                raise column.error(k, f"have {wanted} numbers, one a step of inputs", str(found.lengths[k]))
            check_finite(HERE, column.said, found.values)
        else:
            check_finite(HERE, column.said, found)
        return found
