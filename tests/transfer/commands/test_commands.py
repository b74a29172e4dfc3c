"""`rnn-core transfer` and `rnn-core predict`: a user's own files from the first line to the last prediction."""

from __future__ import annotations

import csv
import io
import json
import pickle
import re
import shutil
import wave
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from rnn_core import SequenceClassifier, cli, load, quantize, save
from rnn_core.inputs.encoding import OOV, Encoding
from rnn_core.inputs.facts import sides_table, words_of
from rnn_core.inputs.reading import How, Raw
from rnn_core.tasks.classify import Classify, Learned
from rnn_core.weights import read_arrays, read_metadata
from transfer.commands import asked, network, run, subject
from transfer.comparing.arms import Trained
from transfer.comparing.data_study import Budget
from transfer.comparing.runs import pretrained
from transfer.inputs.files_study import FilesStudy
from transfer.inputs.gathering import Wanted, gather

SHORT = ["--quick", "--workers", "1", "--methods", "fine-tuned"]
TINY = Budget(source_updates=4, target_updates=4)

GOOD, BAD, REST = ["good", "fine", "lovely"], ["bad", "awful", "dull"], ["the", "film", "was", "very", "and", "it"]


def texts(count: int, seed: int, names=("neg", "pos")) -> list[tuple[str, str]]:
    """Draw texts, and whether they are good or bad."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        words = [*rng.choice(REST, rng.integers(2, 6)), rng.choice(GOOD if k % 2 else BAD)]
        rows.append((" ".join(rng.permutation(words)), names[k % 2]))
    return rows


def table(path, rows, names=("text", "label")):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def json_lines(path, rows):
    path.write_text("".join(json.dumps({"text": text, "label": name}) + "\n" for text, name in rows), encoding="utf-8")
    return path


def ucr(path, count: int, seed: int, names=("1", "2", "3"), ragged: bool = False):
    """Write series: waves of a frequency for each class."""
    rng = np.random.default_rng(seed)
    lines = []
    for k in range(count):
        wave_ = 5 + np.sin(np.arange(12) * (0.3 + 0.5 * (k % len(names))) + rng.random() * 6) + rng.normal(0, 0.1, 12)
        values = [f"{value:.4f}" for value in wave_]
        if ragged and k % 3:
            values[-(k % 3) :] = ["NaN"] * (k % 3)
        lines.append("\t".join([names[k % len(names)], *values]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sounds(folder, names, count: int, rate: int = 800):
    rng = np.random.default_rng(len(names))
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            tone = np.sin(np.arange(80 + number) * (0.2 + 0.4 * k) + rng.random() * 6)
            with wave.open(str(folder / name / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, rate, 0, "NONE", ""))
                file.writeframes((tone * 20000).astype("<i2").tobytes())
    return folder


def transferred(capsys, *arguments) -> str:
    """Run the command, which must succeed, and return what it has printed."""
    capsys.readouterr()
    code = cli.main(["transfer", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def refused(capsys, *arguments, command: str = "transfer") -> str:
    """Run the command, which must refuse, and return its one line."""
    capsys.readouterr()
    assert cli.main([command, *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rnn-core {command}: error: ")
    assert error.count("\n") == 1
    return error


def predicted(capsys, *arguments) -> str:
    capsys.readouterr()
    code = cli.main(["predict", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run from one table of texts to another that has ended, and its folder."""
    folder = tmp_path_factory.mktemp("texts")
    table(folder / "reviews.csv", texts(60, 0))
    json_lines(folder / "tweets.jsonl", texts(40, 1, ("down", "up")))
    json_lines(folder / "test.jsonl", [*texts(30, 2, ("down", "up")), ("unheard words", "up"), ("!!!", "up")])
    words = ["transfer", "--source", folder / "reviews.csv", "--target", folder / "tweets.jsonl"]
    words += ["--test", folder / "test.jsonl", "--quick", "--updates", "20", "--workers", "1", "--out", folder / "out"]
    assert cli.main(list(map(str, words))) == 0
    return folder


