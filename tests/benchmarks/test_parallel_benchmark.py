"""The benchmark of ranks: both sides must come to the same loss, and what can't be measured is said."""

from __future__ import annotations

import pytest

from benchmarks import parallel


def test_a_run_in_one_process_says_time_and_loss():
    found = parallel.run((2, 3, 2), 1, 1)
    assert found["seconds"] > 0
    assert 6 < found["loss"] < 7.5  # about log 1000
    assert found["steps"] == parallel.STEPS - 1


def test_ratios_are_one_process_over_ranks(monkeypatch):
    monkeypatch.setattr(parallel, "REST", 0)
    monkeypatch.setattr(parallel, "run", lambda case, count, ranks: {"seconds": 6 / ranks, "steps": 9, "loss": 5.0})
    row = parallel.measured((64, 256, 32), 2, 3)
    assert (row["one"], row["many"], row["ratio"], row["low"], row["high"]) == (6, 3, 2, 2, 2)


def test_losses_that_differ_are_an_error(monkeypatch, capsys):
    monkeypatch.setattr(parallel, "REST", 0)
    monkeypatch.setattr(parallel, "run", lambda case, count, ranks: {"seconds": 1.0, "steps": 9, "loss": 5 + ranks})
    assert parallel.main(["--ranks", "2", "--turns", "1"]) == 1
    assert "losses must agree to 0.0001, got 6 and 7" in capsys.readouterr().err


def test_one_rank_is_nothing_to_compare(capsys):
    with pytest.raises(SystemExit):
        parallel.main(["--ranks", "1"])
    assert "--ranks must be at least 2" in capsys.readouterr().err
