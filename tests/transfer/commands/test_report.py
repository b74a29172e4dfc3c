"""The report of `rnn-core transfer`: what it says of given scores, that it is whole, and what it can't be broken by."""

from __future__ import annotations

import io
import json
import re
import struct
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from rich.console import Console

from rnn_core import SequenceClassifier
from rnn_core.data.labelled import Labelled
from rnn_core.showing.terminal import Parts
from transfer import Arm, Comparison, Plan, copy_parameters, step_saliency
from transfer.commands import report
from transfer.commands.outcome import Outcome
from transfer.commands.report import page, pictures
from transfer.commands.run import _conclude
from transfer.comparing.classification import ClassificationStudy
from transfer.comparing.data_study import Budget
from transfer.comparing.runs import Run
from transfer.methods.catalogue import METHODS, Unsuited, arms_for

TUNED = Arm("fine-tuned", "trained")
SHUFFLED = Arm("shuffled labels", "shuffled")
FROZEN = Arm("frozen core", "trained", frozen_core=True)
RANDOM = Arm("random core", frozen_core=True)
SCRATCH = Arm("scratch")
FEW, MANY = "with 10 examples", "with 100 examples"
SPREAD = (-1.0, 0.0, 1.0)
"""Of the scores of three seeds, those of controls the other way round: differences from scratch are then ± 2.5."""


def sign(arm: Arm) -> int:
    """Return 1 for what carries over."""
    return 1 if arm.source == "trained" else -1


def compared(gains: dict[Arm, tuple[float, ...]], sizes: tuple[int, ...] = (10, 100)) -> Comparison:
    """Return a comparison in which arms gain so much over scratch, on average, at each size."""
    arms = (*gains, SCRATCH)
    runs = [
        Run(arm.name, size, seed, 50 + (gains[arm][k] + SPREAD[seed] * sign(arm) if arm in gains else 0), None)
        for seed in range(len(SPREAD))
        for k, size in enumerate(sizes)
        for arm in arms
    ]
    return Comparison("accuracy in %", True, ("rnn.*",), arms, sizes, (0, 1, 2), tuple(runs))


def outcome_of(comparison: Comparison, **options: object) -> Outcome:
    """Return an outcome with everything there is in one."""
    model, source = (SequenceClassifier(2, 3, input_size=2, seed=seed) for seed in (0, 1))
    copied = copy_parameters(source, model, include="rnn.*")
    saliency = step_saliency(model, np.ones((1, 4, 2), np.float32))
    side = {"examples": 1234, "classes": {"yes": 1000, "no": 234}, "steps": (1, 2.5, 4), "features": 2}
    everything: dict[str, object] = {
        "command": "rnn-core transfer --source here/a.tsv --target there/b.tsv",
        "kind": "series",
        "files": {"source": "here/a.tsv", "target": "there/b.tsv"},
        "sides": {"source": side, "target": side, "test": {**side, "classes": {"yes": 5, "no": 6}}},
        "network": {"hidden_size": 3, "bidirectional": False},
        "budget": Budget(),
        "comparison": comparison,
        "unsuited": (Unsuited("source and target", "the source has no labels"),),
        "copied": copied,
        "hints": {"LEEP, source core": -1.25, "LogME, source core": np.inf},
        "saliency": {"before transfer": saliency, "after transfer": saliency},
        "saliency_labels": list("abcd"),
        "saved": "fine-tuned",
        "saved_scores": {"validation": 61.5, "test": 60.0},
        "notes": ["3 of 100 words are known."],
        "seconds": {"comparison": 12.5},
        "workers": 2,
    }
    return Outcome(**{**everything, **options})


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """One that helps with few examples, and a method that hurts with many."""
    return outcome_of(compared({TUNED: (10, 1), FROZEN: (5, -20), RANDOM: (-10, -10), SHUFFLED: (-9, 2)}))


@pytest.fixture(scope="module")
def images(outcome) -> dict[str, bytes]:
    """The pictures of it."""
    return pictures(outcome)


