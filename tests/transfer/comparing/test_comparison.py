"""`compare`: pairs, intervals, verdicts, frozen cores, and the same bits from any number of workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import SGD, fit
from transfer import ARMS, Arm, Comparison, Plan, Study, compare, freeze
from transfer.comparing.runs import Run
from transfer.comparing.verdicts import paired

ROOT = Path(__file__).resolve().parents[3]


class Signs(Study):
    """Is the sum of a sequence positive? The target asks the opposite."""

    metric = "accuracy"

    def pretrain(self, seed, shuffled):
        model = self.build(seed + 1000)
        x, y = self.data(seed, 32)
        if shuffled:
            y = np.random.default_rng(seed).permutation(y)
        self.fit(model, x, y, seed)
        return model

    def build(self, seed):
        return SequenceClassifier(2, 5, input_size=2, cell="gru", seed=seed)

    def train(self, model, plan, size, seed):
        x, y = self.data(seed + 500, size)
        return self.fit(model, x, 1 - y, seed, plan.resolve(model)).column("loss")

    def score(self, model):
        x, y = self.data(99, 64)
        return np.mean(model(x).argmax(axis=1) == 1 - y)

    @staticmethod
    def data(seed, size):
        x = np.random.default_rng(seed).standard_normal((size, 4, 2)).astype(np.float32)
        return x, (x.sum(axis=(1, 2)) > 0).astype(np.int64)

    @staticmethod
    def fit(model, x, y, seed, updates=None):
        data = Examples(x, y, batch_size=8, seed=seed)
        return fit(model, data, optimizer=SGD(0.5), epochs=2, updates=updates, seed=seed, progress=False)


class Recording(Signs):
    """Trains nothing, and remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def pretrain(self, seed, shuffled):
        self.calls.append(("pretrain", seed, shuffled))
        return self.build(1000 + 2 * seed + shuffled)

    def train(self, model, plan, size, seed):
        self.calls.append(("train", seed, size, plan.frozen, model.state_dict()))

    def score(self, model):
        return float(len(self.calls))

    def begun(self):
        return [call[1:] for call in self.calls if call[0] == "train"]


class Disobedient(Signs):
    """Trains everything, whatever the plan says."""

    def train(self, model, plan, size, seed):
        super().train(model, Plan(), size, seed)


class Failing(Signs):
    """Can't pretrain."""

    def pretrain(self, seed, shuffled):
        raise ValueError(f"no data for seed {seed}")


class Dying(Signs):
    """Takes its process along."""

    def pretrain(self, seed, shuffled):
        os._exit(3)


class Unsendable(Signs):
    """Returns a record that can't leave its process."""

    def train(self, model, plan, size, seed):
        return lambda: None


class Prepared(Signs):
    """Builds models with a frozen bias, and writes into it."""

    def build(self, seed):
        model = super().build(seed)
        freeze(model, "head.bias")
        return model

    def train(self, model, plan, size, seed):
        model.parameters["head.bias"][:] = 0


@pytest.fixture(scope="module")
def comparison():
    return compare(Signs(), sizes=[4, 16], seeds=[3, 0, 1])


# The runs


def test_every_arm_runs_at_every_size_with_every_seed(comparison):
    assert [(run.seed, run.size, run.arm) for run in comparison.runs] == [
        (seed, size, arm.name) for seed in (3, 0, 1) for size in (4, 16) for arm in ARMS
    ]
    assert all(len(run.record) == 2 for run in comparison.runs), "what train returned is kept"


def test_scores_are_those_of_a_run_by_hand(comparison):
    study, seed = Signs(), 0
    source, target = study.pretrain(seed, False), study.build(seed)
    study.copy(source, target)
    study.train(target, Plan(frozen="rnn.*"), 16, seed)
    assert comparison.scores("frozen core", 16)[1] == study.score(target)


def test_arms_differ_in_what_was_copied_and_frozen_alone():
    study = Recording()
    compare(study, sizes=[1], seeds=1)
    fresh = study.build(0).parameters
    sources = {"fine-tuned": 1000, "frozen core": 1000, "shuffled labels": 1001}
    assert len(study.begun()) == len(ARMS)
    for arm, (_, _, frozen, begun) in zip(ARMS, study.begun(), strict=True):
        core = study.build(sources[arm.name]).parameters if arm.name in sources else fresh
        expected = {name: (core if name.startswith("rnn.") else fresh)[name] for name in fresh}
        assert all((begun[name] == expected[name]).all() for name in fresh), arm.name
        assert frozen == (("rnn.*",) if arm.name in ("frozen core", "random core") else ())


