"""What stands beside the weights of a network that ``rnn-core transfer`` has saved, so that it can be used.

A versioned piece of JSON in the header of ``model.safetensors``, under the key ``transfer``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from rnn_core import load, save
from rnn_core.data.files.lines import named
from rnn_core.foreign import one_line, parse_json, shown
from rnn_core.inputs.encoding import OOV, Encoding
from rnn_core.models import Model
from rnn_core.schema import check_arguments
from rnn_core.weights import read_metadata
from rnn_core.written import writable

KEY, VERSION = "transfer", 1


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


def save_network(model: Model, saved: Saved, path: Any) -> None:
    """Write a network and what stands beside it; errors are those of `rnn_core.save`."""
    stored = {"version": VERSION, **asdict(saved), "encoding": saved.encoding.as_dict()}
    # A half character becomes an escape of JSON's, and is read as it was.
    save(model, path, metadata={KEY: writable(json.dumps(stored, ensure_ascii=False, allow_nan=False))})


def load_network(path: str) -> tuple[Model, Saved | None]:
    """Return a network, in float32, and what stands beside it; None if another program or call has written it.

    Raises
    ------
    ValueError
        The file is damaged, holds no network or NaN, or what stands beside it doesn't fit it.
    OSError
        It is missing or can't be read.
    """
    model = load(path, dtype="float32")
    stored = read_metadata(path).get(KEY)
    if not isinstance(model, Model):
        raise ValueError(f"{named(path)} must hold a model, got a layer of the type {type(model).__name__}")
    return model, None if stored is None else _checked(path, model, stored)


def _checked(path: str, model: Model, stored: str) -> Saved:
    """Return what was stored, if it is whole and fits the network."""
    try:
        found = parse_json(KEY, "its text", stored, unique=True)
        version = found.pop("version", None) if isinstance(found, dict) else VERSION
        if version != VERSION:
            raise ValueError(f"its version is {shown(version)}, which takes a newer rnn_core to read")
        found = check_arguments("it", Saved, found, whole=True)
        encoding = Encoding.from_dict(check_arguments("its encoding", Encoding, found["encoding"]))
        scores = {name: float(score) for name, score in found["scores"].items()}
        saved = Saved(tuple(found["classes"]), encoding, found["method"], found["metric"], scores)
        tokens = encoding.tokens
        if encoding.unknown is not None and not 0 <= encoding.unknown < len(tokens or ()):
            raise ValueError(f"it has no token for what is unknown, {OOV}")
        if encoding.kind == "waveforms" and encoding.frame != len(encoding.mean):
            raise ValueError(f"its frames are of {encoding.frame} samples, and its scale is for {len(encoding.mean)}")
        told = (len(saved.classes), len(saved.encoding.mean) or None, None if tokens is None else len(tokens))
        holds = tuple(model.config.get(name) for name in ("num_classes", "input_size", "vocab_size"))
        if told != holds:
            raise ValueError(f"it tells of (classes, features, tokens) = {told}, and the network has {holds}")
        if len(set(saved.classes)) < len(saved.classes):
            raise ValueError(f"its classes must have different names, got {shown(list(saved.classes))}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"there is no {shown(error.args[0])}" if isinstance(error, KeyError) else one_line(error)
        raise ValueError(
            f"{named(path)} must hold what `rnn-core transfer` writes beside a network, got other: {reason}; save it "
            "anew"
        ) from error
    return saved