@pytest.mark.parametrize(
    ("gains", "word", "statement"),
    [
        (
            (10, 9),
            "positive",
            f"Transfer (fine-tuned) helps {FEW} (+10.0 ± 2.5 points) and {MANY} (+9.0 ± 2.5 points).",
        ),
        (
            (10, 1),
            "positive",
            f"Transfer (fine-tuned) helps {FEW} (+10.0 ± 2.5 points); these runs can't tell {MANY} "
            "(+1.0 ± 2.5 points).",
        ),
        (
            (9, -10),
            "NEGATIVE TRANSFER",
            f"NEGATIVE TRANSFER: fine-tuned hurts {MANY} (−10.0 ± 2.5 points); it helps {FEW} (+9.0 ± 2.5 points).",
        ),
        (
            (1, -1),
            "inconclusive",
            f"Whether transfer (fine-tuned) helps, these runs can't tell: {FEW} (+1.0 ± 2.5 points) and {MANY} "
            "(−1.0 ± 2.5 points).",
        ),
    ],
)
def test_the_verdict_is_one_sentence_with_its_numbers(gains, word, statement) -> None:
    verdict = outcome_of(compared({TUNED: gains})).verdict
    assert (verdict.method, verdict.word, verdict.statement) == ("fine-tuned", word, statement)


def test_the_verdict_is_the_first_methods_whichever_did_best() -> None:
    found = outcome_of(compared({TUNED: (1, 1), FROZEN: (20, 20)}))
    assert found.verdict.word == "inconclusive"
    assert "Of 2 methods 1 do better than scratch, 0 worse" in page(found, {})


def test_a_verdict_wants_something_that_carries_over() -> None:
    found = outcome_of(compared({RANDOM: (1, -20), SHUFFLED: (1, -20)}))
    assert found.verdict.method == ""
    assert not found.alarms
    assert "Nothing that carries over was compared" in page(found, pictures(found))


def test_one_seed_gives_no_interval_and_says_so() -> None:
    whole = compared({TUNED: (10, 10)})
    runs = tuple(run for run in whole.runs if run.seed == 2)
    found = outcome_of(replace(whole, seeds=(2,), runs=runs))
    assert "+11.0 points; one seed: no interval" in found.verdict.statement
    assert pictures(found)["differences.png"].startswith(b"\x89PNG")


def test_scores_that_are_not_finite_are_shown_as_such() -> None:
    whole = compared({TUNED: (10, 10)})
    found = outcome_of(replace(whole, runs=(whole.runs[0]._replace(score=np.nan), *whole.runs[1:])))
    assert "are not finite" in page(found, pictures(found))
    json.dumps(found.as_dict(), allow_nan=False)


def test_an_alarm_names_method_and_size_and_not_the_controls(outcome, images) -> None:
    assert [(d.arm, d.size) for d in outcome.alarms] == [("frozen core", 100)]
    warning = re.search(r'<p class="warning">(.*?)</p>', page(outcome, images))[1]
    assert "NEGATIVE TRANSFER</span> Worse than learning from scratch: frozen core with 100 examples (−20.0" in warning
    assert "each interval stands for itself" in warning


def test_a_control_that_does_as_well_is_named_beside_the_verdict() -> None:
    found = outcome_of(compared({TUNED: (10, 1), SHUFFLED: (10.5, -30), RANDOM: (-10, 1)}))
    assert [(d.against, d.size) for d in found.doubts] == [("shuffled labels", 10)]
    made = page(found, {})
    assert "not seen to do better than these controls: shuffled labels with 10 examples" in made
    assert made.count('<span class="badge bad">NEGATIVE TRANSFER</span>') == 0  # no alarm for a control that hurts


def test_the_terminal_and_the_report_have_one_word_for_a_verdict() -> None:
    found = outcome_of(compared({TUNED: (10, 1), SHUFFLED: (-30, -30), RANDOM: (-30, -30)}))
    assert "NEGATIVE TRANSFER" not in str(found.comparison)
    assert str(found.comparison).count("│ negative ") == 4
    assert page(found, {}).count('<span class="badge bad">negative</span>') == 4


