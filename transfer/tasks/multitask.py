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
from rnn_core.layers.checks import check_needs
from rnn_core.layers.dropout import mask_generator
from rnn_core.layers.embedding import dense
from rnn_core.models.base import Evaluation, Step, named
from rnn_core.models.inputs import as_targets, total, total_of
from rnn_core.models.trunk import Trunk, arguments
from rnn_core.sensitivity.said import Said, said
from rnn_core.training.losses.head import learned, scored

from .heads import LOSSES, Head, checked_heads
from .mixture import TaskBatch


class MultiTask(Trunk):
    """Reads sequences of features or of tokens with one core, and answers with a head for each task.

    Parameters
    ----------
    heads : mapping of str to Head
        The tasks, by names that Python could use.
    hidden_size, input_size, vocab_size, embedding_size, padding_idx, num_layers, cell, nonlinearity, bidirectional
        As in `SequenceClassifier`. What goes in is the same for all tasks.
    cell_options, dropout, backend, dtype, precision, seed, front
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
        cell_options: Mapping[str, Any] | None = None,
        bidirectional: bool = False,
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        front: Mapping[str, Any] | None = None,
    ) -> None:
        self.heads = checked_heads(heads)
        built = self._build(
            "MultiTask", {f"heads.{task}": (head.outputs, head.pooling) for task, head in self.heads.items()},
            hidden_size=hidden_size, input_size=input_size, vocab_size=vocab_size, embedding_size=embedding_size,
            padding_idx=padding_idx, num_layers=num_layers, cell=cell, nonlinearity=nonlinearity,
            bidirectional=bidirectional, dropout=dropout, backend=backend, dtype=dtype, precision=precision,
            seed=seed, front=front, cell_options=cell_options,
        )  # fmt: skip
        parts = {task: asdict(head) for task, head in self.heads.items()}
        self.config = arguments(MultiTask, {**built, "heads": parts})

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
        outputs, _ = self._infer(where, self.branches[f"heads.{task}"], x, None, lengths)
        return head.squeezed(outputs)

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
            head, branch = self._head("MultiTask.__call__", task), self.branches[f"heads.{task}"]
            p, _ = self._infer_below("MultiTask.__call__", branch, part.inputs, None, part.lengths)
            targets, weights = self._targets(where, task, part, p)
            if head.loss == "softmax":
                mean, right = scored(branch.head, p, targets, weights)
            else:
                outputs = head.squeezed(branch.head(p))
                mean = LOSSES[head.loss].forward(outputs, targets, weights)[0].item()
                right = head.right(outputs, targets)
            part_count = total(weights, head.rows(targets))
            loss += mean * part_count
            count += part_count
            correct += total_of(right, weights)
        return Evaluation(loss, count, correct, None)

    def _part(
        self, where: str, task: str, batch: Batch, needs: frozenset[str], rng: np.random.Generator | None
    ) -> tuple[float, dict[str, Array], float]:
        """Return the loss of one task, its gradients times the task's weight, and the number of its targets."""
        head, branch = self._head(where, task), self.branches[f"heads.{task}"]
        p, _, tape = self._forward_below(where, branch, batch.inputs, None, batch.lengths, rng)
        targets, weights = self._targets(where, task, batch, p)
        criterion, of_head = LOSSES[head.loss], self._head_needs(branch, needs)
        if head.loss == "softmax":
            loss, dp, gradients = learned(branch.head, p, targets, weights, of_head, head.weight)  # (X42)
        else:
            outputs, of_outputs = branch.head.forward(p)
            mean, of_loss = criterion.forward(head.squeezed(outputs), targets, weights)
            # What follows is linear in this, so that here one product weighs every gradient.
            doutputs = array_namespace(p).reshape(head.weight * criterion.backward(of_loss), outputs.shape)  # (X42)
            loss, (dp, gradients) = mean.item(), branch.head.backward(of_outputs, doutputs, of_head)
        _, _, gradients = self._backward_below(tape, dp, named(branch.part, gradients), None, needs)
        return loss, self._in_order(gradients), total(weights, head.rows(targets))

    def _head(self, where: str, task: str) -> Head:
        if task not in self.heads:
            raise ValueError(f"{where}: task must be one of {', '.join(self.heads)}, got {task!r}")
        return self.heads[task]

    def _targets(self, where: str, task: str, batch: Batch, p: Array) -> tuple[Array, Array | None]:
        """Return the targets of what a head reads, a valid one in the padding, and how much each counts.

        Both stay where they were.
        """
        head, rows = self.heads[task], tuple(p.shape[:-1])
        shape = rows if head.loss == "softmax" or head.outputs == 1 else (*rows, head.outputs)
        return as_targets(where, batch, shape, array_namespace(p), rows=rows, of=f" of {task}")


@said.register
def _said(model: MultiTask, batch: Any, state: Any, needs: frozenset[str], rng: Any) -> Said:
    """Return what all heads that are asked say: an output a task."""
    where = "MultiTask.loss_and_gradients"
    rng = mask_generator(rng, model.dropout.p, where)
    found, ways = {}, {}
    for task, part in _parts(where, batch).items():
        head, branch = model._head(where, task), model.branches[f"heads.{task}"]
        p, _, tape = model._forward_below(where, branch, part.inputs, None, part.lengths, rng)
        z, of_head = branch.head.forward(p)
        targets, weights = model._targets(where, task, part, p)
        criterion, outputs = LOSSES[head.loss], z if head.loss == "softmax" else head.squeezed(z)
        _, of_loss = criterion.forward(outputs, targets, weights)
        found[task] = array_namespace(z).reshape(head.weight * criterion.backward(of_loss), z.shape)  # (X42)
        ways[task] = tape._replace(head=of_head)

    def backward(w: Mapping[str, Array]) -> dict[str, Array]:
        sums = {name: array_namespace(model.parameters[name]).zeros_like(model.parameters[name]) for name in needs}
        for task, tape in ways.items():
            for name, gradient in model._backward(tape, w[task], None, needs)[2].items():
                sums[name] = sums[name] + dense(gradient)
        return sums

    return Said(found, backward)


def _parts(where: str, batch: Any) -> dict[str, Batch]:
    if not isinstance(batch, TaskBatch) or not batch.tasks:
        raise TypeError(
            f"{where}: batch must be a TaskBatch with a batch for at least one task, got {type(batch).__name__}; "
            "a Mixture makes them"
        )
    return batch.tasks
