"""Pairs of texts and dialogues: what is read from a user's files, and what is said where they are broken."""

from __future__ import annotations

import json
import warnings

import pytest

from rnn_core.data import Tokenizer, context_of, reply_pairs
from rnn_core.data.files import FileWarning, read_dialogues, read_pairs
from rnn_core.data.files.pairs import SEPARATOR, Dialogue


def write(folder, name: str, text: str, encoding: str = "utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# pairs


def test_two_files_line_by_line(tmp_path) -> None:
    one = write(tmp_path, "a.en", "\ufeffYes\r\n No \r\n\n\n")
    other = write(tmp_path, "a.de", "Ja\nNein\n")
    found = read_pairs(one, other)
    assert found == (["Yes", " No "], ["Ja", "Nein"], ("line 1", "line 2"))
    assert found.texts == found.sources


def test_lines_that_are_blank_in_both_are_left_out_and_said(tmp_path) -> None:
    one, other = write(tmp_path, "a.en", "Yes\n\nNo\n"), write(tmp_path, "a.de", "Ja\n \nNein\n")
    with pytest.warns(FileWarning, match=r"read_pairs: 1 lines left out that are blank in '.*a\.en' and in '.*a\.de'"):
        found = read_pairs(one, other)
    assert (found.targets, found.places) == (["Ja", "Nein"], ("line 1", "line 3"))


def test_tables_and_json_lines_hold_the_same_pairs(tmp_path) -> None:
    rows = [("Save", "Speichern"), ('A "quoted",\nlong one', "NA"), ("None", "Ein; Semikolon")]
    quoted = "".join(f'1,"{a.replace(chr(34), chr(34) * 2)}","{b}"\r\n' for a, b in rows)
    table = write(tmp_path, "a.csv", "\ufeffid,English , German\r\n" + quoted)
    lines = write(tmp_path, "a.jsonl", "\n".join(json.dumps({"de": b, "en": a, "id": 1}) for a, b in rows) + "\n\n")
    found = read_pairs(table, source="english", target="German")
    assert (found.sources, found.targets) == tuple(map(list, zip(*rows, strict=True)))
    assert found.places == ("line 2", "line 4", "line 5")
    assert read_pairs(lines, source="en", target="de")[:2] == found[:2]
    bare = write(tmp_path, "bare.tsv", 'Save\t"Speichern"\nNo\tNein\n')
    assert read_pairs(bare, source="1", target="2", header=False).targets == ['"Speichern"', "Nein"]
    old = write(tmp_path, "old.csv", "source;target\ncafé, 2;Kaffee\n", "latin-1")
    assert read_pairs(old, encoding="latin-1").sources == ["café, 2"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.csv",
            "source,target\na,b\nc, \n",
            r"a\.csv', line 3, must have a text in column 'target', got a blank one;",
        ),
        (
            "a.csv",
            "source,target\n,b\n",
            r"line 2, must have a text in column 'source', got a blank one; leave the row",
        ),
        (
            "a.csv",
            "source,other\na,b\n",
            r"line 1, must name the column 'target' once, got 'source, other'; source and",
        ),
        ("a.csv", "source,target\na,b,c\n", r"line 2, must have 2 columns, as the first line, got 3"),
        ("a.csv", "source,target\n", r"a\.csv' must hold at least a pair, got none"),
        ("a.jsonl", '{"source": "a"}\n', r"line 1, must have the keys 'source' and 'target', got source; source and"),
        (
            "a.jsonl",
            '{"source": "a", "target": 3}\n',
            r"line 1, must have a string under 'target', got 3; target names",
        ),
        ("a.jsonl", '{"source": "a", "target": null}', r"must have a string under 'target', got None"),
        ("a.jsonl", '["a", "b"]\n', r"line 1, must be a JSON object, got \['a', 'b'\]"),
        ("a.jsonl", '{"source": "a", "target": "\\ud83d"}\n', r"line 1, must be text, got half a character"),
        ("a.txt", "a\n", r"path must be one of \.csv, .*, or two files of lines, got '.*a\.txt'; rename it"),
    ],
)
def test_a_broken_file_of_pairs_is_one_line(tmp_path, name, text, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_pairs(write(tmp_path, name, text))
    assert str(caught.value).startswith("read_pairs: ")
    assert "\n" not in str(caught.value)


def test_two_files_that_do_not_belong_together_are_refused(tmp_path) -> None:
    one, two = write(tmp_path, "a.en", "a\nb\nc\n"), write(tmp_path, "a.de", "a\nb\n")
    with pytest.raises(ValueError, match=r"'.*a\.en' and '.*a\.de' must have as many lines, got 3 and 2; each line of"):
        read_pairs(one, two)
    with pytest.raises(ValueError, match=r"a\.de', line 2, must have a text, as line 2 of '.*a\.en' has, got a blank"):
        read_pairs(one, write(tmp_path, "a.de", "a\n\nc\n"))
    with pytest.raises(ValueError, match=r"two files must have a text a line, got '.*a\.csv'; a table has both"):
        read_pairs(one, write(tmp_path, "a.csv", "source,target\na,b\n"))
    with pytest.raises(FileNotFoundError, match=r"read_pairs: path must be an existing file"):
        read_pairs(one, tmp_path / "none.de")
    with pytest.raises(ValueError, match=r"must hold at least a line, got none"):
        read_pairs(one, write(tmp_path, "a.de", ""))
    with pytest.raises(ValueError, match=r"must be utf-8, got byte 0xe9"):
        read_pairs(write(tmp_path, "b.en", "é\n", "latin-1"), two)


# dialogues

TURNS = ["Hi", "Hello, you", "How are you?"]
SPOKEN = [{"speaker": "A", "text": "Hi"}, {"speaker": "B", "text": "Hello, you"}, {"speaker": "A", "text": TURNS[2]}]


@pytest.mark.parametrize(
    "row",
    [
        TURNS,
        {"turns": TURNS, "id": 3},
        {"Dialog": TURNS},
        SPOKEN,
        {"turns": SPOKEN},
        {"messages": [{"role": turn["speaker"], "content": turn["text"]} for turn in SPOKEN]},
        {"conversations": [{"from": turn["speaker"], "value": turn["text"]} for turn in SPOKEN]},
    ],
    ids=str,
)
def test_dialogues_in_their_usual_shapes(tmp_path, row) -> None:
    path = write(tmp_path, "a.jsonl", f"{json.dumps(row)}\r\n\n{json.dumps(row)}\n")
    first, second = read_dialogues(path)
    assert first.turns == second.turns == tuple(TURNS)
    assert first.speakers == (("A", "B", "A") if '"A"' in json.dumps(row) else (None,) * 3)
    assert (first.place, second.place) == ("line 1", "line 3")


def test_dialogues_under_other_keys_and_as_pairs(tmp_path) -> None:
    odd = write(tmp_path, "a.jsonl", json.dumps({"talk": [{"who": 1, "said": "Hi"}, {"who": None, "said": "Yes"}]}))
    assert read_dialogues(odd, turns="talk", text="said", speaker="Who") == [
        Dialogue(("Hi", "Yes"), ("1", None), "line 1")
    ]
    table = write(tmp_path, "a.tsv", "id\treply\tprompt\n1\tHello\tHi\n2\tBye\tI go\n")
    lines = write(tmp_path, "b.jsonl", '{"q": "Hi", "a": "Hello"}\n{"q": "I go", "a": "Bye"}\n')
    assert [d.turns for d in read_dialogues(table)] == [("Hi", "Hello"), ("I go", "Bye")]
    assert [d.turns for d in read_dialogues(lines, prompt="q", reply="a")] == [("Hi", "Hello"), ("I go", "Bye")]


def test_what_is_still_to_be_answered(tmp_path) -> None:
    wanted = [Dialogue(("Hi",), (None,), "line 2"), Dialogue(("I go",), (None,), "line 3")]
    assert read_dialogues(write(tmp_path, "a.csv", "prompt,reply\nHi,\nI go,Bye\n"), reply=None) == wanted
    found = read_dialogues(write(tmp_path, "a.txt", "\ufeffHi\n\nI go\n"), reply=None)
    assert [(d.turns, d.place) for d in found] == [(("Hi",), "line 1"), (("I go",), "line 3")]
    with pytest.raises(ValueError, match=r"path must be one of \.csv, .*\.ndjson, got .*; rename it to what it holds$"):
        read_dialogues(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"turns": ["a", " "]}', r"line 1, turn 2, must say something, got ' '; leave the turn out"),
        ('["a", 3]', r"line 1, turn 2, must be a string, got 3; text names the key of what is said"),
        ('[{"speaker": "A"}]', r"turn 1, must have one of the keys text, content, utterance, value, got speaker; text"),
        (
            '[{"text": "a", "content": "b"}]',
            r"turn 1, must have one of the keys text, .*, got text, content; text names",
        ),
        ('["a"]\n{"b": "c"}', r"line 2, must have one of the keys turns, dialogue, .*, got b; turns names it"),
        ('{"turns": "a"}', r"line 1, must have a list of turns, got 'a'; turns names the key under which it stands"),
        ('{"turns": []}', r"line 1, must have a list of turns, got \[\]"),
        (
            '[{"text": "a", "speaker": []}]',
            r"turn 1, must have a name for its speaker, got \[\]; speaker names another",
        ),
        ('["a\\ud83d"]', r"line 1, turn 1, must be text, got half a character"),
        ('["a"', r"line 1, must be JSON, got"),
        ("3", r"line 1, must have a list of turns, got 3"),
        ('{"prompt": "a", "reply": ""}', r"line 1, must have a text in column 'reply', got a blank one"),
        ("\n", r"must hold at least a dialogue, got none"),
    ],
)
def test_a_broken_file_of_dialogues_is_one_line(tmp_path, text, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_dialogues(write(tmp_path, "a.jsonl", text))
    assert str(caught.value).startswith("read_dialogues: '")
    assert "\n" not in str(caught.value)


# contexts


def test_each_turn_answers_the_latest_before_it_in_their_order() -> None:
    talk = Dialogue(("a", "b", "c", "d"), ("X", "Y", "X", "Y"), "line 7")
    found = reply_pairs([talk], context=2)
    assert found.sources == ["a", f"a {SEPARATOR} b", f"b {SEPARATOR} c"]
    assert found.targets == ["b", "c", "d"]
    assert found.places == ("line 7, turn 2", "line 7, turn 3", "line 7, turn 4")
    assert reply_pairs([talk], context=9).sources[-1] == f"a {SEPARATOR} b {SEPARATOR} c"
    assert reply_pairs([talk], speaker="Y").targets == ["b", "d"]
    assert context_of(("a", "b", "c"), 2) == f"b {SEPARATOR} c"


@pytest.mark.parametrize("level", ["char", "word", "piece"])
def test_the_separator_is_a_token_at_every_level(level) -> None:
    pairs = reply_pairs([Dialogue(("Hi!", "Yes, you.", "So"), (None,) * 3, "line 1")])
    tokenizer = Tokenizer(level).fit(pairs.sources)
    assert sum(SEPARATOR in tokenizer.tokens[k] for k in tokenizer.encode(pairs.sources[1])) == 1


def test_dialogues_without_replies_are_left_out_or_refused() -> None:
    alone, two = Dialogue(("a",), (None,), "line 1"), Dialogue(("a", "b"), ("X", "Y"), "line 2")
    with pytest.warns(FileWarning, match=r"reply_pairs: 1 dialogues left out, of a single turn each"):
        assert reply_pairs([alone, two]).targets == ["b"]
    with pytest.raises(ValueError, match=r"reply_pairs: dialogues must hold a turn that answers another, got none"):
        reply_pairs([alone])
    with pytest.raises(ValueError, match=r"speaker must be one who replies, got 'X'; the dialogues have X, Y"):
        reply_pairs([two], speaker="X")
    with pytest.raises(ValueError, match=r"line 2, turn 2, must not hold '␞', which parts turns, got 'a␞'; put"):
        reply_pairs([Dialogue(("a", "a␞"), (None, None), "line 2")])
    with pytest.raises(ValueError, match=r"context_of: turns must hold at least one, got none"):
        context_of([], 2)
    with pytest.raises(ValueError, match=r"context must be at least 1, got 0"):
        context_of(["a"], 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reply_pairs([two])
