"""The gated recurrent unit with its reset before the product, as its first paper has it since the third version.

::

    r_t = σ(W_xr x_t + b_xr + W_hr h_{t−1} + b_hr)   reset gate    (RB1)
    z_t = σ(W_xz x_t + b_xz + W_hz h_{t−1} + b_hz)   update gate   (RB2)
    v_t = r_t ⊙ h_{t−1}                                            (RB3)
    n_t = tanh(W_xn x_t + b_xn + W_n v_t)            candidate     (RB4)
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}                          (RB5)

W_n is (H, H), `weight_hn`; `weight_hh` and `bias_hh` have the rows of r and z alone. What was forgotten is mixed no
more: where r is 0 a unit is heard by none. `GRU`, as torch, has r_t ⊙ (W_hn h_{t−1} + b_hn) in the place of W_n v_t,
which saves the second product, that must wait for the first. Keras knows both, as `reset_after`.

References
----------
.. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
   EMNLP 2014, arXiv:1406.1078v3: equations (5)–(8).
"""

from __future__ import annotations

from typing import NamedTuple

from ...cell import Number, define, outer, product, product_transposed, sigmoid, tanh


class Gates(NamedTuple):
    """The sums, and the gates that a tape keeps."""

    r: Number
    z: Number
    n: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Matrices(NamedTuple):
    """W_n."""

    weight_hn: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    n: Number


def step(a: Gates, prev: States, d: Masks, p: Matrices) -> tuple[States, Gates]:
    """From the sums and the previous state to the next state and the gates."""
    r = sigmoid(a.r)  # (RB1)
    z = sigmoid(a.z)  # (RB2)
    v = r * prev.h  # (RB3)
    n = tanh(a.n + product(p.weight_hn, v))  # (RB4)
    h = (1 - z) * (d.n * n) + z * prev.h  # (RB5), (RG3)
    return States(h), Gates(r, z, n)


def step_backward(
    kept: Gates, prev: States, state: States, dstate: States, d: Masks, p: Matrices
) -> tuple[States, Gates, Matrices]:
    """From dh to what dh_{t−1} gets besides that through W_h, da, and what the step gives to dW_n."""
    r, z, n = kept
    dn = dstate.h * (1 - z) * d.n  # (RB5′), (RG3′)
    dz = dstate.h * (prev.h - d.n * n)  # (RB5′), (RG3)
    da_n = dn * (1 - n * n)  # (RB4′)
    dv = product_transposed(p.weight_hn, da_n)  # (RB4′)
    dW_n = outer(da_n, r * prev.h)  # (RB4′), (RB3)
    dr = dv * prev.h  # (RB3′)
    dh_prev = dstate.h * z + dv * r  # (RB5′), (RB3′)
    da_z = dz * (z * (1 - z))  # (RB2′)
    da_r = dr * (r * (1 - r))  # (RB1′)
    return States(h=dh_prev), Gates(da_r, da_z, da_n), Matrices(weight_hn=dW_n)


ResetBeforeGRU = define(
    "ResetBeforeGRU", step, step_backward,
    gates=Gates, states=States, kept=Gates, matrices=Matrices, recurrent=("weight_hn",),
    from_h=("r", "z"), masks=Masks,
)  # fmt: skip
