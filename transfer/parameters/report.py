"""What a transfer did to every parameter, and the checksums that prove which of them stayed as they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from rnn_core.layers.base import Layer
from rnn_core.showing.table import table
from rnn_core.weights.checksums import checksum

from .groups import Patterns, checked_layer, chosen

STATUSES = ("copied", "mapped", "overlap", "skipped", "fresh")
"""What can happen to a parameter: all of it copied; rows mapped by token; a common part copied; there was something to
copy, and it was not; there was nothing to copy."""


def checksums(model: Layer, names: Iterable[str] | None = None) -> dict[str, str]:
    """Return the checksum of every parameter, or of those named."""
    return {name: checksum(model.parameters[name]) for name in (model.parameters if names is None else names)}


@dataclass(frozen=True)
class ParameterRow:
    """What happened to one parameter of the target."""

    name: str
    status: str
    """One of `STATUSES`."""
    numbers: int
    """How many numbers the parameter holds."""
    taken: int
    """How many of them are the source's own."""
    source: str | None
    """The source's name for it; None if it has none."""
    note: str
    """How many tokens were mapped, how large the overlap is, or why it was skipped."""
    frozen: bool
    """Whether the model has it frozen."""
    checksum: str
    """What it was right after copying."""
    unchanged: bool | None = None
    """Whether its bits are still those; None if nobody has looked since."""


@dataclass(frozen=True)
class TransferReport:
    """The result of `copy_parameters`: a row for every parameter of the target, and a table as a string.

    A report never changes. What is frozen is seen when copying; `with_frozen` looks again, and `verify` compares
    the arrays as well. Each returns a new report.

    Attributes
    ----------
    rows : tuple of ParameterRow
        In the target's order.
    unused : tuple of str
        Parameters of the source that went nowhere.
    """

    rows: tuple[ParameterRow, ...]
    unused: tuple[str, ...]

    def __getitem__(self, name: str) -> ParameterRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def with_frozen(self, model: Layer) -> TransferReport:
        """Return this report with what is frozen in the model now.

        Raises
        ------
        ValueError
            The model's parameters are not those of the report.
        """
        self._check_names("TransferReport.with_frozen", model)
        frozen: frozenset[str] = getattr(model, "frozen", frozenset())
        return replace(self, rows=tuple(replace(row, frozen=row.name in frozen) for row in self.rows))

    def changed(self, model: Layer) -> tuple[str, ...]:
        """Return the parameters whose bits are no longer those that copying left.

        Raises
        ------
        ValueError
            The model's parameters are not those of the report.
        """
        self._check_names("TransferReport.changed", model)
        return tuple(row.name for row in self.rows if checksum(model.parameters[row.name]) != row.checksum)

    def verify(self, model: Layer, patterns: Patterns | None = None) -> TransferReport:
        """Prove by checksum that parameters are bit-identical to what copying left.

        Parameters
        ----------
        model : Model or layer
            The target of the copy, after training.
        patterns : str or iterable of str, optional
            Which parameters to prove; what the model has frozen by default. A plan's are ``plan.frozen``.

        Returns
        -------
        report : TransferReport
            This report with what is frozen now (what was to be proved counts as frozen), and for each parameter
            whether it has changed since.

        Raises
        ------
        RuntimeError
            One of those parameters has changed; the message names it.
        ValueError
            Nothing is frozen and no pattern given, or a pattern matches nothing, or the model's parameters are not
            those of the report.
        """
        where = "TransferReport.verify"
        self._check_names(where, model)
        frozen = set(getattr(model, "frozen", ()))
        names = frozen if patterns is None else set(chosen(where, "patterns", model, patterns))
        if not names:
            raise ValueError(f"{where}: model must have a frozen parameter to prove, got none; freeze it or name it")
        changed = self.changed(model)
        if wrong := [name for name in changed if name in names]:
            raise RuntimeError(
                f"{where}: frozen parameters must keep the bits that copying left, got others in {', '.join(wrong)}; "
                "they were written to since"
            )
        return replace(
            self,
            rows=tuple(
                replace(row, frozen=row.name in frozen | names, unchanged=row.name not in changed) for row in self.rows
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {**asdict(self), "numbers": self.numbers, "taken": self.taken}

    @property
    def numbers(self) -> int:
        """How many numbers the target holds."""
        return sum(row.numbers for row in self.rows)

    @property
    def taken(self) -> int:
        """How many of them are the source's own."""
        return sum(row.taken for row in self.rows)

    def __str__(self) -> str:
        looked = any(row.unchanged is not None for row in self.rows)
        headings = ["parameter", "what happened", "numbers", "from the source", "trains"]
        rows = []
        for row in self.rows:
            happened = f"{row.status} {row.note}".rstrip()
            if row.source not in (None, row.name):
                happened += f" from {row.source}"
            cells = [row.name, happened, f"{row.numbers:,}", f"{row.taken:,}", "frozen" if row.frozen else "yes"]
            rows.append(cells + ["unchanged" if row.unchanged else "changed"] if looked else cells)
        text = table(headings + ["since"] if looked else headings, rows, right=headings[2:4])
        frozen = sum(row.numbers for row in self.rows if row.frozen)
        lines = [
            f"{self.taken:,} of {self.numbers:,} numbers are the source's ({self.taken / self.numbers:.1%}), "
            f"{frozen:,} are frozen, {self.numbers - frozen:,} train"
        ]
        if looked:
            same = sum(bool(row.unchanged) for row in self.rows)
            lines.append(f"{same} of {len(self.rows)} parameters are bit-identical to what copying left")
        if self.unused:
            lines.append(f"unused in the source: {', '.join(self.unused)}")
        return "\n".join([text, *lines])

    def _check_names(self, where: str, model: Any) -> None:
        names = tuple(checked_layer(where, "model", model).parameters)
        if names != tuple(row.name for row in self.rows):
            raise ValueError(
                f"{where}: model must be the target of the copy, with the parameters "
                f"{', '.join(row.name for row in self.rows)}, got {', '.join(names)}"
            )
