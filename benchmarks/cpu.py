"""The recurrent layers against torch's on the CPU: one process, equal threads, in turn, agreement first."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import rnn_core
from rnn_core import backends

from .cases import Case, cases
from .report import Row, machine, print_table, write_json
from .timing import alternate

AGREEMENT = {"float32": 2e-4, "float64": 1e-10}
"""Largest difference, relative to the largest element, that passes as rounding."""


class Side(NamedTuple):
    """One of the two: what is timed, and what it computed."""

    call: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]]


def run(args: argparse.Namespace) -> int:
    """Time every case and print the table; return 1 if a result differs from torch's."""
    if args.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {args.threads}")
    if args.json and not os.access(args.json.parent, os.W_OK):  # now, and not after all the work
        raise OSError(f"--json must name a file in a folder that can be written to, got {args.json}")
    chosen = [case for case in cases(args.quick) if args.only is None or args.only in case.name]
    if not chosen:
        raise ValueError(f"--only must be part of a case's name, such as 'GRU training', got {args.only!r}")
    torch = require("torch")
    backend = args.backend or backends.default()
    backends.get(backend)
    facts = machine(torch, backend, args.threads)
    if (facts["load"] or 0) > 0.5:
        print(f"benchmarks cpu: this machine is busy (load {facts['load']}): ratios will be off", file=sys.stderr)
    rows: list[Row] = []
    with threads(torch, args.threads):
        for case in chosen:
            mine, peer = ours(case, backend), theirs(torch, case)
            difference = disagreement(mine.results(), peer.results())
            agrees = difference <= AGREEMENT[case.dtype]
            pair = (
                alternate(mine.call, peer.call, pairs=3 if args.quick else 9, block=0.005 if args.quick else 0.03)
                if agrees
                else None  # what is wrong is not worth timing
            )
            rows.append(Row(case, difference, agrees, pair))
            print(rows[-1].line(), flush=True)
    print_table(rows, facts)
    if args.json:
        write_json(args.json, rows, facts)
    return 0 if all(row.agrees for row in rows) else 1


def require(package: str) -> Any:
    """Import a package, or say in one line where it comes from."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RuntimeError(f"{package} must be installed, got {error}; it comes with pip install '.[bench]'") from error


@contextmanager
def threads(torch: Any, count: int) -> Iterator[None]:
    """Give torch and NumPy's BLAS the same number of threads."""
    limits = require("threadpoolctl").threadpool_limits
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def arrays(case: Case) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the input of a case, and its lengths if they are unequal."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((case.T, case.B, case.H)).astype(case.dtype)
    if not case.ragged:
        return x, None
    lengths = rng.integers(max(1, case.T // 5), case.T + 1, case.B)  # 60 % on average
    lengths[0] = case.T
    return x, lengths


def layer_of(case: Case, backend: str) -> Any:
    """Return our layer; torch's is given the same parameters."""
    return getattr(rnn_core, case.cell)(case.H, case.H, backend=backend, dtype=np.dtype(case.dtype), seed=0)


def ours(case: Case, backend: str) -> Side:
    """Return our side of a case."""
    layer = layer_of(case, backend)
    x, lengths = arrays(case)
    if case.task == "inference":
        return Side(lambda: layer(x, lengths=lengths), lambda: {"y": layer(x, lengths=lengths)[0]})
    needs = frozenset(layer.parameters)

    def step() -> tuple[np.ndarray, dict[str, np.ndarray]]:
        y, _, tape = layer.forward(x, lengths=lengths)
        _, _, gradients = layer.backward(tape, np.ones_like(y), needs=needs)
        return y, gradients

    def results() -> dict[str, np.ndarray]:
        y, gradients = step()
        return {"y": y, **gradients}

    return Side(step, results)


def theirs(torch: Any, case: Case) -> Side:
    """Return torch's side: ``torch.nn``, in evaluation mode without gradients for inference; packed where ragged."""
    layer = layer_of(case, "numpy")
    module = getattr(torch.nn, case.cell)(case.H, case.H, dtype=getattr(torch, case.dtype))
    module.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    x, lengths = arrays(case)
    x = torch.from_numpy(x)
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

    def step() -> Any:
        module.zero_grad(set_to_none=True)
        y = forward()
        y.sum().backward()
        return y

    def results() -> dict[str, np.ndarray]:
        y = step()
        gradients = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
        return {"y": y.detach().numpy(), **gradients}

    return Side(step, results)


def disagreement(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Return the largest difference between two sides' arrays, relative to the largest element of each."""
    return max(float(abs(a[name] - b[name]).max() / max(abs(b[name]).max(), 1e-30)) for name in b)
