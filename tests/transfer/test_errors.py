"""Bad input: one line that says what is wrong and where, and nothing is overwritten, no parameter and no file.

In the messages of the tables below, … stands for anything.
"""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from rnn_core import LanguageModel, SequenceClassifier, load, save
from rnn_core.data import Batch, Examples, TextStream
from rnn_core.data.files import read_series, read_texts, read_vectors, read_waveforms
from rnn_core.training import SGD, fit
from rnn_core.weights import read_arrays
from tests.training_cases import bits
from transfer import (
    MAML,
    Episode,
    Head,
    HeadOf,
    LinearMap,
    LocalClient,
    LowRank,
    MultiTask,
    Plan,
    RNNFeatures,
    Scale,
    SequenceLearner,
    SharedMap,
    Task,
    TaskBatch,
    TrAdaBoost,
    TwoSided,
    Unfreezing,
    adapt,
    average,
    cached_features,
    choose_hidden_size,
    choose_strength,
    copy_parameters,
    copy_recurrent,
    coral,
    density_ratio,
    discriminative_rates,
    effective_size,
    fit_plan,
    freeze,
    freeze_to,
    h_score,
    leep,
    logme,
    matched,
    parameter_groups,
    rotated,
    scrambled,
    select,
    set_shared,
    shared_arrays,
    step_saliency,
    subspace_alignment,
)

V, T, R = ValueError, TypeError, RuntimeError
X = np.random.default_rng(0).standard_normal((8, 4, 2))
Y = np.array([0, 1] * 4)
VECTORS = X[:, 0]
WITH_NAN = np.array([1, 1, 1, np.nan, 1, 1, 1, 1.0])


class Twice(SequenceClassifier):
    """A model of one's own that has a parameter in two groups."""

    @property
    def groups(self):
        return {**super().groups, "top": ("head.weight",)}


def classifier(cell="lstm", kind=SequenceClassifier, seed=0, size=3):
    return kind(2, size, input_size=2, cell=cell, dtype=np.float64, seed=seed, backend="numpy")


def reader(words, kind=LanguageModel, seed=0):
    sizes = (words, 3) if kind is LanguageModel else (2, 3)
    more = {} if kind is LanguageModel else {"vocab_size": words}
    return kind(*sizes, dtype=np.float64, seed=seed, backend="numpy", **more)


def broken(model, name="rnn.weight_hh_l0"):
    """Return a model with one parameter that is no number."""
    model.parameters[name].flat[1] = np.nan
    return model


def data(**options):
    return Examples(X, Y, **options)


def words(top=5):
    return Examples(np.full((4, 3), top), np.full((4, 3), 1))


def text(words=8):
    return TextStream(np.arange(40) % words, batch_size=2, steps=5)


def client(model, **options):
    return LocalClient(model, options.pop("train", data()), optimizer=SGD(0.1), **options)


class World:
    """Models, and a folder with files."""

    def __init__(self, folder):
        self.folder, self.given = folder, {}
        self.models = {
            "lstm": classifier(),
            "gru": classifier("gru", seed=1),
            "rnn": classifier("rnn", seed=2),
            "wide": classifier("gru", seed=3, size=4),
            "other": classifier(seed=4),
            "six": reader(6),
            "eight": reader(8, seed=5),
            "six, classes": reader(6, SequenceClassifier),
            "eight, classes": reader(8, SequenceClassifier, seed=6),
            "tasks": MultiTask({"a": Head(2)}, 3, vocab_size=8, dtype=np.float64, seed=7, backend="numpy"),
            "bad": broken(classifier(seed=8)),
            "bad words": broken(reader(6, seed=9)),
            "twice": classifier(kind=Twice, seed=10),
        }
        for name, model in self.models.items():
            save(model if "bad" not in name else model.parameters, self.path(f"{name}.safetensors"))
        one = client(self["lstm"], path=self.path("head.safetensors"))
        one.fit(one.get())
        client(self["gru"], path=self.path("gru head.safetensors"))
        fit(classifier(), data(), optimizer=SGD(0.1), epochs=1, checkpoint=self.path("run"), progress=False)
        fit(reader(6), text(6), optimizer=SGD(0.1), epochs=1, checkpoint=self.path("words"), progress=False)

    def __getitem__(self, name):
        return self.models[name]

    def path(self, name):
        return self.folder / name

    def write(self, name, content="", encoding="utf-8"):
        """Write a file that is to be read, in a folder of its own, and return its path."""
        path = self.path(str(len(self.given))) / name
        path.parent.mkdir(parents=True)
        self.given[path] = content if isinstance(content, bytes) else content.encode(encoding)
        path.write_bytes(self.given[path])
        return path

    def contents(self):
        """Return the bits of every parameter, what is frozen, and every file."""
        models = {name: (bits(model), model.frozen) for name, model in self.models.items()}
        return models, {path: path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}

    def forget(self):
        """Remove what was written to be read."""
        for path in self.given:
            path.unlink()
            for folder in list(path.parents)[: len(path.relative_to(self.folder).parts) - 1]:
                folder.rmdir()
        self.given = {}


