"""What every rank of a job runs: ``mpiexec -n 2 python -m tests.rnn_core.parallel.job WHAT FOLDER``.

Rank 0 writes what was found to ``FOLDER/found.json``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import rnn_core.parallel.mpi
from rnn_core import Seq2Seq, SequenceTagger
from rnn_core.data import Examples, Pairs, TextStream
from rnn_core.parallel import MPI
from rnn_core.training import SGD, Adam, Callback, fit
from tests.training_cases import TEXT, bits, classifier, language_model, sums, text_streams

WIDE = {"dtype": np.float64, "backend": "numpy", "dropout": 0.3}
EPOCHS = 25
"""Of four batches: a hundred steps."""


def wide(examples: Examples, **options: Any) -> Examples:
    """Return examples in float64."""
    return Examples(
        np.asarray(examples.inputs, np.float64), examples.targets, lengths=examples.lengths,
        **{"batch_size": examples.batch_size, **options},
    )  # fmt: skip


def cases() -> dict[str, tuple[Any, Any, Any]]:
    """Return a model of each kind, what it trains on and what it is validated by."""
    train, held = wide(sums()), wide(sums(9, seed=4))
    masks = {"zoneout": 0.1, "recurrent_dropout": 0.2, "weight_drop": 0.1}
    rng = np.random.default_rng(7)
    tags = (train.inputs[..., 0] > 0).astype(int)
    weights = np.ones(20)
    weights[:5] = 0  # so that there are shares in which nothing counts
    rows = [rng.integers(1, 7, rng.integers(2, 6)) for _ in range(11)]
    return {
        "language model": (language_model(num_layers=2, **WIDE), *text_streams()),
        "tied, with masks": (language_model(tied=True, cell_options=masks, **WIDE), *text_streams()),
        "classifier": (classifier(**WIDE), train, held),
        "weights": (classifier(**WIDE), wide(train, weights=weights, shuffle=False), held),
        "tagger": (
            SequenceTagger(2, 5, input_size=2, crf=True, seed=2, **WIDE),
            Examples(train.inputs, tags, lengths=train.lengths, batch_size=6),
            None,
        ),
        "seq2seq": (
            Seq2Seq(7, 5, vocab_size=7, seed=3, **WIDE), Pairs(rows, [row[::-1] for row in rows], batch_size=3), None,
        ),
    }  # fmt: skip


def digest(model: Any) -> str:
    """Return what tells two models apart, to the bit."""
    return blake2b(b"".join(bits(model).values())).hexdigest()


SOME = ("tied, with masks", "weights")
"""Cases that are run in every way."""


def curves(parallel: Any, names: tuple[str, ...] = (), change: Callable[[Any], Any] = lambda model: model) -> Any:
    """Return the losses of every case, or of some, and the parameters' digest."""
    found = {}
    for name, (model, train, validation) in cases().items():
        if names and name not in names:
            continue
        model = change(model)
        history = fit(
            model, train, optimizer=Adam(0.01), epochs=EPOCHS, validation=validation, clip_norm=0.5, progress=False,
            parallel=parallel,
        )  # fmt: skip
        numbers = [history.column("loss"), history.column("validation_loss") if validation else []]
        found[name] = {
            "curves": [one for column in numbers for one in column],
            "digest": digest(model),
            "parameters": [float(one) for p in model.parameters.values() for one in p.reshape(-1)],
        }
    return found


class AtStep(Callback):
    """Do something once so many updates have been made."""

    def __init__(self, step: int, do: Callable[[], Any]) -> None:
        self.at, self.do = step, do

    def step(self, record):
        """See `Callback`."""
        return self.do() if record.step == self.at else None


def broken() -> Any:
    """Fail as a disk does that is full."""
    raise OSError("no space left")


def said_of(parallel: MPI, **changes: Any) -> str:
    """Return what `fit` raises where rank 1 differs in something."""
    model, options = language_model(**WIDE), {"seed": 0}
    (train, validation), callbacks = text_streams(), changes.pop("callbacks", ())
    if parallel.rank == 1:
        train, model = changes.pop("train", train), changes.pop("model", model)
        for name, number in changes.pop("put", {}).items():
            model.parameters[name].reshape(-1)[1] = number
        if "spoiled" in changes:
            spoil(model, changes["spoiled"])
        if "broken" in changes:
            broken_off(model, changes["broken"])
        options |= {name: value for name, value in changes.items() if name == "seed"}
    try:
        fit(
            model, train, optimizer=SGD(0.1), epochs=2, validation=validation, progress=False, parallel=parallel,
            callbacks=callbacks, **options,
        )  # fmt: skip
    except (ValueError, RuntimeError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def spoil(model: Any, step: int) -> None:
    """Put a NaN into a gradient of one step."""
    compute = model.loss_and_gradients
    calls: list[int] = []

    def loss_and_gradients(batch, *, ready, **options):
        calls.append(0)
        found = compute(batch, ready=ready, **options)
        if len(calls) == step:
            found.gradients["head.bias"][1] = np.nan
        return found

    model.loss_and_gradients = loss_and_gradients


def broken_off(model: Any, step: int) -> None:
    """Have the backward of one step fail when the head's gradients are final, and on their way from other ranks."""
    compute = model.loss_and_gradients
    calls: list[int] = []

    def loss_and_gradients(batch, *, ready, **options):
        calls.append(0)

        def fails(gradients, count):
            raise ValueError("broken off half way")

        return compute(batch, ready=fails if len(calls) == step else ready, **options)

    model.loss_and_gradients = loss_and_gradients


def silent(model: Any) -> Any:
    """Return a model that doesn't say which of its gradients are final: all leave when the backward is done."""
    compute = model.loss_and_gradients

    def loss_and_gradients(batch, *, state, needs, rng, rows):
        return compute(batch, state=state, needs=needs, rng=rng, rows=rows)

    model.loss_and_gradients = loss_and_gradients
    return model


class Noting:
    """A communicator that notes in which order sums are begun, beside what else is noted."""

    def __init__(self, comm: Any, events: list[str]) -> None:
        self.comm, self.events = comm, events

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comm, name)

    def Dup(self) -> Noting:
        """Return another one."""
        return Noting(self.comm.Dup(), self.events)

    def Iallreduce(self, sent: Any, received: Any) -> Any:
        """See mpi4py."""
        self.events.append(f"sends {received.size}")
        return self.comm.Iallreduce(sent, received)


