"""What a forward keeps for its backward, in bytes, beyond what the caller holds anyway: x, y and the parameters.

Ours: every array that can be reached from the tape. torch's: every tensor that autograd packs away, seen by
``torch.autograd.graph.saved_tensors_hooks``; oneDNN's workspace is one of them. Shared storage counts once.
"""

from __future__ import annotations

import gc
import types
from typing import Any, NamedTuple

import numpy as np

from kernels.cpu.running.memory import Block

from ...cases import Case
from ...sides import layer_of, module_of
from ..setting import Setting

KEPT = {"RNN": 0, "LSTM": 4, "GRU": 4}
"""Numbers of a hidden unit that a step leaves on a tape besides its states; a GRU's fourth is W_hn·h + b_hn."""

STATES = {"RNN": 1, "LSTM": 2, "GRU": 1}


class MemoryRow(NamedTuple):
    """Bytes for one case."""

    case: Case
    formula: int
    ours: int
    theirs: int

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        return f"{self.case.name}: {self.ours / 2**10:,.0f} KiB, torch {self.theirs / 2**10:,.0f} KiB"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {**self.case.as_dict(), "formula": self.formula, "ours": self.ours, "theirs": self.theirs}


def formula(case: Case) -> int:
    """Return the bytes that a tape needs: the states, the initial ones too, and what is kept of each step."""
    size = np.dtype(case.dtype).itemsize
    return size * case.B * case.H * ((case.T + 1) * STATES[case.cell] + case.T * KEPT[case.cell])


def measure(setting: Setting, case: Case) -> MemoryRow:
    """Weigh both sides' tapes."""
    torch, layer, x = setting.torch, layer_of(case, setting.backend), case.input()
    y, _, tape = layer.forward(x)
    theirs = saved_by_torch(torch, module_of(torch, case), torch.from_numpy(x))
    return MemoryRow(case, formula(case), reachable(tape, without=(layer, x, y)), theirs)


def reachable(root: Any, without: tuple[Any, ...] = ()) -> int:
    """Return the bytes of all NumPy arrays that an object leads to, less those that others lead to as well."""
    seen: set[int] = set()
    for other in without:
        _walk(other, seen)
    return _walk(root, seen)


def _walk(root: Any, seen: set[int]) -> int:
    """Return the bytes of the arrays that are not in `seen` yet; everything found is put there."""
    total, waiting = 0, [root]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, (type, types.ModuleType, types.FunctionType)):
            continue
        seen.add(id(found))
        if isinstance(found, Block):  # and not what else lies in the store that it goes back to
            total += found.size
        elif not isinstance(found, np.ndarray):
            waiting.extend(gc.get_referents(found))
        elif found.base is None:
            total += found.nbytes
        else:
            waiting.append(found.base)
    return total


def saved_by_torch(torch: Any, module: Any, x: Any) -> int:
    """Return the bytes that a forward of torch's leaves for its backward."""
    saved: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y, _ = module(x)
    for held in (x, y, *module.parameters()):
        saved.pop(held.untyped_storage().data_ptr(), None)
    return sum(saved.values())
