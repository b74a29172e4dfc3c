"""A few tiny calls of each cell, forwards and back, for tools that make everything slow: memory and race checks."""

from __future__ import annotations

import importlib

from rnn_core import backends
from tests.cases import Case
from tests.conformance import check_equations, check_infer

CASES = (Case("small", T=4, B=3, I=8, H=40), Case("small-ragged", T=4, B=3, I=5, H=40, lengths=(2, 4, 1)))


def main() -> None:
    """Run every case of three cells, each array in an allocation of its own, so that its end is guarded."""
    cupy = importlib.import_module("cupy")
    cupy.cuda.set_allocator(None)
    for name in ("rnn_tanh", "lstm", "gru"):
        cell = backends.get("cuda").cell(name)
        for case in CASES:
            problem = case.problem(name, "float32", cupy)
            check_equations(cell, problem)
            check_infer(cell, problem)
    cupy.cuda.runtime.deviceSynchronize()
    print("small: all results are those of the equations")


if __name__ == "__main__":
    main()
