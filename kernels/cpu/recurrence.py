"""`infer`, `forward` and `backward` of every cell, as the contract has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Cut, DefinedParameters, Parameters, State
from kernels.definition import Definition
from kernels.given import Outline, Sizes, check_backward, check_forward

from . import gru, lstm, rnn
from .calls import DTYPES, Tape, all_states, hidden_size, run_backward, run_forward, size_of_h
from .defined import kernel_cell
from .emitting.cell import KernelCell
from .emitting.simd import Lanes
from .levels.schedule import LevelledCell
from .loops.job import PLACE
from .plan import effort
from .running import threads
from .running.rows import Rows, running
from .shapes import lanes_of

CELLS: dict[str, KernelCell] = {**rnn.CELLS, "lstm": lstm.CELL, "gru": gru.CELL}


_outlines: dict[tuple[str, str], Outline] = {}
"""Made once: by what a cell is called, and by what its kernels are."""


class Recurrence(NamedTuple):
    """A cell of the contract. It knows its name and precision and nothing else, so it can be copied and pickled."""

    name: str
    precision: str = "float32"

    @property
    def cuts(self) -> bool:
        """A `Cut` may stand in the place of lengths."""
        return True

    def infer(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | Cut | None = None
    ) -> tuple[np.ndarray, State]:
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = _run(self.name, CELLS[self.name], self.precision, params, x, state0, lengths, keep=False)
        return y, state_T

    def forward(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | Cut | None = None
    ) -> tuple[np.ndarray, State, Tape]:
        """All time steps, with a tape of every state and gate."""
        return _run(self.name, CELLS[self.name], self.precision, params, x, state0, lengths, keep=True)

    def states(self, tape: Tape) -> State:
        """Every state at every step, (T, B, H) each, zero past a row's length."""
        return all_states(CELLS[self.name], tape)

    def backward(
        self,
        params: Parameters,
        tape: Tape,
        dy: np.ndarray | None,
        dstate_T: tuple[np.ndarray | None, ...],
        needs: frozenset[str],
        dstates: tuple[np.ndarray | None, ...] | None = None,
    ) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
        """Backpropagation through time: the steps in reverse, then one product a weight.

        `dstates` are upstream gradients of every state at every step, as a `DefinedCell` has them.
        """
        cell = CELLS[self.name]
        found = _run_back(self.name, cell, self.precision, params, tape, dy, dstate_T, needs, dstates)
        return *found[:2], Parameters(*found[2][:4])


class DefinedRecurrence(NamedTuple):
    """A cell that a user has defined, as the contract has it. A definition is pickled by its name."""

    definition: Definition
    precision: str = "float32"

    @property
    def cuts(self) -> bool:
        """A `Cut` may stand in the place of lengths."""
        return True

    def infer(
        self,
        params: DefinedParameters,
        x: np.ndarray,
        state0: State,
        lengths: np.ndarray | Cut | None = None,
        streams: tuple[np.ndarray, ...] = (),
    ) -> tuple[np.ndarray, State]:
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = self._run(params, x, state0, lengths, streams, keep=False)
        return y, state_T

    def forward(
        self,
        params: DefinedParameters,
        x: np.ndarray,
        state0: State,
        lengths: np.ndarray | Cut | None = None,
        streams: tuple[np.ndarray, ...] = (),
    ) -> tuple[np.ndarray, State, Tape]:
        """All time steps, with a tape of every state and of what the cell keeps."""
        return self._run(params, x, state0, lengths, streams, keep=True)

    def states(self, tape: Tape) -> State:
        """Every state at every step, (T, B, H) each, zero past a row's length."""
        return all_states(kernel_cell(self.definition), tape)

    def backward(
        self,
        params: DefinedParameters,
        tape: Tape,
        dy: np.ndarray | None,
        dstate_T: tuple[np.ndarray | None, ...],
        needs: frozenset[str],
        dstates: tuple[np.ndarray | None, ...] | None = None,
    ) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], DefinedParameters]:
        """Backpropagation through time: the steps in reverse, then one product a weight, and one sum a vector."""
        cell, name = kernel_cell(self.definition), self.definition.name
        return _run_back(name, cell, self.precision, params, tape, dy, dstate_T, needs, dstates)

    def _run(
        self,
        params: DefinedParameters,
        x: np.ndarray,
        state0: State,
        lengths: np.ndarray | Cut | None,
        streams: tuple[np.ndarray, ...],
        *,
        keep: bool,
    ) -> tuple[np.ndarray, State, Any]:
        cell, name = kernel_cell(self.definition), self.definition.name
        return _run(name, cell, self.precision, params, x, state0, lengths, streams, keep=keep)


