"""`export_onnx` of models: ONNX Runtime says what they say, and parts that ONNX lacks are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_core import ConvClassifier, LanguageModel, SequenceClassifier, SequenceRegressor, SequenceTagger
from rnn_core.formats import export_onnx

from .beside import TOLERANCE, fill, numbers, run

WORDS = {"lstm": {}, "gru": {}, "rnn": {"nonlinearity": "relu"}, "PeepholeLSTM": {}, "ResetBeforeGRU": {}}
KINDS = {
    "a classifier": (SequenceClassifier, 3),
    "yes or no": (SequenceClassifier, 1),
    "a regressor": (SequenceRegressor, 2),
    "one number": (SequenceRegressor, 1),
    "a tagger": (SequenceTagger, 4),
}
V, I = 6, 3


@st.composite
def cores(draw):
    word = draw(st.sampled_from(list(WORDS)))
    return {"cell": word, "num_layers": draw(st.integers(1, 2)), "dropout": 0.2, "backend": "numpy", **WORDS[word]}


def rows(data, T, B, tokens, lengths):
    """Return what comes in, with anything in the padding, and the lengths."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.integers(0, V, (B, T)) if tokens else numbers(rng, B, T, I)
    if not lengths or not data.draw(st.booleans()):
        return x, None
    steps = np.array(data.draw(st.lists(st.integers(1, T), min_size=B, max_size=B)))
    x[np.arange(T) >= steps[:, None]] = 999 if tokens else np.nan
    return x, steps


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("what", KINDS)
def test_a_model_says_the_same(what, tmp_path, data):
    kind, outputs = KINDS[what]
    tokens, lengths = data.draw(st.booleans()), data.draw(st.booleans())
    options = {"vocab_size": V, "embedding_size": 2} if tokens else {"input_size": I}
    if kind is not SequenceTagger:
        options["pooling"] = data.draw(st.sampled_from(["last", "mean", "max"]))
    model = fill(kind(outputs, 4, bidirectional=data.draw(st.booleans()), **data.draw(cores()), **options))
    T, B = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    x, steps = rows(data, T, B, tokens, lengths)
    export_onnx(model, tmp_path / "model.onnx", lengths=lengths)
    feed = {"tokens" if tokens else "x": x} | ({} if steps is None else {"lengths": steps})
    found = run(runtime, tmp_path / "model.onnx", feed)
    assert list(found) == ["logits"]
    expected = model(x, steps)
    assert found["logits"].shape == expected.shape
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=TOLERANCE)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_language_model_goes_on_from_its_state(tmp_path, data):
    core, tied = data.draw(cores()), data.draw(st.booleans())
    model = fill(LanguageModel(V, 4, tied=tied, **core))
    export_onnx(model, tmp_path / "model.onnx")
    x, steps = rows(data, data.draw(st.integers(1, 5)), 2, tokens=True, lengths=True)
    names = [f"{name}0" for name in model.rnn.spec.states]
    state, feed = None, {"tokens": x} | ({} if steps is None else {"lengths": steps})
    for _ in range(2):
        found = run(runtime, tmp_path / "model.onnx", feed)
        logits, state = model(x, state, steps)
        finals = state if isinstance(state, tuple) else (state,)
        for actual, expected in zip(found.values(), (logits, *finals), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)
        feed |= dict(zip(names, list(found.values())[1:], strict=True))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: SequenceTagger(3, 4, input_size=2, crf=True), ValueError, "no CRF.*crf=False"),
        (lambda: SequenceClassifier(2, 4, input_size=2, cell="SLSTM"), TypeError, "got SLSTM as its 'rnn'"),
        (lambda: ConvClassifier(2, (3, 8)), TypeError, "got ConvClassifier; export its"),
        (lambda: type("Mine", (SequenceClassifier,), {})(2, 4, input_size=2), TypeError, "got Mine; build a Seq"),
        (lambda: SequenceClassifier(2, 4, input_size=2, cell_options={"zoneout": 0.1}), ValueError, "no zoneout.*rnn"),
        (lambda: SequenceClassifier(2, 4, input_size=2, precision="bfloat16"), ValueError, "precision='bfloat16'"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name(tmp_path, model, error, message):
    with pytest.raises(error, match=message):
        export_onnx(model(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_front_that_is_more_than_an_embedding_is_refused(tmp_path):
    front = {"kind": "over time", "input_size": 2, "channels": [3]}
    model = SequenceClassifier(2, 4, front=front)
    with pytest.raises(ValueError, match="got the front 'over time'"):
        export_onnx(model, tmp_path / "model.onnx")
