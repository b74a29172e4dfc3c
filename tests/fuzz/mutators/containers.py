"""Damage to what is built of parts with sizes: RIFF's chunks, and the header of safetensors."""

from __future__ import annotations

import contextlib
import json
import struct
from random import Random
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load

from rnn_core.weights.checksums import ARRAYS, STRINGS, with_checksums

from . import trees
from .raw import RAW, SIZES

Chunk = tuple[bytes, int | None, bytes]
"""A chunk's name, the size that it claims (None for its own), and its content."""


def riff(chunks: list[Chunk], kind: bytes = b"RIFF", size: int | None = None, pad: bool = True) -> bytes:
    """Return a file of chunks."""
    body = b"WAVE"
    for name, claimed, content in chunks:
        body += name + struct.pack("<I", (len(content) if claimed is None else claimed) % 2**32) + content
        if pad and len(content) % 2:
            body += b"\0"
    return kind + struct.pack("<I", (len(body) if size is None else size) % 2**32) + body


def chunks_of(data: bytes) -> list[Chunk]:
    """Return a file's chunks, up to the first that is broken."""
    found: list[Chunk] = []
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        found.append((data[at : at + 4], None, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found


def as_riff(rng: Random, data: bytes) -> bytes:
    """Change a file's chunks: their order, names, sizes and content, above all that of ``fmt``."""
    chunks = chunks_of(data)
    k = rng.randrange(len(chunks))
    name, _, content = chunks[k]
    kind, size = data[:4], None
    match rng.randrange(10):
        case 0:
            del chunks[k]
        case 1:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[k])
        case 2:
            rng.shuffle(chunks)
        case 3:
            chunks[k] = (name, rng.choice((*SIZES, len(content) - 1, len(content) + 1, len(content) * 2)), content)
        case 4:
            names = (b"fmt ", b"data", b"LIST", b"fact", b"ds64", b"\0\0\0\0", b"DATA")
            chunks[k] = (rng.choice(names), None, content)
        case 5:
            name = rng.choice((b"LIST", b"bext", b"id3 ", b"ds64"))
            chunks.insert(k, (name, None, rng.randbytes(rng.randint(0, 41))))
            return riff(chunks, kind, None, rng.random() < 0.5)
        case 6:
            size = rng.choice(SIZES)
        case 7:
            kind = rng.choice((b"RIFX", b"RF64", b"BW64", b"FORM", b"RIFF"))
        case _:
            chunks = [
                (name, claimed, _format(rng, part) if name == b"fmt " else part) for name, claimed, part in chunks
            ]
    return riff(chunks, kind, size)


def _format(rng: Random, content: bytes) -> bytes:
    """Let the sound be of another kind: tag, channels, rate, bytes a second, bytes a frame, bits."""
    at = rng.choice((0, 2, 4, 8, 12, 14, 14, 16, 24))
    code = "<I" if at in (4, 8) else "<H"
    most = 256 ** struct.calcsize(code)
    new = rng.choice((*SIZES, 3, 6, 7, 4, 12, 16, 17, 20, 24, 32, 40, 64, 85, 128, 0xFFFE, 44100)) % most
    content = content.ljust(at + struct.calcsize(code), b"\0")
    return content[:at] + struct.pack(code, new) + content[at + struct.calcsize(code) :]


DTYPES = (
    "F64", "F32", "F16", "BF16", "I64", "I32", "I8", "U8", "U64", "BOOL", "F8_E4M3", "F8_E5M2", "F4", "C64", "F32 ",
    "", "O", "f4",
)  # fmt: skip
KEYS = (
    ARRAYS, STRINGS, "checkpoint", "class", "config", "format_version", "training", "transfer", "rnn_core.beside", "x",
)  # fmt: skip
CLAIMS = (
    "1", "2", "LSTM", "{}", "[]", "null", "GRU", "Linear", "Layer", "Model", "Recurrent", "x" * 3000, "[" * 100_000,
)  # fmt: skip
NAMES = ("x", "", "a.b", "weight", "carried/x", "other/y", "parameters/", "\ud83d", "x" * 500)


def split(data: bytes) -> tuple[Any, bytes]:
    """Return the header of a safetensors file, and what follows."""
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: str, body: bytes, length: int | None = None) -> bytes:
    """Return a safetensors file of these parts."""
    text = header.encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", (len(text) if length is None else length) % 2**64) + text + body


