"""Machine code on disk: a file is whole, or it is not used.

numba trusts its files. One that was cut short, because the disk was full or the machine went down, ends every later
call in an error until somebody deletes it; one with a wrong byte in it would be run. So each begins with a checksum of
what follows, nothing is unpickled before that is right, and what isn't is compiled anew and written over.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile

HEAD = b"rnn_core kernels, sha256 "
"""What a file begins with, before the checksum."""


def sealed(content: bytes) -> bytes:
    """Return what is to be written."""
    return HEAD + hashlib.sha256(content).digest() + content


def opened(data: bytes) -> bytes | None:
    """Return the content of what was written, or None where it is not whole."""
    content = data[len(HEAD) + hashlib.sha256().digest_size :]
    return content if data == sealed(content) else None


class Files(IndexDataCacheFile):
    """numba's index and the code that it names, each with a checksum."""

    def __init__(self, cache_path: str, filename_base: str, source_stamp: Any):
        # Named so that no file without a checksum, of an earlier release, is taken for a damaged one.
        super().__init__(cache_path, f"{filename_base}.sealed", source_stamp)
        self._warned: set[Path] = set()

    def _read(self, path: Path) -> Any:
        """Return what a file holds; None if there is no such file, or it is damaged."""
        try:
            content = opened(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:  # a folder, or somebody else's
            return self._warn(path, str(error))
        return self._warn(path, "it is damaged") if content is None else pickle.loads(content)

    def _warn(self, path: Path, reason: str) -> None:
        if path not in self._warned:
            warnings.warn(
                f"a kernel is compiled anew, because {path} can't be used: {reason}; nothing has to be done",
                RuntimeWarning,
                stacklevel=2,
            )
        self._warned.add(path)

    def _load_index(self) -> dict[Any, str]:
        stamp, overloads = self._read(Path(self._index_path)) or (None, {})
        return overloads if stamp == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, ((self._version, self._source_stamp), overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(Path(self._data_path(name)))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, what: Any) -> None:
        with self._open_for_write(path) as file:
            file.write(sealed(self._dump(what)))
