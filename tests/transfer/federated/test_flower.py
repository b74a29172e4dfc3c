"""Flower's strategies, mods and workflows on local clients, in one process: messages are real, nobody sends them."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from transfer.federated.averaging import average
from transfer.federated.flower import flower_app, flower_arrays
from transfer.federated.guard import FlowerGuard
from transfer.federated.secure import flower_secure_app

from .clients import assert_same, client, clients_in, federate, own


def test_without_flower_the_error_says_what_to_install(monkeypatch):
    for name in ("app", "clientapp"):
        monkeypatch.setitem(sys.modules, f"flwr.{name}", None)
    with pytest.raises(RuntimeError, match=r"flower_app: Flower must be installed, .*'rnn_core\[federated\]'"):
        flower_app(client)
    with pytest.raises(RuntimeError, match="flower_arrays: Flower must be installed"):
        flower_arrays({})
    with pytest.raises(TypeError, match="flower_app: make_client must be a function of the context, got LocalClient"):
        flower_app(client())


def node_app(folder):
    """Return the app of all nodes; its client is made anew for each message."""
    return flower_app(lambda context: flower_clients(folder)[context.node_id - 1])


def flower_clients(folder, number=3):
    made = clients_in(folder, 0, number)
    for one in made:
        one.validation = one.train
    return made


@pytest.fixture
def flwr(monkeypatch):
    """Flower's `app`, in a process that may make messages, as Flower's own server process may."""
    app = pytest.importorskip("flwr.app")
    identity = pytest.importorskip("flwr.supercore.task_identity").TaskIdentity
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(identity, name, 1)
    return app


def fed_avg(clients):
    strategy = pytest.importorskip("flwr.serverapp.strategy").FedAvg
    return strategy(min_train_nodes=clients, min_evaluate_nodes=clients, min_available_nodes=clients)


def in_process(flwr, app, nodes, sent):
    """Return a grid whose nodes answer at once; `sent` gathers the messages."""

    def send_and_receive(messages, *, timeout=None):
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            context = flwr.Context(1, node, {"partition-id": node - 1}, flwr.RecordDict(), {})
            try:
                replies.append(app(message, context))
            except ValueError as error:
                replies.append(flwr.Message(flwr.Error(code=0, reason=str(error)), reply_to=message))
            sent.extend([message, replies[-1]])
        return replies

    return SimpleNamespace(get_node_ids=lambda: nodes, send_and_receive=send_and_receive)


def test_flower_runs_local_clients(flwr, tmp_path):
    by_hand = clients_in(tmp_path / "by hand", seed=0)
    first = by_hand[0].get()
    expected = federate(by_hand, 2, first)

    sent: list = []
    result = fed_avg(3).start(in_process(flwr, node_app(tmp_path / "flower"), [1, 2, 3], sent), flower_arrays(first), 2)
    for name, array in result.arrays.items():
        np.testing.assert_allclose(array.numpy(), expected[name], rtol=0, atol=1e-12, err_msg=name)
    assert {name for message in sent for record in message.content.array_records.values() for name in record} == set(
        expected
    )
    for left, right in zip(by_hand, clients_in(tmp_path / "flower", seed=9), strict=True):
        assert right.rounds == 2
        for name, array in own(left).items():
            np.testing.assert_allclose(right.model.parameters[name], array, rtol=0, atol=1e-12, err_msg=name)
    for one in by_hand:
        one.validation = one.train
    scores = [one.evaluate(expected) for one in by_hand]
    metrics = result.evaluate_metrics_clientapp[2]
    assert metrics["loss"] == pytest.approx(np.average([s.loss for s in scores], weights=[s.count for s in scores]))
    assert 0 <= metrics["accuracy"] <= 1
    assert set(result.train_metrics_clientapp[1]) == {"loss"}


def test_flower_with_one_client_is_local_training(flwr, tmp_path):
    (alone, *_), app = clients_in(tmp_path / "alone", seed=0), node_app(tmp_path / "flower")
    first = alone.get()
    result = fed_avg(1).start(in_process(flwr, app, [1], []), flower_arrays(first), 3)
    expected = federate([alone], 3, first)
    assert_same({name: result.arrays[name].numpy() for name in expected}, expected)
    assert_same(own(clients_in(tmp_path / "flower", seed=9)[0]), own(alone))


def test_what_flower_brings_is_checked(flwr, tmp_path):
    context = flwr.Context(1, 1, {}, flwr.RecordDict(), {})
    one = flower_clients(tmp_path)[0]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def message(*records, kind="train"):
        content = flwr.RecordDict({f"arrays{k}": record for k, record in enumerate(records)})
        return flwr.Message(content, dst_node_id=1, message_type=kind)

    good, bad = flower_arrays(one.get()), flower_arrays(one.get() | {"rnn.bias_hh_l0": np.full(20, np.nan)})
    for kind in ("train", "evaluate"):
        with pytest.raises(ValueError, match=f"LocalClient.{'fit' if kind == 'train' else kind}: .* must be finite"):
            node_app(tmp_path)(message(bad, kind=kind), context)
    with pytest.raises(ValueError, match="flower_app: a message must hold one ArrayRecord, got 2"):
        node_app(tmp_path)(message(good, good), context)
    with pytest.raises(ValueError, match="flower_app: make_client must give its client a path"):
        flower_app(lambda context: client())(message(good), context)
    with pytest.raises(TypeError, match="flower_app: make_client must return a LocalClient, got str"):
        flower_app(str)(message(good), context)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- some fail


def rounds_by_hand(clients, members, arrays):
    """Return the core after rounds of whoever is in each."""
    for some in members:
        updates = [clients[k].fit(arrays) for k in some]
        arrays = average([update.arrays for update in updates], [update.count for update in updates])
    return arrays


def nan_of(flwr, arrays):
    return {name: flwr.Array(np.full_like(array.numpy(), np.nan)) for name, array in arrays.items()}


def wider(flwr, arrays):
    return {name: flwr.Array(np.concatenate([array.numpy()] * 2)) for name, array in arrays.items()}


@pytest.mark.parametrize("spoil", [nan_of, wider])
def test_a_client_that_fails_for_a_round_is_left_out_of_that_round(flwr, tmp_path, spoil):
    """The second of three clients sends what can't be averaged in round 2, and is there again in round 3."""
    by_hand = clients_in(tmp_path / "by hand", seed=0)
    first = by_hand[0].get()

    def spoilt(message, context, following):
        answer = following(message, context)
        if context.node_id == 2 and message.content["config"]["server-round"] == 2:
            answer.content["arrays"] = flwr.ArrayRecord(spoil(flwr, answer.content["arrays"]))
        return answer

    app = flower_app(lambda context: flower_clients(tmp_path / "flower")[context.node_id - 1], mods=[spoilt])
    said: list = []
    guard = FlowerGuard(in_process(flwr, app, [1, 2, 3], []), say=said.append)
    result = fed_avg(1).start(guard, flower_arrays(first), 3)
    trained = [exchange for exchange in guard.exchanges if exchange.kind == "train"]
    assert [list(exchange.left_out) for exchange in trained] == [[], ["client 1 (node 2)"], []]
    assert [line.partition(" is left out")[0] for line in said] == ["round 2, train: client 1 (node 2)"]

    # The client had trained by then, and its head with it: by hand it trains too, and is not averaged.
    arrays = rounds_by_hand(by_hand, [(0, 1, 2)], first)
    by_hand[1].fit(arrays)
    expected = rounds_by_hand(by_hand, [(0, 2), (0, 1, 2)], arrays)
    for name, array in result.arrays.items():
        np.testing.assert_allclose(array.numpy(), expected[name], rtol=0, atol=1e-12, err_msg=name)


