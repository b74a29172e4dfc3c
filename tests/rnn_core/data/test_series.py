"""Series of the archives in plain files and in ARFF: what is read, and what is said where they are broken."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rnn_core.data.files import read_series
from rnn_core.data.files.series import has_labels


def write(folder, name: str, text: str):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def values(found) -> list:
    """The rows of series with one number a step."""
    return [row[:, 0].tolist() for row in found.rows]


def test_ucr_tsv(tmp_path) -> None:
    found = read_series(write(tmp_path, "Train.tsv", "2\t1.5\t-2\t3e-1\n-1\t4\t5\tNaN\n2\t7\t8\t9\n"))
    assert values(found) == [[1.5, -2, 0.3], [4, 5], [7, 8, 9]]
    assert {row.dtype for row in found.rows} == {np.dtype(np.float64)}
    assert found.inputs.dtype == np.float32
    assert found.inputs[..., 0].tolist() == [[1.5, -2, np.float32(0.3)], [4, 5, 0], [7, 8, 9]]
    assert found.lengths.tolist() == [3, 2, 3]
    assert (found.classes, found.labels.tolist()) == (("-1", "2"), [1, 0, 1])
    assert (len(found), found.whole.tolist()) == (3, [3, 2, 3])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("A_TRAIN.txt", "   1.0000000e+00  1.5  2\n   2.0000000e+00  3  4\n"),  # before 2018, with blanks
        ("A_TRAIN.txt", "1,1.5,2\n2,3,4\n"),
        ("A_TRAIN.txt", "1\t1.5\t2\n2\t3\t4\n"),
        ("A_TRAIN", "1,1.5,2\n2,3,4\n"),  # the archive of 2015 gave its files no ending
        ("A_TRAIN.csv", "1, 1.5, 2\r\n2, 3, 4\r\n"),
        ("A_TRAIN.csv", "1,1.5,2,\n2,3,4,\n"),  # a comma too many
        (
            "A_TRAIN.arff",
            "% x\n@RELATION 'A B'\n@attribute 'att 0' numeric\n@ATTRIBUTE att1 Real\n@attribute target {1,2}\n\n@DATA\n"
            "1.5,2,1\n% between\n3,4,2\n",
        ),
        ("A_TRAIN.arff", "@attribute c {1, '2'}\n@attribute a INTEGER\n@attribute b real\n@data\n1,1.5,2\n'2',3,4,\n"),
    ],
)
def test_the_archives_other_clothes(tmp_path, name, text) -> None:
    found = read_series(write(tmp_path, name, text))
    assert values(found) == [[1.5, 2], [3, 4]]
    assert (found.classes, found.labels.tolist()) == (("1", "2"), [0, 1])


def test_an_arff_of_several_dimensions(tmp_path) -> None:
    head = "@relation x\n@attribute bag relational\n@attribute t1 numeric\n@attribute t2 numeric\n@end bag\n"
    head += "@attribute kind {Running,'Standing still',Unseen}\n@data\n"
    found = read_series(write(tmp_path, "a.arff", head + "'1,2\\n3,?',Running\n\"5,6\\n7,8\",'Standing still'\n"
                              ), missing="interpolate")  # fmt: skip
    assert [row.tolist() for row in found.rows] == [[[1, 3], [2, 3]], [[5, 7], [6, 8]]]
    assert (found.classes, found.labels.tolist()) == (("Running", "Standing still", "Unseen"), [0, 1])


def test_an_arff_of_a_regression(tmp_path) -> None:
    plain = "@attribute a real\n@attribute b real\n@attribute level numeric\n@data\n1,2,0.5\n3,4,-7\n"
    bag = "@attribute bag relational\n@attribute t1 real\n@end bag\n"
    data = "@data\n'1,2\\n3,4',0.5\n'5,6\\n7,8',?\n"
    found = read_series(write(tmp_path, "a.arff", plain), numbers=True)
    assert (values(found), found.classes, found.labels.tolist()) == ([[1, 2], [3, 4]], ("-7", "0.5"), [1, 0])
    assert values(read_series(tmp_path / "a.arff", labelled=False)) == [[1, 2, 0.5], [3, 4, -7]]
    with pytest.raises(ValueError, match="must have a nominal .* numbers=True the last numeric attribute as a number"):
        read_series(tmp_path / "a.arff")
    several = write(tmp_path, "b.arff", f"{bag}@attribute level numeric\n{data}")
    found = read_series(several, numbers=True, allow_unlabelled=True)
    assert [row.tolist() for row in found.rows] == [[[1, 3], [2, 4]], [[5, 7], [6, 8]]]
    assert (found.classes, found.labels.tolist()) == (("0.5",), [0, -1])
    assert read_series(several, labelled=False).rows[0].tolist() == [[1, 3], [2, 4]]
    with pytest.raises(ValueError, match="numbers=True the numeric attribute beside the relation"):
        read_series(several)
    for more in ("@attribute kind {x}\n", "@attribute other real\n"):
        with pytest.raises(ValueError, match=r"line [45], must be a numeric attribute, or the one nominal"):
            read_series(write(tmp_path, "c.arff", f"{bag}@attribute level numeric\n{more}{data}"), numbers=True)
    nominal = "@attribute a real\n@attribute c {1.5,2}\n@data\n1,2\n3,1.5\n"
    assert read_series(write(tmp_path, "d.arff", nominal), numbers=True).labels.tolist() == [1, 0]


def test_series_without_labels(tmp_path) -> None:
    head = "@attribute a numeric\n@attribute b numeric\n"
    for name, text in (
        ("a.tsv", "1\t2\n3\t4\n"),
        ("a.txt", "1 2\n3 4\n"),
        ("a.csv", "1,2\n3,4\n"),
        ("a.arff", head + "@data\n1,2\n3,4\n"),
        ("b.arff", head + "@attribute c {x,y}\n@data\n1,2,x\n3,4,?\n"),
    ):
        found = read_series(write(tmp_path, name, text), labelled=False)
        assert (values(found), found.labels, found.classes) == ([[1, 2], [3, 4]], None, ())


# missing numbers

GAPS = "a\t1\tNaN\t4\t?\t \t7\tnan\n\nb\t1\t2\n"


def test_missing_numbers_are_refused_unless_told_otherwise(tmp_path) -> None:
    path = write(tmp_path, "a.tsv", GAPS)
    with pytest.raises(ValueError, match=r"a\.tsv', line 1, must have a number for step 1, got none .*missing='drop'"):
        read_series(path)
    with pytest.raises(ValueError, match=r"missing must be one of refuse, drop, interpolate, mask, got 'guess'"):
        read_series(path, missing="guess")


def test_series_with_gaps_are_dropped_and_counted(tmp_path) -> None:
    path = write(tmp_path, "a.tsv", GAPS)
    with pytest.warns(UserWarning, match=r"1 of 2 series of '.*a\.tsv',.* are left out: line 1"):
        found = read_series(path, missing="drop")
    assert (values(found), found.places, found.classes) == ([[1, 2]], ("line 3",), ("b",))
    with pytest.raises(
        ValueError, match=r"1 of 1 series .* are all there are; missing='interpolate' or missing='mask'"
    ):
        read_series(write(tmp_path, "b.tsv", "a\t1\t?\t3\n"), missing="drop")


def test_gaps_are_bridged_by_a_straight_line(tmp_path) -> None:
    found = read_series(write(tmp_path, "a.tsv", GAPS + "c\t?\t5\t9\n"), missing="interpolate")
    assert values(found) == [[1, 2.5, 4, 5, 6, 7], [1, 2], [5, 5, 9]]


def test_a_mask_says_what_was_seen(tmp_path) -> None:
    found = read_series(write(tmp_path, "a.tsv", GAPS + "c\t?\t5\t9\n"), missing="mask")
    assert found.rows[0].T.tolist() == [[1, 1, 4, 4, 4, 7], [1, 0, 1, 0, 0, 1]]
    assert found.rows[1].T.tolist() == [[1, 2], [1, 1]]  # as many features, whether or not there are gaps
    assert found.rows[2].T.tolist() == [[5, 5, 9], [0, 1, 1]]


def test_a_dimension_of_which_nothing_was_seen(tmp_path) -> None:
    path = write(tmp_path, "a.ts", "@data\n1,2:?,?:a\n")
    assert read_series(path, missing="mask").rows[0].tolist() == [[1, 0, 1, 0], [2, 0, 1, 0]]
    with pytest.raises(ValueError, match=r"line 2, must have a number in dimension 2 to interpolate from, got none"):
        read_series(path, missing="interpolate")
    with pytest.raises(ValueError, match=r"line 2, must have numbers, got '\?,NaN'"):
        read_series(write(tmp_path, "b.csv", "1,2\n?,NaN\n"), labelled=False, missing="mask")


# numbers


def test_what_float32_can_not_hold_is_refused_by_line(tmp_path) -> None:
    for text, got in (("1e39", "1e39"), ("-inf", "-inf"), ("Infinity", "Infinity")):
        with pytest.raises(ValueError, match=rf"line 2, must have a finite number for step 1, .*, got '{got}'"):
            read_series(write(tmp_path, "a.tsv", f"1\t2\t3\n1\t2\t{text}\n"))
    with pytest.raises(ValueError, match=r"line 1, must have a number for step 1, got '1_0'"):
        read_series(write(tmp_path, "a.tsv", "1\t2\t1_0\n"))


def test_rows_keep_what_float32_would_lose(tmp_path) -> None:
    wave = np.sin(np.arange(50) / 3)
    path = write(tmp_path, "a.tsv", "1\t" + "\t".join(repr(1.7e9 + float(x)) for x in wave) + "\n2\t.1\t.1\n")
    found = read_series(path)
    assert abs(found.rows[0][:, 0] - 1.7e9 - wave).max() < 1e-6
    with pytest.warns(UserWarning, match=r"float32 keeps little of how 1 of 2 series vary, 'line 1' for one"):
        inputs = found.inputs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.inputs is inputs


def test_long_rows_are_cut_before_anything_is_padded(tmp_path) -> None:
    path = write(tmp_path, "a.tsv", "1\t" + "\t".join(map(str, range(1000))) + "\n2\t1\t2\n")
    found = read_series(path, max_steps=3)
    assert values(found) == [[0, 1, 2], [1, 2]]
    assert found.rows[0].base is None  # nothing of the long row is held
    assert (found.inputs.shape, found.whole.tolist()) == ((2, 3, 1), [1000, 2])
    with pytest.raises(ValueError, match=r"max_steps must be a whole number of at least 1, got 0"):
        read_series(path, max_steps=0)


def test_too_little_memory_names_the_row_that_asks_for_it(tmp_path, monkeypatch) -> None:
    found = read_series(write(tmp_path, "a.tsv", "1\t1\t2\t3\n2\t1\t2\n"))

    def full(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "zeros", full)
    with pytest.raises(MemoryError, match=r"2 series padded to the 3 steps of 'line 1' are 0\.0 GB; give .* max_steps"):
        _ = found.inputs


def test_a_series_is_still_unpacked_as_it_was(tmp_path) -> None:
    inputs, lengths, labels, classes, places, rate = read_series(write(tmp_path, "a.tsv", "1\t1\t2\t3\n2\t1\t2\n"))
    assert (inputs.shape, lengths.tolist(), labels.tolist()) == ((2, 3, 1), [3, 2], [0, 1])
    assert (classes, places, rate) == (("1", "2"), ("line 1", "line 2"), None)


# labels


def test_one_number_in_two_spellings_is_told(tmp_path) -> None:
    path = write(tmp_path, "a.tsv", "1\t2\t3\n1.0\t2\t3\n2\t2\t3\n")
    with pytest.warns(UserWarning, match=r"has the labels '1'.* '1\.0'"):
        assert read_series(path).classes == ("1", "1.0", "2")


def test_labels_that_are_numbers_of_the_series_are_refused(tmp_path) -> None:
    lines = "".join(f"{0.51 + k / 10}\t1\t2\n" for k in range(5))
    path = write(tmp_path, "a.tsv", lines)
    with pytest.raises(
        ValueError, match=r"must have classes for labels, got 5 different numbers in 5 lines: .*labelled=False"
    ):
        read_series(path)
    assert values(read_series(path, labelled=False))[0] == [0.51, 1, 2]
    assert read_series(write(tmp_path, "b.tsv", lines + lines)).classes[0] == "0.51"  # every one twice


def test_a_label_that_is_missing_is_refused_or_allowed(tmp_path) -> None:
    head = "@attribute a real\n@attribute c {x,y}\n@data\n"
    for name, text, classes in (
        ("a.tsv", "?\t1\t2\nx\t3\t4\n\t5\t6\n", ("x",)),
        ("a.csv", "NaN,1,2\nx,3,4\n?,5,6\n", ("x",)),
        ("a.ts", "@classLabel true x y\n@data\n1,2:?\n3,4:x\n5,6:\n", ("x", "y")),
        ("a.arff", head + "1,?\n3,x\n5,?\n", ("x", "y")),
    ):
        path = write(tmp_path, name, text)
        found = read_series(path, allow_unlabelled=True)
        assert (found.labels.tolist(), found.classes, len(found)) == ([-1, 0, -1], classes, 3)
        with pytest.raises(ValueError, match=r"line \d, must have a label, got '(\?|NaN)'"):
            read_series(path)


def test_a_label_as_pandas_writes_a_missing_one(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "null,1,2\nx,3,4\n")
    with pytest.raises(
        ValueError, match=r"line 1, must have a label, got 'null'; keep_missing_labels=True takes it for"
    ):
        read_series(path)
    assert read_series(path, keep_missing_labels=True).classes == ("null", "x")
    assert read_series(path, allow_unlabelled=True).labels.tolist() == [-1, 0]
    assert read_series(write(tmp_path, "a.ts", "@classLabel true None\n@data\n1:None\n")).classes == ("None",)


def test_a_label_of_very_many_digits_is_one(tmp_path) -> None:
    """It is looked at once, from left to right: asking whether it is written with an exponent took minutes."""
    digits = "9" * 200_000
    assert read_series(write(tmp_path, "a.tsv", f"{digits}\t1\t2\n1.50e+01\t3\t4\n")).classes == ("15", digits)


def test_whether_a_file_says_that_it_has_labels(tmp_path) -> None:
    for name, text, answer in (
        ("a.tsv", "1\t2\n", True),
        ("a.ts", "@data\n1:a\n", True),
        ("a.ts", "@classLabel false\n@data\n", False),
        ("a.ts", "@targetLabel true\n@data\n", False),
        ("a.ts", "@targetLabel false\n@classLabel true a\n@data\n", True),
        ("a.arff", "@attribute a real\n@data\n", False),
        ("a.arff", "@attribute a {x}\n@data\n", True),
    ):
        assert has_labels(write(tmp_path, name, text)) is answer
    for name, text, answer in (
        ("a.ts", "@targetLabel true\n@data\n", True),
        ("a.arff", "@attribute a real\n@attribute b real\n@data\n", True),
        ("a.arff", "@attribute a relational\n@attribute b real\n@end a\n@data\n", False),
    ):
        assert has_labels(write(tmp_path, name, text), numbers=True) is answer


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "1\t2\n1\tx\n", r"line 2, must have a number for step 0, got 'x'"),
        ("a.tsv", "1\n", r"line 1, must have a label, a tab and numbers, got '1'"),
        ("a.tsv", "\t1\t2\n", r"line 1, must have a label, got ''"),
        ("a.csv", "label,t0,t1\nup,1,2\n", r"line 1, must have a number for step 0, got 't0'"),
        ("a.csv", "x", r"line 1, must have a label, a comma and numbers, got 'x'"),
        ("a.txt", "x\n", r"line 1, must have a label, a blank and numbers, got 'x'"),
        ("a.xls", "x", r"path must be a \.tsv, \.txt, \.csv, \.arff or \.ts file"),
        ("a.tsf", "x", r"a \.tsf is of a forecast, which is no task here"),
        ("a.arff", "@relation x\n@data\n", r"must have a nominal attribute, \{a, b\}, for the classes, got none"),
        ("a.arff", "@relation x\n1,2\n", r"line 2, must be @relation, @attribute NAME TYPE, @end or @data, got '1,2'"),
        ("a.arff", "@relation x\n", r"a\.arff' must have a line @data, got none"),
        ("a.arff", "@attribute a string\n", r"line 1, must be a numeric attribute, or the one nominal .*got 'string'"),
        ("a.arff", "@attribute a {x,x}\n", r"line 1, must name each class once, got '\{x,x\}'"),
        ("a.arff", "@attribute a {x}\n@attribute b {y}\n", r"line 2, must be a numeric attribute, or the one nominal"),
        ("a.arff", "@attribute a real\n@attribute c {x}\n@data\n1\n", r"line 4, must have 2 values, .* got 1"),
        (
            "a.arff",
            "@attribute a real\n@attribute c {x}\n@data\n{0 1}\n",
            r"line 4, must have all values, got .*sparse",
        ),
        ("a.arff", "@attribute a real\n@attribute c {x}\n@data\n1,?\n", r"line 4, must have a label, got '\?'"),
        ("a.arff", "@attribute a real\n@attribute c {x}\n@data\n1,y\n", r"line 4, .*declare.* 'x', got 'y'"),
    ],
)
def test_broken_series_are_named(tmp_path, name, text, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_series(write(tmp_path, name, text))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
