"""The gated recurrent unit with layer normalisation: of each gate's two sums.

::

    v_xk = W_xk x_t,   v_hk = W_hk h_{t−1},   k = r, z, n             (LG1)
    a_k = γ_xk ⊙ LN(v_xk) + γ_hk ⊙ LN(v_hk) + β_k,   k = r, z         (LG2)
    r_t = σ(a_r)                            reset gate                (LG3)
    z_t = σ(a_z)                            update gate               (LG4)
    m_t = γ_hn ⊙ LN(v_hn) + β_hn                                      (LG5)
    n_t = tanh(γ_xn ⊙ LN(v_xn) + β_xn + r_t ⊙ m_t)   candidate        (LG6)
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}                             (LG7)

LN is (LN1)–(LN3) of normalisation.py. γ are the gains, in the code `gain_…`, and β the shifts, `shift_…`: of one number
a unit. The reset gate acts behind the product and its normalisation, as the paper has it.

z keeps the old state, as in the GRU of (G1)–(G4); the paper's z is 1 − z. Each gate's block is normalised by itself,
where the paper's notation has one normalisation over r and z. Shifts that only ever add up are one, and there are no
bias_ih and no bias_hh.

References
----------
.. [1] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450v1 (2016): the GRU of order
   embeddings and skip-thoughts in its supplementary material.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...cell import Number, define, sigmoid, tanh
from .normalisation import centred, deviation, normalised, normalised_backward


class Sums(NamedTuple):
    """What is normalised: for each gate a sum over the input, and one over the state."""

    xr: Number
    xz: Number
    xn: Number
    hr: Number
    hz: Number
    hn: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Kept(NamedTuple):
    """What a tape keeps: the gates, and all sums without their mean."""

    r: Number
    z: Number
    n: Number
    u_xr: Number
    u_xz: Number
    u_xn: Number
    u_hr: Number
    u_hz: Number
    u_hn: Number


class Parameters(NamedTuple):
    """The gain of each normalisation; a shift for each gate, and for n one more within the reset."""

    gain_xr: Number
    gain_xz: Number
    gain_xn: Number
    gain_hr: Number
    gain_hz: Number
    gain_hn: Number
    shift_r: Number
    shift_z: Number
    shift_xn: Number
    shift_hn: Number


class Options(NamedTuple):
    """ε of (LN2)."""

    eps: float = 1e-5


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    n: Number


def step(a: Sums, prev: States, d: Masks, p: Any) -> tuple[States, Kept]:
    """From the sums (LG1) and the previous state to the next state and what a tape keeps."""
    u = Sums(*[centred(v) for v in a])  # (LN1)
    hat = Sums(*[normalised(each, deviation(each, p.eps)) for each in u])  # (LN2), (LN3)
    r = sigmoid(p.gain_xr * hat.xr + p.gain_hr * hat.hr + p.shift_r)  # (LG2), (LG3)
    z = sigmoid(p.gain_xz * hat.xz + p.gain_hz * hat.hz + p.shift_z)  # (LG2), (LG4)
    m = p.gain_hn * hat.hn + p.shift_hn  # (LG5)
    n = tanh(p.gain_xn * hat.xn + p.shift_xn + r * m)  # (LG6)
    h = (1 - z) * (d.n * n) + z * prev.h  # (LG7), (RG3)
    return States(h), Kept(r, z, n, *u)


def step_backward(
    kept: Kept, prev: States, state: States, dstate: States, d: Masks, p: Any
) -> tuple[States, Sums, Parameters]:
    """From dh to what dh_{t−1} gets directly, the sums' gradients, and what the step gives to gains and shifts."""
    r, z, n, *u = kept
    s = [deviation(each, p.eps) for each in u]  # (LN2)
    hat = Sums(*[normalised(each, its) for each, its in zip(u, s, strict=True)])  # (LN3)
    dn = dstate.h * (1 - z) * d.n  # (LG7′), (RG3′)
    dz = dstate.h * (prev.h - d.n * n)  # (LG7′), (RG3)
    dh_prev = dstate.h * z  # (LG7′)
    da_n = dn * (1 - n * n)  # (LG6′)
    dr = da_n * (p.gain_hn * hat.hn + p.shift_hn)  # (LG6′)
    dm = da_n * r  # (LG6′)
    da_z = dz * (z * (1 - z))  # (LG4′)
    da_r = dr * (r * (1 - r))  # (LG3′)
    dhat = Sums(
        xr=da_r * p.gain_xr, xz=da_z * p.gain_xz, xn=da_n * p.gain_xn,
        hr=da_r * p.gain_hr, hz=da_z * p.gain_hz, hn=dm * p.gain_hn,
    )  # (LG2′), (LG5′), (LG6′)  # fmt: skip
    dv = Sums(*[normalised_backward(*each) for each in zip(dhat, hat, s, strict=True)])  # (LG2′), (LG5′), (LG6′)
    dp = Parameters(
        gain_xr=da_r * hat.xr, gain_xz=da_z * hat.xz, gain_xn=da_n * hat.xn,
        gain_hr=da_r * hat.hr, gain_hz=da_z * hat.hz, gain_hn=dm * hat.hn,
        shift_r=da_r, shift_z=da_z, shift_xn=da_n, shift_hn=dm,
    )  # (LG2′), (LG5′), (LG6′)  # fmt: skip
    return States(h=dh_prev), dv, dp


LayerNormGRU = define(
    "LayerNormGRU", step, step_backward,
    gates=Sums, states=States, kept=Kept, parameters=Parameters, options=Options, bias=False, masks=Masks,
    from_x=("xr", "xz", "xn"), from_h=("hr", "hz", "hn"),
    initial={name: float(name.startswith("gain")) for name in Parameters._fields},
)  # fmt: skip
