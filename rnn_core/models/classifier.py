"""`SequenceClassifier`: which class is this sequence? Stacked cells, a vector for the whole, a softmax or sigmoid.

::

    e_t = x_t                       features, or
    e_t = m ⊙ W_e[k_t]              embedding of token k_t                    (E1), (D1)
    y_t = core(e_t)                 RNN, LSTM or GRU, in one direction or two
    p   = pool(y)                   last, mean or max over the valid steps    (T1)–(T3)
    z   = W_v (m ⊙ p) + b_v         logits, one a class                       (D1), (F1)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.base import Layer
from ..layers.checks import (
    as_found,
    check_array,
    check_needs,
    check_seed,
    checked_dtype,
    positive_int,
)
from ..layers.dropout import Dropout, mask_generator
from ..layers.embedding import Embedding
from ..layers.home import move
from ..layers.layout import describe
from ..layers.linear import Linear
from ..layers.pooling import Pooling
from ..training.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from .base import Evaluation, Model, Step, named, needed, recurrent_core, seeds, sigmoid, softmax
from .inputs import as_features, as_tokens, target_weights, total, total_of


class Tape(NamedTuple):
    """What `SequenceClassifier.backward` needs: the tape of each layer, in order. Opaque to the caller."""

    embedding: Any  # None for features
    dropout_in: Any  # None for features
    rnn: Any
    pooling: Any
    dropout_out: Any
    head: Any


class SequenceClassifier(Model):
    """Predicts one class for each sequence, of features or of tokens.

    Parameters
    ----------
    num_classes : int
        C. One class is one sigmoid: the probability of yes, against no.
    hidden_size : int
        H.
    input_size : int, optional
        I, for sequences of features.
    vocab_size : int, optional
        V, for sequences of tokens. One of the two sizes must be given, and not both.
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
    seed : int, optional
        Draws the parameters.

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
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        name = "SequenceClassifier"
        self.num_classes = positive_int(name, "num_classes", num_classes)
        self.hidden_size = positive_int(name, "hidden_size", hidden_size)
        dtype = checked_dtype(name, dtype)
        seed = check_seed(name, seed)
        embedding_seed, core_seed, head_seed = seeds(seed, 3)
        if (input_size is None) == (vocab_size is None):
            raise ValueError(
                f"{name}: one of input_size (for features) and vocab_size (for tokens) must be given, "
                f"got input_size={input_size}, vocab_size={vocab_size}"
            )
        if vocab_size is not None:
            V = positive_int(name, "vocab_size", vocab_size)
            I = self.hidden_size if embedding_size is None else positive_int(name, "embedding_size", embedding_size)
        else:
            I = positive_int(name, "input_size", input_size)
            if embedding_size is not None or padding_idx is not None:
                raise ValueError(
                    f"{name}: embedding_size and padding_idx must be left out with input_size, "
                    f"got {embedding_size} and {padding_idx}; tokens are read with vocab_size"
                )
        self.rnn = recurrent_core(
            name, cell, nonlinearity, I, hidden_size=self.hidden_size, num_layers=num_layers,
            bidirectional=bidirectional, dropout=dropout, backend=backend, dtype=dtype, seed=core_seed,
        )  # fmt: skip
        self.embedding: Embedding | None = None
        if vocab_size is not None:
            self.embedding = Embedding(
                V, I, padding_idx, backend=self.rnn.backend, dtype=dtype, seed=embedding_seed
            )
        self.pooling = Pooling(pooling, bidirectional, batch_first=True)
        self.head = Linear(
            self.rnn.directions * self.hidden_size, self.num_classes, backend=self.rnn.backend, dtype=dtype,
            seed=head_seed,
        )  # fmt: skip
        self.dropout = Dropout(dropout)
        self.loss = BinaryCrossEntropy() if self.num_classes == 1 else SoftmaxCrossEntropy()
        self.config = {
            "num_classes": self.num_classes,
            "hidden_size": self.hidden_size,
            "input_size": self.rnn.input_size if self.embedding is None else None,
            **dict.fromkeys(("vocab_size", "embedding_size", "padding_idx")),
            "num_layers": self.rnn.num_layers,
            "cell": cell,
            "nonlinearity": nonlinearity,
            "bidirectional": self.pooling.bidirectional,
            "pooling": pooling,
            "dropout": self.dropout.p,
            "backend": self.rnn.backend,
            "dtype": dtype.name,
            "seed": seed,
        }
        layers: dict[str, Layer] = {"rnn": self.rnn, "head": self.head}
        if self.embedding is not None:
            self.config["vocab_size"] = self.embedding.num_embeddings
            self.config["embedding_size"] = self.embedding.embedding_dim
            self.config["padding_idx"] = self.embedding.config["padding_idx"]
            layers = {"embedding": self.embedding, **layers}
        self._compose(layers)

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary: one row a token."""
        return () if self.embedding is None else ("embedding.weight",)

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x, where it is features, and every parameter."""
        return (*(("x",) if self.embedding is None else ()), *self.parameters)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return logits without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first value.
        """
        x, lengths = self._checked("SequenceClassifier.__call__", x, lengths)
        y, _ = self.rnn(x if self.embedding is None else self.embedding(x), None, lengths)
        return self._squeeze(self.head(self.pooling(y, lengths)))

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
        x, lengths = self._checked("SequenceClassifier.forward", x, lengths)
        rng = mask_generator(rng, self.dropout.p, "SequenceClassifier.forward")
        embedding_tape = dropout_in_tape = None
        if self.embedding is not None:
            x, embedding_tape = self.embedding.forward(x)
            x, dropout_in_tape = self.dropout.forward(x, rng=rng)
        y, _, rnn_tape = self.rnn.forward(x, None, lengths, rng=rng)
        p, pooling_tape = self.pooling.forward(y, lengths)
        p, dropout_out_tape = self.dropout.forward(p, rng=rng)
        logits, head_tape = self.head.forward(p)
        tape = Tape(embedding_tape, dropout_in_tape, rnn_tape, pooling_tape, dropout_out_tape, head_tape)
        return self._squeeze(logits), tape

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
        where = "SequenceClassifier.backward"
        if not isinstance(tape, Tape):
            raise TypeError(f"{where}: tape must be the second value of forward, got {describe(tape)}")
        needs = check_needs(where, needs, self.gradient_names)
        shape = tape.head.x.shape[:-1] + ((self.num_classes,) if self.num_classes > 1 else ())
        why = "it is shaped as logits"
        dlogits = check_array(where, "dlogits", dlogits, shape, self.dtype, why=why, xp=self.namespace)
        embedding, core, head = (needed(needs, part) for part in ("embedding", "rnn", "head"))
        if embedding or "x" in needs:
            core.add("x")
        if core:
            head.add("x")
        if self.num_classes == 1:
            dlogits = dlogits[..., None]
        dp, gradients = self.head.backward(tape.head, dlogits, head)
        grads = named("head", gradients)
        dx = None
        if core:
            dp = self.dropout.backward(tape.dropout_out, dp)
            dy = self.pooling.backward(tape.pooling, dp)
            dx, _, gradients = self.rnn.backward(tape.rnn, dy, needs=core)
            grads |= named("rnn", gradients)
        if embedding and self.embedding is not None:
            de = self.dropout.backward(tape.dropout_in, dx)
            grads |= named("embedding", self.embedding.backward(tape.embedding, de))
        return dx if "x" in needs else None, self._in_order(grads)

    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the mean loss of a batch and its gradients; see `Model.loss_and_gradients`.

        Targets, (B,), are classes or, for one sigmoid, 0 or 1 or a probability; weights are (B,). No state is
        carried from batch to batch.
        """
        logits, tape = self.forward(batch.inputs, batch.lengths, rng=rng)
        targets, weights = self._targets("SequenceClassifier.loss_and_gradients", batch, logits)
        loss, loss_tape = self.loss.forward(logits, targets, weights)
        _, gradients = self.backward(tape, self.loss.backward(loss_tape), self._trainable(needs))
        return Step(loss.item(), gradients, None, total(weights, targets.shape))

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the summed loss of a batch and how many rows were classified right; see `Model.evaluate`."""
        logits = self(batch.inputs, batch.lengths)
        targets, weights = self._targets("SequenceClassifier.evaluate", batch, logits)
        loss, _ = self.loss.forward(logits, targets, weights)
        count = total(weights, targets.shape)
        right = move(targets > 0.5 if self.num_classes == 1 else targets, array_namespace(logits))
        return Evaluation(loss.item() * count, count, total_of(self._decide(logits) == right, weights), None)

    def predict(self, x: Array, lengths: Any = None) -> Array:
        """Return the likeliest class of each row, shape (B,); for one sigmoid 1 or 0.

        Parameters and errors are `forward`'s.
        """
        logits = self(x, lengths)
        xp = array_namespace(logits)
        return xp.astype(self._decide(logits), xp.int64)

    def predict_proba(self, x: Array, lengths: Any = None) -> Array:
        """Return the probability of each class, shape (B, C); for one sigmoid that of yes, shape (B,).

        Parameters and errors are `forward`'s.
        """
        logits = self(x, lengths)
        return sigmoid(logits) if self.num_classes == 1 else softmax(logits)

    def _decide(self, logits: Array) -> Array:
        return logits > 0 if self.num_classes == 1 else array_namespace(logits).argmax(logits, axis=-1)

    def _squeeze(self, logits: Array) -> Array:
        """Drop the axis of the classes where there is one."""
        return logits[:, 0] if self.num_classes == 1 else logits

    def _checked(self, where: str, x: Any, lengths: Any) -> tuple[Array, np.ndarray | None]:
        """Return the input, (B, T, I) or (B, T), and lengths."""
        if self.embedding is not None:
            return as_tokens(where, x, lengths, self.namespace)
        return as_features(where, x, lengths, self.rnn.input_size, self.namespace)

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        """Return the targets, one a row, and how much each counts; where they were."""
        home = array_namespace(logits)
        targets = as_found(where, "targets", batch.targets, home)
        rows = tuple(logits.shape[:1])
        if tuple(targets.shape) != rows:
            raise ValueError(f"{where}: targets must have shape {rows}, one for each row, got {tuple(targets.shape)}")
        return targets, target_weights(where, batch.weights, None, rows, home)
