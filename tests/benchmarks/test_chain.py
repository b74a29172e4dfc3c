"""``python -m benchmarks.chain``. Nothing here looks at a time."""

from __future__ import annotations

import pytest

from benchmarks import chain, timing


@pytest.mark.parametrize("task", chain.TASKS)
@pytest.mark.parametrize("case", chain.CASES, ids=lambda case: case.name)
def test_the_two_sides_agree(case, task) -> None:
    (_, found), (_, expected) = (chain.side(case, task, backend) for backend in ("cpu", "numpy"))
    assert chain.disagreement(found(), expected()) < 1e-5


def test_a_table_is_printed_unless_they_differ(monkeypatch, capsys) -> None:
    monkeypatch.setattr(timing, "REST", 0.0)
    words = ["--quick", "--only", "one sentence"]
    assert chain.main(words) == 0
    shown = capsys.readouterr().out
    assert "| one sentence, decoding | 9 | 1 × 30 |" in shown
    assert "geometric mean" in shown
    monkeypatch.setattr(chain, "disagreement", lambda *_: 1.0)
    assert chain.main(words) == 1
    assert "the two sides must agree, but differ by 1.0e+00" in capsys.readouterr().err
