"""`Task`: what a network can be trained for, and all that is particular about it. The commands know nothing else.

A command goes through a task's methods from top to bottom::

    reading_options, training_options, predicting_options      what can be said of it on the command line
    read, split                                                from files to examples
    learn                                                      vocabulary, classes, scales: from what is trained on
    build, batches                                             a network, and what it eats
    kept, known                                                what stands beside its weights, and back
    answer                                                     what it says of examples, all at once
    score, rows, exhibits                                      in numbers, line by line, and in pictures

What is read (`Examples`), what is learned of it (`How`) and what is answered (`Answers`) are the task's own: the
commands hand them on and never look inside. A new task is a file with one of these, and a line in `catalogue.py`.
"""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ..data.source import Source
from ..foreign import shown
from ..models import Model

Add = Callable[..., Any]
"""`add_argument` of a group of options. Every default is None or False: what was said can be told from what was not."""


class Role(Enum):
    """What examples are read for, by the option that names their file."""

    DATA = "--data"
    VALIDATION = "--validation"
    TEST = "--test"
    EVALUATE = "FILE"
    PREDICT = "PATH"

    @property
    def labelled(self) -> bool:
        """Whether the answers must be there."""
        return self is not Role.PREDICT


class Examples(Protocol):
    """What every task's examples have."""

    def __len__(self) -> int: ...

    @property
    def notes(self) -> Sequence[str]:
        """What the reader has left out, or read in one of two ways that are possible."""


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes
    ----------
    headings : sequence of str
    rows : sequence of sequences
    numbers : sequence of int
        Columns that are set flush right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    numbers: Sequence[int] = ()


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes
    ----------
    name : str
        Of its file, without its ending.
    draw : callable
        Draws it into the figure that it is given; imports matplotlib itself.
    alt : str
        What there is to see, for those who can't.
    """

    name: str
    draw: Callable[[Any], None]
    alt: str


@dataclass(frozen=True)
class Text:
    """A text of a report, whose lines stay as they are.

    Attributes
    ----------
    text : str
    """

    text: str


@dataclass(frozen=True)
class Exhibit:
    """A part of a report: a table, a picture or a text under a heading.

    Attributes
    ----------
    heading : str
    what : Table, Picture or Text
    caption : str
        A sentence or two: what it is, and how it is read.
    """

    heading: str
    what: Table | Picture | Text
    caption: str


E = TypeVar("E", bound=Examples)
H = TypeVar("H")
A = TypeVar("A")


class Task(ABC, Generic[E, H, A]):
    """What a network can be trained for.

    Attributes
    ----------
    name : str
        As it is typed.
    help : str
        A line.
    files : str
        What ``--data`` may be.
    models : tuple of str
        Classes of models that are used so where their file names no task.
    usual : mapping
        What this task has instead of `options.USUAL`, by the options' names.
    network : tuple of str
        Which of the options on networks (`options.NETWORK`) it heeds.
    monitor : str
        What decides which epoch is the best: "validation_loss" or "validation_accuracy".
    """

    name: ClassVar[str]
    help: ClassVar[str]
    files: ClassVar[str]
    models: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[Mapping[str, Any]] = {}
    network: ClassVar[tuple[str, ...]] = (
        "cell", "hidden_size", "layers", "bidirectional", "dropout", "embedding_size", "precision",
    )  # fmt: skip
    monitor: ClassVar[str] = "validation_loss"

    def reading_options(self, add: Add) -> None:
        """Add what can be said of its files, in every command. Two tasks may have the same option."""

    def training_options(self, add: Add) -> None:
        """Add what can be said of its training alone."""

    def predicting_options(self, add: Add) -> None:
        """Add what can be said of its predictions alone."""

    def check(self, args: argparse.Namespace) -> None:
        """Raise ValueError for options that are out of range or exclude one another, before anything is read."""

    @abstractmethod
    def read(self, path: str, args: argparse.Namespace, role: Role, how: H | None = None) -> E:
        """Read a file or folder.

        Parameters
        ----------
        path : str
        args : Namespace
            Options of the command, of which those of other tasks may be missing: ``getattr(args, name, None)``.
        role : Role
            Whether answers must be there, and what errors call the file.
        how : optional
            What `learn` or `known` returned, where it is there already.

        Raises
        ------
        ValueError
            The file is broken; file and line are named.
        OSError
            It can't be read.
        """

    def has_test(self, path: str, args: argparse.Namespace) -> bool:
        """Return whether what ``--data`` names has a half of its own to test on, as some archives do."""
        return False

    @abstractmethod
    def split(self, examples: E, share: float, seed: int) -> tuple[E, E]:
        """Return what to train on, and a share of about this size to validate by; each has an example at least."""

    @abstractmethod
    def learn(self, train: E, args: argparse.Namespace) -> H:
        """Return what is to be known of the examples: vocabulary, classes, scales. Of those trained on alone."""

    def notes(self, how: H) -> list[str]:
        """Return what the reader must know of what was learned, beside the notes of the files."""
        return []

    @abstractmethod
    def build(self, how: H, options: Mapping[str, Any], args: argparse.Namespace) -> Model:
        """Return a fresh model; `options` are its constructor's, out of `network`, and the seed."""

    @abstractmethod
    def batches(self, how: H, examples: E, batch_size: int, seed: int, *, training: bool) -> Source:
        """Return examples as batches: shuffled where they are trained on, in their own order otherwise.

        Raises
        ------
        ValueError
            They don't go with what was learned: a label that wasn't there, another kind, other features.
        """

    @abstractmethod
    def kept(self, how: H) -> dict[str, Any]:
        """Return what `save` is to put beside the weights, by its arguments."""

    @abstractmethod
    def known(self, model: Model, where: str) -> H:
        """Return what `learn` did, of a model that was loaded: from a command's file or a user's own.

        Raises
        ------
        ValueError
            What stands beside the weights is not enough; the message says what is missing, and `where` what the
            file is called.
        """

    @abstractmethod
    def answer(self, model: Model, how: H, examples: E, args: argparse.Namespace) -> A:
        """Return what a model says of examples."""

    @abstractmethod
    def score(self, how: H, examples: E, answers: A) -> dict[str, float]:
        """Return scores by name, the one that counts first; their names say the unit: "accuracy in %"."""

    def higher_is_better(self, how: H) -> bool:
        """Return whether a higher number is a better one, of the score that counts."""
        return True

    @abstractmethod
    def rows(self, how: H, examples: E, answers: A, args: argparse.Namespace) -> Iterable[dict[str, Any]]:
        """Yield what `rnn-core predict` writes: a line each, all with the same names."""

    def remarks(self, how: H, examples: E, answers: A, args: argparse.Namespace) -> list[str]:
        """Return what `rnn-core predict` says of all the predictions together."""
        return []

    def cautions(self, how: H, examples: E, answers: A) -> list[str]:
        """Return what `rnn-core evaluate` says beside the scores: what they don't count."""
        return []

    def exhibits(self, model: Model, how: H, examples: E, answers: A) -> list[Exhibit]:
        """Return what the report shows of the answers, beside scores and learning curves."""
        return []

    def facts(self, how: H, examples: E) -> dict[str, Any]:
        """Return what there is to know of examples: numbers and short texts by name."""
        return {"examples": len(examples)}

    def generate(self, model: Model, how: H, prompt: str, args: argparse.Namespace) -> str:
        """Return how a prompt goes on.

        Raises
        ------
        ValueError
            Such a model writes nothing.
        """
        raise ValueError(
            "MODEL must be a language model, which writes on where a prompt ends, got one whose task is "
            f"{self.name}; `rnn-core predict` uses it"
        )

    def given(self, args: argparse.Namespace, name: str) -> Any:
        """Return an option, or what this task usually has for it; None where neither is there."""
        value = getattr(args, name, None)
        return self.usual.get(name) if value is None or value is False else value


def must_go_with(role: Role, path: str, error: Exception) -> ValueError:
    """Return the error of examples that don't go with what was trained on."""
    what = "MODEL" if role in (Role.PREDICT, Role.EVALUATE) else "--data"
    return ValueError(f"{role.value} must go with {what}, got {shown(path, 60)}: {error}")
