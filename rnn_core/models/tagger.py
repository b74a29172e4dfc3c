"""`SequenceTagger`: which tag has each step? Stacked cells, and a softmax at every step or a chain over all of them.

::

    e_t = x_t                       features, or
    e_t = m ⊙ W_e[k_t]              embedding of token k_t, or what another front makes     (E1), (D1)
    y_t = core(e_t)                 RNN, LSTM or GRU, in one direction or two
    z_t = W_v (m ⊙ y_t) + b_v       a score for each tag                                    (D1), (F1)
    L                               softmax cross-entropy of z_t at every step, or          (S1), (M1)
                                    a linear-chain CRF over z_1 … z_ℓ                       (CR1)–(CR8)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.checks import flag, positive_int
from ..layers.crf import CRF, Constraints
from ..layers.home import move
from ..training.losses import SoftmaxCrossEntropy
from .base import Evaluation, needed, softmax
from .base import named as by_model
from .inputs import as_targets, total, total_of, valid_steps
from .single_head import SingleHead
from .trunk import Tape, arguments


class SequenceTagger(SingleHead):
    """Predicts a tag for each step of a sequence, of features or of tokens.

    A batch's targets are tags, (B, T), its weights (B, T) or (B,). A step of weight 0 has no known tag and counts
    nothing, as a special token; targets past a row's length count nothing either. With a CRF the other weights must be
    alike within a row, because a row's loss is that of all its tags; see `CRF.forward`. No state is carried from batch
    to batch.

    Parameters
    ----------
    num_tags : int
        K.
    hidden_size : int
        H.
    input_size : int, optional
        I, for sequences of features.
    vocab_size : int, optional
        V, for sequences of tokens. One of the two sizes must be given, and not both, unless there is a `front`.
    embedding_size : int, optional
        E, with `vocab_size` alone; H by default.
    padding_idx : int, optional
        With `vocab_size` alone: a token that stands for nothing; its vector is zero and has no gradient.
    num_layers : int
        Cells stacked on one another.
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layer takes by keyword, such as a cell's own options: ``{"alpha": 0.3}``.
    bidirectional : bool
        The core reads each row in both directions, so that a tag depends on what follows, too.
    crf : bool
        A linear-chain conditional random field on top, so that tags know of their neighbours [1]_; without it each has
        a softmax of its own.
    constraints : Constraints or mapping, optional
        With a CRF alone: which tags may follow one another, begin and end. `rnn_core.layers.crf.constraints_of` makes
        them from names. What is predicted keeps to them.
    constrained_training : bool
        The loss keeps to them as well; every row's tags must then do so.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped on a way that is not recurrent: from the embedding
        to the core, between its layers, and from the core to the head. Features are left as they are.
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

    Attributes
    ----------
    crf : CRF or None

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
    (K, directions·H), ``head.bias`` (K,) and, of a CRF, ``crf.transitions`` (K, K), ``crf.start`` and ``crf.end`` (K,).

    References
    ----------
    .. [1] Z. Huang, W. Xu, K. Yu, "Bidirectional LSTM-CRF models for sequence tagging", arXiv:1508.01991v1 (2015).
    """

    def __init__(
        self,
        num_tags: int,
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
        bidirectional: bool = True,
        crf: bool = False,
        constraints: Constraints | Mapping[str, Any] | None = None,
        constrained_training: bool = False,
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        front: Mapping[str, Any] | None = None,
    ) -> None:
        name = "SequenceTagger"
        self.num_tags = positive_int(name, "num_tags", num_tags)
        chained, constrained_training = flag(name, "crf", crf), flag(name, "constrained_training", constrained_training)
        if not chained and (constraints is not None or constrained_training):
            raise ValueError(f"{name}: constraints and constrained_training must be left out without crf=True")
        built = self._build(
            name, {"head": (self.num_tags, None)}, hidden_size=hidden_size, input_size=input_size,
            vocab_size=vocab_size, embedding_size=embedding_size, padding_idx=padding_idx, num_layers=num_layers,
            cell=cell, nonlinearity=nonlinearity, bidirectional=bidirectional, dropout=dropout, backend=backend,
            dtype=dtype, precision=precision, seed=seed, front=front, cell_options=cell_options,
        )  # fmt: skip
        self.hidden_size = built["hidden_size"]
        self.crf: CRF | None = None
        self.loss = SoftmaxCrossEntropy()
        if chained:
            self.loss = self.crf = CRF(
                self.num_tags, constraints=constraints, constrained_training=constrained_training,
                backend=built["backend"], dtype=dtype,
            )  # fmt: skip
            self._compose({**self.layers, "crf": self.crf})
        told = {"crf": chained, "constraints": None, "constrained_training": constrained_training}
        if self.crf is not None:
            told["constraints"] = self.crf.config["constraints"]
        self.config = arguments(SequenceTagger, {**built, "num_tags": self.num_tags, **told})

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `backward` may be asked for: all but those of a CRF, of which the emissions know nothing."""
        return tuple(name for name in super().gradient_names if not name.startswith("crf."))

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return emissions without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first value.
        """
        return self._infer("SequenceTagger.__call__", self._branch, x, None, lengths)[0]

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
        emissions : ndarray, shape (B, T, K)
            z, a score for each tag at each step: the logits of a softmax, or what a CRF reads. Past a row's length they
            mean nothing.
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
        z, _, tape = self._forward("SequenceTagger.forward", self._branch, x, None, lengths, rng)
        return z, tape

    def backward(
        self, tape: Tape, demissions: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂emissions.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        demissions : ndarray, shape (B, T, K)
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed: below the
            lowest wanted layer nothing is walked back through. Those of a CRF come from `loss_and_gradients`.

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
        dx, _, grads = self._from_logits("SequenceTagger.backward", "second", tape, demissions, None, needs)
        return dx, grads

    def predict(self, x: Array, lengths: Any = None) -> Array:
        """Return the likeliest tag of each step or, with a CRF, the likeliest sequence: (B, T), 0 past a row's length.

        Parameters and errors are `forward`'s.
        """
        z, lengths = self._emissions("SequenceTagger.predict", x, lengths)
        return self._tags(z, lengths)

    def predict_proba(self, x: Array, lengths: Any = None) -> Array:
        """Return the probability of each tag at each step, (B, T, K), 0 past a row's length.

        Of a CRF it is the marginal, over all sequences that its constraints allow. Parameters and errors are
        `forward`'s.
        """
        z, lengths = self._emissions("SequenceTagger.predict_proba", x, lengths)
        if self.crf is not None:
            return self.crf.marginals(z, lengths)
        xp, p = array_namespace(z), softmax(z)
        return p if lengths is None else xp.where(valid_steps(xp, lengths, z.shape[1])[..., None], p, 0)

    def _emissions(self, where: str, x: Any, lengths: Any) -> tuple[Array, np.ndarray | None]:
        """Return emissions, and lengths as they were checked."""
        y, _, lengths = self._hidden(where, x, None, lengths)
        return self.head(y), lengths

    def _tags(self, z: Array, lengths: np.ndarray | None) -> Array:
        """Return the tags that emissions tell."""
        if self.crf is not None:
            return self.crf.decode(z, lengths)[0]
        xp, tags = array_namespace(z), self._decide(z)
        return tags if lengths is None else xp.where(valid_steps(xp, lengths, z.shape[1]), tags, 0)

    def _above(
        self, where: str, batch: Batch, z: Array, needs: frozenset[str]
    ) -> tuple[Array, Array, float, dict[str, Array]]:
        if self.crf is None:
            return super()._above(where, batch, z, needs)
        tags, weights = self._targets(where, batch, z)
        loss, tape = self.crf.forward(z, tags, batch.lengths, weights)
        dz: Any
        dz, gradients = self.crf.backward(tape, {"emissions", *needed(needs, "crf")})
        return loss, dz, total(weights, tags.shape), by_model("crf", gradients)

    def _score(self, where: str, batch: Batch, z: Array, state: Any = None) -> Evaluation:
        if self.crf is None:
            return super()._score(where, batch, z, state)
        tags, weights = self._targets(where, batch, z)
        loss, _ = self.crf.forward(z, tags, batch.lengths, weights)
        count = total(weights, tags.shape)
        right = self.crf.decode(z, batch.lengths)[0] == move(tags, array_namespace(z))
        return Evaluation(loss.item() * count, count, total_of(right, weights), state)

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        return as_targets(where, batch, tuple(logits.shape[:2]), array_namespace(logits), why=", a tag for each step")
