"""How a batch passes through a chain: its stages in order, with the steps that are padded, by lengths or by a mask.

A mask says of each step of each sequence whether it counts, wherever in the sequence it stands. A recurrent layer
passes over the steps that don't: its state is carried, and so is what it says, until there is a step that counts. That
is Keras's rule. For a layer of ours the steps that count are brought together at the front, with their number as the
length, and what it says is put back to where the steps were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..layers.home import to_host
from ..layers.pooling import Pooling
from ..layers.stack import Recurrent

LAST_STEP = "last step"
"""What takes the step that stands last, also of the direction that begins there."""


@dataclass
class Passing:
    """A batch on its way, (B, T, ·) as long as it has steps."""

    y: Array
    lengths: np.ndarray | None
    stepped: bool  # whether there are steps
    mask: np.ndarray | None = None  # (B, T), on the host; it has the lengths in it

    def within(self) -> np.ndarray:
        """Return the steps that lengths leave, (B, T)."""
        B, T = self.y.shape[:2]
        return np.ones((B, T), bool) if self.lengths is None else np.arange(T) < self.lengths[:, None]


class Marker:
    """What changes which steps count, or what stands at them."""

    name: ClassVar[str]

    def __call__(self, passing: Passing) -> None:
        """Change a batch on its way."""
        raise NotImplementedError


@dataclass(frozen=True)
class TokenMask(Marker):
    """A token that stands for no step: the mask begins with it."""

    name = "mask of padding"
    token: int = 0

    def __call__(self, passing: Passing) -> None:
        """Let the steps count that have another token."""
        passing.mask = (np.asarray(to_host(passing.y)) != self.token) & passing.within()


@dataclass(frozen=True)
class FeatureMask(Marker):
    """Steps at which every feature is one and the same number count no more, and become zeros."""

    name = "mask of a value"
    value: float = 0.0

    def __call__(self, passing: Passing) -> None:
        """Let the steps count that have another number among their features."""
        x = np.asarray(to_host(passing.y))
        passing.mask = (x != x.dtype.type(self.value)).any(axis=-1) & passing.within()
        _zero(passing, passing.mask)


@dataclass(frozen=True)
class Zeroed(Marker):
    """Zeros in the place of what is carried over steps that don't count."""

    name = "zeros at padding"

    def __call__(self, passing: Passing) -> None:
        """Put zeros there."""
        if passing.mask is not None:
            _zero(passing, passing.mask)


@dataclass(frozen=True)
class Reversed(Marker):
    """The last step first."""

    name = "time reversed"

    def __call__(self, passing: Passing) -> None:
        """Turn steps round; lengths become a mask, as the padding stands at the front then."""
        if passing.mask is None and passing.lengths is not None:
            passing.mask = passing.within()
        xp = array_namespace(passing.y)
        passing.y = xp.flip(passing.y, axis=1)
        passing.mask = None if passing.mask is None else passing.mask[:, ::-1]


@dataclass(frozen=True)
class Merged(Marker):
    """Two directions as one: their "sum", their product "mul", or their mean "ave", number by number."""

    kind: str = "sum"

    @property
    def name(self) -> str:  # type: ignore[override]
        """What it does."""
        return {"sum": "sum", "mul": "product", "ave": "mean"}[self.kind] + " of directions"

    def __call__(self, passing: Passing) -> None:
        """Merge the two halves of the last axis."""
        H = passing.y.shape[-1] // 2
        forward, backward = passing.y[..., :H], passing.y[..., H:]
        if self.kind == "mul":
            passing.y = forward * backward
        else:
            passing.y = forward + backward if self.kind == "sum" else (forward + backward) / 2


def passed(stages: Any, passing: Passing, states: tuple[Any, ...]) -> list[Any]:
    """Take a batch through stages, and return the final states of the recurrent layers.

    Parameters
    ----------
    stages : sequence of what each does
        A `Recurrent`, a `Pooling`, a `Marker`, LAST_STEP, or a function of an array.
    passing : Passing
        It has what comes in, and then what goes out.
    states : tuple
        An initial state or None for each recurrent layer.
    """
    finals: list[Any] = []
    for does in stages:
        if isinstance(does, Recurrent):
            state0, mask = states[len(finals)], passing.mask
            if mask is None or mask.all():
                lengths = passing.lengths if mask is None else None
                passing.y, final = does(passing.y, state0, lengths)
            else:
                passing.y, final = over_mask(does, passing.y, state0, mask)
            finals.append(final)
        elif isinstance(does, Pooling):  # what is carried stands at the last step, too
            passing.y = does(passing.y, passing.lengths if passing.mask is None else None)
            passing.stepped, passing.mask = False, None
        elif does == LAST_STEP:
            passing.y, passing.stepped, passing.mask = passing.y[:, -1], False, None
        elif isinstance(does, Marker):
            does(passing)
        else:
            passing.y = does(passing.y)
    return finals


def over_mask(layer: Recurrent, x: Array, state0: Any, mask: np.ndarray) -> tuple[Array, Any]:
    """Return what a recurrent layer says at every step, and its final state, over the steps that count alone.

    Parameters
    ----------
    layer : Recurrent
        With batch_first.
    x : ndarray, shape (B, T, I)
    state0 : optional
    mask : ndarray of bool, shape (B, T)
        True where a step counts.

    Returns
    -------
    y : ndarray, shape (B, T, directions·H)
        At a step that doesn't count what the step before it said, in the order in which the direction reads; zeros
        before the first.
    state : ndarray or pair of ndarray
        Where no step of a sequence counts, the initial one.
    """
    xp = array_namespace(x)
    counts = mask.sum(axis=1)
    order = np.argsort(~mask, axis=1, kind="stable")[:, : max(int(counts.max()), 1)]  # those that count first
    close = xp.take_along_axis(x, xp.asarray(order)[..., None], axis=1)
    y, final = layer(close, state0, np.maximum(counts, 1))  # no length is 0; what such a row says is not taken below
    so_far = np.cumsum(mask, axis=1)
    H = y.shape[2] // layer.directions
    found = [_taken(xp, y[..., :H], so_far - 1, so_far > 0)]
    if layer.directions == 2:
        before = so_far - mask  # the place of the next step that counts
        found.append(_taken(xp, y[..., H:], before, before < counts[:, None]))
    empty = xp.asarray(counts == 0)[:, None]
    firsts = state0 if isinstance(state0, tuple | list) else (state0,)
    if isinstance(final, tuple):
        firsts = firsts if state0 is not None else (None,) * len(final)
        final = tuple(_kept(xp, empty, one, first) for one, first in zip(final, firsts, strict=True))
    else:
        final = _kept(xp, empty, final, firsts[0])
    return (found[0] if len(found) == 1 else xp.concat(found, axis=-1)), final


def _taken(xp: Any, y: Array, places: np.ndarray, there: np.ndarray) -> Array:
    """Return y at some places of each row, zeros where there is none."""
    places = xp.asarray(np.clip(places, 0, y.shape[1] - 1))[..., None]
    taken = xp.take_along_axis(y, places, axis=1)
    return xp.where(xp.asarray(there)[..., None], taken, xp.zeros_like(taken))


def _kept(xp: Any, empty: Array, final: Array, first: Any) -> Array:
    """Return a final state, in rows without a step the initial one."""
    return xp.where(empty, xp.zeros_like(final) if first is None else xp.asarray(first), final)


def _zero(passing: Passing, mask: np.ndarray) -> None:
    """Put zeros where a step doesn't count."""
    xp = array_namespace(passing.y)
    passing.y = xp.where(xp.asarray(mask)[..., None], passing.y, xp.zeros_like(passing.y))
