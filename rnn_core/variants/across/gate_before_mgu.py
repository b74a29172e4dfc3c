"""The minimal gated unit as in its paper, the gate before the product: what is forgotten is not heard, either.

::

    f_t = σ(W_xf x_t + b_xf + W_hf h_{t−1} + b_hf)   forget gate   (GB1)
    v_t = f_t ⊙ h_{t−1}                                            (GB2)
    n_t = tanh(W_xn x_t + b_xn + W_n v_t)            candidate     (GB3)
    h_t = (1 − f_t) ⊙ h_{t−1} + f_t ⊙ n_t                          (GB4)

W_n is (H, H), `weight_hn`; `weight_hh` and `bias_hh` have the rows of f alone. `MinimalGatedUnit` has f_t ⊙ (W_hn
h_{t−1} + b_hn) in the place of W_n v_t, which saves the second product, that must wait for the first. With f for both
gates, and 1 − f for z, it is `ResetBeforeGRU`.

References
----------
.. [1] G.-B. Zhou, J. Wu, C.-L. Zhang, Z.-H. Zhou, "Minimal gated unit for recurrent neural networks", International
   Journal of Automation and Computing 13 (2016) 226-234, arXiv:1603.09420v1.
"""

from __future__ import annotations

from typing import NamedTuple

from ...cell import Number, define, outer, product, product_transposed, sigmoid, tanh


class Gates(NamedTuple):
    """The sums, and what a tape keeps."""

    f: Number
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
    """From the sums and the previous state to the next state, the gate and the candidate."""
    f = sigmoid(a.f)  # (GB1)
    v = f * prev.h  # (GB2)
    n = tanh(a.n + product(p.weight_hn, v))  # (GB3)
    h = (1 - f) * prev.h + f * (d.n * n)  # (GB4), (RG3)
    return States(h), Gates(f, n)


def step_backward(
    kept: Gates, prev: States, state: States, dstate: States, d: Masks, p: Matrices
) -> tuple[States, Gates, Matrices]:
    """From dh to what dh_{t−1} gets besides that through W_h, da, and what the step gives to dW_n."""
    f, n = kept
    dn = dstate.h * f * d.n  # (GB4′), (RG3′)
    da_n = dn * (1 - n * n)  # (GB3′)
    dv = product_transposed(p.weight_hn, da_n)  # (GB3′)
    dW_n = outer(da_n, f * prev.h)  # (GB3′), (GB2)
    df = dstate.h * (d.n * n - prev.h) + dv * prev.h  # (GB4′), (RG3), (GB2′)
    dh_prev = dstate.h * (1 - f) + dv * f  # (GB4′), (GB2′)
    da_f = df * (f * (1 - f))  # (GB1′)
    return States(h=dh_prev), Gates(da_f, da_n), Matrices(weight_hn=dW_n)


GateBeforeMGU = define(
    "GateBeforeMGU", step, step_backward,
    gates=Gates, states=States, kept=Gates, matrices=Matrices, recurrent=("weight_hn",),
    from_h=("f",), masks=Masks,
)  # fmt: skip
