"""`ConvClassifier`, and models whose front has convolutions: gradients, freezing, padding, files, errors."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import ConvClassifier, SequenceClassifier, SequenceTagger, gradcheck, load, save
from rnn_core.data import Batch, Examples
from rnn_core.layers import Conv2d
from rnn_core.training import Adam, fit
from tests import convolution_checks as checks
from tests.convolution_checks import FRONTS, LENGTHS, MODELS, B, T, classifier, fronted, images, steps
from transfer import Plan


@pytest.mark.parametrize("name", MODELS)
def test_gradients(name):
    checks.model_gradients(name)


@pytest.mark.parametrize("name", FRONTS)
def test_gradients_with_a_front(name):
    checks.front_gradients(name)


@pytest.mark.parametrize("name", FRONTS)
def test_what_stands_in_the_padding_reaches_nothing(name):
    checks.padding_reaches_nothing(name)
    checks.padding_reaches_no_gradient(name)


def test_a_causal_front_sees_nothing_ahead():
    checks.causal_sees_nothing_ahead()


def test_the_answer_by_hand():
    """A block is its layers, one after another; a hidden layer and a head are matrices."""
    model = classifier(hidden_size=4)
    x, P = images(model), model.parameters
    f = x
    for k in range(2):
        layer = Conv2d(f.shape[1], model.blocks.channels[k], 3, padding="same", dtype=np.float64)
        layer.load_state_dict({name: P[f"conv.{k}.{name}"] for name in ("weight", "bias")})
        f = np.maximum(layer(f), 0)
        rows, columns = (n // 2 for n in f.shape[2:])
        f = f[:, :, : 2 * rows, : 2 * columns].reshape(*f.shape[:2], rows, 2, columns, 2).max((3, 5))
    q = np.maximum(f.reshape(len(x), -1) @ P["hidden.weight"].T + P["hidden.bias"], 0)
    z = q @ P["head.weight"].T + P["head.bias"]
    np.testing.assert_allclose(model(x), z, rtol=1e-13)
    np.testing.assert_array_equal(model.predict(x), z.argmax(axis=1))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(x), e / e.sum(axis=1, keepdims=True), rtol=1e-12)


def test_loss_and_what_is_right_by_hand():
    model = classifier()
    x, targets, weights = images(model), np.array([0, 2, 1]), np.array([1.0, 0.0, 2.5])
    log_p = np.log(model.predict_proba(x))
    found = model.evaluate(Batch(x, targets, None, weights))
    losses = -log_p[np.arange(3), targets]
    assert found.loss == pytest.approx((weights * losses).sum(), rel=1e-12)
    assert found.count == 3.5
    assert found.correct == pytest.approx((weights * (model.predict(x) == targets)).sum())
    assert model.loss_and_gradients(Batch(x, targets, None, weights)).loss == pytest.approx(found.loss / 3.5, rel=1e-12)


@pytest.mark.parametrize("summary", ["flatten", "mean"])
def test_an_image_of_one_channel_needs_no_axis(summary):
    model = classifier(input_shape=(1, 6, 5), summary=summary)
    x = images(model)
    np.testing.assert_array_equal(model(x[:, 0]), model(x))
    z, tape = model.forward(x[:, 0])
    dx, _ = model.backward(tape, z)
    assert dx.shape == (3, 6, 5)
    np.testing.assert_array_equal(dx, model.backward(model.forward(x)[1], z)[0][:, 0])


def test_means_let_sizes_differ():
    model = classifier(summary="mean")
    wide = np.random.default_rng(0).standard_normal((2, 2, 9, 14))
    assert model(wide).shape == (2, 3)
    with pytest.raises(ValueError, match=r"ConvClassifier.__call__: x must have shape \(B, 2, 6, 5\)"):
        classifier()(wide)


def test_groups_run_from_the_input_upwards():
    assert list(classifier(hidden_size=4).groups) == ["conv.0", "conv.1", "hidden", "head"]
    assert classifier().groups["conv.1"] == ("conv.1.weight", "conv.1.bias")
    assert list(fronted("over time").groups) == ["conv.0", "conv.1", "rnn.l0", "head"]


def layers_walked_back(model, batch, plan, monkeypatch):
    """Return the layers whose backward is called in one training step under a plan."""
    called = set()

    def watched(part, backward):
        def watching(*arguments, **options):
            called.add(part)
            return backward(*arguments, **options)

        return watching

    for part, layer in model.layers.items():
        monkeypatch.setattr(layer, "backward", watched(part, layer.backward))
    model.loss_and_gradients(batch, needs=plan.resolve(model).trainable)
    return called


def test_convolutions_are_frozen_and_the_head_replaced(monkeypatch):
    """Source 002's recipe: what was frozen is what it was, bit for bit, and nothing walks back through it."""
    x, targets = images(classifier(), 8), np.arange(8) % 3
    target = classifier(num_classes=5, hidden_size=4)
    plan = Plan(frozen=("conv.*",))
    before = target.state_dict()
    fit(target, Examples(x, targets, batch_size=4), optimizer=Adam(1e-2), epochs=2, progress=False,
        updates=plan.resolve(target))  # fmt: skip
    kept = [name for name, array in target.parameters.items() if np.array_equal(array, before[name])]
    assert kept == ["conv.0.weight", "conv.0.bias", "conv.1.weight", "conv.1.bias"]
    batch = Batch(x, targets)
    assert layers_walked_back(target, batch, plan, monkeypatch) == {"hidden", "head"}
    assert layers_walked_back(target, batch, Plan(frozen=("conv.*", "hidden.*")), monkeypatch) == {"head"}
    assert "conv.0" not in layers_walked_back(target, batch, Plan(frozen=("conv.0.*",)), monkeypatch)


