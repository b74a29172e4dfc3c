"""How outputs move when inputs, states or parameters move: Jacobian-vector products, forwards through time.

::

    ẏ = J·(ẋ, θ̇, ṡ_0) = Im f(x + i·ε·ẋ, θ + i·ε·θ̇, s_0 + i·ε·ṡ_0) / ε        (J1)

J holds the derivatives of every output by everything that goes in. One forward on complex numbers gives its product
with a direction, whatever the sizes: (K1) along a direction. Dots mark tangents.

References
----------
R. J. Williams, D. Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
Computation 1 (1989) 270-280: derivatives carried forwards.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checking.complex_step import EPSILON
from ..checking.twins import on_host
from ..layers.checks import as_array
from ..layers.home import move, to_host
from ..layers.layout import describe
from .stepping import check_has, step, stepped

STATE = ("state0", "state")
"""What the argument with the initial state is called."""


def jvp(
    target: Any,
    x: Any,
    *,
    dx: Any = None,
    dparameters: Mapping[str, Any] | None = None,
    dstate0: Any = None,
    state0: Any = None,
    lengths: Any = None,
    targets: Any = None,
    resets: Any = None,
    all_states: bool | None = None,
) -> Any:
    """Return the tangents of what a layer or model answers: the Jacobian times a direction, (J1).

    Parameters
    ----------
    target : layer or model
        Anything that is called with one x: RNN, LSTM, GRU, Linear, Embedding, convolutions, LanguageModel,
        SequenceClassifier, SequenceTagger, Forecaster, … It is called as for inference: dropout is off.
    x : ndarray
        Input as the call takes it.
    dx : ndarray, shape of x, optional
        ẋ. What is left out of these three is zero, and one must be given. Tokens have none.
    dparameters : mapping of str to ndarray, optional
        θ̇, by the names of parameters; the others don't move.
    dstate0 : ndarray or pair of ndarray, optional
        ṡ_0, shaped as the initial state; None, also inside an LSTM's pair, stands for zeros.
    state0, lengths, targets, resets, all_states
        As the call takes them, where it does.

    Returns
    -------
    tangents : as the call itself
        Of an LSTM ``(dy, (dh, dc))``, of a classifier that of its logits: shaped as the answer, in its dtype and where
        it lives.

    Raises
    ------
    ValueError
        No direction is given, a name is unknown, or a shape does not fit; or as the call itself.
    TypeError
        The target can't be run on complex numbers, or has no such argument; or tokens are to move.

    Notes
    -----
    It is computed in double precision, also of a float32 layer. Where there is a kink (ReLU, max pooling) it is the
    derivative on the side where the point is.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_core import LSTM
    >>> from rnn_core.sensitivity import jvp
    >>> layer, x = LSTM(2, 3, dtype=np.float64, seed=0), np.ones((5, 1, 2))
    >>> dx = np.zeros_like(x)
    >>> dx[3] = 1  # only the fourth step moves
    >>> dy, (dh, dc) = jvp(layer, x, dx=dx)
    >>> dy[:3].any(), dy[3:].all()
    (np.False_, np.True_)
    """
    where = "jvp"
    check_has(where, "target", target, "parameters", "astype", "__call__")
    if dx is None and not dparameters and dstate0 is None:
        raise ValueError(f"{where}: dx, dparameters or dstate0 must be given, got none of them; nothing would move")
    twin = stepped(where, target, dparameters or {}, "dparameters")
    takes = tuple(inspect.signature(type(target).__call__).parameters)
    options = {"lengths": lengths, "targets": targets, "resets": resets, "all_states": all_states}
    state_name = next((name for name in STATE if name in takes), STATE[0])
    options[state_name] = _moved_state(where, on_host(state0, np.complex128), dstate0)
    given = {name: to_host(value) for name, value in options.items() if value is not None}
    if unknown := [name for name in given if name not in takes]:
        raise TypeError(f"{where}: {unknown[0]} must be left out, as {type(target).__name__} takes none")
    out = twin(_moved_input(where, x, dx), **given)
    dtype = np.dtype(target.config["dtype"])
    return _tangents(out, dtype, target.namespace)


def _moved_input(where: str, x: Any, dx: Any) -> np.ndarray:
    """Return x + i·ε·ẋ; tokens as they are."""
    if isinstance(x, tuple | list) and any(hasattr(part, "shape") for part in x):
        raise TypeError(f"{where}: x must be one array, got {describe(x)}")
    x = as_array(where, "x", to_host(x))
    if x.dtype.kind != "f":
        if dx is not None:
            raise TypeError(
                f"{where}: dx must be left out where x is tokens, which can't move a little, got x of {x.dtype}"
            )
        return x
    moved = x.astype(np.complex128)
    return moved if dx is None else moved + step(where, "dx", dx, x.shape)


def _moved_state(where: str, state0: Any, dstate0: Any) -> Any:
    """Return s_0 + i·ε·ṡ_0, each state for itself; zeros where there is but a direction."""
    if dstate0 is None:
        return state0
    if isinstance(dstate0, tuple | list):
        parts = [None] * len(dstate0) if state0 is None else state0
        if not isinstance(parts, tuple | list) or len(parts) != len(dstate0):
            raise ValueError(f"{where}: dstate0 must be as state0 is, got {describe(dstate0)} for {describe(parts)}")
        moved = (_moved_part(where, f"dstate0[{k}]", s, d) for k, (s, d) in enumerate(zip(parts, dstate0, strict=True)))
        return tuple(moved)
    return _moved_part(where, "dstate0", state0, dstate0)


def _moved_part(where: str, name: str, s: Any, ds: Any) -> Any:
    if ds is None:
        return s
    if s is None:
        s = np.zeros(np.shape(to_host(ds)), np.complex128)
    return s + step(where, name, ds, np.shape(s))


def _tangents(out: Any, dtype: np.dtype, xp: Any) -> Any:
    """Return Im/ε of every array of an answer."""
    if isinstance(out, tuple | list):
        return type(out)(*(_tangents(part, dtype, xp) for part in out)) if hasattr(out, "_fields") else tuple(
            _tangents(part, dtype, xp) for part in out
        )  # fmt: skip
    return None if out is None else move((out.imag / EPSILON).astype(dtype), xp)  # (J1)
