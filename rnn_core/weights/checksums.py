"""What proves that no bit of a file has changed: a checksum for each array, and one for what the header says.

Two strings of the header hold them: ``rnn_core.checksums``, a JSON object with every array's by name, and
``rnn_core.checksum``, which is over all the other strings, the first of the two included. A flipped bit in either key
is noticed by the other. This guards against what disks and cables do, not against people: whoever changes a file on
purpose can change them too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from kernels.contract import Array

from ..foreign import parse_json, shown
from ..layers.home import to_host
from ..schema import check_value

ARRAYS, STRINGS = "rnn_core.checksums", "rnn_core.checksum"
"""The keys of the header under which they stand."""


def checksum(array: Array) -> str:
    """Return 128 bits of BLAKE2b over an array's dtype, shape and bytes, as 32 hexadecimal digits.

    Equal checksums mean the same bits: 0.0 and −0.0 differ. From the GPU an array is copied to the host.
    """
    host = np.asarray(to_host(array))
    host = np.asarray(host, host.dtype.newbyteorder("<"), order="C")  # one sum on every machine
    digest = blake2b(f"{host.dtype.str} {host.shape} ".encode(), digest_size=16)
    digest.update(host.reshape(-1).view(np.uint8).data if host.size else b"")
    return digest.hexdigest()


def with_checksums(strings: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return the strings of a header with the checksums of these arrays and of the strings."""
    sums = {name: checksum(array) for name, array in sorted(arrays.items())}
    found = {**strings, ARRAYS: json.dumps(sums, separators=(",", ":"))}
    return {**found, STRINGS: _of_strings(found)}


def stored_checksums(strings: Mapping[str, str]) -> dict[str, str] | None:
    """Return every array's checksum by name, as a header has them; None if it has none.

    Raises
    ------
    ValueError
        The header's strings are not those that the checksums were made of.
    """
    if ARRAYS not in strings and STRINGS not in strings:
        return None
    for key, other in ((ARRAYS, STRINGS), (STRINGS, ARRAYS)):
        if key not in strings:
            raise ValueError(f"its header has a {other!r} and no {key!r}")
    rest = {key: value for key, value in strings.items() if key != STRINGS}
    if _of_strings(rest) != strings[STRINGS]:
        raise ValueError("a string of its header is not what was written")
    sums: dict[str, str] = parse_json("its header", ARRAYS, strings[ARRAYS], unique=True)
    check_value(ARRAYS, dict[str, str], sums)
    return sums


def check_arrays(sums: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError, naming the array, if one is not what was written, is missing, or was not there."""
    for name, array in arrays.items():
        if name not in sums:
            raise ValueError(f"its header names an array {shown(name)}, which was not written")
        if checksum(array) != sums[name]:
            raise ValueError(f"the array {shown(name)} is not what was written")
    for name in sums:
        if name not in arrays:
            raise ValueError(f"its header lacks the array {shown(name)}, which was written")


def _of_strings(strings: Mapping[str, str]) -> str:
    """Return the checksum of strings by key, whatever their order."""
    return blake2b(json.dumps(strings, sort_keys=True).encode(), digest_size=16).hexdigest()
