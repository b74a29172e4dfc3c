"""`Chain`: layers one after another, as they are read from another program's file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array

from ..foreign import shown
from ..layers.base import Layer
from ..layers.checks import as_array, check_lengths
from ..layers.embedding import Embedding
from ..layers.layout import describe
from ..layers.linear import Linear
from ..layers.mixing.gates import sigmoid
from ..layers.pooling import Pooling
from ..layers.stack import Recurrent
from ..models import LanguageModel, SequenceClassifier, SequenceRegressor, SequenceTagger
from ..models.base import softmax
from ..models.single_head import SingleHead
from .passing import Passing, TokenMask, Zeroed, passed

FUNCTIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "log_softmax": lambda z: np.log(softmax(z)),
}
"""What may stand between layers, and behind the last: functions of the last axis."""

MODELS = (SequenceClassifier, SequenceRegressor, SequenceTagger, LanguageModel)
WORDS = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
"""What models call a cell whose class has another name."""


class Stage(NamedTuple):
    """One thing that a chain does, in its order."""

    name: str  # of its layer, or what it is: a function, or how it pools
    does: Any  # a Layer, a Pooling, a Marker, a function of an array, or LAST_STEP


class Chain:
    """Layers one after another: embedding, recurrent stacks, pooling, affine maps, functions and masks between them.

    It computes; training is for a model, which `as_model` makes of it, or `copy_parameters` of its `state_dict()`.

    Parameters
    ----------
    stages : sequence of Stage
        In order; names are unique. Recurrent layers have batch_first, as poolings do.
    batch_first : bool
        What comes in is (B, T, ·) instead of (T, B, ·), and what goes out if it has steps.
    turned : bool
        What goes out has them the other way round than what comes in.
    flat : bool
        The last axis, of one number, is left out of what goes out.

    Attributes
    ----------
    layers : dict of str to Layer
        Those with parameters, from the input upwards: embedding, rnn, rnn_2, …, linear, linear_2, …
    parameters : dict of str to ndarray
        All of theirs, live, as ``layer.parameter``.
    """

    def __init__(
        self, stages: Sequence[Stage], *, batch_first: bool = True, turned: bool = False, flat: bool = False
    ) -> None:
        self.stages, self.batch_first = tuple(stages), batch_first
        self._turned, self._flat = turned, flat
        self.layers: dict[str, Layer] = {one.name: one.does for one in stages if isinstance(one.does, Layer)}

    @property
    def parameters(self) -> dict[str, Array]:
        """The live arrays by name."""
        return {f"{part}.{name}": a for part, layer in self.layers.items() for name, a in layer.parameters.items()}

    def named_for(self, names: Collection[str]) -> dict[str, Array]:
        """Return `parameters` under the names of a model of ours, which calls its last affine map head.

        Parameters
        ----------
        names : collection of str
            The model's parameters. The last layer is called head where these have a head and no such layer.
        """
        last = next(reversed(self.layers), "")
        as_head = isinstance(self.layers.get(last), Linear) and f"{last}.weight" not in names and "head.weight" in names
        return {
            f"head.{name.partition('.')[2]}" if as_head and name.partition(".")[0] == last else name: array
            for name, array in self.parameters.items()
        }

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter by name."""
        return {name: array.copy() for name, array in self.parameters.items()}

    def __repr__(self) -> str:
        return f"Chain({' → '.join(_told(one) for one in self.stages)})"

    def __call__(self, x: Any, state0: Any = None, lengths: Any = None) -> tuple[Array, Any]:
        """Return what the last stage says, and final states.

        Parameters
        ----------
        x : ndarray
            Tokens (B, T) or features (B, T, I), with axes as the file has them: (T, B, ·) without `batch_first`.
            Without a recurrent layer, whatever its layers take.
        state0 : optional
            The initial state of the recurrent layer; of several a tuple, with a state or None for each.
        lengths : array of int, shape (B,), optional
            Valid steps of each sequence. Where the chain takes a mask from its input, padding is known without them.

        Returns
        -------
        y : ndarray
        state : ndarray, tuple or None
            The final state of the recurrent layer, a tuple of states of several; None without one.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value is not as the layers require.
        """
        where = "Chain.__call__"
        recurrent = [one.does for one in self.stages if isinstance(one.does, Recurrent)]
        states = self._states(where, state0, len(recurrent))
        y = as_array(where, "x", x)
        if recurrent:
            if y.ndim < 2:
                raise ValueError(f"{where}: x must have axes of batch and time, got {describe(y)}")
            y = y if self.batch_first else y.swapaxes(0, 1)
            lengths = check_lengths(where, lengths, y.shape[1], y.shape[0])
        elif lengths is not None:
            raise ValueError(f"{where}: lengths must be left out, as no layer is recurrent, got {shown(lengths)}")
        passing = Passing(y, lengths, bool(recurrent))
        finals = passed([one.does for one in self.stages], passing, states)
        y = passing.y
        if passing.stepped and self.batch_first == self._turned:
            y = y.swapaxes(0, 1)
        y = y[..., 0] if self._flat else y
        return y, None if not finals else finals[0] if len(finals) == 1 else tuple(finals)

    def as_model(self, kind: type[SingleHead], **options: Any) -> SingleHead:
        """Return a model of ours with the same parameters, to be trained, saved, carried over.

        Parameters
        ----------
        kind : SequenceClassifier, SequenceRegressor, SequenceTagger or LanguageModel
            What its head says: a softmax or sigmoid behind it, which the loss brings along, is left out.
        **options
            Of the model's constructor: dropout, backend, seed. The backend is the recurrent layer's by default.

        Raises
        ------
        TypeError
            There is no such kind.
        ValueError
            The chain is not an embedding or nothing, one recurrent layer, a pooling (but where every step is answered)
            and an affine map, with or without a softmax or sigmoid; or it has another size than the model.

        Notes
        -----
        A model takes no mask from its tokens: pad them behind, and call it with `lengths`.
        """
        where = "Chain.as_model"
        if kind not in MODELS:
            names = ", ".join(one.__name__ for one in MODELS)
            raise TypeError(f"{where}: kind must be one of {names}, got {shown(kind)}")
        embedding, rnn, pooling, head = self._parts(where, kind)
        name = type(rnn).__name__
        asked: dict[str, Any] = {
            "num_layers": rnn.num_layers, "cell": WORDS.get(name, name), "dtype": rnn.dtype,
            "nonlinearity": rnn.config.get("nonlinearity", "tanh"), "bidirectional": rnn.directions == 2,
            "backend": rnn.backend,
        }  # fmt: skip
        parts: dict[str, Layer] = {"rnn": rnn, "head": head}
        if embedding is None:
            asked["input_size"] = rnn.input_size
        else:
            parts["embedding"] = embedding
            asked |= {"vocab_size": embedding.num_embeddings, "embedding_size": embedding.embedding_dim}
        if pooling is not None:
            asked["pooling"] = pooling.kind
        if kind is LanguageModel:
            self._check_language(where, embedding, rnn, head)
            del asked["vocab_size"], asked["bidirectional"]
        model = kind(head.out_features, rnn.hidden_size, **asked | options)
        values = {f"{part}.{n}": a for part, layer in parts.items() for n, a in layer.parameters.items()}
        zeros = {n: np.zeros_like(a) for n, a in model.parameters.items() if "bias" in n and n not in values}
        model.load_state_dict(zeros | values)
        return model

    def _check_language(self, where: str, embedding: Embedding | None, rnn: Recurrent, head: Linear) -> None:
        """Raise ValueError if what comes in and goes out are not tokens of one vocabulary, or both ways are read."""
        if embedding is None or rnn.directions == 2 or embedding.num_embeddings != head.out_features:
            raise ValueError(
                f"{where}: a LanguageModel must read tokens in one direction and say as many logits as there are "
                f"tokens, got {self!r}; take SequenceTagger"
            )

    def _parts(
        self, where: str, kind: type[SingleHead]
    ) -> tuple[Embedding | None, Recurrent, Pooling | None, Linear]:
        """Return the layers that a model is made of, if they stand in its order."""
        left = [one.does for one in self.stages if not isinstance(one.does, TokenMask | Zeroed)]
        embedding = left.pop(0) if left and isinstance(left[0], Embedding) else None
        rnn = left.pop(0) if left and isinstance(left[0], Recurrent) else None
        pooling = left.pop(0) if left and isinstance(left[0], Pooling) else None
        head = left.pop(0) if left and isinstance(left[0], Linear) else None
        if left and left[0] in [FUNCTIONS[name] for name in ("softmax", "log_softmax", "sigmoid")]:
            left.pop(0)
        pooled = kind in (SequenceClassifier, SequenceRegressor)
        if left or rnn is None or head is None or (pooling is not None) != pooled:
            middle = "a pooling, " if pooled else ""
            raise ValueError(
                f"{where}: the chain must be an embedding or nothing, one recurrent layer, {middle}and an affine map, "
                f"for a {kind.__name__}, got {self!r}; build a model of your own, and load_state_dict what fits"
            )
        return embedding, rnn, pooling, head

    def _states(self, where: str, state0: Any, count: int) -> tuple[Any, ...]:
        """Return an initial state or None for each recurrent layer."""
        if state0 is None or count < 2:
            if state0 is not None and not count:
                raise ValueError(f"{where}: state0 must be left out, as no layer is recurrent, got {describe(state0)}")
            return (state0,) * count
        if not isinstance(state0, tuple | list) or len(state0) != count:
            raise ValueError(
                f"{where}: state0 must have a state, or None, for each of {count} recurrent layers, got "
                f"{describe(state0)}"
            )
        return tuple(state0)


def _told(stage: Stage) -> str:
    """Return a stage in words."""
    if not isinstance(stage.does, Layer):
        return stage.name
    shown_sizes: Mapping[str, Any] = {
        key: value for key, value in stage.does.config.items()
        if key in ("num_embeddings", "embedding_dim", "input_size", "hidden_size", "num_layers", "bidirectional",
                   "in_features", "out_features", "nonlinearity")
    }  # fmt: skip
    return f"{stage.name}: {type(stage.does).__name__}({', '.join(str(v) for v in shown_sizes.values())})"
