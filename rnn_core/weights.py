"""Weights on disk: safetensors files that say what they are, written so that a killed write loses nothing.

A file's header holds strings: ``format`` ("rnn_core"), ``format_version`` and, for a layer or model, ``class`` and
``config`` (the constructor's arguments as JSON), beside whatever the user adds. Backend and seed are not kept: what was
trained on one machine loads on any. Nothing that is read is ever executed.

References
----------
.. [1] The safetensors format, https://huggingface.co/docs/safetensors/index#format.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from . import models  # it also makes every class known that a file may name
from .atomic import write_atomically
from .layers.base import Layer
from .layers.checks import as_array, check_finite
from .layers.home import to_host
from .layers.stack import Recurrent

FORMAT, VERSION = "rnn_core", "1"
RESERVED = ("format", "format_version", "class", "config")
"""Keys of the header that are not the user's."""


def save(
    target: Layer | Mapping[str, Any], path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a layer, a model or plain arrays to a safetensors file.

    The file is whole at any time: the new one is written beside it and takes its place when it is safely on disk.

    Parameters
    ----------
    target : Layer, Model, or mapping of str to ndarray
        What to write, from the host or the GPU. Of a layer or model NaN and infinity are refused; plain arrays may hold
        anything. Which parameters are `frozen` is not kept: it belongs to a training run, not to the weights.
    path : path
        The file, by custom ``….safetensors``. Its folder must exist.
    metadata : mapping of str to str, optional
        Anything else to keep, for `read_metadata`. The keys format, format_version, class and config are taken.

    Raises
    ------
    ValueError
        A value is NaN or infinite (the message says where), or a key or name is taken.
    TypeError
        `target` is neither of these, an array has a dtype that the format lacks (complex128), or a name or
        an entry of `metadata` is not a string.
    OSError
        The folder is missing, or the file can't be written. A file that was there before is as it was.
    """
    header = {"format": FORMAT, "format_version": VERSION}
    if isinstance(target, Layer):
        header |= _description(target)
        arrays: Mapping[str, Any] = target.parameters
        for name, array in arrays.items():
            check_finite("save", name, array)
    elif isinstance(target, Mapping):
        arrays = target
    else:
        raise TypeError(f"save: target must be a layer, a model or a mapping of arrays, got {type(target).__name__}")
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save: metadata must map str to str, got {key!r}: {value!r}; json.dumps makes a string")
        if key in RESERVED:
            raise ValueError(f"save: metadata must not use the key {key!r}; {', '.join(RESERVED)} are taken")
        header[key] = value
    data = to_bytes({name: _storable(name, array) for name, array in arrays.items()}, metadata=header)
    write_atomically(path, _sorted_header(data), where="save")


def load(path: str | os.PathLike[str], *, backend: str | None = None, dtype: Any = None) -> Any:
    """Return the layer or model that `save` wrote: with the same parameters, it computes the same bits.

    Parameters
    ----------
    path : path
    backend : {"numpy", "cpu", "cuda"}, optional
        Where its core runs, and so where its arrays live; the best one present on the host by default.
    dtype : dtype, optional
        float32 or float64; that of the file by default.

    Raises
    ------
    ValueError
        The file is cut short, comes from another program or a newer version, holds plain arrays, or its arrays don't
        fit its own description or aren't finite.
    OSError
        The file is missing or can't be read.
    RuntimeError
        The backend is not available; the message says why.
    """
    with _opened("load", path) as (file, header):
        if header.get("format") != FORMAT:
            raise ValueError(
                f"load: path must be a file that rnn_core.save wrote, got {str(path)!r}, which comes from another "
                "program; read_arrays returns its arrays, for load_state_dict"
            )
        if header.get("format_version") != VERSION:
            raise ValueError(
                f"load: format_version must be {VERSION}, got {header.get('format_version')} in {str(path)!r}; "
                "it takes a newer rnn_core to read it"
            )
        if "checkpoint" in header:
            raise ValueError(
                f"load: path must hold a layer or model, got {str(path)!r}, which is a checkpoint of fit: "
                "fit(..., resume=True) goes on from it, and best.safetensors beside it is for load"
            )
        if "class" not in header:
            raise ValueError(
                f"load: path must hold a layer or model, got {str(path)!r} with plain arrays; use read_arrays"
            )
        if "config" not in header:
            raise ValueError(
                f"load: path must say how its {header['class']} is built, got {str(path)!r}, whose header lacks the "
                "key 'config'; read_arrays returns its arrays, for load_state_dict"
            )
        arrays = _arrays("load", path, file)
    try:
        kind, config = _class_named(header["class"]), json.loads(header["config"])
        _check_description(kind, config, arrays)
        target = kind(**config)
        target.load_state_dict(arrays)
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        raise ValueError(f"load: {str(path)!r} does not hold what it says it holds: {error}") from error
    if dtype is None and backend is None:
        return target
    return target.astype(target.dtype if dtype is None else dtype, backend)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return every string in the header of a safetensors file: those of `save`, and the user's.

    Raises
    ------
    ValueError
        It is no safetensors file, or cut short.
    OSError
        The file is missing or can't be read.
    """
    with _opened("read_metadata", path) as (_, header):
        return header


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return every array of a safetensors file, also of one that another program wrote.

    The order is that of the file, which need not be the order in which they were given to `save`.

    Raises
    ------
    ValueError
        It is no safetensors file, or cut short.
    TypeError
        An array has a dtype that NumPy lacks, as bfloat16.
    OSError
        The file is missing or can't be read.
    """
    with _opened("read_arrays", path) as (file, _):
        return _arrays("read_arrays", path, file)


def _sorted_header(data: bytes) -> bytes:
    """Return a safetensors file with its header's entries in order: as the library shuffles them, equal weights would
    make files that differ.
    """
    (length,) = struct.unpack_from("<Q", data)
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _description(target: Layer) -> dict[str, str]:
    """Return the header's lines on a layer or model."""
    name = type(target).__name__
    if _class_named(name) is not type(target):
        raise TypeError(f"save: there are two classes called {name}, and load would take the other; rename yours")
    config = {key: value for key, value in target.config.items() if key not in ("backend", "seed")}
    return {"class": name, "config": json.dumps(config)}


def _class_named(name: str) -> type[Layer]:
    """Return the kind of layer of that name: rnn_core's own or, where it has none, the first that was imported."""
    classes: list[type[Layer]] = [Layer]
    for known in classes:
        classes.extend(known.__subclasses__())
    found = [known for known in classes if known.__name__ == name]
    if not found:
        raise ValueError(f"there is no layer or model called {name!r}; import the module that defines it first")
    return next((known for known in found if known.__module__.startswith(f"{FORMAT}.")), found[0])


def _check_description(kind: type[Layer], config: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError, before anything is built, where a description can't be that of the arrays."""
    if kind in (Layer, Recurrent, models.Model):
        raise ValueError(f"{kind.__name__} is a base class, of which there are no files")
    if not isinstance(config, dict):
        raise ValueError(f"config must be a JSON object, got {type(config).__name__}")
    if not kind.__module__.startswith(f"{FORMAT}."):
        return  # what a user's own class calls its sizes is not known here
    axes = {size for array in arrays.values() for size in array.shape}
    for key, size in config.items():
        if key in SIZES and isinstance(size, int) and size not in axes:
            raise ValueError(f"config and arrays must fit, got {key} = {size!r}, which is no array's axis")
    if isinstance(layers := config.get("num_layers"), int) and layers > len(arrays):
        raise ValueError(f"config and arrays must fit, got num_layers = {layers} and {len(arrays)} arrays")


SIZES = (
    "input_size", "hidden_size", "embedding_size", "vocab_size", "num_classes",
    "in_features", "out_features", "num_embeddings", "embedding_dim",
)  # fmt: skip
"""What a config says of sizes: each is an axis of an array."""


def _storable(name: Any, array: Any) -> np.ndarray:
    """Return an array as the format wants it: on the host, contiguous, in the byte order of the machine."""
    if not isinstance(name, str):
        raise TypeError(f"save: target must map str to arrays, got the name {name!r}")
    if name == "__metadata__":
        raise ValueError("save: target must not use the name '__metadata__', under which the header's strings stand")
    array = as_array("save", name, to_host(array))
    if array.dtype.name not in STORED:
        raise TypeError(
            f"save: {name} must have one of the dtypes {', '.join(STORED)}, got {array.dtype}; convert it with astype"
        )
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


STORED = (
    "float16", "float32", "float64", "bool",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip
"""The dtypes that the format and NumPy share."""


@contextlib.contextmanager
def _opened(where: str, path: str | os.PathLike[str]) -> Iterator[tuple[Any, dict[str, str]]]:
    """Open a safetensors file, and tell a missing, a foreign and a broken one apart."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise type(error)(f"{where}: {str(path)!r} can't be read: {error.strerror or error}") from error
    try:
        with safe_open(path, framework="numpy") as file:
            yield file, dict(sorted((file.metadata() or {}).items()))
    except SafetensorError as error:
        # Such a file begins with eight bytes of length and the brace of a JSON object.
        kind = "is cut short or damaged" if start[8:] == b"{" or len(start) < 9 else "is no safetensors file"
        raise ValueError(
            f"{where}: path must be a whole safetensors file, got {str(path)!r}, which {kind} ({error})"
        ) from error


def _arrays(where: str, path: str | os.PathLike[str], file: Any) -> dict[str, np.ndarray]:
    arrays = {}
    for name in file.keys():  # noqa: SIM118  # it is no mapping
        try:
            arrays[name] = file.get_tensor(name)
        except (TypeError, AttributeError) as error:  # the latter for float8
            raise TypeError(
                f"{where}: {name} in {str(path)!r} must have a dtype that NumPy has: {error}; convert it with the "
                "program that wrote it"
            ) from error
    return arrays
