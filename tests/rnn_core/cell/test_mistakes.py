"""A file with a mistake gets one line, which names the line of the file."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from rnn_core.cell import CellError, define, where_less
from rnn_core.cli import main
from rnn_core.commands.cells import cells_in

FILE = """\
import math
from typing import NamedTuple

import numpy as np

from rnn_core.cell import Number, define, exp, sigmoid, tanh, where_less


class Gates(NamedTuple):
    i: Number
    f: Number


class States(NamedTuple):
    h: Number
    c: Number


class Kept(NamedTuple):
    i: Number
    f: Number


class Vectors(NamedTuple):
    w: Number


def step(a, prev, p):
    i = sigmoid(a.i + p.w)
    f = tanh(a.f)
    c = i * prev.c + f
    return States(h=tanh(c), c=c), Kept(i, f)


def step_backward(kept, prev, state, dstate, p):
    i, f = kept
    dc = dstate.c + dstate.h * (1 - state.h**2)
    da_i = dc * prev.c * i * (1 - i)
    return States(h=0, c=dc * i), Gates(da_i, dc * (1 - f**2)), Vectors(da_i)


NAMES = dict(gates=Gates, states=States, kept=Kept, parameters=Vectors)
Made = define("Mistaken", step, step_backward, **NAMES)
"""


@pytest.fixture
def said(tmp_path):
    """Return a function that changes the file, and returns the line that is named and what is said."""

    def run(old: str, new: str, count: int = 1):
        assert old in FILE
        path = tmp_path / "mine.py"
        path.write_text(FILE.replace(old, new, count), encoding="utf-8")
        with pytest.raises(CellError) as caught:
            cells_in(str(path))
        message = str(caught.value)
        assert "\n" not in message
        found = re.match(r"mine\.py:(\d+): (.*)", message)
        assert found, message
        return path.read_text(encoding="utf-8").splitlines()[int(found[1]) - 1].strip(), found[2]

    return run


def test_the_file_as_it_is(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE, encoding="utf-8")
    [kind] = cells_in(str(path))
    assert kind.__name__ == "Mistaken"


I = "    i = sigmoid(a.i + p.w)\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("i = np.exp(a.i + p.w)", "step: np.exp is no operator of a cell.*take exp of rnn_core.cell"),
        ("i = np.arctan(a.i)", "step: np.arctan is no operator of a cell.*; there are \\+"),
        ("i = np.where(a.i, a.f, p.w)", "step: np.where is no operator of a cell.*write where_less"),
        ("i = np.square(a.i)", "step: np.square is no operator.*write a \\* a"),
        ("i = np.array([a.i, p.w]).sum()", "step: arrays want a number's value"),
        ("i = math.exp(a.i)", "step: float.. and the functions of math want a number's value.*exp"),
        ("i = float(a.i)", "step: float.. and the functions of math"),
        ("i = int(a.i)", "step: int.. want"),
        ("i = round(a.i)", "step: round.. want"),
        ("i = range(a.i)", "step: range.. and indexes want"),
        ("i = a.i if a.i else a.f", "step: `if`, `and`, `or`, `not` and `while` need a number's value.*where_less"),
        ("i = a.i and a.f", "step: `if`, `and`"),
        ("i = a.i if a.i < 0 else a.f", "step: comparisons, max and min need"),
        ("i = max(a.i, a.f)", "step: comparisons, max and min need"),
        ("i = where_less(0, 1, a.i == a.f, 1)", "step: comparisons and `in` need"),
        ("i = abs(a.i)", r"step: abs is no operator of a cell; write maximum\(a, -a\)"),
        ("i = a.i ** 0.5", r"step: of powers there is \*\* 2 alone, got \*\* 0.5; write sqrt\(a\)"),
        ("i = a.i ** 3", r"step: of powers .* got \*\* 3; write a \* a \* a"),
        ("i = a.i ** a.f", r"step: of powers .* got \*\* a number; write exp"),
        ("i = 2 ** a.f", r"step: of powers there is a \*\* 2 alone, got 2 \*\* a"),
        ("i = a.i % 2", "step: there is no such operator of a cell"),
        ("i = a.i @ a.f", "step: there is no such operator of a cell"),
        ("i = a.i[0]", "step: a number is of one unit, and has no parts"),
        ("i = sum(a.i)", "step: a number is of one unit"),
        ("i = len(a.i)", "step: a number is of one unit"),
        ("i = a.i.T", "step: a number has no attribute 'T'"),
        ("i = a.i(p.w)", "step: a number can't be called"),
        ("i = a.i * math.nan", "step: a constant must be finite, got nan"),
        ("i = a.i + sigmoid(1) * float('inf')", "step: a constant must be finite, got inf"),
        ("i = a.i / 0", "step: a number can't be divided by 0"),
        ("i = a.i / 0.0", "step: a number can't be divided by 0"),
        ("i = a.q", "step: a has no gate 'q'; it has i, f"),
        ("i = prev.n", "step: prev has no state 'n'; it has h, c"),
        ("i = p.v", "step: p has no parameter 'v'; it has w"),
        ("i = a.i * 'x'", "step: an operator takes numbers of one unit, got 'x'"),
        ("i = a.i * np.ones(3)", r"step: an operator takes .*, got ndarray of shape \(3,\); what differs"),
        ("i = np.ones(3) * a.i", "step: an operator takes numbers of one unit, got ndarray"),
        ("i = a.i * a", "step: an operator takes numbers of one unit, got Gates of i, f; take one of them by its name"),
        ("i = sigmoid(a)", "step: TypeError: sigmoid takes numbers of one unit, got Gates of i, f"),
        ("i = sigmoid('x')", "step: TypeError: sigmoid takes numbers of one unit, got str"),
        ("i = undefined(a.i)", "step: NameError: name 'undefined' is not defined"),
        ("i = exp(a.i, a.f)", "step: TypeError: exp.. takes 1 positional"),
        ("return States(a.i), Kept(a.i, a.i)", "step: States must be given h, c; c is missing"),
        ("return Kept(a.i), 0", "step: Kept must be given i, f; f is missing"),
        ("return Kept(a.i, a.f, a.i), 0", "step: Kept must be given i, f; takes 3 positional"),
    ],
)
def test_what_a_step_does(said, line, message):
    named, found = said(I, f"    {line}\n")
    assert named == line
    assert re.match(message, found), found


RETURN = "    return States(h=tanh(c), c=c), Kept(i, f)\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return (c,), Kept(i, f)", "step: state must hold 2 numbers, h, c, got 1; c is missing"),
        ("return (c, c, c), Kept(i, f)", "step: state must hold 2 numbers, h, c, got 3"),
        ("return States(c, c), (i,)", "step: kept must hold 2 numbers, i, f, got 1; f is missing"),
        ("return States(c, c)", "step: state must be a States of h, c, got one number"),
        ("return c", r"step: it must return \(state, kept\), got one number"),
        ("return States(c, c), Kept(i, f), c", r"step: it must return \(state, kept\), got 3 of them"),
        ("return Kept(i, f), States(c, c)", "step: state must be a States of h, c, got Kept of i, f"),
        ("return States('x', c), Kept(i, f)", "step: state.h must be a number, got 'x'"),
        ("return States(a, c), Kept(i, f)", "step: state.h must be a number, got a Gates"),
        ("return States(math.nan, c), Kept(i, f)", "step: state.h must be finite, got nan"),
        ("return States(h=None, c=c), Kept(i, f)", "step: state.h must be a number, got nothing"),
    ],
)
def test_what_a_step_returns(said, line, message):
    named, found = said(RETURN, f"    {line}\n")
    assert named == line
    assert re.match(message, found), found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return States(h=0, c=dc * i), Gates(da_i, dc)", r"step_backward: it must return \(dprev, da, dp\), got 2 of"),
        ("return States(0, dc), Gates(da_i, dc), Kept(i, f)", "step_backward: dp must be a Vectors of w, got Kept of"),
        ("return Gates(da_i, dc), States(0, dc), Vectors(dc)", "step_backward: dprev must be a States"),
        ("return States(0, dc), (dc,), Vectors(dc)", "step_backward: da must hold 2 numbers, i, f, got 1; f is"),
    ],
)
def test_what_a_step_backward_returns(said, line, message):
    named, found = said(
        "    return States(h=0, c=dc * i), Gates(da_i, dc * (1 - f**2)), Vectors(da_i)\n", f"    {line}\n"
    )
    assert named == line
    assert re.match(message, found), found


def test_the_functions_own_line_without_a_return(said):
    named, found = said(RETURN, "    States(h=tanh(c), c=c)\n")
    assert named == "def step(a, prev, p):"
    assert found.startswith("step: it must return (state, kept), got nothing")


def test_a_gate_named_twice_in_a_class(said):
    named, found = said("    f: Number\n\n\nclass States", "    f: Number\n    i: Number  # again\n\n\nclass States")
    assert named == "i: Number  # again"
    assert found.startswith("Gates: gate 'i' is named twice")


def test_a_number_of_the_other_function(said):
    named, found = said(
        "    return States(h=tanh(c), c=c), Kept(i, f)\n\n\n"
        "def step_backward(kept, prev, state, dstate, p):\n    i, f = kept\n",
        "    step.left = i\n    return States(h=tanh(c), c=c), Kept(i, f)\n\n\n"
        "def step_backward(kept, prev, state, dstate, p):\n    i, f = kept\n    f = f * step.left\n",
    )
    assert named == "f = f * step.left"
    assert found.startswith("step_backward: a number of step can't be used here: hand it over in `kept`")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("gates=('i', 'f', 'i')", "define: gate 'i' is named twice in gates"),
        ("gates='if'", "define: gates must be a NamedTuple class or a tuple of names, got 'if'"),
        ("gates=()", "define: gates must name at least one sum, got none"),
        ("gates=('i', 'for')", "define: gates must hold names as Python's variables have, got 'for'"),
        ("states=('c', 'h')", "define: the first state must be 'h', .* got 'c'"),
        ("states=()", "define: the first state must be 'h', .* got none"),
        ("parameters=('weight_ih',)", "define: a parameter can't be called 'weight_ih', as a weight or bias is"),
        ("parameters=('x',)", "define: a parameter can't be called 'x', as the input is"),
        ("parameters=('h0',)", "define: a parameter can't be called 'h0', as the initial state of 'h' is"),
        ("from_x=('i', 'q')", "define: from_x must hold gates, i, f, got 'q'"),
        ("from_x='i'", "define: from_x must be a NamedTuple class or a tuple of names, got 'i'"),
        ("from_x=()", "define: from_x must hold a gate, or the cell would not read its input"),
        ("from_x=('i',), from_h=('i',)", "define: gate 'f' must be in from_x or from_h, or nothing would add to it"),
        ("initial={'v': 1.0}", "define: initial must be of parameters, weight_ih, .*, w, got 'v'"),
        ("initial={'w': 'x'}", "define: initial must hold a number or a function"),
        ("options=('e',)", "define: options must have a number by default.* got none for 'e'"),
        ("options=NamedTuple('O', [('e', float)])", "define: options must have a number by default"),
    ],
)
def test_what_define_is_given(said, names, message):
    named, found = said(", **NAMES)", f", **(NAMES | dict({names})))")
    assert named.startswith("Made = define(")
    assert re.match(message, found), found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("seed: float = 0.0", "define: an option can't be called 'seed', which every layer takes"),
        ("w: float = 0.0", "define: 'w' is a parameter and an option"),
        ("c0: float = 0.0", "define: an option can't be called 'c0'"),
        ("e: float = None", "define: options must have a number by default.* got None for 'e'"),
    ],
)
def test_options(said, options, message):
    its = f"class Options(NamedTuple):\n    {options}\n\n\n"
    named, found = said("NAMES = dict(", f"{its}NAMES = dict(options=Options, ")
    assert named.startswith("Made = define(")
    assert re.match(message, found), found


@pytest.mark.parametrize("name", ["lstm", "GRU", "rnn", "Linear", "LanguageModel", "rnn_tanh", "Cell"])
def test_names_that_are_taken(said, name):
    named, found = said('"Mistaken"', f'"{name}"')
    assert named.startswith("Made = define(")
    assert found.startswith(f"define: name must be the cell's own, got '{name}', which rnn_core has")


@pytest.mark.parametrize(("old", "new", "message"), [
    ('"Mistaken"', '"two words"', "define: name must be a name as Python's classes have, got 'two words'"),
    ('"Mistaken"', '"class"', "define: name must be a name as Python's classes have, got 'class'"),
    ('"Mistaken"', "7", "define: name must be a name as Python's classes have, got 7"),
    ("step, step_backward, **", "math.exp, step_backward, **", "define: step must be a function made by def, got <"),
    ("step, step_backward, **", "step, None, **", "define: step_backward must be a function made by def, got None"),
])  # fmt: skip
def test_other_arguments(said, old, new, message):
    named, found = said(old, new)
    assert named.startswith("Made = define(")
    assert found.startswith(message), found


@pytest.mark.parametrize(("old", "new", "message"), [
    ("tanh(a.f)", "prev.h", "step: gate 'f' is read by nothing that it returns; take it out"),
    ("a.i + p.w", "a.i", "step: parameter 'w' is read by nothing that it returns; take it out"),
])  # fmt: skip
def test_what_is_read_by_nothing(said, old, new, message):
    assert said(old, new) == ("def step(a, prev, p):", message)


def test_options_and_streams_that_are_read_by_nothing(said):
    its = "class Options(NamedTuple):\n    e: float = 1.0\n\n\n"
    _, found = said("NAMES = dict(", f"{its}NAMES = dict(options=Options, ")
    assert found == "step: option 'e' is read by nothing that it returns; take it out"
    with pytest.raises(CellError, match="stream 'm' is read by nothing that it returns; take it out"):
        define("Unread", lambda a, prev, m: ((a.a,), ()), lambda kept, prev, state, dstate, m: ((0,), (dstate.h,)),
               gates=("a",), states=("h",), streams=("m",))  # fmt: skip


def test_what_gradients_alone_read_is_no_mistake():
    """The width of a gradient that stands in for that of a jump, for instance."""

    class Options(NamedTuple):
        width: float = 1.0

    def step(a, prev, p):
        return (where_less(0, a.a, 1, 0),), (a.a,)

    def step_backward(kept, prev, state, dstate, p):
        return (0,), (dstate.h / (1 + (p.width * kept.a) ** 2),)

    assert define("Jump", step, step_backward, gates=("a",), states=("h",), kept=("a",), options=Options)


def test_what_a_function_takes(said):
    named, found = said("def step(a, prev, p):", "def step(a, prev):")
    assert named == "def step(a, prev):"
    assert found == "step: it must take (a, prev, p), got (a, prev)"
    _, found = said("def step_backward(kept, prev, state, dstate, p):", "def step_backward(kept, prev, state, dstate):")
    assert found == "step_backward: it must take (kept, prev, state, dstate, p), got (kept, prev, state, dstate)"


def test_one_name_is_of_one_file(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(FILE.replace("Mistaken", "OfOneFile"), encoding="utf-8")
    [first] = cells_in(str(tmp_path / "one.py"))
    with pytest.raises(CellError, match=r"two\.py:43: define: there is a cell 'OfOneFile' already, of one \(one.py\)"):
        cells_in(str(tmp_path / "two.py"))
    [again] = cells_in(str(tmp_path / "one.py"))
    assert again is not first  # a notebook that is run again


def test_a_cell_of_rnn_core_is_one_of_a_file_too(tmp_path):
    """Its own file can be checked, which imports relatively; another file can't have its name."""
    from rnn_core.variants import min_gru

    assert cells_in(min_gru.__file__) == [min_gru.MinGRU]
    path = tmp_path / "mine.py"
    path.write_text(FILE.replace("Mistaken", "MinGRU"), encoding="utf-8")
    with pytest.raises(CellError, match="name must be the cell's own, got 'MinGRU', which rnn_core has"):
        cells_in(str(path))


def test_the_command_says_it_in_one_line(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(FILE.replace(I, "    i = np.exp(a.i)\n"), encoding="utf-8")
    assert main(["gradcheck", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rnn-core gradcheck: error: mine.py:29: step: np.exp is no operator of a cell")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "mine.py must define a cell, got none"),
        ("x = 1\ny = z\n", "mine.py:2: NameError: name 'z' is not defined"),
        ("x = 1\ny = (\n", "mine.py:2: SyntaxError"),
        ("import nothing_of_this_name\n", "mine.py:1: ModuleNotFoundError"),
    ],
)
def test_files_that_define_nothing(tmp_path, capsys, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    assert main(["gradcheck", str(path)]) == 2
    assert message in capsys.readouterr().err
    assert main(["gradcheck", str(tmp_path / "absent.py")]) == 2
    assert "must be there" in capsys.readouterr().err
    assert main(["gradcheck", str(tmp_path / "absent.txt")]) == 2
    assert "by name ….py" in capsys.readouterr().err
