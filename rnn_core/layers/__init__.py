"""Layers: the recurrent stack and the few that models put around it."""

from .attention import Attention
from .convolution.conv import Conv1d, Conv2d
from .convolution.pointwise import Flatten, ReLU
from .convolution.pools import AvgPool, GlobalAvgPool, MaxPool
from .crf import CRF
from .dropout import Dropout
from .embedding import Embedding, RowGradient
from .linear import Linear
from .mixing.highway import Highway
from .mixing.scalar_mix import ScalarMix
from .recurrent import GRU, LSTM, RNN
from .small.stream import Stream

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "AvgPool",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool",
    "Highway",
    "Linear",
    "MaxPool",
    "ReLU",
    "RowGradient",
    "ScalarMix",
    "Stream",
]
