"""What must hold of contextual features, as functions that planted bugs are caught by."""

from __future__ import annotations

import numpy as np

from rnn_core import BidirectionalLanguageModel, SequenceClassifier, SequenceTagger, contextual_features, gradcheck
from rnn_core.data import Batch
from rnn_core.layers import Highway, ScalarMix
from tests.checks import accept, normal

V, H, B, T = 5, 3, 3, 5
LENGTHS = np.array([5, 3, 1])
CELLS = ("rnn", "lstm", "gru")
OPTIONS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "tied": {"tied": True, "dropout": 0.2},
    "two heads": {"shared_head": False, "num_layers": 1},
}


def bilm(option: str = "plain", **options) -> BidirectionalLanguageModel:
    """Return a small model."""
    return BidirectionalLanguageModel(V, H, **{"dtype": np.float64, "seed": 1, **OPTIONS[option], **options})


def tokens(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, (B, T))


def token_batch(weighted: bool = True) -> Batch:
    """Return ragged rows, with weights that differ."""
    rows = tokens()
    return Batch(rows, rows, LENGTHS, np.random.default_rng(4).random((B, T)) if weighted else None)


def mix(layer_norm: bool) -> ScalarMix:
    layer = ScalarMix(3, layer_norm, dtype=np.float64)
    layer.parameters["weight"][...] = [0.3, -1.1, 0.4]
    layer.parameters["gamma"][...] = 0.7
    return layer


def mix_gradients(layer_norm: bool) -> None:
    """The weights, γ and every state, by the complex step."""
    accept(gradcheck(mix(layer_norm), normal(2, 4, 3, 5)))


def loss_gradients(option: str, cell: str = "lstm") -> None:
    """Every parameter of both halves, with lengths, weights and dropout, by the complex step."""
    model = bilm(option, cell=cell)
    report = gradcheck(model, token_batch())
    accept(report)
    assert {row.name for row in report.rows} == set(model.parameters)


def loss_by_hand(weighted: bool = True) -> None:
    """Mean loss, counts and what is right are those of loops over pairs of neighbours."""
    model, batch = bilm(), token_batch(weighted)
    weights = np.ones((B, T)) if batch.weights is None else batch.weights
    sums = np.zeros((2, 3))  # loss, count and right of each half
    for half, z in enumerate(model(batch.inputs, batch.lengths)):
        log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        for b, n in enumerate(LENGTHS):
            for t in range(n):
                asked = t + 1 if half == 0 else t - 1
                if 0 <= asked < n:
                    k, w = batch.inputs[b, asked], weights[b, asked]
                    sums[half] += w * np.array([-log_p[b, t, k], 1, z[b, t].argmax() == k])
    found = np.array([(e.loss, e.count, e.correct) for e in model.evaluate_halves(batch)])
    np.testing.assert_allclose(found, sums, rtol=1e-12)
    step, whole = model.loss_and_gradients(batch), model.evaluate(batch)
    np.testing.assert_allclose(whole[:3], sums.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose([step.loss, step.count], [sums[:, 0].sum() / sums[:, 1].sum(), sums[:, 1].sum()])


def rows_alone_equal_rows_together() -> None:
    """Logits, states, loss and gradients of padded rows are those of each row without its padding."""
    model, batch = bilm(), token_batch()
    weights = np.asarray(batch.weights)
    states, logits = model.states(batch.inputs, LENGTHS), model(batch.inputs, LENGTHS)
    alone = []
    for b, n in enumerate(LENGTHS):
        row = batch.inputs[b : b + 1, :n]
        np.testing.assert_allclose(states[b, :n], model.states(row)[0], rtol=1e-12)
        assert not states[b, n:].any()
        for together, own in zip(logits, model(row), strict=True):
            np.testing.assert_allclose(together[b, :n], own[0], rtol=1e-12)
        if n > 1:
            alone.append(model.loss_and_gradients(Batch(row, row, None, weights[b : b + 1, :n])))
    step = model.loss_and_gradients(batch)
    count = sum(one.count for one in alone)
    np.testing.assert_allclose([step.count, step.loss], [count, sum(one.loss * one.count for one in alone) / count])
    for name, gradient in step.gradients.items():
        expected = sum(one.gradients[name] * one.count for one in alone) / count
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-15)


def halves_never_see_what_they_predict(cell: str = "lstm") -> None:
    """Other tokens behind a step leave its forward states bit for bit, other tokens before it the backward ones."""
    model, rows, lengths = bilm(cell=cell), tokens(), np.array([5, 5, 4])
    states, (ahead, behind) = contextual_features(model, rows, lengths), model(rows, lengths)
    for t in range(T):
        later, earlier = rows.copy(), rows.copy()
        later[:, t + 1 :] = (rows[:, t + 1 :] + 1) % V
        earlier[:, :t] = (rows[:, :t] + 1) % V
        found = contextual_features(model, later, lengths)
        np.testing.assert_array_equal(found[:, : t + 1, :, :H], states[:, : t + 1, :, :H])
        np.testing.assert_array_equal(model(later, lengths)[0][:, : t + 1], ahead[:, : t + 1])
        if t + 1 < 4:  # and the other half has seen them
            assert (found[:, t, 1:, H:] != states[:, t, 1:, H:]).any(axis=-1).all()
        found = contextual_features(model, earlier, lengths)
        np.testing.assert_array_equal(found[:, t:, :, H:], states[:, t:, :, H:])
        np.testing.assert_array_equal(model(earlier, lengths)[1][:, t:], behind[:, t:])
        if 0 < t < 4:
            assert (found[:, t, 1:, :H] != states[:, t, 1:, :H]).any(axis=-1).all()


