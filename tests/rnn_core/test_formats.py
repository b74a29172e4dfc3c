"""What wants an extra is imported once it is asked for, and says which extra where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rnn_core import formats

EXTRAS = ("torch", "onnx", "onnxruntime", "h5py", "sklearn", "keras", "tensorboardX", "tensorboard", "matplotlib")

ROOMS = {
    "torch": "from rnn_core.torch import accelerate",
    "onnx": "from rnn_core.formats import export_onnx",
    "sklearn": "from rnn_core.sklearn import RNNClassifier",
    "tensorboard": "from rnn_core.training import TensorBoard; TensorBoard('events')",
}
"""By extra, what a user of it begins with."""


def test_importing_rnn_core_imports_no_extra():
    code = f"""
import sys, rnn_core, rnn_core.formats, kernels, transfer
print([name for name in {EXTRAS} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_room_says_what_to_install():
    code = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRAS}))
for code in {[*ROOMS.values()]}:
    try:
        exec(code)
    except ImportError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == len(ROOMS)
    for extra, line in zip(ROOMS, said, strict=True):
        assert f"pip install 'rnn_core[{extra}]'" in line


def test_every_name_is_there():
    pytest.importorskip("onnx")
    for name in formats.__all__:
        assert callable(getattr(formats, name))
    assert {*formats.__all__} == {*formats.ROOMS} <= {*dir(formats)}


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="it has export_onnx"):
        formats.load_tensorflow  # noqa: B018


def test_a_missing_onnx_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("rnn_core.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'rnn_core\[onnx\]'"):
        formats.export_onnx  # noqa: B018
