"""A cell's time loops with the masks of a call, for whoever runs a stack: as a backend's cell, but for one argument."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array, Cut, DefinedParameters, State
from kernels.definition import Definition

from .arguments import Regularisers
from .noise import Noise

States = tuple[Array | None, ...]


class RegularisedTape(NamedTuple):
    """What the backward needs."""

    params: Any  # with the W_h and the matrices that were read
    noise: Noise  # its d has a row for each state
    tape: Any  # the cell's own


class RegularisedCore(NamedTuple):
    """Time loops that take masks. Where nothing but weights is dropped they are the layer's own."""

    core: Any
    defined: bool = False  # of a definition, which takes streams
    masks: int = 0  # of candidates, that it has
    held_at: int = 0  # where in the parameters' `extra` the constants of zoneout begin, which are for inference alone
    held: int = 0  # and how many there are
    recurrent: tuple[int, ...] = ()  # where in `extra` matrices are that are dropped as W_h is, counted from its end

    @property
    def cuts(self) -> bool:
        """Whether a `Cut` may stand in the place of lengths."""
        return bool(getattr(self.core, "cuts", False))

    def forward(
        self, params: Any, x: Array, state0: State, lengths: np.ndarray | Cut | None, noise: Noise
    ) -> tuple[Array, State, RegularisedTape]:
        """All time steps, with a tape."""
        params, streams, d = self._read(params, noise), noise.streams, noise.recurrent
        if d is not None:
            streams = (*streams, array_namespace(d).broadcast_to(d, (x.shape[0], *d.shape)))
            d = d[lengths.row] if isinstance(lengths, Cut) else d
            state0 = (d * state0[0], *state0)  # (RG2)
        y, final, tape = self.core.forward(params, x, state0, lengths, *([streams] if self.defined else []))
        if d is not None:
            y, final = self.core.states(tape)[1], final[1:]
        return y, final, RegularisedTape(params, noise._replace(recurrent=d), tape)

    def states(self, tape: RegularisedTape) -> State:
        """Every state at every step, (T, B, H) each."""
        found: State = self.core.states(tape.tape)
        return found if tape.noise.recurrent is None else found[1:]

    def backward(
        self, params: Any, tape: RegularisedTape, dy: Array | None, dstate_T: States, needs: frozenset[str],
        dstates: States | None = None,
    ) -> tuple[Array | None, States, Any]:  # fmt: skip
        """Backpropagation through time."""
        params, noise, own = tape
        d = noise.recurrent
        if d is None:
            more = [] if dstates is None else [dstates]
            dx, dstate0, gradients = self.core.backward(params, own, dy, dstate_T, needs, *more)
        else:
            every = (None, dy, *(dstates[1:] if dstates else (None,) * (len(dstate_T) - 1)))
            wanted = needs | {f"{self.core.definition.states[1]}0"} if "h0" in needs else needs
            dx, found, gradients = self.core.backward(params, own, None, (None, *dstate_T), wanted, every)
            dread, *rest = found
            dstate0 = (None if dread is None else rest[0] + d * dread, *rest[1:])  # (RG2′)
        if noise.weight is not None and "weight_hh" in needs:
            gradients = gradients._replace(weight_hh=noise.weight * gradients.weight_hh)  # (RG4′)
        return dx, dstate0, self._masked(gradients, noise)  # (RG4′)

    def weights(self, params: Any) -> tuple[Array | None, ...]:
        """Return what weight drop is of: W_h, or None, and the cell's recurrent matrices."""
        return (params.weight_hh, *(params.extra[at] for at in self.recurrent))

    def _masked(self, params: Any, noise: Noise) -> Any:
        """Return parameters or their gradients with the recurrent matrices M ⊙ W; a gradient may be None."""
        if not noise.matrices:
            return params
        extra = list(params.extra)
        for at, mask in zip(self.recurrent, noise.matrices, strict=True):
            extra[at] = None if extra[at] is None else mask * extra[at]
        return params._replace(extra=tuple(extra))

    def _read(self, params: Any, noise: Noise) -> Any:
        """Return a cell's parameters as these loops read them."""
        if self.defined:
            extra = tuple(getattr(params, "extra", ()))
            W_x, W_h, b_x, b_h = params[:4]
            own = extra[: self.held_at] + extra[self.held_at + self.held :]
            params = DefinedParameters(W_x, W_h, b_x, b_h, own)
        if noise.weight is not None:
            params = params._replace(weight_hh=noise.weight * params.weight_hh)  # (RG4)
        return self._masked(params, noise)  # (RG4)


