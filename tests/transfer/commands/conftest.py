"""A run that has ended."""

from __future__ import annotations

import pytest

from rnn_core import cli
from tests.transfer.commands.made import json_lines, table, texts


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    """A run from one table of texts to another that has ended, and its folder."""
    folder = tmp_path_factory.mktemp("texts")
    table(folder / "reviews.csv", texts(60, 0))
    json_lines(folder / "tweets.jsonl", texts(40, 1, ("down", "up")))
    json_lines(folder / "test.jsonl", [*texts(30, 2, ("down", "up")), ("unheard words", "up"), ("!!!", "up")])
    words = ["transfer", "--source", folder / "reviews.csv", "--target", folder / "tweets.jsonl"]
    words += ["--test", folder / "test.jsonl", "--quick", "--updates", "20", "--workers", "1", "--out", folder / "out"]
    assert cli.main(list(map(str, words))) == 0
    return folder
