"""``python -m benchmarks.experiments``: quick runs from end to end, what they leave behind, and what they refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from benchmarks.experiments import __main__ as experiments
from benchmarks.experiments import markdown
from benchmarks.experiments.done import Done
from benchmarks.experiments.frame import Claim, Experiment, Keeping, Outcome, markdown_table
from benchmarks.experiments.known import adding, sines, unlabelled
from benchmarks.experiments.registry import EXPERIMENTS, ROWS
from transfer import compare
from transfer.methods.catalogue import METHODS


@pytest.fixture(scope="module")
def quick() -> adding.Comparison:
    settings = adding.QUICK
    return compare(adding.Adding(settings), sizes=[settings.most_steps], seeds=settings.seeds, arms=adding.ARMS)


def test_quick_runs_leave_a_whole_file(tmp_path, capsys) -> None:
    path = tmp_path / "transfer.json"
    assert experiments.main(["sines", "adding", "--quick", "--json", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("numbers mean nothing") == 2
    assert shown.out.index("adding: ") < shown.out.index("sines: ")  # as registered
    assert "sines: joint, seed 1: " in shown.err
    assert "HOLD" not in shown.out
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["command"] == f"python -m benchmarks.experiments sines adding --quick --json {path}"
    assert found["quick"]
    assert {"date", "processor", "threads", "backend", "versions", "others"} <= set(found["machine"])
    assert {"rnn_core", "numpy", "numba", "scipy"} <= set(found["machine"]["versions"])
    assert list(found["experiments"]) == ["adding", "sines"]
    for entry in found["experiments"].values():
        assert list(entry) == ["summary", "seconds", "protocol", "results", "claims"]
        assert entry["protocol"]["seeds"] == 2
        assert entry["claims"] == []  # nothing is said of numbers that mean nothing
    added, waves = (found["experiments"][name]["results"] for name in ("adding", "sines"))
    assert len(added["runs"]) == 2 * len(adding.ARMS)
    assert [ratio["arm"] for ratio in added["ratios"]] == ["transferred", "shuffled sums"]
    assert {"gains", "mean", "half_width", "verdict"} <= set(added["differences"][0])
    assert [(row["method"], row["seed"]) for row in waves["errors"]] == [(m, s) for m in sines.METHODS for s in (0, 1)]
    assert [row["range"] for row in waves["ranges"]] == [[0.7, 0.86], [0.13, 0.18], [3.8, 3.8], [2.4, 2.7]]


@pytest.mark.slow
def test_all_methods_in_quick_tables(tmp_path, capsys) -> None:
    path = tmp_path / "transfer.json"
    assert experiments.main(["digits", "scanner", "characters", "--quick", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "TrAdaBoost: not run, as source and target have different classes" in shown
    found = json.loads(path.read_text(encoding="utf-8"))["experiments"]
    ran = {name: set(entry["protocol"]["methods"]) for name, entry in found.items()}
    left_out = {name: set(entry["results"]["unsuited"]) for name, entry in found.items()}
    for name in found:
        assert ran[name] | left_out[name] == set(METHODS)
        assert {run["arm"] for run in found[name]["results"]["runs"]} == ran[name]
    adapted = {"one head", *unlabelled.NAMES}
    assert left_out["digits"] == {"TrAdaBoost", "CORAL", "subspace", *adapted}
    assert left_out["scanner"] == set()
    assert {"fine-tuned", "source and target", "low-rank map", "matched core"} <= ran["characters"]


@pytest.mark.slow
def test_without_labels_every_method_stands_beside_the_source_alone() -> None:
    outcome = unlabelled.unlabelled(True, 1, lambda line: None)
    found = outcome.results
    assert set(found["against source alone"]) == {*unlabelled.NAMES, "scratch"}
    assert all("few=False" in arm["method"] for arm in found["protocol"]["arms"] if arm["name"] != "scratch")
    assert outcome.markdown.count("\n") == len(unlabelled.NAMES) + 3
    assert "calibrated" in outcome.table


def test_claims_stand_below_the_table_and_one_that_fails_is_a_result(monkeypatch, capsys, tmp_path) -> None:
    outcome = Outcome(
        {"seeds": 1}, {"score": 3.0}, "a table", (Claim("it is 2", False, "3"), Claim("it is 3", True, "3"))
    )
    monkeypatch.setattr(experiments, "EXPERIMENTS", {"one": Experiment("one", "a number", lambda *_: outcome)})
    path = tmp_path / "one.json"
    assert experiments.main(["--json", str(path)]) == 0
    assert "a table\nDOES NOT HOLD: it is 2; found 3\nholds: it is 3; found 3\n" in capsys.readouterr().out
    claims = json.loads(path.read_text(encoding="utf-8"))["experiments"]["one"]["claims"]
    assert [claim["holds"] for claim in claims] == [False, True]


def test_names_are_different() -> None:
    assert len(EXPERIMENTS) == len(ROWS)


def test_a_missing_package_is_a_line_and_leaves_the_experiment_out(monkeypatch, capsys, tmp_path) -> None:
    def never(*_):
        raise AssertionError

    table = {
        "one": Experiment("one", "dialogues", never, packages=("json", "no_such_package")),
        "two": Experiment("two", "a number", lambda *_: Outcome({}, {}, "a table", (Claim("it is 3", True, "3"),))),
    }
    monkeypatch.setattr(experiments, "EXPERIMENTS", table)
    paths = tmp_path / "all.json", tmp_path / "all.md"
    assert experiments.main(["--json", str(paths[0]), "--markdown", str(paths[1])]) == 0
    line = "no_such_package must be installed: pip install 'rnn_core[data]'"
    assert capsys.readouterr().out.startswith(f"one: left out; {line}\n\ntwo: a number\na table\n")
    found = json.loads(paths[0].read_text(encoding="utf-8"))["experiments"]
    assert found["one"] == {"summary": "dialogues", "left out": line}
    page = paths[1].read_text(encoding="utf-8")
    assert f"## one\n\ndialogues\n\nLeft out: {line}\n\n## two\n\na number\n\n- holds: it is 3; found 3\n" in page


def test_a_page_has_a_comparisons_gains_or_the_table_that_an_experiment_sets(quick, monkeypatch, tmp_path) -> None:
    own = markdown_table(("", "error"), [("ours", "8.1 %"), ("published", "5 to 8 %")])
    table = {
        "one": Experiment("one", "a comparison", lambda *_: Outcome({}, quick.as_dict(), "")),
        "two": Experiment("two", "its own", lambda *_: Outcome({}, {}, "", markdown=own)),
    }
    monkeypatch.setattr(experiments, "EXPERIMENTS", table)
    path = tmp_path / "all.json"
    assert experiments.main(["--quick", "--json", str(path)]) == 0
    page = markdown.page(json.loads(path.read_text(encoding="utf-8")))
    assert "| steps | 40 |\n|---|---|\n| transferred | " in page
    assert f"| *scratch, itself* | {quick.scores('scratch', 40).mean():.2f} |" in page
    assert "|  | error |\n| --- | ---: |\n| ours | 8.1 % |\n| published | 5 to 8 % |" in page
    assert page.endswith("A quick run: the numbers mean nothing.\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["addition"], "NAME must be one of adding, sines"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--json", "."], "--json must name a file, got '.'"),
        (["--json", "missing/x.json"], "--json must name a file in a folder that can be written to"),
        (["--markdown", "missing/x.md"], "--markdown must name a file in a folder that can be written to"),
    ],
)
def test_wrong_words_are_refused_before_anything_runs(words, text, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert experiments.main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("benchmarks.experiments: error: ")
    assert text in shown.err
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ends", "code"), [(KeyboardInterrupt, 130), (RuntimeError("no scipy"), 2)])
def test_an_early_end_leaves_the_file_as_it_was(ends, code, monkeypatch, capsys, tmp_path) -> None:
    def run(quick, workers, progress):
        raise ends

    monkeypatch.setattr(experiments, "EXPERIMENTS", {"one": Experiment("one", "fails", run)})
    path = tmp_path / "one.json"
    path.write_text("before", encoding="utf-8")
    assert experiments.main(["--json", str(path)]) == code
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_done_is_kept_and_skipped(quick, monkeypatch, tmp_path, capsys) -> None:
    runs, whole = [], EXPERIMENTS["adding"]

    def ends(quick, workers, progress):
        raise KeyboardInterrupt

    def counted(quick, workers, progress):
        runs.append(1)
        return whole.run(quick, workers, progress)

    table = {"one": Experiment("one", "adds", counted), "two": Experiment("two", "ends", ends)}
    monkeypatch.setattr(experiments, "EXPERIMENTS", table)
    words = ["--quick", "--keep", str(tmp_path / "kept"), "--json", str(tmp_path / "all.json")]
    assert experiments.main(words) == 130
    assert f"the same words go on from {tmp_path / 'kept'}" in capsys.readouterr().err
    table["two"] = Experiment("two", "a number", lambda *_: Outcome({}, {}, "a table", (Claim("it is 3", True, "3"),)))
    assert experiments.main(words) == 0
    shown = capsys.readouterr()
    assert "one: kept from before" in shown.err
    assert str(quick).splitlines()[0] not in shown.err
    assert runs == [1]
    found = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["experiments"]
    assert found["one"]["results"]["runs"] == quick.as_dict()["runs"]
    assert not (tmp_path / "kept").exists()


def test_an_experiment_that_was_cut_off_goes_on_with_its_runs(quick, tmp_path) -> None:
    shown = []

    def show(line):
        shown.append(line)
        if len(shown) == 3:
            raise KeyboardInterrupt

    run = EXPERIMENTS["adding"].run
    with pytest.raises(KeyboardInterrupt):
        run(True, 1, Keeping(show, tmp_path))
    outcome = run(True, 1, Keeping(show, tmp_path))
    assert outcome.results["runs"] == quick.as_dict()["runs"]
    assert shown[3].startswith("4 of ")
    done = Done(tmp_path / "done", True)
    done.add("adding", outcome, 1.5)
    found = Done(tmp_path / "done", True).find("adding")
    assert found is not None
    assert str(found[0]) == str(outcome)
    assert found[1] == 1.5
    with pytest.raises(ValueError, match="--keep: the experiments in .* but quick was True and is False; undo the ch"):
        Done(tmp_path / "done", False)


def test_sums_are_those_of_the_marked_numbers_one_in_either_half() -> None:
    x, y = adding.sequences(np.random.default_rng(0), 5000, 7)
    np.testing.assert_array_equal((x[:, :, 0] * x[:, :, 1]).sum(1), y)
    assert (x[:, :3, 1].sum(1) == 1).all()
    assert (x[:, 3:, 1].sum(1) == 1).all()
    assert x[:, :, 0].min() >= 0
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, abs=0.01)


def test_transfer_copies_everything_and_records_its_source(quick) -> None:
    study = adding.Adding(adding.QUICK)
    source, target = study.pretrain(0, False), study.build(0)
    study.copy(source, target)
    assert all((target.parameters[name] == source.parameters[name]).all() for name in target.parameters)
    assert target.source == {"steps": source.steps, "solved": source.solved}
    runs = [run for run in quick.runs if run.arm == "transferred"]
    assert runs[0].record["source"] == target.source
    assert all(run.record["source"] is None for run in quick.runs if run.arm == "scratch")


def test_a_run_that_is_cut_off_says_so(quick) -> None:
    for run in quick.runs:
        assert run.record["solved"] == (run.record["error"] < adding.QUICK.solved_below)
        assert run.record["solved"] or run.score == adding.QUICK.most_steps
    assert {run.record["solved"] for run in quick.runs} == {False, True}
    unsolved = {arm.name: 1 for arm in adding.ARMS}
    ratios = {arm.name: adding.ratio(quick, arm) for arm in adding.ARMS if arm.name != "scratch"}
    shown = adding._table(quick, adding.QUICK, ratios, unsolved)
    assert "> 40" in shown
    assert "not solved in 40 steps, and counted as so many (1 transferred, 1 scratch, 1 shuffled sums)" in shown


def test_the_ratio_is_a_geometric_mean_with_the_interval_of_logarithms(quick) -> None:
    scores = {"transferred": [10, 20, 30], "scratch": [40, 40, 40], "shuffled sums": [40, 40, 40]}
    runs = tuple(
        quick.runs[0]._replace(arm=arm, seed=seed, score=float(score))
        for arm, steps in scores.items()
        for seed, score in enumerate(steps)
    )
    comparison = adding.Comparison("steps", False, ("*",), adding.ARMS, quick.sizes, (0, 1, 2), runs)
    found = adding.ratio(comparison, adding.ARMS[0])
    logs = np.log([0.25, 0.5, 0.75])
    half = 4.302653 * logs.std(ddof=1) / 3**0.5
    assert found.each == (0.25, 0.5, 0.75)
    assert [found.low, found.mean, found.high] == pytest.approx(
        np.exp([logs.mean() - half, logs.mean(), logs.mean() + half])
    )
    assert str(found).endswith("at most half in 2 of 3 seeds")
    same = adding.ratio(comparison, adding.ARMS[2])
    assert (same.mean, same.low, same.high) == (1, None, None)


def test_errors_are_placed_as_the_ranges_were_rounded() -> None:
    assert [sines.place(error, "Reptile", 1) for error in (0.694, 0.695001, 0.864, 0.866)] == [
        "below", "within", "within", "above",
    ]  # fmt: skip
    assert [sines.place(error, "joint", 1) for error in (3.74, 3.76, 3.84, 3.86)] == [
        "below", "within", "within", "above",
    ]  # fmt: skip


def test_a_table_of_the_page_marks_what_helps_and_what_hurts() -> None:
    def gain(arm, mean, half, verdict):
        return {"arm": arm, "size": 10, "mean": mean, "half_width": half, "verdict": verdict}

    results = {
        "protocol": {"metric": "accuracy in %", "sizes": [10], "baseline": "scratch",
                     "arms": [{"name": name} for name in ("a", "b", "c", "scratch")]},
        "differences": [gain("a", 3.04, 1.0, "positive"), gain("b", -3.0, 1.0, "NEGATIVE TRANSFER"),
                        gain("c", 1.0, None, "inconclusive")],
        "runs": [{"arm": "scratch", "size": 10, "score": score} for score in (50.0, 60.0)],
    }  # fmt: skip
    assert markdown.table(results, 1).splitlines() == [
        "| accuracy in % | 10 |", "|---|---|", "| a | **+3.0 ± 1.0** |", "| b | −3.0 ± 1.0 ⚠ |", "| c | +1.0 |",
        "| *scratch, itself* | 55.0 |",
    ]  # fmt: skip
