"""What the program of a user's cell shows to depend on nothing, whatever the numbers are."""

from __future__ import annotations

from kernels.definition import Definition, Program, Value

from ...layers.stack import Recurrent


def apart(layer: Recurrent) -> frozenset[str]:
    """Return the outputs of a layer that its cell's `step` makes of nothing, and the first states that nothing reads.

    Of a layer whose cell nobody defined, there are none. With zoneout a state hangs on what it was.
    """
    its = layer._its_cell
    if not isinstance(its, Definition):
        return frozenset()
    none = constant_states(its)
    read = set().union(*(values_behind(its.step, f"state.{s}") for s in its.states))
    found = {f"{s}_T" for s in none} | {"y" if s == "h" else s for s in none}
    for s in its.states[1:]:  # h is read by W_h as well
        if its.step.inputs.index(f"prev.{s}") not in read:
            found.add(f"{s}0")
    return frozenset(found)


def constant_states(its: Definition) -> frozenset[str]:
    """Return the states that are plain numbers after every step."""
    after = dict(zip(its.step.output_names, its.step.outputs, strict=True))
    return frozenset(s for s in its.states if not isinstance(after[f"state.{s}"], Value))


def values_behind(program: Program, name: str) -> set[int]:
    """Return the values that an output depends on, by their numbers: inputs, then operations."""
    output, count = program.outputs[program.output_names.index(name)], len(program.inputs)
    found: set[int] = set()
    todo = [output.number] if isinstance(output, Value) else []
    while todo:
        if (k := todo.pop()) not in found:
            found.add(k)
            operands = program.operations[k - count].operands if k >= count else ()
            todo += [operand.number for operand in operands if isinstance(operand, Value)]
    return found
