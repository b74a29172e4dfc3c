"""All steps of a recurrence that is linear in its state, side by side instead of one after another.

::

    h_t = A_t ⊙ h_{t−1} + b_t                                         (PS1)

Two steps are one of the same kind: (A, b) after (C, d) is (A C, A d + b). So runs of 1, 2, 4, … steps give all of them
in log₂ T sweeps. The gradient is such a recurrence, too, from the last step to the first::

    λ_t = dh_t + A_{t+1} ⊙ λ_{t+1},   dA_t = λ_t ⊙ h_{t−1},   db_t = λ_t,   dh_0 = A_1 ⊙ λ_1      (PS1′)

It is more work than the loop, log₂ T times, in fewer and larger pieces: worth it in NumPy, where a step's call costs
more than its numbers.

References
----------
.. [1] G. E. Blelloch, "Prefix sums and their applications", Technical Report CMU-CS-90-190, Carnegie Mellon University
   (1990).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Linear(NamedTuple):
    """The coefficients of (PS1), (T, B, H) each."""

    A: np.ndarray
    b: np.ndarray


def scan(linear: Linear, h0: np.ndarray) -> np.ndarray:
    """Return h_1 … h_T, (T, B, H), of (PS1), from h_0 (B, H)."""
    A, h = (np.array(array) for array in linear)
    h[0] += A[0] * h0
    step = 1
    while step < len(h):  # h[t] and A[t] are of the steps t − step + 1 … t, as far as there are any
        h[step:] = A[step:] * h[:-step] + h[step:]  # the right side is made whole before anything is written
        A[step:] = A[step:] * A[:-step]
        step *= 2
    return h


def scan_backward(
    linear: Linear, h0: np.ndarray, h: np.ndarray, dh: np.ndarray
) -> tuple[Linear, np.ndarray]:
    """Return dA and db, (T, B, H) each, and dh_0 (B, H), from dh (T, B, H)."""
    A, _ = linear
    after = np.concatenate((A[1:], np.zeros_like(A[:1])))[::-1]  # A_{t+1}, the last step first
    adjoint = scan(Linear(after, dh[::-1]), np.zeros_like(h0))[::-1]  # λ_t
    prev = np.concatenate((h0[None], h[:-1]))
    return Linear(A=adjoint * prev, b=adjoint), A[0] * adjoint[0]  # (PS1′)
