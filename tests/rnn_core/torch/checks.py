"""What the planted bugs of `tests/mutations/inside_torch.py` have to fail: small programs, ours beside torch's."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from .beside import assert_same, pair, states

FORMS: dict[str, dict[str, Any]] = {
    "padded": {},
    "batch first": {"batch_first": True},
    "unbatched": {},
    "packed": {},
    "dropout": {"dropout": 0.5},
    "packed dropout": {"dropout": 0.5},
    "projected": {"proj_size": 2},
}
"""Options of a module, by the form of what it is given."""


def module_as_torchs(kind: str, form: str, second: bool = False) -> None:
    """Check y, final states and all gradients, second ones if asked, of two layers both ways in float64."""
    torch.manual_seed(3)
    sizes: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    modules = pair(kind, 3, 4, **sizes, **FORMS[form])
    x = torch.randn((5, 3) if form == "unbatched" else (3, 5, 3), dtype=torch.float64)
    rows = () if form == "unbatched" else (5 if "packed" in form or form != "batch first" else 3,)
    first = [torch.randn(4, *rows, size, dtype=torch.float64) for size in (modules[0].proj_size or 4, 4)]

    def program(module: Any) -> dict[str, Any]:
        leaves = [t.clone().requires_grad_() for t in (x, *first[: 1 + (kind == "LSTM")])]
        given: Any = leaves[0]
        if "packed" in form:
            given = pack_padded_sequence(given, torch.tensor([2, 3, 1, 3, 2]), enforce_sorted=False)
        y, final = module(given, tuple(leaves[1:]) if kind == "LSTM" else leaves[1])
        y = y.data if isinstance(y, PackedSequence) else y
        weight = torch.linspace(1, 2, y.numel(), dtype=torch.float64).view(y.shape)
        loss = (y * weight).sum() + sum((k + 2) * s.square().sum() for k, s in enumerate(states(final)))
        asked = [*leaves, *module.parameters()]
        found = torch.autograd.grad(loss, asked, create_graph=second)
        if second:
            found = torch.autograd.grad(sum(d.square().sum() for d in found), asked)
        return {"y": y, **dict(enumerate(states(final))), **{f"d{k}": d for k, d in enumerate(found)}}

    assert_same(program, modules, 1e-10)
