"""Text to audio: does a recurrent core that has learned to write help to tell sounds apart?

The source is a language model of characters. Its recurrent weights alone go into a network that reads glides from
vowel to vowel, as frames of the waveform or as columns of its spectrogram. Beside it stand a fresh start and the
controls: the same numbers elsewhere, random matrices with the same singular values, and a language model of characters
in another order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core import load, save
from rnn_core.data import Ragged, Tokenizer
from rnn_core.data.files import read_waveforms
from rnn_core.data.labelled import Labelled
from rnn_core.models import Model
from transfer import Arm, Comparison, Plan, compare
from transfer.comparing.classification import ClassificationStudy, Text
from transfer.comparing.data_study import Budget
from transfer.demo.corpus import load_corpus
from transfer.demo.settings import CharactersSettings
from transfer.spreading.spread import Workers

from ..frame import Claim, Experiment, Outcome, Progress, folder_for, markdown_table, watched
from .synthesis import GLIDES, RATE, write_glides

FRAME = 40
"""Samples of a step: 5 ms."""

WINDOW = 4 * FRAME
"""Samples of which a column of a spectrogram is made."""

CORE = "rnn.weight_hh_*"
CARRIED = "carried"


@dataclass(frozen=True)
class Settings:
    """The budget."""

    seeds: int = 10
    sizes: tuple[int, ...] = (16, 64, 256)
    each: int = 80
    characters: int = 200_000
    hidden_size: int = 64
    budget: Budget = field(default_factory=lambda: Budget(source_updates=800, target_updates=120, clip_norm=1.0))


QUICK = Settings(
    seeds=2, sizes=(16,), each=6, characters=4_000, hidden_size=8, budget=Budget(source_updates=4, target_updates=4)
)
TEST_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class TextToAudio(ClassificationStudy):
    """From a text to sounds. The language models of both ways to read the sounds are the same, and train once."""

    sources: Path = Path()

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return the language model of a seed; it is trained when it is asked for the first time."""
        path = self.sources / f"{seed}-{'shuffled' if shuffled else 'trained'}.safetensors"
        if not path.exists():
            save(super().pretrain(seed, shuffled), path)
        model: Model = load(path)
        return model


def arms(rate: float) -> tuple[Arm, ...]:
    """Return the ways to begin; what doesn't begin fresh trains at the rate of what was carried over."""
    slowly = Plan(rates={CORE: rate})
    return (
        Arm(CARRIED, "trained", plan=slowly),
        Arm(f"{CARRIED}, one rate", "trained"),
        Arm("scratch"),
        Arm("scrambled core", "scrambled", plan=slowly),  # control: would these numbers do elsewhere?
        Arm("matched core", "matched", plan=slowly),  # control: would any matrix of these singular values do?
        Arm("shuffled text", "shuffled", plan=slowly),  # control: does it have to have learned the language?
    )


