"""Several processes that train one model: ``fit(..., parallel=MPI())`` under ``mpiexec -n 4 python -m mpi4py …``.

============  ======================================================================================================
mpi.py        `MPI`: what `fit` asks for, of ranks
shares.py     batches and states, cut into shares by rows
sums.py       gradients of all shares added up: in buckets, as rows; rounded as ever, or exactly
agreement.py  what ranks agree on, and errors that all raise or that end the job
watching.py   a rank that dies, noticed by the others of its host
============  ======================================================================================================
"""

from .mpi import MPI, launched

__all__ = ["MPI", "launched"]
