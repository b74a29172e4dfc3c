"""Text that every Python carries: the language reference as the source, docstrings of some modules as the target."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .settings import CharactersSettings

MODULES = (
    "argparse", "collections", "configparser", "difflib", "doctest", "inspect", "logging", "shutil", "smtplib",
    "socketserver", "statistics", "tempfile", "textwrap", "threading",
)  # fmt: skip
"""Modules written in Python, whose docstrings are prose and change little from release to release."""

LENGTHS = (60, 1500)
"""Shortest and longest docstring. A single long one would be most of a small text."""

RUN = 50
"""No two documents share this many characters in a row: what is tested was never trained on."""

PARTING = "\n\n"

SPLIT = 1
"""Draws the documents that are held out."""


@dataclass(frozen=True)
class Corpus:
    """The texts of both tasks.

    Attributes
    ----------
    source, source_validation : str
        Of the source task.
    documents : tuple of str
        Docstrings to train on; a seed draws its own.
    validation, test : str
        Docstrings that are in no training text: one to choose the best epoch by, one to report.
    dropped : int
        Docstrings left out because they repeat the source or one another.
    """

    source: str
    source_validation: str
    documents: tuple[str, ...]
    validation: str
    test: str
    dropped: int

    def facts(self) -> dict[str, int]:
        """Return how much text there is, in characters and documents."""
        return {
            "source": len(self.source),
            "source validation": len(self.source_validation),
            "documents to train on": len(self.documents),
            "characters to train on": len(PARTING.join(self.documents)),
            "validation": len(self.validation),
            "test": len(self.test),
            "documents left out": self.dropped,
        }

    def training_text(self, size: int, seed: int) -> str:
        """Return the first `size` characters of the documents in an order of the seed's own."""
        order = np.random.default_rng([seed, 0]).permutation(len(self.documents))
        return PARTING.join(self.documents[k] for k in order)[:size]


def load_corpus(settings: CharactersSettings) -> Corpus:
    """Return both texts, with what is held out.

    Raises
    ------
    RuntimeError
        There are too few docstrings: this Python was told to leave them out.
    """
    source = source_text()[: settings.source_characters]
    held_out = settings.validation_characters
    documents, dropped = different(docstrings(MODULES), source)
    documents = [documents[k] for k in np.random.default_rng(SPLIT).permutation(len(documents))]
    test, documents = _cut(documents, settings.test_characters)
    validation, documents = _cut(documents, settings.validation_characters)
    left, needed = len(PARTING.join(documents)), max(settings.sizes)
    if left < needed:
        raise RuntimeError(
            f"demo: docstrings of the standard library must leave {needed} characters to train on, got {left}; "
            "run Python without -OO"
        )
    return Corpus(source[:-held_out], source[-held_out:], tuple(documents), validation, test, dropped)


def source_text() -> str:
    """Return the language reference, its topics in a fixed order that is not the alphabet's."""
    from pydoc_data.topics import topics

    texts = list(dict.fromkeys(topics[name].strip() for name in sorted(topics)))
    return PARTING.join(texts[k] for k in np.random.default_rng(0).permutation(len(texts)))


def docstrings(modules: Iterable[str]) -> list[str]:
    """Return the docstrings of modules, of their classes and functions, and of the classes' methods: public ones."""
    found: dict[str, None] = {}
    for name in modules:
        for thing in _things(name):
            text = inspect.cleandoc(thing.__doc__ or "").strip()
            if LENGTHS[0] <= len(text) <= LENGTHS[1]:
                found[text] = None
    return list(found)


def _things(name: str) -> Iterator[object]:
    module = importlib.import_module(name)
    yield module
    for thing in _public(module):
        if getattr(thing, "__module__", None) != name or not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        yield thing
        if inspect.isclass(thing):
            yield from (part for part in _public(thing) if inspect.isroutine(part) or isinstance(part, property))


def _public(owner: object) -> list[object]:
    return [thing for name, thing in sorted(vars(owner).items()) if not name.startswith("_")]


def different(documents: Iterable[str], source: str) -> tuple[list[str], int]:
    """Return the documents that share no run of `RUN` characters with the source or one another, and how many do."""
    seen = set(_runs(source))
    kept, dropped = [], 0
    for text in documents:
        runs = _runs(text)
        if seen.isdisjoint(runs):
            kept.append(text)
            seen.update(runs)
        else:
            dropped += 1
    return kept, dropped


def _runs(text: str) -> list[str]:
    return [text[k : k + RUN] for k in range(max(1, len(text) - RUN + 1))]


def _cut(documents: list[str], size: int) -> tuple[str, list[str]]:
    """Return the first `size` characters of the documents, and the documents that they touch nothing of."""
    used, length = 0, 0
    while length < size and used < len(documents):
        length += len(documents[used]) + len(PARTING)
        used += 1
    return PARTING.join(documents[:used])[:size], documents[used:]
