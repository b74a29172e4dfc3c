"""Small calls of a layer: the short way says what the ordinary way says, bit for bit, and lets nothing odd through."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN, LanguageModel, quantize

KINDS = [RNN, LSTM, GRU]
LAYOUTS = [{}, {"batch_first": True}]


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def states_of(layer, B, seed=1):
    """Return an initial state as a caller gives it; B is None for an input without a batch."""
    shape = (layer.num_layers * layer.directions, *([] if B is None else [B]), layer.hidden_size)
    states = tuple(normal(*shape, dtype=layer.dtype, seed=seed + k) for k in range(len(layer.spec.states)))
    return states if len(states) > 1 else states[0]


def flat(result):
    y, state = result
    return [y, *(state if isinstance(state, tuple) else (state,))]


def bits(result):
    return [(array.shape, array.dtype, array.tobytes()) for array in flat(result)]


def ordinary(layer, x, state0=None):
    """Return what the layer says the ordinary way."""
    (y,), state = layer._infer("test", x, state0, None, every=False)
    return y, state


def known(layer, x):
    """Call a layer until there is a desk for x's shape."""
    for _ in range(2):
        layer(x)
    assert layer._small(x, None) is not None
    return layer


OPTIONS = [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "dtype": np.float64}]
OPTIONS += [{"num_layers": 2, "bidirectional": True, "precision": "bfloat16"}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_short_way_has_the_bits_of_the_ordinary_one(kind, options):
    for layout in LAYOUTS:
        layer = kind(3, 5, **options, **layout, seed=0)
        for shape in ((4, 3), (4, 2, 3), (1, 1, 3)):
            x = normal(*shape, dtype=layer.dtype)
            B = None if len(shape) == 2 else shape[0 if layer.batch_first else 1]
            known(layer, x)
            for state0 in (None, states_of(layer, B), None):
                assert bits(layer._small(x, state0)) == bits(layer(x, state0)) == bits(ordinary(layer, x, state0))


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_the_callers(kind):
    x = normal(4, 2, 3)
    layer = known(kind(3, 5, seed=0), x)
    first = layer(x)
    kept = bits(first)
    assert bits(layer(x + 1, states_of(layer, 2))) != kept
    assert bits(first) == kept
    for array in flat(first):
        assert array.flags.c_contiguous
        assert array.flags.owndata
        array[...] = np.nan
    assert bits(layer(x)) == kept


def test_inputs_may_lie_as_they_like():
    x = normal(4, 2, 3)
    layer = known(LSTM(3, 5, seed=0), x)
    expected, state = bits(layer(x)), states_of(layer, 2)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]
    readonly = x.copy()
    readonly.flags.writeable = False
    for other in (strided, np.asfortranarray(x), readonly, x[::-1][::-1]):
        assert layer._small(other, None) is not None
        assert bits(layer(other)) == expected
    assert layer._small(x.view(Sub), None) is None
    assert bits(layer(x.view(Sub))) == expected
    given = bits(ordinary(layer, x, state))
    for same in (state, tuple(np.asfortranarray(s) for s in state), [*state]):
        assert bits(layer(x, same)) == given
    assert bits(layer(x, (state[0], None))) == bits(ordinary(layer, x, (state[0], None)))


class Sub(np.ndarray):
    """Somebody's array."""


