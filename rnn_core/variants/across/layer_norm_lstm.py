"""Long short-term memory with layer normalisation: of each gate's two sums, and of c on its way out.

::

    v_xk = W_xk x_t,   v_hk = W_hk h_{t−1},   k = i, f, g, o          (LL1)
    a_k = γ_xk ⊙ LN(v_xk) + γ_hk ⊙ LN(v_hk) + β_k                     (LL2)
    i_t = σ(a_i)                            input gate                (LL3)
    f_t = σ(a_f)                            forget gate               (LL4)
    g_t = tanh(a_g)                         candidate                 (LL5)
    o_t = σ(a_o)                            output gate               (LL6)
    c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t                                   (LL7)
    q_t = γ_c ⊙ LN(c_t) + β_c                                         (LL8)
    h_t = o_t ⊙ tanh(q_t)                                             (LL9)

LN is (LN1)–(LN3) of normalisation.py. γ are the gains, in the code `gain_…`, and β the shifts, `shift_…`: of one number
a unit. c itself is carried on as it is.

W_x x and W_h h are normalised apart, each gate's block by itself; the paper's notation has one normalisation over all
four blocks. Its two shifts and its bias only ever add up, and are one here, so there are no bias_ih and no bias_hh.

References
----------
.. [1] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450v1 (2016): equations (20)–(22) of its
   supplementary material.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...cell import Number, define, sigmoid, tanh
from .normalisation import centred, deviation, normalised, normalised_backward


class Sums(NamedTuple):
    """What is normalised: for each gate a sum over the input, and one over the state."""

    xi: Number
    xf: Number
    xg: Number
    xo: Number
    hi: Number
    hf: Number
    hg: Number
    ho: Number


class States(NamedTuple):
    """h, the output, and c."""

    h: Number
    c: Number


class Kept(NamedTuple):
    """What a tape keeps: the gates; of c what (LN3) and (LN2) gave; and all sums without their mean."""

    i: Number
    f: Number
    g: Number
    o: Number
    c_hat: Number
    s_c: Number
    u_xi: Number
    u_xf: Number
    u_xg: Number
    u_xo: Number
    u_hi: Number
    u_hf: Number
    u_hg: Number
    u_ho: Number


class Parameters(NamedTuple):
    """The gain of each normalisation; a shift for each gate, and one for c."""

    gain_xi: Number
    gain_xf: Number
    gain_xg: Number
    gain_xo: Number
    gain_hi: Number
    gain_hf: Number
    gain_hg: Number
    gain_ho: Number
    gain_c: Number
    shift_i: Number
    shift_f: Number
    shift_g: Number
    shift_o: Number
    shift_c: Number


class Options(NamedTuple):
    """ε of (LN2)."""

    eps: float = 1e-5


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    g: Number


def step(a: Sums, prev: States, d: Masks, p: Any) -> tuple[States, Kept]:
    """From the sums (LL1) and the previous states to the next states and what a tape keeps."""
    u = Sums(*[centred(v) for v in a])  # (LN1)
    hat = Sums(*[normalised(each, deviation(each, p.eps)) for each in u])  # (LN2), (LN3)
    i = sigmoid(p.gain_xi * hat.xi + p.gain_hi * hat.hi + p.shift_i)  # (LL2), (LL3)
    f = sigmoid(p.gain_xf * hat.xf + p.gain_hf * hat.hf + p.shift_f)  # (LL2), (LL4)
    g = tanh(p.gain_xg * hat.xg + p.gain_hg * hat.hg + p.shift_g)  # (LL2), (LL5)
    o = sigmoid(p.gain_xo * hat.xo + p.gain_ho * hat.ho + p.shift_o)  # (LL2), (LL6)
    c = f * prev.c + i * (d.g * g)  # (LL7), (RG3)
    u_c = centred(c)  # (LN1)
    s_c = deviation(u_c, p.eps)  # (LN2)
    c_hat = normalised(u_c, s_c)  # (LN3)
    q = p.gain_c * c_hat + p.shift_c  # (LL8)
    h = o * tanh(q)  # (LL9)
    return States(h, c), Kept(i, f, g, o, c_hat, s_c, *u)


def step_backward(
    kept: Kept, prev: States, state: States, dstate: States, d: Masks, p: Any
) -> tuple[States, Sums, Parameters]:
    """From dh and dc to what dc_{t−1} gets, the sums' gradients, and what the step gives to gains and shifts."""
    i, f, g, o, c_hat, s_c, *u = kept
    tanh_q = tanh(p.gain_c * c_hat + p.shift_c)
    do = dstate.h * tanh_q  # (LL9′)
    dq = dstate.h * o * (1 - tanh_q * tanh_q)  # (LL9′)
    dc = dstate.c + normalised_backward(dq * p.gain_c, c_hat, s_c)  # (LL8′)
    da_i = dc * (d.g * g) * (i * (1 - i))  # (LL7′), (RG3), (LL3′)
    da_f = dc * prev.c * (f * (1 - f))  # (LL7′), (LL4′)
    da_g = dc * i * d.g * (1 - g * g)  # (LL7′), (RG3′), (LL5′)
    da_o = do * (o * (1 - o))  # (LL6′)
    dc_prev = dc * f  # (LL7′)
    dhat = Sums(
        xi=da_i * p.gain_xi, xf=da_f * p.gain_xf, xg=da_g * p.gain_xg, xo=da_o * p.gain_xo,
        hi=da_i * p.gain_hi, hf=da_f * p.gain_hf, hg=da_g * p.gain_hg, ho=da_o * p.gain_ho,
    )  # (LL2′)  # fmt: skip
    s = [deviation(each, p.eps) for each in u]  # (LN2)
    hat = Sums(*[normalised(each, its) for each, its in zip(u, s, strict=True)])  # (LN3)
    dv = Sums(*[normalised_backward(*each) for each in zip(dhat, hat, s, strict=True)])  # (LL2′)
    dp = Parameters(
        gain_xi=da_i * hat.xi, gain_xf=da_f * hat.xf, gain_xg=da_g * hat.xg, gain_xo=da_o * hat.xo,
        gain_hi=da_i * hat.hi, gain_hf=da_f * hat.hf, gain_hg=da_g * hat.hg, gain_ho=da_o * hat.ho, gain_c=dq * c_hat,
        shift_i=da_i, shift_f=da_f, shift_g=da_g, shift_o=da_o, shift_c=dq,
    )  # (LL2′), (LL8′)  # fmt: skip
    return States(h=0, c=dc_prev), dv, dp


LayerNormLSTM = define(
    "LayerNormLSTM", step, step_backward,
    gates=Sums, states=States, kept=Kept, parameters=Parameters, options=Options, bias=False, masks=Masks,
    from_x=("xi", "xf", "xg", "xo"), from_h=("hi", "hf", "hg", "ho"),
    initial={name: float(name.startswith("gain")) for name in Parameters._fields},
)  # fmt: skip
