"""The CUDA backend on a GPU, checked and timed beside torch: ``python -m benchmarks gpu``.

It needs Python, NumPy, numba, numba-cuda, CuPy and torch, and no more: what else this project is built on may be
missing on such a machine, and then has a stand-in. Everything that touches the GPU runs in a process of its own
(worker.py): a kernel that crashes or never ends costs the case that it was in, and not the run.
"""

from . import stand_ins

stand_ins.install()
