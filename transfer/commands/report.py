"""The report of `rnn-core transfer`: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from rnn_core.commands.training.report import shown
from rnn_core.showing import page as html
from rnn_core.showing.pictures import png, undrawable
from rnn_core.showing.surroundings import machine, versions
from rnn_core.tasks.task import Exhibit, Picture

from ..comparing.arms import BASELINE
from ..comparing.verdicts import NEGATIVE, POSITIVE
from ..methods.catalogue import METHODS
from ..showing import judged
from ..showing.pictures import gains
from ..showing.saliency_figure import saliency_picture
from .outcome import AGAINST, Outcome

MOST_CLASSES = 50
"""Of more only the first are listed."""

LONGEST = 24
"""Characters of a token that stand beside the picture; the rest is left out."""


def pictures(outcome: Outcome) -> dict[str, bytes]:
    """Return every picture by its file name."""
    comparison, images = outcome.comparison, {}
    methods, controls = (
        [arm.name for arm in outcome.ordered if arm in arms] for arms in (outcome.carrying, outcome.controls)
    )
    if methods or controls:
        titles = [outcome.amount(size) for size in comparison.sizes]
        xlabel = f"gain over scratch ({outcome.unit})"
        images["differences.png"] = png(gains, comparison, methods, controls, xlabel, titles)
    if outcome.saliency:
        labels = [label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…" for label in outcome.saliency_labels]
        for step in undrawable(labels):
            labels[step] = f"step {step}"
        images["saliency.png"] = saliency_picture(outcome.saliency, labels=labels)
    images |= {f"{one.what.name}.png": png(one.what.draw) for one in outcome.exhibits if isinstance(one.what, Picture)}
    return images


def page(outcome: Outcome, images: Mapping[str, bytes]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    outcome : Outcome
    images : mapping of str to bytes
        From `pictures`.
    """
    verdict = outcome.verdict
    colour = {POSITIVE: "good", NEGATIVE: "bad"}.get(verdict.word, "open")
    intro: list[str] = []
    if outcome.doubt:
        intro.append(html.paragraph(outcome.doubt, "lead"))
    if outcome.alarms:
        intro.append(html.paragraph(_alarm(outcome), "warning"))
    intro.append(html.cards(_cards(outcome)))
    if outcome.notes:
        intro.append(html.bullets(outcome.notes))
    role = "source model" if "source model" in outcome.files else "source"
    source, target = (str(PurePath(*PurePath(outcome.files[name]).parts[-2:])) for name in (role, "target"))
    return html.page(
        f"From {source} to {target}",
        html.Markup(f'<strong class="{colour}">{html.text(verdict.statement)}</strong>'),
        intro,
        [
            ("Every method", _differences(outcome, images)),
            ("Controls", _controls(outcome)),
            ("Data", _data(outcome)),
            ("What was copied", _copied(outcome)),
            *([("Hints", _hints(outcome))] if outcome.hints or not outcome.per_cent else []),
            *([("What it looks at", _saliency(outcome, images))] if outcome.saliency or not outcome.per_cent else []),
            ("The saved network", _saved(outcome)),
            *((exhibit.heading, _exhibit(exhibit, images)) for exhibit in outcome.exhibits),
            ("Methods", _methods(outcome)),
            ("Protocol", _protocol(outcome)),
        ],
        f"rnn_core {versions()['rnn_core']}. Every score of every seed is in results.json.",
    )


def _alarm(outcome: Outcome) -> html.Markup:
    found = "; ".join(f"{d.arm} with {outcome.amount(d.size)} ({outcome.gained(d)})" for d in outcome.alarms)
    return html.Markup(
        f"{judged.badge(NEGATIVE)} Worse than learning from scratch: {html.text(found)}. "
        f"Mind that {html.text(outcome.comparison.caution)}."
    )


def _cards(outcome: Outcome) -> list[tuple[str, str]]:
    """Return, for each size, what the verdict's method gains and how many others do."""
    comparison, name, cards = outcome.comparison, outcome.verdict.method, []
    carrying = [arm.name for arm in outcome.carrying]
    for size in comparison.sizes if name else ():
        own = comparison.difference(name, size)
        verdicts = [comparison.difference(arm, size).verdict for arm in carrying]
        score = outcome.scored(comparison.scores(name, size).mean()).replace(" ", "\u00a0")
        note = f" ({own.note})" if own.note else ""
        small = f"{name} with {outcome.amount(size)}: {score}, {own.verdict}{note}."
        if len(carrying) > 1:
            better, worse = verdicts.count(POSITIVE), verdicts.count(NEGATIVE)
            small += f" Of {len(carrying)} methods {better} do better than scratch, {worse} worse."
        large = judged.interval(own, outcome.digits, outcome.unit)
        cards.append((large, f"{judged.QUICK} {small}" if outcome.quick else small))
    return cards