def events() -> list[list[str]]:
    """Return what happens in the first two steps: what is final, and how many numbers are then sent."""
    from mpi4py import MPI as library

    noted: list[str] = []
    found: list[list[str]] = []
    parallel = MPI(Noting(library.COMM_WORLD, noted), bucket=1)  # an array each
    model, (train, _) = language_model(num_layers=2, **WIDE), text_streams()
    compute = model.loss_and_gradients

    def loss_and_gradients(batch, *, rows, ready, **options):
        def note(gradients, count):
            noted.append(f"{next(iter(gradients))} …")
            ready(gradients, count)

        step = compute(batch, rows=rows, ready=note, **options)
        noted.append("over")
        return step

    def taken() -> bool:
        found.append(noted.copy())
        noted.clear()
        return len(found) == 2

    model.loss_and_gradients = loss_and_gradients
    callbacks = [AtStep(1, taken), AtStep(2, taken)]
    fit(model, train, optimizer=SGD(0.1), epochs=1, progress=False, parallel=parallel, callbacks=callbacks)
    return found


@contextmanager
def another_release(parallel: MPI):
    """Have rank 1 another version of the library."""
    before = rnn_core.parallel.mpi.version
    if parallel.rank == 1:
        rnn_core.parallel.mpi.version = lambda name: "0.0.1"
    try:
        yield
    finally:
        rnn_core.parallel.mpi.version = before


def faults(parallel: MPI) -> dict[str, str]:
    """Return what is said of each thing that may be wrong on one rank."""
    with another_release(parallel):
        release = said_of(parallel)
    return {
        "rnn_core": release,
        "seed": said_of(parallel, seed=3),
        "starting values": said_of(parallel, put={"head.bias": 1e-9}),
        "finite": said_of(parallel, put={"head.bias": np.nan}),
        "batches in an epoch": said_of(parallel, train=TextStream(TEXT[:60], batch_size=3, steps=9)),
        "vocab_size": said_of(parallel, model=wider()),
        "gradients must be finite": said_of(parallel, spoiled=6),
        "broken off half way": said_of(parallel, broken=3),
        "no space left": said_of(parallel, callbacks=[AtStep(3, broken)]),
    }


def wider() -> Any:
    """Return a language model of another vocabulary."""
    from rnn_core import LanguageModel

    return LanguageModel(8, 6, seed=1, **WIDE)


def all_facts(folder: Path) -> dict[str, Any]:
    """Return all that a job is asked for."""
    exact, rounded = MPI(reduction="exact", shares=4), MPI(bucket=800)  # so that there are several buckets
    found = {"exact": curves(exact, SOME)}
    if rounded.ranks > 1:
        found |= {"sum": curves(rounded), "again": curves(rounded, SOME, silent), "faults": faults(rounded)}
        found |= {"said": str(rounded), "stopped": stopped(rounded), "events": events()}
    return found


def stopped(parallel: MPI) -> int:
    """Return after how many updates a run has ended that a callback ends after five."""
    steps: list[int] = []
    train, _ = text_streams()

    def end() -> bool:
        steps.append(5)
        return True

    callbacks = [AtStep(5, end)]
    fit(
        language_model(**WIDE), train, optimizer=SGD(0.1), epochs=9, progress=False, parallel=parallel,
        callbacks=callbacks,
    )  # fmt: skip
    return sum(steps)


def long_run(folder: Path, dies_at: int = 0) -> dict[str, Any]:
    """Train with checkpoints, or go on; at a step the last rank kills itself."""
    parallel = MPI(reduction="exact", shares=4)
    model, (train, validation) = language_model(**WIDE), text_streams()
    if dies_at and parallel.rank == parallel.ranks - 1:
        compute = model.loss_and_gradients
        calls: list[int] = []

        def loss_and_gradients(batch, *, state, needs, rng, rows):
            calls.append(0)
            if len(calls) == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return compute(batch, state=state, needs=needs, rng=rng, rows=rows)

        model.loss_and_gradients = loss_and_gradients
    fit(
        model, train, optimizer=Adam(0.01), epochs=4, validation=validation, progress=False, parallel=parallel,
        checkpoint=folder / "checkpoint", checkpoint_every=1, resume="auto",
    )  # fmt: skip
    return {"digest": digest(model)}


def main() -> None:
    """Do what the command line says."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    found = all_facts(folder) if what == "facts" else long_run(folder, int(what))
    if MPI().first:
        (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
