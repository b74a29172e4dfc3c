"""Linear maps T: exact copies, gradients, planted maps found again, merging, and one T for several tasks."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, LanguageModel, SequenceClassifier, gradcheck, quantize
from rnn_core.checking import Problem
from rnn_core.data import Examples
from rnn_core.data.batches import Batch
from rnn_core.training import SGD, Adam, Cosine, Updates, fit
from tests.model_cases import CELLS, classifier, features, language_model, text, tokens_classifier, tokens_with_class
from transfer import freeze
from transfer.maps.kinds import LowRank, Map, Scale, Square, TwoSided
from transfer.maps.linear import LinearMap
from transfer.maps.shared import SharedMap
from transfer.tasks.mixture import Mixture, TaskBatch

EVERY_KIND = {
    "embedding": Square(),
    "rnn.weight_ih_*": LowRank(2),
    "rnn.weight_hh_*": TwoSided(),
    "*": Scale(),
}


def planted(linear, seed=3, size=0.3):
    """Give T values that are not 0."""
    rng = np.random.default_rng(seed)
    for tensors in linear.tensors.values():
        for t in tensors.values():
            t[...] = size * rng.standard_normal(t.shape)
    return linear


# ── T = 0, and the equations by hand ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_no_map_is_an_exact_copy(cell, dtype):
    model = tokens_classifier(cell=cell, bidirectional=True, padding_idx=0, dtype=dtype)
    for parameter in model.parameters.values():
        parameter[0] = -0.0  # which + 0 would turn into 0
    before = {name: array.tobytes() for name, array in model.parameters.items()}
    linear = LinearMap(model, EVERY_KIND)
    linear.evaluate(tokens_with_class())
    assert linear.merge() is model
    assert {name: array.tobytes() for name, array in model.parameters.items()} == before
    assert {t.dtype for t in linear.parameters.values()} == {np.dtype(dtype)}


def test_what_is_merged_is_what_the_equations_say():
    model = tokens_classifier(cell="lstm")
    source = model.state_dict()
    linear = planted(LinearMap(model, EVERY_KIND))
    merged, t = linear.merge().parameters, linear.parameters
    scale = 1 + t["head.weight.a"]
    np.testing.assert_allclose(merged["head.weight"], scale * source["head.weight"], rtol=1e-14)
    low = source["rnn.weight_ih_l0"] + t["rnn.weight_ih_l0.U"] @ t["rnn.weight_ih_l0.V"]
    np.testing.assert_allclose(merged["rnn.weight_ih_l0"], low, rtol=1e-14)
    left, right = np.eye(4) + t["rnn.weight_hh_l1.A"], np.eye(4) + t["rnn.weight_hh_l1.B"]
    for gate in range(4):
        rows = slice(4 * gate, 4 * gate + 4)
        np.testing.assert_allclose(
            merged["rnn.weight_hh_l1"][rows], left @ source["rnn.weight_hh_l1"][rows] @ right, rtol=1e-12, atol=1e-14
        )
    for word, vector in zip(source["embedding.weight"], merged["embedding.weight"], strict=True):
        np.testing.assert_allclose(vector, word + t["embedding.weight.M"] @ word, rtol=1e-12, atol=1e-14)


def test_the_merged_network_is_the_one_that_keeps_the_map_apart():
    """A vanilla network written out here: to each product with θ_s it adds T's own, and never adds up the weights."""
    model = tokens_classifier(cell="rnn", num_layers=1, classes=3)
    s = model.state_dict()
    kinds = {"embedding": Square(), "*_ih_*": Scale(), "*weight_hh*": TwoSided(), "head.weight": LowRank(2)}
    linear = planted(LinearMap(model, kinds))
    t, tokens = linear.parameters, tokens_with_class().inputs
    h = np.zeros((len(tokens), 4))
    for k in tokens.T:
        word = s["embedding.weight"][k]
        word = word + word @ t["embedding.weight.M"].T
        a = word @ s["rnn.weight_ih_l0"].T
        a = a + t["rnn.weight_ih_l0.a"] * a
        a = a + s["rnn.bias_ih_l0"] + t["rnn.bias_ih_l0.a"] * s["rnn.bias_ih_l0"] + s["rnn.bias_hh_l0"]
        g = (h + h @ t["rnn.weight_hh_l0.B"].T) @ s["rnn.weight_hh_l0"].T
        h = np.tanh(a + g + g @ t["rnn.weight_hh_l0.A"].T)
    logits = h @ s["head.weight"].T + (h @ t["head.weight.V"].T) @ t["head.weight.U"].T + s["head.bias"]
    np.testing.assert_allclose(linear.merge()(tokens), logits, rtol=1e-12, atol=1e-12)


