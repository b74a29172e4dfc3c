"""Damage to bytes, whatever they mean, and to text of lines and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Mutator = Callable[[Random, bytes], bytes]

NUMBERS = (
    b"0", b"-1", b"1", b"2", b"01", b"1.0", b"-0.0", b".5", b"1e39", b"-1e39", b"1e400", b"1e-320", b"nan", b"NaN",
    b"NA", b"inf", b"-Infinity", b"1_000", b"0x10", "١".encode(), b"1,5", b"?", b"", b"null", b"true", b"2147483648",
    b"4294967296", b"9223372036854775808", b"1000000000000", b"9" * 30, b"9" * 5000, b"1e", b"--1", b"\xc2\xbd",
)  # fmt: skip
"""What may stand where a number stood."""

SIZES = (
    0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 10**12, 2**62, 2**63 - 1,
    2**63, 2**64 - 1,
)  # fmt: skip
"""What a field of a few bytes may claim."""

SCRAPS = (
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0", b"\r", b"\n", b"\r\n", b"\n\n", b"\x1a",
    b"\x1b[31m", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\xc2\xa0", b"\xed\xa0\xbd", b"\xf0\x9f\x98\x80",
    b"\xe2\x80\xae", b"e\xcc\x81", b"\xff", b"\xc0\x80", b'"', b"'", b",", b";", b"\t", b" ", b":", b"\\", b"\\ud83d",
    b"{", b"}", b"[", b"]", b"(", b")", b"#", b"@", b"%", b"?", b"-", b"/",
)  # fmt: skip
"""Bytes that mean something to one format or another."""

MOST = 1 << 17
"""Bytes of a file that grows by mutation, about: few enough that none takes a second which is read as it should be."""


def _span(rng: Random, data: bytes, most: int = 64) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randint(1, most))


def flip(rng: Random, data: bytes) -> bytes:
    """Turn single bits."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3, 20))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def put(rng: Random, data: bytes) -> bytes:
    """Put other bytes over some."""
    start, stop = _span(rng, data, 16)
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def truncate(rng: Random, data: bytes) -> bytes:
    """Cut the end off, or the beginning."""
    cut = rng.randrange(len(data) + 1)
    return data[:cut] if rng.random() < 0.8 else data[cut:]


def insert(rng: Random, data: bytes) -> bytes:
    """Insert scraps or noise."""
    at = rng.choice((0, len(data), rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    new = rng.choice(SCRAPS) * rng.choice((1, 1, 1, 2, 50)) if rng.random() < 0.8 else rng.randbytes(rng.randint(1, 40))
    return data[:at] + new + data[at:]


def delete(rng: Random, data: bytes) -> bytes:
    """Take some bytes out."""
    start, stop = _span(rng, data)
    return data[:start] + data[stop:]


def duplicate(rng: Random, data: bytes) -> bytes:
    """Repeat a part, seldom very often."""
    start, stop = _span(rng, data, rng.choice((8, 64, 512)))
    times = rng.choice((2, 2, 3, 10, 1000, 100_000))
    return data[:start] + data[start:stop] * min(times, max(2, MOST // max(1, stop - start))) + data[stop:]


def move(rng: Random, data: bytes) -> bytes:
    """Move a part elsewhere."""
    start, stop = _span(rng, data)
    rest = data[:start] + data[stop:]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + data[start:stop] + rest[at:]


def claim(rng: Random, data: bytes) -> bytes:
    """Let a field of 1, 2, 4 or 8 bytes claim a size."""
    width = rng.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    at = rng.randrange(min(len(data) - width, 128) + 1) if rng.random() < 0.6 else rng.randrange(len(data) - width + 1)
    new = (rng.choice(SIZES) % 256**width).to_bytes(width, rng.choice(("little", "little", "big")))
    return data[:at] + new + data[at + width :]


def number(rng: Random, data: bytes) -> bytes:
    """Put another number, or none, where one stands in digits."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", data[:MOST]))
    if not found:
        return insert(rng, data)
    start, stop = rng.choice(found).span()
    return data[:start] + rng.choice(NUMBERS) + data[stop:]


def lines(rng: Random, data: bytes) -> bytes:
    """Drop, repeat, swap or join lines."""
    rows = data.split(b"\n")
    k, other = rng.randrange(len(rows)), rng.randrange(len(rows))
    match rng.randrange(5):
        case 0:
            del rows[k]
        case 1:
            rows[k:k] = [rows[k]] * min(rng.choice((1, 1, 2, 3000)), 1 + MOST // (len(rows[k]) + 1))
        case 2:
            rows[k], rows[other] = rows[other], rows[k]
        case 3:
            rows[k : k + 2] = [b"".join(rows[k : k + 2])]
        case 4:
            rows[k] = b""
    return b"\n".join(rows)


def swap_marks(rng: Random, data: bytes) -> bytes:
    """Put one separator for another, here or everywhere."""
    marks = (b",", b";", b"\t", b" ", b"  ", b":", b"|", b"\n", b"\r\n", b"\r", b'"', b"'", b"")
    old, new = rng.choice(marks[:-1]), rng.choice(marks)
    if rng.random() < 0.5:
        return data.replace(old, new)
    places = [found.start() for found in re.finditer(re.escape(old), data)]
    if not places:
        return data
    at = rng.choice(places)
    return data[:at] + new + data[at + len(old) :]


def recode(rng: Random, data: bytes) -> bytes:
    """Write a text in another encoding or in other letters."""
    text = data.decode("utf-8", "surrogateescape")
    match rng.randrange(6):
        case 0:
            return text.encode("utf-16", "surrogatepass")
        case 1:
            return text.encode("utf-8-sig", "surrogateescape")
        case 2:
            return text.encode("latin-1", "replace")
        case 3:
            return text.upper().encode("utf-8", "surrogateescape")
        case 4:
            return text.replace("\n", "\r").encode("utf-8", "surrogateescape")
        case _:
            return text.encode("utf-32", "surrogatepass")


def words_of(*words: str) -> Mutator:
    """Return a mutator that puts a format's own words where they may not belong."""
    known = tuple(word.encode() for word in words)

    def word(rng: Random, data: bytes) -> bytes:
        new = rng.choice(known)
        if rng.random() < 0.5:
            at = rng.choice([0, len(data), *(found.end() for found in re.finditer(rb"\s|,|:", data[:MOST]))])
            return data[:at] + new + data[at:]
        found = list(re.finditer(rb"[^\s,:;()]+", data[:MOST]))
        if not found:
            return new
        start, stop = rng.choice(found).span()
        return data[:start] + new + data[stop:]

    return word


RAW: tuple[Mutator, ...] = (flip, put, truncate, insert, delete, duplicate, move, claim)
TEXT: tuple[Mutator, ...] = (
    number,
    number,
    lines,
    lines,
    swap_marks,
    recode,
    flip,
    insert,
    insert,
    delete,
    duplicate,
    truncate,
)
