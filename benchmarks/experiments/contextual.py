"""Contextual features: a pair of language models reads Python that nobody has labelled; what does a tagger gain by it?

Each character of a source file is tagged with what it belongs to, a keyword, a string, the name of a function: as
Pygments' lexer says, which is the teacher. The pair is trained once, on files of the standard library that are neither
labelled nor tested. Then a tagger learns from 1, 4 or 16 labelled stretches of other files: on the frozen states of the
pair, mixed with trained weights; and, for comparison, on the characters alone, on the states of a pair that has read
nothing, and with the pair's own lowest layer as its core, which trains on.

References
----------
M. E. Peters et al., "Deep contextualized word representations", arXiv:1802.05365v2 (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rnn_core import BidirectionalLanguageModel, SequenceTagger, contextual_features
from rnn_core.data import Batch, Examples, windows
from rnn_core.showing.table import table
from rnn_core.training import Adam, fit
from transfer import Arm, Difference, copy_parameters
from transfer.comparing.verdicts import LEVEL, paired
from transfer.spreading.spread import Workers

from .frame import Claim, Experiment, Outcome, Progress
from .highlighting import LETTERS, LONGEST, TAGS, File, python_files, read

CHARACTERS, STATES, COPIED, UNTRAINED = "characters", "states", "copied halves", "untrained states"
ARMS = (
    Arm(STATES, "trained"),
    Arm(COPIED, "trained"),
    Arm(UNTRAINED),  # control: do the states have to know anything?
)
VOCABULARY = len(LETTERS) + 2
"""The alphabet, what is not in it, and padding."""

MIDDLE = 3000
"""Characters at a file's beginning that are passed over: they are often words alone."""


@dataclass(frozen=True)
class Settings:
    """The budget."""

    seeds: int = 10
    sizes: tuple[int, ...] = (1, 4, 16)
    steps: int = 64
    characters: int = 2_000
    test_files: int = 10
    unlabelled: int = 1_000_000
    epochs: int = 3
    hidden_size: int = 64
    num_layers: int = 2
    updates: int = 150
    batch_size: int = 32
    rate: float = 5e-3
    dropout: float = 0.2


