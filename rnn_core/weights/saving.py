"""`save`: a layer, a model or plain arrays, as a safetensors file."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save as to_bytes

from ..atomic import write_atomically
from ..data.text import Tokenizer
from ..foreign import check_text, one_line, shown
from ..layers.base import Layer
from ..layers.checks import as_array, check_finite
from ..layers.defined import cells_of
from ..layers.home import to_host
from ..layers.quantized import Quantized, is_quantized
from . import beside, checksums
from .cells import CELLS, described
from .file import NAME
from .loading import FORMAT, NOT_THE_FILES, QUANTIZED, VERSION, class_named

RESERVED = (
    "format", "format_version", "class", "config", QUANTIZED, CELLS, beside.KEY, checksums.ARRAYS, checksums.STRINGS,
)  # fmt: skip
"""Keys of the header that are not the user's."""

_SLASHES = tuple({"/", os.sep})


def save(
    target: Layer | Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    tokenizer: Tokenizer | None = None,
    target_tokenizer: Tokenizer | None = None,
    classes: Sequence[str | int] | None = None,
    scaling: Any = None,
    target_scaling: Any = None,
    task: str | None = None,
    reading: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write a layer, a model or plain arrays to a safetensors file.

    The file is whole at any time: the new one is written beside it and takes its place when it is safely on disk.
    Beside a model's weights stands what its user needs, a tokenizer for instance; `load` makes it attributes of the
    model, and what a loaded model has is saved again unless something else is given.

    Parameters
    ----------
    target : Layer, Model, or mapping of str to ndarray
        What to write, from the host or the GPU. Of a layer or model NaN and infinity are refused; plain arrays may hold
        anything. Which parameters are `frozen` is not kept: it belongs to a training run, not to the weights.
    path : path
        The file, by custom ``….safetensors``. Its folder must exist. Of a folder that is there, or a path that ends
        in a slash, it is ``model.safetensors`` in it; that folder is made, and what else is in it stays as it is.
    metadata : mapping of str to str, optional
        Anything else to keep, for `read_metadata`. The keys format, format_version, class, config,
        quantized, cells, rnn_core.beside, rnn_core.checksums and rnn_core.checksum are taken.
    tokenizer, target_tokenizer : Tokenizer, optional
        What a model's tokens stand for: of what it reads, and of what it writes, where these are two.
    classes : sequence of str or int, optional
        The names of its classes, in order.
    scaling, target_scaling : Scaling, pair (mean, scale) or fitted StandardScaler, optional
        How features were scaled, and the numbers that it was to say.
    task : str, optional
        What ``rnn-core predict`` does with it; by default what models of its class are for.
    reading : mapping, optional
        How files are read for it, in types that JSON has: ``{"kind": "waveforms", "frame": 64, "rate": 8000}``.
    record : mapping, optional
        How it was made, in types that JSON has.

    Raises
    ------
    ValueError
        A value is NaN or infinite (the message says where), a key or name is taken, or what is to stand beside the
        weights is not as required or of another size than the model: as many classes, tokens, features.
    TypeError
        `target` is neither of these, or no model and something is to stand beside it; an array has a dtype that the
        format lacks (complex128); a name or an entry of `metadata` is not a string, or what stands beside is of another
        kind.
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
    given = {"tokenizer": tokenizer, "target_tokenizer": target_tokenizer, "classes": classes, "scaling": scaling,
             "target_scaling": target_scaling, "task": task, "reading": reading, "record": record}  # fmt: skip
    header |= beside.to_header(beside.checked_parts("save", target, given))
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(
                f"save: metadata must map str to str, got {shown(key)}: {shown(value)}; json.dumps makes a string"
            )
        if key in RESERVED:
            raise ValueError(f"save: metadata must not use the key {key!r}; {', '.join(RESERVED)} are taken")
        header[check_text("save", "a key of metadata", key)] = check_text("save", f"metadata[{shown(key)}]", value)
    stored = {name: _storable(name, array) for name, array in arrays.items()}
    try:
        data = to_bytes(stored, metadata=checksums.with_checksums(header, stored))
    except SafetensorError as error:  # of a header beyond 100 MB, which nothing would read again
        raise ValueError(f"save: the file's header must hold names and metadata: {one_line(error)}") from error
    with _file_for(path) as file:
        write_atomically(file, _sorted_header(data), where="save")


@contextlib.contextmanager
def _file_for(path: str | os.PathLike[str]) -> Iterator[str | os.PathLike[str]]:
    """Give the file to write: in a folder, where one is named, which is taken away again if nothing could be written.

    Raises
    ------
    OSError
        The folder can't be made.
    """
    name = os.fspath(path)
    is_there = os.path.isdir(name)
    if not is_there and not name.endswith(_SLASHES):
        yield path
        return
    if not is_there:
        try:
            os.mkdir(name)
        except OSError as error:
            raise type(error)(f"save: the folder {name!r} can't be made: {error.strerror}") from error
    try:
        yield os.path.join(name, NAME)
    except OSError:
        if not is_there:
            with contextlib.suppress(OSError):
                os.rmdir(name)
        raise


def _sorted_header(data: bytes) -> bytes:
    """Return a safetensors file with its header's entries in order: as the library shuffles them, equal weights would
    make files that differ.
    """
    (length,) = struct.unpack_from("<Q", data)
    found = json.loads(data[8 : 8 + length])
    header = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _description(target: Layer) -> dict[str, str]:
    """Return the header's lines on a layer or model."""
    name = type(target).__name__
    if not all(class_named(cell.__name__) is cell for cell in cells_of(target)):
        raise TypeError(f"save: the cell of {name} has been defined again since it was made; make it again, too")
    if class_named(name) is not type(target):
        raise TypeError(f"save: there are two classes called {name}, and load would take the other; rename yours")
    config = {key: value for key, value in target.config.items() if key not in NOT_THE_FILES}
    try:
        kept = {"class": name, "config": json.dumps(config)}
        if cells := described(target):
            kept[CELLS] = json.dumps(cells)
        return {**kept, QUANTIZED: "int8"} if is_quantized(target) and not isinstance(target, Quantized) else kept
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"save: the config of {name} must be what JSON can hold, got {shown(config)} ({one_line(error)})"
        ) from error


def _storable(name: Any, array: Any) -> np.ndarray:
    """Return an array as the format wants it: on the host, contiguous, in the byte order of the machine."""
    if not isinstance(name, str):
        raise TypeError(f"save: target must map str to arrays, got the name {shown(name)}")
    check_text("save", "a name in target", name)
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
