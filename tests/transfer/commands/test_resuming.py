"""``rnn-core transfer --resume``: a run that was cut off goes on, and what it finds is what it would have found."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from rnn_core import cli
from transfer.commands import run
from transfer.comparing import kept as keeping
from transfer.comparing.kept import KeptRuns

from .made import json_lines, refused, results, table, texts, transferred

METHODS = ["--methods", "fine-tuned", "frozen-core", "Reptile", "shuffled labels"]
RUNS = 2 * 5
"""Two seeds, four methods and scratch."""

CHANGES = {"finished", "seconds", "command"}
"""What may differ in two runs that are the same."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with files, and the results of a run that was never cut off."""
    folder = tmp_path_factory.mktemp("texts")
    table(folder / "a.csv", texts(40, 0))
    json_lines(folder / "b.jsonl", texts(30, 1, ("down", "up")))
    assert cli.main(list(map(str, ["transfer", *words(folder), "--out", folder / "out"]))) == 0
    return folder


def words(folder):
    return ["--source", folder / "a.csv", "--target", folder / "b.jsonl", "--quick", "--workers", 1, *METHODS]


def same(folder, other):
    """Compare everything that two runs have written, but for their times."""
    one, two = results(folder), results(other)
    assert {name: one[name] for name in one if name not in CHANGES} == {
        name: two[name] for name in two if name not in CHANGES
    }
    assert (folder / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}


def interrupted_at(monkeypatch, count):
    """Have Ctrl-C come when so many runs have been kept."""
    add = KeptRuns.add

    def adding(kept, *arguments):
        found = add(kept, *arguments)
        if kept.folder.name == "kept" and len(kept) == count:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(KeptRuns, "add", adding)


@pytest.mark.parametrize("count", [1, 5, RUNS])
def test_ctrl_c_and_resume_end_in_the_same_results(whole, tmp_path, capsys, monkeypatch, count) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupted_at(patch, count)
        assert cli.main(list(map(str, ["transfer", *words(whole), "--out", out]))) == 130
    shown = capsys.readouterr().err
    assert shown == (
        f"rnn-core transfer: interrupted; no results were written, {count} run{'s' * (count > 1)} of the comparison "
        f"kept in {str(out)!r}: the same words with --resume go on\n"
    )
    assert [path.name for path in out.iterdir()] == ["kept"]
    told = transferred(capsys, *words(whole), "--out", out, "--resume")
    assert f"- {count} run{'s' * (count > 1)} of the comparison kept from before" in told
    same(out, whole / "out")
    assert "--resume" not in results(out)["command"]


def test_before_the_comparison_sources_are_kept_and_what_the_choice_tried(whole, tmp_path, capsys, monkeypatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(run, "compare", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
        assert cli.main(list(map(str, ["transfer", *words(whole), "--out", out]))) == 130
    assert "0 runs of the comparison kept" in capsys.readouterr().err
    assert len(list((out / "kept" / "sources").iterdir())) == 2  # trained, and Reptile's
    assert keeping.count(out / "kept" / "choice") == 4
    tried = []
    with monkeypatch.context() as patch:
        patch.setattr("transfer.commands.network.run_one", lambda *_: tried.append(_))
        transferred(capsys, *words(whole), "--out", out, "--resume")
    assert tried == []
    same(out, whole / "out")


def test_a_run_that_was_killed_goes_on(whole, tmp_path, capsys) -> None:
    killed = (
        "import os, signal, sys\n"
        "from rnn_core import cli\n"
        "from transfer.comparing.kept import KeptRuns\n"
        "add = KeptRuns.add\n"
        "def adding(kept, *arguments):\n"
        "    found = add(kept, *arguments)\n"
        "    if kept.folder.name == 'kept' and len(kept) == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return found\n"
        "KeptRuns.add = adding\n"
        "cli.main(sys.argv[1:])\n"
    )
    out = tmp_path / "out"
    arguments = map(str, ["transfer", *words(whole), "--out", out])
    ended = subprocess.run([sys.executable, "-c", killed, *arguments], stdout=subprocess.DEVNULL, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert "3 runs of the comparison kept from before" in transferred(capsys, *words(whole), "--out", out, "--resume")
    same(out, whole / "out")


@pytest.fixture(scope="module")
def cut_off(whole):
    """A folder in which a run was cut off."""
    out = whole / "cut"
    with pytest.MonkeyPatch.context() as patch:
        interrupted_at(patch, 4)
        assert cli.main(list(map(str, ["transfer", *words(whole), "--out", out]))) == 130
    return out


def test_without_resume_the_way_out_is_said_and_nothing_is_lost(whole, cut_off, capsys) -> None:
    before = (cut_off / "kept" / "runs.jsonl").read_bytes()
    error = refused(capsys, *words(whole), "--out", cut_off)
    assert "with 4 finished parts of one; --resume goes on from there, --overwrite begins afresh" in error
    assert (cut_off / "kept" / "runs.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--updates", "9"], "in {}, but --updates was left out and is 9; undo"),
        (["--hidden-size", "5", "--seeds", "9"], "in {}, but --hidden-size was left out and is 5; undo"),
        (["--num-words", "20", "--keep-case"], "--keep-case was left out and is given; --num-words was left out and"),
    ],
)
def test_other_options_are_refused_in_a_line(whole, cut_off, capsys, more, said) -> None:
    before = (cut_off / "kept" / "runs.jsonl").read_bytes()
    error = refused(capsys, *words(whole), *more, "--out", cut_off, "--resume")
    assert "--resume must go on with the data, options and version that it began with" in error
    assert said.format(repr(str(cut_off))) in error
    assert "--overwrite without --resume begins afresh" in error
    assert (cut_off / "kept" / "runs.jsonl").read_bytes() == before