CONTROLS = ("scrambled core", "matched core", "shuffled text")


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Return the logarithm of a short-time power spectrum, float32, shape (steps, bands): a column for each frame.

    Each column is of a Hann window of `WINDOW` samples that ends with its frame, so that no step sees what follows.
    """
    padded = np.concatenate([np.zeros(WINDOW - FRAME), samples])
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::FRAME]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1)) ** 2
    return np.asarray(np.log(power + 1e-6), np.float32)


def load_sounds(folder: Path, each: int) -> dict[str, tuple[Labelled, Labelled]]:
    """Return the glides, read from WAV files, to train on and to be judged by: as waveforms and as spectrograms."""
    write_glides(folder, each, seed=0)
    series = read_waveforms(folder, frame=FRAME)
    ways = {
        "waveform": [np.asarray(row, np.float32) for row in series.rows],
        "spectrogram": [spectrogram(np.asarray(row).ravel()) for row in series.rows],
    }
    targets = np.asarray(series.labels)
    order = Labelled(np.arange(len(targets))[:, None], targets, series.classes)
    test, train = order.split(round(TEST_SHARE * len(order)), 1)
    found = {}
    for way, rows in ways.items():
        parts = []
        for part in (train, test):
            chosen = [rows[k] for k in np.asarray(part.inputs)[:, 0]]
            parts.append((chosen, part.targets))
        joined = np.concatenate(parts[0][0])
        mean, scale = joined.mean(axis=0), joined.std(axis=0) + 1e-6  # of what is trained on
        found[way] = tuple(
            Labelled(Ragged([(row - mean) / scale for row in some]), labels, series.classes) for some, labels in parts
        )
    return found  # type: ignore[return-value]


def studies(settings: Settings, folder: Path) -> dict[str, TextToAudio]:
    """Return a study for each way to read the sounds."""
    text = load_corpus(CharactersSettings()).source[: settings.characters]
    tokens = Tokenizer("char", lower=False).fit([text])
    source = Text(tokens.encode(text), tokens)
    network = {"hidden_size": settings.hidden_size, "cell": "lstm", "pooling": "mean"}
    (folder / "sources").mkdir()
    return {
        way: TextToAudio(source, train, test, network, settings.budget, sources=folder / "sources")
        for way, (train, test) in load_sounds(folder / "sounds", settings.each).items()
    }


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Compare the arms for both ways to read the sounds."""
    settings = QUICK if quick else Settings()
    found: dict[str, Comparison] = {}
    with folder_for(progress) as folder:
        for way, study in studies(settings, folder).items():
            progress(f"{way}: {study.target.features} numbers a step, {int(study.target.steps.mean())} steps")
            found[way] = compare(
                study, sizes=settings.sizes, seeds=settings.seeds, arms=arms(settings.budget.core_rate),
                workers=workers, **watched(progress, way),
            )  # fmt: skip
            facts = {"numbers a step": study.target.features, "examples to train on": len(study.target),
                     "test examples": len(study.test)}  # fmt: skip
    protocol = {
        "task": f"which of {', '.join(GLIDES)} is it; every file has a voice of its own",
        "sounds": f"synthesised by benchmarks/experiments/sounds/synthesis.py, WAV, {RATE} samples a second, 16 bits",
        "ways": f"frames of {FRAME} samples of the waveform, or log spectra of the last {WINDOW} at each",
        "source": "a language model of the characters of Python's language reference",
        "network": f"LSTM, {settings.hidden_size} units, mean over time, softmax, float32",
        "transfer": "the recurrent weights alone",
        "what a seed draws": "the source model, the fresh target model, the examples and the order of batches",
        "chance": f"{100 / len(GLIDES):g} %",
        **facts,
        **asdict(replace(settings)),
    }
    table = "\n".join(f"{way}\n{comparison}" for way, comparison in found.items())
    results: dict[str, Any] = {
        way: {**comparison.as_dict(), "beside controls": beside(comparison)} for way, comparison in found.items()
    }
    claims = () if quick else tuple(claim for way, one in found.items() for claim in claims_of(way, one))
    return Outcome(protocol, results, table, claims, markdown_of(found))


def beside(comparison: Comparison) -> list[dict[str, Any]]:
    """Return how much better what was carried is than each control, at each size."""
    return [
        asdict(comparison.difference(CARRIED, size, control)) for size in comparison.sizes for control in CONTROLS
    ]


def claims_of(way: str, comparison: Comparison) -> list[Claim]:
    """Return what would have to come out if a text taught something about sounds."""
    claims = []
    for size in comparison.sizes:
        over = {against: comparison.difference(CARRIED, size, against) for against in ("scratch", *CONTROLS)}
        claims.append(
            Claim(
                f"{way}, {size} examples: a core from text is better than scratch and than every control",
                all(difference.verdict == "positive" for difference in over.values()),
                ", ".join(f"{difference.said(1)} on {against}" for against, difference in over.items()),
            )
        )
    return claims


def markdown_of(found: dict[str, Comparison]) -> str:
    """Return the gains on scratch, a column for each way and size."""
    columns = [(way, size) for way, comparison in found.items() for size in comparison.sizes]
    rows = []
    for arm in next(iter(found.values())).arms:
        if arm.name == "scratch":
            continue
        cells = []
        for way, size in columns:
            difference = found[way].difference(arm.name, size)
            text = difference.said(1).replace("-", "−")
            better = difference.verdict == "positive"
            worse = difference.verdict == "NEGATIVE TRANSFER"
            cells.append(f"**{text}**" if better else f"{text} ⚠" if worse else text)
        rows.append((arm.name, *cells))
    means = (f"{found[way].scores('scratch', size).mean():.1f}" for way, size in columns)
    rows.append(("*scratch, itself*", *means))
    return markdown_table(("accuracy in %", *(f"{way}, {size}" for way, size in columns)), rows)


EXPERIMENT = Experiment("audio", "a text's recurrent core to waveforms and spectrograms of vowels: accuracy", run)
