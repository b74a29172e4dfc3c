"""What is done around the loops of a small call: the look for NaN and infinity; states brought and fetched."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit, types
from numba.core.typing import signature

from ..emitting.addresses import make_pointer, word
from .compiled import helper
from .threads import call_job


class Errand(NamedTuple):
    """The arguments of what is below: sizes and addresses."""

    size: int  # bytes of a number
    x: int
    x_numbers: int
    states: int  # dense, as the caller fills them in and reads them
    state_numbers: int
    pieces: int  # [piece_count][where a loop begins with it, where it leaves it, where it is in the states, bytes]
    piece_count: int
    loops: int  # [loop_count][a loop, its job]
    loop_count: int


ERRAND = np.dtype([(name, np.int64) for name in Errand._fields])
"""An `Errand` in memory."""

errand_at = make_pointer(ERRAND)
words_at, halves_at = make_pointer(np.int64), make_pointer(np.int32)

copy_bytes: Any = types.ExternalFunction("memcpy", signature(types.intp, types.intp, types.intp, types.uintp))
fill_bytes: Any = types.ExternalFunction("memset", signature(types.intp, types.intp, types.int32, types.uintp))
"""The C library's."""

EXPONENT, HALF_EXPONENT = 0x7FF << 52, 0xFF << 23
"""The bits that are all set in a NaN and an infinity, and in nothing else: of float64, and of float32."""


@njit(inline="always")
def _finite(address, count, size):
    """Return whether all numbers are; by their bits, of which a processor compares a vector at once."""
    odd = False
    if size == 4:
        halves = carray(halves_at(address), count)
        for k in range(count):
            odd |= (halves[k] & HALF_EXPONENT) == HALF_EXPONENT
    else:
        words = carray(words_at(address), count)
        for k in range(count):
            odd |= (words[k] & EXPONENT) == EXPONENT
    return not odd


@njit(inline="always")
def _bring(address, fresh):
    errand: Any = carray(errand_at(address), 1)[0]
    if not _finite(errand.x, errand.x_numbers, errand.size):
        return False
    if not fresh and not _finite(errand.states, errand.state_numbers, errand.size):
        return False
    for piece in range(errand.piece_count):
        at = errand.pieces + 32 * piece
        if fresh:
            fill_bytes(word(at), 0, word(at + 24))
        else:
            copy_bytes(word(at), word(at + 16), word(at + 24))
    return True


@njit(inline="always")
def _fetch(address):
    errand: Any = carray(errand_at(address), 1)[0]
    for piece in range(errand.piece_count):
        at = errand.pieces + 32 * piece
        copy_bytes(word(at + 16), word(at + 8), word(at + 24))


@helper
def bring(address: int, fresh: bool) -> bool:
    """Bring the initial states, zeros if `fresh`, to the loops; do nothing and return False unless all is finite."""
    return _bring(address, fresh)


@helper
def fetch(address: int) -> None:
    """Fetch the final states from the loops."""
    _fetch(address)


@helper
def infer_alone(address: int, fresh: bool) -> bool:
    """Do a whole inference on this thread; do nothing and return False unless x and the states are finite."""
    if not _bring(address, fresh):
        return False
    errand: Any = carray(errand_at(address), 1)[0]
    for loop in range(errand.loop_count):
        call_job(word(errand.loops + 16 * loop), 0, word(errand.loops + 16 * loop + 8))
    _fetch(address)
    return True
