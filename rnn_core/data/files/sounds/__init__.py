"""Sounds: a folder of WAV, FLAC or OGG files."""

from .waveforms import SOUNDS, read_waveforms

__all__ = ["SOUNDS", "read_waveforms"]
