"""One of the two language models of a `BidirectionalLanguageModel`, forward above backward, and what each is asked for.

::

    →h_{t,j} = →core_j(→h_{t,j−1}, →h_{t−1,j})           from a row's first token to its last           (CF1)
    ←h_{t,j} = ←core_j(←h_{t,j−1}, ←h_{t+1,j})           from its last token to its first               (CF2)
    z_t = W_v (m ⊙ h_{t,L}) + b_v                        of the token that it reads next                (D1), (F1)

Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...data.batches import Batch
from ...layers.dropout import Dropout
from ...layers.home import to_host
from ...layers.layout import turn
from ...layers.linear import Linear
from ...layers.passes import Ready
from ...layers.stack import Recurrent
from ..base import named, needed, ready_of
from ..inputs import as_targets, total, valid_steps

PARTS = ("forward", "backward")
"""What the cores of the two halves are called among a model's layers, by the direction in which they read."""


class HalfTape(NamedTuple):
    """What `Half.backward` needs. Opaque to the caller."""

    rnn: Any
    dropout_out: Any
    head: Any  # None until it has said something
    lengths: np.ndarray | None


class Half(NamedTuple):
    """A language model that reads rows in one direction; what it says stands at the step of the token last read.

    Attributes
    ----------
    direction : int
        0 from the first token to the last; 1 from a row's last valid token to its first.
    core : Recurrent
    head_part : str
        What its head is called among the model's layers.
    head : Linear
    dropout : Dropout
        On the way from the core to the head.
    """

    direction: int
    core: Recurrent
    head_part: str
    head: Linear
    dropout: Dropout

    def __call__(self, e: Array, lengths: np.ndarray | None) -> Array:
        """Return what the head reads, (B, T, H), from embeddings (B, T, H); dropout is off."""
        y, _ = self.core(self._turned(e, lengths), None, lengths)
        return self._turned(y, lengths)

    def states(self, e: Array, lengths: np.ndarray | None) -> list[Array]:
        """Return what each layer of the core says, (B, T, H), the lowest first; zero past a row's length."""
        ys, _ = self.core.every_layer(self._turned(e, lengths), None, lengths)
        return [self._turned(y, lengths) for y in ys]

    def forward(self, e: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, HalfTape]:
        """Return what the head reads, (B, T, H), from embeddings (B, T, H), and a tape; dropout is on."""
        y, _, rnn = self.core.forward(self._turned(e, lengths), None, lengths, rng=rng)  # (CF1), (CF2)
        y, dropout_out = self.dropout.forward(y, rng=rng)  # (D1)
        return self._turned(y, lengths), HalfTape(rnn, dropout_out, None, lengths)

    def needed_of_head(self, needs: frozenset[str]) -> set[str]:
        """Return what of `needs` belongs to the head, and "x" if anything below it is needed."""
        return needed(needs, self.head_part) | ({"x"} if self._needed_of_core(needs) else set())

    def backward(
        self, tape: HalfTape, dp: Array | None, needs: frozenset[str], ready: Ready | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂e, if "x" is in `needs`, and the core's gradients that are, by the model's names.

        `ready` is given the latter as soon as they are final.
        """
        if dp is None:
            return None, {}
        dy = self.dropout.backward(tape.dropout_out, self._turned(dp, tape.lengths))  # (D1′)
        core, part = self._needed_of_core(needs), PARTS[self.direction]
        de, _, gradients = self.core.backward(
            tape.rnn, dy, None, needs=core, ready=ready_of(part, ready)
        )  # (CF1′), (CF2′)
        return None if de is None else self._turned(de, tape.lengths), named(part, gradients)

    def _needed_of_core(self, needs: frozenset[str]) -> set[str]:
        return needed(needs, PARTS[self.direction]) | needs.intersection({"x"})

    def _turned(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return rows (B, T, ·) in the order in which this half reads them, or back: it is its own inverse."""
        return turn(x.swapaxes(0, 1), lengths, self.direction).swapaxes(0, 1)


class Question(NamedTuple):
    """What a half is asked for in a batch."""

    targets: Array  # (B, T), a valid one everywhere
    weights: Array  # (B, T), how much each counts
    count: float  # type: ignore[assignment]  # how many there are, or the sum of their weights


def questions(where: str, batch: Batch, shape: tuple[int, int], home: Any) -> tuple[Question, Question]:
    """Return what each half is asked for at each step, by a batch whose targets are its own tokens.

    Raises
    ------
    ValueError
        Targets or weights have another shape, or no half is asked for anything.
    """
    targets, weights = as_targets(where, batch, shape, home, why=", the tokens themselves, each at its own step")
    weights = np.ones(shape, bool) if weights is None else weights
    first, second = (_next_tokens(targets, weights, batch.lengths, d) for d in (0, 1))
    if first.count + second.count == 0:
        raise ValueError(
            f"{where}: targets must have a token that counts beside another, got none in {shape[0]} rows; "
            "rnn_core.data.bounded puts a begin and an end around each row"
        )
    return first, second


def _next_tokens(tokens: Array, weights: Array, lengths: Any, direction: int) -> Question:
    """Return token t + 1 for step t or, for direction 1, token t − 1.

    Where the row has none, the target is 0 and counts nothing. Weights are 0 in the padding, and tokens valid.
    """
    targets, counts = (_moved(array, direction) for array in (tokens, weights))
    if direction == 1 and lengths is not None:
        # Behind a row's end the step before is its last token, but that step itself is none.
        xp = array_namespace(counts)
        counts = xp.where(valid_steps(xp, np.asarray(to_host(lengths)), counts.shape[1]), counts, 0)
    return Question(targets, counts, total(counts, ()))


def _moved(array: Array, direction: int) -> Array:
    """Return an array (B, T) that has at step t what stood at t + 1 or, for direction 1, at t − 1; 0 at the end."""
    xp = array_namespace(array)
    nothing = xp.zeros_like(array[:, :1])
    parts = [array[:, 1:], nothing] if direction == 0 else [nothing, array[:, :-1]]
    return xp.concat(parts, axis=1)
