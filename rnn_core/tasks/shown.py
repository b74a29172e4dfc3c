"""What reports of several tasks show: confusion matrices, numbers against numbers, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..scores import f1, precisions, recalls
from ..training import History
from ..written import printable
from .task import Exhibit, Picture, Table

MOST_CLASSES = 40
"""Of a confusion matrix that is drawn: more would be no picture."""

MOST_NAMED = 24
"""Letters of a class's name beside it."""


def confusion_exhibits(matrix: np.ndarray, classes: Sequence[str]) -> list[Exhibit]:
    """Return a confusion matrix as a picture, and what it says of each class as a table.

    Parameters
    ----------
    matrix : ndarray of int, shape (K, K)
        From `rnn_core.scores.confusion`.
    classes : sequence of str
    """
    count = matrix.sum(axis=1)
    rows = [
        (name, f"{n:,}", _percent(recall), _percent(precision), _percent(score))
        for name, n, recall, precision, score in zip(
            classes, count, recalls(matrix), precisions(matrix), f1(matrix), strict=True
        )
    ]
    table = Exhibit(
        "Class by class",
        Table(("class", "examples", "told right, %", "right when said, %", "F1, %"), rows, (1, 2, 3, 4)),
        "A dash stands where there is none of a class, or it was never said.",
    )
    if len(classes) > MOST_CLASSES:
        return [table]
    picture = Picture("confusion", lambda figure: draw_confusion(figure, matrix, classes), "the confusion matrix")
    caption = (
        "Each row is a class, and where its examples went: the number of them, and by the colour their share of the "
        "row. All is right where the diagonal alone is dark."
    )
    return [Exhibit("Confusion matrix", picture, caption), table]


def draw_confusion(figure: Any, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a confusion matrix."""
    K = len(classes)
    size = min(max(3.2, 0.42 * K + 1.2), 12)
    longest = max(len(_short(name)) for name in classes)
    figure.set_size_inches(size + 0.085 * longest + 0.9, size + 0.06 * longest)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_short(name) for name in classes]
    upright = longest * K > 40
    axes.set_xticks(range(K), names, rotation=90 if upright else 0)
    axes.set_yticks(range(K), names)
    axes.set_xlabel("said")
    axes.set_ylabel("right")
    axes.grid(False)
    if K <= MOST_CLASSES // 2:
        for k in range(K):
            for j in range(K):
                if matrix[k, j]:
                    colour = "white" if shares[k, j] > 0.55 else "black"
                    axes.text(j, k, f"{matrix[k, j]:,}", ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)


def scatter_exhibit(targets: np.ndarray, said: np.ndarray) -> Exhibit:
    """Return a picture of numbers that were said against those that are."""

    def draw(figure: Any) -> None:
        from ..showing.pictures import BLUE, GREY

        figure.set_size_inches(5.2, 4.8)
        axes = figure.subplots()
        ends = float(min(targets.min(), said.min())), float(max(targets.max(), said.max()))
        axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
        axes.plot(targets, said, linestyle="none", marker="o", markersize=4, alpha=0.5, color=BLUE)
        axes.set_xlabel("right")
        axes.set_ylabel("said")

    caption = "A point an example; on the line what is said is what is."
    return Exhibit("Numbers, said and true", Picture("numbers", draw, "numbers said against true ones"), caption)


def curves_exhibit(history: History) -> Exhibit:
    """Return the learning curves of a run as a picture."""

    def draw(figure: Any) -> None:
        from ..showing.pictures import BLUE, GREEN, ORANGE, legend_below

        epochs = history.column("epoch")
        share = history.column("validation_accuracy")
        told = [value for value in share if value is not None]
        figure.set_size_inches(9.2 if told else 6.4, 3.6)
        panels = np.atleast_1d(figure.subplots(1, 2 if told else 1))
        mark = "o" if len(epochs) < 30 else ""
        panels[0].plot(epochs, history.column("loss"), color=BLUE, marker=mark, label="training")
        losses = history.column("validation_loss")
        if losses[0] is not None:
            panels[0].plot(epochs, losses, color=ORANGE, marker=mark, linestyle="--", label="validation")
        panels[0].set_ylabel("loss")
        if told:
            panels[1].plot(epochs, [100 * value for value in told], color=GREEN, marker=mark, label="validation")
            panels[1].set_ylabel("told right, %")
        for panel in panels:
            panel.set_xlabel("epoch")
            panel.locator_params(axis="x", integer=True)
            if history.best is not None:
                panel.axvline(history.best.epoch, color="black", linewidth=0.8, linestyle=":")
        if history.best is not None:
            panels[0].plot([], [], color="black", linewidth=0.8, linestyle=":", label="the epoch that is kept")
        legend_below(figure, panels[0])

    caption = (
        "The training loss is the mean over an epoch, each batch seen by the network of its own step: it lags behind."
    )
    return Exhibit("Learning curves", Picture("curves", draw, "loss by epoch"), caption)


def _short(name: str) -> str:
    name = printable(name, keep="")
    return name if len(name) <= MOST_NAMED else name[: MOST_NAMED - 1] + "…"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}"
