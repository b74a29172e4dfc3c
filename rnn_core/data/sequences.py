"""Rows of different lengths as one array: padding and truncating, with the choices that Keras offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from ..foreign import shown
from ..layers.checks import as_array


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = np.int32,
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0,
) -> np.ndarray:
    """Bring rows to one length, as ``keras.utils.pad_sequences`` does, and with the same defaults.

    Parameters
    ----------
    sequences : sequence of N array-likes, shape (n_k, ...)
        The rows: token ids, or feature vectors of one common shape.
    maxlen : int, optional
        Length of the result, T. By default that of the longest row.
    dtype : dtype
        Of the result.
    padding : {"pre", "post"}
        The end at which short rows are filled up. The layers' `lengths` count from the front: use ``"post"`` there.
    truncating : {"pre", "post"}
        The end at which long rows are cut off.
    value : scalar
        What short rows are filled with.

    Returns
    -------
    ndarray of `dtype`, shape (N, T, ...)

    Raises
    ------
    ValueError
        If there are no rows, a row is empty (Keras would return it as padding alone), rows have features of
        different shapes, `maxlen` is below 1, `padding` or `truncating` is another word, or `value` or a number of
        a row is beyond the range of `dtype` (Keras wraps it in silence).
    TypeError
        If a row is no sequence or holds no numbers, or `dtype` is of a kind that would cut its numbers off, as int
        does to floats.

    See Also
    --------
    sequence_lengths : the `lengths` that go with it.

    Examples
    --------
    >>> pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [0, 0, 4]], dtype=int32)
    >>> pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post")
    array([[2, 3],
           [4, 0]], dtype=int32)
    """
    dtype = _dtype(dtype)
    _check_word("padding", padding)
    _check_word("truncating", truncating)
    filler = _filler(value, dtype)
    lengths = _lengths("pad_sequences", sequences, maxlen)
    rows = [as_array("pad_sequences", f"sequences[{k}]", row) for k, row in enumerate(sequences)]
    length = int(lengths.max()) if maxlen is None else maxlen
    features = rows[0].shape[1:]
    padded = np.full((len(rows), length, *features), filler, dtype=dtype)
    for k, row in enumerate(rows):
        if row.shape[1:] != features:
            raise ValueError(
                f"pad_sequences: sequences must all have features of shape {features}, as the first row, "
                f"got {row.shape[1:]} in row {k}"
            )
        if not np.can_cast(row.dtype, dtype, "same_kind"):
            raise TypeError(
                f"pad_sequences: dtype must hold the sequences' numbers, got {dtype} for {row.dtype} in row {k}; "
                f"give dtype={row.dtype.name!r}"
            )
        with np.errstate(over="ignore"):
            cast = row.astype(dtype)
        if (misfits := _misfits(row, cast)).any():
            place = tuple(int(i) for i in np.argwhere(misfits)[0])
            raise ValueError(
                f"pad_sequences: sequences must fit in dtype {dtype}, got {row[place]} in row {k} at index {place}; "
                f"give dtype={row.dtype.name!r}"
            )
        kept = cast[-length:] if truncating == "pre" else cast[:length]
        if padding == "pre":
            padded[k, length - len(kept) :] = kept
        else:
            padded[k, : len(kept)] = kept
    return padded


def sequence_lengths(sequences: Sequence[Any], maxlen: int | None = None) -> np.ndarray:
    """Return how many steps of each row `pad_sequences` keeps: the `lengths` of the layers and models.

    With ``padding="post"`` and these lengths a network computes what it would on each row alone, whatever the
    padding holds.

    Parameters
    ----------
    sequences : sequence of N array-likes, shape (n_k, ...)
    maxlen : int, optional
        As given to `pad_sequences`.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If there are no rows, a row is empty, or `maxlen` is below 1.
    TypeError
        If a row is no sequence.

    Examples
    --------
    >>> sequence_lengths([[1, 2, 3], [4]], maxlen=2)
    array([2, 1])
    """
    return _lengths("sequence_lengths", sequences, maxlen)


def _lengths(caller: str, sequences: Sequence[Any], maxlen: int | None) -> np.ndarray:
    if maxlen is not None and (isinstance(maxlen, bool) or not isinstance(maxlen, (int, np.integer))):
        raise TypeError(f"{caller}: maxlen must be an integer or None, got {shown(maxlen)}")
    if maxlen is not None and maxlen < 1:
        raise ValueError(f"{caller}: maxlen must be at least 1, got {maxlen}")
    if isinstance(sequences, str | bytes | Mapping | AbstractSet) or _count(sequences) is None:
        raise TypeError(f"{caller}: sequences must be a list of rows, got {shown(sequences)}")
    if len(sequences) == 0:
        raise ValueError(f"{caller}: sequences must have at least one row, got none")
    lengths = np.empty(len(sequences), dtype=np.int64)
    for k, row in enumerate(sequences):
        steps = None if isinstance(row, str | bytes | Mapping | AbstractSet) else _count(row)
        if steps is None:
            raise TypeError(f"{caller}: sequences must hold sequences, got {shown(row)} in row {k}; one row is [row]")
        lengths[k] = steps
    if not lengths.all():
        raise ValueError(
            f"{caller}: sequences must not be empty, got no step in row {int(np.argmin(lengths))}; leave such rows "
            "out, or give the Tokenizer an oov token"
        )
    return lengths if maxlen is None else np.minimum(lengths, maxlen)


def _count(value: Any) -> int | None:
    """Return how many parts something has; None of what has none, as a number or a generator."""
    try:
        return len(value)
    except TypeError:
        return None


def _check_word(name: str, word: Any) -> None:
    if not isinstance(word, str) or word not in ("pre", "post"):
        raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', got {shown(word)}")


def _dtype(dtype: Any) -> np.dtype:
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(f"pad_sequences: dtype must be a NumPy dtype, got {shown(dtype)}") from None


def _filler(value: Any, dtype: np.dtype) -> Any:
    """`value` as `dtype`, refused where it would become another number: Keras's 0.0 is 0, but 0.5 is not."""
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            filler = np.asarray(value).astype(dtype, casting="unsafe" if np.isrealobj(value) else "same_kind")
        fits = filler.ndim == 0 and not _misfits(np.asarray(value), filler)
    except (ValueError, TypeError, OverflowError):
        fits = False
    if not fits:
        raise ValueError(f"pad_sequences: value must fit in dtype {dtype}, got {shown(value)}")
    return filler[()]


def _misfits(values: np.ndarray, cast: np.ndarray) -> Any:
    """Where a cast made another number; the rounding of a float is none."""
    if cast.dtype.kind in "fc":
        return np.isfinite(values) & ~np.isfinite(cast)
    # The sign tells 2**63 in uint64 from what it wraps to in int64, however the two are compared.
    return (cast != values) | ((cast < 0) != (values < 0))
