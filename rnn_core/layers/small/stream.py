"""`Stream`: a layer that takes one step at a time, or some, and keeps the state from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ..checks import as_array, check_array, positive_int
from ..layout import Layout, describe
from .calls import Place


class Stream:
    """Step after step through a recurrent layer of one direction. Made by ``layer.stream()``.

    ``stream(x_t)`` returns y_t, what the layer returns for step t of the whole sequence, and ``stream(x[t:t + n])``
    what it returns for some: the same bits, in however many pieces the sequence comes. Dropout is off. The weights are
    the layer's own: where they are written into, the next step sees it.

    A stream is for one thread at a time; a layer may have any number of streams. An interrupt (Ctrl-C) leaves its state
    before a step or after it.

    Attributes
    ----------
    layer : Recurrent
    batch_size : int or None

    Notes
    -----
    With backend="cpu" and `out`, nothing is allocated once a number of steps, or a larger one, has been met: steps are
    taken 2ⁿ at a time, at desks of the stream's own.
    """

    def __init__(self, layer: Any, batch_size: int | None = None, state0: Any = None):
        self._where = where = f"{type(layer).__name__}.stream"
        if layer.directions == 2:
            raise ValueError(
                f"{where}: the layer must be of one direction, got a bidirectional one, whose every step depends on "
                "the last; call the layer with whole sequences"
            )
        self.layer = layer
        self._states: tuple[Array, ...] = ()
        self._batch_size = None if batch_size is None else positive_int(where, "batch_size", batch_size)
        self._time = 1 if layer.batch_first and batch_size is not None else 0  # axis of what the layer takes
        I, B = layer.input_size, self.batch_size
        self._step = (I,) if B is None else (B, I)
        self._layout = Layout.of(self._sequence(1), layer.batch_first)
        self._place = place = None if layer._small is None else layer._small.place(self._sequence(1))
        self._shape: tuple[int, ...] | None = None  # of an x that may take the short way
        if place is not None:
            self._shape, self._dtype = self._step, layer.dtype
            self._x, self._y = self._at(place.x, 0), self._at(place.y, 0)
            self._run, self._stamp = place.run, layer._small.stamp
            self._before = tuple([state.copy() for state in place.states])
            self._places = [place]  # of 1, 2, 4, … steps, as far as they have been wanted and there is a desk
            self._full = False  # there is no desk of more steps
        self._begin(where, "state0", state0)

    def __call__(self, x: Array, *, out: Array | None = None) -> Array:
        """Take a step, or some.

        Parameters
        ----------
        x : ndarray, shape (I,); (B, I) with a batch size
            One step. Or several with an axis of time, laid out as the layer's own x: (T, I), (T, B, I), or (B, T, I)
            with batch_first.
        out : ndarray, optional
            Where y goes; of its shape and dtype.

        Returns
        -------
        y : ndarray, shaped as x, with H features
            `out`, if it was given.

        Raises
        ------
        ValueError, TypeError
            As the layer's `forward`; the state is then as it was. Or `out` is not as required.
        """
        if out is not None:
            self._check_out(x, out)
        if type(x) is np.ndarray and self._shape is not None and x.dtype == self._dtype:
            if x.shape == self._shape:
                self._x[...] = x
                if self._run(False, self._stamp()):
                    if out is None:
                        return self._y.copy()
                    out[...] = self._y
                    return out
            elif x.ndim > len(self._shape) and x.size and x.shape == self._sequence(x.shape[self._time]):
                y = np.empty((*x.shape[:-1], self.layer._sizes[0]), self._dtype) if out is None else out
                if self._pieces(x, y):
                    return y
        return self._ordinary(x, out)

    @property
    def batch_size(self) -> int | None:
        """B of every step, or None; it stays."""
        return self._batch_size

    @property
    def state(self) -> Any:
        """The state after the last step, h or (h, c), shaped as the layer's; a copy. What is assigned is the next."""
        states = [state.copy() for state in self._states]
        return states[0] if len(states) == 1 else tuple(states)

    @state.setter
    def state(self, state: Any) -> None:
        self._begin(self._where, "state", state)

    def reset(self, state0: Any = None, rows: Any = None) -> None:
        """Begin anew, at zero or at a state.

        Parameters
        ----------
        state0 : ndarray or pair of ndarray, optional
            A state as the layer's; zeros without it.
        rows : array of bool, or of the integers 0 and 1, shape (B,), optional
            The sequences that begin anew; the others go on. All of them without it.
        """
        self._begin(f"{self._where}.reset", "state0", state0, rows)

    def _begin(self, where: str, name: str, state: Any, rows: Any = None) -> None:
        layer, layout = self.layer, self._layout
        found = layer._checked_states(where, name, state, layout)
        shapes, xp = [layout.state_shape(layer.num_layers, size) for size in layer._sizes], layer.namespace
        states = [
            xp.zeros(shape, dtype=layer.dtype) if s is None else xp.reshape(s, shape)
            for s, shape in zip(found, shapes, strict=True)
        ]
        if rows is not None:
            rows = as_array(where, "rows", rows)
            if rows.dtype.kind not in "biu" or rows.shape != (self.batch_size,):
                raise ValueError(
                    f"{where}: rows must be booleans, or 0 and 1, of shape (B,), one for each sequence, got "
                    f"{rows.dtype} of shape {rows.shape}; batch_size is {self.batch_size}"
                )
            if rows.dtype.kind != "b" and (wrong := rows[(rows != 0) & (rows != 1)]).size:
                raise ValueError(f"{where}: rows must be 0 or 1 for each sequence, and no indexes, got {wrong[0]}")
            anew = xp.asarray(rows != 0)[:, np.newaxis]
            states = [xp.where(anew, s, old) for s, old in zip(states, self._states, strict=True)]
        if self._place is None:
            self._states = tuple([state.copy() for state in states])
            return
        self._states = self._place.states
        for place, state in zip(self._states, states, strict=True):
            place[...] = state

    def _pieces(self, x: Array, y: Array) -> bool:
        """Take steps at desks, as many as possible at a time; return False, with the state as it was, if any is odd."""
        first, end, states = 0, x.shape[self._time], self._states
        _copy(states, self._before)
        while first < end:
            place, n = self._place_for(end - first)
            here = (slice(None), slice(first, first + n)) if self._time else slice(first, first + n)
            place.x[...] = x[here]
            if place.states is not states:
                _copy(states, place.states)
            if not place.run(False, self._stamp()):
                _copy(self._before, states)
                return False
            if place.states is not states:
                _copy(place.states, states)
            y[here] = place.y
            first += n
        return True

    def _place_for(self, most: int) -> tuple[Place, int]:
        """Return a place for as many steps as possible of so many, and how many those are."""
        while not self._full and 2 ** len(self._places) <= most:
            place = self.layer._small.place(self._sequence(2 ** len(self._places)))
            if place is None:
                self._full = True
            else:
                self._places.append(place)
        k = min(len(self._places), most.bit_length()) - 1
        return self._places[k], 2**k

    def _check_out(self, x: Any, out: Any) -> None:
        """Raise where y can't go to `out`. What x is not is said elsewhere."""
        layer, where = self.layer, self._where
        if type(x) is not type(out):
            raise TypeError(f"{where}: out must be an array as x is, got {describe(out)}")
        shape = (*x.shape[:-1], layer._sizes[0])
        if out.shape != shape or out.dtype != layer.dtype:
            raise ValueError(f"{where}: out must be {layer.dtype} of shape {shape}, got {out.dtype} of {out.shape}")

    def _ordinary(self, x: Any, out: Array | None) -> Array:
        """Take steps through the layer's own call, after all checks."""
        layer, where = self.layer, self._where
        given, x = x, as_array(where, "x", x, layer.namespace)
        if one := x.ndim == len(self._step):
            x = check_array(where, "x", given, self._step, layer.dtype, why="one step", xp=layer.namespace)
            x = layer.namespace.expand_dims(x, axis=self._time)
        elif x.ndim != len(self._step) + 1 or x.shape != self._sequence(x.shape[self._time]):
            raise ValueError(
                f"{where}: x must be one step of shape {self._step}, or several of {self._said()}, got {describe(x)}"
            )
        y, state = layer(x if one else given, self.state)
        y = self._at(y, 0) if one else y
        if out is not None:
            out[...] = y
        self._begin(where, "state", state)
        return y if out is None else out

    def _at(self, sequence: Array, t: int) -> Array:
        return sequence[:, t] if self._time else sequence[t]

    def _sequence(self, T: int) -> tuple[int, ...]:
        """Return the shape of T steps, as the layer takes them."""
        return (*self._step[: self._time], T, *self._step[self._time :])

    def _said(self) -> str:
        """Return the shape of some steps, for an error."""
        sizes = [str(size) for size in self._step]
        sizes.insert(self._time, "T")
        return f"({', '.join(sizes)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.layer, self.batch_size, self.state)


def _copy(states: tuple[Array, ...], into: tuple[Array, ...]) -> None:
    for state, place in zip(states, into, strict=True):
        place[...] = state
