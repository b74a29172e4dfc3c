"""What a classifier says of many sequences, a piece at a time."""

from __future__ import annotations

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Ragged
from rnn_core.data.ragged import pieces

AT_ONCE = 512
"""Sequences that are answered at a time, if they aren't long: it bounds the memory."""


def answers(model: SequenceClassifier, inputs: np.ndarray | Ragged, lengths: np.ndarray | None = None) -> np.ndarray:
    """Return the probabilities of the classes, (N, K).

    Parameters
    ----------
    model : SequenceClassifier
    inputs : array, shape (N, T, I), or (N, T) of int; or Ragged
    lengths : array of int, shape (N,), optional
        Valid steps of each row.
    """
    steps = np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths
    parts = [
        np.asarray(model.predict_proba(inputs[rows], None if lengths is None else lengths[rows]))
        for rows in pieces(steps, AT_ONCE)
    ]
    return np.concatenate(parts)
