"""The GPU, the versions, and what the GPU can do at most: copies, products, the way there and back."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.machine import cpu_name

from .device import Cuda, Device

PACKAGES = ("numpy", "numba", "numba-cuda", "llvmlite", "torch", "array-api-compat")
COMPUTE_MODE = 20
"""cudaDevAttrComputeMode; 0 lets several processes in."""


def items(device: Device, quick: bool, only: list[str]) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return what is asked of the device, by name."""
    shrink = 1 if isinstance(device, Cuda) and not quick else 16
    found: list[tuple[str, Callable[[], dict[str, Any]]]] = [("facts", lambda: facts(device))]
    if quick and not isinstance(device, Cuda):
        return found
    size = 8192 // shrink
    return [
        *found,
        ("torch", lambda: torch_facts(device)),
        ("copy", lambda: {"copy_bytes_per_second": copy_rate(device, (1 << 30) // shrink)}),
        ("round trip", lambda: {"round_trip_seconds": round_trip(device)}),
        ("float32", lambda: {"float32_flops_per_second": product_rate(device, "float32", size, tf32=False)}),
        ("float32 by TF32", lambda: {"tf32_flops_per_second": product_rate(device, "float32", size, tf32=True)}),
        ("float64", lambda: {"float64_flops_per_second": product_rate(device, "float64", size // 2, tf32=False)}),
    ]


def facts(device: Device) -> dict[str, Any]:
    """Return what the times depend on besides the code."""
    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": "none: a rehearsal on the host",
        "cpu": cpu_name(),
        "python": platform.python_version(),
        **{name: installed(name) for name in PACKAGES},
    }
    if isinstance(device, Cuda):
        found |= gpu_facts(device.xp)
        found["cupy"] = device.xp.__version__
    return found


def torch_facts(device: Device) -> dict[str, Any]:
    """Return what torch brought along."""
    torch = device.torch
    return {"cudnn": torch.backends.cudnn.version(), "cuda_of_torch": torch.version.cuda}


def installed(package: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def gpu_facts(cupy: Any) -> dict[str, Any]:
    """Return what CUDA says of the current GPU."""
    runtime, number = cupy.cuda.runtime, cupy.cuda.Device().id
    told = runtime.getDeviceProperties(number)
    return {
        "device": told["name"].decode(),
        "compute_capability": cupy.cuda.Device(number).compute_capability,
        "multiprocessors": told["multiProcessorCount"],
        "l2_bytes": told.get("l2CacheSize"),
        "memory_bytes": told.get("totalGlobalMem"),
        "shared_bytes_a_block": told.get("sharedMemPerBlockOptin"),
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "compute_mode": runtime.deviceGetAttribute(COMPUTE_MODE, number),
    }


def _seconds(device: Device, call: Callable[[], object], repeats: int = 10) -> float:
    """Return a call's median time."""
    device.times([call] * 3)
    return median(device.times([call] * repeats)[0])


def copy_rate(device: Device, size: int) -> float:
    """Return bytes a second, read and written, of a copy within the device's memory."""
    torch = device.torch
    source = torch.ones(size // 4, dtype=torch.float32, device=device.place)
    target = torch.empty_like(source)
    return 2 * size / _seconds(device, lambda: target.copy_(source))


def set_tf32(torch: Any, allowed: bool) -> None:
    """Let cuBLAS and cuDNN round float32 factors to TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def product_rate(device: Device, dtype: str, size: int, tf32: bool) -> float:
    """Return floating-point operations a second of a large product of matrices."""
    torch = device.torch
    a, b = (torch.randn(size, size, dtype=getattr(torch, dtype), device=device.place) for _ in range(2))
    out = torch.empty_like(a)
    set_tf32(torch, tf32)
    try:
        return 2.0 * size**3 / _seconds(device, lambda: torch.matmul(a, b, out=out))
    finally:
        set_tf32(torch, False)


def round_trip(device: Device) -> float:
    """Return the seconds from the launch of a kernel that does nothing until the host knows that it is done."""
    if isinstance(device, Cuda):
        nothing = device.xp.RawKernel('extern "C" __global__ void nothing() {}', "nothing")
        launch: Callable[[], object] = lambda: nothing((1,), (1,), ())
    else:
        launch = lambda: None
    times = []
    for _ in range(220):
        start = perf_counter()
        launch()
        device.synchronize()
        times.append(perf_counter() - start)
    return median(times[20:])
