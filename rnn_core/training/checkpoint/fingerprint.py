"""The proof that a checkpoint belongs to a run: what mustn't change between the two, in types that JSON has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from ...data.source import Source
from ...foreign import one_line, shown
from ...layers.home import to_host
from ..protocols import Trainable
from ..schedules import factor_at
from ..updates import Updates


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
    """Return a line for each fact in which two fingerprints differ; those of single parameters come last."""
    keys = sorted({**stored, **now}, key=lambda key: key.startswith(("parameter ", "rate of ", "anchor of ")))
    missing = object()
    return [
        f"{one_line(key, 60)} {_change(stored.get(key, missing), now.get(key, missing), missing)}"
        for key in keys
        if stored.get(key, missing) != now.get(key, missing)
    ]


def _change(was: Any, now: Any, missing: object) -> str:
    """Return a change in words; of two lists what they share is left out."""
    if isinstance(was, list) and isinstance(now, list):
        gone, come = ([one for one in ours if one not in theirs] for ours, theirs in ((was, now), (now, was)))
        return f"was {shown(gone)} and is {shown(come)}, besides what both have"
    before, after = ("none" if value is missing else shown(value) for value in (was, now))
    return f"was {before} and is {after}"


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
