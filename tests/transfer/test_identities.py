"""What must hold to the last digits, for every model: gradients, weights, the ends of a regulariser, maps, averages."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from rnn_core import gradcheck
from rnn_core.data import Batch, Examples
from rnn_core.training import SGD, Adam, Updates, fit
from tests.model_cases import (
    CELLS,
    LENGTHS,
    B,
    T,
    V,
    classifier,
    features,
    language_model,
    random_state,
    text,
    tokens_classifier,
    tokens_with_class,
)
from tests.mutations import Mutation
from tests.training_cases import bits
from tests.transfer.tasks.test_multitask import HEADS, every_kind
from tests.transfer.test_maps import EVERY_KIND, SHARED, joint, planted, tasks
from transfer import (
    HeadOf,
    LinearMap,
    LocalClient,
    LowRank,
    MultiTask,
    Plan,
    Reptile,
    Scale,
    SharedMap,
    Square,
    Task,
    TaskBatch,
    Tasks,
    TwoSided,
    average,
    cached_features,
    shared_arrays,
)

W = np.array([0.5, 2.0, 1.0])


# ── The models, each with a batch ────────────────────────────────────────────────────────────────────────────────────


def multi_task(**options):
    return MultiTask(HEADS, 3, vocab_size=6, **{"embedding_size": 2, "dtype": np.float64, "seed": 2, **options})


def mapped(model, kinds=EVERY_KIND, **options):
    return planted(LinearMap(model, kinds, **options))


def shared(**options):
    """Return one T for two models, that is not 0."""
    found = SharedMap(tasks(**options), SHARED, free="head")
    planted(found.maps["a"])
    return found


def head_of(model, batch):
    """Return what is left to train of a model, and what it trains on."""
    data = Examples(batch.inputs, batch.targets, lengths=batch.lengths, weights=batch.weights, shuffle=False)
    return HeadOf(model), cached_features(model, data).batch(0, 0)


def batches_in(batch):
    """Return the batches of the tasks by name, or the only one."""
    return getattr(batch, "tasks", None) or getattr(batch, "parts", None) or {"": batch}


def changed(batch, change):
    """Return a batch whose own batches are what `change` makes of them."""
    parts = {task: change(part) for task, part in batches_in(batch).items()}
    return parts[""] if isinstance(batch, Batch) else type(batch)(parts)


def weighted(batch, weights):
    """Return a batch with weights; they are what comes first of these numbers."""
    return changed(batch, lambda part: part._replace(weights=np.asarray(weights)[: len(part.inputs)]))


MODELS = {
    "classifier": lambda **o: (classifier(bidirectional=True, **o), features(lengths=LENGTHS)),
    "one sigmoid": lambda **o: (classifier(1, pooling="mean", **o), features(1, lengths=LENGTHS)),
    "tokens": lambda **o: (tokens_classifier(pooling="max", padding_idx=0, **o), tokens_with_class(lengths=LENGTHS)),
    "language model": lambda **o: (language_model(**o), text()),
    "ragged language model": lambda **o: (language_model(tied=True, **o), text(lengths=LENGTHS)),
    "multi-task": lambda **o: (multi_task(**o), weighted(every_kind(), np.ones(B))),
    "linear map": lambda **o: (mapped(tokens_classifier(**o), free="head.bias"), tokens_with_class(lengths=LENGTHS)),
    "map of a language model": lambda **o: (mapped(language_model(**o), {"*": Scale()}), text(lengths=LENGTHS)),
    "shared map": lambda **o: (shared(**o), joint()),
    "head of a classifier": lambda **o: head_of(classifier(num_layers=1, **o), features(lengths=LENGTHS)),
    "head of one sigmoid": lambda **o: head_of(classifier(1, num_layers=1, **o), features(1)),
    "head of a language model": lambda **o: head_of(language_model(num_layers=1, **o), text(lengths=LENGTHS)),
}
"""From options to a model in float64 and a batch of its own, ragged wherever it can be."""


@pytest.fixture(params=MODELS)
def make(request):
    return MODELS[request.param]


def accept(report):
    assert report.passed, str(report)


# ── Every loss passes gradcheck ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 0.25]], ids=["plain", "weighted"])
def test_every_model_passes_gradcheck(make, weights):
    model, batch = make()
    accept(gradcheck(model, batch if weights is None else weighted(batch, weights)))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["multi-task", "linear map", "shared map"])
def test_every_cell_passes_gradcheck(name, cell):
    model, batch = MODELS[name](cell=cell)
    accept(gradcheck(model, weighted(batch, [0.5, 2.0, 1.0, 0.25])))


def test_dropout_is_drawn_again():
    accept(gradcheck(multi_task(dropout=0.3, padding_idx=0), every_kind(), seed=4))
    accept(gradcheck(mapped(tokens_classifier(dropout=0.3)), tokens_with_class(), seed=4))
    accept(gradcheck(shared(dropout=0.3), joint(), seed=4))


KINDS = {
    "scale": {"*": Scale()},
    "low rank": {"rnn.weight_*": LowRank(2), "head.weight": LowRank(1), "embedding": LowRank(3)},
    "two-sided": {"rnn.weight_*": TwoSided(), "head.weight": TwoSided(), "embedding": TwoSided()},
    "square": {"embedding": Square()},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_kind_of_map_passes_gradcheck(cell, kind):
    linear = mapped(tokens_classifier(cell=cell, num_layers=1), KINDS[kind])
    accept(gradcheck(linear, tokens_with_class(lengths=LENGTHS, weights=W)))
    linear = LinearMap(tokens_classifier(cell=cell, num_layers=1), KINDS[kind])  # where T is 0, too
    report = gradcheck(linear, tokens_with_class(lengths=LENGTHS))
    assert all(row.passed for row in report.rows), str(report)
    unmoved = {name for name in linear.parameters if name.endswith(".V")}  # U is 0, so V has no gradient yet
    assert set(report.unjudged) == unmoved


def test_a_state_is_carried_into_a_map():
    model = language_model()
    accept(gradcheck(mapped(model, {"rnn.*": Scale()}), text(carry=True), state0=random_state(model)))


# ── Every regulariser passes gradcheck ───────────────────────────────────────────────────────────────────────────────

ANCHORED = {
    "classifier": (lambda: classifier(num_layers=1), features),
    "language model": (lambda: language_model(num_layers=1), text),
    "multi-task": (multi_task, every_kind),
}


def pulled(model):
    """Return the updates of a plan with both regularisers, whose θ_s is elsewhere."""
    plan = Plan(frozen="rnn.bias_ih_l0", anchors={"rnn.weight_*": 0.3}, decays={"head*": 0.07})
    return plan.resolve(model, {name: array + 0.5 for name, array in model.parameters.items()})


@pytest.mark.parametrize("method", ["complex-step", "central"])
@pytest.mark.parametrize("name", ANCHORED)
def test_the_anchor_and_the_decay_pass_gradcheck(name, method):
    build, batch = ANCHORED[name]
    model = build()
    report = gradcheck(model, batch(), updates=pulled(model), method=method)
    accept(report)
    penalty = {row.name for row in report.rows if row.upstream == "penalty" and row.size}
    assert penalty >= {"rnn.weight_hh_l0", "rnn.weight_ih_l0"}
    assert any(name.startswith("head") for name in penalty)
    assert "rnn.bias_ih_l0" not in {row.name for row in report.rows}


def test_a_map_is_anchored_like_a_model():
    linear = mapped(tokens_classifier(num_layers=1))
    updates = Updates(tuple(linear.parameters), {}, {"rnn.weight_hh_l0.A": (2.0, np.zeros((4, 4)))})
    accept(gradcheck(linear, tokens_with_class(), updates=updates))


def test_what_gradcheck_computes_is_what_fit_does():
    """One step of plain gradient descent: θ − η (∂loss + ∂penalty), each of them as `gradcheck` has it claimed."""
    model = classifier(num_layers=1)
    updates, before = pulled(model), model.state_dict()
    gradients = model.loss_and_gradients(features(), needs=updates.trainable).gradients
    fit(model, Examples(*features()[:2]), optimizer=SGD(0.1), epochs=1, updates=updates, progress=False)
    for name, start in before.items():
        way = gradients.get(name, 0.0)
        if name in updates.anchors:
            alpha, home = updates.anchors[name]
            way = way + alpha * (start - home)
        np.testing.assert_allclose(model.parameters[name], start - 0.1 * way, rtol=0, atol=1e-14)


MAPS = "transfer.maps.kinds"
BUGS = {
    "multi-task": [
        Mutation("a task's weight on its loss alone", "transfer.tasks.multitask:MultiTask._part",
                 "head.weight * criterion.backward", "criterion.backward", accept, ()),
        Mutation("the core learns from the last task alone", "transfer.tasks.multitask:MultiTask.loss_and_gradients",
                 "gradients[name] + gradient if name in gradients else gradient", "gradient", accept, ()),
        Mutation("no weights in the gradient", "transfer.tasks.multitask:MultiTask._part",
                 "loss, dp, gradients = learned(branch.head, p, targets, weights, of_head, head.weight)",
                 "loss = learned(branch.head, p, targets, weights, of_head, head.weight).loss\n"
                 "        _, dp, gradients = learned(branch.head, p, targets, None, of_head, head.weight)", accept, ()),
    ],
    "linear map": [
        Mutation("two-sided: B as if A were 0", f"{MAPS}:TwoSided.gradients", "W + A @ W", "W", accept, ()),
        Mutation("two-sided: the first gate alone", f"{MAPS}:TwoSided.gradients",
                 "xp.sum(left.swapaxes(1, 2) @ d, axis=0)", "(left.swapaxes(1, 2) @ d)[0]", accept, ()),
        Mutation("low rank: 0.1 % of U", f"{MAPS}:LowRank.gradients",
                 'd @ t["V"].T', '1.001 * d @ t["V"].T', accept, ()),
        Mutation("square: transposed", f"{MAPS}:Square.gradients", "d.T @ source", "source.T @ d", accept, ()),
        Mutation("scale: of what is merged", f"{MAPS}:Scale.gradients",
                 "d * source", 'd * source * (1 + t["a"])', accept, ()),
    ],
    "shared map": [
        Mutation("T learns from the last pair alone", "transfer.maps.shared:SharedMap.loss_and_gradients",
                 "sums[ours] + gradient if ours in sums else gradient", "gradient", accept, ()),
    ],
    "head of a classifier": [
        Mutation("a head without its weights", "transfer.features.caching:HeadOf.loss_and_gradients",
                 "loss, _, count, gradients = self.model._learn(where, batch, p, wanted)",
                 "loss, _, count, _ = self.model._learn(where, batch, p, wanted)\n"
                 "    gradients = self.model._learn(where, batch._replace(weights=None), p, wanted)[3]", accept, ()),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "name, bug", [pytest.param(name, bug, id=bug.bug) for name, bugs in BUGS.items() for bug in bugs]
)
def test_a_planted_bug_is_caught(name, bug):
    def report():
        model, batch = MODELS[name]()
        return gradcheck(model, weighted(batch, [0.5, 2.0, 1.0, 0.25]))

    with bug.planted():
        assert not report().passed
    accept(report())


# ── Weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def dense(gradient):
    return gradient.to_dense() if hasattr(gradient, "to_dense") else gradient


def test_weights_of_one_change_no_bit(make):
    model, batch = make()
    if isinstance(batch, TaskBatch):
        batch = weighted_by_none(batch)
    ones = weighted(batch, np.ones(4))
    plain, same = (model.loss_and_gradients(b, rng=3) for b in (batch, ones))
    assert (plain.loss, plain.count) == (same.loss, same.count)
    assert list(plain.gradients) == list(same.gradients)
    for name, gradient in plain.gradients.items():
        assert dense(gradient).tobytes() == dense(same.gradients[name]).tobytes(), name
    assert model.evaluate(batch)[:3] == model.evaluate(ones)[:3]


def weighted_by_none(batch):
    return changed(batch, lambda part: part._replace(weights=None))


def repeated(part, counts):
    """Return a batch in which each row stands so many times."""
    rows = np.arange(len(part.inputs)).repeat(counts[: len(part.inputs)])
    return Batch(*(None if array is None else array[rows] for array in (part.inputs, part.targets, part.lengths)))


def test_integer_weights_are_repeated_rows(make):
    counts = np.array([3, 0, 2, 1])
    model, batch = make()
    rows = changed(batch, lambda part: repeated(part, counts))
    once, often = model.loss_and_gradients(weighted(batch, counts)), model.loss_and_gradients(rows)
    assert once.count == often.count
    assert once.loss == pytest.approx(often.loss, rel=1e-12)
    for name, gradient in once.gradients.items():
        expected = dense(often.gradients[name])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(dense(gradient), expected, rtol=0, atol=1e-12 * scale, err_msg=name)
        assert scale > 0
    np.testing.assert_allclose(model.evaluate(weighted(batch, counts))[:3], model.evaluate(rows)[:3], rtol=1e-12)


class Only:
    """One batch, every time."""

    def __init__(self, batch):
        self.only = batch

    def __len__(self):
        return 1

    def batch(self, epoch, index):
        return self.only


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(1e-2)], ids=["SGD", "Adam"])
def test_a_run_with_weights_is_a_run_without(make, optimizer):
    counts = np.array([3, 0, 2, 1])

    def run(change):
        model, batch = make()
        fit(model, Only(changed(batch, change)), optimizer=optimizer, epochs=3, progress=False)
        return model

    plain, ones = (
        run(lambda part, w=w: part._replace(weights=None if w is None else w[: len(part.inputs)]))
        for w in (None, np.ones(4))
    )
    assert bits(plain) == bits(ones)
    once = run(lambda part: part._replace(weights=counts[: len(part.inputs)]))
    often = run(lambda part: repeated(part, counts))
    for name, array in once.parameters.items():
        np.testing.assert_allclose(array, often.parameters[name], rtol=0, atol=1e-12, err_msg=name)


# ── λ = 0 and λ → ∞, for every model with a plan ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ANCHORED)
def test_strength_zero_is_plain_fine_tuning(name):
    build, batch = ANCHORED[name]
    models = build(), build()
    source = {key: array + 1.0 for key, array in models[0].parameters.items()}
    updates = Plan(anchors={"rnn.*": 0.0}, decays={"head*": 0.0}).resolve(models[0], source)
    for model, rules in zip(models, (updates, None), strict=True):
        fit(model, Only(batch()), optimizer=Adam(0.01), epochs=4, clip_norm=1.0, updates=rules, progress=False)
    assert bits(models[0]) == bits(models[1])


@pytest.mark.parametrize("name", ANCHORED)
def test_the_way_from_the_source_ends_as_the_inverse_of_the_strength(name):
    """α (θ − θ_s) → −∂L/∂θ at θ_s: not only is θ_s the limit, it is reached as fast as (U1) says."""
    build, batch = ANCHORED[name]
    source = build()
    for array in source.parameters.values():
        array += 0.1
    slope = source.loss_and_gradients(batch()).gradients
    for alpha in (1e6, 1e9):
        model = build()
        updates = Plan(anchors={"*": alpha}).resolve(model, source)
        fit(model, Only(batch()), optimizer=SGD(1 / alpha), epochs=6, updates=updates, progress=False)
        for key, array in model.parameters.items():
            way = array - source.parameters[key]
            np.testing.assert_allclose(way, -dense(slope[key]) / alpha, rtol=0, atol=20 / alpha**2 + 4e-16)


# ── Maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "model, kinds",
    [
        (partial(language_model, tied=True), {"embedding": Square(), "rnn.weight_*": TwoSided(), "*": Scale()}),
        (partial(language_model, cell="gru"), {"embedding": LowRank(2), "*": Scale()}),
        (multi_task, {"embedding": Square(), "rnn.weight_*": LowRank(2), "heads.*": Scale()}),
    ],
    ids=["tied", "language model", "multi-task"],
)
def test_no_map_is_an_exact_copy(model, kinds):
    model = model()
    before = bits(model)
    batch = every_kind() if isinstance(model, MultiTask) else text()
    expected = model.evaluate(batch)
    linear = LinearMap(model, kinds)
    assert linear.evaluate(batch)[:3] == expected[:3]
    assert bits(linear.merge()) == before


def test_no_shared_map_is_an_exact_copy():
    models = tasks()
    before = {task: bits(model) for task, model in models.items()}
    merged = SharedMap(models, SHARED).merge()
    assert {task: bits(model) for task, model in merged.items()} == before


@pytest.mark.parametrize("kinds", [KINDS["low rank"], KINDS["two-sided"], {**EVERY_KIND}], ids=["UV", "AWB", "all"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_merged_network_is_the_one_that_keeps_the_map_apart(cell, kinds):
    """Written out once more: every product W v is that of θ_s, and T's own is added to it; no weights are added up."""
    model = tokens_classifier(cell=cell, num_layers=1)
    source, H = model.state_dict(), 4
    linear = mapped(model, kinds)
    t, tokens = linear.parameters, tokens_with_class().inputs

    def product(name, v):
        """Return W_t v without W_t; for a bias v is 1."""
        W = source[name]
        out = v @ W.T if W.ndim == 2 else W * v
        if f"{name}.U" in t:
            return out + (v @ t[f"{name}.V"].T) @ t[f"{name}.U"].T
        if f"{name}.A" in t:
            inner = (v + v @ t[f"{name}.B"].T) @ W.T
            rows = inner.reshape(len(v), -1, len(t[f"{name}.A"]))
            return inner + (rows @ t[f"{name}.A"].T).reshape(inner.shape)
        return out + t[f"{name}.a"] * out if f"{name}.a" in t else out

    def word(k):
        E, name = source["embedding.weight"], "embedding.weight"
        if f"{name}.U" in t:
            return E[k] + t[f"{name}.U"][k] @ t[f"{name}.V"]
        if f"{name}.A" in t:
            left = E[k] + t[f"{name}.A"][k] @ E
            return left + left @ t[f"{name}.B"]
        return E[k] + E[k] @ t[f"{name}.M"].T

    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    h = c = np.zeros((len(tokens), H))
    for k in tokens.T:
        x = product("rnn.weight_ih_l0", word(k)) + product("rnn.bias_ih_l0", 1.0)
        r = product("rnn.weight_hh_l0", h) + product("rnn.bias_hh_l0", 1.0)
        if cell == "lstm":
            i, f, g, o = np.split(x + r, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            reset, update = np.split(sigmoid(x[:, : 2 * H] + r[:, : 2 * H]), 2, axis=1)
            n = np.tanh(x[:, 2 * H :] + reset * r[:, 2 * H :])
            h = (1 - update) * n + update * h
    logits = product("head.weight", h) + product("head.bias", 1.0)
    np.testing.assert_allclose(linear.merge()(tokens), logits, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["linear map", "map of a language model", "shared map"])
def test_a_twin_of_a_map_computes_the_same_and_stands_for_itself(name):
    model, batch = MODELS[name]()
    before = bits(model)
    twin = model.astype(np.float64)
    assert bits(twin) == before
    assert list(twin.parameters) == list(model.parameters)
    assert twin.evaluate(batch)[:3] == model.evaluate(batch)[:3]
    for array in twin.parameters.values():
        array += 1.0
    twin.evaluate(batch)
    assert bits(model) == before
    assert model.evaluate(batch)[:3] == MODELS[name]()[0].evaluate(batch)[:3]
    assert model.astype(np.float32).parameters.keys() == model.parameters.keys()


# ── Meta-learning and averages ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cell", CELLS)
def test_reptile_with_one_step_for_each_of_several_tasks_is_a_joint_step(cell):
    """Tasks of equal size: the mean of their steps is the step of all examples together."""

    def draw(rng):
        return Task([Batch(rng.standard_normal((4, T, 2)), rng.integers(0, 3, 4))])

    models = classifier(cell=cell), classifier(cell=cell)
    episodes = Tasks(draw, 5, tasks_per_step=3)
    fit(Reptile(models[0], SGD(0.2)), episodes, optimizer=SGD(0.5), epochs=2, progress=False)
    for epoch in range(2):
        for index in range(5):
            drawn = [task.support[0] for task in episodes.batch(epoch, index).tasks]
            both = Batch(*(np.concatenate([getattr(b, part) for b in drawn]) for part in ("inputs", "targets")))
            fit(models[1], Only(both), optimizer=SGD(0.2 * 0.5), epochs=1, progress=False)
    for name, array in models[1].parameters.items():
        np.testing.assert_allclose(models[0].parameters[name], array, rtol=0, atol=1e-14)


def test_a_full_batch_step_of_ragged_texts_averaged_by_their_tokens_is_the_central_step():
    rng = np.random.default_rng(0)
    tokens, lengths = rng.integers(0, V, (9, T)), rng.integers(1, T + 1, 9)
    parts = np.split(np.arange(9), [2, 6])

    def data(rows):
        return Examples(tokens[rows], tokens[rows][:, ::-1].copy(), lengths=lengths[rows], batch_size=100)

    central = language_model(backend="numpy")
    fit(central, data(np.arange(9)), optimizer=SGD(0.7), epochs=1, progress=False)
    clients = [LocalClient(language_model(backend="numpy"), data(rows), optimizer=SGD(0.7), core="*") for rows in parts]
    updates = [one.fit(one.get()) for one in clients]
    assert [update.count for update in updates] == [lengths[rows].sum() for rows in parts]
    arrays = average([update.arrays for update in updates], [update.count for update in updates])
    for name, array in arrays.items():
        np.testing.assert_allclose(array, central.parameters[name], rtol=0, atol=1e-12, err_msg=name)


def test_one_client_with_several_tasks_is_local_training():
    alone, model = multi_task(backend="numpy"), multi_task(backend="numpy")
    train = Only(every_kind())
    fit(alone, train, optimizer=Adam(0.01), epochs=6, seed=7, progress=False)
    one = LocalClient(model, train, optimizer=Adam(0.01), epochs=6, core="rnn.*", seed=7)
    update = one.fit(one.get())
    assert bits(model) == bits(alone)
    for name, array in average([update.arrays], [update.count]).items():
        np.testing.assert_array_equal(array, shared_arrays(alone)[name])
