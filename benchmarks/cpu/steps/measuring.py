"""A training step, ours beside torch's: loss and gradients first, then times, then where ours goes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnn_core.data import Batch

from ...sides import disagreement
from ...timing import Pair
from ..setting import Setting
from . import ours, theirs
from .cases import Case
from .parts import parts

AGREEMENT = {"float32": 2e-4, "bfloat16": 0.1}
"""Largest difference of the loss and of each gradient, relative to the largest element, that passes as rounding."""


class Row(NamedTuple):
    """A step and what came of it."""

    case: Case
    difference: float
    agrees: bool
    pair: Pair | None = None  # None where loss or gradients differ
    peer: str = ""  # which of torch's ways was the fastest
    parts: dict[str, float] | None = None  # seconds of ours
    errors: dict[str, float] | None = None  # rms of all gradients beside float64: ours, theirs
    others: float | None = None

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        if self.pair is None or self.parts is None:
            return f"{self.case.name}: DIFFERS by {self.difference:.1e}, not timed"
        whole = sum(self.parts.values())
        shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in self.parts.items())
        return (
            f"{self.case.name}: ours {1e3 * self.pair.ours:.4g} ms, torch ({self.peer}) "
            f"{1e3 * self.pair.theirs:.4g} ms, torch ÷ ours {self.pair.ratio:.2f}; {shares}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            **self.case.as_dict(),
            "difference": self.difference,
            "agrees": self.agrees,
            **({} if self.pair is None else self.pair._asdict()),
            "peer": self.peer,
            "parts": self.parts,
            "errors": self.errors,
            "others": self.others,
        }


def measure(setting: Setting, case: Case) -> Row:
    """Compare loss and gradients, then time a step of both sides."""
    model, batch = ours.model_of(case, setting.backend), case.batch()
    candidates = theirs.trainers(setting.torch, case, batch, model.state_dict())
    mine, peer = ours.loss_and_gradients(model, batch), candidates[0].loss_and_gradients()
    difference = disagreement(mine, peer)
    if not (mine.keys() == peer.keys() and difference <= AGREEMENT[case.precision]):
        return Row(case, difference, agrees=False)
    errors = None
    if case.precision != "float32":
        exact = exactly(case, batch)
        errors = {"ours": rms(mine, exact), "theirs": rms(peer, exact)}
    run, trainer = ours.run_of(model, batch), theirs.fastest(candidates)
    pair, others = setting.alternate(run.step, trainer.step)
    return Row(case, difference, True, pair, trainer.name, parts(run), errors, others)


def exactly(case: Case, batch: Batch) -> dict[str, np.ndarray]:
    """Return loss and gradients by the equations in float64."""
    model = ours.model_of(case._replace(precision="float32"), "numpy")
    return ours.loss_and_gradients(model.astype(np.float64), batch)


def rms(found: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> float:
    """Return the root mean square of the errors of all gradients, relative to theirs."""
    squares = [(np.sum((found[k] - exact[k]) ** 2.0), np.sum(exact[k] ** 2.0)) for k in exact if k != "loss"]
    return float(np.sqrt(sum(a for a, _ in squares) / sum(b for _, b in squares)))
