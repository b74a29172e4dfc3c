"""What wants an extra is imported once it is asked for, and says which extra where it is missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import rnn_core
from rnn_core import formats
from rnn_core.formats.passing import over_mask

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
    pytest.importorskip("h5py")
    for name in formats.__all__:
        assert callable(getattr(formats, name))
    assert {*formats.__all__} == {*formats.ROOMS} <= {*dir(formats)}


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="it has export_onnx"):
        formats.load_tensorflow  # noqa: B018


@pytest.mark.parametrize(
    ("name", "room", "package"), [("export_onnx", "onnx", "onnx"), ("load_keras", "keras", "h5py")]
)
def test_a_missing_package_says_what_to_install(name, room, package, monkeypatch):
    for loaded in [loaded for loaded in sys.modules if loaded.startswith(f"rnn_core.{room}")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'rnn_core\[{room}\]'"):
        getattr(formats, name)


def test_reading_keras_imports_no_keras():
    pytest.importorskip("h5py")
    code = "import sys; from rnn_core.formats import load_keras; print({'keras', 'tensorflow'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_steps_that_do_not_count_are_passed_over(kind, both):
    """Each row alone, with those steps cut out; what was said is carried on, in the order in which it was read."""
    rng, (B, T, H) = np.random.default_rng(0), (20, 7, 3)
    layer = getattr(rnn_core, kind)(2, H, 2, batch_first=True, bidirectional=both, backend="numpy", seed=0)
    x, mask = rng.standard_normal((B, T, 2)).astype(np.float32), rng.random((B, T)) < 0.5
    mask[0], mask[1] = False, True
    y, final = over_mask(layer, x, None, mask)
    for b in range(B):
        row = np.zeros((T, y.shape[2]), np.float32)
        steps, states = np.flatnonzero(mask[b]), np.zeros_like(np.stack(final)[..., b, :])
        if steps.size:
            said, state = layer(x[b : b + 1, steps])
            states = np.stack(state)[..., 0, :]
            for t in range(T):
                before, after = np.flatnonzero(steps <= t), np.flatnonzero(steps >= t)
                row[t, :H] = said[0, before[-1], :H] if before.size else 0
                row[t, H:] = said[0, after[0], H:] if after.size else 0
        np.testing.assert_allclose(y[b], row, rtol=0, atol=1e-6)
        np.testing.assert_allclose(np.stack(final)[..., b, :], states, rtol=0, atol=1e-6)
