"""The report: what came out, told in order, with its pictures and tables."""

from __future__ import annotations

import json
from typing import Any

from rnn_core.showing import page as html
from rnn_core.showing.pictures import png
from rnn_core.showing.surroundings import machine, versions

from ..comparing.comparison import Comparison
from ..comparing.verdicts import INCONCLUSIVE, NEGATIVE, POSITIVE, WORSE, Difference
from ..showing import judged
from . import figures
from .outcome import PROTOCOL, Outcome

TITLE = "Recurrent networks, checked and transferred"


def pictures(outcome: Outcome) -> dict[str, bytes]:
    """Return every picture by its file name."""
    digits, text = outcome.digits, outcome.characters
    shots = ["1 shot" if size == 1 else f"{size} shots" for size in digits.sizes]
    sizes = [f"{size:,} characters" for size in text.sizes]
    others = [arm.name for arm in digits.arms if arm.name != "scratch"]
    both = ("fine-tuned", "scratch")
    untouched = (outcome.untouched_on_validation, "source model, untouched")
    return {
        "digits-differences.png": png(
            figures.differences, digits, others, "points of accuracy", "shots: images of each new digit"
        ),
        "digits-curves.png": png(
            figures.learning_curves, digits, both, "accuracy", shots, "accuracy in %, test images"
        ),
        "characters-curves.png": png(
            figures.learning_curves, text, both, "bits", sizes, "bits a character, validation text", untouched
        ),
        "characters-data.png": png(figures.data_needed, text, outcome.untouched, outcome.across[0], outcome.worth),
        "fading-gradient.png": png(figures.fading_gradient, outcome.norms),
        "hidden-states.png": png(figures.state_map, outcome.states, outcome.states_text),
    }


