"""A cell whose h is projected: h_t is a matrix times a vector, and has a size of its own.

What has P numbers, h and its gradient, stands beside nothing that has H: it may be made by that matrix, read by W_h,
and taken back by that matrix. This is looked for in the programs, so that each error names its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from kernels.definition import Definition, Operation, Program, Value

from ..foreign import shown
from .mistakes import Place, mistake
from .writing import Written


def projected(place: Place, name: Any, matrices: tuple[str, ...]) -> str:
    """Return the matrix that makes h, "" for none."""
    if name is not None and name not in matrices:
        there = ", ".join(matrices) or "none"
        message = f"projection must name one of the matrices, {there}, got {shown(name)}"
        raise mistake(place, "define", message, quoted=False)
    return name or ""


def check_projection(definition: Definition, step: Written, step_backward: Written) -> None:
    """Raise an error of the line where a cell, if it is projected, mixes what has P numbers with what has H.

    Raises
    ------
    CellError
        h is not the matrix times a vector, or something else reads h, its gradient or the matrix.
    """
    if not definition.projection:
        return
    W = f"p.{definition.projection}"
    _check_step(definition.step, step, W)
    _check_step_backward(definition.step_backward, step_backward, W)


def _check_step(program: Program, written: Written, W: str) -> None:
    matrix, at = Value(program.inputs.index(W)), program.output_names.index("state.h")
    h, made = program.outputs[at], _made_by(program, program.outputs[at])
    if made is None or made.name != "product" or made.operands[0] != matrix:
        message = f"h must be product({W}, v) itself, as it has proj_size numbers, and all else hidden_size"
        _refuse(written, program.lines[at], message)
    for name, line in _reads(program, h):
        if name != "state.h":
            _refuse(written, line, f"h of a projected cell, product({W}, v), is returned, and read by nothing else")
    for operation in program.operations:
        if matrix in operation.operands and operation is not made:
            message = f"{W} makes h, and stands in no other product, as it is (proj_size, hidden_size)"
            _refuse(written, operation.line, message)
    for _, line in _reads(program, Value(program.inputs.index("prev.h"))):
        _refuse(written, line, "prev.h of a projected cell has proj_size numbers, and only W_h reads it")


def _check_step_backward(program: Program, written: Written, W: str) -> None:
    matrix, dh = Value(program.inputs.index(W)), Value(program.inputs.index("dstate.h"))
    for h in ("prev.h", "state.h"):
        for _, line in _reads(program, Value(program.inputs.index(h))):
            _refuse(written, line, f"{h} of a projected cell has proj_size numbers; hand over in `kept` what is wanted")
    ways = f"stands in product_transposed({W}, dstate.h) and outer(dstate.h, v) alone"
    for operation in program.operations:
        if operation[:2] == ("product_transposed", (matrix, dh)):
            continue
        if dh in operation.operands:
            _refuse(written, operation.line, f"dstate.h of a projected cell {ways}, as it has proj_size numbers")
        if matrix in operation.operands:
            _refuse(written, operation.line, f"{W} {ways}, as it is (proj_size, hidden_size)")
    for name, output, line in zip(program.output_names, program.outputs, program.lines, strict=True):
        if name == f"d{W}.d" and output != dh:
            _refuse(written, line, f"d{W} must be outer(dstate.h, v), as h is product({W}, v)")
        if name != f"d{W}.d" and output == dh:
            _refuse(written, line, f"dstate.h of a projected cell {ways}, as it has proj_size numbers; not in {name}")
        if name == "dprev.h" and output != 0.0:
            _refuse(written, line, "dprev.h of a projected cell must be 0, as step doesn't read prev.h")


def _made_by(program: Program, output: Value | float) -> Operation | None:
    """Return the operation whose result an output is."""
    made = isinstance(output, Value) and output.number >= len(program.inputs)
    return program.operations[output.number - len(program.inputs)] if made else None  # type: ignore[union-attr]


def _reads(program: Program, value: Any) -> Iterator[tuple[str, int]]:
    """Yield who reads a value, an operation or an output by name, and on which line."""
    for operation in program.operations:
        if value in operation.operands:
            yield operation.name, operation.line
    for name, output, line in zip(program.output_names, program.outputs, program.lines, strict=True):
        if output == value:
            yield name, line


def _refuse(written: Written, line: int, message: str) -> NoReturn:
    function = written.function
    raise mistake(Place(function.__code__.co_filename, line), function.__name__, message)
