"""The cells once more, in scalar loops straight from docs/equations.md: slow, and independent of rnn_core.

One sequence, one layer, one direction. Weights are in torch's layout: gate g's row j is row g·H + j.
"""

from __future__ import annotations

import math

import numpy as np


def sigmoid(a: float) -> float:
    """1/(1 + e^−a)."""
    return 1 / (1 + math.exp(-a))


ACTIVATIONS = {"tanh": math.tanh, "relu": lambda a: max(a, 0.0), "sigmoid": sigmoid}


def project(weights: dict[str, np.ndarray], half: str, row: int, vector: list[float]) -> float:
    """One row of W·v + b, for half "ih" or "hh"."""
    total = float(weights[f"bias_{half}_l0"][row]) if f"bias_{half}_l0" in weights else 0.0
    for k, v in enumerate(vector):
        total += float(weights[f"weight_{half}_l0"][row, k]) * v
    return total


def rnn(weights: dict[str, np.ndarray], x: np.ndarray, h: list[float], activation: str) -> list[list[float]]:
    """h_t of every step, (R1)-(R2)."""
    states = []
    for x_t in x.tolist():
        h = [
            ACTIVATIONS[activation](project(weights, "ih", j, x_t) + project(weights, "hh", j, h))
            for j in range(len(h))
        ]
        states.append(h)
    return states


def lstm(
    weights: dict[str, np.ndarray], x: np.ndarray, h: list[float], c: list[float]
) -> tuple[list[list[float]], list[float]]:
    """h_t of every step and the last c, (L1)-(L7); gates in torch's order i, f, g, o."""
    states, H = [], len(h)
    for x_t in x.tolist():
        a = [project(weights, "ih", row, x_t) + project(weights, "hh", row, h) for row in range(4 * H)]
        i = [sigmoid(a[j]) for j in range(H)]
        f = [sigmoid(a[H + j]) for j in range(H)]
        g = [math.tanh(a[2 * H + j]) for j in range(H)]
        o = [sigmoid(a[3 * H + j]) for j in range(H)]
        c = [f[j] * c[j] + i[j] * g[j] for j in range(H)]
        h = [o[j] * math.tanh(c[j]) for j in range(H)]
        states.append(h)
    return states, c


def gru(weights: dict[str, np.ndarray], x: np.ndarray, h: list[float]) -> list[list[float]]:
    """h_t of every step, (G1)-(G5); gates in torch's order r, z, n."""
    states, H = [], len(h)
    for x_t in x.tolist():
        from_x = [project(weights, "ih", row, x_t) for row in range(3 * H)]
        from_h = [project(weights, "hh", row, h) for row in range(3 * H)]
        r = [sigmoid(from_x[j] + from_h[j]) for j in range(H)]
        z = [sigmoid(from_x[H + j] + from_h[H + j]) for j in range(H)]
        n = [math.tanh(from_x[2 * H + j] + r[j] * from_h[2 * H + j]) for j in range(H)]
        h = [(1 - z[j]) * n[j] + z[j] * h[j] for j in range(H)]
        states.append(h)
    return states
