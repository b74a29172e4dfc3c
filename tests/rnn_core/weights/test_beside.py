"""What stands beside a model's weights: it comes back as it was, fits the model, and a hostile file is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnn_core import LSTM, LanguageModel, Seq2Seq, SequenceClassifier, SequenceRegressor, load, save
from rnn_core.data import Tokenizer
from rnn_core.data.scaling import Scaling
from rnn_core.weights import beside, read_metadata
from rnn_core.weights.beside import KEY, PARTS

WORDS = Tokenizer("word", oov="?").fit(["a good film", "a bad film"])
OTHER = Tokenizer("char").fit("guter")
NAMES = ("neg", "pos")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


def classifier(**options) -> SequenceClassifier:
    return SequenceClassifier(2, 3, **{"vocab_size": len(WORDS), **options}, seed=0)


EVERYTHING = {
    "tokenizer": WORDS, "target_tokenizer": OTHER, "task": "translate",
    "reading": {"context": 2, "separator": "|", "none": None, "deep": {"a": [1, 2.5, "ä"]}},
    "record": {"metric": "chrF", "scores": {"test": {"chrF": 51.25}}},
}  # fmt: skip


def test_everything_comes_back(path) -> None:
    model = Seq2Seq(len(OTHER), 3, vocab_size=len(WORDS), seed=0)
    save(model, path, **EVERYTHING)
    assert model.tokenizer is None  # saving gives the model nothing
    found = load(path)
    assert found.tokenizer.to_dict() == WORDS.to_dict()
    assert found.target_tokenizer.to_dict() == OTHER.to_dict()
    for name in ("task", "reading", "record"):
        assert getattr(found, name) == EVERYTHING[name]
    assert found.classes is found.scaling is found.target_scaling is None


def test_what_is_not_there_is_none(path) -> None:
    for model in (classifier(), LanguageModel(5, 3), LSTM(2, 3)):
        save(model, path)
        assert KEY not in read_metadata(path)
        found = load(path)
        assert all(getattr(found, name, None) is None for name in PARTS)


def test_a_model_that_was_loaded_is_saved_with_it_again(path, tmp_path) -> None:
    save(classifier(), path, tokenizer=WORDS, classes=NAMES, reading={"max_steps": 7})
    found = load(path)
    save(found, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    save(found, tmp_path / "other.safetensors", classes=["no", "yes"])
    other = load(tmp_path / "other.safetensors")
    assert (other.classes, other.reading) == (("no", "yes"), {"max_steps": 7})
    assert found.classes == NAMES


def test_attributes_are_as_good_as_arguments(path, tmp_path) -> None:
    model = classifier()
    model.tokenizer, model.classes = WORDS, NAMES
    save(model, path)
    save(classifier(), tmp_path / "given.safetensors", tokenizer=WORDS, classes=NAMES)
    assert path.read_bytes() == (tmp_path / "given.safetensors").read_bytes()


def test_it_is_kept_where_a_model_is_converted(path) -> None:
    save(classifier(), path, tokenizer=WORDS, classes=NAMES)
    for twin in (load(path, dtype="float64"), load(path, backend="numpy"), load(path).astype(np.float64)):
        assert twin.classes == NAMES
        assert twin.tokenizer.tokens == WORDS.tokens


@pytest.mark.parametrize(
    ("classes", "kept"),
    [
        (np.array([5, 6]), (5, 6)), (np.array(["a", "b"]), ("a", "b")), ([np.int64(1), "x"], (1, "x")),
        (("é\udcff", ""),) * 2,
    ],
)  # fmt: skip
def test_names_of_classes_of_any_kind(classes, kept, path) -> None:
    save(classifier(), path, classes=classes)
    assert load(path).classes == kept


def test_a_sigmoid_has_two_classes(path) -> None:
    save(SequenceClassifier(1, 3, input_size=2), path, classes=["no", "yes"])
    assert load(path).classes == ("no", "yes")
    with pytest.raises(ValueError, match="save: classes must be of 2 classes, as the SequenceClassifier is, got 1; it"):
        save(SequenceClassifier(1, 3, input_size=2), path, classes=["yes"])


class Standard:
    """What scikit-learn's StandardScaler has when it is fitted."""

    mean_, scale_ = np.array([1.0, 2.0]), np.array([3.0, 4.0])


