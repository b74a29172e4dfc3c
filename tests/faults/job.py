"""A job of ranks: started, killed in one of them, watched to its end; and jobs that stay, for what is to be resumed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .plans import MOST
from .work import FOUND, ORDER, OVER, STARTED, TRAINED, TRAINS

ROOT = Path(__file__).resolve().parents[2]
BESIDE = Path(sys.executable).parent / "mpiexec"
MPIEXEC = str(BESIDE) if BESIDE.exists() else "mpiexec"

SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",  # as in a container
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",  # more ranks than cores: who waits makes room
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}

PATIENCE = 120.0
"""Seconds after which a job hangs that was not killed, start-up on a busy machine and all."""

GLANCE = 0.005
"""Seconds between two looks."""


class Job:
    """Ranks under a launcher; `said` is a file with all that they write.

    Parameters
    ----------
    ranks : int
    folder : Path
        Theirs alone; made if it is not there.
    orders : str
        What they train and how they add up; or "stay", and the process that gives orders.
    """

    def __init__(self, ranks: int, folder: Path, *orders: str) -> None:
        self.ranks, self.folder = ranks, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.said = folder / "said.txt"
        words = [MPIEXEC, "-n", str(ranks), sys.executable, "-m", "tests.faults.work", *orders, str(folder)]
        with open(self.said, "wb") as file:
            self.launcher = subprocess.Popen(
                words, env=os.environ | SETTINGS, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def wait_for(self, what: str) -> bool:
        """Wait until all ranks have left that file; return False if the job ends before."""
        until = time.monotonic() + PATIENCE
        while len(told(self.folder, what)) < self.ranks:
            if self.launcher.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(GLANCE)
        return True

    def kill(self, rank: int) -> float | None:
        """Kill a rank, which must be a process of this job, and return when that was; None if it had ended."""
        process, _ = told(self.folder, STARTED)[rank]
        try:
            descriptor = os.pidfd_open(process)  # from here on the number can't pass to another process
        except ProcessLookupError:
            return None
        try:
            if self.launcher.pid not in ancestors(process):
                return None
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            return time.monotonic()
        except ProcessLookupError:
            return None
        finally:
            os.close(descriptor)

    def end(self, patience: float = PATIENCE) -> float | None:
        """Wait for the launcher, and return when it ended; None, and all is killed, if it didn't."""
        try:
            self.launcher.wait(patience)
        except subprocess.TimeoutExpired:
            self.close()
            return None
        return time.monotonic()

    def close(self) -> None:
        """End what still runs of the job."""
        if self.launcher.poll() is None:
            for rank in told(self.folder, STARTED):
                self.kill(rank)
            self.launcher.kill()
            self.launcher.wait()

    def alive(self) -> list[int]:
        """Return the ranks whose processes are still there after the launcher."""
        return [rank for rank, (process, _) in told(self.folder, STARTED).items() if is_rank(process, self.folder)]

    def words(self) -> str:
        """Return all that launcher and ranks have written."""
        return self.said.read_text(encoding="utf-8", errors="replace")


class Standing:
    """Jobs that stay, one for each number of ranks, and take one run after another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs, self.orders = folder, dict[int, Job](), dict[int, int]()

    def run(self, task: str, sums: str, ranks: int, place: Path) -> Run:
        """Train, or go on, in a folder.

        Raises
        ------
        RuntimeError
            It failed, with what was said.
        """
        place.mkdir(exist_ok=True)
        for left in [FOUND, *(f"{what}-{rank}" for what in (TRAINS, TRAINED) for rank in range(MOST))]:
            (place / left).unlink(missing_ok=True)
        job = self._job(ranks)
        draft = job.folder / f".{ORDER}"
        draft.write_text(json.dumps([task, sums, str(place)]), encoding="utf-8")
        draft.rename(job.folder / f"{ORDER}-{self.orders[ranks]}")
        self.orders[ranks] += 1
        until = time.monotonic() + PATIENCE
        while not ((place / FOUND).exists() and len(told(place, TRAINED)) == ranks):
            if job.launcher.poll() is not None or time.monotonic() > until:
                job.close()
                raise RuntimeError(self.jobs.pop(ranks).words()[-1000:])
            time.sleep(GLANCE)
        digests = json.loads((place / FOUND).read_text(encoding="utf-8"))["digests"]
        return Run(digests, passed(job.folder, STARTED, TRAINS), passed(place, TRAINS, TRAINED))

    def _job(self, ranks: int) -> Job:
        """Return the job of so many ranks, which is started if need be."""
        if ranks not in self.jobs:
            own = self.folder / f"standing-{ranks}"
            shutil.rmtree(own, ignore_errors=True)
            self.jobs[ranks], self.orders[ranks] = Job(ranks, own, "stay", str(os.getpid())), 0
        return self.jobs[ranks]

    def close(self) -> None:
        """End them all."""
        for job in self.jobs.values():
            (job.folder / OVER).touch()
        for job in self.jobs.values():
            job.end()
            shutil.rmtree(job.folder, ignore_errors=True)
        self.jobs = {}


@dataclass(frozen=True)
class Run:
    """What a run came to, the seconds of its job's start, and those of its training."""

    digests: dict[str, str]
    start: float
    training: float


def told(folder: Path, what: str) -> dict[int, tuple[int, float]]:
    """Return process and time of each rank that has left a file of this name."""
    found = {}
    for rank in range(MOST):
        with contextlib.suppress(FileNotFoundError):
            process, when = (folder / f"{what}-{rank}").read_text(encoding="utf-8").split()
            found[rank] = int(process), float(when)
    return found


def passed(folder: Path, begin: str, end: str) -> float:
    """Return the seconds from the moment at which all ranks had come to the one to that of the first at the other."""
    return min(at for _, at in told(folder, end).values()) - max(at for _, at in told(folder, begin).values())


def ancestors(process: int) -> list[int]:
    """Return the parent of a process, its parent, and so on."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        while process > 1:
            status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
            process = int(status.rpartition(")")[2].split()[1])
            found.append(process)
    return found


def is_rank(process: int, folder: Path) -> bool:
    """Return whether a process of this number is a rank that works in that folder, and no zombie."""
    with contextlib.suppress(OSError):
        return str(folder).encode() in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return False
