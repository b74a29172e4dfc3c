"""What a file is that is no safetensors file, by what stands in it, and the way from there to ours.

Nothing is unpacked and nothing unpickled: a few bytes from the beginning and the end say enough.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LOOKED_AT = 1 << 16
"""Bytes at either end of a file by which its kind is told."""

_TORCH = (
    "in torch: safetensors.torch.save_file(torch.load(path, weights_only=True), new), then read_arrays(new) and "
    "load_state_dict here"
)
_KERAS = "rnn_core.formats.load_keras(path) makes layers of it"
_ARRAYS = "rnn_core.save(dict(np.load(path)), new), or load_state_dict with its arrays"
_TORCH_MARK = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""The number that torch pickled first, before version 1.6."""


class Kind(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    start : bytes
        A pattern that its beginning matches.
    within : bytes
        What stands somewhere in its beginning or its end; b"" for anything.
    name : str
    way_in : str
    """

    start: bytes
    within: bytes
    name: str
    way_in: str


KINDS = (
    Kind(rb"PK\x03\x04", b"data.pkl", "a file of torch.save (.pt, .pth)", _TORCH),
    Kind(rb"PK\x03\x04", b"model.weights.h5", "a model of Keras (.keras)", _KERAS),
    Kind(rb"PK\x03\x04", b".npy", "an archive of NumPy's (.npz)", _ARRAYS),
    Kind(rb"PK\x03\x04", b"", "a zip archive", "unpack it, and name the .safetensors file in it"),
    Kind(rb"\x80[\x02-\x05]", _TORCH_MARK, "an old file of torch.save (.pt, .pth)", _TORCH),
    Kind(rb"\x80[\x02-\x05]", b"", "a pickle, as torch.save and joblib write", _TORCH),
    Kind(rb"\x89HDF\r\n\x1a\n", b"", "an HDF5 file (.h5), as Keras writes", _KERAS),
    Kind(rb"\x93NUMPY", b"", "an array of NumPy's (.npy)", "rnn_core.save({name: np.load(path)}, new)"),
    Kind(rb"GGUF", b"", "a GGUF file", "its networks are no recurrent ones; there is no way in"),
    Kind(rb"....TFL3", b"", "a TensorFlow Lite file", "take the weights from the Keras model that it was made of"),
    Kind(rb"version https://git-lfs", b"", "a pointer of Git LFS", "`git lfs pull` puts the file in its place"),
    Kind(rb"\s*<(?:!DOCTYPE|!doctype|html|\?xml)", b"", "a web page", "download the file itself"),
    Kind(rb"\x1f\x8b", b"", "packed with gzip", "unpack it first"),
    # Protocol buffers have no mark: an ir_version, then the producer, the graph or the opset.
    Kind(rb"\x08[\x01-\x1f][\x12\x1a\x22\x3a\x42]", b"", "an ONNX file",
         "rnn_core.formats.load_onnx(path) makes layers of it"),
)  # fmt: skip
"""Kinds that people have weights in, the narrower before the wider."""


def kind_of(start: bytes, end: bytes = b"") -> Kind | None:
    """Return what kind of file begins and ends like this; None for one that isn't known."""
    ends = start + end
    return next((kind for kind in KINDS if re.match(kind.start, start, re.DOTALL) and kind.within in ends), None)
