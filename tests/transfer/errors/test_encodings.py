"""Files in another encoding."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import pytest

from rnn_core.data.files import read_series, read_texts, read_vectors
from tests.transfer.errors.world import Error, check, named

BYTE = "must be utf-8, got byte 0xe9 at position {}; name its encoding, latin-1 for instance"
CAFÉ = "text,label\nfine,1\ncafé,0\n"

ENCODINGS = (
    *(
        Error(
            name,
            lambda w, name=name, read=read, text=text: read(w.write(name, text, "latin-1")),
            f"{read.__name__}: '…{name}', line {line}, {BYTE.format(at)}",
        )
        for read, name, text, line, at in (
            (read_texts, "a.csv", CAFÉ, 3, 3),
            (read_texts, "a.tsv", CAFÉ.replace(",", "\t"), 3, 3),
            (read_texts, "a.jsonl", '{"text": "x", "label": 0}\n{"text": "é", "label": 1}', 2, 10),
            (read_series, "b.tsv", "1\t2\né\t2\n", 2, 0),
            (read_series, "b.ts", "@data\n1,2:é\n", 2, 4),
            (read_vectors, "c.txt", "the 1 2\ncafé 1 2\n", 2, 3),
        )
    ),
    Error(
        "a text in a folder",
        lambda w: read_texts(w.write("f/neg/2.txt", "fine\ncafé", "latin-1").parent.parent),
        f"read_texts: '…2.txt', line 2, {BYTE.format(3)}",
    ),
    Error(
        "c.bin",
        lambda w: read_vectors(w.write("c.bin", b"1 1\ncaf\xe9 " + bytes(4))),
        f"read_vectors: '…c.bin', word 0, {BYTE.format(3)}",
    ),
    Error(
        "UTF-16 taken for UTF-8",
        lambda w: read_texts(w.write("a.csv", CAFÉ, "utf-16")),
        "read_texts: '…a.csv', line 1, must be utf-8, got byte 0xff at position 0; it looks like UTF-16, so …",
    ),
    *(
        Error(
            f"{encoding!r}, {read.__name__}",
            lambda w, read=read, name=name, encoding=encoding: read(w.write(name, "x"), encoding=encoding),
            f"{read.__name__}: encoding must be {what}, got {encoding!r}{way_out}",
        )
        for read, name in ((read_texts, "a.csv"), (read_series, "b.ts"), (read_vectors, "c.txt"))
        for encoding, what, way_out in (
            ("utf-16", "one that ends a line with one byte, as utf-8 and latin-1 do", "; save the file as UTF-8"),
            ("utf9", "the name of one that Python has", ""),
            (None, "the name of one that Python has", ""),
        )
    ),
)


@pytest.mark.parametrize("error", named("encoding", ENCODINGS))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)


def test_encodings_of_one_byte_are_read(tmp_path):
    path = tmp_path / "a.csv"
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "cp1252", "shift_jis", "gb18030"):
        path.write_bytes("text,label\nfine,1\n".encode(encoding))
        assert read_texts(path, encoding=encoding).texts == ["fine"]
