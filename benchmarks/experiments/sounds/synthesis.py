"""Glides from vowel to vowel, said by voices that differ, as WAV files: source and filter, in NumPy and SciPy.

The source is a train of pulses at the pitch of a voice, whose periods and strengths waver (jitter and shimmer), with
some breath in it. The filter is three resonances one after the other, the formants, which move from those of the first
vowel to those of the second. A shorter throat has all of them higher. Classes differ in the order of their sounds: "ai"
and "ia" have the same ones.

References
----------
D. H. Klatt, "Software for a cascade/parallel formant synthesizer", Journal of the Acoustical Society of America 67
(1980) 971-995: resonances of the second order one after the other, equations 1 and 2.
G. E. Peterson, H. L. Barney, "Control methods used in a study of the vowels", Journal of the Acoustical Society of
America 24 (1952) 175-184: the formants of men's vowels, table II, rounded here.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FORMANTS = {"a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
"""Of each vowel, in Hz."""

WIDTHS = (80.0, 110.0, 160.0)
"""Of the formants, in Hz."""

GLIDES = ("ai", "ia", "au", "ua", "iu", "ui", "ei", "ie")
"""The classes: each sound in either order."""

RATE = 8000
"""Samples a second."""

PIECE = 40
"""Samples in which a filter stays as it is: 5 ms."""


@dataclass(frozen=True)
class Voice:
    """Who speaks, and where.

    Attributes
    ----------
    pitch : float
        In Hz, at the beginning.
    fall : float
        How much lower it is at the end, as a share.
    throat : float
        What the formants are multiplied by.
    jitter, shimmer : float
        Standard deviations of periods and strengths, as shares.
    breath : float
        Noise in the source, as a share.
    noise : float
        In the room, in dB below the voice.
    seconds : float
    """

    pitch: float
    fall: float
    throat: float
    jitter: float
    shimmer: float
    breath: float
    noise: float
    seconds: float


def voice(rng: np.random.Generator) -> Voice:
    """Return a voice by chance."""
    return Voice(
        pitch=float(rng.uniform(90, 240)),
        fall=float(rng.uniform(-0.1, 0.3)),
        throat=float(rng.uniform(0.9, 1.25)),
        jitter=float(rng.uniform(0.005, 0.03)),
        shimmer=float(rng.uniform(0.02, 0.1)),
        breath=float(rng.uniform(0.02, 0.15)),
        noise=float(rng.uniform(5, 20)),
        seconds=float(rng.uniform(0.18, 0.30)),
    )


def glide(which: str, by: Voice, rng: np.random.Generator) -> np.ndarray:
    """Return a glide as samples from −1 to 1, float64, shape (N,)."""
    from scipy.signal import lfilter

    N = round(by.seconds * RATE)
    sound = _source(N, by, rng)
    ends = np.array([FORMANTS[vowel] for vowel in which], np.float64) * by.throat
    turn, width = rng.uniform(0.4, 0.6), rng.uniform(0.08, 0.2)  # where in the glide it turns, and how fast
    states = [np.zeros(2) for _ in WIDTHS]
    pieces = []
    for start in range(0, N, PIECE):
        share = 1 / (1 + np.exp(-((start / N) - turn) / (width / 4)))
        piece = sound[start : start + PIECE]
        for k, (low, high) in enumerate(ends.T):
            b, a = resonance((1 - share) * low + share * high, WIDTHS[k])
            piece, states[k] = lfilter(b, a, piece, zi=states[k])
        pieces.append(piece)
    sound = np.concatenate(pieces) * np.minimum(1, np.minimum(np.arange(N), np.arange(N)[::-1]) / (0.02 * RATE))
    sound /= np.sqrt(np.mean(sound**2))
    sound += 10 ** (-by.noise / 20) * rng.standard_normal(N)
    return np.asarray(0.2 * rng.uniform(0.5, 1) * sound).clip(-1, 1)


def resonance(frequency: float, width: float) -> tuple[list[float], list[float]]:
    """Return the coefficients of a resonance that leaves a constant as it is."""
    r = np.exp(-np.pi * width / RATE)
    b, c = 2 * r * np.cos(2 * np.pi * min(frequency, 0.48 * RATE) / RATE), -(r**2)
    return [1 - b - c], [1.0, -b, -c]


def _source(N: int, by: Voice, rng: np.random.Generator) -> np.ndarray:
    """Return a voice without a throat: pulses at its pitch, and breath."""
    sound, at = by.breath * rng.standard_normal(N), 0.0
    while at < N:
        sound[int(at)] += (1 + by.shimmer * rng.standard_normal()) * np.sqrt(RATE / by.pitch)
        pitch = by.pitch * (1 - by.fall * at / N)
        at += max(2.0, RATE / pitch * (1 + by.jitter * rng.standard_normal()))
    return sound


def write_glides(folder: Path, each: int, seed: int) -> None:
    """Write so many WAV files of each glide, a folder for each, 16 bits a sample; every file has a voice of its own."""
    rng = np.random.default_rng(seed)
    for which in GLIDES:
        (folder / which).mkdir(parents=True)
        for number in range(each):
            samples = glide(which, voice(rng), rng)
            with wave.open(str(folder / which / f"{number:04d}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((32767 * samples).astype("<i2").tobytes())
