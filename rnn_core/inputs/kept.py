"""How a model reads files, kept beside its weights and known again: an `Encoding` as `save` and `load` have it.

What a user of the library has saved by hand is as good: a tokenizer, classes or a scaling say what they say, and what
nobody has said is taken as it usually is.
"""

from __future__ import annotations

from typing import Any

from ..data.files.series import MISSING
from ..data.scaling import Scaling
from ..foreign import one_line
from ..models import Model
from ..schema import check_arguments
from .encoding import Encoding


def _reading(
    kind: str | None = None,
    vocabulary: int | None = None,
    max_steps: int | None = None,
    frame: int | None = None,
    rate: int | None = None,
    missing: str = "refuse",
) -> None:
    """What ``reading`` may hold of an encoding."""


def kept(encoding: Encoding) -> dict[str, Any]:
    """Return what `save` is given, to keep an encoding."""
    plain = encoding.as_dict()
    named = ("kind", "vocabulary", "max_steps", "frame", "rate", "missing")
    return {
        "tokenizer": encoding.tokenizer,
        "scaling": Scaling(encoding.mean, encoding.scale) if encoding.mean else None,
        "reading": {name: plain[name] for name in named if plain[name] is not None},
    }


def encoding_of(model: Model, where: str) -> Encoding:
    """Return how a model reads files.

    Parameters
    ----------
    model : Model
        Of features or of tokens.
    where : str
        What to call its file in errors.

    Raises
    ------
    ValueError
        Nobody has said what its tokens stand for, or what was said doesn't fit.
    """
    tokens = model.config.get("vocab_size")
    size = model.config.get("input_size") or next(iter(model.config.get("input_shape", ())), None)  # or channels
    features = size or (None if model.scaling is None else len(model.scaling))
    try:
        found = check_arguments("its reading", _reading, model.reading or {})
        kind = found.pop("kind", None) or ("text" if model.tokenizer else "ids" if tokens else "series")
        if found.get("missing", "refuse") not in MISSING:
            raise ValueError(f"its missing must be one of {', '.join(MISSING)}, got {found['missing']!r}")
        if kind == "ids" and found.get("vocabulary") is None:
            raise ValueError(
                f"what its {tokens or 0:,} tokens stand for is not known; save(model, path, tokenizer=…) keeps that"
            )
        if kind == "ids" and found["vocabulary"] != tokens:
            raise ValueError(f"its vocabulary is of {found['vocabulary']:,} tokens, and the network has {tokens}")
        if features and kind == "waveforms":
            found["frame"] = found.get("frame") or features
            if found["frame"] != features:
                raise ValueError(f"its frames are of {found['frame']} samples, and the network reads {features}")
        scaling = model.scaling
        if scaling is None and size:  # numbers as they are, of which there must be as many
            scaling = Scaling((0.0,) * size, (1.0,) * size)
        numbers = {} if scaling is None else {"mean": scaling.mean, "scale": scaling.scale}
        return Encoding(kind, model.tokenizer, **{"frame": 1, **found, **numbers}).checked()
    except ValueError as error:
        raise ValueError(f"{where} must say how its model reads files, got other: {one_line(error)}") from error