class Error(NamedTuple):
    """One wrong call."""

    name: str
    call: Callable[[World], Any]
    message: str
    kind: type[Exception] = V


def of_file(w, name="lstm"):
    return read_arrays(w.path(f"{name}.safetensors"))


def untrained(*arguments):
    """Stand for what must not be reached."""
    raise AssertionError("it was trained before its data were looked at")


SHAPES = "copy_parameters: source must have the target's shapes, got "
ROWS = "vocabulary=(source_tokens, target_tokens) takes rows of words by token, …"
TOKENS = (
    "tokens must be in 0…5, got 7 at index (…); num_embeddings is 6, so encode with a vocabulary no larger than that"
)
RULES = "rules for a parameter must agree, got "
ABC = tuple("abcdef")

VOCABULARIES = (
    Error(
        "copied",
        lambda w: copy_parameters(w["six"], w["eight"]),
        f"{SHAPES}embedding.weight 6×3 for 8×3, head.weight 6×3 for 8×3, head.bias 6 for 8; {ROWS}",
    ),
    Error(
        "copied where they overlap",
        lambda w: copy_parameters(w["eight"], w["six"], on_mismatch="overlap"),
        f"{SHAPES}embedding.weight 8×3 for 6×3, …; {ROWS}",
    ),
    Error(
        "into a model of several tasks",
        lambda w: copy_parameters(w["six"], w["tasks"], include="embedding"),
        f"{SHAPES}embedding.weight 6×3 for 8×3; {ROWS}",
    ),
    Error("out of a file", lambda w: copy_parameters(load(w.path("six.safetensors")), w["eight"]), f"{SHAPES}…{ROWS}"),
    Error(
        "out of a file's arrays",
        lambda w: copy_parameters(read_arrays(w.path("six.safetensors")), w["eight"]),
        f"{SHAPES}…{ROWS}",
    ),
    Error(
        "tokens for another number of rows",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=(ABC, ABC)),
        "copy_parameters: vocabulary must have a token for each row of embedding.weight, got 6 tokens for the target's "
        "shape (8, 3)",
    ),
    Error(
        "no token in common",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=(ABC, "stuvwxyz")),
        "copy_parameters: vocabulary must have a token in common, got ['a', 'b', 'c']… for the source and ['s', …",
    ),
    Error(
        "no tokens",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=([], "stuvwxyz")),
        "copy_parameters: vocabulary must have a token in common, got []… for the source and ['s', …",
    ),
    Error(
        "an anchor's source",
        lambda w: Plan(anchors={"*": 1.0}).resolve(w["six"], w["eight"]),
        "Plan.resolve: reference['embedding.weight'] must have shape (6, 3), got (8, 3)",
    ),
    Error(
        "a source to be held to",
        lambda w: choose_strength(
            w["six"], text(6), text(6), optimizer=SGD(0.1), epochs=1, anchored="*", alphas=[1.0], reference=w["eight"]
        ),
        "…reference['embedding.weight'] must have shape (6, 3), got (8, 3)",
    ),
    Error(
        "a shared core",
        lambda w: set_shared(w["six"], "*", shared_arrays(w["eight"], "*")),
        "set_shared: embedding.weight must have shape (6, 3), as in this model, got (8, 3); …",
    ),
    Error(
        "a round of a client",
        lambda w: client(w["six"], train=text(6), core="*").fit(w["eight"].parameters),
        "LocalClient.fit: embedding.weight must have shape (6, 3), as in this model, got (8, 3); …",
    ),
    Error(
        "one map for both",
        lambda w: SharedMap({"a": w["six"], "b": w["eight"]}, {"embedding": LowRank(1)}),
        "SharedMap: T must have the same tensors for all models, got embedding.weight.U of shape (6, 1) for 'a' and "
        "(8, 1) for 'b'…",
    ),
    Error(
        "a text with more tokens",
        lambda w: fit(w["six"], text(8), optimizer=SGD(0.1), epochs=1, progress=False),
        "Embedding.forward: tokens must be in 0…5, got 6 at index (1, 3); num_embeddings is 6, …; met in step 1 of 4 …",
    ),
    Error(
        "a target past the vocabulary",
        lambda w: w["six"].loss_and_gradients(Batch(words().inputs, words(7).inputs)),
        "SoftmaxCrossEntropy.forward: targets must be in 0…5, got 7 at index (0, 0); the logits have 6 classes",
    ),
    Error("cached", lambda w: cached_features(w["six"], words(7)), f"Embedding.__call__: {TOKENS}"),
    Error(
        "as features",
        lambda w: RNNFeatures(w["six, classes"]).fit_transform(words(7).inputs),
        f"Embedding.__call__: {TOKENS}",
    ),
    Error("interpreted", lambda w: step_saliency(w["six, classes"], words(7).inputs), f"Embedding.__call__: {TOKENS}"),
    Error(
        "in a task",
        lambda w: w["tasks"].loss_and_gradients(TaskBatch({"a": Batch(words(9).inputs, Y[:4])})),
        "Embedding.forward: tokens must be in 0…7, got 9 at index (0, 0); num_embeddings is 8, …",
    ),
    Error(
        "a run of another vocabulary",
        lambda w: fit(
            w["eight"], text(6), optimizer=SGD(0.1), epochs=2, checkpoint=w.path("words"), resume=True, progress=False
        ),
        "fit: to resume, a run must be the one that wrote '…last.safetensors', but model.vocab_size was 6 and is 8; …",
    ),
)

