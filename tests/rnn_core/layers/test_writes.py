"""Whoever writes into a parameter, and in whatever way: the next call sees it. Where nobody can have, none compares."""

from __future__ import annotations

import copy
import ctypes
import gc
import multiprocessing
import operator
import pickle
import struct
import threading

import numpy as np
import pytest

from kernels.cpu.running import packing
from rnn_core import GRU, LSTM, RNN, LanguageModel, load, save
from rnn_core.layers import live
from rnn_core.training import SGD, Adam, fit
from tests.model_cases import classifier, features, language_model, text

X = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
NAME = "weight_hh_l0"


def settled(layer, x=X):
    """Return a layer that has a desk for x, and has seen that nobody refers to its weights."""
    gc.collect()
    for _ in range(4):
        layer(x)
    assert layer._small is not None
    assert layer._small.stamp() is not None
    return layer


def said(layer, x=X):
    """Return what the layer says now the short way."""
    found = layer._small(x, None)
    assert found is not None
    return found[0].tobytes()


def expected(layer, x=X):
    """Return what a new layer says that has the weights of now; it is asked by nothing that the layer keeps."""
    twin = type(layer)(**{**layer.config, "backend": "cpu"})
    for name in twin.parameters:
        twin.parameters[name][...] = dict.__getitem__(layer.parameters, name)  # behind the back of what is to be told
    return twin(x)[0].tobytes()


def torch_shares(array):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(array)
    with torch.no_grad():
        tensor.mul_(2)


def at_address(array):
    pointer = array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    pointer[5] += 1


def from_a_buffer(array):
    np.frombuffer(memoryview(array).cast("B"), np.float32)[3] = 7


WAYS = {
    "an element": lambda a: operator.setitem(a, (1, 1), 9),
    "a slice": lambda a: operator.setitem(a, slice(2, 5), 0),
    "a mask": lambda a: operator.setitem(a, a > 0, 0),
    "in place": lambda a: operator.imul(a, 2),
    "a view": lambda a: operator.setitem(a[1:, ::2], ..., 3),
    "a view of a view": lambda a: operator.setitem(a.T[1:][..., 1:], ..., 3),
    "ravel": lambda a: operator.setitem(a.ravel(), 4, 5),
    "reshape": lambda a: operator.setitem(a.reshape(-1, 5), (0, 1), 5),
    "flat": lambda a: operator.setitem(a.flat, 4, 5),
    "another dtype": lambda a: operator.setitem(a.view(np.int32), (0, 0), 0),
    "strides": lambda a: operator.setitem(np.lib.stride_tricks.as_strided(a, (4,), (4,)), 2, 5),
    "copyto": lambda a: np.copyto(a, 0.5),
    "out": lambda a: np.multiply(a, 3, out=a),
    "add.at": lambda a: np.add.at(a, ([0, 1], [1, 1]), 1),
    "fill": lambda a: a.fill(0.25),
    "sort": lambda a: a.sort(),
    "partition": lambda a: a.partition(2),
    "put": lambda a: a.put([1, 2], 4),
    "put_along_axis": lambda a: np.put_along_axis(a, np.zeros((len(a), 1), int), 4, 1),
    "shuffle": lambda a: np.random.default_rng(0).shuffle(a, axis=1),
    "random": lambda a: np.random.default_rng(0).random(dtype=np.float32, out=a),
    "negative": lambda a: np.negative(a, a),
    "memoryview": lambda a: operator.setitem(memoryview(a), (1, 1), 9.0),
    "pack_into": lambda a: struct.pack_into("f", memoryview(a).cast("B"), 8, 9.0),
    "a buffer": from_a_buffer,
    "ctypes": at_address,
    "asarray": lambda a: operator.setitem(np.asarray(a), (1, 1), 9),
    "torch": torch_shares,
    "nditer": lambda a: [operator.setitem(n, ..., 2 * n) for n in np.nditer(a, op_flags=[["readwrite"]])] and None,
}

HANDED = {
    "by name": lambda p: p[NAME],
    "get": lambda p: p.get(NAME),
    "setdefault": lambda p: p.setdefault(NAME),
    "itemgetter": operator.itemgetter(NAME),
    "values": lambda p: list(p.values())[1],
    "items": lambda p: dict(p.items())[NAME],
    "an iterator": lambda p: next(array for name, array in iter(p.items()) if name == NAME),
    "map": lambda p: dict(zip(p, map(p.get, p), strict=True))[NAME],
    "dict": lambda p: dict(p)[NAME],
    "unpacked": lambda p: {**p}[NAME],
    "named arguments": lambda p: (lambda **named: named[NAME])(**p),
    "copy": lambda p: p.copy()[NAME],
    "copy.copy": lambda p: copy.copy(p)[NAME],
    "or": lambda p: (p | {})[NAME],
    "ror": lambda p: ({} | p)[NAME],
    "update of another": lambda p: [d := {}, d.update(p)][0][NAME],
    "match": lambda p: matched(p),
}


