"""What a training loop eats: batches that can be asked for in any order.

``batch(epoch, index)`` depends on its two numbers and the seed alone. Nothing is carried along, so that a run which
was stopped anywhere goes on with the very batches it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from kernels.contract import Array

from ..foreign import shown
from ..layers.checks import as_array, check_finite, check_lengths, first, flag, positive_int
from .ragged import Ragged
from .stored.file_array import FileArray, file_array_of
from .stored.panels import Columns, Panels


class Batch(NamedTuple):
    """Some examples, to be computed on side by side.

    Attributes
    ----------
    inputs : ndarray, shape (B, T), of int, or (B, T, I)
        Tokens or features. Features for a model on the GPU must be there too; tokens, and all the rest of a batch, may
        come from the host.
    targets : ndarray, shape (B, ...)
        What the network should say.
    lengths : ndarray of int, shape (B,), or None
        Valid steps of each row; None where all are.
    weights : ndarray, shape (B, ...), or None
        How much each target counts; None where all count alike.
    carry : bool
        Whether the rows go on where the previous batch's stopped, so that its state is carried over.
    """

    inputs: Array
    targets: Array
    lengths: np.ndarray | None = None
    weights: Array | None = None
    carry: bool = False


class EpochOrder:
    """The order of N examples in each epoch: drawn from the seed and the epoch's number, or as they stand."""

    def __init__(self, N: int, shuffle: bool, seed: int) -> None:
        self._N, self._shuffle, self._seed = N, shuffle, seed
        self._latest: tuple[int, np.ndarray] | None = None

    def of(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch. The latest is kept: drawing a million rows for each batch would show."""
        latest = self._latest
        if latest is None or latest[0] != epoch:
            N = self._N
            order = np.random.default_rng([self._seed, epoch]).permutation(N) if self._shuffle else np.arange(N)
            self._latest = latest = (epoch, order)
        return latest[1]


class Examples:
    """Minibatches of examples that do not depend on one another.

    Parameters
    ----------
    inputs : array, shape (N, T), of int, or (N, T, I); or Ragged
        Tokens or features, one example a row. They are padded a batch at a time, and know their lengths. Of a memory
        map or `FileArray` the rows of a batch are read from the file, wherever they lie; all are looked at once, to
        see that they are finite. So are targets and weights. `BlockExamples` reads what lies side by side.
    targets : array, shape (N, ...)
    lengths : array of int, shape (N,), optional
        Valid steps of each row, at least 1 and at most T.
    weights : array, shape (N, ...), optional
        How much each target counts, at least 0.
    batch_size : int
        The last batch of an epoch has what is left.
    shuffle : bool
        Draw a new order each epoch, from the seed and the epoch's number. Without it the order is that of the rows.
    seed : int

    Raises
    ------
    ValueError
        There is no example, the numbers of examples differ, rows differ in length, a length or weight is out of range,
        a value is NaN or infinite (the message says where), or `batch_size` is below 1.
    TypeError
        Lengths, `batch_size` or `seed` are not integers, or something is no array of numbers, as texts are none.
    """

    def __init__(
        self,
        inputs: Array,
        targets: Array,
        *,
        lengths: Any = None,
        weights: Array | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.inputs = inputs if isinstance(inputs, Ragged) else as_rows("Examples", "inputs", inputs)
        self.targets = as_rows("Examples", "targets", targets)
        self.weights = None if weights is None else as_rows("Examples", "weights", weights)
        self.batch_size = positive_int("Examples", "batch_size", batch_size)
        self.shuffle = flag("Examples", "shuffle", shuffle)
        self.seed = count("Examples", "seed", seed)
        if self.inputs.ndim < 2 or 0 in self.inputs.shape:
            raise ValueError(
                f"Examples: inputs must have shape (N, T) or (N, T, I) with at least one number, "
                f"got {tuple(self.inputs.shape)}"
            )
        N, T = self.inputs.shape[:2]
        for name, array in (("inputs", self.inputs), ("targets", self.targets), ("weights", self.weights)):
            if array is None:
                continue
            if array.ndim == 0 or array.shape[0] != N:
                raise ValueError(
                    f"Examples: {name} must have {N} rows, one for each example in inputs, got shape "
                    f"{tuple(array.shape)}"
                )
            if name != "inputs":
                _check_rows(name, array, None)
        if self.weights is not None:
            for start, some in _pieces(self.weights):
                if (some < 0).any():
                    k, *place = first(some < 0)
                    raise ValueError(
                        f"Examples: weights must be at least 0, got {some[(k, *place)]} at index {(start + k, *place)}"
                    )
        self.lengths = check_lengths("Examples", lengths_of(inputs) if lengths is None else lengths, T, N)
        self._order = EpochOrder(N, self.shuffle, self.seed)
        _check_rows("inputs", self.inputs, self.lengths)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.inputs.shape[0] // self.batch_size)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch.

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Raises
        ------
        ValueError
            A number is out of range.
        TypeError
            A number is not an integer.
        """
        epoch, index = checked_place("Examples.batch", epoch, index, len(self))
        rows = self._order.of(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        return Batch(
            _rows(self.inputs, rows),
            _rows(self.targets, rows),
            None if self.lengths is None else self.lengths[rows],
            None if self.weights is None else _rows(self.weights, rows),
        )


class TextStream:
    """One long text, read in `batch_size` places at once: the batches of truncated backpropagation through time.

    The text is cut into `batch_size` rows of equal length, laid one below the other. Batch k holds columns
    ``k·steps`` to ``(k + 1)·steps``, so each row goes on where it stopped in the batch before: `carry` is set on all
    but the first. Targets are the tokens one further on. Of the text's end, fewer than `batch_size` tokens are left
    out.

    Parameters
    ----------
    tokens : array of int, shape (N,)
        Of a memory map or `FileArray` only what a batch needs is read, and little more.
    batch_size : int
        Rows, B.
    steps : int
        Columns of a batch, S: gradients reach no further back. The last batch of an epoch has what is left.
    vocab_size : int, optional
        What tokens of a file must be below: where one is read that is not, the message names its place.

    Raises
    ------
    ValueError
        The text is not one row, or has fewer than ``batch_size + 1`` tokens; or an argument is below 1.
    TypeError
        Something is not an integer.

    References
    ----------
    R. J. Williams, J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories", Neural Computation 2 (1990) 490-501.
    """

    def __init__(self, tokens: Any, *, batch_size: int, steps: int, vocab_size: int | None = None) -> None:
        tokens = as_rows("TextStream", "tokens", tokens)
        self.batch_size = positive_int("TextStream", "batch_size", batch_size)
        self.steps = positive_int("TextStream", "steps", steps)
        if tokens.ndim != 1:
            raise ValueError(
                f"TextStream: tokens must have shape (N,), one long text, got {tuple(tokens.shape)}; "
                "Examples takes rows"
            )
        N = tokens.shape[0]
        if self.batch_size >= N:
            raise ValueError(
                f"TextStream: tokens must be at least batch_size + 1 = {self.batch_size + 1}, got {N}; "
                "use a longer text or a smaller batch_size"
            )
        below = None if vocab_size is None else positive_int("TextStream", "vocab_size", vocab_size)
        xp = np if isinstance(tokens, FileArray) else array_namespace(tokens)
        if not (tokens.dtype.kind in "iu" if xp is np else xp.isdtype(tokens.dtype, "integral")):
            raise TypeError(f"TextStream: tokens must be integers, got {tokens.dtype}; a Tokenizer makes them")
        used = (N - 1) // self.batch_size * self.batch_size
        self.inputs: Any
        self.targets: Any
        if isinstance(tokens, FileArray):
            panels = Panels(tokens, self.batch_size, used // self.batch_size, below)
            self.inputs, self.targets = Columns(panels, 0), Columns(panels, 1)
            return
        self.inputs = xp.reshape(tokens[:used], (self.batch_size, -1))
        self.targets = xp.reshape(tokens[1 : used + 1], (self.batch_size, -1))

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.inputs.shape[1] // self.steps)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch: inputs and targets (B, S), the same in every epoch.

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Raises
        ------
        ValueError
            A number is out of range.
        TypeError
            A number is not an integer.
        """
        _, index = checked_place("TextStream.batch", epoch, index, len(self))
        columns = slice(index * self.steps, (index + 1) * self.steps)
        return Batch(self.inputs[:, columns], self.targets[:, columns], carry=index > 0)


def as_data(where: str, name: str, value: Any) -> Array:
    """Return `value` as an array of numbers, where it was: on the host NumPy's, or another library's, as it is."""
    foreign = is_array_api_obj(value) and not isinstance(value, np.ndarray)
    return value if foreign else as_array(where, name, value)


def as_rows(where: str, name: str, value: Any) -> Any:
    """Return `value` as `as_data` does, but what lies in a file as a `FileArray`."""
    if isinstance(value, FileArray):
        return value
    found = file_array_of(value) if isinstance(value, np.memmap) else value
    return found if isinstance(found, FileArray) else as_data(where, name, value)


def lengths_of(inputs: Any) -> np.ndarray | None:
    """Return the lengths that inputs know themselves, if they do."""
    return inputs.lengths if isinstance(inputs, Ragged) else None


def check_inputs(where: str, inputs: Any, valid: Array | None, name: str = "inputs") -> None:
    """Raise ValueError, naming the place, where a number is NaN or infinite within a row's length."""
    if not isinstance(inputs, Ragged):
        check_finite(where, name, inputs, valid)
        return
    for k, row in enumerate(inputs):
        check_finite(where, f"inputs[{k}]", row)


def _pieces(array: Any) -> Iterator[tuple[int, Any]]:
    """Yield an array whole, or what lies in a file piece by piece, with the number of the first row."""
    yield from array.pieces() if isinstance(array, FileArray) else [(0, array)]


def _check_rows(name: str, array: Any, lengths: np.ndarray | None) -> None:
    """Raise ValueError, naming the place, where a number is NaN or infinite within a row's length."""
    for start, some in [(0, array)] if isinstance(array, Ragged) else _pieces(array):
        valid = None
        if lengths is not None and not isinstance(array, Ragged):
            running = np.arange(some.shape[1]) < lengths[start : start + some.shape[0], None]
            valid = running.reshape(*running.shape, *(1,) * (some.ndim - 2))
        check_inputs("Examples", some, valid, name if some is array else f"{name}[{start}:]")


def _rows(array: Any, rows: np.ndarray) -> Array:
    if isinstance(array, Ragged | FileArray):
        return array[rows]
    xp = array_namespace(array)
    return xp.take(array, xp.asarray(rows), axis=0)


def count(where: str, name: str, value: Any) -> int:
    """Return `value` as an int, if it is a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: {name} must be an int, got {shown(value)}")
    if value < 0:
        raise ValueError(f"{where}: {name} must be at least 0, got {value}")
    return int(value)


def checked_place(where: str, epoch: Any, index: Any, batches: int) -> tuple[int, int]:
    """Return the place of a batch as two ints, if an epoch of so many batches has it."""
    epoch, index = count(where, "epoch", epoch), count(where, "index", index)
    if index >= batches:
        raise ValueError(f"{where}: index must be below {batches}, the batches of an epoch, got {index}")
    return epoch, index


def checked_source(where: str, name: str, value: Any) -> Any:
    """Return `value`, if it has batches to give."""
    if not hasattr(value, "batch"):
        raise TypeError(f"{where}: {name} must be batches, such as Examples or TextStream, got {type(value).__name__}")
    if len(value) == 0:
        raise ValueError(f"{where}: {name} must have at least one batch, got none")
    return value
