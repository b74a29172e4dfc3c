"""The variants in torch, as one would write them there: loops for ``torch.jit.script`` or ``torch.compile``.

What can be had of all steps at once stands before the loop: the product with the input, both biases in one where they
only add up, and where no gate hears of the state, the gates. Steps are parted by ``unbind``, whose gradient is one
``stack``; ``x[t]`` would make an array of zeros in every step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid


def peephole_lstm(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T; W and b are of the input, V and c_b of the state, p what else the cell has."""
    h = torch.zeros(x.size(1), V.size(1))
    c, Vt = h, V.t()
    ys: list[Tensor] = []
    for s in linear(x, W, b + c_b).unbind(0):
        i, f, g, o = torch.addmm(s, h, Vt).chunk(4, 1)
        c_next = torch.sigmoid(torch.addcmul(f, p[1], c)) * c
        c = torch.addcmul(c_next, torch.sigmoid(torch.addcmul(i, p[0], c)), torch.tanh(g))
        h = torch.sigmoid(torch.addcmul(o, p[2], c)) * torch.tanh(c)
        ys.append(h)
    return torch.stack(ys)


def coupled_lstm(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    h = torch.zeros(x.size(1), V.size(1))
    c, Vt = h, V.t()
    ys: list[Tensor] = []
    for s in linear(x, W, b + c_b).unbind(0):
        f, g, o = torch.addmm(s, h, Vt).chunk(3, 1)
        c = torch.lerp(torch.tanh(g), c, torch.sigmoid(f))
        h = torch.sigmoid(o) * torch.tanh(c)
        ys.append(h)
    return torch.stack(ys)


def slstm(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    h = torch.zeros(x.size(1), V.size(1))
    c, n, m, Vt = h, h, torch.full_like(h, float("-inf")), V.t()
    ys: list[Tensor] = []
    for s in linear(x, W, b + c_b).unbind(0):
        i, f, z, o = torch.addmm(s, h, Vt).chunk(4, 1)
        phi = logsigmoid(f) + m
        m = torch.maximum(phi, i)
        i, f = torch.exp(i - m), torch.exp(phi - m)
        c = torch.addcmul(f * c, i, torch.tanh(z))
        n = torch.addcmul(i, f, n)
        h = torch.sigmoid(o) * c / n
        ys.append(h)
    return torch.stack(ys)


def minimal_gated_unit(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    h = torch.zeros(x.size(1), V.size(1))
    Vt = V.t()
    ys: list[Tensor] = []
    for s in linear(x, W, b).unbind(0):
        n, f = s.chunk(2, 1)
        of_h, m = torch.addmm(c_b, h, Vt).chunk(2, 1)
        f = torch.sigmoid(f + of_h)
        h = torch.lerp(h, torch.tanh(torch.addcmul(n, f, m)), f)
        ys.append(h)
    return torch.stack(ys)


def leaky_rnn(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    h = torch.zeros(x.size(1), V.size(1))
    Vt = V.t()
    ys: list[Tensor] = []
    for s in linear(x, W, b + c_b).unbind(0):
        h = torch.lerp(h, torch.tanh(torch.addmm(s, h, Vt)), 0.2)
        ys.append(h)
    return torch.stack(ys)


def independent_rnn(x: Tensor, W: Tensor, b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T; there is no product with the state."""
    h = torch.zeros(x.size(1), W.size(0))
    ys: list[Tensor] = []
    for s in linear(x, W, b).unbind(0):
        h = torch.relu(torch.addcmul(s, p[0], h))
        ys.append(h)
    return torch.stack(ys)


def min_gru(x: Tensor, W: Tensor, b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    z, n = linear(x, W, b).chunk(2, 2)
    z = torch.sigmoid(z)
    h = torch.zeros_like(z[0])
    ys: list[Tensor] = []
    for keep, new in zip((1 - z).unbind(0), (z * n).unbind(0)):  # noqa: B905 -- torch.jit.script knows no strict
        h = torch.addcmul(new, keep, h)
        ys.append(h)
    return torch.stack(ys)


def min_lstm(x: Tensor, W: Tensor, b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    f, i, n = linear(x, W, b).chunk(3, 2)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    total = f + i
    h = torch.zeros_like(f[0])
    ys: list[Tensor] = []
    for keep, new in zip((f / total).unbind(0), (i / total * n).unbind(0)):  # noqa: B905
        h = torch.addcmul(new, keep, h)
        ys.append(h)
    return torch.stack(ys)


LOOPS = {
    "PeepholeLSTM": peephole_lstm,
    "CoupledLSTM": coupled_lstm,
    "SLSTM": slstm,
    "MinLSTM": min_lstm,
    "MinGRU": min_gru,
    "MinimalGatedUnit": minimal_gated_unit,
    "LeakyRNN": leaky_rnn,
    "IndRNN": independent_rnn,
}
