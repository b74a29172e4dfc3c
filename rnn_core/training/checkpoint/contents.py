"""`Checkpoint`: what a run changes, as a file; and that file read again, all that it says checked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Self

from kernels.contract import Array

from ... import weights
from ...foreign import one_line, parse_json, shown
from ...schema import check_arguments, check_value
from ...weights.file import Contents, opened
from ..history import History

LAST, BEST = "last.safetensors", "best.safetensors"
VERSION = "1"


@dataclass
class Sums:
    """What has added up over the epoch that is running."""

    loss: float = 0.0  # Σ loss·count
    penalty: float = 0.0  # Σ penalty·count
    count: float = 0.0
    gradient_norm: float = 0.0
    clipped: int = 0
    seconds: float = 0.0


@dataclass
class Position:
    """How far training has come."""

    epoch: int = 0  # epochs done
    index: int = 0  # batches done of the next one
    step: int = 0  # updates made in all
    sums: Sums = field(default_factory=Sums)


@dataclass
class Checkpoint:
    """Everything that a run changes, and the fingerprint of what it doesn't."""

    fingerprint: dict[str, Any]
    position: Position
    history: History
    parameters: dict[str, Array]
    optimizer_state: dict[str, Array]
    best: dict[str, Array]  # empty before the first epoch, and where nothing is monitored
    carried: Any  # the state after the last batch: None, an array, or a tuple of arrays

    def write(self, path: Path) -> None:
        """Write the file whole, or leave what was there; errors are `rnn_core.save`'s."""
        carried = self.carried if isinstance(self.carried, tuple) else (self.carried,)
        arrays = {
            **{f"parameters/{name}": array for name, array in self.parameters.items()},
            **{f"optimizer/{name}": array for name, array in self.optimizer_state.items()},
            **{f"best/{name}": array for name, array in self.best.items()},
            **{f"carried/{k}": array for k, array in enumerate(carried) if array is not None},
        }
        facts = {
            "fingerprint": self.fingerprint,
            "position": asdict(self.position),
            "history": self.history.as_dict(),
            "carried is a tuple": isinstance(self.carried, tuple),
        }
        weights.save(arrays, path, metadata={"checkpoint": VERSION, "training": json.dumps(facts)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; errors are `read_facts`'s, and besides a ValueError for an array that is no part of a run."""
        with _opened(path) as contents:
            facts = _facts(contents)
            arrays = contents.arrays()
        parts: dict[str, dict[str, Array]] = {"parameters": {}, "optimizer": {}, "best": {}, "carried": {}}
        for key, array in arrays.items():
            part, _, name = key.partition("/")
            if part not in parts:
                raise _no_checkpoint(path, f"an array is called {shown(key)}")
            parts[part][name] = array
        carried = tuple(parts["carried"].get(str(k)) for k in range(len(parts["carried"])))
        whole = facts["carried is a tuple"]
        if any(array is None for array in carried) or (len(carried) > 1 and not whole):
            raise _no_checkpoint(path, f"the arrays carried are called {shown(list(parts['carried']))}")
        position = facts["position"]
        return cls(
            facts["fingerprint"],
            Position(**{**position, "sums": Sums(**position["sums"])}),
            History.from_dict(facts["history"]),
            parts["parameters"],
            parts["optimizer"],
            parts["best"],
            carried if whole else next(iter(carried), None),
        )


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds besides arrays.

    Raises
    ------
    ValueError
        The file is cut short or damaged, not a checkpoint, or doesn't say what a checkpoint says.
    OSError
        It can't be read.
    """
    with _opened(path) as contents:
        return _facts(contents)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Contents]:
    """Open a checkpoint; its errors say the way out."""
    try:
        with opened("fit", path, LAST) as contents:
            yield contents
    except ValueError as error:
        raise ValueError(f"{error}; remove it, or name another folder") from error


def _facts(contents: Contents) -> dict[str, Any]:
    """Return what a checkpoint says, if all of it is of the right type and in range."""
    metadata, path = contents.metadata, Path(contents.path)
    if metadata.get("checkpoint") != VERSION or "training" not in metadata:
        raise ValueError(
            f"fit: {str(path)!r} must be a checkpoint that this version of fit wrote, got another kind of safetensors "
            f"file; fit resumes from {LAST}, and {BEST} is for rnn_core.load"
        )
    try:
        facts = parse_json("its header", "training", metadata["training"], unique=True)
        check_value("training", dict[str, Any], facts)
        if set(facts) != {"fingerprint", "position", "history", "carried is a tuple"}:
            raise ValueError(f"training must hold what fit writes, got {shown(list(facts))}")
        check_value("fingerprint", dict[str, Any], facts["fingerprint"])
        check_value("carried is a tuple", bool, facts["carried is a tuple"])
        position = check_arguments("position", Position, facts["position"], whole=True)
        sums = check_arguments("sums", Sums, position["sums"], whole=True)
        for name in ("epoch", "index", "step"):
            if position[name] < 0:
                raise ValueError(f"position: {name} must be at least 0, got {position[name]}")
        if not all(map(isfinite, sums.values())):
            raise ValueError(f"sums must be finite, got {shown(sums)}")
        if len(History.from_dict(facts["history"])) != position["epoch"]:
            raise ValueError(f"history must have {position['epoch']} epochs, as position says")
    except ValueError as error:
        raise _no_checkpoint(path, error) from error
    found: dict[str, Any] = facts
    return found


def _no_checkpoint(path: Path, why: object) -> ValueError:
    """Return the error of a file that says it is a checkpoint, and can't be one."""
    return ValueError(f"fit: {str(path)!r} does not hold what fit writes: {one_line(why, 200)}")
