"""`Embedding` with its rows in int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ..embedding import Embedding
from .rows import SCALE, Quantized


class QuantizedEmbedding(Quantized, Embedding):
    """An `Embedding` whose rows are int8, for inference. Made by `quantize`; called as what it was made of."""

    def _initialise(self, xp: Any, dtype: np.dtype, seed: int | None) -> None:
        """Make room for the matrix; `quantize` and `load_state_dict` fill it."""
        self._backend(dtype)
        weight, scale = self._rows((self.num_embeddings, self.embedding_dim))
        self.parameters = {"weight": weight, f"weight{SCALE}": scale}
        self._lock()

    def __call__(self, tokens: Array, *, time_major: bool = False) -> Array:
        """Return the vectors, float32; parameters and errors are those of `Embedding`."""
        tokens = self._checked(f"{type(self).__name__}.__call__", tokens, np)
        in_order = tokens.swapaxes(0, 1) if time_major else tokens
        rows, scale = self.parameters["weight"][in_order], self.parameters[f"weight{SCALE}"][in_order]
        vectors = rows * scale[..., np.newaxis]
        return vectors.swapaxes(0, 1) if time_major else vectors
