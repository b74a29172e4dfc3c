"""Inference in lower precision: every way there is, with its error, and a reason where there is none."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks import timing
from benchmarks.cases import Case
from benchmarks.cpu.layers import precision
from benchmarks.cpu.peers import onnx_side, torch_side
from benchmarks.cpu.setting import Setting
from benchmarks.cpu.targets import summary

SETTING = Setting(torch, "numpy", 1, None, quick=True)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0.0)


@pytest.mark.parametrize("case", precision.cases(quick=True), ids=lambda case: case.name)
def test_every_way_has_its_error_or_a_reason(case):
    row = precision.measure(SETTING, case)
    found = row.as_dict()
    assert row.agrees
    assert len(found["ways"]) + len(found["absent"]) == 9
    assert all(found["absent"].values())
    errors = {name: way["rms"] for name, way in found["ways"].items()}
    for owner in ("ours", "torch", "ONNX Runtime"):
        mine = [errors[f"{owner} {name}"] for name in precision.PRECISIONS if f"{owner} {name}" in errors]
        assert mine == sorted(mine)  # fewer bits, larger errors
    assert errors["torch float32"] < 1e-6
    assert set(found["ratios"]) == {
        name for name in errors if not name.startswith("ours") and f"ours {name.split()[-1]}" in errors
    }


def test_what_is_more_than_rounding_is_no_agreement(monkeypatch):
    monkeypatch.setitem(precision.WAYS, "ours", lambda *_: lambda: np.ones((7, 8, 16)))
    row = precision.measure(SETTING, precision.cases(quick=True)[0])
    assert not row.agrees
    assert "DIFFERS" in row.line()


def test_what_fails_of_ours_is_not_merely_absent(monkeypatch):
    def fails(*_):
        raise ValueError("broken")

    monkeypatch.setitem(precision.WAYS, "ours", fails)
    row = precision.measure(SETTING, precision.cases(quick=True)[0])
    assert row.absent["ours float32"] == "ValueError: broken"
    assert not row.agrees
    assert row.as_dict()["ways"]["torch float32"]["seconds"] > 0


def test_what_torch_cant_do_is_absent(monkeypatch):
    def refuses(setting, case, kind):
        if kind == "bfloat16":
            raise RuntimeError("no bfloat16\nhere")
        return torch_side.inference(setting, case, kind)

    monkeypatch.setitem(precision.WAYS, "torch", refuses)
    row = precision.measure(SETTING, precision.cases(quick=True)[0]).as_dict()
    assert row["absent"]["torch bfloat16"] == "RuntimeError: no bfloat16 here"
    assert "bfloat16, inference" not in {line["what"] for line in summary({"precision": [row]})}


def test_an_lstm_in_int8_by_onnxruntime_is_the_same_lstm():
    if onnx_side.find()[0] is None:
        pytest.skip(onnx_side.find()[1])
    case = Case("LSTM", "precision", 9, 3, 24, input_size=10)
    exact, lower = (onnx_side.inference(SETTING, case, kind)() for kind in ("float32", "int8"))
    assert 1e-4 < abs(lower - exact).max() < 0.05 * abs(exact).max()