def results(folder) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def beside(folder) -> dict:
    """What stands beside the weights."""
    return json.loads(read_metadata(folder / "model.safetensors")["rnn_core.beside"])


def as_it_was(folder) -> dict:
    """The same as earlier versions wrote it, under a key of its own."""
    now = beside(folder)
    reading = {"vocabulary": None, "rate": None, **now["reading"]}
    encoding = {**reading, "mean": [], "scale": [], "tokenizer": now["tokenizer"]}
    return {"version": 1, "classes": now["classes"], **now["record"], "encoding": encoding}


def bare(path) -> SequenceClassifier:
    """The same network, with nothing beside its weights."""
    found = load(path)
    twin = SequenceClassifier(**found.config)
    twin.load_state_dict(found.state_dict())
    return twin


# what comes out


def test_everything_is_written(finished) -> None:
    names = {path.name for path in (finished / "out").iterdir()}
    assert names == {"report.html", "results.json", "differences.png", "saliency.png", "model.safetensors"}
    page = (finished / "out" / "report.html").read_text(encoding="utf-8")
    assert "reviews.csv" in page
    assert "the numbers mean nothing" in page


def test_the_usual_methods_are_compared(finished) -> None:
    found = results(finished / "out")
    methods = [arm["name"] for arm in found["comparison"]["protocol"]["arms"]]
    assert methods == list(asked.USUAL)
    assert found["unsuited"] == {}
    assert found["sides"]["test"]["classes"] == {"down": 15, "up": 17}
    assert found["sides"]["target"]["tokens that the source knows, %"] == 100
    assert set(found["hints"]) == {
        "H-score, source's core", "H-score, fresh core", "LogME, source's core", "LogME, fresh core",
        "LEEP, source's answers",
    }  # fmt: skip
    assert set(found["saliency"]) == {"before transfer", "after transfer"}
    assert found["command"].startswith("rnn-core transfer --source ")
    assert "--quick" in found["command"]


def test_what_is_saved_predicts_as_well_as_it_was_said_to(finished, capsys) -> None:
    """The same numbers come out of a file that was read anew, by other code, as came out of the run."""
    score = results(finished / "out")["saved"]["scores"]["test"]
    out = predicted(capsys, finished / "out" / "model.safetensors", finished / "test.jsonl")
    assert f"{score:.1f} %" in out
    assert beside(finished / "out")["record"]["scores"]["test"] == score


def test_a_balanced_run_is_counted_as_it_was_scored(finished, tmp_path, capsys) -> None:
    rows = [(text, name) for text, name in texts(300, 3) if name == "neg"][:100] + texts(11, 4)
    table(tmp_path / "b.csv", rows)
    out = transferred(
        capsys, "--source", finished / "reviews.csv", "--target", tmp_path / "b.csv", "--test", tmp_path / "b.csv",
        "--balanced", "--updates", 60, *SHORT, "--out", tmp_path / "out",
    )  # fmt: skip
    score = results(tmp_path / "out")["saved"]["scores"]["test"]
    assert f"has {score:.1f} % balanced accuracy on the test examples" in out
    out = predicted(capsys, tmp_path / "out" / "model.safetensors", tmp_path / "b.csv")
    assert f"balanced accuracy, as in the run: {score:.1f} %" in out


def test_no_half_of_a_digit_is_rounded_another_way() -> None:
    """100 · (49 / 80) is a little more than 100 · 49 / 80, and both would be printed."""
    how = Learned(Encoding("ids", vocabulary=2), ("a", "b"), None, "accuracy in %")
    answers = np.tile([1.0, 0.0], (80, 1))
    raw = Raw("ids", 80 * [None], np.repeat([0, 1], [49, 31]), ("a", "b"), ())
    (said,) = Classify().remarks(how, raw, answers, Namespace())
    assert said.endswith(f"has them, {100 * float((raw.labels == 0).mean()):.1f} %")
    foreign = replace(raw, classes=("a", "c"))
    assert "the network does not know are never said: 'c'" in Classify().remarks(how, foreign, answers, Namespace())[0]


