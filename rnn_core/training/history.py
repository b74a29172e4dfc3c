"""What a run of `fit` remembers: a record for every epoch, in types that JSON has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite, log, nan
from typing import Any, Self

from ..foreign import shown
from ..schema import check_arguments, check_value

HIGHER_IS_BETTER = {"loss": False, "validation_loss": False, "validation_accuracy": True}
"""The numbers by which epochs can be compared, each an attribute of `EpochRecord`."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch in numbers. Two records are equal if all is but the time.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    step : int
        Updates made up to its end, in all epochs together.
    loss : float
        Mean over the training targets, each seen by the parameters of its step; in nats for a cross-entropy. The
        penalty of anchors is part of it.
    penalty : float
        Mean penalty of the anchors; 0 without any.
    rate : float
        The optimizer's learning rate times the schedule's factor, at the last step.
    gradient_norm : float
        Mean length of all gradients together, before clipping.
    clipped : int
        Steps whose gradients were clipped.
    validation_loss : float or None
        Mean over the validation targets at the end of the epoch.
    validation_accuracy : float or None
        Share of the validation targets that were right.
    seconds : float
        Time spent on it, validation included.
    """

    epoch: int
    step: int
    loss: float
    penalty: float
    rate: float
    gradient_norm: float
    clipped: int
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def validation_bits(self) -> float | None:
        """The validation loss in bits: for a language model over characters, bits a character."""
        return None if self.validation_loss is None else self.validation_loss / log(2)


@dataclass
class History:
    """The records of a run, in order, and which of them is the best.

    It is what `fit` returns. Two histories are equal if all is but the time.

    Attributes
    ----------
    records : list of EpochRecord
    monitor : str or None
        What decides which epoch is the best: "validation_loss", "validation_accuracy" or "loss"; None for nothing.
    """

    records: list[EpochRecord] = field(default_factory=list)
    monitor: str | None = None

    def __len__(self) -> int:
        """The number of epochs."""
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    def __getitem__(self, index: int) -> EpochRecord:
        """Return a record by its place: ``history[-1]`` is the last."""
        return self.records[index]

    def column(self, name: str) -> list[Any]:
        """Return one number of every epoch: ``history.column("loss")``.

        Raises
        ------
        ValueError
            Records have no such number.
        """
        names = [*(f.name for f in fields(EpochRecord)), "validation_bits"]
        if name not in names:
            raise ValueError(f"History.column: name must be one of {', '.join(names)}; got {name!r}")
        return [getattr(record, name) for record in self.records]

    @property
    def best(self) -> EpochRecord | None:
        """The best epoch, of equals the first; None if nothing is monitored, or before the first epoch."""
        if self.monitor is None or not self.records:
            return None
        sign = -1 if HIGHER_IS_BETTER[self.monitor] else 1
        return min(self.records, key=lambda record: sign * getattr(record, self.monitor or ""))

    @property
    def stale(self) -> int:
        """How many epochs have passed since the best one; 0 if nothing is monitored."""
        return len(self.records) - self.best.epoch if self.best else 0

    @property
    def seconds(self) -> float:
        """Time spent on all epochs."""
        return sum(record.seconds for record in self.records)

    def as_dict(self) -> dict[str, Any]:
        """Return all there is to know, in types that JSON has."""
        return {"monitor": self.monitor, "records": [asdict(record) for record in self.records]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the history that `as_dict` wrote down.

        Raises
        ------
        ValueError
            An entry is missing, unknown or of another type, or the monitored number isn't there.
        """
        where, way_out = "History.from_dict", "use what as_dict returned"
        if not isinstance(stored, Mapping) or set(stored) != {"monitor", "records"}:
            found = list(stored) if isinstance(stored, Mapping) else stored
            raise ValueError(
                f"{where}: stored must have the entries monitor and records, got {shown(found)}; {way_out}"
            )
        try:
            check_value("records", list[dict], stored["records"])
            records = [
                EpochRecord(**check_arguments(f"record {k}", EpochRecord, record))
                for k, record in enumerate(stored["records"], 1)
            ]
        except ValueError as error:
            raise ValueError(f"{where}: records must have the entries of EpochRecord: {error}; {way_out}") from error
        monitor = stored["monitor"]
        if monitor is not None and monitor not in list(HIGHER_IS_BETTER):
            raise ValueError(
                f"{where}: monitor must be one of {', '.join(HIGHER_IS_BETTER)} or None, got {shown(monitor)}"
            )
        for k, record in enumerate(records, 1):
            if record.epoch != k:
                raise ValueError(f"{where}: record {k} must be of epoch {k}, got {record.epoch}; {way_out}")
            if monitor is not None and not isfinite(nan if (found := getattr(record, monitor)) is None else found):
                raise ValueError(
                    f"{where}: records must all have {monitor}, which is monitored, got {found} in record {k}"
                )
        return cls(records, monitor)
