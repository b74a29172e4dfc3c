"""Who moves messages on while something is computed: nobody, whoever computes in between, or a thread that asks.

On this host's own ways between processes, not slowed: MPI's shared memory, or TCP over loopback.
"""

from __future__ import annotations

import json
import time
from statistics import median
from unittest import mock

import numpy as np

from kernels.cpu.running.threads import within
from rnn_core import LSTM
from rnn_core.parallel import sending

SUMS, SIZE = 3, 1 << 20
"""Sums of so many float32 each."""

CALLS = 4
"""Calls of a layer in which they are under way."""

HOW = ("nobody", "in between", "a thread")


def progress(turns: int) -> None:
    """Compute while sums are under way, and wait for them; rank 0 prints the medians of both."""
    from mpi4py import MPI

    comm, rng = MPI.COMM_WORLD.Dup(), np.random.default_rng(0)
    layer, x = LSTM(256, 256, seed=0), rng.standard_normal((32, 64, 256)).astype(np.float32)
    flats = [np.zeros(SIZE, np.float32) for _ in range(SUMS)]
    found: dict[str, list[tuple[float, float]]] = {how: [] for how in ("alone", *HOW)}
    with within(1):
        layer.forward(x)
        for _ in range(turns + 1):
            for how, times in found.items():
                comm.Barrier()
                times.append(_once(comm, layer, x, flats, how))
    rows = {
        how: {"computed": median(a for a, _ in times[1:]), "waited": median(b for _, b in times[1:])}
        for how, times in found.items()
    }
    if comm.rank == 0:
        print(json.dumps(rows))


def _once(comm: object, layer: LSTM, x: np.ndarray, flats: list[np.ndarray], how: str) -> tuple[float, float]:
    """Return the seconds in which layers are computed, and those that are waited then; "alone" computes nothing."""
    from mpi4py import MPI

    began = time.monotonic()
    requests = [comm.Iallreduce(MPI.IN_PLACE, flat) for flat in flats]  # type: ignore[attr-defined]
    with mock.patch.object(sending, "_by_several_threads", return_value=how == "a thread"):
        asking = sending.Asking()
        for request in requests if how in ("a thread", "in between") else ():
            asking.add(request)
        for _ in range(0 if how == "alone" else CALLS):
            layer.forward(x)
            asking.in_between()
        asking.end()
    computed = time.monotonic()
    for request in requests:
        request.Wait()
    return computed - began, time.monotonic() - computed
