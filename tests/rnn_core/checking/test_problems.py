"""A function of one's own: what is wrong with a `Problem`, or not analytic in its forward, is said in one line."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from rnn_core import gradcheck
from rnn_core.checking import Problem

V = np.array([[0.5, -1.2, 2.0], [1.0, 0.3, -0.7]])


def problem(f=np.sin, claimed=lambda u: u * np.cos(V), dtype=V.dtype, name="v"):
    """Return the problem of a function of V with what is claimed for its gradient."""

    def twin(dtype):
        values = {"v": V.astype(dtype)}
        return values, lambda: {"f": f(values["v"])}

    return Problem("mine", dtype, twin, lambda u: {name: claimed(u["f"])})


def message(target, error, **options):
    with pytest.raises(error) as caught:
        gradcheck(target, **options)
    text = str(caught.value)
    assert text.startswith("gradcheck: mine's ")
    assert "\n" not in text
    assert len(text) < 400
    return text


# ── What the four parts must be ──────────────────────────────────────────────────────────────────────────────────────


def of(twin, claimed=lambda u: {}):
    return Problem("mine", V.dtype, twin, claimed)


def twin_of(values, run=lambda: {"f": np.ones(2)}):
    return of(lambda dtype: (values(dtype), run))


@pytest.mark.parametrize(
    "target, error, says",
    [
        (of(problem().twin), ValueError, "must be those of v; missing: v; "),
        (of(problem().twin, lambda u: {"v": None}), ValueError, "missing: v"),
        (of(problem().twin, lambda u: {"v": V, "w": V, "b": V}), ValueError,
         "missing: none; of no value that twin returns: w, b; what is a constant stands in neither"),
        (problem(name="w"), ValueError, "missing: v; of no value that twin returns: w"),
        (problem(claimed=lambda u: u[:1]), ValueError, r"must have 'v' of shape (2, 3), as the value, got (1, 3)"),
        (problem(claimed=lambda u: u.sum()), ValueError, "must have 'v' of shape (2, 3), as the value, got ()"),
        (problem(claimed=lambda u: u + 1j), TypeError, "must be real numbers, got complex128 for 'v'"),
        (problem(claimed=lambda u: "v"), TypeError, "must be real numbers, got <U1 for 'v'"),
        (of(problem().twin, lambda u: [V]), TypeError, "must be a dict of arrays by name, got a"),
        (problem(dtype=np.float16), TypeError, "dtype must be float32 or float64, got <class 'numpy.float16'>"),
        (problem(dtype="colour"), TypeError, "dtype must be float32 or float64, got 'colour'"),
        (twin_of(lambda dtype: {}), ValueError, "must return a value to differentiate by, got an empty dict"),
        (twin_of(lambda dtype: {"v": V}), TypeError, "dtype that it is called with, complex128, and not read-only"),
        (twin_of(lambda dtype: {"v": [1.0, 2.0]}), TypeError, "must hold 'v' in a NumPy array of the dtype"),
        (twin_of(lambda dtype: {"v": np.broadcast_to(dtype.type(1), 3)}), TypeError, "and not read-only, got float64"),
        (twin_of(lambda dtype: [V]), TypeError, "must return a dict of arrays and a function without arguments"),
        (twin_of(lambda dtype: {"v": V.astype(dtype)}, run=lambda: V), TypeError, "must return a dict of outputs by"),
        (twin_of(lambda dtype: {"v": V.astype(dtype)}, run=dict), TypeError, "must return a dict of outputs by name"),
        (of(lambda dtype: V.astype(dtype)), TypeError, "must return a dict of arr"),
        (problem(lambda v: v / 0.0 if v.dtype.kind == "f" else v), ValueError, "must be finite at the point that is"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_is_wrong_with_a_problem(target, error, says):
    assert says in message(target, error)


def test_a_number_and_a_dtype_by_name_will_do():
    def twin(dtype):
        values = {"v": np.array(0.5, dtype)}
        return values, lambda: {"f": values["v"][()] ** 2}

    assert gradcheck(Problem("mine", "float64", twin, lambda u: {"v": 2 * 0.5 * u["f"]}))
    assert gradcheck(Problem("mine", np.float64, twin, lambda u: {"v": 2 * 0.5 * u["f"]})).dtype == "float64"
    single = gradcheck(Problem("mine", np.float32, twin, lambda u: {"v": np.float32(1) * u["f"]}))
    assert single.dtype == "float32"


# ── A forward that isn't analytic ────────────────────────────────────────────────────────────────────────────────────


def into_a_float(v):
    out = np.zeros(v.shape)
    out[...] = v
    return 2 * out


NOT_ANALYTIC = {
    "np.absolute": (np.abs, lambda u: u * np.sign(V)),
    "np.linalg.norm": (np.linalg.norm, lambda u: u * V / np.linalg.norm(V)),
    "np.conjugate": (lambda v: v.conj() * v, lambda u: 2 * u * V),
    "np.vdot": (lambda v: np.vdot(v, v), lambda u: 2 * u * V),
    "np.sign": (lambda v: v * np.sign(v), lambda u: u * np.sign(V)),
    ".real": (lambda v: v.real * v, lambda u: 2 * u * V),
    "astype(float64)": (lambda v: v.astype(float) ** 2, lambda u: 2 * u * V),
    "float()": (lambda v: np.array([[math.exp(a) for a in row] for row in v]), lambda u: u * np.exp(V)),
    "a cast to real numbers": (into_a_float, lambda u: 2 * u),
}


@pytest.mark.parametrize("operation", NOT_ANALYTIC)
def test_an_operation_that_is_not_analytic_is_named(operation):
    f, claimed = NOT_ANALYTIC[operation]
    text = message(problem(f, claimed), ValueError)
    assert f"must be analytic for method='complex-step', got {operation} (" in text
    assert "between 'v' and 'f': ∂f/∂v[" in text
    assert text.endswith("or take method='central'")
    assert gradcheck(problem(f, claimed), method="central").passed


def test_the_line_is_named():
    def f(v):
        return np.exp(-np.abs(v))  # here

    text = message(problem(f, lambda u: -u * np.sign(V) * np.exp(-abs(V))), ValueError)
    line = f.__code__.co_firstlineno + 1
    assert f"np.absolute (test_problems.py, line {line}: return np.exp(-np.abs(v)) # here)" in text


def test_a_wrong_claim_does_not_hide_it_nor_does_a_claim_that_shares_the_mistake():
    """abs(v)² v by the complex step comes to v² + 0: claimed so, it would pass."""
    for claimed in (lambda u: 0 * u, lambda u: u * V**2, lambda u: 3 * u * V**2):
        assert "got np.absolute" in message(problem(lambda v: abs(v) ** 2 * v, claimed), ValueError)


def test_a_small_share_that_is_not_analytic_is_found_where_the_check_fails():
    f, claimed = lambda v: v + 1e-3 * np.abs(v), lambda u: u * (1 + 1e-3 * np.sign(V))
    assert "got np.absolute" in message(problem(f, claimed), ValueError)


def test_what_loses_the_imaginary_part_out_of_sight():
    """Values that don't come out of the dict are not watched."""

    def twin(dtype):
        v = V.astype(dtype)
        return {"v": v}, lambda: {"f": np.abs(v)}

    text = message(Problem("mine", V.dtype, twin, lambda u: {"v": u["f"] * np.sign(V)}), ValueError)
    assert "got an operation that drops the imaginary part between 'v' and 'f'" in text


