"""Sequences with a tag for each step: columns, CoNLL-U, tables and JSON Lines."""

from __future__ import annotations

import json

from ..case import Case, one

PLAIN = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\nPeter NNP B-PER\n😀 SYM O\n\n#hash NN O\n"


def columns() -> list[Case]:
    """Return columns parted by blanks, tabs and commas."""
    kaggle = 'Sentence #,Word,POS,Tag\nSentence: 1,"a, b",N,O\n,c,N,B-x\nSentence: 2,"d ""e""",N,O\n'
    return [
        one("a.conll", PLAIN),
        one("a.txt", "\ufeff" + PLAIN.replace(" ", "\t").replace("\n", "\r\n"), tag="2"),
        one("a.tsv", "token\ttag\nNew York\tB-LOC\n\nis\tO\n"),
        one("a.conll", "# id 1 en\né O\nb I-x\n\n# id 2 en\nc O\n"),
        one("a.csv", kaggle, sentence="Sentence #", tag="Tag"),
        one("a.csv", "token,tag\na,X\n,\nb,Y\n"),
        one("a.conll", "a\nb\n\nc\n", tagged=False),
    ]


def universal() -> list[Case]:
    """Return CoNLL-U."""
    row = "{}\t{}\t{}\t{}\tX\tA=B\t0\troot\t_\t_\n"
    parts = [("1-2", "du", "_", "_"), ("1", "de", "de", "ADP"), ("2", "le", "le", "DET"), ("2.1", "x", "_", "_")]
    text = "# sent_id = 1\n" + "".join(row.format(*part) for part in parts) + "\n" + row.format(1, "é", "é", "X")
    return [
        one("a.conllu", text),
        one("a.conllu", text, multiword="whole"),
        one("a.conllu", text.replace("\n", "\r\n"), token="LEMMA", tag="6"),
    ]


def objects() -> list[Case]:
    """Return JSON Lines."""
    rows = [{"tokens": ["EU", "é 😀"], "ner_tags": ["B-ORG", "O"], "id": 1}, {"tokens": ["x"], "ner_tags": [3]}]
    return [
        one("a.jsonl", "\n".join(map(json.dumps, rows)) + "\n"),
        one("a.ndjson", '{"words": ["a"], "pos": ["X"], "tags": ["Y"]}\r\n', token="words", tag="pos"),
    ]