def test_merging_twice_is_merging_once():
    linear = planted(LinearMap(classifier(), {"rnn.*": Scale(), "head.weight": LowRank(1)}))
    once = linear.merge().state_dict()
    twice = linear.merge().state_dict()
    assert all((once[name] == twice[name]).all() for name in once)


# ── Gradients ────────────────────────────────────────────────────────────────────────────────────────────────────────


def problem(model, kinds, batch, free=()):
    """Return the loss of a batch as a function of T's tensors, with the gradients that are claimed for it."""
    source = {name: array.copy() for name, array in model.parameters.items()}
    linear = planted(LinearMap(model, kinds, free=free))
    values = {name: array.copy() for name, array in linear.parameters.items()}

    def twin(dtype):
        other = model.astype(dtype, backend="numpy")
        for name, array in source.items():
            other.parameters[name][...] = array
        inputs = batch.inputs.astype(dtype) if batch.inputs.dtype.kind == "f" else batch.inputs
        moved = LinearMap(other, kinds, free=free)
        for name, value in values.items():
            moved.parameters[name][...] = value
        return moved.parameters, lambda: {
            "loss": np.asarray(moved.loss_and_gradients(batch._replace(inputs=inputs), needs=(), rng=3).loss)
        }

    def gradients(upstreams):
        found = linear.loss_and_gradients(batch, rng=3).gradients
        assert list(found) == list(linear.parameters)
        return {name: upstreams["loss"] * gradient for name, gradient in found.items()}

    return Problem("LinearMap", model.dtype, twin, gradients)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_the_complex_step(cell):
    model = tokens_classifier(cell=cell, num_layers=1, bidirectional=True, dropout=0.3)
    report = gradcheck(problem(model, EVERY_KIND, tokens_with_class()), None)
    assert report.passed, str(report)


def test_gradients_of_a_tied_embedding_and_of_what_is_free():
    model = language_model(cell="gru", tied=True, num_layers=1)
    report = gradcheck(problem(model, {"embedding": Square(), "rnn.*": Scale()}, text(), free="head.bias"), None)
    assert report.passed, str(report)
    assert {row.name for row in report.rows} >= {"embedding.weight.M", "head.bias"}


def test_gradients_by_central_differences():
    model = classifier(cell="lstm", num_layers=1)
    report = gradcheck(problem(model, {"rnn.weight_*": LowRank(1), "*": Scale()}, features()), None, method="central")
    assert report.passed, str(report)


def test_only_what_is_needed_is_computed(monkeypatch):
    model = tokens_classifier()
    linear, asked = planted(LinearMap(model, EVERY_KIND)), []
    full = linear.loss_and_gradients(tokens_with_class()).gradients
    whole = model.loss_and_gradients

    def watched(batch, *, needs, **options):
        asked.append(set(needs))
        return whole(batch, needs=needs, **options)

    monkeypatch.setattr(model, "loss_and_gradients", watched)
    for name in linear.parameters:
        alone = linear.loss_and_gradients(tokens_with_class(), needs=[name]).gradients
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name], full[name])
        assert asked.pop() == {name.rpartition(".")[0]}
    linear.frozen = frozenset(linear.parameters) - {"head.bias.a"}
    assert list(linear.loss_and_gradients(tokens_with_class()).gradients) == ["head.bias.a"]


# ── A planted T ──────────────────────────────────────────────────────────────────────────────────────────────────────

PAIRS = [
    ({"rnn.weight_*": Scale(), "head": Scale()}, None),
    ({"embedding": Square()}, None),
    ({"rnn.weight_hh_l0": LowRank(1)}, "rnn.weight_hh_l0"),  # U and V are known up to a factor, and so is A against B
    ({"rnn.weight_hh_l0": TwoSided()}, "rnn.weight_hh_l0"),
]


