"""What a launcher has started: whether there are several processes, all ranks of them, and threads for each."""

from __future__ import annotations

import os
from typing import Any

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_SIZE")
"""Where launchers say how many processes they have started."""


def launched() -> bool:
    """Return whether a launcher, such as mpiexec, has started this process as one of several."""
    return any(os.environ.get(name, "1").isdigit() and int(os.environ.get(name, "1")) > 1 for name in SIZES)


def world() -> Any:
    """Return all ranks.

    Raises
    ------
    RuntimeError
        mpi4py, or the MPI that it needs, is not installed.
    """
    try:
        from mpi4py import MPI as library
    except (ImportError, RuntimeError) as error:
        raise RuntimeError(
            f"MPI: mpi4py and an MPI must be there, got {error}; pip install 'rnn_core[mpi]', or mpi4py beside the "
            "system's own MPI"
        ) from error
    return library.COMM_WORLD


def threads_of(ranks: int) -> int:
    """Return how many threads each of so many ranks on this host has."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min((os.cpu_count() or 1) // ranks, allowed))
