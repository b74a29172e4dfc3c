"""When buckets leave: in one order on all ranks, once complete, and all of them whatever fails; without MPI."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.parallel import sending
from rnn_core.parallel.sending import Plan, Sending, order_of
from rnn_core.parallel.sums import Agreed, Rounded

HOMES = {name: np.zeros(size) for name, size in (("embedding", 2), ("low", 4), ("high", 3), ("head", 5))}
NAMES = list(HOMES)
HEARD = ["head", "high", "low"]


class Sum:
    """A sum that has arrived after some questions."""

    def __init__(self, questions: int) -> None:
        self.questions, self.waited = questions, False

    def Test(self):
        self.questions -= 1
        return self.questions < 0

    def Wait(self):
        self.waited = True


class OneOfTwo:
    """A rank beside another one that has the same gradients; it keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[np.ndarray] = []
        self.sums: list[Sum] = []

    def Iallreduce(self, _, flat):
        self.sent.append(flat.copy())
        flat *= 2
        self.sums.append(Sum(3))
        return self.sums[-1]


@pytest.fixture
def comm(monkeypatch):
    monkeypatch.setattr(sending, "_in_place", lambda: None)
    monkeypatch.setattr(sending, "_by_several_threads", lambda: False)
    return OneOfTwo()


def gradients(*names, value=1.0):
    return {name: np.full_like(HOMES[name], value) for name in names or NAMES}


def sizes(comm):
    return [flat.size for flat in comm.sent]


def test_a_bucket_leaves_when_all_of_it_is_there(comm):
    way = Sending(comm, HOMES, Plan(NAMES, HEARD), HOMES["low"].nbytes + HOMES["high"].nbytes)
    assert way._buckets == [["embedding", "low"], ["high"], ["head"]]
    way.ready(gradients("head"), 2.0)
    assert sizes(comm) == [5]
    np.testing.assert_array_equal(comm.sent[0], np.full(5, 2.0))  # a mean over two targets
    way.ready(gradients("low"), 2.0)  # before its turn
    assert sizes(comm) == [5]
    way.ready(gradients("high"), 2.0)
    assert sizes(comm) == [5, 3]
    way.rest(gradients(), 2.0)
    assert sizes(comm) == [5, 3, 6]
    found = way.sums(4.0)
    assert all(done.waited for done in comm.sums)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], np.ones_like(HOMES[name]))


@given(st.permutations(HEARD), st.permutations(NAMES), st.integers(0, 4))
def test_all_ranks_send_in_the_order_of_the_plan(heard, said, given_up):
    """Whatever is final first on one of them, and wherever its backward fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "_in_place", lambda: None)
        patch.setattr(sending, "_by_several_threads", lambda: False)
        comm = OneOfTwo()
        with Sending(comm, HOMES, Plan(NAMES, heard), 1) as way:
            for name in said[:given_up]:
                way.ready(gradients(name), 1.0)
            if given_up == len(NAMES):
                way.rest({}, 1.0)
    ones = [name for name in NAMES if name not in heard]
    assert sizes(comm) == [HOMES[name].size for name in [*heard, *ones]]
    for name, flat in zip([*heard, *ones], comm.sent, strict=True):
        np.testing.assert_array_equal(flat, float(name in said[:given_up]))


def test_a_failure_waits_for_what_is_under_way(comm):
    way = Sending(comm, HOMES, Plan(NAMES, HEARD), 1)
    way.ready(gradients("head"), 1.0)
    with pytest.raises(ValueError, match="fails"), way:
        raise ValueError("fails")
    assert len(comm.sent) == 4
    assert all(done.questions < 0 for done in comm.sums)


def test_whoever_is_interrupted_does_not_wait(comm):
    with pytest.raises(KeyboardInterrupt), Sending(comm, HOMES, Plan(NAMES, HEARD), 1):
        raise KeyboardInterrupt
    assert len(comm.sent) == 4
    assert all(done.questions >= 0 for done in comm.sums)


def agreed(names=NAMES, by_rows=(), heard=()):
    return Agreed(0.0, 4.0, list(names), frozenset(by_rows), list(heard))


def test_a_step_sends_by_the_plan_of_the_one_before(comm):
    sums = Rounded(comm, 1)
    sizes_of_steps = []
    for step in range(3):
        with sums.begin(HOMES) as way:
            for name in HEARD:
                way.ready(gradients(name), 2.0)
            before = len(comm.sent)
            way.rest(gradients(), 2.0)
            assert way.heard == HEARD
            found = sums([(2.0, gradients())], agreed(heard=() if way.names else HEARD), HOMES, way)
        sizes_of_steps.append((before, sizes(comm)))
        comm.sent.clear()
        np.testing.assert_array_equal(np.concatenate(list(found.values())), np.ones(14))
        if step == 1:
            sums.forget()
    everything = [5, 3, 4, 2]
    assert sizes_of_steps == [(0, everything), (3, everything), (0, everything)]


def test_a_plan_that_is_wrong_costs_a_step_and_changes_nothing(comm):
    """A parameter has lost its gradient."""
    sums, some = Rounded(comm, 1), ["low", "high", "head"]
    with sums.begin(HOMES) as way:
        sums([(2.0, gradients())], agreed(heard=HEARD), HOMES, way)
    comm.sent.clear()
    with sums.begin(HOMES) as way:
        way.ready(gradients("head", value=3.0), 2.0)
        found = sums([(2.0, gradients(*some, value=3.0))], agreed(some), HOMES, way)
    assert list(found) == some
    assert len(comm.sent) == 4 + 3
    assert all(done.waited for done in comm.sums)
    np.testing.assert_array_equal(np.concatenate(list(found.values())), np.full(12, 3.0))
    with sums.begin(HOMES) as way:
        assert way.names == []


def test_a_model_that_says_nothing_has_no_plan(comm):
    sums = Rounded(comm, 1)
    for _ in range(2):
        with sums.begin(HOMES) as way:
            assert way.names == []
            sums([(2.0, gradients())], agreed(), HOMES, way)


def test_a_rank_without_a_share_sends_zeros(comm):
    sums = Rounded(comm, 1 << 20)
    with sums.begin(HOMES) as way:
        found = sums([], agreed(heard=HEARD), HOMES, way)
    assert sizes(comm) == [14]
    assert not np.concatenate(list(found.values())).any()


def test_messages_are_asked_after_until_they_have_arrived(comm, monkeypatch):
    for threads in (False, True):
        monkeypatch.setattr(sending, "_by_several_threads", lambda threads=threads: threads)
        way, before = Sending(comm, HOMES, Plan(NAMES, HEARD), 1), len(comm.sums)
        for name in (*HEARD, "embedding"):
            way.ready(gradients(name), 1.0)
        asked = [done.questions for done in comm.sums[before:]]
        way.rest({}, 1.0)
        assert threads or asked == [-1, 0, 1, 2]  # those that have arrived are asked no more
        assert way._asking._thread is None


def test_the_order_of_buckets_is_that_in_which_they_are_complete():
    parts = [["embedding"], ["low", "high"], ["head"], ["never"]]
    assert order_of(parts, ["head", "low", "embedding", "high"]) == [2, 0, 1, 3]
    assert order_of(parts, []) == [3, 2, 1, 0]
