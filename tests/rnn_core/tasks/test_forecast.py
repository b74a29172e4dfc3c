"""``rnn-core train forecast`` and what comes behind it: forecasts, scores beside seasonal naive, a report, errors."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from rnn_core import Forecaster, load, save
from rnn_core.cli import main
from rnn_core.data.files import read_time_series
from rnn_core.tasks.splitting import share_of_steps


def months(path, steps=60, gap=None, known=False):
    """Write two series of months with a season, in a column each or, with a covariate, as rows."""
    rng = np.random.default_rng(0)
    rows = ["month,shop,value,holidays" if known else "month,a,b"]
    for k in range(steps + (4 if known else 0)):
        stamp = f"{2010 + k // 12}-{k % 12 + 1:02d}"
        a, b = (size + np.sin(np.pi * k / 3) + 0.1 * rng.standard_normal() for size in (5, 50))
        if known:
            rows += [f"{stamp},{name},{f'{y:.3f}' if k < steps else ''},{k % 2}" for name, y in (("a", a), ("b", b))]
        else:
            rows.append(f"{stamp},{a:.3f},{'' if k == gap else f'{b:.3f}'}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


TINY = ("--horizon", "4", "--context", "8", "--season", "6", "--hidden-size", "4", "--epochs", "3")


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a network that was trained there."""
    folder = tmp_path_factory.mktemp("forecast")
    data, new = months(folder / "data.csv", gap=20), months(folder / "new.csv", steps=40)
    words = ["train", "forecast", "--data", data, "--test", new, *TINY[:-1], "60", "--rate", "0.02"]
    assert run(*words, "--hidden-size", "12", "--out", folder / "run") == 0
    return folder


def test_a_run_leaves_a_network_a_report_and_scores_beside_seasonal_naive(trained):
    found = json.loads((trained / "run" / "results.json").read_text(encoding="utf-8"))
    scores = found["scores"]["test"]
    assert scores["MASE"] < scores["MASE of seasonal naive"]
    assert 50 < scores["coverage of an interval of 95 %, in %"] <= 100
    page = (trained / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Forecasts", "Step by step", "of seasonal naive", "Learning curves"):
        assert words in page
    assert (trained / "run" / "forecasts.png").stat().st_size > 5000
    model = load(trained / "run" / "model.safetensors")
    assert type(model) is Forecaster
    assert model.reading == {"season": 6}


def test_predict_says_what_comes_next(trained, capsys):
    out = trained / "said.jsonl"
    assert run("predict", trained / "run" / "model.safetensors", trained / "new.csv", "--out", out) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["series"], row["step"]) for row in rows] == [(name, k) for name in "ab" for k in (1, 2, 3, 4)]
    model = load(trained / "run" / "model.safetensors")
    series = read_time_series(trained / "new.csv")
    expected = model.forecast(series)
    np.testing.assert_allclose([row["forecast"] for row in rows], expected.mean.ravel(), rtol=1e-7)
    np.testing.assert_allclose([row["quantile 0.9"] for row in rows], expected.quantiles[..., 3].ravel(), rtol=1e-7)
    assert run("predict", trained / "run" / "model.safetensors", trained / "new.csv", "--horizon", 2, "--out", out) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4


def test_evaluate_judges_from_all_origins(trained, capsys):
    assert run("evaluate", trained / "run" / "model.safetensors", trained / "new.csv") == 0
    said = capsys.readouterr().out
    assert "MASE of seasonal naive" in said
    assert "coverage" in said


def test_covariates_that_are_known_in_advance(tmp_path):
    data = months(tmp_path / "rows.csv", known=True)
    words = ["train", "forecast", "--data", data, "--series", "shop", "--known", "holidays", "--out", tmp_path / "run"]
    assert run(*words, *TINY, "--strategy", "recursive", "--scaling", "standard", "--identity") == 0
    model = load(tmp_path / "run" / "model.safetensors")
    assert model.window.known == 1
    assert model.window.identity == ("a", "b")
    assert model.reading == {"season": 6, "series": "shop", "known": ["holidays"]}
    out = tmp_path / "said.csv"
    assert run("predict", tmp_path / "run" / "model.safetensors", data, "--out", out) == 0  # columns as in training
    assert len(out.read_text(encoding="utf-8").splitlines()) == 9