def test_a_source_is_trained_once_a_seed_and_only_if_wanted():
    study = Recording()
    compare(study, sizes=[1, 2], seeds=2)
    asked = [call for call in study.calls if call[0] == "pretrain"]
    assert asked == [("pretrain", seed, shuffled) for seed in (0, 1) for shuffled in (False, True)]
    study = Recording()
    compare(study, sizes=[1], seeds=1, arms=[Arm("scratch"), Arm("random core", frozen_core=True)])
    assert study.calls[0][0] == "train"


def test_an_arm_may_bring_a_plan_of_its_own():
    study = Recording()
    study.core = ["rnn.weight_*"]
    arms = [Arm("scratch"), Arm("careful", "trained", True, Plan(frozen="rnn.bias_*", rates={"head": 0.1}))]
    result = compare(study, sizes=[1], seeds=1, arms=arms)
    assert study.begun()[1][2] == ("rnn.bias_*", "rnn.weight_*")
    assert result.as_dict()["protocol"]["arms"][1]["plan"] == {
        "frozen": ["rnn.bias_*"], "rates": {"head": 0.1}, "anchors": {}
    }  # fmt: skip


def test_a_frozen_core_that_changed_is_an_error():
    with pytest.raises(RuntimeError, match=r"others in rnn\.weight_ih_l0, .*\(arm 'frozen core', size 4, seed 0\)"):
        compare(Disobedient(), sizes=[4], seeds=1)


def test_progress_is_told_after_each_run():
    told = []
    result = compare(Recording(), sizes=[1, 2], seeds=2, progress=lambda *progress: told.append(progress))
    assert [run for run, _, _ in told] == list(result.runs)
    assert [(done, total) for _, done, total in told] == [(k + 1, 20) for k in range(20)]