@pytest.mark.parametrize("name", FRONTS)
def test_frozen_convolutions_before_a_core_cost_nothing(name, monkeypatch):
    model, batch = fronted(name), Batch(steps(name), np.array([0, 2, 1]), LENGTHS)
    full = model.loss_and_gradients(batch).gradients
    plan = Plan(frozen=("conv.*",))
    found = model.loss_and_gradients(batch, needs=plan.resolve(model).trainable).gradients
    for parameter, gradient in found.items():
        np.testing.assert_array_equal(gradient, full[parameter])
    assert layers_walked_back(model, batch, plan, monkeypatch) == {"rnn", "head"}


def test_needs_give_what_all_gives():
    model = classifier(hidden_size=4)
    z, tape = model.forward(images(model), rng=0)
    dx, grads = model.backward(tape, z)
    everything = {"x": dx, **grads}
    for wanted in model.gradient_names:
        dx, grads = model.backward(tape, z, needs={wanted})
        found = {name: array for name, array in {"x": dx, **grads}.items() if array is not None}
        assert list(found) == [wanted]
        np.testing.assert_array_equal(found[wanted], everything[wanted])


def made(name: str, dtype=np.float64):
    """Return a model of either kind by its name."""
    if name in FRONTS:
        return SequenceClassifier(3, 4, front=FRONTS[name], dtype=dtype, seed=1), steps(name).astype(dtype)
    options = {"num_classes": 3, "input_shape": (2, 6, 5), "channels": (3, 4), **MODELS[name]}
    model = ConvClassifier(dtype=dtype, seed=2, **options)
    return model, images(model).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*MODELS, *FRONTS])
def test_a_file_saved_and_loaded_is_the_model_bit_for_bit(name, dtype, tmp_path):
    model, x = made(name, dtype)
    save(model, tmp_path / "model")
    twin = load(tmp_path / "model")
    assert type(twin) is type(model)
    assert {**twin.config, "seed": None} == {**model.config, "seed": None}
    assert list(twin.parameters) == list(model.parameters)
    assert twin(x).dtype == dtype
    np.testing.assert_array_equal(twin(x), model(x))
    other = model.astype(np.float64)
    np.testing.assert_allclose(other(x.astype(np.float64)), model(x), rtol=1e-4 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize(
    "name, value",
    [
        ("input_shape", [2, 6]), ("input_shape", "26"), ("input_shape", [2, 6.5, 5]), ("channels", [3, 4, 5]),
        ("channels", [3, 10**12]), ("channels", {"3": 4}), ("kernel_size", 10**15), ("kernel_size", [3, [3]]),
        ("padding", 10**18), ("stride", 0), ("pool", [[2]]), ("pool", True), ("pooling", ["max"]), ("summary", 1),
        ("hidden_size", -1), ("dropout", "0.5"), ("frames", 3),
    ],
)  # fmt: skip
def test_a_file_that_lies_of_its_shape_is_refused(name, value, tmp_path):
    model = classifier()
    model.config = {**model.config, name: value}
    save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="does not hold what it says it holds"):
        load(tmp_path / "model")


@pytest.mark.parametrize("front", [
    {"kind": "frames"}, {"kind": "frames", "shape": 3}, {"kind": "frames", "shape": [2, 4, 3], "channels": [10**12]},
    {"kind": "frames", "shape": [2, 4, 3], "backend": "numpy"}, {"kind": "frames", "shape": [2, 4, 3], "seed": 1},
    {"kind": "over time", "input_size": 10**15}, {"kind": "over time", "input_size": 3, "kernel_size": "3"},
    {"kind": "over time", "input_size": 3, "padding": 1}, {"kind": "over time", "input_size": 3, "dtype": "float32"},
    {"kind": ["frames"]}, ["frames"], "frames",
])  # fmt: skip
def test_a_front_that_a_file_makes_up_is_refused(front, tmp_path):
    model = fronted("frames")
    model.config = {**model.config, "front": front}
    save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="does not hold what it says it holds"):
        load(tmp_path / "model")


