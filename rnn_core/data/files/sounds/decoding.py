"""From a sound's file to numbers: by soundfile (libsndfile) if it is here, else by SciPy's reader, else as plain PCM.

None of them is needed to import this package. ``pip install 'rnn_core[audio]'`` brings both.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ....foreign import one_line
from ..lines import named
from .riff import PACKED, Wav, read_wav

AT_ONCE = 1 << 24
"""Bytes that are decoded at a time: it bounds the memory beside the samples themselves."""

AUDIO = "pip install 'rnn_core[audio]'"


class Sound(NamedTuple):
    """Samples (n,), the mean of the channels, from −1 to 1; their rate; how many the file has and its header claims."""

    samples: np.ndarray
    rate: int
    held: int
    claimed: int


def read_sound(where: str, path: Path, most: int | None) -> Sound:
    """Return the samples of a file, not fewer than the first `most` if there are so many.

    Raises
    ------
    ValueError
        The file is of no kind that is read, is damaged beyond reading, or holds a number that isn't finite.
    OSError
        It can't be read.
    RuntimeError
        A package is missing that reads it.
    """
    sound = _from_wav(where, path, most) if path.suffix.lower() == ".wav" else _from_other(where, path, most)
    if not len(sound.samples):
        raise ValueError(f"{where}: {named(path)} must hold at least a sample, got none")
    if (odd := ~(abs(sound.samples) <= np.finfo(np.float32).max)).any():
        k = int(odd.argmax())
        raise ValueError(
            f"{where}: {named(path)} must hold finite numbers that float32 has, got {sound.samples[k]:g} as sample {k}"
        )
    return sound


def soundfile() -> ModuleType | None:
    """Return the module of this name, if it and its library are here."""
    try:
        import soundfile
    except (ImportError, OSError):
        return None
    module: ModuleType = soundfile
    return module


def _from_wav(where: str, path: Path, most: int | None) -> Sound:
    wav = read_wav(where, path, most)
    if wav.code in PACKED and soundfile() is not None:  # such data can't be cut
        return _from_other(where, path, most)
    size = max(1, AT_ONCE // wav.block) * wav.block
    data = [wav.data[start : start + size] for start in range(0, len(wav.data), size)]
    samples = np.concatenate([_decoded(where, path, wav, part) for part in data]) if data else np.empty(0)
    return Sound(samples, wav.rate, wav.held, wav.claimed)


def _decoded(where: str, path: Path, wav: Wav, data: bytes) -> np.ndarray:
    """Return what the first reader that can makes of a part of the data."""
    reasons: list[str] = []
    for reader in (_by_soundfile, _by_scipy, _as_pcm):
        try:
            found = reader(wav, data)
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything over a damaged file
            reasons.append(one_line(error, 60))
            continue
        if found is not None:
            return found
    way_out = f"{AUDIO} reads it, or " if soundfile() is None else ""
    why = f" ({reasons[0]})" if reasons else ""
    raise ValueError(
        f"{where}: {named(path)} must be a WAV file that can be decoded, got {wav.name}{why}; {way_out}convert it to "
        "16-bit PCM"
    )


def _by_soundfile(wav: Wav, data: bytes) -> np.ndarray | None:
    module = soundfile()
    if module is None:
        return None
    samples, _ = module.read(io.BytesIO(wav.file(data)), dtype="float64", always_2d=True)
    return np.asarray(samples.mean(axis=1))


def _by_scipy(wav: Wav, data: bytes) -> np.ndarray | None:
    try:
        from scipy.io import wavfile
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, samples = wavfile.read(io.BytesIO(wav.file(data)))
    return _mean(samples.reshape(len(samples), -1))


def _as_pcm(wav: Wav, data: bytes) -> np.ndarray | None:
    """Return the mean of the channels of plain PCM of 8 to 32 bits: what can be read with nothing installed."""
    width = wav.block // wav.channels
    if wav.code != 1 or not 1 <= width <= 4 or width * wav.channels != wav.block or wav.order != "<":
        return None
    raw = np.frombuffer(data, np.uint8).reshape(-1, wav.channels, width)
    if width == 1:
        return _mean(raw[..., 0])
    wide = np.zeros((*raw.shape[:2], 4), np.uint8)
    wide[..., 4 - width :] = raw
    return _mean(wide.view("<i4")[..., 0])


def _mean(samples: np.ndarray) -> np.ndarray:
    """Return the mean of the channels (n, C), of integers as a part of the largest; those of one byte have no sign."""
    mean = samples.mean(axis=1, dtype=np.float64)
    if samples.dtype.kind == "f":
        return np.asarray(mean)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return np.asarray((mean - half * (samples.dtype.kind == "u")) / half)


def _from_other(where: str, path: Path, most: int | None) -> Sound:
    module = soundfile()
    if module is None:
        raise RuntimeError(f"{where}: {named(path)} takes the package soundfile to read: {AUDIO}, or convert it to WAV")
    parts: list[np.ndarray] = []
    try:
        with open(path, "rb") as opened, module.SoundFile(opened) as file:
            rate, claimed = int(file.samplerate), int(file.frames)
            size = max(1, AT_ONCE // (8 * file.channels))
            while most is None or sum(map(len, parts)) < most:
                part = file.read(size, dtype="float64", always_2d=True).mean(axis=1)
                if not len(part):
                    break
                parts.append(part)
    except OSError as error:
        raise type(error)(f"{where}: {named(path)} can't be read: {error.strerror or error}") from error
    except (RuntimeError, ValueError, TypeError) as error:  # libsndfile's errors are RuntimeErrors
        raise ValueError(
            f"{where}: {named(path)} must be a sound that can be decoded, got {one_line(error, 100)}; convert it to a "
            "WAV file of 16-bit PCM"
        ) from error
    samples = np.concatenate(parts) if parts else np.empty(0)
    whole = most is None or len(samples) < most
    return Sound(samples, rate, len(samples) if whole else claimed, claimed)
