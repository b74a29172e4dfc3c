"""`SequenceRegressor`: which number goes with this sequence? A classifier's trunk, and outputs that are the answer.

::

    e_t = x_t                       features, or
    e_t = m ⊙ W_e[k_t]              embedding of token k_t                    (E1), (D1)
    y_t = core(e_t)                 RNN, LSTM or GRU, in one direction or two
    p   = pool(y)                   last, mean or max over the valid steps    (T1)–(T3)
    z   = W_v (m ⊙ p) + b_v         outputs, one a number                     (D1), (F1)
    L   = mean of (z − t)²          the squared error                         (Q1), (M1)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.checks import positive_int
from ..layers.pooling import Pooling
from ..training.losses import SquaredError
from .base import Evaluation
from .inputs import as_targets, total
from .single_head import SingleHead
from .trunk import Tape, arguments


class SequenceRegressor(SingleHead):
    """Predicts numbers for each sequence, of features or of tokens: those that make the squared error small.

    A batch's targets are numbers, (B,) for one output, (B, O) for several; its weights are (B,). Scale them first, to
    mean 0 and deviation 1: the network begins near 0, and `save` keeps the `target_scaling` beside it.

    Parameters
    ----------
    num_outputs : int
        O, the numbers to predict.
    hidden_size, input_size, vocab_size, embedding_size, padding_idx, num_layers, cell, nonlinearity, bidirectional
        As in `SequenceClassifier`.
    cell_options, pooling, dropout, backend, dtype, precision, seed, front
        As in `SequenceClassifier`.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `SequenceClassifier`.

    Notes
    -----
    Parameters: ``embedding.weight`` (V, E) for tokens, ``rnn.…`` as `RNN`, `LSTM` or `GRU`, ``head.weight``
    (O, directions·H) and ``head.bias`` (O,). A number is neither right nor wrong: `evaluate` has None for `correct`.
    """

    def __init__(
        self,
        num_outputs: int,
        hidden_size: int,
        *,
        input_size: int | None = None,
        vocab_size: int | None = None,
        embedding_size: int | None = None,
        padding_idx: int | None = None,
        num_layers: int = 1,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        front: Mapping[str, Any] | None = None,
    ) -> None:
        name = "SequenceRegressor"
        self.num_outputs = positive_int(name, "num_outputs", num_outputs)
        built = self._build(
            name, {"head": (self.num_outputs, pooling)}, hidden_size=hidden_size, input_size=input_size,
            vocab_size=vocab_size, embedding_size=embedding_size, padding_idx=padding_idx, num_layers=num_layers,
            cell=cell, nonlinearity=nonlinearity, bidirectional=bidirectional, dropout=dropout, backend=backend,
            dtype=dtype, precision=precision, seed=seed, front=front, cell_options=cell_options,
        )  # fmt: skip
        self.hidden_size = built["hidden_size"]
        self.pooling: Pooling = self._branch.pooling
        self.loss = SquaredError()
        self.config = arguments(SequenceRegressor, {**built, "num_outputs": self.num_outputs, "pooling": pooling})

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return the numbers, (B,) or (B, O), without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s.
        """
        z, _ = self._infer("SequenceRegressor.__call__", self._branch, x, None, lengths)
        return self._logits(z)

    def predict(self, x: Array, lengths: Any = None) -> Array:
        """Return the numbers, as the call does: on the scale of the targets that it was trained on."""
        return self(x, lengths)

    def forward(
        self, x: Array, lengths: Any = None, *, rng: np.random.Generator | int | None = None
    ) -> tuple[Array, Tape]:
        """Run the model for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        x : ndarray, shape (B, T, I), or array of int, shape (B, T)
        lengths : array of int, shape (B,), optional
        rng : Generator or int, optional
            As `SequenceClassifier.forward`, and so are errors.

        Returns
        -------
        outputs : ndarray, shape (B, O), or (B,) for one output
        tape : Tape
            For `backward`. It refers to x: don't change x in between.
        """
        z, _, tape = self._forward("SequenceRegressor.forward", self._branch, x, None, lengths, rng)
        return self._logits(z), tape

    def backward(
        self, tape: Tape, doutputs: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂outputs; else as `SequenceClassifier.backward`."""
        dx, _, grads = self._from_logits("SequenceRegressor.backward", "second", tape, doutputs, None, needs)
        return dx, grads

    @property
    def _flat(self) -> bool:
        """Whether there is one number, which has no axis then."""
        return self.num_outputs == 1

    def _score(self, where: str, batch: Batch, z: Array, state: Any = None) -> Evaluation:
        """Return the summed loss of what the head says; none of it is right or wrong."""
        outputs = self._logits(z)
        targets, weights = self._targets(where, batch, outputs)
        loss, _ = self.loss.forward(outputs, targets, weights)
        count = total(weights, targets.shape)
        return Evaluation(loss.item() * count, count, None, state)

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        shape = tuple(logits.shape)
        why = ", a number for each row" if self._flat else ", a row of numbers for each row"
        return as_targets(where, batch, shape, array_namespace(logits), rows=shape[:1], why=why)
