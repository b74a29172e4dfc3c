"""The layers of a `BidirectionalLanguageModel`, made and checked against one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...layers.base import Layer
from ...layers.dropout import Dropout
from ...layers.linear import Linear
from ..base import seeds
from ..cores import recurrent_core, width_of_core
from ..fronts.front import Front
from ..fronts.making import front_of
from .halves import PARTS, Half


def made_layers(
    name: str,
    *,
    vocab_size: int,
    hidden_size: int,
    dropout: float,
    shared_head: bool,
    tied: bool,
    front: Mapping[str, Any] | None,
    backend: str | None,
    dtype: Any,
    seed: int | None,
    **core: Any,
) -> tuple[Front, tuple[Half, Half], dict[str, Layer]]:
    """Return what both halves read, the halves, and all layers by name; `core` is for `recurrent_core`.

    Raises
    ------
    ValueError, TypeError
        An option has no such value, or options exclude one another.
    """
    if tied and (front is not None or not shared_head):
        raise ValueError(
            f"{name}: tied must be left out with {'front' if front is not None else 'shared_head=False'}, got True: "
            "the one head would use the embedding's matrix"
        )
    H = width_of_core(name, hidden_size=hidden_size, dropout=dropout, backend=backend, dtype=dtype, **core)
    front_seed, *core_seeds, first_seed, second_seed = seeds(seed, 5)
    made: dict[str, Any] = {"backend": backend, "dtype": dtype}
    read = front_of(
        name, hidden_size=H, vocab_size=vocab_size if front is None else None, front=front, seed=front_seed, **made
    )
    if read.out_features != H:
        what = "hidden_size" if H == hidden_size else "the cores' output size"
        raise ValueError(
            f"{name}: front must make {what} = {H} features, got {read.out_features}; they and the states of the "
            "cores are weighed against each other"
        )
    first, second = (
        recurrent_core(name, input_size=H, hidden_size=hidden_size, dropout=dropout, seed=core_seed, **core, **made)
        for core_seed in core_seeds
    )
    made |= {"backend": first.backend, "precision": first.precision}
    names = ("head", "head") if shared_head else ("head_forward", "head_backward")
    one = Linear(H, vocab_size, seed=first_seed, **made)
    other = one if shared_head else Linear(H, vocab_size, seed=second_seed, **made)
    if tied:
        one._share("weight", read.layers["embedding"].parameters["weight"])
    out = Dropout(dropout)
    halves = Half(0, first, names[0], one, out), Half(1, second, names[1], other, out)
    layers: dict[str, Layer] = {half_part: half.core for half_part, half in zip(PARTS, halves, strict=True)}
    return read, halves, {**read.layers, **layers, **{half.head_part: half.head for half in halves}}
