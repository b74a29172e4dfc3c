"""What came out, and what may be said about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from rnn_core.checking import Case, GradientReport
from rnn_core.showing.surroundings import machine, versions
from rnn_core.training import History

from ..comparing.comparison import Comparison, Difference
from ..comparing.verdicts import INCONCLUSIVE, NEGATIVE, POSITIVE, paired
from ..parameters.report import TransferReport
from ..showing.judged import reasoned
from . import characters
from .settings import Settings
from .vanishing import Norms


class Finding(NamedTuple):
    """One statement, and whether the numbers bear it out."""

    statement: str
    evidence: str
    verdict: str


@dataclass
class Outcome:
    """Everything that the demonstration has found. Parts are filled in as they come."""

    settings: Settings
    gradients: list[tuple[Case, GradientReport]]
    digits: Comparison
    digits_copy: TransferReport
    characters: Comparison
    characters_copy: TransferReport
    source: History
    text: dict[str, int]
    untouched: float
    """Bits a character of the source model on the test text, before any training on docstrings."""
    untouched_on_validation: float
    """The same on the validation text."""
    unigram: float
    """Bits a character of the characters' frequencies alone."""
    norms: list[Norms]
    states: np.ndarray
    states_text: str
    seconds: dict[str, float] = field(default_factory=dict)
    workers: int | str = 1

    @property
    def passed(self) -> bool:
        """Whether every gradient is right."""
        return all(report.passed for _, report in self.gradients)

    @property
    def across(self) -> tuple[int, int]:
        """The two sizes of the claim on data: fine-tuned on the first, against a fresh start on the second."""
        sizes = self.characters.sizes
        return sizes[-2], sizes[-1]

    @property
    def saving(self) -> Difference:
        """Fine-tuned on the smaller text, against training from scratch on the larger one."""
        small, large = self.across
        tuned = next(arm for arm in self.characters.arms if arm.name == "fine-tuned")
        return paired(
            tuned,
            f"scratch on {large:,}",
            small,
            self.characters.scores("fine-tuned", small),
            self.characters.scores("scratch", large),
            -1,
        )

    @property
    def worth(self) -> float | None:
        """How many characters a fresh start needs to be as good as fine-tuning on the smaller text."""
        comparison = self.characters
        scratch = np.array([comparison.scores("scratch", size).mean() for size in comparison.sizes])
        reached = float(comparison.scores("fine-tuned", self.across[0]).mean())
        return characters.equivalent_size(comparison.sizes, scratch, reached)

    def findings(self) -> list[Finding]:
        """Return what may be said, whichever way it came out."""
        worst = max(report.worst.error for _, report in self.gradients)
        elements = sum(report.size for _, report in self.gradients)
        found = [
            Finding(
                "every gradient agrees with the complex step to 1e-12",
                f"largest relative error {worst:.1e} in {elements:,} elements",
                "passed" if self.passed else "FAILED",
            )
        ]
        for size in self.digits.sizes:
            for arm in self.digits.arms:
                if arm.name == "scratch":
                    continue
                difference = self.digits.difference(arm.name, size)
                if arm.name == "fine-tuned" or difference.verdict == NEGATIVE:
                    shots = "1 shot" if size == 1 else f"{size} shots"
                    statement = f"digits, {shots}: {arm.name} against scratch"
                    found.append(Finding(statement, reasoned(difference, 1, "points"), difference.verdict))
        saving, (small, large) = self.saving, self.across
        found.append(
            Finding(
                f"characters: fine-tuned on {small:,} against scratch on {large:,}",
                f"{reasoned(saving, 3, 'bits')}; scratch needs {self.worth_in_words}",
                {POSITIVE: "better", INCONCLUSIVE: "no difference seen"}.get(saving.verdict, "not reached"),
            )
        )
        return found

    @property
    def worth_in_words(self) -> str:
        """`worth`, for a reader."""
        return f"more than {self.across[1]:,}" if self.worth is None else f"about {round(self.worth, -2):,.0f}"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return {
            "what": "rnn-core demo" + (" --quick: the numbers mean nothing" if self.settings.quick else ""),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {**machine(), "workers": self.workers},
            "versions": versions(),
            "seconds": self.seconds,
            "settings": asdict(self.settings),
            "protocol": PROTOCOL,
            "findings": [finding._asdict() for finding in self.findings()],
            "gradients": [
                {"cell": case.cell, "option": case.option, **report.as_dict()} for case, report in self.gradients
            ],
            "digits": {**self.digits.as_dict(), "copy": self.digits_copy.as_dict()},
            "characters": {
                **self.characters.as_dict(),
                "copy": self.characters_copy.as_dict(),
                "text": self.text,
                "source": self.source.as_dict(),
                "untouched source": self.untouched,
                "untouched source, validation": self.untouched_on_validation,
                "character frequencies alone": self.unigram,
                "across sizes": {**asdict(self.saving), "worth in characters": self.worth},
            },
            "fading gradient": {norms.label: [float(f"{v:.4e}") for v in norms.values] for norms in self.norms},
        }


PROTOCOL = {
    "gradients": "float64 on the NumPy backend; each upstream gradient alone; the reference is the complex step.",
    "digits": "scikit-learn's 8 × 8 digits, rows as time steps; source 0–4, target 5–9; LSTM, last state, softmax. The "
    "test images are the same throughout and choose nothing: every arm makes the same number of updates on the same "
    "shots, and its last parameters count. A seed draws the source model, the fresh target model, the shots and the "
    "order of batches; all arms of a seed share them. The source sees each image moved by up to one pixel, as does the "
    "shuffled source, whose labels are shuffled among its images.",
    "what the digits depend on": "the target's images stay where they are, in every arm. Move them too, and scratch "
    "gains more than fine-tuning: with 20 other seeds, all rates 0.02, the difference was then +5.8 ± 4.0 points at 1 "
    "shot, +3.2 ± 3.3 at 2 and +1.1 ± 0.5 at 50.",
    "characters": "one source model for all seeds, so the intervals say nothing of how source models differ. A seed "
    "draws the training text and the fresh model. Both arms read the text equally often and keep the epoch that is "
    "best on the validation text; the test text is looked at once. Docstrings are split whole, and any that shares 50 "
    "characters in a row with another or with the source is left out. Characters are mapped by character.",
    "settings": "learning rates and budgets were chosen with other seeds and other test data than those reported, for "
    "scratch as for fine-tuning.",
    "intervals": "95 %, Student's t, of differences paired by seed; each stands for itself.",
}
"""How things were done, in words; the numbers are in the settings."""
