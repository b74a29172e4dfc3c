"""Saliency as a picture: the same sequence in several networks, before and after transfer, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_core.written import printable

from .saliency import Saliency

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LABELS = 60
"""Of more time steps only every second, third, … has its label written beside it."""


def saliency_picture(
    panels: Mapping[str, Saliency], *, row: int = 0, labels: Iterable[Any] | None = None, title: str = ""
) -> bytes:
    """Return a picture of one sequence's saliency, a panel for each network, as PNG.

    Parameters
    ----------
    panels : mapping of str to Saliency
        By title: ``{"before transfer": …, "after transfer": …}``. Of one method and the same sequence.
    row : int
        Which sequence of the batch.
    labels : iterable, optional
        What stood at each time step, such as a token; beyond the row's length it may go on. Numbers from 0 without it.
    title : str
        What stands above all panels.

    Returns
    -------
    png : bytes
        Time runs downwards. All panels have one scale, so that bars can be compared across them.

    Raises
    ------
    ValueError
        There is no panel or no such row, methods or lengths differ, or there are too few labels.
    TypeError
        An argument is of the wrong type.
    RuntimeError
        matplotlib is missing.
    """
    where = "saliency_picture"
    if not isinstance(panels, Mapping) or not all(isinstance(panel, Saliency) for panel in panels.values()):
        raise TypeError(f"{where}: panels must be a dict of Saliency by title, got {type(panels).__name__}")
    if isinstance(row, bool) or not isinstance(row, int | np.integer):
        raise TypeError(f"{where}: row must be an int, got {row!r}")
    if not panels:
        raise ValueError(f"{where}: panels must be at least one, got none")
    rows = min(len(panel.values) for panel in panels.values())
    if not 0 <= row < rows:
        raise ValueError(f"{where}: row must be in 0…{rows - 1}, got {row}")
    methods = {panel.method: None for panel in panels.values()}
    lengths = {int(panel.lengths[row]): None for panel in panels.values()}
    for name, found in (("methods", methods), ("lengths", lengths)):
        if len(found) > 1:
            raise ValueError(
                f"{where}: panels must be of one sequence and method, got {name} {', '.join(map(str, found))}"
            )
    method, T = next(iter(methods)), next(iter(lengths))
    words = [printable(str(label)) for label in (range(T) if labels is None else labels)]
    if len(words) < T:
        raise ValueError(f"{where}: labels must be at least {T}, one for each time step, got {len(words)}")
    try:
        from rnn_core.showing.pictures import png
    except ImportError as error:
        raise _missing(where, error) from error
    values = {
        printable(f"{name}: logit {panel.logits[row]:+.2f}"): panel.values[row, :T].astype(float)
        for name, panel in panels.items()
    }
    try:
        return png(_draw, values, words[:T], method, labels is None, title)
    except ImportError as error:
        raise _missing(where, error) from error


def _missing(where: str, error: ImportError) -> RuntimeError:
    return RuntimeError(
        f"{where}: matplotlib must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
    )


def _draw(
    figure: Figure, values: Mapping[str, np.ndarray], words: Sequence[str], method: str, numbered: bool, title: str
) -> None:
    """Draw a bar for each time step: orange where it spoke for the logit, blue where it spoke against it."""
    from rnn_core.showing.pictures import BLUE, LABELS, RED

    T, longest = len(words), max(map(len, words))
    every = -(-T // MOST_LABELS)
    width = 3.4 * len(values) + 0.09 * longest + 1
    figure.set_size_inches(width, min(0.24 * T, 0.17 * MOST_LABELS) + 1.5)
    axes = np.atleast_1d(figure.subplots(1, len(values), sharex=True, sharey=True))
    for panel, (name, numbers) in zip(axes, values.items(), strict=True):
        panel.barh(np.arange(T), numbers, height=0.8, color=np.where(numbers < 0, BLUE, RED))
        panel.axvline(0, color="black", linewidth=1)
        panel.set_title(name, parse_math=False)
        panel.set_xlabel(method)
        panel.grid(axis="y", visible=False)
        panel.tick_params(axis="y", length=0)
        panel.locator_params(axis="x", nbins=5)
    shown = [{" ": "·", "\n": "↵", "\t": "→"}.get(word, word) for word in words]
    axes[0].set_yticks(np.arange(0, T, every), shown[::every], fontfamily=LABELS, parse_math=False)
    axes[0].set_ylim(T - 0.4, -0.6)
    axes[0].set_ylabel("time step" if numbered else "")
    if title:
        figure.suptitle(printable(title), parse_math=False)
