"""What must hold of a result that a reader has accepted; each check returns a complaint, or None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def texts(found: Any) -> str | None:
    """Check `read_texts`'s result."""
    for text in found.texts:
        if isinstance(text, str):
            if (complaint := _writable([text])) is not None:
                return complaint
        elif text.dtype.kind not in "iu" or text.ndim != 1 or (text < 0).any():
            return f"ids must be natural numbers of one dimension, got {text.dtype}, {text.shape}"
    return _labels(found, len(found.texts))


def pairs(found: Any) -> str | None:
    """Check `read_pairs`'s result."""
    if not len(found.sources) == len(found.targets) == len(found.places) > 0:
        return f"pairs must have two sides and a place, got {[len(part) for part in found]}"
    return _said([*found.sources, *found.targets])


def dialogues(found: Any) -> str | None:
    """Check `read_dialogues`'s result."""
    for turns, speakers, _ in found:
        if len(turns) != len(speakers) or not turns:
            return f"a dialogue must have a speaker or None for each turn, got {len(speakers)} for {len(turns)}"
        if (complaint := _said([*turns, *filter(None, speakers)])) is not None:
            return complaint
    return None


def tagged(found: Any) -> str | None:
    """Check `read_tagged`'s result."""
    tags = found.tokens if found.tags is None else found.tags
    if not len(found.tokens) == len(tags) == len(found.places) > 0:
        return f"sentences must have tags and a place, got {[len(part or ()) for part in found]}"
    for words, names in zip(found.tokens, tags, strict=True):
        if len(words) != len(names) or not words:
            return f"a sentence must have a tag for each word, got {len(names)} for {len(words)}"
        if (complaint := _said([*words, *(name for name in names if name is not None)])) is not None:
            return complaint
        if any(text != text.strip() for text in words):
            return "a word must have no blanks around it"
    return None


def series(found: Any) -> str | None:
    """Check `read_series`'s and `read_waveforms`'s result."""
    for row in found.rows:
        if row.ndim != 2 or not row.size or not np.isfinite(row).all():
            others = np.count_nonzero(~np.isfinite(row))
            return f"series must be finite numbers (T, I), got {row.shape} with {others} others"
        if row.shape[1] != found.rows[0].shape[1]:
            return f"series must have as many features, got {row.shape[1]} and {found.rows[0].shape[1]}"
    if len(found.whole) != len(found) or any(
        len(row) > steps for row, steps in zip(found.rows, found.whole, strict=True)
    ):
        return f"a row must be a part of the whole, got {[len(row) for row in found.rows]} of {found.whole}"
    if len(found) * max(map(len, found.rows)) < FEW and not np.isfinite(found.inputs).all():
        return "inputs must be finite"
    return _labels(found, len(found))


def histories(found: Any) -> str | None:
    """Check `read_time_series`'s result."""
    if not found or len({one.name for one in found}) < len(found):
        return f"series must have names of their own, got {[one.name for one in found]!r:.200}"
    for one in found:
        if np.isinf(one.values).any() or np.isnan(one.values).all():
            return f"values must be finite or missing, and not all of them, got {one.values!r:.80}"
        if not np.isfinite(one.known).all() or len(one.known) < len(one) or len(one.past) != len(one):
            return f"covariates must go with {len(one)} values, got {len(one.past)} and {len(one.known)} steps"
    return _writable([text for one in found for text in (one.name, *(one.times or ()))])


FEW = 1_000_000
"""Steps, up to which rows are padded to look at the result."""


def vectors(found: Any) -> str | None:
    """Check `read_vectors`'s result."""
    if found.vectors.ndim != 2 or found.vectors.dtype != np.float32 or not np.isfinite(found.vectors).all():
        return "vectors must be finite, float32 and (V, D)"
    if sorted(found.index.values()) != list(range(len(found.vectors))):
        return "each vector must have one word"
    return _writable(found.index)


def layer(found: Any) -> str | None:
    """Check `load`'s result."""
    for name, array in found.parameters.items():
        if not np.isfinite(array).all():
            return f"{name} must be finite"
        if array.dtype not in (np.float32, np.float64):
            return f"{name} must be float32 or float64, got {array.dtype}"
    return None


def chain(found: Any) -> str | None:
    """Check `load_keras`'s and `load_onnx`'s result."""
    if not found.layers or not repr(found).isprintable():
        return f"a chain must have layers, and be shown, got {found!r:.200}"
    return layer(found)


def arrays(found: Any) -> str | None:
    """Check `read_arrays`'s result."""
    if any(not isinstance(array, np.ndarray) for array in found.values()):
        return "arrays must be arrays"
    return None


def metadata(found: Any) -> str | None:
    """Check `read_metadata`'s result."""
    if any(not isinstance(part, str) for pair in found.items() for part in pair):
        return "metadata must be strings"
    return None


def resumed(found: Any) -> str | None:
    """Check what a resumed `fit` has left."""
    model, history = found
    return layer(model) or (None if len(history) >= 1 else "a history must have records")


def network(found: Any) -> str | None:
    """Check `load_network`'s result."""
    model, saved = found
    if saved is not None and (len(set(saved.classes)) != len(saved.classes) or (complaint := _writable(saved.classes))):
        return complaint or "classes must differ"
    return layer(model)


def estimator(found: Any) -> str | None:
    """Check what an estimator's `load` returns."""
    x = None if hasattr(found, "series_") and found.series_ else np.ones((2, 40, found._features))
    if len(found.predict(x)) == 0:
        return "an estimator must answer"
    return layer(found.model_)


def tokenizer(found: Any) -> str | None:
    """Check `Tokenizer.from_dict`'s result."""
    found.encode("the cat sat")
    if found.from_dict(found.to_dict()).tokens != found.tokens:
        return "a tokenizer must be what it was written down as"
    return _writable(found.tokens)


def encoded(found: Any) -> str | None:
    """Check what the commands make of examples: arrays for a network, and its targets."""
    inputs, lengths, targets, classes = found
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        return "inputs must be finite"
    if lengths is not None and not ((lengths >= 1) & (lengths <= inputs.shape[1])).all():
        return f"lengths must be within {inputs.shape[1]} steps, got {lengths}"
    if targets is not None and (len(targets) != len(inputs) or targets.min() < -1 or targets.max() >= len(classes)):
        return f"targets must be within {len(classes)} classes, got {targets}"
    return _writable(classes)


def _said(texts: list[str]) -> str | None:
    blank = [text for text in texts if not text.strip()]
    return f"texts must not be blank, got {blank[0]!r}" if blank else _writable(texts)


def _labels(found: Any, count: int) -> str | None:
    """Check labels, classes and places of `count` examples."""
    if len(found.places) != count or not count:
        return f"there must be a place for each of {count} examples, got {len(found.places)}"
    if found.labels is not None:
        if len(found.labels) != count or found.labels.min() < -1 or found.labels.max() >= len(found.classes):
            return f"labels of {count} examples must be within {len(found.classes)} classes, got {found.labels}"
        if len(set(found.classes)) != len(found.classes) or not all(name.strip() for name in found.classes):
            return f"classes must have names of their own, got {found.classes!r:.200}"
        if any(name.casefold() in ("nan", "null", "none") for name in found.classes):
            return f"what is missing must be no class, got {found.classes!r:.200}"
    return _writable((*found.classes, *found.places))


def _writable(names: Iterable[str]) -> str | None:
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            return f"text must be writable, got {name!a:.80}"
    return None
