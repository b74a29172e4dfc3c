"""`infer`, `forward` and `backward` of every cell, as the contract has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Parameters, State

from . import gru, lstm, rnn
from .calls import DTYPES, Tape, run_backward, run_forward
from .emitting.cell import KernelCell
from .running import threads
from .running.rows import Rows, running

CELLS: dict[str, KernelCell] = {**rnn.CELLS, "lstm": lstm.CELL, "gru": gru.CELL}


class Recurrence(NamedTuple):
    """A cell of the contract. It knows its name and precision and nothing else, so it can be copied and pickled."""

    name: str
    precision: str = "float32"

    def infer(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State]:
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = self._run(params, x, state0, lengths, keep=False)
        return y, state_T

    def forward(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State, Tape]:
        """All time steps, with a tape of every state and gate."""
        return self._run(params, x, state0, lengths, keep=True)

    def backward(
        self,
        params: Parameters,
        tape: Tape,
        dy: np.ndarray | None,
        dstate_T: tuple[np.ndarray | None, ...],
        needs: frozenset[str],
    ) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
        """Backpropagation through time: the steps in reverse, then one product a weight."""
        if params.bias_ih is None:
            needs = needs - {"bias_ih", "bias_hh"}
        if not needs:
            return None, (None,) * len(dstate_T), Parameters(None, None, None, None)
        with threads.share(2 * self._work(params, tape.rows)) as count:
            return run_backward(CELLS[self.name], params, tape, dy, dstate_T, needs, count, self.precision)

    def _run(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None, *, keep: bool
    ) -> tuple[np.ndarray, State, Any]:
        self._check(params, x)
        rows = running(x.shape[0], x.shape[1], lengths)
        with threads.share(self._work(params, rows)) as count:
            return run_forward(
                CELLS[self.name], params, x, state0, rows, count, keep=keep, precision=self.precision
            )

    def _check(self, params: Parameters, x: np.ndarray) -> None:
        """Raise TypeError where the dtypes are not one of those that there are kernels for."""
        if not x.dtype == params.weight_ih.dtype == params.weight_hh.dtype or x.dtype not in DTYPES:
            found = ", ".join(str(array.dtype) for array in (x, *params[:2]))
            raise TypeError(f"cpu.{self.name}: x and weights must all be float32 or all float64, got {found}")
        if self.precision != "float32" and x.dtype != np.float32:
            raise TypeError(f"cpu.{self.name}: x and weights must be float32 in {self.precision}, got {x.dtype}")

    @staticmethod
    def _work(params: Parameters, rows: Rows) -> float:
        """Return the floating-point operations of the products of all steps, forwards."""
        return 2.0 * rows.count * (params.weight_ih.size + params.weight_hh.size)
