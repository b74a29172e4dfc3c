"""`contextual_features`: the states of all layers of a bidirectional language model, for another model to mix."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ...data.ragged import pieces
from ...layers.checks import as_found, check_lengths, positive_int
from ...layers.layout import describe
from .bidirectional_language_model import BidirectionalLanguageModel


def contextual_features(
    model: BidirectionalLanguageModel, tokens: Array, lengths: Any = None, *, batch_size: int = 256
) -> Array:
    """Return the states of all layers at each token [1]_: h_{t,0} = [e_t; e_t], h_{t,j} = [→h_{t,j}; ←h_{t,j}].

    They are what ``front={"kind": "mix", …}`` of a tagger or a classifier reads, and its trained weights mix them: the
    layers of a language model know different things. No tape is kept, and the model is not changed.

    Parameters
    ----------
    model : BidirectionalLanguageModel
        L layers of H units in each half.
    tokens : array of int, shape (N, T)
        As the model's `forward` takes them. Past a row's length anything may stand.
    lengths : array of int, shape (N,), optional
        Valid steps of each row.
    batch_size : int
        Rows that are computed at a time; fewer where they are long.

    Returns
    -------
    features : ndarray, shape (N, T, L + 1, 2·H)
        Where the model is, of its dtype. The first H of each layer tell of no later token, the last H of no earlier
        one. Past a row's length they are zero.

    Raises
    ------
    ValueError
        Tokens have another shape, one is out of range, or a length is not as required.
    TypeError
        This is no such model, or tokens or lengths are not integers.

    References
    ----------
    .. [1] M. E. Peters, M. Neumann, M. Iyyer, M. Gardner, C. Clark, K. Lee, L. Zettlemoyer, "Deep contextualized word
       representations", arXiv:1802.05365v2 (2018), section 3.2.
    """
    where = "contextual_features"
    if not isinstance(model, BidirectionalLanguageModel):
        raise TypeError(f"{where}: model must be a BidirectionalLanguageModel, got {describe(model)}")
    most, xp = positive_int(where, "batch_size", batch_size), model.namespace
    tokens = as_found(where, "tokens", tokens, xp)
    if tokens.ndim < 2 or 0 in tokens.shape:
        raise ValueError(f"{where}: tokens must have shape (N, T), N rows of T ≥ 1, got {tuple(tokens.shape)}")
    N, T = tokens.shape[:2]
    checked = check_lengths(where, lengths, T, N)
    steps = np.full(N, T) if checked is None else checked
    parts = [model.states(tokens[rows], None if checked is None else checked[rows]) for rows in pieces(steps, most)]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