def built_in(name: str, dropped: bool = False) -> Definition:
    """Return a built-in cell as a definition, which is made upon these layers; `dropped`, with its masks as streams."""
    found: Definition = importlib.import_module("rnn_core.cell.built_in").built_in(name, dropped)
    return found


def expected_of(its: Definition, given: Regularisers) -> Definition:
    """Return what a layer with zoneout runs without training: the probabilities are constants, behind the cell's."""
    return _wrapped(its, given.zoned, expected=True, recurrent=False)


def core_of(
    backend: Any, precision: str, core: Any, its: Definition, dropped: Definition | None, given: Regularisers
) -> RegularisedCore:
    """Return the loops with which a layer trains.

    Parameters
    ----------
    backend : module
    precision : {"float32", "bfloat16"}
    core : Cell or DefinedCell
        The layer's own.
    its, dropped : Definition
        The cell, and the same with its masks as streams; None where it has none.
    given : Regularisers

    Raises
    ------
    ValueError
        The cell has not what is to be dropped or held.
    RuntimeError
        The backend runs no definitions.
    """
    _check(its, dropped, given)
    recurrent = tuple([its.matrices.index(name) - len(its.matrices) for name in its.recurrent])
    if not given.around:
        return RegularisedCore(core, recurrent=recurrent)
    if not hasattr(backend, "defined_cell"):
        raise RuntimeError(f"backend must be one that runs definitions, got {backend.NAME!r}; 'numpy' runs all")
    inner = dropped if given.candidate_dropout and dropped else its
    outer = _wrapped(inner, given.zoned, expected=False, recurrent=bool(given.recurrent_dropout))
    return RegularisedCore(
        backend.defined_cell(outer, precision), True, len(inner.streams), len(its.vectors) + len(its.constants),
        len(given.zoned), recurrent,
    )  # fmt: skip


def _wrapped(its: Definition, zoned: tuple[int, ...], *, expected: bool, recurrent: bool) -> Definition:
    if not zoned and not recurrent:
        return its
    found: Definition = importlib.import_module("rnn_core.cell.wrapping").wrapped(its, zoned, expected, recurrent)
    return found


def _check(its: Definition, dropped: Definition | None, given: Regularisers) -> None:
    """Raise ValueError where a cell has not what is to be dropped or held."""
    if given.candidate_dropout and dropped is None:
        raise ValueError(
            f"candidate_dropout must be 0 for the cell {its.name!r}, which doesn't say what its candidate is, got "
            f"{given.candidate_dropout:g}; name its masks in define, as docs/cells.md tells"
        )
    for name, p in (("recurrent_dropout", given.recurrent_dropout), ("weight_drop", given.weight_drop)):
        if p and not (its.from_h or its.recurrent):
            raise ValueError(f"{name} must be 0 for the cell {its.name!r}, which has no W_h, got {p:g}; leave it out")
    if its.projection and (given.recurrent_dropout or 0 in given.zoned):
        name = "recurrent_dropout" if given.recurrent_dropout else "zoneout of h"
        p = given.recurrent_dropout or given.zoneout[0]
        way_out = "leave it out" if given.recurrent_dropout else "zoneout=[0, …] holds the other states alone"
        raise ValueError(f"{name} must be 0 for the cell {its.name!r}, whose projection makes h, got {p:g}; {way_out}")
