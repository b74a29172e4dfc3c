"""`ConvClassifier`: which class is it? Convolutions over one axis or two, and a head.

::

    f = pool(relu(conv(x))), several times       blocks                    (CV1), (CV2), (CP1) or (CP2)
    p = all numbers of f in a row, or the mean of each channel             (CP3)
    q = relu(W_h p + b_h)                        where there is a hidden layer                (F1), (CV2)
    z = W_v (m ⊙ q) + b_v                        a score for each class                       (D1), (F1)
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..foreign import shown
from ..layers.base import Layer
from ..layers.checks import as_array, check_activations, check_seed, checked_dtype, positive_int
from ..layers.convolution.blocks import ConvBlocks, checked_channels
from ..layers.convolution.pointwise import Flatten, ReLU
from ..layers.convolution.pools import GlobalAvgPool
from ..layers.dropout import Dropout, mask_generator
from ..layers.linear import Linear
from ..layers.passes import Ready
from ..training.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from .base import named, needed, seeds
from .inputs import as_targets
from .single_head import OneLoss

SUMMARIES: dict[str, Any] = {"flatten": Flatten, "mean": GlobalAvgPool}
"""How the last block's output becomes one row of numbers, by the word for ``summary=``."""


class ConvTape(NamedTuple):
    """What `ConvClassifier.backward` needs: the tape of each layer, in order. Opaque to the caller."""

    owner: ConvClassifier
    shape: tuple[int, ...]  # of x, as it was given
    blocks: Any
    summary: Any
    hidden: Any  # None without a hidden layer
    relu: Any  # None without a hidden layer
    dropout: Any
    head: Any