def minimised(linear, loss_and_gradients):
    """Train T to the minimum, by a quasi-Newton method, and then to where the gradient is 0.

    The loss alone shows its minimum to half its digits.
    """
    from scipy.optimize import minimize, root

    names, shapes = list(linear.parameters), [array.shape for array in linear.parameters.values()]
    cuts = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1]

    def put(flat):
        for name, part, shape in zip(names, np.split(flat, cuts), shapes, strict=True):
            linear.parameters[name][...] = part.reshape(shape)

    def value(flat):
        put(flat)
        loss, gradients = loss_and_gradients()
        return loss, np.concatenate([np.ravel(gradients[name]) for name in names])

    start = np.concatenate([array.ravel() for array in linear.parameters.values()])
    near = minimize(value, start, jac=True, method="BFGS", options={"gtol": 1e-12, "maxiter": 2000}).x
    put(root(lambda flat: value(flat)[1], near, method="lm", tol=1e-14).x)


def assert_recovered(linear, truth, merged, up_to_a_factor):
    found = linear.merge().parameters
    for name, value in merged.items():
        assert np.abs(found[name] - value).max() < 1e-6, name
    if up_to_a_factor is None:
        for name, t in truth.items():
            assert np.abs(linear.parameters[name] - t).max() < 1e-6, name


@pytest.mark.parametrize("kinds, up_to_a_factor", PAIRS, ids=["scale", "square", "low rank", "two-sided"])
def test_a_planted_map_is_recovered_from_parameters(kinds, up_to_a_factor):
    """Least squares: the smallest ½ Σ (θ_s + T(θ_s) − θ_t)²."""
    model = tokens_classifier(1, num_layers=1, cell="gru")
    source = model.state_dict()
    teacher = planted(LinearMap(model, kinds))
    truth = {name: t.copy() for name, t in teacher.parameters.items()}
    merged = teacher.merge().state_dict()
    model.load_state_dict(source)
    linear = LinearMap(model, kinds, seed=1)

    def misfit():
        gaps = {name: linear.merge().parameters[name] - merged[name] for name in linear.kinds}
        return sum(0.5 * (gap**2).sum() for gap in gaps.values()), linear.pull_back(gaps)

    minimised(linear, misfit)
    assert_recovered(linear, truth, merged, up_to_a_factor)


@pytest.mark.parametrize("kinds, up_to_a_factor", PAIRS, ids=["scale", "square", "low rank", "two-sided"])
def test_a_planted_map_is_recovered_from_examples(kinds, up_to_a_factor):
    """The target's data are what the planted network says, as probabilities: the loss is least where T is the same."""
    V = 6
    model = SequenceClassifier(1, 2, vocab_size=V, embedding_size=2, cell="rnn", dtype=np.float64, seed=5)
    for parameter in model.parameters.values():
        parameter *= 1.5  # a network that does something
    tokens = np.random.default_rng(0).integers(0, V, (200, 4))
    source = model.state_dict()
    teacher = planted(LinearMap(model, kinds))
    truth = {name: t.copy() for name, t in teacher.parameters.items()}
    merged = teacher.merge().state_dict()
    batch = Batch(tokens, model.predict_proba(tokens))
    model.load_state_dict(source)
    linear = LinearMap(model, kinds, seed=1)

    minimised(linear, lambda: linear.loss_and_gradients(batch)[:2])
    assert_recovered(linear, truth, merged, up_to_a_factor)


def test_fit_recovers_a_planted_scale():
    model = classifier(1, cell="rnn", num_layers=1)
    kinds = {"rnn.weight_*": Scale(), "head": Scale()}
    source, x = model.state_dict(), np.random.default_rng(0).standard_normal((64, 5, 2))
    teacher = planted(LinearMap(model, kinds))
    truth = {name: t.copy() for name, t in teacher.parameters.items()}
    data = Examples(x, teacher.merge().predict_proba(x), batch_size=64)
    model.load_state_dict(source)
    linear = LinearMap(model, kinds)
    fit(linear, data, optimizer=Adam(0.05), epochs=1500, schedule=Cosine(1500), progress=False)
    for name, value in truth.items():
        assert abs(linear.parameters[name] - value).max() < 1e-6, name


# ── In training ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_map_and_what_is_free_train():
    model = tokens_classifier()
    before = model.state_dict()
    linear = LinearMap(model, {"rnn.l0": Scale()}, free="head")
    assert list(linear.parameters)[-2:] == ["head.weight", "head.bias"]
    batch = tokens_with_class()
    fit(linear, Examples(batch.inputs, batch.targets), optimizer=SGD(0.5), epochs=3, progress=False)
    after = linear.merge().parameters
    moved = {name for name, array in after.items() if (array != before[name]).any()}
    assert moved == {*model.groups["rnn.l0"], *model.groups["head"]}
    ratio = after["rnn.weight_hh_l0"] / before["rnn.weight_hh_l0"]
    np.testing.assert_allclose(ratio, np.full((16, 4), 1 + linear.parameters["rnn.weight_hh_l0.a"]), rtol=1e-14)


