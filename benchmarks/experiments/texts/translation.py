"""Django's messages, English to German: learned from few of them, with a Dutch catalogue before; beside baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from rnn_core import Seq2Seq
from rnn_core.data import Tokenizer
from rnn_core.scores import chrf, edit_distance, edit_rate, exact_match
from transfer import Comparison, compare
from transfer.comparing.data_study import Budget
from transfer.spreading.spread import Workers

from ..frame import Claim, Experiment, Outcome, Progress, markdown_table, watched
from ..methods import verdict
from .catalogues import Message, masked, messages, placeholders, unmasked
from .pair_study import PairStudy, Parts, Rows

LONGEST = 60, 80
"""Characters of a message and of its translation, at most."""

NEAR = 0.2
"""Edits a character, up to which a message of the test counts as a near duplicate of one trained on."""

UNKNOWN = "<unknown>"


FULL = Budget(source_updates=600, target_updates=600, source_rate=3e-3, rate=3e-3, core_rate=1.5e-3, clip_norm=1.0)


@dataclass(frozen=True)
class Settings:
    """What is trained, and how long; `most` messages of each part, all of them if it is None."""

    seeds: int = 5
    hidden_size: int = 128
    dropout: float = 0.3
    budget: Budget = FULL
    most: int | None = None


QUICK = Settings(seeds=2, hidden_size=12, budget=replace(FULL, source_updates=10, target_updates=20), most=30)


@dataclass(frozen=True, eq=False)
class Translation(PairStudy):
    """The German catalogue, with the Dutch one's training part before it."""

    tokenizer: Tokenizer
    test: tuple[Message, ...]

    metric = "chrF"

    def said(self, model: Seq2Seq) -> list[str]:
        """Return the translations of the test's messages."""
        found = []
        for message, ids in zip(self.test, self.written(model), strict=True):
            table: dict[str, str] = {}
            masked(message.source, table)
            found.append(unmasked(self.tokenizer.decode(ids), table))
        return found

    def train(self, model: Any, plan: Any, size: int, seed: int) -> list[str]:
        """Train as any study does, and keep the translations beside the score."""
        super().train(model, plan, size, seed)
        return self.said(model)

    def score(self, model: Seq2Seq) -> float:
        return chrf(self.said(model), [message.target for message in self.test])


def study_of(settings: Settings) -> tuple[Translation, list[Message]]:
    """Return the study, and the messages that are trained on."""
    german, dutch = (short(messages(language), settings.most) for language in ("de", "nl"))
    parts = {part: [m for m in german if m.part == part] for part in ("train", "validation", "test")}
    source = [m for m in dutch if m.part == "train"]
    texts = [pair_of(m) for m in (*parts["train"], *source)]
    tokenizer = Tokenizer("char", lower=False, oov=UNKNOWN).fit([text for pair in texts for text in pair])

    def rows(some: Sequence[Message]) -> Rows:
        sources, targets = zip(*map(pair_of, some), strict=True)
        return Rows(tokenizer.encode_all(sources), tokenizer.encode_all(targets))

    target = Parts(*(rows(parts[part]) for part in Parts._fields))
    return Translation(
        settings.budget, rows(source), target, len(tokenizer), settings.hidden_size, settings.dropout, tokenizer,
        tuple(parts["test"]),
    ), parts["train"]  # fmt: skip


def short(found: Sequence[Message], most: int | None) -> list[Message]:
    """Return the messages that are short on both sides; of each part at most so many."""
    kept = [m for m in found if len(m.source) <= LONGEST[0] and len(m.target) <= LONGEST[1]]
    return [m for part in Parts._fields for m in [m for m in kept if m.part == part][:most]]


def pair_of(message: Message) -> tuple[str, str]:
    """Return both sides of a message with signs for its placeholders."""
    table: dict[str, str] = {}
    return masked(message.source, table), masked(message.target, dict(table))


def nearest(message: Message, known: Sequence[Message]) -> tuple[float, Message]:
    """Return the message trained on that is most like another, and how many edits a character they are apart."""

    def apart(other: Message) -> float:
        one, two = message.source.casefold(), other.source.casefold()
        return edit_distance(one, two) / max(len(one), len(two))

    return min(((apart(other), other) for other in known), key=lambda found: found[0])