def mixing_classifier(**options) -> SequenceClassifier:
    front = {"kind": "mix", "num_layers": 3, "input_size": 2 * H, "layer_norm": options.pop("layer_norm", False)}
    return SequenceClassifier(3, H, front=front, dtype=np.float64, seed=1, **options)


def mixed_in_a_model(layer_norm: bool) -> None:
    """A classifier's γ and s train with it: every gradient by the complex step, with lengths and dropout."""
    model = mixing_classifier(layer_norm=layer_norm, dropout=0.3, bidirectional=True)
    model.parameters["mix.weight"][...] = [0.3, -1.1, 0.4]
    accept(gradcheck(model, normal(B, T, 3, 2 * H), lengths=LENGTHS))


def mixed_in_a_tagger() -> None:
    """The same of a tagger with a chain of tags on top."""
    front = {"kind": "mix", "num_layers": 3, "input_size": 2 * H}
    model = SequenceTagger(V, H, front=front, crf=True, cell="rnn", dropout=0.3, dtype=np.float64, seed=1)
    model.parameters["mix.weight"][...] = [0.3, -1.1, 0.4]
    accept(gradcheck(model, token_batch(weighted=False)._replace(inputs=normal(B, T, 3, 2 * H))))


def padding_reaches_no_mix() -> None:
    """NaN past a row's length reaches neither the answer nor a gradient."""
    model, x, targets = mixing_classifier(), normal(B, T, 3, 2 * H), np.array([0, 2, 1])
    other = x.copy()
    for b, n in enumerate(LENGTHS):
        other[b, n:] = np.nan
    try:
        found = model(other, LENGTHS)
    except ValueError as error:  # it was met, and refused
        raise AssertionError("the padding is looked at") from error
    np.testing.assert_array_equal(found, model(x, LENGTHS))
    one, two = (model.loss_and_gradients(Batch(inputs, targets, LENGTHS)) for inputs in (x, other))
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])


W, LETTERS = 6, 7
"""Letters of the longest word, and how many different ones there are, 0 included."""


def words(seed: int = 0) -> np.ndarray:
    """Return letters of words of all lengths, (B, T, W), 0 behind each."""
    rng = np.random.default_rng(seed)
    return np.where(np.arange(W) < rng.integers(1, W + 1, (B, T, 1)), rng.integers(1, LETTERS, (B, T, W)), 0)


def letters(**options) -> dict:
    """Return a front of letters with filters longer than some words."""
    return {"kind": "letters", "num_letters": LETTERS, "letter_size": 2, "filters": [[1, 2], [3, 3]], **options}


def spelling(highways: int = 1, **options) -> BidirectionalLanguageModel:
    return BidirectionalLanguageModel(
        V,
        H,
        num_layers=1,
        cell="gru",
        front=letters(highways=highways, features=H),
        dtype=np.float64,
        seed=1,
        **options,
    )


def highway_gradients() -> None:
    """Both affine maps, the gate and what passes it, by the complex step."""
    layer = Highway(4, dtype=np.float64, seed=0)
    layer.parameters["gate.bias"][...] = [0.5, -1, 0, 2]
    accept(gradcheck(layer, normal(2, 3, 4)))


def letters_gradients(highways: int = 0) -> None:
    """Letters, filters, highways and projection within a pair of language models, with lengths, by the complex step."""
    report = gradcheck(spelling(highways), token_batch()._replace(inputs=words()))
    accept(report)


def words_have_one_vector_each() -> None:
    """A word's features are those of the letters before its end, by hand: windows of each width, and their maxima."""
    model = SequenceClassifier(2, 3, front=letters(), dtype=np.float64, seed=1)
    model.parameters["conv.0.bias"][...] = 2  # more than any window of letters has
    features = model.front(*model.front.checked("here", words(), None, np))
    p, given = model.parameters, words()
    for b in range(B):
        for t in range(T):
            word = given[b, t][given[b, t] > 0]
            e = np.concatenate([p["letters.weight"][word], np.zeros((2, 2))])
            parts = []
            for k, width in enumerate((1, 3)):
                weight, bias = p[f"conv.{k}.weight"], p[f"conv.{k}.bias"]
                windows = [np.einsum("oca,ac->o", weight, e[i : i + width]) + bias for i in range(len(word))]
                parts.append(np.maximum(np.max(windows, axis=0), 0))
            np.testing.assert_allclose(features[b, t], np.concatenate(parts), rtol=1e-12, atol=1e-15)


def letters_past_an_end_reach_nothing() -> None:
    """Letters behind a word's end, words past a row's, and columns of padding change no bit of loss and gradients."""
    model, batch, x = spelling(), token_batch(), words()
    other = np.concatenate([x, np.zeros((B, T, 3), x.dtype)], axis=2)
    behind = np.cumsum(other == 0, axis=2) > 1  # the first 0 stays: it is the end
    other[behind] = 3
    for b, n in enumerate(LENGTHS):
        other[b, n:] = LETTERS + 1
    one, two = (model.loss_and_gradients(batch._replace(inputs=inputs)) for inputs in (x, other))
    assert one.loss == two.loss
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])
