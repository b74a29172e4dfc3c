"""Two language models as one: gradients, what each is asked for, what neither may see, and where they come from."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import (
    LSTM,
    BidirectionalLanguageModel,
    LanguageModel,
    SequenceClassifier,
    contextual_features,
    gradcheck,
    load,
    save,
)
from rnn_core.data import Batch, Examples, bounded, pad_sequences, sequence_lengths, windows
from rnn_core.training import Adam, fit
from tests import contextual_checks as checks
from tests.contextual_checks import CELLS, LENGTHS, OPTIONS, B, H, T, V, bilm, token_batch, tokens
from transfer import copy_parameters, freeze, freeze_to, parameter_groups


@pytest.mark.parametrize(
    ("option", "cell"), [*((option, "lstm") for option in OPTIONS), ("tied", "rnn"), ("tied", "gru")]
)
def test_gradients_of_a_batch(option, cell):
    checks.loss_gradients(option, cell)


@pytest.mark.parametrize("option", OPTIONS)
def test_gradients_of_logits(option):
    assert gradcheck(bilm(option, cell="gru"), tokens(), lengths=LENGTHS).passed


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_by_hand(weighted):
    checks.loss_by_hand(weighted)


def test_rows_alone_equal_rows_together():
    checks.rows_alone_equal_rows_together()


@pytest.mark.parametrize("cell", CELLS)
def test_halves_never_see_what_they_predict(cell):
    checks.halves_never_see_what_they_predict(cell)


def test_what_stands_in_the_padding_reaches_nothing():
    model, batch = bilm("dropout"), token_batch()
    rows = batch.inputs.copy()
    for row, n in enumerate(LENGTHS):
        rows[row, n:] = -7
    other = batch._replace(inputs=rows, targets=rows)
    one, two = (model.loss_and_gradients(each, rng=3) for each in (batch, other))
    assert one.loss == two.loss
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])
    features = [contextual_features(model, each.inputs, LENGTHS) for each in (batch, other)]
    np.testing.assert_array_equal(*features)


def test_a_half_that_is_asked_for_nothing_counts_nothing():
    weights = np.zeros((B, T))
    weights[0, 0] = 2.0  # a row's first token, which the backward half alone is asked for
    model, batch = bilm(), token_batch()._replace(weights=weights)
    first, second = model.evaluate_halves(batch)
    assert (first.loss, first.count) == (0, 0)
    step = model.loss_and_gradients(batch)
    assert step.loss == pytest.approx(second.loss / 2, rel=1e-12)
    assert step.count == 2
    assert not any(gradient.any() for name, gradient in step.gradients.items() if name.startswith("forward."))


def test_features_are_embeddings_and_states_side_by_side():
    model, rows = bilm(), tokens()
    features = contextual_features(model, rows, LENGTHS, batch_size=2)
    assert features.shape == (B, T, 3, 2 * H)
    forward, backward = (model.layers[part] for part in ("forward", "backward"))
    for b, n in enumerate(LENGTHS):
        e = model.layers["embedding"](rows[b : b + 1, :n])
        np.testing.assert_array_equal(features[b, :n, 0], np.concatenate([e, e], axis=-1)[0])
        np.testing.assert_allclose(features[b, :n, 2, :H], forward(e)[0][0], rtol=1e-12)
        np.testing.assert_allclose(features[b, :n, 2, H:], backward(e[:, ::-1])[0][0, ::-1], rtol=1e-12)
        assert not features[b, n:].any()
    np.testing.assert_array_equal(features, contextual_features(model, rows, LENGTHS))
    assert contextual_features(model.astype(np.float32), rows).dtype == np.float32


@pytest.mark.parametrize("batch_first", [False, True])
def test_every_layer_says_what_a_stack_of_single_layers_says(batch_first):
    layer = LSTM(2, H, 3, bidirectional=True, batch_first=batch_first, dtype=np.float64, seed=0)
    x = np.random.default_rng(0).standard_normal((T, B, 2))
    x = x.swapaxes(0, 1) if batch_first else x
    ys, state = layer.every_layer(x, lengths=LENGTHS)
    y, final = layer(x, lengths=LENGTHS)
    np.testing.assert_array_equal(ys[-1], y)
    np.testing.assert_array_equal(state, final)
    for k, said in enumerate(ys):
        single = LSTM(x.shape[-1], H, bidirectional=True, batch_first=batch_first, dtype=np.float64)
        its = {name.replace(f"_l{k}", "_l0"): array for name, array in layer.parameters.items() if f"_l{k}" in name}
        single.load_state_dict(its)
        x, _ = single(x, lengths=LENGTHS)
        np.testing.assert_array_equal(said, x)


def text(count=400, seed=0):
    """Return a text in which a token is told by either neighbour: 0 1 2 … in turn, with a jump now and then."""
    rng = np.random.default_rng(seed)
    return np.cumsum(np.where(rng.random(count) < 0.05, rng.integers(0, V, count), 1)) % V


def test_both_halves_learn_from_the_windows_of_a_long_text():
    rows, lengths = windows(text(), 20)
    model = BidirectionalLanguageModel(V, 12, num_layers=1, cell="gru", seed=0)
    data = Examples(rows, rows, lengths=lengths, batch_size=8)
    before = model.evaluate(Batch(rows, rows, lengths))
    fit(model, data, optimizer=Adam(2e-2), epochs=12, progress=False)
    for half in model.evaluate_halves(Batch(rows, rows, lengths)):
        assert half.count == 399  # each pair of neighbours, once
        assert np.exp(half.loss / half.count) < 2 < np.exp(before.loss / before.count)
        assert half.correct > 0.85 * half.count


def test_windows_and_bounds():
    rows, lengths = windows(np.arange(11), 4)
    np.testing.assert_array_equal(rows, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [9, 10, 0, 0]])
    np.testing.assert_array_equal(lengths, [4, 4, 4, 2])
    np.testing.assert_array_equal(windows(np.arange(4), 4)[0], [[0, 1, 2, 3]])
    np.testing.assert_array_equal(windows(np.arange(4), 9)[1], [4])
    assert [row.tolist() for row in bounded([[1, 2], np.array([3])], 8, 9)] == [[8, 1, 2, 9], [8, 3, 9]]


def test_bounds_have_both_halves_asked_for_every_token():
    sentences = bounded([[0, 1, 2], [3]], V, V + 1)
    rows, lengths = pad_sequences(sentences, padding="post"), sequence_lengths(sentences)
    model = BidirectionalLanguageModel(V + 2, H, seed=0)
    first, second = model.evaluate_halves(Batch(rows, rows, lengths))
    assert first.count == second.count == 4 + 2  # the tokens, and an end or a begin in each row


def test_saved_is_loaded_bit_for_bit(tmp_path):
    for option in OPTIONS:
        model = bilm(option, cell="gru")
        save(model, tmp_path / "model")
        twin = load(tmp_path / "model")
        assert type(twin) is BidirectionalLanguageModel
        assert {**twin.config, "seed": 1} == model.config
        for one, other in zip(model(tokens(), LENGTHS), twin(tokens(), LENGTHS), strict=True):
            np.testing.assert_array_equal(one, other)
    classifier = checks.mixing_classifier(layer_norm=True)
    save(classifier, tmp_path / "mixing")
    x = np.random.default_rng(0).standard_normal((B, T, 3, 2 * H))
    np.testing.assert_array_equal(load(tmp_path / "mixing")(x, LENGTHS), classifier(x, LENGTHS))


def test_seeds_and_dtypes():
    one, same, other = (bilm(seed=seed) for seed in (1, 1, 2))
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(array, same.parameters[name])
    assert not np.array_equal(one.parameters["forward.weight_hh_l0"], other.parameters["forward.weight_hh_l0"])
    assert not np.array_equal(one.parameters["forward.weight_hh_l0"], one.parameters["backward.weight_hh_l0"])
    half = one.astype(np.float32)
    step = half.loss_and_gradients(token_batch())
    assert {gradient.dtype for gradient in step.gradients.values()} == {np.dtype(np.float32)}


def test_needs_leave_out_what_nobody_wants():
    model, batch = bilm("tied"), token_batch()
    whole = model.loss_and_gradients(batch, rng=0).gradients
    for needs in (["head.bias"], ["backward.weight_ih_l1"], ["embedding.weight", "forward.bias_hh_l0"], []):
        found = model.loss_and_gradients(batch, needs=needs, rng=0).gradients
        assert set(found) == set(needs)
        for name in needs:
            np.testing.assert_array_equal(found[name], whole[name])


def test_groups_run_from_the_input_upwards():
    assert list(parameter_groups(bilm())) == [
        "embedding", "forward.l0", "backward.l0", "forward.l1", "backward.l1", "head",
    ]  # fmt: skip
    assert list(parameter_groups(bilm("two heads"))) == [
        "embedding", "forward.l0", "backward.l0", "head_forward", "head_backward",
    ]  # fmt: skip
    model = bilm()
    freeze_to(model, -3)
    assert {name.partition(".")[0] for name in set(model.parameters) - model.frozen} == {"forward", "backward", "head"}
    assert {"forward.weight_ih_l0", "backward.weight_ih_l0"} <= model.frozen
    assert model.vocabulary_parameters == ("embedding.weight", "head.weight", "head.bias")
    assert bilm("tied").vocabulary_parameters == ("embedding.weight", "head.bias")


def test_a_language_model_becomes_a_half_and_a_half_a_language_model():
    source = LanguageModel(V, H, num_layers=2, dtype=np.float64, seed=5)
    model = bilm()
    report = copy_parameters(source, model, rename={"rnn.*": "forward.*"})
    assert {row.name for row in report.rows if row.source is None} == {n for n in model.parameters if "backward" in n}
    np.testing.assert_array_equal(model(tokens(), LENGTHS)[0], source(tokens(), lengths=LENGTHS)[0])
    copy_parameters(source, model, rename={"rnn.*": "backward.*"})
    turned = source(np.ascontiguousarray(tokens()[:, ::-1]))[0][:, ::-1]
    np.testing.assert_array_equal(model(tokens())[1], turned)
    back = LanguageModel(V, H, num_layers=2, dtype=np.float64, seed=6)
    copy_parameters(model, back, rename={"forward.*": "rnn.*"})
    np.testing.assert_array_equal(back(tokens())[0], source(tokens())[0])


def test_both_halves_become_a_bidirectional_core():
    model = bilm("two heads")
    target = SequenceClassifier(2, H, vocab_size=V, bidirectional=True, dtype=np.float64, seed=3)
    copy_parameters(model, target, rename={"forward.*": "rnn.*", "backward.*": "rnn.*_reverse"})
    y, _ = target.rnn(target.layers["embedding"](tokens()), lengths=LENGTHS)
    np.testing.assert_array_equal(y, model.states(tokens(), LENGTHS)[:, :, 1])


def test_a_frozen_half_stays_and_the_other_trains():
    model, rows = bilm(), tokens()
    before = model.state_dict()
    freeze(model, "forward.*")
    fit(model, Examples(rows, rows, lengths=LENGTHS), optimizer=Adam(1e-2), epochs=1, progress=False)
    changed = {name for name, array in model.parameters.items() if (array != before[name]).any()}
    assert changed == {name for name in model.parameters if not name.startswith("forward.")}


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: bilm(tied=True, shared_head=False), ValueError, "tied must be left out with shared_head=False"),
        (lambda: bilm(tied=True, front={"kind": "mix", "num_layers": 2, "input_size": H}), ValueError,
         "tied must be left out with front"),
        (lambda: bilm(front={"kind": "mix", "num_layers": 2, "input_size": 9}), ValueError,
         "front must make hidden_size = 3 features, got 9"),
        (lambda: bilm(cell="mlp"), ValueError, "BidirectionalLanguageModel: cell must be one of"),
        (lambda: BidirectionalLanguageModel(0, 2), ValueError, "vocab_size must be at least 1"),
        (lambda: bilm()(tokens()[0]), ValueError, r"BidirectionalLanguageModel.__call__: tokens must have shape \(B"),
        (lambda: bilm().evaluate(Batch(tokens(), tokens()[:, 1:])), ValueError,
         r"targets must have shape \(3, 5\), the tokens themselves, each at its own step, got \(3, 4\)"),
        (lambda: bilm().evaluate(Batch(tokens()[:, :1], tokens()[:, :1])), ValueError,
         "targets must have a token that counts beside another, got none in 3 rows; rnn_core.data.bounded"),
        (lambda: bilm().backward(bilm().forward(tokens())[1], (1, 2)), TypeError, "tape must be the second value of"),
        (lambda: contextual_features(LanguageModel(V, H), tokens()), TypeError, "model must be a Bidirectional"),
        (lambda: contextual_features(bilm(), tokens()[0]), ValueError, r"tokens must have shape \(N, T\)"),
        (lambda: contextual_features(bilm(), tokens() + V), ValueError, "tokens must be in 0…4"),
        (lambda: checks.mixing_classifier()(np.zeros((B, T, 2 * H))), ValueError,
         r"x must have shape \(B, T, 3, 6\), 3 layers' states at each step, got \(3, 5, 6\); contextual_features"),
        (lambda: windows([1], 3), ValueError, "windows: tokens must be at least 2"),
        (lambda: windows([1, 2], 1), ValueError, "windows: steps must be at least 2"),
        (lambda: windows([[1, 2]], 2), ValueError, r"windows: tokens must have shape \(n,\)"),
        (lambda: bounded([[1.5]], 0, 1), TypeError, r"bounded: rows\[0\] must be integers, got float64"),
        (lambda: bounded([[1]], -1, 1), ValueError, "bounded: begin must be at least 0, got -1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_wrong_pair_of_gradients_is_named():
    model = bilm()
    (first, second), tape = model.forward(tokens())
    with pytest.raises(ValueError, match="dlogits must be a pair, the forward half's and the backward half's"):
        model.backward(tape, first)
    with pytest.raises(ValueError, match=r"dlogits\[1\] must have shape \(3, 5, 5\), got \(3, 4, 5\); it is shaped as"):
        model.backward(tape, (first, second[:, 1:]))