ONE_EACH = (
    "{}: {} must have a class with two examples at least, got 8 classes of one each, whose examples have nothing in "
    "common; collect more of them"
)
RAREST = "choose_hidden_size: folds must be at most the number of examples of each class, got {}, and class {} has 1; …"


def sizes(labels, folds):
    return choose_hidden_size(untrained, untrained, Examples(X, np.array(labels)), sizes=[2, 3], folds=folds)


CLASSES = (
    Error("a class missing from a fold", lambda w: sizes([0, 0, 0, 1, 1, 1, 1, 2], 3), RAREST.format(3, 2)),
    Error("one example a class, in folds", lambda w: sizes(range(8), 2), RAREST.format(2, 0)),
    Error(
        "more folds than examples",
        lambda w: sizes(Y, 9),
        "choose_hidden_size: folds must be between 2 and the number of examples, 8, got 9",
    ),
    Error(
        "one example a class, H-score", lambda w: h_score(VECTORS, np.arange(8)), ONE_EACH.format("h_score", "labels")
    ),
    Error(
        "one example a class, LEEP",
        lambda w: leep(np.full((8, 2), 0.5), np.arange(8)),
        ONE_EACH.format("leep", "labels"),
    ),
    Error("one example a class, LogME", lambda w: logme(VECTORS, np.arange(8)), ONE_EACH.format("logme", "targets")),
    Error(
        "one class, H-score",
        lambda w: h_score(VECTORS, 0 * Y),
        "h_score: labels must be of two classes or more, got 0 alone",
    ),
    Error(
        "one class, boosted",
        lambda w: TrAdaBoost(SequenceLearner(w["lstm"], optimizer=SGD(0.1), epochs=1)).fit(X, 0 * Y, X, 0 * Y),
        "TrAdaBoost.fit: source_y and target_y must hold two classes or more together, got 0 alone",
    ),
    Error(
        "no class at all, boosted",
        lambda w: TrAdaBoost(SequenceLearner(w["lstm"], optimizer=SGD(0.1), epochs=1)).fit(X, Y, X[:0], Y[:0]),
        "TrAdaBoost.fit: target_y must be a class for each of 0 examples, got shape (0,)",
    ),
    Error(
        "a class that the head lacks",
        lambda w: fit(w["lstm"], Examples(X, Y + 1), optimizer=SGD(0.1), epochs=1, progress=False),
        "SoftmaxCrossEntropy.forward: targets must be in 0…1, got 2 at index (…,); the logits have 2 classes; met in …",
    ),
    Error(
        "one example, aligned",
        lambda w: coral(VECTORS[:1], VECTORS),
        "coral: source must have at least 2 rows, got 1; …",
    ),
    Error(
        "one example, in a subspace",
        lambda w: subspace_alignment(VECTORS, VECTORS[:1], 1),
        "subspace_alignment: target must have at least 2 rows, got 1; collect more examples",
    ),
    Error(
        "fewer examples than folds",
        lambda w: density_ratio(VECTORS[:3], VECTORS),
        "density_ratio: source must have at least 10 rows, got 3; collect more examples",
    ),
)

NONE = "'…{}' must hold at least {}, got none"
CUT = "path must be a whole safetensors file, got '…', which is cut short …"

