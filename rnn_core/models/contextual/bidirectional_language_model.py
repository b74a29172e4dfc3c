"""`BidirectionalLanguageModel`: what stands here, told from all before it, and again from all behind it.

::

    →h_{t,0} = ←h_{t,0} = m ⊙ W_e[k_t]                   embedding of token k_t, for both halves        (E1), (D1)
    →h_{t,j} = →core_j(→h_{t,j−1}, →h_{t−1,j})           from a row's first token to its last           (CF1)
    ←h_{t,j} = ←core_j(←h_{t,j−1}, ←h_{t+1,j})           from its last token to its first               (CF2)
    →z_t, ←z_t = W_v (m ⊙ →h_{t,L}) + b_v, …             logits of token t + 1, and of token t − 1      (D1), (F1)
    L = Σ_d c_d L_d / Σ_d c_d                            of both halves d, each with c_d targets        (CF3)

L_d is the mean over a half's targets (M1) of the softmax cross-entropy (S1). Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...data.batches import Batch
from ...layers.checks import check_array, check_needs, check_seed, checked_dtype, flag, positive_int
from ...layers.dropout import Dropout, mask_generator
from ...layers.embedding import Embedding, summed
from ...layers.layout import describe
from ...layers.passes import Ready
from ...training.losses import SoftmaxCrossEntropy
from ...training.losses.head import learned, scored
from ..base import Evaluation, Model, Step, named, ready_with
from ..cores import kept_options, word_of_cell
from ..fronts.front import Front
from ..inputs import total_of, valid_steps
from .halves import PARTS, Half, HalfTape, Question, questions
from .making import made_layers


class Tape(NamedTuple):
    """What `backward` needs. Opaque to the caller."""

    owner: BidirectionalLanguageModel
    front: Any
    dropout_in: Any
    halves: tuple[HalfTape, ...]


class BidirectionalLanguageModel(Model):
    """Two language models trained together: one reads each row forwards, the other backwards [1]_.

    They share the embedding and, unless told otherwise, the head, and nothing else: neither sees what the other has
    read. Their states of all layers are features of each token in its context, by `contextual_features`.

    A batch's inputs are tokens (B, T), and its targets the same tokens: at step t the forward half is asked for token
    t + 1, the backward half for token t − 1. So the first and the last token of a row are asked of one half alone, and
    a row of one token is asked of none; `rnn_core.data.bounded` puts a begin and an end around each row. Weights,
    (B, T) or (B,), say how much a token counts as a target. Past a row's length anything may stand. No state is carried
    from batch to batch: `rnn_core.data.windows` cuts a long text into rows.

    Parameters
    ----------
    vocab_size, hidden_size : int
        V and H. The embedding has H columns, too, since its vectors are weighed against states: as many as the cores
        put out.
    num_layers : int
        Cells stacked on one another, in each half.
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layers take by keyword, such as a cell's own options: ``{"alpha": 0.3}``.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped on a way that is not recurrent: from the embedding
        to the cores, between their layers, and from the cores to the head.
    shared_head : bool
        Both halves have one head, as in [1]_; otherwise each has its own.
    tied : bool
        The shared head uses the embedding's matrix.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the cores run, and so where all arrays live: with "cuda" on the GPU. The best one present on the host by
        default.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    precision : {"float32", "bfloat16"}
        In what core and head multiply; see `LSTM` and `Linear`. All else is in `dtype`.
    seed : int, optional
        Draws the parameters.
    front : mapping, optional
        In the place of the embedding, what makes H features of what comes in at each step: its ``kind``, one of
        `rnn_core.models.fronts`, and what that is built from. The targets are tokens all the same.

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
    Parameters: ``embedding.weight`` (V, H), ``forward.…`` and ``backward.…`` as `RNN`, `LSTM` or `GRU`, ``head.weight``
    (V, H) and ``head.bias`` (V,); without a shared head ``head_forward.…`` and ``head_backward.…``.

    The loss is the mean over the targets of both halves, so that its exponential is a perplexity; [1]_ has the sum.

    References
    ----------
    .. [1] M. E. Peters, M. Neumann, M. Iyyer, M. Gardner, C. Clark, K. Lee, L. Zettlemoyer, "Deep contextualized word
       representations", arXiv:1802.05365v2 (2018), section 3.1. Its cores have projections and a residual connection;
       these have not.
    """

    front: Front
    embedding: Embedding | None
    halves: tuple[Half, Half]

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        *,
        num_layers: int = 2,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        shared_head: bool = True,
        tied: bool = False,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        front: Mapping[str, Any] | None = None,
    ) -> None:
        name = type(self).__name__
        self.vocab_size = positive_int(name, "vocab_size", vocab_size)
        self.hidden_size = positive_int(name, "hidden_size", hidden_size)
        self.shared_head, self.tied = flag(name, "shared_head", shared_head), flag(name, "tied", tied)
        dtype, seed = checked_dtype(name, dtype), check_seed(name, seed)
        self.front, self.halves, layers = made_layers(
            name, vocab_size=self.vocab_size, hidden_size=self.hidden_size, num_layers=num_layers, cell=cell,
            nonlinearity=nonlinearity, dropout=dropout, shared_head=self.shared_head, tied=self.tied, front=front,
            backend=backend, dtype=dtype, precision=precision, seed=seed, cell_options=cell_options,
        )  # fmt: skip
        core = self.halves[0].core
        self.spec, self.num_layers, self.dropout = core.spec, core.num_layers, Dropout(dropout)
        self.embedding = embedding if isinstance(embedding := layers.get("embedding"), Embedding) else None
        self.loss = SoftmaxCrossEntropy()
        self._compose(layers)
        self.config = {
            "vocab_size": self.vocab_size, "hidden_size": self.hidden_size, "num_layers": self.num_layers,
            "cell": word_of_cell(cell), "nonlinearity": nonlinearity, "dropout": self.dropout.p,
            "shared_head": self.shared_head, "tied": self.tied, "backend": core.backend, "dtype": dtype.name,
            "seed": seed, "front": self.front.config,
        }  # fmt: skip
        if precision != "float32":
            self.config["precision"] = precision
        if kept := kept_options(core, cell_options):
            self.config["cell_options"] = kept

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: every parameter."""
        return tuple(self.parameters)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Parameter names by group, from the input upwards: embedding, forward.l0, backward.l0, forward.l1, …, head."""
        found = super().groups
        levels = [f"{part}.l{k}" for k in range(self.num_layers) for part in PARTS]
        below = [name for name in found if name not in levels and not name.startswith("head")]
        return {name: found[name] for name in (*below, *levels, *(name for name in found if name.startswith("head")))}

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary: one row a token."""
        words = {} if self.embedding is None else {"embedding.weight": None}
        words |= {f"{half.head_part}.{name}": None for half in self.halves for name in half.head.parameters}
        return tuple(name for name in words if name in self.parameters)

    def __call__(self, tokens: Array, lengths: Any = None) -> tuple[Array, Array]:
        """Return the logits of both halves without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first value.
        """
        first, second = (half.head(p) for half, p in zip(self.halves, self._read(tokens, lengths), strict=True))
        return first, second

    def states(self, tokens: Array, lengths: Any = None) -> Array:
        """Return the states of all layers, (B, T, L + 1, 2·H), without keeping a tape; dropout is off.

        Layer 0 is the embedding, twice; the others are the forward half's states beside the backward half's. The first
        H features of a step tell of no later token, the last H of no earlier one. Past a row's length all are zero.

        Parameters and errors are `forward`'s.
        """
        e, lengths = self._embedded(f"{type(self).__name__}.states", tokens, lengths)
        xp = array_namespace(e)
        if lengths is not None:
            e = xp.where(valid_steps(xp, lengths, e.shape[1])[:, :, None], e, 0)
        sides = [[e, *half.states(e, lengths)] for half in self.halves]  # (CF1), (CF2)
        return xp.stack([xp.concat(pair, axis=-1) for pair in zip(*sides, strict=True)], axis=2)  # (CF4)

    def forward(
        self, tokens: Array, lengths: Any = None, *, rng: np.random.Generator | int | None = None
    ) -> tuple[tuple[Array, Array], Tape]:
        """Run both halves for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        tokens : array of int, shape (B, T)
            Each at least 0 and below V; with a front, what that reads. Past a row's length anything may stand. A model
            on the GPU takes them from the host, too.
        lengths : array of int, shape (B,), optional
            Valid steps of each row.
        rng : Generator or int, optional
            Draws the dropout masks; the same int, the same masks. Without it every call differs.

        Returns
        -------
        logits : pair of ndarray, each (B, T, V)
            Of the forward half, whose row t predicts token t + 1, and of the backward half, whose row t predicts token
            t − 1. Past a row's length they mean nothing.
        tape : Tape
            For `backward`.

        Raises
        ------
        ValueError
            Tokens are not (B, T), or one is out of range; or a length is not as required. The message says where.
        TypeError
            Tokens or lengths are not integers.
        """
        ps, tape = self._forward_read(tokens, lengths, rng)
        (first, one), (second, other) = (half.head.forward(p) for half, p in zip(self.halves, ps, strict=True))  # (F1)
        halves = tuple(its._replace(head=head) for its, head in zip(tape.halves, (one, other), strict=True))
        return (first, second), tape._replace(halves=halves)

    def _forward_read(
        self, tokens: Array, lengths: Any, rng: np.random.Generator | int | None
    ) -> tuple[tuple[Array, Array], Tape]:
        """Return what both heads read, (B, T, H), and a tape without theirs; dropout is on."""
        where = f"{type(self).__name__}.forward"
        x, lengths = self.front.checked(where, tokens, lengths, self.namespace)
        rng = mask_generator(rng, self.dropout.p, where)
        e, front = self.front.forward(x, lengths, rng)  # (E1)
        e, dropout_in = self.dropout.forward(e, rng=rng)  # (D1)
        (first, one), (second, other) = (half.forward(e, lengths, rng) for half in self.halves)
        return (first, second), Tape(self, front, dropout_in, (one, other))

    def backward(self, tape: Tape, dlogits: Sequence[Array], needs: Iterable[str] | None = None) -> dict[str, Array]:
        """Gradients of a loss L from ∂L/∂logits of both halves.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dlogits : pair of ndarray, each (B, T, V)
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed: below the
            lowest wanted layer nothing is walked back through.

        Returns
        -------
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value (NaN, infinity) is not as required, or a name in `needs` doesn't exist.
        """
        where = f"{type(self).__name__}.backward"
        if not isinstance(tape, Tape) or tape.owner is not self:
            raise TypeError(f"{where}: tape must be the second value of this model's forward, got {describe(tape)}")
        wanted = check_needs(where, needs, self.gradient_names)
        if not isinstance(dlogits, tuple | list) or len(dlogits) != 2:
            raise ValueError(f"{where}: dlogits must be a pair, the forward half's and the backward half's, got "
                             f"{describe(dlogits)}")  # fmt: skip
        shape, why = (*tape.halves[0].head.x.shape[:-1], self.vocab_size), "it is shaped as logits"
        dz = tuple(
            check_array(where, f"dlogits[{k}]", d, shape, self.dtype, why=why, xp=self.namespace)
            for k, d in enumerate(dlogits)
        )
        of_heads = []
        for half, its, dz_half in zip(self.halves, tape.halves, dz, strict=True):
            of_heads.append(half.head.backward(its.head, dz_half, half.needed_of_head(self._wanted(wanted))))  # (F1′)
        return self._in_order(self._backward(tape, of_heads, wanted))

    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
        ready: Callable[[Mapping[str, Array], float], None] | None = None,
    ) -> Step:
        """Return the mean loss of a batch over both halves' targets, and its gradients.

        See `Model.loss_and_gradients`; no state is carried.
        """
        name = type(self).__name__
        wanted = check_needs(f"{name}.backward", self._trainable(needs), self.gradient_names)
        ps, tape = self._forward_read(batch.inputs, batch.lengths, rng)
        asked = questions(f"{name}.loss_and_gradients", batch, tuple(ps[0].shape[:2]), self.namespace)
        count, loss, of_heads = asked[0].count + asked[1].count, 0.0, []
        for half, p, (targets, weights, its) in zip(self.halves, ps, asked, strict=True):
            of_head = half.needed_of_head(self._wanted(wanted))
            if its == 0:
                z, head = half.head.forward(p)
                of_heads.append(half.head.backward(head, array_namespace(z).zeros_like(z), of_head))
                continue
            mean, dp, gradients = learned(half.head, p, targets, weights, of_head, share=its / count)  # (CF3′)
            loss += its / count * mean  # (CF3)
            of_heads.append((dp, gradients))
        gradients = self._backward(tape, of_heads, wanted, ready_with(ready, count))
        return Step(loss, self._in_order(gradients), None, count)

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the summed loss of a batch over both halves' targets and how many were predicted right.

        See `Model.evaluate`; no state is carried.
        """
        first, second = self.evaluate_halves(batch)
        return Evaluation(first.loss + second.loss, first.count + second.count, first.correct + second.correct, None)

    def evaluate_halves(self, batch: Batch) -> tuple[Evaluation, Evaluation]:
        """Return the same of the forward half alone, and of the backward half alone.

        The exponential of the losses' sum over several batches, divided by that of the counts, is a half's perplexity.
        """
        name = type(self).__name__
        ps = self._read(batch.inputs, batch.lengths)
        asked = questions(f"{name}.evaluate", batch, tuple(ps[0].shape[:2]), self.namespace)
        first, second = (self._score(*one) for one in zip(self.halves, ps, asked, strict=True))
        return first, second

    def _score(self, half: Half, p: Array, question: Question) -> Evaluation:
        """Return the summed loss of one half, and how much of it is right."""
        targets, weights, count = question
        if count == 0:
            return Evaluation(0.0, 0, 0, None)
        loss, right = scored(half.head, p, targets, weights)
        return Evaluation(loss * count, count, total_of(right, weights), None)

    def _front_needs(self, needs: frozenset[str]) -> set[str]:
        return {name for part in self.front.layers for name in needs if name.startswith(f"{part}.")}

    def _wanted(self, needs: frozenset[str]) -> frozenset[str]:
        """Return `needs`, and what the halves have to give for all that is below them."""
        front = self._front_needs(needs)
        return needs | ({"x"} if front else set()) | ({"head.weight"} if front and self.tied else set())

    def _backward(
        self, tape: Tape, of_heads: Sequence[Any], needs: frozenset[str], ready: Ready | None = None
    ) -> dict[str, Array]:
        """Return ∂L/∂parameter from what the heads' backward gives, as far as needed: what isn't is not computed.

        That is ∂L/∂p of each half, None if nothing below needs it, and the gradients of its head. `ready` is given
        gradients as soon as they are final, but for those of the front.
        """
        front, wanted = self._front_needs(needs), self._wanted(needs)
        grads: dict[str, Array] = {}
        parts: list[Array] = []  # ∂L/∂e, of each half
        for half, (_, of_head) in zip(self.halves, of_heads, strict=True):
            for name, gradient in named(half.head_part, of_head).items():
                grads[name] = grads[name] + gradient if name in grads else gradient
        if ready is not None:  # a tied matrix, which is no parameter of the head, has its other use below
            ready({name: gradient for name, gradient in grads.items() if name in self.parameters})
        for half, its, (dp, _) in zip(self.halves, tape.halves, of_heads, strict=True):
            de, gradients = half.backward(its, dp, wanted, ready)
            grads |= gradients
            parts += [] if de is None else [de]
        if front:
            de = self.dropout.backward(tape.dropout_in, parts[0] + parts[1])  # (D1′)
            grads |= self.front.backward(tape.front, de, front)[1]  # (E1′)
            if self.tied:
                grads["embedding.weight"] = summed(grads["embedding.weight"], grads.pop("head.weight"))
        return grads

    def _read(self, tokens: Any, lengths: Any) -> tuple[Array, Array]:
        """Return what both heads read, (B, T, H); without a tape and without dropout."""
        e, lengths = self._embedded(f"{type(self).__name__}.__call__", tokens, lengths)
        first, second = (half(e, lengths) for half in self.halves)
        return first, second

    def _embedded(self, where: str, tokens: Any, lengths: Any) -> tuple[Array, np.ndarray | None]:
        """Return what both cores read, (B, T, H), and lengths; without a tape and without dropout."""
        x, lengths = self.front.checked(where, tokens, lengths, self.namespace)
        return self.front(x, lengths), lengths