def test_an_interval_as_wide_as_the_scale_is_not_printed_anywhere() -> None:
    whole = compared({TUNED: (10, 10)}, (10,))
    scores = {("fine-tuned", 0): 52.0, ("fine-tuned", 1): 97.0, ("scratch", 0): 50.0, ("scratch", 1): 50.0}
    runs = tuple(run._replace(score=scores[run.arm, run.seed]) for run in whole.runs if run.seed < 2)
    found = outcome_of(replace(whole, seeds=(0, 1), runs=runs))
    made = page(found, pictures(found))
    for said in (str(found.comparison), found.verdict.statement, re.sub('"data:[^"]*"', "", made)):
        assert "too few seeds to say" in said
        assert "285" not in said
        assert "286" not in said
    assert "no interval is narrow enough to say anything: that takes more seeds" in made
    assert found.as_dict()["comparison"]["differences"][0]["half_width"] == pytest.approx(285.9, abs=0.1)


def test_a_quick_report_says_so_on_its_cards(outcome) -> None:
    cards = re.findall(r'<div class="card">(.*?)</div>', page(replace(outcome, quick=True), {}))
    assert len(cards) == 2
    assert all("A quick run, whose numbers mean nothing:" in card for card in cards)
    assert "A quick run" not in page(outcome, {})
    assert replace(outcome, quick=True).as_dict()["what"] == "rnn-core transfer --quick: the numbers mean nothing"


def test_the_terminal_says_what_the_report_says_first(tmp_path) -> None:
    found = outcome_of(compared({TUNED: (10, 1), SHUFFLED: (10.5, -30), FROZEN: (1, -20)}))
    console = Console(file=io.StringIO(), width=80, highlight=False)
    _conclude(found, tmp_path / "my runs", Parts(console))
    said = console.file.getvalue()
    made = page(found, {})
    for line in (found.verdict.statement, found.doubt):
        assert f"{line}\n" in said
        assert escape(line) in made
    assert "NEGATIVE TRANSFER: frozen core with 100 examples\n" in said
    assert "the saved network (fine-tuned) has 60.0 % accuracy on the test examples" in said
    assert f"rnn-core predict '{tmp_path / 'my runs' / 'model.safetensors'}' FILE\n" in said


def test_methods_stand_by_their_gain_at_the_largest_size_and_controls_apart(outcome) -> None:
    names = [arm.name for arm in outcome.ordered]
    assert names == ["fine-tuned", "frozen core", "shuffled labels", "random core", "scratch"]


def test_the_page_says_everything(outcome, images) -> None:
    made = page(outcome, images)
    for said in (
        "helps with 10 examples",
        "With 10 examples</h3>",
        "control: random core",
        "scratch (the baseline)",
        '<span class="badge good">positive</span>',
        '<span class="badge bad">NEGATIVE TRANSFER</span>',
        "the source has no labels",
        "1 to 4, median 2.5",
        "1,234",
        "rnn.weight_hh_l0",
        "Left behind in the source: head.weight, head.bias",
        "They are hints, not verdicts",
        "−1.250",
        "61.5",
        "3 of 100 words are known.",
        "paired by seed",
        "rnn-core transfer --source here/<wbr>a.tsv",
        "<td>workers</td><td>2</td>",
        "<td>clip norm</td><td>–</td>",
        "numpy",
        "From here/a.tsv to there/b.tsv",
    ):
        assert said in made, said
    # One file: nothing from a network, nor from beside it.
    assert not re.search(r'(src|href)="(?!#|data:)', made)
    assert made.count("<img") == len(images) == 2


def test_the_picture_has_a_panel_for_each_size_and_grows_with_the_methods(images) -> None:
    def size(png: bytes) -> tuple[int, int]:
        return struct.unpack(">II", png[16:24])

    many = {Arm(f"method {k}", "trained"): (k - 9.0, 3.0, 1.0) for k in range(24)} | {RANDOM: (-5.0, 0.0, 0.0)}
    large = pictures(outcome_of(compared(many, (5, 50, 500))))["differences.png"]
    assert size(large) > size(images["differences.png"])
    assert size(large)[1] / 150 > 25 * 0.27


