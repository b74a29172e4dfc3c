"""docs/performance.md: its tables are those of the results, and what is written by hand stays."""

from __future__ import annotations

import re

import pytest

from benchmarks.__main__ import main
from benchmarks.cpu.findings import write_json
from benchmarks.cpu.reporting import page
from benchmarks.cpu.targets import TARGETS
from benchmarks.machine import processor as this_processor

TEXT = "By hand.\n<!-- summary: written by a command -->\nold\n<!-- end -->\nAnd this.\n"


def data(processor: str, ratio: float, date: str = "2026-01-01") -> dict:
    row = {"section": "float32", "name": "LSTM inference", "cell": "LSTM", "task": "inference", "dtype": "float32"}
    times = {"ours": 1.0, "theirs": ratio, "ratio": ratio, "low": ratio, "high": ratio, "share": 0.5, "others": 0.0}
    return {
        "machine": {"date": date, "cpu": "A Processor", "processor": processor, "threads": 2},
        "limits": {}, "failed": [], "sections": {"float32": [{**row, "T": 4, "B": 2, "I": 3, "H": 3, **times}]},
    }  # fmt: skip


def test_the_page_is_what_the_command_would_write():
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == page.filled(text, page.read()), "python -m benchmarks report"
    assert {match["name"] for match in page.PART.finditer(text)} == set(page.PARTS)


def test_a_column_a_processor_and_the_rest_stays():
    found = page.filled(TEXT, [data("amd-1-2", 3.0), data("intel-3-4", 1.0)])
    assert found.startswith("By hand.\n<!-- summary: written by a command -->\n")
    assert found.endswith("<!-- end -->\nAnd this.\n")
    assert "old" not in found
    assert "| A Processor (amd-1-2), 2026-01-01 | A Processor (intel-3-4), 2026-01-01 |" in found
    assert "| LSTM float32, inference (torch ÷ ours) | ≥ 1.6, ≥ 1.05 | **3.00**, **3.00**: reached |" in found
    assert "| **1.00**, **1.00**: behind |" in found
    assert page.filled(found, [data("amd-1-2", 3.0), data("intel-3-4", 1.0)]) == found


def test_what_one_processor_lacks_is_a_dash():
    lacking = data("intel-3-4", 1.0) | {"sections": {}}
    assert "**3.00**: reached | – |" in page.side_by_side([data("amd-1-2", 3.0), lacking])
    assert page.PARTS["steps"]([lacking]) == "Not measured yet.\n"


def test_the_command_reads_every_processors_file(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text(TEXT, encoding="utf-8")
    for processor, date in (("amd-1-2", "2026-01-01"), ("intel-3-4", "2026-02-02")):
        write_json(page.results_file(processor), data(processor, 2.0, date))
    assert main(["report"]) == 0
    head = re.search(r"\| geometric mean.*", page.PAGE.read_text(encoding="utf-8"))[0]
    assert head.index("intel-3-4") < head.index("amd-1-2")  # the latest first


def test_targets_tell_themselves_apart():
    assert len({(target.name, target.unit) for target in TARGETS}) == len(TARGETS)
    assert all(target.mean or target.worst for target in TARGETS)


@pytest.mark.parametrize("name", ["", "named.json"])
def test_results_go_where_they_should(name, tmp_path, monkeypatch):
    from benchmarks.cpu import run

    monkeypatch.setattr(page, "RESULTS", tmp_path)
    monkeypatch.setattr(run, "run", lambda args: len(str(args.json)))
    given = [str(tmp_path / name)] if name else []
    expected = tmp_path / name if name else page.results_file(this_processor())
    assert main(["cpu", "--json", *given]) == len(str(expected))
