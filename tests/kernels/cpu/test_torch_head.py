"""A head in bfloat16 beside torch's: how far loss and gradients are from float64."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import cpu
from tests.head_checks import NAMES, Case, Question, exact, run
from tests.kernels.cpu.setup import settings
from tests.kernels.cpu.test_head import WAYS

torch = pytest.importorskip("torch")

SHAPES = (Case("many words", 300, 64, 2000), Case("characters", 700, 128, 90), Case("long rows", 100, 512, 500))
WORSE = 1.2
"""How much larger than torch's an error may be, at most."""


def rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def torchs(question: Question, lower: str) -> dict[str, np.ndarray]:
    """Return what torch finds, under autocast or in bfloat16 throughout."""
    x, W, b = (torch.tensor(array, requires_grad=True) for array in question[:3])
    targets, dlosses = torch.tensor(question.targets), torch.tensor(question.dlosses)
    if lower == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            losses = torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, W, b), targets, reduction="none")
    else:
        logits = torch.nn.functional.linear(*(array.bfloat16() for array in (x, W, b)))
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    (losses.float() * dlosses).sum().backward()
    found = dict(zip(NAMES, (x.grad, W.grad, b.grad), strict=True)) | {"losses": losses.detach()}
    return {name: array.float().numpy() for name, array in found.items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_errors_are_at_most_torchs(case, way):
    question = case.question("float32")
    expected = exact(question)
    with settings(rounded=way):
        ours = run(cpu.softmax_head("bfloat16"), question)
    for lower in ("autocast", "module"):
        theirs = torchs(question, lower)
        for name, array in expected.items():
            mine, others = (rms(found[name] - array) for found in (ours, theirs))
            assert mine <= WORSE * others, f"{name}, {lower}: {mine:.1e}, torch's {others:.1e}"
