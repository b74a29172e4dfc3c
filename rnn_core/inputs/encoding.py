"""From raw examples to what a network reads: the same way in training and, much later, in predicting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Ragged, Tokenizer, pad_sequences, sequence_lengths
from ..data.files.series import MISSING
from ..data.labelled import Labelled
from ..data.scaling import Scaling
from .how import KINDS
from .reading import KERAS_FIRST, Raw

OOV = "<unknown>"
"""The token that stands for every unknown one, and for a text that holds none."""

KERAS_OOV = 2
"""Keras's number for it."""

MOST_IDS = 1_000_000
"""Numbers of words in a vocabulary, at most."""


@dataclass(frozen=True)
class Encoding:
    """How examples of one kind become arrays.

    Attributes
    ----------
    kind : {"text", "ids", "series", "waveforms"}
    tokenizer : Tokenizer, optional
        Of texts.
    vocabulary : int, optional
        Of ids: those not below it are unknown.
    max_steps : int, optional
        Of what is longer the beginning is kept.
    mean, scale : tuple of float
        Of each feature of series and waveforms: taken away, and divided by. Empty where numbers are read as they are.
    frame : int
        Samples a step, of waveforms.
    rate : int, optional
        Samples a second.
    missing : {"refuse", "drop", "interpolate", "mask"}
        What is done about numbers that are missing, in series. With "mask" the second half of the features says which
        were seen.
    """

    kind: str
    tokenizer: Tokenizer | None = None
    vocabulary: int | None = None
    max_steps: int | None = None
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    frame: int = 1
    rate: int | None = None
    missing: str = "refuse"

    @property
    def tokens(self) -> Tokenizer | Sequence[str] | None:
        """The vocabulary; None for features."""
        if self.tokenizer is None and self.vocabulary is not None:
            return tuple(map(str, range(self.vocabulary)))
        return self.tokenizer

    @property
    def numbers(self) -> bool:
        """Whether it is features that are read, not tokens."""
        return self.tokenizer is None and self.vocabulary is None

    @property
    def unknown(self) -> int | None:
        """The id of what is unknown: that token's or, without one, the padding's; None where there is neither."""
        if self.tokenizer is not None:
            if self.tokenizer.oov is not None:
                return self.tokenizer.index[self.tokenizer.oov]
            return 0 if self.tokenizer.padding else None
        return None if self.vocabulary is None else min(KERAS_OOV, self.vocabulary - 1)

    def encode(self, raw: Raw) -> tuple[np.ndarray | Ragged, np.ndarray | None]:
        """Return inputs (N, T) or (N, T, I), and lengths (N,) where they differ; numbers then stay in `Ragged`.

        Raises
        ------
        ValueError
            The examples are of another kind, have other features or another rate.
        """
        if raw.kind != self.kind:
            raise ValueError(f"examples must be of the kind {self.kind!r}, got {raw.kind!r}")
        if self.numbers:
            rows = self._numbers(raw)
        else:
            rows = [self._ids(*row)[: self.max_steps] for row in zip(raw.rows, raw.places, strict=True)]
        lengths = sequence_lengths(rows)
        if (lengths == lengths[0]).all():
            return np.stack(rows), None
        if self.numbers:
            return Ragged(rows), lengths
        return pad_sequences(rows, dtype=rows[0].dtype, padding="post"), lengths

    def labelled(self, raw: Raw) -> Labelled:
        """Return examples and their classes."""
        inputs, lengths = self.encode(raw)
        return Labelled(inputs, raw.targets, raw.classes, lengths, self.tokens)

    def as_dict(self) -> dict[str, Any]:
        """Return all there is to know, in types that JSON has."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "tokenizer": None if self.tokenizer is None else self.tokenizer.to_dict(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Encoding:
        """Return what `as_dict` wrote down.

        Raises
        ------
        ValueError, TypeError, KeyError
            Something is missing or not as it was written.
        """
        plain = {name: stored[name] for name in PLAIN if name != "missing"}
        plain["missing"] = stored.get("missing", "refuse")  # which nothing else was, before there was a choice
        plain |= {name: tuple(map(float, stored[name])) for name in ("mean", "scale")}
        return cls(tokenizer=stored["tokenizer"] and Tokenizer.from_dict(stored["tokenizer"]), **plain).checked()

    def checked(self) -> Encoding:
        """Return this one, if all of it makes sense.

        Raises
        ------
        ValueError
            It doesn't.
        """
        tokens = (self.tokenizer is not None, self.vocabulary is not None)
        if tokens != {"text": (True, False), "ids": (False, True)}.get(self.kind, (False, False)):
            raise ValueError(f"its kind is {self.kind!r}, with another kind's vocabulary")
        if self.kind not in (*KINDS, "ids"):
            raise ValueError(f"its kind must be one of {', '.join(KINDS)} and ids, got {self.kind!r}")
        for name in ("vocabulary", "max_steps", "frame", "rate"):
            number = getattr(self, name)
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"its {name} must be a whole number of at least 1, got {number!r}")
        if self.missing not in MISSING or (self.missing == "mask" and len(self.mean) % 2):
            raise ValueError(f"its missing must be one of {', '.join(MISSING)} and fit its mean, got {self.missing!r}")
        if self.vocabulary is not None and self.vocabulary > MOST_IDS:
            raise ValueError(f"its vocabulary must be at most {MOST_IDS:,}, got {self.vocabulary:,}")
        if len(self.mean) != len(self.scale) or not np.isfinite([self.mean, self.scale]).all():
            raise ValueError(f"its mean and scale must be as many finite numbers, got {self.mean} and {self.scale}")
        if not all(number > 0 for number in self.scale):
            raise ValueError(f"its scale must be above 0, got {self.scale}")
        return self

    def _ids(self, row: Any, place: str) -> np.ndarray:
        if self.tokenizer is None:
            return np.asarray(np.where(row < (self.vocabulary or 0), row, self.unknown))
        ids = self.tokenizer.encode(row)
        if not len(ids) and self.unknown is None:
            raise ValueError(
                f"{place} must hold a token that the tokenizer knows, got none; one made with oov='?', say, reads any"
            )
        return ids if len(ids) else np.array([self.unknown])

    def _numbers(self, raw: Raw) -> list[np.ndarray]:
        if raw.rate != self.rate:
            raise ValueError(
                f"waveforms must have {self.rate} samples a second, as those trained on, got {raw.rate}; --sample-rate "
                f"{self.rate} resamples them, and --resample of rnn-core predict"
            )
        features = raw.rows[0].shape[1]
        if (raw.missing == "mask") != (self.missing == "mask"):
            raise ValueError(f"examples must be read with --missing {self.missing}, as the others, got {raw.missing}")
        if self.mean and features != len(self.mean):
            raise ValueError(f"examples must have {len(self.mean)} features a step, got {features}")
        return [self._scaled(row[: self.max_steps], place) for row, place in zip(raw.rows, raw.places, strict=True)]

    def _scaled(self, row: np.ndarray, place: str) -> np.ndarray:
        """Return a row (T, I) in float32, scaled before that: far from 0, float32 would keep nothing of what varies."""
        scaled = Scaling(self.mean, self.scale).apply(row) if self.mean else row
        if self.missing == "mask":  # a number of which nothing was seen is like the mean
            numbers, seen = np.split(scaled, 2, axis=1)
            numbers[:, ~seen.any(axis=0)] = 0
        if (beyond := ~(abs(scaled) <= np.finfo(np.float32).max)).any():
            t, d = (int(k) for k in np.argwhere(beyond)[0])
            raise ValueError(
                f"{place} must be comparable with what was trained on, got {row[t, d]:g} for step {t}, "
                f"{scaled[t, d]:g} standard deviations from the mean"
            )
        return scaled.astype(np.float32)


PLAIN = ("kind", "vocabulary", "max_steps", "mean", "scale", "frame", "rate", "missing")
"""Fields that JSON can hold as they are."""


def for_numbers(raw: Raw, max_steps: int | None, frame: int) -> Encoding:
    """Return the encoding of series or waveforms, standardised by these examples, as far as they were seen."""
    pairs = [_numbers_and_seen(row[:max_steps].astype(np.float64), raw.missing) for row in raw.rows]
    scaling = Scaling.of([row for row, _ in pairs], [seen for _, seen in pairs])
    mean, scale = scaling.mean, scaling.scale
    if raw.missing == "mask":  # what says that a number was seen stays 1
        mean, scale = (*mean, *(0.0 for _ in mean)), (*scale, *(1.0 for _ in scale))
    return Encoding(
        raw.kind,
        max_steps=max_steps,
        mean=mean,
        scale=scale,
        frame=frame,
        rate=raw.rate,
        missing=raw.missing,
    )


def _numbers_and_seen(row: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of a row, and 1 for each that was seen."""
    if missing != "mask":
        return row, np.ones_like(row)
    numbers, seen = np.split(row, 2, axis=1)
    return numbers, seen


