"""`read_time_series`: layouts, stamps, gaps, decimal commas; and what is refused, by file and line."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from rnn_core.data.files import FileWarning, read_time_series
from rnn_core.data.files.histories.clock import moment_of, usual_season

NAN = np.nan


def written(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path, text, name="a.csv", **options):
    return read_time_series(written(tmp_path, text, name), **options)


def test_wide(tmp_path):
    one, two = read(tmp_path, "date,a,b\n2020-01-01,1,4\n2020-02-01,,5.5\n2020-03-01,3,NA\n")
    assert (one.name, two.name) == ("a", "b")
    np.testing.assert_array_equal(one.values, [1, NAN, 3])
    np.testing.assert_array_equal(two.values, [4, 5.5, NAN])
    assert one.times == ("2020-01-01", "2020-02-01", "2020-03-01")


def test_long_with_covariates_and_a_horizon(tmp_path):
    text = (
        "unique_id;ds;y;heat;holiday\n"
        "x;1;10;0,5;0\ny;1;7;1;1\nx;2;11,5;;1\nx;3;12;0,25;0\nx;4;;;1\ny;2;8;2;0\nx;5;;;0\n"
    )
    one, two = read(tmp_path, text, decimal=",", past=["heat"], known=["holiday"])
    np.testing.assert_array_equal(one.values, [10, 11.5, 12])
    np.testing.assert_array_equal(one.past[:, 0], [0.5, NAN, 0.25])
    np.testing.assert_array_equal(one.known[:, 0], [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(two.values, [7, 8])
    assert one.times == ("1", "2", "3")


@pytest.mark.parametrize("text", ["1\n2.5\nNaN\n4\n", "sales\n1\n2.5\n?\n4\n\n", "\ufeff1\n2.5\n nan\n4"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a"])
def test_a_column_of_numbers(tmp_path, text, name):
    (one,) = read(tmp_path, text, name)
    np.testing.assert_array_equal(one.values, [1, 2.5, NAN, 4])
    assert one.name == ("sales" if text.startswith("sales") else "a")
    assert one.times is None


def test_decimal_commas_in_a_single_column(tmp_path):
    (one,) = read(tmp_path, "1,5\n2,25\n", "a.txt", decimal=",")
    np.testing.assert_array_equal(one.values, [1.5, 2.25])


@pytest.mark.parametrize("stamps", [
    ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"], ["2020-11", "2020-12", "2021-01", "2021-02"],
    ["2020Q1", "2020Q2", "2020-Q3", "2020 Q4"], ["2019", "2020", "2021", "2022"],
    ["2020-01-01T00:00", "2020-01-01T00:15", "2020-01-01T00:30", "2020-01-01T00:45"],
    ["2020-02-26", "2020-02-27", "2020-02-28", "2020-02-29"], ["0.1", "0.2", "0.3", "0.4"],
    ["2000-01-01", "2001-01-01", "2002-01-01", "2003-01-01"], ["1959M1", "1959M2", "1959M3", "1959M4"],
])  # fmt: skip
def test_stamps_at_equal_steps(tmp_path, stamps):
    text = "time\tvalue\n" + "".join(f"{stamp}\t{k}\n" for k, stamp in enumerate(stamps))
    (one,) = read(tmp_path, text, "a.tsv")
    np.testing.assert_array_equal(one.values, [0, 1, 2, 3])
    gap = "time\tvalue\n" + "".join(f"{stamp}\t{k}\n" for k, stamp in enumerate(stamps) if k != 2)
    with pytest.raises(ValueError, match=r"a.tsv', line 4, must come .* behind .*: 1 step is missing"):
        read(tmp_path, gap, "a.tsv")


def test_steps_without_a_row_are_named_or_taken_for_missing(tmp_path):
    text = "date,y\n2020-01-01,1\n2020-02-01,2\n2020-03-01,3\n2020-06-01,6\n"
    with pytest.raises(ValueError, match=r"a.csv', line 5, must come 1 month behind '2020-03-01', got '2020-06-01': 2 "
                                         r"steps are missing; gaps='missing' takes"):  # fmt: skip
        read(tmp_path, text)
    with pytest.warns(FileWarning, match=r"2 steps of 'y' have no row in .*a.csv': missing"):
        (one,) = read(tmp_path, text, gaps="missing")
    np.testing.assert_array_equal(one.values, [1, 2, 3, NAN, NAN, 6])
    assert one.times[3] == ""
    (rows,) = read(tmp_path, text, stamps=False)
    np.testing.assert_array_equal(rows.values, [1, 2, 3, 6])


def test_without_names_columns_have_numbers(tmp_path):
    one, two = read(tmp_path, "2020-01-01 5 6\n2020-01-02 7 8\n".replace(" ", ","))
    assert (one.name, two.name) == ("2", "3")
    (alone,) = read(tmp_path, "1,5\n2,7\n", header=False, time="1", value="2")
    np.testing.assert_array_equal(alone.values, [5, 7])
    assert alone.name == "a"


def test_what_separates_is_found_out(tmp_path):
    for mark in (";", "\t", "|", ","):
        one, _ = read(tmp_path, f"time{mark}a{mark}b\n1{mark}2{mark}3\n2{mark}4{mark}5\n", "a.txt")
        np.testing.assert_array_equal(one.values, [2, 4])


def test_nothing_is_said_of_a_sound_file(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, "date,a\n2020-01-01,1\n2020-01-02,2\n")


@pytest.mark.parametrize("text, says", [
    ("", "must hold at least a line"),
    ("time,a\n", "must hold at least a row of numbers"),
    ("time,a\n1,x\n", r"line 2, must have a number in column 'a', got 'x'; an empty cell, or NaN, says"),
    ("time,a\n1,1.2.3\n", r"line 2, must have a number in column 'a', got '1.2.3'; decimal says what marks a fraction"),
    ("time,a\n1,1e60\n", "line 2, must have a number in column 'a', got '1e60'"),
    ("time,a\n1,1_000\n", "got '1_000'"),
    ("time,a\n1,inf\n", "got 'inf'"),
    ("time,a\n1,2\n3,4,5\n", "line 3, must have 2 columns, as the first line, got 3"),
    ("time,a\n1,2\n2,3\n2,4\n", "line 4, must have a later time stamp than line 3, got '2' twice"),
    ("time,a\n1,2\n3,3\n2,4\n", "line 4, must have a later time stamp than line 3, got '2' behind '3'; sort the rows"),
    ("time,a\n1,2\n2,3\n3,3\n3.4,4\n", "line 5, must have a time stamp a whole number of steps of 1 behind '1'"),
    ("time,a\n1,2\nmonday,3\n", "line 3, must have a time stamp, a number or a date such as 2026-01-31, .*'monday'"),
    ("time,a\n1,2\n2020-01-01,3\n", "line 3, must have a time stamp of the same kind as line 2"),
    ("time,a\n1,2\n2,2\n999999999999,3\n", "must have a time stamp a whole number|must come"),
    ("time,a\n1,\n2,NA\n", "must have a value of 'a', got none in 2 rows"),
    ("time,a,a\n1,2,3\n", "line 1, must give columns names of their own, got 'a' twice"),
    ("1\n\n3\n", "line 2, must have a number, got a blank line; NaN says that one is missing"),
    ("series,time,value\nx,1,2\n ,2,3\n", "line 3, must name its series, got a blank cell"),
])  # fmt: skip
def test_faults_are_named_by_file_and_line(tmp_path, text, says):
    with pytest.raises(ValueError, match=f"read_time_series: .*a.csv'.*({says})"):
        read(tmp_path, text)


@pytest.mark.parametrize("options, says", [
    ({"value": "sales"}, "line 1, must have the column 'sales' once, got 'time, a, b'; value names it"),
    ({"past": ["heat"]}, "must have the column 'heat' once"),
    ({"series": "a"}, "must have a column of values, got"),
    ({"known": ["b"]}, "line 3, must have a number for each covariate that is known in advance, got an empty cell"),
    ({"gaps": "fill"}, "gaps must be one of 'refuse', 'missing', got 'fill'"),
    ({"decimal": "'"}, "decimal must be one of"),
    ({"separator": ":"}, "separator must be one of"),
    ({"separator": ",", "decimal": ","}, "and not the decimal sign"),
])  # fmt: skip
def test_options_that_do_not_fit_are_named(tmp_path, options, says):
    text = "time,a,b\n1,2,3\n2,4,\n"
    if options == {"series": "a"}:
        text = "time,a,b,c\n1,2,3,4\n"
    with pytest.raises(ValueError, match=says):
        read(tmp_path, text, **options)


@pytest.mark.parametrize("gaps, says", [
    ("missing", "line 4, must have a number for each covariate that is known in advance, got no row for the step "
     "before; gaps='missing' lets a value be missing, not these: give the step a row with its covariates"),
    ("refuse", "line 4, must come 1 behind '2', got '4': 1 step is missing; give each a row, with an empty cell"),
])  # fmt: skip
def test_what_is_known_in_advance_is_known_of_each_step(tmp_path, gaps, says):
    rows = ["time,y,holiday", "1,5,0", "2,6,1", "4,8,0"]
    with pytest.raises(ValueError, match=re.escape(says)):
        read(tmp_path, "\n".join(rows) + "\n", value="y", known=["holiday"], gaps=gaps)
    rows.insert(3, "3,,1")  # the way out
    (one,) = read(tmp_path, "\n".join(rows) + "\n", value="y", known=["holiday"], gaps=gaps)
    np.testing.assert_array_equal(one.values, [5, 6, np.nan, 8])


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path must be a table, .csv, .tsv, .txt"):
        read(tmp_path, "{}", "a.json")
    with pytest.raises(FileNotFoundError):
        read_time_series(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="path must be a table"):
        read_time_series(tmp_path)


def test_what_is_no_time():
    for text in ("", "x", "2020-13", "2020-00-01", "nan", "inf", "1e300", "1_0", "2020Q5", "99999-01-01"):
        assert moment_of(text) is None, text


@pytest.mark.parametrize(
    ("times", "season"),
    [
        (("2020-01", "2020-02"), 12), (("2020-01-31", "2020-02-29"), 12), (("2020Q1", "2020Q2"), 4),
        (("2020-01-06", "2020-01-13"), 52), (("2020-01-01", "2020-01-02"), 7),
        (("2020-01-01T00:00", "2020-01-01T01:00"), 24), (("2020-01-01T00:00", "2020-01-01T00:07"), 1),
        (("2019", "2020"), 1), (("2020-01",), 1), (None, 1), (("a", "b"), 1),
    ],
)  # fmt: skip
def test_stamps_tell_the_usual_season(times, season):
    assert usual_season(times) == season