def test_predictions_without_classes_are_printed_and_written(finished, tmp_path, capsys) -> None:
    model = finished / "out" / "model.safetensors"
    rows = [(text,) for text, _ in texts(45, 5)]
    table(tmp_path / "new.csv", rows, names=("text",))
    (tmp_path / "lines.txt").write_text("\n".join(text for (text,) in rows) + "\n", encoding="utf-8")
    out = predicted(capsys, model, tmp_path / "new.csv")
    assert "and 5 more; --out writes them all" in out
    assert "45 examples; the file has no classes to compare with" in out
    answers = []
    for file, written in (("new.csv", "a.csv"), ("lines.txt", "b.jsonl")):
        predicted(capsys, model, tmp_path / file, "--out", tmp_path / written)
        text = (tmp_path / written).read_text(encoding="utf-8")
        found = csv.DictReader(io.StringIO(text)) if written == "a.csv" else map(json.loads, text.splitlines())
        answers.append([(row["class"], float(row["probability"])) for row in found])
    assert answers[0] == answers[1]
    assert {name for name, _ in answers[0]} <= {"down", "up"}


def test_classes_of_another_name_are_not_counted_as_wrong(finished, capsys) -> None:
    out = predicted(capsys, finished / "out" / "model.safetensors", finished / "reviews.csv")
    assert "the file's classes, 'neg', 'pos', are none of the network's" in out


def test_the_tokenizer_has_not_seen_the_test(finished) -> None:
    tokens = beside(finished / "out")["tokenizer"]["tokens"]
    assert tokens[0] == OOV
    assert "lovely" in tokens
    assert "unheard" not in tokens
    assert results(finished / "out")["sides"]["test"]["unknown tokens, %"] > 0
    notes = results(finished / "out")["notes"]
    assert any("1 of the target's texts hold no token" in note for note in notes)


