"""The command line: what it prints, its exit codes, and how it takes bad input."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rnn_core import __version__, cli
from rnn_core.checking.suite import OPTIONS


def test_backends_are_listed_with_the_reason_where_one_is_missing(capsys) -> None:
    assert cli.main(["backends"]) == 0
    out = capsys.readouterr().out
    assert out.count("default") == 1
    assert re.search(r"^numpy +(default|available)$", out, re.MULTILINE)
    assert re.search(r"^cuda +(not available: .+|available)$", out, re.MULTILINE)
    assert re.search(r"^ +\S+: vectors of \d+ bytes; weights up to \d+ KiB count as near; 1/x is ", out, re.MULTILINE)
    assert re.search(r"; bfloat16 as (pairs|rounded); int8 by (\{vex\} )?(vpdpbusd|pmaddwd|shifts)$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gradcheck", "--steps", "0"], "--steps must be at least 1, got 0"),
        (["gradcheck", "--json", "/nowhere/at/all.json"], "--json must name a file in a folder that can be written to"),
        (["gradcheck", "--json", "."], "--json must name a file in a folder that can be written to"),
        (["gradcheck", "--tolerance", "inf"], "tolerance must be above 0 and finite"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unknown_command_or_option_lists_what_there_is(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["nothing"])
    assert "gradcheck" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["gradcheck", "--option", "curly"])
    error = capsys.readouterr().err
    assert all(option in error for option in OPTIONS)


def test_alone_it_prints_its_help_and_has_done_nothing(capsys) -> None:
    assert cli.main([]) == 2
    error = capsys.readouterr().err
    assert "usage: rnn-core" in error
    assert "gradcheck" in error
    assert "check every gradient of every cell" in error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("two\nlines\x1b[31m"), "two lines\\x1b[31m"),
        (OSError(), "OSError"),
        (MemoryError(), "there must be memory enough, got MemoryError; take less at once"),
        (MemoryError("Unable to allocate 9 GiB"), "there must be memory enough, got Unable to allocate 9 GiB"),
        (ValueError("x" * 9000), "xxx"),
    ],
)
def test_any_error_is_one_line_that_says_something(error, said, monkeypatch, capsys) -> None:
    def fails(args: object) -> int:
        raise error

    monkeypatch.setattr(cli.gradcheck, "run", fails)
    assert cli.main(["gradcheck"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"rnn-core gradcheck: error: {said}")
    assert err.count("\n") == 1
    assert len(err) < 2100


def test_interruption_is_exit_code_130(monkeypatch, capsys) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt("stopped at step 3; resume with --resume")

    monkeypatch.setattr(cli.gradcheck, "run", interrupted)
    assert cli.main(["gradcheck"]) == 130
    assert "stopped at step 3; resume with --resume" in capsys.readouterr().err


def test_interruption_without_a_message_says_so(monkeypatch, capsys) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.gradcheck, "run", interrupted)
    assert cli.main(["gradcheck"]) == 130
    assert capsys.readouterr().err == "rnn-core gradcheck: interrupted\n"


def test_a_command_that_cannot_be_loaded_costs_one_line(monkeypatch, capsys) -> None:
    class Broken:
        name, value = "broken", "nowhere:command"

        def load(self) -> None:
            raise ImportError("No module named 'nowhere'")

    monkeypatch.setattr(cli, "entry_points", lambda group: [Broken()])
    assert cli.main(["backends"]) == 0
    assert "'broken' of nowhere:command can't be loaded" in capsys.readouterr().err


def test_traceback_on_request(monkeypatch) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        cli.main(["--traceback", "gradcheck", "--steps", "0"])


def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rnn_core.cli", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"rnn_core {__version__}\n"
