"""The sides of a case: a variant, the plain cell of the same shape, and torch's loop with the variant's parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import rnn_core
from rnn_core import variants

PLAIN = {
    "PeepholeLSTM": "LSTM", "CoupledLSTM": "LSTM", "SLSTM": "LSTM", "MinLSTM": "LSTM",
    "MinGRU": "GRU", "MinimalGatedUnit": "GRU",
    "LeakyRNN": "RNN", "IndRNN": "RNN",
    "ProjectedLSTM": "LSTM", "LayerNormLSTM": "LSTM",
    "LayerNormGRU": "GRU", "ResetBeforeGRU": "GRU", "GateBeforeMGU": "GRU",
}  # fmt: skip
"""The cell that each variant is a variant of."""

HALF = {"ProjectedLSTM": "proj_size"}
"""What is half of H in a case, and H in the plain cell."""


class Case(NamedTuple):
    """A layer's training step: T steps of B rows, H inputs and H units, float32, a loss at every step."""

    cell: str
    B: int
    H: int
    T: int = 64

    def __str__(self) -> str:
        return f"{self.cell} B={self.B} H={self.H}"

    def arrays(self, *, plain: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return an input and an upstream gradient."""
        rng = np.random.default_rng(0)
        x, dy = (rng.standard_normal((self.T, self.B, self.H), np.float32) for _ in range(2))
        return x, dy[..., : self.H // 2].copy() if self.cell in HALF and not plain else dy

    def layer(self, *, plain: bool = False) -> Any:
        """Return the variant's layer, or the plain cell's."""
        kind = getattr(rnn_core, PLAIN[self.cell]) if plain else getattr(variants, self.cell)
        half = {} if plain or self.cell not in HALF else {HALF[self.cell]: self.H // 2}
        return kind(self.H, self.H, backend="cpu", dtype="float32", seed=0, **half)


Results = dict[str, np.ndarray]


class Side(NamedTuple):
    """What is timed, and what it computes."""

    call: Callable[[], object]
    results: Callable[[], Results]


def cases(quick: bool) -> Iterator[Case]:
    """Yield every variant in every shape, or in the smallest."""
    for cell, H, B in itertools.product(PLAIN, (64,) if quick else (64, 256), (1,) if quick else (1, 8, 32)):
        yield Case(cell, B, H)


def ours(case: Case, *, plain: bool = False) -> Side:
    """Return a training step of the variant or of the plain cell, with weights that have changed since the last one."""
    layer, (x, dy) = case.layer(plain=plain), case.arrays(plain=plain)
    needs = frozenset(layer.parameters)
    firsts = [(array.reshape(-1), array.flat[0], np.nextafter(array.flat[0], 1)) for array in layer.parameters.values()]
    turn = itertools.cycle((2, 1))

    def step() -> tuple[np.ndarray, Results]:
        which = next(turn)
        for first in firsts:
            first[0][0] = first[which]
        y, _, tape = layer.forward(x)
        return y, layer.backward(tape, dy, needs=needs)[2]

    def results() -> Results:
        y, gradients = step()
        return {"y": y, **gradients}

    return Side(step, results)


def theirs(torch: Any, case: Case, how: Callable[[Any], Any]) -> Side:
    """Return torch's loop; `how` is what becomes of its function, such as torch.jit.script."""
    from .loops import LOOPS

    x, dy = map(torch.from_numpy, case.arrays())
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in case.layer().parameters.items()}
    usual = [f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    arguments = [parameters[name] for name in usual if name in parameters]
    loop, others = how(LOOPS[case.cell]), [array for name, array in parameters.items() if name not in usual]

    def step() -> Any:
        for parameter in parameters.values():
            parameter.grad = None
        y = loop(x, *arguments, others)
        y.backward(dy)
        return y

    def results() -> Results:
        y = step()
        return {"y": y.detach().numpy(), **{name: array.grad.numpy() for name, array in parameters.items()}}

    return Side(step, results)
