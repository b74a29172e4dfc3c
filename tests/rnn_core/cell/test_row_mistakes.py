"""Mistakes with what looks at a whole row: one line, which names the line of the file."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rnn_core import gradcheck
from rnn_core.cell import CellError, mean, outer, product
from rnn_core.checking.cells import check_step
from rnn_core.commands.cells import cells_in

FILE = """\
import numpy as np

from rnn_core.cell import define, mean, outer, product, product_transposed, tanh


def step(a, prev, p):
    m = product(p.U, prev.c)
    g = tanh(a.g + m - mean(m))
    c = g + prev.c / 2
    return (product(p.W, c), c), (g,)


def step_backward(kept, prev, state, dstate, p):
    dc = dstate.c + product_transposed(p.W, dstate.h)
    dg = dc * (1 - kept.g**2)
    dm = dg - mean(dg)
    dprev_c = dc / 2 + product_transposed(p.U, dm)
    dU = outer(dm, prev.c)
    dW = outer(dstate.h, state.c)
    return (0, dprev_c), (dg,), (dU, dW)


Made = define(
    "RowMistaken", step, step_backward, gates=("g",), states=("h", "c"), kept=("g",),
    matrices=("U", "W"), projection="W",
)
"""


@pytest.fixture
def said(tmp_path):
    """Return a function that changes the file, and returns the line that is named and what is said."""

    def run(old: str, new: str):
        assert old in FILE
        path = tmp_path / "rows.py"
        path.write_text(FILE.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(CellError) as caught:
            cells_in(str(path))
        message = str(caught.value)
        assert "\n" not in message
        found = re.match(r"rows\.py:(\d+): (.*)", message)
        assert found, message
        return path.read_text(encoding="utf-8").splitlines()[int(found[1]) - 1].strip(), found[2]

    return run


def test_the_file_as_it_is(tmp_path):
    path = tmp_path / "rows.py"
    path.write_text(FILE, encoding="utf-8")
    [kind] = cells_in(str(path))
    assert check_step(kind)


G = "g = tanh(a.g + m - mean(m))"
STANDS = "step: a matrix stands only in product, product_transposed and outer"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("g = tanh(a.g + m - mean(0.5))", "step: .*mean takes a number of one unit, got a constant"),
        ("g = tanh(a.g + m - product(p.U, 1))", "step: product takes a number of one unit, got the constant 1, which"),
        ("g = tanh(a.g + m - product(m, p.U))", r"step: product takes one of the matrices .* write product\(p.W, v\)"),
        ("g = tanh(a.g + m - product(m, m))", "step: product takes .* got a number; `matrices` of define names"),
        ("g = tanh(a.g + m - product(0.5, m))", "step: product takes one of the matrices in p first, got 0.5"),
        ("g = tanh(a.g + m - product(p.U, a))", "step: an operator takes numbers of one unit, got .* of g"),
        ("g = tanh(a.g + m - product(p.U, p.U))", STANDS),
        ("g = tanh(a.g + p.U * m)", STANDS),
        ("g = tanh(a.g + m * p.U)", STANDS),
        ("g = tanh(a.g + p.U @ m)", STANDS),
        ("g = tanh(a.g + m @ p.U)", "step: there is no such operator"),
        ("g = tanh(a.g + p.U.T)", STANDS),
        ("g = tanh(a.g + p.U[0])", STANDS),
        ("g = tanh(a.g + m - mean(p.U))", STANDS),
        ("g = tanh(a.g + m - tanh(p.U))", STANDS),
        ("g = tanh(a.g + np.dot(p.U, m))", STANDS),
        ("g = tanh(a.g + m - np.mean(m))", "step: np.mean is no operator .* take mean of rnn_core.cell"),
        ("g = tanh(a.g + np.dot(m, m))", r"step: np.dot is no operator .* write product\(p.W, v\)"),
        ("g = tanh(a.g + m - outer(m, m))", r"step: outer\(d, v\) is only returned, in dp"),
        ("g = tanh(a.g + 2 * outer(m, m))", r"step: outer\(d, v\) is only returned, in dp"),
        ("g = tanh(a.g + outer(m, 1))", "step: outer takes a number of one unit, got the constant 1"),
        ("g = tanh(a.g + m - product(p.V, m))", "step: p has no parameter 'V'; it has U, W"),
    ],
)
def test_what_can_not_be_written_down(said, line, message):
    where, text = said(G, line)
    assert where == line
    assert re.match(message, text), text


STEP_RETURN = "return (product(p.W, c), c), (g,)"
DC = "dc = dstate.c + product_transposed(p.W, dstate.h)"
DU = "dU = outer(dm, prev.c)"
RETURN = "return (0, dprev_c), (dg,), (dU, dW)"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (STEP_RETURN, "return (product(p.W, c), p.U), (g,)", "step: state.c must be a number, got"),
        (RETURN, "return (0, dprev_c), (dg,), (dm, dW)", r"step_backward: dp.U must be outer\(d, v\), .* got one"),
        (RETURN, "return (0, dprev_c), (dg,), (0, dW)", r"step_backward: dp.U must be outer\(d, v\), .* got 0"),
        (RETURN, "return (0, dU), (dg,), (dU, dW)", r"step_backward: dprev.c must be a number, got outer\(d, v\)"),
        (RETURN, "return (0, dprev_c), (dg,), (dU,)", "step_backward: dp must hold 2 numbers, U, W, got 1; W is"),
        (DU, "dU = 2 * outer(dm, prev.c)", r"step_backward: outer\(d, v\) is only returned"),
        (DU, "dU = outer(dm, 0)", "step_backward: outer takes a number of one unit"),
    ],
)
def test_what_is_returned(said, old, new, message):
    where, text = said(old, new)
    assert where == new
    assert re.match(message, text), text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (STEP_RETURN, "return (2 * product(p.W, c), c), (g,)", r"step: h must be product\(p.W, v\) its"),
        (STEP_RETURN, "return (product(p.U, c), product(p.W, c)), (g,)", r"step: h must be product\(p.W, v\) its"),
        ("c = g + prev.c / 2", "c = g + prev.c / 2 + product(p.W, g)", "step: p.W makes h, and stands in no other"),
        ("c = g + prev.c / 2", "c = g + prev.h / 2", "step: prev.h of a projected cell has proj_size numbers"),
        (DC, "dc = dstate.c + dstate.h", "step_backward: dstate.h of a proj"),
        (
            DC, "dc = dstate.c + product_transposed(p.U, dstate.h)",
            "step_backward: dstate.h of a projected cell stands in",
        ),
        ("dm = dg - mean(dg)", "dm = dg - product_transposed(p.W, dg)", "step_backward: p.W stands in prod"),
        ("dm = dg - mean(dg)", "dm = dg - mean(state.h)", "step_backward: state.h of a projected cell has"),
        (RETURN, "return (0, dprev_c), (dg,), (outer(dstate.h, dm), dW)", "step_backward: dstate.h .*; not in dp.U.d"),
        (RETURN, "return (0, dprev_c), (dg,), (dU, outer(dm, dc))", r"step_backward: dp.W must be outer\(dst"),
        (RETURN, "return (dc, dprev_c), (dg,), (dU, dW)", "step_backward: dprev.h of a projected cell must be 0"),
    ],
)
def test_what_a_projection_mixes(said, old, new, message):
    where, text = said(old, new)
    assert where == new or old == RETURN  # an output is named by the line on which it is made
    assert re.match(message, text), text


def test_h_is_read_by_nothing_else(said):
    old = "    c = g + prev.c / 2\n    return (product(p.W, c), c), (g,)"
    where, text = said(old, "    c = g + prev.c / 2\n    h = product(p.W, c)\n    return (h, h), (g,)")
    assert where == "h = product(p.W, c)"
    assert re.match(r"step: h of a projected cell, product\(p.W, v\), is returned, and read by nothing else", text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('matrices=("U", "W")', 'matrices=("U", "U")', "define: matrix 'U' is named twice in matrices"),
        ('matrices=("U", "W")', 'matrices=("U", "h0")', "define: a matrix can't be called 'h0', as the initial state"),
        ('matrices=("U", "W")', 'matrices=("U", "W"), parameters=("U",)', "define: 'U' is a parameter and a matrix"),
        ('projection="W"', 'projection="V"', "define: projection must name one of the matrices, U, W, got 'V'"),
        ('projection="W"', 'projection="W", heads=1', "define: heads must be True or False, got 1"),
        ('projection="W"', 'projection="W", bias=None', "define: bias must be True or False, got None"),
        ('projection="W"', 'projection="W", heads=True, from_h=()', "define: heads must be False with from_h="),
        ('projection="W"', 'projection="W", bias=False, initial={"bias_ih": 0}', "define: initial must be of"),
    ],
)
def test_what_define_is_given(said, old, new, message):
    _, text = said(old, new)
    assert re.match(message, text), text


def test_a_matrix_that_nothing_reads(said):
    where, text = said("m = product(p.U, prev.c)", "m = prev.c")
    assert where.startswith("def step(")
    assert re.match("step: matrix 'U' is read by nothing that it returns; take it out", text)


def test_a_wrong_gradient_names_its_line(tmp_path):
    """The gradient of a matrix is wrong on the line of the factor that is wrong."""
    for old, new, name, line in (
        (DU, "dU = outer(-dm, prev.c)", "dp.U", "dU = outer(-dm, prev.c)"),
        (DU, "dU = outer(dm, prev.c * 2)", "dp.U", "dU = outer(dm, prev.c * 2)"),
        (DU, "dU = outer(dg, prev.c)", "dp.U", "dU = outer(dg, prev.c)"),
        ("dm = dg - mean(dg)", "dm = dg + mean(dg)", "dp.U", "dm = dg + mean(dg)"),
    ):
        path = tmp_path / "rows.py"
        path.write_text(FILE.replace(old, new), encoding="utf-8")
        [kind] = cells_in(str(path))
        report = check_step(kind)
        assert not report
        one = next(wrong for wrong in report.wrong if wrong.name == name)
        text = path.read_text(encoding="utf-8").splitlines()
        assert line in [text[number - 1].strip() for number in one.lines], str(report)


def test_swapped_factors_of_an_outer_product_are_said_to_be_so(tmp_path):
    path = tmp_path / "rows.py"
    path.write_text(FILE.replace(DU, "dU = outer(prev.c, dm)"), encoding="utf-8")
    [kind] = cells_in(str(path))
    report = check_step(kind)
    assert [one.name for one in report.wrong] == ["dp.U"]
    rows = [row for row in report.report.rows if row.name == "p.U" and row.wrong is not None]
    assert {(row.upstream, row.wrong.transposed) for row in rows} == {("h", True), ("c", True)}
    line = 1 + FILE.splitlines().index(f"    {DU}")
    assert f"rows.py:{line}: dp.U is wrong: dU = outer(prev.c, dm)\n" in str(report)
    says = "claimed is the transpose of the reference: the factors of its outer product are swapped"
    assert f"  ∂h/∂p.U: {says}\n  ∂c/∂p.U: {says}\n" in str(report)
    layer = kind(2, 4, proj_size=3, dtype="float64", backend="numpy", seed=0)
    whole = gradcheck(layer, np.random.default_rng(0).standard_normal((3, 2, 2)))
    assert says in str(whole)


def test_operators_on_arrays():
    v, W = np.arange(6.0).reshape(2, 3), np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(mean(v), [[1, 1, 1], [4, 4, 4]])
    np.testing.assert_array_equal(product(W, v), v @ W.T)
    pair = outer(v, 2 * v)
    np.testing.assert_array_equal(pair.v, 2 * pair.d)
    with pytest.raises(TypeError, match=r"outer\(d, v\) is only returned, in dp"):
        pair * 2
    with pytest.raises(TypeError, match="outer takes two numbers of one unit, got int"):
        outer(v, 1)
