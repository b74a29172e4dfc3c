"""``python -m benchmarks.streaming [--json [FILE]] [--picture FILE]``: resident memory over a corpus of 5 GB.

Texts are made from a seed, some shards, and encoded into one file of ids. Processes of their own then go through all
of it, each in its way, and make some hundred steps of training on the way, evenly spread; what is resident is asked of
the system four times a second. Then steps on batches from the file are timed beside steps on the same batches from
memory, in turns. Corpus and ids are removed in the end.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter
from typing import Any

import numpy as np

from rnn_core.atomic import write_atomically

from .commands import add_json, ended
from .machine import cpu_name, processor

NAME = "benchmarks.streaming"

B, H, T = 64, 64, 512
"""Rows of a batch, units, and columns, on the way through all ids: a step of training has 32,768 targets."""

TIMED_H, TIMED_T = 256, 64
"""Those of the steps that are timed."""

SHARD, PARAGRAPH = 1 << 26, 1 << 14
"""Bytes."""

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = len(ALPHABET) + 3
"""Letters, the blank, the line's end, and what stands for all else."""

WAYS = {
    "stream": "TextStream over a FileArray, read ahead",
    "blocks": "BlockExamples over a FileArray, read ahead",
    "map": "TextStream over pages of a memory map",
}

PARTS = ("memory", "times")

MOST = 1000
"""Megabytes that may be resident."""

TIMED, WARM_UP = 30, 5


def make(folder: Path, size: int) -> None:
    """Write shards of text: paragraphs of words that are drawn by a seed, in another order in each shard."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list(ALPHABET), n)) for n in rng.integers(2, 10, 5000)]
    weights = 1 / np.arange(1, len(words) + 1)
    drawn = rng.choice(len(words), 2_000_000, p=weights / weights.sum())
    text = " ".join(words[k] for k in drawn).encode("ascii")
    pool = np.frombuffer(text[: len(text) // PARAGRAPH * PARAGRAPH], np.uint8).reshape(-1, PARAGRAPH).copy()
    pool[:, -1] = ord("\n")
    for shard in range(-(-size // SHARD)):
        rows = min(SHARD, size - shard * SHARD) // PARAGRAPH
        pool[rng.integers(len(pool), size=rows)].tofile(folder / f"{shard:04}.txt")


class Every:
    """Batches of a source, of which each n-th is given out; those between are read all the same.

    Parameters
    ----------
    data : Source
    count : int
        Batches that are given out in an epoch.
    """

    def __init__(self, data: Any, count: int) -> None:
        self.data, self.count = data, min(count, len(data))
        self.share = 0.0  # of the epoch, how much has been read

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self.count

    def batch(self, epoch: int, index: int) -> Any:
        """Return a batch, after those before it."""
        first, last = (len(self.data) * k // self.count for k in (index, index + 1))
        for k in range(first, last):
            found = self.data.batch(epoch, k)
            for part in found[:2]:
                part.max()  # whoever trains on it reads it; a map has not read what nobody looked at
        self.share = last / len(self.data)
        return found


def source(way: str, ids: str, T: int = T) -> Any:
    """Return batches of all ids, in one of the ways."""
    from rnn_core.data import ArrayBlocks, BlockExamples, FileArray, TextStream

    if way == "map":
        return TextStream(np.asarray(np.load(ids, mmap_mode="r", allow_pickle=False)), batch_size=B, steps=T)
    tokens = FileArray(ids)
    if way == "stream":
        return TextStream(tokens, batch_size=B, steps=T)
    rows = (len(tokens) - 1) // T
    start = os.path.getsize(ids) - len(tokens) * tokens.dtype.itemsize
    inputs, targets = (
        FileArray(ids, dtype=tokens.dtype, shape=(rows, T), offset=start + k * tokens.dtype.itemsize) for k in (0, 1)
    )
    return BlockExamples(ArrayBlocks(inputs, targets, rows=(1 << 19) // T), batch_size=B)


def resident() -> dict[str, float]:
    """Return what the system says of this process, in megabytes."""
    names = {"VmRSS:": "whole", "RssAnon:": "own", "RssFile:": "of files"}
    lines = [line.split() for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()]
    return {names[line[0]]: int(line[1]) * 1024 / 1e6 for line in lines if line and line[0] in names}


def walk(way: str, ids: str, steps: int) -> None:
    """Train on the way through all ids, and print what was resident."""
    import numba

    from rnn_core import LanguageModel
    from rnn_core.data import Ahead
    from rnn_core.training import Adam, fit

    numba.set_num_threads(1)  # one more reads ahead
    every = Every(source(way, ids), steps)
    model = LanguageModel(vocab_size=VOCABULARY, hidden_size=H, seed=0)
    samples: list[dict[str, float]] = []
    over, size, began = Event(), os.path.getsize(ids), perf_counter()

    def watch() -> None:
        while not over.wait(0.25):
            samples.append({"GB": every.share * size / 1e9, "seconds": perf_counter() - began, **resident()})

    watching = Thread(target=watch, daemon=True)
    watching.start()
    history = fit(model, Ahead(every, depth=2), optimizer=Adam(2e-3), epochs=1, clip_norm=1.0, progress=False)
    over.set()
    watching.join()
    loss = history.records[-1].loss
    print(json.dumps({"way": way, "steps": len(every), "batches": len(every.data), "loss": loss, "samples": samples}))


def steps_of(data: Any, model: Any) -> list[float]:
    """Return the seconds of some steps, the batch's included."""
    from rnn_core.training import Adam, Callback, fit

    class Clock(Callback):
        def __init__(self) -> None:
            self.at: list[float] = []

        def step(self, record: Any) -> bool:
            self.at.append(perf_counter())
            return len(self.at) > TIMED + WARM_UP

    clock = Clock()
    fit(model, data, optimizer=Adam(1e-3), epochs=1, progress=False, callbacks=[clock])
    return list(np.diff(clock.at[WARM_UP:]))


