"""What a recurrent layer says to a wrong argument: one line that names function, argument, requirement, what came.

In the messages of the table below, … stands for anything. Every failed call is also shown to have changed nothing:
not an argument, not a parameter, not the generator of the dropout masks.
"""

# mypy: disable-error-code="arg-type,call-arg"
# Wrong types are what is tried here.

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from rnn_core import backends
from rnn_core.layers import GRU, LSTM, RNN

ONE = np.float32(1)


class World:
    """A layer, what goes into it and what came out, the same at every construction."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.layer = LSTM(3, 4, 2, dropout=0.5, seed=0)
        self.gru = GRU(3, 4, 2, seed=0)
        self.x = rng.normal(size=(5, 2, 3)).astype(np.float32)
        self.y, self.state, self.tape = self.layer.forward(self.x)
        self.values = self.layer.state_dict()

    def x_with(self, value, *place):
        x = self.x.copy()
        x[place] = value
        return x

    def values_with(self, name, value):
        return {**self.values, name: value}

    def contents(self):
        """Everything that a call could have changed, the next masks included."""
        drawn, *_ = self.layer.forward(np.ones((5, 2, 3), np.float32))
        arrays = (self.x, self.y, *self.state, drawn, *self.values.values(), *self.layer.parameters.values())
        return [array.tobytes() for array in arrays]


class Grown:
    """Refuses NumPy, as a torch Parameter does."""

    def __init__(self, *shape):
        self.shape = shape

    def __array__(self, *_, **__):
        raise RuntimeError("it requires grad")


class Error(NamedTuple):
    """One wrong call."""

    name: str
    call: Callable[[World], object]
    kind: type[Exception]
    message: str


T, V, R = TypeError, ValueError, RuntimeError
NAMES = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1"
SHAPE = "LSTM.__call__: x must have shape (T, B, 3) or, unbatched, (T, 3), got "
FLOAT = "LSTM.__call__: x must be float32, as the weights are, got "
EMPTY = "LSTM.__call__: x must have at least one sequence and one time step, got shape "
STATE = "its axes are layers·directions, B, H"

ERRORS = (
    # the constructor
    Error("no inputs", lambda w: LSTM(0, 4), V, "LSTM: input_size must be at least 1, got 0"),
    Error("negative size", lambda w: GRU(3, -4), V, "GRU: hidden_size must be at least 1, got -4"),
    Error("size as text", lambda w: RNN("3", 4), T, "RNN: input_size must be an int, got str '3'"),
    Error("size as float", lambda w: LSTM(3, 4.0), T, "LSTM: hidden_size must be an int, got float 4.0"),
    Error("no layers", lambda w: LSTM(3, 4, 0), V, "LSTM: num_layers must be at least 1, got 0"),
    Error("flag for layers", lambda w: LSTM(3, 4, True), T, "LSTM: num_layers must be an int, got bool True"),
    Error("text for a flag", lambda w: LSTM(3, 4, bias="no"), T, "LSTM: bias must be True or False, got 'no'"),
    Error("number for a flag", lambda w: LSTM(3, 4, bidirectional=2), T,
          "LSTM: bidirectional must be True or False, got 2"),
    Error("None for a flag", lambda w: LSTM(3, 4, batch_first=None), T,
          "LSTM: batch_first must be True or False, got None"),
    Error("everything dropped", lambda w: LSTM(3, 4, dropout=1.0), V,
          "LSTM: dropout must be at least 0 and below 1, got 1.0"),
    Error("negative dropout", lambda w: LSTM(3, 4, dropout=-0.1), V,
          "LSTM: dropout must be at least 0 and below 1, got -0.1"),
    Error("dropout NaN", lambda w: LSTM(3, 4, dropout=np.nan), V,
          "LSTM: dropout must be at least 0 and below 1, got nan"),
    Error("dropout as text", lambda w: LSTM(3, 4, dropout="0.1"), T, "LSTM: dropout must be a number, got str '0.1'"),
    Error("nonlinearity", lambda w: RNN(3, 4, nonlinearity="selu"), V,
          "RNN: nonlinearity must be 'tanh', 'relu' or 'sigmoid', got 'selu'"),
    Error("nonlinearity of an LSTM", lambda w: LSTM(3, 4, nonlinearity="tanh"), T, "…keyword argument 'nonlinearity'"),
    Error("half precision", lambda w: LSTM(3, 4, dtype=np.float16), T,
          "LSTM: dtype must be float32 or float64, got …float16…"),
    Error("integers", lambda w: LSTM(3, 4, dtype=int), T, "LSTM: dtype must be float32 or float64, got …int…"),
    Error("no dtype", lambda w: LSTM(3, 4, dtype=None), T, "LSTM: dtype must be float32 or float64, got None"),
    Error("dtype misspelt", lambda w: LSTM(3, 4, dtype="flaot32"), T,
          "LSTM: dtype must be float32 or float64, got 'flaot32'"),
    Error("seed as text", lambda w: LSTM(3, 4, seed="a"), T, "LSTM: seed must be an int or None, got 'a'"),
    Error("negative seed", lambda w: LSTM(3, 4, seed=-1), V, "LSTM: seed must be at least 0, got -1"),
    Error("unknown backend", lambda w: LSTM(3, 4, backend="gpu"), V,
          "LSTM: backend must be one of …'numpy'…, got 'gpu'"),
    Error("backend not a name", lambda w: LSTM(3, 4, backend=["numpy"]), V,
          "LSTM: backend must be one of …, got ['numpy']"),
    Error("dtype of a twin", lambda w: w.layer.astype("int8"), T,
          "LSTM: dtype must be float32 or float64, got 'int8'"),
    # x
    Error("too many features", lambda w: w.layer(np.ones((5, 2, 7), np.float32)), V,
          SHAPE + "(5, 2, 7); input_size is 3"),
    Error("no features", lambda w: w.layer(np.ones((5, 2, 0), np.float32)), V, SHAPE + "(5, 2, 0); input_size is 3"),
    Error("one axis", lambda w: w.layer(w.x[0, 0]), V, SHAPE + "(3,); input_size is 3"),
    Error("four axes", lambda w: w.layer(w.x[None]), V, SHAPE + "(1, 5, 2, 3); input_size is 3"),
    Error("batch first", lambda w: LSTM(3, 4, batch_first=True)(w.x[..., 0]), V,
          "LSTM.__call__: x must have shape (B, T, 3) or, unbatched, (T, 3), got (5, 2); input_size is 3"),
    Error("no sequence", lambda w: w.layer(w.x[:, :0]), V, EMPTY + "(5, 0, 3)"),
    Error("no time step", lambda w: w.layer(w.x[:0]), V, EMPTY + "(0, 2, 3)"),
    Error("lists of floats", lambda w: w.layer(w.x.tolist()), T,
          FLOAT + "a list of 5, which NumPy reads as float64; pass np.asarray(x, np.float32), or build the LSTM with…"),
    Error("float64 into float32", lambda w: w.layer(w.x.astype(np.float64)), T,
          FLOAT + "float64; convert it with x.astype(np.float32), or build the LSTM with dtype=np.float64"),
    Error("integers for x", lambda w: w.layer(np.ones((5, 2, 3), int)), T,
          FLOAT + "int64; convert it with x.astype(np.float32)"),
    Error("ragged lists", lambda w: w.layer([[[1, 2, 3]], [[1, 2]]]), V,
          "LSTM.__call__: x must be an array or lists of equal length, got a list of 2 whose parts differ in length; "
          "pad them to the longest, with rnn_core.data.pad_sequences"),
    Error("None for x", lambda w: w.layer(None), T, "LSTM.__call__: x must be an array of numbers, got None"),
    Error("text for x", lambda w: w.layer("text"), T, "LSTM.__call__: x must be an array of numbers, got 'text'"),
    Error("NaN in x", lambda w: w.layer.forward(w.x_with(np.nan, 3, 1, 2)), V,
          "LSTM.forward: x must be finite, got nan at index (3, 1, 2) (1 of 30 values are NaN or infinite)"),
    Error("infinity in x", lambda w: w.layer(w.x_with(-np.inf, 0, 1)), V,
          "LSTM.__call__: x must be finite, got -inf at index (0, 1, 0) (3 of 30 values are NaN or infinite)"),
    Error("NaN in what is valid", lambda w: w.layer(w.x_with(np.nan, slice(1, 4), 1), lengths=[5, 3]), V,
          "LSTM.__call__: x must be finite, got nan at index (1, 1, 0) (6 of 30 values are NaN or infinite)"),
    # lengths
    Error("empty row", lambda w: w.layer(w.x, lengths=[1, 0]), V,
          "LSTM.__call__: lengths must be between 1 and T = 5, got 0 in row 1; "
          "drop empty rows, or give each a single padding step"),
    Error("negative length", lambda w: w.layer.forward(w.x, lengths=[-1, 5]), V,
          "LSTM.forward: lengths must be between 1 and T = 5, got -1 in row 0; …"),
    Error("row too long", lambda w: w.layer(w.x, lengths=[6, 5]), V,
          "LSTM.__call__: lengths must be between 1 and T = 5, got 6 in row 0; shorten them, or pad x to the longest"),
    Error("too many lengths", lambda w: w.layer(w.x, lengths=[1, 2, 3]), V,
          "LSTM.__call__: lengths must have shape (2,), one for each sequence, got (3,)"),
    Error("one length for all", lambda w: w.layer(w.x, lengths=3), V,
          "LSTM.__call__: lengths must have shape (2,), one for each sequence, got ()"),
    Error("two lengths unbatched", lambda w: w.layer(w.x[:, 0], lengths=[1, 2]), V,
          "LSTM.__call__: lengths must have shape (1,), one for each sequence, got (2,)"),
    Error("lengths as floats", lambda w: w.layer(w.x, lengths=[1.0, 2.0]), T,
          "LSTM.__call__: lengths must be integers, got float64"),
    Error("a mask for lengths", lambda w: w.layer(w.x, lengths=[True, False]), T,
          "LSTM.__call__: lengths must be integers, got bool"),
    Error("lists for lengths", lambda w: w.layer(w.x, lengths=[[1], [1, 2]]), V,
          "LSTM.__call__: lengths must be an array or lists of equal length, got a list of 2 whose parts differ…"),
    Error("text for lengths", lambda w: w.layer(w.x, lengths="all"), T,
          "LSTM.__call__: lengths must be an array of numbers, got 'all'"),
    # states
    Error("state is no pair", lambda w: w.layer(w.x, w.state[0]), V,
          "LSTM.__call__: state0 must be a pair (h, c), got ndarray of shape (2, 2, 4)"),
    Error("state of three", lambda w: w.layer(w.x, (*w.state, w.x)), V,
          "LSTM.__call__: state0 must be a pair (h, c), got a tuple of 3"),
    Error("state as text", lambda w: w.layer(w.x, "zeros"), V,
          "LSTM.__call__: state0 must be a pair (h, c), got 'zeros'"),
    Error("state of one layer", lambda w: w.layer.forward(w.x, (w.state[0], w.state[1][:1])), V,
          "LSTM.forward: state0[1] must have shape (2, 2, 4), got (1, 2, 4); " + STATE),
    Error("pair for a GRU", lambda w: w.gru(w.x, w.state), V,
          "GRU.__call__: state0 must have shape (2, 2, 4), got (2, 2, 2, 4); " + STATE),
    Error("batched state of an unbatched x", lambda w: w.gru(w.x[:, 0], w.state[0]), V,
          "GRU.__call__: state0 must have shape (2, 4), got (2, 2, 4); its axes are layers·directions, H"),
    Error("state in float64", lambda w: w.layer(w.x, (w.state[0], w.state[1].astype(np.float64))), T,
          "LSTM.__call__: state0[1] must be float32, got float64; convert it with astype(np.float32)"),
    Error("state NaN", lambda w: w.gru(w.x, np.full((2, 2, 4), np.nan, np.float32)), V,
          "GRU.__call__: state0 must be finite, got nan at index (0, 0, 0) (16 of 16 values are NaN or infinite)"),
    # rng
    Error("rng as text", lambda w: w.layer.forward(w.x, rng="a"), T,
          "LSTM.forward: rng must be a numpy.random.Generator, an int of at least 0, or None, got 'a'"),
    Error("rng negative", lambda w: w.layer.forward(w.x, rng=-1), V,
          "LSTM.forward: rng must be a numpy.random.Generator, an int of at least 0, or None, got -1"),
    # backward
    Error("no tape", lambda w: w.layer.backward(None, w.y), T,
          "LSTM.backward: tape must be the third value of forward, got None"),
    Error("all that forward returns for a tape", lambda w: w.layer.backward((w.y, w.state, w.tape), w.y), T,
          "LSTM.backward: tape must be the third value of forward, got a tuple of 3"),
    Error("another layer's tape", lambda w: LSTM(3, 4, 2, seed=0).backward(w.tape, w.y), V,
          "LSTM.backward: tape must come from this layer's own forward, got another LSTM's"),
    Error("another kind's tape", lambda w: w.gru.backward(w.tape, w.y), V,
          "GRU.backward: tape must come from this layer's own forward, got another LSTM's"),
    Error("dy too short", lambda w: w.layer.backward(w.tape, w.y[:-1]), V,
          "LSTM.backward: dy must have shape (5, 2, 4), got (4, 2, 4); it is shaped as y"),
    Error("dy in float64", lambda w: w.layer.backward(w.tape, w.y.astype(np.float64)), T,
          "LSTM.backward: dy must be float32, got float64; convert it with astype(np.float32)"),
    Error("dy NaN", lambda w: w.layer.backward(w.tape, w.y * np.float32(np.nan)), V,
          "LSTM.backward: dy must be finite, got nan at index (0, 0, 0) (40 of 40 values are NaN or infinite)"),
    Error("dstate is no pair", lambda w: w.layer.backward(w.tape, w.y, w.state[0]), V,
          "LSTM.backward: dstate must be a pair (h, c), got ndarray of shape (2, 2, 4)"),
    Error("dstate of one row", lambda w: w.layer.backward(w.tape, None, (None, w.state[1][:, :1])), V,
          "LSTM.backward: dstate[1] must have shape (2, 2, 4), got (2, 1, 4); " + STATE),
    Error("needs as text", lambda w: w.layer.backward(w.tape, w.y, needs="x"), T,
          "LSTM.backward: needs must be a set of names, got 'x'"),
    Error("needs as number", lambda w: w.layer.backward(w.tape, w.y, needs=1), T,
          "LSTM.backward: needs must be a set of names, got 1"),
    Error("unknown need", lambda w: w.layer.backward(w.tape, w.y, needs=["x", "weight_ih"]), V,
          f"LSTM.backward: needs must name some of x, h0, c0, {NAMES}; got weight_ih"),
    Error("c0 of a GRU", lambda w: w.gru.backward(w.gru.forward(w.x)[2], w.y, needs={"c0"}), V,
          f"GRU.backward: needs must name some of x, h0, {NAMES}; got c0"),
    # load_state_dict
    Error("no dict", lambda w: w.layer.load_state_dict(None), T,
          "LSTM.load_state_dict: mapping must be a dict of arrays by name, got None"),
    Error("name missing", lambda w: w.gru.load_state_dict(dict(list(w.gru.state_dict().items())[1:])), V,
          "GRU.load_state_dict: names must be those of the parameters; missing: weight_ih_l0; unknown: none; "
          f"this GRU has {NAMES}"),
    Error("name unknown", lambda w: w.layer.load_state_dict(w.values_with("weight_hr_l0", ONE)), V,
          "LSTM.load_state_dict: names must be those of the parameters; missing: none; unknown: weight_hr_l0; "
          f"this LSTM has {NAMES}"),
    Error("last value's shape", lambda w: w.layer.load_state_dict(w.values_with("bias_hh_l1", ONE)), V,
          "LSTM.load_state_dict: bias_hh_l1 must have shape (16,), got ()"),
    Error("last value's dtype", lambda w: w.layer.load_state_dict(w.values_with("bias_hh_l1", np.ones(16))), T,
          "LSTM.load_state_dict: bias_hh_l1 must be float32 or narrower, got float64; "
          "convert it with astype(np.float32), or build the LSTM with dtype=np.float64"),
    Error("last value infinite",
          lambda w: w.layer.load_state_dict(w.values_with("bias_hh_l1", np.full(16, -np.inf, np.float32))), V,
          "LSTM.load_state_dict: bias_hh_l1 must be finite, got -inf at index (0,) (16 of 16 values are…"),
    Error("last value as text", lambda w: w.layer.load_state_dict(w.values_with("bias_hh_l1", "ones")), T,
          "LSTM.load_state_dict: bias_hh_l1 must be an array of numbers, got 'ones'"),
    Error("last value requires grad", lambda w: w.layer.load_state_dict(w.values_with("bias_hh_l1", Grown(16))), T,
          "LSTM.load_state_dict: bias_hh_l1 must be an array of numbers, got …, which NumPy can't read (it requires "
          "grad); of a torch tensor take .detach().cpu(), of bfloat16 also .float()"),
)  # fmt: skip


def absent(name: str) -> Error:
    message = f"LSTM: backend {name!r} is not available: …; use …'numpy'…, or leave backend out for the default"
    return Error(f"backend {name}", lambda w: LSTM(3, 4, backend=name), R, message)


MISSING = tuple(absent(name) for name, reason in backends.status().items() if reason)
"""A backend that is not there is refused with its reason and the way out."""


@pytest.mark.parametrize("error", ERRORS + MISSING, ids=lambda error: error.name.replace(" ", "-"))
def test_the_message_says_what_to_change_and_nothing_is_changed(error):
    world = World()
    with pytest.raises(error.kind) as caught:
        error.call(world)
    assert type(caught.value) is error.kind
    pattern = ".*".join(map(re.escape, error.message.split("…")))
    assert re.fullmatch(pattern, str(caught.value)), f"\nfound:    {caught.value}\nexpected: {error.message}"
    assert world.contents() == World().contents()


def test_what_looks_odd_and_is_right_is_accepted():
    world = World()
    world.layer(world.x_with(np.nan, slice(3, 5), 1), lengths=[5, 3])  # NaN in the padding
    LSTM(3, 4, dtype=np.float64)(world.x.tolist())
    world.layer(world.x, (None, world.state[1]), np.array([1, 5], np.uint8))
    world.layer(world.x, list(world.state))
    world.layer.backward(world.tape, None, (world.state[0], None), needs=())
    LSTM(np.int64(3), np.uint8(4), 2, dropout=np.float32(0.5), bias=np.True_, dtype="float64", seed=np.int32(1))


def test_large_finite_numbers_are_not_mistaken_for_infinite_ones():
    """Their sum overflows; none of them is infinite."""
    layer = LSTM(3, 4, seed=0, dtype=np.float64)
    y, _ = layer(np.full((5, 2, 3), 1e308))
    assert np.isfinite(y).all()