def _run(
    name: str,
    cell: KernelCell,
    precision: str,
    params: Parameters | DefinedParameters,
    x: np.ndarray,
    state0: State,
    lengths: np.ndarray | Cut | None,
    streams: tuple[np.ndarray, ...] = (),
    *,
    keep: bool,
) -> tuple[np.ndarray, State, Any]:
    """Run a cell forwards."""
    _check(name, precision, params, x)
    T, B, I = x.shape
    rows = running(T, B, lengths)
    sizes = Sizes(T, B, len(rows.order), I, hidden_size(cell, params), x.dtype)
    check_forward(_outline(name, cell), sizes, params, state0, streams)
    _check_projection(name, size_of_h(cell, params), sizes.H)
    with threads.share(_effort(params, rows, lanes_of(DTYPES[x.dtype], precision))) as count:
        return run_forward(cell, params, x, state0, rows, count, keep=keep, precision=precision, streams=streams)


def _run_back(
    name: str,
    cell: KernelCell,
    precision: str,
    params: Parameters | DefinedParameters,
    tape: Tape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    dstates: tuple[np.ndarray | None, ...] | None,
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], DefinedParameters]:
    """Run a cell backwards, unless nothing is needed."""
    if params.bias_ih is None:
        needs = needs - {"bias_ih", "bias_hh"}
    if not needs:
        nothing = (None,) * len(cell.vectors + cell.matrices)
        return None, (None,) * len(dstate_T), DefinedParameters(None, None, None, None, nothing)
    (T, B), (I, H) = tape.batch, tape.shape.job[[PLACE["I"], PLACE["H"]]]
    sizes = Sizes(T, B, len(tape.rows.order), int(I), int(H), np.dtype(tape.shape.lanes.dtype))
    check_backward(_outline(name, cell), sizes, params, dy, dstate_T, dstates)
    with threads.share(2 * _effort(params, tape.rows, tape.shape.lanes)) as count:
        return run_backward(cell, params, tape, dy, dstate_T, needs, count, precision, dstates)


def _outline(name: str, cell: KernelCell) -> Outline:
    return _outlines.get((name, cell.name)) or _outlines.setdefault((name, cell.name), _outlined(name, cell))


def _outlined(name: str, cell: KernelCell) -> Outline:
    extra, projection = cell.vectors + cell.constants + cell.matrices, ""
    if isinstance(cell, LevelledCell) and cell.projection is not None:
        projection = cell.matrices[cell.projection]
    return Outline(
        f"cpu.{name}", len(cell.from_x), len(cell.from_h), cell.states, cell.streams, extra, cell.matrices, projection
    )


def _check_projection(name: str, P: int, H: int) -> None:
    """Raise RuntimeError where h is larger than the rest."""
    if P > H:
        raise RuntimeError(
            f"cpu.{name}: a projection must make h of at most {H} numbers, as many as the rest has, got {P}; "
            "take backend='numpy'"
        )


def _check(name: str, precision: str, params: Parameters | DefinedParameters, x: np.ndarray) -> None:
    """Raise TypeError where the dtypes are not one of those that there are kernels for."""
    arrays = [x, *(W for W in params[:2] if W is not None)]
    if any(array.dtype != x.dtype for array in arrays) or x.dtype not in DTYPES:
        found = ", ".join(str(array.dtype) for array in arrays)
        raise TypeError(f"cpu.{name}: x and weights must all be float32 or all float64, got {found}")
    if precision != "float32" and x.dtype != np.float32:
        raise TypeError(f"cpu.{name}: x and weights must be float32 in {precision}, got {x.dtype}")


def _effort(params: Parameters | DefinedParameters, rows: Rows, lanes: Lanes) -> float:
    """Return what the products of all steps count for `threads.share`, forwards."""
    extra = params.extra if isinstance(params, DefinedParameters) else ()
    weights = sum(W.size for W in (*params[:2], *extra) if W is not None and W.ndim == 2)
    return effort(len(rows.offsets) - 1, rows.count, weights, lanes.operand_size)
