"""What is read of the host, and what it is when nothing can be read."""

from __future__ import annotations

import pytest

from kernels.cpu.emitting import host


def cache_folder(root, **caches):
    """Write what Linux would of some caches: by name, the level and the size."""
    for name, (level, size) in caches.items():
        (root / name).mkdir(parents=True)
        (root / name / "level").write_text(f"{level}\n")
        (root / name / "size").write_text(f"{size}\n")
    return root


@pytest.mark.parametrize(
    ("size", "near"), [("512K", 1 << 19), ("1024K", 1 << 20), ("2048K", 1 << 20), ("8192K", 1 << 22)]
)
def test_the_second_level_decides_what_is_near(size, near, tmp_path, monkeypatch):
    caches = {"index0": (1, "48K"), "index1": (1, "32K"), "index2": (2, size), "index3": (3, "320M")}
    monkeypatch.setattr(host, "CACHES", cache_folder(tmp_path, **caches))
    assert host.host.__wrapped__().near == near


@pytest.mark.parametrize("caches", [{}, {"index0": (1, "32K")}, {"index2": (2, "")}, {"index2": (2, "lotsK")}])
def test_what_cannot_be_read_is_taken_for_one_mebibyte(caches, tmp_path, monkeypatch):
    for folder in (cache_folder(tmp_path, **caches), tmp_path / "nowhere"):
        monkeypatch.setattr(host, "CACHES", folder)
        assert host.host.__wrapped__().near == host.UNKNOWN_NEAR


@pytest.mark.parametrize(
    ("name", "features", "estimates"),
    [
        ("znver4", {"avx512f": True, "avx512vl": True}, False),
        ("emeraldrapids", {"avx512f": True, "avx512vl": True}, True),
        ("haswell", {"avx512f": False}, False),
        ("apple-m1", {}, False),
    ],
)
def test_reciprocals_are_estimated_and_weights_asked_for_where_both_are_slow(name, features, estimates, monkeypatch):
    monkeypatch.setattr(host.llvm, "get_host_cpu_name", lambda: name)
    monkeypatch.setattr(host.llvm, "get_host_cpu_features", lambda: features)
    found = host.host.__wrapped__()
    assert (found.name, found.estimates, found.asks) == (name, estimates, estimates)
    assert found.near > 0
