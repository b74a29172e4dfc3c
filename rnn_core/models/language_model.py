"""`LanguageModel`: what comes next? Embedding, stacked cells, and a softmax over the vocabulary.

::

    e_t = m ⊙ W_e[k_t]              embedding of token k_t        (E1), (D1)
    y_t = core(e_t, state)          RNN, LSTM or GRU
    z_t = W_v (m ⊙ y_t) + b_v       logits of token t + 1         (D1), (F1)

With tied weights W_v is W_e.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.base import generator
from ..layers.checks import as_found, flag, positive_int
from ..layers.home import move
from ..training.losses import SoftmaxCrossEntropy
from .drawing import checked_temperature, likeliest, next_tokens, ruled_out
from .inputs import as_targets
from .single_head import SingleHead
from .trunk import Tape, arguments


class LanguageModel(SingleHead):
    """Predicts each token from those before it.

    A batch's targets are tokens, (B, T), its weights (B, T) or (B,). Targets past a row's length count nothing. The
    state may be carried from batch to batch.

    Parameters
    ----------
    vocab_size, hidden_size : int
        V and H.
    embedding_size : int, optional
        E; H by default.
    num_layers : int
        Cells stacked on one another.
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layer takes by keyword, such as a cell's own options: ``{"alpha": 0.3}``.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped on a way that is not recurrent: from the embedding
        to the core, between its layers, and from the core to the head [1]_.
    tied : bool
        The head uses the embedding's matrix [2]_: ``embedding.weight`` is then the one parameter for both, and its
        gradient the sum of both uses. E must be H.
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
        In the place of the embedding, what stands before the core: its ``kind``, one of `rnn_core.models.fronts`, and
        what that is built from. The targets are tokens all the same, so nothing can be generated.

    Raises
    ------
    ValueError
        A size is below 1, a probability is not one, an option has no such value, or tied weights don't fit.
    TypeError
        A size is not an int, or the dtype is none of the above.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Parameters: ``embedding.weight`` (V, E), ``rnn.…`` as `RNN`, `LSTM` or `GRU`, ``head.weight`` (V, H) and
    ``head.bias`` (V,). A tied matrix is drawn as the embedding's, from N(0, 1): the first predictions are then less
    even than with the head's U(−1/√H, 1/√H), but it learned twice as fast where both were tried.

    References
    ----------
    .. [1] W. Zaremba, I. Sutskever, O. Vinyals, "Recurrent neural network regularization", arXiv:1409.2329v5 (2015).
    .. [2] O. Press, L. Wolf, "Using the output embedding to improve language models", EACL 2017, arXiv:1608.05859v3.
    """

    carries = True

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        *,
        embedding_size: int | None = None,
        num_layers: int = 1,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        tied: bool = False,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        front: Mapping[str, Any] | None = None,
    ) -> None:
        name = "LanguageModel"
        self.vocab_size = positive_int(name, "vocab_size", vocab_size)
        if flag(name, "tied", tied) and front is not None:
            raise ValueError(
                f"{name}: tied must be left out with front, got True: the head would use an embedding's matrix"
            )
        built = self._build(
            name, {"head": (self.vocab_size, None)}, hidden_size=hidden_size,
            vocab_size=self.vocab_size if front is None else None, embedding_size=embedding_size,
            num_layers=num_layers, cell=cell, nonlinearity=nonlinearity, dropout=dropout, tied=bool(tied),
            backend=backend, dtype=dtype, precision=precision, seed=seed, front=front,
            cell_options=cell_options,
        )  # fmt: skip
        self.hidden_size, self.embedding_size = built["hidden_size"], self.front.out_features
        self.loss = SoftmaxCrossEntropy()
        self.config = arguments(LanguageModel, {**built, "vocab_size": self.vocab_size})

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary: one row a token."""
        return tuple(name for name in ("embedding.weight", "head.weight", "head.bias") if name in self.parameters)

    def __call__(self, tokens: Array, state: Any = None, lengths: Any = None) -> tuple[Array, Any]:
        """Return logits and state without keeping a tape; dropout is off.

        Parameters (`state` is its `state0`) and errors are `forward`'s; the result is its first two values.
        """
        return self._infer("LanguageModel.__call__", self._branch, tokens, state, lengths)

    def forward(
        self,
        tokens: Array,
        state0: Any = None,
        lengths: Any = None,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> tuple[Array, Any, Tape]:
        """Run the model for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        tokens : array of int, shape (B, T)
            Each at least 0 and below V. Past a row's length anything may stand. A model on the GPU takes them from
            the host, too.
        state0 : ndarray or pair of ndarray, optional
            Initial state, as the core's; zeros without it.
        lengths : array of int, shape (B,), optional
            Valid steps of each row; the final state is that of the last valid step.
        rng : Generator or int, optional
            Draws the dropout masks; the same int, the same masks. Without it every call differs.

        Returns
        -------
        logits : ndarray, shape (B, T, V)
            Row t predicts token t + 1. Past a row's length they mean nothing.
        state : ndarray or pair of ndarray
            Final state, each (num_layers, B, H).
        tape : Tape
            For `backward`.

        Raises
        ------
        ValueError
            Tokens are not (B, T), or one is out of range; a length, or the state's shape or values, are not as
            required. The message says where.
        TypeError
            Tokens or lengths are not integers, or the state's dtype is not the model's.
        """
        return self._forward("LanguageModel.forward", self._branch, tokens, state0, lengths, rng)

    def backward(
        self, tape: Tape, dlogits: Array, dstate: Any = None, needs: Iterable[str] | None = None
    ) -> tuple[Any, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂logits and ∂L/∂state.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dlogits : ndarray, shape (B, T, V)
        dstate : ndarray or pair of ndarray, optional
            ∂L/∂state; None, also inside an LSTM's pair, stands for zeros.
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed: below the
            lowest wanted layer nothing is walked back through.

        Returns
        -------
        dstate0 : ndarray or pair, or None
            ∂L/∂state0; None, or for LSTM None in either place, if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value (NaN, infinity) is not as required, or a name in `needs` doesn't exist.
        """
        _, dstate0, grads = self._from_logits("LanguageModel.backward", "third", tape, dlogits, dstate, needs)
        return dstate0, grads

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        shape, why = tuple(logits.shape[:-1]), ", the next token for each in inputs"
        return as_targets(where, batch, shape, array_namespace(logits), why=why)

    def generate(
        self,
        prompt: Array,
        steps: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        never: Iterable[int] = (),
        rng: np.random.Generator | int | None = None,
    ) -> Array:
        """Go on where a prompt ends, one drawn token after another.

        Parameters
        ----------
        prompt : array of int, shape (T,) or (B, T)
            One row or several, at least one token long.
        steps : int
            How many tokens to draw.
        temperature : float
            Tokens are drawn from softmax(logits / temperature); 0 takes the likeliest.
        top_k : int, optional
            Draw among so many of the likeliest alone.
        never : sequence of int
            Tokens that are not drawn: what stands for unknown words, or for padding.
        rng : Generator or int, optional
            Draws; the same int, the same tokens.

        Returns
        -------
        tokens : ndarray of int, shape (steps,) or (B, steps)
            What was drawn, without the prompt; where the model is.

        Raises
        ------
        ValueError
            The prompt is empty or has a token that is out of range, `steps` or `top_k` is below 1, the temperature is
            negative or not finite, or `never` leaves no token or has one that is out of range.
        TypeError
            The prompt or `steps` are not integers, or the temperature is no number.
        """
        where = "LanguageModel.generate"
        steps, rng = positive_int(where, "steps", steps), generator(rng, where)
        if self.embedding is None:
            raise ValueError(f"{where}: the model must read the tokens that it writes, got one with a front of its own")
        temperature, xp = checked_temperature(where, temperature), self.namespace
        top_k = None if top_k is None else min(positive_int(where, "top_k", top_k), self.vocab_size)
        never = ruled_out(where, never, self.vocab_size)
        prompt = move(as_found(where, "prompt", prompt, xp), xp)
        if prompt.ndim not in (1, 2) or 0 in prompt.shape:
            raise ValueError(
                f"{where}: prompt must have shape (T,) or (B, T) with at least one token, got {tuple(prompt.shape)}"
            )
        tokens, state, drawn = xp.reshape(prompt, (-1, prompt.shape[-1])), None, []
        for _ in range(steps):
            y, state, _ = self._hidden(where, tokens, state, None)
            logits = likeliest(self.head(y[:, -1]), top_k, never)
            tokens = next_tokens(logits, temperature, rng)[:, None]
            drawn.append(tokens)
        return xp.reshape(xp.concat(drawn, axis=-1), (*prompt.shape[:-1], steps))
