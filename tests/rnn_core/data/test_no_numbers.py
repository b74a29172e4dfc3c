"""What is no array of numbers: one line that says what came, and the way out, wherever data goes in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from rnn_core.data import Augmented, Batch, Examples, TextStream, Tokenizer, pad_sequences, sequence_lengths
from rnn_core.data.ragged import Ragged
from tests.model_cases import classifier, language_model, text, tokens_classifier

TOKENS = text().inputs
CLASSES = np.arange(3)


def objects(*parts):
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


RAGGED = [[1, 2], [3], [4, 5, 6]]
PAD = "pad them to the longest, with rnn_core.data.pad_sequences"
TEXT = "holds text, as .* a Tokenizer makes numbers of texts, and .*unique.* of labels"
NO_NUMBERS = {
    "ragged": (RAGGED, ValueError, f"got a list of 3 whose parts differ in length; {PAD}"),
    "ragged inside": ([[[1.0], [2.0, 3.0]]] * 3, ValueError, f"got a list of 3 whose parts differ in length; {PAD}"),
    "arrays": ([np.zeros(2), np.zeros(3), np.zeros(1)], ValueError, f"whose parts differ in length; {PAD}"),
    "objects": (objects(np.zeros(2), np.zeros(3), [1]), ValueError, rf"of shape \(3,\) of arrays or lists; {PAD}"),
    "labels": (["cat", "dog", "cat"], TypeError, f"got a list of 3 that {TEXT}"),
    "array of labels": (np.array(["cat", "dog", "cat"]), TypeError, TEXT),
    "rows of words": ([["a", "b"], ["c", "d"], ["e", "f"]], TypeError, TEXT),
    "bytes": (np.array([b"a", b"b", b"c"]), TypeError, TEXT),
    "gaps": ([None, 1, 2], TypeError, "of objects, such as None; convert it with astype"),
    "a gap in a table": (np.array([[1, 2], [3, None], [5, 6]], object), TypeError, "of objects, such as None;"),
    "integers as objects": (np.array([[1, 2], [3, 4], [5, 6]], object), TypeError, "of objects; convert it"),
    "integers beyond 64 bits": ([[10**30, 1]] * 3, TypeError, r"of objects, such as 1000000.*…; convert"),
    "decimals": ([Decimal(1)] * 3, TypeError, r"of objects, such as Decimal\('1'\); convert"),
    "dates": (np.array(["2020-01-01"] * 3, "M8[D]"), TypeError, r"of datetime64\[D\]; make numbers of it"),
    "records": (np.zeros(3, [("a", int)]), TypeError, "make numbers of it"),
    "masked": (np.ma.masked_array([[1, 2]] * 3, [[0, 1]] * 3), ValueError, "with masked ones; .*filled"),
    "a dict": ({"a": 1}, TypeError, r"of numbers, got \{'a': 1\}"),
    "a word": ("cat", TypeError, "of numbers, got 'cat'"),
}
CALLS = {
    "Examples: inputs": lambda bad: Examples(bad, CLASSES),
    "Examples: targets": lambda bad: Examples(TOKENS, bad),
    "Examples: weights": lambda bad: Examples(TOKENS, CLASSES, weights=bad),
    "Examples: lengths": lambda bad: Examples(TOKENS, CLASSES, lengths=bad),
    "TextStream: tokens": lambda bad: TextStream(bad, batch_size=1, steps=2),
    "Augmented: what change returns": lambda bad: Augmented(Examples(TOKENS, CLASSES), lambda x, rng: bad).batch(0, 0),
    "Tokenizer.decode: ids": lambda bad: Tokenizer("char").fit("ab").decode(bad),
    "LanguageModel.__call__: tokens": lambda bad: language_model()(bad),
    "LanguageModel.forward: tokens": lambda bad: language_model().loss_and_gradients(Batch(bad, TOKENS)),
    "LanguageModel.loss_and_gradients: targets": lambda bad: language_model().loss_and_gradients(Batch(TOKENS, bad)),
    "LanguageModel.evaluate: weights": lambda bad: language_model().evaluate(Batch(TOKENS, TOKENS, None, bad)),
    "LanguageModel.generate: prompt": lambda bad: language_model().generate(bad, 2),
    "SequenceClassifier.forward: x": lambda bad: classifier().forward(bad),
    "SequenceClassifier.__call__: tokens": lambda bad: tokens_classifier().evaluate(Batch(bad, CLASSES)),
    "SequenceClassifier.evaluate: targets": lambda bad: tokens_classifier().evaluate(Batch(TOKENS, bad)),
}


@pytest.mark.parametrize("place", CALLS)
@pytest.mark.parametrize("bad", NO_NUMBERS)
def test_what_holds_no_numbers_is_named_with_the_way_out(place, bad):
    value, error, says = NO_NUMBERS[bad]
    with pytest.raises(error, match=f"^{place} must be an array .*{says}") as found:
        CALLS[place](value)
    assert type(found.value) is error
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400


@pytest.mark.parametrize("bad", ["ragged", "labels", "gaps"])
def test_a_head_of_its_own_task_says_the_same(bad):
    value, error, says = NO_NUMBERS[bad]
    with pytest.raises(error, match=says):
        classifier().loss_and_gradients(Batch(np.zeros((3, 5, 2)), value))


def test_what_has_numbers_is_taken():
    masked = np.ma.masked_array(np.ones((3, 2, 1)))
    assert Examples(masked, [True, False, True]).batch(0, 0).inputs.sum() == 6
    assert Examples(objects(1, 2, 3).astype(int)[:, None], [0.0, 1.0, 0.5]).batch(0, 0).targets.sum() == 1.5


def test_one_hot_targets_are_named():
    says = r"targets must have shape \(3,\), one for each row, got \(3, 3\); of one-hot rows take argmax\(axis=-1\)"
    with pytest.raises(ValueError, match=says):
        tokens_classifier().evaluate(Batch(TOKENS, np.eye(3, dtype=int)))


LISTS: Any = [[1, 2]]


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Examples(TOKENS, CLASSES, shuffle="no"), TypeError, "shuffle must be True or False, got 'no'"),
        (lambda: Examples(TOKENS, CLASSES, seed=np.arange(99)), TypeError, r"seed must be an int, got array\("),
        (lambda: Examples(TOKENS, CLASSES, batch_size="9" * 999), TypeError, "batch_size must be an int, got str '999"),
        (lambda: language_model().evaluate(Batch(TOKENS, TOKENS, None, np.ones(3) * 1j)), TypeError,
         "LanguageModel.evaluate: weights must be real numbers, got complex128"),
        (lambda: pad_sequences([["a"], ["b", "c"]]), TypeError, r"pad_sequences: sequences\[0\] must .* holds text"),
        (lambda: pad_sequences([[[1], [2, 3]]]), ValueError, r"pad_sequences: sequences\[0\] .* differ in length"),
        (lambda: pad_sequences([[1, None]]), TypeError, r"pad_sequences: sequences\[0\] .* such as None"),
        (lambda: pad_sequences(None), TypeError, "pad_sequences: sequences must be a list of rows, got None"),
        (lambda: pad_sequences(k for k in [[1], [2]]), TypeError, "sequences must be a list of rows, got <generator"),
        (lambda: pad_sequences("abc"), TypeError, "pad_sequences: sequences must be a list of rows, got 'abc'"),
        (lambda: pad_sequences({"a": [1]}), TypeError, r"sequences must be a list of rows, got \{'a': \[1\]\}"),
        (lambda: pad_sequences([np.array(3)]), TypeError, r"must hold sequences, got array\(3\) in row 0"),
        (lambda: pad_sequences([{1, 2}]), TypeError, r"must hold sequences, got \{1, 2\} in row 0"),
        (lambda: sequence_lengths(5), TypeError, "sequence_lengths: sequences must be a list of rows, got 5"),
        (lambda: sequence_lengths([b"ab"]), TypeError, "sequence_lengths: sequences must hold sequences, got b'ab'"),
        (lambda: pad_sequences([[1]], dtype="abc"), TypeError, "pad_sequences: dtype must be a NumPy dtype, got 'abc'"),
        (lambda: pad_sequences([[1]], value=[0, 0]), ValueError, r"value must fit in dtype int32, got \[0, 0\]"),
        (lambda: pad_sequences([[1]], value=1 + 1j), ValueError, r"value must fit in dtype int32, got \(1\+1j\)"),
        (lambda: pad_sequences([[1]], padding=np.arange(3)), ValueError, "padding must be 'pre' or 'post', got array"),
        (lambda: Ragged(LISTS), TypeError, "Ragged: rows must be arrays of numbers, got a list of 2 in row 0"),
        (lambda: Ragged([np.array([["a"]])]), TypeError, "Ragged: rows must be arrays .* got ndarray of shape"),
        (lambda: Tokenizer(np.arange(3)), ValueError, "Tokenizer: level must be 'char', 'word' or 'piece', got array"),
        (lambda: Tokenizer(filters=None), TypeError, "Tokenizer: filters must be a string of characters, got None"),
        (lambda: Tokenizer(oov=3), TypeError, "Tokenizer: oov must be a string or None, got 3"),
        (lambda: Tokenizer(padding=5), TypeError, "Tokenizer: padding must be True or False, got 5"),
        (lambda: Tokenizer(lower="no"), TypeError, "Tokenizer: lower must be True or False, got 'no'"),
        (lambda: Tokenizer().fit(None), TypeError, "Tokenizer.fit: texts must be strings, .* got None"),
        (lambda: Tokenizer("char").fit("ab").encode_all(5), TypeError, "Tokenizer.encode_all: texts must be .* got 5"),
        (lambda: Tokenizer.from_dict(None), ValueError, "stored must have the entries .* got None; use"),
        (lambda: Tokenizer.from_dict({**Tokenizer("char").fit("ab").to_dict(), "tokens": 3}), ValueError,
         "Tokenizer.from_dict: tokens must be a list of words, got 3"),
        (lambda: Tokenizer.from_dict({**Tokenizer("char").fit("ab").to_dict(), "tokens": [np.eye(2), "a"]}), ValueError,
         r"Tokenizer.from_dict: tokens must begin with \[''\], got"),
    ],
)  # fmt: skip
def test_other_arguments_of_another_kind(call, error, says):
    with pytest.raises(error, match=says) as found:
        call()
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400
