"""torch (cuDNN) against ours: arrays on the device, one stream, CUDA events, in turn, agreement first.

Each side is called in blocks, one side after the other, and a block's median counts; the ratio is that of the blocks
of one turn, and its median over the turns is reported. Calls go through several sets of inputs, so that no side finds
x in the cache just because it has seen it a moment ago. torch is measured with TF32 off, which is what it is compared
with, and a third time with TF32 allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from statistics import median, quantiles
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import rnn_core
from benchmarks.cases import Case
from benchmarks.sides import AGREEMENT, disagreement
from rnn_core import backends

from .device import Device
from .environment import set_tf32
from .grid import grid

SETS = 4
"""Sets of inputs."""

TURNS, BLOCK, MOST_CALLS = 5, 0.012, 60
"""Turns, the seconds that a block is to last, and the calls it has at most; it has two at least."""

SLOW = 0.02
"""Seconds of a call from which three turns are enough."""

Call = Callable[[int], object]
"""What is timed, given the number of a set."""


class Side(NamedTuple):
    """One of the two: what is timed, and what it computes from the first set."""

    call: Call
    results: Callable[[], dict[str, Any]]


def items(device: Device, quick: bool, only: list[str]) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return every case by name."""
    backends.get(device.backend)
    device.check_stream()
    set_tf32(device.torch, False)
    cases = [Case(**fields) for fields in grid(quick, only)]
    return [(case.name, partial(measure, device, case, quick)) for case in cases]


@lru_cache(maxsize=2)
def sides_of(device: Device, cell: str, H: int, dtype: str) -> tuple[Any, Any]:
    """Return our layer and torch's with the same parameters."""
    torch = device.torch
    layer = getattr(rnn_core, cell)(H, H, backend=device.backend, dtype=np.dtype(dtype), seed=0)
    module = getattr(torch.nn, cell)(H, H, dtype=getattr(torch, dtype)).to(device.place)
    module.load_state_dict({name: torch.from_dlpack(array) for name, array in layer.parameters.items()})
    return layer, module


def inputs(device: Device, case: Case, sets: int) -> tuple[list[Any], list[Any]]:
    """Return sets of x and dy, as torch's tensors."""
    torch = device.torch
    torch.manual_seed(0)

    def draw() -> Any:
        return torch.randn(case.T, case.B, case.H, dtype=getattr(torch, case.dtype), device=device.place)

    return [draw() for _ in range(sets)], [draw() for _ in range(sets)]


def ours(device: Device, case: Case, xs: list[Any], dys: list[Any]) -> Side:
    """Return our side: the layer as a user calls it, on CuPy's views of the same memory."""
    layer, _ = sides_of(device, case.cell, case.H, case.dtype)
    lengths, view = case.lengths(), device.xp.from_dlpack
    x, dy = [view(tensor) for tensor in xs], [view(tensor) for tensor in dys]
    if case.task == "inference":
        return Side(
            lambda k: layer(x[k], lengths=lengths),
            lambda: {"y": layer(x[0], lengths=lengths)[0]},
        )
    needs = frozenset({"x", *layer.parameters})  # what torch computes, which is given no initial state

    def step(k: int) -> tuple[Any, Any, dict[str, Any]]:
        y, _, tape = layer.forward(x[k], lengths=lengths)
        dx, _, gradients = layer.backward(tape, dy[k], needs=needs)
        return y, dx, gradients

    def results() -> dict[str, Any]:
        y, dx, gradients = step(0)
        return {"y": y, "dx": dx, **gradients}

    return Side(step, results)


