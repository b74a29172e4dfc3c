"""The network that `rnn-core transfer` saves: how it is chosen, and what stands beside it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from rnn_core import SequenceClassifier, load, save
from rnn_core.inputs.encoding import Encoding
from rnn_core.weights import read_arrays
from transfer.commands import asked, network
from transfer.comparing.arms import Trained
from transfer.comparing.runs import pretrained
from transfer.inputs.files_study import FilesStudy
from transfer.inputs.gathering import Wanted, gather

from .made import SHORT, TINY, as_it_was, bare, beside, predicted, refused, results, table, texts, transferred, ucr


def test_the_test_chooses_nothing(tmp_path) -> None:
    """With every label of the test turned round, the same network is saved, to the bit."""
    table(tmp_path / "a.csv", texts(40, 0))
    table(tmp_path / "b.csv", texts(40, 1))
    found = []
    for names in (("neg", "pos"), ("pos", "neg")):
        table(tmp_path / "test.csv", texts(20, 2, names))
        wanted = Wanted(
            str(tmp_path / "b.csv"),
            str(tmp_path / "a.csv"),
            test=str(tmp_path / "test.csv"),
            network={"hidden_size": 8},
        )
        study = gather(wanted, replace(TINY, source_updates=20, target_updates=20)).study
        arms = network.candidates(asked.methods(study, ["fine-tuned", "frozen core", "SVM", "random core"])[0], None)
        assert [arm.name for arm in arms] == ["fine-tuned", "frozen core", "scratch"]
        found.append(
            network.choose(
                study, len(study.target), network.trial(study), arms, pretrained(study, 0, arms), lambda line: None
            )
        )
    one, other = found
    assert (one.method, one.tried) == (other.method, other.tried)
    assert one.scores["test"] == pytest.approx(100 - other.scores["test"])
    for name, array in one.model.parameters.items():
        np.testing.assert_array_equal(array, other.model.parameters[name])


def test_the_first_of_the_best_on_held_out_data_is_chosen(tmp_path, monkeypatch) -> None:
    table(tmp_path / "a.csv", texts(20, 0))
    study = gather(Wanted(str(tmp_path / "a.csv"), str(tmp_path / "a.csv")), TINY).study
    scores = {"fine-tuned": 50.0, "frozen core": 80.0, "anchored": 80.0, "scratch": 60.0}
    sizes = []

    def trained(study, arm, size, seed, source):
        sizes.append((arm.name, size, len(study.target)))
        return Trained(arm.name)

    monkeypatch.setattr(network, "trained", trained)
    monkeypatch.setattr("transfer.comparing.runs.trained", trained)
    monkeypatch.setattr(FilesStudy, "score", lambda self, model: scores[model])
    arms = asked.methods(study, list(scores))[0]
    chosen = network.choose(study, len(study.target), network.trial(study), arms, {"trained": None}, lambda line: None)
    assert (chosen.method, chosen.tried) == ("frozen core", scores)
    assert sizes == [(name, 12, 12) for name in scores] + [("frozen core", 15, 15)]


def test_a_chosen_method_is_saved(finished, tmp_path, capsys) -> None:
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", "--quick", "--workers", 1]
    transferred(
        capsys, *arguments, "--methods", "Frozen-Core", "SVM", "--save", "frozen core", "--out", tmp_path / "out"
    )
    assert beside(tmp_path / "out")["record"]["method"] == "frozen core"
    assert "'frozen core' is saved: --save asks for it" in results(tmp_path / "out")["notes"]
    error = refused(capsys, *arguments, "--methods", "SVM", "--save", "svm", "--out", tmp_path / "no")
    assert "--save must be a method that ends in one network, got 'SVM', which doesn't; take one of scratch" in error
    assert not (tmp_path / "no").exists()


def test_labels_that_are_numbers_to_be_met_are_offered_as_regression(tmp_path, capsys) -> None:
    table(tmp_path / "a.csv", texts(40, 0))
    table(tmp_path / "b.csv", [(text, f"{k / 7:.3f}") for k, (text, _) in enumerate(texts(30, 1))])
    for source, target, option in (("a", "b", "--target"), ("b", "a", "--source")):
        error = refused(
            capsys, "--source", tmp_path / f"{source}.csv", "--target", tmp_path / f"{target}.csv", *SHORT, "--out",
            tmp_path / "out",
        )  # fmt: skip
        assert f"{option} must have classes for labels, got 30 different numbers in 30 examples" in error
        assert "`rnn-core transfer regression` learns to meet them" in error
    assert not (tmp_path / "out").exists()


def test_one_example_a_class_leaves_nothing_to_choose_by(tmp_path, capsys) -> None:
    table(tmp_path / "a.csv", texts(20, 0))
    table(tmp_path / "b.csv", texts(2, 1))
    table(tmp_path / "test.csv", texts(10, 2))
    transferred(
        capsys, "--source", tmp_path / "a.csv", "--target", tmp_path / "b.csv", "--test", tmp_path / "test.csv",
        *SHORT, "frozen core", "--out", tmp_path / "out",
    )  # fmt: skip
    found = results(tmp_path / "out")
    assert found["saved"]["method"] == "fine-tuned"
    assert set(found["saved"]["scores"]) == {"test"}
    assert any("where a class has one example" in note for note in found["notes"])


def test_a_model_over_features_needs_nothing_beside_it(tmp_path, capsys) -> None:
    ucr(tmp_path / "s.tsv", 24, 0)
    save(SequenceClassifier(2, 4, input_size=1, cell="gru", seed=0), tmp_path / "foreign.safetensors")
    transferred(
        capsys, "--source-model", tmp_path / "foreign.safetensors", "--target", tmp_path / "s.tsv", *SHORT, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert load(tmp_path / "out" / "model.safetensors").config["cell"] == "gru"
    error = refused(capsys, tmp_path / "foreign.safetensors", tmp_path / "s.tsv", command="predict")
    assert "must say what its classes are, got none beside its weights; save(model, path, classes=" in error


def test_what_stands_beside_a_network_must_fit_it(finished, tmp_path, capsys) -> None:
    stored = as_it_was(finished / "out")
    model = bare(finished / "out" / "model.safetensors")
    for change, message in (
        ({"version": 2}, "must be 1, got 2, which takes a newer rnn_core"),
        ({"classes": ["a", "b", "c"]}, "classes must be of 2 classes, as the SequenceClassifier is, got 3"),
        ({"encoding": {}}, "does not hold what it says it holds: transfer, encoding must hold kind, got none"),
        ({"classes": ["a", "a"]}, "classes must be different, got ['a', 'a']"),
        (
            {"encoding": {**stored["encoding"], "kind": "series"}},
            "its kind is 'series', with another kind's vocabulary",
        ),
        ({"encoding": {**stored["encoding"], "frame": 0}}, "its frame must be a whole number of at least 1, got 0"),
        ({"encoding": {**stored["encoding"], "max_steps": "9"}}, "its reading: max_steps must be an int of 64 bits"),
        ({"encoding": {**stored["encoding"], "tokenizer": "x"}}, "its tokenizer can't be read: "),
        ({"encoding": {**stored["encoding"], "tokenizer": ["x" * 999]}}, "its tokenizer can't be read: "),
        ({"encoding": 9 * [{}]}, "transfer, encoding must be an object"),
        ({"classes": 10**400}, "its classes can't be read: load: classes must be names"),
    ):
        save(model, tmp_path / "m.safetensors", metadata={"transfer": json.dumps({**stored, **change})})
        error = refused(capsys, tmp_path / "m.safetensors", finished / "test.jsonl", command="predict")
        assert message in error
        assert len(error) < 460
    for text in ("[" * 10**5, '{"a": 1, "a": 1}'):  # somebody's own string of that name
        save(model, tmp_path / "m.safetensors", metadata={"transfer": text})
        error = refused(capsys, tmp_path / "m.safetensors", finished / "test.jsonl", command="predict")
        assert "must say what its classes are" in error
    assert set(read_arrays(tmp_path / "m.safetensors")) == set(model.parameters)


def test_what_earlier_versions_wrote_loads_and_predicts(finished, tmp_path, capsys) -> None:
    stored = as_it_was(finished / "out")
    old = tmp_path / "old.safetensors"
    save(bare(finished / "out" / "model.safetensors"), old, metadata={"transfer": json.dumps(stored)})
    told = [predicted(capsys, model, finished / "test.jsonl") for model in (finished / "out/model.safetensors", old)]
    assert told[0] == told[1]
    found, now = load(old), load(finished / "out" / "model.safetensors")
    assert (found.classes, found.task, found.record) == (now.classes, "classify", now.record)
    assert found.tokenizer.tokens == now.tokenizer.tokens
    save(found, tmp_path / "new.safetensors")
    assert load(tmp_path / "new.safetensors").reading == found.reading


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": [0.0]}, "its scale must be above 0, got (0.0,)"),
        ({"mean": [float("nan")]}, "its mean and scale must be as many finite numbers"),
        ({"mean": [0.0, 1.0]}, "its mean and scale must be as many finite numbers"),
        ({"kind": "pictures"}, "its kind must be one of text, series, waveforms and ids, got 'pictures'"),
    ],
)
def test_numbers_that_scale_nothing_are_refused(change, message) -> None:
    stored = Encoding("series", mean=(0.0,), scale=(1.0,)).as_dict()
    with pytest.raises(ValueError, match=re.escape(message)):
        Encoding.from_dict({**stored, **change})


def test_series_of_which_no_class_is_known_take_any_label(tmp_path, capsys) -> None:
    ucr(tmp_path / "a.tsv", 24, 0)
    transferred(capsys, "--source", tmp_path / "a.tsv", "--target", tmp_path / "a.tsv", *SHORT, "--out", tmp_path / "o")
    out = predicted(capsys, tmp_path / "o" / "model.safetensors", ucr(tmp_path / "b.tsv", 4, 1, ("?",)))
    assert "4 examples; the file has no classes to compare with" in out
    out = predicted(capsys, tmp_path / "o" / "model.safetensors", ucr(tmp_path / "b.tsv", 4, 1, ("x",)))
    assert "4 examples; the file's classes, 'x', are none of the network's; if a line begins with the series" in out


def test_predict_says_where_it_can_not_write(finished, tmp_path, capsys) -> None:
    model = finished / "out" / "model.safetensors"
    for name in ("a.xls", "none/a.csv"):
        error = refused(capsys, model, finished / "test.jsonl", "--out", tmp_path / name, command="predict")
        assert "--out must be a file .csv or .jsonl in a folder that exists" in error
