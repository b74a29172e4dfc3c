"""What a user may get wrong with a model, and the one line that says what to change."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data.batches import Batch
from rnn_core.layers import Embedding, Linear
from rnn_core.models import LanguageModel, SequenceClassifier
from tests.model_cases import B, H, V, classifier, features, language_model, text, tokens_classifier

TOKENS, FEATURES = text().inputs, features().inputs


def backward(model, x, dlogits):
    return model.backward(model.forward(x)[-1], dlogits)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: LanguageModel(0, 4), ValueError, "LanguageModel: vocab_size must be at least 1, got 0"),
        (lambda: LanguageModel(5, 4.0), TypeError, "LanguageModel: hidden_size must be an int, got float 4.0"),
        (lambda: LanguageModel(5, 4, cell="lstn"), ValueError, "cell must be one of 'rnn', 'lstm', 'gru', got 'lstn'"),
        (lambda: LanguageModel(5, 4, nonlinearity="relu"), ValueError, "must be left out with cell='lstm'"),
        (lambda: LanguageModel(5, 4, cell="rnn", nonlinearity="x"), ValueError, "'relu' or 'sigmoid', got 'x'"),
        (lambda: LanguageModel(5, 4, dropout=1), ValueError, "dropout must be at least 0 and below 1"),
        (lambda: LanguageModel(5, 4, dtype=np.float16), TypeError, "LanguageModel: dtype must be float32 or float64"),
        (lambda: LanguageModel(5, 4, backend="gpu"), ValueError, "^Embedding: backend must be one of"),
        (
            lambda: LanguageModel(5, 4, embedding_size=3, tied=True),
            ValueError,
            "embedding_size must equal hidden_size = 4 with tied=True, got 3",
        ),
        (lambda: SequenceClassifier(0, 4, input_size=2), ValueError, "num_classes must be at least 1"),
        (lambda: SequenceClassifier(2, 4), ValueError, "one of input_size .* got input_size=None, vocab_size=None"),
        (lambda: SequenceClassifier(2, 4, input_size=2, vocab_size=5), ValueError, "one of input_size"),
        (lambda: SequenceClassifier(2, 4, input_size=2, padding_idx=0), ValueError, "left out with input_size"),
        (lambda: SequenceClassifier(2, 4, input_size=2, embedding_size=3), ValueError, "left out with input_size"),
        (lambda: SequenceClassifier(2, 4, vocab_size=3, padding_idx=3), ValueError, "padding_idx must be in 0…2"),
        (lambda: SequenceClassifier(2, 4, input_size=2, pooling="sum"), ValueError, "'last', 'mean', 'max', got 'sum'"),
        (lambda: language_model()(TOKENS[0]), ValueError, r"shape \(B, T\).*got \(5,\).*tokens\[None\]"),
        (lambda: language_model()(TOKENS[:0]), ValueError, r"got \(0, 5\)"),
        (lambda: language_model()(TOKENS[:, :0]), ValueError, r"got \(3, 0\)"),
        (lambda: language_model()(TOKENS / 1.0), TypeError, "tokens must be integers, got float64"),
        (lambda: language_model()(TOKENS > 2), TypeError, "tokens must be integers, got bool"),
        (lambda: language_model()([[1, 2], [3]]), ValueError, "got a list of 2 whose parts differ in length; pad"),
        (lambda: language_model()(TOKENS + V), ValueError, r"in 0…5, got \d+ at index \(0, 0\)"),
        (lambda: language_model()([[0, -1]]), ValueError, r"in 0…5, got -1 at index \(0, 1\)"),
        (lambda: language_model()(TOKENS, lengths=[5, 0, 1]), ValueError, "got 0 in row 1"),
        (lambda: language_model()(TOKENS, lengths=[5, 6, 1]), ValueError, "got 6 in row 1"),
        (lambda: language_model()(TOKENS, lengths=[5, 1]), ValueError, r"lengths must have shape \(3,\)"),
        (lambda: language_model()(TOKENS, np.zeros((2, B, H))), ValueError, r"state0 must be a pair \(h, c\)"),
        (lambda: language_model().backward(None, 1), TypeError, "tape must be the third value of forward, got None"),
        (lambda: classifier().backward(None, 1), TypeError, "tape must be the second value of forward, got None"),
        (lambda: backward(language_model(), TOKENS, None), TypeError, "^LanguageModel.backward: dlogits must be an"),
        (
            lambda: backward(language_model(), TOKENS, np.zeros((B, 5))),
            ValueError,
            r"^LanguageModel.backward: dlogits must have shape \(3, 5, 6\), got \(3, 5\); it is shaped as logits",
        ),
        (lambda: backward(classifier(), FEATURES, None), TypeError, "^SequenceClassifier.backward: dlogits must be an"),
        (
            lambda: backward(classifier(), FEATURES, np.zeros((B, 3), np.float32)),
            TypeError,
            "^SequenceClassifier.backward: dlogits must be float64, got float32",
        ),
        (
            lambda: backward(classifier(1), FEATURES, np.zeros((B, 1))),
            ValueError,
            r"^SequenceClassifier.backward: dlogits must have shape \(3,\), got \(3, 1\)",
        ),
        (lambda: Embedding(5, 4)([[1, 2], [3]]), ValueError, "^Embedding.__call__: tokens must .* differ in length"),
        (lambda: Linear(2, 4)([[1.0, 2.0], [3.0]]), ValueError, "^Linear.__call__: x must .* differ in length"),
        (lambda: language_model().loss_and_gradients(text(), needs=["rnn.w"]), ValueError, "h0, c0, emb.* got rnn.w"),
        (lambda: language_model().loss_and_gradients(text(), needs="head"), TypeError, "a set of names, got 'head'"),
        (
            lambda: language_model().loss_and_gradients(Batch(TOKENS, TOKENS[:, 1:])),
            ValueError,
            r"targets must have shape \(3, 5\).* got \(3, 4\)",
        ),
        (lambda: language_model().evaluate(Batch(TOKENS, TOKENS + V)), ValueError, "targets must be in 0…5"),
        (lambda: language_model().evaluate(text(weights=np.ones(2))), ValueError, r"shape \(3, 5\) or \(3,\)"),
        (lambda: language_model().evaluate(text(weights=np.zeros(B))), ValueError, "weights must not all be zero"),
        (lambda: language_model().evaluate(text(weights=-np.ones(B))), ValueError, "finite and at least 0"),
        (lambda: language_model().generate([], 3), ValueError, r"prompt must have shape \(T,\) or \(B, T\)"),
        (lambda: language_model().generate([V], 3), ValueError, "in 0…5, got 6"),
        (lambda: language_model().generate([1], 0), ValueError, "steps must be at least 1"),
        (lambda: language_model().generate([1], 3, temperature="hot"), TypeError, "must be a number, got 'hot'"),
        (lambda: language_model().generate([1], 3, rng="x"), TypeError, "LanguageModel.generate: rng must be"),
        (lambda: LanguageModel(5, 4, seed=-1), ValueError, "LanguageModel: seed must be at least 0"),
        (lambda: LanguageModel(5, 4, tied=2), TypeError, "LanguageModel: tied must be True or False"),
        (lambda: language_model().generate([1], 3, temperature=-1), ValueError, "temperature must be at least 0"),
        (lambda: language_model().generate([1], 3, temperature=np.nan), ValueError, "temperature must be at least 0"),
        (lambda: classifier()(FEATURES[0]), ValueError, r"shape \(B, T, 2\).* got \(5, 2\); input_size is 2"),
        (lambda: classifier()(FEATURES[..., :1]), ValueError, r"got \(3, 5, 1\)"),
        (lambda: classifier()(FEATURES[:0]), ValueError, r"got \(0, 5, 2\)"),
        (lambda: classifier()(FEATURES.astype(np.float32)), TypeError, "x must be float64.* got float32"),
        (lambda: classifier()(FEATURES * np.inf), ValueError, r"x must be finite, got .*inf at index \(0, 0, 0\)"),
        (lambda: tokens_classifier()(FEATURES), ValueError, r"tokens must have shape \(B, T\)"),
        (
            lambda: classifier().evaluate(Batch(FEATURES, [0, 1])),
            ValueError,
            r"targets must have shape \(3,\), one for each row, got \(2,\)",
        ),
        (lambda: classifier().evaluate(Batch(FEATURES, [0, 1, 3])), ValueError, "targets must be in 0…2, got 3"),
        (lambda: classifier().evaluate(Batch(FEATURES, [0.0, 1, 2])), TypeError, "targets must be integers"),
        (lambda: classifier(1).evaluate(Batch(FEATURES, [0, 1, 2])), ValueError, r"targets must be in \[0, 1\]"),
    ],
)
def test_errors_say_what_to_change(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