def test_a_tagger_has_a_front_too():
    """A tag for every frame, with a chain on top."""
    model = SequenceTagger(3, 4, front=FRONTS["frames"], crf=True, dtype=np.float64, seed=1)
    batch = Batch(steps("frames"), np.arange(B * T).reshape(B, T) % 3, LENGTHS)
    report = gradcheck(model, batch)
    assert report.passed, str(report)
    assert model.predict(batch.inputs, LENGTHS).shape == (B, T)


def test_training_solves_what_a_place_alone_can_not():
    """Where in the image a stroke lies is chance, and which way it lies is the class."""
    rng = np.random.default_rng(0)
    x, targets = np.zeros((200, 8, 8), np.float32), rng.integers(0, 2, 200)
    for image, lies, (i, j) in zip(x, targets, rng.integers(1, 7, (200, 2)), strict=True):
        image[(slice(i - 1, i + 2), j) if lies else (i, slice(j - 1, j + 2))] = 1
    model = ConvClassifier(2, (1, 8, 8), channels=(6,), pool=None, summary="mean", seed=0)
    fit(model, Examples(x[:150], targets[:150], batch_size=25), optimizer=Adam(2e-2), epochs=15, progress=False)
    assert (model.predict(x[150:]) == targets[150:]).mean() > 0.95


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: ConvClassifier(0, (1, 8, 8)), ValueError, "ConvClassifier: num_classes must be at least 1, got 0"),
        (lambda: ConvClassifier(2, (8,)), ValueError, r"input_shape must be \(channels, length\) or \(channels, heig"),
        (lambda: ConvClassifier(2, 8), TypeError, "ConvClassifier: input_shape must be a list of ints, got 8"),
        (lambda: ConvClassifier(2, (1, 4, 4), channels=(2, 2, 2)), ValueError, "nothing behind block 2"),
        (lambda: ConvClassifier(2, (1, 8), channels=()), TypeError, "ConvClassifier: channels must be a list of ints"),
        (lambda: ConvClassifier(2, (1, 8), pooling="last"), ValueError, "pooling must be one of 'max', 'mean'"),
        (lambda: ConvClassifier(2, (1, 8), summary="max"), ValueError, "summary must be one of 'flatten', 'mean'"),
        (lambda: ConvClassifier(2, (1, 8), hidden_size=0), ValueError, "hidden_size must be at least 1, got 0"),
        (lambda: ConvClassifier(2, (1, 8), dropout=1.0), ValueError, "p must be at least 0 and below 1"),
        (lambda: classifier()(images(classifier())[:, 0]), ValueError, r"x must have shape \(B, 2, 6, 5\), got"),
        (lambda: classifier()(images(classifier()).astype(np.float32)), TypeError, "x must be float64, got float32"),
        (lambda: classifier()(images(classifier()) * np.nan), ValueError, "ConvClassifier.__call__: x must be finite"),
        (lambda: classifier().evaluate(Batch(images(classifier()), np.array([0, 1, 3]))), ValueError,
         "targets must be in 0…2"),
        (lambda: classifier().evaluate(Batch(images(classifier()), np.zeros((3, 2), int))), ValueError,
         r"targets must have shape \(3,\), one for each row"),
        (lambda: classifier().evaluate(Batch(images(classifier()), np.zeros(3, int), np.ones(3, int))), ValueError,
         "lengths must be left out, got some; rows of unequal length are read by a SequenceClassifier with front"),
        (lambda: fronted("frames")(steps("frames")[:, :, 0]), ValueError, r"x must have shape \(B, T, 2, 4, 3\)"),
        (lambda: fronted("over time")(steps("frames")), ValueError, r"x must have shape \(B, T, 3\)"),
        (lambda: SequenceClassifier(2, 4, front={"kind": "frames"}), TypeError, "front must be what 'frames' is built"),
        (lambda: SequenceClassifier(2, 4, front={"kind": "over time", "input_size": 3, "padding": "valid"}),
         ValueError, "the front 'over time': padding must be 'same' or 'causal', got 'valid'"),
        (lambda: SequenceClassifier(2, 4, front={"kind": "frames", "shape": [1, 8], "strides": 2}), TypeError,
         "front must be what 'frames' is built from"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
