"""What a model says of many sequences, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.ragged import Ragged, pieces
from ..layers.home import to_host
from .classifier import SequenceClassifier

AT_ONCE = 512
"""Sequences that are answered at a time, if they aren't long: it bounds the memory."""


def in_pieces(ask: Callable[..., Any], inputs: np.ndarray | Ragged, lengths: np.ndarray | None = None) -> np.ndarray:
    """Return what a call says of all rows, on the host, (N, …).

    Parameters
    ----------
    ask : callable
        Of some inputs and, where these are given, their lengths: a model's method.
    inputs : array, shape (N, T, I), or (N, T) of int; or Ragged
    lengths : array of int, shape (N,), optional
        Valid steps of each row.
    """
    steps = np.full(len(inputs), max(inputs.shape[1:])) if lengths is None else lengths
    parts = [
        np.asarray(to_host(ask(inputs[rows]) if lengths is None else ask(inputs[rows], lengths[rows])))
        for rows in pieces(steps, AT_ONCE)
    ]
    return np.concatenate(parts)


def answers(model: SequenceClassifier, inputs: np.ndarray | Ragged, lengths: np.ndarray | None = None) -> np.ndarray:
    """Return the probabilities of the classes, (N, K): for one sigmoid those of no and of yes.

    Parameters are those of `in_pieces`.
    """
    found = in_pieces(model.predict_proba, inputs, lengths)
    return found if found.ndim == 2 else np.stack([1 - found, found], axis=1)
