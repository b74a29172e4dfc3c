"""Recurrent networks written out by hand: equations to read, gradients to check, networks to train and save."""

from .checking import gradcheck
from .layers import GRU, LSTM, RNN, Dropout, Embedding, Linear
from .layers.quantized import quantize
from .models import (
    BidirectionalLanguageModel,
    ConvClassifier,
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    contextual_features,
)
from .weights import load, save

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BidirectionalLanguageModel",
    "ConvClassifier",
    "Dropout",
    "Embedding",
    "Forecaster",
    "LanguageModel",
    "Linear",
    "Seq2Seq",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "contextual_features",
    "gradcheck",
    "load",
    "quantize",
    "save",
]
