"""Bugs in what regularises a layer within its recurrence, for each term of a gradient one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.regularised_checks import built_in_step, regularised_gradients

from .mutation import Mutation

AROUND, CORE = "rnn_core.cell.wrapping:_Around", "rnn_core.layers.regularised.core:RegularisedCore"

LAYERS = (
    ("the cell gets all of a held state's gradient", f"{AROUND}.step_backward", "(1 - z_k) * ds[k]", "ds[k]",
     "LSTM", "zoneout"),
    ("what is held has no gradient", f"{AROUND}.step_backward", "_sum(dprev[k], z_k * ds[k])", "dprev[k]", "LSTM",
     "zoneout"),
    ("the cell's backward sees what was held", f"{AROUND}.step_backward", "state[k] = s", "pass", "SLSTM",
     "zoneout"),
    ("what is kept of the step was held", f"{AROUND}.step", "[state[k] for k in self.fresh]",
     "[prev[k] for k in self.fresh]", "LSTM", "zoneout"),
    ("W_h's part of dh is lost", f"{AROUND}.step_backward", "ds[0] + d_h * dr", "ds[0]", "LSTM",
     "recurrent_dropout"),
    ("W_h's part of dh has no mask", f"{AROUND}.step_backward", "ds[0] + d_h * dr", "ds[0] + dr", "LSTM",
     "recurrent_dropout"),
    ("dh_0 has no mask", f"{CORE}.backward", "rest[0] + d * dread", "rest[0] + dread", "LSTM",
     "recurrent_dropout"),
    ("dh_0 is W_h's alone", f"{CORE}.backward", "rest[0] + d * dread", "d * dread", "GRU",
     "recurrent_dropout"),
    ("dW_h has no mask", f"{CORE}.backward", "noise.weight * gradients.weight_hh", "gradients.weight_hh",
     "LSTM", "weight_drop"),
    ("dh goes through the whole W_h", f"{CORE}.backward", "params, noise, own = tape", "_, noise, own = tape",
     "LSTM", "weight_drop"),
    ("dW_n has no mask of elements", f"{CORE}.backward", "self._masked(gradients, noise)", "gradients",
     "ResetBeforeGRU", "weight_drop"),
    ("dW_n has no mask of what W_n reads", f"{AROUND}.step_backward", "d_v * others[v]", "others[v]",
     "ResetBeforeGRU", "recurrent_dropout"),
    ("W_n reads all, and dW_n has a mask", "rnn_core.equations.across:Read.masked", "self.d * v", "v",
     "GateBeforeMGU", "recurrent_dropout"),
)  # fmt: skip

STEPS = {
    "lstm": (
        ("i meets a candidate that was dropped", "di = dc * (d.g * g)", "di = dc * g"),
        ("a candidate that was dropped has a gradient", "dg = dc * i * d.g", "dg = dc * i"),
        ("the slope is that of what was dropped", "(1 - g * g)", "(1 - d.g * g * g)"),
        ("c's own gradient is lost", "dc = dstate.c + ", "dc = "),
    ),
    "gru": (
        ("a candidate that was dropped has a gradient", "(1 - z) * d.n", "(1 - z)"),
        ("z meets a candidate that was dropped", "(prev.h - d.n * n)", "(prev.h - n)"),
        ("r is left out of m's gradient", "da_n, da_n * r", "da_n, da_n"),
    ),
}


def _bugs() -> Iterator[Mutation]:
    for bug, target, old, new, *how in LAYERS:
        yield Mutation(f"regularisers: {bug}", target, old, new, regularised_gradients, tuple(how))
    for cell, bugs in STEPS.items():
        for bug, old, new in bugs:
            target = f"rnn_core.cell.built_in:{cell}_backward"
            yield Mutation(f"{cell} with masks: {bug}", target, old, new, built_in_step, (cell,))


MUTATIONS = (*_bugs(),)