EMPTY = (
    *(
        Error(name, lambda w, name=name, read=read: read(w.write(name)), f"{read.__name__}: {NONE.format(name, what)}")
        for read, name, what in (
            (read_texts, "a.csv", "a line"),
            (read_texts, "a.tsv", "a line"),
            (read_texts, "a.jsonl", "a line"),
            (read_series, "b.tsv", "a line"),
            (read_series, "b.ts", "a line"),
            (read_vectors, "c.txt", "a word"),
        )
    ),
    Error(
        "a.npz",
        lambda w: read_texts(w.write("a.npz")),
        "read_texts: '…a.npz' must hold x_train and y_train, as Keras's imdb.npz does: File is not a zip file",
    ),
    Error(
        "headings alone",
        lambda w: read_texts(w.write("a.csv", "text,label\n")),
        f"read_texts: {NONE.format('a.csv', 'a text')}",
    ),
    Error(
        "blank lines",
        lambda w: read_texts(w.write("a.csv", "\n\n")),
        f"read_texts: {NONE.format('a.csv', 'a text')}",
    ),
    Error(
        "nothing behind @data",
        lambda w: read_series(w.write("b.ts", "@data\n")),
        f"read_series: {NONE.format('b.ts', 'a series')}",
    ),
    Error(
        "c.bin",
        lambda w: read_vectors(w.write("c.bin")),
        f"read_vectors: {NONE.format('c.bin', 'a word')}",
    ),
    Error(
        "a waveform",
        lambda w: read_waveforms(w.write("g/pos/1.wav").parent.parent),
        "read_waveforms: '…1.wav' must be a WAV file, got one that is empty",
    ),
    Error("a model", lambda w: load(w.write("m.safetensors")), f"load: {CUT}"),
    Error(
        "a model's arrays",
        lambda w: copy_parameters(read_arrays(w.write("m.safetensors")), w["lstm"]),
        f"read_arrays: {CUT}",
    ),
    Error(
        "a client's head",
        lambda w: client(w["lstm"], path=w.write("m.safetensors")),
        f"LocalClient: {CUT}",
    ),
    Error(
        "another's file for a client's head",
        lambda w: client(w["lstm"], path=w.path("gru.safetensors")),
        "LocalClient: path must be a file that a LocalClient wrote, got '…', which is another safetensors file; …",
    ),
    Error(
        "a checkpoint",
        lambda w: fit(
            w["lstm"],
            data(),
            optimizer=SGD(0.1),
            epochs=2,
            progress=False,
            resume=True,
            checkpoint=w.write("empty/last.safetensors").parent,
        ),
        "fit: last.safetensors must be a whole safetensors file, got '…', which is cut short or damaged (it is …",
    ),
    Error(
        "no examples",
        lambda w: Examples(X[:0], Y[:0]),
        "Examples: inputs must have shape (N, T) or (N, T, I) with at least one number, …",
    ),
)

BYTE = "must be utf-8, got byte 0xe9 at position {}; name its encoding, latin-1 for instance"
CAFÉ = "text,label\nfine,1\ncafé,0\n"

ENCODINGS = (
    *(
        Error(
            name,
            lambda w, name=name, read=read, text=text: read(w.write(name, text, "latin-1")),
            f"{read.__name__}: '…{name}', line {line}, {BYTE.format(at)}",
        )
        for read, name, text, line, at in (
            (read_texts, "a.csv", CAFÉ, 3, 3),
            (read_texts, "a.tsv", CAFÉ.replace(",", "\t"), 3, 3),
            (read_texts, "a.jsonl", '{"text": "x", "label": 0}\n{"text": "é", "label": 1}', 2, 10),
            (read_series, "b.tsv", "1\t2\né\t2\n", 2, 0),
            (read_series, "b.ts", "@data\n1,2:é\n", 2, 4),
            (read_vectors, "c.txt", "the 1 2\ncafé 1 2\n", 2, 3),
        )
    ),
    Error(
        "a text in a folder",
        lambda w: read_texts(w.write("f/neg/2.txt", "fine\ncafé", "latin-1").parent.parent),
        f"read_texts: '…2.txt', line 2, {BYTE.format(3)}",
    ),
    Error(
        "c.bin",
        lambda w: read_vectors(w.write("c.bin", b"1 1\ncaf\xe9 " + bytes(4))),
        f"read_vectors: '…c.bin', word 0, {BYTE.format(3)}",
    ),
    Error(
        "UTF-16 taken for UTF-8",
        lambda w: read_texts(w.write("a.csv", CAFÉ, "utf-16")),
        "read_texts: '…a.csv', line 1, must be utf-8, got byte 0xff at position 0; it looks like UTF-16, so …",
    ),
    *(
        Error(
            f"{encoding!r}, {read.__name__}",
            lambda w, read=read, name=name, encoding=encoding: read(w.write(name, "x"), encoding=encoding),
            f"{read.__name__}: encoding must be {what}, got {encoding!r}{way_out}",
        )
        for read, name in ((read_texts, "a.csv"), (read_series, "b.ts"), (read_vectors, "c.txt"))
        for encoding, what, way_out in (
            ("utf-16", "one that ends a line with one byte, as utf-8 and latin-1 do", "; save the file as UTF-8"),
            ("utf9", "the name of one that Python has", ""),
            (None, "the name of one that Python has", ""),
        )
    ),
)


