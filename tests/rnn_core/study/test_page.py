"""The page of a trace: one file, links that lead somewhere, every number of a small step, and no way to the network."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from rnn_core import LSTM
from rnn_core.study import trace, write_page


class Read(HTMLParser):
    """What a page holds."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.lines: dict[str, dict[str, str | None]] = {}
        self.targets: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        its = dict(attrs)
        if tag != "meta":
            self.open.append(tag)
        if "id" in its:
            self.ids.append(its["id"])
        if its.get("class") == "line":
            self.lines[its["id"]] = its
        if tag == "a":
            self.targets.append(its["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def found():
    layer = LSTM(2, 3, backend="numpy", dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    return trace(layer, x, lengths=[4, 2], t=(1, 2), watch=("c",))


def test_a_page_is_one_file_whose_links_lead_somewhere(found, tmp_path) -> None:
    write_page(found, tmp_path / "trace.html")
    page = (tmp_path / "trace.html").read_text(encoding="utf-8")
    read = Read(page)
    assert not read.open
    assert len(read.ids) == len(set(read.ids))
    assert all(target[1:] in read.ids for target in read.targets)
    assert not re.search(r"https?:|src=|@import|url\(", page)
    for its in read.lines.values():
        for way, back in (("data-from", "data-for"), ("data-for", "data-from")):
            for other in (its.get(way) or "").split():
                assert its["id"] in (read.lines[other][back] or "").split()
    count = sum(len(step.lines) for step in found.steps) + len(found.gradients)
    assert len(read.lines) == count


def test_it_has_every_number_and_its_derivative(found, tmp_path) -> None:
    write_page(found, tmp_path / "trace.html")
    page = (tmp_path / "trace.html").read_text(encoding="utf-8")
    for key in ("c", "df", "dc′"):
        line = found[1][key]
        assert all(f'title="{float(value)!r}"' in page for value in line.value.ravel())
    assert page.count("<span>ended</span>") > 10  # the second row, at step 2
    assert "∂L/∂f: the complex step is" in page
    assert "c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t" in page
    assert "c at steps 0 to 3: 6 units" in page


def test_what_is_no_trace_is_refused(tmp_path) -> None:
    with pytest.raises(TypeError, match=r"write_page: trace must be what rnn_core\.study\.trace returns, got str"):
        write_page("trace", tmp_path / "trace.html")
    assert not list(tmp_path.iterdir())
