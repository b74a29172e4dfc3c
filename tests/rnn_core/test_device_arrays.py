"""Arrays of another home than the host's stay there: layers, models and training, on a stand-in for CuPy."""

from __future__ import annotations

import io
from itertools import chain

import numpy as np
import pytest
from rich.console import Console

from rnn_core import GRU, LSTM, RNN, backends, gradcheck, load, save
from rnn_core.data import Examples, TextStream, Tokenizer, Windows, WindowSpec
from rnn_core.data.batches import Batch
from rnn_core.layers import CRF, Attention, AvgPool, Conv2d, Dropout, Embedding, Linear, MaxPool, ReLU
from rnn_core.layers.crf import constraints_of
from rnn_core.layers.embedding import RowGradient
from rnn_core.layers.home import to_host
from rnn_core.layers.pooling import POOLINGS, Pooling
from rnn_core.models import ConvClassifier, Forecaster, LanguageModel, Seq2Seq, SequenceClassifier, SequenceTagger
from rnn_core.training import SGD, Adam, AdamW, Updates, clip_by_global_norm, fit
from rnn_core.training.losses import (
    BinaryCrossEntropy,
    GaussianLikelihood,
    QuantileLoss,
    SoftmaxCrossEntropy,
    SquaredError,
)
from rnn_core.weights import read_arrays
from tests import device_arrays
from tests.convolution_checks import FRONTS, steps
from tests.device_arrays import TRANSFERS, Device, device
from tests.forecasting_checks import some_series

T, B, I, H, V = 6, 4, 3, 5, 9
LENGTHS = np.array([6, 2, 1, 5])


@pytest.fixture(autouse=True)
def backend(monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "device", "tests.device_arrays")
    backends._find.cache_clear()
    TRANSFERS.clear()
    yield
    backends._find.cache_clear()


def random(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, V, shape)


def at(where, value):
    """Return arrays, in whatever they are nested, where a backend has them."""
    if isinstance(value, tuple):
        return tuple(at(where, part) for part in value)
    return device.asarray(value) if where == "device" and isinstance(value, np.ndarray) else value


