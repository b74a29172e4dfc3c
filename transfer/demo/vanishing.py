"""What goes on inside: how a gradient fades on its way back through time, and what hidden states do over a text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.contract import CELLS
from rnn_core import GRU, LSTM, RNN, LanguageModel
from rnn_core.layers.stack import Recurrent

OPEN = 4.0
"""Added to the bias of the gate that keeps the state: σ(4) = 0.98."""

KEEPING = {"lstm": "f", "gru": "z"}
"""The gate that keeps the state: the LSTM's forget gate, the GRU's update gate."""


class Norms(NamedTuple):
    """‖∂L/∂h_t‖ as a share of ‖∂L/∂h_T‖, for t = 0 … T."""

    label: str
    cell: str
    kind: str  # "fresh", "open" or "trained"
    values: np.ndarray  # (T+1,)


def gradient_norms(layer: Recurrent, x: np.ndarray, dh_T: np.ndarray) -> np.ndarray:
    """Return ‖∂L/∂h_t‖ for every t, exactly.

    Each step is a call of its own, so that the backward hands over the state's gradient between any two of them.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of one layer and direction.
    x : ndarray, shape (T, B, I)
    dh_T : ndarray, shape (1, B, H)
        ∂L/∂h_T, the only place where the loss looks at the states.

    Returns
    -------
    ndarray, shape (T+1, B)
        From t = 0, the initial state, to t = T.
    """
    pair = len(layer.spec.states) > 1
    state, tapes = None, []
    for t in range(len(x)):
        _, state, tape = layer.forward(x[t : t + 1], state)
        tapes.append(tape)
    dstate = (dh_T, None) if pair else dh_T
    norms = [np.linalg.norm(dh_T[0], axis=-1)]
    for tape in reversed(tapes):
        _, dstate, _ = layer.backward(tape, None, dstate, needs={f"{name}0" for name in layer.spec.states})
        norms.append(np.linalg.norm((dstate[0] if pair else dstate)[0], axis=-1))
    return np.array(norms[::-1])


def fading(steps: int, hidden_size: int = 64, batch: int = 16, seeds: int = 2) -> list[Norms]:
    """Return the fading gradient of fresh RNN, LSTM and GRU layers on noise, and of LSTM and GRU with an open gate.

    Each curve is a geometric mean over sequences and seeds.
    """
    cells: tuple[tuple[str, type[Recurrent], str], ...] = (
        ("RNN", RNN, "fresh"),
        ("LSTM", LSTM, "fresh"),
        ("GRU", GRU, "fresh"),
        ("GRU, update gate open", GRU, "open"),
        ("LSTM, forget gate open", LSTM, "open"),
    )
    found = []
    for label, cell, kind in cells:
        logs = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            layer = cell(hidden_size, hidden_size, dtype=np.float64, seed=seed)
            if kind == "open":
                open_gate(layer)
            x = rng.standard_normal((steps, batch, hidden_size))
            logs.append(_log_shares(layer, x, rng))
        found.append(Norms(label, cell.__name__, kind, np.exp(np.mean(logs, axis=(0, 2)))))
    return found


def fading_when_trained(model: LanguageModel, tokens: np.ndarray, steps: int, batch: int = 16) -> Norms:
    """Return the fading gradient of a trained language model's LSTM, over `batch` stretches of a text."""
    layer = LSTM(model.embedding_size, model.hidden_size, dtype=np.float64)
    layer.load_state_dict(model.rnn.state_dict())
    rows = np.reshape(tokens[: batch * steps], (batch, steps))
    x = np.swapaxes(model.front(rows, None), 0, 1).astype(np.float64)
    logs = _log_shares(layer, x, np.random.default_rng(0))
    return Norms("LSTM, trained on text", "LSTM", "trained", np.exp(logs.mean(axis=1)))


def _log_shares(layer: Recurrent, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return log(‖∂L/∂h_t‖ / ‖∂L/∂h_T‖), shape (T+1, B), for a random ∂L/∂h_T."""
    norms = gradient_norms(layer, x, rng.standard_normal((1, x.shape[1], layer.hidden_size)))
    return np.log(norms / norms[-1])


def open_gate(layer: Recurrent) -> None:
    """Have a layer begin with the gate open that keeps its state."""
    block = getattr(CELLS[layer.cell].blocks(layer.hidden_size), KEEPING[layer.cell])
    layer.parameters["bias_ih_l0"][block] += OPEN


def hidden_states(model: LanguageModel, tokens: np.ndarray, units: int) -> np.ndarray:
    """Return hidden units while a model reads a text, from the slowest to the fastest.

    Slow is a unit whose value at one character is much like that at the next: the correlation of the two ranks the
    units, and those returned stand at even distances in the ranking.

    Parameters
    ----------
    model : LanguageModel
    tokens : ndarray of int, shape (T,)
    units : int
        How many units to return, at most H.

    Returns
    -------
    ndarray, shape (units, T)
        Values between −1 and 1.
    """
    y, _ = model.rnn(model.front(tokens[np.newaxis], None))
    states = np.asarray(y[0], np.float64).T
    now, then = states[:, 1:], states[:, :-1]
    now, then = now - now.mean(axis=1, keepdims=True), then - then.mean(axis=1, keepdims=True)
    together = (now * then).sum(axis=1)
    slowness = together / np.sqrt((now**2).sum(axis=1) * (then**2).sum(axis=1))
    ranking = np.argsort(slowness)[::-1]
    return states[ranking[np.linspace(0, len(ranking) - 1, units).round().astype(int)]]
