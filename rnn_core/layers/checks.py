"""What a user may pass in: every check of an argument that more than one layer makes, and its one line of error."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from kernels.contract import PRECISIONS, Array

from ..foreign import one_line, shown
from .home import lives_in, on_gpu, to_host
from .layout import describe

FLOATS = ("float32", "float64", "complex128")
"""Dtypes of a layer; complex128 is there for the complex step."""

SHORT = 4096
"""Numbers up to which a product x·x is the quickest look for NaN and infinity; a sum has less to set up for more."""


def checked_dtype(where: str, dtype: Any) -> np.dtype:
    """Return `dtype` as NumPy's, if a layer can have it."""
    try:
        found = None if dtype is None else np.dtype(dtype)  # np.dtype(None) is float64
    except (TypeError, ValueError, SyntaxError):  # the last of "float32,", which NumPy parses as Python
        found = None
    if found is None or found.name not in FLOATS:
        raise TypeError(f"{where}: dtype must be float32 or float64, got {shown(dtype)}")
    return found


def checked_precision(precision: Any, dtype: np.dtype) -> str:
    """Return the precision of products, if there is such a one, and for this dtype."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise ValueError(f"precision must be {' or '.join(map(repr, PRECISIONS))}, got {shown(precision)}")
    if precision == "bfloat16" and dtype != np.float32:
        raise ValueError(
            f"precision must be 'float32' with dtype {dtype}, got 'bfloat16', to which numbers of float32 are rounded; "
            "leave one of the two out"
        )
    return precision


def as_array(where: str, name: str, value: Any, xp: Any = np) -> Array:
    """Return `value` as an array of numbers in the namespace `xp`, if that is where it lives.

    For NumPy anything on the host will do that can be made into an array; for CuPy any array on the GPU, also torch's
    CUDA tensors, which are not copied. Nothing crosses over.
    """
    if type(value) is np.ndarray and value.dtype.kind in "biufc" and is_numpy_namespace(xp):
        return value  # which `asarray` would give back; a small call has no time to ask it
    if lives_in(value, xp) == is_numpy_namespace(xp):
        raise TypeError(_elsewhere(where, name, value, xp))
    try:
        array = xp.asarray(value)
    except ValueError:
        raise ValueError(
            f"{where}: {name} must be an array or lists of equal length, got {describe(value)} whose parts differ in "
            "length; pad them to the longest, with rnn_core.data.pad_sequences"
        ) from None
    except (RuntimeError, TypeError) as error:  # torch's, of a tensor that requires grad, or of bfloat16
        raise TypeError(
            f"{where}: {name} must be an array of numbers, got {describe(value)}, which NumPy can't read "
            f"({one_line(error)}); "
            "of a torch tensor take .detach().cpu(), of bfloat16 also .float()"
        ) from None
    if is_numpy_namespace(xp) and (array.dtype.kind not in "biufc" or isinstance(value, np.ma.MaskedArray)):
        return _numbers(where, name, value, array)
    return array


def _numbers(where: str, name: str, value: Any, array: np.ndarray) -> np.ndarray:
    """Return `array`, made of a masked one that masks nothing; raise the error of everything else that is no number."""
    got, kind = f"{where}: {name} must be an array of numbers, got {describe(value)}", array.dtype.kind
    if isinstance(value, np.ma.MaskedArray) and kind in "biufc":
        if not np.ma.getmaskarray(value).any():
            return array
        raise ValueError(f"{got} with masked ones; put numbers in their place with .filled(), or leave the rows out")
    if kind in "US" and array.ndim and array.size:
        raise TypeError(
            f"{got} that holds text, as {shown(array.flat[0], 20)}; a Tokenizer makes numbers of texts, and "
            "np.unique(labels, return_inverse=True)[1] of labels"
        )
    if kind == "O" and array.ndim == 1 and any(isinstance(part, np.ndarray | list | tuple) for part in array):
        raise ValueError(f"{got} of arrays or lists; pad them to the longest, with rnn_core.data.pad_sequences")
    if kind == "O" and array.ndim:
        odd = [part for part in array.flat if not isinstance(part, float | int) or abs(part) >= 2**63]
        example = f", such as {shown(odd[0], 20)}" if odd else ""
        raise TypeError(f"{got} of objects{example}; convert it with astype(float), or leave such rows out")
    raise TypeError(got if kind in "OUS" else f"{got} of {array.dtype}; make numbers of it")


def as_found(where: str, name: str, value: Any, xp: Any) -> Array:
    """As `as_array`, but what is on the host may stay there: for the integers and weights of a batch.

    So they can be checked before they are moved, when that costs no wait for the GPU.
    """
    return as_array(where, name, value, xp if lives_in(value, xp) else np)


def _elsewhere(where: str, name: str, value: Any, xp: Any) -> str:
    """Return the error of an array that lives on the wrong side."""
    if is_numpy_namespace(xp):
        return (
            f"{where}: {name} must be an array on the host, got {describe(value)} on the GPU; copy it with "
            f"{name}.get() (a torch tensor with {name}.cpu()), or build the layer or model with backend='cuda'"
        )
    cupy, what = xp.__name__.rpartition(".")[2], where.partition(".")[0]
    return (
        f"{where}: {name} must be an array on the GPU, as the layer's parameters are, got {describe(value)} on the "
        f"host; move it once with {cupy}.asarray({name}), or build the {what} with backend='cpu'"
    )


def check_finite(where: str, name: str, value: Array, valid: Array | None = None) -> None:
    """Raise ValueError, naming the first place, where `value` holds a NaN or an infinity.

    `valid` is a mask of the places that count (the rest is padding), or None for all.
    """
    short = type(value) is np.ndarray and value.size <= SHORT and value.dtype.char in "fd"
    if short and isfinite(np.vdot(value, value)):  # of squares, none of which takes a NaN or an infinity back
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(value.sum().item()):  # one pass and no temporary; only a suspicion is looked at closely
            return
    bad = ~np.asarray(to_host(array_namespace(value).isfinite(value)))
    if valid is not None:
        bad = bad & valid
    if bad.any():
        place = first(bad)
        raise ValueError(
            f"{where}: {name} must be finite, got {value[place]} at index {place}"
            f" ({int(bad.sum())} of {value.size} values are NaN or infinite)"
        )


def check_activations(where: str, name: str, value: Array, valid: Array | None = None) -> None:
    """As `check_finite`, on the host alone: see `home` for where NaN is met on a GPU."""
    if not on_gpu(value):
        check_finite(where, name, value, valid)


def check_range(where: str, name: str, value: Array, count: int, why: str) -> None:
    """Raise ValueError, naming the first place, where integers are not in 0…count − 1; from a GPU one transfer.

    `why` says behind the error where the count comes from.
    """
    xp = array_namespace(value)
    ends = [xp.min(value), xp.max(value)]
    lowest, highest = to_host(xp.stack(ends)) if on_gpu(value) else ends
    if lowest < 0 or highest >= count:
        place = first((value < 0) | (value >= count))
        raise ValueError(f"{where}: {name} must be in 0…{count - 1}, got {int(value[place])} at index {place}; {why}")


def first(mask: Array) -> tuple[int, ...]:
    """Return the first index at which `mask` is true."""
    return tuple(int(k) for k in np.argwhere(to_host(mask))[0])


def check_array(
    where: str,
    name: str,
    value: Any,
    shape: tuple[int, ...],
    dtype: np.dtype,
    valid: Array | None = None,
    why: str = "",
    xp: Any = np,
) -> Array:
    """Return `value` as an array of `xp`, if it has this shape and dtype and passes `check_activations`.

    `why` says behind an error where the shape comes from.
    """
    array = as_array(where, name, value, xp)
    if array.dtype != dtype:
        raise TypeError(f"{where}: {name} must be {dtype}, {of_another_dtype(name, value, array, dtype)}")
    if array.shape != shape:
        raise ValueError(f"{where}: {name} must have shape {shape}, got {array.shape}{why and '; '}{why}")
    check_activations(where, name, array, valid)
    return array


def of_another_dtype(name: str, value: Any, array: Array, dtype: np.dtype, of: str = "") -> str:
    """Return what has come instead of an array of a dtype, and the way out: a list has no ``astype``."""
    if isinstance(value, list | tuple):
        return f"got {describe(value)}, which NumPy reads as {array.dtype}; pass np.asarray({name}, np.{dtype})"
    return f"got {array.dtype}; convert it with {of}astype(np.{dtype})"


def check_lengths(where: str, lengths: Any, T: int, B: int) -> np.ndarray | None:
    """Return `lengths` as an int64 array of shape (B,) on the host, or None where every row is full.

    They may come from a GPU, which costs a copy to the host.
    """
    if lengths is None:
        return None
    lengths = as_array(where, "lengths", to_host(lengths))
    if not np.issubdtype(lengths.dtype, np.integer):
        raise TypeError(f"{where}: lengths must be integers, got {lengths.dtype}")
    if lengths.shape != (B,):
        raise ValueError(f"{where}: lengths must have shape ({B},), one for each sequence, got {lengths.shape}")
    for bad, way_out in (
        (lengths < 1, "drop empty rows, or give each a single padding step"),
        (lengths > T, "shorten them, or pad x to the longest"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{where}: lengths must be between 1 and T = {T}, got {lengths[row]} in row {row}; {way_out}"
            )
    return None if (lengths == T).all() else lengths.astype(np.int64)


def check_needs(where: str, needs: Iterable[str] | None, names: Iterable[str]) -> frozenset[str]:
    """Return `needs` as a set, all `names` for None; an unknown name is an error that lists those there are."""
    names = tuple(names)
    if needs is None:
        return frozenset(names)
    if isinstance(needs, str) or not isinstance(needs, Iterable):
        raise TypeError(f"{where}: needs must be a set of names, got {shown(needs)}")
    needs = frozenset(needs)
    if unknown := sorted(map(str, needs.difference(names))):
        raise ValueError(f"{where}: needs must name some of {', '.join(names)}; got {', '.join(unknown)}")
    return needs


def positive_int(where: str, name: str, value: Any) -> int:
    """Return `value` as an int, if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: {name} must be an int, got {type(value).__name__} {shown(value)}")
    if value < 1:
        raise ValueError(f"{where}: {name} must be at least 1, got {value}")
    return int(value)


def flag(where: str, name: str, value: Any) -> bool:
    """Return `value` as a bool, if it is one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{where}: {name} must be True or False, got {shown(value)}")
    return bool(value)


def check_seed(where: str, seed: Any) -> int | None:
    """Return `seed` as an int, if it is a whole number of at least 0, or None."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"{where}: seed must be an int or None, got {shown(seed)}")
    if seed < 0:
        raise ValueError(f"{where}: seed must be at least 0, got {seed}")
    return int(seed)


def probability(where: str, name: str, value: Any) -> float:
    """Return `value` as a float, if 0 ≤ value < 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        raise TypeError(f"{where}: {name} must be a number, got {type(value).__name__} {shown(value)}")
    if not 0 <= value < 1:
        raise ValueError(f"{where}: {name} must be at least 0 and below 1, got {value}")
    return float(value)
