"""Translation and replies as tasks: what is read, learned, written, scored and kept."""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest

from rnn_core import Seq2Seq, load, save
from rnn_core.data import Tokenizer
from rnn_core.data.files import TextPairs
from rnn_core.data.files.pairs import SEPARATOR
from rnn_core.inputs.pairs import PairEncoding, pair_encoding_of, pairs_encoding
from rnn_core.tasks.task import Role
from rnn_core.tasks.writing.conversation import Conversation
from rnn_core.tasks.writing.reply import Reply
from rnn_core.tasks.writing.translate import Translate
from rnn_core.training import Adam, fit

WORDS = {"one": "eins", "two": "zwei", "six": "sechs", "ten": "zehn"}
PAIRS = TextPairs(
    [f"{one} {two}" for one in WORDS for two in WORDS],
    [f"{WORDS[one]} {WORDS[two]}" for one in WORDS for two in WORDS],
    tuple(f"line {k}" for k in range(2, 18)),
)


NOTHING = argparse.Namespace()


def options(**given) -> argparse.Namespace:
    return argparse.Namespace(**given)


def write(folder, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _examples(rows):
    """Return pairs as they are read from a file."""
    with tempfile.TemporaryDirectory() as folder:
        text = "source,target\n" + "".join(f"{one},{other}\n" for one, other in rows)
        return Translate().read(write(Path(folder), "a.csv", text), NOTHING, Role.EVALUATE)


@pytest.fixture(scope="module")
def trained() -> tuple[Seq2Seq, PairEncoding]:
    """Return a network that has learned four words, and how it reads and writes."""
    how = pairs_encoding(PAIRS, level="piece", lower=True)
    model = Seq2Seq(len(how.target_tokenizer), 24, vocab_size=len(how.tokenizer), cell="gru", seed=0)
    fit(model, how.batches(PAIRS, 4), optimizer=Adam(1e-2), epochs=25, progress=False)
    return model, how


def test_what_was_learned_is_written_and_scored_by_hand(trained) -> None:
    model, how = trained
    task, args = Translate(), options(beam=1)
    rows = [["two ten", "zwei zehn"], ["six one", "sechs drei"]]
    examples = _examples(rows)
    answers = task.answer(model, how, examples, args)
    assert answers.texts == ["zwei zehn", "sechs eins"]
    found = task.score(how, examples, answers)
    assert found["exact in %"] == 50
    assert found["character edits in %"] == pytest.approx(100 * 4 / 19)
    assert found["word edits in %"] == pytest.approx(100 / 4)
    assert 1 < found["perplexity"] < math.inf
    written = list(task.rows(how, examples, answers, args))
    assert written[1] == {
        "place": "line 3", "source": "six one", "target": "sechs eins",
        "log_probability": answers.said[1].log_probability, "wanted": "sechs drei", "edits": 4,
    }  # fmt: skip
    assert answers.said[0].ended
    assert answers.said[0].weights.shape == (len(answers.said[0].tokens), len(answers.said[0].read))


def test_perplexity_counts_the_end_and_no_padding(trained) -> None:
    model, how = trained
    examples = _examples([["two ten", "zwei zehn"], ["six one ten", "sechs"]])
    found = Translate().answer(model, how, examples, options(beam=1)).perplexity
    log_p, tokens = 0.0, 0
    for source, target in zip(how.sources(examples.sources), how.targets(examples.targets), strict=True):
        logits, _ = model(source[None], np.append(target, 0)[None])
        p = np.exp(logits[0] - logits[0].max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        log_p += float(np.log(p[np.arange(len(target) + 1), np.append(target, 0)]).sum())
        tokens += len(target) + 1
    assert found == pytest.approx(math.exp(-log_p / tokens), rel=1e-5)


def test_the_order_of_examples_changes_nothing_that_is_written(trained) -> None:
    model, how = trained
    texts = [*PAIRS.sources, "two", "six one two ten one"]
    order = np.random.default_rng(0).permutation(len(texts))
    found = [one.text for one in how.write(model, texts, beam=3)]
    turned = [one.text for one in how.write(model, [texts[k] for k in order], beam=3)]
    assert [turned[list(order).index(k)] for k in range(len(texts))] == found


def test_a_saved_model_is_the_model_and_says_how_it_reads(trained, tmp_path) -> None:
    model, how = trained
    path = tmp_path / "model.safetensors"
    save(model, path, **Translate().kept(how))
    twin = load(path)
    its = Translate().known(twin, "model.safetensors")
    assert (its.max_steps, its.longest, its.keep, its.context) == (how.max_steps, how.longest, "start", None)
    assert its.tokenizer.to_dict() == how.tokenizer.to_dict()
    assert its.target_tokenizer.to_dict() == how.target_tokenizer.to_dict()
    one, two = (network.write(model_, PAIRS.sources, beam=2) for network, model_ in ((how, model), (its, twin)))
    assert [a.text for a in one] == [b.text for b in two]
    assert [a.log_probability for a in one] == [b.log_probability for b in two]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer": None}, r"what its tokens stand for is not known; save\(model, path, tokenizer=…\) keeps that"),
        ({"target_tokenizer": None}, r"save\(model, path, target_tokenizer=…\) keeps that"),
        ({"tokenizer": Tokenizer("char", padding=False).fit("abc")}, r"its tokenizer keeps no token free for the end"),
        ({"reading": {"keep": "middle"}}, r"its keep must be one of start, end, got 'middle'"),
        ({"reading": {"longest": 0}}, r"its longest must be at least 1, got 0"),
        ({"reading": {"frame": 3}}, r"its reading must hold what _reading takes, got 'frame'"),
    ],
)
def test_what_is_not_said_of_a_model_is_named(change, message) -> None:
    how = pairs_encoding(PAIRS, level="piece", lower=True)
    model = Seq2Seq(len(how.target_tokenizer), 4, vocab_size=len(how.tokenizer), seed=0)
    for name, value in {**Translate().kept(how), **change}.items():
        setattr(model, name, value)
    with pytest.raises(ValueError, match=rf"my file must say how its model reads and writes, got other: .*{message}"):
        pair_encoding_of(model, "my file")


