"""Waveforms: a folder of sounds, a subfolder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....written import writable
from ..folders import check_class_names, class_folders, files_in
from ..labels import classes_of, numbers_of
from ..lines import Place, Unread, existing, named, remark
from ..series.kept import Series
from ..series.reading import check_whole
from .decoding import Sound, read_sound
from .resampling import resampled

SOUNDS = (".wav", ".flac", ".ogg")
"""How the names of sounds end, in any case."""


def read_waveforms(
    path: Place,
    *,
    frame: int = 1,
    labelled: bool = True,
    keep_missing_labels: bool = False,
    max_steps: int | None = None,
    rate: int | None = None,
    part: str = "train",
) -> Series:
    """Read a folder of sounds, a subfolder for each class.

    Parameters
    ----------
    path : path
        Of WAV, FLAC and OGG files. WAV is read by soundfile if it is installed (``pip install 'rnn_core[audio]'``),
        else by SciPy, else if it is plain PCM; the other two take soundfile.
    frame : int
        Samples that make one step: a step then has so many features, and what does not fill the last is left out.
    labelled : bool
        Without it the files may lie anywhere in the folder, and there may be but one, as the path itself.
    keep_missing_labels : bool
        Take subfolders named ``NA``, ``null`` and the like for classes.
    max_steps : int, optional
        Of a longer file the beginning is read.
    rate : int, optional
        Samples a second, to which files of another rate are brought. Without it all must have one.
    part : {"train", "test"}
        Which half of a folder whose classes are in both.

    Returns
    -------
    Series
        Numbers from −1 to 1, the mean of the channels.

    Raises
    ------
    ValueError
        A file is no sound, can't be decoded, is shorter than a frame, or has another rate than the others; or there is
        none.
    FileNotFoundError
        There is no such folder.
    RuntimeError
        A package is missing that a file or `rate` takes.

    Warns
    -----
    FileWarning
        Files end before their headers say so.
    """
    where, place = "read_waveforms", existing("read_waveforms", path)
    for name, value in (("frame", frame), ("max_steps", max_steps), ("rate", rate)):
        check_whole(where, name, value)
    files = _files(where, place, labelled, part)
    # What is to be resampled is read whole: a filter at a file's end isn't that of its middle.
    most = None if rate or max_steps is None else max_steps * frame
    rows: list[np.ndarray] = []
    whole: list[int] = []
    short: list[str] = []
    rates: dict[int, Path] = {}
    for _, file in files:
        sound = read_sound(where, file, most)
        rates.setdefault(sound.rate, file)
        if rate is None and len(rates) > 1:
            (first, one), (second, other) = rates.items()
            raise Unread(
                f"{where}: files must have one rate, got {first} in {named(one)} and {second} in {named(other)}",
                f"{{rate={min(rates)}}} resamples them",
            )
        if sound.held < sound.claimed:
            short.append(f"{named(file)} has {sound.held:,} of {sound.claimed:,} samples")
        samples, count = _at_rate(where, file, sound, rate, most)
        if count < frame:
            raise ValueError(f"{where}: {named(file)} must hold at least {frame} samples, got {count}")
        steps = len(samples) // frame if max_steps is None else min(len(samples) // frame, max_steps)
        rows.append(samples[: steps * frame].reshape(steps, frame))
        whole.append(count // frame)
    if short:
        remark(
            where,
            f"{len(short):,} of {len(files):,} files end before their headers say so, and are read as far as "
            f"they go: {'; '.join(short[:2])}{'; …' if len(short) > 2 else ''}",
        )
    whence = [file.relative_to(place).as_posix() if place.is_dir() else file.name for _, file in files]
    places = tuple(map(writable, whence))
    names = [name for name, _ in files if name is not None]
    check_class_names(where, place, dict.fromkeys(names), keep_missing_labels)
    classes = classes_of(names)
    labels = numbers_of(names, classes) if labelled else None
    return Series(tuple(rows), labels, classes, places, rate or next(iter(rates)), np.array(whole))


def _files(where: str, place: Path, labelled: bool, part: str) -> list[tuple[str | None, Path]]:
    """Return all files, each with its class if there are classes."""
    if labelled:
        if not place.is_dir():
            raise ValueError(f"{where}: path must be a folder with a subfolder for each class, got {named(place)}")
        return [(name, file) for name, files in class_folders(where, place, SOUNDS, part) for file in files]
    if place.is_dir():
        return [(None, file) for file in files_in(where, place, SOUNDS)]
    if place.suffix.lower() not in SOUNDS:
        raise ValueError(f"{where}: path must be a folder or one of {', '.join(SOUNDS)}, got {named(place)}")
    return [(None, place)]


def _at_rate(where: str, file: Path, sound: Sound, rate: int | None, most: int | None) -> tuple[np.ndarray, int]:
    """Return samples at the wanted rate, and how many the whole file has of them."""
    if rate is None:
        samples = sound.samples
    else:
        samples = resampled(where, file, sound.samples, sound.rate, rate)
    return samples, len(samples) if most is None or len(samples) < most else sound.held
