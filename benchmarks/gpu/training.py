"""A whole model on the device: twenty steps of training, and the losses are those of the CPU's kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rnn_core import LanguageModel
from rnn_core.data.batches import Batch
from rnn_core.training import SGD

from .device import Device

STEPS = 20
ALLOWED = 1e-4
"""Largest relative difference of two losses."""

VOCABULARY, ROWS, TIME = 50, 8, 33


def items(device: Device, quick: bool, only: list[str]) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return a training run for each cell."""
    return [(cell, partial(run, device, cell)) for cell in ("lstm", "gru", "rnn")]


def losses(cell: str, backend: str, xp: Any) -> list[float]:
    """Return the loss of every step; the same tokens, parameters and rates on every backend."""
    model = LanguageModel(VOCABULARY, 64, cell=cell, num_layers=2, backend=backend, seed=0)
    optimizer = SGD(0.5)
    state = optimizer.init(model.parameters)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (ROWS, TIME))
    batch = Batch(xp.asarray(tokens[:, :-1]), xp.asarray(tokens[:, 1:]))
    found = []
    for _ in range(STEPS):
        step = model.loss_and_gradients(batch)
        optimizer.update(model.parameters, step.gradients, state)
        found.append(float(step.loss))
    return found


def run(device: Device, cell: str) -> dict[str, Any]:
    """Train on the device and on the CPU; AssertionError where they part."""
    mine, reference = losses(cell, device.backend, device.xp), losses(cell, "cpu", np)
    difference = max(abs(a - b) / abs(b) for a, b in zip(mine, reference, strict=True))
    if not np.isfinite(mine).all() or not difference <= ALLOWED or not mine[-1] < mine[0]:
        raise AssertionError(f"losses {mine}, on the CPU {reference}: {difference:.1e} apart, allowed {ALLOWED:.0e}")
    return {"first": mine[0], "last": mine[-1], "difference": difference}