def facts(said: Sequence[str], test: Sequence[Message], near: Sequence[bool]) -> dict[str, float | None]:
    """Return the scores of some translations: of all, of those with a near duplicate in training, and of the others."""
    wanted = [m.target for m in test]

    def of(which: bool) -> float | None:
        rows = [k for k, is_near in enumerate(near) if is_near == which]
        return chrf([said[k] for k in rows], [wanted[k] for k in rows]) if rows else None

    held = [k for k, m in enumerate(test) if placeholders(m.source)]
    kept = [placeholders(said[k]) == placeholders(test[k].source) for k in held]
    return {
        "chrF": chrf(said, wanted),
        "chrF, near duplicates": of(True),
        "chrF, the others": of(False),
        "exact": exact_match(said, wanted),
        "character error rate": edit_rate(said, wanted),
        "placeholders kept": float(np.mean(kept)) if kept else None,
    }


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Compare the arms, and set the baselines beside them."""
    settings = QUICK if quick else Settings()
    study, known = study_of(settings)
    size = len(known)
    comparison = compare(
        study, sizes=[size], seeds=settings.seeds, arms=study.arms(), workers=workers, **watched(progress)
    )
    found = [nearest(message, known) for message in study.test]
    near = [apart <= NEAR for apart, _ in found]
    rows = {
        "baseline: the source, copied": [facts([m.source for m in study.test], study.test, near)],
        "baseline: what is most like it": [facts([m.target for _, m in found], study.test, near)],
        **{
            arm.name: [facts(run.record, study.test, near) for run in comparison.runs if run.arm == arm.name]
            for arm in comparison.arms
        },
    }
    means = {name: mean_of(several) for name, several in rows.items()}
    protocol = {
        "task": "Django's messages, English to German, character by character; the source is its Dutch catalogue",
        "messages": {part: len(getattr(study.target, part).sources) for part in Parts._fields},
        "source messages": len(study.source.sources),
        "near duplicates in the test part": sum(near),
        "split": "by the message's words, without case, signs and placeholders: the same in both languages",
        "network": f"GRU, {settings.hidden_size} units, both directions, general attention",
        "choice": "each run keeps the best of ten looks at the validation part; the test part is looked at once",
        "decoding": "greedy",
        "budget": asdict(study.budget),
    }
    results = {**without_records(comparison), "scores": rows, "means": means}
    scores = table(means)
    lines = [str(comparison), *(f"{name}: {', '.join(cells)}" for name, *cells in scores[1:])]
    lines.insert(1, f"of each, {', '.join(scores[0][1:])}:")
    return Outcome(
        protocol, results, "\n".join(lines), claims(comparison, means, size), markdown_table(scores[0], scores[1:])
    )


def without_records(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data, without the texts that its runs have kept."""
    found = comparison.as_dict()
    return {**found, "runs": [{k: v for k, v in run.items() if k != "record"} for run in found["runs"]]}


def mean_of(several: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each score over the seeds."""

    def mean(name: str) -> float | None:
        numbers = [number for row in several if (number := row[name]) is not None]
        return float(np.mean(numbers)) if numbers else None

    return {name: mean(name) for name in several[0]}


def table(means: dict[str, dict[str, float | None]]) -> list[list[str]]:
    """Return the scores in words: headings, and a row for each way to translate."""
    headings = list(next(iter(means.values())))
    rows = [
        [name, *("-" if (found := row[score]) is None else f"{found:.3g}" for score in headings)]
        for name, row in means.items()
    ]
    return [["", *headings], *rows]


def claims(comparison: Comparison, means: dict[str, dict[str, float | None]], size: int) -> tuple[Claim, ...]:
    """Return what should come out."""

    def chrf_of(name: str) -> float:
        return float(means[name]["chrF"] or 0)

    best, copied = chrf_of("fine-tuned"), chrf_of("baseline: the source, copied")
    shuffled = chrf_of("pairs shuffled")
    like = chrf_of("baseline: what is most like it")
    return (
        verdict(comparison, "fine-tuned", size, "positive", "a Dutch catalogue helps"),
        Claim("more than Dutch whose pairs are shuffled", best > shuffled, f"{best:.1f} and {shuffled:.1f}"),
        Claim("it is better than the English copied", best > copied, f"{best:.1f} and {copied:.1f}"),
        Claim("it is better than the most similar message's translation", best > like, f"{best:.1f} and {like:.1f}"),
    )


EXPERIMENT = Experiment(
    "translation", "Django's messages, English to German, after Dutch: chrF", run, packages=("django", "sacrebleu")
)
