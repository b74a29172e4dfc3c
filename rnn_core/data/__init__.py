"""Data: from text and ragged rows to the batches of a training loop."""

from .augmented import Augmented
from .batches import Batch, Examples, TextStream
from .repeated import Repeated
from .rows import Rows
from .sequences import pad_sequences, sequence_lengths
from .text import Tokenizer

__all__ = [
    "Tokenizer",
    "pad_sequences",
    "sequence_lengths",
    "Rows",
    "Batch",
    "Examples",
    "TextStream",
    "Repeated",
    "Augmented",
]