def theirs(device: Device, case: Case, xs: list[Any], dys: list[Any]) -> Side:
    """Return torch's side: `torch.nn`, without gradients for inference, packed where ragged."""
    torch, view = device.torch, device.xp.from_dlpack
    _, module = sides_of(device, case.cell, case.H, case.dtype)
    module.train(case.task == "training")  # in training mode cuDNN keeps a tape, wanted or not
    packing, lengths = torch.nn.utils.rnn, case.lengths()
    steps = None if lengths is None else torch.from_numpy(lengths)  # packing wants them on the host

    def forward(x: Any) -> Any:
        if steps is None:
            return module(x)[0]
        packed = packing.pack_padded_sequence(x, steps, enforce_sorted=False)
        return packing.pad_packed_sequence(module(packed)[0], total_length=case.T)[0]

    if case.task == "inference":

        def infer(k: int) -> Any:
            with torch.inference_mode():
                return forward(xs[k])

        return Side(infer, lambda: {"y": view(infer(0))})
    leaves = [x.detach().requires_grad_() for x in xs]

    def step(k: int) -> Any:
        module.zero_grad(set_to_none=True)
        leaves[k].grad = None
        y = forward(leaves[k])
        y.backward(dys[k])
        return y

    def results() -> dict[str, Any]:
        y = step(0)
        gradients = {name: view(parameter.grad) for name, parameter in module.named_parameters()}
        return {"y": view(y.detach()), "dx": view(leaves[0].grad), **gradients}

    return Side(step, results)


def measure(device: Device, case: Case, quick: bool) -> dict[str, Any]:
    """Check a case against torch's results, and time both sides if they agree."""
    xs, dys = inputs(device, case, SETS)
    mine, peer = ours(device, case, xs, dys), theirs(device, case, xs, dys)
    row: dict[str, Any] = {**case._asdict(), "path": path(device, case)}
    device.poison()
    start = perf_counter()
    results = mine.results()
    device.synchronize()
    row["first_call"] = perf_counter() - start
    expected = peer.results()
    differences = {name: disagreement({name: results[name]}, {name: expected[name]}) for name in expected}
    worst = max(differences, key=lambda name: np.inf if np.isnan(differences[name]) else differences[name])
    row |= {"difference": differences[worst], "differs_most": worst}
    row["agrees"] = bool(differences[worst] <= AGREEMENT[case.dtype])
    del results, expected
    if row["agrees"]:
        row |= compare(device, case, mine.call, peer.call, quick)
    return row


def compare(device: Device, case: Case, mine: Call, peer: Call, quick: bool) -> dict[str, Any]:
    """Time ours, torch's and, for float32, torch's with TF32, in turn."""
    torch = device.torch
    runs = {"ours": (mine, False), "theirs": (peer, False)}
    if case.dtype == "float32":
        runs["theirs_tf32"] = (peer, True)

    def block(name: str, count: int) -> tuple[float, float]:
        """Return the medians of the device's and the host's seconds of a call."""
        call, tf32 = runs[name]
        set_tf32(torch, tf32)
        try:
            on_device, on_host = device.times([partial(call, k % SETS) for k in range(count)])
        finally:
            set_tf32(torch, False)
        return median(on_device), median(on_host)

    counts, slow = {}, False
    for name in runs:
        block(name, 2)  # libraries choose their kernels in the first calls
        seconds, _ = block(name, 2)
        slow = slow or seconds > SLOW
        counts[name] = min(MOST_CALLS, max(2, round(BLOCK / max(seconds, 1e-9))))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for turn in range(2 if quick else 3 if slow else TURNS):
        for name in list(runs)[:: 1 if turn % 2 == 0 else -1]:  # so that none always follows the same other
            times[name].append(block(name, counts[name]))
    ratios = {
        name: [b[0] / a[0] for a, b in zip(times["ours"], times[name], strict=True)] for name in runs if name != "ours"
    }
    low, _, high = quantiles(ratios["theirs"], n=4, method="inclusive")
    return {
        **{name: median(seconds for seconds, _ in found) for name, found in times.items()},
        **{f"{name}_host": median(seconds for _, seconds in found) for name, found in times.items()},
        "ratio": median(ratios["theirs"]),
        "low": low,
        "high": high,
        "ratio_tf32": median(ratios["theirs_tf32"]) if "theirs_tf32" in ratios else None,
    }


def path(device: Device, case: Case) -> str:
    """Return the backend's own words for how it computes a case, "" if it has none."""
    describe = getattr(backends.get(device.backend), "describe", None)
    if describe is None:
        return ""
    cell = "rnn_tanh" if case.cell == "RNN" else case.cell.lower()
    try:
        return str(describe(cell, case.T, case.B, case.H, np.dtype(case.dtype)))
    except Exception as error:  # noqa: BLE001  # a missing word is no reason to lose the times
        return f"{type(error).__name__}: {error}"
