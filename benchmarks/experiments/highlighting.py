"""Source code, a tag for every character: Python learned from its own library, then carried over to C headers.

Pygments' lexers are the teachers: they say of each character whether it is part of a comment, a keyword, a string and
so on. The network sees characters alone, 256 of them with 64 more on each side. Files are held out whole.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_core import SequenceTagger
from rnn_core.data import Examples
from rnn_core.models import Model
from rnn_core.scores import span_scores
from transfer import Arm, Comparison, Plan, TransferReport, compare, copy_parameters
from transfer.comparing.data_study import Budget, DataStudy
from transfer.spreading.spread import Workers

from .frame import Claim, Experiment, Outcome, Progress, watched
from .methods import verdict

LETTERS = "\n\t" + "".join(map(chr, range(32, 127)))
"""The alphabet; token 0 is padding, 1 what is not in it."""

TAGS = (
    "blank", "comment", "preprocessor", "keyword", "type", "name", "definition", "builtin", "string", "number",
    "operator", "punctuation",
)  # fmt: skip

KINDS = (
    ("Comment.Preproc", "preprocessor"), ("Comment.PreprocFile", "preprocessor"), ("Comment", "comment"),
    ("Keyword.Type", "type"), ("Keyword", "keyword"), ("Operator.Word", "keyword"), ("Name.Function", "definition"),
    ("Name.Class", "definition"), ("Name.Decorator", "definition"), ("Name.Builtin", "builtin"),
    ("Name.Exception", "builtin"), ("Name", "name"), ("Literal.String", "string"), ("Literal.Number", "number"),
    ("Operator", "operator"), ("Punctuation", "punctuation"),
)  # fmt: skip
"""What Pygments calls them, and our tags: the first that fits counts, and what fits none is blank."""

WINDOW, MARGIN = 256, 64
"""Characters that a row is asked about, and more of them on either side, which count nothing in it."""

LONGEST, SPARE = 8000, 2000
"""Characters of a file that are read, from its beginning; and more that the teacher sees, to know how tokens end."""


FULL = Budget(
    source_updates=600, target_updates=150, batch_size=16, source_rate=4e-3, rate=4e-3, core_rate=3e-3, clip_norm=1.0
)


@dataclass(frozen=True)
class Settings:
    """How much of everything; of files, those to train on and those held out."""

    seeds: int = 5
    sizes: tuple[int, ...] = (1, 4, 16)
    python_files: tuple[int, int] = (160, 24)
    c_files: tuple[int, int] = (64, 24)
    hidden_size: int = 64
    budget: Budget = FULL


QUICK = Settings(2, (1,), (3, 2), (3, 2), 8, Budget(source_updates=3, target_updates=3, batch_size=4, source_rate=1e-2))


class File(NamedTuple):
    """A file's characters as tokens, and their tags."""

    name: str
    letters: np.ndarray
    tags: np.ndarray