WRONG = {
    "dtype": lambda x: x.astype(np.float64),
    "byte order": lambda x: x.astype(">f4"),
    "NaN": lambda x: x * np.nan,
    "infinity": lambda x: np.where(np.arange(3) == 1, np.inf, x).astype(np.float32),
    "text": lambda x: x.astype(str),
    "integers": lambda x: x.astype(np.int32),
    "masked": lambda x: np.ma.masked_array(x, x > 0),
    "features": lambda x: x[..., :2],
    "no steps": lambda x: x[:0],
    "no sequences": lambda x: x[:, :0],
    "four axes": lambda x: x[None],
    "nothing": lambda x: None,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_before_there_is_a_desk_and_after(kind, wrong):
    x = normal(4, 2, 3)
    layer, spoiled = kind(3, 5, seed=0), WRONG[wrong](x)
    with pytest.raises((TypeError, ValueError)) as first:
        layer(spoiled)
    expected = bits(known(layer, x)(x))
    for _ in range(3):
        with pytest.raises(type(first.value)) as later:
            layer(spoiled)
        assert str(later.value) == str(first.value)
    assert bits(layer(x)) == expected


STATES = {
    "dtype": lambda s: s.astype(np.float64),
    "shape": lambda s: s[:, :1],
    "NaN": lambda s: s * np.nan,
    "infinity": lambda s: s / np.float32(0),
    "text": lambda s: "zero",
}


@pytest.mark.parametrize("wrong", STATES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_so_is_an_error_of_a_state(kind, wrong):
    x = normal(4, 2, 3)
    layer = kind(3, 5, seed=0)
    state = states_of(layer, 2)
    spoil = STATES[wrong]
    spoiled = [(state[0], spoil(state[1])), (spoil(state[0]), state[1])] if kind is LSTM else [spoil(state)]
    if kind is LSTM:
        spoiled += [state[0], (*state, state[0]), (state[0],)]
    first = []
    for one in spoiled:
        with pytest.raises((TypeError, ValueError)) as error:
            layer(x, one)
        first.append(str(error.value))
    known(layer, x)
    for one, says in zip(spoiled, first, strict=True):
        with pytest.raises((TypeError, ValueError)) as error:
            layer(x, one)
        assert str(error.value) == says
    assert bits(layer(x, state)) == bits(ordinary(layer, x, state))


def test_lengths_go_the_ordinary_way_and_are_heard():
    x = normal(4, 2, 3)
    layer = known(GRU(3, 5, seed=0), x)
    y, _ = layer(x, lengths=[4, 2])
    assert not y[2:, 1].any()
    assert bits(layer(x, lengths=[4, 4])) == bits(layer(x))


def test_shapes_are_forgotten_in_the_end_and_none_is_kept_that_came_once():
    layer = LSTM(3, 5, seed=0)
    for T in range(1, 100):
        layer(normal(T, 3))
    assert not any(layer._small._free.values())
    assert len(layer._small._free) < 20
    for T in range(1, 100):
        known(layer, normal(T, 3))
    assert len(layer._small._free) < 20


def test_what_is_too_large_goes_the_ordinary_way():
    x = normal(50_000, 1, 3)
    layer: Any = LSTM(3, 5, seed=0)
    for _ in range(3):
        expected = bits(layer(x))
    assert layer._small(x, None) is None
    assert bits(ordinary(layer, x)) == expected


def test_copies_have_desks_of_their_own():
    x = normal(4, 2, 3)
    layer = known(GRU(3, 5, 2, seed=0), x)
    before = bits(layer(x))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.astype(np.float32)):
        assert bits(known(twin, x)(x)) == before
        twin.parameters["weight_hh_l1"] = twin.parameters["weight_hh_l1"] + 1
        changed = bits(twin(x))
        assert changed != before
        assert changed == bits(ordinary(twin, x))
        assert bits(layer(x)) == before
    other = copy.copy(layer)  # the same arrays
    other.parameters["weight_hh_l1"] *= 2
    assert bits(layer(x)) == bits(other(x)) == bits(ordinary(layer, x)) != before


def test_many_threads_call_one_layer():
    layer, wrong = LSTM(3, 5, seed=0), []
    inputs = [normal(4, 2, 3, seed=seed) for seed in range(4)]
    expected = [bits(ordinary(layer, x)) for x in inputs]

    def work(k):
        for _ in range(200):
            if bits(layer(inputs[k])) != expected[k]:
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(len(inputs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_an_interrupt_costs_a_desk_and_nothing_else(monkeypatch):
    x = normal(4, 2, 3)
    layer: Any = known(LSTM(3, 5, seed=0), x)
    expected = bits(layer(x))
    [place] = layer._small._free[x.shape]

    def interrupted(*arguments):
        run(*arguments)
        raise KeyboardInterrupt

    run, place.run = place.run, interrupted
    with pytest.raises(KeyboardInterrupt):
        layer(x)
    assert not layer._small._free[x.shape]
    assert bits(layer(x)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_another_backend_has_no_short_way(kind):
    layer, x = kind(3, 5, backend="numpy", seed=0), normal(4, 2, 3)
    for _ in range(3):
        assert bits(layer(x)) == bits(ordinary(layer, x))
    assert layer._small is None


@pytest.mark.parametrize("options", OPTIONS[:2])
@pytest.mark.parametrize("kind", KINDS)
def test_so_has_a_layer_in_int8(kind, options):
    for layout in LAYOUTS:
        for shape in ((4, 3), (4, 2, 3), (1, 1, 3)):
            layer: Any = quantize(kind(3, 37, **options, **layout, seed=0))
            x = known(layer, normal(*shape)) and normal(*shape, seed=2)
            B = None if len(shape) == 2 else shape[0 if layer.batch_first else 1]
            for state0 in (None, states_of(layer, B), None):
                assert bits(layer._small(x, state0)) == bits(layer(x, state0)) == bits(ordinary(layer, x, state0))
        with pytest.raises(ValueError, match="NaN"):
            layer(x * np.nan)


def test_copies_of_a_layer_in_int8_have_desks_of_their_own():
    x = normal(4, 2, 3)
    layer: Any = known(quantize(LSTM(3, 5, 2, seed=0)), x)
    for twin in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert bits(known(twin, x)(x)) == bits(layer(x))
    assert quantize(LSTM(3, 5, backend="numpy", seed=0))._small is None


def test_a_stream_in_int8_says_what_the_layer_says_and_seals_the_parameters():
    layer: Any = quantize(GRU(3, 37, 2, seed=0))
    stream, x = layer.stream(), normal(6, 3)
    with pytest.raises(ValueError, match="must not be written into"):
        layer.load_state_dict(layer.state_dict())
    assert np.stack([stream(x_t) for x_t in x]).tobytes() == ordinary(layer, x)[0].tobytes()


def test_a_model_in_int8_generates_at_desks_what_it_generates_without(monkeypatch):
    model: Any = quantize(LanguageModel(9, 12, seed=0))
    found = model.generate([1, 2], steps=20, rng=0)
    assert any(model.layers["rnn"]._small._free.values())
    monkeypatch.setattr(type(model.layers["rnn"]), "_small", None)
    np.testing.assert_array_equal(found, model.generate([1, 2], steps=20, rng=0))