def test_a_saved_model_is_a_source_and_rows_go_by_token(finished, tmp_path, capsys) -> None:
    table(tmp_path / "more.csv", [(f"new {text}", name) for text, name in texts(30, 6)])
    model = finished / "out" / "model.safetensors"
    wanted = Wanted(str(tmp_path / "more.csv"), source_model=str(model))
    study = gather(wanted, TINY).study
    target = study.build(0)
    study.copy(study.source, target)
    theirs, ours = words_of(study.source_tokens), words_of(study.target.tokens)
    assert theirs != ours
    for token in ("good", "film"):
        row = target.parameters["embedding.weight"][ours.index(token)]
        np.testing.assert_array_equal(row, study.source.parameters["embedding.weight"][theirs.index(token)])
    out = transferred(
        capsys, "--source-model", model, "--target", tmp_path / "more.csv", "--quick", "--workers", 1, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert "not used here: shuffled labels: a trained model has no labels to shuffle" in out
    assert results(tmp_path / "out")["files"]["source model"] == str(model)


def test_an_existing_folder_is_only_overwritten_when_told_to(finished, tmp_path, capsys, monkeypatch) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    before = (tmp_path / "out" / "results.json").read_bytes()
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    error = refused(capsys, *arguments, "--out", tmp_path / "out")
    assert "must be a folder without results" in error
    assert "--overwrite" in error
    assert (tmp_path / "out" / "results.json").read_bytes() == before
    transferred(capsys, *arguments, "--out", tmp_path / "out", "--overwrite")
    assert (tmp_path / "out" / "results.json").read_bytes() != before


def test_an_interrupted_run_writes_no_results(finished, tmp_path, capsys, monkeypatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "compare", interrupt)
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    assert cli.main(["transfer", *map(str, arguments), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.startswith("rnn-core transfer: interrupted; no results were written, 0 runs of the")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept"]


def test_a_disk_that_fills_up_leaves_the_old_results(finished, tmp_path, capsys, monkeypatch) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(*args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(subject, "save_network", full)
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    assert "No space left" in refused(capsys, *arguments, "--overwrite", "--out", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_too_little_memory_is_said_in_a_line(finished, tmp_path, capsys) -> None:
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    error = refused(capsys, *arguments, "--hidden-size", 10**7, "--out", tmp_path / "out")
    assert "there must be memory enough, got Unable to allocate" in error


# other kinds of data


def test_series_are_standardised_by_their_own_training_part(tmp_path, capsys) -> None:
    ucr(tmp_path / "A_TRAIN.tsv", 30, 0)
    ucr(tmp_path / "B_TRAIN.tsv", 24, 1, ("a", "b"), ragged=True)
    ucr(tmp_path / "B_TEST.tsv", 20, 2, ("a", "b"))
    out = transferred(
        capsys, "--source", tmp_path / "A_TRAIN.tsv", "--target", tmp_path / "B_TRAIN.tsv", "--test",
        tmp_path / "B_TEST.tsv", *SHORT, "--sizes", 24, 4, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "10 / 11 / 12" in out
    numbers = [
        float(value)
        for line in (tmp_path / "B_TRAIN.tsv").read_text(encoding="utf-8").splitlines()
        for value in line.split("\t")[1:]
        if value != "NaN"
    ]
    encoding = beside(tmp_path / "out")["scaling"]
    assert encoding["mean"] == pytest.approx([np.mean(numbers)], rel=1e-6)
    assert encoding["scale"] == pytest.approx([np.std(numbers)], rel=1e-5)
    found = results(tmp_path / "out")
    assert found["comparison"]["protocol"]["sizes"] == [4, 24]
    out = predicted(capsys, tmp_path / "out" / "model.safetensors", tmp_path / "B_TEST.tsv")
    assert f"{found['saved']['scores']['test']:.1f} %" in out
    error = refused(
        capsys, tmp_path / "out" / "model.safetensors", table(tmp_path / "t.csv", texts(4, 0)), command="predict"
    )
    assert "t.csv' must go with" in error
    assert "of the kind 'series', got 'text'" in error


def test_waveforms_and_a_text_that_only_shares_its_recurrence(tmp_path, capsys) -> None:
    (tmp_path / "corpus.txt").write_text("round and round it goes\n" * 20, encoding="utf-8")
    sounds(tmp_path / "machines", ("ok", "worn"), 8)
    out = transferred(
        capsys, "--source", tmp_path / "corpus.txt", "--level", "char", "--target", tmp_path / "machines", "--frame",
        8, *SHORT, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "the recurrent weights alone carry over" in out
    found = results(tmp_path / "out")
    assert found["kind"] == "waveforms"
    assert [row["status"] for row in found["copy"]["rows"]].count("copied") == 1
    model = tmp_path / "out" / "model.safetensors"
    assert "2 examples; the file has" not in predicted(capsys, model, tmp_path / "machines")
    out = predicted(capsys, model, tmp_path / "machines" / "ok" / "3.wav")
    assert "3.wav" in out
    assert "1 example; the file has no classes" in out
    sounds(tmp_path / "other", ("ok",), 1, rate=1600)
    error = refused(capsys, model, tmp_path / "other", command="predict")
    assert "must have 800 samples a second, as those trained on, got 1600" in error


def test_kerass_numbers_and_its_own_test_half(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    halves: dict[str, np.ndarray] = {}
    for part, count in (("train", 40), ("test", 20)):
        rows = np.empty(count, object)
        rows[:] = [(rng.integers(1, 20, rng.integers(3, 9)) + 20 * (k % 2)).tolist() for k in range(count)]
        halves |= {f"x_{part}": rows, f"y_{part}": np.arange(count) % 2}
    np.savez(tmp_path / "imdb.npz", **halves)
    transferred(
        capsys, "--source", tmp_path / "imdb.npz", "--target", tmp_path / "imdb.npz", "--num-words", 30, *SHORT,
        "--out", tmp_path / "out",
    )  # fmt: skip
    found = results(tmp_path / "out")
    assert (found["sides"]["target"]["examples"], found["sides"]["test"]["examples"]) == (40, 20)
    assert found["sides"]["target"]["vocabulary"] == 30
    out = predicted(capsys, tmp_path / "out" / "model.safetensors", tmp_path / "imdb.npz")
    assert f"{found['saved']['scores']['test']:.1f} %" in out
    assert "20 examples" in out
    wanted = Wanted(str(tmp_path / "imdb.npz"), str(tmp_path / "imdb.npz"), num_words=30)
    first = gather(wanted, TINY).study.target
    ids = [1, *(word + 3 for word in halves["x_train"][0])]  # as keras.datasets.imdb.load_data has them
    assert first.inputs[0, : first.lengths[0]].tolist() == [word if word < 30 else 2 for word in ids]


def test_word_vectors_are_where_fresh_embeddings_begin(tmp_path) -> None:
    table(tmp_path / "a.csv", texts(20, 0))
    table(tmp_path / "b.csv", texts(20, 1))
    (tmp_path / "glove.txt").write_text("good 1 2 3\nbad -1 -2 -3\nelsewhere 0 0 0\n", encoding="utf-8")
    wanted = Wanted(str(tmp_path / "b.csv"), str(tmp_path / "a.csv"), vectors=str(tmp_path / "glove.txt"))
    inputs = gather(wanted, TINY)
    kind = "text without a first line of counts, as GloVe's"
    known = {"read as": kind, "numbers a word": 3, "words": len(inputs.encoding.tokens), "known words": 2}
    assert inputs.sides["vectors"] == known
    study = pickle.loads(pickle.dumps(inputs.study))  # workers get it so
    tokens = words_of(study.target.tokens)
    for model in (study.build(0), study.build_source(0)):
        weight = model.parameters["embedding.weight"]
        assert weight[tokens.index("good")].tolist() == [1, 2, 3]
        assert weight[tokens.index("film")].any()


def test_word_vectors_have_an_encoding_of_their_own_and_say_what_was_left_out(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "café,x\nthé,y\n" * 4, encoding="latin-1")
    (tmp_path / "v.txt").write_text("café 1 2\nthé 3 4\ncafé 5 6\n", encoding="utf-8")
    (tmp_path / "w.txt").write_text("café 1 2\nthé 3 4\n", encoding="latin-1")
    path = str(tmp_path / "a.csv")
    wanted = Wanted(path, path, how=How(encoding="latin-1"), source_how=How(encoding="latin-1"))
    inputs = gather(replace(wanted, vectors=str(tmp_path / "v.txt")), TINY)
    assert inputs.sides["vectors"]["known words"] == 2
    assert "--vectors: words that are there again: 1 ('café' in line 3); the first counts" in inputs.notes
    inputs = gather(replace(wanted, vectors=str(tmp_path / "w.txt"), vectors_encoding="latin-1"), TINY)
    assert inputs.sides["vectors"]["known words"] == 2


def test_a_text_that_is_too_long_keeps_its_beginning(tmp_path) -> None:
    table(tmp_path / "a.csv", [("one two three four", "x"), ("five", "y")] * 4)
    inputs = gather(Wanted(str(tmp_path / "a.csv"), str(tmp_path / "a.csv"), max_steps=2), TINY)
    tokens = words_of(inputs.encoding.tokens)
    row = inputs.study.target.inputs[inputs.study.target.targets == 0][0]
    assert [tokens[token] for token in row] == ["one", "two"]
    assert "4 of the target's 8 examples are cut to their first 2 steps" in inputs.notes


def test_learned_test_examples_and_one_large_class_are_told(tmp_path) -> None:
    rows = texts(40, 0)
    table(tmp_path / "a.csv", rows)
    table(tmp_path / "b.csv", texts(20, 1))
    table(tmp_path / "test.csv", [*rows[:9:2], *[(f"a new film {k}", "neg") for k in range(3)], ("another", "pos")])
    wanted = Wanted(str(tmp_path / "b.csv"), str(tmp_path / "a.csv"), test=str(tmp_path / "test.csv"))
    notes = gather(wanted, TINY).notes
    assert any(
        note.startswith("5 of the 9 test examples are among those that the source is trained on") for note in notes
    )
    assert any(note.startswith("88.9 % of the test examples are 'neg'") for note in notes)
    assert not any("always saying so" in note for note in gather(replace(wanted, balanced=True), TINY).notes)
    ucr(tmp_path / "s.tsv", 24, 0)
    series = Wanted(str(tmp_path / "s.tsv"), str(tmp_path / "s.tsv"), test=str(tmp_path / "s.tsv"))
    assert sum(note.startswith("24 of the 24 test") for note in gather(series, TINY).notes) == 2


def test_columns_of_the_source_may_have_other_names(tmp_path) -> None:
    table(tmp_path / "a.tsv", [], ())
    (tmp_path / "a.tsv").write_text("verdict\tbody\nx\tgood film\ny\tbad film\n" * 1, encoding="utf-8")
    table(tmp_path / "b.csv", texts(8, 0))
    how = How(text="body", label="verdict")
    study = gather(Wanted(str(tmp_path / "b.csv"), str(tmp_path / "a.tsv"), source_how=how), TINY).study
    assert study.labelled_source.classes == ("x", "y")
    assert study.target.classes == ("neg", "pos")


def test_many_classes_are_counted_and_not_listed() -> None:
    counts = dict.fromkeys("abcde", 6)
    assert "│ 5, of 6 each " in sides_table({"target": {"classes": counts}}, {})
    assert "│ 5, of 6 to 7 " in sides_table({"target": {"classes": {**counts, "e": 7}}}, {})


# the network that is saved


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
        found.append(network.choose(
            study, len(study.target), network.trial(study), arms, pretrained(study, 0, arms), lambda line: None
        ))
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


# bad input


def test_the_list_of_methods(capsys) -> None:
    out = transferred(capsys, "--list")
    assert "anchored, chosen" in out
    assert "control: a fresh core that stays" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "b.csv"], "one of --source and --source-model must be given, got neither"),
        (["--source", "a.csv"], "--target must be given"),
        (["--source", "a.csv", "--target", "none.csv"], "--target must be an existing file or folder, got 'none.csv'"),
        (["--source", "a.csv", "--target", "b.csv", "--seeds", "1"], "--seeds must be at least 2"),
        (["--source", "a.csv", "--target", "b.csv", "--rate", "0"], "--rate must be above 0, got 0.0"),
        (
            ["--source", "a.csv", "--target", "b.csv", "--sizes", "1"],
            "--sizes must be from 2, an example a class, to 15",
        ),
        (
            ["--source", "a.csv", "--target", "b.csv", "--test-share", "1"],
            "--test-share must be between 0 and 1, got 1",
        ),
        (
            ["--source", "a.csv", "--target", "b.csv", "--methods", "froze core"],
            "--methods must be a method, got 'froze core'; did you mean 'frozen core'?",
        ),
        (
            ["--source", "corpus.txt", "--target", "b.csv", "--methods", "CORAL"],
            "'CORAL' can't be used here: a text brings no examples of its classes",
        ),
        (
            ["--source", "a.csv", "--target", "corpus.txt"],
            "must hold examples and their classes, got a single .txt file",
        ),
        (["--source", "tiny.txt", "--target", "b.csv"], "--source must hold at least 64 tokens of text, got 2"),
        (["--source", "empty.csv", "--target", "b.csv"], "empty.csv' must hold at least a line, got none"),
        (["--source", "empty.tsv", "--target", "b.csv"], "error: reading: 'empty.tsv' must hold at least a line"),
        (["--source", "latin.csv", "--target", "b.csv"], "latin.csv', line 3, must be utf-8, got byte 0xe9"),
        (["--source", "long.csv", "--target", "b.csv"], "long.csv', line 10000, must have 2 columns"),
        (["--source", "a.csv", "--target", "one.csv"], "--target must have two classes or more, got 'neg' alone"),
        (["--source", "a.csv", "--target", "rare.csv"], "two examples of each class to be split"),
        (["--source", "a.csv", "--target", "rare.csv"], "got 1 of 'rare'"),
        (["--source", "a.csv", "--target", "rare.csv", "--test", "b.csv"], "--test must have an example of each class"),
        (["--source", "a.csv", "--target", "b.csv", "--test", "rare.csv"], "got 'rare' as well"),
        (["--source", "a.csv", "--target", "b.csv", "--text", "body"], "must name the column 'body' once"),
        (["--source", "a.csv", "--target", "greek.csv"], "--target must have a token in common with the source"),
        (["--source", "corpus.txt", "--target", "greek.csv"], "got none: 'αβγ', 'δεζ'… against 'was', 'the', "),
        (["--source", "a.csv", "--target", "b.csv", "--vectors", "empty"], "--vectors must be a file, got the folder"),
        (["--source", "empty", "--target", "b.csv"], "must hold .txt files or .wav, .flac, .ogg files, got neither"),
        (
            ["--source", "a.csv", "--target", "s.tsv", "--test", "wide.ts"],
            "--test must go with --target, got 'wide.ts': examples must have 1 features a step, got 2",
        ),
        (["--source", "model.safetensors", "--target", "b.csv"], "a saved model is for --source-model"),
        (["--source-model", "nan.safetensors", "--target", "s.tsv"], "nan.safetensors' is damaged: the array 'rnn"),
        (["--source-model", "words.safetensors", "--target", "b.csv"], "its vocabulary is not known"),
        (
            ["--source-model", "int8.safetensors", "--target", "s.tsv"],
            "--source-model must have its weights in float32 or float64, got int8 in 'int8.safetensors'; take the file",
        ),
        (
            ["--source-model", "model.safetensors", "--target", "s.tsv", "--cell", "gru"],
            "--cell must be the source model's, lstm, got gru",
        ),
        (["--source", "s.tsv", "--target", "s.tsv", "--vectors", "a.csv"], "--vectors must go with words"),
        (
            ["--source", "a.csv", "--target", "b.csv", "--vectors-encoding", "latin-1"],
            "--vectors-encoding must be left out without --vectors",
        ),
        (
            ["--source", "corpus.txt", "--target", "b.csv", "--bidirectional", "--layers", "2"],
            "--bidirectional must be left out with a text without classes",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, message, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_compute", lambda *a: pytest.fail("computed"))
    table(tmp_path / "a.csv", texts(20, 0))
    table(tmp_path / "b.csv", texts(20, 1))
    table(tmp_path / "one.csv", [("film", "neg")] * 4)
    table(tmp_path / "rare.csv", [*texts(10, 0), ("film", "rare")])
    table(tmp_path / "greek.csv", [("αβγ", "x"), ("δεζ", "y")] * 4)
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "empty.tsv").write_text("", encoding="utf-8")
    (tmp_path / "tiny.txt").write_text("too short", encoding="utf-8")
    (tmp_path / "corpus.txt").write_text("the film was very good and it was bad\n" * 20, encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes("text,label\nfine,1\ncafé,0\n".encode("latin-1"))
    (tmp_path / "long.csv").write_text("text,label\n" + "fine,1\n" * 9_998 + "broken\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "wide.ts").write_text("@data\n" + "".join(f"1,2:3,4:{k}\n" for k in (1, 2, 3)), encoding="utf-8")
    ucr(tmp_path / "s.tsv", 12, 0)
    model = SequenceClassifier(2, 4, input_size=1, seed=0)
    save(model, tmp_path / "model.safetensors")
    save(quantize(model), tmp_path / "int8.safetensors")
    save(SequenceClassifier(2, 4, vocab_size=5, seed=0), tmp_path / "words.safetensors")
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "nan.safetensors").write_bytes(data[:-4] + np.array([np.nan], "<f4").tobytes())
    before = {path.name for path in tmp_path.iterdir()}
    error = refused(capsys, *arguments, "--quick")
    assert message in error
    assert {path.name for path in tmp_path.iterdir()} == before


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
