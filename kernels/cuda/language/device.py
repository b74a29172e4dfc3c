"""What kernels can say of the GPU.

A kernel is a plain Python function of pointers and integers; a pointer is indexed as an array, ``p[i]``. What it says
of the GPU it says through the names below, of which there are two sets:

- those of kernels/cuda/language/compiler.py, by numba-cuda;
- with ``NUMBA_ENABLE_CUDASIM=1``, as numba calls it, those of kernels/cuda/language/simulator.py: the same functions
  then run as Python, thread by thread, on NumPy's arrays.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
"""Whether kernels run in the simulator."""

WARP = 32
"""Threads that go through a program together."""

VECTOR = 16
"""Bytes of the widest access of a thread."""

_names: Any = importlib.import_module(f"{__package__}.{'simulator' if SIMULATED else 'compiler'}")

cuda = _names.cuda
"""threadIdx, blockIdx, gridDim, local.array, syncthreads, syncwarp, as in numba."""

device_function = _names.device_function
"""Marks a function that kernels call."""

exp, log, sqrt, tanh = _names.exp, _names.log, _names.sqrt, _names.tanh

normal = _names.normal
"""normal(number): a number that isn't negative, and 0 where it is smaller than the smallest normal one."""

shared_memory = _names.shared_memory
"""shared_memory(real): the block's shared memory, as a pointer to numbers."""

load_vector = _names.load_vector
"""load_vector(p, at): the numbers of a vector as a tuple; its address is a multiple of 16 bytes."""

store_vector = _names.store_vector
"""store_vector(p, at, numbers), the reverse."""

arrive = _names.arrive
"""arrive(counters, at): add 1; whoever sees that sees all that the block wrote before its last barrier."""

wait = _names.wait
"""wait(counters, at, target): wait until the counter has reached a target."""

to_tf32 = _names.to_tf32
"""to_tf32(number): a float32 with 10 bits of mantissa."""

mma = _names.mma
"""mma(c, a, b): c + a·b, fragments of a product by all lanes of a warp together; see kernels/cuda/running/tensor.py."""
