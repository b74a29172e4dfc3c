"""`Subject`: what ``rnn-core transfer`` carries over, with all that is particular about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rnn_core.models import Model
from rnn_core.tasks.task import Exhibit

from ..comparing.data_study import DataStudy
from ..inputs.gathering import Inputs
from ..inputs.saved import Saved, load_network, save_network
from ..showing.saliency import Saliency
from . import asked, network
from .network import Trial


class Look(NamedTuple):
    """A look into one test example.

    Attributes
    ----------
    saliency : dict of str to Saliency
        "before transfer" and "after transfer"; empty where there is nothing to look into.
    labels : list of str
        What stands at its steps.
    said : str
        What there is to see; empty without.
    """

    saliency: dict[str, Saliency]
    labels: list[str]
    said: str


class Subject(Protocol):
    """What is carried over: the run knows nothing else of it.

    Attributes
    ----------
    sides : dict of str to dict
        Facts of source, target and test.
    notes : list of str
        What the reader must know.
    kind : str
        What the data are read as.
    per_cent : bool
        Whether sizes are shares of the target's data, and not numbers of its examples.
    whole : int
        The size that is all there is.
    """

    sides: dict[str, dict[str, Any]]
    notes: list[str]
    kind: str
    per_cent: bool
    whole: int

    @property
    def study(self) -> DataStudy:
        """What is compared."""

    @property
    def usual(self) -> Sequence[str]:
        """The methods that are compared unless others are named."""

    @property
    def network(self) -> Mapping[str, Any]:
        """The networks' options."""

    def table(self, files: Mapping[str, str]) -> str:
        """Return the facts of all sides as plain text."""

    def sizes(self, asked_for: Sequence[int] | None, settings: asked.Settings) -> tuple[int, ...]:
        """Return how much of the target there is to train on, from the least to the most."""

    def trial(self) -> Trial | str:
        """Return what methods are chosen by, or a reason why there is nothing to choose by."""

    def hints(self, source: Model, copied: Model) -> tuple[dict[str, float], str]:
        """Return what can be said of the source before any training, and why something is missing."""

    def look(self, source: Model, copied: Model, after: Model) -> Look:
        """Return a look into one test example."""

    def exhibits(self, model: Model) -> list[Exhibit]:
        """Return what there is to show of the saved network's answers to the test."""

    def save(self, model: Model, method: str, scores: dict[str, float], path: Path) -> None:
        """Write a network and all that `rnn-core predict` needs beside it."""

    def try_reading(self, path: Path) -> None:
        """Read what was written as `rnn-core predict` would; errors are those of `rnn_core.load`."""


class Classes:
    """Examples and the class of each.

    Parameters
    ----------
    inputs : Inputs
    """

    per_cent = False
    usual = asked.USUAL

    def __init__(self, inputs: Inputs) -> None:
        self.inputs, self.study = inputs, inputs.study
        self.sides, self.notes = inputs.sides, inputs.notes
        self.kind = "text" if inputs.encoding.kind == "ids" else inputs.encoding.kind
        self.whole = len(inputs.study.target)

    @property
    def network(self) -> Mapping[str, Any]:
        """See `Subject`."""
        return self.study.network

    def table(self, files: Mapping[str, str]) -> str:
        """See `Subject.table`."""
        from rnn_core.inputs.facts import sides_table

        return sides_table(self.sides, files)

    def sizes(self, asked_for: Sequence[int] | None, settings: asked.Settings) -> tuple[int, ...]:
        """See `Subject.sizes`."""
        return asked.sizes(self.study.target.counts, asked_for, settings)

    def trial(self) -> Trial | str:
        """See `Subject.trial`."""
        return network.trial(self.study)

    def hints(self, source: Model, copied: Model) -> tuple[dict[str, float], str]:
        """See `Subject.hints`."""
        return network.hints(self.study, source, copied)

    def look(self, source: Model, copied: Model, after: Model) -> Look:
        """See `Subject.look`."""
        classifier: Any = after  # as the study builds it
        return Look(*network.look_inside(self.study, source, copied, classifier, self.inputs.encoding))

    def exhibits(self, model: Model) -> list[Exhibit]:
        """See `Subject.exhibits`."""
        return []

    def save(self, model: Model, method: str, scores: dict[str, float], path: Path) -> None:
        """See `Subject.save`."""
        study = self.study
        save_network(model, Saved(study.target.classes, self.inputs.encoding, method, study.metric, scores), path)

    def try_reading(self, path: Path) -> None:
        """See `Subject.try_reading`."""
        load_network(str(path))

