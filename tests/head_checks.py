"""What `kernels.contract` asks of a `SoftmaxHead`, as one function a rule; as tests/conformance.py has it of a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnn_core.equations.rounding import rounding
from tests.tolerance import Allowed, assert_agree

NAMES = ("x", "weight", "bias")


class Question(NamedTuple):
    """The arguments of a call."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    targets: np.ndarray
    dlosses: np.ndarray


class Case(NamedTuple):
    """Sizes: rows, numbers of a row, classes."""

    name: str
    N: int
    K: int
    V: int
    bias: bool = True
    size: float = 1.0  # of the scores, about

    def question(self, dtype: str) -> Question:
        """Draw arguments; of the rows' shares some are 0. For "bfloat16" they are float32."""
        dtype = "float32" if dtype == "bfloat16" else dtype
        rng = np.random.default_rng(7)
        x, weight = rng.normal(size=(self.N, self.K)), rng.normal(size=(self.V, self.K)) * self.size * self.K**-0.5
        dlosses = rng.random(self.N) / self.N
        dlosses[::5] = 0
        bias = rng.normal(size=self.V).astype(dtype) if self.bias else None
        targets = rng.integers(0, self.V, self.N)
        return Question(x.astype(dtype), weight.astype(dtype), bias, targets, dlosses.astype(dtype))


CASES = (
    Case("one-of-everything", 1, 1, 1),
    Case("tiny", 5, 3, 7),
    Case("no-bias", 33, 17, 100, bias=False),
    Case("several-blocks", 530, 5, 130),
    Case("whole-tiles", 64, 64, 240),
    Case("many-chunks", 70, 19, 1210),
    Case("long-rows", 40, 300, 61),
    Case("sure", 90, 33, 250, size=40.0),
)


def exact(question: Question, precision: str = "float32") -> dict[str, np.ndarray]:
    """Return losses and gradients in float64, each by its definition, of what products read in a precision."""
    q = rounding("exact", precision)
    x, W = (q(factor).astype(np.float64) for factor in question[:2])
    z = x @ W.T + (0 if question.bias is None else question.bias.astype(np.float64))
    rows = np.arange(len(x))
    away = z - z[rows, question.targets][:, None]
    away[rows, question.targets] = -np.inf
    others = np.logaddexp.reduce(away, axis=1)  # log Σ exp over the other classes, measured from the right one
    losses = np.logaddexp(0, others)
    p = np.exp(away - losses[:, None])
    p[rows, question.targets] = -np.exp(others - losses)  # softmax − 1
    dz = p * question.dlosses.astype(np.float64)[:, None]
    if precision != "float32":
        dz = q(dz.astype(np.float32)).astype(np.float64)
    found = {"losses": losses, "x": dz @ W, "weight": dz.T @ x}
    return found if question.bias is None else found | {"bias": dz.sum(axis=0)}


def run(head: Any, question: Question, needs: tuple[str, ...] = NAMES) -> dict[str, np.ndarray]:
    """Return losses and gradients by name; what is None is left out."""
    found = dict(zip(("losses", *NAMES), head.gradients(*question, frozenset(needs)), strict=True))
    return {name: array for name, array in found.items() if array is not None}


def check_equations(head: Any, question: Question) -> None:
    """Rules 14 and 16: everything is what it is in float64, of what products read."""
    expected, found = exact(question, head.precision), run(head, question)
    assert found.keys() == expected.keys()
    forward = Allowed.of(question.x.dtype, 0)
    back = forward if head.precision == "float32" else Allowed.of(head.precision, 0)
    for name, array in expected.items():
        assert found[name].dtype == (np.float64 if name == "losses" else question.x.dtype)
        assert_agree(name, found[name], array, forward if name == "losses" else back)
    losses, _ = head.losses(*question[:4])
    assert losses.dtype == np.float64
    assert_agree("losses alone", losses, expected["losses"], forward)