def matched(parameters):
    match parameters:
        case {"weight_hh_l0": array}:
            return array


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_noticed(way):
    layer = settled(LSTM(4, 5, seed=0))
    for _ in range(2):
        WAYS[way](layer.parameters[NAME])
        assert said(layer) == expected(layer)
    assert said(settled(layer)) == expected(layer)


@pytest.mark.parametrize("way", WAYS)
def test_a_write_through_what_is_held_is_noticed(way):
    layer = settled(GRU(4, 5, seed=0))
    array = layer.parameters[NAME]
    for _ in range(3):
        layer(X)
    assert layer._small.stamp() is None
    for _ in range(3):
        WAYS[way](array)
        assert said(layer) == expected(layer)
    del array
    assert said(settled(layer)) == expected(layer)


KEPT = {
    "a view": lambda a: (v := a[1:], lambda: operator.setitem(v, ..., 2)),
    "a view's view": lambda a: (v := a.T[1:].T, lambda: operator.setitem(v, ..., 2)),
    "an iterator": lambda a: (v := a.flat, lambda: operator.setitem(v, 3, 2)),
    "memoryview": lambda a: (v := memoryview(a), lambda: operator.setitem(v, (1, 1), 9.0)),
    "a method": lambda a: (v := a.fill, lambda: v(0.5)),
    "ctypes": lambda a: (v := a.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), lambda: operator.setitem(v, 2, 9.0)),
    "a buffer": lambda a: (v := np.frombuffer(a, np.float32), lambda: operator.setitem(v, 2, 9.0)),
    "an interface": lambda a: (v := np.asarray(Interface(a)), lambda: operator.setitem(v, (1, 1), 9.0)),
    "torch": lambda a: (v := pytest.importorskip("torch").from_numpy(a), lambda: v.mul_(2)),
    "torch's dlpack": lambda a: (v := pytest.importorskip("torch").from_dlpack(a), lambda: v.mul_(2)),
}


class Interface:
    """An object that lends an array's memory."""

    def __init__(self, array):
        self.array, self.__array_interface__ = array, array.__array_interface__


@pytest.mark.parametrize("kept", KEPT)
def test_so_is_one_through_what_shares_its_memory(kept):
    layer = settled(RNN(4, 5, seed=0))
    held, write = KEPT[kept](layer.parameters[NAME])
    layer(X)
    for _ in range(2):
        write()
        assert said(layer) == expected(layer)
    del held, write
    assert said(settled(layer)) == expected(layer)


@pytest.mark.parametrize("handed", HANDED)
def test_every_way_to_an_array_is_known(handed):
    layer = settled(LSTM(4, 5, seed=0))
    HANDED[handed](layer.parameters)[1, 1] = 9
    assert said(layer) == expected(layer)
    settled(layer)


WRITES = {
    "assigned": lambda layer, new: layer.parameters.__setitem__(NAME, new),
    "updated": lambda layer, new: layer.parameters.update({NAME: new}),
    "loaded": lambda layer, new: layer.load_state_dict({**layer.state_dict(), NAME: new}),
}


@pytest.mark.parametrize("write", WRITES)
def test_what_the_library_writes_is_noticed(write):
    layer = settled(LSTM(4, 5, 2, bidirectional=True, seed=0))
    for k in range(3):
        WRITES[write](layer, np.full((20, 5), k / 7, np.float32))
        assert said(layer) == expected(layer)
        settled(layer)


@pytest.mark.parametrize("which", LSTM(4, 5, 2, bidirectional=True).parameters)
def test_it_may_be_any_of_them(which):
    layer = settled(LSTM(4, 5, 2, bidirectional=True, seed=0))
    layer.parameters[which][-1] += 1
    assert said(layer) == expected(layer)


def test_nothing_is_compared_where_nobody_can_have_written(monkeypatch):
    layer = settled(LSTM(4, 5, seed=0))
    calls = []
    monkeypatch.setattr(packing, "prepared", lambda *_: calls.append(1))
    monkeypatch.setattr("kernels.cpu.calls.prepared", lambda *_: calls.append(1))
    for _ in range(3):
        said(layer)
    assert not calls
    assert [*layer.parameters, len(layer.parameters), NAME in layer.parameters]
    assert [layer.namespace, layer.groups, layer.gate_blocks, layer.dtype, repr(layer)]
    said(layer)
    assert not calls  # these hand out no array