def test_what_the_model_has_frozen_rests():
    model = tokens_classifier()
    freeze(model, "rnn.l0")
    linear = LinearMap(model, {"rnn.*": Scale(), "*": Scale()}, free="head")
    assert not any("_l0" in name for name in linear.parameters)
    assert "frozen" in str(linear)


def test_a_run_goes_on_where_it_stopped(tmp_path):
    batch = tokens_with_class()
    data = Examples(batch.inputs, batch.targets)

    def run(epochs, folder, **options):
        linear = LinearMap(tokens_classifier(), EVERY_KIND)
        fit(linear, data, optimizer=Adam(0.1), epochs=epochs, checkpoint=folder, progress=False, **options)
        return linear.merge().state_dict()

    whole = run(6, tmp_path / "whole")
    run(3, tmp_path / "halves")
    halves = run(6, tmp_path / "halves", resume=True)
    assert all((whole[name] == halves[name]).all() for name in whole)
    model = tokens_classifier()
    for array in model.parameters.values():
        array += 1
    other = LinearMap(model, EVERY_KIND)
    with pytest.raises(ValueError, match=r"model\.source was"):
        fit(other, data, optimizer=Adam(0.1), epochs=9, checkpoint=tmp_path / "halves", resume=True, progress=False)


def test_anchors_and_rates_reach_the_map():
    linear = LinearMap(classifier(), {"*": Scale()})
    names = tuple(linear.parameters)
    updates = Updates(names[:2], {names[0]: 0.0}, {names[1]: (1.0, np.zeros(1))})
    batch = features()
    fit(linear, Examples(batch.inputs, batch.targets), optimizer=SGD(0.1), epochs=1, updates=updates, progress=False)
    assert linear.parameters[names[0]] == 0 != linear.parameters[names[1]]
    assert all(linear.parameters[name] == 0 for name in names[2:])


def test_states_are_carried():
    model = language_model(num_layers=1)
    state = model.evaluate(text()).state
    linear = LinearMap(model, {"*": Scale()})
    ours, theirs = (it.loss_and_gradients(text(), state=state) for it in (linear, model))
    assert ours.loss == theirs.loss
    np.testing.assert_array_equal(ours.state, theirs.state)


def test_counts_are_in_the_table():
    kinds = {"rnn.weight_*": LowRank(2), "embedding": Square()}
    linear = LinearMap(LanguageModel(50, 8, seed=0), kinds, free="head.bias")
    lines = str(linear).splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    cells = {name: others for name, *others in rows}
    assert cells["embedding.weight"] == ["400", "Square()", "M 8×8", "64"]
    assert cells["rnn.weight_hh_l0"] == ["256", "LowRank(rank=2)", "U 32×2, V 2×8", "80"]
    assert cells["rnn.bias_hh_l0"] == ["32", "stays", "", "0"]
    assert cells["head.bias"] == ["50", "free", "", "50"]
    assert lines[-1] == "274 numbers train instead of 1,426 (19.2%)"


# ── One T for several tasks ──────────────────────────────────────────────────────────────────────────────────────────

SHARED = {"embedding": Square(), "rnn.weight_*": LowRank(2), "rnn.bias_*": Scale()}


def tasks(**options):
    """Return two models of different vocabularies and sources."""
    a = SequenceClassifier(3, 4, vocab_size=6, embedding_size=3, dtype=np.float64, seed=1, **options)
    b = SequenceClassifier(2, 4, vocab_size=9, embedding_size=3, dtype=np.float64, seed=2, **options)
    return {"a": a, "b": b}


def joint(seed=0):
    rng = np.random.default_rng(seed)
    return TaskBatch(
        {
            "a": Batch(rng.integers(0, 6, (3, 5)), rng.integers(0, 3, 3)),
            "b": Batch(rng.integers(0, 9, (4, 2)), rng.integers(0, 2, 4)),
        }
    )