def test_a_client_whose_data_are_spoilt_is_named(flwr, tmp_path):
    def make(context):
        one = flower_clients(tmp_path)[context.node_id - 1]
        if context.node_id == 3:
            one.train.inputs[:] = np.nan
        return one

    guard = FlowerGuard(in_process(flwr, flower_app(make), [1, 2, 3], []), say=[].append)
    result = fed_avg(1).start(guard, flower_arrays(flower_clients(tmp_path)[0].get()), 1)
    assert all(np.isfinite(array.numpy()).all() for array in result.arrays.values())
    assert "must be finite, got nan" in guard.exchanges[0].left_out["node 3"]


# --- privacy


def private(flwr, tmp_path, strategy, mods, first):
    app = flower_app(lambda context: flower_clients(tmp_path)[context.node_id - 1], mods=mods)
    guard = FlowerGuard(in_process(flwr, app, [1, 2, 3], []), say=[].append)
    result = strategy.start(guard, flower_arrays(first), 1)
    assert guard.exchanges[0].left_out == {}
    return {name: array.numpy() - first[name] for name, array in result.arrays.items()}


def length(arrays):
    return float(np.sqrt(sum((array**2).sum() for array in arrays.values())))


def test_flowers_clipping_and_noise_go_with_local_clients(flwr, tmp_path):
    """Each update is as long as it may be and no longer; noise of the size that Flower says comes on top."""
    mods, strategies = (pytest.importorskip(f"flwr.{name}") for name in ("clientapp.mod", "serverapp.strategy"))
    wrapped = strategies.DifferentialPrivacyClientSideFixedClipping
    first = clients_in(tmp_path / "first", seed=0)[0].get()
    clip = [mods.fixedclipping_mod]

    def moved(folder, noise, norm):
        return private(flwr, tmp_path / folder, wrapped(fed_avg(3), noise, norm, 3), clip, first)

    free = moved("free", 0.0, 1e6)
    by_hand = clients_in(tmp_path / "by hand", seed=0)
    for name, array in federate(by_hand, 1, first).items():
        np.testing.assert_allclose(free[name], array - first[name], rtol=0, atol=1e-12)
    assert length(free) > 0.01
    assert 0.005 < length(moved("short", 0.0, 0.01)) <= 0.01 * (1 + 1e-12)
    size = sum(array.size for array in free.values())
    assert length(moved("noisy", 1.0, 3.0)) / np.sqrt(size) == pytest.approx(1.0, rel=0.3)  # 1 · 3 / 3 clients