# files


def test_translate_reads_tables_two_files_and_texts_alone(tmp_path) -> None:
    task = Translate()
    table = write(tmp_path, "a.csv", "German;English\nJa;Yes\nNein;No\n")
    found = task.read(table, options(text="English", label="german"), Role.DATA)
    assert (found.sources, found.targets) == (["Yes", "No"], ["Ja", "Nein"])
    assert task.read(table, options(text="English"), Role.PREDICT).targets is None
    bare = write(tmp_path, "bare.tsv", "Yes\tJa\nNo\tNein\n")
    assert task.read(bare, options(no_header=True), Role.DATA).targets == ["Ja", "Nein"]
    one, other = write(tmp_path, "a.en", "Yes\n\nNo\n"), write(tmp_path, "a.de", "Ja\n\nNein\n")
    found = task.read(one, options(validation_targets=other), Role.VALIDATION)
    assert found.targets == ["Ja", "Nein"]
    assert found.notes == (f"1 lines left out that are blank in {one!r} and in {other!r}",)
    assert task.read(write(tmp_path, "a.txt", "Yes\nNo\n"), NOTHING, Role.PREDICT).sources == ["Yes", "No"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,target\na,b\nc,\n", r"line 3, must have a text in column .target., got a blank one; .*--label names"),
        ("from,target\na,b\n", r"must name the column 'source' once, got .*; --text and --label say which"),
        ("source,target\na\n", r"line 2, must have 2 columns, as the first line, got 1"),
    ],
)
def test_errors_name_the_options_as_they_are_typed(tmp_path, text, message) -> None:
    with pytest.raises(ValueError, match=message):
        Translate().read(write(tmp_path, "a.csv", text), NOTHING, Role.DATA)


