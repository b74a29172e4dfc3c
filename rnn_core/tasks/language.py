"""``language``: texts, and what comes next; then texts of one's own."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..data import Ahead, TextStream, Tokenizer
from ..data.batches import Batch
from ..data.files import read_texts
from ..data.files.lines import existing, named, numbered
from ..data.files.texts import TABLES
from ..data.source import Source
from ..foreign import shown
from ..inputs.encoding import OOV
from ..inputs.how import How, heard
from ..inputs.running import Shards, Texts, is_pattern, shards
from ..inputs.tables import add_table_options, table_options
from ..models import LanguageModel, Model
from .task import Add, Exhibit, Role, Table, Task, Text

LEVELS = ("char", "word", "piece")

STEPS = 50
"""Tokens that gradients reach back, unless told otherwise."""

SHORTEST = 20
"""Characters of a text that is split."""

LENGTH = 200
"""Tokens that are written, unless told otherwise."""

AT_ONCE = 256
"""Tokens that are read at a time where nothing is learned: it bounds the memory."""


@dataclass(frozen=True)
class Learned:
    """What is known of the texts that were trained on.

    Attributes
    ----------
    tokenizer : Tokenizer
    steps : int
        Tokens that gradients reach back.
    """

    tokenizer: Tokenizer
    steps: int


@dataclass(frozen=True)
class Surprise:
    """How surprising each text is, token by token.

    Attributes
    ----------
    nats : tuple of float
        Of each text, all of its tokens but the first, which nothing predicts.
    tokens : tuple of int
        How many these are.
    characters : int
        Of all texts, those tokens' share.
    """

    nats: tuple[float, ...]
    tokens: tuple[int, ...]
    characters: float


class Language(Task[Texts | Shards, Learned, Surprise]):
    """Texts, and what comes next in them."""

    name = "language"
    help = "texts: what comes next, character by character or word by word (rnn-core generate)"
    files = "a .txt, a folder of .txt files, or a table with a column of texts; or '*.txt.gz', read as it is needed"
    models = ("LanguageModel",)
    usual: ClassVar[dict[str, Any]] = {"hidden_size": 128, "validation_share": 0.1}
    network = ("cell", "hidden_size", "layers", "dropout", "embedding_size", "precision")

    def reading_options(self, add: Add) -> None:
        """See `Task.reading_options`."""
        add_table_options(add, "text", "separator", "no_header")
        add("--encoding", metavar="NAME", help="of text files (utf-8)")

    def training_options(self, add: Add) -> None:
        """See `Task.training_options`."""
        add("--level", choices=LEVELS, help="what a token of a text is (char)")
        add("--num-words", type=int, metavar="N", help="tokens that are kept, the most frequent (10000 words)")
        add("--lower-case", action="store_true", help="read capital letters as small ones")
        add("--steps", type=int, metavar="N", help=f"tokens that gradients reach back ({STEPS})")
        add("--tied", action="store_true", help="one matrix for reading and writing tokens")

    def check(self, args: argparse.Namespace) -> None:
        """See `Task.check`."""
        for name in ("num_words", "steps"):
            if (value := getattr(args, name, None)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")

    def read(self, path: str, args: argparse.Namespace, role: Role, how: Learned | None = None) -> Texts | Shards:
        """See `Task.read`."""
        given = table_options(args)
        options = {name: given[name] for name in ("text", "separator", "header") if name in given}
        wanted = How("text", encoding=args.encoding or "utf-8", **options)
        if is_pattern(path) and role is not Role.PREDICT:
            folder = Path(getattr(args, "out", None) or f"runs/{self.name}", "ids")
            return shards(role.value, path, wanted.encoding, folder)
        place = existing(role.value, path)
        notes: list[str] = []
        if place.suffix.lower() == ".txt" and not place.is_dir() and role is not Role.PREDICT:
            lines = [line for _, line in numbered(role.value, place, wanted.encoding)]
            found = Texts(("\n".join(lines),), (named(path),))
        elif place.is_dir() or place.suffix.lower() in (*TABLES, ".txt"):
            with heard(wanted) as notes:
                read = read_texts(
                    path, text=wanted.text, label=None, encoding=wanted.encoding, separator=wanted.separator,
                    header=wanted.header,
                )  # fmt: skip
            found = Texts(tuple(read.texts), read.places, tuple(notes))
        else:
            raise ValueError(f"{role.value} must be {self.files}, got {named(path)}")
        return found

    def split(self, examples: Texts | Shards, share: float, seed: int) -> tuple[Texts | Shards, Texts | Shards]:
        """Return the beginning, and a share at the end: what comes next is to be told of what was not seen."""
        if isinstance(examples, Shards):
            return examples.split(share)
        if len(examples) > 1:
            sizes = np.cumsum([len(text) for text in examples.texts])
            k = int(np.searchsorted(sizes, (1 - share) * sizes[-1]))
            k = min(max(k, 1), len(examples) - 1)
            return examples.part(slice(0, k)), examples.part(slice(k, None))
        text = examples.texts[0]
        if len(text) < SHORTEST:
            raise ValueError(f"--data must hold {SHORTEST} characters at least, to be split, got {len(text)}")
        cut = min(max(round((1 - share) * len(text)), 1), len(text) - 1)
        line = text.rfind("\n", int(0.95 * cut), cut) + 1  # at a line's end, if one is near
        cut = line or cut
        return Texts((text[:cut],), examples.places, examples.notes), Texts((text[cut:],), examples.places)

    def learn(self, train: Texts | Shards, args: argparse.Namespace) -> Learned:
        """See `Task.learn`."""
        level = args.level or "char"
        words = args.num_words or (None if level == "char" else 10_000)
        tokenizer = Tokenizer(level, num_words=words, lower=args.lower_case, oov=OOV, padding=False)
        return Learned(tokenizer.fit(train.texts), args.steps or STEPS)

    def build(self, how: Learned, options: Mapping[str, Any], args: argparse.Namespace) -> Model:
        """See `Task.build`."""
        return LanguageModel(len(how.tokenizer), tied=args.tied, **options)

    def batches(self, how: Learned, examples: Texts | Shards, batch_size: int, seed: int, *, training: bool) -> Source:
        """See `Task.batches`."""
        ids = examples.ids(how.tokenizer)
        if len(ids) < 2:
            raise ValueError(f"texts must hold two tokens at least, got {len(ids)}")
        rows = max(1, min(batch_size, len(ids) // (2 * how.steps)))
        stream = TextStream(ids, batch_size=rows, steps=how.steps)
        return Ahead(stream) if isinstance(examples, Shards) else stream

    def kept(self, how: Learned) -> dict[str, Any]:
        """See `Task.kept`."""
        return {"tokenizer": how.tokenizer}

    def known(self, model: Model, where: str) -> Learned:
        """See `Task.known`."""
        if model.tokenizer is None:
            raise ValueError(
                f"{where} must say what its tokens stand for, got nothing beside its weights; "
                "save(model, path, tokenizer=…) keeps it"
            )
        return Learned(model.tokenizer, STEPS)

    def answer(self, model: Model, how: Learned, examples: Texts | Shards, args: argparse.Namespace) -> Surprise:
        """Return how surprising each text is."""
        pairs = [_surprise(model, pieces) for pieces in examples.each(how.tokenizer)]
        tokens = tuple(max(count - 1, 0) for _, count in pairs)
        whole = sum(count for _, count in pairs)
        characters = sum(map(len, examples.texts)) * sum(tokens) / max(whole, 1)
        return Surprise(tuple(nats for nats, _ in pairs), tokens, characters)

    def score(self, how: Learned, examples: Texts | Shards, answers: Surprise) -> dict[str, float]:
        """See `Task.score`."""
        nats, tokens = sum(answers.nats), sum(answers.tokens)
        if not tokens:
            raise ValueError("texts must hold two tokens at least, of which the first predicts the second, got none")
        token = {"char": "character", "word": "word", "piece": "piece"}[how.tokenizer.level]
        found = {f"bits a {token}": nats / tokens / log(2), "perplexity": _exp(nats / tokens)}
        if token != "character":
            found["bits a character"] = nats / max(answers.characters, 1) / log(2)
        return found

    def higher_is_better(self, how: Learned) -> bool:
        """See `Task.higher_is_better`: fewer bits are better."""
        return False

    def rows(
        self, how: Learned, examples: Texts | Shards, answers: Surprise, args: argparse.Namespace
    ) -> Iterable[dict]:
        """See `Task.rows`."""
        for place, nats, tokens in zip(examples.places, answers.nats, answers.tokens, strict=True):
            bits = None if not tokens else round(nats / tokens / log(2), 6)
            yield {"example": place, "tokens": tokens, "bits a token": bits,
                   "perplexity": None if not tokens else float(f"{_exp(nats / tokens):.6g}")}  # fmt: skip

    def remarks(
        self, how: Learned, examples: Texts | Shards, answers: Surprise, args: argparse.Namespace
    ) -> list[str]:
        """See `Task.remarks`."""
        if not sum(answers.tokens):
            return ["no text has two tokens, of which the first would predict the second"]
        return [", ".join(f"{name} {value:.4g}" for name, value in self.score(how, examples, answers).items())]

    def exhibits(self, model: Model, how: Learned, examples: Texts | Shards, answers: Surprise) -> list[Exhibit]:
        """See `Task.exhibits`."""
        name, ours = next(iter(self.score(how, examples, answers).items()))
        shares = _unigram(_counts(how, examples))
        rows = [("this network", f"{ours:.3f}"), ("the share of each token in the same text", f"{shares:.3f}"),
                ("every token alike", f"{log(len(how.tokenizer)) / log(2):.3f}")]  # fmt: skip
        beside = Exhibit(
            "Beside simpler models", Table(("model", name), rows, (1,)),
            "What knows no order has at least the second: nothing that forgets what came before does better.",
        )  # fmt: skip
        ids = next(iter(examples.pieces(how.tokenizer)))
        prompt = how.tokenizer.decode(ids[: 20 if how.tokenizer.level == "char" else 5])
        args = argparse.Namespace(temperature=0.7, length=300 if how.tokenizer.level == "char" else 80, seed=0)
        written = prompt + self.generate(model, how, prompt, args)
        said = f"It goes on where {shown(prompt, 60)} ends, at a temperature of 0.7."
        return [beside, Exhibit("What it writes", Text(written), said)]

    def facts(self, how: Learned, examples: Texts | Shards) -> dict[str, Any]:
        """See `Task.facts`."""
        counts = _counts(how, examples)
        tokens = int(counts.sum())
        unknown = 0 if how.tokenizer.oov is None else int(counts[how.tokenizer.index[how.tokenizer.oov]])
        return {
            "texts": len(examples), "characters": examples.characters, "tokens": tokens,
            "vocabulary": len(how.tokenizer), "unknown tokens, %": round(100 * unknown / max(tokens, 1), 2),
        }  # fmt: skip

    def generate(self, model: Model, how: Learned, prompt: str, args: argparse.Namespace) -> str:
        """See `Task.generate`."""
        if not isinstance(model, LanguageModel):
            return super().generate(model, how, prompt, args)
        ids = how.tokenizer.encode(prompt)
        never = [how.tokenizer.index[how.tokenizer.oov]] if how.tokenizer.oov is not None else []
        if all(int(token) in never for token in ids):
            raise ValueError(f"--prompt must hold a token that the network knows, got {shown(prompt, 60)}")
        never += [0] if how.tokenizer.padding else []
        temperature = getattr(args, "temperature", None)
        drawn = model.generate(
            ids,
            getattr(args, "length", None) or LENGTH,
            temperature=1.0 if temperature is None else temperature,
            top_k=getattr(args, "top_k", None),
            never=never,
            rng=getattr(args, "seed", None),
        )
        text = how.tokenizer.decode(drawn)
        return f" {text}" if how.tokenizer.level == "word" else text


def _surprise(model: Model, pieces: Iterable[np.ndarray]) -> tuple[float, int]:
    """Return the nats of all tokens of a text but the first, and how many it has; the state is carried on."""
    nats, count, state, rest = 0.0, 0, None, np.zeros(0, np.int64)
    for ids in pieces:
        count += len(ids)
        rest = np.concatenate([rest, ids])
        for start in range(0, len(rest) - 1, AT_ONCE):
            piece = rest[start : start + AT_ONCE + 1]
            found = model.evaluate(Batch(piece[None, :-1], piece[None, 1:]), state=state)
            nats, state = nats + float(found.loss), found.state
        rest = rest[-1:]  # which tells the first of the next piece
    return nats, count


def _counts(how: Learned, examples: Texts | Shards) -> np.ndarray:
    """Return how often each token comes."""
    found = np.zeros(len(how.tokenizer), np.int64)
    for ids in examples.pieces(how.tokenizer):
        found += np.bincount(ids, minlength=len(found))
    return found


def _unigram(counts: np.ndarray) -> float:
    """Return the entropy of the tokens' shares, in bits."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _exp(nats: float) -> float:
    return exp(nats) if nats < 700 else float("inf")
