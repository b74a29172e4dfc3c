"""What a model's configuration says: its layers, from the input to the output, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..foreign import shown
from .weights import CantRead

MASKS = ("NotEqual", "Any")
"""Operations by which Keras 3 writes down where an Embedding's mask, or a Masking's, comes from."""

KERAS = ("keras", "tf_keras", "tensorflow")
"""Packages whose layers are Keras's own."""


class Part(NamedTuple):
    """A layer of a model, or within another layer."""

    kind: str  # its class
    name: str
    config: Mapping[str, Any]
    number: int = 0  # which of its class it is, in the order of the file

    def __str__(self) -> str:
        return f"layer {shown(self.name, 60)} ({shown(self.kind, 40)[1:-1]})"


class PartError(CantRead):
    """Why a part can't be read."""

    def __init__(self, part: Part, why: object) -> None:
        super().__init__(why)
        self.part = part


def line_of(model: Any) -> list[Part]:
    """Return the layers of a model in the order in which they compute.

    Raises
    ------
    CantRead
        The model is neither Sequential nor a functional one whose layers stand in a row; a layer isn't Keras's own.
    """
    whole = as_part(model)
    if whole.kind == "Sequential":
        entries = model["config"] if isinstance(model["config"], list) else whole.config.get("layers")
        return _numbered(entries)
    if whole.kind in ("Functional", "Model"):
        return _straight(whole.config)
    raise CantRead(f"the model must be Sequential or functional, got one of the class {shown(whole.kind)}")