def late(first, row, last, rows=10_000):
    """Return a text whose line 10,000 is broken."""
    return first + row * (rows - 1 - first.count("\n")) + last + row


ROW_10000 = tuple(
    Error(
        f"{name}: {last[:14].strip()!r}",
        lambda w, name=name, read=read, parts=(first, row, last): read(w.write(name, late(*parts))),
        f"{read.__name__}: '…{name}', line 10000, {message}",
    )
    for read, name, first, row, last, message in (
        (read_texts, "a.csv", "text,label\n", "fine,1\n", "broken\n", "must have 2 columns, …"),
        (read_texts, "a.csv", "text,label\n", "fine,1\n", "a,b,1\n", "must have 2 columns, …, got 3; …"),
        (read_texts, "a.csv", "text,label\n", "fine,1\n", "broken,\n", "must have a label in column …"),
        (
            read_texts,
            "a.tsv",
            "text\tlabel\n",
            "fine\t1\n",
            "broken\n",
            "must have 2 columns, as the first line, got 1; …",
        ),
        (read_texts, "a.jsonl", "", '{"text": "a", "label": 1}\n', '{"text": \n', "must be JSON, got '{\"text\": ' …"),
        (
            read_texts,
            "a.jsonl",
            "",
            '{"text": "a", "label": 1}\n',
            '{"text": "a"}\n',
            "must have the keys 'text' and 'label', got text; text and label name them",
        ),
        (read_series, "b.tsv", "", "1\t2\t3\n", "1\t2\tx\n", "must have a number for step 1, got 'x'"),
        (read_series, "b.tsv", "", "1\t2\t3\n", "1\n", "must have a label, a tab and numbers, got '1'"),
        (read_series, "b.ts", "# x\n@data\n", "1,2:a\n", "1,2:3,4:a\n", "must have 1 dimension and a label, …"),
        (
            read_series,
            "b.ts",
            "# x\n@data\n",
            "1,2:a\n",
            "1,nan,2:a\n",
            "must have a number for step 1, got none (NaN, ? or a blank); …",
        ),
        (
            read_vectors,
            "c.txt",
            "".join(f"w{k} 1 2\n" for k in range(9999)),
            "",
            "x 1\n",
            "must have a word and 2 numbers, got 2 parts, b'x 1'",
        ),
        (
            read_vectors,
            "c.txt",
            "".join(f"w{k} 1 2\n" for k in range(9999)),
            "",
            "x 1 ?\n",
            "must have a number for 'x', got '?'",
        ),
    )
)

TWO_GROUPS = "{}: a parameter must be in one group, got head.weight in 'head' and 'top'; mend Twice.groups"

DUPLICATES = (
    *(
        Error(f"two groups, {where}", call, TWO_GROUPS.format(where))
        for where, call in (
            ("parameter_groups", lambda w: parameter_groups(w["twice"])),
            ("select", lambda w: select(w["twice"], "head")),
            ("freeze", lambda w: freeze(w["twice"], "head")),
            ("freeze_to", lambda w: freeze_to(w["twice"], "top")),
            ("discriminative_rates", lambda w: discriminative_rates(w["twice"], 0.1)),
            ("copy_parameters", lambda w: copy_parameters(w["lstm"], w["twice"])),
            ("Plan.resolve", lambda w: Plan(frozen="head").resolve(w["twice"])),
            ("LinearMap", lambda w: LinearMap(w["twice"], {"*": Scale()})),
            (
                "fit_plan",
                lambda w: fit_plan(
                    w["twice"], data(), Plan(unfreezing=Unfreezing(epochs=1)), optimizer=SGD(0.1), epochs=5
                ),
            ),
        )
    ),
    Error(
        "two rates",
        lambda w: Plan(rates={"rnn.*": 0.1, "*bias*": 0.2}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}rates 'rnn.*': 0.1 and '*bias*': 0.2 for rnn.bias_ih_l0; narrow one of the patterns",
    ),
    Error(
        "two strengths",
        lambda w: Plan(anchors={"rnn.*": 0.1, "*bias*": 0.2}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}anchors 'rnn.*': 0.1 and '*bias*': 0.2 for rnn.bias_ih_l0; narrow one of the patterns",
    ),
    Error(
        "an anchor and a decay",
        lambda w: Plan(anchors={"*": 1.0}, decays={"head": 1.0}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}an anchor and a decay for head.weight, head.bias; narrow one of the patterns",
    ),
    Error(
        "frozen, and with a rate",
        lambda w: Plan(frozen="head", rates={"*": 0.2}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}frozen 'head' and rates '*' for head.weight; narrow one of the patterns",
    ),
    Error(
        "two maps",
        lambda w: LinearMap(w["lstm"], {"rnn.*": Scale(), "*weight_hh*": TwoSided()}),
        f"LinearMap: {RULES}'rnn.*': Scale() and '*weight_hh*': TwoSided() for rnn.weight_hh_l0; narrow …",
    ),
    Error(
        "mapped and free",
        lambda w: LinearMap(w["lstm"], {"head*": Scale()}, free="head"),
        f"LinearMap: {RULES}free and 'head*': Scale() for head.weight; narrow one of the patterns",
    ),
    Error(
        "two names for one place",
        lambda w: copy_parameters(
            w["lstm"], w["other"], rename={"head.bias": "rnn.bias_hh_l0", "rnn.bias_ih_l0": "rnn.bias_hh_l0"}
        ),
        "copy_parameters: rename must lead to different parameters, got 'head.bias' and 'rnn.bias_ih_l0' for …",
    ),
    Error(
        "a token twice",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=("abcdea", "stuvwxyz")),
        "copy_parameters: vocabulary[0] must have each token once, got 'a' again at id 5",
    ),
    Error(
        "a size twice",
        lambda w: choose_hidden_size(untrained, untrained, data(), sizes=[2, 2]),
        "choose_hidden_size: sizes must be different, and not none, got (2, 2)",
    ),
    Error(
        "a column twice",
        lambda w: read_texts(w.write("a.csv", "text,label,text\na,1,b\n")),
        "read_texts: '…a.csv', line 1, must name the column 'text' once, got 'text, label, text'; …",
    ),
)

