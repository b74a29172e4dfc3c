"""Which kernels a plan may choose, for a range of sizes: what there is to assemble, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.definition import Definition

from .defined import kernel_cell, staged_cell
from .language.cell import KernelCell
from .language.device import WARP
from .language.unrolled import count
from .planning.plan import Device, choose
from .planning.tile import Tile
from .recurrence import CELLS
from .running import elementwise, persistent, phases, staged, stepwise
from .running.row import shared_numbers
from .running.stage import warps_for

DEVICES = {
    "sm_90": Device(multiprocessors=132, shared_bytes=227 * 1024, architecture=(9, 0)),  # H100
    "sm_80": Device(multiprocessors=108, shared_bytes=163 * 1024, architecture=(8, 0)),  # A100
}

SIZES = {
    ("sm_90", "float32"): ((256, 1024), (1, 8, 32)),
    ("sm_80", "float32"): ((512,), (1, 32)),
    ("sm_90", "float64"): ((512,), (32,)),
    ("sm_80", "float64"): ((512,), (32,)),
}
"""For which H and B the chosen kernels are assembled."""

EVERY = dict.fromkeys(SIZES, ((64, 100, 128, 200, 256, 512, 768, 1024, 1300), (1, 2, 4, 8, 16, 32, 64, 128, 256)))
"""The same for ``--every``, which takes some minutes."""


class Case(NamedTuple):
    """A kernel to assemble."""

    target: str  # sm_90, …
    kernel: str  # forward, forward+tape, backward; step, … those of the stepwise way, all, … of the elementwise one
    cell: str
    dtype: str
    tile: Tile | None
    shared_bytes: int
    definition: Definition | None = None  # None: a cell of the contract

    def ptx(self) -> str:
        """Compile it."""
        from .language.compiler import compile_ptx  # it is not there in the simulator

        cell, real = _cell(self.definition or self.cell, self.dtype), np.dtype(self.dtype).type
        kind, *parts = self.kernel.split("+")
        make, types = {
            "forward": (persistent.make_forward, persistent.FORWARD),
            "backward": (persistent.make_backward, persistent.BACKWARD),
            "step": (stepwise.make_step, stepwise.FORWARD),
            "step_backward": (stepwise.make_step_backward, stepwise.BACKWARD),
            "all": (elementwise.make_forward, elementwise.FORWARD),
            "all_backward": (elementwise.make_backward, elementwise.BACKWARD),
        }[kind]
        options = {"keep": "tape" in parts}
        if kind.endswith("backward"):
            options = {"vectors": True, "every": "states" in parts}
        made_of = (cell, real) if self.tile is None else (cell, self.tile, real)
        function = make(*made_of, **options)  # type: ignore[operator]
        return compile_ptx(function, types, self.dtype, DEVICES[self.target].architecture)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return stepwise.THREADS if self.tile is None else self.tile.threads


class StagedCase(NamedTuple):
    """The same, of a cell whose units look at one another within a step: a kernel of one of its stages."""

    target: str
    kernel: str  # stage0, stage0+tape, stage0_backward, stage0_backward+states, …; dh, where h is projected
    cell: str
    dtype: str
    tile: None
    shared_bytes: int
    definition: Definition
    number: int  # of the stage
    warps: int

    def ptx(self) -> str:
        """Compile it."""
        from .language.compiler import compile_ptx  # it is not there in the simulator

        cell, real = staged_cell(self.definition), np.dtype(self.dtype).type
        kind, *parts = self.kernel.split("+")
        made_of = cell, self.number, self.warps, real
        if kind == "dh":
            function, types = staged.make_dh(cell, real), staged.DH
        elif kind.endswith("backward"):
            function = phases.make_stage_backward(*made_of, vectors=True, matrices=True, every="states" in parts)
            types = phases.BACKWARD
        else:
            function, types = phases.make_stage(*made_of, keep="tape" in parts), phases.FORWARD
        return compile_ptx(function, types, self.dtype, DEVICES[self.target].architecture)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.warps * WARP if self.warps else staged.THREADS


def cases(
    shapes: Mapping[Any, Any] = SIZES, cells: Sequence[str | Definition] = tuple(CELLS)
) -> Iterator[Case | StagedCase]:
    """Yield every kernel that is chosen for one of the shapes, once; of cells of the contract, by name, or defined."""
    for (target, dtype), (sizes, batches) in shapes.items():
        for cell in cells:
            shape = [(H, B) for H in sizes for B in batches]
            if cell in ("rnn_relu", "rnn_sigmoid"):
                shape = [(sizes[0], 32)]  # the vanilla cells differ in one function
            if isinstance(cell, Definition) and cell.across:
                yield from _staged_cases(target, dtype, cell, sizes)
            else:
                yield from _cases(target, dtype, cell, shape)


def _cases(target: str, dtype: str, of: str | Definition, shapes: Sequence[tuple[int, int]]) -> Iterator[Case]:
    cell, itemsize, seen = _cell(of, dtype), np.dtype(dtype).itemsize, set()
    name, definition = (of, None) if isinstance(of, str) else (of.name, of)
    X, G = count(cell.from_x), count(cell.from_h)
    forwards, backwards = ("", "+tape"), ("", "+states") if cell.others else ("",)
    for H, B in shapes if G else ():
        for kernel in (*(f"forward{more}" for more in forwards), *(f"backward{more}" for more in backwards)):
            direction = kernel.partition("+")[0]
            options = {"inputs": X, "numbers": cell.numbers(direction)}
            for tf32 in (False, True) if dtype == "float32" else (False,):
                choice = choose(direction, G, B, H, itemsize, DEVICES[target], tf32=tf32, **options)
                if choice.tile is None or (kernel, choice.tile) in seen:
                    continue
                seen.add((kernel, choice.tile))
                K = choice.row * (G if direction == "backward" else 1)
                yield Case(target, kernel, name, dtype, choice.tile, choice.tile.size(K) * itemsize, definition)
    kind = "step" if G else "all"
    for kernel in (*(f"{kind}{more}" for more in forwards), *(f"{kind}_backward{more}" for more in backwards)):
        yield Case(target, kernel, name, dtype, None, 0, definition)


def _staged_cases(target: str, dtype: str, d: Definition, sizes: Sequence[int]) -> Iterator[StagedCase]:
    cell, itemsize = staged_cell(d), np.dtype(dtype).itemsize
    back = phases.stages_backward(cell, vectors=True, matrices=True)
    kinds = [("", "", phases.stages_forward(cell, keep=False)), ("", "+tape", phases.stages_forward(cell, keep=True))]
    kinds += [("_backward", more, back) for more in (("", "+states") if cell.others else ("",))]
    for warps in sorted({warps_for(H, DEVICES[target].warps) for H in sizes}):
        for kind, more, stages in kinds:
            for number, stage in enumerate(stages.stages):
                if stage.phases:
                    shared = shared_numbers(stage.summed, warps) * itemsize
                    name = f"stage{number}{kind}{more}"
                    yield StagedCase(target, name, d.name, dtype, None, shared, d, number, warps)
    if d.projection:
        yield StagedCase(target, "dh", d.name, dtype, None, 0, d, 0, 0)


def _cell(of: str | Definition, dtype: str) -> KernelCell:
    return CELLS[of] if isinstance(of, str) else kernel_cell(of, dtype)


