"""The experiments on translation and replies: what they are made of, what is held out, and quick runs."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("django")
pytest.importorskip("yaml")
pytest.importorskip("sacrebleu")
pytest.importorskip("chatterbot_corpus")
pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from benchmarks.experiments.texts import replies, translation
from benchmarks.experiments.texts.catalogues import Message, entries, key_of, masked, messages, placeholders, unmasked


def test_plurals_are_messages_of_their_own_in_one_part() -> None:
    found = {message.source: message for message in messages("de")}
    assert (found["%(num)d day"].target, found["%(num)d days"].target) == ("%(num)d Tag", "%(num)d Tage")
    assert found["%(num)d day"].part == found["%(num)d days"].part
    assert len(found) > 700
    assert all("\x04" not in text and "\0" not in text for text in found)


def test_no_message_is_in_two_parts_in_any_language() -> None:
    parts: dict[str, set[str]] = {}
    for language in ("de", "nl"):
        for message in messages(language):
            parts.setdefault(message.key, set()).add(message.part)
    assert {len(found) for found in parts.values()} == {1}
    assert {part for found in parts.values() for part in found} == {"train", "validation", "test"}


def test_near_duplicates_have_one_key() -> None:
    assert key_of("Invalid: %(name)s!") == key_of("invalid") != key_of("valid")
    assert key_of("Delete selected %s") == key_of("delete selected")
    assert key_of("1 day") == key_of("1 days")


def test_placeholders_come_back_in_any_order() -> None:
    table: dict[str, str] = {}
    assert masked("Add %(name)s to {list}, %d %%", table) == "Add ① to ②, ③ ④"
    assert unmasked("② ①!", table) == "{list} %(name)s!"
    assert placeholders("b %s a %(a)s") == ["%(a)s", "%s"]


@pytest.mark.parametrize("data", [b"", b"\xde\x12\x04\x95" + b"\xff" * 30, b"no catalogue at all, but long enough"])
def test_what_is_no_catalogue_is_refused(data) -> None:
    with pytest.raises(ValueError, match=r"entries: data must be a"):
        list(entries(data))


def test_scores_of_translations_by_hand() -> None:
    test = [Message("Add %s", "%s hinzufügen", "add"), Message("Yes", "Ja", "yes")]
    found = translation.facts(["%s hinzufügen", "Nein"], test, [True, False])
    assert (found["exact"], found["placeholders kept"]) == (0.5, 1.0)
    assert found["chrF, near duplicates"] == pytest.approx(100)
    assert translation.facts(["hinzufügen", "Ja"], test, [False, False])["placeholders kept"] == 0
    assert translation.nearest(test[1], [Message("yes!", "ja!", "yes"), test[0]])[1].target == "ja!"


def test_the_source_task_holds_nothing_of_the_targets_test() -> None:
    study, known = translation.study_of(translation.QUICK)
    learned = {tuple(row) for row in (*study.source.sources, *study.target.train.sources)}
    assert not learned & {tuple(row) for row in study.target.test.sources}
    assert len(known) == len(study.target.train.sources)
    topics = replies.talks()
    assert len(topics) >= 20
    assert replies.SOURCE in topics


def test_a_unigram_model_by_hand() -> None:
    rows = replies.Rows([[]], [[1, 1, 2]])  # type: ignore[list-item]
    assert replies.unigram(rows, rows, 3) == pytest.approx((7**4 / (3 * 3 * 2 * 2)) ** 0.25)


@pytest.mark.parametrize("experiment", [translation, replies], ids=lambda module: module.EXPERIMENT.name)
def test_quick_runs(experiment) -> None:
    outcome = experiment.run(True, 1, lambda line: None)
    found = json.loads(json.dumps(outcome.as_dict(), allow_nan=False))
    assert {run["arm"] for run in found["results"]["runs"]} == {
        "fine-tuned", "encoder alone", "scratch", "pairs shuffled", "scrambled core",
    }  # fmt: skip
    assert len(found["claims"]) >= 3
    assert "scratch" in outcome.table