def as_part(entry: Any, number: int = 0) -> Part:
    """Return a layer that a file describes, if it is one of Keras's own by what it says itself.

    Raises
    ------
    CantRead
        It isn't described as layers are, or its class is not Keras's.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise CantRead(f"a layer must be described by class_name and config, got {shown(entry)}")
    kind, config = entry["class_name"], entry.get("config")
    if isinstance(config, list) and kind == "Sequential":
        config = {}
    if not isinstance(config, dict):
        raise CantRead(f"the layer of class {shown(kind)} must have a config, got {shown(config)}")
    name = config.get("name", entry.get("name", ""))
    part = Part(kind, name if isinstance(name, str) else "", config, number)
    module, registered = entry.get("module"), entry.get("registered_name")
    if module is not None and str(module).partition(".")[0] not in KERAS:
        raise PartError(part, f"its class must be one of Keras's own, got one of the module {shown(module)}")
    if registered is not None and registered != kind:
        raise PartError(part, f"its class must be one of Keras's own, got one registered as {shown(registered)}")
    return part


def _numbered(entries: Any) -> list[Part]:
    """Return a list of layers, each with its number within its class."""
    if not isinstance(entries, list) or not entries:
        raise CantRead(f"the model must have a list of layers, got {shown(entries)}")
    counts: dict[str, int] = {}
    parts = []
    for entry in entries:
        part = as_part(entry)
        parts.append(part._replace(number=counts.get(part.kind, 0)))
        counts[part.kind] = parts[-1].number + 1
    return parts


class _Call(NamedTuple):
    """What a layer of a functional model is called with."""

    sources: tuple[str, ...]  # the layers whose outputs come in
    mask: str  # the one whose output is the mask, or ""
    others: tuple[Any, ...] = ()  # numbers among the arguments


def _straight(config: Mapping[str, Any]) -> list[Part]:
    """Return the layers of a functional model from its one input to its one output."""
    parts = {part.name: part for part in _numbered(config.get("layers"))}
    entries = {part.name: entry for part, entry in zip(parts.values(), config["layers"], strict=False)}
    if len(parts) != len(config["layers"]):
        raise CantRead("layers must have names of their own")
    calls = {name: _called(part, entries[name]) for name, part in parts.items() if part.kind != "InputLayer"}
    first, last = (_end(config, key, parts) for key in ("input_layers", "output_layers"))
    line = [last]
    while line[-1] != first:
        sources = calls[line[-1]].sources if line[-1] in calls else ()
        if len(sources) != 1 or sources[0] not in parts or sources[0] in line:
            got = ", ".join(shown(one, 40) for one in sources) or "nothing"
            raise PartError(parts[line[-1]], f"it must be called on the output of one layer before it, got {got}")
        line.append(sources[0])
    line.reverse()
    aside = [part for name, part in parts.items() if name not in line and part.kind not in MASKS]
    if aside:
        raise PartError(aside[0], "it must stand on the one way from the input to the output, and doesn't")
    _check_masks(line, parts, calls)
    return [parts[name] for name in line]


def _end(config: Mapping[str, Any], key: str, parts: Mapping[str, Part]) -> str:
    """Return the name of the one input or output."""
    given = config.get(key)
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, list) or len(given) != 3 or given[1:] != [0, 0] or str(given[0]) not in parts:
        raise CantRead(f"{key} must be one layer of the model, got {shown(config.get(key))}")
    return str(given[0])


def _called(part: Part, entry: Mapping[str, Any]) -> _Call:
    """Return what a layer is called with."""
    nodes = entry.get("inbound_nodes")
    if not isinstance(nodes, list) or len(nodes) != 1:
        got = f"{len(nodes)} calls" if isinstance(nodes, list) else shown(nodes)
        raise PartError(part, f"it must be called once, got {got}")
    try:
        return _called_now(nodes[0]) if isinstance(nodes[0], dict) else _called_then(nodes[0])
    except CantRead as error:
        raise PartError(part, error) from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PartError(part, f"what it is called with can't be understood, got {shown(nodes)}") from error


def _called_now(node: Mapping[str, Any]) -> _Call:
    """Return a call as Keras 3 writes it: arguments, and those with names."""
    given = node["args"]
    if len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    sources = tuple(_source(one) for one in given if isinstance(one, dict))
    others = tuple(one for one in given if not isinstance(one, dict))
    named = dict(node.get("kwargs") or {})
    mask = named.pop("mask", None)
    _check_named(named)
    return _Call(sources, "" if mask is None else _source(mask), others)


def _called_then(node: Any) -> _Call:
    """Return a call as Keras 2 writes it: lists of name, node, output and arguments with names."""
    if node and isinstance(node[0], str):
        node = [node]
    for one in node:
        _, number, output = one[:3]
        if (number, output) != (0, 0):
            raise CantRead(f"it must be called on a layer's only output, got {shown(one)}")
        _check_named(one[3] if len(one) > 3 else {})
    return _Call(tuple(str(one[0]) for one in node), "")


def _source(tensor: Mapping[str, Any]) -> str:
    """Return the layer whose output a tensor is."""
    name, node, output = tensor["config"]["keras_history"]
    if (node, output) != (0, 0):
        raise CantRead(f"it must be called on a layer's only output, got {shown(tensor['config'])}")
    return str(name)


def _check_named(named: Mapping[str, Any]) -> None:
    """Refuse arguments that change what a layer says: states, dropout that never ends, or others unknown."""
    odd = {key: value for key, value in named.items() if value is not None and (key, value) != ("training", False)}
    if odd:
        key, value = next(iter(odd.items()))
        raise CantRead(f"it must be called without {shown(key, 40)}, got {shown(value)}")


def _check_masks(line: Sequence[str], parts: Mapping[str, Part], calls: Mapping[str, _Call]) -> None:
    """Refuse a mask that isn't the one that Keras itself hands on from the nearest Embedding or Masking before."""
    current: tuple[str, Any] | None = None
    for name, before in zip(line[1:], line, strict=False):
        part, mask = parts[name], calls[name].mask  # each was met on the way from the last to the first
        if mask and _origin(mask, parts, calls) != current:
            raise PartError(part, f"its mask must be that of the layers before it, got {shown(mask)}")
        if part.kind == "Embedding" and part.config.get("mask_zero"):
            current = (before, 0)
        elif part.kind == "Masking":
            current = (before, part.config.get("mask_value", 0.0))


def _origin(mask: str, parts: Mapping[str, Part], calls: Mapping[str, _Call]) -> tuple[str, Any] | None:
    """Return the layer and the number that a mask comes from: output ≠ number, there in any feature of a step."""
    if mask in calls and parts[mask].kind == "Any":
        config = parts[mask].config
        if config.get("axis") != -1 or config.get("keepdims") or len(calls[mask].sources) != 1:
            return None
        mask = calls[mask].sources[0]
    if mask not in calls or parts[mask].kind != "NotEqual":
        return None
    sources, _, others = calls[mask]
    return (sources[0], others[0]) if len(sources) == len(others) == 1 else None
