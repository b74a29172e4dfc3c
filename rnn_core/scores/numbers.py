"""How far numbers are missed.

::

    MAE = mean |z − t|,   RMSE = √(mean (z − t)²),   R² = 1 − Σ (z − t)² / Σ (t − t̄)²
"""

from __future__ import annotations

from typing import Any

import numpy as np


def missed(targets: Any, outputs: Any) -> dict[str, float]:
    """Return RMSE, MAE and R², in float64.

    R² is 1 where nothing is missed, 0 for always saying the mean of the targets, and NaN where these never vary.

    Parameters
    ----------
    targets, outputs : array, of one shape

    Raises
    ------
    ValueError
        Their shapes differ, or there is none.
    """
    t, z = np.asarray(targets, np.float64), np.asarray(outputs, np.float64)
    if t.shape != z.shape or not t.size:
        raise ValueError(f"missed: outputs must have the shape of targets, with a number at least, got {z.shape}")
    errors, spread = z - t, ((t - t.mean()) ** 2).sum()
    return {
        "RMSE": float(np.sqrt((errors**2).mean())),
        "MAE": float(abs(errors).mean()),
        "R²": float(1 - (errors**2).sum() / spread) if spread else float("nan"),
    }
