"""The commands on texts as people have them: what is said, by the names of the options, and what is refused."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from rnn_core import SequenceClassifier, cli
from rnn_core.data.files import read_texts
from rnn_core.inputs.encoding import MOST_IDS, Encoding, for_texts
from rnn_core.inputs.how import How
from rnn_core.inputs.kinds import kind_of
from rnn_core.inputs.reading import read, read_to_predict
from rnn_core.inputs.tables import check_table_options, table_options
from transfer.commands.transfer import Transfer
from transfer.comparing.data_study import Budget
from transfer.inputs.gathering import Wanted, gather
from transfer.inputs.saved import Saved, save_network

TINY = Budget(source_updates=1, target_updates=1)
ROWS = "".join(f"a {word} film,{label}\n" for word, label in (("fine", "pos"), ("dull", "neg")) * 4)


def write(folder, name: str, text: str):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def table(tmp_path) -> str:
    return write(tmp_path, "a.csv", "text,label\n" + ROWS)


def refused(capsys, *arguments) -> str:
    assert cli.main([*map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert len(error) < 500
    return error


@pytest.fixture
def network(tmp_path) -> str:
    """A network as a run saves it."""
    encoding = for_texts(["fine dull film"], "word", None, True, None)
    model = SequenceClassifier(num_classes=2, hidden_size=3, vocab_size=len(encoding.tokens), cell="rnn", seed=0)
    save_network(model, Saved(("neg", "pos"), encoding, "scratch", "accuracy", {}), tmp_path / "m.safetensors")
    return str(tmp_path / "m.safetensors")


# the options' names


def test_errors_name_the_options_as_they_are_typed(tmp_path, table, capsys) -> None:
    other = write(tmp_path, "b.csv", "review,verdict\nfine,1\n")
    said = refused(capsys, "transfer", "--source", other, "--target", table, "--source-text", "body")
    assert "must name the column 'body' once, got 'review, verdict'; --source-text and --source-label say" in said
    said = refused(capsys, "transfer", "--source", table, "--target", other, "--source-text", "text")
    assert (
        "must name the column 'text' once, got 'review, verdict'; --text and --label say which columns to read, "
        in said
    )
    assert "--separator what parts them (here a comma), --no-header that there are no names" in said
    missing = write(tmp_path, "c.csv", "text,label\nfine,NA\n")
    said = refused(capsys, "transfer", "--source", missing, "--target", table, "--source-label", "label")
    assert (
        "got 'NA', as pandas writes a missing one; leave the row out or, if it is a class, say so: --keep-missing"
        in said
    )
    said = refused(capsys, "transfer", "--source", missing, "--target", table, "--keep-missing-labels")
    assert "--source must have two classes or more, got 'NA' alone" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep-case"], "--keep-case must be left out with this --source-model, which reads capital letters"),
        (["--source-text", "x"], "--source-text must be left out with --source-model, which has learned already"),
        (["--source-updates", "9"], "--source-updates must be left out with --source-model"),
        (["--source-rate", "0.1"], "--source-rate must be left out with --source-model"),
        (["--frame", "9"], "--frame must be left out where nothing is of the kind waveforms, got text"),
    ],
)
def test_options_without_effect_beside_a_model(table, network, tmp_path, capsys, options, message) -> None:
    assert message in refused(capsys, "transfer", "--source-model", network, "--target", table, *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep-case"], "--keep-case must be left out where nothing is of the kind text, got series"),
        (["--level", "char"], "--level must be left out where nothing is of the kind text, got series"),
        (["--num-words", "9"], "--num-words must be left out where nothing is of the kind ids or text, got series"),
        (["--label", "9"], "--label must be left out where there is no table (.csv, .tsv, .jsonl, .ndjson), got a.ts"),
        (["--no-header"], "--no-header must be left out where there is no table"),
        (["--separator", "tab"], "--separator must be left out where there is no table"),
    ],
)
def test_options_without_effect_on_series(tmp_path, capsys, options, message) -> None:
    series = write(tmp_path, "a.ts", "@data\n" + "1,2,3:a\n3,2,1:b\n" * 4)
    assert message in refused(capsys, "transfer", "--source", series, "--target", series, *options)


def test_a_test_share_has_no_effect_where_there_is_a_half_to_test_on(tmp_path, table, capsys) -> None:
    for half in ("train", "test"):
        for name in ("neg", "pos"):
            write(tmp_path, f"imdb/{half}/{name}/0.txt", f"a {name} film")
    wanted = Wanted(str(tmp_path / "imdb"), table)
    inputs = gather(wanted, TINY)
    assert [inputs.sides[side]["examples"] for side in ("target", "test")] == [2, 2]
    assert sum("has its classes in train and in test" in note for note in inputs.notes) == 2
    said = refused(capsys, "transfer", "--source", table, "--target", tmp_path / "imdb", "--test-share", "0.5")
    assert "--test-share must be left out where --target has a half to test on" in said


def test_one_side_may_have_names_where_the_other_has_none(tmp_path, table) -> None:
    bare = write(tmp_path, "b.tsv", "a fine film\t1\na dull film\t0\n" * 4)
    parser = argparse.ArgumentParser()
    Transfer().add_arguments(parser)
    for options, ours, theirs in (
        (["--no-header", "--text", "1", "--label", "2"], ("1", "2", False), ("1", "2", False)),
        (
            ["--no-header", "--text", "1", "--label", "2", "--source-text", "text", "--source-label", "label"],
            ("1", "2", False),
            ("text", "label", True),
        ),
        (["--no-header", "--source-text", "1"], ("text", "label", False), ("1", "label", False)),
    ):
        args = parser.parse_args(["--source", table, "--target", bare, *options])
        check_table_options(args, (bare,), table)
        for source, how in ((False, ours), (True, theirs)):
            found = How(**table_options(args, source))
            assert (found.text, found.label, found.header) == how
    args = parser.parse_args(["--no-header", "--text", "body"])
    with pytest.raises(ValueError, match=r"--no-header must go with the numbers of columns, .*, got 'body'"):
        check_table_options(args, (bare,), table)


# what is read


def test_tables_of_every_cut_reach_the_reader(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "pos|a fine film\nneg|a dull film\nNA|a film\n")
    how = How(text="2", label="1", header=False, separator="|", keep_missing_labels=True)
    assert read(path, how).classes == ("NA", "neg", "pos")
    parser_says = ["--text", "2", "--label", "1", "--no-header", "--separator", "bar", "--keep-missing-labels"]
    wanted = ["transfer", "--source", path, "--target", path, *parser_says]
    assert cli.main([*wanted, "--out", str(tmp_path / "out"), "--test-share", "2"]) == 2  # it is read as far as this


def test_remarks_of_the_readers_are_among_the_notes(tmp_path, table) -> None:
    for name in ("neg/a.txt", "pos/b.txt", "neg/c.txt", "pos/d.txt", "pos/._d.txt", "__MACOSX/a.txt"):
        write(tmp_path, f"folder/{name}", f"a {name} film")
    inputs = gather(Wanted(str(tmp_path / "folder"), table), TINY)
    assert any(note.startswith("--target: 2 names of a system's own left out of '") for note in inputs.notes)
    mixed = write(tmp_path, "mixed.csv", "text,label\n" + ROWS + ROWS.replace("pos", "Pos"))
    inputs = gather(Wanted(table, mixed), TINY)
    assert any(note.startswith("--source: '") and "'Pos', 'pos'" in note for note in inputs.notes)


def test_empty_texts_of_either_side_are_counted(tmp_path) -> None:
    for folder in ("a", "b"):
        for k, name in enumerate(("neg", "pos") * 3):
            write(tmp_path, f"{folder}/{name}/{k}.txt", "" if k < 2 and folder == "b" else f"a {name} film {k}")
    empty, full = str(tmp_path / "b"), str(tmp_path / "a")
    said = "2 of the {}'s texts hold no token and are read as one unknown one"
    assert said.format("source") in gather(Wanted(full, empty), TINY).notes
    assert said.format("target") in gather(Wanted(empty, full), TINY).notes


def test_a_headerless_table_of_texts_is_not_taken_for_series(tmp_path) -> None:
    how = How()
    for text, kind in (
        ("a fine film\t1\n", "text"),
        ("a fine film\tpos\n", "text"),
        ("text\tlabel\na fine film\t1\n", "text"),
        ("\n1\t0.5\t0.25\n", "series"),
        ("-1\t0.5\n", "series"),
        ("walking\t0.5\t0.25\t3\n", "series"),
        ("1\t0.5\tNaN\n", "series"),
    ):
        assert kind_of(write(tmp_path, "a.tsv", text), how) == kind
        assert kind_of(write(tmp_path, "a.tsv", text), How(kind="series")) == "series"
    path = write(tmp_path, "a.tsv", "a fine film\t1\na dull film\t0\n")
    with pytest.raises(ValueError, match=r"must name the column 'text' once, .*--no-header that there are no names"):
        read(path, how)
    assert read(path, How(text="1", label="2", header=False)).rows == ["a fine film", "a dull film"]


def test_a_text_of_numbers_is_not_learned_as_prose(tmp_path, table, capsys) -> None:
    coffee = write(tmp_path, "Coffee_TRAIN.txt", "  1.0 -0.51 -0.55\n  0.0 -0.42 -0.5\n" * 40)
    said = refused(capsys, "transfer", "--source", coffee, "--target", table)
    assert "Coffee_TRAIN.txt' must be a text, got numbers, 100 % of its first words; --kind series reads it as" in said
    wanted = Wanted(table, coffee, source_how=How(kind="text"))
    with pytest.raises(ValueError, match=r"--target must have a token in common with the source"):
        gather(wanted, TINY)  # read as a text, as was asked for
    numbers = write(tmp_path, "n.csv", "text,label\n" + "1.5 2.5 3,a\n2 3 4 film,b\n" * 4)
    notes = gather(Wanted(numbers, table), TINY).notes
    assert "--target: 86 % of the first words are numbers" not in "".join(notes)
    numbers = write(tmp_path, "n.csv", "text,label\n" + "1.5 2.5 3,a\n2 3 4 5 6 7 8 film,b\n" * 4)
    notes = gather(Wanted(numbers, table), TINY).notes
    assert "--target: 91 % of the first words are numbers; --kind series reads series" in notes


# Keras's numbers


def ids(path, rows) -> str:
    objects = np.empty(len(rows), object)
    objects[:] = rows
    labels = np.arange(len(rows)) % 2
    np.savez(path, x_train=objects, y_train=labels, x_test=objects, y_test=labels)
    return str(path)


def test_a_vocabulary_does_not_take_the_memory(tmp_path) -> None:
    usual, odd = ids(tmp_path / "a.npz", [[1, 2, 3], [2, 3, 9]] * 2), ids(tmp_path / "b.npz", [[1, 2], [3, 10**12]])
    message = (
        rf"--target must have numbers of words below {MOST_IDS:,}, .*, got 1,000,000,000,000 in text 2; --num-words"
    )
    with pytest.raises(ValueError, match=message):
        gather(Wanted(odd, usual), TINY)
    with pytest.raises(ValueError, match=r"--source must have numbers of words below"):
        gather(Wanted(usual, odd), TINY)
    with pytest.raises(ValueError, match=r"--num-words must be at most 1,000,000, got 1,000,000,000,000"):
        gather(Wanted(usual, odd, num_words=10**12), TINY)
    assert gather(Wanted(odd, usual, num_words=10), TINY).encoding.vocabulary == 10
    stored = Encoding("ids", vocabulary=10).as_dict() | {"vocabulary": 10**12}
    with pytest.raises(ValueError, match=r"its vocabulary must be at most 1,000,000, got 1,000,000,000,000"):
        Encoding.from_dict(stored)


# predict


def test_some_labels_may_be_missing_where_classes_are_predicted(tmp_path, network, capsys) -> None:
    tables = {
        "a.csv": "text,label\na fine film,pos\na dull film,\nfilm,NaN\ndull,neg\n",
        "a.jsonl": "".join(
            json.dumps({"text": "film", **label}) + "\n"
            for label in ({}, {"label": None}, {"label": "pos"}, {"label": "neg"})
        ),
    }
    for name, text in tables.items():
        assert cli.main(["predict", network, write(tmp_path, name, text)]) == 0
        out = capsys.readouterr().out
        assert " of the 2 that have a label told as the file has them, " in out
    none = write(tmp_path, "b.csv", "text,label\na fine film,\ndull,NaN\n")
    assert cli.main(["predict", network, none]) == 0
    assert "2 examples; the file has no classes to compare with" in capsys.readouterr().out


def test_a_column_of_labels_that_was_named_must_be_there(tmp_path, network, capsys) -> None:
    path = write(tmp_path, "a.csv", "text,tag\na fine film,pos\n")
    assert cli.main(["predict", network, path]) == 0
    capsys.readouterr()
    assert "must name the column 'label' once" in refused(capsys, "predict", network, path, "--label", "label")
    assert "--label must be left out where there is no table" in refused(
        capsys, "predict", network, write(tmp_path, "x.txt", "fine"), "--label", "label"
    )


def test_predict_reads_the_half_to_test_on(tmp_path) -> None:
    for name in ("train/neg/0.txt", "train/pos/1.txt", "test/neg/2.txt", "test/pos/3.txt"):
        write(tmp_path, name, "film")
    found = read_to_predict(str(tmp_path), How("text"))
    assert (found.places, found.labels.tolist()) == (("test/neg/2.txt", "test/pos/3.txt"), [0, 1])
    assert found.notes == (f"{str(tmp_path)!r} has its classes in train and in test: test is read",)


def test_predict_says_what_was_left_out(tmp_path, network, capsys) -> None:
    for name in ("neg/a.txt", "pos/b.txt", "pos/._b.txt"):
        write(tmp_path, f"f/{name}", "film")
    assert cli.main(["predict", network, str(tmp_path / "f")]) == 0
    assert "note: one name of a system's own left out of" in capsys.readouterr().out


def test_the_api_and_the_commands_read_the_same(table) -> None:
    found = read_texts(table)
    assert read(table, How()).rows == found.texts


def test_missing_labels_of_series_can_be_kept_as_the_error_says(tmp_path, capsys):
    series = write(tmp_path, "s.txt", "NA 1 2 3\nx 2 3 4\n")
    other = ("--source", series, "--target", series, "--kind", "series")
    assert "--keep-missing-labels" in refused(capsys, "transfer", *other)
    said = refused(capsys, "transfer", *other, "--keep-missing-labels")  # too few examples, and no word of the option
    assert "--keep-missing-labels" not in said


def test_each_option_on_tables_needs_a_file_that_heeds_it(tmp_path, table, capsys):
    lines = write(tmp_path, "a.jsonl", '{"text": "a", "label": 1}\n')
    folder = str(tmp_path / "folder")
    for name in ("neg/a.txt", "pos/b.txt"):
        write(tmp_path, f"folder/{name}", "a film")
    for options, words in (
        (("--source", lines, "--target", lines, "--separator", "tab"), "--separator must be left out where"),
        (("--source", lines, "--target", lines, "--no-header"), "--no-header must be left out where there is no table"),
        (("--source", folder, "--target", table, "--source-text", "x"), "--source-text must be left out where"),
        (
            ("--source", table, "--source-text", "text", "--target", folder, "--text", "x"),
            "--text must be left out where there is no table (.csv, .tsv, .jsonl, .ndjson), got folder",
        ),
    ):
        assert words in refused(capsys, "transfer", *options)


def test_a_label_that_no_object_has_is_an_error(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "a", "kind": 1}\n{"text": "b"}\n')
    with pytest.raises(ValueError, match=r"line 2, must have the keys 'text' and 'lable', got text; .*label"):
        read_texts(path, label="lable", allow_unlabelled=True)
    assert read_texts(path, label="kind", allow_unlabelled=True).labels.tolist() == [0, -1]
    with pytest.raises(ValueError, match="must have the keys 'text' and 'lable'"):
        read_to_predict(path, How(label="lable"), labelled=True)
