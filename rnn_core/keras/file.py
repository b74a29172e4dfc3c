"""A file of Keras as it is read: what it says of the model, and the archive with the weights, opened.

========  ==========================================================================================================
.keras    a zip of config.json, metadata.json and model.weights.h5; Keras 3, and Keras 2 from 2.12 on
.h5       HDF5, with the model in the attribute ``model_config`` and the weights in the group ``model_weights``
========  ==========================================================================================================

What a file is, is told by what it begins with, and not by its name.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py

from ..foreign import one_line, parse_json, shown
from ..weights.kinds import LOOKED_AT, kind_of

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"

ROOM, TIMES = 2**24, 8
"""Bytes that a part may unpack to: so many, and so many times those of the file. Keras packs nothing."""

WAY_OUT = "in Keras, model.save('model.keras') writes one"

GROUPS = ("layers", "_layer_checkpoint_dependencies")
"""Where the weights of a .keras file's layers are, in this version of Keras or that."""


class Stored(NamedTuple):
    """A file that is open."""

    name: str  # as errors call it
    model: Any  # what it says of the model: a tree of JSON
    weights: h5py.Group
    most: int  # bytes that a weight may have
    legacy: bool  # whether layers' weights lie under the layers' names, as in .h5


@contextlib.contextmanager
def opened(where: str, path: str | os.PathLike[str]) -> Iterator[Stored]:
    """Open a file, for as long as the context lasts.

    Raises
    ------
    ValueError
        It is no whole file of Keras's, or has no model in it.
    OSError
        It is missing or can't be read.
    TypeError
        That is no path.
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{where}: path must be a path, got {shown(path)}") from None
    try:
        file = Path(name).open("rb")  # noqa: SIM115  # below, so that only what opening says is caught here
    except (OSError, ValueError) as error:  # the latter of a name with a NUL
        raise type(error)(f"{where}: {name!r} can't be read: {getattr(error, 'strerror', None) or error}") from error
    with file:
        start, size = file.read(LOOKED_AT), os.fstat(file.fileno()).st_size
        most = ROOM + TIMES * size
        if start.startswith(HDF5):
            with _hdf5(where, name, file) as root:
                yield _legacy(where, name, root, most)
        elif start.startswith(ZIP):
            config, data = _unpacked(where, name, file, most)
            model = parse_json(where, f"config.json in {name!r}", config)
            with _hdf5(where, name, io.BytesIO(data)) as root:
                yield Stored(name, model, _group(where, name, root, GROUPS), most, legacy=False)
        else:
            raise _refused(where, name, start)


def _refused(where: str, name: str, start: bytes) -> ValueError:
    """Return the error of another kind of file."""
    kind = kind_of(start)
    what = f"which is {kind.name}" if kind is not None else "which is something else" if start else "which is empty"
    return ValueError(f"{where}: path must be a file of Keras's, .keras or .h5, got {name!r}, {what}; {WAY_OUT}")


@contextlib.contextmanager
def _hdf5(where: str, name: str, file: BinaryIO) -> Iterator[h5py.File]:
    """Open an archive, and close it."""
    try:
        root = h5py.File(file, "r")
    except Exception as error:  # of a damaged file, whatever HDF5 makes of it
        raise ValueError(
            f"{where}: {name!r} must hold whole HDF5, got what is cut short or damaged ({one_line(error)}); {WAY_OUT}"
        ) from error
    try:
        yield root
    finally:
        with contextlib.suppress(Exception):
            root.close()


def _legacy(where: str, name: str, root: h5py.File, most: int) -> Stored:
    """Return what an .h5 file says."""
    try:
        text = _text(root, "model_config")
        bare = text is None and ("layer_names" in root.attrs or any(group in root for group in GROUPS))
    except Exception as error:
        raise ValueError(f"{where}: {name!r} can't be read: its attributes are damaged ({one_line(error)})") from error
    if text is None:
        what = "weights alone" if bare else "no model"
        raise ValueError(
            f"{where}: path must be a file of a whole model, got {name!r}, which holds {what}, as save_weights writes; "
            f"load them into the model in Keras, and {WAY_OUT.removeprefix('in Keras, ')}"
            if bare
            else f"{where}: path must be a file of a whole model, got {name!r}, an HDF5 file without model_config; "
            f"{WAY_OUT}"
        )
    model = parse_json(where, f"model_config in {name!r}", text)
    return Stored(name, model, _group(where, name, root, ("model_weights",)), most, legacy=True)


def _text(root: h5py.File, name: str) -> str | bytes | None:
    """Return a text that stands as an attribute."""
    if name not in root.attrs:
        return None
    if root.attrs.get_id(name).shape != ():
        raise ValueError(f"{name} must be a text")
    value = root.attrs[name]
    if not isinstance(value, str | bytes):
        raise ValueError(f"{name} must be a text, got {type(value).__name__}")
    return value


def _group(where: str, name: str, root: h5py.File, names: tuple[str, ...]) -> h5py.Group:
    """Return the first group that is there of some."""
    try:
        for one in names:
            if isinstance(root.get(one, getlink=True), h5py.HardLink) and isinstance(root[one], h5py.Group):
                return root[one]
    except Exception as error:
        raise ValueError(f"{where}: {name!r} can't be read: it is damaged ({one_line(error)})") from error
    raise ValueError(f"{where}: {name!r} must hold the group {names[0]} with the weights, and has none; {WAY_OUT}")


def _unpacked(where: str, name: str, file: BinaryIO, most: int) -> tuple[bytes, bytes]:
    """Return the model and the weights of a .keras file."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _member(archive, "config.json", most), _member(archive, "model.weights.h5", most)
    except KeyError as error:
        kind = kind_of(*_ends(file))
        what = f", which is {kind.name}" if kind is not None and "Keras" not in kind.name else ""
        raise ValueError(
            f"{where}: path must be a file of Keras's with config.json and model.weights.h5 in it, got {name!r}{what}: "
            f"{one_line(error.args[0])}; {WAY_OUT}"
        ) from error
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, NotImplementedError, OSError,
        OverflowError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{where}: {name!r} must be a whole .keras file, got one that is cut short or damaged: {one_line(error)}; "
            f"{WAY_OUT}"
        ) from error


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member of an archive, if it isn't far larger than its file."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise zipfile.BadZipFile(f"{name} is packed in a way that Keras doesn't")
    data = b"" if info.file_size > most else archive.open(info).read(most + 1)
    if info.file_size > most or len(data) > most:
        raise zipfile.BadZipFile(f"{name} claims {info.file_size:,} bytes, which no such file can stand for")
    return data


def _ends(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return a file's beginning and its end."""
    file.seek(0)
    start = file.read(LOOKED_AT)
    file.seek(max(0, file.seek(0, os.SEEK_END) - LOOKED_AT))
    return start, file.read()
