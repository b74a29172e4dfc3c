"""What stands beside a model's weights, so that its file is all that is needed to use it.

A model has these as attributes, None where nobody has said; `save` writes them, `load` gives them back::

    tokenizer          what its tokens stand for                       Tokenizer
    target_tokenizer   the same of what it writes, where it writes     Tokenizer
    classes            the names of its classes, in order              tuple of str or int
    scaling            what is taken away from features, and divided   Scaling
    target_scaling     the same of the numbers that it says            Scaling
    task               what it was trained to do: "classify", …        str
    reading            how files are read for it, as its task has it   dict, in types that JSON has
    record             how it was made, and its scores                 dict, in types that JSON has

In the file they are one JSON object with a version, the string `KEY` of the header. What is read is data: each part is
held against its own schema and against the sizes of the model, and an unknown part is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data.scaling import Scaling
from ..data.text import Tokenizer
from ..foreign import one_line, parse_json, shown
from ..schema import check_value
from ..written import writable
from .older import from_transfer

KEY, VERSION = "rnn_core.beside", 1

LONGEST = 1 << 20
"""Characters of JSON that `reading` and `record` may have, each: they are a page of settings, and no place for data."""


class Part(NamedTuple):
    """A kind of thing that can stand beside weights.

    Attributes
    ----------
    checked : callable
        From the function's name, the part's and what the user gave to what the model keeps.
    write, read : callable
        To JSON's types, and back.
    """

    checked: Callable[[str, str, Any], Any]
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


class Described:
    """The attributes of a model that stand beside its weights; see the head of the file."""

    tokenizer: Tokenizer | None = None
    target_tokenizer: Tokenizer | None = None
    classes: tuple[Any, ...] | None = None
    scaling: Scaling | None = None
    target_scaling: Scaling | None = None
    task: str | None = None
    reading: dict[str, Any] | None = None
    record: dict[str, Any] | None = None

    config: dict[str, Any]

    @property
    def described_sizes(self) -> dict[str, int]:
        """How many tokens, classes and features there must be beside the weights, as far as the model knows."""
        names = {"tokenizer": "vocab_size", "target_tokenizer": "target_vocab_size", "classes": "num_classes",
                 "scaling": "input_size", "target_scaling": "num_outputs"}  # fmt: skip
        found = {part: size for part, name in names.items() if (size := self.config.get(name)) is not None}
        if found.get("classes") == 1:  # one sigmoid tells two classes apart: no and yes
            found["classes"] = 2
        return found


def parts_of(target: Any) -> dict[str, Any]:
    """Return what stands beside a model, by name, as far as it is there."""
    return {name: value for name in PARTS if (value := getattr(target, name, None)) is not None}


def checked_parts(where: str, target: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to stand beside a model: what was given, else what it has already.

    Raises
    ------
    TypeError
        A part is of another kind, or the target is no model.
    ValueError
        A part is not as required, or of another size than the model's.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not isinstance(target, Described):
        if given:
            raise TypeError(
                f"{where}: {next(iter(given))} must be left out beside what is no model, got {type(target).__name__}; "
                "metadata takes any string"
            )
        return {}
    found = {**parts_of(target), **given}
    found = {name: PARTS[name].checked(where, name, found[name]) for name in PARTS if name in found}
    try:
        _check_sizes(target, found)
    except ValueError as error:
        raise ValueError(f"{where}: {error}; it goes with another model") from None
    return found


def to_header(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return the header's line on what stands beside a model; none where nothing does."""
    if not parts:
        return {}
    stored = {"version": VERSION, **{name: PARTS[name].write(value) for name, value in parts.items()}}
    # A half character, as in the name of a class that was a folder's, becomes an escape, and is read as it was.
    return {KEY: writable(json.dumps(stored, ensure_ascii=False, allow_nan=False))}


