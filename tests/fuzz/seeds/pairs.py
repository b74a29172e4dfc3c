"""Pairs of texts in tables, JSON Lines and two files of lines, and dialogues in their usual shapes."""

from __future__ import annotations

import json

from ..case import Case, one

ROWS = [("Save", "Speichern"), ("two\nlines", "zwei\nZeilen"), ('it "was" %s', "es „war“ %s"), ("fun 😀", "Spaß")]
TALKS = [["Hi", "Hello 😀", "How are you?"], ["a", "b"], ["Où ?", "Là."]]


def rows() -> list[Case]:
    """Return tables and JSON Lines."""
    quoted = "source,target\n" + "".join(f'"{a.replace(chr(34), chr(34) * 2)}","{b}"\n' for a, b in ROWS)
    plain = "id\ttarget\tsource\n" + "".join(f"{k}\t{b.split()[0]}\t{a.split()[0]}\n" for k, (a, b) in enumerate(ROWS))
    lines = "".join(json.dumps({"target": b, "source": a, "more": [None, {}]}) + "\n" for a, b in ROWS)
    return [
        one("a.csv", quoted),
        one("a.csv", "\ufeff" + quoted.replace("\n", "\r\n")),
        one("a.tsv", plain),
        one("a.csv", "en;de\nyes;ja\nno;nein\n", source="en", target="de"),
        one("a.csv", "yes,ja\nno,nein\n", source="1", target="2", header=False),
        one("a.jsonl", lines),
        one("a.ndjson", '{"en": "yes", "de": "ja"}\r\n\r\n{"de": "nein", "en": "no"}', source="en", target="de"),
    ]


def lines() -> list[Case]:
    """Return files of lines that belong together; the reader is given the first."""
    one_side, other = "Yes\nNo, thanks\n\nMaybe é\n", "Ja\nNein, danke\n\nVielleicht\n\n"
    return [
        Case({"a.en": one_side.encode(), "a.de": other.encode()}, "a.en"),
        Case({"a.en": ("\ufeff" + one_side).replace("\n", "\r\n").encode(), "a.de": other.encode()}, "a.en"),
    ]


def dialogues() -> list[Case]:
    """Return dialogues."""

    def written(rows: list[object]) -> str:
        return "".join(json.dumps(row) + "\n" for row in rows)

    spoken = [[{"speaker": "AB"[k % 2], "text": turn} for k, turn in enumerate(talk)] for talk in TALKS]
    chat = [[{"role": turn["speaker"], "content": turn["text"]} for turn in talk] for talk in spoken]
    return [
        one("a.jsonl", written([*TALKS])),
        one("a.jsonl", written([{"id": k, "turns": talk} for k, talk in enumerate(TALKS)])),
        one("a.jsonl", written([{"dialogue": talk} for talk in spoken])),
        one("a.jsonl", written([{"messages": talk, "more": {"a": [1]}} for talk in chat])),
        one("a.jsonl", written([{"talk": [{"who": 1, "said": "a"}]}]), turns="talk", text="said", speaker="who"),
        one("a.jsonl", written([{"prompt": talk[0], "reply": talk[1]} for talk in TALKS])),
        one("a.tsv", "prompt\treply\n" + "".join(f"{talk[0]}\t{talk[1]}\n" for talk in TALKS)),
    ]
