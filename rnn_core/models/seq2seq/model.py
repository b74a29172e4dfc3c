"""`Seq2Seq`: a sequence is read, and another is written. What it is asked, and what it answers.

What it computes stands in `network.py`, `decoder.py` and `rnn_core.layers.Attention`; what it writes is searched for in
`decoding.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...data.batches import Batch
from ...layers.checks import as_found, check_array, check_needs, flag, positive_int
from ...layers.dropout import mask_generator
from ...layers.home import to_host
from ...layers.layout import describe
from ...training.losses import SoftmaxCrossEntropy
from ...training.losses.head import learned, scored
from ..base import Evaluation, Step, named, ready_with
from ..inputs import target_weights, total, total_of, valid_steps
from ..trunk import arguments
from .decoding import Hypothesis, decode, sample
from .network import Network, Tape

ATTENTIONS = ("dot", "general", "additive")


class Seq2Seq(Network):
    """Reads a sequence and writes another, whose length it decides itself.

    **Tokens.** What is written are tokens of a vocabulary in which **0 is the end**. A target is the tokens y_1 … y_n,
    none of them 0, and then a 0, which is predicted and counted like the others: so the network learns when to stop.
    The same 0 stands before the first token, as what the decoder reads first, and behind the end, as padding. One token
    is thus beginning, end and padding, and a `Tokenizer`, which keeps 0 free, needs no others.

    A batch's ``inputs`` are what is read: tokens (B, Tx), or features (B, Tx, I), with their ``lengths``. Its
    ``targets`` are tokens (B, Ty): a row ends with its first 0, and what follows counts nothing, whatever it is; in a
    row without a 0 every token counts. Its ``weights`` are (B, Ty) or (B,). While it is trained, the network reads the
    right tokens before each step, not its own (teacher forcing). `Pairs` makes such batches.

    Parameters
    ----------
    target_vocab_size, hidden_size : int
        V, the size of the vocabulary that is written, the 0 included, and H: of each of the encoder's directions.
    vocab_size, input_size : int, optional
        Of the tokens or of the features that are read; exactly one of the two, unless there is a `front`.
    embedding_size : int, optional
        E, of the tokens read and written; H by default.
    front : dict, optional
        What else makes of what is read the features of the encoder; see `rnn_core.models.fronts`.
    num_layers : int
        Cells stacked on one another, in the encoder and in the decoder.
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layers take by keyword, such as a cell's own options: ``{"alpha": 0.3}``.
    bidirectional : bool
        The encoder reads in both directions.
    decoder_size : int, optional
        H_d, of the decoder's cells; H by default. Where it is the size of what the encoder hands over, H or, for both
        directions, 2·H, each layer's final state begins the decoder's layer as it is; otherwise an affine map of it
        does (``bridge``).
    attention : {"general", "dot", "additive"} or None
        How the decoder looks at what was read [1]_, [2]_; None leaves it with the encoder's last state. "dot" needs
        decoder_size = H or, in both directions, 2·H.
    input_feeding : bool
        The decoder reads what attention found in the step before, too [1]_. Each step then waits for the one
        before; without it the decoder's cells run over all steps at once, in the kernels.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped on a way that is not recurrent: behind both
        embeddings, between layers, and before the head.
    tied : bool
        The head uses the matrix of the embedding of what is written; E must be H_d.
    shared : bool
        What is read and what is written have one vocabulary and one embedding; `vocab_size` must be
        `target_vocab_size`.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the cores run, and so where all arrays live.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    precision : {"float32", "bfloat16"}
        In what core and head multiply; see `LSTM` and `Linear`. All else is in `dtype`.
    seed : int, optional
        Draws the parameters.

    Raises
    ------
    ValueError
        A size is below 1, sizes don't fit one another, or an option has no such value.
    TypeError
        A size is not an int, or the dtype is none of the above.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Parameters: of the encoder, as of a `SequenceClassifier`, ``embedding.weight`` and ``rnn.…``; ``bridge.…`` as
    `Bridge`, if there is one; ``target_embedding.weight`` (V, E), unless it is shared; ``decoder.…`` as `RNN`, `LSTM`
    or `GRU`, which with input feeding reads E + H_d features; ``attention.…`` as `Attention`; ``head.weight`` (V, H_d),
    unless it is tied, and ``head.bias``.

    References
    ----------
    .. [1] M.-T. Luong, H. Pham, C. D. Manning, "Effective approaches to attention-based neural machine translation",
       EMNLP 2015, arXiv:1508.04025v5; input feeding in section 3.3.
    .. [2] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align and translate",
       ICLR 2015, arXiv:1409.0473v7.
    .. [3] I. Sutskever, O. Vinyals, Q. V. Le, "Sequence to sequence learning with neural networks", NIPS 2014,
       arXiv:1409.3215v3: without attention.
    """

    def __init__(
        self,
        target_vocab_size: int,
        hidden_size: int,
        *,
        vocab_size: int | None = None,
        input_size: int | None = None,
        embedding_size: int | None = None,
        front: Any = None,
        num_layers: int = 1,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        bidirectional: bool = True,
        decoder_size: int | None = None,
        attention: str | None = "general",
        input_feeding: bool = False,
        dropout: float = 0.0,
        tied: bool = False,
        shared: bool = False,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
    ) -> None:
        name = "Seq2Seq"
        V = self.target_vocab_size = positive_int(name, "target_vocab_size", target_vocab_size)
        H = positive_int(name, "hidden_size", hidden_size)
        E = H if embedding_size is None else positive_int(name, "embedding_size", embedding_size)
        size = H if decoder_size is None else positive_int(name, "decoder_size", decoder_size)
        _check_attention(name, attention, flag(name, "input_feeding", input_feeding))
        _check_shared(name, flag(name, "shared", shared), vocab_size, V)
        built = self._build(
            name, {}, hidden_size=H, input_size=input_size, vocab_size=vocab_size,
            embedding_size=None if vocab_size is None else E, front=front, num_layers=num_layers, cell=cell,
            nonlinearity=nonlinearity, bidirectional=flag(name, "bidirectional", bidirectional), dropout=dropout,
            backend=backend, dtype=dtype, precision=precision, seed=seed, cell_options=cell_options,
        )  # fmt: skip
        self.tied, self.shared = flag(name, "tied", tied), shared
        self._build_decoder(name, V, E, size, attention, input_feeding, built)
        self.loss = SoftmaxCrossEntropy()
        self.config = arguments(Seq2Seq, {
            **built, "target_vocab_size": V, "embedding_size": E, "decoder_size": size, "attention": attention,
            "input_feeding": input_feeding, "tied": tied, "shared": shared,
        })  # fmt: skip

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary that is read: one row a token."""
        own = super().vocabulary_parameters
        names = (*own, "head.weight", "head.bias") if self.shared else own
        return tuple(name for name in names if name in self.parameters)

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x, where it is features, and parameters."""
        return (*self._inputs, *self.parameters)

    def __call__(self, x: Array, targets: Array, lengths: Any = None) -> tuple[Array, Array | None]:
        """Return logits and weights without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first two values.
        """
        where = "Seq2Seq.__call__"
        u, weights = self._written(where, x, targets, lengths)
        return self.head(u), weights

    def forward(
        self, x: Array, targets: Array, lengths: Any = None, *, rng: np.random.Generator | int | None = None
    ) -> tuple[Array, Array | None, Tape]:
        """Read, and predict each token from those before it: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        x : array of int, shape (B, Tx), or ndarray, shape (B, Tx, I)
            What is read: tokens or features.
        targets : array of int, shape (B, Ty)
            What is written, each row up to its first 0, which it ends with; behind that anything may stand.
        lengths : array of int, shape (B,), optional
            Valid steps of each row of x.
        rng : Generator or int, optional
            Draws the dropout masks; the same int, the same masks. Without it every call differs.

        Returns
        -------
        logits : ndarray, shape (B, Ty, V)
            Row t predicts ``targets[:, t]``, and has seen those before it. Behind a row's end they mean nothing.
        weights : ndarray, shape (B, Ty, Tx), or None
            How much each step looked at each of those read; None without attention.
        tape : Tape
            For `backward`.

        Raises
        ------
        ValueError
            A shape, a length, a token or a value is not as required; the message says where.
        TypeError
            Tokens or lengths are not integers, or features are not of the model's dtype.
        """
        where = "Seq2Seq.forward"
        _, before, written = self._checked_targets(where, targets, x)
        rng = mask_generator(rng, self.dropout.p, where)
        return self._forward_all(where, x, lengths, before, written, rng)

    def backward(
        self, tape: Tape, dlogits: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂logits.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dlogits : ndarray, shape (B, Ty, V)
            What stands in it behind a row's end counts nothing.
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed, and the walk
            back stops at the lowest layer that something wanted depends on.

        Returns
        -------
        dx : ndarray or None
            ∂L/∂x; None if not wanted, and of tokens.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value (NaN, infinity) is not as required, or a name in `needs` doesn't exist.
        """
        where = "Seq2Seq.backward"
        if not isinstance(tape, Tape) or tape.owner is not self:
            raise TypeError(f"{where}: tape must be the third value of this model's forward, got {describe(tape)}")
        needs = check_needs(where, needs, self.gradient_names)
        shape = (*tape.head.x.shape[:-1], self.target_vocab_size)
        why, xp = "it is shaped as logits", self.namespace
        valid = None if tape.written is None else to_host(tape.written)
        dlogits = check_array(where, "dlogits", dlogits, shape, self.dtype, valid, why=why, xp=xp)
        dx, grads = self._backward_all(tape, dlogits, needs)
        return dx, self._in_order(grads)

    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
        ready: Callable[[Mapping[str, Array], float], None] | None = None,
    ) -> Step:
        """Return the mean loss of a batch and its gradients; see `Model.loss_and_gradients`."""
        wanted = check_needs("Seq2Seq.backward", self._trainable(needs), self.gradient_names)
        targets, weights = self._targets("Seq2Seq.loss_and_gradients", batch)
        where = "Seq2Seq.forward"
        _, before, written = self._checked_targets(where, targets, batch.inputs)
        rng = mask_generator(rng, self.dropout.p, where)
        u, _, tape = self._forward_written(where, batch.inputs, batch.lengths, before, written, rng)
        loss, du, gradients = learned(self.head, u, targets, weights, self._needed_of_head(wanted))
        count = total(weights, targets.shape)
        _, gradients = self._backward_written(tape, du, named("head", gradients), wanted, ready_with(ready, count))
        return Step(loss, self._in_order(gradients), None, count)

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the summed loss of a batch and how many tokens were predicted right, each from the right ones before.

        See `Model.evaluate`; `decode` writes without being told the right ones.
        """
        targets, weights = self._targets("Seq2Seq.evaluate", batch)
        u, _ = self._written("Seq2Seq.__call__", batch.inputs, targets, batch.lengths)
        loss, right = scored(self.head, u, targets, weights)
        count = total(weights, targets.shape)
        return Evaluation(loss * count, count, total_of(right, weights), None)

    def decode(
        self,
        x: Array,
        lengths: Any = None,
        *,
        beam: int = 1,
        max_length: int | None = None,
        length_penalty: float = 0.6,
        n_best: int = 1,
    ) -> list[list[Hypothesis]]:
        """Write what is likeliest, by beam search.

        Parameters
        ----------
        x, lengths
            What is read, as `forward`'s.
        beam : int
            How many sequences of each row are followed at a time. 1 is greedy: the likeliest token at each step.
        max_length : int, optional
            The most steps, of which writing the end is one; by default 2·L + 10 for a row of L valid steps, whatever
            the width of x.
        length_penalty : float
            α in (DE2), at least 0: what is long is less likely, and the larger α, the more this is made up for.
        n_best : int
            How many sequences to return of each row, at most `beam`.

        Returns
        -------
        list of list of Hypothesis
            For each row the best, the best first. Those that ended come before those that `max_length` cut off.

        Raises
        ------
        ValueError, TypeError
            As `forward`, and for an option that is out of range or of another kind.
        """
        return decode(self, x, lengths, beam=beam, max_length=max_length, length_penalty=length_penalty, n_best=n_best)

    def predict(self, x: Array, lengths: Any = None, **options: Any) -> list[np.ndarray]:
        """Return the tokens of the best hypothesis of each row; parameters and errors are `decode`'s."""
        return [best[0].tokens for best in self.decode(x, lengths, **options)]

    def sample(
        self,
        x: Array,
        lengths: Any = None,
        *,
        temperature: float = 1.0,
        max_length: int | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> list[Hypothesis]:
        """Write one drawn token after another.

        Parameters
        ----------
        x, lengths, max_length
            As `decode`'s.
        temperature : float
            Tokens are drawn from softmax(logits / temperature); 0 takes the likeliest.
        rng : Generator or int, optional
            Draws; the same int, the same tokens.

        Returns
        -------
        list of Hypothesis
            One for each row. Its score is its log-probability, whatever the temperature.

        Raises
        ------
        ValueError, TypeError
            As `decode`; the temperature is negative, not finite, or no number.
        """
        return sample(self, x, lengths, temperature=temperature, max_length=max_length, rng=rng)

    def _written(self, where: str, x: Any, targets: Any, lengths: Any) -> tuple[Array, Array | None]:
        """Return what the head reads, and the attention's weights; without a tape and without dropout."""
        _, before, written = self._checked_targets(where, targets, x)
        state, memory = self._begin(where, x, lengths)
        return self.decoder(before, state, memory, written)

    def _targets(self, where: str, batch: Batch) -> tuple[Array, Array | None]:
        """Return a batch's targets, 0 in the padding, and how much each counts; where they were."""
        targets, _, written = self._checked_targets(where, batch.targets, batch.inputs)
        return targets, target_weights(where, batch.weights, written, tuple(targets.shape), self.namespace)

    def _checked_targets(self, where: str, targets: Any, x: Any) -> tuple[Array, Array, np.ndarray | None]:
        """Return targets with 0 in the padding, those before each step, and how many of each row are written."""
        targets = as_found(where, "targets", targets, self.namespace)
        xp = array_namespace(targets)
        rows = x.shape[0] if getattr(x, "ndim", 0) else targets.shape[0] if targets.ndim else 0
        if targets.ndim != 2 or targets.shape[0] != rows or targets.shape[1] == 0:
            raise ValueError(
                f"{where}: targets must have shape ({rows}, T), T ≥ 1 tokens for each row that is read, got "
                f"{tuple(targets.shape)}"
            )
        if not xp.isdtype(targets.dtype, "integral"):
            raise TypeError(f"{where}: targets must be integers, got {targets.dtype}; a Tokenizer makes them")
        Ty = targets.shape[1]
        ended = to_host(targets) == 0
        lengths = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, Ty)
        written = None if (lengths == Ty).all() else lengths
        if written is not None:
            targets = xp.where(valid_steps(xp, lengths, Ty), targets, 0)
        before = xp.concat([xp.zeros((rows, 1), dtype=targets.dtype), targets[:, :-1]], axis=1)
        return targets, before, written


def _check_attention(name: str, attention: Any, fed: bool) -> None:
    """Raise if there is no such attention, or nothing to feed."""
    if attention is not None and attention not in ATTENTIONS:
        raise ValueError(
            f"{name}: attention must be one of {', '.join(map(repr, ATTENTIONS))} or None, got {attention!r}"
        )
    if fed and attention is None:
        raise ValueError(f"{name}: input_feeding must be left out with attention=None, which finds nothing to feed")


def _check_shared(name: str, shared: bool, vocab_size: Any, V: int) -> None:
    """Raise if one embedding can't be of both what is read and what is written."""
    if shared and vocab_size != V:
        raise ValueError(
            f"{name}: vocab_size must equal target_vocab_size = {V} with shared=True, got {vocab_size}; encode both "
            "with one Tokenizer, or leave shared out"
        )
