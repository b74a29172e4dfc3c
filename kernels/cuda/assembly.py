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

from kernels.definition import DEFINITIONS, Definition

from .cases import DEVICES, EVERY, SIZES, Case, StagedCase, cases
from .language.device import SIMULATED
from .recurrence import CELLS
from .running.launch import entry

REGISTERS = 65536
"""Registers of a multiprocessor."""

class Result(NamedTuple):
    """What the assembler says of a kernel."""

    registers: int
    stack: int  # bytes of a thread
    spills: int  # bytes stored and loaded
    float64: int  # instructions on float64

    def faults(self, case: Case | StagedCase) -> list[str]:
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
) -> Iterator[tuple[Case | StagedCase, Result]]:
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


def _assembled(case: Case | StagedCase) -> tuple[Case | StagedCase, Result]:
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
