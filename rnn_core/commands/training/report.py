"""The report of ``rnn-core train``: one HTML file, its pictures apart as well, and all of it as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ...showing import page as html
from ...showing.surroundings import machine, versions
from ...showing.table import table
from ...tasks.task import Exhibit, Picture, Table
from ...written import json_bytes, printable
from .outcome import Outcome

NO_PICTURES = 'pictures are left out: matplotlib is not installed; pip install "rnn_core[report]"'


def pages(outcome: Outcome) -> dict[str, bytes]:
    """Return report, pictures and results as files by name."""
    images = _drawn(outcome)
    return {
        **{f"{name}.png": image for name, image in images.items()},
        "results.json": json_bytes(outcome.as_dict()),
        "report.html": page(outcome, images).encode("utf-8", "backslashreplace"),
    }


def page(outcome: Outcome, images: Mapping[str, bytes]) -> str:
    """Return the report."""
    main = outcome.main
    best = outcome.history.best
    cards = [] if main is None else [(_number(main[1]), f"{main[0]}, on the {outcome.judged} data")]
    if best is not None:
        cards.append((f"epoch {best.epoch}", f"is kept, the best of {len(outcome.history)}"))
    cards.append((f"{outcome.parameters:,}", "parameters"))
    cards.append((f"{outcome.history.seconds:,.0f} s", "of training"))
    sections = [("Data", _data(outcome))]
    if outcome.scores:
        sections.append(("Scores", [_html_table(scores_cells(outcome.scores))]))
    sections += [(exhibit.heading, shown(exhibit, images)) for exhibit in outcome.exhibits]
    sections += [("Network and training", _network(outcome)), ("Use it", _use(outcome))]
    where = machine()
    return html.page(
        f"rnn-core train {outcome.task}",
        f"A {outcome.network['class']}, trained on {', '.join(outcome.files.values())}",
        [html.cards(cards)],
        sections,
        f"{where['processor']}, {where['processors']} processors; "
        + ", ".join(f"{name} {version}" for name, version in versions().items()),
    )


def facts_cells(sides: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the facts of all sides, a column each."""
    names = list(dict.fromkeys(name for found in sides.values() for name in found))
    rows = [(name, *(_said(found.get(name, "")) for found in sides.values())) for name in names]
    return Table(("", *sides), rows)


def scores_cells(scores: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the scores of all sides, a column each."""
    names = list(dict.fromkeys(name for found in scores.values() for name in found))
    rows = [(name, *(_number(found[name]) if name in found else "" for found in scores.values())) for name in names]
    return Table(("", *scores), rows, tuple(range(1, len(scores) + 1)))


def facts_table(sides: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the facts of all sides as plain text."""
    return _text(facts_cells(sides))


def scores_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return the scores of all sides as plain text."""
    return _text(scores_cells(scores))


def _text(cells: Table) -> str:
    rows = [tuple(map(str, row)) for row in cells.rows]
    return table(tuple(map(str, cells.headings)), rows, right=[cells.headings[k] for k in cells.numbers])


def _html_table(cells: Table) -> html.Markup:
    return html.table(cells.headings, cells.rows, cells.numbers)


def _data(outcome: Outcome) -> list[str]:
    parts: list[str] = [_html_table(facts_cells(outcome.sides))]
    held_out = "validation" in outcome.sides and "validation" not in outcome.files
    if held_out:
        parts.append(html.paragraph("What is validated by was drawn from the data, and is not trained on."))
    if outcome.notes:
        parts.append(html.bullets(outcome.notes))
    return parts


def _network(outcome: Outcome) -> list[str]:
    rows = [(name.replace("_", " "), _said(value)) for name, value in {**outcome.network, **outcome.settings}.items()]
    return [html.table(("", ""), rows), html.paragraph(html.Markup(f"Made by {html.code(outcome.command)}"))]


def _use(outcome: Outcome) -> list[str]:
    commands = [["rnn-core", "evaluate", "model.safetensors", "FILE"]]
    if outcome.task == "language":
        commands.insert(0, ["rnn-core", "generate", "model.safetensors", "--prompt", "TEXT"])
    else:
        commands.insert(0, ["rnn-core", "predict", "model.safetensors", "FILE"])
    return [html.paragraph(html.code(shlex.join(command))) for command in commands]


def shown(exhibit: Exhibit, images: Mapping[str, bytes]) -> list[str]:
    """Return an exhibit as a section of a report; pictures are given by their names."""
    what = exhibit.what
    if isinstance(what, Table):
        return [_html_table(what), html.paragraph(exhibit.caption)]
    if isinstance(what, Picture):
        if what.name not in images:
            return [html.paragraph(NO_PICTURES)]
        return [html.picture(images[what.name], what.alt, exhibit.caption)]
    return [html.verbatim(what.text), html.paragraph(exhibit.caption)]


def _drawn(outcome: Outcome) -> dict[str, bytes]:
    """Return the exhibits' pictures by name; none where nothing here can draw."""
    if find_spec("matplotlib") is None:
        outcome.notes.append(NO_PICTURES)
        return {}
    from ...showing.pictures import png

    return {one.what.name: png(one.what.draw) for one in outcome.exhibits if isinstance(one.what, Picture)}


def _said(value: Any) -> str:
    if isinstance(value, dict):
        few = [_entry(printable(str(name), keep=""), part) for name, part in list(value.items())[:6]]
        return ", ".join(few) + (f" and {len(value) - 6:,} more" if len(value) > 6 else "")
    if isinstance(value, tuple) and len(value) == 3:
        least, middle, most = value
        return f"{least:,} to {most:,}, half at most {middle:,}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _entry(name: str, value: Any) -> str:
    """Return an entry of a dictionary: its name and, if that is short, its value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{name} {value:,}"
    return f"{name} {value}" if isinstance(value, str | float) else name


def _number(value: float) -> str:
    """Return a score: of a share in per cent two places, of others as many as tell."""
    return f"{value:.2f}" if 10 <= abs(value) < 1000 else f"{value:.4g}"
