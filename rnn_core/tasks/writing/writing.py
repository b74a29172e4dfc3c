"""`Writing`: what translation and replies share, a text to read and one to write. The tasks say what these are."""

from __future__ import annotations

import argparse
import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ...data.files import TextPairs
from ...data.source import Source
from ...inputs.how import How, heard
from ...inputs.pairs import PairEncoding, Said, kept_pairs, pair_encoding_of, pairs_encoding
from ...inputs.tables import NAMED
from ...models import Model, Seq2Seq
from ...scores.strings import bleu, chrf, edit_distance, edit_rate, exact_match, has_sacrebleu, words_of
from ..splitting import split_rows
from ..task import Add, Exhibit, Picture, Role, Table, Task

ATTENTIONS = ("general", "dot", "additive", "none")

SHOWN_TEXTS, SHOWN_MAPS = 12, 2
"""Examples that a report shows, as texts and as maps of attention."""

MOST_NATS = 700.0
"""Of a mean loss, beyond which its perplexity is no number any more."""

LONGEST_MAP = 60
"""Tokens of what is read and written, up to which a map can be read."""


@dataclass(frozen=True, eq=False)
class Written:
    """Texts to read, and what should be written where that is known.

    Attributes
    ----------
    sources : list of str
    targets : list of str, or None
    places : tuple of str
    groups : tuple of str
        What belongs together, so that no part of it is validated by while another is trained on.
    notes : tuple of str
    """

    sources: list[str]
    targets: list[str] | None
    places: tuple[str, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def pairs(self) -> TextPairs:
        """Both sides, of examples that were read with them."""
        if self.targets is None:
            raise TypeError("Written.pairs: targets must be known, got examples that were read without")
        return TextPairs(self.sources, self.targets, self.places)

    def take(self, rows: np.ndarray) -> Written:
        """Return some of the examples."""

        def some(values: Sequence[str]) -> list[str]:
            return [values[k] for k in rows]

        targets = None if self.targets is None else some(self.targets)
        return Written(some(self.sources), targets, tuple(some(self.places)), tuple(some(self.groups)))


@dataclass(frozen=True, eq=False)
class Replies:
    """What a model says of examples.

    Attributes
    ----------
    said : list of Said
    perplexity : float, or None
        A token, of what should have been written; None where that isn't known.
    """

    said: list[Said]
    perplexity: float | None

    @property
    def texts(self) -> list[str]:
        """What was written."""
        return [one.text for one in self.said]


@dataclass(frozen=True)
class Flags(How):
    """The readers' options as these tasks have them on the command line."""

    flags: tuple[tuple[str, str], ...] = ()

    def flag(self, option: str) -> str:
        """Return what an option of the readers is called on the command line."""
        return dict(self.flags).get(option) or super().flag(option)


class Writing(Task[Written, PairEncoding, Replies]):
    """A text to read and one to write. Subclasses say how files are read, and what is usual.

    Attributes
    ----------
    columns : pair of str
        What the columns of a table are called, of what is read and of what is written.
    flags : tuple of pair of str
        What the readers' options are called on the command line, where that is something else.
    keep : {"start", "end"}
        What is read of a text that is too long.
    one_language : bool
        Whether both sides have one vocabulary.
    """

    columns: ClassVar[tuple[str, str]]
    flags: ClassVar[tuple[tuple[str, str], ...]]
    keep: ClassVar[str] = "start"
    one_language: ClassVar[bool] = False
    models: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 128, "bidirectional": True, "epochs": 40, "dropout": 0.2, "level": "piece", "num_words": 10_000,
        "max_steps": 200, "attention": "general", "beam": 4, "length_penalty": 0.6,
    }  # fmt: skip

    def reading_options(self, add: Add) -> None:
        """Add what can be said of its files, in every command."""
        source, target = self.columns
        add("--text", metavar="COLUMN", help=f"of a table: what is read ({source})")
        add("--label", metavar="COLUMN", help=f"of a table: what is to be written ({target})")
        separators = [*NAMED, *NAMED.values()]
        add("--separator", choices=separators, metavar="NAME", help=f"of a table's cells: {', '.join(NAMED)}")
        add("--no-header", action="store_true", help="tables have no line of names: --text 1 --label 2, say")
        add("--encoding", metavar="NAME", help="of text files (utf-8)")
        beam, penalty = self.usual["beam"], self.usual["length_penalty"]
        add("--beam", type=int, metavar="N", help=f"texts that are followed at a time; 1 is greedy ({beam})")
        add("--length-penalty", type=float, metavar="A", help=f"the larger, the longer what is written ({penalty})")

    def training_options(self, add: Add) -> None:
        """Add what can be said of its training alone."""
        usual = self.usual
        add("--level", choices=("piece", "char", "word"), help=f"what a token is ({usual['level']})")
        add("--num-words", type=int, metavar="N", help=f"tokens that are kept, a side ({usual['num_words']})")
        add("--lower-case", action="store_true", help="read and write small letters alone")
        add("--max-steps", type=int, metavar="N", help=f"tokens of a text, at most ({usual['max_steps']})")
        add("--attention", choices=ATTENTIONS, help=f"how the decoder looks at what was read ({usual['attention']})")
        add("--input-feeding", action="store_true", help="it reads what it found a step before, too")

    def check(self, args: argparse.Namespace) -> None:
        """Raise ValueError for options that are out of range."""
        for name in ("num_words", "max_steps", "beam", "context"):
            if (value := getattr(args, name, None)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        penalty = getattr(args, "length_penalty", None)
        if penalty is not None and not 0 <= penalty < math.inf:
            raise ValueError(f"--length-penalty must be at least 0, got {penalty}")
        columns = [value for name in ("text", "label") if (value := getattr(args, name, None))]
        if getattr(args, "no_header", False) and columns and not all(value.isdecimal() for value in columns):
            raise ValueError(
                f"--no-header must go with the numbers of columns, --text 1 --label 2, got {columns[0]!r:.40}"
            )

    def read(self, path: str, args: argparse.Namespace, role: Role, how: PairEncoding | None = None) -> Written:
        """Read a file; see `Task.read`."""
        with heard(Flags(flags=self.flags)) as notes:
            found = self.read_file(path, args, role, how)
        return replace(found, notes=tuple(notes))

    @abstractmethod
    def read_file(self, path: str, args: argparse.Namespace, role: Role, how: PairEncoding | None) -> Written:
        """Read a file; its remarks are collected elsewhere."""

    def split(self, examples: Written, share: float, seed: int) -> tuple[Written, Written]:
        """Return what to train on, and what to validate by: of what belongs together, all is in one part."""
        names = list(dict.fromkeys(examples.groups))
        held = {names[k] for k in split_rows(len(names), share, seed)[1]}
        inside = np.array([group in held for group in examples.groups])
        return examples.take(np.flatnonzero(~inside)), examples.take(np.flatnonzero(inside))

    def learn(self, train: Written, args: argparse.Namespace) -> PairEncoding:
        """Return vocabularies and lengths, of those trained on alone."""
        return pairs_encoding(
            train.pairs,
            level=self.given(args, "level"),
            lower=bool(self.given(args, "lower_case")),
            num_words=self.given(args, "num_words"),
            shared=self.one_language,
            max_steps=self.given(args, "max_steps"),
            keep=self.keep,
            context=self.given(args, "context"),
        )

    def build(self, how: PairEncoding, options: Mapping[str, Any], args: argparse.Namespace) -> Seq2Seq:
        """Return a fresh model."""
        attention = self.given(args, "attention")
        return Seq2Seq(
            len(how.target_tokenizer),
            vocab_size=len(how.tokenizer),
            attention=None if attention == "none" else attention,
            input_feeding=bool(self.given(args, "input_feeding")),
            shared=self.one_language,
            **options,
        )

    def batches(self, how: PairEncoding, examples: Written, batch_size: int, seed: int, *, training: bool) -> Source:
        """Return pairs as batches."""
        return how.batches(examples.pairs, batch_size, shuffle=training, seed=seed)

    def kept(self, how: PairEncoding) -> dict[str, Any]:
        """Return what `save` is to put beside the weights."""
        return kept_pairs(how)

    def known(self, model: Model, where: str) -> PairEncoding:
        """Return how a loaded model reads and writes."""
        if not isinstance(model, Seq2Seq):
            raise ValueError(f"{where} must hold a Seq2Seq, which writes, got a {type(model).__name__}")
        return pair_encoding_of(model, where)

    def answer(self, model: Model, how: PairEncoding, examples: Written, args: argparse.Namespace) -> Replies:
        """Return what a model writes and, where what it should write is known, its perplexity."""
        if not isinstance(model, Seq2Seq):
            raise TypeError(f"Writing.answer: model must be a Seq2Seq, got {type(model).__name__}")
        said = how.write(
            model,
            examples.sources,
            beam=self.given(args, "beam"),
            length_penalty=self.given(args, "length_penalty"),
        )
        perplexity = None
        if examples.targets is not None:
            data = how.batches(examples.pairs, 64, shuffle=False)
            parts = [model.evaluate(data.batch(0, k)) for k in range(len(data))]
            mean = sum(part.loss for part in parts) / sum(part.count for part in parts)
            perplexity = math.exp(min(mean, MOST_NATS))
        return Replies(said, perplexity)

    def score(self, how: PairEncoding, examples: Written, answers: Replies) -> dict[str, float]:
        """Return how near what was written is to what should have been; BLEU and chrF where sacrebleu is installed."""
        said, wanted = answers.texts, examples.pairs.targets
        found = {"chrF": chrf(said, wanted), "BLEU": bleu(said, wanted)} if has_sacrebleu() else {}
        found |= {
            "exact in %": 100 * exact_match(said, wanted),
            "character edits in %": 100 * edit_rate(said, wanted),
            "word edits in %": 100 * edit_rate(words_of(said), words_of(wanted)),
        }
        return found if answers.perplexity is None else found | {"perplexity": answers.perplexity}

    def rows(
        self, how: PairEncoding, examples: Written, answers: Replies, args: argparse.Namespace
    ) -> Iterable[dict[str, Any]]:
        """Yield each text, what was written and how likely that was; where it is known, what should have been."""
        source, target = self.columns
        for k, (place, text, one) in enumerate(zip(examples.places, examples.sources, answers.said, strict=True)):
            row = {"place": place, source: text, target: one.text, "log_probability": one.log_probability}
            if examples.targets is not None:
                wanted = examples.targets[k]
                row |= {"wanted": wanted, "edits": edit_distance(one.text, wanted)}
            yield row

    def exhibits(self, model: Model, how: PairEncoding, examples: Written, answers: Replies) -> list[Exhibit]:
        """Return texts with what was written for them, and where it looked."""
        wanted = examples.targets or [""] * len(examples)
        rows = list(zip(examples.sources, answers.texts, wanted, strict=True))[:SHOWN_TEXTS]
        table = Table((*self.columns, "wanted"), rows)
        found = [Exhibit("What it writes", table, "The first of the examples that it was not trained on.")]
        shown = [k for k, one in enumerate(answers.said) if _can_be_shown(one)][:SHOWN_MAPS]
        for number, k in enumerate(shown, 1):
            one = answers.said[k]
            alt = f"A square for each token read, to the right, and each written, downwards, of: {one.text}"
            picture = Picture(f"attention-{number}", partial(_draw, one), alt)
            caption = "What is written, downwards, looked at what is read; the darker, the more."
            heading = "Where it looked" if len(shown) == 1 else f"Where it looked, {number} of {len(shown)}"
            found.append(Exhibit(heading, picture, caption))
        return found

    def options(self, args: argparse.Namespace) -> dict[str, Any]:
        """Return what was said of tables, as the readers take it."""
        found: dict[str, Any] = {}
        if separator := getattr(args, "separator", None):
            found["separator"] = NAMED.get(separator, separator)
        if getattr(args, "no_header", False):
            found["header"] = False
        if encoding := getattr(args, "encoding", None):
            found["encoding"] = encoding
        return found

    def named_columns(self, args: argparse.Namespace) -> tuple[str, str]:
        """Return what the columns are called in this user's tables."""
        usual = ("1", "2") if getattr(args, "no_header", False) else self.columns
        return getattr(args, "text", None) or usual[0], getattr(args, "label", None) or usual[1]

    def facts(self, how: PairEncoding, examples: Written) -> dict[str, Any]:
        """Return counts of examples and tokens."""
        rows = how.sources(examples.sources)
        lengths = [len(row) for row in rows]
        return {
            "examples": len(examples),
            "tokens read": (min(lengths), int(np.median(lengths)), max(lengths)),
            "vocabulary read": len(how.tokenizer),
            "vocabulary written": len(how.target_tokenizer),
        }


def _can_be_shown(one: Said) -> bool:
    return one.weights is not None and 1 < len(one.tokens) <= LONGEST_MAP and 1 < len(one.read) <= LONGEST_MAP


def _draw(one: Said, figure: Any) -> None:
    """Draw where what was written looked."""
    from ...showing.attention import draw_attention

    if one.weights is not None:
        draw_attention(figure, one.weights, one.read, one.tokens)
