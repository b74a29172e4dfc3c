"""The front of letters: a word is read letter by letter, by convolutions of several widths.

::

    u_k = ReLU(max_{i ≤ n} (b_k + Σ_{a < k} W_k[:, :, a] e_{i+a}))       for each width k       (CF10)
    v   = [u_k, …]                                                       side by side

then highway layers and a projection, if there are any. A word has n letters; e_i is the embedding of letter i, and zero
past the word's end: a window begins at a letter, and may reach beyond the last one. So what stands past a word's end
reaches nothing.

References
----------
.. [1] Y. Kim, Y. Jernite, D. Sontag, A. M. Rush, "Character-aware neural language models", arXiv:1508.06615v4 (2015):
   there with tanh.
.. [2] M. E. Peters, M. Neumann, M. Iyyer, M. Gardner, C. Clark, K. Lee, L. Zettlemoyer, "Deep contextualized word
   representations", arXiv:1802.05365v2 (2018): section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...foreign import shown
from ...layers.base import Layer
from ...layers.checks import as_found, check_lengths, first, positive_int
from ...layers.convolution.conv import Conv1d
from ...layers.convolution.pointwise import ReLU
from ...layers.embedding import Embedding
from ...layers.home import move, to_host
from ...layers.linear import Linear
from ...layers.mixing.highway import Highway
from ...layers.pooling import Pooling
from ..base import named, needed
from ..inputs import valid_steps
from .front import Front

NAME = "the front 'letters'"


class Tape(NamedTuple):
    """What `Letters.backward` needs. Opaque to the caller."""

    places: Array | None  # where the words of valid steps stand among all; None where all are
    within: Array  # (N, W), where a word has a letter
    letters: Any
    convs: list[tuple[Any, Any]]  # of each width: the convolution's tape, the pooling's
    relu: Any
    above: list[Any]  # of highways and projection
    shape: tuple[int, int]  # (B, T)


class Letters(Front):
    """Words as their letters, (B, T, W) of int, as features (B, T, F): (CF10).

    A word's letters are at least 1; it ends at its first 0, or at W. Past a row's length anything may stand.

    Parameters
    ----------
    num_letters, letter_size : int
        How many letters there are, 0 included, and the features of each.
    filters : sequence of (int, int)
        Width and number of filters of each convolution.
    highways : int
        Highway layers on the filters, as they stand side by side.
    features : int, optional
        F, of a projection at the top; without it there is none, and F is the number of all filters.
    made : backend, dtype and seed
        Of its layers, called "letters", "conv.0", …, "highway.0", …, "projection".
    """

    differentiable = False

    def __init__(
        self,
        num_letters: int,
        letter_size: int,
        filters: Any,
        highways: int = 0,
        features: int | None = None,
        *,
        seed: int | None = None,
        **made: Any,
    ) -> None:
        widths = _filters(filters)
        depth = 0 if highways == 0 and not isinstance(highways, bool) else positive_int(NAME, "highways", highways)
        drawn = _seeds(seed)
        V, E = positive_int(NAME, "num_letters", num_letters), positive_int(NAME, "letter_size", letter_size)
        self.letters = Embedding(V, E, seed=next(drawn), **made)
        self.convs = [Conv1d(E, count, width, seed=next(drawn), **made) for width, count in widths]
        total = sum(count for _, count in widths)
        above: dict[str, Any] = {f"highway.{k}": Highway(total, seed=next(drawn), **made) for k in range(depth)}
        self.out_features = total
        if features is not None:
            self.out_features = positive_int(NAME, "features", features)
            above["projection"] = Linear(total, self.out_features, seed=next(drawn), **made)
        self.above = above
        self.pooling, self.relu = Pooling("max", batch_first=True), ReLU()
        self.reach = max(width for width, _ in widths) - 1
        convs: dict[str, Layer] = {f"conv.{k}": conv for k, conv in enumerate(self.convs)}
        self.layers = {"letters": self.letters, **convs, **above}
        self.config = {
            "kind": "letters", "num_letters": V, "letter_size": E, "filters": [list(one) for one in widths],
            "highways": depth, "features": features,
        }  # fmt: skip

    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """See `Front.checked`; what stands behind a word's end, or past a row's, is made 0."""
        x = as_found(where, "letters", x, xp)
        there = array_namespace(x)
        if x.ndim != 3 or 0 in x.shape:
            raise ValueError(
                f"{where}: letters must have shape (B, T, W), B rows of T words of up to W letters, got "
                f"{tuple(x.shape)}; rnn_core.data.spelled makes them"
            )
        if not there.isdtype(x.dtype, "integral"):
            raise TypeError(f"{where}: letters must be integers, got {x.dtype}; a Tokenizer makes them")
        lengths = check_lengths(where, lengths, x.shape[1], x.shape[0])
        inside = there.cumulative_sum(there.astype(x == 0, there.int64), axis=2) == 0
        valid = None if lengths is None else valid_steps(there, lengths, x.shape[1])
        empty = ~inside[:, :, 0] if valid is None else ~inside[:, :, 0] & valid
        if there.any(empty):
            raise ValueError(
                f"{where}: letters must have at least one in each word, before its first 0, got none at index "
                f"{first(empty)}"
            )
        return there.where(inside if valid is None else inside & valid[:, :, None], x, 0), lengths

    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return features (B, T, F)."""
        return self.forward(x, lengths, None, keep=False)[0]

    def forward(
        self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None, *, keep: bool = True
    ) -> tuple[Array, Tape]:
        """Return features (B, T, F), zero past a row's length, and a tape, which without `keep` is of no use."""
        there, (B, T, W) = array_namespace(x), x.shape
        places = None if lengths is None else np.flatnonzero(np.arange(T) < lengths[:, None])
        words = there.reshape(x, (B * T, W))
        words = words if places is None else there.take(words, there.asarray(places), axis=0)
        n = np.asarray(to_host(there.sum(there.astype(words != 0, there.int64), axis=1)))
        words = there.concat(
            [words[:, : n.max()], there.zeros((words.shape[0], self.reach), dtype=words.dtype)], axis=1
        )
        e, letters = self.letters.forward(words) if keep else (self.letters(words), None)  # (CF10)
        xp = array_namespace(e)
        within = move(words != 0, xp)
        e = xp.moveaxis(xp.where(within[:, :, None], e, 0), 1, 2)  # (CF10)
        parts, convs = [], []
        for conv in self.convs:
            y, conv_tape = conv.forward(e)  # (CF10)
            u, pool_tape = self.pooling.forward(xp.moveaxis(y, 1, 2), n)  # (CF10)
            parts.append(u)
            convs.append((conv_tape, pool_tape))
        y, relu = self.relu.forward(xp.concat(parts, axis=1))  # (CF10)
        above = []
        for layer in self.above.values():
            y, tape = layer.forward(y) if keep else (layer(y), None)
            above.append(tape)
        if places is None:
            return xp.reshape(y, (B, T, -1)), Tape(None, within, letters, convs, relu, above, (B, T))
        # Each step takes its word's row; those past a row's end the row of zeros behind the last one.
        rows = np.full(B * T, len(places))
        rows[places] = np.arange(len(places))
        y = xp.concat([y, xp.zeros((1, y.shape[1]), dtype=y.dtype)], axis=0)
        y = xp.reshape(xp.take(y, xp.asarray(rows), axis=0), (B, T, -1))
        return y, Tape(xp.asarray(places), within, letters, convs, relu, above, (B, T))

    def backward(self, tape: Tape, dy: Array, needs: set[str]) -> tuple[None, dict[str, Array]]:
        """Return the gradients of the parameters; the walk back stops at the lowest that is needed."""
        xp, names = array_namespace(dy), list(self.layers)
        wanted = {part: needed(frozenset(needs), part) for part in names}
        lowest = next((k for k, part in enumerate(names) if wanted[part]), len(names))
        dy = xp.reshape(dy, (-1, self.out_features))
        dy = dy if tape.places is None else xp.take(dy, tape.places, axis=0)
        grads: dict[str, Array] = {}
        for (part, layer), its in reversed(list(zip(self.above.items(), tape.above, strict=True))):
            if names.index(part) < lowest:
                return None, grads
            below = {"x"} if lowest < names.index(part) else set()
            dy, own = layer.backward(its, dy, wanted[part] | below)
            grads |= named(part, own)
        if lowest > len(self.convs):
            return None, grads
        du = self.relu.backward(tape.relu, dy)  # (CF10′)
        de: Any = 0
        below = {"x"} if wanted["letters"] else set()
        ends = np.cumsum([conv.out_channels for conv in self.convs])
        for k, (conv, (conv_tape, pool_tape)) in enumerate(zip(self.convs, tape.convs, strict=True)):
            part = du[:, ends[k] - conv.out_channels : ends[k]]
            dwindows = xp.moveaxis(self.pooling.backward(pool_tape, part), 1, 2)  # (CF10′)
            dx, own = conv.backward(conv_tape, dwindows, wanted[f"conv.{k}"] | below)  # (CF10′)
            grads |= named(f"conv.{k}", own)
            de = de if dx is None else de + dx
        if below:
            de = xp.where(tape.within[:, :, None], xp.moveaxis(de, 1, 2), 0)  # (CF10′)
            grads |= named("letters", self.letters.backward(tape.letters, de))  # (CF10′)
        return None, grads


def _seeds(seed: int | None) -> Iterator[int]:
    """Yield independent seeds, as many as are asked for: a file may claim any number of layers."""
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(2**32))


def _filters(filters: Any) -> list[tuple[int, int]]:
    """Return widths and numbers of filters as pairs."""
    if not isinstance(filters, list | tuple) or not filters or isinstance(filters, Mapping):
        raise TypeError(f"{NAME}: filters must be pairs of width and number, such as [[2, 16]], got {shown(filters)}")
    for one in filters:
        if not isinstance(one, list | tuple) or len(one) != 2:
            raise ValueError(f"{NAME}: filters must be pairs of width and number, such as [[2, 16]], got {shown(one)}")
    return [
        (positive_int(NAME, "a width in filters", width), positive_int(NAME, "a number of filters", count))
        for width, count in filters
    ]
