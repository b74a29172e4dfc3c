"""`SequenceClassifier`: which class is this sequence? Stacked cells, a vector for the whole, a softmax or sigmoid.

::

    e_t = x_t                       features, or
    e_t = m ⊙ W_e[k_t]              embedding of token k_t                    (E1), (D1)
    y_t = core(e_t)                 RNN, LSTM or GRU, in one direction or two
    p   = pool(y)                   last, mean or max over the valid steps    (T1)–(T3)
    z   = W_v (m ⊙ p) + b_v         logits, one a class                       (D1), (F1)
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
from ..training.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from .inputs import as_targets
from .single_head import SingleHead
from .trunk import Tape, arguments


class SequenceClassifier(SingleHead):
    """Predicts one class for each sequence, of features or of tokens.

    A batch's targets, (B,), are classes or, for one sigmoid, 0 or 1 or a probability; its weights are (B,). No state is
    carried from batch to batch.

    Parameters
    ----------
    num_classes : int
        C. One class is one sigmoid: the probability of yes, against no.
    hidden_size : int
        H.
    input_size : int, optional
        I, for sequences of features.
    vocab_size : int, optional
        V, for sequences of tokens. One of the two sizes must be given, and not both, unless there is a `front`.
    embedding_size : int, optional
        E, with `vocab_size` alone; H by default.
    padding_idx : int, optional
        With `vocab_size` alone: a token that stands for nothing; its vector is zero and has no gradient. `lengths`
        is what spares the core the padding.
    num_layers : int
        Cells stacked on one another.
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layer takes by keyword, such as a cell's own options: ``{"alpha": 0.3}``.
    bidirectional : bool
        The core reads each row in both directions.
    pooling : {"last", "mean", "max"}
        How the valid steps become one vector; "last" takes the final state of each direction.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped on a way that is not recurrent: from the embedding
        to the core, between its layers, and from the pooled vector to the head. Features are left as they are.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the core runs, and so where all arrays live: with "cuda" on the GPU. The best one present on the host by
        default.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    precision : {"float32", "bfloat16"}
        In what core and head multiply; see `LSTM` and `Linear`. All else is in `dtype`.
    seed : int, optional
        Draws the parameters.
    front : mapping, optional
        In the place of both sizes, what stands before the core: its ``kind``, one of `rnn_core.models.fronts`, and what
        that is built from.

    Raises
    ------
    ValueError
        A size is below 1, a probability is not one, an option has no such value, or options exclude one another.
    TypeError
        A size is not an int, or the dtype is none of the above.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Parameters: ``embedding.weight`` (V, E) for tokens, ``rnn.…`` as `RNN`, `LSTM` or `GRU`, ``head.weight``
    (C, directions·H) and ``head.bias`` (C,).
    """

    def __init__(
        self,
        num_classes: int,
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
        name = "SequenceClassifier"
        self.num_classes = positive_int(name, "num_classes", num_classes)
        built = self._build(
            name, {"head": (self.num_classes, pooling)}, hidden_size=hidden_size, input_size=input_size,
            vocab_size=vocab_size, embedding_size=embedding_size, padding_idx=padding_idx, num_layers=num_layers,
            cell=cell, nonlinearity=nonlinearity, bidirectional=bidirectional, dropout=dropout, backend=backend,
            dtype=dtype, precision=precision, seed=seed, front=front, cell_options=cell_options,
        )  # fmt: skip
        self.hidden_size = built["hidden_size"]
        self.pooling: Pooling = self._branch.pooling
        self.loss = BinaryCrossEntropy() if self.num_classes == 1 else SoftmaxCrossEntropy()
        self.config = arguments(SequenceClassifier, {**built, "num_classes": self.num_classes, "pooling": pooling})

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return logits without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first value.
        """
        z, _ = self._infer("SequenceClassifier.__call__", self._branch, x, None, lengths)
        return self._logits(z)

    def forward(
        self, x: Array, lengths: Any = None, *, rng: np.random.Generator | int | None = None
    ) -> tuple[Array, Tape]:
        """Run the model for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        x : ndarray, shape (B, T, I), or array of int, shape (B, T)
            Features of the model's dtype, or tokens, each at least 0 and below V. Past a row's length anything may
            stand. To a model on the GPU tokens may come from the host, features may not.
        lengths : array of int, shape (B,), optional
            Valid steps of each row.
        rng : Generator or int, optional
            Draws the dropout masks; the same int, the same masks. Without it every call differs.

        Returns
        -------
        logits : ndarray, shape (B, C), or (B,) for one class
        tape : Tape
            For `backward`. It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            x has another shape, a token is out of range, a feature is NaN or infinite, or a length is not as
            required. The message says where.
        TypeError
            Tokens or lengths are not integers, or the dtype of features is not the model's.
        """
        z, _, tape = self._forward("SequenceClassifier.forward", self._branch, x, None, lengths, rng)
        return self._logits(z), tape

    def backward(
        self, tape: Tape, dlogits: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂logits.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dlogits : ndarray, shape of logits
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed: below the
            lowest wanted layer nothing is walked back through.

        Returns
        -------
        dx : ndarray, shape (B, T, I), or None
            ∂L/∂x; None for tokens, or if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value (NaN, infinity) is not as required, or a name in `needs` doesn't exist.
        """
        dx, _, grads = self._from_logits("SequenceClassifier.backward", "second", tape, dlogits, None, needs)
        return dx, grads

    def predict(self, x: Array, lengths: Any = None) -> Array:
        """Return the likeliest class of each row, shape (B,); for one sigmoid 1 or 0.

        Parameters and errors are `forward`'s.
        """
        return self._classes(self(x, lengths))

    def predict_proba(self, x: Array, lengths: Any = None) -> Array:
        """Return the probability of each class, shape (B, C); for one sigmoid that of yes, shape (B,).

        Parameters and errors are `forward`'s.
        """
        return self._probabilities(self(x, lengths))

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        return as_targets(where, batch, tuple(logits.shape[:1]), array_namespace(logits), why=", one for each row")