def test_a_model_and_its_layer_hold_the_same_arrays_and_that_is_known():
    model, x = classifier(), features().inputs
    core = model.rnn
    for _ in range(4):
        model(x)
    gc.collect()
    assert core._small.stamp() is not None
    for parameters, name in ((model.parameters, "rnn.weight_hh_l0"), (core.parameters, "weight_hh_l0")):
        before = model(x)
        parameters[name][...] *= 2
        assert (model(x) != before).any()
        settled(core, np.ascontiguousarray(x))
    del model, parameters
    gc.collect()
    settled(core, np.ascontiguousarray(x))  # the model's own references are gone, and that is known, too


def test_tied_weights_and_optimizers_are_nothing_special():
    model = language_model(tied=True)
    batch = text(seed=0)
    twin = copy.deepcopy(model)
    for step in range(4):
        one, other = model(batch.inputs), twin(batch.inputs)
        np.testing.assert_array_equal(one[0], other[0], err_msg=str(step))
        for network, optimizer in ((model, SGD(0.1)), (twin, SGD(0.1))):
            fit(network, Batches(), optimizer=optimizer, epochs=1, progress=False)
        twin = copy.deepcopy(twin)  # which has seen nothing
    gc.collect()
    assert model.rnn._small.stamp() is not None  # fit has let go of them


class Batches:
    def __len__(self):
        return 2

    def batch(self, epoch, index):
        return text(seed=index)


def test_training_and_calling_by_turns():
    model, twin = (LanguageModel(6, 4, seed=0) for _ in range(2))
    twin.rnn._small = None
    tokens = text(seed=3).inputs
    for _ in range(3):
        for network in (model, twin):
            fit(network, Batches(), optimizer=Adam(1e-2), epochs=1, progress=False)
        for _ in range(3):
            np.testing.assert_array_equal(model(tokens)[0], twin(tokens)[0])


def test_another_thread_writes_and_lets_go():
    """As many writes as calls, and each is seen by the call behind it."""
    layer, go, done = settled(LSTM(4, 5, seed=0)), threading.Semaphore(0), threading.Semaphore(0)

    def work():
        held = layer.parameters[NAME]
        for k in range(50):
            go.acquire()
            if k % 2:
                held[1, 1] = k
            else:
                layer.parameters["bias_hh_l0"][2] = k
            done.release()

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(50):
        go.release()
        done.acquire()
        assert said(layer) == expected(layer)
    worker.join()
    settled(layer)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), "saved"])
def test_copies_are_watched_too(twin_of, tmp_path):
    layer = settled(LSTM(4, 5, seed=0))
    if twin_of == "saved":
        save(layer, tmp_path / "layer.safetensors")
        twin = load(tmp_path / "layer.safetensors")
    else:
        twin = twin_of(layer)
    before = said(layer)
    for _ in range(4):
        twin(X)
        twin.parameters[NAME][...] *= 2
        assert said(twin) == expected(twin) if twin._small(X, None) else True
    assert said(layer) == before
    settled(layer)


def test_a_copied_copy_shares_its_arrays():
    layer = settled(LSTM(4, 5, seed=0))
    other = copy.copy(layer)
    other.parameters[NAME][...] *= 2
    assert said(layer) == said(other) == expected(layer)


def in_a_child(layer, queue):
    first = said(layer) == expected(layer)
    layer.parameters[NAME][...] *= 2
    queue.put(first and said(layer) == expected(layer))


def test_a_forked_child_notices_its_own_writes():
    layer, context = settled(LSTM(4, 5, seed=0)), multiprocessing.get_context("fork")
    before, queue = said(layer), context.Queue()
    child = context.Process(target=in_a_child, args=(layer, queue))
    child.start()
    assert queue.get(timeout=60)
    child.join()
    assert said(layer) == before


def test_where_references_cannot_be_counted_weights_are_compared(monkeypatch):
    layer = settled(LSTM(4, 5, seed=0))
    monkeypatch.setattr(live, "COUNTED", False)
    assert layer._small.stamp() is None
    dict.__getitem__(layer.parameters, NAME)[1, 1] = 9
    assert said(layer) == expected(layer)


def test_memory_that_is_not_the_arrays_own_is_always_compared():
    layer = LSTM(4, 5, seed=0)
    room = np.zeros((20, 5), np.float32)
    watch = live.Watch([room[:]])
    assert watch.stamp() is None  # of no LiveParameters
    parameters = live.LiveParameters("Test.parameters", {"w": room[:]})
    watch = live.Watch([dict.__getitem__(parameters, "w")])
    assert watch.stamp() is None
    assert layer._small.stamp() is not None
