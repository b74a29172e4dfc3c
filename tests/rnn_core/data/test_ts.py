"""The ``.ts`` of sktime and aeon: its header is taken at its word, and its data are held against it."""

from __future__ import annotations

import pytest

from rnn_core.data.files import read_series


def ts(folder, text: str):
    path = folder / "x.ts"
    path.write_text(text, encoding="utf-8")
    return path


def head(**tags: object) -> str:
    return "".join(f"@{name} {value}\n" for name, value in tags.items()) + "@data\n"


def test_two_dimensions_and_the_declared_order(tmp_path) -> None:
    text = "# one\n%two\n@problemName x\n@ClassLabel  TRUE   b a unseen\n@dimension 2\n@DATA\n1,2:3,4:b\n5,6,:7,8:a\n"
    found = read_series(ts(tmp_path, text))
    assert [row.tolist() for row in found.rows] == [[[1, 3], [2, 4]], [[5, 7], [6, 8]]]
    assert (found.lengths, found.places) == (None, ("line 7", "line 8"))
    # A class keeps its place and its number, whether or not there is an example of it.
    assert (found.classes, found.labels.tolist()) == (("b", "a", "unseen"), [0, 1])


def test_without_a_header_the_last_part_is_the_label(tmp_path) -> None:
    found = read_series(ts(tmp_path, "@data\n1,2:b\n3,4:a\n"))
    assert (found.classes, found.labels.tolist()) == (("a", "b"), [1, 0])
    assert read_series(ts(tmp_path, "@data\n1,2:3,4\n"), labelled=False).rows[0].tolist() == [[1, 3], [2, 4]]


def test_a_regression_is_refused_and_its_series_can_be_read(tmp_path) -> None:
    path = ts(tmp_path, head(targetLabel="true") + "1,2:0.51\n3,4:0.7\n")
    with pytest.raises(ValueError, match=r"line 1, must tell of classes, got @targetLabel true: the file is of a regr"):
        read_series(path)
    assert [row[:, 0].tolist() for row in read_series(path, labelled=False).rows] == [[1, 2], [3, 4]]


@pytest.mark.parametrize("tag", ["@classLabel  false", "@classlabel\tFALSE", "@targetLabel false"])
def test_without_labels_the_last_dimension_is_one(tmp_path, tag) -> None:
    path = ts(tmp_path, f"{tag}\n@data\n1,2,3:4,5,6\n")
    with pytest.raises(ValueError, match=r"line 1, must tell of classes, got @(class|target)Label false; "):
        read_series(path)
    assert read_series(path, labelled=False).rows[0].tolist() == [[1, 4], [2, 5], [3, 6]]


def test_padding_is_left_out_and_counts_as_steps_for_the_header(tmp_path) -> None:
    path = ts(tmp_path, head(equalLength="true", seriesLength=4, classLabel="true a") + "1,2,NaN,NaN:a\n1,2,3,?:a\n")
    assert read_series(path).lengths.tolist() == [2, 3]


def test_dimensions_of_unequal_length(tmp_path) -> None:
    path = ts(tmp_path, "@data\n1,2,3:4,5:6,7,8:a\n")
    with pytest.raises(ValueError, match=r"line 2, must have dimensions of one length, got 2 steps in dimension 2"):
        read_series(path)
    assert read_series(path, missing="interpolate").rows[0][:, 1].tolist() == [4, 5, 5]
    assert read_series(path, missing="mask").rows[0][:, 4].tolist() == [1, 1, 0]


# time stamps


def test_regular_time_stamps_are_left_out(tmp_path) -> None:
    text = head(timeStamps="true", classLabel="true a b") + "(0,1.5),(0.1,2.5),(0.2,3):(0,4),(.1,5),(.2,6):a\n"
    text += "(7.3,1),(7.4,2):(7.3,?),(7.4,3),:b\n"
    found = read_series(ts(tmp_path, text), missing="interpolate")
    assert [row.tolist() for row in found.rows] == [[[1.5, 4], [2.5, 5], [3, 6]], [[1, 3], [2, 3]]]


def test_time_stamps_may_be_dates(tmp_path) -> None:
    text = head(timestamps="True", classLabel="true 1")
    text += "(2007-01-01 00:00:00,241.97),(2007-01-01 00:01:00,241.75):1\n(2008-02-28,1), (2008-02-28T00:01,2):1\n"
    found = read_series(ts(tmp_path, text))
    assert [row[:, 0].tolist() for row in found.rows] == [[241.97, 241.75], [1, 2]]


def test_a_place_without_a_stamp_is_a_missing_number(tmp_path) -> None:
    path = ts(tmp_path, head(timestamps="true") + "(0,1),(1,2),(3,4):(1,5),(2,6),(3,7):a\n(0,1),(2,3),(4,5):(0,1):a\n")
    with pytest.raises(ValueError, match=r"line 3, must have time stamps without a gap, got none for step 0 of dimens"):
        read_series(path)
    found = read_series(path, missing="interpolate")
    assert found.rows[0].tolist() == [[1, 5], [2, 5], [3, 6], [4, 7]]
    assert found.rows[1][:, 0].tolist() == [1, 2, 3, 4, 5]  # the step is the first line's


