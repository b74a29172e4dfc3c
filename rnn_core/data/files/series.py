"""Labelled series: the UCR archive's ``.tsv`` and ``.ts``, and folders of WAV files."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .folders import class_folders, files_in
from .lines import Place, at, empty, existing, number_in, numbered


class Series(NamedTuple):
    """Series and what they are.

    Attributes
    ----------
    inputs : ndarray, shape (N, T, I), float32
        Zero past a row's length.
    lengths : ndarray of int, shape (N,), or None
        Valid steps of each row; None where all are.
    labels : ndarray of int, shape (N,), or None
        The number of each series' class; None if no label was asked for.
    classes : tuple of str
        The classes' names.
    places : tuple of str
        Where each series stands: its line, or its file.
    rate : int or None
        Steps a second, of waveforms.
    """

    inputs: np.ndarray
    lengths: np.ndarray | None
    labels: np.ndarray | None
    classes: tuple[str, ...]
    places: tuple[str, ...]
    rate: int | None = None


def read_series(path: Place, *, encoding: str = "utf-8") -> Series:
    """Read a file of the UCR/UEA archive.

    Parameters
    ----------
    path : path
        ``.tsv``: a line is the label and the numbers, parted by tabs; NaN at a line's end is padding, as the archive
        has it. ``.ts``: lines behind ``@data`` are the dimensions, parted by colons, and the label last.
    encoding : str

    Returns
    -------
    Series

    Raises
    ------
    ValueError
        A line is broken, holds no number where one should be, or has another number of dimensions than the others
        (file and line are named); or there is none.
    FileNotFoundError
        There is no such file.
    """
    where, place = "read_series", existing("read_series", path)
    suffix = place.suffix.lower()
    if suffix not in (".tsv", ".ts"):
        raise ValueError(f"{where}: path must be a .tsv or .ts file, got {str(path)!r}")
    rows = list(_from_tsv(where, place, encoding) if suffix == ".tsv" else _from_ts(where, place, encoding))
    if not rows:
        raise empty(where, place, "a series")
    found, labels, places = zip(*rows, strict=True)
    return _padded(found, labels, places)


def read_waveforms(path: Place, *, frame: int = 1, labelled: bool = True) -> Series:
    """Read a folder of WAV files, a subfolder for each class.

    Parameters
    ----------
    path : path
    labelled : bool
        Without it the files may lie anywhere in the folder, and there may be but one, as the path itself.
    frame : int
        Samples that make one step: a step then has so many features, and what does not fill the last is left out.

    Returns
    -------
    Series
        Numbers from −1 to 1, the mean of the channels.

    Raises
    ------
    ValueError
        A file is no PCM WAV file, is shorter than a frame, or has another rate than the others; or there is none.
    FileNotFoundError
        There is no such folder.
    """
    where, place = "read_waveforms", existing("read_waveforms", path)
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 1:
        raise ValueError(f"{where}: frame must be a whole number of at least 1, got {frame!r}")
    parts: list[tuple[str | None, list[Path]]]
    if not labelled:
        parts = [(None, files_in(where, place, (".wav",)) if place.is_dir() else [place])]
    elif place.is_dir():
        parts = [*class_folders(where, place, (".wav",))]
    else:
        raise ValueError(f"{where}: path must be a folder with a subfolder for each class, got {str(path)!r}")
    rows: list[np.ndarray] = []
    labels: list[str | None] = []
    places: list[str] = []
    rates: dict[int, Path] = {}
    for name, files in parts:
        for file in files:
            samples, rate = _samples(where, file)
            rates.setdefault(rate, file)
            if len(rates) > 1:
                (first, one), (second, other) = rates.items()
                raise ValueError(
                    f"{where}: files must have one rate, got {first} in {str(one)!r} and {second} in {str(other)!r}; "
                    "resample one of them"
                )
            if len(samples) < frame:
                raise ValueError(f"{where}: {str(file)!r} must hold at least {frame} samples, got {len(samples)}")
            steps = len(samples) // frame
            rows.append(samples[: steps * frame].reshape(steps, frame))
            labels.append(name)
            places.append(file.relative_to(place).as_posix() if place.is_dir() else file.name)
    return _padded(rows, labels, places)._replace(rate=next(iter(rates)))


def _padded(rows: Sequence[np.ndarray], names: Sequence[str | None], places: Sequence[str]) -> Series:
    """Bring rows (T_k, I) to one length."""
    known = [name for name in names if name is not None]
    classes = tuple(sorted(set(known), key=_as_number))
    lengths = np.array([len(row) for row in rows], np.int64)
    inputs = np.zeros((len(rows), lengths.max(), rows[0].shape[1]), np.float32)
    for padded, row in zip(inputs, rows, strict=True):
        padded[: len(row)] = row
    labels = np.array([classes.index(name) for name in known], np.int64) if known else None
    return Series(inputs, None if (lengths == lengths.max()).all() else lengths, labels, classes, tuple(places))


def _as_number(name: str) -> tuple[float, str]:
    """Return a key that sorts numbers by value, before words by the alphabet."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _from_tsv(where: str, path: Path, encoding: str) -> Iterator[tuple[np.ndarray, str, str]]:
    for line, text in numbered(where, path, encoding):
        if not text.strip():
            continue
        label, *values = text.split("\t")
        while values and values[-1].strip().lower() in ("nan", ""):
            values.pop()
        if not values or not label.strip():
            raise ValueError(f"{where}: {at(path, line)} must have a label, a tab and numbers, got {text[:60]!r}")
        yield _column(where, path, line, values)[:, None], label.strip(), f"line {line}"


