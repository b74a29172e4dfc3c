"""A layer of a cell that is linear in its state, all steps at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.layout import join, turn
from . import min_gru, min_lstm
from .scan import scan

FORMS: dict[type, Any] = {min_gru.MinGRU: min_gru, min_lstm.MinLSTM: min_lstm}
"""Which file has a cell's `Gates` and its `linear`."""


def parallel(layer: Any, x: np.ndarray, state0: Any = None) -> tuple[np.ndarray, Any]:
    """Run a layer over all steps at once, by the scan (PS1) instead of the loop.

    There is no tape and so no gradient: train with the layer's own `forward` and `backward`. `scan.scan_backward` is
    the gradient of the scan alone, (PS1′).

    Parameters
    ----------
    layer : MinGRU or MinLSTM
        On the host, in any stack and both directions; on whichever backend, the scan is NumPy's.
    x : ndarray, shape (T, B, I); (B, T, I) with batch_first; (T, I) unbatched
    state0 : ndarray, optional
        Initial state, as the layer takes it; zeros without it.

    Returns
    -------
    y, state : ndarray
        What ``layer(x, state0)`` returns, to rounding.

    Raises
    ------
    TypeError
        The layer is of another cell.
    ValueError, TypeError
        As the layer's own call; or the layer multiplies in bfloat16, or has zoneout, and the scan hasn't.
    """
    if type(layer) not in FORMS:
        raise TypeError(
            f"parallel: layer must be a MinGRU or a MinLSTM, whose gates don't hear of the state, got "
            f"{type(layer).__name__}; call the layer instead"
        )
    if layer.precision != "float32":
        raise ValueError(
            f"parallel: layer must multiply in its own dtype, as NumPy does, got precision={layer.precision!r}; "
            "call the layer instead, or take layer.astype(layer.dtype, precision='float32')"
        )
    if layer.regularisers.zoned:
        raise ValueError(
            f"parallel: layer must be without zoneout, which the scan knows nothing of, got zoneout="
            f"{layer.regularisers.config['zoneout']}; call the layer instead"
        )
    form = FORMS[type(layer)]
    x, _, (h0,), layout = layer._checked_inputs("parallel", x, state0, None)
    finals = []
    for k in range(layer.num_layers):
        ys = []
        for d in range(layer.directions):
            W, _, b, *_ = layer._cell_parameters[k][d]
            a = turn(x, None, d) @ W.T
            a = a if b is None else a + b
            at = k * layer.directions + d
            h = scan(form.linear(form.Gates(*np.split(a, len(form.Gates._fields), axis=-1))), h0[at])
            ys.append(turn(h, None, d))
            finals.append(h[-1])
        x = join(ys)
    return layout.outward(x), layer._outward_state((np.stack(finals),), layout)
