"""Hands inputs to workers, and counts what they answer. A worker that dies is a finding; another takes its place."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from .judge import ROOT
from .limits import MEMORY, SECONDS
from .readers import READERS

PATIENCE = 60.0
"""Seconds on the clock without an answer, after which a worker is stopped: the alarm needs Python to run."""

CHUNK = 200
"""Inputs of a task, about."""


@dataclass
class Settings:
    """What a run is asked for."""

    inputs: int = 1000
    seed: int = 0
    readers: tuple[str, ...] = tuple(READERS)
    workers: int = 1
    seconds: float = SECONDS
    memory: int = MEMORY


@dataclass
class Finding:
    """An input that went wrong, and what it did."""

    reader: str
    seed: int
    index: int
    outcome: dict[str, Any]

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """What makes findings equal: the reader, what is wrong, the error's type and its place."""
        return self.reader, self.outcome["finding"], self.outcome["answer"], self.outcome["place"]


@dataclass
class Figures:
    """What became of one reader's inputs."""

    inputs: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    warned: int = 0
    findings: int = 0
    seconds: float = 0.0  # of the slowest
    memory: int = 0  # of the hungriest
    longest: int = 0  # characters of a message

    def add(self, outcome: dict[str, Any]) -> None:
        """Count an outcome."""
        self.inputs += 1
        self.answers[outcome["answer"]] = self.answers.get(outcome["answer"], 0) + 1
        self.warned += bool(outcome["warned"])
        self.findings += bool(outcome["finding"])
        for name in ("seconds", "memory", "longest"):
            setattr(self, name, max(getattr(self, name), outcome[name]))


class Died(Exception):
    """A worker has ended, or had to be ended, over an input: how, and its last words."""


class Worker:
    """A process that answers tasks, started when there is one."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", f"{__package__}.worker")) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.rest = b""
        self.said: IO[bytes] | None = None  # its last words

    def ask(self, task: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
        """Yield `count` answers to a task; raises `Died` with the reason where the process ends before."""
        if self.process is None:
            paths = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
            self.said = tempfile.TemporaryFile()  # noqa: SIM115  # as long-lived as the process
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            self.rest = b""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # no answer will come, and that is said below
            self.process.stdin.write(json.dumps(task).encode() + b"\n")
            self.process.stdin.flush()
        for _ in range(count):
            yield json.loads(self._line())

    def _line(self) -> bytes:
        assert self.process is not None
        assert self.process.stdout is not None
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
                self.process.kill()
                self.close()
                raise Died("hung", "")
            new = os.read(self.process.stdout.fileno(), 1 << 16)
            if not new:
                code = self.process.wait()
                words = self._last_words()
                self.close()
                name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
                raise Died(name, words[-1] if words and code > 0 else "")
            self.rest += new
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def _last_words(self) -> list[str]:
        assert self.said is not None
        self.said.seek(0)
        return self.said.read().decode("utf-8", "replace").strip().splitlines()

    def close(self) -> None:
        """End the process."""
        if self.process is not None and self.said is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.said.close()
            self.process = self.said = None


def tasks(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield every task of a run, the readers in turn."""
    shares = {name: READERS[name].share for name in settings.readers if READERS[name].seeds()}
    whole = sum(shares.values())
    counts = {name: settings.inputs * share // whole for name, share in shares.items()}
    for name in list(counts)[: settings.inputs - sum(counts.values())]:
        counts[name] += 1
    limits = {"seconds": settings.seconds, "memory": settings.memory}
    for start in range(0, max(counts.values()), CHUNK):
        for name, count in counts.items():
            if start < count:
                stop = min(count, start + CHUNK)
                yield {"reader": name, "seed": settings.seed, "start": start, "stop": stop, **limits}


def run(settings: Settings) -> tuple[dict[str, Figures], list[Finding]]:
    """Run all inputs.

    Returns
    -------
    figures : dict of str to Figures
        For each reader.
    findings : list of Finding
        In the order of readers and indices, however many workers there were.
    """
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for task in tasks(settings):
        waiting.put(task)
    figures = {name: Figures() for name in settings.readers}
    findings: list[Finding] = []
    lock = threading.Lock()

    def note(task: dict[str, Any], index: int, outcome: dict[str, Any]) -> None:
        with lock:
            figures[task["reader"]].add(outcome)
            if outcome["finding"]:
                findings.append(Finding(task["reader"], task["seed"], index, outcome))

    def work() -> None:
        worker = Worker()
        while True:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                break
            while task["start"] < task["stop"]:
                for outcome in answers(worker, task):
                    note(task, task["start"], outcome)
                    task = {**task, "start": task["start"] + 1}
        worker.close()

    threads = [threading.Thread(target=work) for _ in range(settings.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    findings.sort(key=lambda finding: (list(READERS).index(finding.reader), finding.index))
    return figures, findings


def answers(worker: Worker, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a task's outcomes; where the worker dies, the last one says so."""
    try:
        yield from worker.ask(task, task["stop"] - task["start"])
    except Died as death:
        name, words = death.args
        base: dict[str, Any] = {"place": "", "seconds": 0.0, "memory": 0, "warned": 0, "longest": 0, "message": words}
        yield {**base, "answer": "none", "finding": f"the process ended: {name}"}