def _differences(outcome: Outcome, images: Mapping[str, bytes]) -> list[str]:
    comparison = outcome.comparison
    parts: list[str] = []
    if "differences.png" in images:
        parts.append(
            html.picture(
                images["differences.png"],
                "Each method's paired difference from training from scratch with its interval, by number of examples",
                f"What each method gains over training from scratch, by the mean over {_seeds(outcome)} and its 95 % "
                "interval. Right of the line the transfer helps, left of it hurts. Each panel has a scale of its own; "
                "an arrow marks an interval that goes on. The order is that of the mean gain at the largest size; "
                "controls, in grey, stand for themselves. Of many methods the first looks better than it is.",
            )
        )
    for size in comparison.sizes:
        parts += [html.Markup(f"<h3>With {html.text(outcome.amount(size))}</h3>"), _table(outcome, size)]
    parts.append(html.paragraph(f"Note that {comparison.caution}."))
    return parts


def _table(outcome: Outcome, size: int) -> html.Markup:
    comparison, controls = outcome.comparison, {arm.name for arm in outcome.controls}
    rows: list[tuple[object, ...]] = []
    for arm in outcome.ordered:
        name = f"control: {arm.name}" if arm.name in controls else arm.name
        score = f"{comparison.scores(arm.name, size).mean():.{outcome.digits}f}"
        if arm.name == BASELINE:
            rows.append((f"{name} (the baseline)", score, "", ""))
        else:
            found = comparison.difference(arm.name, size)
            rows.append((name, score, judged.gain(found, outcome.digits, outcome.unit), judged.badge(found.verdict)))
    headings = ("method", comparison.metric, "better than scratch by", "verdict")
    return html.table(headings, rows, numbers=(1, 2))


def _controls(outcome: Outcome) -> list[str]:
    found = outcome.beside_controls
    if not found:
        return [html.paragraph("No control was compared: whether it is the source's task that helps, nobody can tell.")]
    name, rows = outcome.verdict.method, []
    for arm in outcome.controls:
        cells: list[object] = [arm.name, METHODS.get(arm.name, "").removeprefix("control: ")]
        for d in found:
            if d.against == arm.name:
                gain = judged.gain(d, outcome.digits, outcome.unit)
                cells.append(html.Markup(f"{gain}<br>{judged.badge(AGAINST[d.verdict])}"))
        rows.append(cells)
    sizes = outcome.comparison.sizes
    headings = ("control", "what it is", *map(outcome.amount, sizes))
    return [
        html.paragraph(
            f"Is it what the source taught? A control lacks just that. How much better {name} is than each of them; "
            "where it is not, it may help for another reason."
        ),
        html.table(headings, rows, numbers=range(2, 2 + len(sizes))),
    ]


def _data(outcome: Outcome) -> list[str]:
    sides = {name: side for name, side in outcome.sides.items() if name != "vectors"}
    facts = dict.fromkeys(fact for side in sides.values() for fact in side if fact != "classes")
    rows = [(fact, *(_said(fact, side.get(fact)) for side in sides.values())) for fact in facts]
    files = [(role, html.code(path)) for role, path in outcome.files.items()]
    parts: list[str] = [
        html.paragraph(f"Read as {outcome.kind}."),
        html.table(("", "file"), files),
        html.table(("", *sides), rows, numbers=range(1, len(sides) + 1)),
    ]
    if vectors := outcome.sides.get("vectors"):
        found = [(fact, _said(fact, value)) for fact, value in vectors.items()]
        parts += [html.Markup("<h3>Word vectors</h3>"), html.table(("", ""), found)]
    counts = {name: side.get("classes") or {} for name, side in sides.items()}
    classes = dict.fromkeys(label for side in counts.values() for label in side)
    rows = [
        (label, *(f"{side[label]:,}" if label in side else "–" for side in counts.values()))
        for label in list(classes)[:MOST_CLASSES]
    ]
    if rows:
        parts += [html.Markup("<h3>Classes</h3>"), html.table(("examples of", *sides), rows, range(1, len(sides) + 1))]
    if len(classes) > MOST_CLASSES:
        parts.append(html.paragraph(f"The other {len(classes) - MOST_CLASSES:,} are in results.json."))
    return parts


