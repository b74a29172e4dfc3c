"""What is wrong with a gradient: its worst elements, the factor they share, and the gates and steps they lie in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .places import Axes, along, gate_blocks, words

SHOWN = 3
"""Elements of a failing gradient that are kept."""

NAMES = 8
"""Of what is right, that are listed."""

SAME = 1e-4
"""Ratios this close to one another are one ratio."""

MEANINGS = {
    0.0: "nothing arrives, a term or the way to it is missing",
    -1.0: "the sign is turned",
    2.0: "a factor 1/2 is lost, or a term counts twice",
    0.5: "a factor 2 is lost, or a term counts half",
}
"""What a ratio of claimed and reference usually means."""


@dataclass(frozen=True)
class Element:
    """One wrong element of a gradient.

    Attributes
    ----------
    place : tuple of int
        Its index.
    where : str
        Its index in words, "gate f, unit 2, column 0"; empty where nobody said what the axes mean.
    claimed, reference : float
        Both values.
    ratio : float or None
        claimed / reference; None where the reference is 0.
    error : float
        The relative error, (K4).
    """

    place: tuple[int, ...]
    where: str
    claimed: float
    reference: float
    ratio: float | None
    error: float

    def __str__(self) -> str:
        index = f"[{', '.join(map(str, self.place))}]"
        ratio = "should be 0" if self.ratio is None else f"ratio {self.ratio:.5g}"
        where = f"{self.where} {index}" if self.where else index
        return f"{where}: claimed {self.claimed:.6g}, reference {self.reference:.6g}, {ratio}"


@dataclass(frozen=True)
class Wrong:
    """What is known of a gradient that failed.

    Attributes
    ----------
    size : int
        How many elements are beyond the tolerance.
    elements : tuple of Element
        The worst of them, worst first.
    ratio : float or None
        The ratio of claimed and reference that all of them share; None where they share none.
    along : dict of str to tuple
        By the name of each axis ("time step", "sequence", "gate", "unit", …) its indexes that hold a wrong element.
    time_step : int or None
        The first wrong one going back from the end, as the backward does: there the error was made, and from there it
        spread. None for what has no axis of time.
    step_ratio : float or None
        As `ratio`, of that time step alone.
    exchanged : tuple of pairs
        Gates of which the claim for the first is the reference of the second.
    transposed : bool
        Whether the claim is the transpose of the reference.
    says : tuple of str
        All this in words, a line each.
    """

    size: int
    elements: tuple[Element, ...]
    ratio: float | None
    along: dict[str, tuple[Any, ...]]
    time_step: int | None
    step_ratio: float | None
    exchanged: tuple[tuple[str, str], ...]
    transposed: bool
    says: tuple[str, ...]


@dataclass(frozen=True)
class First:
    """The smallest wrong case: what is claimed for a loss at one time step alone, where an error has not yet spread.

    Attributes
    ----------
    output : str
        Of which the loss is made.
    time_step : int
        Its time step, the first at which a gradient is wrong.
    gradients : dict of str to Wrong
        What is wrong there, by name.
    gates : tuple of str
        The wrong gates, of the topmost layer that has any; empty where there are no gates.
    says : tuple of str
        All this in words, a line each.
    """

    output: str
    time_step: int
    gradients: dict[str, Wrong]
    gates: tuple[str, ...]
    says: tuple[str, ...]


def diagnose(claimed: np.ndarray, reference: np.ndarray, error: np.ndarray, tolerance: float, axes: Axes) -> Wrong:
    """Return what can be said of a gradient of which some element's error is beyond the tolerance."""
    wrong = error > tolerance
    worst = np.argsort(-error, axis=None, kind="stable")[: min(SHOWN, int(wrong.sum()))]
    elements = tuple(_element(claimed, reference, error, int(k), axes) for k in worst)
    found, every = along(axes, wrong), along(axes, np.ones_like(wrong))
    ratio, step_ratio = shared_ratio(claimed[wrong], reference[wrong]), None
    exchanged = tuple(_exchanged(claimed, reference, tolerance, found.get("gate", ()), axes))
    says = [f"in {'; '.join(places)}"] if (places := list(_places(found, every))) else []
    step = max(found.get("time step", ()), default=None)
    if step is not None:
        axis = next(k for k, axis in enumerate(axes) if axis.name == "time step")
        there = wrong & (np.arange(wrong.shape[axis]) == step).reshape(-1, *(1,) * (wrong.ndim - axis - 1))
        step_ratio = shared_ratio(claimed[there], reference[there])
        says.append(_time_steps(found["time step"], wrong.shape[axis], axes[axis].both_ways))
        if ratio is None and step_ratio is not None and len(found["time step"]) > 1:
            says.append(f"at time step {step} {_times(step_ratio)}")
    for gate, other in exchanged:
        says.append(f"what is claimed for gate {gate} is the reference of gate {other}: exchanged?")
    transposed = claimed.ndim == 2 and _same(claimed.T, reference, tolerance)
    if transposed:
        says.append("claimed is the transpose of the reference: the factors of its outer product are swapped")
    elif ratio is not None and not exchanged:
        says.append(f"{_times(ratio)}")
    elif claimed[wrong].size and (near := _distance(claimed[wrong], reference[wrong])) < SAME:
        says.append(f"claimed is within {near:.1g} of the reference: a small term, or rounding beyond the tolerance")
    says.append(str(elements[0]))
    return Wrong(int(wrong.sum()), elements, ratio, found, step, step_ratio, exchanged, transposed, tuple(says))


