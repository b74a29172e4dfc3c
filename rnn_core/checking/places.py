"""Where an element of a gradient lies, in words: time step, sequence and feature; gate, unit and column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

RECURRENT = re.compile(r"(?:.*\.)?(weight|bias)_(ih|hh)_l\d+(_reverse)?")


class Axis(NamedTuple):
    """What an axis of an array counts."""

    name: str
    """In the singular: "time step", "unit"."""
    gates: tuple[str, ...] = ()
    """Where the axis falls into blocks of one gate each: the gates, in order."""
    labels: tuple[str, ...] = ()
    """What to call each index, where name and number say too little."""
    lengths: tuple[int, ...] = ()
    """Of a time axis: how many steps each sequence has, where some are shorter."""
    both_ways: bool = False
    """Of a time axis: whether a second direction walks from its end to its beginning."""


Axes = tuple[Axis, ...]


def words(axes: Axes, place: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Return a place in words: "gate f, unit 2, column 0"; empty where the axes are not known."""
    if len(axes) != len(place):
        return ""
    found = dict(zip((axis.name for axis in axes), place, strict=True))
    parts = []
    for axis, index, size in zip(axes, place, shape, strict=True):
        block = size // max(1, len(axis.gates))
        gate = f"gate {axis.gates[index // block]}, " if axis.gates else ""
        parts.append(gate + (axis.labels[index] if axis.labels else f"{axis.name} {index % block}"))
        length = axis.lengths[found.get("sequence", 0)] if axis.lengths else size
        if index >= length:
            parts[-1] += f" (past the sequence's length, {length})"
    return ", ".join(parts)


def gate_blocks(axes: Axes, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Yield each gate with the part of an array that belongs to it; the whole array, and "", where there are none."""
    for k, axis in enumerate(axes):
        if axis.gates:
            block = shape[k] // len(axis.gates)
            for n, gate in enumerate(axis.gates):
                yield gate, (*(slice(None) for _ in range(k)), slice(n * block, (n + 1) * block))
            return
    yield "", ()


def along(axes: Axes, marked: np.ndarray) -> dict[str, tuple[Any, ...]]:
    """Return, for each axis by name, which of its indexes hold a marked element; gates are an axis of their own."""
    found: dict[str, tuple[Any, ...]] = {}
    for k, axis in enumerate(axes if len(axes) == marked.ndim else ()):
        hit = np.flatnonzero(marked.any(axis=tuple(other for other in range(marked.ndim) if other != k)))
        block = marked.shape[k] // max(1, len(axis.gates))
        if axis.gates:
            found["gate"] = tuple(axis.gates[n] for n in sorted({int(index) // block for index in hit}))
        indexes = sorted({int(index) % block for index in hit})
        found[axis.name] = tuple(axis.labels[n] if axis.labels else n for n in indexes)
    return found


def sequence_axes(ndim: int, *, batch_first: bool, both_ways: bool, lengths: Any) -> Axes:
    """Return the axes of an input or output: (T, B, ·), (B, T, ·) with batch_first, or (T, ·)."""
    lengths = () if lengths is None else tuple(int(n) for n in np.ravel(lengths))
    time, sequence, feature = Axis("time step", lengths=lengths, both_ways=both_ways), Axis("sequence"), Axis("feature")
    if ndim == 2:
        return time, feature
    return (sequence, time, feature) if batch_first else (time, sequence, feature)


def state_axes(num_layers: int, directions: int, ndim: int) -> Axes:
    """Return the axes of an initial state: (layers·directions, B, H), unbatched (layers·directions, H)."""
    names = tuple(f"layer {k}{' reverse' if d else ''}" for k in range(num_layers) for d in range(directions))
    layer, sequence, unit = Axis("layer", labels=names), Axis("sequence"), Axis("unit")
    return (layer, unit) if ndim == 2 else (layer, sequence, unit)


def parameter_axes(owner: Any) -> dict[str, Axes]:
    """Return the axes of those parameters of a layer or model that are known by their names."""
    found = {}
    gates = _gates(owner)
    for name, array in owner.parameters.items():
        shape = tuple(array.shape)
        axes = _axes_of_parameter(name, gates.get(name), len(shape))
        if len(axes) == len(shape) and shape[:1] and shape[0] % max(1, len(axes[0].gates)) == 0:
            found[name] = axes
    return found


def _gates(owner: Any) -> dict[str, tuple[str, ...]]:
    """Return the gates of those parameters of a layer or model that are a recurrent core's, by name."""
    found = dict(getattr(owner, "gates", {}))
    for part, layer in getattr(owner, "layers", {}).items():
        found |= {f"{part}.{name}": gates for name, gates in getattr(layer, "gates", {}).items()}
    return found


def _axes_of_parameter(name: str, gates: tuple[str, ...] | None, ndim: int) -> Axes:
    if gates is not None or RECURRENT.fullmatch(name):
        unit = Axis("unit", gates=gates if gates and len(gates) > 1 else ())
        return (unit, Axis("column"))[:ndim]
    if name == "transitions" or name.endswith(".transitions"):
        return Axis("tag before"), Axis("tag after")
    if name == "weight" or name.endswith(".weight"):
        first = "token" if "embedding" in name else "output"
        return Axis(first), Axis("column")
    return (Axis("output"),) if name == "bias" or name.endswith(".bias") else ()
