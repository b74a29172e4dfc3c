"""The cases that every backend must pass, by name: shapes, layouts, lengths, saturation, upstream gradients.

A `Case` says what is special; `Case.problem` makes the arrays of one call, forwards and back, from it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import CELLS, Array, CellSpec, Parameters, State


class Problem(NamedTuple):
    """The arguments of one call of a cell, forwards and back."""

    cell: str
    params: Parameters
    x: Array
    state0: State
    lengths: np.ndarray | None
    dy: Array | None
    dstate_T: tuple[Array | None, ...]
    precision: str = "float32"  # in which float32 arrays are multiplied

    @property
    def spec(self) -> CellSpec:
        return CELLS[self.cell]

    @property
    def T(self) -> int:
        return len(self.x)

    def steps(self) -> np.ndarray:
        """Return the valid steps of each row, as many as there are where `lengths` is None."""
        return np.full(self.x.shape[1], self.T) if self.lengths is None else self.lengths

    def map(self, function: Callable[[Array], Array]) -> Problem:
        """Return this problem with every array of floats sent through `function`."""

        def sent(array: Array | None) -> Array | None:
            return None if array is None else function(array)

        return self._replace(
            params=Parameters(*map(sent, self.params)),
            x=function(self.x),
            state0=tuple(map(function, self.state0)),
            dy=sent(self.dy),
            dstate_T=tuple(map(sent, self.dstate_T)),
        )


def _contiguous(array: Array, xp: Any) -> Array:
    return array


def _strided(array: Array, xp: Any) -> Array:
    """Every other element along every axis; whoever reads what lies between gets a NaN."""
    room = xp.full(tuple(2 * n for n in array.shape), np.nan, dtype=array.dtype)
    view = room[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def _fortran(array: Array, xp: Any) -> Array:
    return xp.array(array.T, order="C").T


def _batch_first(array: Array, xp: Any) -> Array:
    """Sequences lie in memory as (B, T, ·), as a layer with batch_first passes them on."""
    return xp.array(array.swapaxes(0, 1), order="C").swapaxes(0, 1) if array.ndim == 3 else array


def _backwards(array: Array, xp: Any) -> Array:
    """Time runs down in memory, as a layer passes it to the second direction."""
    return xp.array(array[::-1], order="C")[::-1] if array.ndim == 3 else array


def _read_only(array: Array, xp: Any) -> Array:
    """A memory-mapped file and `np.broadcast_to` give arrays that can't be written to."""
    if isinstance(array, np.ndarray):
        array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Case:
    """What is special about one call."""

    name: str
    T: int = 6
    B: int = 3
    I: int = 5
    H: int = 4
    lengths: tuple[int, ...] | None = None
    bias: bool = True
    inputs: float = 2.0  # size of x
    state: float = 1.0  # size of the initial states
    saturation: float = 0.0  # added, with either sign, to the bias of every other unit
    upstream: tuple[str, ...] = ("y", "h", "c")  # the outputs that a gradient comes from
    layout: Callable[[Array, Any], Array] = _contiguous
    seed: int = 0  # of the numbers; another where those of 0 happen to cancel in an array of one element

    def problem(self, cell: str, dtype: Any, xp: Any = np) -> Problem:
        """Return the arrays for a cell: drawn in float64, so that every dtype has the same, up to rounding.

        Weights are as small as a layer draws them, so that no step of the recurrence amplifies a rounding error. For
        "bfloat16" the arrays are float32, and it is the problem's precision.
        """
        precision = "bfloat16" if dtype == "bfloat16" else "float32"
        dtype = "float32" if dtype == "bfloat16" else dtype
        spec = CELLS[cell]
        T, B, I, H = self.T, self.B, self.I, self.H
        rng = np.random.default_rng([self.seed, zlib.crc32(f"{self.name} {cell}".encode())])

        def draw(size: float, *shape: int) -> np.ndarray:
            return rng.uniform(-size, size, shape)

        GH, bound = spec.gate_count * H, H**-0.5
        shift = self.saturation * np.where(np.arange(GH) % 2, rng.choice([-1.0, 1.0], GH), 0)
        params = Parameters(
            weight_ih=draw(bound, GH, I),
            weight_hh=draw(bound, GH, H),
            bias_ih=draw(bound, GH) + shift if self.bias else None,
            bias_hh=draw(bound, GH) if self.bias else None,
        )
        x = draw(self.inputs, T, B, I)
        state0 = tuple(draw(self.state, B, H) for _ in spec.states)
        dy = draw(1, T, B, H)
        dstate_T = tuple(draw(1, B, H) if name in self.upstream else None for name in spec.states)
        return Problem(
            cell, params, x, state0,
            None if self.lengths is None else np.array(self.lengths),
            dy if "y" in self.upstream else None,
            dstate_T,
            precision,
        ).map(lambda array: self.layout(xp.asarray(array, dtype=dtype), xp))  # fmt: skip


CASES = (
    Case("plain"),
    Case("one-step", T=1),
    Case("one-row", B=1),
    Case("one-of-everything", T=1, B=1, I=1, H=1, seed=4),
    Case("one-unit", T=4, I=3, H=1, seed=10),
    Case("odd-H", B=7, I=3, H=17),
    Case("whole-tiles", T=3, B=12, I=16, H=32),
    Case("tails-of-tiles", T=3, B=11, I=19, H=37),
    Case("long", T=50, B=2),
    Case("no-biases", bias=False),
    Case("zero-state", state=0),
    Case("large-state", state=5),
    Case("saturated", saturation=25),
    Case("beyond-exp", saturation=1e4),
    Case("extreme-inputs", inputs=1e30),  # a σ that is not quite 0 shows in dW, multiplied by x
    Case("from-y-alone", upstream=("y",)),
    Case("from-h_T-alone", upstream=("h",)),
    Case("from-c_T-alone", upstream=("c",)),
    Case("from-nowhere", upstream=()),
    Case("ragged", B=5, lengths=(6, 1, 4, 6, 2)),
    Case("ragged-no-row-full", B=4, lengths=(5, 2, 1, 3)),
    Case("ragged-one-row", B=1, lengths=(3,)),
    Case("ragged-from-states", B=5, lengths=(2, 6, 1, 5, 3), upstream=("h", "c")),
    Case("ragged-strided", B=5, lengths=(3, 6, 1, 2, 6), layout=_strided),
    Case("ragged-odd-H", B=13, H=17, lengths=(6, 1, 5, 2, 6, 4, 3, 3, 2, 6, 1, 1, 5)),
    Case("strided", layout=_strided),
    Case("fortran-order", layout=_fortran),
    Case("batch-first", layout=_batch_first),
    Case("backwards", layout=_backwards),
    Case("read-only", layout=_read_only),
)
"""Every case; one that hands nothing upstream to a cell's own outputs is the same as "from-nowhere"."""
