"""Flower's engines themselves: its simulation, and a SuperLink with two SuperNodes, one of which is killed.

They are started by `examples/federated.py`, and a round of theirs takes seconds: `make federated` has these tests.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnn_core.weights import read_arrays

pytest.importorskip("flwr")
pytest.importorskip("sklearn")

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "federated.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("federated_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launched(folder, *words):
    """Run the example; return what it said, and its exchanges of training."""
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--folder", folder, *words], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    exchanges = json.loads((folder / "progress.json").read_text(encoding="utf-8"))["exchanges"]
    return done.stdout, [one for one in exchanges if one["kind"] == "train"]


def clients(names):
    return sorted(name.partition(" (")[0] for name in names)


def assert_close(folder, expected):
    for name, array in read_arrays(folder / "core.safetensors").items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-12, err_msg=name)


def test_a_simulation_is_what_clients_do_by_hand(tmp_path, example):
    pytest.importorskip("ray")
    said, exchanges = launched(tmp_path, "--rounds", "2")
    assert [clients(one["kept"]) for one in exchanges] == [["client 0", "client 1"]] * 2
    assert_close(tmp_path, example.replayed(example.Settings(str(tmp_path), 2, False), exchanges))
    assert "greatest difference from the same rounds without Flower" in said


def test_a_supernode_is_killed_in_the_middle(tmp_path, example):
    """Ten rounds on the same data: the core is that of ten rounds in which nobody was killed."""
    said, exchanges = launched(tmp_path, "--deploy", "--alike", "--rounds", "10", "--kill", "5")
    assert [one["round"] for one in exchanges] == list(range(1, 11))
    assert [clients(one["kept"]) for one in exchanges[:5]] == [["client 0", "client 1"]] * 5
    assert [clients(one["kept"]) for one in exchanges[6:]] == [["client 0"]] * 4
    assert [one for one in exchanges if one["left_out"]] == [] or "client 1" in said.partition("is left out")[0]
    unbroken = [{"kind": "train", "kept": ["client 0 ()", "client 1 ()"]}] * 10
    assert_close(tmp_path, example.replayed(example.Settings(str(tmp_path), 10, True), unbroken))


def test_a_supernode_that_is_started_again_goes_on(tmp_path):
    _, exchanges = launched(tmp_path, "--deploy", "--rounds", "6", "--kill", "1", "--back", "2")
    assert clients(exchanges[0]["kept"]) == clients(exchanges[-1]["kept"]) == ["client 0", "client 1"]
    nodes = [next(name for name in exchanges[k]["kept"] if name.startswith("client 1 ")) for k in (0, -1)]
    assert nodes[0] != nodes[1]