HH = "rnn.weight_hh_l0 must be finite, got nan at index (0, 1) (1 of 36 values are NaN or infinite)"
WEIGHTS = "weights must be finite and at least 0, got nan at index (3,)"

NAN = (
    *(
        Error(where, call, f"{where}: {HH}")
        for where, call in (
            ("copy_parameters", lambda w: copy_parameters(w["bad"], w["lstm"])),
            ("LinearMap", lambda w: LinearMap(w["bad"], {"*": Scale()})),
            ("scrambled", lambda w: scrambled(w["bad"], seed=0)),
            ("matched", lambda w: matched(w["bad"], seed=0)),
            ("rotated", lambda w: rotated(w["bad"], seed=0)),
            ("cached_features", lambda w: cached_features(w["bad"], data())),
            ("HeadOf", lambda w: HeadOf(w["bad"])),
            ("set_shared", lambda w: set_shared(w["lstm"], "rnn.*", shared_arrays(w["bad"]))),
            ("LocalClient.fit", lambda w: client(w["lstm"]).fit(shared_arrays(w["bad"]))),
            ("SequenceClassifier.load_state_dict", lambda w: w["lstm"].load_state_dict(w["bad"].state_dict())),
            ("save", lambda w: save(w["bad"], w.path("lstm.safetensors"))),
            ("fit", lambda w: fit(w["bad"], data(), optimizer=SGD(0.1), epochs=1, progress=False)),
        )
    ),
    Error(
        "copied into several tasks",
        lambda w: copy_parameters(w["bad words"], w["tasks"], include="rnn.*"),
        f"copy_parameters: {HH}",
    ),
    Error(
        "copied where they overlap",
        lambda w: copy_parameters(w["bad"].state_dict(), w["lstm"], on_mismatch="overlap"),
        f"copy_parameters: {HH}",
    ),
    Error("the recurrent weights", lambda w: copy_recurrent(w["bad"], w["lstm"]), f"copy_parameters: {HH}"),
    Error("as features", lambda w: RNNFeatures(w["bad"]).fit(X), f"RNNFeatures…: {HH}"),
    Error(
        "an anchor's source",
        lambda w: Plan(anchors={"rnn.*": 1.0}).resolve(w["lstm"], w["bad"]),
        f"Plan.resolve: reference['rnn.weight_hh_l0'] {HH.partition(' ')[2]}",
    ),
    Error(
        "a source to be held to",
        lambda w: choose_strength(
            w["lstm"], data(), data(), optimizer=SGD(0.1), epochs=1, anchored="rnn.*", alphas=[1.0], reference=w["bad"]
        ),
        f"…reference['rnn.weight_hh_l0'] {HH.partition(' ')[2]}",
    ),
    Error(
        "one of two sources", lambda w: SharedMap({"a": w["lstm"], "b": w["bad"]}, {"*": Scale()}), f"LinearMap: {HH}"
    ),
    Error(
        "averaged",
        lambda w: average([shared_arrays(w["lstm"]), shared_arrays(w["bad"])], [1, 1]),
        f"average: parts[1]['rnn.weight_hh_l0'] {HH.partition(' ')[2]}",
    ),
    Error("a file of arrays", lambda w: copy_parameters(of_file(w, "bad"), w["lstm"]), f"copy_parameters: {HH}"),
    Error("adapted", lambda w: adapt(w["bad"], [data().batch(0, 0)], SGD(0.1)), "…must be finite, got nan…"),
    Error(
        "meta-learned",
        lambda w: MAML(w["bad"], 0.1).loss_and_gradients(Episode((Task([data().batch(0, 0)], data().batch(0, 0)),))),
        "…must be finite, got nan…",
    ),
    Error("interpreted", lambda w: step_saliency(w["bad"], X), "…must be finite, got nan…"),
    # weights of examples
    Error(
        "Examples",
        lambda w: data(weights=WITH_NAN),
        "Examples: weights must be finite, got nan at index (3,) (1 of 8 values …",
    ),
    *(
        Error(f"weights, {name}", call, f"SoftmaxCrossEntropy.forward: {WEIGHTS}")
        for name, call in (
            ("a step", lambda w: w["lstm"].loss_and_gradients(Batch(X, Y, None, WITH_NAN))),
            ("an evaluation", lambda w: w["lstm"].evaluate(Batch(X, Y, None, WITH_NAN))),
            (
                "several tasks",
                lambda w: MultiTask({"a": Head(2)}, 3, input_size=2, dtype=np.float64).loss_and_gradients(
                    TaskBatch({"a": Batch(X, Y, None, WITH_NAN)})
                ),
            ),
            ("a map", lambda w: LinearMap(w["lstm"], {"*": Scale()}).loss_and_gradients(Batch(X, Y, None, WITH_NAN))),
            ("a head", lambda w: HeadOf(w["lstm"]).loss_and_gradients(Batch(np.ones((8, 3)), Y, None, WITH_NAN))),
        )
    ),
    Error(
        "weights, a language model",
        lambda w: w["six"].loss_and_gradients(Batch(words().inputs, words().inputs, None, WITH_NAN[:4])),
        "SoftmaxCrossEntropy.forward: weights must be finite and at least 0, got nan at index (3, 0)",
    ),
    Error(
        "weights, a learner",
        lambda w: SequenceLearner(w["lstm"], optimizer=SGD(0.1), epochs=1).fit(X, Y, sample_weight=WITH_NAN),
        "Examples: weights must be finite, got nan at index (3,) (1 of 8 values are NaN or infinite)",
    ),
    Error(
        "weights, their worth",
        lambda w: effective_size(WITH_NAN),
        "effective_size: weights must be finite, got nan at index (3,) …",
    ),
    Error(
        "weights, a task's",
        lambda w: Head(2, weight=np.nan),
        "Head: weight must be above 0 and finite, got nan; leave the task out instead",
    ),
    Error(
        "weights, a client's",
        lambda w: average([shared_arrays(w["lstm"])], [np.nan]),
        "average: counts[0] must be above 0 and finite, got nan; leave out a client without examples",
    ),
    Error(
        "a strength", lambda w: Plan(anchors={"*": np.nan}), "Plan: anchors['*'] must be at least 0 and finite, got nan"
    ),
)

