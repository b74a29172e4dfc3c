"""Training: `fit`, and what it is made of: losses, optimizers, schedules, clipping, updates, the history."""

from .callbacks import Callback, CSVLog, JSONLog, StepRecord, TensorBoard
from .clipping import clip_by_global_norm
from .history import EpochRecord, History
from .loop import TrainingInterrupted, fit
from .losses import BinaryCrossEntropy, GaussianLikelihood, QuantileLoss, SoftmaxCrossEntropy, SquaredError
from .optimizers import SGD, Adam, AdamW, Optimizer
from .schedules import (
    Constant,
    Cosine,
    Exponential,
    LinearWarmup,
    OneCycle,
    Schedule,
    SlantedTriangular,
    StepDecay,
    WarmupCosine,
)
from .updates import Updates

__all__ = [
    "fit",
    "Updates",
    "History",
    "EpochRecord",
    "TrainingInterrupted",
    "Callback",
    "StepRecord",
    "CSVLog",
    "JSONLog",
    "TensorBoard",
    "SoftmaxCrossEntropy",
    "BinaryCrossEntropy",
    "SquaredError",
    "GaussianLikelihood",
    "QuantileLoss",
    "Optimizer",
    "SGD",
    "Adam",
    "AdamW",
    "Schedule",
    "Constant",
    "LinearWarmup",
    "Cosine",
    "WarmupCosine",
    "SlantedTriangular",
    "OneCycle",
    "StepDecay",
    "Exponential",
    "clip_by_global_norm",
]
