"""The guard before Flower's average, on such messages: who is left out, why, and what it is called."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.federated.averaging import average
from transfer.federated.guard import Exchange, FlowerGuard, why_not

CORE = {"rnn.weight": np.arange(6.0).reshape(2, 3), "rnn.bias": np.ones(2)}


class Wire:
    """An array as it comes over the wire: it says what it is, and may turn out to be unreadable."""

    def __init__(self, array, unreadable=False):
        self.array, self.unreadable = np.asarray(array), unreadable
        self.shape, self.dtype = self.array.shape, str(self.array.dtype)

    def numpy(self):
        if self.unreadable:
            raise ValueError("cannot reshape\narray of size 5")
        return self.array


def message(node, kind="train", arrays=CORE, **configs):
    records = {"arrays": {name: Wire(array) for name, array in arrays.items()}} if arrays else {}
    content = SimpleNamespace(array_records=records, metric_records={}, config_records=configs)
    metadata = SimpleNamespace(dst_node_id=node, src_node_id=1, message_type=kind, message_id=f"m{node}",
                               reply_to_message_id="")  # fmt: skip
    return SimpleNamespace(metadata=metadata, content=content, has_content=lambda: True, has_error=lambda: False)


def reply(node, count=10.0, *, arrays=CORE, name=None, records=None, metrics=None, error=None, source=None):
    """Return what a node answers; an error of a node that is gone comes from node 1, the SuperLink."""
    sent = {key: value if isinstance(value, Wire) else Wire(value) for key, value in (arrays or {}).items()}
    content = SimpleNamespace(
        array_records=({"arrays": sent} if arrays else {}) if records is None else records,
        metric_records={"metrics": {"num-examples": count, "loss": 0.5} if metrics is None else metrics},
        config_records={"client": {"name": name}} if name is not None else {},
    )
    metadata = SimpleNamespace(src_node_id=node if source is None else source, reply_to_message_id=f"m{node}")
    return SimpleNamespace(
        metadata=metadata, content=None if error else content, has_content=lambda: not error,
        has_error=lambda: bool(error), error=SimpleNamespace(reason=error),
    )  # fmt: skip


class Grid:
    """A grid that gives the replies that it was told to."""

    run = "the run"

    def __init__(self):
        self.replies, self.timeouts = [], []

    def send_and_receive(self, messages, *, timeout=None):
        self.timeouts.append(timeout)
        return iter(self.replies)


def ask(replies, nodes=(1, 2, 3), kind="train", said=None, guard=None, **configs):
    """Return what a guard hands on of some replies, and the guard."""
    guard = FlowerGuard(Grid(), say=(said if said is not None else []).append) if guard is None else guard
    guard.grid.replies = replies
    return guard.send_and_receive((message(node, kind, **configs) for node in nodes), timeout=7), guard


def test_good_replies_go_through_as_they_are():
    replies, said = [reply(node, count) for node, count in ((2, 3), (1, 0.5), (3, 10.0))], list[str]()
    kept, guard = ask(replies, said=said, config={"server-round": 4})
    assert [id(one) for one in kept] == [id(one) for one in replies]
    assert guard.exchanges == [Exchange("train", 4, ("node 2", "node 1", "node 3"), {})]
    assert (said, guard.grid.timeouts) == ([], [7])


def nan(array):
    array = np.array(array)
    array.flat[1] = np.nan
    return array


SPOILT = {
    "NaN": (
        reply(2, arrays=CORE | {"rnn.bias": nan(CORE["rnn.bias"])}),
        "sent rnn.bias with nan (1 of 2 values are NaN or infinite)",
    ),
    "infinity": (reply(2, arrays=CORE | {"rnn.bias": np.full(2, -np.inf)}), "sent rnn.bias with -inf (2 of 2 values"),
    "shape": (
        reply(2, arrays=CORE | {"rnn.weight": np.ones((3, 2))}),
        "sent rnn.weight of shape (3, 2), where (2, 3) was sent",
    ),
    "dtype": (reply(2, arrays=CORE | {"rnn.bias": np.ones(2, np.float32)}), "sent rnn.bias in float32, where float64"),
    "objects": (reply(2, arrays=CORE | {"rnn.bias": np.array(["a", "b"])}), "sent rnn.bias in <U1, where float64 was"),
    "missing": (reply(2, arrays={"rnn.bias": CORE["rnn.bias"]}), "missing: rnn.weight; unknown: none"),
    "unknown": (reply(2, arrays=CORE | {"head.bias": np.ones(2)}), "missing: none; unknown: head.bias"),
    "unreadable": (
        reply(2, arrays=CORE | {"rnn.bias": Wire(np.ones(2), unreadable=True)}),
        "sent an array that can't be read, rnn.bias: cannot reshape array of size 5",
    ),
    "no arrays": (reply(2, arrays=None), "sent 0 records of arrays, where one is wanted"),
    "no examples": (reply(2, 0), "has num-examples 0, where a number above 0 is wanted"),
    "fewer than none": (reply(2, -3.0), "has num-examples -3.0,"),
    "NaN examples": (reply(2, float("nan")), "has num-examples nan,"),
    "a list of examples": (reply(2, [3.0]), "has num-examples [3.0],"),
    "no weight": (reply(2, metrics={"loss": 1.0}), "sent no num-examples, by which replies are weighed"),
    "NaN loss": (reply(2, metrics={"num-examples": 3, "loss": float("nan")}), "has loss nan, where a finite number"),
    "NaN in a list": (reply(2, metrics={"num-examples": 3, "loss": [1.0, float("inf")]}), "has loss [1.0, inf],"),
    "an error": (reply(2, error="<class 'ValueError'>:<'x\n\x1b[31mred'>"), "reports an error: <class 'ValueError'>:"),
    "gone": (reply(2, error="Node Unavailable", source=1), "reports an error: Node Unavailable"),
    "other metrics": (
        reply(2, metrics={"num-examples": 3, "loss": 1.0, "extra": 1.0}),
        "sent arrays and metrics of extra, loss, num-examples, where most sent arrays and metrics of loss, num-",
    ),
    "another name": (
        reply(2, records={"weights": {name: Wire(array) for name, array in CORE.items()}}),
        "sent weights and metrics of loss, num-examples, where most sent arrays",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_reply_that_can_not_be_averaged_is_left_out_and_named(what):
    bad, reason = SPOILT[what]
    others, said = [reply(1), reply(3)], list[str]()
    kept, guard = ask([others[0], bad, others[1]], said=said)
    assert [one.metadata.src_node_id for one in kept] == [1, 3]
    (found,) = guard.exchanges[0].left_out.items()
    assert found[0] == "node 2"
    assert reason in found[1]
    assert said == [f"round 1, train: node 2 is left out: {found[1]}"]
    assert said[0].isprintable()


@given(st.lists(st.sampled_from([None, *(one for one in SPOILT if one not in ("other metrics", "another name"))]),
                min_size=1, max_size=6), st.randoms())  # fmt: skip
def test_what_is_left_is_what_was_good_and_has_a_mean(what, random):
    """Whoever is spoilt, in whatever order replies come; the mean is that of the good ones alone."""
    replies, good = [], {}
    for node, spoilt in enumerate(what, 10):
        if spoilt is None:
            good[node] = {name: array * node for name, array in CORE.items()}
            replies.append(reply(node, float(node), arrays=good[node]))
        else:
            bad = copy.deepcopy(SPOILT[spoilt][0])
            bad.metadata.reply_to_message_id = f"m{node}"
            if bad.metadata.src_node_id != 1:
                bad.metadata.src_node_id = node
            replies.append(bad)
    random.shuffle(replies)
    kept, guard = ask(replies, range(10, 10 + len(what)))
    assert {one.metadata.src_node_id for one in kept} == set(good)
    assert len(guard.exchanges[0].kept) + len(guard.exchanges[0].left_out) == len(what)
    if good:
        received = [{name: one.numpy() for name, one in r.content.array_records["arrays"].items()} for r in kept]
        mean = average(received, [one.content.metric_records["metrics"]["num-examples"] for one in kept])
        factor = sum(node * node for node in good) / sum(good)
        for name, array in CORE.items():
            np.testing.assert_allclose(mean[name], array * factor, rtol=1e-14)


def test_a_client_that_drops_out_and_comes_back_keeps_its_name():
    said, guard = list[str](), None
    for nodes, replies in (
        ((1, 2), [reply(1, name="client 0"), reply(2, name="client 1")]),
        ((1, 2), [reply(1, name="client 0")]),
        ((1, 2), [reply(1, name="client 0"), reply(2, error="Node Unavailable", source=1)]),
        ((1,), [reply(1, name="client 0")]),
        ((1, 77), [reply(1, name="client 0"), reply(77, name="client 1")]),  # a restarted node has another number
    ):
        _, guard = ask(replies, nodes, said=said, guard=guard)
    assert [exchange.round for exchange in guard.exchanges] == [1, 2, 3, 4, 5]
    assert guard.exchanges[-1].kept == ("client 0 (node 1)", "client 1 (node 77)")
    assert said == [
        "round 2, train: client 1 (node 2) is left out: did not answer in time",
        "round 3, train: client 1 (node 2) is left out: reports an error: Node Unavailable",
    ]


def test_a_name_is_printed_on_one_line_and_not_too_long():
    said: list[str] = []
    ask([reply(1, 0, name="a\n\x1b[2J" + "b" * 500)], [1], said=said)
    assert said[0].isprintable()
    assert len(said[0]) < 200


def test_nobody_is_left():
    said: list[str] = []
    kept, guard = ask([reply(1, 0)], [1, 2], said=said)
    assert kept == []
    assert list(guard.exchanges[0].left_out) == ["node 1", "node 2"]
    assert said[-1] == "round 1, train: no reply is left; what there was stays as it is"


def test_an_evaluation_needs_no_arrays():
    replies = [reply(1, arrays=None), reply(2, arrays=None, metrics={"num-examples": 3, "loss": float("nan")})]
    kept, guard = ask(replies, [1, 2], kind="evaluate")
    assert kept == replies[:1]
    assert guard.exchanges[0].kind == "evaluate"


def test_answers_to_nobody_and_second_answers_are_not_averaged():
    first, said = reply(1), list[str]()
    second, stray = reply(1, 0), reply(9)
    stray.metadata.reply_to_message_id = "another"
    kept, _ = ask([first, second, stray], [1], said=said)
    assert kept == [first]
    assert said == ["round 1, train: node 9 is left out: was not asked"]


def test_what_has_no_arrays_is_not_looked_into():
    bare = message(1, arrays=None)
    assert why_not(bare, reply(1, -1, arrays=None)) is None
    assert why_not(bare, reply(1, error="x")) == "reports an error: x"


def test_everything_else_is_the_grids(caplog):
    guard = FlowerGuard(Grid())
    assert guard.run == "the run"
    assert guard.send_and_receive([]) == []
    assert guard.exchanges == []
    guard.grid.replies = [reply(1, 0)]
    guard.send_and_receive([message(1)])
    assert "node 1 is left out: has num-examples 0" in caplog.text
    with pytest.raises(AttributeError, match="nothing"):
        _ = guard.nothing
    assert copy.copy(guard).grid is guard.grid


def test_a_guard_says_what_is_wrong():
    with pytest.raises(TypeError, match="^FlowerGuard: grid must be a Grid of Flower's, got dict"):
        FlowerGuard({})
    with pytest.raises(TypeError, match="^FlowerGuard: weight must be the name of a metric, got 3"):
        FlowerGuard(Grid(), weight=3)
