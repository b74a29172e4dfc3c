"""``tag``: sentences and a tag for each word, by a softmax at each or by a chain over all of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ..data import Examples, pad_sequences
from ..data.files import read_tagged
from ..data.files.labels import classes_of
from ..data.files.lines import named
from ..data.files.tagged import has_tags
from ..data.ragged import pieces
from ..data.source import Source
from ..inputs.facts import listed
from ..inputs.how import How, heard
from ..inputs.tables import NAMED, add_table_options
from ..inputs.words import Sentences, alphabet, encoded, is_running_text, sentences_a_line, unknown_in, vocabulary
from ..layers.crf import constraints_of, scheme_of
from ..models import Model, SequenceTagger
from ..models.answers import AT_ONCE
from ..scores import accuracy, macro_f1
from .classify import counted
from .shown import confusion_exhibits
from .splitting import split_rows
from .tag_said import STEPS, Learned, Said, matrix_of, numbers_of, pairs_of, spans_of, stretches
from .task import Add, Exhibit, Role, Table, Task

LETTERS = {"letter_size": 16, "filters": [[1, 16], [2, 32], [3, 48]]}
"""How words are read by their letters; see `rnn_core.models.fronts.letters`."""

AS_TEXT = "the file was read as text, a sentence a line; --token 1 reads a word a line, with columns beside it"
"""What is said where it was not clear."""


class Tag(Task[Sentences, Learned, Said]):
    """Sentences, and a tag for each of their words."""

    name = "tag"
    help = "sentences: a tag for each word, such as its kind or the entity that it belongs to"
    files = "columns as the CoNLL tasks have them (.conll .txt .tsv), .conllu, .csv, or .jsonl with lists of words"
    models = ("SequenceTagger",)
    network = ("cell", "hidden_size", "layers", "dropout", "embedding_size", "precision")
    usual: ClassVar[dict[str, Any]] = {"dropout": 0.3, "patience": 8}
    monitor = "validation_accuracy"

    def reading_options(self, add: Add) -> None:
        """See `Task.reading_options`."""
        add("--token", metavar="COLUMN", help="name or number of the column of words (the first)")
        add("--tag", metavar="COLUMN", help="name or number of the column of tags (the last, -1)")
        add("--sentence", metavar="COLUMN", help="of a table, a column that says which sentence a word is in")
        add_table_options(add, "separator", "no_header", "keep_missing_labels")
        add("--comments", metavar="MARK", help="how lines begin that are no words'")
        add("--whole-tokens", action="store_true", help="CoNLL-U: tokens of several words as they are written")
        add("--allow-untagged", action="store_true", help="words may have no tag; they teach nothing of their own")
        add("--encoding", metavar="NAME", help="of text files (utf-8)")

    def training_options(self, add: Add) -> None:
        """See `Task.training_options`."""
        add("--crf", action="store_true", help="a chain over all words of a sentence: tags know of their neighbours")
        add("--letters", action="store_true", help="read each word by its letters, so that none is unknown")
        add("--one-way", action="store_true", help="read from left to right alone")
        add("--num-words", type=int, metavar="N", help="words that are kept, the most frequent (those that come twice)")
        add("--keep-case", action="store_true", help="tell capital letters from small ones")
        add("--max-steps", type=int, metavar="N", help=f"longer sentences are trained on in parts ({STEPS})")

    def predicting_options(self, add: Add) -> None:
        """See `Task.predicting_options`."""
        add("--no-label", action="store_true", help="the examples have no classes: a line is a series, or a word, say")
        add("--probabilities", action="store_true", help="of every class, not of the likeliest alone")

    def check(self, args: argparse.Namespace) -> None:
        """See `Task.check`."""
        for name in ("num_words", "max_steps"):
            if (value := getattr(args, name, None)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        if getattr(args, "letters", False):
            for name in ("num_words", "keep_case"):
                if getattr(args, name):
                    raise ValueError(
                        f"--{name.replace('_', '-')} must be left out with --letters, which tells all apart"
                    )
        if getattr(args, "no_label", False) and args.tag is not None:
            raise ValueError("--tag must be left out with --no-label, by which there is none")

    def read(self, path: str, args: argparse.Namespace, role: Role, how: Learned | None = None) -> Sentences:
        """See `Task.read`."""
        encoding, text = args.encoding or "utf-8", role is Role.PREDICT and path.lower().endswith(".txt")
        if text and how is not None and not _says_columns(args):
            if getattr(args, "typed", False):
                return sentences_a_line(path, encoding)
            if not args.no_label and is_running_text(path, encoding, how.tags):
                return replace(sentences_a_line(path, encoding), notes=(AS_TEXT,))
        given = {
            "token": args.token, "tag": args.tag, "encoding": encoding,
            "separator": NAMED.get(args.separator, args.separator),
            "header": False if args.no_header else None, "comments": args.comments,
        }  # fmt: skip
        with heard(How(predicting=role in (Role.PREDICT, Role.EVALUATE))) as notes:
            tagged = role.labelled or (not getattr(args, "no_label", False) and has_tags(path, **given))
            found = read_tagged(
                path, **given, sentence=args.sentence, tagged=tagged,
                multiword="whole" if args.whole_tokens else "parts", keep_missing_labels=args.keep_missing_labels,
                allow_untagged=args.allow_untagged or not role.labelled,
            )  # fmt: skip
        examples = Sentences(found.tokens, found.tags, found.places, tuple(notes))
        given_tags = {tag for row in examples.known for tag in row if tag is not None}
        if how is not None and given_tags and given_tags.isdisjoint(how.tags):
            none = "" if role.labelled else ", and --no-label says that there is none"
            none += "; standard input, - for PATH, is read as a sentence a line" if text else ""
            raise ValueError(
                f"{named(path)} must have tags that the network knows, {listed(how.tags)}, got "
                f"{listed(classes_of(given_tags))} alone; --tag names the column{none}"
            )
        return examples

    def split(self, examples: Sentences, share: float, seed: int) -> tuple[Sentences, Sentences]:
        """See `Task.split`."""
        train, held_out = split_rows(len(examples), share, seed)
        there = {tag for k in train for tag in examples.known[k]}
        # A tag that is nowhere else is to be learned, not validated by.
        lone = [k for k in held_out if set(examples.known[k]) - there - {None}]
        if len(lone) == len(held_out):
            raise ValueError("--data must have tags that come in several sentences to be split; name a --validation")
        train, held_out = np.sort(np.concatenate([train, np.array(lone, int)])), np.setdiff1d(held_out, lone)
        return examples.take(train), examples.take(held_out)

    def learn(self, train: Sentences, args: argparse.Namespace) -> Learned:
        """See `Task.learn`."""
        tags = classes_of(tag for row in train.known for tag in row if tag is not None)
        if len(tags) < 2:
            raise ValueError(f"--data must have two tags or more, got {listed(tags) if tags else 'none'} alone")
        scheme, ruled = scheme_of(stretches(train.known))
        if args.letters:
            read = alphabet(train.tokens)
        else:
            read = vocabulary(train.tokens, args.num_words, lower=not args.keep_case)
        return Learned(read, tags, scheme, ruled, args.max_steps or STEPS)

    def build(self, how: Learned, options: Mapping[str, Any], args: argparse.Namespace) -> Model:
        """See `Task.build`."""
        rules = constraints_of(how.tags, how.scheme) if args.crf and how.scheme and how.ruled else None
        options, tokens = dict(options), len(how.tokenizer)
        if how.tokenizer.level == "char":
            width = options.pop("embedding_size", None) or options["hidden_size"]
            options["front"] = {"kind": "letters", "num_letters": tokens, **LETTERS, "features": width}
        else:
            options |= {"vocab_size": tokens, "padding_idx": 0}
        return SequenceTagger(
            len(how.tags), bidirectional=not args.one_way, crf=bool(args.crf), constraints=rules, **options
        )

    def batches(self, how: Learned, examples: Sentences, batch_size: int, seed: int, *, training: bool) -> Source:
        """See `Task.batches`."""
        number: Mapping[Any, int] = numbers_of(how, examples)
        rows = [
            (words[k : k + how.steps], [number.get(tag, -1) for tag in tags[k : k + how.steps]])
            for words, tags in zip(examples.tokens, examples.known, strict=True)
            for k in range(0, len(words), how.steps)
        ]
        if not (rows := [row for row in rows if max(row[1]) >= 0]):
            raise ValueError("it must have a word with a tag at least, got none")
        inputs, lengths = encoded(how.tokenizer, [row[0] for row in rows])
        numbers = pad_sequences([row[1] for row in rows], padding="post", value=0)
        weights = None if (numbers >= 0).all() else (numbers >= 0).astype(float)
        return Examples(
            inputs, np.maximum(numbers, 0), lengths=lengths, weights=weights, batch_size=batch_size, shuffle=training,
            seed=seed,
        )  # fmt: skip

    def kept(self, how: Learned) -> dict[str, Any]:
        """See `Task.kept`."""
        return {"tokenizer": how.tokenizer, "classes": how.tags}

    def known(self, model: Model, where: str) -> Learned:
        """See `Task.known`."""
        for name, what, option in ((model.tokenizer, "words", "tokenizer"), (model.classes, "tags", "classes")):
            if name is None:
                raise ValueError(
                    f"{where} must say what its {what} are, got none beside its weights; "
                    f"save(model, path, {option}=…) keeps them"
                )
        tags = tuple(map(str, model.classes or ()))
        return Learned(model.tokenizer, tags, *scheme_of([[tag] for tag in tags]))  # type: ignore[arg-type]  # is there

    def answer(self, model: Model, how: Learned, examples: Sentences, args: argparse.Namespace) -> Said:
        """Return tags and probabilities, sentence by sentence."""
        said = Said([], [])
        for part in pieces(np.array(list(map(len, examples.tokens))), AT_ONCE):
            tokens, lengths = encoded(how.tokenizer, examples.tokens[part])
            best, p = model.predict(tokens, lengths), model.predict_proba(tokens, lengths)  # type: ignore[attr-defined]
            said.best.extend(row[:n] for row, n in zip(best, lengths, strict=True))
            said.probabilities.extend(row[:n] for row, n in zip(p, lengths, strict=True))
        return said

    def score(self, how: Learned, examples: Sentences, answers: Said) -> dict[str, float]:
        """See `Task.score`."""
        matrix = matrix_of(how, examples, answers)
        found = {"accuracy in %": 100 * accuracy(matrix)}
        if how.scheme is None:
            return found | {"macro F1 in %": 100 * macro_f1(matrix)}
        spans = spans_of(how, examples, answers).micro
        told = zip(("F1", "precision", "recall"), (spans.f1, spans.precision, spans.recall), strict=True)
        return {f"{name} of entities in %": 100 * value for name, value in told} | found

    def rows(self, how: Learned, examples: Sentences, answers: Said, args: argparse.Namespace) -> Iterable[dict]:
        """See `Task.rows`."""
        every = getattr(args, "probabilities", False)
        said = zip(examples.places, examples.tokens, answers.best, answers.probabilities, strict=True)
        for place, words, best, p in said:
            for k, word in enumerate(words):
                row = {"example": place, "token": word, "tag": how.tags[best[k]], "probability": _round(p[k, best[k]])}
                if every:
                    row |= {f"probability of {tag}": _round(one) for tag, one in zip(how.tags, p[k], strict=True)}
                yield row

    def remarks(self, how: Learned, examples: Sentences, answers: Said, args: argparse.Namespace) -> list[str]:
        """Say how many are right, if that is known."""
        words = sum(map(len, examples.tokens))
        said = f"{counted(len(examples), 'sentence')}, {counted(words, 'word')}"
        if not any(tag is not None for row in examples.known for tag in row):
            return [f"{said}; the file has no tags to compare with"]
        foreign = classes_of({tag for row in examples.known for tag in row if tag is not None} - set(how.tags))
        if foreign:
            said += f"; tags that the network does not know are never said: {listed(foreign)}"
        pairs = list(pairs_of(how, examples, answers))
        right, every = sum(tag == other for tag, other in pairs), f"{len(pairs):,}"
        return [f"{said}; {right:,} of {every} tags told as the file has them, {100 * right / len(pairs):.1f} %"]

    def exhibits(self, model: Model, how: Learned, examples: Sentences, answers: Said) -> list[Exhibit]:
        """See `Task.exhibits`."""
        found = confusion_exhibits(matrix_of(how, examples, answers), how.tags)
        if how.scheme is None:
            return found
        spans = spans_of(how, examples, answers)
        rows = [
            (kind, f"{s.expected:,}", f"{s.found:,}", *(f"{100 * x:.1f}" for x in (s.precision, s.recall, s.f1)))
            for kind, s in [*spans.kinds.items(), ("all", spans.micro), ("mean of the kinds", spans.macro)]
        ]
        headings = ("entity", "there", "found", "precision, %", "recall, %", "F1, %")
        said = "An entity is right if its kind and both of its ends are."
        return [Exhibit("Entities", Table(headings, rows, (1, 2, 3, 4, 5)), said), *found]

    def facts(self, how: Learned, examples: Sentences) -> dict[str, Any]:
        """See `Task.facts`."""
        words = [word for row in examples.tokens for word in row]
        unknown = sum(map(len, unknown_in(how.tokenizer, examples.tokens)))
        what = "letters" if how.tokenizer.level == "char" else "words"
        tags = [tag for row in examples.known for tag in row if tag is not None]
        counts = {tag: tags.count(tag) for tag in how.tags}
        steps = np.array(list(map(len, examples.tokens)))
        return {
            "sentences": len(examples), "words": (int(steps.min()), int(np.median(steps)), int(steps.max())),
            "all words": len(words), "vocabulary": len(how.tokenizer),
            f"words with unknown {what}, %": round(100 * unknown / len(words), 2), "classes": counts,
        }  # fmt: skip


def _says_columns(args: argparse.Namespace) -> bool:
    """Return whether an option says that a file has columns."""
    names = ("token", "tag", "sentence", "separator", "comments", "no_header")
    return any(getattr(args, name, None) not in (None, False) for name in names)


def _round(p: float) -> float:
    return round(float(p), 6)