def test_a_step_far_below_the_first_lines_is_none(tmp_path) -> None:
    """Two pairs within a ten-thousandth of a step would fall on one place, and the first be lost."""
    path = ts(tmp_path, head(timestamps="true") + "(0,1),(1,2):a\n(0,1),(0.00005,2):a\n")
    with pytest.raises(ValueError, match=r"line 4, must have time stamps 1 apart, as line 3 has, got 5e-05"):
        read_series(path, missing="interpolate")


def test_colons_and_parentheses_part_a_long_line_as_a_short_one(tmp_path) -> None:
    stamped = ",".join(f"(2026-01-01 00:{t // 60:02}:{t % 60:02},{t})" for t in range(3600))
    found = read_series(ts(tmp_path, head(timestamps="true") + f"{stamped}:{stamped}:a\n"))
    assert found.rows[0].tolist() == [[t, t] for t in range(3600)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("(0,1),(1,2),(2.5,3):a\n", r"line 3, must have time stamps at equal steps, got one 2\.5 steps of 1 from"),
        ("(0,1),(1,2),(1e9,3):a\n", r"line 3, must have time stamps at equal steps, got one"),
        ("(0,1),(1e9,2),(1e9,2):(0,1)::a\n", r"line 3, must have time stamps that rise"),
        (":(0,1),(1,2),(1e9,2):a\n", r"line 3, must have time stamps at equal steps, got one 1e\+09 steps of 1 from"),
        ("(0,1),(2,2),(1,3):a\n", r"line 3, must have time stamps that rise, got '1' behind a later"),
        ("(0,1),(1,2):a\n(0,1),(2,2):a\n", r"line 4, must have time stamps 1 apart, as line 3 has, got 2; resample"),
        ("(now,1):a\n", r"line 3, must have a number or a date, .* as time stamp, got 'now'"),
        ("(nan,1):a\n", r"line 3, must have a number or a date, .* as time stamp, got 'nan'"),
        ("1,2:a\n", r"line 3, must have pairs \(stamp,number\), as @timeStamps says, got '1,2'"),
        ("(0,1,2):a\n", r"line 3, must have pairs \(stamp,number\), as @timeStamps says"),
        ("((((((0,1):a\n", r"line 3, must have pairs \(stamp,number\), as @timeStamps says"),
        ("(0,1),(1,x):a\n", r"line 3, must have a number for step 1, got 'x'"),
    ],
)
def test_time_stamps_that_mean_no_steps_are_refused(tmp_path, lines, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_series(ts(tmp_path, head(timestamps="true") + lines))


# what the header says


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@data\n1,2:a\n1,2:3,4:a\n", r"line 3, must have 1 dimension and a label, .* as line 2 has, got 2"),
        ("@dimensions 2\n@data\n1,2:a\n", r"line 3, must have 2 dimensions and a label, .* as @dimensions in line 1"),
        ("@univariate true\n@data\n1:2:a\n", r"line 3, must have 1 dimension and a label, .* as @univariate in line 1"),
        ("@univariate true\n@dimensions 2\n@data\n1:2:a\n", r"line 2, must be 1, as @univariate in line 1 says, got 2"),
        ("@seriesLength 3\n@data\n1,2:a\n", r"line 3, must have 3 steps, as @seriesLength in line 1 says, got 2"),
        ("@equalLength true\n@data\n1,2:a\n1:a\n", r"line 4, must have 2 steps, as @equalLength in line 1 says, got 1"),
        ("@classLabel true a b\n@data\n1:A\n", r"line 3, must have one of .* that line 1 declares, 'a b', got 'A'"),
        ("@classLabel true a a\n@data\n", r"line 1, must name each class once, got 'a' again"),
        ("@classLabel false a\n@data\n", r"line 1, must name classes behind true only, got @classLabel false with 'a'"),
        ("@classLabel\n@data\n", r"line 1, must be @classLabel and true or false, got '@classLabel'"),
        ("@clasLabel false\n@data\n", r"line 1, must be a known name: @problemName, @timeStamps, .*, got '@clasL"),
        ("@missing perhaps\n@data\n", r"line 1, must be @missing and true or false, got '@missing perhaps'"),
        ("@dimensions two\n@data\n", r"line 1, must be @dimensions and a whole number, got '@dimensions two'"),
        ("@missing true\n@missing false\n@data\n", r"line 2, must not say '@missing' again, which line 1 says"),
        ("@data now\n", r"line 1, must be a known name"),
        ("1,2:a\n", r"line 1, must stand behind a line @data"),
        ("@timestamps true\n", r"must hold at least a line @data and a series behind it, got none"),
        ("@data\n", r"must hold at least a series, got none"),
        ("@data\n1,2:\n", r"line 2, must have a label, got ''"),
        ("@data\n1,2\n", r"line 2, must have dimensions and a label, parted by colons, got '1,2'"),
        ("@data\n" + "[" * 100_000 + "\n", r"line 2, must have dimensions and a label, .*, got '\[\[\[.*…"),
        ("@data\n" + "(" * 100_000 + ":a\n", r"line 2, must have a number for step 0, got '\(\(\(.*…"),
    ],
)  # fmt: skip
def test_what_the_header_and_the_data_can_not_both_mean(tmp_path, text, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_series(ts(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
