"""torch's side: the same model as one writes it there, and every way to take its step that one might choose."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from rnn_core.data import Batch

from .cases import CLIP_NORM, LR, Case

OPTIMIZERS: dict[str, dict[str, bool]] = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}
"""Adam's implementations in torch."""


def module_of(torch: Any, case: Case, state: dict[str, np.ndarray]) -> Any:
    """Return torch's model with our parameters. It takes (T, B), which its LSTM likes best, and lengths or None."""
    nn, packing = torch.nn, torch.nn.utils.rnn
    base: Any = nn.Module

    class Module(base):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(case.V, case.E)
            self.rnn = getattr(nn, case.cell)(case.E, case.H, case.layers)
            self.head = nn.Linear(case.H, case.outputs)

        def forward(self, tokens: Any, lengths: Any) -> Any:
            x = self.embedding(tokens)
            if lengths is not None:
                x = packing.pack_padded_sequence(x, lengths, enforce_sorted=False)
            y, final = self.rnn(x)
            if case.pooling == "last":
                return self.head((final[0] if case.cell == "LSTM" else final)[-1])
            if lengths is not None:
                y, _ = packing.pad_packed_sequence(y, total_length=case.T)
            return self.head(self.pooled(y, lengths))

        def pooled(self, y: Any, lengths: Any) -> Any:
            if case.pooling == "mean":  # packed sequences are padded with zeros
                return y.mean(0) if lengths is None else y.sum(0) / lengths[:, None].to(y.dtype)
            if case.pooling == "max" and lengths is not None:
                y = y.masked_fill((torch.arange(case.T)[:, None] >= lengths)[..., None], float("-inf"))
            return y.amax(0) if case.pooling == "max" else y

    module = Module()
    module.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    return module


class Trainer:
    """One way of training a module.

    Parameters
    ----------
    torch, case, batch
    state : dict of str to ndarray
        The parameters to begin with.
    optimizer : str
        One of `OPTIMIZERS`.
    lower : {"", "autocast", "module"}
        In bfloat16: under autocast, where parameters stay float32; or with a module that is bfloat16 throughout.
    """

    def __init__(
        self, torch: Any, case: Case, batch: Batch, state: dict[str, np.ndarray], optimizer: str, lower: str = ""
    ) -> None:
        self.torch, self.name = torch, ", ".join(filter(None, (lower, optimizer)))
        self.module = module_of(torch, case, state)
        self.lower, self.criterion = lower, torch.nn.CrossEntropyLoss()
        if lower == "module":
            self.module = self.module.to(torch.bfloat16)
        self.tokens = torch.from_numpy(np.ascontiguousarray(batch.inputs.T))
        self.targets = torch.from_numpy(np.ascontiguousarray(batch.targets.T).reshape(-1))
        self.lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
        self.optimizer = torch.optim.Adam(self.module.parameters(), LR, **OPTIMIZERS[optimizer])

    def gradients(self) -> Any:
        """Compute the gradients, and return the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        automatic = self.torch.autocast("cpu", self.torch.bfloat16) if self.lower == "autocast" else None
        with automatic or contextlib.nullcontext():
            logits = self.module(self.tokens, self.lengths)
            loss = self.criterion(logits.flatten(0, -2), self.targets)
        loss.backward()
        return loss.detach()

    def step(self) -> float:
        """Take a step of training, and return the loss, as whoever trains looks at it."""
        loss = self.gradients()
        self.torch.nn.utils.clip_grad_norm_(self.module.parameters(), CLIP_NORM)
        self.optimizer.step()
        return float(loss)

    def loss_and_gradients(self) -> dict[str, np.ndarray]:
        """Return the gradients by name, and the loss among them."""
        loss = self.gradients()
        found = {name: parameter.grad.float().numpy() for name, parameter in self.module.named_parameters()}
        return {"loss": np.asarray(float(loss)), **found}


def trainers(torch: Any, case: Case, batch: Batch, state: dict[str, np.ndarray]) -> list[Trainer]:
    """Return every way of training; the first is the plain one."""
    ways = ("autocast", "module") if case.precision == "bfloat16" else ("",)
    return [Trainer(torch, case, batch, state, name, lower) for lower in ways for name in OPTIMIZERS]


def fastest(candidates: list[Trainer], clock: Callable[[], float] = perf_counter) -> Trainer:
    """Return the quickest of some trainers, by the better of two steps after one that doesn't count.

    One that torch can't do on this machine (bfloat16 LSTMs want AVX512-BF16 or AMX) is none.
    """
    found: dict[float, Trainer] = {}
    words = "there are none"
    for trainer in candidates:
        try:
            trainer.step()
            times = []
            for _ in range(2):
                begin = clock()
                trainer.step()
                times.append(clock() - begin)
            found[min(times)] = trainer
        except RuntimeError as error:
            words = f"{trainer.name}: {error}"
    if not found:
        raise RuntimeError(f"torch can train this in no way; {words}")
    return found[min(found)]