GATES = f"{SHAPES}rnn.weight_ih_l0 12×2 for 9×2 (gates: 4 for 3), …; on_mismatch='skip' takes what fits, …"
WIDE = f"{SHAPES}rnn.weight_ih_l0 12×2 for 12×2 (gates: 4 for 3), …; on_mismatch='skip' takes what fits, …"
SHAPE = "rnn.weight_ih_l0 must have shape (9, 2), "


CELLS = (
    *(
        Error(
            f"{what}, {mode}",
            lambda w, source=source, mode=mode: copy_parameters(source(w), w["gru"], on_mismatch=mode),
            GATES,
        )
        for mode in ("error", "overlap")
        for what, source in (
            ("a model", lambda w: w["lstm"]),
            ("arrays", lambda w: w["lstm"].state_dict()),
            ("a file", lambda w: load(w.path("lstm.safetensors"))),
            ("a file's arrays", of_file),
        )
    ),
    *(
        Error(
            f"{what} of equal rows, {mode}",
            lambda w, source=source, mode=mode: copy_parameters(
                source(w), w["wide"], include="rnn.*", on_mismatch=mode
            ),
            WIDE,
        )
        for mode in ("error", "overlap")
        for what, source in (("a model", lambda w: w["lstm"]), ("a file's arrays", of_file))
    ),
    Error(
        "RNN → LSTM",
        lambda w: copy_parameters(w["rnn"], w["lstm"]),
        f"{SHAPES}rnn.weight_ih_l0 3×2 for 12×2 (gates: 1 for 4), …",
    ),
    Error(
        "GRU → RNN, of a file",
        lambda w: copy_parameters(of_file(w, "gru"), w["rnn"], on_mismatch="overlap"),
        f"{SHAPES}rnn.weight_ih_l0 9×2 for 3×2 (gates: 3 for 1), …",
    ),
    Error(
        "one parameter alone",
        lambda w: copy_parameters(of_file(w), w["wide"], include="rnn.bias_ih_l0"),
        f"{SHAPES}rnn.bias_ih_l0 12 for 12 (gates: 4 for 3); on_mismatch='skip' takes what fits, …",
    ),
    Error(
        "renamed",
        lambda w: copy_parameters(
            {name.replace("rnn", "lstm"): a for name, a in of_file(w).items()},
            w["wide"],
            rename={"lstm.*": "rnn.*"},
            include="rnn.*",
            on_mismatch="overlap",
        ),
        WIDE,
    ),
    Error(
        "the recurrent weights",
        lambda w: copy_recurrent(w["lstm"], w["gru"]),
        "copy_recurrent: source must have the target's cell, GRU, got LSTM; build the target with the source's cell",
    ),
    Error(
        "the recurrent weights, of a file",
        lambda w: copy_recurrent(of_file(w), w["gru"]),
        f"{SHAPES}rnn.weight_hh_l0 12×3 for 9×3 (gates: 4 for 3); …",
    ),
    Error(
        "loaded",
        lambda w: w["gru"].load_state_dict(of_file(w)),
        f"SequenceClassifier.load_state_dict: {SHAPE}got (12, 2)",
    ),
    Error(
        "an anchor's source",
        lambda w: Plan(anchors={"rnn.*": 1.0}).resolve(w["gru"], w["lstm"]),
        "Plan.resolve: reference['rnn.weight_ih_l0'] must have shape (9, 2), got (12, 2)",
    ),
    Error(
        "a shared core",
        lambda w: set_shared(w["gru"], "rnn.*", shared_arrays(w["lstm"])),
        f"set_shared: {SHAPE}as in this model, got (12, 2); what is shared must be of one size on all sides",
    ),
    Error(
        "a round of a client",
        lambda w: client(w["gru"], path=w.path("gru head.safetensors")).fit(shared_arrays(w["lstm"])),
        f"LocalClient.fit: {SHAPE}as in this model, got (12, 2); …",
    ),
    Error(
        "clients of two cells",
        lambda w: average([shared_arrays(w["lstm"]), shared_arrays(w["gru"])], [1, 1]),
        "average: …",
    ),
    Error(
        "one map for both",
        lambda w: SharedMap({"a": w["lstm"], "b": w["gru"]}, {"rnn.weight_*": LowRank(1)}),
        "SharedMap: T must have the same tensors for all models, got rnn.weight_ih_l0.U of shape (12, 1) for 'a' and …",
    ),
    Error(
        "a run of another cell",
        lambda w: fit(
            w["gru"], data(), optimizer=SGD(0.1), epochs=2, checkpoint=w.path("run"), resume=True, progress=False
        ),
        "fit: to resume, a run must be the one that wrote '…last.safetensors', but model.cell was 'lstm' and is 'gru'…",
    ),
)

