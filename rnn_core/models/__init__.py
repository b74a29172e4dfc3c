"""Models: small compositions of layers, with a loss."""

from .base import Evaluation, Model, Step
from .classifier import SequenceClassifier
from .contextual.bidirectional_language_model import BidirectionalLanguageModel
from .contextual.features import contextual_features
from .convolutional import ConvClassifier
from .forecasting import Forecast, Forecaster
from .language_model import LanguageModel
from .regressor import SequenceRegressor
from .seq2seq import Hypothesis, Seq2Seq
from .tagger import SequenceTagger

__all__ = [
    "ConvClassifier",
    "BidirectionalLanguageModel",
    "Forecast",
    "Forecaster",
    "Hypothesis",
    "LanguageModel",
    "Seq2Seq",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "contextual_features",
    "Model",
    "Step",
    "Evaluation",
]
