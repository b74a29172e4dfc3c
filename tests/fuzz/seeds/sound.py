"""WAV in every coding that people have, and FLAC and OGG where soundfile is installed."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator

import numpy as np

from ..case import Case
from ..mutators.containers import Chunk, riff

TONE = np.sin(np.arange(48) / 3)
PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
GUID = bytes.fromhex("000000001000800000aa00389b71")


def waves() -> list[Case]:
    """Return folders with a WAV file for each of two classes."""
    return [
        *(_classes(_wav(PCM, bits)) for bits in (8, 16, 24, 32)),
        *(_classes(_wav(FLOAT, bits)) for bits in (32, 64)),
        *(_classes(_wav(tag, 8)) for tag in (A_LAW, MU_LAW)),
        _classes(_wav(EXTENSIBLE, 16)),
        _classes(_wav(PCM, 16, channels=2), frame=4),
        _classes(_wav(PCM, 16, extra=[(b"LIST", None, b"INFOISFT\5\0\0\0abcde")])),
        _classes(_wav(PCM, 16, claimed=0)),
        _classes(_rf64()),
        Case({"a.wav": _wav(PCM, 16)}, "a.wav", {"labelled": False}),
        Case(
            {"low/0.WAV": _wav(PCM, 16), "high/1.wav": _wav(PCM, 24), "__MACOSX/low/._0.WAV": b"\0", ".DS_Store": b""}
        ),
    ]


def compressed() -> list[Case]:
    """Return the same in FLAC and OGG; nothing without soundfile."""
    with contextlib.suppress(ImportError):
        return [*_compressed()]
    return []


def _classes(data: bytes, suffix: str = ".wav", **options: int) -> Case:
    return Case({f"high/a{suffix}": data, f"low/b{suffix}": data}, "", options)


def _wav(tag: int, bits: int, channels: int = 1, claimed: int | None = None, extra: list[Chunk] | None = None) -> bytes:
    body = _coded(tag, bits)
    body = b"".join(body[k : k + bits // 8] * channels for k in range(0, len(body), bits // 8))
    head = struct.pack("<HHIIHH", tag, channels, 8000, 8000 * channels * bits // 8, channels * bits // 8, bits)
    if tag == EXTENSIBLE:
        head += struct.pack("<HHIH", 22, bits, 0, PCM) + GUID
    return riff([(b"fmt ", None, head), *(extra or []), (b"data", claimed, body)])


def _coded(tag: int, bits: int) -> bytes:
    if tag == FLOAT:
        return TONE.astype(f"<f{bits // 8}").tobytes()
    if tag in (A_LAW, MU_LAW) or bits == 8:
        return np.round(128 + 100 * TONE).astype(np.uint8).tobytes()
    whole = np.round(TONE * (2 ** (bits - 1) - 1)).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()


def _rf64() -> bytes:
    body = _coded(PCM, 16)
    ds64 = struct.pack("<QQQI", 72 + len(body), len(body), len(body) // 2, 0)
    head = struct.pack("<HHIIHH", PCM, 1, 8000, 16000, 2, 16)
    return riff([(b"ds64", None, ds64), (b"fmt ", None, head), (b"data", 2**32 - 1, body)], b"RF64", 2**32 - 1)


def _compressed() -> Iterator[Case]:
    import soundfile

    long = np.sin(np.arange(2000) / 3)
    for form, coding, suffix in (("FLAC", "PCM_16", ".flac"), ("FLAC", "PCM_24", ".flac"), ("OGG", "VORBIS", ".ogg")):
        stream = io.BytesIO()
        soundfile.write(stream, long, 8000, format=form, subtype=coding)
        data = stream.getvalue()
        yield _classes(_same_pages(data) if form == "OGG" else data, suffix, frame=10)


def _same_pages(data: bytes) -> bytes:
    """Return an OGG file with the number 1 for its stream, which libsndfile draws anew for each."""
    out = bytearray(data)
    at = 0
    while at < len(out):
        count = out[at + 26]
        stop = at + 27 + count + sum(out[at + 27 : at + 27 + count])
        out[at + 14 : at + 18] = struct.pack("<I", 1)
        out[at + 22 : at + 26] = bytes(4)
        out[at + 22 : at + 26] = struct.pack("<I", _checksum(out[at:stop]))
        at = stop
    return bytes(out)


def _checksum(page: bytes | bytearray) -> int:
    """Return the check of an OGG page (RFC 3533: the polynomial 0x04C11DB7, not mirrored)."""
    check = 0
    for byte in page:
        check ^= byte << 24
        for _ in range(8):
            check = (check << 1 ^ 0x04C11DB7) if check & 1 << 31 else check << 1
        check &= 2**32 - 1
    return check
