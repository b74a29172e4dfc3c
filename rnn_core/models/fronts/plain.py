"""The two fronts that every model has: features as they come, and tokens through an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace

from kernels.contract import Array

from ...layers.embedding import Embedding
from ..base import named
from ..inputs import as_features, as_tokens
from .front import Front


class Features(Front):
    """Features (B, T, I), as they come."""

    differentiable = True

    def __init__(self, input_size: int) -> None:
        self.layers = {}
        self.out_features = input_size

    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """See `Front.checked`."""
        return as_features(where, x, lengths, self.out_features, xp)

    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return x."""
        return x

    def forward(self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, None]:
        """Return x, and no tape."""
        return x, None

    def backward(self, tape: Any, dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂x."""
        return dy if "x" in needs else None, {}


class Tokens(Front):
    """Tokens (B, T), each as its row of an embedding: (E1)."""

    differentiable = False

    def __init__(self, embedding: Embedding) -> None:
        self.embedding = embedding
        self.layers = {"embedding": embedding}
        self.out_features = embedding.embedding_dim

    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """See `Front.checked`."""
        return as_tokens(where, x, lengths, xp)

    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return the embeddings of tokens."""
        return self.embedding(x, time_major=True)

    def forward(self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Return the embeddings of tokens, and their tape."""
        return self.embedding.forward(x, time_major=True)  # (E1)

    def backward(self, tape: Any, dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return the embedding's gradient; on the host the rows that were seen."""
        # On a GPU the host would have to wait for the number of rows.
        grads = self.embedding.backward(tape, dy, sparse=is_numpy_namespace(self.embedding.namespace))  # (E1′)
        return None, named("embedding", grads)