def test_the_gradient_of_a_shared_map_is_the_sum():
    shared = SharedMap(tasks(), SHARED, free="head")
    planted(shared.maps["a"])
    batch = joint()
    together = shared.loss_and_gradients(batch)
    alone = {task: linear.loss_and_gradients(batch.tasks[task]) for task, linear in shared.maps.items()}
    assert together.loss == alone["a"].loss + alone["b"].loss
    assert together.count == 7
    assert list(together.gradients) == list(shared.parameters)
    for name in shared.maps["a"].parameters:
        if name.startswith("head"):
            for task in "ab":
                np.testing.assert_array_equal(together.gradients[f"{task}.{name}"], alone[task].gradients[name])
        else:
            expected = alone["a"].gradients[name] + alone["b"].gradients[name]
            np.testing.assert_allclose(together.gradients[name], expected, rtol=1e-14, atol=0)
            assert np.abs(expected).max() > 0
    assert list(shared.loss_and_gradients(batch, needs=["b.head.bias"]).gradients) == ["b.head.bias"]
    shared.frozen = frozenset(shared.parameters) - {"a.head.bias"}
    assert list(shared.loss_and_gradients(batch).gradients) == ["a.head.bias"]


def test_a_shared_map_by_central_differences():
    shared = SharedMap(tasks(), SHARED)
    planted(shared.maps["b"])
    batch = joint()
    gradients = shared.loss_and_gradients(batch).gradients
    for name, array in shared.parameters.items():
        place = tuple(0 for _ in array.shape)
        losses = []
        for step in (1e-5, -1e-5):
            array[place] += step
            losses.append(shared.loss_and_gradients(batch, needs=()).loss)
            array[place] -= step
        assert gradients[name][place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-6, abs=1e-9), name


def test_a_planted_shared_map_is_recovered_from_several_pairs():
    """One pair with a few words can't tell a 3 × 3 matrix; all pairs together can."""
    models = tasks()
    sources = {task: model.state_dict() for task, model in models.items()}
    teacher = SharedMap(models, {"embedding": Square()})
    planted(teacher.maps["a"])
    truth = {name: t.copy() for name, t in teacher.parameters.items()}
    goals = {task: model.state_dict() for task, model in teacher.merge().items()}
    for task, model in models.items():
        model.load_state_dict(sources[task])
    shared = SharedMap(models, {"embedding": Square()})
    seen = {"a": slice(0, 2), "b": slice(3, 4)}  # two rows and one: three in all

    def misfit():
        loss, total = 0.0, 0.0
        for task, model in shared.merge().items():
            gap = np.zeros_like(goals[task]["embedding.weight"])
            rows = seen[task]
            gap[rows] = (model.parameters["embedding.weight"] - goals[task]["embedding.weight"])[rows]
            loss += 0.5 * (gap**2).sum()
            total = total + shared.maps[task].pull_back({"embedding.weight": gap})["embedding.weight.M"]
        return loss, {"embedding.weight.M": total}

    minimised(shared, misfit)
    assert np.abs(shared.parameters["embedding.weight.M"] - truth["embedding.weight.M"]).max() < 1e-6


def test_a_shared_map_trains_with_joint_batches():
    rng = np.random.default_rng(0)
    models = tasks()
    long = Examples(rng.integers(0, 6, (20, 5)), rng.integers(0, 3, 20), batch_size=4)
    short = Examples(rng.integers(0, 9, (6, 5)), rng.integers(0, 2, 6), batch_size=3)
    batches = Mixture({"a": long, "b": short}, sampling="together")
    assert len(batches) == 5
    np.testing.assert_array_equal(batches.batch(1, 1).tasks["b"].inputs, short.batch(3, 0).inputs)
    shared = SharedMap(models, SHARED, free="head")
    history = fit(shared, batches, optimizer=Adam(0.02), epochs=20, validation=batches, progress=False)
    losses = history.column("loss")
    assert losses[-1] < 0.7 * losses[0]
    for name in shared.maps["a"].tensors:
        for letter, t in shared.maps["a"].tensors[name].items():
            assert shared.maps["b"].tensors[name][letter] is t is shared.parameters[f"{name}.{letter}"]
    assert set(shared.merge()) == {"a", "b"}
    assert "T is shared by a, b" in str(shared)


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "kinds, options, error, says",
    [
        ({"rnn": Scale()}, {}, ValueError, r"kinds must match a parameter, got 'rnn'; did you mean 'rnn\.\*'"),
        ({"*": Scale()}, {"free": "tail"}, ValueError, "free must match a parameter, got 'tail'"),
        ({"*": LowRank(1)}, {}, ValueError, r"LowRank must be given a matrix, got rnn\.bias_ih_l0 .* Scale\(\) takes"),
        ({"*bias*": Square()}, {}, ValueError, "Square must be given a matrix"),
        ({"*bias*": TwoSided()}, {}, ValueError, "TwoSided must be given a matrix"),
        ({"head.weight": LowRank(4)}, {}, ValueError, r"rank must be at most 3 for head\.weight of .*, got 4"),
        ({"rnn.*": Scale(), "*_hh_*": TwoSided()}, {}, ValueError, "rules for a parameter must agree, got 'rnn"),
        ({"head": Scale()}, {"free": "head.bias"}, ValueError, "must agree, got free and 'head': .* for head.bias"),
        ({}, {}, ValueError, "a parameter must be left to map or to train, got none"),
        ({"*": "scale"}, {}, TypeError, r"kinds\['\*'\] must be a Scale, LowRank, TwoSided or Square, got 'scale'"),
        ([Scale()], {}, TypeError, "kinds must be a mapping of patterns to maps, got list"),
    ],
)
def test_rules_are_checked(kinds, options, error, says):
    with pytest.raises(error, match=f"^LinearMap: .*{says}"):
        LinearMap(tokens_classifier(), kinds, **options)