def _from_ts(where: str, path: Path, encoding: str) -> Iterator[tuple[np.ndarray, str, str]]:
    in_data, dimensions = False, 0
    for line, text in numbered(where, path, encoding):
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        if not in_data:
            if text.lower() == "@timestamps true":
                raise ValueError(f"{where}: {at(path, line)} must have no time stamps, got {text!r}; leave them out")
            if text.lower() == "@classlabel false":
                raise ValueError(f"{where}: {at(path, line)} must have class labels, got {text!r}")
            in_data = text.lower() == "@data"
            if not in_data and not text.startswith("@"):
                raise ValueError(f"{where}: {at(path, line)} must stand behind a line @data, got {text[:60]!r}")
            continue
        *columns, label = text.split(":")
        if not columns or not label.strip() or (dimensions and len(columns) != dimensions):
            count = f"{dimensions} dimensions" if dimensions else "dimensions"
            raise ValueError(
                f"{where}: {at(path, line)} must have {count} and a label, parted by colons, got {len(columns)} "
                f"and {label[:40]!r}"
            )
        dimensions = len(columns)
        found = [_column(where, path, line, column.split(",")) for column in columns]
        if len({len(column) for column in found}) > 1:
            lengths = ", ".join(str(len(column)) for column in found)
            raise ValueError(f"{where}: {at(path, line)} must have dimensions of one length, got {lengths}")
        yield np.stack(found, axis=1), label.strip(), f"line {line}"


def _column(where: str, path: Path, line: int, texts: list[str]) -> np.ndarray:
    return np.array([number_in(where, path, line, text.strip(), f"step {t}") for t, text in enumerate(texts)])


def _samples(where: str, path: Path) -> tuple[np.ndarray, int]:
    """Return the mean of a file's channels, from −1 to 1, and its rate."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, count = file.getparams()[:4]
            data = file.readframes(count)
    except (wave.Error, EOFError) as error:
        raise ValueError(
            f"{where}: {str(path)!r} must be a PCM WAV file: {str(error) or 'it is cut short'}; convert it to 16 bits "
            "PCM"
        ) from error
    if not channels or not data:
        raise empty(where, path, "a sample")
    raw = np.frombuffer(data[: len(data) // (width * channels) * width * channels], np.uint8).reshape(-1, width)
    if width == 1:  # the one width without a sign
        values = raw[:, 0].astype(np.float64) - 128
    else:
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 4 - width :] = raw
        values = wide.view("<i4")[:, 0].astype(np.float64) / 2 ** (8 * (4 - width))
    return values.reshape(-1, channels).mean(axis=1) / 2 ** (8 * width - 1), rate