def test_two_files_of_different_counts_are_one_line(tmp_path) -> None:
    one, other = write(tmp_path, "a.en", "Yes\nNo\n"), write(tmp_path, "a.de", "Ja\n")
    with pytest.raises(ValueError, match=r"a\.en' and '.*a\.de' must have as many lines, got 2 and 1"):
        Translate().read(one, options(targets=other), Role.DATA)


def test_reply_reads_dialogues_with_their_contexts(tmp_path) -> None:
    task = Reply()
    talks = [["a", "b", "c", "d"], ["e", "f"]]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps({"turns": talk}) + "\n" for talk in talks))
    found = task.read(path, options(context=2), Role.DATA)
    assert found.sources == ["a", f"a {SEPARATOR} b", f"b {SEPARATOR} c", "e"]
    assert found.groups == ("line 1", "line 1", "line 1", "line 2")
    train, held_out = task.split(found, 0.5, 0)
    assert {*train.groups} | {*held_out.groups} == {"line 1", "line 2"}
    assert not {*train.groups} & {*held_out.groups}
    how = task.learn(found, options(context=2))
    assert (how.context, how.keep) == (2, "end")
    assert how.tokenizer is how.target_tokenizer
    asked = task.read(path, NOTHING, Role.PREDICT, how)
    assert asked.sources == [f"c {SEPARATOR} d", f"e {SEPARATOR} f"]
    odd = write(tmp_path, "b.jsonl", '{"talk": [{"said": "a", "by": "X"}, {"said": "b", "by": "Y"}]}\n')
    keys = {"turns": "talk", "turn_text": "said", "turn_speaker": "by"}
    assert task.read(odd, options(speaker="Y", **keys), Role.DATA).targets == ["b"]
    with pytest.raises(ValueError, match=r"turn 1, must have one of the keys text, .*; --turn-text names it"):
        task.read(odd, options(turns="talk"), Role.DATA)


def test_of_a_long_context_the_end_is_read() -> None:
    how = PairEncoding(Tokenizer("char").fit("abcdef"), Tokenizer("char").fit("abc"), max_steps=2, keep="end")
    (row,) = how.sources(["abcdef"])
    assert how.tokenizer.decode(row) == "ef"


def test_a_split_keeps_equal_sources_together() -> None:
    task = Translate()
    examples = _examples([["a", "b"], ["a", "c"], ["d", "e"], ["f", "g"]])
    train, held_out = task.split(examples, 0.3, 1)
    assert not {*train.sources} & {*held_out.sources}
    assert len(train) + len(held_out) == 4


# options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"beam": 0}, r"--beam must be at least 1, got 0"),
        ({"max_steps": 0}, r"--max-steps must be at least 1, got 0"),
        ({"context": -1}, r"--context must be at least 1, got -1"),
        ({"length_penalty": math.nan}, r"--length-penalty must be at least 0, got nan"),
        ({"no_header": True, "text": "en"}, r"--no-header must go with the numbers of columns, .* got 'en'"),
        ({"validation_targets": "a"}, r"--validation-targets must go with --validation"),
    ],
)
def test_options_out_of_range_are_named(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        Translate().check(options(**given))


# conversations


def test_a_conversation_reads_its_own_replies_too(trained) -> None:
    model, how = trained
    talk = Conversation(model, how, context=2)
    first = talk.say(f" two{SEPARATOR}ten ")
    assert talk.turns == ["two ten", first.text]
    talk.say("six")
    assert talk.turns[2] == "six"
    assert talk.turns[1] == first.text
    (again,) = how.write(model, [f"{first.text} {SEPARATOR} six"])
    assert talk.turns[3:] == ([again.text] if again.text else [])
    talk.forget()
    assert talk.turns == []
    with pytest.raises(ValueError, match=r"text must say something, got a blank one"):
        talk.say(f" {SEPARATOR} ")
