"""What a comparison shows while it runs: a bar and the table so far in a terminal, a few lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from transfer import compare
from transfer.showing.runs_shown import runs_shown

from ..spreading import tiny

OPTIONS = {"sizes": [4], "arms": tiny.ARMS[1:3]}


def shown(seeds, terminal):
    """Return what stands in a file or on a terminal, and the comparison."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, height=60, no_color=True)
    with runs_shown(console, "runs") as what:
        found = compare(tiny.Tiny(), seeds=seeds, **OPTIONS, **what._asdict())
    return file.getvalue(), found


def test_a_file_gets_four_lines_and_a_table_at_the_half():
    text, _ = shown(4, terminal=False)
    half = compare(tiny.Tiny(), seeds=2, **OPTIONS)
    lines = [line for line in text.splitlines() if line.startswith("runs: ")]
    assert lines == [f"runs: {done} of 8 runs" for done in (2, 4, 6, 8)]
    assert text.count("so far") == 1
    assert f"runs: 4 of 8 runs\nso far, of 2 seeds:\n{half}\n" in text


def test_a_table_of_one_seed_is_no_news():
    text, _ = shown(2, terminal=False)
    assert text == "".join(f"runs: {done} of 4 runs\n" for done in (1, 2, 3, 4))


def test_a_terminal_has_the_table_below_the_bar():
    text, found = shown(2, terminal=True)
    assert "so far, of 1 seed:" in text
    assert "so far, of 2 seeds:" in text
    assert str(found).splitlines()[1] in text