def _copied(outcome: Outcome) -> list[str]:
    report = outcome.copied
    said = (
        f"Of the fresh network's {report.numbers:,} numbers, {report.taken:,} come from the source "
        f"({', '.join(outcome.comparison.core)}), by the first seed's copy."
    )
    unused = f"Left behind in the source: {', '.join(report.unused)}." if report.unused else ""
    return [html.paragraph(said), judged.copied(report), *([html.paragraph(unused)] if unused else [])]


def _hints(outcome: Outcome) -> list[str]:
    if not outcome.hints:
        return [html.paragraph("None were computed.")]
    rows = [(name, f"{value:.3f}".replace("-", "−")) for name, value in outcome.hints.items()]
    return [
        html.paragraph(
            "Numbers that are computed before any training on the target. They are hints, not verdicts: larger means "
            "that the target's classes are easier to read off what the source makes of the examples. A number of the "
            "source says little until that of a fresh core stands beside it; different scores can't be compared."
        ),
        html.table(("hint", ""), rows, numbers=(1,)),
    ]


def _saliency(outcome: Outcome, images: Mapping[str, bytes]) -> list[str]:
    if "saliency.png" not in images:
        return [html.paragraph("No example was looked into.")]
    labels = outcome.saliency_labels
    foreign = ", ".join(f"step {step} is {labels[step]}" for step in undrawable(labels))
    return [
        html.picture(
            images["saliency.png"],
            "How much each step of a test example had to do with a logit, before and after transfer",
            "One test example, read from top to bottom: orange steps spoke for the class, blue ones against it. One "
            "example shows how to look, and proves nothing."
            + (f" The picture's font lacks letters of some: {foreign}, counted from 0." if foreign else ""),
        )
    ]


def _saved(outcome: Outcome) -> list[str]:
    scores = [(name, f"{score:.{outcome.digits}f}") for name, score in outcome.saved_scores.items()]
    use = "generate model.safetensors --prompt TEXT" if outcome.kind == "language" else "predict model.safetensors FILE"
    return [
        html.paragraph(
            html.Markup(
                f"model.safetensors holds a network of the method <strong>{html.text(outcome.saved)}</strong>, "
                "trained on all of the target's training examples. "
                f"{html.code(f'rnn-core {use}')} uses it."
            )
        ),
        html.table(("data", outcome.comparison.metric), scores, numbers=(1,)),
    ]


def _exhibit(exhibit: Exhibit, images: Mapping[str, bytes]) -> list[str]:
    """Return what the task shows of the saved network's answers to the test."""
    pictures = {name.removesuffix(".png"): image for name, image in images.items()}
    return shown(exhibit, pictures)


def _methods(outcome: Outcome) -> list[str]:
    used = [(arm.name, METHODS.get(arm.name, "")) for arm in outcome.comparison.arms]
    parts: list[str] = [html.table(("method", "what it is"), used)]
    if outcome.unsuited:
        unsuited = [(method.name, method.reason) for method in outcome.unsuited]
        parts += [html.Markup("<h3>Not for these data</h3>"), html.table(("method", "why not"), unsuited)]
    return parts


def _protocol(outcome: Outcome) -> list[str]:
    settings: dict[str, Any] = {
        "sizes": outcome.comparison.sizes,
        "seeds": outcome.comparison.seeds,
        **outcome.network,
        **asdict(outcome.budget),
    }
    facts: list[tuple[Any, Any]] = [*machine().items(), ("workers", outcome.workers), *versions().items()]
    seconds = {**outcome.seconds, "together": sum(outcome.seconds.values())}
    return [
        html.paragraph(html.code(outcome.command)),
        html.table(("part", "how"), outcome.protocol.items()),
        html.Markup("<h3>Settings</h3>"),
        html.table(
            ("setting", "value"), [(name.replace("_", " "), _said(name, value)) for name, value in settings.items()]
        ),
        html.Markup("<h3>Machine and versions</h3>"),
        html.table(("", ""), facts),
        html.Markup("<h3>Durations</h3>"),
        html.table(("part", "seconds"), [(part, f"{spent:.1f}") for part, spent in seconds.items()], numbers=(1,)),
    ]


def _said(name: str, value: Any) -> str:
    """Return a fact or a setting for a table."""
    if isinstance(value, dict):
        return ", ".join(f"{part} {_said('', number)}" for part, number in value.items())
    if isinstance(value, bool | None):
        return {None: "–", True: "yes", False: "no"}[value]
    if name == "steps" or (isinstance(value, tuple) and len(value) == 3 and name != "sizes"):
        least, median, most = (f"{number:,g}" for number in value)
        return least if least == most else f"{least} to {most}, median {median}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _seeds(outcome: Outcome) -> str:
    count = len(outcome.comparison.seeds)
    return "one seed" if count == 1 else f"{count} seeds"
