"""The tokenizer and `pad_sequences`: what Keras's documentation and source say, in numbers worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data import Tokenizer, pad_sequences, sequence_lengths

TEXTS = ["The cat sat on the mat.", "The dog sat; don't!", "A dog"]
# the 3, sat 2, dog 2, cat 1, on 1, mat 1, don't 1, a 1: ties in the order of first appearance
RANKED = ["the", "sat", "dog", "cat", "on", "mat", "don't", "a"]


def test_words_are_ranked_by_frequency_then_by_first_appearance():
    tokenizer = Tokenizer("word").fit(TEXTS)
    assert tokenizer.tokens == ["", *RANKED]
    assert tokenizer.index == {word: i + 1 for i, word in enumerate(RANKED)}
    assert len(tokenizer) == 9


@pytest.mark.parametrize(
    "num_words, oov, padding, tokens",
    [
        (4, None, True, ["", "the", "sat", "dog"]),
        (4, "<oov>", True, ["", "<oov>", "the", "sat"]),
        (4, None, False, ["the", "sat", "dog", "cat"]),
        (4, "<oov>", False, ["<oov>", "the", "sat", "dog"]),
        (100, None, True, ["", *RANKED]),
    ],
)
def test_num_words_bounds_the_ids(num_words, oov, padding, tokens):
    tokenizer = Tokenizer("word", num_words=num_words, oov=oov, padding=padding).fit(TEXTS)
    assert tokenizer.tokens == tokens
    assert max(tokenizer.encode(" ".join(TEXTS))) < num_words


def test_unknown_words_are_left_out_or_become_the_oov_token():
    # Keras: Tokenizer(num_words=4) gives [[1, 2, 1], [1, 3, 2], [3]] for these texts
    assert [list(ids) for ids in Tokenizer("word", num_words=4).fit(TEXTS).encode_all(TEXTS)] == [
        [1, 2, 1],
        [1, 3, 2],
        [3],
    ]
    with_oov = Tokenizer("word", num_words=4, oov="?!").fit(TEXTS)
    assert [list(ids) for ids in with_oov.encode_all(TEXTS)] == [[2, 1, 3, 1, 2, 1], [2, 1, 3, 1], [1, 1]]


def test_characters():
    tokenizer = Tokenizer("char").fit("Abba! ")  # a 2, b 2, "!" 1, " " 1; filters part words only
    assert tokenizer.tokens == ["", "a", "b", "!", " "]
    np.testing.assert_array_equal(tokenizer.encode("AB!x"), [1, 2, 3])


def test_characters_for_a_language_model_need_no_padding_slot():
    text = "To be, or not to be?\n"
    tokenizer = Tokenizer("char", lower=False, padding=False).fit(text)
    ids = tokenizer.encode(text)
    assert set(ids) == set(range(len(tokenizer)))
    assert tokenizer.decode(ids) == text
    assert "" not in tokenizer.tokens


def test_padding_leaves_no_trace_when_decoding():
    words = Tokenizer("word").fit(TEXTS)
    assert words.decode([0, 0, 1, 4, 0]) == "the cat"
    characters = Tokenizer("char").fit("ab")
    assert characters.decode([0, 1, 2, 0]) == "ab"
    assert characters.decode([]) == ""


def test_capitals_and_filters_are_choices():
    tokenizer = Tokenizer("word", lower=False, filters="-").fit("A-b a, b\tA")
    assert tokenizer.tokens == ["", "A", "b", "a,"]


def test_a_text_that_spells_the_oov_token_is_unknown():
    tokenizer = Tokenizer("word", oov="unk").fit("unk unk a")
    assert tokenizer.tokens == ["", "unk", "a"]
    np.testing.assert_array_equal(tokenizer.encode("unk a z"), [1, 2, 1])


def test_fit_forgets_what_was_before():
    tokenizer = Tokenizer("word").fit("a a b")
    assert tokenizer.fit("c").tokens == ["", "c"]


def test_tokens_and_index_are_copies():
    tokenizer = Tokenizer("word").fit("a")
    tokenizer.tokens.append("b")
    tokenizer.index["b"] = 2
    assert len(tokenizer) == 2
    assert tokenizer.index == {"a": 1}


@given(
    text=st.text(alphabet="abcABC ,.\n'", min_size=1),
    level=st.sampled_from(["char", "word"]),
    oov=st.sampled_from([None, "<oov>"]),
    padding=st.booleans(),
    lower=st.booleans(),
)
def test_what_is_stored_as_json_comes_back(text, level, oov, padding, lower):
    tokenizer = Tokenizer(level, num_words=6, oov=oov, padding=padding, lower=lower).fit(text + " a")
    twin = Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert twin.to_dict() == tokenizer.to_dict()
    np.testing.assert_array_equal(twin.encode(text), tokenizer.encode(text))
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(ids)) if oov is None else ids, ids)


def test_pieces_are_words_numbers_and_signs_with_the_blank_before_them():
    tokenizer = Tokenizer("piece", lower=False).fit("No, 2 of _it_ (über 3,5).\n")
    pieces = ["No", ",", " 2", " of", " _", "it", "_", " (", "über", " 3", ",", "5", ")", ".", "\n"]
    assert [tokenizer.tokens[k] for k in tokenizer.encode("No, 2 of _it_ (über 3,5).\n")] == pieces


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_pieces_decoded_are_the_text_again(text):
    tokenizer = Tokenizer("piece", lower=False).fit(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Tokenizer("byte"), ValueError, "level must be 'char', 'word' or 'piece', got 'byte'"),
        (lambda: Tokenizer(oov=""), ValueError, "oov must have at least one character"),
        (lambda: Tokenizer(num_words=1), ValueError, "num_words must be at least 2 to hold a token, got 1"),
        (lambda: Tokenizer(num_words=2, oov="?"), ValueError, "num_words must be at least 3 to hold a token, got 2"),
        (lambda: Tokenizer(num_words=2.5), TypeError, "must be an integer or None, got 2.5"),
        (lambda: Tokenizer().fit("a \ud83db"), ValueError, r"the token '\\ud83db' must be text, got half a character"),
        (lambda: Tokenizer().fit(["...", ""]), ValueError, "texts must hold at least one token"),
        (lambda: Tokenizer().fit([b"bytes"]), TypeError, "must be a string, got bytes"),  # type: ignore[list-item]
        (lambda: Tokenizer().encode("a"), RuntimeError, "call fit first"),
        (lambda: Tokenizer().fit("a").encode(["a"]), TypeError, "must be a string, got list"),
        (lambda: Tokenizer().fit("a").encode_all("a"), TypeError, "use encode for one"),
        (lambda: Tokenizer().fit("a").decode([1, 2]), ValueError, "must be in 0…1, got 2 at position 1"),
        (lambda: Tokenizer().fit("a").decode([-1]), ValueError, "got -1 at position 0"),
        (lambda: Tokenizer().fit("a").decode([[1]]), ValueError, r"must have shape \(n,\), got \(1, 1\)"),
        (lambda: Tokenizer().fit("a").decode([1.0]), TypeError, "must be integers, got float64"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"extra": 1}, "must have the entries"),
        ({"tokens": ["a", "b"]}, r"must begin with \[''\]"),
        ({"tokens": ["", "a", "a"]}, "must differ, got 'a' more than once"),
        ({"tokens": ["", "a", ""]}, "got '' at position 2"),
        ({"tokens": ["", "a", 3]}, "got 3 at position 2"),
        ({"num_words": 2, "tokens": ["", "a", "b"]}, "at most num_words = 2, got 3"),
        ({"tokens": "\nab" * 10**5}, r"tokens must be a list of words, got '\\nab"),
        ({"tokens": {"": 0}}, r"tokens must be a list of words, got \{'': 0\}"),
        ({"tokens": ["", [], "a"]}, r"tokens must be words, got \[\] at position 1"),
        ({"level": ["word"]}, r"stored: level must be a string, got \['word'\]"),
        ({"level": "[" * 10**5}, r"level must be 'char', 'word' or 'piece', got '\[\[\["),
        ({"num_words": True}, "stored: num_words must be an int of 64 bits or null, got True"),
        ({"num_words": 10**30}, "stored: num_words must be an int of 64 bits or null, got 1000"),
        ({"num_words": -1}, "num_words must be at least 2 to hold a token, got -1"),
        ({"lower": 1}, "stored: lower must be true or false, got 1"),
        ({"filters": None}, "stored: filters must be a string, got None"),
        ({"oov": 3}, "stored: oov must be a string or null, got 3"),
        ({"oov": ""}, "oov must have at least one character"),
        ({"oov": "\ud83d"}, r"oov must be text, got half a character \(\\ud83d\)"),
        ({"filters": "\ud83d"}, r"filters must be text, got half a character \(\\ud83d\)"),
        ({"tokens": ["", "a\ud83d"]}, r"token 1 must be text, got half a character \(\\ud83d\) at position 1"),
        ({"padding": "no"}, "stored: padding must be true or false, got 'no'"),
    ],
)
def test_a_damaged_dictionary_is_refused(change, message):
    stored = Tokenizer().fit("a b").to_dict()
    with pytest.raises(ValueError, match=message) as caught:
        Tokenizer.from_dict({**stored, **change})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_dictionary_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"^Tokenizer.from_dict: stored must have the entries .*, got \[1, 2\]; use"):
        Tokenizer.from_dict([1, 2])


ROWS = [[1, 2, 3, 4], [5], [6, 7]]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [[1, 2, 3, 4], [0, 0, 0, 5], [0, 0, 6, 7]]),
        ({"padding": "post"}, [[1, 2, 3, 4], [5, 0, 0, 0], [6, 7, 0, 0]]),
        ({"maxlen": 3}, [[2, 3, 4], [0, 0, 5], [0, 6, 7]]),
        ({"maxlen": 3, "truncating": "post"}, [[1, 2, 3], [0, 0, 5], [0, 6, 7]]),
        ({"maxlen": 3, "padding": "post"}, [[2, 3, 4], [5, 0, 0], [6, 7, 0]]),
        ({"maxlen": 3, "padding": "post", "truncating": "post"}, [[1, 2, 3], [5, 0, 0], [6, 7, 0]]),
        ({"maxlen": 1}, [[4], [5], [7]]),
        ({"maxlen": 5, "value": 9}, [[9, 1, 2, 3, 4], [9, 9, 9, 9, 5], [9, 9, 9, 6, 7]]),
        ({"value": 0.0}, [[1, 2, 3, 4], [0, 0, 0, 5], [0, 0, 6, 7]]),
    ],
)
def test_pad_sequences_as_keras_does(options, expected):
    padded = pad_sequences(ROWS, **options)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == np.int32


def test_pad_sequences_of_features():
    rows = [np.ones((2, 3)), 2 * np.ones((1, 3))]
    padded = pad_sequences(rows, dtype="float32", padding="post", value=-1)
    assert padded.shape == (2, 2, 3)
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded[:, :, 0], [[1, 1], [2, -1]])
    assert np.isnan(pad_sequences(rows, dtype=float, value=np.nan)[1, 0]).all()
    assert pad_sequences(rows, dtype=np.float32, value=0.1)[1, 0, 0] == np.float32(0.1)
    np.testing.assert_array_equal(
        pad_sequences([[0.1, np.inf, np.nan]], dtype="f4"), np.float32([[0.1, np.inf, np.nan]])
    )


@given(
    rows=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=5),
    maxlen=st.none() | st.integers(1, 8),
    truncating=st.sampled_from(["pre", "post"]),
)
def test_lengths_say_where_post_padding_begins(rows, maxlen, truncating):
    padded = pad_sequences(rows, maxlen, padding="post", truncating=truncating)
    lengths = sequence_lengths(rows, maxlen)
    for row, filled, length in zip(rows, padded, lengths, strict=True):
        kept = row[-length:] if truncating == "pre" else row[:length]
        np.testing.assert_array_equal(filled[:length], kept)
        assert not filled[length:].any()
        assert length == min(len(row), padded.shape[1])
    assert lengths.dtype == np.int64


@pytest.mark.parametrize(
    "rows, options, error, message",
    [
        ([], {}, ValueError, "at least one row, got none"),
        ([[1], []], {}, ValueError, "must not be empty, got no step in row 1"),
        ([1, 2], {}, TypeError, r"must hold sequences, got 1 in row 0; one row is \[row\]"),
        (["ab"], {}, TypeError, "must hold sequences, got 'ab' in row 0"),
        ([[[1, 2]], [[1]]], {}, ValueError, r"features of shape \(2,\), as the first row, got \(1,\) in row 1"),
        ([[1], [0.5]], {}, TypeError, "got int32 for float64 in row 1; give dtype='float64'"),
        (
            [[2**40]],
            {},
            ValueError,
            r"fit in dtype int32, got 1099511627776 in row 0 at index \(0,\); give dtype='int64'",
        ),
        ([[1], [1, 2**32 + 5]], {}, ValueError, r"got 4294967301 in row 1 at index \(1,\)"),
        ([[-(2**31) - 1]], {}, ValueError, "got -2147483649 in row 0"),
        ([[2**63]], {"dtype": np.int64}, ValueError, r"fit in dtype int64, got 9223372036854775808 in row 0"),
        ([[[0.0, 1e300]]], {"dtype": np.float32}, ValueError, r"float32, got 1e\+300 in row 0 at index \(0, 1\)"),
        ([[1]], {"padding": "left"}, ValueError, "padding must be 'pre' or 'post', got 'left'"),
        ([[1]], {"truncating": "right"}, ValueError, "truncating must be 'pre' or 'post', got 'right'"),
        ([[1]], {"maxlen": 0}, ValueError, "maxlen must be at least 1, got 0"),
        ([[1]], {"maxlen": 2.0}, TypeError, "maxlen must be an integer or None, got 2.0"),
        ([[1]], {"value": 0.5}, ValueError, "value must fit in dtype int32, got 0.5"),
        ([[1]], {"value": np.nan}, ValueError, "value must fit in dtype int32, got nan"),
        ([[1]], {"value": 2**40}, ValueError, "value must fit in dtype int32"),
        ([[1]], {"value": 2**70}, ValueError, "value must fit in dtype int32"),
        ([[1.0]], {"dtype": np.float32, "value": 1e300}, ValueError, r"value must fit in dtype float32, got 1e\+300"),
        ([[1]], {"value": "pad"}, ValueError, "value must fit in dtype int32, got 'pad'"),
    ],
)
def test_what_cannot_be_padded_is_named(rows, options, error, message):
    with pytest.raises(error, match=f"pad_sequences: .*{message}"):
        pad_sequences(rows, **options)