def same(found, expected):
    """Compare results on the device with those on the host; both are nested alike."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = tuple(found.values()), tuple(expected.values())
    if isinstance(expected, RowGradient):
        found, expected = tuple(found)[:2], tuple(expected)[:2]
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, np.ndarray | np.generic):
        assert isinstance(found, Device)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.inner, expected, rtol=1e-12, atol=1e-14)
    else:
        assert found == expected


def compared(build, run, largest=0):
    """Run something on the host and on the device, where no more than that is brought to the host, and compare."""
    results = [run(build(where), where) for where in ("numpy", "device")]
    assert max(TRANSFERS, default=0) <= largest
    same(results[1], results[0])


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("reset_to", ["state0", "zeros", "given"])
@pytest.mark.parametrize("kind", [RNN, LSTM])
def test_states_are_put_back_as_on_the_host(kind, reset_to, lengths):
    parts = [random(4, B, H, seed=k) for k in range(4)]
    state0, put_back = (tuple(parts[:2]), tuple(parts[2:])) if kind is LSTM else (parts[0], parts[2])
    resets = random(B, T, seed=5) > 0.5

    def build(where):
        return kind(I, H, 2, dropout=0.3, bidirectional=True, batch_first=True, backend=where, dtype=float, seed=3)

    def run(layer, where):
        back = {"state0": None, "zeros": "zeros", "given": at(where, put_back)}[reset_to]
        x, state = at(where, random(B, T, I)), at(where, state0)
        y, final, tape = layer.forward(x, state, lengths, rng=4, resets=at(where, resets), reset_to=back)
        dx, dstate0, grads = layer.backward(tape, y, state)
        return y, final, dx, dstate0, grads, layer(x, state, lengths, resets=resets, reset_to=back)

    compared(build, run, largest=B * T)  # the resets


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_recurrent_layers_compute_what_they_compute_on_the_host(kind, bidirectional, lengths):
    stacked = 2 * (1 + bidirectional)
    h, c = random(stacked, B, H, seed=1), random(stacked, B, H, seed=2)
    state = (h, c) if kind is LSTM else h

    def build(where):
        return kind(
            I, H, 2, dropout=0.3, bidirectional=bidirectional, batch_first=True, backend=where, dtype=float, seed=3
        )

    def run(layer, where):
        x, state0 = at(where, random(B, T, I)), at(where, state)
        y, final, tape = layer.forward(x, state0, lengths, rng=4)
        dx, dstate0, grads = layer.backward(tape, y, state0)
        return y, final, dx, dstate0, grads, layer(x, lengths=lengths), layer.backward(tape, None, None)

    compared(build, run)


def test_lengths_may_be_on_the_device():
    layer = LSTM(I, H, backend="device", dtype=float, seed=0)
    x = at("device", random(T, B, I))
    same(layer(x, lengths=device.asarray(LENGTHS)), at("numpy", tuple_of(layer(x, lengths=LENGTHS))))
    y, _ = layer(x[:, 0], lengths=device.asarray(3))
    assert y.shape == (T, H)


def tuple_of(value):
    return tuple(map(tuple_of, value)) if isinstance(value, tuple) else value.get()


def test_linear_computes_what_it_computes_on_the_host():
    def run(layer, where):
        y, tape = layer.forward(at(where, random(T, B, I)))
        return y, layer.backward(tape, y), layer(at(where, random(B, I)))

    compared(lambda where: Linear(I, H, backend=where, dtype=float, seed=0), run)


@pytest.mark.parametrize("rules", [None, constraints_of(("O", "B-x", "I-x"))], ids=["free", "constrained"])
def test_a_chain_computes_what_it_computes_on_the_host(rules):
    """What crosses over is whether a path was found, a number a row."""
    weights = np.ones((B, T))
    weights[0, 1] = 0

    def run(layer, where):
        for k, name in enumerate(layer.parameters):
            layer.parameters[name] = at(where, random(*layer.parameters[name].shape, seed=k))
        TRANSFERS.clear()  # of looking the new values over
        z, n = at(where, random(B, T, 3)), LENGTHS
        loss, tape = layer.forward(z, np.zeros((B, T), int), n, weights)
        others = (layer.marginals(z, n), layer.pair_marginals(z), layer.log_partition(z, n), layer.decode(z, n))
        return at(where, np.zeros(1)) + loss, layer.backward(tape), *others

    strict = {} if rules is None else {"constraints": rules, "constrained_training": True}
    compared(lambda where: CRF(3, backend=where, dtype=float, **strict), run, largest=0 if rules is None else B)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("score", ["dot", "general", "additive"])
def test_attention_computes_what_it_computes_on_the_host(score, lengths):
    def run(layer, where):
        y, alpha, tape = layer.forward(*(at(where, random(B, n, H, seed=n)) for n in (2, T)), lengths=lengths)
        return y, alpha, layer.backward(tape, y, alpha)

    compared(lambda where: Attention(H, H, score=score, backend=where, dtype=float, seed=1), run)


@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (B, T), (7, 31)])
def test_embedding_computes_what_it_computes_on_the_host(shape, sparse, padding):
    def run(layer, where):
        vectors, tape = layer.forward(tokens(*shape))
        return vectors, layer.backward(tape, at(where, random(*shape, H))), layer(at(where, tokens(*shape)))

    compared(lambda where: Embedding(V, H, padding, sparse, backend=where, dtype=float, seed=0), run, largest=2)


def test_a_token_on_the_device_that_is_out_of_range_is_named():
    layer = Embedding(V, H, backend="device")
    with pytest.raises(ValueError, match=r"Embedding.forward: tokens must be in 0…8, got 9 at index \(0, 1\)"):
        layer.forward(device.asarray([[1, V]]))
    assert TRANSFERS[0] == 2  # the smallest and the largest, at once


def test_vectors_of_one_token_are_summed_in_pairs():
    layer = Embedding(2, 1, backend="device")  # float32
    _, tape = layer.forward(np.ones((1, 4096), int))
    vectors = random(1, 4096, 1, dtype=np.float32) + np.float32(1000)
    found = layer.backward(tape, device.asarray(vectors))["weight"]
    np.testing.assert_allclose(found.get(), [[0], [vectors.sum(dtype=np.float64)]], rtol=2e-7)


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_pooling_computes_what_it_computes_on_the_host(kind, bidirectional, lengths):
    def run(pooling, where):
        pooled, tape = pooling.forward(at(where, random(B, T, 4)), lengths)
        return pooled, pooling.backward(tape, pooled)

    compared(lambda where: Pooling(kind, bidirectional, batch_first=True), run)


@pytest.mark.parametrize("kind", [MaxPool, AvgPool])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"padding": "same", "dilation": 2}])
def test_convolutions_and_pools_compute_what_they_compute_on_the_host(kind, options):
    def run(layer, where):
        pool, relu = kind(2, stride=1, padding=1), ReLU()
        x = at(where, random(B, I, 6, 7))
        y, conv = layer.forward(x)
        positive, tape = relu.forward(y)
        z, taken = pool.forward(positive)
        dz = at(where, random(*z.shape, seed=1))
        return (
            y,
            z,
            *layer.backward(conv, relu.backward(tape, pool.backward(taken, dz))),
            layer(at(where, random(B, I, 6, 7))),
        )

    compared(lambda where: Conv2d(I, H, 3, backend=where, dtype=float, seed=1, **options), run)


@pytest.mark.parametrize("summary", ["flatten", "mean"])
def test_a_model_of_convolutions_computes_what_it_computes_on_the_host(summary):
    def run(model, where):
        batch = Batch(at(where, random(B, 1, 8, 8)), np.arange(B) % 3)
        step, found = model.loss_and_gradients(batch), model.evaluate(batch)
        assert step.loss == pytest.approx(found.loss / B, rel=1e-12)
        return model(batch.inputs), step.gradients

    options = {"channels": (2, 3), "summary": summary, "hidden_size": H, "dtype": float, "seed": 1}
    compared(lambda where: ConvClassifier(3, (1, 8, 8), backend=where, **options), run, largest=1)


@pytest.mark.parametrize("name", FRONTS)
def test_convolutions_before_a_core_compute_what_they_compute_on_the_host(name):
    def run(model, where):
        z, tape = model.forward(at(where, steps(name)), np.array([5, 2, 4]))
        return z, *model.backward(tape, z)

    compared(lambda where: SequenceClassifier(3, 4, front=FRONTS[name], backend=where, dtype=float, seed=1), run)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_draws_the_same_masks(dtype):
    def run(dropout, where):
        y, tape = dropout.forward(at(where, random(T, B, dtype=dtype)), rng=5)
        return y, dropout.backward(tape, y)

    compared(lambda where: Dropout(0.4), run)


WEIGHTS = {"none": None, "rows": np.array([0.0, 1, 2, 0.5]), "mask": np.arange(4) > 0}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("targets_at", ["host", "device"])
@pytest.mark.parametrize("kind", [SoftmaxCrossEntropy, BinaryCrossEntropy, SquaredError])
def test_losses_compute_what_they_compute_on_the_host(kind, targets_at, weights):
    targets = tokens(B, T) if kind is SoftmaxCrossEntropy else random(B, T, seed=1) > 0

    def run(loss, where):
        logits = random(B, T, V) if kind is SoftmaxCrossEntropy else random(B, T)
        t, w = (at(where, part) if targets_at == "device" else part for part in (targets, weights))
        value, tape = loss.forward(at(where, logits), t, w)
        return value, loss.backward(tape)

    compared(lambda where: kind(), run, largest=2 if targets_at == "device" else 0)


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("targets_at", ["host", "device"])
@pytest.mark.parametrize("loss", [GaussianLikelihood(), QuantileLoss((0.1, 0.5, 0.8))])
def test_losses_of_forecasts_compute_what_they_compute_on_the_host(loss, targets_at, weights):
    def run(loss, where):
        t, w = (at(where, part) if targets_at == "device" else part for part in (random(B, T, seed=1), weights))
        value, tape = loss.forward(at(where, random(B, T, loss.outputs)), t, w)
        return value, loss.backward(tape)

    compared(lambda where: loss, run, largest=2 if targets_at == "device" else 0)


@pytest.mark.parametrize("strategy", ["multioutput", "recursive"])
@pytest.mark.parametrize("loss", ["gaussian", "squared", "quantiles"])
def test_a_forecaster_computes_what_it_computes_on_the_host(loss, strategy):
    series = some_series()
    spec = WindowSpec.fit(series, context=8, horizon=4, strategy=strategy)
    batch = Windows(series, spec, batch_size=5, shuffle=False, dtype=float).batch(0, 0)
    models, said = {}, {}
    for where in ("device", "numpy"):
        models[where] = Forecaster(spec, H, loss=loss, backend=where, dtype=float, seed=1)
        there = batch._replace(inputs=at(where, batch.inputs))
        step, found = models[where].loss_and_gradients(there), models[where].evaluate(there)
        assert step.loss == pytest.approx(found.loss / found.count, rel=1e-12)
        said[where] = step.gradients, models[where].forecast(series, samples=5)
    same(said["device"][0], said["numpy"][0])
    for one, other in zip(said["device"][1][1::2], said["numpy"][1][1::2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("kind", [SoftmaxCrossEntropy, BinaryCrossEntropy])
def test_losses_check_targets_wherever_they_are(kind):
    logits = device.asarray(random(2, 3))
    wrong = np.array([1, 3]) if kind is SoftmaxCrossEntropy else np.array([[0, 1, 1], [0, 0, 2]])
    right = np.zeros_like(wrong)
    for home in ("host", "device"):
        with pytest.raises(ValueError, match="targets must be in .*0.*got [23]"):
            kind().forward(logits, at(home, wrong))
        with pytest.raises(ValueError, match="weights must be finite and at least 0, got -1"):
            kind().forward(logits, right, at(home, np.array([0.0, -1.0])))
        with pytest.raises(ValueError, match="must not all be zero"):
            kind().forward(logits, right, at(home, np.zeros(2)))


HOST = "on the host; move it once with device.asarray"
ON_DEVICE = r"on the GPU; copy it with {}.get\(\) .* or build the layer or model with backend='cuda'"


def test_an_array_from_the_host_is_refused():
    x, layer = random(T, B, I), LSTM(I, H, backend="device", dtype=float)
    message = (
        r"^LSTM.forward: x must be an array on the GPU, as the layer's parameters are, got ndarray of shape "
        r"\(6, 4, 3\) on the host; move it once with device.asarray\(x\), or build the LSTM with backend='cpu'$"
    )
    with pytest.raises(TypeError, match=message):
        layer.forward(x)
    with pytest.raises(TypeError, match=HOST):
        layer(x.tolist())
    with pytest.raises(TypeError, match=r"state0\[1\] must be an array on the GPU.*" + HOST):
        layer(at("device", x), (None, np.zeros((1, B, H))))
    y, _, tape = layer.forward(at("device", x))
    with pytest.raises(TypeError, match="LSTM.backward: dy must .*" + HOST):
        layer.backward(tape, y.get())
    with pytest.raises(TypeError, match="Linear.forward: x must .*" + HOST):
        Linear(I, H, backend="device").forward(x)
    linear, embedding = Linear(I, H, backend="device", dtype=float), Embedding(V, I, backend="device", dtype=float)
    with pytest.raises(TypeError, match="Linear.backward: dy must .*" + HOST):
        linear.backward(linear.forward(at("device", x))[1], random(T, B, H))
    with pytest.raises(TypeError, match="Embedding.backward: dvectors must .*" + HOST):
        embedding.backward(embedding.forward(tokens(T, B))[1], x)
    with pytest.raises(TypeError, match="SequenceClassifier.forward: x must .*build the SequenceClassifier"):
        SequenceClassifier(2, H, input_size=I, backend="device", dtype=float).forward(x)
    model = LanguageModel(V, H, backend="device", dtype=float)
    logits, _, tape = model.forward(tokens(B, T))
    with pytest.raises(TypeError, match="LanguageModel.backward: dlogits must .*" + HOST):
        model.backward(tape, logits.get())


def test_an_array_from_the_device_is_refused_on_the_host():
    x, k = device.asarray(random(T, B, I)), device.asarray(tokens(B, T))
    with pytest.raises(TypeError, match=r"LSTM.__call__: x must be an array on the host, got Device of shape \(6,"):
        LSTM(I, H, dtype=float)(x)
    with pytest.raises(TypeError, match="Linear.forward: x .*" + ON_DEVICE.format("x")):
        Linear(I, H).forward(x)
    with pytest.raises(TypeError, match="Embedding.forward: tokens .*" + ON_DEVICE.format("tokens")):
        Embedding(V, H).forward(k)
    with pytest.raises(TypeError, match="LanguageModel.forward: tokens .*" + ON_DEVICE.format("tokens")):
        LanguageModel(V, H).forward(k)
    with pytest.raises(TypeError, match="SequenceClassifier.__call__: x .*" + ON_DEVICE.format("x")):
        SequenceClassifier(2, H, input_size=I, dtype=float)(x)
    with pytest.raises(TypeError, match="SoftmaxCrossEntropy.forward: targets .*" + ON_DEVICE.format("targets")):
        SoftmaxCrossEntropy().forward(random(B, T, V), k)


def language_model(where, **options):
    return LanguageModel(V, H, num_layers=2, backend=where, dtype=float, seed=1, **options)


def texts():
    text = np.tile(tokens(17, seed=2), 12)
    return TextStream(text[:150], batch_size=3, steps=9), TextStream(text[150:], batch_size=2, steps=9)


def rows(kind, where, weighted):
    """Return ragged rows with a class each, of tokens or of features; the features where the model is."""
    lengths = np.random.default_rng(1).integers(1, T, 12)
    inputs = tokens(12, T) if kind == "tokens" else at(where, random(12, T, I))
    weights = np.arange(12) / 4 if weighted else None
    return Examples(inputs, tokens(12, seed=3) % 2, lengths=lengths, weights=weights, batch_size=5)


OPTIMIZERS = (SGD(0.1), SGD(0.1, 0.9, nesterov=True, weight_decay=0.01), Adam(0.01), AdamW(0.01))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_trains_as_on_the_host(optimizer, tied):
    train, validation = texts()

    def run(model, where):
        anchors = {name: (0.1, model.parameters[name]) for name in ("embedding.weight", "rnn.bias_ih_l0")}
        updates = Updates(tuple(model.parameters), {"rnn.bias_hh_l1": 0.02}, anchors)
        history = fit(
            model, train, optimizer=optimizer, epochs=2, validation=validation, clip_norm=0.1, updates=updates,
            progress=False,
        )  # fmt: skip
        sizes = [size for size in TRANSFERS if size > 1]
        assert all(size <= len(model.parameters) for size in sizes)  # the lengths of all gradients at once, at most
        records = [{**vars(record), "seconds": 0} for record in history.records]
        return model.state_dict(), records

    (ours, found), (theirs, expected) = (
        run(language_model(where, dropout=0.2, tied=tied), where) for where in ("device", "numpy")
    )
    same(ours, theirs)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("kind", ["tokens", "features"])
def test_a_classifier_trains_as_on_the_host(kind, classes, weighted):
    size = {"vocab_size": V, "padding_idx": 0} if kind == "tokens" else {"input_size": I}
    models = {}
    for where in ("numpy", "device"):
        models[where] = SequenceClassifier(
            classes, H, **size, cell="gru", bidirectional=True, pooling="mean", dropout=0.2, backend=where,
            dtype=float, seed=1,
        )  # fmt: skip
        data = rows(kind, where, weighted)
        fit(models[where], data, optimizer=Adam(0.01), epochs=2, validation=data, clip_norm=1.0, progress=False)
    same(models["device"].state_dict(), models["numpy"].state_dict())
    batch = {where: rows(kind, where, weighted).batch(0, 0) for where in models}
    same(*(models[where].predict(batch[where].inputs, batch[where].lengths) for where in ("device", "numpy")))
    same(*(models[where].predict_proba(batch[where].inputs, batch[where].lengths) for where in ("device", "numpy")))


@pytest.mark.parametrize("crf", [False, True])
def test_a_tagger_trains_as_on_the_host(crf):
    data = Examples(tokens(8, T), tokens(8, T, seed=1) % 3, lengths=np.tile(LENGTHS, 2), batch_size=4)
    models = {}
    for where in ("numpy", "device"):
        models[where] = SequenceTagger(3, H, vocab_size=V, crf=crf, dropout=0.2, backend=where, dtype=float, seed=1)
        fit(models[where], data, optimizer=Adam(0.01), epochs=2, validation=data, progress=False)
    same(models["device"].state_dict(), models["numpy"].state_dict())
    for function in ("predict", "predict_proba"):
        same(*(getattr(models[where], function)(tokens(B, T), LENGTHS) for where in ("device", "numpy")))


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"attention": "additive", "tied": True, "decoder_size": 3, "embedding_size": 3}]
)
def test_what_reads_and_writes_trains_as_on_the_host(options, fed):
    written = np.where(np.arange(4) < np.array([4, 2, 3, 1])[:, None], tokens(B, 4, seed=1), 0)
    data = Examples(tokens(B, T), written, lengths=LENGTHS, batch_size=2)
    models = {}
    for where in ("numpy", "device"):
        models[where] = Seq2Seq(V, H, vocab_size=V, input_feeding=fed, dropout=0.2, backend=where, dtype=float, seed=1,
                                **options)  # fmt: skip
        fit(models[where], data, optimizer=Adam(0.01), epochs=2, validation=data, progress=False)
    same(models["device"].state_dict(), models["numpy"].state_dict())
    found, expected = (
        models[where].decode(tokens(B, T), LENGTHS, beam=3, n_best=2, max_length=6) for where in ("device", "numpy")
    )
    for one, other in zip(chain(*found), chain(*expected), strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        assert one.score == pytest.approx(other.score, rel=1e-10)
        np.testing.assert_allclose(one.weights, other.weights, rtol=1e-10)


def test_a_training_step_brings_two_numbers_to_the_host():
    model, optimizer = language_model("device", dropout=0.2), Adam(0.01)
    state = optimizer.init(model.parameters)
    batch = Batch(tokens(B, T), tokens(B, T, seed=1), lengths=LENGTHS, weights=random(B, T) ** 2)
    step = model.loss_and_gradients(batch, rng=0)
    assert TRANSFERS == [1]  # the loss
    gradients, _ = clip_by_global_norm(step.gradients, 0.01)
    assert TRANSFERS == [1, len(gradients)]  # the length of each gradient
    optimizer.update(model.parameters, gradients, state)
    assert len(TRANSFERS) == 2
    evaluation = model.evaluate(batch)
    assert TRANSFERS[2:] == [1, 1]
    assert isinstance(evaluation.state[0], Device)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_tokens_targets_and_weights_may_be_on_the_device(dtype):
    here = Batch(tokens(B, T).astype(dtype), tokens(B, T, seed=1).astype(dtype), LENGTHS, random(B) ** 2)
    there = Batch(*(device.asarray(part) for part in here[:4]))
    model = language_model("device")
    one, other = model.loss_and_gradients(here), model.loss_and_gradients(there)
    assert one.loss == other.loss
    assert one.count == other.count
    assert model.evaluate(here)[:3] == model.evaluate(there)[:3]
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient.get(), other.gradients[name].get())


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_generate_draws_what_it_draws_on_the_host(temperature):
    prompt = tokens(2, 3)
    found, expected = (
        language_model(where).generate(prompt, 7, temperature=temperature, rng=3) for where in ("device", "numpy")
    )
    same(found, expected)
    same(language_model("device").generate(device.asarray(prompt), 7, temperature=temperature, rng=3), expected)


def test_tokens_on_the_device_are_decoded():
    tokenizer = Tokenizer("char").fit("abc")
    assert tokenizer.decode(device.asarray(tokenizer.encode("cab"))) == "cab"


def test_astype_moves_a_layer_there_and_back():
    for here in (
        language_model("numpy", tied=True), LSTM(I, H, backend="numpy"), Linear(I, H, bias=False), Embedding(V, H)
    ):  # fmt: skip
        there = here.astype(here.dtype, "device")
        assert all(isinstance(array, Device) for array in there.parameters.values())
        again = there.astype(np.float64).astype(here.dtype, "numpy")
        for name, array in here.parameters.items():
            assert isinstance(again.parameters[name], np.ndarray)
            np.testing.assert_array_equal(again.parameters[name], array)


def test_state_dicts_load_in_both_homes():
    here, there = language_model("numpy"), language_model("device")
    values = {name: array + 1 for name, array in here.state_dict().items()}
    there.load_state_dict(values)
    same(there.state_dict(), values)
    here.load_state_dict(there.state_dict())
    for name, value in values.items():
        np.testing.assert_array_equal(here.parameters[name], value)
    there.load_state_dict({name: value - 1 for name, value in there.state_dict().items()})
    same(there.state_dict(), {name: value - 1 for name, value in values.items()})
    broken = there.state_dict()
    broken["head.bias"][2] = np.nan
    for model in (here, there):
        with pytest.raises(ValueError, match=r"load_state_dict: head.bias must be finite, got nan at index \(2,\)"):
            model.load_state_dict(broken)


def test_a_file_is_the_same_from_both_homes(tmp_path):
    here, there = language_model("numpy", tied=True), language_model("device", tied=True)
    save(here, tmp_path / "here.safetensors")
    save(there, tmp_path / "there.safetensors")
    assert (tmp_path / "here.safetensors").read_bytes() == (tmp_path / "there.safetensors").read_bytes()
    loaded = load(tmp_path / "here.safetensors", backend="device")
    same(loaded.parameters, here.parameters)
    there.parameters["head.bias"][1] = np.inf
    with pytest.raises(ValueError, match=r"save: head.bias must be finite, got inf at index \(1,\)"):
        save(there, tmp_path / "there.safetensors")


@pytest.mark.parametrize("monitored", [False, True])
def test_a_run_is_resumed_to_the_same_bits(tmp_path, monitored):
    train, validation = texts()

    def run(folder, epochs, **options):
        model = language_model("device", dropout=0.2)
        fit(
            model, train, optimizer=Adam(0.01), epochs=epochs, validation=validation if monitored else None,
            checkpoint=tmp_path / folder, progress=False, **options,
        )  # fmt: skip
        return model.state_dict()

    whole = run("whole", 3, checkpoint_every=2)
    run("parts", 1)
    (tmp_path / "parts" / "best.safetensors").unlink(missing_ok=True)
    resumed = run("parts", 3, resume=True)
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name].get(), value.get())
    best = tmp_path / "parts" / "best.safetensors"
    assert not monitored or list(read_arrays(best))


def test_examples_on_the_device_are_checked_and_stay():
    x = random(6, T, I)
    data = Examples(device.asarray(x), np.arange(6) % 2, batch_size=4, lengths=[6, 6, 1, 2, 3, 4], seed=2)
    batch = data.batch(0, 0)
    assert isinstance(batch.inputs, Device)
    assert isinstance(batch.targets, np.ndarray)
    x[3, 5] = np.nan  # in the padding
    Examples(device.asarray(x), np.arange(6), lengths=[6, 6, 1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"Examples: inputs must be finite, got nan at index \(3, 5, 0\)"):
        Examples(device.asarray(x), np.arange(6))
    with pytest.raises(ValueError, match=r"weights must be at least 0, got -1.0 at index \(0,\)"):
        Examples(device.asarray(x[:1]), np.arange(1), weights=device.asarray([-1.0]))


def test_fit_meets_nan_in_parameters_in_the_loss_and_in_gradients():
    model, data = language_model("device"), texts()[0]

    class Spoiling:
        def __len__(self):
            return len(data)

        def batch(self, epoch, index):
            model.parameters["head.bias"][0] = np.nan
            return data.batch(epoch, index)

    with pytest.raises(ValueError, match="fit: the loss must be finite, got nan; met in step 1"):
        fit(model, Spoiling(), optimizer=SGD(0.1), epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"fit: head.bias must be finite, got nan at index \(0,\)"):
        fit(model, data, optimizer=SGD(0.1), epochs=1, progress=False)
    wrong = {"a": device.asarray([1.0, 2.0]), "b": device.asarray([[0.0, np.inf]])}
    with pytest.raises(ValueError, match=r"got inf in that of b at index \(0, 1\)"):
        clip_by_global_norm(wrong, 1.0)
    huge = {"a": device.asarray([3e200, 4e200])}
    clipped, norm = clip_by_global_norm(huge, 1.0)
    assert norm == pytest.approx(5e200)
    np.testing.assert_allclose(clipped["a"].get(), [0.6, 0.8])


def test_a_sparse_gradient_trains():
    layers = [Embedding(V, H, 1, sparse=True, backend=where, dtype=float, seed=0) for where in ("numpy", "device")]
    for layer, where in zip(layers, ("numpy", "device"), strict=True):
        for optimizer in OPTIMIZERS:
            state = optimizer.init(layer.parameters)
            _, tape = layer.forward(tokens(B, T) % 5)
            gradients = layer.backward(tape, at(where, random(B, T, H)))
            clipped, _ = clip_by_global_norm(gradients, 0.5)
            optimizer.update(layer.parameters, clipped, state)
    same(layers[1].parameters, layers[0].parameters)


@pytest.mark.parametrize("home", ["host", "device"])
def test_gradcheck_takes_layers_and_models_on_the_device(home):
    x, k = at(home, random(T, 2, I)), at(home, tokens(2, 3))
    reports = [
        gradcheck(LSTM(I, 2, 2, dropout=0.3, backend="device", dtype=float, seed=0), x),
        gradcheck(GRU(I, 2, backend="device", dtype=float, seed=0), x, state0=at(home, random(1, 2, 2))),
        gradcheck(LanguageModel(V, 2, backend="device", dtype=float, seed=0), k),
        gradcheck(SequenceClassifier(2, 2, input_size=I, backend="device", dtype=float, seed=0), x),
        gradcheck(SequenceClassifier(2, 2, vocab_size=V, padding_idx=1, backend="device", dtype=float, seed=0), k),
        gradcheck(Linear(I, 2, backend="device", dtype=float, seed=0), x),
        gradcheck(Embedding(V, 2, 1, sparse=True, backend="device", dtype=float, seed=0), k),
    ]
    assert all(report.passed for report in reports)


def test_progress_is_shown_without_more_transfers():
    model = language_model("device")
    fit(model, texts()[0], optimizer=SGD(0.1), epochs=1, progress=Console(file=io.StringIO()))
    assert all(size <= len(model.parameters) for size in TRANSFERS)


def test_a_backend_says_where_its_arrays_live_and_what_is_missing(monkeypatch):
    assert backends.namespace("numpy") is np
    assert backends.namespace("device") is device
    for make in (lambda: Linear(2, 3, backend="device"), lambda: LSTM(2, 3, backend="device")):
        assert make().namespace is device
    monkeypatch.setattr(device_arrays, "missing", lambda: "there is no driver")
    backends._find.cache_clear()
    assert backends.status()["device"] == "there is no driver"
    assert "device" not in backends.available()
    with pytest.raises(RuntimeError, match="Linear: backend 'device' is not available: there is no driver; use one of"):
        Linear(2, 3, backend="device")
    with pytest.raises(ValueError, match="Embedding: backend must be one of .*, got 'gpu'"):
        Embedding(2, 3, backend="gpu")


def test_what_is_on_the_host_is_left_alone():
    value = [1, 2]
    assert to_host(value) is value
