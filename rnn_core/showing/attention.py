"""Attention as a picture: what each step of what is written looked at, in what is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.checks import as_array
from ..layers.home import to_host
from ..written import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LABELS = 60
"""Of more steps only every second, third, … has its label written beside it."""

END = "end"
"""What stands at the last step, where one more is written than there are tokens."""


def attention_picture(
    weights: Any, *, read: Iterable[Any] | None = None, written: Iterable[Any] | None = None, title: str = ""
) -> bytes:
    """Return a picture of attention's weights, as PNG.

    Parameters
    ----------
    weights : array, shape (Ty, Tx)
        A row for each step, such as the `weights` of a `Hypothesis`; each number from 0 to 1.
    read : iterable, optional
        What each column stands for: Tx tokens. Numbers from 0 without it.
    written : iterable, optional
        What each row stands for: Ty tokens, or Ty − 1, after which the last row is the end.
    title : str

    Returns
    -------
    png : bytes
        What is read runs to the right, what is written downwards; the darker, the more it was looked at.

    Raises
    ------
    ValueError
        The weights have another shape or are no weights, or the labels are not as many.
    TypeError
        The weights are no numbers.
    RuntimeError
        matplotlib is missing.
    """
    where = "attention_picture"
    weights = as_array(where, "weights", to_host(weights))
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(
            f"{where}: weights must have shape (Ty, Tx), a row for each step that is written, got {weights.shape}"
        )
    if not ((weights >= 0) & (weights <= 1 + 1e-6)).all():
        raise ValueError(f"{where}: weights must be from 0 to 1, got {weights.min():g} to {weights.max():g}")
    Ty, Tx = weights.shape
    columns = _labels(where, "read", read, (Tx,))
    rows = _labels(where, "written", written, (Ty, Ty - 1))
    rows += [END] * (Ty - len(rows))
    try:
        from .pictures import png

        return png(_draw, weights.astype(float), columns, rows, title)
    except ImportError as error:
        raise RuntimeError(
            f"{where}: matplotlib must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
        ) from error


def draw_attention(figure: Figure, weights: np.ndarray, read: Sequence[str], written: Sequence[str]) -> None:
    """Draw weights (Ty, Tx) into a figure of matplotlib, as `attention_picture` does; errors are its own."""
    Ty, Tx = weights.shape
    columns, rows = (_labels("draw_attention", *side) for side in (("read", read, (Tx,)), ("written", written, (Ty,))))
    _draw(figure, weights.astype(float), columns, rows, "")


def _labels(where: str, name: str, given: Iterable[Any] | None, counts: tuple[int, ...]) -> list[str]:
    """Return a label for each step, blanks made visible."""
    if given is None:
        return [str(k) for k in range(counts[0])]
    words = [printable(str(label)) for label in given]
    if len(words) not in counts:
        raise ValueError(f"{where}: {name} must be {' or '.join(map(str, counts))} labels, got {len(words)}")
    return [{" ": "·", "": "·", "\n": "↵", "\t": "→"}.get(word, word) for word in words]


def _draw(figure: Figure, weights: np.ndarray, columns: Sequence[str], rows: Sequence[str], title: str) -> None:
    """Draw a square for each weight."""
    from .pictures import families

    Ty, Tx = weights.shape
    wide, high = (min(0.3 * n, 0.2 * MOST_LABELS) for n in (Tx, Ty))
    longest = [max(map(len, words)) for words in (columns, rows)]
    figure.set_size_inches(max(wide + 0.09 * longest[1] + 1.6, 3.2), max(high + 0.09 * longest[0] + 1.0, 2.2))
    axes = figure.subplots()
    image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="equal" if max(Tx, Ty) <= MOST_LABELS else "auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    fonts = families([*columns, *rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for axis, n, words in ((axes.xaxis, Tx, columns), (axes.yaxis, Ty, rows)):
        every = -(-n // MOST_LABELS)
        axis.set_ticks(np.arange(0, n, every), list(words[::every]), fontfamily=fonts, parse_math=False)
    if longest[0] > 2:  # letters stand upright, words would run into one another
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="left", rotation_mode="anchor")
    axes.set_xticks(np.arange(-0.5, Tx), minor=True)
    axes.set_yticks(np.arange(-0.5, Ty), minor=True)
    if max(Tx, Ty) <= MOST_LABELS:
        axes.grid(which="minor", color="#e4e4e4", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("read")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("written")
    figure.colorbar(image, ax=axes, shrink=0.8, label="weight")
    if title:
        figure.suptitle(printable(title), parse_math=False)