def beside(ids: str, turns: int) -> None:
    """Time steps on batches from memory, from the file and from the file ahead, in turns, and print the medians."""
    from rnn_core import LanguageModel
    from rnn_core.data import Ahead, FileArray, TextStream

    tokens = FileArray(ids)
    some = min(len(tokens), 1 << 25)
    model = LanguageModel(vocab_size=VOCABULARY, hidden_size=TIMED_H, seed=0)
    ways: dict[str, Callable[[], Any]] = {
        "memory": lambda: TextStream(tokens[:some].astype(np.int64), batch_size=B, steps=TIMED_T),
        "file": lambda: source("stream", ids, TIMED_T),
        "file, ahead": lambda: Ahead(source("stream", ids, TIMED_T)),
        "blocks, ahead": lambda: Ahead(source("blocks", ids, TIMED_T)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, data in ways.items():
            seconds[name].append(median(steps_of(data(), model)))
    print(json.dumps(seconds))


def child(*arguments: object) -> Any:
    """Return what a process of its own prints."""
    command = [sys.executable, "-m", NAME, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} failed: {done.stderr.strip()[-600:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Make the corpus, measure what is asked for, and remove it."""
    from rnn_core.data import TextFiles, Tokenizer, encode_files

    facts: dict[str, Any] = {
        "cpu": cpu_name(), "processor": processor(), "cores": os.cpu_count(), "numpy": np.__version__,
        "load": round(os.getloadavg()[0], 2), "bytes": int(given.gigabytes * 1e9), "B": B,
    }  # fmt: skip
    with TemporaryDirectory(prefix="streaming-", dir=given.folder) as name:
        folder = Path(name)
        make(folder, facts["bytes"])
        ids = str(folder / "ids.npy")
        began = perf_counter()
        tokenizer = Tokenizer("char", padding=False, oov="<unk>").fit(ALPHABET + " \n")
        tokens = encode_files(ids, TextFiles(str(folder / "*.txt")), tokenizer)
        facts |= {"tokens": len(tokens), "dtype": str(tokens.dtype), "encoding, s": round(perf_counter() - began, 1)}
        facts["resident after encoding, MB"] = round(resident()["whole"], 1)
        print(f"{len(tokens):,} ids of {tokens.dtype} in {facts['encoding, s']} s", flush=True)
        for shard in folder.glob("*.txt"):
            shard.unlink()
        found: dict[str, Any] = {}
        if "memory" in given.parts:
            found["memory"] = {"facts": facts | {"H": H, "T": T}, "walks": walks(ids, given.steps)}
        if "times" in given.parts:
            times = child("--beside", ids, given.turns)
            found["times"] = {"facts": facts | {"H": TIMED_H, "T": TIMED_T}, "seconds": times}
            show(times)
    return found


def walks(ids: str, steps: int) -> list[dict[str, Any]]:
    """Go through all ids in each way."""
    found = []
    for way in WAYS:
        one = child("--walk", way, ids, steps)
        one["most"] = {key: max(sample[key] for sample in one["samples"]) for key in ("whole", "own", "of files")}
        found.append(one)
        most = ", ".join(f"{key} {value:.0f}" for key, value in one["most"].items())
        print(f"{WAYS[way]}: {one['steps']} steps, {len(one['samples'])} samples, at most {most} MB", flush=True)
    return found


def show(seconds: dict[str, list[float]]) -> None:
    """Print a table of the steps."""
    print("\n| batches from | ms a step | beside memory |\n|---|---:|---:|")
    for way, times in seconds.items():
        ratio = [mine / memory for mine, memory in zip(times, seconds["memory"], strict=True)]
        spread = f"{median(ratio):.3f} ({min(ratio):.3f}–{max(ratio):.3f})"
        print(f"| {way} | {1e3 * median(times):.4g} | {spread} |")


def draw(path: Path, found: dict[str, Any]) -> None:
    """Draw what was resident by how much had been read."""
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    styles = {"stream": ("#0072b2", "-"), "blocks": ("#d55e00", "--"), "map": ("#999999", ":")}
    for one in found["walks"]:
        colour, line = styles[one["way"]]
        x = [sample["GB"] for sample in one["samples"]]
        axes.plot(x, [sample["whole"] for sample in one["samples"]], line, color=colour, label=WAYS[one["way"]])
    axes.axhline(MOST, color="black", lw=0.8)
    axes.set(xlabel="GB of ids that have been read", ylabel="MB resident", yscale="log", xlim=(0, None))
    facts, steps = found["facts"], found["walks"][0]["steps"]
    axes.set_title(f"Resident memory, {facts['tokens']:,} tokens, {steps} steps of training on the way")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomically(path, buffer.getvalue(), where=f"{NAME} --picture")


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__.partition(":")[2].strip())
    parser.add_argument("--gigabytes", type=float, default=5.0, help="of text, a byte a character")
    parser.add_argument("--steps", type=int, default=200, help="of training, on the way through all of it")
    parser.add_argument("--turns", type=int, default=7, help="of the steps that are timed")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="memory, times")
    parser.add_argument("--folder", metavar="DIR", help="where corpus and ids lie meanwhile (the system's own)")
    parser.add_argument("--picture", type=Path, metavar="FILE")
    parser.add_argument("--walk", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--beside", nargs=2, help=argparse.SUPPRESS)
    add_json(parser, "streaming")
    given = parser.parse_args(arguments)
    if given.walk:
        walk(given.walk[0], given.walk[1], int(given.walk[2]))
        return 0
    if given.beside:
        beside(given.beside[0], int(given.beside[1]))
        return 0

    def measured() -> dict[str, Any]:
        found = measure(given)
        if given.picture and "memory" in found:
            draw(given.picture, found["memory"])
        for one in found.get("memory", {}).get("walks", ()):  # some hundred will do
            one["samples"] = [
                {key: round(value, 2) for key, value in sample.items()}
                for sample in one["samples"][:: -(-len(one["samples"]) // 200)]
            ]
        if given.json and given.json.exists():  # of the other part
            found = json.loads(given.json.read_text(encoding="utf-8")) | found
        return found

    return ended(NAME, measured, given.json)


if __name__ == "__main__":
    sys.exit(main())