def test_values_are_checked():
    with pytest.raises(ValueError, match="LowRank: rank must be at least 1, got 0"):
        LowRank(0)
    with pytest.raises(TypeError, match="LowRank: rank must be an int, got float 1.5"):
        LowRank(1.5)
    with pytest.raises(TypeError, match="abstract"):
        Map()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="LinearMap: model must be a Model, such as LanguageModel, got GRU"):
        LinearMap(GRU(2, 3), {"*": Scale()})
    small = quantize(classifier(dtype=np.float32))
    for make in (lambda: LinearMap(small, {"*": Scale()}), lambda: SharedMap({"a": small}, {"*": Scale()})):
        with pytest.raises(TypeError, match=r"^LinearMap: model must be in float32 .* quantized; take the model that"):
            make()
    model = classifier()
    model.parameters["head.bias"][1] = np.nan
    with pytest.raises(ValueError, match="LinearMap: head.bias must be finite"):
        LinearMap(model, {"*": Scale()})
    linear = LinearMap(classifier(), {"*": Scale()})
    with pytest.raises(ValueError, match=r"LinearMap.loss_and_gradients: needs must name some of .*got head\.weight"):
        linear.loss_and_gradients(features(), needs=["head.weight"])


def test_rules_that_agree_are_one_rule():
    linear = LinearMap(tokens_classifier(), {"rnn.*": Scale(), "*_hh_*": Scale()})
    assert set(linear.kinds.values()) == {Scale()}


@pytest.mark.parametrize(
    "make, error, says",
    [
        (lambda: SharedMap([classifier()], {"*": Scale()}), TypeError, "models must be a mapping .* got list"),
        (lambda: SharedMap({}, {"*": Scale()}), ValueError, "a name without a dot for each task, got"),
        (lambda: SharedMap({"a.b": classifier()}, {"*": Scale()}), ValueError, "without a dot .*got 'a.b'"),
        (
            lambda: SharedMap(tasks(), {"head.weight": LowRank(1)}),
            ValueError,
            r"same tensors for all models, got head\.weight\.U of shape \(3, 1\) for 'a' and \(2, 1\) for 'b'",
        ),
        (
            lambda: SharedMap({**tasks(), "c": classifier(num_layers=3)}, {"rnn.*": Scale()}),
            ValueError,
            r"got rnn\.weight_ih_l1\.a of shape None for 'a' and \(1,\) for 'c'",
        ),
    ],
)
def test_shared_maps_are_checked(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_joint_batches_are_checked():
    shared = SharedMap(tasks(), SHARED)
    with pytest.raises(ValueError, match="must have a batch for each of a, b, got Batch; a Mixture"):
        shared.loss_and_gradients(features())
    with pytest.raises(ValueError, match=r"SharedMap\.evaluate: batch must have a batch for each of a, b, got a"):
        shared.evaluate(TaskBatch({"a": joint().tasks["a"]}))


def test_what_is_assigned_to_a_maps_tensor_acts():
    for linear, batch in ((LinearMap(classifier(), {"*": Scale()}), features()), (SharedMap(tasks(), SHARED), joint())):
        name, array = next((name, array) for name, array in linear.parameters.items() if name.endswith(".a"))
        before, new = linear.evaluate(batch).loss, array + 0.5
        linear.parameters[name] = new
        assert linear.parameters[name] is array
        assert linear.evaluate(batch).loss != before
        with pytest.raises(ValueError, match=f"{type(linear).__name__}.parameters: names must be .* got 'a'"):
            linear.parameters["a"] = new
