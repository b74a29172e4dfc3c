"""An ONNX file as it is read: whole, checked, with the weights that lie beside it; nothing in it is executed."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import TensorProto, numpy_helper

from ...foreign import one_line, shown
from ...weights.kinds import LOOKED_AT, kind_of

MOST_CHECKED = 2**31 - 1
"""Bytes beyond which ONNX's own checker takes no model."""


def read_graph(where: str, path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Return the model of a file, checked by ONNX's checker, with all weights in it.

    Raises
    ------
    ValueError
        It is no ONNX file, cut short or damaged, breaks the rules of ONNX, or weights beside it are missing.
    OSError
        It is missing or can't be read.
    """
    try:
        path = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{where}: path must be a path, got {shown(path)}") from None
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # the latter of a name with a NUL
        raise type(error)(f"{where}: {path!r} can't be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own, which has changed its place from version to version
        raise ValueError(f"{where}: path must be a whole ONNX file, got {path!r}, {_why(data, error)}") from error
    if not model.graph.node or not model.opset_import:
        raise ValueError(f"{where}: path must be a whole ONNX file, got {path!r}, {_why(data, None)}")
    folder = Path(path).resolve().parent
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            _bring_in(where, path, tensor, folder)
    try:
        if model.ByteSize() <= MOST_CHECKED:
            onnx.checker.check_model(model)
    except Exception as error:
        raise ValueError(
            f"{where}: {path!r} must keep to the rules of ONNX, and its checker says: {one_line(error)}"
        ) from error
    return model


def array_of(tensor: onnx.TensorProto) -> object:
    """Return the array of a tensor.

    Raises
    ------
    ValueError
        Its numbers are not those that its shape asks for, or lie in another file.
    """
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:
        raise ValueError(f"the tensor {shown(tensor.name)} can't be read: {one_line(error)}") from error


def _bring_in(where: str, path: str, tensor: onnx.TensorProto, folder: Path) -> None:
    """Put into a tensor the bytes that lie in a file beside the model's: in the same folder, or one below it."""
    said = {one.key: one.value for one in tensor.external_data}
    what = f"{where}: the weight {shown(tensor.name)} of {path!r} must lie in a file beside it"
    location = said.get("location", "")
    file = Path(os.path.realpath(folder / location.replace("\0", "")))
    if not location or "\0" in location or not file.is_relative_to(folder):
        raise ValueError(f"{what}, got the place {shown(location)}")
    try:
        offset, length = int(said.get("offset", 0)), int(said["length"]) if "length" in said else None
        size = file.stat().st_size if file.is_file() else None
    except (OSError, ValueError) as error:
        raise ValueError(f"{what}, got {shown(said)}: {one_line(error)}") from error
    if size is None:
        raise ValueError(f"{what}, got {shown(location)}, which is not there; bring both files into one folder")
    length = size - offset if length is None else length
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(
            f"{what}, of {offset + length:,} bytes or more, got {shown(location)} of {size:,}, which is cut short"
        )
    with file.open("rb") as beside:
        beside.seek(offset)
        tensor.raw_data = beside.read(length)
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _why(data: bytes, error: Exception | None) -> str:
    """Return what a file is that can't be read, in words."""
    kind = kind_of(data[:LOOKED_AT], data[-LOOKED_AT:])
    if kind is not None and "ONNX" not in kind.name:
        return f"which is {kind.name}"
    if not data:
        return "which is empty"
    return "which is cut short, damaged, or something else" + ("" if error is None else f" ({one_line(error)})")