TABLES = {
    "vocabulary": VOCABULARIES,
    "classes": CLASSES,
    "empty": EMPTY,
    "encoding": ENCODINGS,
    "row 10,000": ROW_10000,
    "duplicates": DUPLICATES,
    "NaN": NAN,
    "cell": CELLS,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One world for all: nothing in it may change."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def tidy(request):
    """Remove what a wrong call was given to read."""
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").forget()


@pytest.mark.parametrize(
    "error", [pytest.param(error, id=f"{table}: {error.name}") for table, errors in TABLES.items() for error in errors]
)
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    models, files = world.contents()
    with pytest.raises(error.kind) as caught:
        error.call(world)
    pattern = ".*".join(map(re.escape, error.message.split("…")))
    assert re.fullmatch(pattern, str(caught.value)), f"\nfound:    {caught.value}\nexpected: {error.message}"
    assert world.contents() == (models, files | world.given)


def test_skipping_what_does_not_fit_skips_another_cell():
    """Nothing of the core: also where rows happen to be as many."""
    for source in (classifier(), classifier().state_dict()):
        target = SequenceClassifier(2, 4, input_size=2, cell="gru", dtype=np.float64, seed=3)
        before = bits(target)
        report = copy_parameters(source, target, on_mismatch="skip")
        copied = {row.name for row in report.rows if row.taken}
        assert copied == {"head.bias"}
        after = bits(target)
        assert {name for name in before if before[name] != after[name]} == {"head.bias"}


def test_encodings_of_one_byte_are_read(tmp_path):
    path = tmp_path / "a.csv"
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "cp1252", "shift_jis", "gb18030"):
        path.write_bytes("text,label\nfine,1\n".encode(encoding))
        assert read_texts(path, encoding=encoding).texts == ["fine"]
