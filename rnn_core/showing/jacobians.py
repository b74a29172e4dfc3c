"""Singular values of a state's Jacobian as a picture: how much of a state is left after so many steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.checks import as_array
from ..written import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 1e-16
"""Of a lag's largest value: what is below is rounding, and is not drawn."""


def singular_values_picture(panels: Mapping[str, Any], *, title: str = "") -> bytes:
    """Return a picture of the singular values of ∂s_T/∂s_t over the lag T − t, a panel for each network, as PNG.

    Parameters
    ----------
    panels : mapping of str to SingularValues
        By title: ``{"RNN": …, "LSTM": …}``, from `rnn_core.state_jacobian_singular_values`; or arrays (T, S), of which
        row k has the values over k + 1 steps, the largest first.
    title : str
        What stands above all panels.

    Returns
    -------
    png : bytes
        The largest value, the median, and between them and below them all others, on a logarithmic scale that all
        panels share. A line at 1 parts what explodes from what vanishes.

    Raises
    ------
    ValueError
        There is no panel, or values have another shape or are negative or not finite.
    TypeError
        `panels` is no dict, or values are no numbers.
    RuntimeError
        matplotlib is missing.
    """
    where = "singular_values_picture"
    if not isinstance(panels, Mapping):
        raise TypeError(f"{where}: panels must be a dict of singular values by title, got {type(panels).__name__}")
    if not panels:
        raise ValueError(f"{where}: panels must be at least one, got none")
    values = {printable(str(name)): _values(where, name, found) for name, found in panels.items()}
    try:
        from .pictures import png

        return png(_draw, values, title)
    except ImportError as error:
        raise RuntimeError(
            f"{where}: matplotlib must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
        ) from error


def _values(where: str, name: Any, found: Any) -> np.ndarray:
    """Return singular values as an array (T, S)."""
    values = as_array(where, f"panels[{name!r}]", getattr(found, "values", found)).astype(float)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{where}: panels[{name!r}] must have shape (T, S), a row for each lag, got {values.shape}")
    if not ((values >= 0) & (values < np.inf)).all():
        raise ValueError(f"{where}: panels[{name!r}] must be finite and at least 0, got {values.min():g}")
    return values


def _draw(figure: Figure, panels: Mapping[str, np.ndarray], title: str) -> None:
    """Draw all values of each lag as a band, with the largest and the median as lines."""
    from .pictures import BLUE, GREY, RED, legend_below

    figure.set_size_inches(4.2 * len(panels) + 0.8, 3.6)
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for panel, (name, values) in zip(axes, panels.items(), strict=True):
        lags, largest = np.arange(1, len(values) + 1), values[:, 0]
        shown = np.where((values > SMALLEST * largest[:, None]) & (values > 0), values, np.nan)
        panel.plot(lags, shown[:, 1:], color=GREY, linewidth=0.6, alpha=0.5)
        panel.plot(lags, shown[:, 0], color=RED, label="largest")
        panel.plot(lags, shown[:, (values.shape[1] - 1) // 2], color=BLUE, linestyle="--", label="median")
        panel.axhline(1, color="black", linewidth=1)
        panel.set_yscale("log")
        panel.set_title(name, parse_math=False)
        panel.set_xlabel("lag T − t")
    axes[0].set_ylabel("singular values of ∂s_T/∂s_t", parse_math=False)
    legend_below(figure, axes[0])
    if title:
        figure.suptitle(printable(title), parse_math=False)
