"""`rnn-core trace`: a step in the terminal, of drawn layers, of a user's own cell, and of what was saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnn_core import GRU, LanguageModel, cli, save
from rnn_core.data import Tokenizer
from tests.rnn_core.cell.conftest import forgotten  # noqa: F401  # for the cells of files that are run

ROOT = Path(__file__).resolve().parents[3]


def test_a_step_of_a_cell_by_name(capsys) -> None:
    assert cli.main(["trace", "--cell", "LSTM", "--hidden", "3", "--t", "2", "--watch", "c,f"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("lstm l0, step 2 of 0 … 4: B = 1, I = 2, H = 3, float64, backend 'numpy'")
    assert "(L6)    c = f * c_prev + i * g" in out
    assert "through time" in out


def test_a_cell_of_ones_own(capsys) -> None:
    file = str(ROOT / "examples" / "peephole_lstm.py")
    assert cli.main(["trace", "--cell-file", file, "--steps", "3", "--layers", "2", "--depth", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("PeepholeCell l1, step 1 of 0 … 2")
    assert "i = sigmoid(a.i + p.p_i * prev.c)" in out


def test_a_saved_model_reads_a_text(tmp_path, capsys) -> None:
    tokenizer = Tokenizer("char").fit("to be or not to be")
    model = LanguageModel(len(tokenizer), 4, cell="gru", seed=0)
    save(model, tmp_path / "model.safetensors", tokenizer=tokenizer)
    assert cli.main(["trace", "--load", str(tmp_path), "--text", "not to", "--t", "0", "5"]) == 0
    assert capsys.readouterr().out.startswith("gru l0, steps 0, 5 of 0 … 5")
    assert cli.main(["trace", "--load", str(tmp_path)]) == 2
    assert "--text must be given with --load" in capsys.readouterr().err


def test_a_saved_layer_reads_random_numbers(tmp_path, capsys) -> None:
    save(GRU(3, 2, batch_first=True, bidirectional=True, seed=0), tmp_path / "layer.safetensors")
    file = str(tmp_path / "layer.safetensors")
    assert cli.main(["trace", "--load", file, "--batch", "2", "--steps", "4", "--reverse"]) == 0
    assert capsys.readouterr().out.startswith("gru l0_reverse, step 2 of 0 … 3: B = 2, I = 3, H = 2")


def test_a_page_is_written_in_place_of_the_terminal(tmp_path, capsys) -> None:
    page = tmp_path / "trace.html"
    assert cli.main(["trace", "--cell", "rnn", "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"written to {page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hidden", "0"], "--hidden must be at least 1, got 0"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--t", "9"], "--t must be from 0 to 4, as there are 5 steps, got 9"),
        (["--depth", "1"], "--depth must be from 0 to 0, as the layers are, got 1"),
        (["--reverse"], "--reverse must be left out, as the network reads in one direction"),
        (["--text", "a"], "--text must go with --load FILE"),
        (["--load", "nowhere", "--cell", "gru"], "--cell must be left out with --load, whose file says it"),
        (["--cell", "nothing"], "--cell must be one of rnn, lstm, gru, "),
        (["--html", "trace.txt"], "--html must be a file .html in a folder that exists, got 'trace.txt'"),
        (["--watch", "q"], "watch must hold lines of the step"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys) -> None:
    assert cli.main(["trace", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
