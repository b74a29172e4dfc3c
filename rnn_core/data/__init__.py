"""Data: from text and ragged rows to the batches of a training loop."""

from .augmented import Augmented
from .batches import Batch, Examples, TextStream
from .files.pairs import context_of, reply_pairs
from .forecasting import TimeSeries, Windows, WindowSpec, fourier
from .letters import spelled
from .pairs import Pairs
from .ragged import Ragged
from .repeated import Repeated
from .rows import bounded, windows
from .sequences import pad_sequences, sequence_lengths
from .text import Tokenizer

__all__ = [
    "Tokenizer",
    "pad_sequences",
    "sequence_lengths",
    "bounded",
    "spelled",
    "windows",
    "Ragged",
    "Pairs",
    "Batch",
    "Examples",
    "TextStream",
    "TimeSeries",
    "WindowSpec",
    "Windows",
    "fourier",
    "Repeated",
    "Augmented",
    "context_of",
    "reply_pairs",
]
