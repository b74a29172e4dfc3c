"""`Stream`: a layer that takes one step at a time, and keeps the state from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ..checks import as_array, check_array, positive_int
from ..layout import Layout, describe


class Stream:
    """One step after another through a recurrent layer of one direction. Made by ``layer.stream()``.

    ``stream(x_t)`` returns y_t, what the layer returns for step t of the whole sequence: with backend="cpu" the same
    bits. Dropout is off. The weights are the layer's own: where they are written into, the next step sees it.

    A stream is for one thread at a time; a layer may have any number of streams. An interrupt (Ctrl-C) leaves its state
    before the step or after it.

    Attributes
    ----------
    layer : Recurrent
    batch_size : int or None
    """

    def __init__(self, layer: Any, batch_size: int | None = None, state0: Any = None):
        self._where = where = f"{type(layer).__name__}.stream"
        if layer.directions == 2:
            raise ValueError(
                f"{where}: the layer must be of one direction, got a bidirectional one, whose every step depends on "
                "the last; call the layer with whole sequences"
            )
        self.layer = layer
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
        self._begin(where, "state0", state0)

    def __call__(self, x: Array) -> Array:
        """Take a step, or some.

        Parameters
        ----------
        x : ndarray, shape (I,); (B, I) with a batch size
            One step. Or several with an axis of time, laid out as the layer's own x: (T, I), (T, B, I), or (B, T, I)
            with batch_first.

        Returns
        -------
        y : ndarray, shaped as x, with H features

        Raises
        ------
        ValueError, TypeError
            As the layer's `forward`; the state is then as it was.
        """
        if type(x) is np.ndarray and x.shape == self._shape and x.dtype == self._dtype:
            self._x[...] = x
            if self._run(False, self._stamp()):
                return self._y.copy()
        return self._ordinary(x)

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

    def reset(self, state0: Any = None) -> None:
        """Begin anew, at zero or at a state."""
        self._begin(f"{self._where}.reset", "state0", state0)

    def _begin(self, where: str, name: str, state: Any) -> None:
        layer, layout = self.layer, self._layout
        found = layer._checked_states(where, name, state, layout)
        shape, xp = layout.state_shape(layer.num_layers, layer.hidden_size), layer.namespace
        states = [xp.zeros(shape, dtype=layer.dtype) if s is None else xp.reshape(s, shape) for s in found]
        if self._place is None:
            self._states = tuple([state.copy() for state in states])
            return
        self._states = self._place.states
        for place, state in zip(self._states, states, strict=True):
            place[...] = state

    def _ordinary(self, x: Any) -> Array:
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
        self._begin(where, "state", state)
        return self._at(y, 0) if one else y

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
