"""Several processes that train one model: ``fit(..., parallel=MPI())`` under ``mpiexec -n 4 python -m mpi4py …``.

============  ======================================================================================================
mpi.py        `MPI`: what `fit` asks for, of ranks
shares.py     batches and states, cut into shares by rows
sums.py       gradients of all shares added up: rounded as ever, or exactly
sending.py    buckets of gradients, which leave while the backward still runs
agreement.py  what ranks agree on, and errors that all raise or that end the job
watching.py   a rank that dies, noticed by the others of its host
launching.py  what a launcher has started: processes, ranks, threads of each
============  ======================================================================================================
"""

from .launching import launched
from .mpi import MPI

__all__ = ["MPI", "launched"]
