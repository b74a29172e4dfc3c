"""Federated fine-tuning: one client is local training, one step is the central one, and heads stay where they are."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, quantize, save
from rnn_core.data import Examples, TextStream
from rnn_core.training import SGD, Adam, fit
from transfer.federated.averaging import average, set_shared, shared_arrays
from transfer.planning.plan import Plan

from .clients import HEAD, assert_same, classifier, client, clients_in, data, federate, own, rows

# --- one client


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_round_of_one_client_is_local_training(dtype):
    options = {"dtype": dtype, "dropout": 0.3}
    plan = Plan(rates={"head": 0.02}, anchors={"rnn.*": 0.1})
    alone = classifier(**options)
    train = Examples(*rows(12, dtype=dtype), batch_size=5, seed=3)
    kept = client(classifier(**options), train, optimizer=Adam(0.01), epochs=3, plan=plan, clip_norm=0.5, seed=7)
    history = fit(
        alone, train, optimizer=Adam(0.01), epochs=3, updates=plan.resolve(alone), clip_norm=0.5, seed=7, progress=False
    )
    update = kept.fit(kept.get())
    assert update.history == history
    assert_same(kept.model.parameters, alone.parameters)
    assert_same(average([update.arrays], [update.count]), shared_arrays(alone))


def test_rounds_of_one_client_are_one_long_run():
    alone, kept = classifier(), client(epochs=2)
    arrays = federate([kept], 3)
    fit(alone, data(), optimizer=SGD(0.1), epochs=6, progress=False)
    assert kept.rounds == 3
    assert_same(kept.model.parameters, alone.parameters)
    assert_same(arrays, shared_arrays(alone))


def test_a_text_goes_on_from_batch_to_batch():
    tokens = np.random.default_rng(0).integers(0, 7, 100)
    stream = TextStream(tokens, batch_size=4, steps=6)
    alone, model = (LanguageModel(7, 6, backend="numpy", seed=0) for _ in range(2))
    fit(alone, stream, optimizer=SGD(0.5), epochs=2, progress=False)
    kept = client(model, stream, optimizer=SGD(0.5), validation=stream)
    arrays = federate([kept], 2)
    assert_same(model.parameters, alone.parameters)
    history = fit(alone, stream, optimizer=SGD(1e-30), epochs=1, validation=stream, progress=False)
    score = kept.evaluate(arrays)
    assert (score.loss, score.accuracy) == (history[-1].validation_loss, history[-1].validation_accuracy)
    assert score.count == kept.fit(arrays).count == 96


def test_the_mean_of_one_part_is_that_part():
    part = {"a": np.array([0.1, -0.0, 1e-310, 1e300]), "b": np.array([[1 / 3, 7.7]], np.float32)}
    mean = average([part], [49])
    assert_same(mean, part)
    assert np.signbit(mean["a"][1])


def test_a_mean_in_single_precision_is_rounded_once():
    rng = np.random.default_rng(0)
    parts = [{"a": rng.standard_normal(50).astype(np.float32)} for _ in range(40)]
    counts = rng.integers(1, 100, 40)
    exact = np.average([part["a"].astype(np.float64) for part in parts], axis=0, weights=counts)
    assert_same(average(parts, counts), {"a": exact.astype(np.float32)})


# --- one step


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_full_batch_step_is_the_central_step(cell, weighted):
    sizes, rng = (3, 8, 5), np.random.default_rng(4)
    x, y = rows(sum(sizes))
    lengths = rng.integers(1, 5, len(x))
    w = rng.integers(1, 4, len(x)) if weighted else None
    parts = np.split(np.arange(len(x)), np.cumsum(sizes)[:-1])

    def batch(chosen):
        return Examples(
            x[chosen], y[chosen], lengths=lengths[chosen], weights=None if w is None else w[chosen], batch_size=100
        )

    central = classifier(cell=cell)
    fit(central, batch(slice(None)), optimizer=SGD(0.7), epochs=1, progress=False)
    clients = [client(classifier(cell=cell), batch(part), optimizer=SGD(0.7), core="*") for part in parts]
    arrays = federate(clients, 1)
    assert list(arrays) == list(central.parameters)
    for name, array in arrays.items():
        np.testing.assert_allclose(array, central.parameters[name], rtol=0, atol=1e-12, err_msg=name)


def test_the_core_takes_the_mean_step_and_each_head_its_own():
    clients = [client(classifier(k, seed=k), data(n, 100, classes=k, seed=k)) for k, n in ((2, 6), (4, 11))]
    start = clients[0].get()
    steps = []
    for one in clients:
        twin = classifier(one.model.num_classes)
        twin.load_state_dict(one.model.parameters)
        set_shared(twin, "rnn.*", start)
        steps.append((twin.parameters, twin.loss_and_gradients(one.train.batch(0, 0)).gradients))
    arrays = federate(clients, 1)
    for name, array in arrays.items():
        gradient = sum(n * gradients[name] for n, (_, gradients) in zip((6, 11), steps, strict=True)) / 17
        np.testing.assert_allclose(array, start[name] - 0.1 * gradient, rtol=0, atol=1e-12)
    for one, (before, gradients) in zip(clients, steps, strict=True):
        for name in HEAD:
            np.testing.assert_array_equal(one.model.parameters[name], before[name] - 0.1 * gradients[name])


def test_targets_are_counted_once_an_epoch():
    x, y = rows(12)
    tokens = np.random.default_rng(0).integers(0, 7, (6, 9))
    lengths = [9, 3, 1, 5, 9, 2]
    words = Examples(tokens, tokens, lengths=lengths, batch_size=4)
    assert client(epochs=3).fit(client().get()).count == 12
    assert client(train=Examples(x, y, weights=np.full(12, 0.5))).fit(client().get()).count == 6
    reader = client(LanguageModel(7, 5, backend="numpy", seed=0), words)
    assert reader.fit(reader.get()).count == sum(lengths)


def test_an_anchor_is_the_core_that_the_round_began_with():
    one, received = client(plan=Plan(anchors={"rnn.*": 1e3}), optimizer=SGD(1e-3)), shared_arrays(classifier(seed=9))
    one.fit(one.get())
    for name, array in one.fit(received).arrays.items():
        np.testing.assert_allclose(array, received[name], rtol=0, atol=1e-2)


def test_each_round_draws_its_own_dropout():
    train = Examples(*rows(12), batch_size=12, shuffle=False)
    one = client(classifier(dropout=0.5), train, optimizer=SGD(1e-300))
    first, second = (one.fit(one.get()).history[0].loss for _ in range(2))
    assert first != pytest.approx(second, rel=1e-6)


# --- what stays


def test_heads_differ_and_survive_rounds_and_a_restart(tmp_path):
    whole = clients_in(tmp_path / "whole", seed=0)
    first = whole[0].get()
    expected = federate(whole, 4, first)

    middle = federate(clients_in(tmp_path / "stopped", seed=0), 2, first)
    again = clients_in(tmp_path / "stopped", seed=50)  # so that heads can come from nowhere but the files
    assert [one.rounds for one in again] == [2, 2, 2]
    assert_same(federate(again, 2, middle), expected)
    for left, right in zip(whole, again, strict=True):
        assert left.own == HEAD
        assert_same(own(left), own(right))
    assert not np.array_equal(again[1].model.parameters["head.weight"], again[2].model.parameters["head.weight"])


def test_heads_neither_leave_nor_come_in(tmp_path):
    one, other = clients_in(tmp_path, seed=0)[:2]
    head = own(one)
    update = other.fit(other.get())
    assert all(name.startswith("rnn.") for name in update.arrays)
    set_shared(one.model, "rnn.*", update.arrays)
    assert_same(own(one), head)
    update.arrays["rnn.weight_hh_l0"][:] = 0  # a copy: the model keeps its own
    assert other.model.parameters["rnn.weight_hh_l0"].any()


def test_nothing_of_its_own_is_a_client_too(tmp_path):
    path = tmp_path / "none.safetensors"
    one = client(core="*", path=path)
    one.fit(one.get())
    assert (one.own, client(core="*", path=path).rounds) == ((), 1)


def test_evaluation_is_over_the_clients_own_validation_data():
    x, y = rows(11, seed=9)
    one, arrays = client(validation=Examples(x, y, batch_size=4)), classifier(seed=8).parameters
    score = one.evaluate({name: arrays[name] for name in one.shared})
    model = classifier()
    set_shared(model, "rnn.*", {name: arrays[name] for name in one.shared})
    logits = model(x)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(11), y]
    assert score.loss == pytest.approx(losses.mean(), rel=1e-12)
    assert (score.accuracy, score.count) == (np.mean(logits.argmax(axis=1) == y), 11)
    with pytest.raises(ValueError, match="LocalClient.evaluate: validation must be given"):
        client().evaluate(client().get())


# --- what can't be


WRONG = {
    "shape": (lambda a: shared_arrays(classifier(hidden_size=6)), ValueError, r"rnn.weight_ih_l0 must have shape"),
    "NaN": (
        lambda a: a | {"rnn.bias_hh_l0": np.full(20, np.nan)},
        ValueError,
        "rnn.bias_hh_l0 must be finite, got nan",
    ),
    "infinity": (lambda a: a | {"rnn.bias_hh_l0": np.full(20, np.inf)}, ValueError, "must be finite, got inf"),
    "missing": (lambda a: {n: v for n, v in a.items() if n != "rnn.bias_hh_l0"}, ValueError, "missing: rnn.bias_hh_l0"),
    "unknown": (lambda a: a | {"head.bias": np.zeros(3)}, ValueError, "unknown: head.bias"),
    "dtype": (lambda a: a | {"rnn.bias_hh_l0": np.zeros(20, complex)}, TypeError, "must be float64 or narrower"),
    "strings": (lambda a: a | {"rnn.bias_hh_l0": ["x"] * 20}, TypeError, "must be an array of numbers"),
    "list": (lambda a: list(a.values()), TypeError, "arrays must be a mapping of names to arrays, got list"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_overwrites_nothing(wrong, tmp_path):
    spoil, kind, message = WRONG[wrong]
    path = tmp_path / "head.safetensors"
    one = client(validation=data(), path=path)
    good = one.fit(one.get()).arrays
    before, content = one.model.state_dict(), path.read_bytes()
    bad = spoil(shared_arrays(classifier(seed=9)))
    for where, receive in (("LocalClient.fit", one.fit), ("LocalClient.evaluate", one.evaluate),
                           ("set_shared", lambda arrays: set_shared(one.model, "rnn.*", arrays))):  # fmt: skip
        with pytest.raises(kind, match=f"^{where}: .*{message}"):
            receive(bad)
    assert_same(one.model.parameters, before)
    assert path.read_bytes() == content
    one.fit(good)
    assert one.rounds == 2


def test_a_round_that_fails_leaves_model_and_file(tmp_path):
    path = tmp_path / "head.safetensors"
    one = client(path=path)
    arrays = one.fit(one.get()).arrays
    before, content = one.model.state_dict(), path.read_bytes()
    one.train.inputs[3] = np.nan
    with pytest.raises(ValueError, match="must be finite, got nan .* in step 3 of 3"):  # two are done by then
        one.fit(arrays)
    one.train = data()
    one.path = tmp_path / "nowhere" / "head.safetensors"
    with pytest.raises(FileNotFoundError, match="folder of path must exist"):
        one.fit(arrays)
    assert one.rounds == 1
    assert_same(one.model.parameters, before)
    assert path.read_bytes() == content


class Empty:
    def __len__(self):
        return 0

    def batch(self, epoch, index):
        raise AssertionError


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"train": Empty()}, ValueError, "train must have at least one batch, got none"),
        ({"validation": Empty()}, ValueError, "validation must have at least one batch"),
        ({"train": [1]}, TypeError, "train must be batches, such as Examples or TextStream, got list"),
        ({"model": 1}, TypeError, "model must be a Model"),
        ({"core": "lstm.*"}, ValueError, "core must match a parameter, got 'lstm.\\*'"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"plan": {"rnn.*": 1}}, TypeError, "plan must be a Plan or None, got dict"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)
def test_a_client_says_what_is_wrong(options, kind, message):
    with pytest.raises(kind, match=f"^LocalClient: {message}"):
        client(**options)


def test_a_client_knows_its_file(tmp_path):
    path = tmp_path / "head.safetensors"
    client(path=path)
    with pytest.raises(ValueError, match="head.weight must have shape \\(2, 5\\), as in this model, got \\(3, 5\\)"):
        client(classifier(2), path=path)
    with pytest.raises(ValueError, match="LocalClient: the arrays in .* must have the names .* unknown: head"):
        client(core="*", path=path)
    save(classifier(), path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="LocalClient: path must be a file that a LocalClient wrote"):
        client(path=path)
    path.write_bytes(content[:50])
    with pytest.raises(ValueError, match="cut short"):
        client(path=path)
    assert path.read_bytes() == content[:50]
    for rounds in ("", "-1", "1.5", "1" * 5000, "[" * 10**5):
        save({"head.weight": np.zeros((3, 5))}, path, metadata={"local_client": "1", "rounds": rounds})
        with pytest.raises(ValueError, match=r"^LocalClient: path must be a file .* which is another safetensors file"):
            client(path=path)
    with pytest.raises(FileNotFoundError, match="folder of path must exist"):
        client(path=tmp_path / "nowhere" / "head.safetensors")


@pytest.mark.parametrize(
    ("parts", "counts", "kind", "message"),
    [
        ([], [], ValueError, "one for each client, and not none, got 0 and 0"),
        ([{"a": [1.0]}], [1, 2], ValueError, "got 1 and 2"),
        ([{"a": [1.0]}], [0], ValueError, r"counts\[0\] must be above 0 and finite, got 0; leave out a client"),
        ([{"a": [1.0]}], [np.nan], ValueError, "above 0 and finite, got nan"),
        ([{"a": [1.0]}], ["3"], TypeError, "must be a number, got '3'"),
        ([{"a": [1.0]}, {"a": [np.nan]}], [1, 1], ValueError, r"parts\[1\]\['a'\] must be finite, got nan"),
        ([{"a": [1.0]}, {"a": [1.0, 2.0]}], [1, 1], ValueError, r"one shape in all parts, got \(1,\) in parts\[0\]"),
        ([{"a": [1.0]}, {"b": [1.0]}], [1, 1], ValueError, r"parts\[1\] must have the names a; missing: a; unknown: b"),
        ([{"a": [1.0]}, {"a": np.ones(1, np.float32)}], [1, 1], TypeError, "one dtype in all parts, got float64"),
        ([[1.0]], [1], TypeError, r"parts\[0\] must be a mapping"),
    ],
)
def test_a_mean_says_what_is_wrong(parts, counts, kind, message):
    with pytest.raises(kind, match=f"^average: .*{message}"):
        average(parts, counts)


def test_only_names_there_are_can_be_shared():
    with pytest.raises(ValueError, match="shared_arrays: core must match a parameter, got 'core'"):
        shared_arrays(classifier(), "core")
    with pytest.raises(TypeError, match="set_shared: model must be a model or a layer"):
        set_shared({}, "rnn.*", {})


def test_integers_are_not_averaged():
    small = quantize(LanguageModel(5, 4, seed=0))
    with pytest.raises(TypeError, match=r"^average: parts\[0\] must be in float32 .*, got one that is quantized"):
        average([small.state_dict()] * 2, [1, 1])
    with pytest.raises(TypeError, match=r"^shared_arrays: model must be in float32"):
        shared_arrays(small)
    with pytest.raises(TypeError, match=r"^set_shared: model must be in float32"):
        set_shared(small, "rnn.*", {})
