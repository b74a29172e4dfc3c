"""What every rank runs: ``mpiexec -n 3 python -m tests.faults.work TASK SUMS FOLDER``, or ``… stay PROCESS FOLDER``.

Files in the folder say that a process is there, that it is about to train, and that it has trained, so that whoever
kills one knows its number and what it was at. Rank 0 writes what came out to ``FOLDER/found.json``. A job that stays
takes one order after another, a file each, which spares the start; it ends when it is told to, or with the process that
gives them.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

STARTED, IMPORTED, TRAINS, TRAINED = "started", "imported", "trains", "trained"
"""Files that a rank leaves, with its number behind: what it has come to."""

FOUND, KEPT = "found.json", "kept"
"""What came out, and the folder of checkpoints."""

ORDER, OVER = "order", "over"
"""Files for a job that stays: the next order, with its number behind, and the last."""

SHARES = 6
EPOCHS = 3
GLANCE = 0.05
"""Seconds between two looks, for an order or for others."""


def told(folder: Path, what: str, rank: int) -> None:
    """Leave the number of this process, and when it was."""
    draft = folder / f".{what}-{rank}"
    draft.write_text(f"{os.getpid()} {time.monotonic()}", encoding="utf-8")
    draft.rename(folder / f"{what}-{rank}")


def wait_for_all(folder: Path, rank: int, ranks: int) -> None:
    """Return when all ranks have imported: who waits in MPI takes the cores of those who don't."""
    told(folder, IMPORTED, rank)
    while not all((folder / f"{IMPORTED}-{other}").exists() for other in range(ranks)):
        time.sleep(GLANCE)


def train(task: str, sums: str, folder: Path) -> None:
    """Train, or go on where there is a checkpoint."""
    from rnn_core.parallel import MPI
    from rnn_core.training import Adam, fit

    from .tasks import digests, made

    parallel = MPI(reduction="exact", shares=SHARES) if sums == "exact" else MPI()
    model, train, validation = made(task)
    told(folder, TRAINS, parallel.rank)
    history = fit(
        model, train, optimizer=Adam(0.01), epochs=EPOCHS, validation=validation, clip_norm=0.5, progress=False,
        monitor="validation_loss", restore_best=task == "classifier", parallel=parallel,
        checkpoint=folder / KEPT, checkpoint_every=2, resume="auto",
    )  # fmt: skip
    told(folder, TRAINED, parallel.rank)
    if parallel.first:
        found = {"ranks": parallel.ranks, "digests": digests(model, history, folder / KEPT)}
        draft = folder / f".{FOUND}"
        draft.write_text(json.dumps(found), encoding="utf-8")
        draft.rename(folder / FOUND)


def stay(folder: Path, master: int) -> None:
    """Take orders until there are no more, or nobody to give one."""
    from rnn_core.parallel import MPI

    told(folder, TRAINS, MPI().rank)
    descriptor, number = os.pidfd_open(master), 0
    while not select.select([descriptor], [], [], 0)[0] and not (folder / OVER).exists():
        order = folder / f"{ORDER}-{number}"
        if not order.exists():
            time.sleep(GLANCE)
            continue
        task, sums, place = json.loads(order.read_text(encoding="utf-8"))
        train(task, sums, Path(place))
        number += 1


def main() -> None:
    """Do what the command line says."""
    folder = Path(sys.argv[-1])
    rank, ranks = (int(os.environ.get(f"OMPI_COMM_WORLD_{what}", "0")) for what in ("RANK", "SIZE"))
    told(folder, STARTED, rank)

    from . import tasks  # noqa: F401  # with all of the library

    wait_for_all(folder, rank, ranks)
    if sys.argv[1] == "stay":
        stay(folder, int(sys.argv[2]))
    else:
        train(sys.argv[1], sys.argv[2], folder)


if __name__ == "__main__":
    main()
