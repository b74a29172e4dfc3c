"""What a cell of the CPU backend is given: what doesn't fit is refused, and never read past its end."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import cpu
from kernels.contract import Parameters
from tests.kernels.cpu.definitions import ALONE, LSTM, THREE, drawn, run

T, B, I, H = 6, 5, 3, 17


def longer(array):
    return array.astype(np.float64)


def first(array):
    return array[:1]


def last(array):
    return array[..., -1]


def replaced(call, group, k, change):
    """Return a call with one array of a group changed, or with the whole of `group` where k is None."""
    params = call.params
    if group in params._fields and k is None:
        return call._replace(params=params._replace(**{group: change(getattr(params, group))}))
    if k is None:
        return call._replace(**{group: change(getattr(call, group))})
    arrays = params.extra if group == "extra" else getattr(call, group)
    arrays = tuple(change(one) if j == k else one for j, one in enumerate(arrays))
    return call._replace(params=params._replace(extra=arrays)) if group == "extra" else call._replace(**{group: arrays})


PLACES = (
    ("bias_ih", None, "bias_ih", f"(rows,) = ({5 * H},)"),
    ("bias_hh", None, "bias_hh", f"(rows,) = ({4 * H},)"),
    ("extra", 0, "w of extra", f"(H,) = ({H},)"),
    ("extra", 2, "k of extra", f"(H,) = ({H},)"),
    ("state0", 0, "h of state0", f"(B, H) = ({B}, {H})"),
    ("state0", 2, "n of state0", f"(B, H) = ({B}, {H})"),
    ("streams", 0, "m of streams", f"(T, B, H) = ({T}, {B}, {H})"),
    ("dy", None, "dy", f"(T, B, H) = ({T}, {B}, {H})"),
    ("dstate_T", 1, "c of dstate_T", f"(B, H) = ({B}, {H})"),
    ("dstates", 2, "n of dstates", f"(T, B, H) = ({T}, {B}, {H})"),
)


@pytest.mark.parametrize(("group", "k", "name", "shape"), PLACES, ids=[place[2] for place in PLACES])
def test_a_defined_cell_refuses_what_does_not_fit(group, k, name, shape):
    """float64 beside float32; one row where there are more; no units. None of them is broadcast, cast or read on."""
    call, cell = drawn(THREE, "float32", T, B, I, H), cpu.defined_cell(THREE)
    with pytest.raises(TypeError) as raised:
        run(cell, replaced(call, group, k, longer))
    assert str(raised.value) == f"cpu.three: {name} must be float32, as x and the weights are, got float64"
    for change in (first, last):
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message is compared
            run(cell, replaced(call, group, k, change))
        assert str(raised.value).startswith(f"cpu.three: {name} must have shape {shape}, got (")


@pytest.mark.parametrize("group", ["state0", "streams", "dstate_T", "dstates", "extra"])
def test_a_defined_cell_wants_an_array_for_each_name(group):
    call, cell = drawn(THREE, "float32", T, B, I, H), cpu.defined_cell(THREE)
    less = call._replace(params=call.params._replace(extra=call.params.extra[1:]))
    if group != "extra":
        less = call._replace(**{group: getattr(call, group)[1:]})
    with pytest.raises(ValueError, match=rf"cpu\.three: there must be [13] {group} \(.*\), got [02]"):
        run(cell, less)


def test_weights_that_do_not_fit():
    for definition, name in ((THREE, "weight_ih"), (THREE, "weight_hh"), (ALONE, "weight_ih")):
        call = drawn(definition, "float32", T, B, I, H)
        with pytest.raises(ValueError, match=rf"cpu\.{definition.name}: {name} must have shape \(rows, [IH]\) = "):
            run(cpu.defined_cell(definition), replaced(call, name, None, lambda W: np.repeat(W, 2, axis=1)))
    call = drawn(THREE, "float32", T, B, I, H)
    with pytest.raises(ValueError, match="weight_hh must be given, for its 4 sums of the state, got None"):
        run(cpu.defined_cell(THREE), replaced(call, "weight_hh", None, lambda W: None))


def test_a_built_in_cell_refuses_the_same():
    call, cell = drawn(LSTM, "float32", T, B, I, H), cpu.cell("lstm")
    params, needs = Parameters(*call.params[:4]), frozenset({"x"})
    with pytest.raises(TypeError, match=r"cpu\.lstm: bias_ih must be float32, as x and the weights are, got float64"):
        cell.infer(params._replace(bias_ih=longer(params.bias_ih)), call.x, call.state0)
    with pytest.raises(ValueError, match=r"cpu\.lstm: c of state0 must have shape \(B, H\) = \(5, 17\), got \(1, 17\)"):
        cell.infer(params, call.x, (call.state0[0], call.state0[1][:1]))
    *_, tape = cell.forward(params, call.x, call.state0)
    with pytest.raises(TypeError, match=r"cpu\.lstm: dy must be float32, as x and the weights are, got float64"):
        cell.backward(params, tape, longer(call.dy), call.dstate_T, needs)
    with pytest.raises(ValueError, match=r"cpu\.lstm: dy must have shape \(T, B, H\) = \(6, 5, 17\), got \(1, 5, 17\)"):
        cell.backward(params, tape, call.dy[:1], call.dstate_T, needs)
