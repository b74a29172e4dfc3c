"""A file that is broken far down."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import pytest

from rnn_core.data.files import read_series, read_texts, read_vectors
from tests.transfer.errors.world import Error, check, named


def late(first, row, last, rows=10_000):
    """Return a text whose line 10,000 is broken."""
    return first + row * (rows - 1 - first.count("\n")) + last + row


ROW_10000 = tuple(
    Error(
        f"{name}: {last[:14].strip()!r}",
        lambda w, name=name, read=read, parts=(first, row, last): read(w.write(name, late(*parts))),
        f"{read.__name__}: '…{name}', line 10000, {message}",
    )
    for read, name, first, row, last, message in (
        (read_texts, "a.csv", "text,label\n", "fine,1\n", "broken\n", "must have 2 columns, …"),
        (read_texts, "a.csv", "text,label\n", "fine,1\n", "a,b,1\n", "must have 2 columns, …, got 3; …"),
        (read_texts, "a.csv", "text,label\n", "fine,1\n", "broken,\n", "must have a label in column …"),
        (
            read_texts,
            "a.tsv",
            "text\tlabel\n",
            "fine\t1\n",
            "broken\n",
            "must have 2 columns, as the first line, got 1; …",
        ),
        (read_texts, "a.jsonl", "", '{"text": "a", "label": 1}\n', '{"text": \n', "must be JSON, got '{\"text\": ' …"),
        (
            read_texts,
            "a.jsonl",
            "",
            '{"text": "a", "label": 1}\n',
            '{"text": "a"}\n',
            "must have the keys 'text' and 'label', got text; text and label name them",
        ),
        (read_series, "b.tsv", "", "1\t2\t3\n", "1\t2\tx\n", "must have a number for step 1, got 'x'"),
        (read_series, "b.tsv", "", "1\t2\t3\n", "1\n", "must have a label, a tab and numbers, got '1'"),
        (read_series, "b.ts", "# x\n@data\n", "1,2:a\n", "1,2:3,4:a\n", "must have 1 dimension and a label, …"),
        (
            read_series,
            "b.ts",
            "# x\n@data\n",
            "1,2:a\n",
            "1,nan,2:a\n",
            "must have a number for step 1, got none (NaN, ? or a blank); …",
        ),
        (
            read_vectors,
            "c.txt",
            "".join(f"w{k} 1 2\n" for k in range(9999)),
            "",
            "x 1\n",
            "must have a word and 2 numbers, got 2 parts, b'x 1'",
        ),
        (
            read_vectors,
            "c.txt",
            "".join(f"w{k} 1 2\n" for k in range(9999)),
            "",
            "x 1 ?\n",
            "must have a number for 'x', got '?'",
        ),
    )
)


@pytest.mark.parametrize("error", named("row 10,000", ROW_10000))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)
