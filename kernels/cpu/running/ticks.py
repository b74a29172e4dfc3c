"""A clock that compiled code reads in some twenty cycles, where the host has one."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types

from ..emitting.simd import INT, declared, intrinsic


@intrinsic
def ticks(typing: Any) -> Any:
    """Return the time in a unit of the processor's own: good for shares of a time alone, and 0 where there is none."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        name = "llvm.readcyclecounter" if x86 else "llvm.readsteadycounter"
        return builder.call(declared(builder.module, name, ir.FunctionType(INT, [])), [])

    return types.int64(), generate
