"""Real jobs of two and three ranks: the curves of one process, equal bits, faults named, ranks that die."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mpi4py")

from .job import SOME, curves

MPIEXEC = Path(sys.executable).parent / "mpiexec"
ROOT = Path(__file__).resolve().parents[3]
TOLERANCE = 1e-12

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside this Python")


def launch(ranks, words, timeout=300):
    """Run a job, and return its exit code and what it wrote to standard error."""
    settings = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_MCA_mpi_yield_when_idle": "1",  # more ranks than cores: who waits makes room
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [MPIEXEC, "-n", str(ranks), sys.executable, *map(str, words)], env=os.environ | settings, cwd=ROOT,
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr + done.stdout


def job(ranks, what, folder):
    """Run a job of this folder, and return exit code, what it said and what it found."""
    found = folder / "found.json"
    found.unlink(missing_ok=True)
    code, said = launch(ranks, ["-m", "tests.rnn_core.parallel.job", what, folder])
    return code, said, json.loads(found.read_text(encoding="utf-8")) if found.exists() else None


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What jobs of two and three ranks, and one alone, have found."""
    results = {}
    for ranks in (1, 2, 3):
        code, said, results[ranks] = job(ranks, "facts", tmp_path_factory.mktemp("job"))
        assert code == 0, said
    return results


@pytest.fixture(scope="module")
def alone():
    """The same in this process, without MPI."""
    return curves(None)


def differences(one, other):
    """Return the greatest difference of curves and of parameters, by case."""
    return {
        name: max(np.abs(np.subtract(case[part], other[name][part])).max() for part in ("curves", "parameters"))
        for name, case in one.items()
    }


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("reduction", ["sum", "exact"])
def test_a_hundred_steps_are_those_of_one_process(found, alone, ranks, reduction):
    """Dropout, zoneout, ragged rows, weights of 0, states that are carried, shares without a row."""
    apart = differences(found[ranks][reduction], alone)
    assert apart.keys() == (alone.keys() if reduction == "sum" else set(SOME))
    assert max(apart.values()) < TOLERANCE, apart


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_same_bits_every_time_and_whenever_gradients_leave(found, ranks):
    first, second = found[ranks]["sum"], found[ranks]["again"]
    assert {name: first[name]["digest"] for name in SOME} == {name: second[name]["digest"] for name in SOME}


@pytest.mark.parametrize("ranks", [2, 3])
def test_upper_layers_leave_while_lower_ones_are_computed(found, ranks):
    """V = 7, H = 6; the embedding's rows follow when the backward is over."""
    first, second = found[ranks]["events"]
    says = ["head.weight …", "rnn.weight_ih_l1 …", "rnn.weight_ih_l0 …", "over"]
    assert [event for event in first if not event.startswith("sends")] == says
    assert first[: len(says)] == says  # which gradients there are is found out
    layer = ["sends 144", "sends 144", "sends 24", "sends 24"]
    assert second == [says[0], "sends 42", "sends 7", says[1], *layer, says[2], *layer, "over"]


def test_exact_sums_have_the_same_bits_on_any_number_of_ranks(found):
    digests = [[case["digest"] for case in found[ranks]["exact"].values()] for ranks in (1, 2, 3)]
    assert digests[0] == digests[1] == digests[2]
    assert digests[1] != [found[2]["sum"][name]["digest"] for name in SOME]  # the comparison can fail


@pytest.mark.parametrize("ranks", [2, 3])
def test_what_is_wrong_on_one_rank_is_named(found, ranks):
    for what, said in found[ranks]["faults"].items():
        assert what in said
        assert what == "no space left" or "rank 1 (" in said, said


def test_a_callback_ends_all_ranks(found):
    assert found[2]["stopped"] == found[3]["stopped"] == 5


def test_threads_of_a_rank_are_said(found):
    cores = os.cpu_count() or 1
    assert f"2 ranks on 1 host, {max(1, cores // 2)} thread" in found[2]["said"]


def test_a_rank_that_dies_ends_the_job_and_resuming_gives_the_bits_of_a_run_that_never_broke(tmp_path):
    """It goes on with another number of ranks."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    assert job(1, "0", whole)[0] == 0
    unbroken = json.loads((whole / "found.json").read_text(encoding="utf-8"))
    ranks = 3
    code, said, nothing = job(ranks, "6", broken)
    assert code != 0
    assert nothing is None
    if "prterun" in said:  # another launcher may end ranks before they can say anything
        lines = re.findall(rf"fit: rank {ranks - 1} \(.*\) has died, so rank \d .*last.safetensors holds", said)
        assert lines, said  # and of all others, unless the launcher is quicker
    code, said, resumed = job(2, "0", broken)
    assert code == 0, said
    assert resumed == unbroken


def test_the_command_under_mpiexec(tmp_path):
    rows = [f"{'good' if k % 2 else 'bad'} film {k % 5},{'yes' if k % 2 else 'no'}" for k in range(40)]
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
    words = ["-m", "rnn_core.cli", "train", "classify", "--hidden-size", 8, "--epochs", 2, "--out", tmp_path / "run"]
    code, said = launch(2, [*words, "--data", data])
    assert code == 0, said
    assert "2 ranks on 1 host" in said
    assert said.count("accuracy in %:") == 1  # one rank shows
    assert (tmp_path / "run" / "model.safetensors").exists()
    code, said = launch(2, [*words[:-1], tmp_path / "other", "--data", tmp_path / "none.csv"])
    assert code == 2
    assert said.count("rnn-core train: error:") == 1, said
