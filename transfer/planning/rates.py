"""A learning rate for each group: the top one's, and each lower one a share of it, as lower groups are more general.

::

    η_g = η_top / d^k,  for the group k below the top        (X8)
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from rnn_core.models import Model

from ..parameters.groups import checked_model


def discriminative_rates(model: Model, lr: float, decay: float = 2.6) -> dict[str, float]:
    """Return a learning rate for each group, for ``Plan(rates=...)``: the top one's, and each lower one a share of it.

    Parameters
    ----------
    model : Model
    lr : float
        The rate of the top group.
    decay : float
        How many times lower the rate of a group is than that of the one above it. At 1 all are the same.

    Returns
    -------
    rates : dict of str to float
        By group, from the input upwards.

    Raises
    ------
    ValueError
        The rate is not above 0 and finite, or the decay not at least 1.
    TypeError
        This is not a model, or a number is none.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.2,
    with the 2.6.
    """
    where = "discriminative_rates"
    groups = [group for group, names in checked_model(where, model).groups.items() if names]
    for name, value, lowest in (("lr", lr, 0.0), ("decay", decay, 1.0)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"{where}: {name} must be a number, got {value!r}")
        if not (isfinite(value) and value >= lowest and value > 0):
            bound = f"at least {lowest:g}" if lowest else "above 0"
            raise ValueError(f"{where}: {name} must be {bound} and finite, got {value}")
    top = len(groups) - 1
    return {group: float(lr) / float(decay) ** (top - k) for k, group in enumerate(groups)}  # (X8)
