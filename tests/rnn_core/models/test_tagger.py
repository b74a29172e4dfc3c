"""`SequenceTagger`: gradients, values by hand, padding, learning, what is saved and frozen, and errors."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import SequenceTagger, gradcheck, load, save
from rnn_core.data import Batch, Examples
from rnn_core.layers.crf import Constraints, constraints_of
from rnn_core.training import SGD, Adam, fit
from tests import tagging_checks as checks
from tests.model_cases import CELLS, LENGTHS, B, H, T, V, text

C = 3
RULES = constraints_of(checks.TAGS)
WEIGHTS = np.random.default_rng(4).random((B, T))
ROWS = np.array([[1.0, 0, 1, 1, 0], [0.5] * 5, [2.0] * 5])
"""Weights that a chain takes, too."""


def tags(seed=5):
    return np.random.default_rng(seed).integers(0, C, (B, T))


def tagger(**options):
    options = {"dtype": np.float64, "seed": 1, **options}
    model = SequenceTagger(C, H, **({} if {"vocab_size", "front"} & set(options) else {"input_size": 2}), **options)
    for name, array in model.parameters.items():
        if name.startswith("crf."):
            array[...] = np.random.default_rng(2).standard_normal(array.shape)
    return model


def inputs(model):
    return text().inputs if model.embedding is not None else np.random.default_rng(0).standard_normal((B, T, 2))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [
    {}, {"crf": True, "vocab_size": V, "padding_idx": 0},
    {"num_layers": 2, "dropout": 0.3, "bidirectional": False, "crf": True, "vocab_size": V, "embedding_size": 3},
])  # fmt: skip
def test_gradients_of_the_loss(cell, options):
    model = tagger(cell=cell, **options)
    report = gradcheck(model, Batch(inputs(model), tags(), LENGTHS, ROWS if model.crf else WEIGHTS))
    assert report.passed, report
    assert {row.name for row in report.rows} == set(model.parameters)


def test_gradients_with_constraints_in_training():
    checks.tagger_gradients(constraints=RULES, constrained_training=True)


@pytest.mark.parametrize("crf", [False, True])
def test_gradients_of_the_emissions(crf):
    model = tagger(crf=crf, dropout=0.3)
    report = gradcheck(model, inputs(model), lengths=LENGTHS)
    assert report.passed, report
    assert {row.name for row in report.rows} == {"x", *(n for n in model.parameters if not n.startswith("crf."))}


def test_loss_and_accuracy_by_hand():
    model = tagger()
    batch = Batch(inputs(model), tags(), LENGTHS, WEIGHTS)
    z = model(batch.inputs, LENGTHS)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    valid = np.arange(T) < LENGTHS[:, None]
    counts = WEIGHTS * valid
    losses = -np.take_along_axis(log_p, batch.targets[..., None], axis=-1)[..., 0]
    found = model.evaluate(batch)
    assert found.loss == pytest.approx((counts * losses).sum(), rel=1e-12)
    assert found.count == pytest.approx(counts.sum(), rel=1e-12)
    assert found.correct == pytest.approx((counts * (model.predict(batch.inputs, LENGTHS) == batch.targets)).sum())
    step = model.loss_and_gradients(batch)
    assert step.loss == pytest.approx(found.loss / found.count, rel=1e-12)
    assert step.state is found.state is None
    np.testing.assert_allclose(model.predict_proba(batch.inputs, LENGTHS), np.exp(log_p) * valid[..., None], rtol=1e-12)
    np.testing.assert_array_equal(model.predict(batch.inputs, LENGTHS), log_p.argmax(axis=-1) * valid)


def test_with_a_chain_the_loss_is_the_chains():
    checks.tagger_counts()


@pytest.mark.parametrize("options", [{}, {"crf": True}, {"crf": True, "constraints": RULES}])
def test_what_stands_in_the_padding_counts_nothing(options):
    model = tagger(**options)
    batch = Batch(inputs(model), tags(), LENGTHS, ROWS)
    other = Batch(batch.inputs.copy(), batch.targets.copy(), LENGTHS, ROWS.copy())
    for row, n in enumerate(LENGTHS):
        other.inputs[row, n:], other.targets[row, n:], other.weights[row, n:] = np.nan, -1, np.nan
    one, two = model.loss_and_gradients(batch), model.loss_and_gradients(other)
    assert one.loss == two.loss
    assert one.count == two.count
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])
    assert model.evaluate(batch) == model.evaluate(other)
    for function in (model.predict, model.predict_proba):
        found = function(batch.inputs, LENGTHS)
        np.testing.assert_array_equal(found, function(other.inputs, LENGTHS))
        assert not found[np.arange(T) >= LENGTHS[:, None]].any()


@pytest.mark.parametrize("crf", [False, True])
def test_marginals_sum_to_one_and_a_chain_of_zeros_is_a_softmax(crf):
    model = SequenceTagger(C, H, input_size=2, crf=crf, dtype=np.float64, seed=1)
    plain = SequenceTagger(C, H, input_size=2, dtype=np.float64, seed=1)
    p = model.predict_proba(inputs(model), LENGTHS)
    np.testing.assert_allclose(p.sum(axis=-1), np.arange(T) < LENGTHS[:, None], rtol=1e-14)
    np.testing.assert_allclose(p, plain.predict_proba(inputs(model), LENGTHS), rtol=1e-12)
    batch = Batch(inputs(model), tags(), LENGTHS, ROWS)
    found, expected = model.loss_and_gradients(batch), plain.loss_and_gradients(batch)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    assert found.count == expected.count
    for name, gradient in expected.gradients.items():
        np.testing.assert_allclose(found.gradients[name], gradient, rtol=1e-9, atol=1e-14)


def test_what_is_predicted_keeps_to_the_constraints():
    model = tagger(crf=True, constraints=RULES, vocab_size=V)
    free = tagger(crf=True, vocab_size=V)
    for one in (model, free):
        one.parameters["head.weight"] *= 50
    x = np.random.default_rng(0).integers(0, V, (40, T))

    def broken(found):
        return (~RULES.transitions[found[:, :-1], found[:, 1:]]).any() or (~RULES.starts[found[:, 0]]).any()

    assert broken(free.predict(x))
    assert not broken(model.predict(x))
    p = model.predict_proba(x)
    assert not p[:, 0, 2].any()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-12)
    batch = Batch(x, np.zeros((40, T), int))
    assert model.evaluate(batch).loss == free.evaluate(batch).loss  # the rules are for what is predicted


def test_a_chain_learns_what_a_softmax_can_not():
    """Tags alternate from a start that nothing tells: every step alone is even, and a pair of neighbours is not."""
    tags = (np.arange(8) + np.arange(40)[:, None]) % 2
    examples = Examples(np.zeros((40, 8, 1), np.float32), tags, batch_size=40)
    entropy = []
    for crf in (False, True):
        model = SequenceTagger(2, 2, input_size=1, crf=crf, seed=0)
        fit(model, examples, optimizer=SGD(1.0, momentum=0.9), epochs=60, progress=False)
        found = model.evaluate(examples.batch(0, 0))
        entropy.append(found.loss / found.count)
    assert entropy[0] == pytest.approx(np.log(2), rel=0.02)
    assert entropy[1] == pytest.approx(np.log(2) / 8, rel=0.1)


@pytest.mark.parametrize("options", [{}, {"crf": True, "constraints": RULES, "constrained_training": True}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_saved_and_loaded_is_the_model_bit_for_bit(options, dtype, tmp_path):
    model = tagger(vocab_size=V, dtype=dtype, num_layers=2, **options)
    save(model, tmp_path / "tagger")
    twin = load(tmp_path / "tagger")
    assert type(twin) is SequenceTagger
    assert list(twin.parameters) == list(model.parameters)
    x = text().inputs
    for function in ("__call__", "predict", "predict_proba"):
        found = getattr(twin, function)(x, LENGTHS)
        np.testing.assert_array_equal(found, getattr(model, function)(x, LENGTHS))
    assert twin(x).dtype == dtype
    allowed = Batch(x, np.array([[0, 1, 2, 2, 0], [1, 2, 0, 0, 0], [0] * 5]), LENGTHS)
    assert twin.loss_and_gradients(allowed).loss == model.loss_and_gradients(allowed).loss


def test_the_chain_is_frozen_grouped_and_converted_as_the_rest():
    model = tagger(crf=True, constraints=RULES)
    assert model.groups["crf"] == ("crf.transitions", "crf.start", "crf.end")
    assert list(model.groups) == ["rnn.l0", "head", "crf"]
    batch = Batch(inputs(model), tags(), LENGTHS)
    full = model.loss_and_gradients(batch).gradients
    model.frozen = frozenset(name for name in model.parameters if not name.startswith("crf."))
    alone = model.loss_and_gradients(batch).gradients
    assert list(alone) == ["crf.transitions", "crf.start", "crf.end"]
    for name, gradient in alone.items():
        np.testing.assert_array_equal(gradient, full[name])
    model.frozen = frozenset({"crf.transitions"})
    before = model.state_dict()
    fit(model, Examples(*batch[:2], lengths=LENGTHS), optimizer=Adam(1e-2), epochs=1, progress=False)
    changed = [name for name, array in model.parameters.items() if (array != before[name]).any()]
    assert changed == [name for name in model.parameters if name != "crf.transitions"]
    twin = model.astype(np.float32)
    assert twin.frozen == model.frozen
    assert {array.dtype for array in twin.parameters.values()} == {np.dtype(np.float32)}
    assert twin.crf.constraints is not None
    assert twin.loss_and_gradients(batch._replace(inputs=batch.inputs.astype(np.float32))).gradients[
        "crf.start"
    ].dtype == np.float32  # fmt: skip


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: SequenceTagger(0, 4, input_size=2), ValueError, "SequenceTagger: num_tags must be at least 1, got 0"),
        (lambda: SequenceTagger(2, 4), ValueError, "SequenceTagger: one of input_size .* and vocab_size .* must be"),
        (lambda: tagger(constraints=RULES), ValueError, "constraints and constrained_training must be left out"),
        (lambda: tagger(crf=1), TypeError, "SequenceTagger: crf must be True or False, got 1"),
        (lambda: tagger(crf=True, constraints=Constraints(*(mask[:2] for mask in RULES))), ValueError, "num_tags is 3"),
        (lambda: tagger()(inputs(tagger())[0]), ValueError, r"SequenceTagger.__call__: x must have shape \(B, T, 2\)"),
        (lambda: tagger().predict(inputs(tagger())[..., :1]), ValueError, r"SequenceTagger.predict: x must have shape"),
        (lambda: tagger().evaluate(Batch(inputs(tagger()), tags()[:, :2])), ValueError,
         r"SequenceTagger.evaluate: targets must have shape \(3, 5\), a tag for each step, got \(3, 2\)"),
        (lambda: tagger().evaluate(Batch(inputs(tagger()), tags() + C)), ValueError, "targets must be in 0…2"),
        (lambda: tagger(crf=True).evaluate(Batch(inputs(tagger()), tags() + C)), ValueError, "tags must be in 0…2"),
        (lambda: tagger(crf=True).loss_and_gradients(Batch(inputs(tagger()), tags(), weights=WEIGHTS)), ValueError,
         "CRF.forward: weights must be alike within a row, or 0 where the tag is not known"),
        (lambda: tagger().loss_and_gradients(Batch(inputs(tagger()), tags()), needs={"x0"}), ValueError,
         "SequenceTagger.backward: needs must name some of x, rnn.weight_ih_l0"),
        (lambda: tagger(crf=True).backward(tagger(crf=True).forward(inputs(tagger()))[1], np.ones((B, T, C)),
                                           {"crf.start"}), ValueError, "needs must name some of x, rnn.*got crf.start"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