def test_flowers_local_noise_goes_with_local_clients(flwr, tmp_path):
    mod = pytest.importorskip("flwr.clientapp.mod").LocalDpMod(3.0, 1.0, 10.0, 1e-2)
    first = clients_in(tmp_path / "first", seed=0)[0].get()
    moved = private(flwr, tmp_path / "noisy", fed_avg(3), [mod], first)
    alone = np.sqrt(2 * np.log(1.25 / 1e-2)) / 10  # of each client; the mean weighs them about alike
    size = sum(array.size for array in moved.values())
    assert length(moved) / np.sqrt(size) == pytest.approx(alone / np.sqrt(3), rel=0.3)


def secure(flwr, folder, first, failing=()):
    """Return the core after two rounds of Flower's SecAgg+, and what the nodes sent."""
    server = pytest.importorskip("flwr.server")
    sent: list = []
    contexts = {node: flwr.Context(1, node, {}, flwr.RecordDict(), {}) for node in (1, 2, 3, 4)}

    def make(context):
        one = flower_clients(folder, 4)[context.node_id - 1]
        if context.node_id in failing:
            one.train.inputs[:] = np.nan
        return one

    app = flower_secure_app(make)

    def send_and_receive(messages, *, timeout=None):
        replies = []
        for message in messages:
            context = contexts[message.metadata.dst_node_id]
            try:
                replies.append(app(copy.deepcopy(message), context))  # a copy, as if it were sent
            except ValueError as error:
                replies.append(flwr.Message(flwr.Error(code=0, reason=str(error)), reply_to=message))
            if replies[-1].has_content():
                sent.append(replies[-1])
        return replies

    grid = SimpleNamespace(get_node_ids=lambda: [1, 2, 3, 4], send_and_receive=send_and_receive,
                           run=SimpleNamespace(run_id=1))  # fmt: skip
    common = pytest.importorskip("flwr.common")
    strategy = server.strategy.FedAvg(
        min_fit_clients=4, min_available_clients=4, fraction_evaluate=0.0,
        initial_parameters=common.ndarrays_to_parameters(list(first.values())),
    )  # fmt: skip
    context = server.LegacyContext(
        flwr.Context(1, 1, {}, flwr.RecordDict(), {}), config=server.ServerConfig(num_rounds=2), strategy=strategy
    )
    workflow = server.workflow.SecAggPlusWorkflow(4, 2, max_weight=20)
    server.workflow.DefaultWorkflow(fit_workflow=workflow)(grid, context)
    (record,) = (context.state.array_records[name] for name in context.state.array_records)
    return dict(zip(first, record.to_numpy_ndarrays(), strict=True)), sent


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("failing", [(), (3,)])
def test_flowers_secure_aggregation_goes_with_local_clients(flwr, tmp_path, failing):
    by_hand = clients_in(tmp_path / "by hand", 0, 4)
    first = by_hand[0].get()
    members = tuple(k for k in range(4) if k + 1 not in failing)
    expected = rounds_by_hand(by_hand, [members] * 2, first)
    found, sent = secure(flwr, tmp_path / "secure", first, failing)
    assert max(np.abs(expected[name] - first[name]).max() for name in first) > 0.02
    for name, array in found.items():  # rounded to 2 · 8 / 2²² of a parameter by each client, times 20 / 10 at most
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=4e-5, err_msg=name)
    for message in sent:  # no parameter but under its mask
        assert all(not record for record in message.content.array_records.values())


def test_secure_aggregation_says_what_is_wrong(flwr, tmp_path):
    with pytest.raises(TypeError, match="^flower_secure_app: make_client must be a function of the context, got int"):
        flower_secure_app(3)
