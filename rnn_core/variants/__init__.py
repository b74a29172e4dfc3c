"""Cells that people ask for beside RNN, LSTM and GRU, each defined in one file by `rnn_core.cell.define`.

Each file has the equations, the paper, `step` and below it `step_backward`; docs/variants.md says what each is for.
"""

from .across.gate_before_mgu import GateBeforeMGU
from .across.layer_norm_gru import LayerNormGRU
from .across.layer_norm_lstm import LayerNormLSTM
from .across.projected_lstm import ProjectedLSTM
from .across.reset_before_gru import ResetBeforeGRU
from .all_steps import parallel
from .coupled_lstm import CoupledLSTM
from .independent_rnn import IndRNN
from .leaky_rnn import LeakyRNN
from .min_gru import MinGRU
from .min_lstm import MinLSTM
from .minimal_gated_unit import MinimalGatedUnit
from .peephole_lstm import PeepholeLSTM
from .slstm import SLSTM

__all__ = [
    "CoupledLSTM",
    "GateBeforeMGU",
    "IndRNN",
    "LayerNormGRU",
    "LayerNormLSTM",
    "LeakyRNN",
    "MinGRU",
    "MinLSTM",
    "MinimalGatedUnit",
    "PeepholeLSTM",
    "ProjectedLSTM",
    "ResetBeforeGRU",
    "SLSTM",
    "parallel",
]