@cache
def python_files() -> tuple[Path, ...]:
    """Return the modules of the standard library, tests and other packages left out, in an order that means nothing."""
    root = Path(sysconfig.get_path("stdlib"))
    others = {"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
    return in_order(root, (path for path in root.rglob("*.py") if not others & set(path.relative_to(root).parts)))


@cache
def c_files() -> tuple[Path, ...]:
    """Return the headers of Python itself, or those of NumPy where they aren't installed."""
    headers = Path(sysconfig.get_path("include"))
    if not any(headers.rglob("*.h")):
        headers = Path(np.get_include())
    return in_order(headers, headers.rglob("*.h"))


def in_order(root: Path, paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files that are neither tiny nor huge, by a hash of their names below a folder."""
    fit = (path for path in paths if 1000 <= path.stat().st_size <= 200_000)
    return tuple(sorted(fit, key=lambda path: hashlib.sha256(path.relative_to(root).as_posix().encode()).hexdigest()))


def tag_of(kind: Any) -> int:
    """Return the tag of a kind of Pygments' tokens."""
    name = str(kind).removeprefix("Token.")
    return next((TAGS.index(tag) for begins, tag in KINDS if f"{name}.".startswith(f"{begins}.")), 0)


def read(path: Path, lexer: Any) -> File:
    """Return a file with its teacher's tags."""
    text = path.read_text(encoding="utf-8", errors="replace")[: LONGEST + SPARE]
    tags = np.zeros(len(text), np.int64)
    for start, kind, part in lexer.get_tokens_unprocessed(text):
        tags[start : start + len(part)] = tag_of(kind)
    text = text[:LONGEST]
    return File(str(path), np.array([2 + LETTERS.find(one) for one in text]), tags[:LONGEST])


def rows_of(files: Sequence[File]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of letters and tags (N, T), their lengths (N,), and weights (N, T), 0 in the margins."""
    steps = WINDOW + 2 * MARGIN
    found = []
    for file in files:
        for start in range(0, len(file.letters), WINDOW):
            first = max(0, start - MARGIN)
            part = slice(first, start + WINDOW + MARGIN)
            letters, tags = file.letters[part], file.tags[part]
            places = np.arange(first, first + len(letters))
            asked = (places >= start) & (places < start + WINDOW)
            found.append([np.pad(a, (0, steps - len(letters))) for a in (letters, tags, asked)])
    letters, tags, weights = (np.stack(arrays) for arrays in zip(*found, strict=True))
    return letters, tags, np.array([np.flatnonzero(row)[-1] + 1 for row in letters]), weights.astype(float)


@dataclass(frozen=True, eq=False)
class Highlighting(DataStudy):
    """Python before, C behind; `size` is a number of files of C.

    Attributes
    ----------
    budget : Budget
    source, target, test : tuple of File
        Python's for training, C's for training, and C's to be scored by.
    hidden_size : int
    """

    budget: Budget
    source: tuple[File, ...]
    target: tuple[File, ...]
    test: tuple[File, ...]
    hidden_size: int

    core = ("embedding.*", "rnn.*")
    metric = "accuracy"

    def arms(self) -> tuple[Arm, ...]:
        """Return the ways to begin."""
        slowly = Plan(rates=dict.fromkeys(self.core, self.budget.core_rate))
        return (
            Arm("fine-tuned", "trained", plan=slowly),
            Arm("frozen core", "trained", frozen_core=True),
            Arm("scratch"),
            Arm("scrambled core", "scrambled", plan=slowly),  # control: would weights of the same sizes do?
            Arm("tags shuffled", "shuffled", plan=slowly),  # control: would the letters' order do, without tags?
        )

    def build(self, seed: int, **options: Any) -> SequenceTagger:
        return SequenceTagger(
            len(TAGS), self.hidden_size, vocab_size=len(LETTERS) + 2, embedding_size=24, padding_idx=0, seed=seed,
            **options,
        )  # fmt: skip

    build_source = build

    def source_data(self, seed: int, shuffled: bool = False) -> Examples:
        letters, tags, lengths, weights = rows_of(self.source)
        if shuffled:
            tags = tags[np.random.default_rng(seed).permutation(len(tags))]
        return Examples(letters, tags, lengths=lengths, weights=weights, batch_size=self.budget.batch_size, seed=seed)

    def target_data(self, size: int, seed: int) -> Examples:
        order = np.random.default_rng(seed).permutation(len(self.target))[:size]
        letters, tags, lengths, weights = rows_of([self.target[k] for k in order])
        return Examples(letters, tags, lengths=lengths, weights=weights, batch_size=self.budget.batch_size, seed=seed)

    def copy(self, source: Model, target: Model) -> TransferReport:
        return copy_parameters(source, target, include=self.core)

    def score(self, model: SequenceTagger) -> float:
        return facts(self.test, [answers(model, file) for file in self.test])["accuracy"]


def answers(model: SequenceTagger, file: File) -> np.ndarray:
    """Return a tag for each character of a file."""
    letters, _, lengths, weights = rows_of([file])
    return model.predict(letters, lengths)[weights > 0]


def facts(files: Sequence[File], said: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the share of characters that are right, of those that aren't blank, and F1 of whole runs of a tag."""
    right, found = (np.concatenate(parts) for parts in ([file.tags for file in files], list(said)))
    seen = right != 0
    wanted, got = (
        [["O" if tag == 0 else TAGS[tag] for tag in row] for row in rows] for rows in ([f.tags for f in files], said)
    )
    return {
        "accuracy": float((right == found)[seen].mean()),
        "F1 of runs": span_scores(wanted, got, "plain").micro.f1,
    }


def each_letter_alone(train: Sequence[File], test: Sequence[File]) -> dict[str, float]:
    """Return the scores of the likeliest tag for each letter, whatever stands beside it."""
    counts = Counter((a, b) for file in train for a, b in zip(file.letters.tolist(), file.tags.tolist(), strict=True))
    best = np.zeros(len(LETTERS) + 2, np.int64)
    for letter in range(len(best)):
        best[letter] = max(range(len(TAGS)), key=lambda tag: counts[letter, tag])
    return facts(test, [best[file.letters] for file in test])


def study_of(settings: Settings) -> tuple[Highlighting, tuple[File, ...]]:
    """Return the study, and the files of Python that are held out."""
    from pygments.lexers import CLexer, PythonLexer

    def some(paths: Sequence[Path], counts: tuple[int, int], lexer: Any) -> tuple[tuple[File, ...], tuple[File, ...]]:
        files = tuple(read(path, lexer) for path in paths[: sum(counts)])
        held_out = files[: counts[1]]
        return files[counts[1] :], held_out

    python, held_out = some(python_files(), settings.python_files, PythonLexer())
    c, test = some(c_files(), settings.c_files, CLexer())
    return Highlighting(settings.budget, python, c, test, settings.hidden_size), held_out


def chains(study: Highlighting, held_out: Sequence[File], seeds: int, progress: Progress) -> list[dict[str, Any]]:
    """Train on Python with a softmax at each character, and with a chain; score both on the files held out."""
    found = []
    for seed in range(seeds):
        for crf in (False, True):
            model = study.build(seed, crf=crf)
            b = study.budget
            study.learn(model, study.source_data(seed), updates=b.source_updates, rate=b.source_rate, seed=2 * seed)
            found.append({"seed": seed, "crf": crf, **facts(held_out, [answers(model, file) for file in held_out])})
            progress(f"Python, {'chain' if crf else 'softmax'}, seed {seed}: {found[-1]['accuracy']:.4g}")
    return found


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Compare the arms on C, and the two losses on Python."""
    settings = QUICK if quick else Settings()
    study, held_out = study_of(settings)
    alone = {"Python": each_letter_alone(study.source, held_out), "C": each_letter_alone(study.target, study.test)}
    on_python = chains(study, held_out, min(2, settings.seeds), progress)
    comparison = compare(
        study, sizes=settings.sizes, seeds=settings.seeds, arms=study.arms(), workers=workers,
        **watched(progress),
    )  # fmt: skip
    protocol = {
        "task": "a tag for every character of source code, as Pygments' lexer has it; Python, then C headers; a size "
        f"is a number of files; at most {LONGEST} characters of each",
        "tags": list(TAGS),
        "files": {
            "Python": {"train": len(study.source), "held out": len(held_out)},
            "C": {"train": len(study.target), "test": len(study.test)},
        },
        "split": "whole files, in the order of a hash of their names",
        "network": f"LSTM, {settings.hidden_size} units, both directions",
        "rows": f"{WINDOW} characters, and {MARGIN} more on either side that count nothing",
        "score": "characters whose tag is right, those left out that the teacher calls blank",
        "seeds": settings.seeds,
        "budget": asdict(settings.budget),
    }
    return Outcome(
        protocol,
        {**comparison.as_dict(), "each letter alone": alone, "Python": on_python},
        table(comparison, alone, on_python),
        () if quick else claims(comparison, alone, on_python, settings.sizes),
    )


def mean(rows: Sequence[dict[str, Any]], crf: bool, score: str) -> float:
    """Return the mean of a score over the seeds."""
    return float(np.mean([row[score] for row in rows if row["crf"] == crf]))


def table(comparison: Comparison, alone: dict[str, dict[str, float]], on_python: Sequence[dict[str, Any]]) -> str:
    """Return what came out, in lines."""
    lines = [str(comparison)]
    for name, scores in alone.items():
        lines.append(f"{name}, each letter alone: " + ", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
    for crf in (False, True):
        means = ", ".join(f"{score} {mean(on_python, crf, score):.4f}" for score in ("accuracy", "F1 of runs"))
        lines.append(f"Python, {'a chain' if crf else 'a softmax at each character'}: {means}")
    return "\n".join(lines)


def claims(
    comparison: Comparison,
    alone: dict[str, dict[str, float]],
    on_python: Sequence[dict[str, Any]],
    sizes: Sequence[int],
) -> tuple[Claim, ...]:
    """Return what should come out."""
    accuracy, runs = (mean(on_python, False, score) for score in ("accuracy", "F1 of runs"))
    chained, least = mean(on_python, True, "F1 of runs"), alone["Python"]["accuracy"]
    tuned, scrambled = (float(np.mean(comparison.scores(arm, sizes[0]))) for arm in ("fine-tuned", "scrambled core"))
    return (
        Claim("Python: far better than each letter alone", accuracy > least + 0.2, f"{accuracy:.3f} and {least:.3f}"),
        Claim("Python: a chain finds more whole runs", chained > runs, f"F1 {chained:.4f} and {runs:.4f}"),
        *(verdict(comparison, "fine-tuned", n, "positive", f"with {n} files of C, Python helps") for n in sizes),
        Claim("with 1 file, more than a scrambled core", tuned > scrambled, f"{tuned:.3f} and {scrambled:.3f}"),
    )


EXPERIMENT = Experiment(
    "highlighting", "a tag for every character of source code: Python, then C: accuracy", run, packages=("pygments",)
)
