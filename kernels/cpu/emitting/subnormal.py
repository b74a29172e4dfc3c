"""What a thread makes of subnormal numbers in its part of a job: zeros in float32, IEEE's numbers in float64.

A gradient that fades over many steps sinks below the smallest normal number (1.2e-38 in float32), and a processor takes
ten to a hundred times longer for each operation on what lies there. Two bits of a thread's control word make it take
such numbers for 0, and write 0 in their place. They are the thread's, and not the process's: so every thread of a job
sets them when it begins, and puts back the word that it found when it ends. Both are instructions of the job itself. No
exception of Python's, and no Ctrl-C, can come between them.

In float64 the bits are off, whoever has set them: a caller, or the thread from which a worker has inherited them. With
the caller's own choice for him and something else for the workers, results would depend on the number of threads.

LLVM knows nothing of this word, and may move arithmetic across what changes it. It doesn't move a call that writes to
memory across instructions that may read and write any memory, and says of its own assembly that it does. All arithmetic
of the loops is in functions that are called and not written into them (`simd.emitted`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .simd import INT, Lanes, intrinsic

llvm.initialize_native_asmparser()  # numba itself compiles no assembly

WORD = ir.IntType(32)
ANY_MEMORY = "~{memory}"
"""What LLVM is told that an instruction may change, so that it moves nothing across it that reads or writes."""


class Control(NamedTuple):
    """A processor's control word: the instructions that read and write it, and the bits that make zeros."""

    read: str
    write: str
    bits: int
    in_memory: bool  # the instructions take an address, and no register


X86 = Control("stmxcsr ($0)", "ldmxcsr ($0)", 1 << 15 | 1 << 6, in_memory=True)
"""MXCSR: flush to zero, and denormals are zero."""

ARM = Control("mrs $0, fpcr", "msr fpcr, $0", 1 << 24, in_memory=False)
"""FPCR: FZ, which is both."""


def host_control() -> Control | None:
    """Return this processor's control word, or None where it isn't known: subnormal numbers then are only slow."""
    architecture = llvm.get_process_triple().split("-")[0]
    return {"x86_64": X86, "aarch64": ARM, "arm64": ARM}.get(architecture)


def _assembly(builder: ir.IRBuilder, kind: ir.FunctionType, text: str, operand: str, *values: ir.Value) -> ir.Value:
    return builder.asm(kind, text, f"{operand},{ANY_MEMORY}", values, side_effect=True)


def _read(builder: ir.IRBuilder, control: Control) -> ir.Value:
    if not control.in_memory:
        return _assembly(builder, ir.FunctionType(INT, []), control.read, "=r")
    place = cgutils.alloca_once(builder, WORD)
    _assembly(builder, ir.FunctionType(ir.VoidType(), [place.type]), control.read, "r", place)
    return builder.zext(builder.load(place, typ=WORD), INT)


def _write(builder: ir.IRBuilder, control: Control, word: ir.Value) -> None:
    if control.in_memory:
        place = cgutils.alloca_once(builder, WORD)
        builder.store(builder.trunc(word, WORD), place)
        word = place
    _assembly(builder, ir.FunctionType(ir.VoidType(), [word.type]), control.write, "r", word)


def make_enter(lanes: Lanes) -> Any:
    """Return ``enter()``: it sets this thread's bits for float32, clears them for float64, and returns the old word."""

    @intrinsic
    def enter(typing: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            control = host_control()
            if control is None:
                return ir.Constant(INT, 0)
            before = _read(builder, control)
            if lanes.dtype == "float32":
                word = builder.or_(before, ir.Constant(INT, control.bits))
            else:
                word = builder.and_(before, ir.Constant(INT, ~control.bits))
            _write(builder, control, word)
            return before

        return types.int64(), generate

    return enter


@intrinsic
def leave(typing: Any, before: Any) -> Any:
    """Put back the control word that `enter` has returned."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        control = host_control()
        if control is not None:
            _write(builder, control, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate
