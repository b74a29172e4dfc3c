"""What a rank does: training steps on a slow network, with gradients sent as they are final and after the backward."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnn_core import LanguageModel
from rnn_core.data import TextStream
from rnn_core.parallel import MPI
from rnn_core.parallel.sending import buckets, order_of
from rnn_core.training import Adam, Callback, fit

from .network import Link, SlowNetwork

VOCABULARY = 1000
WARM_UP, STEPS = 3, 6
WAYS = ("after", "early")
"""All buckets after the whole backward, as it is where a model can't say what is final; and each once it is."""


class Clock(Callback):
    """Notes when steps end, and what the network did until then."""

    def __init__(self, link: Link) -> None:
        self.link, self.steps = link, []  # type: ignore[var-annotated]
        self.before = time.monotonic()
        self.computed: list[tuple[str, float]] = []
        self.heard: list[str] = []
        self.began = self.ended = 0.0

    def step(self, record: Any) -> None:
        """See `Callback`."""
        now = time.monotonic()
        self.steps.append({
            "before": self.before, "began": self.began, "computed": self.computed, "ended": self.ended, "now": now,
            "messages": [list(message) for message in self.link.messages], "waited": self.link.waited,
            "loss": record.loss,
        })  # fmt: skip
        self.before, self.computed = now, []
        self.link.messages, self.link.waited = [], 0.0


def watched(model: LanguageModel, clock: Clock, early: bool) -> None:
    """Have a model note when which of its gradients were final; not `early`, nobody else is told."""
    from mpi4py import MPI as library

    compute, world = type(model).loss_and_gradients, library.COMM_WORLD

    def run(batch: Any, state: Any, needs: Any, rng: Any, ready: Any) -> Any:
        clock.began = time.monotonic()

        def note(gradients: Mapping[str, Any], count: float) -> None:
            clock.heard += [name for name in gradients if name not in clock.heard]
            if gradients:
                clock.computed.append((part_of(next(iter(gradients))), time.monotonic()))
            if ready is not None:
                ready(gradients, count)

        found = compute(model, batch, state=state, needs=needs, rng=rng, rows=True, ready=note)
        clock.computed.append(("embedding", time.monotonic()))
        clock.ended = world.allreduce(time.monotonic(), library.MAX)
        return found

    def announcing(batch, *, state, needs, rng, rows, ready=None):
        return run(batch, state, needs, rng, ready)

    def silent(batch, *, state, needs, rng, rows):
        return run(batch, state, needs, rng, None)

    model.loss_and_gradients = announcing if early else silent  # type: ignore[assignment, method-assign]


def part_of(name: str) -> str:
    """Return what a chart calls the part that a parameter belongs to: head, or layer 1."""
    return f"layer {name.rpartition('_l')[2]}" if name.startswith("rnn.") else name.partition(".")[0]


def labels(model: LanguageModel, bucket: int, heard: list[str]) -> list[str]:
    """Return what is in the buckets, in the order in which they are sent where gradients are heard of in this one."""
    names = [name for name in model.parameters if not name.startswith("embedding.")]
    found = buckets(names, model.parameters, bucket)
    return [", ".join(dict.fromkeys(map(part_of, reversed(found[k])))) for k in order_of(found, heard)]


def work(case: list[int], mbit: float, microseconds: float, bucket: int, turns: int) -> None:
    """Train as one of several ranks, both ways in turns; rank 0 prints every step. A case is layers, B, H and T."""
    from mpi4py import MPI as library

    layers, B, H, T = case
    link = Link(mbit * 1e6 / 8, microseconds * 1e-6)
    ranks = MPI(SlowNetwork(library.COMM_WORLD, link), threads=1, bucket=bucket)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, B * T * (WARM_UP + STEPS) + B)
    found: dict[str, list[Any]] = {way: [] for way in WAYS}
    told: dict[str, list[str]] = {}
    for _ in range(turns):
        for way in WAYS:
            model, clock = LanguageModel(VOCABULARY, H, num_layers=layers, seed=0), Clock(link)
            watched(model, clock, way == "early")
            stream = TextStream(tokens, batch_size=B, steps=T)
            fit(model, stream, optimizer=Adam(1e-3), epochs=1, progress=False, callbacks=[clock], parallel=ranks)
            found[way] += clock.steps[WARM_UP:]
            told[way] = labels(model, bucket, clock.heard if way == "early" else [])
    if ranks.first:
        print(json.dumps({"steps": found, "buckets": told}))
