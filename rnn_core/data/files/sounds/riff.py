"""A WAV file's chunks, read so that a damaged file still gives what it holds.

A library that decodes is handed a plain file, made of the format and of samples that are there: recorders stream with a
size of 0 or of all ones, downloads end early, and some programs leave the pad byte out behind a chunk of odd size.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from ....foreign import shown
from ..lines import named

Whole = bytes | mmap.mmap

KNOWN = frozenset({b"fmt ", b"data", b"fact", b"LIST", b"ds64", b"PEAK", b"bext", b"smpl", b"cue "})
"""Names of chunks that make one where it isn't expected."""

MARKS, EXTENSIBLE = (b"RIFF", b"RIFX", b"RF64"), 0xFFFE

ALL_ONES = 0xFFFFFFFF

SAMPLES = {1: "PCM", 3: "float", 6: "A-law", 7: "µ-law"}
"""Codes of what may be inside, and names, where a block is one sample of each channel."""

PACKED = {2: "ADPCM", 17: "ADPCM", 49: "GSM", 56: "ADPCM", 64: "G.721", 80: "MPEG", 85: "MP3"}
"""Those whose samples follow from the ones before."""


@dataclass(frozen=True)
class Wav:
    """What a WAV file holds.

    Attributes
    ----------
    order : {"<", ">"}
        Of its numbers' bytes.
    format : bytes
        The chunk ``fmt``.
    code, channels, rate, block, bits : int
        Out of it: the kind of samples, their channels, times a second, bytes of all channels at once, bits of one.
    data : bytes
        Whole blocks, as many as were asked for.
    held : int
        Blocks that the file has.
    claimed : int
        Blocks that its header tells of; those that it has, if the header leaves it open.
    """

    order: str
    format: bytes
    code: int
    channels: int
    rate: int
    block: int
    bits: int
    data: bytes = b""
    held: int = 0
    claimed: int = 0

    @property
    def name(self) -> str:
        """What kind of samples these are."""
        return f"{self.bits}-bit {(SAMPLES | PACKED).get(self.code, f'format {self.code}')}"

    def file(self, data: bytes) -> bytes:
        """Return a plain file with some of the data."""
        order, long = self.order, self.order + "I"
        # All but PCM names its samples; a decoder may insist on it, and none minds.
        fact = b"" if self.code == 1 else b"fact" + struct.pack(order + "II", 4, len(data) // self.block)
        head = b"fmt " + struct.pack(long, len(self.format)) + self.format + b"\0" * (len(self.format) % 2)
        body = b"WAVE" + head + fact + b"data" + struct.pack(long, len(data)) + data + b"\0" * (len(data) % 2)
        return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(long, len(body)) + body


def read_wav(where: str, path: Path, most: int | None) -> Wav:
    """Return what a WAV file holds, of its samples the first `most`.

    Raises
    ------
    ValueError
        It is no WAV file, has no format or no data, or what it says of them can't be.
    OSError
        It can't be read.
    """
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise ValueError(f"{where}: {named(path)} must be a WAV file, got one that is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                return _walked(where, path, whole, most)
    except OSError as error:
        raise type(error)(f"{where}: {named(path)} can't be read: {error.strerror or error}") from error


def _walked(where: str, path: Path, whole: Whole, most: int | None) -> Wav:
    """Go from chunk to chunk up to the data."""
    if whole[:4] not in MARKS or whole[8:12] != b"WAVE":
        raise ValueError(f"{where}: {named(path)} must be a WAV file, got one that begins with {shown(whole[:12])}")
    order = ">" if whole[:4] == b"RIFX" else "<"
    found: Wav | None = None
    place, long = 12, 0
    while place + 8 <= len(whole):
        name, size = whole[place : place + 4], int(struct.unpack_from(order + "I", whole, place + 4)[0])
        begin = place + 8
        if name == b"ds64" and begin + 16 <= len(whole):
            long = int(struct.unpack_from("<Q", whole, begin + 8)[0])
        elif name == b"fmt ":
            found = _format(where, path, order, whole[begin : begin + size])
        elif name == b"data":
            if found is None:
                raise ValueError(f"{where}: {named(path)} must tell its format before its data, got no chunk 'fmt '")
            if not (size == 0 and _is_chunk(whole, begin, order)):
                return _with_data(found, whole, begin, long if long and size == ALL_ONES else size, most)
        place = _next(whole, begin + size, order)
    got = "none" if found else "neither a format nor data"
    raise ValueError(f"{where}: {named(path)} must hold at least a sample, got {got}")


def _with_data(found: Wav, whole: Whole, begin: int, size: int, most: int | None) -> Wav:
    there = len(whole) - begin
    # What a recorder writes that doesn't know how much will come: 0, all ones, or almost the half of it.
    is_open = size in (0, ALL_ONES) or (0x7FFFEF00 <= size <= 0x7FFFFFFF and size > there)
    claimed = (there if is_open else size) // found.block
    held = min(there // found.block, claimed)
    taken = held if most is None or found.code not in SAMPLES else min(held, most)
    return replace(found, data=whole[begin : begin + taken * found.block], held=held, claimed=claimed)


def _is_chunk(whole: Whole, place: int, order: str) -> bool:
    """Return whether a chunk could begin here: a known name, or one that can be read and a size that fits the file."""
    if whole[place : place + 4] in KNOWN:
        return True
    if place + 8 > len(whole) or not all(32 <= byte < 127 for byte in whole[place : place + 4]):
        return False
    return place + 8 + int(struct.unpack_from(order + "I", whole, place + 4)[0]) <= len(whole) + 1


def _next(whole: Whole, end: int, order: str) -> int:
    """Return where the next chunk begins: behind a pad byte if the size is odd, which some programs leave out."""
    if end % 2 and (_is_chunk(whole, end + 1, order) or not _is_chunk(whole, end, order)):
        return end + 1
    return end


def _format(where: str, path: Path, order: str, chunk: bytes) -> Wav:
    if len(chunk) < 16:
        raise ValueError(f"{where}: {named(path)} must have 16 bytes of format, got {len(chunk)}")
    code, channels, rate, _, block, bits = struct.unpack_from(order + "HHIIHH", chunk)
    if code == EXTENSIBLE and len(chunk) >= 26:
        code = int(struct.unpack_from(order + "H", chunk, 24)[0])
    if not (channels and rate and block):
        raise ValueError(
            f"{where}: {named(path)} must have channels, a rate and bytes for its samples, got {channels} channels, "
            f"{rate} samples a second and {block} bytes"
        )
    return Wav(order, chunk, code, channels, rate, block, bits)