def test_where_no_option_differs_it_is_the_data(whole, cut_off, tmp_path, capsys) -> None:
    """So it is where a folder does not say what it began with."""
    for change in ("data", "options"):
        out, here = shutil.copytree(cut_off, tmp_path / change), shutil.copytree(whole, tmp_path / f"{change} of")
        if change == "data":
            json_lines(whole / "b.jsonl", texts(31, 1, ("down", "up")))
        else:
            (out / "kept" / "options.json").unlink()
        more = [] if change == "data" else ["--updates", "9"]
        try:
            error = refused(capsys, *words(whole), *more, "--out", out, "--resume")
        finally:
            shutil.copy(here / "b.jsonl", whole / "b.jsonl")
        assert ("budget.target_updates was 8 and is 9" if more else "target") in error
        assert "--updates" not in error


def test_what_is_damaged_is_made_again_and_said(whole, cut_off, tmp_path, capsys) -> None:
    out = shutil.copytree(cut_off, tmp_path / "out")
    path = out / "kept" / "runs.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    told = transferred(capsys, *words(whole), "--out", out, "--resume")
    assert f"- 1 damaged line in {path}: its run is made again" in told.replace("\n", "")
    same(out, whole / "out")


def test_overwrite_begins_afresh(whole, cut_off, tmp_path, capsys) -> None:
    out = shutil.copytree(cut_off, tmp_path / "out")
    lines = (out / "kept" / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert first["run"]["seed"] == 0
    assert "kept from before" not in transferred(capsys, *words(whole), "--out", out, "--overwrite")
    same(out, whole / "out")


def test_more_seeds_may_be_asked_for_when_it_goes_on(whole, cut_off, tmp_path, capsys) -> None:
    out = shutil.copytree(cut_off, tmp_path / "out")
    told = transferred(capsys, *words(whole), "--seeds", 3, "--out", out, "--resume")
    assert "4 runs of the comparison kept from before" in told
    found, before = results(out)["comparison"]["runs"], results(whole / "out")["comparison"]["runs"]
    assert len(found) == 15
    assert [one for one in found if one["seed"] < 2] == before


def test_resume_where_nothing_was_kept_begins_afresh_and_says_so(whole, tmp_path, capsys) -> None:
    told = transferred(capsys, *words(whole), "--out", tmp_path / "out", "--resume")
    assert f"- nothing was kept in {tmp_path / 'out'}: it begins afresh" in told.replace("\n", "")
    assert "must be a folder without results" in refused(capsys, *words(whole), "--out", tmp_path / "out", "--resume")
    same(tmp_path / "out", whole / "out")
