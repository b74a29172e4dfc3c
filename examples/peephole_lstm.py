"""A cell in one file: an LSTM whose gates see the cell state through peepholes (Gers & Schmidhuber 2000)."""

#   i_t = σ(a_i + p_i c_{t−1})        a = W_x x_t + b_x + W_h h_{t−1} + b_h
#   f_t = σ(a_f + p_f c_{t−1})
#   g_t = tanh(a_g)
#   c_t = f_t c_{t−1} + i_t g_t
#   o_t = σ(a_o + p_o c_t)            the output gate sees the new state
#   h_t = o_t tanh(c_t)
#
# `python examples/peephole_lstm.py` checks it, trains it a little, times it, runs its CUDA kernels in the simulator and
# assembles them, which wants `pip install 'rnn_core[ptx]'`. `rnn-core gradcheck examples/peephole_lstm.py` checks it in
# more cases, and names the line of a gradient that is wrong.

import os
import subprocess
import sys
import timeit
from typing import NamedTuple

import numpy as np

from rnn_core import SequenceRegressor, gradcheck
from rnn_core.cell import Number, define, sigmoid, tanh
from rnn_core.data import Examples
from rnn_core.training import Adam, fit


class Gates(NamedTuple):
    i: Number
    f: Number
    g: Number
    o: Number


class States(NamedTuple):
    h: Number
    c: Number


class Vector(NamedTuple):
    p_i: Number
    p_f: Number
    p_o: Number


def step(a: Gates, prev: States, p: Vector) -> tuple[States, Gates]:
    i = sigmoid(a.i + p.p_i * prev.c)
    f = sigmoid(a.f + p.p_f * prev.c)
    g = tanh(a.g)
    c = f * prev.c + i * g
    o = sigmoid(a.o + p.p_o * c)
    return States(h=o * tanh(c), c=c), Gates(i, f, g, o)


def step_backward(kept: Gates, prev: States, state: States, dstate: States, p: Vector) -> tuple[States, Gates, Vector]:
    i, f, g, o = kept
    da_o = dstate.h * tanh(state.c) * o * (1 - o)
    dc = dstate.c + dstate.h * o * (1 - tanh(state.c) ** 2) + da_o * p.p_o
    da_i = dc * g * i * (1 - i)
    da_f = dc * prev.c * f * (1 - f)
    dc_prev = dc * f + da_i * p.p_i + da_f * p.p_f
    dp = Vector(p_i=da_i * prev.c, p_f=da_f * prev.c, p_o=da_o * state.c)
    return States(h=0, c=dc_prev), Gates(i=da_i, f=da_f, g=dc * i * (1 - g**2), o=da_o), dp


PeepholeCell = define("PeepholeCell", step, step_backward, gates=Gates, states=States, kept=Gates, parameters=Vector)


def main() -> None:
    x = np.random.default_rng(0).standard_normal((400, 20, 1)).astype(np.float32)
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        on_gpu, by_equations = (PeepholeCell(1, 5, backend=name, seed=0)(x[:3])[0] for name in ("cuda", "numpy"))
        print(f"simulated: at most {abs(on_gpu - by_equations).max():.0e} from the equations")
        return
    report = gradcheck(PeepholeCell(1, 4, bidirectional=True, dtype="float64", seed=0), x[:3, :5].astype("float64"))
    print(f"checked: {report.size} gradients, {report.passed=}, the largest relative error {report.worst.error:.0e}")
    model = SequenceRegressor(1, 16, input_size=1, cell="PeepholeCell", seed=0)
    history = fit(model, Examples(x, x[:, -3:, 0].sum(axis=1)), epochs=20, optimizer=Adam(1e-2), progress=False)
    print(f"trained: a loss of {history[0].loss:.3f}, then {history[-1].loss:.3f}")
    layer = PeepholeCell(1, 256, seed=0)
    timed = min(timeit.repeat(lambda: layer.backward(layer.forward(x[:64])[2], np.ones((64, 20, 256), "f")), number=1))
    print(f"timed: {1e3 * timed:.1f} ms for 64 steps forward and back on the backend {layer.backend!r}")
    subprocess.run([sys.executable, __file__], env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}, check=True)
    from kernels.cuda.assembly import assemble_definition  # wants numba-cuda

    for kernel, found in assemble_definition(PeepholeCell.definition, {("sm_90", "float32"): ((256,), (32,))}):
        print(f"assembled: {kernel.kernel}, {found.registers} registers, {found.spills} bytes spilled")


if __name__ == "__main__":
    main()
