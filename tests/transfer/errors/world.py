"""What wrong calls are tried on: models and files that must stay as they are, and how a message is checked.

In the messages … stands for anything.
"""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest

from rnn_core import LanguageModel, SequenceClassifier, save
from rnn_core.data import Examples, TextStream
from rnn_core.training import SGD, fit
from rnn_core.weights import read_arrays
from tests.training_cases import bits
from transfer import Head, LocalClient, MultiTask

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
RULES = "rules for a parameter must agree, got "


def named(table: str, errors: Iterable[Error]) -> list[Any]:
    """Return errors as a test's parameters."""
    return [pytest.param(error, id=f"{table}: {error.name}") for error in errors]


def check(error: Error, world: World) -> None:
    """Assert that a call fails with its message, and leaves every parameter and file as it was."""
    models, files = world.contents()
    with pytest.raises(error.kind) as caught:
        error.call(world)
    pattern = ".*".join(map(re.escape, error.message.split("…")))
    assert re.fullmatch(pattern, str(caught.value)), f"\nfound:    {caught.value}\nexpected: {error.message}"
    assert world.contents() == (models, files | world.given)
