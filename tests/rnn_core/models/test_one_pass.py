"""Head and loss in one pass: what the layers in turn say, for every model whose loss is softmax cross-entropy."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import (
    BidirectionalLanguageModel,
    ConvClassifier,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceTagger,
    gradcheck,
)
from rnn_core.data import Batch
from rnn_core.layers.linear import Linear
from rnn_core.training.losses import head
from tests.tolerance import Allowed, assert_agree, tolerance
from transfer import HeadOf
from transfer.tasks.heads import Head
from transfer.tasks.mixture import TaskBatch
from transfer.tasks.multitask import MultiTask

B, T, V = 5, 6, 37
RNG = np.random.default_rng(3)
TOKENS, NEXT = RNG.integers(0, V, (2, B, T))
WRITTEN = np.where(np.arange(T) == np.array([[3], [5], [9], [0], [4]]), 0, np.maximum(NEXT, 1))  # up to the first 0
LENGTHS, WEIGHTS = np.array([6, 2, 5, 1, 6]), np.array([1.0, 0.5, 2.0, 1.0, 0.0])
COUNTED = {
    "all": {},
    "ragged": {"lengths": LENGTHS},
    "weighted": {"weights": WEIGHTS},
    "both": {"lengths": LENGTHS, "weights": np.outer(WEIGHTS, np.ones(T))},
}

if not hasattr(pytest.importorskip("kernels.cpu"), "softmax_head"):
    pytest.skip("there is no such pass", allow_module_level=True)


def language_model(**options):
    return LanguageModel(V, 8, num_layers=2, dropout=0.2, backend="cpu", seed=1, **options)


def tagger(**options):
    return SequenceTagger(7, 5, vocab_size=V, cell="gru", backend="cpu", seed=1, **options)


def classifier(**options):
    return SequenceClassifier(4, 6, vocab_size=V, backend="cpu", seed=1, **options)


def halves(**options):
    return BidirectionalLanguageModel(V, 8, num_layers=1, dropout=0.2, backend="cpu", seed=1, **options)


def writer(**options):
    return Seq2Seq(V, 4, vocab_size=V, decoder_size=6, embedding_size=6, dropout=0.2, backend="cpu", seed=1, **options)


MODELS = {
    "language model": (language_model, TOKENS, NEXT),
    "tied": (lambda **options: language_model(tied=True, **options), TOKENS, NEXT),
    "tagger": (tagger, TOKENS, NEXT % 7),
    "classifier": (classifier, TOKENS, NEXT[:, 0] % 4),
    "two halves": (halves, TOKENS, TOKENS),
    "two halves, tied": (lambda **options: halves(tied=True, **options), TOKENS, TOKENS),
    "two heads": (lambda **options: halves(shared_head=False, **options), TOKENS, TOKENS),
    "sequence to sequence": (writer, TOKENS, WRITTEN),
    "the same, tied": (lambda **options: writer(tied=True, shared=True, **options), TOKENS, WRITTEN),
}


def both(monkeypatch, ask):
    """Return what is said in one pass, and by the layers in turn."""
    answers = []
    for small in (0, 1 << 60):
        monkeypatch.setattr(head, "SMALL", small)
        answers.append(ask())
    return answers


@pytest.mark.parametrize("counted", COUNTED)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_one_pass_says_what_the_layers_say(name, dtype, counted, monkeypatch):
    make, inputs, targets = MODELS[name]
    fields = dict(COUNTED[counted])
    if targets.ndim == 1 and "weights" in fields:
        fields["weights"] = WEIGHTS
    allowed, options = Allowed.of(dtype, T), {"dtype": dtype}
    if dtype == "bfloat16":
        dtype, options = "float32", {"precision": dtype}
    model, batch = make(**options), Batch(inputs, targets, **fields)
    one, turn = both(monkeypatch, lambda: model.loss_and_gradients(batch, rng=2))
    assert one.loss == pytest.approx(turn.loss, rel=tolerance(dtype, T))
    assert one.count == turn.count
    assert list(one.gradients) == list(turn.gradients)
    for key, expected in turn.gradients.items():
        assert one.gradients[key].dtype == dtype
        assert_agree(key, np.asarray(one.gradients[key]), np.asarray(expected), allowed)
    one, turn = both(monkeypatch, lambda: model.evaluate(batch))
    assert one.loss == pytest.approx(turn.loss, rel=tolerance(dtype, T))
    assert one[1:3] == turn[1:3]


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_one_pass(name, monkeypatch):
    monkeypatch.setattr(head, "SMALL", 0)
    make, inputs, targets = MODELS[name]
    fields = COUNTED["both"] if targets.ndim == 2 else {"lengths": LENGTHS, "weights": WEIGHTS}
    report = gradcheck(make(dtype=np.float64), Batch(inputs, targets, **fields))
    assert report.passed, str(report)


def test_what_is_not_needed_is_not_computed(monkeypatch):
    """A frozen head has no product for its gradient, and nothing below it none for ∂L/∂p."""
    monkeypatch.setattr(head, "SMALL", 0)
    asked = []
    backend = pytest.importorskip("kernels.cpu")
    kernels = backend.softmax_head()
    gradients = kernels.gradients

    def observed(*arguments):
        asked.append(arguments[-1])
        return gradients(*arguments)

    monkeypatch.setattr(kernels, "gradients", observed, raising=False)
    monkeypatch.setattr(backend, "softmax_head", lambda precision: kernels)
    model, batch = language_model(), Batch(TOKENS, NEXT)
    for needs, expected in (
        ({"head.weight"}, {"weight"}),
        ({"rnn.weight_ih_l0"}, {"x"}),
        ({"head.bias", "embedding.weight"}, {"bias", "x"}),
    ):
        assert set(model.loss_and_gradients(batch, needs=needs, rng=1).gradients) == needs
        assert asked.pop() == expected


@pytest.mark.parametrize(("ask", "options"), [("loss_and_gradients", {"rng": 1}), ("evaluate", {})])
def test_what_is_not_finite_is_named_by_the_layers(ask, options, monkeypatch):
    model = language_model()
    model.head.parameters["weight"][3, 2] = np.float32(3e38)
    model.head.parameters["weight"][3, 3] = np.float32(3e38)
    model.rnn.parameters["bias_hh_l1"][...] = 20
    said = []
    for small in (0, 1 << 60):
        monkeypatch.setattr(head, "SMALL", small)
        with pytest.raises(ValueError, match="logits") as caught, np.errstate(all="ignore"):
            getattr(model, ask)(Batch(TOKENS, NEXT), **options)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"targets": NEXT + V}, ValueError),
        ({"targets": NEXT * 1.0}, TypeError),
        ({"targets": NEXT, "weights": np.zeros(B)}, ValueError),
        ({"targets": NEXT, "weights": -WEIGHTS}, ValueError),
        ({"targets": NEXT[:, 1:]}, ValueError),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(fields, error, monkeypatch):
    model, said = language_model(), []
    for small in (0, 1 << 60):
        monkeypatch.setattr(head, "SMALL", small)
        with pytest.raises(error) as caught:
            model.loss_and_gradients(Batch(TOKENS, **fields))
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_convolutional_classifier_too(monkeypatch):
    model = ConvClassifier(3, (1, 12), channels=(4,), hidden_size=5, backend="cpu", seed=1, dtype=np.float64)
    batch = Batch(RNG.normal(size=(B, 1, 12)), np.arange(B) % 3)
    one, turn = both(monkeypatch, lambda: model.loss_and_gradients(batch, rng=2))
    assert one.loss == pytest.approx(turn.loss, rel=1e-14)
    for key, expected in turn.gradients.items():
        assert_agree(key, one.gradients[key], expected, tolerance("float64", 0))


def test_heads_of_several_tasks_and_a_head_alone(monkeypatch):
    heads = {"word": Head(V, pooling=None, weight=0.5), "kind": Head(3), "size": Head(1, "squared", weight=2.0)}
    several = MultiTask(heads, 6, vocab_size=V, backend="cpu", seed=1, dtype=np.float64)
    tasks = {
        "word": Batch(TOKENS, NEXT, **COUNTED["both"]),
        "kind": Batch(TOKENS, NEXT[:, 0] % 3),
        "size": Batch(TOKENS, NEXT[:, 0] / V),
    }
    alone, features = HeadOf(LanguageModel(V, 8, backend="cpu", seed=1, dtype=np.float64)), RNG.normal(size=(B, T, 8))
    for model, batch in ((several, TaskBatch(tasks)), (alone, Batch(features, NEXT, **COUNTED["both"]))):
        one, turn = both(monkeypatch, lambda model=model, batch=batch: model.loss_and_gradients(batch, rng=2))
        assert one.loss == pytest.approx(turn.loss, rel=1e-14)
        assert one.count == turn.count
        assert list(one.gradients) == list(turn.gradients)
        for key, expected in turn.gradients.items():
            assert_agree(key, one.gradients[key], expected, tolerance("float64", T))
        one, turn = both(monkeypatch, lambda model=model, batch=batch: model.evaluate(batch))
        assert one.loss == pytest.approx(turn.loss, rel=1e-14)
        assert one[1:3] == turn[1:3]


@pytest.mark.parametrize("name", MODELS)
def test_no_head_makes_logits(name, monkeypatch):
    """Neither in training nor in evaluation."""
    monkeypatch.setattr(head, "SMALL", 0)
    make, inputs, targets = MODELS[name]
    model, batch = make(), Batch(inputs, targets)
    heads = [layer for part, layer in model.layers.items() if part.startswith("head")]
    assert heads

    def unless_head(way):
        def called(self, *arguments, **options):
            assert all(self is not one for one in heads)
            return way(self, *arguments, **options)

        return called

    for way in ("forward", "__call__"):
        monkeypatch.setattr(Linear, way, unless_head(getattr(Linear, way)))
    model.loss_and_gradients(batch, rng=1)
    model.evaluate(batch)


@pytest.mark.parametrize("shape", [(6, 5), (30,), (1,), (1, 1), (5, 6, 1)])
def test_targets_of_another_shape_are_refused_as_by_the_layers_in_turn(shape, monkeypatch):
    monkeypatch.setattr(head, "SMALL", 0)
    linear, p = Linear(8, V, backend="cpu", seed=0), np.ones((5, 6, 8), np.float32)
    kernels, targets = head.kernels_of(linear, p), np.zeros(shape, np.int64)
    message = r"targets must have shape \(5, 6\), the logits' without the last axis, got"
    with pytest.raises(ValueError, match=message):
        head.head_loss(kernels, linear, p, targets, None, {"weight"})
    with pytest.raises(ValueError, match=message):
        head.head_score(kernels, linear, p, targets, None)
