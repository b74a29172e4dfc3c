"""Verdicts, differences and transfers as HTML, for a page of `rnn_core.showing.page`."""

from __future__ import annotations

from rnn_core.showing import page as html
from rnn_core.showing.page import Markup

from ..comparing.verdicts import NEGATIVE, POSITIVE, WORSE, Difference
from ..parameters.report import TransferReport

MARKS = {
    **dict.fromkeys(("passed", POSITIVE, "better"), "good"),
    **dict.fromkeys(("FAILED", NEGATIVE, WORSE, "worse", "not reached"), "bad"),
}
"""How a verdict is coloured, any other like "inconclusive"; the word itself says it too."""

QUICK = "A quick run, whose numbers mean nothing:"
"""What stands before each number that a quick run shows in large letters."""


def badge(verdict: str) -> Markup:
    """Return a verdict with its colour."""
    return html.badge(verdict, MARKS.get(verdict, "open"))


def interval(difference: Difference, digits: int, unit: str) -> str:
    """Return a difference with its interval."""
    return f"{difference.said(digits)} {unit}".replace("-", "−")


def reasoned(difference: Difference, digits: int, unit: str) -> str:
    """Return a difference with its interval, or with the reason why it has none."""
    return interval(difference, digits, unit) + (f"; {difference.note}" if difference.note else "")


def gain(difference: Difference, digits: int, unit: str) -> Markup:
    """Return a difference for a table, below it the reason why it has no interval."""
    note = f'<br><span class="open">{html.text(difference.note)}</span>' if difference.note else ""
    return Markup(html.text(interval(difference, digits, unit)) + note)


def copied(report: TransferReport) -> Markup:
    """Return what a transfer did to every parameter, as a table."""
    looked = any(row.unchanged is not None for row in report.rows)
    rows = []
    for row in report.rows:
        cells: list[object] = [
            html.code(row.name),
            ": ".join(filter(None, (row.status, row.note))),
            f"{row.numbers:,}",
            f"{row.taken:,}",
            "frozen" if row.frozen else "trains",
        ]
        rows.append(cells + ["unchanged" if row.unchanged else "changed"] if looked else cells)
    headings = ["parameter", "what happened", "numbers", "from the source", ""]
    return html.table(headings + ["after training"] if looked else headings, rows, numbers=(2, 3))
