"""Checks of what regularises a layer within its recurrence: each raises AssertionError where the code is wrong."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnn_core import GRU, LSTM, RNN, gradcheck
from rnn_core.cell import built_in
from rnn_core.checking.cells import check_step
from rnn_core.layers.stack import Recurrent
from rnn_core.variants import (
    SLSTM,
    CoupledLSTM,
    GateBeforeMGU,
    IndRNN,
    LeakyRNN,
    MinGRU,
    MinimalGatedUnit,
    MinLSTM,
    PeepholeLSTM,
    ResetBeforeGRU,
)
from tests.rnn_core.cell.cells import Strange

I, H = 2, 4
CELLS: dict[str, tuple[type[Recurrent], dict[str, Any]]] = {
    "LSTM": (LSTM, {}),
    "GRU": (GRU, {}),
    **{name: (RNN, {"nonlinearity": name}) for name in ("tanh", "relu", "sigmoid")},
    **{kind.__name__: (kind, {}) for kind in (PeepholeLSTM, CoupledLSTM, SLSTM, MinimalGatedUnit, LeakyRNN)},
    **{kind.__name__: (kind, {}) for kind in (MinGRU, MinLSTM, IndRNN, Strange, ResetBeforeGRU, GateBeforeMGU)},
}
WITHOUT_W_H = {"MinGRU", "MinLSTM", "IndRNN"}
NO_CANDIDATE = {"Strange"}
REGULARISERS: dict[str, dict[str, Any]] = {
    "zoneout": {"zoneout": 0.4},
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "candidate_dropout": {"candidate_dropout": 0.4},
    "weight_drop": {"weight_drop": 0.4},
    "all": {"zoneout": 0.3, "recurrent_dropout": 0.3, "candidate_dropout": 0.3, "weight_drop": 0.3},
}


def fitting(name: str, what: str) -> dict[str, Any]:
    """Return arguments, without those that a cell has nothing for."""
    left_out = {"recurrent_dropout", "weight_drop"} if name in WITHOUT_W_H else set()
    left_out |= {"candidate_dropout"} if name in NO_CANDIDATE else set()
    return {key: value for key, value in REGULARISERS[what].items() if key not in left_out}


def made(name: str, backend: str = "numpy", sizes: tuple[int, int] = (I, H), **options: Any) -> Any:
    """Return a layer in float64."""
    kind, own = CELLS[name]
    return kind(*sizes, **{"dtype": "float64", "seed": 3, "backend": backend, **own, **options})


def random(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    """Return normal numbers that are the same at every call."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def regularised_gradients(name: str, what: str) -> None:
    """Every gradient of a layer with masks is that of the complex step, to 1e-12."""
    layer = made(name, sizes=(1, 2), **fitting(name, what))
    report = gradcheck(layer, random(3, 2, 1), lengths=[3, 2], all_states=True)
    assert all(row.passed for row in report.rows), f"\n{report}"  # a gate whose W_h is dropped whole is not judged
    assert report.worst.error < 1e-12


def built_in_step(name: str) -> None:
    """The step of a built-in cell as a definition, with masks: complex step, 1e-12; of the functions that are there."""
    its: Any = built_in.built_in(name, dropped=True)
    own = [each.function for each in its.functions]
    now = tuple(
        each._replace(function=getattr(built_in, function.__name__, function))
        for each, function in zip(its.functions, own, strict=True)
    )
    definition = replace(its, functions=now)
    kind: Any = SimpleNamespace(
        __name__=name, file=built_in.__file__, definition=definition, dropped=None, defaults={}, initial={}
    )
    report = check_step(kind)
    assert report, f"\n{report}"
