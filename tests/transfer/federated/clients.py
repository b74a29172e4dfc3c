"""Small clients, and a server of three lines."""

from __future__ import annotations

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import SGD, Adam
from transfer.federated.averaging import average
from transfer.federated.client import LocalClient

HEAD = ("head.weight", "head.bias")


def classifier(classes=3, seed=0, **options):
    given = {"hidden_size": 5, "dtype": np.float64, "backend": "numpy"} | options
    return SequenceClassifier(classes, input_size=2, seed=seed, **given)


def rows(n, classes=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 4, 2)).astype(dtype), rng.integers(0, classes, n)


def data(n=12, batch_size=5, **options):
    return Examples(*rows(n, **options), batch_size=batch_size, seed=3)


def client(model=None, train=None, **options):
    parts = classifier() if model is None else model, data() if train is None else train
    return LocalClient(*parts, **{"optimizer": SGD(0.1)} | options)


def federate(clients, rounds, arrays=None):
    """A server: send, gather, average."""
    arrays = clients[0].get() if arrays is None else arrays
    for _ in range(rounds):
        updates = [one.fit(arrays) for one in clients]
        arrays = average([update.arrays for update in updates], [update.count for update in updates])
    return arrays


def assert_same(left, right):
    assert list(left) == list(right)
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name], err_msg=name, strict=True)


def clients_in(folder, seed, number=3):
    """Return clients, all but the first with as many classes, that keep their heads in a folder."""
    folder.mkdir(exist_ok=True)
    return [
        LocalClient(
            classifier(classes, seed=seed + k, dropout=0.2),
            data(8 + k, classes=classes, seed=k),
            optimizer=Adam(0.01),
            epochs=2,
            seed=5,
            path=folder / f"{k}.safetensors",
        )
        for k, classes in enumerate([2, *[3] * (number - 1)])
    ]


def own(one):
    return {name: one.model.parameters[name].copy() for name in one.own}
