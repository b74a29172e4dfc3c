"""Texts as people have them: exported by spreadsheets and pandas, unpacked on a Mac, written by a scraper."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from rnn_core.data.files import FileWarning, read_texts
from rnn_core.data.files.folders import has_halves
from rnn_core.data.files.labels import MISSING, classes_of, order
from rnn_core.data.files.lines import Unread
from rnn_core.data.files.texts import has_labels


def write(folder, name: str, text: str | bytes):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(call, *arguments, **options) -> str:
    """The message of an error: one line, and short."""
    with pytest.raises(ValueError, match=r".") as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


# tables


@pytest.mark.parametrize("head", ["Text,Label", " text , label ", "\ufeffTEXT,LABEL", '"Text","Label"', "TEXT ,Label,"])
def test_names_of_columns_without_regard_to_case_and_blanks(tmp_path, head) -> None:
    found = read_texts(write(tmp_path, "a.csv", f"{head}\r\nfine,1\r\ndull,0\r\n"))
    assert (found.texts, found.labels.tolist(), found.classes) == (["fine", "dull"], [1, 0], ("0", "1"))


def test_a_name_to_the_letter_comes_first_and_two_that_fit_are_refused(tmp_path) -> None:
    assert read_texts(write(tmp_path, "a.csv", "Text,text,label\nno,yes,1\n")).texts == ["yes"]
    message = refused(read_texts, write(tmp_path, "a.csv", "Text,TEXT,label\nno,yes,1\n"))
    assert "line 1, must name the column 'text' once, got 'Text, TEXT, label'; text and label say which" in message


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_another_separator_is_found_out_where_it_alone_fits(tmp_path, separator, quote) -> None:
    rows = [("text", "label"), ("well, fine", "1"), ("dull", "0")]
    text = "".join(separator.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in rows)
    path = write(tmp_path, "a.csv", text)
    assert has_labels(path)
    found = read_texts(path)
    assert (found.texts, found.labels.tolist()) == (["well, fine", "dull"], [1, 0])
    assert read_texts(path, separator=separator).texts == found.texts
    assert read_texts(path, label=None).texts == found.texts


def test_a_separator_that_is_not_clear_is_asked_for(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "text;label\nfine;1\n")
    assert "must name the column 'tag' once, got 'text, label'" in refused(read_texts, path, label="tag")
    assert "what parts them (here a semicolon)" in refused(read_texts, path, label="tag")
    path = write(tmp_path, "a.csv", "text:label:x\nfine:1\n")
    assert "{" not in refused(read_texts, path)
    assert "separator what parts them (here a comma), header that there are no names" in refused(read_texts, path)
    assert "separator must be one of a comma, a semicolon, a tab, a bar, got ':'" in refused(
        read_texts, path, separator=":"
    )
    usual = write(tmp_path, "b.csv", 'text,label,"text;label"\nfine,1,x\n')  # both would do, so the usual one does
    assert read_texts(usual).texts == ["fine"]
    assert read_texts(write(tmp_path, "a.tsv", "text,label\nfine,1\n")).texts == ["fine"]


def test_a_table_without_a_line_of_names(tmp_path) -> None:
    path = write(tmp_path, "a.csv", '"well, fine",1,x\ndull,0,y\n')
    found = read_texts(path, text="1", label="2", header=False)
    assert (found.texts, found.labels.tolist(), found.places) == (["well, fine", "dull"], [1, 0], ("line 1", "line 2"))
    semicolons = write(tmp_path, "b.csv", "well, fine;1\ndull;0\n")  # one comma is not in every row
    assert read_texts(semicolons, text="1", label="2", header=False).texts == ["well, fine", "dull"]
    assert has_labels(path, text="1", label="3", header=False)
    assert not has_labels(path, text="1", label="4", header=False)
    for text, label in (("text", "label"), ("0", "1"), ("1", "4"), ("1", "9" * 30)):
        message = refused(read_texts, path, text=text, label=label, header=False)
        assert (
            f"must have columns {text} and {label}, numbers from 1 to 3, got 'well, fine, 1, x'; without a" in message
        )


def test_separators_too_many_at_the_end(tmp_path) -> None:
    """As spreadsheets leave them: behind all rows, behind some, and rows of nothing else."""
    for text in (
        "text,label\nfine,1,\ndull,0,,\n",
        "text,label,\nfine,1\ndull,0,\n",
        ",,\ntext,label,\n,,\nfine,1,\ndull,0,\n,,\n",
    ):
        assert read_texts(write(tmp_path, "a.csv", text)).texts == ["fine", "dull"]
    message = refused(read_texts, write(tmp_path, "a.csv", "text,label,\nfine,1,x,y\n"))
    assert "line 2, must have 3 columns, as the first line, got 4; put a text that has a comma" in message
    assert "got 1" in refused(read_texts, write(tmp_path, "a.csv", "text,label,\nfine\n"))


def test_a_quotation_mark_that_stays_open_is_named_where_it_opens(tmp_path) -> None:
    rows = [f"fine {k},1\n" for k in range(2, 1000)]
    path = write(tmp_path, "a.csv", "text,label\n" + "".join(rows[:8]) + '"open,1\n' + "".join(rows[9:]))
    message = refused(read_texts, path)
    assert "line 10, must be a row of a table, got a quotation mark that opens there and is not closed" in message
    closed = write(
        tmp_path, "b.csv", "text,label\n" + "".join(rows[:8]) + '"open,1\n' + "".join(rows[9:20]) + 'a "b",1\n'
    )
    message = refused(read_texts, closed)
    assert "line 22, must be a row of a table" in message
    assert "begins in line 10" in message
    wide = write(tmp_path, "c.csv", 'text,label\n"open,1\nfine,1\nmore",1,2\n')
    assert "line 4, must have 2 columns, as the first line, got 3 (the row begins in line 2" in refused(
        read_texts, wide
    )


def test_line_ends_of_an_old_mac(tmp_path) -> None:
    message = refused(read_texts, write(tmp_path, "a.csv", "text,label\rfine,1\rdull,0\r"))
    assert "got line ends of an old Mac; save it with others" in message


@pytest.mark.parametrize("name", [" ", *sorted(MISSING)])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_a_label_that_says_there_is_none_is_refused(tmp_path, kind, name) -> None:
    if kind == "jsonl":
        path = write(
            tmp_path, "a.jsonl", json.dumps({"text": "b", "label": 1}) + "\n" + json.dumps({"text": "a", "label": name})
        )
    else:
        path = write(tmp_path, f"a.{kind}", "text,label\nb,1\na,".replace(",", "," if kind == "csv" else "\t") + name)
    message = refused(read_texts, path)
    assert "line 2" in message if kind == "jsonl" else "line 3" in message
    assert "must have a label in column 'label', got" in message
    assert ("keep_missing_labels" in message) == (name != " ")
    assert read_texts(path, allow_unlabelled=True).labels.tolist() == [0, -1]
    if name != " ":
        found = read_texts(path, keep_missing_labels=True)
        assert set(found.classes) == {"1", name}
    else:
        refused(read_texts, path, keep_missing_labels=True)


def test_what_pandas_writes_is_what_is_refused() -> None:
    assert {"nan", "NaN", "NA", "N/A", "<NA>", "None", "null", "NaT"} <= MISSING
    assert not MISSING & {"none", "no", "n", "0", "unknown", "Nana"}


# JSON Lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x", "label": NaN}', "must have a label in column 'label', got 'nan', as pandas writes"),
        ('{"text": "x", "label": ""}', "must have a label in column 'label', got none"),
        ('{"text": "x", "label": null}', "must have a label in column 'label', got none"),
        ('{"text": "x", "label": -Infinity}', "must have a label under 'label', got -inf"),
        ('{"text": "x", "label": [1]}', "must have a label under 'label', got [1]; label names another key"),
        ('{"text": "\\ud83d", "label": 1}', "must be text, got half a character (\\ud83d) at position 0"),
        ('{"text": "x", "label": "a\\udc00"}', "must be text, got half a character (\\udc00) at position 1"),
        ('{"text": "x", "tag": 1}', "must have the keys 'text' and 'label', got text, tag; text and label name them"),
        ('{"text": "x", "label": ' + "[" * 100_000, 'must be JSON of a sensible depth, got \'{"text"'),
        ("[" * 100_000, "must be JSON of a sensible depth"),
        ('{"a":' * 100_000, "must be JSON of a sensible depth"),
        ('{"text": "x", "label": ' + "9" * 10_000 + "}", "must be JSON, got"),
        (
            "{" + ", ".join(f'"{k}": 1' for k in range(10_000)) + "}",
            "must have the keys 'text' and 'label', got 0, 1, 2",
        ),
        ('{"text": ' + "9" * 4000 + ', "label": 1}', "must have a string under 'text', got 999"),
    ],
)
def test_a_line_that_is_no_example_is_named_in_one_short_line(tmp_path, line, message) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "fine", "label": 1}\n\n' + line + "\n")
    found = refused(read_texts, path)
    assert f"a.jsonl', line 3, {message}" in found


def test_keys_without_regard_to_case(tmp_path) -> None:
    path = write(tmp_path, "a.jsonl", '{"Text": "a", "LABEL": 1}\n{"text": "b", "label": 2}\n')
    assert read_texts(path).texts == ["a", "b"]
    assert has_labels(path)


def test_some_objects_may_have_no_label(tmp_path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": "b", "label": null}\n{"text": "c", "label": "x"}\n')
    assert has_labels(path)
    assert read_texts(path, allow_unlabelled=True).labels.tolist() == [-1, -1, 0]
    assert not has_labels(write(tmp_path, "b.jsonl", '{"text": "a"}\n'))


# labels


def test_labels_that_look_like_one_are_said_to_be_several(tmp_path) -> None:
    table = "text,label\na,1\nb,1.0\nc,01\nd,Pos\ne,pos\nf,2\n"
    with pytest.warns(FileWarning) as caught:
        found = read_texts(write(tmp_path, "a.csv", table))
    said = [str(warning.message) for warning in caught]
    assert len(said) == 2
    assert "a.csv' has the labels '01', '1', '1.0', which are different classes, as they are spelled" in said[0]
    assert "has the labels 'Pos', 'pos', which are different classes" in said[1]
    assert found.classes == ("01", "1", "1.0", "2", "Pos", "pos")


def test_a_number_and_its_spelling_are_said_to_be_one(tmp_path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": "1"}\n')
    with pytest.warns(FileWarning, match=r"has the labels 1 and '1', which are one class, '1'"):
        assert read_texts(path).labels.tolist() == [0, 0]


def test_the_order_of_classes_is_total() -> None:
    names = ["1", "01", "1.0", "10", "9", "-3", "1e0", "nan", "inf", "a", "B", "", "²", "9" * 5000, "1_0", " 1"]
    assert len({order(name) for name in names}) == len(names)
    expected = classes_of(names)
    assert expected[:5] == ("-3", " 1", "01", "1", "1.0")
    shuffler = random.Random(0)
    for _ in range(50):
        shuffler.shuffle(names)
        assert classes_of(names) == expected
    assert all(classes_of(pair) == classes_of(pair[::-1]) for pair in itertools.combinations(names, 2))


def test_the_order_does_not_depend_on_the_hash_seed(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "text,label\n" + "".join(f"x,{name}\n" for name in ("1", "01", "1.0", "b", "a")))
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        f"from rnn_core.data.files import read_texts; print(read_texts({str(path)!r}).classes)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert said == {b"('01', '1', '1.0', 'a', 'b')" + os.linesep.encode()}


# folders


def test_what_a_system_keeps_for_itself_is_left_out_and_counted(tmp_path) -> None:
    for name in (
        "neg/a.txt", "neg/._a.txt", "pos/b.txt", "pos/.DS_Store", "pos/Thumbs.db", "pos/deep/c.txt",
        ".ipynb_checkpoints/a.txt", "__MACOSX/neg/._a.txt", ".DS_Store",
    ):  # fmt: skip
        write(tmp_path, name, name)
    with pytest.warns(FileWarning, match=r"read_texts: 6 names of a system's own left out of '.*': '\.DS_Store'"):
        found = read_texts(tmp_path)
    assert found.places == ("neg/a.txt", "pos/b.txt", "pos/deep/c.txt")
    assert found.classes == ("neg", "pos")
    with pytest.warns(FileWarning, match=r"6 names of a system's own left out"):
        assert read_texts(tmp_path, label=None).places == found.places


def test_a_folder_named_as_a_missing_label(tmp_path) -> None:
    for name in ("nan/a.txt", "pos/b.txt"):
        write(tmp_path, name, name)
    message = refused(read_texts, tmp_path)
    assert "must have subfolders named as classes, got 'nan', as pandas writes a missing label; rename" in message
    assert read_texts(tmp_path, keep_missing_labels=True).classes == ("nan", "pos")
    write(tmp_path, " /c.txt", "x")
    assert "got ' '; rename it" in refused(read_texts, tmp_path, keep_missing_labels=True)


def test_an_empty_file_is_an_empty_text_as_in_a_table(tmp_path) -> None:
    write(tmp_path, "neg/a.txt", "")
    write(tmp_path, "pos/b.txt", "fine")
    assert read_texts(tmp_path).texts == ["", "fine"]
    assert read_texts(write(tmp_path, "a.csv", "text,label\n,neg\nfine,pos\n")).texts == ["", "fine"]


def test_the_root_of_imdb_has_two_halves(tmp_path) -> None:
    for name in (
        "train/neg/0.txt",
        "train/pos/1.txt",
        "train/unsup/2.txt",
        "test/neg/3.txt",
        "test/pos/4.txt",
        "urls.txt",
    ):
        write(tmp_path, name, name)
    write(tmp_path, "imdb.vocab", "the\n")
    assert has_halves(tmp_path, (".txt",))
    for part, places in (
        ("train", ["train/neg/0.txt", "train/pos/1.txt"]),
        ("test", ["test/neg/3.txt", "test/pos/4.txt"]),
    ):
        with pytest.warns(FileWarning, match=r"classes in train and in test: " + part + "|1 text in unsup"):
            found = read_texts(tmp_path, part=part)
        assert (found.texts, found.classes) == (places, ("neg", "pos"))
    write(tmp_path, "more/pos/5.txt", "x")  # now they are three classes
    assert not has_halves(tmp_path, (".txt",))
    assert read_texts(tmp_path).classes == ("more", "test", "train")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_names_that_are_no_text(tmp_path) -> None:
    """A class's is refused before anything is computed; a file's is shown, so that it can be written anywhere."""
    folder = os.fsencode(tmp_path)
    os.makedirs(folder + b"/a/pos")
    with open(folder + b"/a/pos/caf\xe9.txt", "wb") as file:
        file.write(b"fine")
    found = read_texts(tmp_path / "a")
    assert found.places == ("pos/caf\\udce9.txt",)
    found.places[0].encode()
    os.makedirs(folder + b"/a/n\xe9g")
    with open(folder + b"/a/n\xe9g/a.txt", "wb") as file:
        file.write(b"dull")
    message = refused(read_texts, tmp_path / "a")
    assert "n\\udce9g' must have a name in UTF-8, as it is that of a class; rename it" in message


# all


def test_an_encoding_that_makes_half_characters(tmp_path) -> None:
    path = write(tmp_path, "a.csv", b"text,label\n\\ud83d,1\n")
    assert "line 2, must be text, got half a character" in refused(read_texts, path, encoding="unicode_escape")
    for encoding in ("a\0b", "hex", "utf-16-le", "punycode\n", ["utf-8"]):
        assert "encoding must be " in refused(read_texts, path, encoding=encoding)


def test_a_long_path_leaves_room_for_the_fault(tmp_path) -> None:
    folder = tmp_path.joinpath(*["a folder with a long name " * 8] * 8)
    path = write(folder, "\u202ename.csv", "text,label\nx,\n")
    assert "\\u202ename.csv', line 2, must have a label" in refused(read_texts, path)


def test_an_unread_file_says_its_options_as_they_are_typed() -> None:
    error = Unread("f: it's {odd}", "{text} names it, {header} that there is none")
    assert str(error) == "f: it's {odd}; text names it, header that there is none"
    assert error.spelled(lambda option: f"--{option}") == "f: it's {odd}; --text names it, --header that there is none"


def test_tables_of_pandas(tmp_path) -> None:
    """With integers beside a gap, which pandas makes fractions of."""
    path = write(tmp_path, "a.csv", ",text,label\n0,fine,1.0\n1,dull,0.0\n2,gone,\n")
    assert "line 4, must have a label in column 'label', got none" in refused(read_texts, path)
    found = read_texts(path, allow_unlabelled=True)
    assert (found.classes, found.labels.dtype, found.labels.tolist()) == (("0.0", "1.0"), np.int64, [1, 0, -1])


@pytest.mark.parametrize("splits", [("train", "test", "val"), ("Train", "Test"), ("train",)])
def test_the_parts_of_a_data_set_are_no_classes(tmp_path, splits):
    for part in splits:
        for name in ("neg", "pos"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "1.txt").write_text("fine", encoding="utf-8")
    with pytest.raises(ValueError, match="got .*, parts of a data set with the classes in them; name one part"):
        read_texts(tmp_path)


def test_a_class_whose_files_are_of_another_kind_is_told(tmp_path):
    for name, ending in (("neg", "txt"), ("pos", "txt"), ("meh", "text")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"1.{ending}").write_text("fine", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"1 subfolders of '.*' left out, without files \.txt: 'meh'"):
        assert read_texts(tmp_path).classes == ("neg", "pos")


def test_a_key_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "text": "c", "label": 1}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="line 1"):
        read_texts(tmp_path / "a.jsonl")
