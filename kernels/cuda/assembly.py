"""What the kernels become: every one that a plan may choose, compiled and assembled where there is no GPU.

``python -m kernels.cuda.assembly`` (or ``make ptx``) prints a table of registers, shared memory and spills, and fails
where a float32 kernel computes in float64, where registers spill into memory, or where a block would need more
registers or shared memory than a multiprocessor has. It takes numba-cuda and ptxas, the assembler of the CUDA toolkit.
With files or modules named, as ``python -m kernels.cuda.assembly my_cell.py``, it is the cells that these define.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kernels.definition import DEFINITIONS, Definition

from .defined import kernel_cell
from .language.cell import KernelCell
from .language.device import SIMULATED
from .language.unrolled import count
from .planning.plan import Device, choose
from .planning.tile import Tile
from .recurrence import CELLS
from .running import elementwise, persistent, stepwise
from .running.launch import entry

DEVICES = {
    "sm_90": Device(multiprocessors=132, shared_bytes=227 * 1024, architecture=(9, 0)),  # H100
    "sm_80": Device(multiprocessors=108, shared_bytes=163 * 1024, architecture=(8, 0)),  # A100
}

REGISTERS = 65536
"""Registers of a multiprocessor."""

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


class Result(NamedTuple):
    """What the assembler says of a kernel."""

    registers: int
    stack: int  # bytes of a thread
    spills: int  # bytes stored and loaded
    float64: int  # instructions on float64

    def faults(self, case: Case) -> list[str]:
        """Return what is wrong, in words."""
        found = []
        if self.spills or self.stack:
            found.append(f"{self.spills} bytes spilled, {self.stack} bytes of stack")
        if case.dtype == "float32" and self.float64:
            found.append(f"{self.float64} float64 instructions")
        if self.registers * case.threads > REGISTERS:
            found.append(f"{self.registers} registers in {case.threads} threads")
        if case.shared_bytes > DEVICES[case.target].shared_bytes:
            found.append(f"{case.shared_bytes} bytes of shared memory")
        return found


def cases(
    shapes: Mapping[Any, Any] = SIZES, cells: Sequence[str | Definition] = tuple(CELLS)
) -> Iterator[Case]:
    """Yield every kernel that is chosen for one of the shapes, once; of cells of the contract, by name, or defined."""
    for (target, dtype), (sizes, batches) in shapes.items():
        for cell in cells:
            shape = [(H, B) for H in sizes for B in batches]
            if cell in ("rnn_relu", "rnn_sigmoid"):
                shape = [(sizes[0], 32)]  # the vanilla cells differ in one function
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


def _cell(of: str | Definition, dtype: str) -> KernelCell:
    return CELLS[of] if isinstance(of, str) else kernel_cell(of, dtype)


def definitions(names: Sequence[str]) -> list[Definition]:
    """Return the cells that files and modules define, after importing them.

    Raises
    ------
    ValueError
        A file has the name of a module that is loaded already, or there is no cell.
    """
    before = set(DEFINITIONS)
    modules = tuple(_imported(name) for name in names)
    found = [
        definition
        for name, definition in DEFINITIONS.items()
        if name not in before or any(f"{definition.module}.".startswith(f"{module}.") for module in modules)
    ]
    if not found:
        raise ValueError(f"assembly: there must be a cell that rnn_core.cell.define has made in {', '.join(names)}")
    return found


def _import_all(names: Sequence[str]) -> None:
    for name in names:
        _imported(name)


def _imported(name: str) -> str:
    """Import a module or a file; return the name that it has then."""
    if not name.endswith(".py"):
        return importlib.import_module(name).__name__
    path = Path(name).resolve()
    there = sys.modules.get(path.stem)
    if there is not None and getattr(there, "__file__", None) != str(path):
        raise ValueError(f"assembly: a file must not be called as a module that is loaded, got {name}; rename it")
    if there is None:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"assembly: there must be a file of Python, got {name}")
        sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return path.stem


def assemble_definition(
    definition: Definition, shapes: Mapping[Any, Any] = SIZES
) -> Iterator[tuple[Case, Result]]:
    """Yield every kernel of a defined cell that is chosen for one of the shapes, and what the assembler says of it."""
    yield from map(_assembled, cases(shapes, [definition]))


def assemble(ptx: str, target: str) -> Result:
    """Run the assembler.

    Raises
    ------
    RuntimeError
        There is none, or it refuses the code; the message has its words.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.ptx")
        path.write_text(ptx)
        command = [ptxas(), f"-arch={target}", "-v", "-c", str(path), "-o", str(path.with_suffix(".cubin"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ptxas refuses {entry(ptx)} for {target}: {done.stderr.strip()}")
    return read(done.stderr, ptx)


def read(log: str, ptx: str) -> Result:
    """Return what the assembler's log, and the code itself, say."""

    def number(pattern: str) -> int:
        return sum(map(int, re.findall(pattern, log)))

    return Result(
        registers=number(r"Used (\d+) registers"),
        stack=number(r"(\d+) bytes stack frame"),
        spills=number(r"(\d+) bytes spill"),
        float64=len(re.findall(r"\.f64", ptx)),
    )


def ptxas() -> str:
    """Return the assembler: that of the nvidia-cuda-nvcc package, or the one on the path."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(folder).glob("*/bin/ptxas")):
            return str(found)
    on_path = shutil.which("ptxas")
    if on_path is None:
        raise RuntimeError("there is no ptxas; pip install 'rnn_core[ptx]', or install the CUDA toolkit")
    return on_path


def _assembled(case: Case) -> tuple[Case, Result]:
    return case, assemble(case.ptx(), case.target)


def main() -> int:
    """Assemble all, print the table, return how many kernels are at fault."""
    parser = argparse.ArgumentParser(prog="python -m kernels.cuda.assembly", description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", help="files or modules whose cells it is (default: the backend's own)")
    parser.add_argument("--jobs", type=int, help="processes side by side (default: one a core)")
    parser.add_argument("--every", action="store_true", help="the kernels of many more shapes")
    parser.add_argument("--shape", nargs=2, type=int, metavar=("H", "B"), help="of one hidden size and batch alone")
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    options = parser.parse_args()
    if SIMULATED:
        parser.error("kernels are compiled without NUMBA_ENABLE_CUDASIM")
    ptxas()
    head = ("target", "kernel", "cell", "dtype", "units × rows", "tile", "shared, KiB", "registers", "spills")
    lines, faults = [head], []
    # A cell goes to another process by its name: its file has to be imported there, too.
    cells = definitions(options.cells) if options.cells else tuple(CELLS)
    shapes: Mapping[Any, Any] = EVERY if options.every else SIZES
    if options.shape:
        H, B = options.shape
        shapes = dict.fromkeys(SIZES, ((H,), (B,)))
    wanted = list(cases(shapes, cells))
    with ProcessPoolExecutor(options.jobs, initializer=_import_all, initargs=(options.cells,)) as pool:
        for case, result in pool.map(_assembled, wanted):
            tile, cut = case.tile, ("", "")
            if tile:
                lanes = "tensor cores" if tile.tensor else f"{tile.tile_rows} × {tile.tile_slots}"
                cut = (f"{tile.units} × {tile.slots}", lanes)
            shared = f"{case.shared_bytes / 1024:.0f}" if tile else ""
            lines.append((*case[:4], *cut, shared, str(result.registers), str(result.spills)))
            faults += [f"{' '.join(case[:4])} {' '.join(cut)}: {fault}" for fault in result.faults(case)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(entry.ljust(width) for entry, width in zip(line, widths, strict=True)))
    if options.markdown:
        table = [f"| {' | '.join(line)} |" for line in lines]
        options.markdown.write_text("\n".join([table[0], "|---" * len(head) + "|", *table[1:]]) + "\n")
    print(f"{len(lines) - 1} kernels, {len(faults)} at fault")
    for fault in faults:
        print(f"  {fault}")
    return min(len(faults), 1)


if __name__ == "__main__":
    sys.exit(main())