def sealed(data: bytes) -> bytes:
    """Return a file with the checksums of what is in it now, as someone would make it who changes a file on purpose."""
    header, body = split(data)
    strings = {key: text for key, text in header.get("__metadata__", {}).items() if key not in (ARRAYS, STRINGS)}
    header["__metadata__"] = with_checksums(strings, load(data))
    return join(json.dumps(header), body)


def as_safetensors(rng: Random, data: bytes) -> bytes:
    """Change a header: its strings, its arrays, its length; or the numbers behind it. Most get new checksums."""
    changed = _changed(rng, data)
    if rng.random() < 0.7:
        with contextlib.suppress(*UNSEALED):
            return sealed(changed)
    return changed


UNSEALED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error, SafetensorError)
"""What is said of a file that can't have checksums any more."""


def _changed(rng: Random, data: bytes) -> bytes:
    header, body = split(data)
    told = header.get("__metadata__") or {}
    if rng.random() < 0.2:  # as files of other programs, and of older versions, are
        told = {key: text for key, text in told.items() if key not in (ARRAYS, STRINGS)}
        header["__metadata__"] = told
    names = [name for name in header if name != "__metadata__"]
    match rng.randrange(8):
        case 0 | 1 | 2 if told:
            key = rng.choice(list(told))
            told[key] = trees.within(rng, told[key])
        case 3 if names:
            _array(rng, header, rng.choice(names))
        case 4:
            header = trees.change(rng, header)
        case 5:
            return join(json.dumps(header), body, rng.choice((*SIZES, len(data), len(data) - 8)))
        case 6 if told:
            told[rng.choice(KEYS)] = rng.choice(CLAIMS)
        case _:
            body = rng.choice(RAW)(rng, body) if rng.random() < 0.5 else numbers(rng, body)
    return join(trees.dumps(rng, header), body)


def _array(rng: Random, header: dict[str, Any], name: str) -> None:
    """Say something else of an array."""
    entry = header[name]
    match rng.randrange(7):
        case 0:
            shape = entry["shape"]
            entry["shape"] = rng.choice(
                (
                    [],
                    [0, 10**12],
                    [1] * 40,
                    [-1],
                    [10**12],
                    [2**63, 2],
                    shape[::-1],
                    [1, *shape],
                    [0, *shape],
                    shape * 2,
                )
            )
        case 1:
            entry["dtype"] = rng.choice(DTYPES)
        case 2:
            start, stop = entry["data_offsets"]
            entry["data_offsets"] = rng.choice(
                ([start, stop + 4], [stop, start], [0, 2**63], [start - 1, stop], [0, 0], [start])
            )
        case 3:
            header[rng.choice(NAMES)] = header.pop(name)
        case 4:
            nothing = {"dtype": "F32", "shape": [0, 10**12], "data_offsets": entry["data_offsets"][1:] * 2}
            header["x" * rng.choice((1, 2000))] = nothing
        case 5:
            del header[name]
        case _:
            header[name] = trees.change(rng, entry)


def numbers(rng: Random, body: bytes) -> bytes:
    """Put a number that is none, or too large, among others."""
    if len(body) < 8:
        return body
    width = rng.choice((2, 4, 8))
    at = rng.randrange(len(body) // width) * width
    code = {2: "<e", 4: "<f", 8: "<d"}[width]
    new = struct.pack(code, rng.choice((float("nan"), float("inf"), -float("inf"), 6e4, 1e-7)))
    return body[:at] + new + body[at + width :]
