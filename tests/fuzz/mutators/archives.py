"""Damage to zip archives, to the arrays of NumPy's files in them, to pickles, and to gzip."""

from __future__ import annotations

import functools
import gzip
import io
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from . import raw
from .raw import SIZES

DATE = (1980, 1, 1, 0, 0, 0)


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive, the same for the same members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = method
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a name stands twice
                archive.writestr(info, data)
    return stream.getvalue()


def npy(array: np.ndarray, protocol: int = 4) -> bytes:
    """Return an array as a file of NumPy's."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
    stream.write(pickle.dumps(array, protocol) if array.dtype.hasobject else array.tobytes())
    return stream.getvalue()


def as_zip(rng: Random, data: bytes) -> bytes:
    """Change a member of an archive, which members there are, or what the archive says of them."""
    if rng.random() < 0.2:
        return _directory(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist() if info.file_size < 1 << 22]
    k = rng.randrange(len(members))
    name, content = members[k]
    match rng.randrange(12):
        case 0:
            del members[k]
        case 1:
            members.append((rng.choice((name, "x_train.npy", "../" + name, "a/", "", "y" * 300)), content))
        case 2:
            members[k] = (name, zeros(rng.choice((1 << 20, 1 << 26))))
        case 3:
            members[k] = (name, rng.choice(members)[1])
        case _:
            members[k] = (name, as_npy(rng, content))
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return zipped(members, rng.choice(methods[: 3 if rng.random() < 0.9 else 5]))


def _directory(rng: Random, data: bytes) -> bytes:
    """Let an archive's directory say something else of a member: flags, method, sizes, or where it begins."""
    starts = [found.start() for found in re.finditer(rb"PK\x01\x02|PK\x03\x04", data)]
    start = rng.choice(starts)
    shift = 0 if data[start + 2 : start + 3] == b"\1" else -2
    at, width = rng.choice(((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (42, 4)))
    new = (rng.choice((*SIZES, 9, 12, 14, 93, 99)) % 256**width).to_bytes(width, "little")
    return data[: start + at + shift] + new + data[start + at + shift + width :]


@functools.lru_cache(4)
def zeros(size: int) -> bytes:
    """Return what packs to a thousandth."""
    return bytes(size)


DTYPES = ("<i8", "|O", "<f8", "|u1", ">i4", "<c16", "<U3", "|S2", "<M8[s]", "|V8", "O8", "x", "(2,)O", "f4,O", "|b1")


def as_npy(rng: Random, data: bytes) -> bytes:
    """Change the header of an array's file, or what it holds."""
    head, tail = data[:10], data[10:]
    (length,) = struct.unpack("<H", head[8:10])
    header, body = tail[:length], tail[length:]
    match rng.randrange(5):
        case 0:
            return data[:6] + bytes([rng.choice((0, 1, 2, 3, 9)), rng.choice((0, 0, 1))]) + data[8:]
        case 1:
            header = re.sub(rb"'descr': '[^']*'", f"'descr': '{rng.choice(DTYPES)}'".encode(), header)
        case 2:
            sizes = ",".join(str(rng.choice(SIZES)) for _ in range(rng.choice((0, 1, 1, 2, 40))))
            shape = rng.choice((f"({sizes},)", "(-1,)", "('a',)", "(2", "(True,)", "(" * 300 + ")" * 300, "9" * 5000))
            header = re.sub(rb"\([^)]*\)", shape.encode(), header)
        case 3:
            header = rng.choice((raw.number, raw.insert, raw.delete))(rng, header)
        case _:
            body = as_pickle(rng, body) if b"'|O'" in header else rng.choice(raw.RAW)(rng, body)
    if rng.random() < 0.9:
        head = head[:8] + struct.pack("<H", len(header) % 65536)
    return head + header + body


class _Call:
    """Asks an unpickler to call something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.asked = function, arguments

    def __reduce__(self) -> Any:
        return self.asked


ATTACKS: tuple[bytes, ...] = tuple(
    pickle.dumps(asked, 2)
    for asked in (
        _Call(np.ndarray, (1,), "O", b"A" * 8),
        _Call(np.ndarray, (2,), np.dtype([("a", "O")]), b"A" * 16),
        _Call(np.ndarray, (1 << 40,), "i8"),
        _Call(np.dtype, "O8,O8"),
        _Call(np.dtype, "(1000000000,)i8"),
        _Call(print, "executed"),
        _Call(bytearray, 1 << 40),
        [1] * 100_000,
        [[1, 2], ["a"], [None], [1.5], [10**30], [-1], [[1]], {}, [True]],
    )
)
"""Pickles that ask for more than lists of numbers."""

OPCODES = tuple(
    code.code.encode("latin-1") + rest
    for code in pickletools.opcodes
    for rest in (b"", b"\xff\xff\xff\x7f", b"\0", b"os\nsystem\n", b"\x01\0\0\0a")
)
"""Every opcode, with nothing, or something that may be its argument, behind it."""

RUNS = (b"(" * 1000, b"]" * 1000, b"2" * 1000, b"\x94" * 1000, b"h\0", b"j\xff\xff\xff\xff", b"I1\n", b"L9999999999L\n")


def as_pickle(rng: Random, data: bytes) -> bytes:
    """Change the opcodes of a pickle, one by one."""
    if rng.random() < 0.15:
        return rng.choice(ATTACKS)
    starts = [position for _, _, position in pickletools.genops(data) if position is not None]
    ops = [data[start:stop] for start, stop in zip(starts, [*starts[1:], len(data)], strict=True)]
    k = rng.randrange(len(ops))
    match rng.randrange(6):
        case 0:
            del ops[k]
        case 1:
            ops[k:k] = [ops[k]] * rng.choice((1, 2, 5000))
        case 2:
            other = rng.randrange(len(ops))
            ops[k], ops[other] = ops[other], ops[k]
        case 3:
            ops[k:k] = [rng.choice(OPCODES)]
        case 4 if len(ops[k]) > 1:
            width = len(ops[k]) - 1
            ops[k] = ops[k][:1] + (rng.choice(SIZES) % 256 ** min(width, 8)).to_bytes(width, "little")
        case _:
            ops[k:k] = [rng.choice(RUNS)]
    return b"".join(ops)


def as_gzip(rng: Random, data: bytes) -> bytes:
    """Change what is packed, or pack it otherwise."""
    content = gzip.decompress(data)
    match rng.randrange(6):
        case 0:
            return data + packed(b"x 1 2\n" * rng.choice((1, 1000)))
        case 1:
            return data + rng.randbytes(8)
        case 2:
            return packed(content + zeros(1 << 26)) if rng.random() < 0.1 else packed(b"")
        case _:
            return packed(rng.choice((*raw.TEXT, *raw.RAW))(rng, content))


def packed(data: bytes) -> bytes:
    """Return bytes packed by gzip, the same at any time."""
    return gzip.compress(data, 6, mtime=0)
