"""What freezing saves: a training step with every gradient against one that wants less, ours against ours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...cases import Case
from ...sides import layer_of
from ...timing import Pair, alternate
from ..setting import Setting


class FrozenRow(NamedTuple):
    """A core that learns, one that only hands gradients down, and one that does neither."""

    case: Case
    handing_down: Pair  # forward, and dx alone: something below the core learns
    idle: Pair  # a forward without a tape: nothing below learns, and there is no backward

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        return f"{self.case.name}: full ÷ dx only {self.handing_down.ratio:.2f}, full ÷ nothing {self.idle.ratio:.2f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data; `ours` is the frozen step, `theirs` the full one."""
        pairs = {"handing_down": self.handing_down._asdict(), "idle": self.idle._asdict()}
        return {**self.case.as_dict(), **pairs}


def measure(setting: Setting, case: Case) -> FrozenRow:
    """Time the three steps of a case; a full step has dx too, for what lies below the core."""
    layer, x = layer_of(case, setting.backend), case.input()
    dy = np.ones((case.T, case.B, case.H), x.dtype)

    def step(needs: frozenset[str]) -> None:
        _, _, tape = layer.forward(x)
        layer.backward(tape, dy, needs=needs)

    down, full = frozenset({"x"}), frozenset({"x", *layer.parameters})
    return FrozenRow(
        case,
        alternate(lambda: step(down), lambda: step(full), **setting.timing),
        alternate(lambda: layer(x), lambda: step(full), **setting.timing),
    )