def test_workers_make_no_difference_to_any_bit(comparison, tmp_path):
    told = []
    result = compare(
        Signs(), sizes=[4, 16], seeds=[3, 0, 1], workers=2, progress=lambda run, done, total: told.append(done),
        prepare=(tmp_path / "prepared").touch,
    )  # fmt: skip
    assert result == comparison
    assert (tmp_path / "prepared").exists()
    assert told == list(range(1, 31))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    "study, error, says",
    [
        (Failing(), ValueError, "no data for seed"),
        (Disobedient(), RuntimeError, "frozen parameters must keep their bits"),
        (Dying(), RuntimeError, r"one ended at once; .* or use workers=1"),
        (Unsendable(), TypeError, "results must be plain data to leave their process"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_workers_failure_reaches_the_caller_and_leaves_no_process(study, error, says):
    with pytest.raises(error, match=says):
        compare(study, sizes=[4], seeds=3, workers=2)
    assert not multiprocessing.active_children()


def test_workers_want_a_study_that_can_be_pickled():
    study = Recording()
    study.calls.append(lambda: None)
    with pytest.raises(TypeError, match="what workers are handed must be picklable"):
        compare(study, sizes=[4], seeds=2, workers=2)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal's Ctrl-C is sent in another way there")
def test_ctrl_c_ends_the_workers():
    script = """
        import multiprocessing
        from tests.transfer.comparing.test_comparison import Signs
        from transfer import compare

        def tell(run, done, total):
            print("running", *(child.pid for child in multiprocessing.active_children()), flush=True)

        if __name__ == "__main__":
            compare(Signs(), sizes=range(1, 4000), seeds=2, workers=2, progress=tell)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as process:
        workers = process.stdout.readline().split()[1:]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to parent and workers alike
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1, "the workers are silent"
    assert len(workers) == 2
    for pid in map(int, workers):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# What is refused


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"sizes": []}, ValueError, "sizes must be different numbers"),
        ({"sizes": [4, 4]}, ValueError, "sizes must be different numbers"),
        ({"sizes": [-1]}, ValueError, "of at least 0"),
        ({"sizes": [1.5]}, TypeError, "sizes must be ints, got 1.5"),
        ({"seeds": 0}, ValueError, "seeds must be different numbers .* not none"),
        ({"seeds": True}, TypeError, "seeds must be ints, got True"),
        ({"seeds": 2.0}, TypeError, "seeds must be ints, got 2.0"),
        ({"arms": [Arm("fine-tuned", "trained")]}, ValueError, "different names, 'scratch' among them, got fine-tuned"),
        ({"arms": [Arm("scratch"), Arm("scratch")]}, ValueError, "different names"),
        ({"arms": [Arm("scratch"), Arm("slow", plan=Plan(rates={"rnn": 1}))]}, ValueError, "did you mean 'rnn"),
        ({"arms": ["scratch"]}, TypeError, "compare: arms must be Arms, got 'scratch'"),
        ({"arms": 3}, TypeError, "compare: arms must be several Arms, got 3"),
        ({"workers": 0}, ValueError, "workers must be an int of at least 1, a joblib backend.s name, .*, got 0"),
    ],
)
def test_arguments_are_checked_before_anything_is_trained(options, error, says):
    study = Recording()
    with pytest.raises(error, match=says):
        compare(study, **{"sizes": [1], "seeds": 1, **options})
    assert study.calls == []


def test_a_core_must_be_there():
    study = Recording()
    study.core = "core.*"
    with pytest.raises(ValueError, match=r"got 'core\.\*'"):
        compare(study, sizes=[1], seeds=1)
    assert study.calls == []


def test_a_study_must_be_whole():
    with pytest.raises(TypeError, match="study must be a Study, got dict; subclass"):
        compare({}, sizes=[1], seeds=1)
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Study,), {})()
    with pytest.raises(ValueError, match="source must be 'trained', .*'rotated' or None, got 'scratch'"):
        Arm("x", "scratch")


def test_a_score_must_be_a_number(monkeypatch):
    monkeypatch.setattr(Recording, "score", lambda study, model: None)
    with pytest.raises(TypeError, match=r"Study\.score must return a number, got None"):
        compare(Recording(), sizes=[1], seeds=1)


def test_a_missing_package_is_named_before_anything_is_trained(monkeypatch):
    study = Recording()
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(RuntimeError, match=r"scipy must be installed.*rnn_core\[report\]"):
        compare(study, sizes=[1], seeds=1)
    assert study.calls == []


# The arithmetic

TRANSFERRED = Arm("a", "trained")


def test_an_interval_by_hand():
    """d = 1, 2, 3: mean 2, s = 1, and t(0.975, 2) = 4.302653 from the tables."""
    difference = paired(TRANSFERRED, "b", 1, np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]), 1)
    assert difference.gains == (1.0, 2.0, 3.0)
    assert difference.mean == 2
    assert difference.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert difference.verdict == "inconclusive"


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_intervals_are_those_of_a_paired_t_test(n):
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n)) + [[0.8], [0.0]]
    difference = paired(TRANSFERRED, "b", 1, a, b, 1)
    low, high = ttest_rel(a, b).confidence_interval(0.95)
    assert difference.mean - difference.half_width == pytest.approx(low)
    assert difference.mean + difference.half_width == pytest.approx(high)
    assert (difference.verdict == "positive") == (low > 0)


@pytest.mark.parametrize(
    "gains, verdict",
    [
        ([1.0, 1.1, 0.9, 1.0], "positive"),
        ([-1.0, -1.1, -0.9, -1.0], "NEGATIVE TRANSFER"),
        ([1.0, -1.1, 0.9, -1.0], "inconclusive"),
        ([1.0, 1.1], "positive"),  # t(0.975, 1) = 12.7: 1.05 ± 0.635
        ([1.0, 1.2], "inconclusive"),
        ([0.0, 0.0, 0.1, 0.0], "inconclusive"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_verdicts(gains, verdict, sign):
    scratch = np.linspace(0.5, 0.8, len(gains))
    scores = scratch + sign * np.array(gains)
    assert paired(TRANSFERRED, "scratch", 1, scores, scratch, sign).verdict == verdict


def test_one_seed_has_no_interval():
    difference = paired(TRANSFERRED, "b", 1, np.array([0.9]), np.array([0.1]), 1)
    assert (difference.half_width, difference.verdict) == (None, "inconclusive")
    assert difference.note == "one seed: no interval"


@pytest.mark.parametrize("step", [0.0, 0.01])
def test_no_spread_is_no_certainty(step):
    """The differences are equal but for rounding; the width of such an interval would be rounding alone."""
    scratch = np.array([0.8, 0.9, 0.1, 0.7])
    difference = paired(TRANSFERRED, "b", 1, scratch + step, scratch, 1)
    assert (difference.half_width, difference.verdict) == (None, "inconclusive")
    assert difference.note == "no spread between seeds: no interval"
    assert difference.mean == pytest.approx(step)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_kept_and_decides_nothing(bad):
    result = bits(scratch=[0.5, 1.5, 2.5], fine_tuned=[0.4, bad, 2.2])
    difference = result.difference("fine-tuned", 8)
    assert (difference.half_width, difference.verdict) == (None, "inconclusive")
    assert difference.note == "1 of 3 differences are not finite"
    assert "1 of 3 differences are not finite" in str(result)
    plain = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert plain["runs"][4]["score"] is None
    assert plain["differences"][0]["mean"] is None


def bits(**scores):
    """Return a comparison made of scores, of which lower are better."""
    named = {name.replace("_", "-"): column for name, column in scores.items()}
    runs = [Run(name, 8, seed, score, None) for name, column in named.items() for seed, score in enumerate(column)]
    arms = tuple(Arm(name, "trained" if name == "fine-tuned" else None) for name in named)
    return Comparison("bits", False, ("rnn.*",), arms, (8,), (0, 1, 2), tuple(runs))


def test_a_lower_score_may_be_the_better_one():
    result = bits(scratch=[3.0, 3.2, 3.1], fine_tuned=[2.0, 2.3, 2.0], random=[4.0, 4.3, 4.0])
    assert result.difference("fine-tuned", 8).verdict == "positive"
    assert result.difference("fine-tuned", 8).mean == pytest.approx(1.0)
    against = result.difference("fine-tuned", 8, against="random")
    assert (against.against, against.verdict) == ("random", "inconclusive")  # 2.0 in every seed: no spread


def test_the_alarm_rings_for_a_transfer_alone():
    result = bits(scratch=[3.0, 3.2, 3.1], fine_tuned=[4.0, 4.3, 4.0], random=[4.0, 4.3, 4.0])
    assert result.difference("fine-tuned", 8).verdict == "NEGATIVE TRANSFER"
    assert result.difference("random", 8).verdict == "negative"


@pytest.mark.parametrize("source", ["shuffled", "scrambled", "matched", "rotated", None])
def test_a_control_that_does_worse_is_no_alarm(source):
    """One word for it, wherever it is shown: what such an arm carries is not what the source's labels taught."""
    control = Arm("control", source)
    assert not control.carries
    found = paired(control, "scratch", 8, np.array([0.1, 0.2]), np.array([0.8, 0.91]), 1)
    assert found.verdict == "negative"


def test_a_comparison_is_a_table():
    lines = str(bits(scratch=[3.0, 3.2, 3.1], fine_tuned=[2.0, 2.3, 2.0])).splitlines()
    cells = {line.split("│")[2].strip(): [cell.strip() for cell in line.split("│")] for line in lines if "│" in line}
    assert cells["scratch"][1:-1] == ["8", "scratch", "3.100", "", ""]
    assert cells["fine-tuned"][1:-1] == ["", "fine-tuned", "2.100", "+1.000 ± 0.248", "positive"]
    assert lines[-2] == "bits: mean over 3 seeds, lower is better; ±: 95% t-interval of the paired difference"
    assert lines[-1].startswith("each interval stands for itself: of 1, 0.05 would")


def test_a_comparison_is_plain_data(comparison):
    plain = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert plain["protocol"]["seeds"] == [3, 0, 1]
    assert plain["protocol"]["sizes"] == [4, 16]
    assert [arm["name"] for arm in plain["protocol"]["arms"]] == [arm.name for arm in ARMS]
    assert len(plain["runs"]) == 30
    assert len(plain["differences"]) == 8
    first = plain["differences"][0]
    assert (first["arm"], first["against"], first["size"]) == ("fine-tuned", "scratch", 4)
    expected = comparison.scores("fine-tuned", 4) - comparison.scores("scratch", 4)
    assert first["gains"] == expected.tolist()


def test_a_comparison_knows_its_arms_and_sizes(comparison):
    for arm, size in (("fine", 4), ("scratch", 5)):
        with pytest.raises(ValueError, match=r"there are fine-tuned, frozen core, scratch, .* and 4, 16"):
            comparison.scores(arm, size)


def test_copying_may_be_the_studys_own(monkeypatch):
    study = Recording()
    monkeypatch.setattr(Recording, "copy", lambda study, source, target: target.parameters["head.bias"].fill(7))
    compare(study, sizes=[1], seeds=1)
    begun = [bool((state["head.bias"] == 7).all()) for *_, state in study.begun()]
    assert begun == [arm.source is not None for arm in ARMS]


def test_a_frozen_parameter_of_the_fresh_model_counts_too():
    with pytest.raises(RuntimeError, match=r"got others in head\.bias"):
        compare(Prepared(), sizes=[1], seeds=1, arms=[Arm("scratch")])
