"""What stands beside the weights of a network that ``rnn-core transfer`` has saved, so that it can be used.

It is what `rnn_core.save` keeps of any model, beside that the method that made it, its metric and its scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnn_core import save
from rnn_core.commands.cells import load_with_cells
from rnn_core.data.files.lines import named
from rnn_core.foreign import one_line
from rnn_core.inputs.encoding import Encoding
from rnn_core.inputs.kept import encoding_of, kept
from rnn_core.layers.quantized import is_quantized
from rnn_core.models import Model
from rnn_core.schema import check_arguments

TASK = "classify"
"""What ``rnn-core predict`` does with such a network."""


@dataclass(frozen=True)
class Saved:
    """What is kept of a run.

    Attributes
    ----------
    classes : tuple of str
    encoding : Encoding
        How examples become what the network reads.
    method : str
        The method that made it.
    metric : str
        What the scores are.
    scores : dict of str to float
        On validation data, if there were any, and on the test's.
    """

    classes: tuple[str, ...]
    encoding: Encoding
    method: str
    metric: str
    scores: dict[str, float]


USUAL: dict[str, Any] = {"method": "", "metric": "accuracy in %", "scores": {}}
"""What is taken where nobody has said."""


def _record(method: str = "", metric: str = "", scores: dict[str, float] | None = None) -> None:
    """What the record of a run holds."""


def save_network(model: Model, saved: Saved, path: Any) -> None:
    """Write a network and what stands beside it; errors are those of `rnn_core.save`."""
    record = {"method": saved.method, "metric": saved.metric, "scores": saved.scores}
    save(model, path, classes=saved.classes, task=TASK, record=record, **kept(saved.encoding))


def check_trainable(model: Model, path: str) -> None:
    """Raise ValueError for a source model whose weights are integers: nothing can be carried over from them."""
    if is_quantized(model):
        raise ValueError(
            f"--source-model must have its weights in float32 or float64, got int8 in {named(path)}; take the file of "
            "the model that quantize was given"
        )


def load_network(path: str, cell_file: str | None = None) -> tuple[Model, Saved | None]:
    """Return a network, in float32, and what stands beside it; None if nobody has said what its classes are.

    A cell of a user's own is defined by `cell_file`, which is run.

    Raises
    ------
    ValueError
        The file is damaged, holds no network or NaN, or what stands beside it doesn't fit it.
    OSError
        It is missing or can't be read.
    """
    model = load_with_cells(path, cell_file, called="--source-model", dtype="float32")
    if not isinstance(model, Model):
        raise ValueError(f"{named(path)} must hold a model, got a layer of the type {type(model).__name__}")
    if model.classes is None:
        return model, None
    encoding = encoding_of(model, named(path))
    try:
        found = {name: value for name, value in (model.record or {}).items() if name in USUAL}
        record = {**USUAL, **check_arguments("its record", _record, found)}
    except ValueError as error:
        raise ValueError(f"{named(path)} must hold a record as a command writes it: {one_line(error)}") from error
    return model, Saved(tuple(map(str, model.classes)), encoding, **record)
