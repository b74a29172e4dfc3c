"""`Seq2Seq`: gradients, padding, what is frozen and saved, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import Seq2Seq, load, save
from rnn_core.data import Batch, Pairs
from rnn_core.training import Adam, fit
from tests import seq2seq_checks as checks
from tests.seq2seq_checks import LENGTHS, TARGETS, TX, VARIANTS, WEIGHTS, B, V, seq2seq, source


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients(variant):
    checks.model_gradients("gru" if "dropout" in variant else "lstm", variant)


@pytest.mark.parametrize("cell, variant", [("rnn", "fed dropout"), ("rnn", "plain"), ("gru", "plain"), ("gru", "tied")])
def test_gradients_of_other_cells(cell, variant):
    checks.model_gradients(cell, variant)


@pytest.mark.parametrize("variant", ["plain", "fed", "no attention"])
def test_the_gradient_of_features(variant):
    model = seq2seq(**VARIANTS[variant])
    x = source(model)
    z, _, tape = model.forward(x, TARGETS, LENGTHS)
    dx, _ = model.backward(tape, np.cos(z), needs={"x"})
    twin = model.astype(complex)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]])[:, :, None]
    expected = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1e-30j
        expected[place] = (twin(moved, TARGETS, LENGTHS)[0].imag * np.cos(z) * mask).sum() / 1e-30
    np.testing.assert_allclose(dx, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_stands_in_the_padding_counts_nothing(variant):
    checks.padding_counts_nothing(variant)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "convolutions"])
def test_logits_by_hand(variant):
    checks.model_by_hand(variant)


@pytest.mark.parametrize("variant", ["plain", "fed", "no attention"])
def test_loss_and_accuracy_by_hand(variant):
    model = seq2seq(**VARIANTS[variant])
    batch = Batch(source(model), TARGETS, LENGTHS, WEIGHTS)
    z, _ = model(batch.inputs, TARGETS, LENGTHS)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    loss = count = right = 0.0
    for b, steps in enumerate((4, 2, 4)):
        for t in range(steps):
            loss -= WEIGHTS[b, t] * log_p[b, t, TARGETS[b, t]]
            count += WEIGHTS[b, t]
            right += WEIGHTS[b, t] * (z[b, t].argmax() == TARGETS[b, t])
    found, step = model.evaluate(batch), model.loss_and_gradients(batch)
    assert found.loss == pytest.approx(loss, rel=1e-12)
    assert found.count == step.count == pytest.approx(count, rel=1e-12)
    assert found.correct == pytest.approx(right, rel=1e-12)
    assert step.loss == pytest.approx(loss / count, rel=1e-12)
    assert step.state is found.state is None


def test_a_weight_for_each_row():
    model = seq2seq()
    x, rows = source(model), np.array([2.0, 0.0, 1.0])
    one = model.loss_and_gradients(Batch(x, TARGETS, LENGTHS, rows))
    two = model.loss_and_gradients(Batch(x, TARGETS, LENGTHS, np.repeat(rows[:, None], 4, axis=1)))
    assert one.loss == two.loss
    assert one.count == 12


@pytest.mark.parametrize("variant", VARIANTS)
def test_with_and_without_a_tape_it_is_the_same(variant):
    model = seq2seq(**{**VARIANTS[variant], "dropout": 0.0})
    x = source(model)
    z, weights = model(x, TARGETS, LENGTHS)
    y, others, _ = model.forward(x, TARGETS, LENGTHS)
    np.testing.assert_allclose(y, z, rtol=1e-12)
    assert (weights is None) == (others is None) == (model.attention is None)
    if weights is not None:
        np.testing.assert_allclose(others, weights, rtol=1e-12)
        assert (weights[1, :, 2:] == 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_not_needed_is_not_computed(variant):
    model = seq2seq(**VARIANTS[variant])
    batch = Batch(source(model), TARGETS, LENGTHS, WEIGHTS)
    everything = model.loss_and_gradients(batch, rng=3).gradients
    for name in model.parameters:
        found = model.loss_and_gradients(batch, needs={name}, rng=3).gradients
        assert list(found) == [name]
        np.testing.assert_array_equal(found[name], everything[name])
    assert model.loss_and_gradients(batch, needs=(), rng=3).gradients == {}


def test_the_way_back_ends_where_nothing_below_is_wanted(monkeypatch):
    model = seq2seq(num_layers=2)
    batch = Batch(source(model), TARGETS, LENGTHS)

    def never(*_args, **_options):
        raise AssertionError("was walked back through")

    monkeypatch.setattr(model, "_backward_core", never)
    model.loss_and_gradients(batch, needs={"decoder.weight_hh_l0", "bridge.weight_h_l0", "attention.weight_k"})
    monkeypatch.setattr(model.bridge, "backward", never)
    model.loss_and_gradients(batch, needs={"decoder.weight_hh_l0", "attention.weight_k"})
    monkeypatch.setattr(model.decoder.rnn, "backward", never)
    model.loss_and_gradients(batch, needs={"attention.weight_c", "head.weight"})
    monkeypatch.setattr(model.decoder, "backward", never)
    model.loss_and_gradients(batch, needs={"head.weight"})


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_is_loaded(variant, tmp_path):
    model = seq2seq(**{**VARIANTS[variant], "dtype": np.float32})
    save(model, tmp_path / "model")
    twin = load(tmp_path / "model")
    assert type(twin) is Seq2Seq
    assert {**twin.config, "seed": 1} == model.config
    assert list(twin.parameters) == list(model.parameters)
    x = source(model).astype(np.float32 if model.embedding is None else int)
    np.testing.assert_array_equal(twin(x, TARGETS, LENGTHS)[0], model(x, TARGETS, LENGTHS)[0])
    for one, other in zip(twin.decode(x, LENGTHS, beam=2), model.decode(x, LENGTHS, beam=2), strict=True):
        assert one[0].score == other[0].score
        np.testing.assert_array_equal(one[0].tokens, other[0].tokens)


def test_float32_stays_float32_and_inputs_stay_as_they_are():
    model = seq2seq(dtype=np.float32, input_feeding=True)
    x, targets = source(model).astype(np.float32), TARGETS.copy()
    kept = x.copy()
    z, weights, tape = model.forward(x, targets, LENGTHS)
    dx, grads = model.backward(tape, np.ones_like(z))
    assert {array.dtype.name for array in (z, weights, dx, *grads.values())} == {"float32"}
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(targets, TARGETS)
    again, grads_again = model.backward(tape, np.ones_like(z))
    np.testing.assert_array_equal(again, dx)
    for name, gradient in grads.items():
        np.testing.assert_array_equal(grads_again[name], gradient)


def test_names_and_groups():
    model = seq2seq(vocab_size=6, num_layers=2)
    assert list(model.groups) == [
        "embedding", "rnn.l0", "rnn.l1", "bridge", "target_embedding", "decoder.l0", "decoder.l1", "attention", "head",
    ]  # fmt: skip
    assert [name for names in model.groups.values() for name in names] == list(model.parameters)
    assert model.gate_blocks["decoder.weight_hh_l1"] == model.gate_blocks["rnn.weight_hh_l0"] == 4
    assert model.gate_blocks["bridge.weight_c_l1"] == model.gate_blocks["attention.weight_c"] == 1
    assert model.parameters["bridge.weight_c_l1"].shape == (3, 6)
    shared = seq2seq(**VARIANTS["shared and tied"])
    assert "target_embedding.weight" not in shared.parameters
    assert "head.weight" not in shared.parameters
    assert shared.vocabulary_parameters == ("embedding.weight", "head.bias")


def test_a_frozen_encoder_stays_and_gets_no_gradient():
    model = seq2seq(vocab_size=6)
    model.frozen = frozenset(name for name in model.parameters if name.startswith(("embedding", "rnn")))
    before = model.state_dict()
    pairs = Pairs(list(source(model)), [[1, 2], [3], [2, 2, 1]], batch_size=2)
    fit(model, pairs, optimizer=Adam(1e-2), epochs=1, progress=False)
    changed = {name for name, array in model.parameters.items() if (array != before[name]).any()}
    assert changed == set(model.parameters) - model.frozen


@pytest.mark.parametrize("variant", ["plain", "fed"])
def test_it_learns_to_reverse(variant):
    model = Seq2Seq(7, 24, vocab_size=7, embedding_size=12, seed=0, input_feeding=variant == "fed")
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 7, rng.integers(2, 6)) for _ in range(700)]
    pairs = Pairs(rows[:600], [row[::-1] for row in rows[:600]], batch_size=30)
    fit(model, pairs, optimizer=Adam(1e-2), epochs=12, clip_norm=1.0, progress=False)
    held_out = Pairs(rows[600:], [row[::-1] for row in rows[600:]], batch_size=100, shuffle=False).batch(0, 0)
    found = model.predict(held_out.inputs, held_out.lengths)
    right = np.mean([np.array_equal(one, row[::-1]) for one, row in zip(found, rows[600:], strict=True)])
    assert right >= 0.9


def model_of(**options):
    return Seq2Seq(V, 3, **{"input_size": 2, "dtype": np.float64, **options})


def tokens(*shape):
    return np.zeros(shape, int)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: model_of(input_size=None), ValueError, "Seq2Seq: one of input_size .* and vocab_size"),
        (lambda: model_of(attention="cosine"), ValueError, "attention must be one of 'dot', 'general', 'additive' or"),
        (lambda: model_of(attention=None, input_feeding=True), ValueError, "input_feeding must be left out with atten"),
        (lambda: model_of(attention="dot"), ValueError, "with score='dot' key_size must be query_size, got 6 and 3"),
        (lambda: model_of(tied=True, decoder_size=4), ValueError, "embedding_size must equal decoder_size = 4 with ti"),
        (lambda: model_of(shared=True), ValueError, "vocab_size must equal target_vocab_size = 4 with shared=True, "),
        (lambda: model_of(cell="cnn"), ValueError, "Seq2Seq: cell must be one of 'rnn', 'lstm', 'gru', got 'cnn'"),
        (lambda: model_of()(np.ones((B, TX, 3)), TARGETS), ValueError, r"x must have shape \(B, T, 2\)"),
        (lambda: model_of()(np.ones((B, TX, 2)), TARGETS[:2]), ValueError,
         r"Seq2Seq.__call__: targets must have shape \(3, T\), T ≥ 1 tokens for each row that is read, got \(2, 4\)"),
        (lambda: model_of()(np.ones((B, TX, 2)), TARGETS * 1.0), TypeError, "targets must be integers, got float64"),
        (lambda: model_of().evaluate(Batch(np.ones((B, TX, 2)), TARGETS + 1)), ValueError, "must be in 0…3, got 4"),
        (lambda: model_of().evaluate(Batch(np.ones((B, TX, 2)), TARGETS, weights=np.ones(2))), ValueError,
         r"Seq2Seq.evaluate: weights must have shape \(3, 4\) or \(3,\)"),
        (lambda: model_of().loss_and_gradients(Batch(np.ones((B, TX, 2)), TARGETS), needs={"y"}), ValueError,
         "Seq2Seq.backward: needs must name some of x, rnn.weight_ih_l0"),
        (lambda: model_of().backward(None, np.ones((B, 4, V))), TypeError, "tape must be the third value of this mod"),
        (lambda: model_of().decode(np.ones((B, TX, 2)), beam=0), ValueError, "Seq2Seq.decode: beam must be at least 1"),
        (lambda: model_of().decode(np.ones((B, TX, 2)), n_best=2), ValueError, "n_best must be at most beam = 1, got"),
        (lambda: model_of().decode(np.ones((B, TX, 2)), length_penalty=-1), ValueError, "length_penalty must be at l"),
        (lambda: model_of().decode(np.ones((B, TX, 2)), length_penalty="1"), TypeError, "length_penalty must be a nu"),
        (lambda: model_of().decode(np.ones((B, TX, 2)), max_length=0), ValueError, "max_length must be at least 1"),
        (lambda: model_of().decode(np.ones((B, TX, 2)), [9, 1, 1]), ValueError, "lengths must be between 1 and T = 5"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