@pytest.mark.parametrize("given", [Scaling((1, 2), (3, 4)), ([1.0, 2.0], [3.0, 4.0]), Standard()])
def test_a_scaling_of_any_kind(given, path) -> None:
    save(classifier(vocab_size=None, input_size=2), path, scaling=given)
    assert load(path).scaling == Scaling((1.0, 2.0), (3.0, 4.0))
    save(SequenceRegressor(1, 3, input_size=1), path, target_scaling=(10.0, 2.0))
    assert load(path).target_scaling == Scaling((10.0,), (2.0,))


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"tokenizer": OTHER}, ValueError, "save: tokenizer must be of 6 tokens, as the SequenceClassifier is, got 6"),
        ({"tokenizer": "word"}, TypeError, "save: tokenizer must be a Tokenizer, got 'word'"),
        ({"tokenizer": Tokenizer()}, RuntimeError, "Tokenizer: there is no vocabulary yet"),
        ({"classes": ["a", "b", "c"]}, ValueError, "save: classes must be of 2 classes"),
        ({"classes": "ab"}, TypeError, "save: classes must be names, in a list for instance, got 'ab'"),
        ({"classes": [1.5, 2.5]}, TypeError, "save: classes must be strings or whole numbers, got 1.5"),
        ({"classes": ["1", 1]}, ValueError, r"save: classes must be different, got \['1', 1\]"),
        ({"scaling": [1.0]}, TypeError, r"save: scaling must be a Scaling, a pair \(mean, scale\) or a fitted"),
        ({"scaling": ([0.0], [0.0])}, ValueError, "Scaling: scale must be above 0"),
        ({"task": "two words"}, TypeError, "save: task must be the name of a task, got 'two words'"),
        ({"reading": {"a": {1, 2}}}, TypeError, "save: reading must be a dictionary in types that JSON has"),
        ({"reading": {"a": float("nan")}}, TypeError, "save: reading must be a dictionary in types that JSON has"),
        ({"record": {"a": "x" * (1 << 20)}}, ValueError, "save: record must have at most 1,048,576 characters"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_not_saved(given, kind, message, path) -> None:
    model = classifier()
    if given.get("tokenizer") is OTHER:
        model, message = classifier(vocab_size=9), "save: tokenizer must be of 9 tokens, as the SequenceClassifier is"
    with pytest.raises(kind, match=message):
        save(model, path, **given)
    assert not path.exists()


def test_only_a_model_has_something_beside_it(path) -> None:
    for target in (LSTM(2, 3), {"a": np.ones(3)}):
        with pytest.raises(TypeError, match="save: classes must be left out beside what is no model, got (LSTM|dict)"):
            save(target, path, classes=["a", "b"])
    with pytest.raises(ValueError, match=f"save: metadata must not use the key '{KEY}'"):
        save(classifier(), path, metadata={KEY: "{}"})


def written(path, text: str, monkeypatch) -> None:
    """Write a file that says something else than `save` would."""
    with monkeypatch.context() as patch:
        patch.setattr(beside, "to_header", lambda parts: {KEY: text})
        save(classifier(), path)


SOUND = {"version": 1, "tokenizer": WORDS.to_dict(), "classes": list(NAMES)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "must be 1, got 2, which takes a newer rnn_core"),
        ({"version": None}, "must be 1, got None"),
        ({"colour": "red"}, "got 'colour'; it takes a newer rnn_core"),
        ({"tokenizer": {**WORDS.to_dict(), "tokens": WORDS.tokens[:-1]}}, "tokenizer must be of 6 tokens, as the"),
        ({"tokenizer": {**WORDS.to_dict(), "tokens": WORDS.tokens + ["a"]}}, "tokens must differ, got 'a' more than"),
        ({"tokenizer": {"level": "word"}}, "its tokenizer can't be read: Tokenizer.from_dict: stored must have"),
        ({"tokenizer": 7}, "its tokenizer can't be read"),
        ({"classes": ["a"]}, "classes must be of 2 classes"),
        ({"classes": ["a", "a"]}, "its classes can't be read: load: classes must be different"),
        ({"classes": {"a": 1}}, "its classes can't be read"),
        ({"classes": [True, False]}, "its classes can't be read"),
        ({"classes": ["x" * 10**5] * 2}, "its classes can't be read"),
        ({"scaling": {"mean": [0.0], "scale": [1.0]}}, None),
        ({"scaling": {"mean": [0.0], "scale": [-1.0]}}, "its scaling can't be read: Scaling: scale must be above 0"),
        ({"scaling": {"mean": [float("inf")], "scale": [1.0]}}, "its scaling can't be read: Scaling: mean and scale"),
        ({"scaling": {"mean": [0.0]}}, "its scaling can't be read: a scaling must hold scale"),
        ({"scaling": {"mean": "0", "scale": [1.0]}}, "its scaling can't be read: a scaling: mean must be a list"),
        ({"task": 3}, "its task can't be read"),
        ({"task": "__import__('os')"}, "its task can't be read"),
        ({"reading": [1]}, "its reading can't be read"),
        ({"record": {"a": "x" * (1 << 20)}}, "its record can't be read: load: record must have at most"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_hostile_file_is_refused_in_a_line(change, message, path, monkeypatch) -> None:
    written(path, json.dumps({**SOUND, **change}), monkeypatch)
    if message is None:
        assert load(path).scaling == Scaling((0.0,), (1.0,))
        return
    with pytest.raises(ValueError, match="does not hold what it says it holds: ") as error:
        load(path)
    assert message in str(error.value)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 10**5, '{"version": 1, "version": 1}', '{"version": 1'])
def test_what_is_no_json_is_refused(text, path, monkeypatch) -> None:
    written(path, text, monkeypatch)
    with pytest.raises(ValueError, match="does not hold what it says it holds: "):
        load(path)


def test_somebody_s_own_string_called_transfer_is_left_alone(path) -> None:
    for text in ("from Vienna to Graz", "{}", '{"version": 1}', "[1]"):
        save(classifier(), path, metadata={"transfer": text})
        assert load(path).classes is None
        assert read_metadata(path)["transfer"] == text
