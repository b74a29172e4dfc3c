"""Scores beside the loss: how far what a model says is from what it should say."""

from .classes import accuracy, balanced_accuracy, confusion, f1, macro_f1, precisions, recalls
from .forecasts import (
    Backtest,
    backtest,
    coverage,
    mae,
    mase,
    pinball,
    rmse,
    seasonal_error,
    seasonal_naive,
    smape,
)
from .numbers import missed
from .spans import Span, SpanScore, SpanScores, span_scores, spans_of
from .strings import bleu, chrf, edit_distance, edit_rate, exact_match, words_of

__all__ = [
    "confusion",
    "accuracy",
    "balanced_accuracy",
    "recalls",
    "precisions",
    "f1",
    "macro_f1",
    "missed",
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
    "Backtest",
    "backtest",
    "coverage",
    "mae",
    "mase",
    "pinball",
    "rmse",
    "seasonal_error",
    "seasonal_naive",
    "smape",
]
