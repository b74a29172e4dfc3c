"""From a kernel's Python to a launch on the device, through the array library: CuPy's, or for the simulator NumPy's.

Kernels are compiled to PTX by numba (kernels/cuda/language/device.py), kept on disk, and loaded by CuPy, whose
launches are cheap, follow its current stream, and can ask for more than 48 KiB of shared memory and for all blocks at
once.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..language import simulator
from ..language.device import SIMULATED
from ..planning.plan import Device

GPU_EXTRA = "pip install 'rnn_core[gpu]'"


SIMULATED_DEVICE = Device(multiprocessors=4, shared_bytes=227 * 1024, warps=2)
"""Small, so that a test's blocks are several and their threads few."""


def namespace() -> Any:
    """Return the module whose arrays the kernels take."""
    return np if SIMULATED else importlib.import_module("cupy")


@cache
def missing() -> str:
    """Return why there is nothing to run on; "" where there is something."""
    if SIMULATED:
        return ""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return f"the package 'cupy' is not installed; on a machine with a GPU, {GPU_EXTRA}"
    try:
        importlib.import_module("cupy.cuda.cublas")
    except ImportError as error:
        return f"the library cuBLAS is not installed ({error}); {GPU_EXTRA}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"there is no CUDA driver, or no GPU that it can use ({error})"
    return "" if count else "there is no GPU"


def current_device() -> Device:
    """Return what a plan asks of the device in use."""
    return SIMULATED_DEVICE if SIMULATED else _device(namespace().cuda.runtime.getDevice())


@cache
def _device(number: int) -> Device:
    found = namespace().cuda.Device(number)
    properties = found.attributes
    capability = found.compute_capability  # "90"
    return Device(
        multiprocessors=properties["MultiProcessorCount"],
        shared_bytes=properties["MaxSharedMemoryPerBlockOptin"],
        architecture=(int(capability[:-1]), int(capability[-1])),
    )


def current_stream() -> tuple[int, int]:
    """Return the device and the stream in use."""
    if SIMULATED:
        return 0, 0
    cuda = namespace().cuda
    return int(cuda.runtime.getDevice()), int(cuda.get_current_stream().ptr)


class Kernel(NamedTuple):
    """A kernel that can be launched."""

    function: Callable[..., Any]
    cooperative: bool

    def __call__(
        self, grid: tuple[int, int], threads: int, arguments: Sequence[Any], shared_bytes: int = 0
    ) -> None:
        """Put a launch on the current stream."""
        if SIMULATED:
            simulator.launch(self.function, grid, threads, shared_bytes, arguments)
            return
        function: Any = self.function
        if shared_bytes > 48 * 1024:
            function.max_dynamic_shared_size_bytes = shared_bytes
        sent = tuple(np.int64(a) if isinstance(a, int) else a for a in arguments)
        function(grid, (threads,), sent, shared_mem=shared_bytes)


def kernel(
    make: Callable[..., Any], types: str, dtype: str, *made_of: Any, cooperative: bool = False, **options: Any
) -> Kernel:
    """Return ``make(*made_of, real, **options)`` as a kernel for the current device.

    The first of `made_of` is the cell; `types` are those of its arguments, as `device.compile_ptx` has them.
    """
    architecture = current_device().architecture
    return _kernel(make, types, dtype, made_of, tuple(options.items()), cooperative, architecture)


@cache
def _kernel(
    make: Callable[..., Any], types: str, dtype: str, made_of: tuple[Any, ...], options: tuple[Any, ...],
    cooperative: bool, architecture: tuple[int, int],
) -> Kernel:  # fmt: skip
    def function() -> Callable[..., Any]:
        result: Callable[..., Any] = make(*made_of, np.dtype(dtype).type, **dict(options))
        return result

    if SIMULATED:
        return Kernel(function(), cooperative)
    from ..language.compiler import compile_ptx

    cell, *rest = made_of
    what = (make.__qualname__, cell.name, dtype, rest, options, architecture, compilers())
    path = _folder() / f"{make.__name__}-{hashlib.sha256(repr((what, SOURCES)).encode()).hexdigest()[:24]}.ptx"
    if not is_whole(path):
        _write(path, sealed(compile_ptx(function(), types, dtype, architecture)))
    module = namespace().RawModule(path=str(path), enable_cooperative_groups=cooperative)
    return Kernel(module.get_function(entry(path.read_text())), cooperative)


def entry(ptx: str) -> str:
    """Return the name of a kernel in its PTX."""
    (name,) = re.findall(r"\.entry\s+([\w$]+)", ptx)
    return str(name)


def compilers() -> tuple[str, ...]:
    """Return the versions of what makes PTX."""
    return tuple(importlib.metadata.version(name) for name in ("numba", "numba-cuda"))


def _fingerprint() -> str:
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]  # with all its rooms
    above = folder.parent / "contract.py", folder.parent / "definition.py"
    for path in (*above, *sorted(folder.rglob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCES = _fingerprint()
"""What kernels are made from: after a change of any file nothing old is loaded."""


@cache
def _folder() -> Path:
    """Return where PTX is kept: where numba keeps its own, or for this process alone where that can't be written to."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named, "rnn_core_cuda") if named else Path(__file__).parent / "__pycache__"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="rnn_core_cuda"))


SEAL = b"\n// sha256 "
"""What stands before the checksum, in a file's last line: to PTX it is a comment."""


def sealed(ptx: str) -> bytes:
    """Return PTX as it is kept, with a checksum."""
    content = ptx.encode()
    return content + SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n"


def is_whole(path: Path) -> bool:
    """Whether a file holds PTX to its end: a full disk or a killed machine may have cut it short."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    content, seal, _ = data.rpartition(SEAL)
    return bool(seal) and data == content + SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    """Write a file that is whole as soon as it is there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.chmod(file.name, 0o644)  # a folder may serve several users
    os.replace(file.name, path)
