"""Programs as a cell's functions become them, of operations whose operands go by their numbers."""

from kernels.definition import Operation, Program, Value


def program(inputs, operations, outputs):
    """Return a program of some operations, (name, numbers of what it takes) each."""
    made = tuple(Operation(name, tuple(map(Value, of)), 0) for name, of in operations)
    names = tuple(f"out.{k}" for k in range(len(outputs)))
    return Program(tuple(inputs), made, tuple(map(Value, outputs)), names, (0,) * len(outputs))
