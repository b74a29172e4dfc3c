"""Batches read ahead: those of the source, in any order; errors where they belong; and no thread that stays."""

from __future__ import annotations

import os
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data import Ahead, Batch, Examples
from rnn_core.training import SGD, TrainingInterrupted, fit
from tests.training_cases import Line


class Watched:
    """A source that keeps what it was asked for, and who asked; some places raise."""

    def __init__(self, count=5, bad=(), error=ValueError):
        self.count, self.bad, self.error = count, bad, error
        self.asked, self.threads, self.gate = [], set(), threading.Event()
        self.gate.set()
        self.busy = threading.Lock()

    def __len__(self):
        return self.count

    def batch(self, epoch, index):
        assert self.busy.acquire(blocking=False), "asked twice at a time"
        try:
            self.gate.wait(20)
            self.asked.append((epoch, index))
            self.threads.add(threading.current_thread().name)
            if (epoch, index) in self.bad:
                raise self.error(f"shard {index} is damaged")
            return Batch(np.full((2, 3), 10.0 * epoch + index), np.full(2, index))
        finally:
            self.busy.release()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "rnn_core.data.Ahead"]


def ended():
    """Wait for what reads ahead; it ends by itself."""
    for thread in threads():
        thread.join(20)
    return not threads()


places = st.tuples(st.integers(0, 2), st.integers(0, 4))


@given(wanted=st.lists(places, max_size=12), depth=st.integers(1, 7))
def test_any_places_in_any_order(wanted, depth):
    source = Ahead(Watched(), depth=depth)
    for epoch, index in wanted:
        assert (source.batch(epoch, index).inputs == 10 * epoch + index).all()
    assert ended()


@pytest.mark.parametrize("depth", [1, 3])
def test_what_comes_next_is_read_by_the_thread_and_no_further(depth):
    watched = Watched()
    source = Ahead(watched, depth=depth)
    source.batch(0, 3)
    assert ended()
    expected = [(0, 3), (0, 4), (1, 0), (1, 1), (1, 2)]
    assert watched.asked == expected[: depth + 1]
    assert watched.threads == {"MainThread", "rnn_core.data.Ahead"}
    for place in expected[1:]:
        source.batch(*place)
    assert ended()
    assert len(watched.asked) == len(set(watched.asked)) == len(expected) + depth


def test_an_error_is_raised_where_its_batch_is_asked_for_and_again():
    source = Ahead(Watched(bad={(0, 2)}), depth=4)
    source.batch(0, 0)
    source.batch(0, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="shard 2 is damaged"):
            source.batch(0, 2)
    assert source.batch(0, 3).targets[0] == 3
    assert ended()


def test_an_error_that_nobody_asks_for_is_forgotten():
    source = Ahead(Watched(bad={(0, 2)}), depth=4)
    source.batch(0, 1)
    assert ended()
    assert source.batch(2, 0).targets[0] == 0
    assert ended()


def test_a_place_is_left_while_the_thread_reads_it():
    watched = Watched()
    source = Ahead(watched, depth=2)
    source.batch(0, 0)
    assert ended()
    watched.gate.clear()
    found = []
    asking = threading.Thread(target=lambda: found.append(source.batch(2, 1)))
    source.batch(0, 1)  # has been read; the thread begins another, and waits
    asking.start()
    watched.gate.set()
    asking.join(20)
    assert (found[0].inputs == 21).all()
    assert (source.batch(2, 2).inputs == 22).all()
    assert ended()


def test_training_ends_and_no_thread_is_left():
    x = np.random.default_rng(0).normal(size=(40, 3))
    data = Examples(x, x.sum(axis=1), batch_size=4)
    models = [Line(), Line()]
    for model, source in zip(models, (data, Ahead(data)), strict=True):
        fit(model, source, optimizer=SGD(0.1), epochs=2, progress=False)
    assert ended()
    np.testing.assert_array_equal(models[0].parameters["w"], models[1].parameters["w"])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_training_that_is_broken_off_leaves_no_thread(error, tmp_path):
    class Broken(Line):
        def loss_and_gradients(self, batch, **options):
            if len(self.calls) == 3:
                raise error("now")
            return super().loss_and_gradients(batch, **options)

    x = np.ones((40, 3))
    with pytest.raises(TrainingInterrupted if error is KeyboardInterrupt else error):
        fit(Broken(), Ahead(Examples(x, x[:, 0], batch_size=4)), optimizer=SGD(0.01), epochs=2, progress=False)
    assert ended()


def test_a_damaged_shard_ends_training_with_its_name():
    with pytest.raises(ValueError, match="shard 4 is damaged"):
        fit(Line(), Ahead(Watched(count=6, bad={(0, 4)})), optimizer=SGD(1e-4), epochs=1, progress=False)
    assert ended()


def test_copies_and_forks_begin_anew():
    x = np.arange(12.0).reshape(6, 2)
    source = Ahead(Examples(x, x[:, 0], batch_size=2, shuffle=False))
    source.batch(0, 0)
    copied = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copied.batch(0, 1).inputs, x[2:4])
    source._process = os.getpid() + 1  # as in a fork, in which the thread doesn't run
    np.testing.assert_array_equal(source.batch(0, 1).inputs, x[2:4])
    assert ended()


def test_bad_arguments():
    with pytest.raises(TypeError, match="Ahead: data must be batches"):
        Ahead([1, 2])
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        Ahead(Watched(), depth=0)
    with pytest.raises(ValueError, match="index must be below 5"):
        Ahead(Watched()).batch(0, 5)
