"""``classify``: texts, series and sounds, and the class of each; or a number for each, with ``--regression``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..data import Examples
from ..data.files.series import MISSING
from ..data.scaling import Scaling
from ..data.source import Source
from ..inputs.encoding import for_ids, for_numbers, for_texts
from ..inputs.how import FRAME, How
from ..inputs.kept import encoding_of, kept
from ..inputs.reading import Raw, has_test, read, read_to_predict
from ..inputs.tables import add_table_options, check_table_options, table_options
from ..inputs.vectors import check_vectors, known_words
from ..models import ConvClassifier, Model, SequenceClassifier, SequenceRegressor
from ..models.answers import answers, in_pieces
from ..scores import accuracy, balanced_accuracy, confusion, macro_f1, missed
from .classify_said import Learned, channels_first, check_effects, check_labels, counted, targets_of, told
from .shown import confusion_exhibits, scatter_exhibit
from .splitting import split_classes, split_rows
from .task import Add, Exhibit, Role, Task

TEXT_STEPS, WORDS = 200, 10_000
"""Tokens that are read of a text, and words that are kept, unless told otherwise."""


class Classify(Task[Raw, Learned, np.ndarray]):
    """Texts, series or sounds, and the class of each, or a number."""

    name = "classify"
    help = "texts, series or sounds: the class of each, or a number (--regression)"
    files = ".csv .tsv .jsonl .npz .ts .arff, or a folder with one of .txt or .wav .flac .ogg files for each class"
    models = ("SequenceClassifier", "SequenceRegressor", "ConvClassifier")

    def reading_options(self, add: Add) -> None:
        """See `Task.reading_options`."""
        add_table_options(add)
        add("--encoding", metavar="NAME", help="of text files (utf-8)")
        add("--missing", choices=MISSING, help="what becomes of series in which numbers are missing (refuse)")

    def training_options(self, add: Add) -> None:
        """See `Task.training_options`."""
        add("--kind", choices=("text", "series", "waveforms"), help="how to read what is ambiguous")
        add("--regression", action="store_true", help="labels are numbers to be met, not classes")
        add("--balanced", action="store_true", help="score by the mean of the classes' accuracies")
        add("--level", choices=("char", "word"), help="what a token of a text is (word)")
        add("--num-words", type=int, metavar="N", help="tokens that are kept, the most frequent (10000 words)")
        add("--keep-case", action="store_true", help="tell capital letters from small ones")
        add("--vectors", metavar="FILE", help="word2vec's or GloVe's vectors, for the embedding to begin with")
        add("--vectors-encoding", metavar="NAME", help="of the words there (utf-8, whatever --encoding is)")
        add("--max-steps", type=int, metavar="N", help="longer examples are cut to their beginning (texts: 200)")
        add("--frame", type=int, metavar="N", help="samples of a waveform that make a step (64)")
        add("--sample-rate", type=int, metavar="N", help="samples a second that waveforms are brought to (their own)")
        add("--pooling", choices=("last", "mean", "max"), help="from steps to a sequence (mean)")

    def predicting_options(self, add: Add) -> None:
        """See `Task.predicting_options`."""
        add("--no-label", action="store_true", help="the examples have no classes: a line is a series, say")
        add("--resample", action="store_true", help="bring waveforms to the rate of those that were trained on")
        add("--probabilities", action="store_true", help="of every class, not of the likeliest alone")

    def check(self, args: argparse.Namespace) -> None:
        """See `Task.check`."""
        files = [path for name in ("data", "validation", "test", "file") if (path := getattr(args, name, None))]
        check_table_options(args, files)
        for name in ("num_words", "max_steps", "frame", "sample_rate"):
            value = getattr(args, name, None)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        check_vectors(args)
        if getattr(args, "regression", False) and args.balanced:
            raise ValueError("--balanced must be left out with --regression, in which there are no classes")
        if getattr(args, "no_label", False) and args.label is not None:
            raise ValueError("--label must be left out with --no-label, by which there is none")

    def read(self, path: str, args: argparse.Namespace, role: Role, how: Learned | None = None) -> Raw:
        """See `Task.read`."""
        given = {"encoding": args.encoding or "utf-8", **table_options(args)}
        if role in (Role.PREDICT, Role.EVALUATE) and how is not None:
            return _read_for(how, path, args, role, given)
        wanted = How(
            args.kind, frame=args.frame, missing=args.missing, rate=args.sample_rate, max_steps=args.max_steps,
            numbers=args.regression, **given,
        )  # fmt: skip
        part = "train" if role is Role.DATA else "test"
        found = read(path, wanted, part)
        if how is None:
            check_effects(args, found)
            check_labels(found, path, args)
        return found

    def has_test(self, path: str, args: argparse.Namespace) -> bool:
        """See `Task.has_test`."""
        return has_test(path, How(args.kind, encoding=args.encoding or "utf-8", **table_options(args)))

    def split(self, examples: Raw, share: float, seed: int) -> tuple[Raw, Raw]:
        """See `Task.split`."""
        regression = len(set(examples.targets.tolist())) > len(examples) / 2  # a class of its own for nearly each
        split = split_rows(len(examples), share, seed) if regression else split_classes(examples.targets, share, seed)
        return examples.take(split[0]), examples.take(split[1])

    def learn(self, train: Raw, args: argparse.Namespace) -> Learned:
        """See `Task.learn`."""
        if train.kind == "text":
            level = args.level or "word"
            most = args.num_words or (WORDS if level == "word" else None)
            encoding = for_texts(train.rows, level, most, not args.keep_case, args.max_steps or TEXT_STEPS)
        elif train.kind == "ids":
            encoding = for_ids({"--data": train}, args.num_words, args.max_steps or TEXT_STEPS)
        else:
            encoding = for_numbers(train, args.max_steps, args.frame or FRAME if train.kind == "waveforms" else 1)
        words = None
        if args.vectors is not None:
            words = known_words(args.vectors, encoding.tokenizer, args.vectors_encoding or "utf-8")
        if args.regression:
            return Learned(encoding, (), Scaling.of([train.numbers[:, None]]), "RMSE", words)
        metric = "balanced accuracy in %" if args.balanced else "accuracy in %"
        return Learned(encoding, train.classes, None, metric, words)

    def build(self, how: Learned, options: Mapping[str, Any], args: argparse.Namespace) -> Model:
        """See `Task.build`."""
        tokens, options = how.encoding.tokens, {**options, "pooling": args.pooling or "mean"}
        if tokens is None:
            if options.pop("embedding_size", None) is not None:
                raise ValueError("--embedding-size must be left out with series and waveforms, which have no tokens")
            options["input_size"] = len(how.encoding.mean)
        else:
            options["vocab_size"] = len(tokens)
        if how.words is not None:
            options["embedding_size"] = how.words.size_for(options.get("embedding_size"))
        regression = how.numbers is not None
        model = SequenceRegressor(1, **options) if regression else SequenceClassifier(len(how.classes), **options)
        if how.words is not None:
            how.words.into(model)
        return model

    def notes(self, how: Learned) -> list[str]:
        """See `Task.notes`."""
        return [] if how.words is None else list(how.words.notes)

    def batches(self, how: Learned, examples: Raw, batch_size: int, seed: int, *, training: bool) -> Source:
        """See `Task.batches`."""
        inputs, lengths = how.encoding.encode(examples)
        return Examples(
            inputs, targets_of(how, examples), lengths=lengths, batch_size=batch_size, shuffle=training, seed=seed
        )

    def kept(self, how: Learned) -> dict[str, Any]:
        """See `Task.kept`."""
        return {**kept(how.encoding), "classes": how.classes or None, "target_scaling": how.numbers}

    def known(self, model: Model, where: str) -> Learned:
        """See `Task.known`."""
        regression = isinstance(model, SequenceRegressor)
        if regression and model.config["num_outputs"] != 1:
            raise ValueError(f"{where} must be a network that says one number, got {model.config['num_outputs']}")
        if not regression and model.classes is None:
            raise ValueError(
                f"{where} must say what its classes are, got none beside its weights; "
                "save(model, path, classes=…) keeps them"
            )
        if isinstance(model, ConvClassifier) and len(model.config["input_shape"]) != 2:
            raise ValueError(
                f"{where} must read series or sounds, got a ConvClassifier of pictures, of which no file is read; ask "
                "it in Python, by its predict_proba"
            )
        encoding = encoding_of(model, where)
        if regression:
            return Learned(encoding, (), model.target_scaling or Scaling((0.0,), (1.0,)), "RMSE")
        metric = str((model.record or {}).get("metric", "accuracy in %"))
        return Learned(encoding, tuple(map(str, model.classes or ())), None, metric)

    def answer(self, model: Model, how: Learned, examples: Raw, args: argparse.Namespace) -> np.ndarray:
        """Return probabilities (N, K), or numbers (N,)."""
        inputs, lengths = how.encoding.encode(examples)
        if isinstance(model, SequenceRegressor):
            said = in_pieces(model.predict, inputs, lengths)
            return said if how.numbers is None else how.numbers.undo(said[:, None])[:, 0]
        if isinstance(model, ConvClassifier):
            inputs, lengths = channels_first(inputs, lengths), None
        return answers(model, inputs, lengths)  # type: ignore[arg-type]  # a classifier, as `known` has seen to

    def score(self, how: Learned, examples: Raw, answers: np.ndarray) -> dict[str, float]:
        """See `Task.score`."""
        if how.numbers is not None:
            return missed(examples.numbers, answers)
        targets = targets_of(how, examples)
        matrix = confusion(targets, answers.argmax(axis=1), len(how.classes))
        right = np.maximum(answers[np.arange(len(targets)), targets], np.finfo(answers.dtype).tiny)
        found = {
            "accuracy in %": 100 * accuracy(matrix),
            "balanced accuracy in %": 100 * balanced_accuracy(matrix),
            "macro F1 in %": 100 * macro_f1(matrix),
            "cross-entropy in nats": float(-np.log(right.astype(np.float64)).mean()),
        }
        return {how.metric: found.pop(how.metric), **found} if how.metric in found else found

    def higher_is_better(self, how: Learned) -> bool:
        """See `Task.higher_is_better`: of numbers the score is an error."""
        return how.numbers is None

    def rows(self, how: Learned, examples: Raw, answers: np.ndarray, args: argparse.Namespace) -> Iterable[dict]:
        """See `Task.rows`."""
        for place, said in zip(examples.places, answers, strict=True):
            if how.numbers is not None:
                yield {"example": place, "number": float(f"{said:.9g}")}
                continue
            best = int(said.argmax())
            row = {"example": place, "class": how.classes[best], "probability": round(float(said[best]), 6)}
            if getattr(args, "probabilities", False):
                row |= {f"probability of {name}": round(float(p), 6) for name, p in zip(how.classes, said, strict=True)}
            yield row

    def remarks(self, how: Learned, examples: Raw, answers: np.ndarray, args: argparse.Namespace) -> list[str]:
        """Say how many are right, if that is known."""
        if how.numbers is None:
            return [told(how, examples, answers.argmax(axis=1))]
        count = counted(len(examples), "example")
        if examples.labels is None:
            return [f"{count}; the file has no numbers to compare with"]
        numbers = examples.numbers
        there = np.isfinite(numbers)
        found = missed(numbers[there], answers[there])
        return [f"{count}; " + ", ".join(f"{name} {value:.4g}" for name, value in found.items())]

    def exhibits(self, model: Model, how: Learned, examples: Raw, answers: np.ndarray) -> list[Exhibit]:
        """See `Task.exhibits`."""
        if how.numbers is not None:
            return [scatter_exhibit(examples.numbers, answers)]
        matrix = confusion(targets_of(how, examples), answers.argmax(axis=1), len(how.classes))
        return confusion_exhibits(matrix, how.classes)

    def facts(self, how: Learned, examples: Raw) -> dict[str, Any]:
        """See `Task.facts`."""
        encoding = how.encoding
        steps = np.array([len(row) for row in examples.rows])
        what = "characters" if examples.kind == "text" else "steps"
        found: dict[str, Any] = {"examples": len(examples)}
        if how.numbers is None:
            counts = np.bincount(examples.targets, minlength=len(examples.classes))
            found["classes"] = dict(zip(examples.classes, counts.tolist(), strict=True))
        else:
            numbers = examples.numbers
            found["numbers"] = f"{numbers.min():.4g} to {numbers.max():.4g}, mean {numbers.mean():.4g}"
        found[what] = (int(steps.min()), int(np.median(steps)), int(steps.max()))
        if encoding.tokens is not None:
            known = {} if how.words is None else {"of it with a vector": len(how.words.rows)}
            return found | {"vocabulary": len(encoding.tokens)} | known
        return found | {"features a step": len(encoding.mean)}


def _read_for(how: Learned, path: str, args: argparse.Namespace, role: Role, given: dict[str, Any]) -> Raw:
    """Read as the network's own data were, unless told otherwise."""
    encoding = how.encoding
    for name, value, heed in (
        ("--missing", args.missing, "series"), ("--resample", getattr(args, "resample", False), "waveforms"),
    ):  # fmt: skip
        if value and encoding.kind != heed:
            raise ValueError(f"{name} must be left out with a network that reads {encoding.kind}; it is for {heed}")
    wanted = How(
        "text" if encoding.kind == "ids" else encoding.kind,
        frame=encoding.frame,
        labelled=not getattr(args, "no_label", False),
        missing=args.missing or encoding.missing,
        rate=encoding.rate if getattr(args, "resample", False) else None,
        max_steps=encoding.max_steps,
        predicting=True,
        numbers=how.numbers is not None,
        **given,
    )
    if role is Role.EVALUATE:
        return read(path, wanted, "test")
    return read_to_predict(path, wanted, labelled=args.label is not None)
