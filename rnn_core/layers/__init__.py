"""Layers: the recurrent stack and the few that models put around it."""

from .attention import Attention
from .crf import CRF
from .dropout import Dropout
from .embedding import Embedding
from .linear import Linear
from .mixing.scalar_mix import ScalarMix
from .recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Dropout", "Embedding", "Linear", "ScalarMix", "Attention", "CRF"]
