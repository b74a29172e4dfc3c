"""Two versions in turn: who is called when, and that each is imported from its own folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.versions import FEWEST, PACKAGES, ratios, sides_of

ROOT = Path(__file__).resolve().parents[2]


def test_neither_side_always_follows_the_other():
    order: list[str] = []
    found = list(ratios(lambda: order.append("a"), lambda: order.append("b"), 0.0))
    assert len(found) == FEWEST
    assert all(ratio > 0 for ratio in found)
    assert "".join(order[-4 * (FEWEST // 2) :]) == "abba" * (FEWEST // 2)


def test_each_version_comes_from_its_own_folder(tmp_path):
    """Two folders with packages of the same names, in a process of their own."""
    for version in ("old", "new"):
        for package in ("kernels", "rnn_core", "benchmarks"):
            (tmp_path / version / package).mkdir(parents=True)
            (tmp_path / version / package / "__init__.py").write_text("LSTM = lambda *a, **k: None\n")
        (tmp_path / version / "benchmarks" / "sides.py").write_text(f"VERSION = {version!r}\n")
    code = f"""
from pathlib import Path
from benchmarks.versions import sides_of
print(*(sides_of(Path({str(tmp_path)!r}, version)).VERSION for version in ("old", "new")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["old", "new"]


def test_a_folder_without_a_version_is_not_measured_as_another(tmp_path):
    before = dict(sys.modules)
    for package in PACKAGES[:2]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    with pytest.raises(SystemExit, match=f"got {tmp_path}, which has no benchmarks$"):
        sides_of(tmp_path)
    with pytest.raises(SystemExit, match="got /nowhere, which has no kernels, rnn_core, benchmarks$"):
        sides_of(Path("/nowhere"))
    assert sys.modules == before
