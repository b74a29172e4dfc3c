"""Whether a checkpoint is one of this run: the same fingerprint, a place in it, and arrays that can be put back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kernels.contract import Array

from ...foreign import one_line, shown
from ...layers.checks import check_finite
from .contents import Checkpoint
from .fingerprint import differences

SAID = 180
"""Characters of the differences that an error lists; the first is listed whole, and the rest are counted."""

SLOTS = ("m", "v", "velocity", "step")
"""What this library's optimizers keep of a parameter: finite numbers. A user's own may keep anything."""


def check_run(
    path: Path,
    stored: Checkpoint,
    fingerprint: Mapping[str, Any],
    batches: int,
    monitor: str | None,
    homes: Mapping[str, Mapping[str, Array]],
) -> None:
    """Raise ValueError, before anything is put back, if a checkpoint can't be this run's.

    Parameters
    ----------
    path : Path
        Its file.
    stored : Checkpoint
    fingerprint : mapping
        The run's own.
    batches : int
        In an epoch.
    monitor : str or None
    homes : mapping of str to mapping of str to array
        What its arrays are to be written into: parameters, optimizer and best, by name.
    """
    if changes := differences(stored.fingerprint, fingerprint):
        few = [one for k, one in enumerate(changes) if k == 0 or len("; ".join(changes[: k + 1])) <= SAID]
        more = f" and {len(changes) - len(few)} more" if len(changes) > len(few) else ""
        raise ValueError(
            f"fit: to resume, a run must be the one that wrote {str(path)!r}, but {'; '.join(few)}{more}; "
            "undo the change, or begin afresh in another folder"
        )
    try:
        _check_position(stored, batches)
        if stored.history.monitor != monitor:
            raise ValueError(f"its history goes by {shown(stored.history.monitor)}")
        for part, found in (
            ("parameters", stored.parameters), ("optimizer", stored.optimizer_state), ("best", stored.best)
        ):  # fmt: skip
            _check_arrays(part, found, homes[part])
        for name, array in stored.optimizer_state.items():
            counts = name.endswith("/step") and array.dtype.kind in "iu"
            if counts and not ((array >= 0) & (array <= stored.position.step)).all():
                raise ValueError(f"optimizer/{name} must be in 0…{stored.position.step}, got {shown(array.tolist())}")
        for k, array in enumerate(stored.carried if isinstance(stored.carried, tuple) else (stored.carried,)):
            if array is not None:
                check_finite("carried", str(k), array)
    except ValueError as error:
        raise ValueError(
            f"fit: {str(path)!r} does not hold what this run wrote: {error}; remove it, or name another folder"
        ) from error


def _check_position(stored: Checkpoint, batches: int) -> None:
    """Raise ValueError if there is no such place in a run of so many batches an epoch."""
    at = stored.position
    if at.index >= batches or at.step != at.epoch * batches + at.index or (at.index == 0 and at.sums.count):
        raise ValueError(f"step {at.step} can't be number {at.index} of {batches} in epoch {at.epoch + 1}")


def _check_arrays(part: str, stored: Mapping[str, Array], home: Mapping[str, Array]) -> None:
    """Raise ValueError unless arrays are those that they are to be written into, by name, shape and dtype."""
    if different := set(stored) ^ set(home):
        raise ValueError(f"{part}/{one_line(min(different), 60)} is there, or should be, and isn't")
    for name, array in home.items():
        found, expected = stored[name], (np.dtype(array.dtype), tuple(array.shape))
        if (found.dtype, found.shape) != expected:
            raise ValueError(
                f"{part}/{name} must be {expected[0]} {expected[1]}, got {found.dtype} {shown(found.shape)}"
            )
        if part != "optimizer" or name.rpartition("/")[2] in SLOTS:
            check_finite(part, name, found)
