"""Scores beside the loss: how far what a model says is from what it should say."""

from .strings import bleu, chrf, edit_distance, edit_rate, exact_match, words_of

__all__ = [
    "edit_distance",
    "edit_rate",
    "exact_match",
    "words_of",
    "bleu",
    "chrf",
]