def first_wrong(
    output: str, time_step: int, before: int | None, gradients: dict[str, Wrong], right: list[str]
) -> First:
    """Return the smallest wrong case, given what is wrong and right in it, and the last step at which all was right."""
    layers = {name: int(match[1]) if (match := re.search(r"_l(\d+)", name)) else -1 for name in gradients}
    names = sorted(gradients, key=lambda name: -layers[name])  # from the top, where the way back begins
    gates = {name: gradients[name].along.get("gate", ()) for name in names}
    top = max((layers[name] for name in names if gates[name]), default=None)
    at_top = dict.fromkeys(gate for name in names if layers[name] == top for gate in gates[name])
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(f"{_gates(gates[name])} of " if gates[name] else "", []).append(name)
    steps = "" if before is None else f"; at time step {before} nothing is wrong"
    others = f" and {len(right) - NAMES} others" if len(right) > NAMES else ""
    says = (
        f"first wrong: a loss of {output} at time step {time_step} alone{steps}",
        f"  wrong there: {'; '.join(gate + ', '.join(group) for gate, group in groups.items())}",
        f"  right there: {', '.join(right[:NAMES]) or 'nothing'}{others}",
        *(f"  {names[0]}: {line}" for line in gradients[names[0]].says),
    )
    return First(output, time_step, gradients, tuple(at_top), says)


def shared_ratio(claimed: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the factor that makes each element of the claim from its reference, if there is one."""
    if not (claimed.size and np.isfinite(claimed).all() and reference.all()):
        return None
    ratios = claimed / reference
    middle = float(np.median(ratios))
    spread = float(abs(ratios - middle).max())
    allowed = SAME * max(1.0, abs(middle))
    return middle + 0.0 if spread <= min(allowed, max(SAME * abs(middle - 1), 1e-12)) else None


def ranges(numbers: tuple[int, ...]) -> str:
    """Return ascending numbers, neighbours drawn together: "0–9, 12"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in parts)


def _element(claimed: np.ndarray, reference: np.ndarray, error: np.ndarray, flat: int, axes: Axes) -> Element:
    place = tuple(int(k) for k in np.unravel_index(flat, error.shape))
    theirs, right = float(claimed[place]), float(reference[place])
    ratio = theirs / right + 0.0 if right else None  # and not -0
    return Element(place, words(axes, place, error.shape), theirs + 0.0, right, ratio, float(error[place]))


def _places(found: dict[str, tuple[Any, ...]], every: dict[str, tuple[Any, ...]]) -> Iterator[str]:
    """Yield the indexes of each axis that are wrong, where others are right."""
    for name, wrong in found.items():
        right = [index for index in every[name] if index not in wrong]
        if not right or name == "time step":
            continue
        if name == "gate":
            yield f"{_gates(wrong)} ({', '.join(right)} {'is' if len(right) == 1 else 'are'} right)"
        elif isinstance(right[0], str):
            yield ", ".join(wrong)
        else:
            yield f"{name} {ranges(wrong)} of {len(every[name])}"


def _time_steps(wrong: tuple[int, ...], T: int, both_ways: bool) -> str:
    """Say which steps are wrong, and where a walk back from the end meets the first of them."""
    first = wrong[-1]
    text = f"at time step {ranges(wrong)} of {T}; going back from the end, {first} is the first wrong one"
    if first < T - 1:
        text += f", {first + 1} the last right one"
    return text + (f"; the reverse direction's backward meets {wrong[0]} first" if both_ways and len(wrong) > 1 else "")


def _exchanged(
    claimed: np.ndarray, reference: np.ndarray, tolerance: float, wrong: tuple[str, ...], axes: Axes
) -> Iterator[tuple[str, str]]:
    """Yield pairs of gates of which the claim for the first, which is wrong, is the reference of the second."""
    parts = dict(gate_blocks(axes, reference.shape))
    for gate in wrong:
        for other, part in parts.items():
            if other != gate and _same(claimed[parts[gate]], reference[part], tolerance):
                yield gate, other


def _same(mine: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    """Return whether a claim is the reference of something else, which is not all zeros."""
    close = mine.shape == theirs.shape and theirs.any()
    return bool(close and (abs(mine - theirs) <= 100 * tolerance * abs(theirs).max()).all())


def _gates(gates: tuple[str, ...]) -> str:
    return f"gate{'s' if len(gates) > 1 else ''} {', '.join(gates)}"


def _distance(claimed: np.ndarray, reference: np.ndarray) -> float:
    """Return how far the claim is from the reference at most, relatively."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.nan_to_num(abs(claimed / reference - 1), nan=np.inf)))


def _times(ratio: float) -> str:
    """Say which factor all wrong elements share and, if it is a usual one, what it means."""
    text = f"claimed is {ratio:.6g} times the reference throughout"
    for usual, meaning in MEANINGS.items():
        if abs(ratio - usual) <= SAME:
            return f"{text}: {meaning}"
    return f"{text}: {abs(ratio - 1):.2g} too {'large' if ratio > 1 else 'small'}" if 0.9 < ratio < 1.1 else text
