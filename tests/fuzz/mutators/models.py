"""Damage to what HDF5 and protocol buffers hold, so that the file itself stays whole."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from random import Random
from typing import Any

import numpy as np

from . import raw, trees
from .archives import zipped
from .raw import SIZES

NAMES = ("lstm/lstm_cell/kernel:0", "kernel:0", "/", ".", "..", "a/../b", "", "x" * 300, "\ud83d", "a\nb", "vars", "0")
DTYPES = ("<f4", ">f4", "<f8", "<f2", "<i4", "|S3", "?", "<c8")


def as_keras(rng: Random, data: bytes) -> bytes:
    """Change what a .keras or .h5 file says of its model, or the weights; bytes of what is no such file (any more)."""
    with contextlib.suppress(Exception):
        return _in_keras(rng, data)
    return rng.choice(raw.RAW)(rng, data)


def as_onnx(rng: Random, data: bytes) -> bytes:
    """Change a node, an attribute, a weight or an input of a graph; bytes of what is no such file (any more)."""
    with contextlib.suppress(Exception):
        return _in_onnx(rng, data)
    return rng.choice(raw.RAW)(rng, data)


def _in_keras(rng: Random, data: bytes) -> bytes:
    if not data.startswith(b"PK"):
        return _in_hdf5(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(("config.json", "config.json", "model.weights.h5"))
    match rng.randrange(8):
        case 0:
            del members[name]
        case 1:
            members[name] = rng.choice(raw.RAW)(rng, members[name])
        case _:
            members[name] = (trees.as_json if name.endswith("json") else _in_hdf5)(rng, members[name])
    return zipped(list(members.items()), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _in_hdf5(rng: Random, data: bytes) -> bytes:
    """Change an attribute, an array or a link."""
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        if "model_config" in file.attrs and rng.random() < 0.5:
            text = json.dumps(json.loads(file.attrs["model_config"])).encode()
            file.attrs["model_config"] = np.bytes_(trees.as_json(rng, text))
            return _closed(file, stream)
        places: list[str] = []
        file.visit(places.append)
        place = rng.choice([one for one in places if isinstance(file[one], h5py.Dataset) or rng.random() < 0.3])
        _change(rng, h5py, file, place)
        return _closed(file, stream)


def _closed(file: Any, stream: io.BytesIO) -> bytes:
    file.flush()
    file.close()
    return stream.getvalue()


def _change(rng: Random, h5py: Any, file: Any, place: str) -> None:
    """Change one thing of a file at a place in it."""
    found = file[place]
    if isinstance(found, h5py.Group) and rng.random() < 0.5:
        key = rng.choice(("weight_names", "weight_names0", "layer_names", *NAMES[1:3]))
        values: tuple[Any, ...] = ([b"a"], 3, [1, 2], "x", [], np.zeros((2, 2)), [one.encode() for one in NAMES[:3]])
        file[place].attrs[key] = rng.choice(values)
        return
    old = np.asarray(found) if isinstance(found, h5py.Dataset) else np.zeros((2, 2), np.float32)
    del file[place]
    sizes = tuple(rng.choice((0, 1, 2, 2**20, 2**40, 2**62)) for _ in range(rng.choice((0, 1, 2, 2, 3))))
    match rng.randrange(9):
        case 0:
            return
        case 1:
            file[place] = rng.choice((h5py.SoftLink("/"), h5py.SoftLink(place), h5py.ExternalLink("/etc/passwd", "x")))
        case 2:
            file.create_group(place)
        case 3:
            file[place] = np.zeros(old.shape, np.float32).astype(rng.choice(DTYPES))
        case 4:
            file[place] = old.T.copy() if rng.random() < 0.5 else old.ravel()
        case 5:
            packed: dict[str, Any] = {"chunks": tuple(min(size, 8) for size in sizes), "compression": "gzip"}
            file.create_dataset(place, sizes, "f4", **(packed if sizes and all(sizes) and rng.random() < 0.7 else {}))
        case 6:
            file.create_dataset(place, old.shape, "f4", external=[("/etc/passwd", 0, max(old.nbytes, 4))])
        case 7:
            layout = h5py.VirtualLayout(old.shape, "f4")
            layout[...] = h5py.VirtualSource("/etc/passwd", "x", old.shape)
            file.create_virtual_dataset(place, layout)
        case _:
            with np.errstate(over="ignore", under="ignore"):
                file[place] = np.full(old.shape, rng.choice((np.nan, np.inf, 1e39, 1e-320)), rng.choice(("f4", "f8")))


def _in_onnx(rng: Random, data: bytes) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    graph = model.graph
    match rng.randrange(7):
        case 0:
            node = rng.choice(graph.node)
            ops = ("LSTM", "GRU", "RNN", "Gather", "Reshape", "Transpose", "Loop", "Squeeze", "Concat", "MatMul", "x")
            node.op_type = rng.choice((*ops, *(one.op_type for one in graph.node)))
        case 1:
            _attribute(rng, rng.choice([*(one for one in graph.node if one.attribute), rng.choice(graph.node)]))
        case 2 if graph.initializer:
            _weight(rng, rng.choice(graph.initializer))
        case 3:
            node = rng.choice([one for one in graph.node if one.input])
            edges = ["", "x", *(name for one in graph.node for name in (*one.input, *one.output))]
            node.input[rng.randrange(len(node.input))] = rng.choice(edges)
        case 4:
            node = rng.choice(graph.node)
            copy = type(node)()
            copy.CopyFrom(node)
            graph.node.insert(rng.randrange(len(graph.node)), copy)
        case 5:
            kind = rng.choice([*graph.input, *graph.output]).type.tensor_type
            kind.elem_type = rng.choice((0, 1, 6, 7, 11, 16))
            if kind.shape.dim:
                rng.choice(kind.shape.dim).dim_value = rng.choice(SIZES[:16])
        case _:
            del graph.node[rng.randrange(len(graph.node))]
    return bytes(model.SerializeToString())


def _attribute(rng: Random, node: Any) -> None:
    """Change an attribute of a node, or take one out."""
    if not node.attribute:
        node.domain = "ours"
        return
    k = rng.randrange(len(node.attribute))
    one = node.attribute[k]
    match rng.randrange(5):
        case 0:
            del node.attribute[k]
        case 1:
            one.name = rng.choice(("axis", "perm", "hidden_size", "direction", "clip", "x"))
        case 2 if one.ints:
            one.ints[rng.randrange(len(one.ints))] = rng.choice((-(2**63), -1, 0, 5, 2**31, 2**62))
        case 3 if one.s:
            one.s = rng.choice((b"", b"reverse", b"\xff", b"x" * 3000))
        case _:
            one.i = rng.choice((-(2**63), -1, 0, 1, 2, 5, 2**31, 2**62))


def _weight(rng: Random, tensor: Any) -> None:
    """Change the shape, the type, the place or the numbers of a weight."""
    match rng.randrange(5):
        case 0 if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((-1, 0, 1, 3, 2**31, 2**62))
        case 1:
            tensor.data_type = rng.choice((0, 1, 2, 6, 7, 8, 9, 10, 11, 16, 23, 99))
        case 2:
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", rng.choice(("/etc/passwd", "../x", "model.onnx", "", "\0"))
            tensor.data_location = 1
        case 3:
            tensor.raw_data = raw.flip(rng, tensor.raw_data)
        case _:
            tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
