"""The variants in torch, as one would write them there: loops for ``torch.jit.script`` or ``torch.compile``.

What can be had of all steps at once stands before the loop: the product with the input, both biases in one where they
only add up, and where no gate hears of the state, the gates. Steps are parted by ``unbind``, whose gradient is one
``stack``; ``x[t]`` would make an array of zeros in every step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, logsigmoid


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


def projected_lstm(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    h = torch.zeros(x.size(1), V.size(1))
    c = torch.zeros(x.size(1), p[0].size(1))
    Vt, Rt = V.t(), p[0].t()
    ys: list[Tensor] = []
    for s in linear(x, W, b + c_b).unbind(0):
        i, f, g, o = torch.addmm(s, h, Vt).chunk(4, 1)
        c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
        h = torch.mm(torch.sigmoid(o) * torch.tanh(c), Rt)
        ys.append(h)
    return torch.stack(ys)


def reset_before_gru(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    H = V.size(1)
    h = torch.zeros(x.size(1), H)
    Vt, Nt = V.t(), p[0].t()
    sums = linear(x, W, b)
    ys: list[Tensor] = []
    for s, n in zip((sums[:, :, : 2 * H] + c_b).unbind(0), sums[:, :, 2 * H :].unbind(0)):  # noqa: B905
        r, z = torch.sigmoid(torch.addmm(s, h, Vt)).chunk(2, 1)
        h = torch.lerp(torch.tanh(torch.addmm(n, r * h, Nt)), h, z)
        ys.append(h)
    return torch.stack(ys)


def gate_before_mgu(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c_b: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T."""
    H = V.size(1)
    h = torch.zeros(x.size(1), H)
    Vt, Nt = V.t(), p[0].t()
    sums = linear(x, W, b)
    ys: list[Tensor] = []
    for s, n in zip((sums[:, :, :H] + c_b).unbind(0), sums[:, :, H:].unbind(0)):  # noqa: B905
        f = torch.sigmoid(torch.addmm(s, h, Vt))
        h = torch.lerp(h, torch.tanh(torch.addmm(n, f * h, Nt)), f)
        ys.append(h)
    return torch.stack(ys)


def layer_norm_lstm(x: Tensor, W: Tensor, V: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T; four blocks are normalised at once, and those of the input before the loop."""
    B, H = x.size(1), V.size(1)
    h = torch.zeros(B, H)
    c, Vt = h, V.t()
    from_x, from_h, shift = torch.cat(p[0:4]), torch.cat(p[4:8]), torch.cat(p[9:13])
    sums = torch.addcmul(shift, from_x, layer_norm(linear(x, W).view(-1, B, 4, H), [H]).flatten(2))
    ys: list[Tensor] = []
    for s in sums.unbind(0):
        hat = layer_norm(torch.mm(h, Vt).view(B, 4, H), [H]).flatten(1)
        i, f, g, o = torch.addcmul(s, from_h, hat).chunk(4, 1)
        c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
        h = torch.sigmoid(o) * torch.tanh(layer_norm(c, [H], p[8], p[13]))
        ys.append(h)
    return torch.stack(ys)


def layer_norm_gru(x: Tensor, W: Tensor, V: Tensor, p: list[Tensor]) -> Tensor:
    """Return h_1 … h_T; likewise."""
    B, H = x.size(1), V.size(1)
    h, Vt = torch.zeros(B, H), V.t()
    from_x, from_h, shift = torch.cat(p[0:3]), torch.cat(p[3:6]), torch.cat(p[6:9])
    none = torch.cat((torch.zeros(2 * H), p[9]))
    sums = torch.addcmul(shift, from_x, layer_norm(linear(x, W).view(-1, B, 3, H), [H]).flatten(2))
    ys: list[Tensor] = []
    for s, n in zip(sums[:, :, : 2 * H].unbind(0), sums[:, :, 2 * H :].unbind(0)):  # noqa: B905
        hat = torch.addcmul(none, from_h, layer_norm(torch.mm(h, Vt).view(B, 3, H), [H]).flatten(1))
        r, z = torch.sigmoid(s + hat[:, : 2 * H]).chunk(2, 1)
        h = torch.lerp(torch.tanh(torch.addcmul(n, r, hat[:, 2 * H :])), h, z)
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
    "ProjectedLSTM": projected_lstm,
    "LayerNormLSTM": layer_norm_lstm,
    "LayerNormGRU": layer_norm_gru,
    "ResetBeforeGRU": reset_before_gru,
    "GateBeforeMGU": gate_before_mgu,
}
