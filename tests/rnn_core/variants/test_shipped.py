"""The variants by name: in models, files and the gradient check, without being imported before anyone asks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rnn_core import SequenceClassifier, cli, save, variants
from rnn_core.cell import CellError, define
from rnn_core.layers.defined import SHIPPED, shipped
from rnn_core.variants import MinGRU


def fresh(code: str, *arguments: str) -> str:
    """Return what a process of its own prints."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_every_variant_has_its_module():
    assert {*SHIPPED} == {*variants.__all__} - {"parallel"}
    for name, module in SHIPPED.items():
        assert shipped(name) is getattr(variants, name)
        assert shipped(name).definition.module == module


def test_none_is_imported_before_someone_asks():
    code = """
import sys
import rnn_core
assert "rnn_core.variants" not in sys.modules and "rnn_core.cell" not in sys.modules
print(type(rnn_core.SequenceClassifier(2, 3, input_size=2, cell="MinGRU", backend="numpy").rnn).__name__)
"""
    assert fresh(code) == "MinGRU"


@pytest.mark.parametrize("form", ["layer", "model"])
def test_a_file_is_loaded_where_none_is_imported(tmp_path, form):
    path, x = str(tmp_path / "saved.safetensors"), np.ones((1, 4, 2), np.float32)
    if form == "layer":
        made = variants.LeakyRNN(2, 3, alpha=0.5, batch_first=True, backend="numpy", seed=0)
        expected = made(x)[0].sum()
    else:
        made = SequenceClassifier(2, 3, input_size=2, cell="SLSTM", backend="numpy", seed=0)
        expected = made.rnn(x)[0].sum()
    save(made, path)
    code = """
import sys
import numpy as np
import rnn_core
made = rnn_core.load(sys.argv[1], backend="numpy")
print(float(getattr(made, "rnn", made)(np.ones((1, 4, 2), np.float32))[0].sum()))
"""
    assert float(fresh(code, path)) == expected


def test_an_unknown_cell_is_told_what_there_is():
    with pytest.raises(ValueError, match=r"must be one of 'rnn', 'lstm', 'gru'.*rnn_core\.variants: PeepholeLSTM, "):
        SequenceClassifier(2, 3, input_size=2, cell="peephole")


def test_their_names_are_taken():
    def step(a, prev):
        return (a.z,), ()

    def step_backward(kept, prev, state, dstate):
        return (0,), (dstate.h,)

    with pytest.raises(CellError, match="got 'MinGru', which rnn_core has"):
        define("MinGru", step, step_backward, gates=("z",), states=("h",))
    assert shipped("MinGRU") is MinGRU


@pytest.mark.parametrize("name", SHIPPED)
def test_the_gradient_check_knows_each(name, capsys):
    other = "ragged" if shipped(name).definition.across else "resets"  # whose stack takes long where units are summed
    words = ["--cell", name, "--backend", "numpy", "--option", other, "--option", "long", "--steps", "20"]
    assert cli.main(["gradcheck", *words]) == 0
    assert "2 of 2 layers passed" in capsys.readouterr().out
