"""Words read letter by letter: their vectors by hand, gradients, padding, and the models that read them."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import (
    BidirectionalLanguageModel,
    LanguageModel,
    SequenceClassifier,
    SequenceTagger,
    contextual_features,
    gradcheck,
    load,
    save,
)
from rnn_core.data import Batch, Examples, Tokenizer, spelled
from rnn_core.layers import Highway
from rnn_core.training import Adam, fit
from tests import contextual_checks as checks
from tests.checks import normal
from tests.contextual_checks import LENGTHS, H, V, letters, spelling, token_batch, tokens, words
from transfer import copy_parameters, parameter_groups


def test_highway_gradients_and_values():
    checks.highway_gradients()
    layer, x = Highway(4, dtype=np.float64, seed=0), normal(5, 4)
    p = layer.parameters
    t = 1 / (1 + np.exp(-(x @ p["gate.weight"].T + p["gate.bias"])))
    h = np.maximum(x @ p["hidden.weight"].T + p["hidden.bias"], 0)
    np.testing.assert_allclose(layer(x), t * h + (1 - t) * x, rtol=1e-13)
    assert (p["gate.bias"] == -2).all()
    y, tape = Highway(4, seed=0).forward(x.astype(np.float32))
    dx, grads = Highway(4, seed=0).backward(tape, y)
    assert {y.dtype, dx.dtype, *(gradient.dtype for gradient in grads.values())} == {np.dtype(np.float32)}


@pytest.mark.parametrize("highways", [0, 2])
def test_gradients(highways):
    checks.letters_gradients(highways)


def test_gradients_without_a_projection_in_other_models():
    classifier = SequenceClassifier(3, 4, front=letters(), cell="gru", dtype=np.float64, dropout=0.2, seed=0)
    assert gradcheck(classifier, words(), lengths=LENGTHS).passed
    assert gradcheck(classifier, words()).passed
    tagger = SequenceTagger(V, H, front=letters(), cell="gru", crf=True, dtype=np.float64, seed=0)
    assert gradcheck(tagger, token_batch(weighted=False)._replace(inputs=words())).passed
    model = LanguageModel(V, H, front=letters(highways=1), cell="rnn", dtype=np.float64, seed=0)
    assert gradcheck(model, token_batch()._replace(inputs=words())).passed


def test_words_have_one_vector_each():
    checks.words_have_one_vector_each()


def test_what_stands_past_an_end_reaches_nothing():
    checks.letters_past_an_end_reach_nothing()


def test_halves_never_see_letters_of_what_they_predict():
    model, x = spelling(), words()
    features, (ahead, behind) = contextual_features(model, x), model(x)
    later = x.copy()
    later[:, 3:] = words(seed=5)[:, 3:]
    other = contextual_features(model, later)
    np.testing.assert_array_equal(other[:, :3, :, :H], features[:, :3, :, :H])
    np.testing.assert_array_equal(model(later)[0][:, :3], ahead[:, :3])
    earlier = x.copy()
    earlier[:, :3] = words(seed=5)[:, :3]
    other = contextual_features(model, earlier)
    np.testing.assert_array_equal(other[:, 3:, :, H:], features[:, 3:, :, H:])
    np.testing.assert_array_equal(model(earlier)[1][:, 3:], behind[:, 3:])


def test_needs_leave_out_what_nobody_wants():
    model, batch = spelling(2), token_batch()._replace(inputs=words())
    whole = model.loss_and_gradients(batch).gradients
    for needs in (["projection.bias"], ["highway.1.gate.bias"], ["conv.1.weight"], ["letters.weight", "head.bias"], []):
        found = model.loss_and_gradients(batch, needs=needs).gradients
        assert set(found) == set(needs)
        for name in needs:
            np.testing.assert_array_equal(found[name], whole[name])


def test_saved_is_loaded_bit_for_bit_and_parts_are_named(tmp_path):
    model = spelling()
    assert list(parameter_groups(model)) == [
        "letters", "conv.0", "conv.1", "highway.0", "projection", "forward.l0", "backward.l0", "head",
    ]  # fmt: skip
    assert model.vocabulary_parameters == ("head.weight", "head.bias")
    save(model, tmp_path / "model")
    twin = load(tmp_path / "model")
    np.testing.assert_array_equal(twin.states(words(), LENGTHS), model.states(words(), LENGTHS))
    reader = SequenceClassifier(2, H, front=letters(highways=1, features=H), dtype=np.float64, seed=9)
    copy_parameters(model, reader, include=("letters", "conv.*", "highway.*", "projection"))
    np.testing.assert_array_equal(reader.front(words(), None), model.front(words(), None))


def test_a_class_that_is_in_the_letters_is_learned_and_holds_for_new_words():
    rng = np.random.default_rng(0)
    alphabet = Tokenizer("char", oov="?").fit("abcdefghij")

    def word():
        return "".join(rng.choice(list("bcdefghij"), rng.integers(1, 6)))

    rows = [[word() for _ in range(rng.integers(1, 5))] for _ in range(160)]
    classes = rng.integers(0, 2, len(rows))
    for row, positive in zip(rows, classes, strict=True):
        if positive:  # "ab" stands in one of its words
            k = rng.integers(len(row))
            place = rng.integers(len(row[k]) + 1)
            row[k] = row[k][:place] + "ab" + row[k][place:]
        else:
            row[0] += "a"
    x, lengths = spelled(rows, alphabet)
    front = {"kind": "letters", "num_letters": len(alphabet), "letter_size": 6, "filters": [[1, 4], [2, 8]]}
    model = SequenceClassifier(2, 8, front=front, cell="gru", pooling="max", seed=0)
    train = Examples(x[:120], classes[:120], lengths=lengths[:120], batch_size=16)
    fit(model, train, optimizer=Adam(1e-2), epochs=15, progress=False)
    found = model.evaluate(Batch(x[120:], classes[120:], lengths[120:]))
    assert found.correct > 0.9 * found.count


def test_a_file_that_claims_any_number_of_layers_takes_no_time_and_no_memory(tmp_path):
    model = SequenceClassifier(2, 3, front=letters(highways=1), seed=0)
    for key, claim in (("highways", 10**15), ("num_letters", 10**15), ("features", 10**12), ("letter_size", 10**15)):
        model.config["front"] = letters(highways=1) | {key: claim}
        save(model, tmp_path / "liar")
        with pytest.raises(ValueError, match="load: .* does not hold what it says it holds"):
            load(tmp_path / "liar")


def test_words_are_spelled():
    alphabet = Tokenizer("char", oov="?").fit("abc")
    x, lengths = spelled([["ab", "c", "ab"], ["bzd"]], alphabet, most=2)
    np.testing.assert_array_equal(x, [[[2, 3], [4, 0], [2, 3]], [[3, 1], [0, 0], [0, 0]]])
    np.testing.assert_array_equal(lengths, [3, 1])


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: spelling()(tokens()), ValueError, r"BidirectionalLanguageModel.__call__: letters must have shape \(B, "
         r"T, W\), B rows of T words of up to W letters, got \(3, 5\); rnn_core.data.spelled makes them"),
        (lambda: spelling()(words() * 1.0), TypeError, "letters must be integers, got float64"),
        (lambda: spelling()(0 * words()), ValueError, r"before its first 0, got none at index \(0, 0\)"),
        (lambda: spelling()(words() + 1), ValueError, r"tokens must be in 0…6, got 7"),
        (lambda: SequenceClassifier(2, 3, front=letters(filters=[])), TypeError, "filters must be pairs of width and"),
        (lambda: SequenceClassifier(2, 3, front=letters(filters=[[2]])), ValueError, "filters must be pairs .* got"),
        (lambda: SequenceClassifier(2, 3, front=letters(filters=[[0, 2]])), ValueError, "width in filters must be"),
        (lambda: SequenceClassifier(2, 3, front=letters(highways=-1)), ValueError, "highways must be at least 1"),
        (lambda: LanguageModel(V, H, front=letters(), tied=True), ValueError, "tied must be left out with front"),
        (lambda: LanguageModel(V, H, front=letters()).generate([1], 2), ValueError, "must read the tokens that"),
        (lambda: spelled([["ab"]], Tokenizer("word").fit("a")), ValueError, "must be a Tokenizer of level 'char'"),
        (lambda: spelled([["ab"]], "ab"), TypeError, "spelled: letters must be a Tokenizer, got str"),
        (lambda: spelled([["a", ""]], Tokenizer("char").fit("a")), ValueError, "words must have a letter .* got ''"),
        (lambda: spelled([["a", 3]], Tokenizer("char").fit("a")), TypeError, "words must be strings, got 3 in row 0"),
        (lambda: spelled([["a"], []], Tokenizer("char").fit("a")), ValueError, "in row 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_pair_of_language_models_learns_from_letters():
    rows = np.random.default_rng(0).integers(0, V, (20, 8))
    rows[:, 1::2] = rows[:, ::2]  # each token twice
    spell = np.random.default_rng(1).integers(1, 7, (V, 4))
    model = BidirectionalLanguageModel(V, 12, num_layers=1, front=letters(features=12), seed=0)
    data = Examples(spell[rows], rows, batch_size=10)
    before = model.evaluate(Batch(spell[rows], rows))
    fit(model, data, optimizer=Adam(2e-2), epochs=15, progress=False)
    after = model.evaluate(Batch(spell[rows], rows))
    assert after.loss < 0.8 * before.loss
