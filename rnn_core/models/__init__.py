"""Models: small compositions of layers, with a loss."""

from .base import Evaluation, Model, Step
from .classifier import SequenceClassifier
from .language_model import LanguageModel

__all__ = ["LanguageModel", "SequenceClassifier", "Model", "Step", "Evaluation"]
