"""The variants' equations once more, for torch: one step each, with tensors and torch's own gradient."""

from __future__ import annotations

from typing import Any

from rnn_core.variants import (
    SLSTM,
    CoupledLSTM,
    IndRNN,
    LeakyRNN,
    MinGRU,
    MinimalGatedUnit,
    MinLSTM,
    PeepholeLSTM,
)

CELLS = {
    "PeepholeLSTM": PeepholeLSTM,
    "CoupledLSTM": CoupledLSTM,
    "LeakyRNN": LeakyRNN,
    "IndRNN": IndRNN,
    "MinimalGatedUnit": MinimalGatedUnit,
    "MinGRU": MinGRU,
    "MinLSTM": MinLSTM,
    "SLSTM": SLSTM,
}


def step(name: str, torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    """Return the states after a step; `x` is W_x x_t + b_x, `h` is W_h h_{t−1} + b_h, or None."""
    sigma, tanh = torch.sigmoid, torch.tanh
    if name == "LeakyRNN":
        return {"h": (1 - p["alpha"]) * s["h"] + p["alpha"] * tanh(x + h)}
    if name == "IndRNN":
        return {"h": torch.relu(x + p["u"] * s["h"])}
    if name == "MinGRU":
        z, n = x.chunk(2, -1)
        return {"h": (1 - sigma(z)) * s["h"] + sigma(z) * n}
    if name == "MinLSTM":
        f, i, n = x.chunk(3, -1)
        f, i = sigma(f), sigma(i)
        return {"h": f / (f + i) * s["h"] + i / (f + i) * n}
    if name == "MinimalGatedUnit":
        (n, f_x), (f_h, m) = x.chunk(2, -1), h.chunk(2, -1)
        f = sigma(f_x + f_h)
        return {"h": (1 - f) * s["h"] + f * tanh(n + f * m)}
    if name == "CoupledLSTM":
        f, g, o = (x + h).chunk(3, -1)
        c = sigma(f) * s["c"] + (1 - sigma(f)) * tanh(g)
        return {"h": sigma(o) * tanh(c), "c": c}
    if name == "PeepholeLSTM":
        i, f, g, o = (x + h).chunk(4, -1)
        c = sigma(f + p["p_f"] * s["c"]) * s["c"] + sigma(i + p["p_i"] * s["c"]) * tanh(g)
        return {"h": sigma(o + p["p_o"] * c) * tanh(c), "c": c}
    i, f, z, o = (x + h).chunk(4, -1)  # SLSTM, without its stabiliser: c and n are e^m times as large
    c = sigma(f) * s["c"] + torch.exp(i) * tanh(z)
    n = sigma(f) * s["n"] + torch.exp(i)
    return {"h": sigma(o) * c / n, "c": c, "n": n, "m": s["m"]}
