"""The experiment on source code: what its teacher's words become, rows and their margins, scores, and a quick run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")
pytest.importorskip("pygments")

from benchmarks.experiments import __main__ as experiments
from benchmarks.experiments import highlighting
from benchmarks.experiments.highlighting import MARGIN, TAGS, WINDOW, File


def tags_of(text: str, lexer) -> list[str]:
    path = Path("a.py")
    path.write_text(text)
    return [TAGS[k] for k in highlighting.read(path, lexer).tags]


def test_the_teachers_words_become_tags(tmp_path, monkeypatch) -> None:
    from pygments.lexers import CLexer, PythonLexer

    monkeypatch.chdir(tmp_path)
    said = tags_of('def f(x):  # no\n    return len("a") + 1\n', PythonLexer())
    assert said[:5] == ["keyword"] * 3 + ["blank", "definition"]
    assert said[5] == "punctuation"
    assert said[11:15] == ["comment"] * 4
    assert said[20:26] == ["keyword"] * 6
    assert said[27:30] == ["builtin"] * 3
    assert said[31:34] == ["string"] * 3
    assert said[36] == "operator"
    assert said[38] == "number"
    said = tags_of("#include <a.h>\nint x; /* no */\n", CLexer())
    assert said[:8] == ["preprocessor"] * 8
    assert said[15:18] == ["type"] * 3
    assert said[22:30] == ["comment"] * 8


@pytest.mark.parametrize("size", [1, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 5])
def test_each_character_is_asked_about_once_and_seen_with_its_margins(size) -> None:
    rng = np.random.default_rng(0)
    file = File("a", rng.integers(1, 90, size), rng.integers(0, len(TAGS), size))
    letters, tags, lengths, weights = highlighting.rows_of([file])
    np.testing.assert_array_equal(letters[weights > 0], file.letters)
    np.testing.assert_array_equal(tags[weights > 0], file.tags)
    for k, n in enumerate(lengths):
        start = max(0, k * WINDOW - MARGIN)
        np.testing.assert_array_equal(letters[k, :n], file.letters[start : (k + 1) * WINDOW + MARGIN])
        assert not letters[k, n:].any()
        assert not weights[k, n:].any()


def test_scores_by_hand() -> None:
    file = File("a", np.array([2, 3, 4, 5, 6]), np.array([3, 3, 0, 5, 5]))
    found = highlighting.facts([file], [np.array([3, 3, 3, 5, 6])])
    assert found["accuracy"] == 0.75  # the blank counts nothing
    assert found["F1 of runs"] == 0  # a run of three for one of two, and half of another
    alone = highlighting.each_letter_alone([file], [file])
    assert alone == {"accuracy": 1.0, "F1 of runs": 1.0}


def test_files_are_held_out_whole() -> None:
    study, held_out = highlighting.study_of(highlighting.QUICK)
    names = [[file.name for file in files] for files in (study.source, held_out, study.target, study.test)]
    assert [len(files) for files in names] == [3, 2, 3, 2]
    assert len({name for files in names for name in files}) == 10
    assert study.target_data(1, 0).inputs.shape[1] == WINDOW + 2 * MARGIN


def test_a_quick_run(tmp_path, capsys) -> None:
    path = tmp_path / "found.json"
    assert experiments.main(["highlighting", "--quick", "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))["experiments"]["highlighting"]
    assert found["protocol"]["split"].startswith("whole files")
    assert len(found["results"]["runs"]) == 2 * 5
    assert {row["crf"] for row in found["results"]["Python"]} == {False, True}
    shown = capsys.readouterr().out
    assert "scrambled core" in shown
    assert "C, each letter alone" in shown
