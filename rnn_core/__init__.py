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
from .sensitivity import (
    clipped_gradients,
    example_gradient_norms,
    gauss_newton_product,
    hvp,
    jvp,
    per_example_gradients,
    state_jacobian,
    state_jacobian_singular_values,
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
    "clipped_gradients",
    "contextual_features",
    "example_gradient_norms",
    "gauss_newton_product",
    "gradcheck",
    "hvp",
    "jvp",
    "load",
    "per_example_gradients",
    "quantize",
    "save",
    "state_jacobian",
    "state_jacobian_singular_values",
]
