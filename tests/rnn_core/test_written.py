"""What is written: any name, label or text leaves whole, for any file and any terminal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnn_core
from rnn_core.written import STAND_INS, json_bytes, plain, prepare, printable, writable

ANY = st.text(st.characters(codec=None, exclude_categories=()))
"""Half characters and control characters too."""

NAME = os.fsdecode(b"caf\xe9")
"""A file's name that is no UTF-8."""


@given(ANY)
def test_any_text_can_be_written_and_seen(text) -> None:
    assert writable(text).encode().decode() == writable(text)
    seen = printable(text, keep="")
    assert not any(one < " " or "\x7f" <= one < "\xa0" or "\ud800" <= one < "\ue000" for one in seen)
    assert json.loads(json_bytes({text: [text]})) == {writable(text): [writable(text)]}


@given(ANY)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "shift_jis"])
def test_any_text_can_be_printed_on_any_terminal(encoding, text) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    prepare(stream)
    stream.write(text)
    stream.flush()


def test_what_is_no_text_becomes_an_escape_and_the_rest_stays() -> None:
    assert writable(NAME) == "caf\\udce9"
    assert printable("café 日本 👩\u200d💻") == "café 日本 👩\u200d💻"
    assert printable("a\tb\n\x1b[31m\x9b\x00") == "a\tb\n\\x1b[31m\\x9b\\x00"
    assert printable("a\tb\n", keep="") == "a\\tb\\n"


def test_our_own_signs_have_stand_ins_on_a_terminal_that_lacks_them() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    prepare(stream)
    stream.write("│ −2.5 ± 1.0 │ ∂y/∂x … é")
    stream.flush()
    assert buffer.getvalue() == b"| -2.5 +/- 1.0 | dy/dx ... \\xe9"
    assert all(text.isascii() for text in STAND_INS.values())


def test_json_is_strict_and_plain() -> None:
    found = json_bytes({"a": np.array([1.5, np.nan]), "b": (np.float32(2), np.inf), "c": np.int64(3), 4: True})
    assert json.loads(found) == {"a": [1.5, None], "b": [2.0, None], "c": 3, "4": True}
    assert found.endswith(b"}\n")
    assert json_bytes([1, "é"], indent=None) == '[1, "é"]\n'.encode()
    assert plain("x") == "x"


def test_a_stream_that_is_no_file_is_left_alone() -> None:
    prepare(io.StringIO())
    prepare(None)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_program_prints_on_a_terminal_of_few_letters(encoding, tmp_path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"}
    environment["PYTHONPATH"] = str(Path(rnn_core.__file__).parents[1])
    missing = os.fsencode(tmp_path) + b"/caf\xe9.safetensors"
    words = [sys.executable, "-m", "rnn_core.cli", "predict", missing, b"no\xff"]
    done = subprocess.run(words, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(b"rnn-core predict: error: ")
    assert done.stderr.count(b"\n") == 1
    assert b"caf\\udce9.safetensors" in done.stderr