@pytest.mark.parametrize("options", [["--loss", "squared"], ["--loss", "quantiles", "--quantiles", "0.2", "0.8"]])
def test_other_losses(tmp_path, capsys, options):
    data = months(tmp_path / "data.csv")
    assert run("train", "forecast", "--data", data, *TINY, *options, "--out", tmp_path / "run") == 0
    scores = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))["scores"]["validation"]
    assert ("pinball" in scores) == ("quantiles" in options)
    model, way_out = tmp_path / "run" / "model.safetensors", "by --loss squared, which is a number for each step"
    assert (way_out in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")) == ("squared" in options)
    for command in ("predict", "evaluate"):
        capsys.readouterr()
        assert run(command, model, data) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert (f"{way_out} and nothing around it; train with --loss gaussian" in said) == ("squared" in options)


def test_a_model_made_in_python_is_as_good(tmp_path, capsys):
    from rnn_core.data import WindowSpec

    series = read_time_series(months(tmp_path / "data.csv"))
    model = Forecaster(WindowSpec.fit(series, context=8, horizon=3), 4, seed=0)
    save(model, tmp_path / "mine.safetensors")
    assert run("predict", tmp_path / "mine.safetensors", tmp_path / "data.csv") == 0
    assert run("evaluate", tmp_path / "mine.safetensors", tmp_path / "data.csv") == 0


@pytest.mark.parametrize("options, says", [
    (["--horizon", "0"], "--horizon must be at least 1, got 0"),
    (["--quantiles", "0.5"], "--quantiles must go with --loss quantiles, got gaussian"),
    (["--context", "200"], "--data must have series of --context 200 and --horizon 12 steps together, got 60"),
    (["--context", "40"], "--data must have series of 64 steps or more, 12 of them held out, got 60"),
    (["--value", "sales"], "must have the column 'sales' once"),
    (["--loss", "quantiles", "--quantiles", "0.9", "0.1"], "quantiles must be at least one, and rise"),
])  # fmt: skip
def test_what_does_not_fit_is_said_in_a_line(tmp_path, capsys, options, says):
    data = months(tmp_path / "data.csv")
    assert run("train", "forecast", "--data", data, *options, "--out", tmp_path / "run") != 0
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_file_of_other_series_is_refused(tmp_path, trained, capsys):
    short = months(tmp_path / "short.csv", steps=7)
    assert run("predict", trained / "run" / "model.safetensors", short) != 0
    assert "series must have at least context = 8 steps, got 7 of 'a'" in " ".join(capsys.readouterr().err.split())
    assert run("predict", trained / "run" / "model.safetensors", trained / "new.csv", "--horizon", "9") != 0
    assert "horizon must be at most the 4 steps" in " ".join(capsys.readouterr().err.split())


def test_a_share_of_steps_is_held_out():
    assert share_of_steps(100, 0.2, 12, 36) == 20
    assert share_of_steps(50, 0.1, 12, 36) == 12
    assert share_of_steps(60, 0.6, 12, 36) == 24
    with pytest.raises(ValueError, match="series of 48 steps or more"):
        share_of_steps(47, 0.2, 12, 36)


def test_a_series_that_begins_later_is_left_out_where_there_is_nothing_to_begin_from(tmp_path, capsys):
    rows = months(tmp_path / "data.csv").read_text(encoding="utf-8").splitlines()
    rows[1:31] = [row.rpartition(",")[0] + "," for row in rows[1:31]]
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["train", "forecast", "--data", tmp_path / "data.csv", "--test", tmp_path / "data.csv", *TINY]
    assert run(*words, "--out", tmp_path / "run") == 0
    assert "Left out, with no value to begin from" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    words = ["evaluate", tmp_path / "run" / "model.safetensors", tmp_path / "data.csv"]
    assert run(*words, "--json", tmp_path / "scores.json") == 0
    said = capsys.readouterr().out
    note = re.search(r"note: (\d+) of (\d+) forecasts, of a series from an origin, are in no score", said)
    assert note is not None, said
    left_out, every = map(int, note.groups())
    series = read_time_series(tmp_path / "data.csv")
    step = max(1, -(-(60 - 8 - 4 + 1) // 25))
    ends = [4 + step * k for k in range(1 + (60 - 8 - 4) // step)]
    blank = sum(bool(np.isnan(one.until(-end).values[-8:]).all()) for one in series for end in ends)
    assert (left_out, every) == (blank, 2 * len(ends))
    assert any("are in no score" in one for one in json.loads((tmp_path / "scores.json").read_text())["notes"])
    assert run("evaluate", words[1], months(tmp_path / "whole.csv")) == 0
    assert "in no score" not in capsys.readouterr().out


def test_a_network_remembers_how_its_file_was_read(tmp_path, capsys):
    rows = months(tmp_path / "data.csv").read_text(encoding="utf-8").splitlines()
    del rows[20]
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["train", "forecast", "--data", tmp_path / "data.csv", *TINY, "--out", tmp_path / "run"]
    assert run(*words) != 0
    assert "--no-stamps the rows" in " ".join(capsys.readouterr().err.split())
    assert run(*words, "--gaps", "missing") == 0
    assert run("predict", tmp_path / "run" / "model.safetensors", tmp_path / "data.csv") == 0


def test_stamps_count_again_where_they_did_not_in_training(tmp_path, capsys):
    whole = months(tmp_path / "data.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "holes.csv").write_text("\n".join(whole[:20] + whole[21:]) + "\n", encoding="utf-8")
    words = ["train", "forecast", "--data", tmp_path / "holes.csv", *TINY, "--no-stamps", "--out", tmp_path / "run"]
    assert run(*words) == 0
    model = tmp_path / "run" / "model.safetensors"
    assert load(model).reading["no_stamps"] is True
    for command in ("predict", "evaluate"):
        assert run(command, model, tmp_path / "holes.csv") == 0
        capsys.readouterr()
        assert run(command, model, tmp_path / "holes.csv", "--stamps") == 2
        assert "1 step is missing" in capsys.readouterr().err
        assert run(command, model, tmp_path / "holes.csv", "--stamps", "--gaps", "missing") == 0
    assert run("predict", model, tmp_path / "holes.csv", "--stamps", "--no-stamps") == 2
    assert "--stamps must be left out with --no-stamps" in capsys.readouterr().err