def for_texts(texts: Iterable[str], level: str, num_words: int | None, lower: bool, max_steps: int | None) -> Encoding:
    """Return the encoding of texts, whose vocabulary is that of these."""
    tokenizer = Tokenizer(level, num_words=num_words, lower=lower, oov=OOV, padding=False).fit(texts)
    return Encoding("text", tokenizer, max_steps=max_steps)


def for_ids(sides: Mapping[str, Raw], num_words: int | None, max_steps: int | None) -> Encoding:
    """Return the encoding of ids, of which there are as many as asked for, or as these have.

    Raises
    ------
    ValueError
        There would be so many that their names alone take the memory.
    """
    if num_words is not None and num_words > MOST_IDS:
        raise ValueError(f"--num-words must be at most {MOST_IDS:,}, got {num_words:,}")
    most = 0
    for side, raw in sides.items():
        for row, place in zip(raw.rows, raw.places, strict=True):
            most = max(most, int(row.max()))
            if num_words is None and most >= MOST_IDS:
                raise ValueError(
                    f"{side} must have numbers of words below {MOST_IDS:,}, or the vocabulary takes the memory, got "
                    f"{most - KERAS_FIRST:,} in {place}; --num-words 10000, say, reads those from there on as unknown"
                )
    return Encoding("ids", vocabulary=num_words or most + 1, max_steps=max_steps)