def test_results_are_json_without_nan_and_hold_every_score(outcome) -> None:
    found = json.loads(json.dumps(outcome.as_dict(), allow_nan=False))
    assert found["verdict"]["word"] == "positive"
    assert found["verdict"]["alarms"] == [{"method": "frozen core", "size": 100}]
    assert len(found["comparison"]["runs"]) == 3 * 2 * 5
    assert found["unsuited"] == {"source and target": "the source has no labels"}
    assert found["hints"] == {"LEEP, source core": -1.25, "LogME, source core": None}
    assert len(found["saliency"]["after transfer"]["values"][0]) == 4
    assert found["budget"]["rate"] == Budget().rate
    assert found["copy"]["rows"][0]["status"] == "copied"
    assert found["versions"]["numpy"] == np.__version__


def test_word_vectors_have_a_table_of_their_own(outcome) -> None:
    made = page(replace(outcome, sides={**outcome.sides, "vectors": {"read as": "GloVe's text", "words": 1300}}), {})
    assert "<h3>Word vectors</h3>" in made
    assert "<tr><td>read as</td><td>GloVe&#x27;s text</td></tr>" in made
    assert "<tr><td>words</td><td>1,300</td></tr>" in made
    assert '<th class="number">vectors</th>' not in made
    assert "Word vectors" not in page(outcome, {})


def test_what_users_wrote_breaks_nothing(outcome) -> None:
    hard = replace(
        outcome,
        files={"source model": "bytes \udcff.safetensors", "target": "<script>&.csv"},
        sides={"target": {"classes": {f"<{k}> \udcff": 1 for k in range(60)}, "known words": True}},
        saliency_labels=["😀", "日本", "$x^2$", "w" * 300],
        hints={},
        notes=["<script>"],
        network={"layers": None},
    )
    images = pictures(hard)
    assert struct.unpack(">II", images["saliency.png"][16:24])[0] < 2500
    made = page(hard, images).encode().decode()
    assert "<script>" not in made
    assert "From bytes \\udcff.safetensors to &lt;script&gt;&amp;.csv" in made
    assert "The other 10 are in results.json" in made
    assert "None were computed" in made
    assert "one trained model for all seeds" in made
    assert "the source model, the fresh" not in made
    json.dumps(hard.as_dict(), allow_nan=False, ensure_ascii=False).encode()


def test_without_saliency_there_is_no_picture_of_it(outcome) -> None:
    bare = replace(outcome, saliency={}, saliency_labels=[])
    images = pictures(bare)
    assert list(images) == ["differences.png"]
    assert "No example was looked into" in page(bare, images)


def test_a_token_that_the_font_lacks_is_named_below_the_picture(outcome) -> None:
    strange = replace(outcome, saliency_labels=["naïve", " ", "😀", "漢字"])
    seen: list[str] = []

    def drawn(panels: object, labels: list[str]) -> bytes:
        seen.extend(labels)
        return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "saliency_picture", drawn)
        images = pictures(strange)
    assert seen == ["naïve", " ", "step 2", "step 3"]
    assert "lacks letters of some: step 2 is 😀, step 3 is 漢字, counted from 0." in page(strange, images)
    assert "lacks letters" not in page(outcome, images)


def test_what_happened_to_a_parameter_stands_before_why(outcome) -> None:
    assert "<td>skipped: left out</td>" in page(outcome, {})
    assert "<td>copied</td>" in page(outcome, {})


def test_no_zero_has_a_minus() -> None:
    found = outcome_of(compared({TUNED: (-1e-9, 0)}))
    assert "(+0.0 ± 2.5 points)" in found.verdict.statement
    assert "−0.0" not in page(found, {})


def test_every_arm_of_the_catalogue_is_a_method_or_a_control() -> None:
    data = Labelled(np.zeros((20, 3, 2), np.float32), np.arange(20) % 2, ("a", "b"))
    arms, unsuited = arms_for(ClassificationStudy(data, data, data, {"hidden_size": 2}))
    assert not unsuited
    runs = tuple(Run(arm.name, 4, seed, 50.0 + seed, None) for seed in (0, 1) for arm in arms)
    found = outcome_of(Comparison("accuracy in %", True, ("rnn.*",), arms, (4,), (0, 1), runs))
    assert {arm.name for arm in found.controls} == {n for n, line in METHODS.items() if line.startswith("control")}
    assert len(found.carrying) + len(found.controls) + 1 == len(arms) == len(found.ordered)
    assert found.carrying[0].plan != Plan()
