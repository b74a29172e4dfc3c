"""Running text: in memory, or in many files of which some lines at a time are: ``--data 'corpus/*.txt.gz'``."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ..data import FileArray, TextFiles, Tokenizer, encode_files
from ..data.large.encoding import encoder
from ..foreign import named


@dataclass(frozen=True)
class Texts:
    """Texts that stand for themselves.

    Attributes
    ----------
    texts : tuple of str
    places : tuple of str
    notes : tuple of str
    """

    texts: tuple[str, ...]
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.texts)

    @property
    def whole(self) -> str:
        """All of them, one behind the other."""
        return "\n".join(self.texts)

    @property
    def characters(self) -> int:
        """Of all texts, and what stands between them."""
        return len(self.whole)

    def each(self, tokenizer: Tokenizer) -> Iterator[list[np.ndarray]]:
        """Yield the ids of each text, in one piece."""
        return ([tokenizer.encode(text)] for text in self.texts)

    def pieces(self, tokenizer: Tokenizer) -> list[np.ndarray]:
        """Return the ids of all texts, in one piece."""
        return [self.ids(tokenizer)]

    def ids(self, tokenizer: Tokenizer) -> np.ndarray:
        """Return the ids of all texts, one behind the other."""
        return tokenizer.encode(self.whole)

    def part(self, rows: slice) -> Texts:
        """Return some of them."""
        return Texts(self.texts[rows], self.places[rows], self.notes if rows.start == 0 else ())


@dataclass(frozen=True)
class Shards:
    """Texts that stand for themselves, a file each.

    Attributes
    ----------
    texts : TextFiles
    folder : Path
        Where their ids are kept, and found when a run is resumed.
    notes : tuple of str
    """

    texts: TextFiles
    folder: Path
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.texts)

    @property
    def places(self) -> tuple[str, ...]:
        """What each text is called."""
        return tuple(map(named, self.texts.paths))

    @property
    def characters(self) -> int:
        """Of all texts."""
        return sum(map(len, self.texts))

    def each(self, tokenizer: Tokenizer) -> Iterator[Iterator[np.ndarray]]:
        """Yield the ids of each text, piece by piece."""
        encode = encoder(tokenizer)
        for number in range(len(self)):
            yield (encode("\n" * (line > 1) + text) for line, text in self.texts.pieces(number))

    def pieces(self, tokenizer: Tokenizer) -> Iterator[np.ndarray]:
        """Yield the ids of all texts, one behind the other."""
        return map(encoder(tokenizer), self.texts)

    def ids(self, tokenizer: Tokenizer) -> FileArray:
        """Return the same as a file, which is written where there is none."""
        known = [tokenizer.to_dict(), self.texts.encoding, self.texts.paths, self.texts.seen]
        path = self.folder / f"{blake2b(json.dumps(known).encode(), digest_size=8).hexdigest()}.npy"
        if path.exists():
            return FileArray(path)
        self.folder.mkdir(parents=True, exist_ok=True)
        return encode_files(path, self.texts, tokenizer)

    def split(self, share: float) -> tuple[Shards, Shards]:
        """Return the first files, and a share of the bytes in the last ones.

        Raises
        ------
        ValueError
            There is but one.
        """
        if len(self) < 2:
            raise ValueError(
                f"--data must be two files or more to be split, got {self.places[0]}; name a --validation"
            )
        sizes = np.cumsum([seen.size for seen in self.texts.seen])
        k = min(max(int(np.searchsorted(sizes, (1 - share) * sizes[-1])), 1), len(self) - 1)
        first, last = (
            TextFiles(paths, encoding=self.texts.encoding) for paths in (self.texts.paths[:k], self.texts.paths[k:])
        )
        return Shards(first, self.folder, self.notes), Shards(last, self.folder)


def is_pattern(path: str) -> bool:
    """Return whether a path stands for files that are not read into memory: a pattern, or a gzipped file."""
    return path.lower().endswith(".gz") or (glob.has_magic(path) and not Path(path).exists())


def shards(where: str, path: str, encoding: str, folder: Path) -> Shards:
    """Return what a pattern stands for; errors are those of `TextFiles`, and name `where`."""
    try:
        return Shards(TextFiles(path, encoding=encoding), folder)
    except (ValueError, OSError) as error:
        raise type(error)(str(error).replace("TextFiles: ", f"{where}: ", 1)) from error