def from_header(header: Mapping[str, str]) -> dict[str, Any]:
    """Return what a header says stands beside its model, each part as the model will have it.

    Raises
    ------
    ValueError
        It says so in no way that is known here.
    """
    if KEY not in header:
        stored = from_transfer(header)
        version = VERSION if stored is None else stored.pop("version")
        stored = stored or {}
    else:
        stored = parse_json("its header", KEY, header[KEY], unique=True)
        check_value(KEY, dict[str, Any], stored)
        version = stored.pop("version", None)
    if version != VERSION:
        raise ValueError(f"the version of {KEY} must be {VERSION}, got {shown(version)}, which takes a newer rnn_core")
    found = {}
    for name, value in stored.items():
        if name not in PARTS:
            raise ValueError(f"{KEY} must hold {', '.join(PARTS)}, got {shown(name)}; it takes a newer rnn_core")
        if value is not None:
            try:
                found[name] = PARTS[name].checked("load", name, PARTS[name].read(value))
            except (ValueError, TypeError) as error:
                raise ValueError(f"its {name} can't be read: {one_line(error)}") from error
    return found


def put_beside(target: Any, parts: Mapping[str, Any]) -> None:
    """Make parts a model's attributes.

    Raises
    ------
    ValueError
        They don't fit it.
    """
    if parts and not isinstance(target, Described):
        raise ValueError(f"{KEY} must be left out beside a {type(target).__name__}, which is no model")
    _check_sizes(target, parts)
    for name, value in parts.items():
        setattr(target, name, value)


def _check_sizes(target: Any, parts: Mapping[str, Any]) -> None:
    """Raise ValueError where a part is for a larger or smaller model."""
    sizes = target.described_sizes if parts else {}
    for name, value in parts.items():
        if name in sizes and len(value) != sizes[name]:
            raise ValueError(
                f"{name} must be of {sizes[name]:,} {_COUNTED[name]}, as the {type(target).__name__} is, "
                f"got {len(value):,}"
            )


_COUNTED = {"tokenizer": "tokens", "target_tokenizer": "tokens", "classes": "classes", "scaling": "features",
            "target_scaling": "numbers"}  # fmt: skip


def _tokenizer(where: str, name: str, value: Any) -> Tokenizer:
    if not isinstance(value, Tokenizer):
        raise TypeError(f"{where}: {name} must be a Tokenizer, got {shown(value)}")
    len(value)  # raises where it has learned nothing
    return value


def _classes(where: str, name: str, value: Any) -> tuple[Any, ...]:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise TypeError(f"{where}: {name} must be names, in a list for instance, got {shown(value)}")
    found = tuple(one.item() if isinstance(one, np.generic) else one for one in value)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, str | int):
            raise TypeError(f"{where}: {name} must be strings or whole numbers, got {shown(one)}")
    if len({str(one) for one in found}) < len(found):
        raise ValueError(f"{where}: {name} must be different, got {shown(list(found))}")
    return found


def _task(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > 40:
        raise TypeError(f"{where}: {name} must be the name of a task, got {shown(value)}")
    return value


def _page(where: str, name: str, value: Any) -> dict[str, Any]:
    """Return a dictionary that JSON can hold, as it comes back from there."""
    try:
        if not isinstance(value, Mapping):
            raise TypeError("it is no dictionary")
        text = json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"{where}: {name} must be a dictionary in types that JSON has, got {shown(value)} ({one_line(error)})"
        ) from None
    if len(text) > LONGEST:
        raise ValueError(f"{where}: {name} must have at most {LONGEST:,} characters as JSON, got {len(text):,}")
    found: dict[str, Any] = json.loads(text)
    return found


def _as_is(value: Any) -> Any:
    return value


PARTS: dict[str, Part] = {
    "tokenizer": Part(_tokenizer, Tokenizer.to_dict, Tokenizer.from_dict),
    "target_tokenizer": Part(_tokenizer, Tokenizer.to_dict, Tokenizer.from_dict),
    "classes": Part(_classes, list, _as_is),
    "scaling": Part(Scaling.from_any, Scaling.as_dict, Scaling.from_dict),
    "target_scaling": Part(Scaling.from_any, Scaling.as_dict, Scaling.from_dict),
    "task": Part(_task, str, _as_is),
    "reading": Part(_page, dict, _as_is),
    "record": Part(_page, dict, _as_is),
}
"""Everything that can stand beside weights, by the name of `save`'s argument and of the model's attribute."""
