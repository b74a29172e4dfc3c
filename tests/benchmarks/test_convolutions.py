"""``python -m benchmarks.convolution``, and the experiment on digits by convolutions. Nothing here looks at a time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")
pytest.importorskip("threadpoolctl")

from benchmarks import convolution, timing
from benchmarks.experiments.known import convolutions as digits
from transfer import compare
from transfer.demo.digits import load_images


@pytest.mark.parametrize("case", convolution.CASES, ids=lambda case: case.name)
def test_torch_has_the_same_numbers(case):
    torch = pytest.importorskip("torch")
    case = case._replace(shape=(2, *case.shape[1:]))
    for task in convolution.TASKS:
        (_, found), (_, expected) = convolution.ours(case, task), convolution.theirs(torch, case, task)
        assert set(found()) == set(expected())
        assert convolution.disagreement(found(), expected()) < 1e-5


def test_the_benchmark_prints_a_table_and_refuses_what_disagrees(monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setattr(timing, "REST", 0)
    words = ["--quick", "--threads", "1", "--only", "digits, first block"]
    assert convolution.main(words) == 0
    shown = capsys.readouterr().out
    assert "| digits, first block, training |" in shown
    assert "| geometric mean |" in shown
    monkeypatch.setattr(convolution, "disagreement", lambda *_: 1.0)
    assert convolution.main(words) == 1
    assert "the two sides must agree, but differ by 1.0e+00" in capsys.readouterr().err


@pytest.fixture(scope="module")
def images():
    return load_images()


@pytest.mark.parametrize("network", ["CNN", "CNN → RNN"])
def test_every_arm_runs_and_begins_as_it_says(network, images):
    study = digits.Convolved(network, images[0], images[1], digits.TINY)
    arms = {arm.name: arm for arm in study.arms()}
    source, fresh = study.build_source(0), study.build(0)
    scrambled = study.control("scrambled", source, 0)
    names = [name for name in source.parameters if name.startswith("conv.")]
    others = [name for name in source.parameters if not name.startswith("conv.")]
    for name in names:
        np.testing.assert_array_equal(np.sort(scrambled.parameters[name], None), np.sort(source.parameters[name], None))
    assert all(np.array_equal(scrambled.parameters[name], source.parameters[name]) for name in others)
    begun = {name: arm.begin(study, source if arm.source else None, 0) for name, arm in arms.items()}
    for name in fresh.parameters:
        carried = {arm for arm in begun if np.array_equal(begun[arm].parameters[name], source.parameters[name])}
        expected = {"fine-tuned", "frozen convolutions", "scrambled convolutions", "shuffled labels"}
        if name.startswith("rnn."):
            expected = {"fine-tuned"}
        assert carried == (set() if name.startswith("head.") else expected)  # of one and the same source
    comparison = compare(study, sizes=[1], seeds=1, arms=study.arms())
    assert {run.arm for run in comparison.runs} == set(arms)
    assert all(0 <= run.score <= 100 for run in comparison.runs)


def test_test_images_are_nobodys_examples(images):
    test, rest = digits.split(images[1])
    assert len(test.label) == digits.TEST
    assert len(test.label) + len(rest.label) == len(images[1].label)
    study = digits.Convolved("CNN", images[0], images[1], digits.TINY)
    data = study.target_data(2, seed=0)
    drawn = np.concatenate([data.batch(0, k).inputs for k in range(len(data))])
    assert len(drawn) == 10
    known = {image.tobytes() for image in rest.x}
    assert all(image.tobytes() in known for image in drawn)