@pytest.mark.parametrize(
    "f, says",
    [
        (lambda v: np.hypot(v, 1), "got TypeError (test_problems.py, line "),
        (lambda v: np.floor(v) * v, "(test_problems.py, line "),
    ],
)
def test_a_forward_that_stops_at_complex_numbers(f, says):
    text = message(problem(f), ValueError)
    assert "forward must run on complex numbers for method='complex-step', " in text
    assert says in text
    assert text.endswith("or take method='central'")


@pytest.mark.parametrize(
    "f, claimed",
    [
        (lambda v: np.maximum(v, 0), lambda u: u * (V > 0)),
        (lambda v: np.max(v) * v, lambda u: u * V.max() + (V == V.max()) * (u * V).sum()),
        (lambda v: np.where(v.real > 0, v, 0), lambda u: u * (V > 0)),
        (lambda v: np.sqrt(v * v), lambda u: u * np.sign(V)),
        (lambda v: np.sort(v.ravel())[::-1], lambda u: u[np.argsort(np.argsort(-V.ravel()))].reshape(V.shape)),
    ],
)
def test_what_compares_is_analytic_on_either_side(f, claimed):
    assert gradcheck(problem(f, claimed)).passed


def test_a_wrong_gradient_of_an_analytic_forward_is_a_wrong_gradient():
    report = gradcheck(problem(claimed=lambda u: 2 * u * np.cos(V)))
    assert not report.passed
    assert report.rows[0].wrong.ratio == pytest.approx(2)


def test_a_cast_that_loses_nothing_is_let_be():
    def f(v):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scale = np.asarray(np.ones(3, v.dtype), float)
        return v * scale

    assert gradcheck(problem(f, lambda u: u)).passed
