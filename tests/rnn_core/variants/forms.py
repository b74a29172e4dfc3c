"""The variants' equations once more, for torch: one step each, with tensors and torch's own gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_core.variants import (
    SLSTM,
    CoupledLSTM,
    GateBeforeMGU,
    IndRNN,
    LayerNormGRU,
    LayerNormLSTM,
    LeakyRNN,
    MinGRU,
    MinimalGatedUnit,
    MinLSTM,
    PeepholeLSTM,
    ProjectedLSTM,
    ResetBeforeGRU,
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
    "ProjectedLSTM": ProjectedLSTM,
    "LayerNormLSTM": LayerNormLSTM,
    "LayerNormGRU": LayerNormGRU,
    "ResetBeforeGRU": ResetBeforeGRU,
    "GateBeforeMGU": GateBeforeMGU,
}

def made(name: str, input_size: int, hidden_size: int, *, seed: int, **options: Any) -> Any:
    """Return a layer whose gains and shifts are random, too."""
    if name == "ProjectedLSTM":
        options["proj_size"] = hidden_size - 1
    layer = CELLS[name](input_size, hidden_size, seed=seed, **options)
    rng = np.random.default_rng(seed)
    for parameter, array in layer.parameters.items():
        if parameter.startswith(("gain", "shift")):
            array[...] += rng.uniform(-0.5, 0.5, array.shape)
    return layer


def step(name: str, torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    """Return the states after a step; `x` is W_x x_t + b_x, `h` is W_h h_{t−1} + b_h, or None."""
    if name in ACROSS:
        return ACROSS[name](torch, x, h, s, p)
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


def _projected_lstm(torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    i, f, g, o = (x + h).chunk(4, -1)
    c = torch.sigmoid(f) * s["c"] + torch.sigmoid(i) * torch.tanh(g)
    return {"h": torch.sigmoid(o) * torch.tanh(c) @ p["weight_hr"].T, "c": c}


def _reset_before_gru(torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    (r, z, n), (r_h, z_h) = x.chunk(3, -1), h.chunk(2, -1)
    z = torch.sigmoid(z + z_h)
    n = torch.tanh(n + (torch.sigmoid(r + r_h) * s["h"]) @ p["weight_hn"].T)
    return {"h": (1 - z) * n + z * s["h"]}


def _gate_before_mgu(torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    f, n = x.chunk(2, -1)
    f = torch.sigmoid(f + h)
    return {"h": (1 - f) * s["h"] + f * torch.tanh(n + (f * s["h"]) @ p["weight_hn"].T)}


def _layer_norm_lstm(torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    def norm(v: Any, which: str, shift: Any = None) -> Any:
        return torch.nn.functional.layer_norm(v, v.shape[-1:], p[f"gain_{which}"], shift, p["eps"])

    pairs = zip("ifgo", x.chunk(4, -1), h.chunk(4, -1), strict=True)
    i, f, g, o = (norm(x_k, f"x{k}") + norm(h_k, f"h{k}", p[f"shift_{k}"]) for k, x_k, h_k in pairs)
    c = torch.sigmoid(f) * s["c"] + torch.sigmoid(i) * torch.tanh(g)
    return {"h": torch.sigmoid(o) * torch.tanh(norm(c, "c", p["shift_c"])), "c": c}


def _layer_norm_gru(torch: Any, x: Any, h: Any, s: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    def norm(v: Any, which: str, shift: Any = None) -> Any:
        return torch.nn.functional.layer_norm(v, v.shape[-1:], p[f"gain_{which}"], shift, p["eps"])

    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, -1), h.chunk(3, -1)
    r = torch.sigmoid(norm(x_r, "xr") + norm(h_r, "hr", p["shift_r"]))
    z = torch.sigmoid(norm(x_z, "xz") + norm(h_z, "hz", p["shift_z"]))
    n = torch.tanh(norm(x_n, "xn", p["shift_xn"]) + r * norm(h_n, "hn", p["shift_hn"]))
    return {"h": (1 - z) * n + z * s["h"]}


ACROSS = {
    "ProjectedLSTM": _projected_lstm,
    "LayerNormLSTM": _layer_norm_lstm,
    "LayerNormGRU": _layer_norm_gru,
    "ResetBeforeGRU": _reset_before_gru,
    "GateBeforeMGU": _gate_before_mgu,
}
"""Steps that look at all units of a row."""
