"""What `rnn-core transfer` has found, and what may be said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from rnn_core.showing.surroundings import machine, versions
from rnn_core.tasks.task import Exhibit
from rnn_core.written import plain

from ..comparing.arms import BASELINE, Arm
from ..comparing.comparison import Comparison, Difference
from ..comparing.data_study import Budget
from ..comparing.verdicts import INCONCLUSIVE, NEGATIVE, POSITIVE, WORSE
from ..methods.catalogue import Unsuited
from ..parameters.report import TransferReport
from ..showing.judged import reasoned
from ..showing.saliency import Saliency


class Verdict(NamedTuple):
    """The answer to the question that was asked.

    Attributes
    ----------
    method : str
        Whose differences it is read from; empty if nothing that carries over was compared.
    word : str
        "positive" if it helps at some size and hurts at none, "NEGATIVE TRANSFER" if it hurts at one, "inconclusive".
    statement : str
        A sentence, with the numbers.
    """

    method: str
    word: str
    statement: str


@dataclass
class Outcome:
    """Everything that the command has found.

    Attributes
    ----------
    command : str
        The words that made it.
    kind : str
        "text", "ids", "series" or "waveforms"; or the task, where it is another than to tell classes.
    files : dict of str to str
        By role ("source", "target", "test", "vectors", "source model") the path as the user gave it.
    sides : dict of str to dict
        The facts of "source", "target" and "test" by name. ``classes`` is a dict of counts by name; ``steps`` are the
        fewest, the median and the most of an example.
    network : dict
    budget : Budget
    comparison : Comparison
    unsuited : tuple of Unsuited
    copied : TransferReport
        Of the first seed's copy.
    hints : dict of str to float
        What h_score, leep and logme say before any training. May be empty; a note then says why.
    saliency : dict of str to Saliency
        Of one test example, "before transfer" and "after transfer". May be empty.
    saliency_labels : list of str
        What stands at its steps.
    saved : str
        The method whose network was saved.
    saved_scores : dict of str to float
        By what they were taken on.
    notes : list of str
        Whatever the reader must know.
    seconds : dict of str to float
        How long each part took.
    workers : int or str
    quick : bool
        Whether its numbers mean nothing.
    per_cent : bool
        Whether sizes are shares of the target's data, and not numbers of its examples.
    exhibits : sequence of Exhibit
        What the task shows of the saved network's answers to the test.
    """

    command: str
    kind: str
    files: dict[str, str]
    sides: dict[str, dict[str, Any]]
    network: dict[str, Any]
    budget: Budget
    comparison: Comparison
    unsuited: tuple[Unsuited, ...]
    copied: TransferReport
    hints: dict[str, float]
    saliency: dict[str, Saliency]
    saliency_labels: list[str]
    saved: str
    saved_scores: dict[str, float]
    notes: list[str]
    seconds: dict[str, float]
    workers: int | str
    quick: bool = False
    per_cent: bool = False
    exhibits: Sequence[Exhibit] = ()

    @property
    def unit(self) -> str:
        """What a difference of two scores is counted in."""
        metric = self.comparison.metric
        return "points" if metric.endswith("in %") else metric

    @property
    def digits(self) -> int:
        """Decimals of a score and of a difference: one where scores are in per cent, else as many as tell."""
        return 1 if self.comparison.metric.endswith("in %") else self.comparison.digits

    def scored(self, score: float) -> str:
        """Return a score of the comparison's metric, for a sentence."""
        return f"{score:.{self.digits}f}" + (" %" if self.comparison.metric.endswith("in %") else "")

    def amount(self, size: int) -> str:
        """Return how much of the target's data a size is."""
        return f"{size} % of the data" if self.per_cent else f"{size:,} example{'s' * (size != 1)}"

    def gained(self, difference: Difference) -> str:
        """Return a difference with its interval, or with the reason why it has none."""
        return reasoned(difference, self.digits, self.unit)

    @property
    def carrying(self) -> tuple[Arm, ...]:
        """The methods that carry over what the source's labels taught."""
        return tuple(arm for arm in self.comparison.arms if arm.carries)

    @property
    def controls(self) -> tuple[Arm, ...]:
        """What is neither such a method nor the baseline: a fresh core, or one whose knowledge was destroyed."""
        carrying = self.carrying
        return tuple(arm for arm in self.comparison.arms if arm.name != BASELINE and arm not in carrying)

    @property
    def verdict(self) -> Verdict:
        """Whether the transfer helps, by the first method of the catalogue that was compared: no look at the scores."""
        if not self.carrying:
            return Verdict("", INCONCLUSIVE, "Nothing that carries over was compared, so there is no verdict.")
        name = self.carrying[0].name
        found = [self.comparison.difference(name, size) for size in self.comparison.sizes]
        by_word = {word: [d for d in found if d.verdict == word] for word in (NEGATIVE, POSITIVE, INCONCLUSIVE)}
        helps, hurts, open_ = (self._places(by_word[word]) for word in (POSITIVE, NEGATIVE, INCONCLUSIVE))
        if hurts:
            statement = f"{NEGATIVE}: {name} hurts {hurts}" + (f"; it helps {helps}" if helps else "")
            word = NEGATIVE
        elif helps:
            statement, word = f"Transfer ({name}) helps {helps}", POSITIVE
        else:
            return Verdict(name, INCONCLUSIVE, f"Whether transfer ({name}) helps, these runs can't tell: {open_}.")
        return Verdict(name, word, statement + (f"; these runs can't tell {open_}" if open_ else "") + ".")

    def _places(self, differences: Sequence[Difference]) -> str:
        """Return sizes with their differences, for a sentence."""
        words = [f"with {self.amount(d.size)} ({self.gained(d)})" for d in differences]
        return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    @property
    def alarms(self) -> tuple[Difference, ...]:
        """Every method and size at which something that carries over did worse than a fresh start."""
        names = {arm.name for arm in self.carrying}
        return tuple(d for d in self.comparison.differences if d.arm in names and d.verdict == NEGATIVE)

    @property
    def beside_controls(self) -> tuple[Difference, ...]:
        """How much better than each control the verdict's method did."""
        name = self.verdict.method
        return tuple(
            self.comparison.difference(name, size, control.name)
            for size in self.comparison.sizes
            for control in self.controls
            if name
        )

    @property
    def doubts(self) -> tuple[Difference, ...]:
        """Controls that the verdict's method did not do better than, where it did better than scratch."""
        return tuple(
            d
            for d in self.beside_controls
            if d.verdict != POSITIVE and self.comparison.difference(d.arm, d.size).verdict == POSITIVE
        )

    @property
    def doubt(self) -> str:
        """What the `doubts` mean for the verdict, in words; empty without any."""
        found = ", ".join(f"{d.against} with {self.amount(d.size)}" for d in self.doubts)
        if not found:
            return ""
        return (
            f"But {self.verdict.method} was not seen to do better than these controls: {found}. It may not be what the "
            "source taught that helps."
        )

    @property
    def protocol(self) -> dict[str, str]:
        """How things were done, in words; the numbers are in the settings."""
        said = PROTOCOL | ({"sizes": SHARES} if self.per_cent else {})
        if "source model" not in self.files:
            return said
        one = "the source is one trained model for all seeds, so intervals say nothing of how source models differ."
        return {**said, "source": one, "seeds": PROTOCOL["seeds"].replace("the source model, ", "")}

    @property
    def ordered(self) -> tuple[Arm, ...]:
        """The arms as they are shown: by mean gain at the largest size, the controls for themselves, scratch last."""
        largest = self.comparison.sizes[-1]

        def gain(arm: Arm) -> float:
            mean = self.comparison.difference(arm.name, largest).mean
            return mean if isfinite(mean) else -np.inf

        baseline = (arm for arm in self.comparison.arms if arm.name == BASELINE)
        groups = (sorted(arms, key=gain, reverse=True) for arms in (self.carrying, self.controls))
        return (*(arm for group in groups for arm in group), *baseline)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON; what is not finite becomes None."""
        found: dict[str, Any] = plain(
            {
                "what": "rnn-core transfer" + (" --quick: the numbers mean nothing" if self.quick else ""),
                "command": self.command,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "verdict": {
                    **self.verdict._asdict(),
                    "alarms": [{"method": d.arm, "size": d.size} for d in self.alarms],
                    "beside controls": [{**asdict(d), "verdict": AGAINST[d.verdict]} for d in self.beside_controls],
                },
                "notes": self.notes,
                "kind": self.kind,
                "files": self.files,
                "sides": self.sides,
                "network": self.network,
                "budget": asdict(self.budget),
                "protocol": self.protocol,
                "comparison": self.comparison.as_dict(),
                "unsuited": {method.name: method.reason for method in self.unsuited},
                "copy": self.copied.as_dict(),
                "hints": self.hints,
                "saliency": {name: asdict(saliency) for name, saliency in self.saliency.items()},
                "saliency labels": self.saliency_labels,
                "saved": {"method": self.saved, "scores": self.saved_scores},
                "machine": {**machine(), "workers": self.workers},
                "versions": versions(),
                "seconds": self.seconds,
            }
        )
        return found


AGAINST = {POSITIVE: "better", INCONCLUSIVE: "no difference seen", NEGATIVE: "worse", WORSE: "worse"}
"""The words for a difference from something else than scratch."""

PROTOCOL = {
    "sizes": "numbers of the target's training examples, drawn at random with each class's share of them and at least "
    "one of it.",
    "seeds": "a seed draws the source model, the fresh target model, the examples and the order of batches; all "
    "methods share them, so differences are paired. The test examples are the same throughout.",
    "budget": "a network makes the same number of updates on the target, whatever the method, with Adam, and keeps its "
    "last parameters; methods that choose a strength, or let networks vote, train several. Classifiers on features are "
    "fitted until they converge.",
    "choices": "nothing is chosen by the test examples, neither the network to save nor the method that the verdict is "
    "about: it is the first in the catalogue's order, whichever did best.",
    "intervals": "95 %, Student's t, of differences paired by seed; each stands for itself. They say how scores vary "
    "with the seed, not how they would with other test examples.",
    "verdicts": "positive where the whole interval is above zero, NEGATIVE TRANSFER where it is below (for a "
    "control, negative), otherwise inconclusive: these runs can't tell.",
}
"""Where the source was trained here."""

SHARES = (
    "shares of the target's training data, drawn by the seed; of series and of one long text, their beginning. Words, "
    "tags and scales are those of all training data, whatever the share, for every method alike."
)
"""What sizes are where examples are not counted by class."""
