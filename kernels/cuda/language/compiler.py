"""numba.cuda, and the few instructions that it has no call for: the one file that imports it.

Another compiler of the same language is a change of this file alone. What it gives to kernels is listed in
kernels/cuda/language/device.py; `compile_ptx` needs no GPU and no driver.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

try:
    # It puts numba-cuda in the place of numba's old target, which lacks what is below, wherever packages lie.
    import _numba_cuda_redirector as _  # noqa: F401
except ImportError as error:
    raise ImportError("the package 'numba-cuda' is not installed; pip install 'rnn_core[gpu]'") from error

if not hasattr(np, "row_stack"):  # NumPy 2.5 dropped the name, which numba-cuda 0.30 still looks up
    np.row_stack = np.vstack  # noqa: NPY201
    import numba.cuda.np.arrayobj  # noqa: F401

    del np.row_stack  # noqa: NPY201

from numba import cuda, types
from numba.cuda import dispatcher, extending

intrinsic: Any = extending.intrinsic
device_function = cuda.jit(device=True)
exp, log, sqrt, tanh = math.exp, math.log, math.sqrt, math.tanh  # float32 stays float32


@intrinsic
def normal(typing, number):
    """Return a number, and 0 where it is smaller than the smallest normal one."""

    def emit(context, builder, signature, arguments):
        kind = arguments[0].type
        smallest = float(np.finfo(str(number)).tiny)
        below = builder.fcmp_ordered("<", arguments[0], kind(smallest))
        return builder.select(below, kind(0), arguments[0])

    return number(number), emit


@intrinsic
def _pointer(typing, array):
    """Return an array's address: its elements are reached without numba's look at negative indexes."""

    def emit(context, builder, signature, arguments):
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), emit


@device_function
def shared_memory(real):
    """Return the block's shared memory, whose size the launch gives, as a pointer to numbers."""
    return _pointer(cuda.shared.array(0, real, alignment=16))


@intrinsic
def load_vector(typing, source, at):
    """Return the numbers of a vector as a tuple; its address is a multiple of 16 bytes."""
    length = 128 // source.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        value = builder.load(_vector_at(context, builder, source, arguments), align=16)
        parts = [builder.extract_element(value, ir.IntType(32)(k)) for k in range(length)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(source.dtype, length)(source, types.int64), emit


@intrinsic
def store_vector(typing, target, at, numbers):
    """Write a tuple of numbers as a vector; its address is a multiple of 16 bytes."""

    def emit(context, builder, signature, arguments):
        place = _vector_at(context, builder, target, arguments)
        value = place.type.pointee(ir.Undefined)
        for k in range(numbers.count):
            part = builder.extract_value(arguments[2], k)
            value = builder.insert_element(value, part, ir.IntType(32)(k))
        builder.store(value, place, align=16)
        return context.get_dummy_value()

    return types.void(target, types.int64, numbers), emit


def _vector_at(context, builder, array, arguments):
    """Return the address of element `arguments[1]` as that of a vector."""
    place = builder.gep(arguments[0], [arguments[1]])
    number = context.get_value_type(array.dtype)
    vector = ir.VectorType(number, 128 // array.dtype.bitwidth)
    return builder.bitcast(place, ir.PointerType(vector, place.type.addrspace))


@intrinsic
def arrive(typing, counters, at):
    """Add 1 to a counter; whoever sees that sees all that this block wrote before its last barrier."""

    def emit(context, builder, signature, arguments):
        _assembly(builder, "red.release.gpu.global.add.u32 [$0], 1;", _address(builder, arguments), ir.VoidType())
        return context.get_dummy_value()

    return types.void(counters, types.int64), emit


@intrinsic
def _read_counter(typing, counters, at):
    def emit(context, builder, signature, arguments):
        text, number = "ld.acquire.gpu.global.u32 $0, [$1];", ir.IntType(32)
        return _assembly(builder, text, _address(builder, arguments), number)

    return types.int32(counters, types.int64), emit


def _address(builder, arguments):
    return builder.ptrtoint(builder.gep(arguments[0], [arguments[1]]), ir.IntType(64))


def _assembly(builder, text, address, result):
    """Emit an instruction on memory which the compiler neither leaves out nor moves."""
    function = ir.FunctionType(result, [ir.IntType(64)])
    outputs = "" if isinstance(result, ir.VoidType) else "=r,"
    return builder.call(ir.InlineAsm(function, text, f"{outputs}l,~{{memory}}", side_effect=True), [address])


@device_function
def wait(counters, at, target):
    """Wait until a counter has reached a target."""
    while _read_counter(counters, at) < target:
        pass


@intrinsic
def to_tf32(typing, number):
    """Return a float32 rounded to the nearest with 10 bits of mantissa."""

    def emit(context, builder, signature, arguments):
        function = ir.FunctionType(ir.IntType(32), [ir.FloatType()])
        bits = builder.call(ir.InlineAsm(function, "cvt.rna.tf32.f32 $0, $1;", "=r,f"), arguments)
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), emit


@intrinsic
def mma(typing, c, a, b):
    """Return c + a·b, fragments of a product by the whole warp: see kernels/cuda/running/tensor.py."""
    text = (
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};"
    )

    def emit(context, builder, signature, arguments):
        number, bits = ir.FloatType(), ir.IntType(32)
        result = ir.LiteralStructType([number] * 4)
        c, a, b = ([builder.extract_value(t, k) for k in range(n)] for t, n in zip(arguments, (4, 4, 2), strict=True))
        factors = [builder.bitcast(factor, bits) for factor in (*a, *b)]
        function = ir.FunctionType(result, [bits] * 6 + [number] * 4)
        # Not to be moved: all lanes must come to it together.
        call = ir.InlineAsm(function, text, "=f,=f,=f,=f," + "r," * 6 + "f,f,f,f", side_effect=True)
        found = builder.call(call, [*factors, *c])
        return context.make_tuple(builder, signature.return_type, [builder.extract_value(found, k) for k in range(4)])

    four, two = types.UniTuple(types.float32, 4), types.UniTuple(types.float32, 2)
    return four(four, four, two), emit


class _Target:
    """Stands for the device while a kernel is compiled: numba asks it for its architecture, and nothing else."""

    def __init__(self, architecture: tuple[int, int]):
        self.compute_capability = architecture


_compiling = threading.Lock()


def compile_ptx(kernel: Callable[..., Any], arguments: str, dtype: str, architecture: tuple[int, int]) -> str:
    """Return a kernel as PTX, the assembly language that the driver takes.

    Parameters
    ----------
    kernel : function
        Plain Python; it returns nothing.
    arguments : str
        Their types, a letter each: r a pointer to numbers of `dtype`, i to int32, n an integer of 64 bits.
    dtype : {"float32", "float64"}
    architecture : pair of int
        As (9, 0), of the devices that it is for.
    """
    kinds = {"r": types.CPointer(getattr(types, dtype)), "i": types.CPointer(types.int32), "n": types.int64}
    signature = tuple(kinds[letter] for letter in arguments)
    # Functions called from a kernel would ask for the device that is there, and where there is none, for a driver.
    with _compiling:
        real, dispatcher.get_current_device = dispatcher.get_current_device, lambda: _Target(architecture)
        try:
            ptx, _ = cuda.compile_ptx(kernel, signature, cc=architecture)
        finally:
            dispatcher.get_current_device = real
    return str(ptx)