class ConvClassifier(OneLoss):
    """Predicts one class for each image, or for each sequence of one size.

    A batch's inputs are (B, C, L) or (B, C, H, W); a single channel needs no axis. Its targets, (B,), are classes or,
    for one sigmoid, 0 or 1 or a probability; its weights are (B,).

    Parameters
    ----------
    num_classes : int
        One class is one sigmoid: the probability of yes, against no.
    input_shape : sequence of int
        (C, L) or (C, H, W). With ``summary="mean"`` L, H and W may differ from batch to batch.
    channels : sequence of int
        Output channels of each block.
    kernel_size, stride, padding, dilation
        Of every convolution, as in `Conv1d` and `Conv2d`.
    pool : int, pair of int or None
        The windows that each block is pooled over; None for none.
    pooling : {"max", "mean"}
        Of these windows.
    summary : {"flatten", "mean"}
        How the last block's output becomes one row: all numbers, or the mean of each channel over its places.
    hidden_size : int, optional
        Units of a layer between that and the head; none without it.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped before the head.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where all arrays live: with "cuda" on the GPU.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Draws the parameters.

    Raises
    ------
    ValueError
        A size is below 1, a probability is not one, an option has no such value, or a block leaves nothing.
    TypeError
        A size is not an int, or the dtype is none of the above.

    Notes
    -----
    Parameters: ``conv.0.weight`` and ``conv.0.bias``, ``conv.1.…`` and so on as `Conv1d` or `Conv2d`, ``hidden.…`` and
    ``head.…`` as `Linear`. ``Plan(frozen=("conv.*",))`` trains the head alone, upon convolutions that stay as they are.
    """

    carries = False

    def __init__(
        self,
        num_classes: int,
        input_shape: Any,
        *,
        channels: Any = (16, 32),
        kernel_size: Any = 3,
        stride: Any = 1,
        padding: Any = "same",
        dilation: Any = 1,
        pool: Any = 2,
        pooling: str = "max",
        summary: str = "flatten",
        hidden_size: int | None = None,
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        name = "ConvClassifier"
        self.num_classes = positive_int(name, "num_classes", num_classes)
        dtype, seed = checked_dtype(name, dtype), check_seed(name, seed)
        channels = checked_channels(name, channels)
        if summary not in SUMMARIES:
            raise ValueError(f"{name}: summary must be one of {', '.join(map(repr, SUMMARIES))}, got {shown(summary)}")
        hidden_seed, head_seed, *conv_seeds = seeds(seed, 2 + len(channels))
        made: dict[str, Any] = {"backend": backend, "dtype": dtype}
        options = {
            "kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation, "pool": pool,
            "pooling": pooling,
        }  # fmt: skip
        self.blocks = ConvBlocks(name, input_shape, channels=channels, seeds=conv_seeds, **options, **made)
        self.summary, self.relu, self.dropout = SUMMARIES[summary](), ReLU(), Dropout(dropout)
        width = prod(self.blocks.shape) if summary == "flatten" else channels[-1]
        layers: dict[str, Layer] = dict(self.blocks.layers)
        self.hidden: Linear | None = None
        if hidden_size is not None:
            H = positive_int(name, "hidden_size", hidden_size)
            layers["hidden"] = self.hidden = Linear(width, H, seed=hidden_seed, **made)
            width = H
        layers["head"] = self._head = Linear(width, self.num_classes, seed=head_seed, **made)
        self._compose(layers)
        self.loss = BinaryCrossEntropy() if self.num_classes == 1 else SoftmaxCrossEntropy()
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
        self.config = {
            "num_classes": self.num_classes, "input_shape": list(self.blocks.input_shape), "channels": list(channels),
            **plain, "summary": summary, "hidden_size": hidden_size, "dropout": self.dropout.p, "backend": backend,
            "dtype": dtype.name, "seed": seed,
        }  # fmt: skip

    @property
    def head(self) -> Linear:
        """The affine map on top."""
        return self._head

    def __call__(self, x: Array) -> Array:
        """Return logits without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first value.
        """
        return self._logits(self._head(self._features("ConvClassifier.__call__", x, None, None)[0]))

    def forward(self, x: Array, *, rng: np.random.Generator | int | None = None) -> tuple[Array, ConvTape]:
        """Run the model for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        x : ndarray, shape (B, C, L) or (B, C, H, W)
            Of the model's dtype; a single channel needs no axis.
        rng : Generator or int, optional
            Draws the dropout mask; the same int, the same mask. Without it every call differs.

        Returns
        -------
        logits : ndarray, shape (B, num_classes), or (B,) for one class
        tape : ConvTape
            For `backward`. It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            x has another shape, or a number is NaN or infinite.
        TypeError
            The dtype of x is not the model's.
        """
        q, _, tape = self._features_and_tape("ConvClassifier.forward", x, None, None, rng)
        z, head = self._head.forward(q)  # (F1)
        return self._logits(z), tape._replace(head=head)

    def backward(
        self, tape: ConvTape, dlogits: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂logits.

        Parameters
        ----------
        tape : ConvTape
            From `forward`; it can be used any number of times.
        dlogits : ndarray, shape of logits
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed: below the
            lowest wanted layer nothing is walked back through.

        Returns
        -------
        dx : ndarray, shape of x, or None
            ∂L/∂x; None if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value (NaN, infinity) is not as required, or a name in `needs` doesn't exist.
        """
        dx, _, grads = self._from_logits("ConvClassifier.backward", "second", tape, dlogits, None, needs)
        return dx, grads

    def predict(self, x: Array) -> Array:
        """Return the likeliest class of each row, shape (B,); for one sigmoid 1 or 0.

        Parameters and errors are `forward`'s.
        """
        return self._classes(self(x))

    def predict_proba(self, x: Array) -> Array:
        """Return the probability of each class, shape (B, num_classes); for one sigmoid that of yes, shape (B,).

        Parameters and errors are `forward`'s.
        """
        return self._probabilities(self(x))

    @property
    def _inputs(self) -> tuple[str, ...]:
        return ("x",)

    def _features(self, where: str, x: Any, state: Any, lengths: Any) -> tuple[Array, None]:
        p = self.summary(self.blocks(self._checked(where, x, lengths)))
        return p if self.hidden is None else self.relu(self.hidden(p)), None

    def _features_and_tape(
        self, where: str, x: Any, state: Any, lengths: Any, rng: np.random.Generator | int | None
    ) -> tuple[Array, None, ConvTape]:
        rng = mask_generator(rng, self.dropout.p, where)
        x = as_array(where, "x", x, self.namespace)
        f, blocks = self.blocks.forward(self._checked(where, x, lengths))
        q, summary = self.summary.forward(f)  # (CP3)
        hidden = relu = None
        if self.hidden is not None:
            q, hidden = self.hidden.forward(q)  # (F1)
            q, relu = self.relu.forward(q)  # (CV2)
        q, dropout = self.dropout.forward(q, rng=rng)  # (D1)
        return q, None, ConvTape(self, tuple(x.shape), blocks, summary, hidden, relu, dropout, None)

    def _backward(
        self, tape: ConvTape, dz: Array, dstate: Any, needs: frozenset[str]
    ) -> tuple[Array | None, None, dict[str, Array]]:
        """Return ∂L/∂x and ∂L/∂parameter from ∂L/∂z, as far as needed: the walk back stops at the lowest layer."""
        dq, gradients = self._head.backward(tape.head, dz, self._needed_of_head(needs))  # (F1′)
        dx, grads = self._backward_below(tape, dq, named("head", gradients), needs)
        return dx, None, grads

    def _needed_of_head(self, needs: frozenset[str]) -> set[str]:
        below = any(name == "x" or name.startswith(("conv.", "hidden.")) for name in needs)
        return needed(needs, "head") | ({"x"} if below else set())

    def _backward_features(
        self, tape: ConvTape, dp: Array | None, grads: dict[str, Array], needs: frozenset[str], ready: Ready | None
    ) -> dict[str, Array]:
        return self._backward_below(tape, dp, grads, needs, ready)[1]

    def _backward_below(
        self, tape: ConvTape, dq: Array | None, grads: dict[str, Array], needs: frozenset[str],
        ready: Ready | None = None,
    ) -> tuple[Array | None, dict[str, Array]]:  # fmt: skip
        """Return ∂L/∂x and ∂L/∂parameter from what the head's backward gives, as far as needed."""
        below = {name for name in needs if name == "x" or name.startswith("conv.")}
        hidden = needed(needs, "hidden") | ({"x"} if below else set())
        tell = ready or (lambda _: None)
        tell(grads)
        if dq is None:
            return None, grads
        dq = self.dropout.backward(tape.dropout, dq)  # (D1′)
        if self.hidden is not None:
            dq, gradients = self.hidden.backward(
                tape.hidden, self.relu.backward(tape.relu, dq), hidden
            )  # (F1′), (CV2′)
            grads = grads | named("hidden", gradients)
            tell(named("hidden", gradients))
        if not below:
            return None, grads
        dx, gradients = self.blocks.backward(tape.blocks, self.summary.backward(tape.summary, dq), below)  # (CP3′)
        if dx is not None:  # with the axis of the channels, or without, as x was
            dx = array_namespace(dx).reshape(dx, tape.shape)
        return dx, grads | gradients

    def _checked(self, where: str, x: Any, lengths: Any) -> Array:
        """Return x (B, C, …), where the model lives."""
        shape, xp = self.blocks.input_shape, self.namespace
        x = as_array(where, "x", x, xp)
        if lengths is not None:
            raise ValueError(
                f"{where}: lengths must be left out, got some; rows of unequal length are read by a SequenceClassifier "
                "with front={'kind': 'over time', …}"
            )
        if shape[0] == 1 and x.ndim == len(shape):
            x = x[:, None]
        free = isinstance(self.summary, GlobalAvgPool)
        fits = x.ndim == len(shape) + 1 and (tuple(x.shape[1:]) == shape or (free and x.shape[1] == shape[0]))
        if not fits or 0 in x.shape:
            raise ValueError(
                f"{where}: x must have shape (B, {', '.join(map(str, shape))}), got {tuple(x.shape)}; input_shape is "
                f"{shape}"
            )
        if x.dtype != self.dtype:
            raise TypeError(f"{where}: x must be {self.dtype}, got {x.dtype}; convert it with astype(np.{self.dtype})")
        check_activations(where, "x", x)
        return x

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        return as_targets(where, batch, tuple(logits.shape[:1]), array_namespace(logits), why=", one for each row")
