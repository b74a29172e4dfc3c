"""What training needs to go on as if it had never stopped: one safetensors file, and the proof that it belongs here.

A folder of checkpoints holds two files, each written whole or not at all:

===================  ================================================================================================
last.safetensors     to resume from: parameters, the optimizer's state, the state carried from batch to batch, the best
                     parameters so far, the history, and a fingerprint of the run
best.safetensors     the model as it was at its best epoch, for `rnn_core.load`
===================  ================================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np

from kernels.contract import Array

from .. import weights
from ..data.source import Source
from ..layers.home import to_host
from .history import History
from .protocols import Trainable
from .schedules import factor_at
from .updates import Updates

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
        """Read a file; errors are `read_facts`'s."""
        facts = read_facts(path)
        parts: dict[str, dict[str, Array]] = {"parameters": {}, "optimizer": {}, "best": {}, "carried": {}}
        for key, array in weights.read_arrays(path).items():
            part, _, name = key.partition("/")
            parts[part][name] = array
        carried = tuple(parts["carried"][k] for k in sorted(parts["carried"], key=int))
        position = facts["position"]
        return cls(
            facts["fingerprint"],
            Position(**{**position, "sums": Sums(**position["sums"])}),
            History.from_dict(facts["history"]),
            parts["parameters"],
            parts["optimizer"],
            parts["best"],
            carried if facts["carried is a tuple"] else next(iter(carried), None),
        )


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds besides arrays.

    Raises
    ------
    ValueError
        The file is cut short, or not a checkpoint.
    OSError
        It can't be read.
    """
    try:
        metadata = weights.read_metadata(path)
    except ValueError as error:
        raise ValueError(
            f"fit: {LAST} must be a whole safetensors file, got {str(path)!r}, which is cut short or something else; "
            "remove it, or name another folder"
        ) from error
    if metadata.get("checkpoint") != VERSION:
        raise ValueError(
            f"fit: {str(path)!r} must be a checkpoint that this version of fit wrote, got another kind of safetensors "
            f"file; fit resumes from {LAST}, and {BEST} is for rnn_core.load"
        )
    facts: dict[str, Any] = json.loads(metadata["training"])
    return facts


def fingerprint(
    model: Trainable,
    train: Source,
    validation: Source | None,
    updates: Updates,
    schedule: Any,
    **settings: Any,
) -> dict[str, Any]:
    """Return what must be the same for a resumed run to be the same run, in types that JSON has.

    Parameters
    ----------
    model : Trainable
    train, validation : Source
        Known by their length and the content of their first batch; those to train on by their last one too.
    updates : Updates
        In full, as `updates.resolve` returns them.
    schedule : callable or None
    **settings
        Optimizer, seed and so on.
    """
    # The seed drew the first parameters, and the checkpoint holds later ones.
    config = {name: value for name, value in model.config.items() if name != "seed"}
    facts = {
        "model": type(model).__name__,
        **{f"model.{name}": value for name, value in config.items()},
        **{f"parameter {name}": f"{p.dtype}{list(p.shape)}" for name, p in model.parameters.items()},
        "parameters that train": list(updates.trainable),
        **{f"rate of {name}": rate for name, rate in updates.rates.items()},
        **{f"anchor of {name}": [alpha, checksum([home])] for name, (alpha, home) in updates.anchors.items()},
        "batches in an epoch": len(train),
        "first training batch": checksum(train.batch(0, 0)),
        "last training batch": checksum(train.batch(0, len(train) - 1)),
        "validation batches": None if validation is None else len(validation),
        "first validation batch": None if validation is None else checksum(validation.batch(0, 0)),
        "schedule": describe(schedule, len(train)),
        **settings,
    }
    return json.loads(json.dumps(facts, default=str))


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each fact in which two fingerprints differ."""
    missing = object()

    def shown(facts: Mapping[str, Any], key: str) -> str:
        return repr(facts[key]) if key in facts else "none"

    return [
        f"{key} was {shown(stored, key)} and is {shown(now, key)}"
        for key in dict.fromkeys([*stored, *now])
        if stored.get(key, missing) != now.get(key, missing)
    ]


def describe(schedule: Any, batches: int) -> Any:
    """Return a schedule as JSON can hold it, the same in every process."""
    if schedule is None or is_dataclass(schedule):
        return repr(schedule)
    # A function's repr holds an address. What it says at some steps of the first epoch has to do.
    return [factor_at(schedule, step) for step in range(0, batches, -(-batches // PROBES))]


PROBES = 16
"""At how many steps a schedule that is a plain function is asked, to know it again."""


def checksum(values: Iterable[Any]) -> str:
    """Return a short digest of some arrays, and of what else stands between them."""
    digest = blake2b(digest_size=8)
    for value in values:
        if hasattr(value, "dtype"):
            array = np.asarray(to_host(value), order="C")
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()
