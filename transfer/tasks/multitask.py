"""`MultiTask`: one core, and a head for each of several tasks that train together.

::

    L  = Σ_k w_k L_k           over the tasks of a batch, w_k a task's weight        (X42)
    dθ = Σ_k w_k ∂L_k/∂θ       for what they share; a head has its own term alone    (X42)

References
----------
R. Caruana, "Multitask learning", Machine Learning 28 (1997) 41-75.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.data import Batch
from rnn_core.layers import Embedding, Linear
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import (
    as_found,
    check_lengths,
    check_needs,
    check_seed,
    checked_dtype,
    positive_int,
)
from rnn_core.layers.dropout import Dropout, mask_generator
from rnn_core.layers.pooling import Pooling
from rnn_core.models.base import Evaluation, Model, Step, named, needed, recurrent_core, seeds
from rnn_core.models.inputs import as_features, as_tokens, target_weights, total, total_of, valid_steps

from .heads import LOSSES, Head, checked_heads
from .mixture import TaskBatch


class MultiTask(Model):
    """Reads sequences of features or of tokens with one core, and answers with a head for each task.

    Parameters
    ----------
    heads : mapping of str to Head
        The tasks, by names that Python could use.
    hidden_size, input_size, vocab_size, embedding_size, padding_idx, num_layers, cell, nonlinearity, bidirectional
        As in `SequenceClassifier`. What goes in is the same for all tasks.
    dropout, backend, dtype, seed
        As in `SequenceClassifier`. The same seed draws the same embedding and core there.

    Raises
    ------
    ValueError
        There is no head, or its name won't do; a size is below 1, an option has no such value, or options exclude one
        another.
    TypeError
        A head is none, a size is not an int, or the dtype is none that a model can have.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Parameters: ``embedding.weight`` for tokens, ``rnn.…``, and ``heads.task.weight`` and ``heads.task.bias`` for each
    task. ``copy_parameters(classifier, model, rename={"head.*": "heads.task.*"})`` takes over a classifier with its
    head, and the other way round.
    """

    def __init__(
        self,
        heads: Mapping[str, Head | Mapping[str, Any]],
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
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        name = "MultiTask"
        self.heads = checked_heads(heads)
        H = positive_int(name, "hidden_size", hidden_size)
        dtype, seed = checked_dtype(name, dtype), check_seed(name, seed)
        if (input_size is None) == (vocab_size is None):
            raise ValueError(
                f"{name}: one of input_size (for features) and vocab_size (for tokens) must be given, "
                f"got input_size={input_size}, vocab_size={vocab_size}"
            )
        if input_size is not None:
            I = positive_int(name, "input_size", input_size)
            if embedding_size is not None or padding_idx is not None:
                raise ValueError(
                    f"{name}: embedding_size and padding_idx must be left out with input_size, "
                    f"got {embedding_size} and {padding_idx}; tokens are read with vocab_size"
                )
        else:
            positive_int(name, "vocab_size", vocab_size)
            I = H if embedding_size is None else positive_int(name, "embedding_size", embedding_size)
        embedding_seed, core_seed, *head_seeds = seeds(seed, 2 + len(self.heads))
        self.rnn = recurrent_core(
            name, cell, nonlinearity, I, hidden_size=H, num_layers=num_layers, bidirectional=bidirectional,
            dropout=dropout, backend=backend, dtype=dtype, seed=core_seed,
        )  # fmt: skip
        made: dict[str, Any] = {"backend": self.rnn.backend, "dtype": dtype}
        self.embedding: Embedding | None = None
        layers: dict[str, Layer] = {"rnn": self.rnn}
        if vocab_size is not None:
            self.embedding = Embedding(vocab_size, I, padding_idx, seed=embedding_seed, **made)
            layers = {"embedding": self.embedding, "rnn": self.rnn}
        for (task, head), head_seed in zip(self.heads.items(), head_seeds, strict=True):
            layers[f"heads.{task}"] = Linear(self.rnn.directions * H, head.outputs, seed=head_seed, **made)
        self.poolings = {
            task: Pooling(head.pooling, self.rnn.directions == 2, batch_first=True)
            for task, head in self.heads.items()
            if head.pooling is not None
        }
        self.dropout = Dropout(dropout)
        self.config = {
            "heads": {task: asdict(head) for task, head in self.heads.items()},
            "hidden_size": H,
            "input_size": None if input_size is None else I,
            "vocab_size": None if vocab_size is None else int(vocab_size),
            "embedding_size": None if vocab_size is None else I,
            "padding_idx": None if padding_idx is None else int(padding_idx),
            "num_layers": self.rnn.num_layers,
            "cell": cell,
            "nonlinearity": nonlinearity,
            "bidirectional": self.rnn.directions == 2,
            "dropout": self.dropout.p,
            "backend": self.rnn.backend,
            "dtype": dtype.name,
            "seed": seed,
        }
        self._compose(layers)

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary: one row a token."""
        return () if self.embedding is None else ("embedding.weight",)

    def __call__(self, task: str, x: Array, lengths: Any = None) -> Array:
        """Return what one head says, (B, outputs) or at every step (B, T, outputs): logits, or numbers.

        Parameters
        ----------
        task : str
        x, lengths
            As `SequenceClassifier.forward`, and so are errors.
        """
        where = "MultiTask.__call__"
        head = self._head(where, task)
        x, lengths = self._checked(where, x, lengths)
        y, _ = self.rnn(x if self.embedding is None else self.embedding(x), None, lengths)
        if task in self.poolings:
            y = self.poolings[task](y, lengths)
        return head.squeezed(self.layers[f"heads.{task}"](y))  # type: ignore[operator]

    def loss_and_gradients(
        self,
        batch: Any,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the weighted sum of the tasks' mean losses and its gradients; see `Model.loss_and_gradients`.

        The batch is a `TaskBatch`. A task's targets are (B,), with several outputs that are no classes (B, outputs),
        and for a head that is asked at every step (B, T) or (B, T, outputs); its weights are (B,) or (B, T). A head
        whose task is not in the batch has the gradient 0. No state is carried from batch to batch.
        """
        where = "MultiTask.loss_and_gradients"
        needs = check_needs(where, self._trainable(needs), self.parameters)
        rng = mask_generator(rng, self.dropout.p, where)
        loss, count = 0.0, 0.0
        gradients: dict[str, Array] = {}
        for task, part in _parts(where, batch).items():
            part_loss, part_gradients, part_count = self._part(where, task, part, needs, rng)
            loss += self.heads[task].weight * part_loss  # (X42)
            count += part_count
            for name, gradient in part_gradients.items():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient  # (X42)
        for name in needs.difference(gradients):
            gradients[name] = array_namespace(self.parameters[name]).zeros_like(self.parameters[name])
        return Step(loss, self._in_order(gradients), None, count)

    def evaluate(self, batch: Any, *, state: Any = None) -> Evaluation:
        """Return the summed loss over the targets of all tasks, and how many were predicted right.

        The tasks' weights are for training, and count nothing here. Of outputs that are numbers none is right; of
        several "binary" ones, all must be. See `Model.evaluate`.
        """
        where = "MultiTask.evaluate"
        loss, count, correct = 0.0, 0.0, 0.0
        for task, part in _parts(where, batch).items():
            outputs = self(task, part.inputs, part.lengths)
            targets, weights = self._targets(where, task, part, outputs)
            mean, _ = LOSSES[self.heads[task].loss].forward(outputs, targets, weights)
            rows = self.heads[task].rows(targets)
            part_count = total(weights, rows)
            loss += mean.item() * part_count
            count += part_count
            correct += total_of(self.heads[task].right(outputs, targets), weights)
        return Evaluation(loss, count, correct, None)

    def _part(
        self, where: str, task: str, batch: Batch, needs: frozenset[str], rng: np.random.Generator | None
    ) -> tuple[float, dict[str, Array], float]:
        """Return the loss of one task, its gradients times the task's weight, and the number of its targets."""
        head = self._head(where, task)
        layer: Any = self.layers[f"heads.{task}"]
        x, lengths = self._checked(where, batch.inputs, batch.lengths)
        if self.embedding is not None:
            x, embedding_tape = self.embedding.forward(x)
            x, dropout_in_tape = self.dropout.forward(x, rng=rng)
        y, _, rnn_tape = self.rnn.forward(x, None, lengths, rng=rng)
        if task in self.poolings:
            y, pooling_tape = self.poolings[task].forward(y, lengths)
        y, dropout_out_tape = self.dropout.forward(y, rng=rng)
        outputs, head_tape = layer.forward(y)
        squeezed = head.squeezed(outputs)
        targets, weights = self._targets(where, task, batch, squeezed)
        criterion = LOSSES[head.loss]
        loss, loss_tape = criterion.forward(squeezed, targets, weights)
        # What follows is linear in this, so that here one product weighs every gradient.
        doutputs = array_namespace(outputs).reshape(head.weight * criterion.backward(loss_tape), outputs.shape)  # (X42)

        embedding, core, own = (needed(needs, part) for part in ("embedding", "rnn", f"heads.{task}"))
        core |= {"x"} if embedding else set()
        own |= {"x"} if core else set()
        dy, gradients = layer.backward(head_tape, doutputs, own)
        grads = named(f"heads.{task}", gradients)
        if core:
            dy = self.dropout.backward(dropout_out_tape, dy)
            if task in self.poolings:
                dy = self.poolings[task].backward(pooling_tape, dy)
            dx, _, gradients = self.rnn.backward(rnn_tape, dy, needs=core)
            grads |= named("rnn", gradients)
        if embedding and self.embedding is not None:
            dx = self.dropout.backward(dropout_in_tape, dx)
            grads |= named("embedding", self.embedding.backward(embedding_tape, dx))
        return loss.item(), grads, total(weights, head.rows(targets))

    def _head(self, where: str, task: str) -> Head:
        if task not in self.heads:
            raise ValueError(f"{where}: task must be one of {', '.join(self.heads)}, got {task!r}")
        return self.heads[task]

    def _checked(self, where: str, x: Any, lengths: Any) -> tuple[Array, np.ndarray | None]:
        """Return the input, (B, T, I) or (B, T), and lengths."""
        if self.embedding is not None:
            return as_tokens(where, x, lengths, self.namespace)
        return as_features(where, x, lengths, self.rnn.input_size, self.namespace)

    def _targets(self, where: str, task: str, batch: Batch, outputs: Array) -> tuple[Array, Array | None]:
        """Return the targets, with a valid one wherever there is padding, and how much each counts; where they were."""
        home, head = array_namespace(outputs), self.heads[task]
        targets = as_found(where, "targets", batch.targets, home)
        shape = tuple(outputs.shape[:-1] if head.loss == "softmax" else outputs.shape)
        if tuple(targets.shape) != shape:
            raise ValueError(f"{where}: targets of {task} must have shape {shape}, got {tuple(targets.shape)}")
        rows = head.rows(targets)
        if task in self.poolings:
            return targets, target_weights(where, batch.weights, None, rows, home)
        lengths = check_lengths(where, batch.lengths, rows[1], rows[0])
        if lengths is not None:
            xp = array_namespace(targets)
            valid = xp.reshape(valid_steps(xp, lengths, rows[1]), rows + (1,) * (len(shape) - 2))
            targets = xp.where(valid, targets, 0)
        return targets, target_weights(where, batch.weights, lengths, rows, home)


def _parts(where: str, batch: Any) -> dict[str, Batch]:
    if not isinstance(batch, TaskBatch) or not batch.tasks:
        raise TypeError(
            f"{where}: batch must be a TaskBatch with a batch for at least one task, got {type(batch).__name__}; "
            "a Mixture makes them"
        )
    return batch.tasks
