"""The cells that come with rnn_core beside RNN, LSTM and GRU: where each is defined, imported once it is asked for.

`rnn_core.variants` makes them upon these layers; so here they are names alone.
"""

from __future__ import annotations

from .cell import DEFINED, Cell, cell_named

SHIPPED = {
    "PeepholeLSTM": "rnn_core.variants.peephole_lstm",
    "CoupledLSTM": "rnn_core.variants.coupled_lstm",
    "SLSTM": "rnn_core.variants.slstm",
    "MinLSTM": "rnn_core.variants.min_lstm",
    "MinGRU": "rnn_core.variants.min_gru",
    "MinimalGatedUnit": "rnn_core.variants.minimal_gated_unit",
    "LeakyRNN": "rnn_core.variants.leaky_rnn",
    "IndRNN": "rnn_core.variants.independent_rnn",
    "ProjectedLSTM": "rnn_core.variants.across.projected_lstm",
    "LayerNormLSTM": "rnn_core.variants.across.layer_norm_lstm",
    "LayerNormGRU": "rnn_core.variants.across.layer_norm_gru",
    "ResetBeforeGRU": "rnn_core.variants.across.reset_before_gru",
    "GateBeforeMGU": "rnn_core.variants.across.gate_before_mgu",
}
"""The module that defines each."""


def shipped(name: str) -> type[Cell]:
    """Return one of `SHIPPED`."""
    return cell_named(name, SHIPPED[name])


def cells_by_name() -> dict[str, type[Cell] | None]:
    """Return every cell that there is by name; None for one that comes with rnn_core and was not asked for yet."""
    return {**dict.fromkeys(SHIPPED), **DEFINED}