def check_needs(head: Any, question: Question) -> None:
    """Rule 7: what `needs` leaves out is None, and the rest keeps its bits."""
    everything = run(head, question)
    for needs in ((), *((name,) for name in NAMES), ("x", "bias")):
        found = run(head, question, needs)
        assert found.keys() == {"losses", *needs} & everything.keys()
        assert all(np.array_equal(found[name], everything[name]) for name in found)


def check_inputs_unchanged(head: Any, question: Question) -> None:
    """Rules 4 and 13: no argument is written to, and results are fresh."""
    before = [None if array is None else array.tobytes() for array in question]
    first = run(head, question)
    kept = {name: array.copy() for name, array in first.items()}
    head.losses(*question[:4])
    for array in first.values():
        array[...] = np.nan
    second = run(head, question)
    assert all(np.array_equal(second[name], kept[name]) for name in kept)
    assert [None if array is None else array.tobytes() for array in question] == before


def check_hits(head: Any, question: Question) -> None:
    """Whether the first of the largest scores is the target's, also where several are equal."""
    rng = np.random.default_rng(1)
    whole = question._replace(
        x=rng.integers(0, 2, question.x.shape).astype(question.x.dtype),
        weight=rng.integers(0, 2, question.weight.shape).astype(question.x.dtype), bias=None,
    )  # fmt: skip
    likeliest = (whole.x @ whole.weight.T).argmax(axis=1)
    targets = np.where(rng.random(len(likeliest)) < 0.5, likeliest, question.targets)
    _, right = head.losses(whole.x, whole.weight, None, targets)
    assert np.array_equal(right, likeliest == targets)


def check_not_finite(head: Any, question: Question) -> None:
    """Rule 14: a score that is no number, or infinite, leaves no finite loss in its row, and the others as they are."""
    expected = run(head, question)["losses"]
    n, k = len(question.x) // 2, question.x.shape[1] - 1
    for wrong in (np.nan, np.inf, -np.inf):
        x = question.x.copy()
        x[n, k] = wrong
        losses = run(head, question._replace(x=x))["losses"]
        assert not np.isfinite(losses[n])
        assert not np.isfinite(head.losses(x, *question[1:4])[0][n])
        assert np.array_equal(np.delete(losses, n), np.delete(expected, n))
        weight = question.weight.copy()
        weight[-1, k] = wrong
        assert not np.isfinite(run(head, question._replace(weight=weight))["losses"]).all()


def check_sure(head: Any, question: Question) -> None:
    """A loss near 0, and its gradient, keep their relative accuracy: neither is a difference of numbers near 1."""
    dtype = question.x.dtype
    x, bias = np.ones((3, 1), dtype), np.array([0.0, -1.0, 0.0, -2.0], dtype)
    weight = np.array([[0.0], [0.0], [30.0], [0.0]], dtype)
    sure = Question(x, weight, bias, np.array([2, 2, 0]), np.ones(3, dtype))
    expected, found = exact(sure, head.precision), run(head, sure)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=16 * eps)
    np.testing.assert_allclose(found["x"], expected["x"], rtol=16 * eps)


def check_hopeless(head: Any, question: Question) -> None:
    """A target whose score is far below all others has a loss as large, and no exponential overflows on the way."""
    dtype = question.x.dtype
    weight = np.array([[0.0], [1000.0], [999.0]], dtype)
    hopeless = Question(np.ones((2, 1), dtype), weight, None, np.array([0, 1]), np.ones(2, dtype))
    with np.errstate(over="ignore"):  # what it would make of a loss is to be seen
        found = run(head, hopeless)["losses"]
        alone, _ = head.losses(*hopeless[:4])
    expected = exact(hopeless, head.precision)["losses"]
    for losses in (found, alone):
        np.testing.assert_allclose(losses, expected, rtol=16 * float(np.finfo(dtype).eps))


CHECKS: tuple[Callable[[Any, Question], None], ...] = (
    check_equations,
    check_needs,
    check_inputs_unchanged,
    check_hits,
    check_not_finite,
    check_sure,
    check_hopeless,
)
"""Every check of a `SoftmaxHead`."""
