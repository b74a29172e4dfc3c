"""Recurrent networks written out by hand: equations to read, gradients to check, networks to train and save."""

from .checking import gradcheck
from .layers import GRU, LSTM, RNN, Dropout, Embedding, Linear
from .models import LanguageModel, SequenceClassifier
from .weights import load, save

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "Embedding",
    "LanguageModel",
    "Linear",
    "SequenceClassifier",
    "gradcheck",
    "load",
    "save",
]
