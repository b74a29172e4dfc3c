"""The two sides of a case: our layer and torch's, with the same parameters and the same input."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import rnn_core

from .cases import Case

AGREEMENT = {"float32": 2e-4, "float64": 1e-10}
"""Largest difference, relative to the largest element, that passes as rounding."""


class Side(NamedTuple):
    """One of the two: what is timed, and what it computed."""

    call: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]]


def layer_of(case: Case, backend: str) -> Any:
    """Return our layer; torch's is given the same parameters."""
    return getattr(rnn_core, case.cell)(case.I, case.H, backend=backend, dtype=np.dtype(case.dtype), seed=0)


def module_of(torch: Any, case: Case) -> Any:
    """Return torch's layer."""
    module = getattr(torch.nn, case.cell)(case.I, case.H, dtype=getattr(torch, case.dtype))
    state = layer_of(case, "numpy").state_dict()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return module


def ours(case: Case, backend: str) -> Side:
    """Return our side of a case."""
    layer, x, lengths = layer_of(case, backend), case.input(), case.lengths()
    if case.task == "inference":
        return Side(lambda: layer(x, lengths=lengths), lambda: {"y": layer(x, lengths=lengths)[0]})
    needs = frozenset(layer.parameters)
    dy = np.ones((case.T, case.B, case.H), x.dtype)

    # An optimizer changes the weights after every step, and our kernels must then pack them anew; torch keeps nothing.
    firsts = [(array.reshape(-1), array.flat[0], np.nextafter(array.flat[0], 1)) for array in layer.parameters.values()]
    turn = itertools.cycle((2, 1))

    def step() -> tuple[np.ndarray, dict[str, np.ndarray]]:
        which = next(turn)
        for first in firsts:
            first[0][0] = first[which]
        y, _, tape = layer.forward(x, lengths=lengths)
        _, _, gradients = layer.backward(tape, dy, needs=needs)
        return y, gradients

    def results() -> dict[str, np.ndarray]:
        y, gradients = step()
        return {"y": y, **gradients}

    return Side(step, results)


def theirs(torch: Any, case: Case) -> Side:
    """Return torch's side: ``torch.nn``, in evaluation mode without gradients for inference; packed where ragged."""
    module, x, lengths = module_of(torch, case), torch.from_numpy(case.input()), case.lengths()
    packing = torch.nn.utils.rnn

    def forward() -> Any:
        if lengths is None:
            return module(x)[0]
        packed = packing.pack_padded_sequence(x, torch.from_numpy(lengths), enforce_sorted=False)
        return packing.pad_packed_sequence(module(packed)[0], total_length=case.T)[0]

    if case.task == "inference":
        module.eval()

        def infer() -> Any:
            with torch.inference_mode():
                return forward()

        return Side(infer, lambda: {"y": infer().numpy()})
    dy = torch.ones(case.T, case.B, case.H, dtype=x.dtype)

    def step() -> Any:
        module.zero_grad(set_to_none=True)
        y = forward()
        y.backward(dy)
        return y

    def results() -> dict[str, np.ndarray]:
        y = step()
        gradients = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
        return {"y": y.detach().numpy(), **gradients}

    return Side(step, results)


def disagreement(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Return the largest difference between two sides' arrays, relative to the largest element of each."""
    # Not Python's max, which passes over a NaN.
    return float(np.max([abs(a[name] - b[name]).max() / max(abs(b[name]).max(), 1e-30) for name in b]))
