"""Every number of the demonstration in one place. They all go into ``results.json`` as the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class DigitsSettings:
    """Digits 0–4 to digits 5–9, read row by row. Batches have at most `batch_size` images."""

    seeds: int = 10
    shots: tuple[int, ...] = (1, 2, 10, 50)
    hidden_size: int = 64
    batch_size: int = 32
    source_updates: int = 600
    source_rate: float = 1e-2
    target_updates: int = 128
    target_rate: float = 1e-2
    """Of everything that is fresh, in every arm."""
    core_rate: float = 3e-3
    """Of a core that was copied."""
    test_images: int = 500
    curve_points: int = 8


@dataclass(frozen=True)
class CharactersSettings:
    """Characters of the language reference to characters of docstrings."""

    seeds: int = 4
    sizes: tuple[int, ...] = (2_000, 8_000, 32_000)
    hidden_size: int = 128
    embedding_size: int = 64
    batch_size: int = 16
    steps: int = 32
    clip_norm: float = 1.0
    source_characters: int = 440_000
    source_epochs: int = 5
    source_rate: float = 6e-3
    tuned_rate: float = 1e-3
    scratch_rate: float = 1e-2
    target_epochs: tuple[int, ...] = (20, 14, 10)
    """How often each of `sizes` is read, by every arm alike."""
    validation_characters: int = 4_000
    test_characters: int = 16_000


@dataclass(frozen=True)
class Settings:
    """The whole demonstration."""

    digits: DigitsSettings = field(default_factory=DigitsSettings)
    characters: CharactersSettings = field(default_factory=CharactersSettings)
    gradient_steps: int = 50
    fading_steps: int = 100
    shown_characters: int = 72
    shown_units: int = 44
    quick: bool = False


QUICK = Settings(
    digits=DigitsSettings(seeds=2, shots=(1, 2), hidden_size=8, source_updates=20, target_updates=8, curve_points=2),
    characters=CharactersSettings(
        seeds=2, sizes=(300, 600), hidden_size=8, embedding_size=4, source_characters=2_000, source_epochs=2,
        target_epochs=(2, 2), validation_characters=300, test_characters=500,
    ),
    gradient_steps=7,
    fading_steps=20,
    shown_units=6,
    quick=True,
)  # fmt: skip
"""Small enough for a test; its numbers mean nothing."""


def with_seeds(settings: Settings, seeds: int | None) -> Settings:
    """Return settings with another number of seeds: this many for the digits, two fifths as many for the characters."""
    if seeds is None:
        return settings
    return replace(
        settings,
        digits=replace(settings.digits, seeds=seeds),
        characters=replace(settings.characters, seeds=max(2, 2 * seeds // 5)),
    )