def page(outcome: Outcome, images: dict[str, bytes]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    outcome : Outcome
    images : dict of str to bytes
        From `pictures`.
    """
    worst = max(report.worst.error for _, report in outcome.gradients)
    first, last = outcome.digits.sizes[0], outcome.digits.sizes[-1]
    low, high = (outcome.digits.difference("fine-tuned", size) for size in (first, last))
    small, large = outcome.across
    factor = f"> {large / small:.0f} ×" if outcome.worth is None else f"{outcome.worth / small:.1f} ×"
    cards = [
        (f"{worst:.0e}", "is the largest relative error of any gradient against the complex step"),
        (f"{low.mean:+.1f} points", f"from fine-tuning with {first} image of each new digit: {_verdict(low)}"),
        (f"{high.mean:+.1f} points", f"with {last} images of each: {_verdict(high)}"),
        (
            f"{factor} the text",
            f"is what a fresh language model needs ({outcome.worth_in_words} characters) to be as good as one "
            f"fine-tuned on {small:,}",
        ),
    ]
    if outcome.settings.quick:
        cards = [cards[0], *((large, f"{judged.QUICK} {small}") for large, small in cards[1:])]
    intro = [html.cards(cards)]
    if outcome.settings.quick:
        warning = "A quick run, to see that everything works. Its numbers mean nothing."
        intro.insert(0, html.paragraph(warning, "warning"))
    return html.page(
        TITLE,
        "Every gradient written by hand and checked; two tasks learned; what was learned carried over to two others, "
        "with a verdict that may also be no.",
        intro,
        [
            ("What may be said", _findings(outcome)),
            ("Gradients", _gradients(outcome)),
            ("Digits", _digits(outcome, images)),
            ("Characters", _characters(outcome, images)),
            ("Inside", _inside(images)),
            ("Protocol", _protocol(outcome)),
        ],
        f"rnn_core {versions()['rnn_core']}, rnn-core demo. Every score of every seed is in results.json.",
    )


def _findings(outcome: Outcome) -> list[str]:
    rows = [(f.statement, f.evidence, judged.badge(f.verdict)) for f in outcome.findings()]
    return [
        html.table(("claim", "numbers", "verdict"), rows),
        html.paragraph(
            f"± is a 95 % interval over seeds. The verdict is {POSITIVE} where the whole interval is above zero, "
            f"{NEGATIVE} where it is below ({WORSE} for a control), and otherwise {INCONCLUSIVE}: nobody can tell from "
            "these runs."
        ),
    ]


def _gradients(outcome: Outcome) -> list[str]:
    rows = [
        (
            case.cell,
            case.option,
            f"{report.size:,}",
            f"{report.worst.error:.1e}",
            f"∂{report.worst.upstream}/∂{report.worst.name}",
            judged.badge("passed" if report.passed else "FAILED"),
        )
        for case, report in outcome.gradients
    ]
    return [
        html.paragraph(
            "Each element of each hand-written gradient, beside the derivative that the forward equations give on "
            "complex numbers. The error is relative to the element itself or, where terms cancel, to the largest "
            "element of the same row and time step."
        ),
        html.table(("cell", "layer", "elements", "largest error", "where", ""), rows, numbers=(2, 3)),
    ]


def _digits(outcome: Outcome, images: dict[str, bytes]) -> list[str]:
    return [
        html.paragraph(
            "An LSTM reads 8 × 8 images of handwritten digits row by row. It has learned 0–4; now it gets a few images "
            "of each of 5–9. Arms differ only in how they begin and in what may move."
        ),
        html.picture(
            images["digits-differences.png"],
            "Paired differences in accuracy from training from scratch, by number of shots",
            "Each arm against training from scratch, with 95 % intervals. Above the line the transfer helps, below it "
            "hurts. A random core that stays frozen, and a source trained on shuffled labels, are controls.",
        ),
        _verdicts(outcome.digits, 1, "points"),
        html.picture(
            images["digits-curves.png"],
            "Accuracy on the test images against updates, fine-tuned and from scratch",
            "Learning curves, mean and 95 % band over seeds. They are for the eye: no parameters are chosen by them.",
        ),
        html.Markup("<h3>What was copied</h3>"),
        html.paragraph("The core alone. Trained with it frozen, the checksums of what was copied have not moved."),
        judged.copied(outcome.digits_copy),
    ]


def _characters(outcome: Outcome, images: dict[str, bytes]) -> list[str]:
    small, large = outcome.across
    return [
        html.paragraph(
            f"An LSTM has read {outcome.text['source']:,} characters of Python's language reference. It goes on with "
            "docstrings of the standard library, which are new to it; a fresh model reads the same."
        ),
        html.picture(
            images["characters-data.png"],
            "Bits a character on the test text against characters trained on",
            f"Fine-tuning on {small:,} characters against scratch on {large:,}: "
            f"{judged.interval(outcome.saving, 3, 'bits better')}. A fresh model needs {outcome.worth_in_words} "
            f"characters to be as good as the one fine-tuned on {small:,}.",
        ),
        _verdicts(outcome.characters, 3, "bits"),
        html.paragraph(
            f"For scale: the characters' frequencies alone give {outcome.unigram:.2f} bits, and the source model, "
            f"untouched, {outcome.untouched:.2f}."
        ),
        html.picture(
            images["characters-curves.png"],
            "Bits a character on the validation text against updates",
            "Learning curves, mean and 95 % band over seeds. Each model keeps the epoch that is best here; that is why "
            "it does not matter that fine-tuning soon begins to overfit.",
        ),
        html.Markup("<h3>What was copied</h3>"),
        html.paragraph("Everything; what belongs to a character went to that character, whatever its number."),
        judged.copied(outcome.characters_copy),
    ]


def _inside(images: dict[str, bytes]) -> list[str]:
    return [
        html.picture(
            images["fading-gradient.png"],
            "Norm of the gradient with respect to the hidden state against time",
            "How much of a gradient reaches step t when the loss sees the last step alone. In fresh layers it fades "
            "exponentially, gates or no gates; open the gate that keeps the state (a bias of 4), and it arrives. The "
            "LSTM that was trained on text has learned to open some of its gates.",
        ),
        html.picture(
            images["hidden-states.png"],
            "Heat map of hidden units over a text",
            "Hidden units of the fine-tuned model while it reads a docstring of the test text. Those at the top change "
            "slowly, over words and lines; those at the bottom follow the letters.",
        ),
    ]


def _protocol(outcome: Outcome) -> list[str]:
    settings = json.loads(json.dumps(outcome.as_dict()["settings"]))
    rows = [
        (part, name, ", ".join(map(str, value)) if isinstance(value, list) else value)
        for part, values in settings.items()
        if isinstance(values, dict)
        for name, value in values.items()
    ]
    facts: list[tuple[Any, Any]] = [*machine().items(), ("workers", outcome.workers), *versions().items()]
    times = [(part, f"{seconds:.1f}") for part, seconds in outcome.seconds.items()]
    times.append(("together", f"{sum(outcome.seconds.values()):.1f}"))
    return [
        html.table(("part", "how"), PROTOCOL.items()),
        html.Markup("<h3>Settings</h3>"),
        html.table(("part", "setting", "value"), rows),
        html.Markup("<h3>Machine and versions</h3>"),
        html.table(("", ""), facts),
        html.Markup("<h3>Durations</h3>"),
        html.table(("part", "seconds"), times, numbers=(1,)),
    ]


def _verdict(difference: Difference) -> str:
    return difference.verdict + (f" ({difference.note})" if difference.note else "")


def _verdicts(comparison: Comparison, digits: int, unit: str) -> html.Markup:
    rows: list[tuple[object, ...]] = []
    for size in comparison.sizes:
        for k, arm in enumerate(comparison.arms):
            score = f"{comparison.scores(arm.name, size).mean():.{digits}f}"
            label = "" if k else f"{size:,}"
            if arm.name == "scratch":
                rows.append((label, arm.name, score, "", ""))
            else:
                difference = comparison.difference(arm.name, size)
                gain = judged.gain(difference, digits, unit)
                rows.append((label, arm.name, score, gain, judged.badge(difference.verdict)))
    return html.table(("size", "arm", comparison.metric, "better than scratch by", "verdict"), rows, numbers=(0, 2, 3))