QUICK = Settings(
    seeds=2, sizes=(1, 2), steps=32, characters=300, test_files=2, unlabelled=2_000, epochs=1, hidden_size=8,
    num_layers=1, updates=3,
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Characters in rows, with what each belongs to."""

    tokens: np.ndarray  # (N, S)
    tags: np.ndarray  # (N, S)
    lengths: np.ndarray  # (N,)

    @property
    def weights(self) -> np.ndarray:
        """1 for each character that is no white space."""
        return (self.tags != TAGS.index("blank")).astype(np.float32)

    def examples(self, inputs: np.ndarray, settings: Settings, seed: int) -> Examples:
        """Return them to train on, with other inputs in the characters' place."""
        return Examples(
            inputs, self.tags, lengths=self.lengths, weights=self.weights, batch_size=settings.batch_size, seed=seed
        )


class Library:
    """The files: those that are labelled, those to test on, and the rest, of which only the text is read."""

    def __init__(self, settings: Settings) -> None:
        from pygments.lexers import PythonLexer

        self.settings = settings
        held, pool = settings.test_files, 4 * max(settings.sizes)
        rest = 3 * settings.unlabelled // (2 * LONGEST)  # some are shorter
        found = [read(path, PythonLexer()) for path in python_files()[: 2 * (held + pool) + rest]]
        long = [k for k, file in enumerate(found) if len(file.letters) >= MIDDLE + settings.characters][: held + pool]
        self.stream = np.concatenate([file.letters for k, file in enumerate(found) if k not in long])
        self.stream = self.stream[: settings.unlabelled]
        self.test = self.rows(found[k] for k in long[:held])
        self.labelled = [self.rows([found[k]]) for k in long[held:]]

    def rows(self, files: Iterable[File]) -> Rows:
        """Return a stretch of each file, past its beginning, as rows of so many characters."""
        S, end = self.settings.steps, MIDDLE + self.settings.characters
        parts = [
            (file.letters[start : min(start + S, end)], file.tags[start : min(start + S, end)])
            for file in files
            for start in range(MIDDLE, end, S)
        ]
        lengths = np.array([len(letters) for letters, _ in parts])
        tokens, tags = np.zeros((2, len(parts), S), np.int64)
        for k, (row, kind) in enumerate(parts):
            tokens[k, : len(row)], tags[k, : len(row)] = row, kind
        return Rows(tokens, tags, lengths)

    def drawn(self, size: int, seed: int) -> Rows:
        """Return some labelled files, by the seed; more of them hold the fewer."""
        order = np.random.default_rng([seed, 0]).permutation(len(self.labelled))[:size]
        some = [self.labelled[k] for k in order]
        return Rows(*(np.concatenate([getattr(one, name) for one in some]) for name in ("tokens", "tags", "lengths")))


def pair(library: Library, seed: int) -> BidirectionalLanguageModel:
    """Return a pair of language models that has read nothing."""
    settings = library.settings
    return BidirectionalLanguageModel(
        VOCABULARY, settings.hidden_size, num_layers=settings.num_layers, cell="gru", seed=seed
    )


def trained_pair(library: Library) -> BidirectionalLanguageModel:
    """Return a pair of language models that has read the unlabelled files."""
    model, settings = pair(library, 999), library.settings
    rows, lengths = windows(library.stream, settings.steps)
    train = Examples(rows, rows, lengths=lengths, batch_size=settings.batch_size)
    fit(model, train, optimizer=Adam(settings.rate), epochs=settings.epochs, clip_norm=1.0, progress=False)
    return model


def perplexities(model: BidirectionalLanguageModel, rows: Rows) -> tuple[float, float]:
    """Return how well each half predicts the characters of files that it has not read."""
    halves = model.evaluate_halves(Batch(rows.tokens, rows.tokens, rows.lengths))
    first, second = (float(np.exp(half.loss / half.count)) for half in halves)
    return first, second


class Taggers:
    """The taggers of one seed, each of the same size but for what stands before its core."""

    def __init__(self, library: Library, model: BidirectionalLanguageModel, tested: np.ndarray, seed: int) -> None:
        self.library, self.model, self.seed = library, model, seed
        self.blank = pair(library, 1000 + seed)
        test = library.test
        self.tested = {STATES: tested, UNTRAINED: contextual_features(self.blank, test.tokens, test.lengths)}

    def tagger(self, arm: str) -> SequenceTagger:
        """Return a fresh tagger, and into it what carries over."""
        settings = self.library.settings
        K, H = len(TAGS), settings.hidden_size
        options: dict[str, Any] = {"cell": "gru", "dropout": settings.dropout, "seed": self.seed}
        if arm in self.tested:
            front = {"kind": "mix", "num_layers": settings.num_layers + 1, "input_size": 2 * H}
            return SequenceTagger(K, H, front=front, **options)
        tagger = SequenceTagger(K, H, vocab_size=VOCABULARY, **options)
        if arm == COPIED:
            lowest = {"forward.*_l0": "rnn.*_l0", "backward.*_l0": "rnn.*_l0_reverse"}
            copy_parameters(self.model, tagger, rename=lowest, exclude="head")
        return tagger

    def score(self, arm: str, size: int) -> tuple[float, list[float]]:
        """Train an arm on so many files; return its accuracy in % on the test's files, and the weights of its mix."""
        settings, test, rows = self.library.settings, self.library.test, self.library.drawn(size, self.seed)
        read = {STATES: self.model, UNTRAINED: self.blank}.get(arm)
        inputs = rows.tokens if read is None else contextual_features(read, rows.tokens, rows.lengths)
        tagger, data = self.tagger(arm), rows.examples(inputs, settings, self.seed)
        epochs = -(-settings.updates // len(data))
        fit(tagger, data, optimizer=Adam(settings.rate), epochs=epochs, clip_norm=1.0, progress=False)
        right = total = 0.0
        inputs = self.tested.get(arm, test.tokens)
        for start in range(0, len(inputs), 64):
            some = slice(start, start + 64)
            found = tagger.evaluate(Batch(inputs[some], test.tags[some], test.lengths[some], test.weights[some]))
            right, total = right + found.correct, total + found.count
        mix: Any = tagger.layers.get("mix")
        return 100 * right / total, [] if mix is None else [round(float(s), 3) for s in mix.weights]


Scores = dict[tuple[str, int], list[float]]
"""By arm and number of files, of each seed."""

Weights = dict[int, list[list[float]]]
"""How much each layer counts, by number of files, of each seed."""


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Train the pair, and every arm with every number of files and every seed."""
    settings = QUICK if quick else Settings()
    library = Library(settings)
    model = trained_pair(library)
    first, second = perplexities(model, library.test)
    progress(f"{len(library.stream):,} characters read; perplexity {first:.2f} forwards, {second:.2f} backwards")
    tested = contextual_features(model, library.test.tokens, library.test.lengths)
    names = (CHARACTERS, *(arm.name for arm in ARMS))
    scores: Scores = {(name, size): [] for name in names for size in settings.sizes}
    weights: Weights = {size: [] for size in settings.sizes}
    for seed in range(settings.seeds):
        taggers = Taggers(library, model, tested, seed)
        for size in settings.sizes:
            for name in names:
                score, mixed = taggers.score(name, size)
                scores[name, size].append(score)
                if name == STATES:
                    weights[size].append(mixed)
            progress(f"seed {seed}, {size} files: {', '.join(f'{n} {scores[n, size][-1]:.1f}' for n in names)}")
    return _outcome(settings, library, (first, second), scores, weights)


def _outcome(
    settings: Settings, library: Library, read: tuple[float, float], scores: Scores, weights: Weights
) -> Outcome:
    def compared(against: str, arms: Iterable[Arm]) -> Iterator[Difference]:
        for size in settings.sizes:
            for arm in arms:
                ours, theirs = (np.array(scores[name, size]) for name in (arm.name, against))
                yield paired(arm, against, size, ours, theirs, sign=1)

    differences = [*compared(CHARACTERS, ARMS), *compared(UNTRAINED, ARMS[:1])]
    least = min(settings.sizes)
    claims = tuple(
        Claim(
            f"states help a tagger that learns from {least} file{'s' * (least > 1)}, beside {against}",
            holds=any(d.verdict == "positive" for d in differences if _is(d, STATES, against, least)),
            found=next(f"{d.said(1)} points" for d in differences if _is(d, STATES, against, least)),
        )
        for against in (CHARACTERS, UNTRAINED)
    )
    return Outcome(
        {
            "task": f"a tag for each character of Python files, {len(TAGS) - 1} kinds; blanks aren't asked for",
            "teacher": "Pygments' PythonLexer",
            "unlabelled": f"{len(library.stream):,} characters of other files of the standard library",
            "test": f"{settings.characters:,} characters of each of {settings.test_files} files",
            "network": f"GRU, {settings.hidden_size} units in each direction, float32; the pair has "
            f"{settings.num_layers} layers",
            "training": f"Adam at {settings.rate:g}, {settings.updates} updates at least, whatever the number of files",
            **asdict(settings),
        },
        {
            "perplexity": {"forward": read[0], "backward": read[1]},
            "scores": [{"arm": arm, "size": size, "accuracy": found} for (arm, size), found in scores.items()],
            "weights": [{"size": size, "s": found} for size, found in weights.items()],
            "differences": [asdict(difference) for difference in differences],
        },
        _table(settings, read, scores, weights, differences),
        claims,
    )


def _is(difference: Difference, arm: str, against: str, size: int) -> bool:
    return (difference.arm, difference.against, difference.size) == (arm, against, size)


def _table(
    settings: Settings, read: tuple[float, float], scores: Scores, weights: Weights, differences: list[Difference]
) -> str:
    sizes = [f"{size} files" for size in settings.sizes]
    arms = dict.fromkeys(arm for arm, _ in scores)
    rows = [(arm, *(f"{np.mean(scores[arm, size]):.1f}" for size in settings.sizes)) for arm in arms]
    lines = [
        table(("accuracy in %", *sizes), rows, right=sizes),
        *(f"{d.size} files: {d.arm} beside {d.against}: {_said(d)}" for d in differences),
        *(f"{n} files: s = {', '.join(f'{s:.2f}' for s in np.mean(weights[n], axis=0))}" for n in settings.sizes),
        f"perplexity of a character in the test's files: {read[0]:.2f} forwards, {read[1]:.2f} backwards",
        f"±: {LEVEL:.0%} t-interval of the paired difference over {settings.seeds} seeds; one pair, trained once",
    ]
    return "\n".join(lines)


def _said(difference: Difference) -> str:
    note = f" ({difference.note})" if difference.note else ""
    return f"{difference.said(1)} points, {difference.verdict}{note}"


EXPERIMENT = Experiment(
    "contextual", "states of a pair of language models as features of a tagger", run, packages=("pygments",)
)
