"""Files written by `rnn_core.save`: a write that dies loses nothing, and a place that can't be written is named."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rnn_core import atomic, save
from rnn_core.weights import read_arrays


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights [1].safetensors"


def names(folder: Path) -> list[str]:
    """Return what is in a folder, hidden files too."""
    return sorted(os.listdir(folder))


# ── Writes that die ───────────────────────────────────────────────────────────────────────────────────────────

KILLED = """
import os, signal, sys
import numpy as np
from rnn_core import atomic, save

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Half:
    "A file whose disk is pulled out after half of it."
    def __init__(self, file):
        self.file = file
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()

moment, path = sys.argv[1:]
if moment == "write":
    atomic.open = lambda *args: Half(open(*args))
else:
    setattr(os, moment, die)
save({"w": np.full(100_000, 2.0)}, path)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_killed_write_leaves_the_old_file_whole(moment, path):
    save({"w": np.ones(100_000)}, path)
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, str(path)], cwd=Path(atomic.__file__).parents[1])
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    leftovers = [name for name in names(path.parent) if name != path.name]
    assert len(leftovers) == 1
    save({"w": np.zeros(3)}, path)
    assert names(path.parent) == sorted([*leftovers, path.name])  # young: it may be another process's
    long_ago = time.time() - atomic.LEFTOVER - 60
    os.utime(path.parent / leftovers[0], (long_ago, long_ago))
    save({"w": np.zeros(3)}, path)
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(28, "No space left on device"), PermissionError(13, "Permission denied")]
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(moment, error, path, monkeypatch):
    def fail(*_):
        raise error

    save({"w": np.ones(3)}, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, moment, fail)
    with pytest.raises(type(error)) as caught:
        save({"w": np.zeros(3)}, path)
    if isinstance(error, OSError):
        assert str(caught.value) == f"save: {str(path)!r} can't be written: {error.strerror}"
    assert path.read_bytes() == before
    assert names(path.parent) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows other permissions")
def test_permissions_are_the_users(path):
    old = os.umask(0o027)
    try:
        save({"w": np.ones(3)}, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        save({"w": np.zeros(3)}, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(old)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_stays_a_link(path):
    real = path.with_name("real.safetensors")
    path.symlink_to(real)
    save({"w": np.ones(3)}, path)
    assert path.is_symlink()
    assert not real.is_symlink()
    np.testing.assert_array_equal(read_arrays(real)["w"], 1)


# ── Bad places ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^save: the folder of path must exist, got .*; make it first$"):
        save({"w": np.ones(3)}, tmp_path / "nowhere" / "w.safetensors")
    assert names(tmp_path) == []


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="^save: path must be a file"):
        atomic.write_atomically(tmp_path, b"w", where="save")


def test_a_device_is_not_replaced():
    with pytest.raises(IsADirectoryError, match="a folder or device"):
        save({"w": np.ones(3)}, os.devnull)


def test_a_protected_file_is_not_replaced(path, monkeypatch):
    save({"w": np.ones(3)}, path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # nothing is protected from root, who may run this
    with pytest.raises(PermissionError, match="^save: .* is write-protected; unprotect it, or choose another name$"):
        save({"w": np.zeros(3)}, path)
    np.testing.assert_array_equal(read_arrays(path)["w"], 1)


def test_other_peoples_files_are_left_alone(tmp_path):
    other = tmp_path / ".weights.backup.part"
    other.write_bytes(b"mine")
    os.utime(other, (0, 0))
    atomic.write_atomically(tmp_path / "weights", b"new", where="test")
    assert other.read_bytes() == b"mine"


# ── Long names, and places that are tried ahead ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 241])
def test_a_name_as_long_as_there_can_be(name, tmp_path):
    path = tmp_path / name
    atomic.check_writable(path, where="test")
    atomic.write_atomically(path, b"one", where="test")
    atomic.write_atomically(path, b"two", where="test")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9")
    atomic.check_writable(path, where="test")
    atomic.write_atomically(path, b"one", where="test")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9"]


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    path = tmp_path / "results.csv"
    atomic.check_writable(path, where="test")
    assert names(tmp_path) == []
    path.write_bytes(b"old")
    atomic.check_writable(path, where="test")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["results.csv"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    for place, error, message in (
        (tmp_path / "nowhere" / "x", FileNotFoundError, "the folder of path must exist"),
        (tmp_path, IsADirectoryError, "path must be a file"),
        (tmp_path / ("n" * 300), OSError, r"can't be written: File name too long"),
    ):
        with pytest.raises(error, match=rf"^test: .*{message}"):
            atomic.check_writable(place, where="test")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "open", full, raising=False)
    with pytest.raises(OSError, match=r"^test: .*x' can't be written: No space left on device$"):
        atomic.check_writable(tmp_path / "x", where="test")
    assert names(tmp_path) == []
