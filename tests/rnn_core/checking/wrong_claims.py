"""Layers that claim wrong gradients, for the tests of what a report says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_core import LSTM
from rnn_core.checking import GradientReport
from rnn_core.checking.report import GradientRow
from rnn_core.layers.stack import Recurrent

Change = Callable[[Any, Any, dict[str, Any]], object]


def claiming(change: Change, kind: type[Recurrent] = LSTM, **options) -> Recurrent:
    """Return a layer of I = 2 and H = 3 whose dx, dstate0 and grads are changed in place by a function of the three."""

    class Claiming(kind):  # type: ignore[valid-type, misc]
        def backward(self, tape, dy, dstate=None, needs=None, dstates=None, ready=None):
            claims = super().backward(tape, dy, dstate, needs)
            change(*claims)
            return claims

    return Claiming(2, 3, **{"dtype": np.float64, "seed": 0, **options})


def times(name: str, part: Any, factor: float) -> Change:
    """Return a change that multiplies a part of one gradient, x's or a parameter's."""

    def change(dx, dstate0, grads):
        (dx if name == "x" else grads[name])[part] *= factor

    return change


def rows_of(report: GradientReport, name: str) -> list[GradientRow]:
    """Return the rows of one gradient."""
    return [row for row in report.rows if row.name == name]
