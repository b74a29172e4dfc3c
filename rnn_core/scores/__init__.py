"""Scores beside the loss: how far what a model says is from what it should say."""

from .spans import Span, SpanScore, SpanScores, span_scores, spans_of
from .strings import bleu, chrf, edit_distance, edit_rate, exact_match, words_of

__all__ = [
    "Span",
    "SpanScore",
    "SpanScores",
    "span_scores",
    "spans_of",
    "edit_distance",
    "edit_rate",
    "exact_match",
    "words_of",
    "bleu",
    "chrf",
]
